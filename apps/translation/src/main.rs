//! `translation`: train recurrent encoder-decoders with attention, and translate.

use std::io::{BufReader, IsTerminal, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use app_kit::{DeviceArgs, InspectArgs, LoggingArgs, UsageError};
use clap::{Args, Parser, Subcommand};
use language_model::LanguageModel;
use rnn_decode::{BeamSearch, Sampling};
use rnn_metrics::{Bootstrap, Tokenizer};
use rnn_train::files::write_atomically;
use rnn_train::{ProgressStyle, settings};
use serde_json::json;
use translation::average::last_checkpoints;
use translation::corpus::{self, Pair, Part, Source};
use translation::evaluate::{self, Measures};
use translation::pictures::{self, Picture};
use translation::stream::{Line, Lines};
use translation::{RunConfig, TrainArgs, TranslateConfig, Translation, TranslationModel, Translator};
use translation::{average, inspect, train};

/// Train recurrent encoder-decoders with attention, and translate
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
    /// Learn from pairs of sentences
    #[command(
        after_help = "Unless told otherwise: 10 epochs of Adam at a learning rate of 0.001 that rises for 200 \
        steps and falls along a cosine, gradients of norm 1 at most, 2 checkpoints kept."
    )]
    Train(Box<TrainCommand>),
    /// Measure translations against given ones: BLEU, chrF, TER, and the loss
    Eval(Box<EvalArgs>),
    /// Translate the lines of the standard input
    Translate(Box<TranslateArgs>),
    /// Log-probability of given pairs: lines of SOURCE, a tab, TARGET on the standard input
    Score(ScoreArgs),
    /// Make one model of the last checkpoints of a run, the mean of their weights
    Average(AverageArgs),
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

/// Which models translate.
#[derive(Args)]
struct ModelArgs {
    /// Run folder (its best model) or model folder; several translate together
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Run folder or model folder of a language model of the target that helps
    #[arg(long, value_name = "RUN")]
    language_model: Option<PathBuf>,
    /// How much it helps: its log-probabilities count so many times
    #[arg(long, value_name = "X", default_value_t = 0.2, requires = "language_model")]
    language_model_weight: f32,
}

impl ModelArgs {
    fn load(&self, device: &DeviceArgs) -> Result<Translator> {
        let device = device.device()?;
        let translator = Translator::load(&self.runs, &device)?;
        match &self.language_model {
            None => Ok(translator),
            Some(folder) => {
                let model = LanguageModel::load(folder, &device)?;
                translator.with_language_model(model, self.language_model_weight)
            }
        }
    }
}

/// How translations are searched.
#[derive(Args)]
struct SearchArgs {
    /// Hypotheses that are followed at once; 1 takes the likeliest symbol every time
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Search")]
    beam: usize,
    /// Rank by probability (0) or nearly by its mean per symbol (1)
    #[arg(long, value_name = "ALPHA", default_value_t = 1.0, help_heading = "Search")]
    length_penalty: f64,
    /// What it costs to leave words of the source unattended
    #[arg(long, value_name = "BETA", default_value_t = 0.0, help_heading = "Search")]
    coverage_penalty: f64,
    /// Symbols in a row that may not occur twice; 0 for no such rule
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search")]
    no_repeat_ngram: usize,
    /// Symbols of a translation at least
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search")]
    min_length: usize,
    /// Symbols of a translation at most [default: twice those of the source, and 10]
    #[arg(long, value_name = "N", help_heading = "Search")]
    max_length: Option<usize>,
    /// Symbols of a source at most; a longer one is refused
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Search")]
    max_source: usize,
    /// Put the source's word that was attended to most in the place of an unknown word
    #[arg(long, help_heading = "Search")]
    replace_unknown: bool,
    /// Sentences that are searched at once
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = "Search")]
    batch: usize,
}

