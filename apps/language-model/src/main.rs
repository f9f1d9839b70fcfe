//! `language-model`: train, evaluate and sample recurrent language models.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use app_kit::{DeviceArgs, InspectArgs, LoggingArgs, UsageError};
use candle_rnn::{Generator, Precision};
use clap::{Args, Parser, Subcommand};
use language_model::{GenerateConfig, Held, LanguageModel, RunConfig, TrainArgs, data, inspect, train};
use rnn_decode::Sampling;
use rnn_text::Corpus;
use rnn_train::{ProgressStyle, settings};
use serde_json::json;

/// Train, evaluate and sample recurrent language models
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    logging: LoggingArgs,
}

#[derive(Subcommand)]
enum Command {
    /// Learn from a text
    #[command(
        after_help = "Unless told otherwise: 16 epochs of Adam at a learning rate of 0.002 that falls along \
        a cosine, gradients of norm 5 at most, 2 checkpoints kept."
    )]
    Train(Box<TrainCommand>),
    /// Measure how well a model predicts a text: nats, bits per character, perplexity
    Eval(EvalArgs),
    /// Write, continuing a prompt
    Generate(GenerateArgs),
    /// Log-probability of every line of the standard input
    Score(ScoreArgs),
    /// Show what is in a model folder
    Inspect(InspectArgs),
}

#[derive(Args)]
struct TrainCommand {
    #[command(flatten)]
    train: TrainArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct EvalArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// Text: a file, a folder, or - [default: the validation part of the run's text]
    #[arg(long, value_name = "FILE|DIR|-")]
    data: Option<String>,
    /// Evaluate with weights of 8 bits too, as `generate --int8` has them
    #[arg(long)]
    int8: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct GenerateArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// Text to continue; without it, the beginning of a line
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    prompt: String,
    /// Symbols to write at most
    #[arg(long, value_name = "N", default_value_t = 500)]
    length: usize,
    /// Below 1 prefers likely symbols, above 1 unlikely ones; 0 takes the likeliest
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f64,
    /// Draw from the K likeliest symbols
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw from the fewest likeliest symbols that hold this probability
    #[arg(long, value_name = "P")]
    top_p: Option<f64>,
    /// Draw from symbols at least P times as likely as the likeliest
    #[arg(long, value_name = "P")]
    min_p: Option<f64>,
    /// Above 1 discourages symbols written lately
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Symbols the repetition penalty looks back at
    #[arg(long, value_name = "N", default_value_t = 64)]
    repetition_window: usize,
    /// End before this text; may be given several times
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Round the weights to 8 bits: faster where the model is large; `eval --int8` shows the price
    #[arg(long)]
    int8: bool,
    /// Print prompt and text as one JSON object when done
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct ScoreArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// Print the log-probability of every symbol too
    #[arg(long)]
    tokens: bool,
    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

fn main() -> ExitCode {
    app_kit::run(|| {
        let cli: Cli = app_kit::parse()?;
        cli.logging.init();
        let progress = ProgressStyle::from(&cli.logging);
        match cli.command {
            Command::Train(args) => {
                let device = args.device.device()?;
                train::run(&args.train, args.device.seed, &device, progress, &mut stdout())
            }
            Command::Eval(args) => eval(&args),
            Command::Generate(args) => generate(&args),
            Command::Score(args) => score(&args),
            Command::Inspect(args) => args.print(&inspect(&args.run)?),
        }
    })
}

fn eval(args: &EvalArgs) -> Result<()> {
    let model = LanguageModel::load(&args.run, &args.device.device()?)?;
    let corpus = match &args.data {
        Some(source) => train::read(source)?,
        None => validation_part(&args.run)?,
    };
    let held = Held::new(&corpus, model.tokenizer())?;
    let int8 = args.int8.then(|| model.evaluate_step_by_step(&held, Precision::Int8)).transpose()?;
    let score = model.evaluate(&held)?;
    if args.json {
        let mut value = serde_json::to_value(score)?;
        if let Some(int8) = int8 {
            value["int8"] = serde_json::to_value(int8)?;
        }
        println!("{value}");
    } else {
        println!("loss                {:.4} nats per symbol ({} symbols)", score.loss, score.symbols);
        println!("bits per character  {:.4}", score.bits_per_character);
        println!("perplexity          {:.4}", score.perplexity);
        if let Some(int8) = int8 {
            let difference = int8.loss - score.loss;
            println!("weights of 8 bits   {:.4} nats per symbol ({difference:+.4})", int8.loss);
        }
    }
    Ok(())
}

fn validation_part(run: &Path) -> Result<Corpus> {
    let path = run.join("config.toml");
    let missing = || UsageError::new(format!("{} names no text: give one with --data", path.display()));
    let config = settings::read::<RunConfig>(&path).map_err(|_| missing())?;
    let source = config.data.source.as_deref().filter(|source| *source != "-").ok_or_else(missing)?;
    let corpus = train::read(source).context("cannot read the run's text; give it with --data")?;
    Ok(data::split(&corpus, &config.data)?.1)
}

fn generate(args: &GenerateArgs) -> Result<()> {
    let model = LanguageModel::load(&args.run, &args.device.device()?)?;
    let config = GenerateConfig {
        sampling: Sampling {
            temperature: args.temperature,
            top_k: args.top_k,
            top_p: args.top_p,
            min_p: args.min_p,
            repetition_penalty: args.repetition_penalty,
        },
        repetition_window: args.repetition_window,
        length: args.length,
        stop: args.stop.clone(),
        precision: if args.int8 { Precision::Int8 } else { Precision::F32 },
    };
    let pieces = model.generate(&args.prompt, &config, Generator::new(args.device.seed()))?;
    if args.json {
        let text = pieces.collect::<Result<String>>()?;
        println!("{}", json!({ "prompt": args.prompt, "text": text }));
        return Ok(());
    }
    let mut out = stdout().lock();
    write!(out, "{}", args.prompt)?;
    for piece in pieces {
        write!(out, "{}", piece?)?;
        out.flush()?;
    }
    Ok(writeln!(out)?)
}

fn score(args: &ScoreArgs) -> Result<()> {
    let model = LanguageModel::load(&args.run, &args.device.device()?)?;
    let mut out = stdout().lock();
    for (number, line) in (1..).zip(stdin().lock().lines()) {
        let place = || format!("in line {number} of the standard input");
        let line = line.with_context(place)?;
        let score = model.score(&line).with_context(place)?;
        if args.json {
            let mut value = json!({ "text": line, "log_probability": score.log_probability });
            if args.tokens {
                value["tokens"] = json!(score.tokens);
            }
            writeln!(out, "{value}")?;
            continue;
        }
        writeln!(out, "{:.4}\t{line}", score.log_probability)?;
        if args.tokens {
            for (token, log_probability) in &score.tokens {
                writeln!(out, "\t{log_probability:.4}\t{token:?}")?;
            }
        }
    }
    Ok(())
}
