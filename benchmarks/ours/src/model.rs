//! A language model, trained and writing, by the code of the application itself.

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Tensor};
use candle_rnn::{CrossEntropy, Generator, MatmulPrecision, Mode, Windows};
use language_model::{
    CellName, Data, GenerateConfig, Held, LanguageModel, LanguageModelTask, Network, NetworkConfig,
};
use rnn_decode::Sampling;
use rnn_text::{Tokenizer, Units};
use rnn_train::clip::clip;
use rnn_train::{Gradients, Optimizer, OptimizerConfig, Task};
use worker::{Check, Generate, OptimizerName, Train, Workload, numbers};

/// One training step after another, as `rnn_train`'s trainer does them.
pub struct Training {
    row: Train,
    task: LanguageModelTask,
    /// The task's network, by the same variables.
    network: Network,
    optimizer: Optimizer,
    generator: Generator,
}

impl Training {
    pub fn new(row: &Train) -> Result<Self> {
        let config = NetworkConfig {
            cell: CellName::Lstm,
            embedding_size: row.embedding,
            hidden_size: row.hidden,
            layers: row.layers,
            dropout: row.dropout,
            matmul: if row.bf16 { MatmulPrecision::Bf16 } else { MatmulPrecision::Full },
            ..NetworkConfig::default()
        };
        let stream = numbers::stream(row.batch, row.time, row.vocab);
        let windows = Windows { batch: row.batch, window: row.time, overlap: 0 };
        let task = LanguageModelTask::new(&config, data(stream, row.vocab)?, windows, 0, &Device::Cpu)?;
        crate::set_weights(task.parameters(), row.hidden)?;
        let network = Network::new(&config, row.vocab, task.parameters().builder())?;
        let optimizer = match row.optimizer {
            OptimizerName::Adam => OptimizerConfig::adam(),
            OptimizerName::Sgd => OptimizerConfig::sgd(),
        };
        let optimizer = Optimizer::new(&optimizer, task.parameters().named())?;
        Ok(Self { row: row.clone(), task, network, optimizer, generator: Generator::new(0) })
    }

    /// Mean loss of the first window, without dropout.
    fn loss(&self) -> Result<f64> {
        let Train { batch, time, vocab, .. } = self.row;
        let (inputs, targets) = numbers::window(&numbers::stream(batch, time, vocab), batch, time, 0);
        let inputs = Tensor::from_vec(inputs, (batch, time), &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, (batch, time), &Device::Cpu)?;
        let (scores, _) = self.network.forward(&inputs, None, &mut Mode::Eval)?;
        let loss = CrossEntropy::default().forward(&scores, &targets)?;
        Ok(f64::from(loss.sum.to_scalar::<f32>()?) / loss.count as f64)
    }
}

impl Workload for Training {
    fn check(&mut self) -> Result<Check> {
        let mut check = Check::from([("loss", self.loss()?)]);
        if self.row.dropout == 0.0 {
            self.iterate()?;
            check.insert("loss after a step", self.loss()?);
        }
        Ok(check)
    }

    /// The same calls as `Trainer::step` and `Trainer::accumulate`, which also look at the loss and
    /// at the gradient's norm before clipping: neither may be NaN.
    fn iterate(&mut self) -> Result<()> {
        let loss = self.task.loss(&mut self.generator)?;
        let sum = loss.sum.to_dtype(DType::F64)?.to_scalar::<f64>()?;
        ensure!(sum.is_finite(), "the loss is {sum}");
        let loss = (loss.sum / loss.count as f64)?;
        let mut gradients = Gradients::of(&loss, &self.task.parameters().named())?;
        let norm = clip(&mut gradients, None, Some(self.row.clip))?;
        ensure!(norm.is_finite(), "the gradient's norm is {norm}");
        self.optimizer.step(&gradients, self.row.rate)?;
        Ok(())
    }
}

/// Texts written by `LanguageModel::generate`, down to the characters.
pub struct Writing {
    row: Generate,
    model: LanguageModel,
    /// The model's network, by the same numbers.
    network: Network,
}

impl Writing {
    pub fn new(row: &Generate) -> Result<Self> {
        let config = NetworkConfig {
            cell: CellName::Lstm,
            embedding_size: row.embedding,
            hidden_size: row.hidden,
            layers: row.layers,
            dropout: 0.0,
            ..NetworkConfig::default()
        };
        let stream = numbers::stream(1, 1, row.vocab);
        let windows = Windows { batch: 1, window: 1, overlap: 0 };
        let task = LanguageModelTask::new(&config, data(stream, row.vocab)?, windows, 0, &Device::Cpu)?;
        crate::set_weights(task.parameters(), row.hidden)?;
        let network = Network::new(&config, row.vocab, task.parameters().builder())?;
        let folder = tempfile::tempdir()?;
        task.save_model(folder.path())?;
        let model = LanguageModel::load(folder.path(), &Device::Cpu)?;
        Ok(Self { row: row.clone(), model, network })
    }
}

impl Workload for Writing {
    fn check(&mut self) -> Result<Check> {
        let symbol = Tensor::zeros((1, 1), DType::U32, &Device::Cpu)?;
        let (scores, _) = self.network.forward(&symbol, None, &mut Mode::Eval)?;
        Ok(Check::from([("scores", crate::root_mean_square(&scores)?)]))
    }

    /// Reads a symbol, then draws and reads back in one symbol after another.
    fn iterate(&mut self) -> Result<()> {
        let sampling = Sampling { temperature: self.row.temperature, ..Sampling::default() };
        let config = GenerateConfig { sampling, length: self.row.tokens, ..GenerateConfig::default() };
        let prompt = self.model.tokenizer().token(0);
        let mut written = 0;
        for piece in self.model.generate(&prompt, &config, Generator::new(0))? {
            written += piece?.chars().count();
        }
        ensure!(written == self.row.tokens, "{written} symbols were written");
        Ok(())
    }
}

/// A stream of symbols as a text, of `vocab` different characters.
fn data(train: Vec<u32>, vocab: usize) -> Result<Data> {
    let alphabet: String = ('\u{4e00}'..).take(vocab).collect();
    let tokenizer = Tokenizer::train(Units::Char, &alphabet, vocab)?;
    ensure!(tokenizer.vocab_size() == vocab, "{} symbols, not {vocab}", tokenizer.vocab_size());
    let validation = Held { symbols: vec![0, 1], characters: 2 };
    Ok(Data { tokenizer, train, validation })
}
