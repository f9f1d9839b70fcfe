//! `speech`: train recurrent networks to recognise speech, and recognise it.

use std::io::{IsTerminal, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use app_kit::inspect::InspectArgs;
use app_kit::{DeviceArgs, LoggingArgs, UsageError};
use audio_features::{Audio, Channels, Spectrogram};
use clap::{Args, Parser, Subcommand, ValueEnum};
use rnn_decode::ngram::KneserNey;
use rnn_metrics::report::Report;
use rnn_train::ProgressStyle;
use rnn_train::files::write_atomically;
use serde_json::json;
use speech::align::align_text;
use speech::check::{CheckConfig, check};
use speech::corpus::Part;
use speech::frontend::{extractor, raw};
use speech::joining::{self, Joining};
use speech::layout_args::LayoutArgs;
use speech::listener::Listener;
use speech::posteriors::{PosteriorPicture, Posteriors};
use speech::search::spelling;
use speech::search_args::SearchArgs;
use speech::settings::{RunConfig, TrainArgs};
use speech::subtitles::{SubtitleConfig, srt};
use speech::textgrid::TextGrid;
use speech::train::{self, Parts};
use speech::{FrontendConfig, Recognizer, SpeechModel, evaluate, inspect, samples};

/// Train recurrent networks to recognise speech, and recognise it
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
    /// Learn from recordings and what is said in them
    #[command(
        after_help = "Unless told otherwise: 30 epochs of Adam at a learning rate of 0.003 that rises for 100 \
        steps and falls along a cosine, gradients of norm 1 at most, 2 checkpoints kept."
    )]
    Train(Box<TrainCommand>),
    /// Measure how well a model recognises recordings whose text is known
    Eval(Box<EvalArgs>),
    /// Write what is said in recordings, or, from -, what is being said
    Recognize(Box<RecognizeArgs>),
    /// Find when the words of a given text are said in a recording
    Align(AlignArgs),
    /// Show what a network reads of a recording
    Features(FeaturesArgs),
    /// Look for recordings and texts that are not fit to learn from
    Check(CheckArgs),
    /// Estimate an n-gram language model from texts (modified Kneser-Ney), in ARPA format
    Ngram(NgramArgs),
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

/// What recognises.
#[derive(Args)]
struct ModelArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// Another model of the same symbols, whose probabilities are averaged with those of the first; may be given
    /// several times
    #[arg(long, value_name = "RUN")]
    with: Vec<PathBuf>,
}

#[derive(Args)]
struct EvalArgs {
    #[command(flatten)]
    models: ModelArgs,
    /// Recordings, in the forms that `train` takes [default: those the run chose its model by]
    #[arg(long, value_name = "DATA")]
    data: Option<String>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Join so many recordings of single words to strings, such as 3-7
    #[arg(long, value_name = "RANGE", help_heading = "Recordings")]
    join: Option<Joining>,
    #[command(flatten)]
    search: SearchArgs,
    /// Show so many of the worst sentences
    #[arg(long, value_name = "N", default_value_t = 5, help_heading = "Report")]
    worst: usize,
    /// Write all wrong sentences as a page for a browser (.html) or as text
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    report: Option<PathBuf>,
    /// Align the texts, too, and compare with the column `phonemes`
    #[arg(long, help_heading = "Report")]
    boundaries: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct RecognizeArgs {
    #[command(flatten)]
    models: ModelArgs,
    /// WAV or FLAC files, or - to listen to the standard input (WAV, or raw 16-bit little-endian samples)
    #[arg(required = true, value_name = "FILE|-")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    search: SearchArgs,
    /// Print a JSON object per recording, with times and confidences
    #[arg(long)]
    json: bool,
    /// Write subtitles (SubRip); of several recordings, into a folder
    #[arg(long, value_name = "FILE|DIR", help_heading = "Files")]
    srt: Option<PathBuf>,
    /// Write words and symbols as a TextGrid of Praat; of several recordings, into a folder
    #[arg(long, value_name = "FILE|DIR", help_heading = "Files")]
    textgrid: Option<PathBuf>,
    /// Draw the spectrogram, the posteriors and what was recognised (.png or .svg); of several recordings, into a
    /// folder
    #[arg(long, value_name = "FILE|DIR", help_heading = "Files")]
    posteriors: Option<PathBuf>,
    /// Of -: what the samples are
    #[arg(long, value_name = "FORMAT", default_value = "auto", help_heading = "Listening")]
    format: StreamFormat,
    /// Of -: milliseconds of sound between two looks at what was said
    #[arg(long, value_name = "MS", default_value_t = 100, help_heading = "Listening",
          value_parser = clap::value_parser!(u32).range(10..=10_000))]
    every: u32,
    #[command(flatten)]
    device: DeviceArgs,
}

