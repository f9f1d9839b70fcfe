//! A character model learns from the workspace's own sources and documents, and
//! writes.

use std::collections::BTreeSet;
use std::fmt::Display;

use ::language_model::{DataConfig, GenerateConfig, NetworkConfig, RunConfig, train_on_text};
use anyhow::{Context, Result};
use candle_rnn::{Generator, Windows};
use datasets::embedded::workspace_text;
use rnn_decode::Sampling;
use rnn_train::{ProgressStyle, RunFolder, Schedule, TrainConfig, schedule::ScheduleKind};

use crate::page::pad;
use crate::{Options, Page, tell_outcome};

const PROMPT: &str = "/// The ";
const LENGTH: usize = 300;
const TEMPERATURE: f64 = 0.7;
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
    page.paragraph(
        "language-model-reads",
        &[
            ("characters", &text.chars().count()),
            ("kinds", &kinds),
            ("units", &UNITS),
            ("window", &config.windows.window),
            ("share", &format!("{:.0}", 100. * epochs)),
        ],
    )?;

    let run = RunFolder::create(options.folder.join("language-model"), true)?;
    let stop = app_kit::interrupt::flag();
    let trained = train_on_text(text, &config, &run, &options.device, stop, ProgressStyle::Auto)?;
    let report = trained.report;
    tell_outcome(&report, page)?;
    let row = |name: String, value: &dyn Display| format!("    {}{value}", pad(&name, 25));
    page.line(&row(page.say("language-model-steps", &[]), &report.steps))?;
    let nats = format!("{:.3}", (kinds as f64).ln());
    let guess = page.say("language-model-nats", &[("nats", &nats)]);
    page.line(&row(page.say("language-model-guess", &[]), &guess))?;
    if let Some(evaluation) = report.last {
        let (nats, bits) = (evaluation.loss, evaluation.loss / 2f64.ln());
        let (nats, bits) = (format!("{nats:.3}"), format!("{bits:.3}"));
        let loss = page.say("language-model-bits", &[("nats", &nats), ("bits", &bits)]);
        page.line(&row(page.say("language-model-loss", &[]), &loss))?;
    }
    page.line("")?;

    page.paragraph(
        "language-model-writes",
        &[("prompt", &PROMPT), ("length", &LENGTH), ("temperature", &TEMPERATURE)],
    )?;
    page.quote(PROMPT)?;
    let config = GenerateConfig {
        sampling: Sampling { temperature: TEMPERATURE, ..Sampling::default() },
        length: LENGTH,
        ..GenerateConfig::default()
    };
    for piece in trained.model.generate(PROMPT, &config, Generator::new(options.seed))? {
        page.quote(&piece.context("the model could not write")?)?;
    }
    page.line("")?;
    page.line("")?;
    page.drawing(&run.curves(), "language-model-drawing", &[])?;
    Ok(())
}
