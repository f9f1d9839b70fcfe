//! What a training shows while it runs, on the standard error stream: a bar on a terminal, plain
//! lines elsewhere.

use std::cell::Cell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use app_kit::LoggingArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};

use crate::measure::Measure;
use crate::task::Evaluation;

/// How progress is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProgressStyle {
    /// A bar if the standard error stream is a terminal, lines otherwise.
    #[default]
    Auto,
    /// A bar.
    Bar,
    /// A line per evaluation, and one at most every ten seconds between them.
    Lines,
    /// Nothing.
    Hidden,
}

impl From<&LoggingArgs> for ProgressStyle {
    /// With `--quiet`, nothing.
    fn from(logging: &LoggingArgs) -> Self {
        if logging.quiet { Self::Hidden } else { Self::Auto }
    }
}

/// Seconds between two lines about training.
const LINE_SECONDS: f64 = 10.0;
/// Weight of the newest step in the displayed loss.
const SMOOTHING: f64 = 0.05;

/// Shows the progress of one training.
pub(crate) struct Progress {
    sink: Sink,
    unit: &'static str,
    monitored: Measure,
    total_steps: usize,
    max_seconds: Option<f64>,
    start_step: usize,
    started: Instant,
    /// Items since `started`.
    items: usize,
    loss: Option<f64>,
    /// The latest evaluation, in few words.
    validation: Option<String>,
    last_line: Instant,
}

enum Sink {
    Bar(ProgressBar),
    Lines,
    Hidden,
}

impl Sink {
    fn new(style: ProgressStyle, total: usize, template: &str) -> Self {
        let bar = || {
            let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            Self::Bar(match BarStyle::with_template(template) {
                Ok(style) => bar.with_style(style.progress_chars("━╸─")),
                Err(_) => bar,
            })
        };
        match style {
            ProgressStyle::Hidden => Self::Hidden,
            ProgressStyle::Lines => Self::Lines,
            ProgressStyle::Bar => bar(),
            ProgressStyle::Auto if stderr().is_terminal() => bar(),
            ProgressStyle::Auto => Self::Lines,
        }
    }
}

impl ProgressStyle {
    /// Shows the progress of work on `total` items before a training or without one; `unit` is what they are
    /// called ("pictures").
    pub fn work(self, total: usize, unit: &'static str) -> Work {
        let template = format!("{{bar:24}} {{pos}}/{{len}} {unit} · {{eta}} left");
        let now = Instant::now();
        Work { sink: Sink::new(self, total, &template), total, unit, started: now, last_line: Cell::new(now) }
    }
}

/// The progress of work on a number of items.
pub struct Work {
    sink: Sink,
    total: usize,
    unit: &'static str,
    started: Instant,
    last_line: Cell<Instant>,
}

impl Work {
    /// So many items are done.
    pub fn set(&self, done: usize) {
        match &self.sink {
            Sink::Bar(bar) => bar.set_position(done as u64),
            Sink::Lines if self.last_line.get().elapsed().as_secs_f64() >= LINE_SECONDS && done > 0 => {
                self.last_line.set(Instant::now());
                let left = self.started.elapsed().as_secs_f64() / done as f64 * (self.total - done) as f64;
                eprintln!("{done} of {} {} · {} left", self.total, self.unit, duration(left));
            }
            Sink::Lines | Sink::Hidden => {}
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }
}

impl Progress {
    pub fn new(
        style: ProgressStyle,
        total_steps: usize,
        max_seconds: Option<f64>,
        unit: &'static str,
        monitored: Measure,
    ) -> Self {
        let sink = Sink::new(style, total_steps, "{bar:24} step {pos}/{len} · {msg}");
        let now = Instant::now();
        Self {
            sink,
            unit,
            monitored,
            total_steps,
            max_seconds,
            start_step: 0,
            started: now,
            items: 0,
            loss: None,
            validation: None,
            last_line: now,
        }
    }

    /// The training begins, or goes on, at `step`.
    pub fn start(&mut self, step: usize, seconds: f64, resumed: bool) {
        self.start_step = step;
        self.started = Instant::now();
        self.last_line = self.started;
        match (resumed, step) {
            (false, _) => {}
            (true, 0) => self.line("no checkpoint had been written yet: starting at step 1"),
            _ => self.line(&format!("resumed at step {step}, after {}", duration(seconds))),
        }
        if let Sink::Bar(bar) = &self.sink {
            bar.set_position(step as u64);
        }
    }

    /// A step is done: its mean loss, and how many items it was over.
    pub fn step(&mut self, step: usize, seconds: f64, loss: f64, items: usize) {
        self.items += items;
        let smooth = self.loss.map_or(loss, |mean| mean + SMOOTHING * (loss - mean));
        self.loss = Some(smooth);
        match &self.sink {
            Sink::Bar(bar) => {
                bar.set_message(self.message(step, seconds));
                bar.set_position(step as u64);
            }
            Sink::Lines if self.last_line.elapsed().as_secs_f64() >= LINE_SECONDS => {
                let message = self.message(step, seconds);
                self.line(&format!("step {step}/{} · {message}", self.total_steps));
                self.last_line = Instant::now();
            }
            _ => {}
        }
    }