/// What comes on the standard input.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StreamFormat {
    /// WAV if it begins like one, otherwise raw
    Auto,
    /// Raw 16-bit little-endian samples of one channel, at the rate of the model
    Raw,
}

#[derive(Args)]
struct AlignArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// WAV or FLAC file
    file: PathBuf,
    /// What is said in it
    #[arg(long)]
    text: String,
    /// Write words and symbols as a TextGrid of Praat
    #[arg(long, value_name = "FILE")]
    textgrid: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct FeaturesArgs {
    /// WAV or FLAC file
    file: PathBuf,
    /// Features as the model in this run folder or model folder reads them, normalised
    #[arg(long, value_name = "RUN", conflicts_with_all = ["rate", "bands", "cepstrum"])]
    run: Option<PathBuf>,
    /// Samples per second [default: those of the file]
    #[arg(long, value_name = "HZ")]
    rate: Option<u32>,
    /// Bands of the mel scale [default: 40]
    #[arg(long, value_name = "N")]
    bands: Option<usize>,
    /// Cepstral coefficients rather than bands
    #[arg(long, value_name = "N")]
    cepstrum: Option<usize>,
    /// Draw the spectrogram rather than print numbers
    #[arg(long, value_name = "PNG", conflicts_with = "run")]
    png: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// Recordings, in the forms that `train` takes
    data: String,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Run folder or model folder of a model of characters: tell symbols that it does not know
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// A frame of 10 ms is silent below this level, in dB of full scale
    #[arg(long, value_name = "DB", default_value_t = -60.0, allow_hyphen_values = true)]
    silence: f64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct NgramArgs {
    /// Run folder or model folder, by whose rules texts are written
    run: PathBuf,
    /// Texts: a file with a sentence in each line [default: those the run learnt from]
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// ARPA file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What it counts: words, or the network's symbols
    #[arg(long, default_value = "word")]
    of: Counted,
    /// Words or symbols that it looks at together [default: 3 words, 6 symbols]
    #[arg(long, value_name = "N")]
    order: Option<usize>,
}

/// What an n-gram model is made of.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Counted {
    /// Words
    Word,
    /// The network's symbols
    Symbol,
}

fn main() -> ExitCode {
    app_kit::run(|| {
        let cli: Cli = app_kit::parse()?;
        cli.logging.init();
        match cli.command {
            Command::Train(args) => {
                let progress = ProgressStyle::from(&cli.logging);
                train::run(&args.train, args.device.seed, &args.device.device()?, progress, &mut stdout())
            }
            Command::Eval(args) => eval(&args),
            Command::Recognize(args) => recognize(&args),
            Command::Align(args) => align(&args),
            Command::Features(args) => features(&args),
            Command::Check(args) => check_data(&args),
            Command::Ngram(args) => ngram(&args),
            Command::Inspect(args) => args.print(&inspect(&args.run)?),
        }
    })
}

fn recognizer(models: &ModelArgs, search: &SearchArgs, device: &DeviceArgs) -> Result<Recognizer> {
    let device = device.device()?;
    let model = SpeechModel::load(&models.run, &device)?;
    let search = search.search(&model)?;
    let other = |run: &PathBuf| Ok((run.display().to_string(), SpeechModel::load(run, &device)?));
    Recognizer::new(model, search).together_with(models.with.iter().map(other).collect::<Result<_>>()?)
}

