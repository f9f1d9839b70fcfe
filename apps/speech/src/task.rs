//! Speech as something to train: recordings, changed a little each time, and what is said in them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use app_kit::UsageError;
use audio_features::{Audio, Features};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Ctc, Generator, Lengths, LossSum, Mode, Parameters};
use rayon::prelude::*;
use rnn_metrics::{ErrorRate, Metric};
use rnn_train::batches::Epoch;
use rnn_train::{BatchLimits, Batches, Evaluation, Position, Task};

use crate::alphabet::{Alphabet, BLANK, Units};
use crate::augment::Augmenter;
use crate::examples::Example;
use crate::frontend::Frontend;
use crate::joining::{Join, Joining, join};
use crate::model::{SpeechConfig, SpeechModel, padded};
use crate::monophones::Monophones;
use crate::network::{Head, Network};
use crate::recognizer::best_path;

/// What is learnt from, and how.
pub struct Data {
    /// To learn from.
    pub train: Vec<Example>,
    /// To choose a model by.
    pub validation: Vec<Example>,
    /// How recordings are changed each time they are heard.
    pub augmenter: Augmenter,
    /// Whether recordings are joined to strings, and how.
    pub joining: Option<Joining>,
    /// Recordings, or strings of them, in a batch.
    pub batch: usize,
    /// What finds when phonemes are said.
    pub monophones: Option<Monophones>,
    /// Part of the probability that a classifier spreads over all labels.
    pub label_smoothing: f64,
}

/// A network, the recordings it learns from, and where it stands among them.
pub struct SpeechTask {
    config: SpeechConfig,
    parameters: Parameters,
    network: Network,
    frontend: Frontend,
    data: Data,
    seed: u64,
    epoch: usize,
    /// What is heard in this epoch, in which batches, and which of them is the next.
    strings: Vec<Join>,
    order: Epoch,
    next: usize,
    /// Recordings that were too short for their text, as they were changed, since the last evaluation.
    too_short: usize,
}

/// Every string of an epoch has 2³² random numbers to itself; the first as many are for the order.
const NUMBERS: u32 = 32;

impl SpeechTask {
    /// A new network with weights from `seed`, at the beginning of the first epoch.
    ///
    /// # Errors
    /// [`UsageError`] for settings that do not fit each other or the device.
    pub fn new(config: SpeechConfig, data: Data, seed: u64, device: &Device) -> Result<Self> {
        if !(0.0..1.0).contains(&data.label_smoothing) {
            let smoothing = data.label_smoothing;
            let error = format!("the label smoothing must be at least 0 and below 1, not {smoothing}");
            return Err(UsageError::new(error).into());
        }
        if data.batch == 0 {
            return Err(UsageError::new("a batch must have at least 1 recording").into());
        }
        check_joining(data.joining.as_ref(), config.network.head)?;
        app_kit::network::check_matmul(config.network.matmul, device)?;
        let parameters = Parameters::new(seed, DType::F32, device);
        let (features, symbols) = (config.frontend.dimension(), config.alphabet.len());
        let network = Network::new(&config.network, features, symbols, parameters.builder())?;
        let frontend = Frontend::new(&config.frontend, config.moments.clone())?;
        let (strings, batches) = strings(&data, seed, 0);
        let order = batches.epoch(0);
        let (epoch, next, too_short) = (0, 0, 0);
        Ok(Self { config, parameters, network, frontend, data, seed, epoch, strings, order, next, too_short })
    }

    /// What the network says.
    pub fn alphabet(&self) -> &Alphabet {
        &self.config.alphabet
    }

    /// What it learns from.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The model as it is now; its weights are those that are trained.
    ///
    /// # Errors
    /// Never, unless memory runs out.
    pub fn model(&self) -> Result<SpeechModel> {
        let model =
            SpeechModel::new(self.config.clone(), self.parameters.tensors(), self.parameters.device())?;
        Ok(model.with_monophones(self.data.monophones.clone()))
    }