    /// An evaluation begins.
    pub fn evaluating(&self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.set_message("evaluating …");
        }
    }

    /// An evaluation is done, and is the best so far by the measures in `improved`.
    pub fn evaluated(&mut self, step: usize, evaluation: &Evaluation, improved: &[Measure]) {
        let mut validation = format!("{:.4}", evaluation.loss);
        if let Measure::Quality(name) = self.monitored
            && let Some(value) = evaluation.metrics.get(name)
        {
            validation += &format!(", {name} {value:.4}");
        }
        self.validation = Some(validation);
        let mut line = format!("step {step}/{}", self.total_steps);
        if let Some(loss) = self.loss {
            line += &format!(" · training loss {loss:.4}");
        }
        line += &format!(" · validation loss {:.4}", evaluation.loss);
        for (name, value) in &evaluation.metrics {
            line += &format!(" · {name} {value:.4}");
        }
        for &measure in improved {
            line += &match measure == self.monitored {
                true => " · best so far".to_owned(),
                false => format!(" · best {measure} so far"),
            };
        }
        self.line(&line);
        self.last_line = Instant::now();
    }

    /// The training has ended.
    pub fn finish(&self) {
        if let Sink::Bar(bar) = &self.sink {
            bar.finish_and_clear();
        }
    }

    /// Loss, pace and time left.
    fn message(&self, step: usize, seconds: f64) -> String {
        let elapsed = self.started.elapsed().as_secs_f64().max(1e-9);
        let done = step.saturating_sub(self.start_step).max(1) as f64;
        let by_steps = self.total_steps.saturating_sub(step) as f64 * elapsed / done;
        let left = self.max_seconds.map_or(by_steps, |limit| by_steps.min(limit - seconds));
        let validation = self.validation.as_ref().map(|v| format!(" (validation {v})"));
        format!(
            "loss {:.4}{} · {} {}/s · {} left",
            self.loss.unwrap_or(f64::NAN),
            validation.unwrap_or_default(),
            rate(self.items as f64 / elapsed),
            self.unit,
            duration(left)
        )
    }

    fn line(&self, text: &str) {
        match &self.sink {
            Sink::Bar(bar) => bar.suspend(|| eprintln!("{text}")),
            Sink::Lines => eprintln!("{text}"),
            Sink::Hidden => {}
        }
    }
}

/// Leaves no half-drawn bar behind when a training ends with an error.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn rate(per_second: f64) -> String {
    match per_second {
        r if r >= 1e6 => format!("{:.2} M", r / 1e6),
        r if r >= 1e3 => format!("{:.1} k", r / 1e3),
        r => format!("{r:.1}"),
    }
}

fn duration(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).map_or(u64::MAX, |d| d.as_secs());
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_durations_are_short_and_readable() {
        assert_eq!([rate(12.34), rate(45_678.0), rate(2.5e6)], ["12.3", "45.7 k", "2.50 M"]);
        let durations = [59.9, 61.0, 7_260.0, -1.0, f64::NAN].map(duration);
        assert_eq!(durations[..4], ["59 s", "1 min 01 s", "2 h 01 min", "0 s"]);
    }

    #[test]
    fn the_message_tells_loss_pace_and_time_left() {
        let mut progress = Progress::new(ProgressStyle::Hidden, 100, Some(30.0), "characters", Measure::Loss);
        progress.start(10, 5.0, false);
        progress.step(11, 6.0, 1.25, 640);
        let message = progress.message(11, 6.0);
        assert!(message.starts_with("loss 1.2500 · "), "{message}");
        assert!(message.contains("characters/s") && message.ends_with(" s left"), "{message}");
        assert!(!message.contains("validation"), "{message}");
    }

    #[test]
    fn the_message_tells_the_validation_loss_and_the_metric_that_the_training_goes_by() {
        let metrics = [("bleu", 31.2), ("chrf", 55.0)].map(|(name, value)| (name.to_owned(), value)).into();
        let evaluation = Evaluation { loss: 2.31, metrics };
        for (monitored, shown) in [
            (Measure::Loss, "(validation 2.3100) "),
            (Measure::Quality("bleu"), "(validation 2.3100, bleu 31.2000) "),
        ] {
            let mut progress = Progress::new(ProgressStyle::Hidden, 100, None, "tokens", monitored);
            progress.evaluated(10, &evaluation, &[]);
            let message = progress.message(11, 6.0);
            assert!(message.contains(shown), "{message}");
        }
    }
}