fn eval(args: &EvalArgs) -> Result<()> {
    let recognizer = recognizer(&args.models, &args.search, &args.device)?;
    let mut utterances = match &args.data {
        Some(name) => args.layout.read(name, Part::Test)?,
        None => of_run(&args.models.run, &args.layout, "--data DATA")?.1,
    };
    if let Some(joining) = &args.join {
        utterances = joining::strings(&utterances, joining, args.device.seed())?;
    }
    let found = evaluate(&recognizer, &utterances, args.boundaries)?;
    let alignments = found.alignments()?;
    let mut report = Report::new(&alignments);
    if let Some(path) = &args.report {
        let text = if has_ending(path, "html") { report.html() } else { report.text() };
        write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))?;
    }
    if args.json {
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    println!(
        "{} recordings, {:.1} minutes: {:.2} % right",
        found.recordings,
        found.seconds / 60.0,
        found.exact
    );
    if let (Some(wer), Some(cer)) = (found.wer, found.cer) {
        println!("WER {wer:.2} %, CER {cer:.2} %");
    }
    for (label, heard) in &found.confusions {
        let heard: Vec<String> = heard.iter().map(|(label, count)| format!("{label} {count}")).collect();
        println!("  {label}: {}", heard.join(", "));
    }
    if let Some(boundaries) = &found.boundaries {
        println!(
            "{} boundaries of phonemes: {:.1} ms off on average, {:.1} ms at the median, {:.0} % within 20 ms",
            boundaries.boundaries,
            boundaries.mean_ms,
            boundaries.median_ms,
            100.0 * boundaries.within_20_ms
        );
    }
    if found.wer.is_some() {
        report.worst = args.worst;
        print!("\n{}", report.text());
    }
    Ok(())
}

/// The recordings that a run learnt from, and those it chose its model by; `flag` gives others.
fn of_run(run: &Path, layout: &LayoutArgs, flag: &str) -> Result<Parts> {
    let path = run.join("config.toml");
    let missing = || UsageError::new(format!("{} names no recordings: give {flag}", path.display()));
    let mut config: RunConfig = rnn_train::settings::read(&path).map_err(|_| missing())?;
    layout.apply(&mut config.data.layout, &mut config.data.only);
    let parts = train::parts(&config.data, config.training.seed);
    parts.with_context(|| format!("cannot read the run's recordings; give {flag}"))
}

fn recognize(args: &RecognizeArgs) -> Result<()> {
    let recognizer = recognizer(&args.models, &args.search, &args.device)?;
    if args.files == [Path::new("-")] {
        if !recognizer.is_alone() {
            return Err(
                UsageError::new("--with is for files: one model listens to the standard input").into()
            );
        }
        return listen(args, &recognizer);
    }
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Err(
            UsageError::new("- stands for the standard input and cannot be one of several files").into()
        );
    }
    let mut failed = 0;
    for file in &args.files {
        // One after another, so that the first is there at once and a bad one stops none.
        if let Err(error) = recognize_file(args, &recognizer, file) {
            failed += 1;
            eprintln!("error: {error:#}");
        }
    }
    match failed {
        0 => Ok(()),
        _ => bail!("{failed} of {} recordings could not be recognised", args.files.len()),
    }
}