impl SearchArgs {
    fn config(&self, nbest: usize) -> Result<TranslateConfig> {
        if self.batch == 0 {
            return Err(UsageError::new("--batch must be at least 1").into());
        }
        Ok(TranslateConfig {
            search: BeamSearch {
                beam: self.beam,
                nbest,
                length_penalty: self.length_penalty,
                coverage_penalty: self.coverage_penalty,
                no_repeat_ngram: self.no_repeat_ngram,
                min_length: self.min_length,
            },
            max_length: self.max_length,
            max_source: self.max_source,
            replace_unknown: self.replace_unknown,
            batch: self.batch,
            ..TranslateConfig::default()
        })
    }
}

#[derive(Args)]
struct TranslateArgs {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    search: SearchArgs,
    /// Translations of each sentence to give, at most the beam, as LINE, SCORE, TEXT with tabs between
    #[arg(long, value_name = "N", default_value_t = 1)]
    nbest: usize,
    /// How every translation begins
    #[arg(long, value_name = "TEXT", default_value = "", allow_hyphen_values = true)]
    prefix: String,
    /// Draw each symbol at random instead of searching for the likeliest translation
    #[arg(long, conflicts_with_all = ["beam", "nbest"])]
    sample: bool,
    /// With --sample: below 1 prefers likely symbols, above 1 unlikely ones
    #[arg(long, value_name = "T", default_value_t = 1.0, requires = "sample")]
    temperature: f64,
    /// With --sample: draw from the K likeliest symbols
    #[arg(long, value_name = "K", requires = "sample")]
    top_k: Option<usize>,
    /// With --sample: draw from the fewest likeliest symbols that hold this probability
    #[arg(long, value_name = "P", requires = "sample")]
    top_p: Option<f64>,
    /// Draw what each word attended to: .svg or .png (a heat map for each sentence) or .html (a page)
    #[arg(long, value_name = "FILE")]
    attention: Option<PathBuf>,
    /// Print a JSON object for each sentence, with tokens and attention
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct EvalArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Pairs: two files of lines, a .tsv or .jsonl, `embedded`, or
    /// `embedded-unseen` [default: the run's validation pairs]
    #[arg(long, value_name = "FILE", num_args = 1..=2)]
    data: Vec<String>,
    /// Column or key of the sources [default: as in training]
    #[arg(long, value_name = "NAME")]
    source_lang: Option<String>,
    /// Column or key of the targets [default: as in training]
    #[arg(long, value_name = "NAME")]
    target_lang: Option<String>,
    /// How BLEU cuts a line into words: 13a, intl, zh, char or none [default: as in training, or 13a]
    #[arg(long, value_name = "NAME")]
    tokenize: Option<Tokenizer>,
    /// Compare in lower case
    #[arg(long)]
    lowercase: bool,
    /// Write the translations to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Translations of another system, line by line: is this one better? (paired bootstrap of BLEU)
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    #[command(flatten)]
    search: SearchArgs,
    /// Print the result as JSON
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

#[derive(Args)]
struct AverageArgs {
    /// Run folder
    run: PathBuf,
    /// Checkpoints to average, the newest ones
    #[arg(long, value_name = "N", default_value_t = 2)]
    last: usize,
    /// Average these model folders or checkpoints instead
    #[arg(long, value_name = "FOLDER", num_args = 1.., conflicts_with = "last")]
    of: Vec<PathBuf>,
    /// Model folder to write
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
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
            Command::Translate(args) => translate(&args),
            Command::Eval(args) => eval(&args),
            Command::Score(args) => score(&args),
            Command::Average(args) => {
                let folders = match args.of.is_empty() {
                    true => last_checkpoints(&args.run, args.last)?,
                    false => args.of,
                };
                average(&args.run, &folders, &args.out)
            }
            Command::Inspect(args) => args.print(&inspect(&args.run)?),
        }
    })
}

/// Lines that are translated at once.
const LINES: usize = 512;