    fn begin(&mut self, epoch: usize) {
        let (strings, batches) = strings(&self.data, self.seed, epoch);
        (self.epoch, self.strings, self.order) = (epoch, strings, batches.epoch(epoch));
    }

    /// What the network reads of a string, and what it is to say.
    fn example(&self, number: usize) -> Result<(Features, Vec<u32>)> {
        let seed = self.seed.wrapping_add(self.epoch as u64);
        let mut generator = Generator::at(seed, (1 + number as u128) << NUMBERS);
        let (string, rate) = (&self.strings[number], self.config.frontend.rate);
        let samples = join(string, |number| &self.data.train[number].audio.samples, rate);
        let samples = self.data.augmenter.sound(samples, &mut generator);
        let mut features = self.frontend.raw(&Audio { samples, rate })?;
        self.data.augmenter.spectrum(&mut features, &mut generator)?;
        self.frontend.normalize(&mut features)?;
        self.data.augmenter.mask(&mut features, &mut generator);
        let mut target = Vec::new();
        for (place, &(number, _)) in string.iter().enumerate() {
            let alphabet = &self.config.alphabet;
            if place > 0 && alphabet.units() == Units::Phoneme {
                // Each begins and ends with the silence between words.
                target.pop();
            } else if place > 0 {
                target.extend(alphabet.separator());
            }
            target.extend_from_slice(&self.data.train[number].target);
        }
        Ok((features, target))
    }
}

/// Whether recordings may be joined for a network with this head.
///
/// # Errors
/// [`UsageError`] for a classifier, which says one label.
pub fn check_joining(joining: Option<&Joining>, head: Head) -> Result<(), UsageError> {
    match (joining, head) {
        (Some(_), Head::Classification) => {
            Err(UsageError::new("a classifier says one label of a recording: leave out --join"))
        }
        _ => Ok(()),
    }
}

/// What is heard in an epoch, and the batches that it makes: as many in each epoch.
fn strings(data: &Data, seed: u64, epoch: usize) -> (Vec<Join>, Batches) {
    let count = data.train.len();
    let strings: Vec<Join> = match &data.joining {
        None => (0..count).map(|number| vec![(number, 0.0)]).collect(),
        Some(joining) => {
            let mut generator = Generator::new(seed.wrapping_add(1 + epoch as u64));
            joining.draw(joining.strings(count), count, &mut generator)
        }
    };
    let length = |string: &Join| {
        let samples = string.iter().map(|&(number, _)| data.train[number].audio.samples.len());
        (samples.sum::<usize>(), 0)
    };
    let lengths = strings.iter().map(length).collect();
    let limits = BatchLimits { steps: usize::MAX, rows: data.batch };
    let batches = Batches::new(lengths, limits, seed);
    (strings, batches)
}

impl Task for SpeechTask {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> usize {
        self.order.count()
    }

    fn loss(&mut self, generator: &mut Generator) -> Result<LossSum> {
        let numbers = self.order.batch(self.next);
        let examples = numbers.par_iter().map(|&number| self.example(number)).collect::<Result<Vec<_>>>()?;
        let (features, targets): (Vec<&Features>, Vec<&[u32]>) =
            examples.iter().map(|(features, target)| (features, &target[..])).unzip();
        let (xs, lengths) = padded(&features, self.parameters.device())?;
        let (scores, lengths) = self.network.forward(&xs, &lengths, &mut Mode::Train(generator))?;
        let loss = match self.config.network.head {
            Head::Ctc => {
                let (loss, too_short) = ctc(&scores, &lengths, &targets)?;
                self.too_short += too_short;
                loss
            }
            Head::Classification => {
                let loss =
                    CrossEntropy { label_smoothing: self.data.label_smoothing, ..CrossEntropy::default() };
                loss.forward(&scores, &Tensor::new(targets.concat(), scores.device())?)?
            }
        };
        self.next += 1;
        if self.next == self.order.count() {
            self.next = 0;
            self.begin(self.epoch + 1);
        }
        Ok(loss)
    }