fn recognize_file(args: &RecognizeArgs, recognizer: &Recognizer, file: &Path) -> Result<()> {
    let model = recognizer.model();
    let audio = Audio::read(file, Channels::Mean)?.resampled(model.config().frontend.rate)?;
    let emissions = recognizer.emissions(&[&audio])?.pop().context("a recording has emissions")?;
    let transcript = recognizer.transcript(&audio, &emissions)?;
    if let Some(path) = &args.srt {
        let cues = SubtitleConfig::default().cues(&transcript)?;
        write_text(&beside(path, args, file, "srt")?, &srt(&cues))?;
    }
    if let Some(path) = &args.textgrid {
        write_text(&beside(path, args, file, "TextGrid")?, &TextGrid::of(&transcript)?.to_string())?;
    }
    if let Some(path) = &args.posteriors {
        let posteriors = Posteriors {
            log_probs: &emissions.log_probs,
            symbols: model.alphabet().symbols(),
            frame: emissions.clock.frame,
        };
        let path = beside(path, args, file, "png")?;
        let picture = PosteriorPicture::default();
        let bytes = match has_ending(&path, "svg") {
            true => picture.svg(&audio, &transcript, &posteriors)?.into_bytes(),
            false => picture.png(&audio, &transcript, &posteriors)?,
        };
        write_atomically(&path, |out| Ok(out.write_all(&bytes)?))?;
    }
    let name = file.display().to_string();
    if args.json {
        println!("{}", transcript.json(&name)?);
    } else if args.files.len() > 1 {
        println!("{name}\t{}", transcript.text);
    } else {
        println!("{}", transcript.text);
    }
    Ok(())
}

/// Where something about a recording is written: at `path`, or in it, if it is a folder or there are several
/// recordings.
fn beside(path: &Path, args: &RecognizeArgs, recording: &Path, ending: &str) -> Result<PathBuf> {
    if args.files.len() == 1 && !path.is_dir() {
        return Ok(path.to_owned());
    }
    std::fs::create_dir_all(path).with_context(|| format!("cannot make the folder {}", path.display()))?;
    let stem = recording.file_stem().unwrap_or(recording.as_os_str());
    let mut name = stem.to_owned();
    name.push(".");
    name.push(ending);
    Ok(path.join(name))
}

fn listen(args: &RecognizeArgs, recognizer: &Recognizer) -> Result<()> {
    if args.srt.is_some() || args.textgrid.is_some() || args.posteriors.is_some() {
        return Err(UsageError::new("--srt, --textgrid and --posteriors are for files, not for -").into());
    }
    let model = recognizer.model();
    let guide = recognizer.search().guide(model.alphabet());
    let mut listener = Listener::new(model, recognizer.search(), &guide)?;
    let rate = model.config().frontend.rate;
    let mut samples = samples::Samples::of_stream(stdin().lock(), args.format == StreamFormat::Raw, rate)?;
    let block = (rate as usize * args.every as usize / 1000).max(1);
    let rewrite = !args.json && stdout().is_terminal();
    let mut shown = String::new();
    let mut out = stdout().lock();
    loop {
        let heard = samples.read(block)?;
        if heard.is_empty() {
            break;
        }
        listener.push(&heard)?;
        let partial = listener.partial()?;
        if partial == shown {
            continue;
        }
        shown.clone_from(&partial);
        if args.json {
            writeln!(out, "{}", json!({ "partial": partial, "heard": listener.heard() }))?;
        } else if rewrite {
            write!(out, "\r\x1b[K{}", last_columns(&partial))?;
        } else if stderr().is_terminal() {
            eprint!("\r\x1b[K{}", last_columns(&partial));
        }
        out.flush()?;
    }
    let transcript = listener.finish()?;
    if args.json {
        writeln!(out, "{}", transcript.json("-")?)?;
    } else {
        if rewrite {
            write!(out, "\r\x1b[K")?;
        }
        writeln!(out, "{}", transcript.text)?;
    }
    Ok(())
}

/// The end of a text, as much as a line of a terminal has room for.
fn last_columns(text: &str) -> &str {
    const COLUMNS: usize = 78;
    let skipped = text.chars().count().saturating_sub(COLUMNS);
    text.char_indices().nth(skipped).map_or("", |(at, _)| &text[at..])
}

fn align(args: &AlignArgs) -> Result<()> {
    let model = SpeechModel::load(&args.run, &args.device.device()?)?;
    let audio = Audio::read(&args.file, Channels::Mean)?.resampled(model.config().frontend.rate)?;
    let aligned = align_text(&model, &audio, &args.text)?;
    if let Some(path) = &args.textgrid {
        write_text(path, &TextGrid::of(&aligned)?.to_string())?;
    }
    if args.json {
        println!("{}", aligned.json(&args.file.display().to_string())?);
        return Ok(());
    }
    for word in &aligned.words {
        println!("{:.3}\t{:.3}\t{}\t{:.2}", word.start, word.end, word.text, word.confidence);
    }
    Ok(())
}

