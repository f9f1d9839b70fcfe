//! Captioning as something to train: pictures and what is said about them, each caption predicted symbol by
//! symbol from its picture and what precedes it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Result, ensure};
use app_kit::UsageError;
use candle_core::{D, DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_rnn::{CrossEntropy, Generator, LossSum, Mode, Parameters};
use datasets::embedded::captioning::Language;
use rnn_train::batches::{Epoch, IGNORED, TeacherForced};
use rnn_train::{BatchLimits, Batches, Evaluation, Position, Task};
use serde::{Deserialize, Serialize};

use crate::captioner::{Captioner, SearchConfig};
use crate::corpus::{Captioned, Image};
use crate::encoder::{Encoder, Seen, on_device};
use crate::evaluate::{self, ROWS};
use crate::examples::{Batch, Example, LivePictures};
use crate::features::{Features, see};
use crate::model::{CaptionConfig, CaptionModel, ENCODER};
use crate::network::Network;
use crate::vocabulary::Vocabulary;

/// Where what is seen of the training pictures comes from.
pub enum Pictures {
    /// From the features of a frozen encoder.
    Kept(Features),
    /// From the encoder, which is trained along.
    Live(LivePictures),
}

/// How the encoder learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FineTuning {
    /// Epochs before it begins to.
    pub after_epochs: usize,
    /// Its learning rate, as a part of the decoder's.
    pub rate: f64,
}

impl Default for FineTuning {
    /// From the beginning, as fast as the decoder.
    fn default() -> Self {
        Self { after_epochs: 0, rate: 1.0 }
    }
}

/// The decoder's own guesses among what it reads in training (Bengio et al. 2015), so that it learns to go on
/// from them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduledSampling {
    /// Probability with which a symbol is the decoder's guess, in the end.
    pub probability: f64,
    /// Epochs in which the probability rises from 0.
    pub epochs: usize,
}

/// What the loss is made of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Part of a symbol's probability that is spread over all (Szegedy et al. 2016).
    pub label_smoothing: f64,
    /// λ of the doubly stochastic attention (Xu et al. 2015, equation 14): how much it costs when a region is
    /// looked at more or less than once in a caption, all words together.
    pub attention_penalty: f64,
    /// How much it counts which words the regions say stand for them: the mean binary cross entropy with the
    /// words of the picture's captions, over the vocabulary.
    pub words: f64,
    /// The decoder's own guesses among what it reads.
    pub scheduled_sampling: ScheduledSampling,
}

impl Default for LossConfig {
    /// Label smoothing of 0.1 and nothing else.
    fn default() -> Self {
        Self {
            label_smoothing: 0.1,
            attention_penalty: 0.0,
            words: 0.0,
            scheduled_sampling: ScheduledSampling::default(),
        }
    }
}

impl LossConfig {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`UsageError`], with what to change.
    pub fn validate(&self) -> Result<(), UsageError> {
        for (name, value) in [
            ("label smoothing", self.label_smoothing),
            ("probability of scheduled sampling", self.scheduled_sampling.probability),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(UsageError::new(format!(
                    "the {name} must be at least 0 and below 1, not {value}"
                )));
            }
        }
        for (name, value) in [("attention penalty", self.attention_penalty), ("loss of words", self.words)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(UsageError::new(format!("the {name} must be 0 or more, not {value}")));
            }
        }
        Ok(())
    }
}

/// What is learnt from, and how.
pub struct Data {
    /// The symbols of captions.
    pub vocabulary: Vocabulary,
    /// The captions to learn from, by picture.
    pub train: Vec<Example>,
    /// What is seen of the pictures.
    pub pictures: Pictures,
    /// Pictures to choose a model by.
    pub validation: Vec<Captioned>,
    /// What the frozen encoder has seen of them.
    pub validation_features: Option<Features>,
    /// The language of drawn scenes, of which the truth can be told.
    pub scenes: Option<Language>,
    /// Captions in a batch.
    pub batch: usize,
}

/// Two networks, the pictures they learn from, and where they stand among them.
pub struct CaptionTask {
    config: CaptionConfig,
    loss: LossConfig,
    fine_tuning: Option<FineTuning>,
    parameters: Parameters,
    encoder: Encoder,
    /// The weights of a frozen encoder, by the names of its network.
    frozen: HashMap<String, Tensor>,
    network: Network,
    data: Data,
    batches: Batches,
    epoch: usize,
    order: Epoch,
    next: usize,
}

