//! A character model learns from the workspace's own sources and documents, and
//! writes.

use std::collections::BTreeSet;

use ::language_model::{DataConfig, GenerateConfig, NetworkConfig, RunConfig, train_on_text};
use anyhow::{Context, Result};
use candle_rnn::{Generator, Windows};
use datasets::embedded::workspace_text;
use rnn_decode::Sampling;
use rnn_train::{ProgressStyle, RunFolder, Schedule, TrainConfig, schedule::ScheduleKind};

use crate::{Options, Page, tell_outcome};

const PROMPT: &str = "/// The ";
const LENGTH: usize = 300;
const UNITS: usize = 192;

/// Trains on most of the text (`fast`: on a twentieth), prints the loss and 300 characters
/// that the model writes. The run folder is `language-model` beside the figures, with the curves.
///
/// # Errors
/// When the page or the run folder cannot be written, or the training fails.
pub fn tell(options: &Options, page: &mut Page) -> Result<()> {
    let epochs = if options.fast { 0.05 } else { 0.7 };
    let text = workspace_text();
    let kinds = text.chars().collect::<BTreeSet<_>>().len();
    let config = RunConfig {
        data: DataConfig { validation: 0.05, ..DataConfig::default() },
        network: NetworkConfig {
            embedding_size: 64,
            hidden_size: UNITS,
            layers: 1,
            dropout: 0.,
            ..NetworkConfig::default()
        },
        windows: Windows { batch: 16, window: 48, overlap: 0 },
        training: TrainConfig {
            schedule: Schedule { kind: ScheduleKind::Cosine { minimum: 0. }, ..Schedule::constant(5e-3) },
            epochs,
            keep_last: 1,
            seed: options.seed,
            ..TrainConfig::default()
        },
    };
    page.paragraph(&format!(
        "The same question on a longer text: this program's own sources and documents, {} characters \
         of {kinds} kinds. The network reads letter by letter and is asked for the next one every time. \
         Its neuron is an LSTM with {UNITS} units. Backpropagation through time is cut after {} steps; \
         the state is carried on. The last twentieth of the text is kept for validation. It reads \
         {:.0} % of the text once; the guide's training is longer.",
        text.chars().count(),
        config.windows.window,
        100. * epochs,
    ))?;

    let run = RunFolder::create(options.folder.join("language-model"), true)?;
    let stop = app_kit::interrupt::flag();
    let trained = train_on_text(text, &config, &run, &options.device, stop, ProgressStyle::Auto)?;
    let report = trained.report;
    tell_outcome(&report, page)?;
    page.line(&format!("    steps of training        {}", report.steps))?;
    page.line(&format!("    loss of a blind guess    {:.3} nats per character", (kinds as f64).ln()))?;
    if let Some(evaluation) = report.last {
        let bits = evaluation.loss / 2f64.ln();
        page.line(&format!(
            "    validation loss          {:.3} nats = {bits:.3} bits per character",
            evaluation.loss
        ))?;
    }
    page.line("")?;

    page.paragraph(&format!(
        "Now it writes. It is given \"{PROMPT}\", draws the next character from its own prediction, \
         reads it, and so on for {LENGTH} characters (temperature 0.7):"
    ))?;
    page.quote(PROMPT)?;
    let config = GenerateConfig {
        sampling: Sampling { temperature: 0.7, ..Sampling::default() },
        length: LENGTH,
        ..GenerateConfig::default()
    };
    for piece in trained.model.generate(PROMPT, &config, Generator::new(options.seed))? {
        page.quote(&piece.context("the model could not write")?)?;
    }
    page.line("")?;
    page.line("")?;
    page.drawing(&run.curves(), "Loss while the language model learns")?;
    Ok(())
}