fn translate(args: &TranslateArgs) -> Result<()> {
    if let Some(path) = &args.attention {
        Picture::of(path)?;
    }
    let translator = args.model.load(&args.device)?;
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        ..Sampling::default()
    };
    let mut config = TranslateConfig { prefix: args.prefix.clone(), ..args.search.config(args.nbest)? };
    let (mut drawn, mut failed, mut all) = (Vec::new(), 0, 0);
    let typed = stdin().is_terminal();
    let lines = Lines::of(BufReader::new(stdin()));
    loop {
        if typed {
            eprint!("> ");
        }
        let batch = lines.next(LINES);
        let Some((first, _)) = batch.first() else { break };
        if args.sample {
            // Each line has a stream of random numbers of its own.
            config.sampling = Some((sampling, args.device.seed().wrapping_add(*first as u64)));
        }
        let mut out = stdout().lock();
        for (number, translation) in translated(&translator, batch, &config)? {
            all += 1;
            match translation {
                Ok(translation) => {
                    print(&translation, number, args, &mut out)?;
                    if args.attention.is_some() {
                        drawn.push(translation);
                    }
                }
                Err(error) => {
                    failed += 1;
                    eprintln!("line {number} is not translated: {error:#}");
                    // As many lines out as in.
                    match args.json {
                        true => {
                            writeln!(out, "{}", json!({ "line": number, "error": format!("{error:#}") }))?
                        }
                        false if args.nbest == 1 => writeln!(out)?,
                        false => {}
                    }
                }
            }
        }
        out.flush()?;
    }
    if let Some(path) = &args.attention {
        pictures::write(path, &drawn, translator.vocabularies())?;
    }
    if failed > 0 {
        bail!("{failed} of {all} lines were not translated");
    }
    Ok(())
}

/// Each line with its translation, in their order.
fn translated(
    translator: &Translator,
    batch: Vec<Line>,
    config: &TranslateConfig,
) -> Result<Vec<(usize, Result<Translation>)>> {
    let sentences: Vec<String> = batch.iter().filter_map(|(_, line)| line.as_ref().ok()).cloned().collect();
    let mut translations = translator.translate(&sentences, config)?.into_iter();
    let each = |(number, line): Line| {
        let translation = match line {
            Ok(_) => translations.next().context("a line was left out").and_then(|result| result),
            Err(error) => Err(error),
        };
        (number, translation)
    };
    Ok(batch.into_iter().map(each).collect())
}

fn print(translation: &Translation, number: usize, args: &TranslateArgs, out: &mut dyn Write) -> Result<()> {
    if args.json {
        let mut value = serde_json::to_value(translation)?;
        value["line"] = json!(number);
        writeln!(out, "{value}")?;
    } else if args.nbest == 1 {
        writeln!(out, "{}", translation.text())?;
    } else {
        for hypothesis in &translation.hypotheses {
            writeln!(out, "{number}\t{:.4}\t{}", hypothesis.score, hypothesis.text)?;
        }
    }
    Ok(())
}