/// The encoder of a new run.
pub enum Start {
    /// It is trained along, from these weights if there are any.
    Trained(FineTuning, Option<HashMap<String, Tensor>>),
    /// It stays as it is.
    Frozen(HashMap<String, Tensor>),
}

impl CaptionTask {
    /// New networks with weights from `seed`, at the beginning of the first epoch.
    ///
    /// # Errors
    /// [`UsageError`] for settings that do not fit each other or the device.
    pub fn new(
        config: CaptionConfig,
        loss: LossConfig,
        start: Start,
        data: Data,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        loss.validate()?;
        if data.batch == 0 {
            return Err(UsageError::new("a batch must have at least 1 caption").into());
        }
        app_kit::network::check_matmul(config.network.matmul, device)?;
        let parameters = Parameters::new(seed, DType::F32, device);
        let (vb, matmul) = (parameters.builder(), config.network.matmul);
        let sizes = config.encoder.sizes();
        let (encoder, frozen, fine_tuning) = match start {
            Start::Trained(fine_tuning, weights) => {
                let encoder = Encoder::new(&config.encoder, matmul, vb.pp(ENCODER))?;
                if let Some(weights) = weights {
                    let named =
                        weights.into_iter().map(|(name, tensor)| (format!("{ENCODER}.{name}"), tensor));
                    parameters.assign(&named.collect())?;
                }
                (encoder, HashMap::new(), Some(fine_tuning))
            }
            Start::Frozen(weights) => {
                let weights = on_device(&weights, device)?;
                let vb = VarBuilder::from_tensors(weights.clone(), DType::F32, device);
                (Encoder::new(&config.encoder, matmul, vb)?, weights, None)
            }
        };
        let network = Network::new(&config.network, sizes, config.vocab, vb)?;
        let captions: usize = data.train.iter().map(|example| example.captions.len()).sum();
        let rows = (data.batch * data.train.len()).div_ceil(captions.max(1));
        // Not side by side by length, which goes with what is on a picture.
        let lengths = vec![(1, 0); data.train.len()];
        let batches = Batches::new(lengths, BatchLimits { steps: usize::MAX, rows }, seed);
        let order = batches.epoch(0);
        Ok(Self {
            config,
            loss,
            fine_tuning,
            parameters,
            encoder,
            frozen,
            network,
            data,
            batches,
            epoch: 0,
            order,
            next: 0,
        })
    }

    /// What it learns from.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The model as it is now; its weights are those that are trained.
    ///
    /// # Errors
    /// Never, unless memory runs out.
    pub fn model(&self) -> Result<CaptionModel> {
        let mut weights = self.parameters.tensors();
        weights
            .extend(self.frozen.iter().map(|(name, tensor)| (format!("{ENCODER}.{name}"), tensor.clone())));
        let device = self.parameters.device();
        CaptionModel::new(self.config.clone(), self.data.vocabulary.clone(), weights, device)
    }

    fn batch(&self, epoch: usize, order: &Epoch, number: usize) -> Batch {
        let examples = order.batch(number).to_vec();
        let pictures = examples.iter().map(|&example| self.data.train[example].picture).collect();
        Batch { epoch, examples, pictures }
    }

    /// The batch after this one.
    fn after(&self) -> Batch {
        match self.next + 1 < self.order.count() {
            true => self.batch(self.epoch, &self.order, self.next + 1),
            false => self.batch(self.epoch + 1, &self.batches.epoch(self.epoch + 1), 0),
        }
    }

    /// What is seen of the pictures of a batch.
    fn seen(&mut self, batch: Batch, mode: &Mode) -> Result<Seen> {
        let device = self.parameters.device().clone();
        // Of a frozen encoder nothing is made ready ahead.
        let next = matches!(self.data.pictures, Pictures::Live(_)).then(|| self.after());
        match &mut self.data.pictures {
            Pictures::Kept(features) => features.rows(&batch.pictures, &device),
            Pictures::Live(pictures) => {
                let pixels = pictures.pixels(batch, next, &device)?;
                let seen = self.encoder.forward(&pixels, mode)?;
                let waits = self.fine_tuning.is_some_and(|tuning| self.epoch < tuning.after_epochs);
                Ok(if waits { seen.detach() } else { seen })
            }
        }
    }

