//! `train`, the command of an application: from its flags to a run folder, and to a sentence about
//! what came of it.
//!
//! An application flattens [`RunArgs`] into its flags, reads its [`settings`](RunArgs::settings), puts
//! its flags over them, and makes its task of them; when all has been found good, it makes the
//! [folder](RunArgs::folder) and [trains](RunArgs::train).

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::measure::Measure;
use crate::progress::ProgressStyle;
use crate::run_folder::RunFolder;
use crate::settings;
use crate::task::Task;
use crate::trainer::{Outcome, Report, TrainConfig, train};

/// Flags that say where a run is written and what it begins with; `#[command(flatten)]` them.
#[derive(Args, Clone, Debug, Default)]
pub struct RunArgs {
    /// Run folder to write: settings, checkpoints, the best model, curves
    #[arg(long, value_name = "RUN")]
    pub out: PathBuf,
    /// Settings to start from (TOML, as in the config.toml of a run); flags go over them
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Go on with the run in --out from its newest checkpoint
    #[arg(long, conflicts_with_all = ["config", "overwrite"])]
    pub resume: bool,
    /// Remove what an earlier run left in --out
    #[arg(long)]
    pub overwrite: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// The settings that all other flags go over: those of the run to resume, those in `--config`, or
    /// else `default`.
    ///
    /// # Errors
    /// No run to resume; those of [`settings::read`].
    pub fn settings<C: DeserializeOwned>(&self, default: impl FnOnce() -> C) -> Result<C> {
        if self.resume {
            return settings::read(&RunFolder::open(&self.out)?.config())
                .context("the run cannot be resumed; start a new one by leaving out --resume");
        }
        self.config.as_deref().map_or_else(|| Ok(default()), settings::read)
    }

    /// Makes the run folder, or opens that of the run to resume, and writes all settings of the run
    /// there.
    ///
    /// # Errors
    /// A run folder that exists (or, with `--resume`, does not); those of [`settings::write`].
    pub fn folder<C: Serialize>(&self, settings: &C) -> Result<RunFolder> {
        let run = match self.resume {
            true => RunFolder::open(&self.out)?,
            false => RunFolder::create(&self.out, self.overwrite)?,
        };
        settings::write(&run.config(), settings)?;
        Ok(run)
    }

    /// Trains until the end or the first Ctrl-C, and says on `out` what came of it, on the standard
    /// error stream how to go on. `application` is the name of the program.
    ///
    /// # Errors
    /// Those of [`train`].
    pub fn train(
        &self,
        application: &str,
        task: &mut dyn Task,
        config: &TrainConfig,
        run: &RunFolder,
        progress: ProgressStyle,
        out: &mut dyn Write,
    ) -> Result<()> {
        let report = train(task, config, run, self.resume, app_kit::interrupt::flag(), progress)?;
        self.tell(&report, &config.monitor, out)?;
        match report.outcome {
            Outcome::Interrupted => eprintln!(
                "interrupted after step {}; resume with: {application} train --out {} --resume",
                report.steps,
                self.out.display()
            ),
            Outcome::EarlyStopped => eprintln!("stopped after step {}: no better for too long", report.steps),
            Outcome::Finished => {}
        }
        Ok(())
    }

    fn tell(&self, report: &Report, monitor: &str, out: &mut dyn Write) -> Result<()> {
        if self.json {
            let best = report.best.map(|best| json!({ "step": best.step, monitor: best.value }));
            let value = json!({
                "outcome": report.outcome.name(), "steps": report.steps, "seconds": report.seconds,
                "best": best, "bests": report.bests, "last": report.last,
            });
            writeln!(out, "{value}")?;
        } else if let Some(best) = report.best {
            let unit = if monitor == Measure::Loss.name() { " nats" } else { "" };
            writeln!(
                out,
                "best validation {monitor} {:.4}{unit} at step {}, model in {}",
                best.value,
                best.step,
                self.out.join("best").display()
            )?;
        }
        Ok(())
    }
}

/// A training that has ended, and the model that it was for.
#[derive(Clone, Debug)]
pub struct Trained<M> {
    /// How the training went.
    pub report: Report,
    /// The best model by what [`TrainConfig::monitor`] names (the last one, if there was no evaluation
    /// yet).
    pub model: M,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Best;

    #[test]
    fn settings_are_those_of_the_run_to_resume_or_of_the_file_or_the_default() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (out, file) = (folder.path().join("run"), folder.path().join("settings.toml"));
        std::fs::write(&file, "epochs = 2")?;
        let mut args = RunArgs { out, config: Some(file), ..RunArgs::default() };
        assert_eq!(args.settings(TrainConfig::default)?.epochs, 2.0);
        args.config = None;
        assert_eq!(args.settings(TrainConfig::default)?, TrainConfig::default());

        args.resume = true;
        let none = args.settings(TrainConfig::default).unwrap_err().to_string();
        assert!(none.contains("no run folder") && none.contains("leaving out --resume"), "{none}");
        args.resume = false;
        args.folder(&TrainConfig { epochs: 3.0, ..TrainConfig::default() })?;
        assert!(args.folder(&TrainConfig::default()).is_err(), "the run exists");
        args.resume = true;
        assert_eq!(args.settings(TrainConfig::default)?.epochs, 3.0);
        Ok(())
    }

    #[test]
    fn a_report_names_the_best_by_what_the_training_goes_by() -> Result<()> {
        let mut report = Report {
            outcome: Outcome::Finished,
            steps: 9,
            best: Some(Best { step: 7, value: 0.5 }),
            bests: Default::default(),
            last: None,
            seconds: 1.0,
        };
        let mut args = RunArgs { out: "run".into(), ..RunArgs::default() };
        let told = |args: &RunArgs, report: &Report, monitor: &str| -> Result<String> {
            let mut out = Vec::new();
            args.tell(report, monitor, &mut out)?;
            Ok(String::from_utf8(out)?)
        };
        let best = std::path::Path::new("run").join("best");
        let model = format!("at step 7, model in {}\n", best.display());
        assert_eq!(told(&args, &report, "loss")?, format!("best validation loss 0.5000 nats {model}"));
        assert_eq!(told(&args, &report, "bleu")?, format!("best validation bleu 0.5000 {model}"));
        args.json = true;
        let value: serde_json::Value = serde_json::from_str(&told(&args, &report, "bleu")?)?;
        assert_eq!(value["best"], json!({ "step": 7, "bleu": 0.5 }));
        args.json = false;
        report.best = None;
        assert_eq!(told(&args, &report, "loss")?, "");
        Ok(())
    }
}