fn eval(args: &EvalArgs) -> Result<()> {
    let translator = args.model.load(&args.device)?;
    let run = &args.model.runs[0];
    let model = translator.model();
    let saved = settings::read::<RunConfig>(&run.join("config.toml")).ok();
    let pairs = pairs_to_evaluate(args, model, saved.as_ref(), run)?;
    let saved = saved.map(|saved| saved.data.measures).unwrap_or_default();
    let measures = Measures {
        tokenize: args.tokenize.unwrap_or(saved.tokenize),
        lowercase: args.lowercase || model.config().lowercase,
    };
    let config = args.search.config(1)?;
    let (translations, failed) = evaluate::translate(&translator, &pairs, &config)?;
    let scores = measures.scores(&translations, &pairs)?;
    let mut lowered = pairs.clone();
    if model.config().lowercase {
        corpus::lowercase(&mut lowered);
    }
    let examples = evaluate::examples(model.vocabularies(), &lowered)?;
    let end = model.vocabularies().end();
    let loss = evaluate::loss(model.network(), &examples, end, model.device())?;
    if let Some(path) = &args.output {
        let text: String = translations.iter().map(|line| line.clone() + "\n").collect();
        write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))?;
    }
    let comparison = match &args.against {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the translations in {}", path.display()))?;
            let baseline: Vec<&str> = text.lines().collect();
            let references: Vec<&str> = pairs.iter().map(|pair| pair.target.as_str()).collect();
            let bleu = measures.bleu();
            let system: Vec<&str> = translations.iter().map(String::as_str).collect();
            let compared = Bootstrap::default().compare(&bleu, &baseline, &system, &[&references[..]]);
            Some(compared.with_context(|| format!("cannot compare with {}", path.display()))?)
        }
    };
    if args.json {
        let comparison = comparison
            .map(|c| json!({ "baseline": c.baseline.score, "system": c.system.score, "p_value": c.p_value }));
        println!(
            "{}",
            json!({
                "pairs": pairs.len(), "not_translated": failed, "loss": loss, "scores": scores,
                "against": comparison,
            })
        );
        return Ok(());
    }
    for line in &scores.lines {
        println!("{line}");
    }
    println!("exactly as given  {:.1} % of {} pairs", scores.exact, pairs.len());
    println!("loss              {loss:.4} nats per symbol (perplexity {:.3})", loss.exp());
    if let Some(c) = comparison {
        let (baseline, system) = (c.baseline, c.system);
        println!(
            "BLEU {:.2} ± {:.2} against {:.2} ± {:.2} of the baseline (95 %, bootstrap), p = {:.4}",
            system.score, system.half_width, baseline.score, baseline.half_width, c.p_value
        );
    }
    if failed > 0 {
        bail!("{failed} of {} sentences were not translated", pairs.len());
    }
    Ok(())
}

fn pairs_to_evaluate(
    args: &EvalArgs,
    model: &TranslationModel,
    saved: Option<&RunConfig>,
    run: &Path,
) -> Result<Vec<Pair>> {
    let mut languages = model.config().languages.clone();
    languages.source = args.source_lang.clone().or(languages.source);
    languages.target = args.target_lang.clone().or(languages.target);
    let source = match args.data.is_empty() {
        false => Source::named(&args.data, Part::Test)?,
        true => saved.and_then(|saved| saved.data.validation.clone()).ok_or_else(|| {
            UsageError::new(format!("{} names no pairs: give some with --data", run.display()))
        })?,
    };
    corpus::read(&source, &languages)
}

fn score(args: &ScoreArgs) -> Result<()> {
    let model = TranslationModel::load(&args.run, &args.device.device()?)?;
    let lines = Lines::of(BufReader::new(stdin()));
    let (mut failed, mut all) = (0, 0);
    loop {
        let batch = lines.next(1);
        let Some((number, line)) = batch.into_iter().next() else { break };
        all += 1;
        let scored = line.and_then(|line| {
            let (source, target) = line.split_once('\t').context("there is no tab in it")?;
            let score = model.score(&Pair { source: source.trim().into(), target: target.trim().into() })?;
            Ok((line.clone(), score))
        });
        let mut out = stdout().lock();
        match scored {
            Ok((line, score)) if args.json => {
                let (source, target) = line.split_once('\t').unwrap_or_default();
                let mut value =
                    json!({ "source": source, "target": target, "log_probability": score.log_probability });
                if args.tokens {
                    value["tokens"] = json!(score.tokens);
                }
                writeln!(out, "{value}")?;
            }
            Ok((line, score)) => {
                writeln!(out, "{:.4}\t{line}", score.log_probability)?;
                if args.tokens {
                    for (token, log_probability) in &score.tokens {
                        writeln!(out, "\t{log_probability:.4}\t{token:?}")?;
                    }
                }
            }
            Err(error) => {
                failed += 1;
                eprintln!("line {number} is not scored: {error:#}");
                match args.json {
                    true => writeln!(out, "{}", json!({ "line": number, "error": format!("{error:#}") }))?,
                    false => writeln!(out)?,
                }
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {all} lines were not scored");
    }
    Ok(())
}