    /// The inputs with some symbols replaced by what the decoder would have said in their place. All steps are
    /// guessed at once, each from the true symbols before it.
    fn with_guesses(
        &self,
        picture: &crate::network::Picture,
        forced: &TeacherForced,
        generator: &mut Generator,
    ) -> Result<Tensor> {
        let ScheduledSampling { probability, epochs } = self.loss.scheduled_sampling;
        let risen = if epochs == 0 { 1.0 } else { (self.epoch as f64 / epochs as f64).min(1.0) };
        let probability = probability * risen;
        if probability == 0.0 {
            return Ok(forced.inputs.clone());
        }
        let mode = &mut Mode::Eval;
        let (vectors, _) = self.network.decode(picture, &forced.inputs, &forced.lengths, mode)?;
        let guesses = self.network.scores(&vectors.detach())?.argmax(D::Minus1)?.to_vec2::<u32>()?;
        let mut inputs = forced.inputs.to_vec2::<u32>()?;
        for (inputs, guesses) in inputs.iter_mut().zip(guesses) {
            for (input, guess) in inputs.iter_mut().skip(1).zip(guesses) {
                if generator.uniform() < probability {
                    *input = guess;
                }
            }
        }
        Ok(Tensor::new(inputs, self.parameters.device())?)
    }

    /// What the encoder sees of the validation pictures, some at a time.
    fn validation(&self) -> Result<Vec<(Seen, Vec<usize>)>> {
        let device = self.parameters.device();
        let numbers: Vec<usize> = (0..self.data.validation.len()).collect();
        let images: Vec<&Image> = self.data.validation.iter().map(|picture| &picture.image).collect();
        let seen = numbers.chunks(ROWS).map(|numbers| {
            let seen = match &self.data.validation_features {
                Some(features) => features.rows(numbers, device)?,
                None => {
                    let images: Vec<&Image> = numbers.iter().map(|&number| images[number]).collect();
                    let (seen, bad) = see(&images, &self.encoder, device)?;
                    if let Some((_, error)) = bad.into_iter().next() {
                        return Err(error);
                    }
                    seen.ok_or_else(|| anyhow::anyhow!("there is no validation picture"))?
                }
            };
            Ok((seen, numbers.to_vec()))
        });
        seen.collect()
    }
}

/// `mean_i (1 − Σ_t α_ti)²`, time being real only within the lengths.
fn looked_once(attended: &Tensor, forced: &TeacherForced) -> candle_core::Result<Tensor> {
    let mask = forced.lengths.mask(attended.dtype(), attended.device())?.unsqueeze(2)?;
    attended.broadcast_mul(&mask)?.sum(1)?.affine(-1.0, 1.0)?.sqr()?.mean_all()
}

