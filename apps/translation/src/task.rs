//! Translation as something to train: batches of pairs, each predicted symbol by symbol from its source
//! and what precedes it (teacher forcing).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use app_kit::{UsageError, check_matmul};
use candle_core::{DType, Device};
use candle_rnn::{CrossEntropy, Generator, LossSum, Mode, Parameters};
use rnn_train::batches::{Batches, Epoch, IGNORED};
use rnn_train::{Evaluation, Position, Task};

use crate::batches::{BatchConfig, Example, Padded};
use crate::corpus::Pair;
use crate::evaluate::{self, Measures};
use crate::model::{TranslationConfig, TranslationModel};
use crate::network::Network;
use crate::translator::{TranslateConfig, Translator};
use crate::vocabulary::Vocabularies;

/// Pairs to learn from and pairs to choose a model by.
#[derive(Clone, Debug)]
pub struct Data {
    /// The vocabularies of both languages.
    pub vocabularies: Vocabularies,
    /// To learn from.
    pub train: Vec<Example>,
    /// To choose by, as text.
    pub validation: Vec<Pair>,
}

/// A network, the pairs it learns from, and where it stands among them.
pub struct TranslationTask {
    config: TranslationConfig,
    parameters: Parameters,
    network: Network,
    data: Data,
    validation: Vec<Example>,
    measures: Measures,
    batches: Batches,
    label_smoothing: f64,
    epoch: usize,
    /// The batches of this epoch, and which of them is the next.
    order: Epoch,
    next: usize,
}

impl TranslationTask {
    /// A new network with weights from `seed`, at the beginning of the first epoch.
    ///
    /// # Errors
    /// [`UsageError`] for settings that do not fit each other or the device.
    pub fn new(
        config: TranslationConfig,
        data: Data,
        batches: BatchConfig,
        label_smoothing: f64,
        measures: Measures,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        if !(0.0..1.0).contains(&label_smoothing) {
            let error = format!("the label smoothing must be at least 0 and below 1, not {label_smoothing}");
            return Err(UsageError::new(error).into());
        }
        check_matmul(config.network.matmul, device)?;
        config.network.validate(data.vocabularies.joint())?;
        let parameters = Parameters::new(seed, DType::F32, device);
        let network =
            Network::new(&config.network, config.source_vocab, config.target_vocab, parameters.builder())?;
        let validation = evaluate::examples(&data.vocabularies, &data.validation)?;
        let batches = batches.batches(&data.train, seed);
        let order = batches.epoch(0);
        Ok(Self {
            config,
            parameters,
            network,
            data,
            validation,
            measures,
            batches,
            label_smoothing,
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
    pub fn model(&self) -> Result<TranslationModel> {
        let (weights, device) = (self.parameters.tensors(), self.parameters.device());
        TranslationModel::new(self.config.clone(), self.data.vocabularies.clone(), weights, device)
    }
}

impl Task for TranslationTask {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn steps_per_epoch(&self) -> usize {
        self.batches.count()
    }

    fn loss(&mut self, generator: &mut Generator) -> Result<LossSum> {
        let examples: Vec<&Example> =
            self.order.batch(self.next).iter().map(|&example| &self.data.train[example]).collect();
        let batch = Padded::new(&examples, self.data.vocabularies.end(), self.parameters.device())?;
        let mut mode = Mode::Train(generator);
        let encoded = self.network.encode(&batch.sources, &batch.source_lengths, &mut mode)?;
        let vectors = self.network.decode(&encoded, &batch.inputs, &batch.target_lengths, &mut mode)?;
        let loss = CrossEntropy { ignore: Some(IGNORED), label_smoothing: self.label_smoothing };
        let loss = self.network.loss(loss, &vectors, &batch.targets, &mode)?;
        self.next += 1;
        if self.next == self.batches.count() {
            (self.epoch, self.next) = (self.epoch + 1, 0);
            self.order = self.batches.epoch(self.epoch);
        }
        Ok(loss)
    }

    fn evaluate(&mut self) -> Result<Evaluation> {
        let device = self.parameters.device();
        let loss = evaluate::loss(&self.network, &self.validation, self.data.vocabularies.end(), device)?;
        let translator = Translator::new(self.model()?)?;
        let config = TranslateConfig::default();
        let (translations, _) = evaluate::translate(&translator, &self.data.validation, &config)?;
        let scores = self.measures.scores(&translations, &self.data.validation)?;
        let metrics: BTreeMap<_, _> = [
            ("perplexity".to_owned(), loss.exp()),
            ("bleu".to_owned(), scores.bleu),
            ("exact".to_owned(), scores.exact),
        ]
        .into();
        Ok(Evaluation { loss, metrics })
    }

    fn quality_metrics(&self) -> &[&'static str] {
        &["bleu"]
    }

    fn position(&self) -> Result<Position> {
        Ok(Position::at_batch(self.epoch, self.next))
    }

    fn seek(&mut self, position: &Position) -> Result<()> {
        let (epoch, next) = position.batch(self.batches.count())?;
        if epoch != self.epoch {
            self.order = self.batches.epoch(epoch);
        }
        (self.epoch, self.next) = (epoch, next);
        Ok(())
    }

    fn save_model(&self, folder: &Path) -> Result<()> {
        self.model()?.save(folder)
    }

    fn unit(&self) -> &'static str {
        self.data.vocabularies.target().units().plural()
    }
}