    fn evaluate(&mut self) -> Result<Evaluation> {
        match std::mem::take(&mut self.too_short) {
            0 => {}
            count => tracing::warn!(
                "{count} recordings since the last evaluation were too short for their text once they had been \
                 changed, and were not learnt from; less `speed` or `tempo`, or a smaller --stride, keeps them"
            ),
        }
        let model = self.model()?;
        let examples = &self.data.validation;
        let recordings: Vec<&Audio> = examples.iter().map(|example| &example.audio).collect();
        let emissions = model.emissions(&recordings)?;
        let (mut sum, mut count) = (0.0, 0);
        let mut texts = Vec::new();
        for (emissions, Example { target, .. }) in emissions.iter().zip(examples) {
            let scores = Tensor::from_slice(
                &emissions.log_probs,
                (1, emissions.frames(), emissions.symbols),
                &Device::Cpu,
            )?;
            let loss = match self.config.network.head {
                Head::Ctc => {
                    let lengths = Lengths::new(vec![emissions.frames()], emissions.frames())?;
                    ctc(&scores, &lengths, &[target])?.0
                }
                Head::Classification => CrossEntropy::default()
                    .forward(&scores.squeeze(0)?, &Tensor::new(&target[..], &Device::Cpu)?)?,
            };
            sum += f64::from(loss.sum.to_scalar::<f32>()?);
            count += loss.count;
            texts.push(best_path(&model, emissions)?);
        }
        anyhow::ensure!(count > 0, "no validation recording is long enough for what is said in it");
        let references: Vec<&str> = examples.iter().map(|example| example.text.as_str()).collect();
        let mut metrics = BTreeMap::new();
        match self.config.network.head {
            Head::Ctc => {
                let words = ErrorRate::words().corpus(&texts, &[&references])?;
                let characters = ErrorRate::characters().corpus(&texts, &[&references])?;
                metrics.insert("accuracy".to_owned(), 100.0 * (1.0 - words.rate()));
                metrics.insert("wer".to_owned(), 100.0 * words.rate());
                metrics.insert("cer".to_owned(), 100.0 * characters.rate());
            }
            Head::Classification => {
                let right = texts.iter().zip(references).filter(|(text, reference)| text == reference);
                metrics.insert("accuracy".to_owned(), 100.0 * right.count() as f64 / texts.len() as f64);
            }
        }
        Ok(Evaluation { loss: sum / count as f64, metrics })
    }

    fn quality_metrics(&self) -> &[&'static str] {
        &["accuracy"]
    }

    fn position(&self) -> Result<Position> {
        Ok(Position::at_batch(self.epoch, self.next))
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        let (epoch, next) = position.batch(self.order.count())?;
        if epoch != self.epoch {
            self.begin(epoch);
        }
        self.next = next;
        Ok(())
    }

    fn save_model(&self, folder: &Path) -> Result<()> {
        self.model()?.save(folder)
    }

    fn unit(&self) -> &'static str {
        match self.config.network.head {
            Head::Ctc => "symbols",
            Head::Classification => "recordings",
        }
    }
}

/// The loss of connectionist temporal classification, by symbol; recordings too short for what is said in
/// them have no share in it, and are counted.
fn ctc(scores: &Tensor, lengths: &Lengths, targets: &[&[u32]]) -> Result<(LossSum, usize)> {
    let target_lengths: Vec<usize> = targets.iter().map(|target| target.len()).collect();
    let ctc = Ctc { blank: BLANK, zero_infinity: true };
    let loss = ctc.forward(scores, lengths, &targets.concat(), &target_lengths)?;
    let left_out: usize = loss.impossible.iter().map(|&row| target_lengths[row]).sum();
    // A target of nothing counts as one symbol.
    let count = target_lengths.iter().sum::<usize>() - left_out;
    Ok((LossSum { sum: loss.sum, count: count.max(1) }, loss.impossible.len()))
}