/// The mean binary cross entropy of words of pictures, `scores [pictures, vocab]`, with those in the captions,
/// of which each is of a picture, `rows`.
fn words_loss(scores: &Tensor, rows: &[usize], captions: &[&[u32]]) -> candle_core::Result<Tensor> {
    let (pictures, vocab) = scores.dims2()?;
    let mut said = vec![0f32; pictures * vocab];
    for (row, caption) in rows.iter().zip(captions) {
        caption.iter().for_each(|&symbol| said[row * vocab + symbol as usize] = 1.0);
    }
    let said = Tensor::from_vec(said, (pictures, vocab), scores.device())?.to_dtype(scores.dtype())?;
    // ln(1 + e^s) − s y, so that nothing overflows.
    let softplus = (scores.relu()? + (scores.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    (softplus - scores.mul(&said)?)?.mean_all()
}

impl Task for CaptionTask {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> usize {
        self.order.count()
    }

    fn loss(&mut self, generator: &mut Generator) -> Result<LossSum> {
        let batch = self.batch(self.epoch, &self.order, self.next);
        let seen = self.seen(batch.clone(), &Mode::Train(generator))?;
        let (mut rows, mut captions) = (Vec::new(), Vec::<&[u32]>::new());
        for (row, &example) in batch.examples.iter().enumerate() {
            let of_picture = &self.data.train[example].captions;
            rows.extend(vec![row; of_picture.len()]);
            captions.extend(of_picture.iter().map(Vec::as_slice));
        }
        let device = self.parameters.device();
        let forced = TeacherForced::new(&captions, self.data.vocabulary.end(), device)?;
        let picture = self.network.look(&seen, &mut Mode::Train(generator))?;
        let words = match &picture.words {
            Some(scores) => Some(words_loss(scores, &rows, &captions)?),
            None => None,
        };
        let picture = picture.rows(&rows)?;
        let inputs = self.with_guesses(&picture, &forced, generator)?;
        let mode = &mut Mode::Train(generator);
        let (vectors, attended) = self.network.decode(&picture, &inputs, &forced.lengths, mode)?;
        let loss = CrossEntropy { ignore: Some(IGNORED), label_smoothing: self.loss.label_smoothing };
        let mut loss = self.network.loss(loss, &vectors, &forced.targets, mode)?;
        if let Some(attended) = attended.filter(|_| self.loss.attention_penalty > 0.0) {
            let factor = self.loss.attention_penalty * loss.count as f64;
            loss.sum = (loss.sum + (looked_once(&attended, &forced)? * factor)?)?;
        }
        if let Some(words) = words {
            let factor = self.loss.words * loss.count as f64;
            loss.sum = (loss.sum + (words * factor)?)?;
        }
        self.next += 1;
        if self.next == self.order.count() {
            (self.next, self.epoch) = (0, self.epoch + 1);
            self.order = self.batches.epoch(self.epoch);
        }
        Ok(loss)
    }

    fn evaluate(&mut self) -> Result<Evaluation> {
        let seen = self.validation()?;
        let vocabulary = &self.data.vocabulary;
        let mut encoded = Vec::new();
        for (seen, numbers) in &seen {
            // Of the captions of a picture, the first.
            let captions =
                numbers.iter().map(|&number| vocabulary.encode(&self.data.validation[number].captions[0]));
            encoded.push((seen.clone(), captions.collect::<Result<Vec<_>>>()?));
        }
        let batches: Vec<(Seen, Vec<&[u32]>)> = encoded
            .iter()
            .map(|(seen, captions)| (seen.clone(), captions.iter().map(Vec::as_slice).collect()))
            .collect();
        let device = self.parameters.device();
        let loss = evaluate::loss(&self.network, &batches, vocabulary.end(), device)?;
        let captioner = Captioner::new(self.model()?)?;
        let seen: Vec<Seen> = seen.into_iter().map(|(seen, _)| seen).collect();
        let captions = evaluate::captions(&captioner, &seen, &SearchConfig::default())?;
        let pictures: Vec<&Captioned> = self.data.validation.iter().collect();
        let texts: Vec<String> = captions.iter().map(|caption| caption.text.clone()).collect();
        let scores = evaluate::scores(&texts, &pictures)?;
        let mut metrics = BTreeMap::from([
            ("cider".to_owned(), scores.cider_d),
            ("bleu_1".to_owned(), scores.bleu[0]),
            ("bleu_4".to_owned(), scores.bleu[3]),
        ]);
        let grid = self.config.encoder.sizes().grid;
        let truth =
            self.data.scenes.and_then(|language| evaluate::truth(&captions, &pictures, language, grid));
        if let Some(truth) = truth {
            metrics.insert("true".to_owned(), truth.is_true);
            metrics.insert("well_attended".to_owned(), truth.well_attended);
        }
        ensure!(scores.cider_d.is_finite(), "the CIDEr-D of the validation captions is no number");
        Ok(Evaluation { loss, metrics })
    }

    fn quality_metrics(&self) -> &[&'static str] {
        match self.data.scenes {
            Some(_) => &["true", "cider"],
            None => &["cider"],
        }
    }

    fn position(&self) -> Result<Position> {
        Ok(Position::at_batch(self.epoch, self.next))
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        let (epoch, next) = position.batch(self.order.count())?;
        (self.epoch, self.next) = (epoch, next);
        self.order = self.batches.epoch(epoch);
        Ok(())
    }

    fn save_model(&self, folder: &Path) -> Result<()> {
        self.model()?.save(folder)
    }

    fn unit(&self) -> &'static str {
        "symbols"
    }

    fn rate_factor(&self, name: &str) -> f64 {
        match self.fine_tuning {
            Some(tuning) if name.starts_with(ENCODER) => tuning.rate,
            _ => 1.0,
        }
    }
}