fn features(args: &FeaturesArgs) -> Result<()> {
    let audio = Audio::read(&args.file, Channels::Mean)?;
    let features = match &args.run {
        Some(run) => {
            let model = SpeechModel::load(run, &candle_core::Device::Cpu)?;
            model.frontend().features(&audio)?
        }
        None => {
            let default = FrontendConfig::default();
            let config = FrontendConfig {
                rate: args.rate.unwrap_or(audio.rate),
                bands: args.bands.unwrap_or(default.bands),
                cepstrum: args.cepstrum,
                ..default
            };
            let features = raw(&extractor(&config)?, &audio)?;
            if let Some(path) = &args.png {
                let png = Spectrogram::default().png(&features, &config.features())?;
                return write_atomically(path, |file| Ok(file.write_all(&png)?));
            }
            features
        }
    };
    let mut out = stdout().lock();
    for row in features.rows() {
        let numbers: Vec<String> = row.iter().map(|value| format!("{value:.4}")).collect();
        writeln!(out, "{}", numbers.join("\t"))?;
    }
    Ok(())
}

fn check_data(args: &CheckArgs) -> Result<()> {
    let mut utterances = args.layout.read(&args.data, Part::Train)?;
    let model =
        args.run.as_deref().map(|run| SpeechModel::load(run, &candle_core::Device::Cpu)).transpose()?;
    let alphabet = model.as_ref().map(|model| {
        utterances
            .iter_mut()
            .for_each(|utterance| utterance.text = model.config().text.apply(&utterance.text));
        model.alphabet().symbols().iter().flat_map(|symbol| symbol.chars()).collect()
    });
    let config = CheckConfig { silence: args.silence, alphabet: alphabet.as_ref(), ..CheckConfig::default() };
    let report = check(&utterances, &config);
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => print!("{report}"),
    }
    match report.totals.with_problems {
        0 => Ok(()),
        problems => bail!("{problems} of {} recordings have problems", utterances.len()),
    }
}

fn ngram(args: &NgramArgs) -> Result<()> {
    let model = SpeechModel::load(&args.run, &candle_core::Device::Cpu)?;
    let texts: Vec<String> = match &args.text {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            text.lines().map(String::from).collect()
        }
        None => {
            let (train, _) = of_run(&args.run, &LayoutArgs::default(), "--text FILE")?;
            train.into_iter().map(|utterance| utterance.text).collect()
        }
    };
    let texts: Vec<String> = texts.iter().map(|text| model.config().text.apply(text)).collect();
    let sentence = |text: &String| -> Result<Vec<String>> {
        Ok(match args.of {
            Counted::Word => text.split_whitespace().map(String::from).collect(),
            Counted::Symbol => {
                let symbols = model.alphabet().encode(text)?;
                symbols
                    .iter()
                    .map(|&s| spelling(&model.alphabet().symbols()[s as usize]).to_owned())
                    .collect()
            }
        })
    };
    let sentences = texts.iter().filter(|text| !text.is_empty()).map(sentence).collect::<Result<Vec<_>>>()?;
    let order = args.order.unwrap_or(if args.of == Counted::Word { 3 } else { 6 });
    let estimator = KneserNey { order };
    let ngram = estimator.estimate(sentences.iter().map(|sentence| sentence.iter().map(String::as_str)))?;
    write_atomically(&args.out, |file| Ok(ngram.write_arpa(file)?))?;
    let counts: Vec<String> = ngram.counts().iter().map(usize::to_string).collect();
    eprintln!("{} sentences; n-grams of 1 to {order}: {}", sentences.len(), counts.join(", "));
    Ok(())
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    write_atomically(path, |file| Ok(file.write_all(text.as_bytes())?))
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}
