//! `captioning`: train networks that say what is on pictures, and have them say it.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use app_kit::inspect::InspectArgs;
use app_kit::{DeviceArgs, LoggingArgs, UsageError};
use candle_core::Tensor;
use captioning::corpus::{self, EMBEDDED, Part, Reading, Source};
use captioning::encoder::{COLOUR_STEPS, EncoderConfig, EncoderName, Seen, published};
use captioning::evaluate::{self, ROWS, Scores};
use captioning::features::{Features, cache_folder, see};
use captioning::pictures::{self, Form};
use captioning::train::{self, keep};
use captioning::{Caption, Captioned, Captioner, Image, RunConfig, SearchConfig, TrainArgs, inspect};
use clap::{Args, Parser, Subcommand};
use figures::Exhibit;
use rayon::prelude::*;
use rnn_decode::BeamSearch;
use rnn_train::{ProgressStyle, settings};
use serde_json::json;
use walkdir::WalkDir;

/// Train networks that say what is on pictures, and have them say it
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
    /// Learn from pictures and what is said about them
    #[command(
        after_help = "Unless told otherwise: 20 epochs of Adam at a learning rate of 0.001 that rises for 100 \
        steps and falls along a cosine, gradients of norm 5 at most, 2 checkpoints kept."
    )]
    Train(Box<TrainCommand>),
    /// Measure captions against those of people, and of the most similar picture: BLEU, ROUGE-L, CIDEr
    Eval(Box<EvalArgs>),
    /// Say what is on pictures
    Caption(Box<CaptionArgs>),
    /// Have an encoder look at pictures, and keep what it has seen for trainings to come
    Features(Box<FeaturesArgs>),
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

/// How captions are searched.
#[derive(Args)]
struct SearchArgs {
    /// Hypotheses that are followed at once; 1 takes the likeliest symbol every time
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Search")]
    beam: usize,
    /// Rank by probability (0) or nearly by its mean per symbol (1)
    #[arg(long, value_name = "ALPHA", default_value_t = 0.7, help_heading = "Search")]
    length_penalty: f64,
    /// Symbols in a row that may not occur twice; 0 for no such rule
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search")]
    no_repeat_ngram: usize,
    /// Symbols of a caption at least
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Search")]
    min_length: usize,
    /// Symbols of a caption at most
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = "Search")]
    max_length: usize,
    /// How every caption begins
    #[arg(long, value_name = "TEXT", default_value = "", help_heading = "Search")]
    prefix: String,
}

impl SearchArgs {
    fn config(&self, nbest: usize) -> SearchConfig {
        SearchConfig {
            search: BeamSearch {
                beam: self.beam,
                nbest,
                length_penalty: self.length_penalty,
                no_repeat_ngram: self.no_repeat_ngram,
                min_length: self.min_length,
                ..BeamSearch::default()
            },
            max_length: self.max_length,
            prefix: self.prefix.clone(),
        }
    }
}

#[derive(Args)]
struct CaptionArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    /// PNG or JPEG files, and folders that are searched for them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pictures: Vec<PathBuf>,
    /// Captions of each picture to give, at most the beam, as FILE, SCORE, TEXT with tabs between
    #[arg(long, value_name = "N", default_value_t = 1)]
    nbest: usize,
    /// Draw what each word looked at: .png or .svg; for one picture
    #[arg(long, value_name = "FILE")]
    attention: Option<PathBuf>,
    /// Write a page of the pictures with their captions
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print a JSON object for each picture, with tokens and attention
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Where pictures with captions are, and how they are read.
#[derive(Args)]
struct DataArgs {
    /// Pictures and captions, as for `train`, `embedded` or `embedded-unseen`
    /// [default: what the model was chosen by]
    #[arg(long, value_name = "FILE")]
    data: Option<String>,
    /// The split of it: a name, or a file with the name of a picture in each line
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// Folder of the pictures [default: as in training; `images` beside the file, or its own]
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// Column of the captions, or several with commas between them [default: as in training]
    #[arg(long, value_name = "NAME")]
    language: Option<String>,
}

impl DataArgs {
    /// The folder of the pictures that a run learnt from is not that of others.
    fn reading(&self, saved: Option<&RunConfig>, lowercase: bool) -> Reading {
        let saved = saved.map(|saved| saved.data.reading.clone()).unwrap_or_default();
        let of_run = saved.images.filter(|_| self.data.is_none());
        Reading {
            images: self.images.clone().or(of_run),
            language: self.language.clone().or(saved.language),
            lowercase,
        }
    }
}

#[derive(Args)]
struct EvalArgs {
    /// Run folder (its best model) or model folder
    run: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Where features of the training pictures are kept, for the nearest neighbours [default: the user's
    /// folder for caches]
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
    /// Do not compare with the captions of the most similar training pictures
    #[arg(long)]
    no_neighbours: bool,
    /// Write a page of the pictures with their captions
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    search: SearchArgs,
    #[command(flatten)]
    device: DeviceArgs,
}

#[derive(Args)]
struct FeaturesArgs {
    /// Pictures and captions, as for `train`
    #[arg(long, value_name = "FILE", required = true)]
    data: String,
    /// The split of it: a name, or a file with the name of a picture in each line
    #[arg(long, value_name = "SPLIT")]
    split: Option<String>,
    /// Folder of the pictures [default: `images` beside the file, or its own]
    #[arg(long, value_name = "FOLDER")]
    images: Option<PathBuf>,
    /// The weights of EfficientNet-Lite0 (.safetensors or .pth)
    #[arg(long, value_name = "FILE")]
    encoder_weights: PathBuf,
    /// Pixels of a side of what it sees
    #[arg(long, value_name = "N", default_value_t = 224)]
    size: usize,
    /// Steps of red, green and blue, whose mixtures are counted in each region; 0 for none; as in the training
    #[arg(long, value_name = "N", default_value_t = COLOUR_STEPS)]
    colour_steps: usize,
    /// Where it is kept [default: the user's folder for caches]
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
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
            Command::Caption(args) => caption(&args),
            Command::Eval(args) => eval(&args, progress),
            Command::Features(args) => features(&args, progress),
            Command::Inspect(args) => args.print(&inspect(&args.run)?),
        }
    })
}

/// Pictures that are read and captioned at once.
const FILES: usize = 64;

fn caption(args: &CaptionArgs) -> Result<()> {
    let files = files(&args.pictures)?;
    if let Some(path) = &args.attention {
        Form::of(path)?;
        if files.len() != 1 {
            let error =
                format!("--attention draws one picture, not {}: give one, or use --html", files.len());
            return Err(UsageError::new(error).into());
        }
    }
    let captioner = Captioner::load(&args.run, &args.device.device()?)?;
    let config = args.search.config(args.nbest);
    let grid = captioner.model().config().encoder.sizes().grid;
    let (mut exhibits, mut failed) = (Vec::new(), 0);
    for files in files.chunks(FILES) {
        let read: Vec<Result<_>> = files.par_iter().map(|file| Image::File(file.clone()).picture()).collect();
        let good: Vec<_> = read.iter().flatten().cloned().collect();
        let mut captions = captioner.caption(&good, &config)?.into_iter().zip(good);
        let mut out = stdout().lock();
        for (file, read) in files.iter().zip(read) {
            let captioned = read.map(|_| captions.next());
            let (captions, picture) = match captioned {
                Ok(Some(captioned)) => captioned,
                Ok(None) => continue,
                Err(error) => {
                    failed += 1;
                    eprintln!("{error:#}");
                    if args.json {
                        writeln!(out, "{}", json!({ "picture": file, "error": format!("{error:#}") }))?;
                    }
                    continue;
                }
            };
            print(file, &captions, args, &mut out)?;
            let Some(best) = captions.first() else { continue };
            if let Some(path) = &args.attention {
                pictures::write_tiles(path, &pictures::attended(&picture, best, grid)?)?;
            }
            if args.html.is_some() {
                let (name, picture) = (file.display().to_string(), pictures::attended(&picture, best, grid)?);
                exhibits.push(Exhibit { name, picture, others: Vec::new() });
            }
        }
        out.flush()?;
    }
    if let Some(path) = &args.html {
        pictures::write_gallery(path, "Captions", exhibits)?;
    }
    if failed > 0 {
        bail!("{failed} of {} files are not captioned", files.len());
    }
    Ok(())
}

/// The files that are named, and those in folders that are.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        for entry in WalkDir::new(path).sort_by_file_name() {
            let entry = entry?;
            if entry.file_type().is_file() {
                files.push(entry.into_path());
            }
        }
    }
    match files.is_empty() {
        true => Err(UsageError::new("there is no file in what was given").into()),
        false => Ok(files),
    }
}

fn print(file: &Path, captions: &[Caption], args: &CaptionArgs, out: &mut dyn Write) -> Result<()> {
    let shown = file.display();
    if args.json {
        writeln!(out, "{}", json!({ "picture": file, "captions": captions }))?;
        return Ok(());
    }
    for caption in captions {
        match args.nbest {
            1 => writeln!(out, "{shown}\t{}", caption.text)?,
            _ => writeln!(out, "{shown}\t{:.4}\t{}", caption.score, caption.text)?,
        }
    }
    Ok(())
}

fn eval(args: &EvalArgs, progress: ProgressStyle) -> Result<()> {
    let device = args.device.device()?;
    let captioner = Captioner::load(&args.run, &device)?;
    let (run, model) = (&args.run, captioner.model());
    let saved = settings::read::<RunConfig>(&run.join("config.toml")).ok();
    let reading = args.data.reading(saved.as_ref(), model.config().lowercase);
    let source = match &args.data.data {
        Some(name) => Source::named(name, args.data.split.as_deref(), Part::Test),
        None => saved.as_ref().and_then(|saved| saved.data.validation.clone()).ok_or_else(|| {
            UsageError::new(format!("{} names no pictures: give some with --data", run.display()))
        })?,
    };
    let (mut seen, mut pictures) = (Vec::new(), Vec::new());
    let all = corpus::read(&source, &reading)?;
    let work = progress.work(all.len(), "pictures");
    for (number, chunk) in all.chunks(ROWS).enumerate() {
        work.set(number * ROWS);
        let images: Vec<&Image> = chunk.iter().map(|picture| &picture.image).collect();
        let (of_chunk, bad) = see(&images, model.encoder(), &device)?;
        bad.iter().for_each(|(_, error)| tracing::warn!("{error:#}: it is left out"));
        seen.extend(of_chunk);
        let is_good = |number: &usize| bad.iter().all(|(bad, _)| bad != number);
        pictures.extend((0..chunk.len()).filter(is_good).map(|number| &chunk[number]));
    }
    drop(work);
    ensure!(!pictures.is_empty(), "there is not one picture to evaluate on that can be used");
    let captions = evaluate::captions(&captioner, &seen, &args.search.config(1))?;
    let texts: Vec<String> = captions.iter().map(|caption| caption.text.clone()).collect();
    let neighbours = match (&saved, args.no_neighbours) {
        (Some(saved), false) => neighbours(args, saved, &captioner, &seen, progress)?,
        _ => None,
    };
    let grid = model.config().encoder.sizes().grid;
    let truth = match corpus::language(&reading) {
        Ok(language) => evaluate::truth(&captions, &pictures, language, grid),
        Err(_) => None,
    };
    let scores = Scores {
        model: evaluate::scores(&texts, &pictures)?,
        nearest_neighbour: neighbours.map(|texts| evaluate::scores(&texts, &pictures)).transpose()?,
        truth,
    };
    if let Some(path) = &args.html {
        let exhibit = |(picture, caption): (&&Captioned, &Caption)| {
            let drawn = pictures::attended(&picture.image.picture()?, caption, grid)?;
            Ok(Exhibit { name: picture.name.clone(), picture: drawn, others: picture.captions.clone() })
        };
        let exhibits = pictures.iter().zip(&captions).map(exhibit).collect::<Result<_>>()?;
        pictures::write_gallery(path, "Captions", exhibits)?;
    }
    tell(&scores, pictures.len(), args.json)
}

/// The captions of the training pictures that look most like what has been seen.
fn neighbours(
    args: &EvalArgs,
    saved: &RunConfig,
    captioner: &Captioner,
    seen: &[Seen],
    progress: ProgressStyle,
) -> Result<Option<Vec<String>>> {
    let Some(train) = &saved.data.train else { return Ok(None) };
    let (model, device) = (captioner.model(), captioner.model().device());
    // What an encoder that was trained in this run sees is of no use to any other.
    let passing = tempfile::tempdir()?;
    let folder = match saved.keeps_features() {
        true => args.cache.clone().map_or_else(cache_folder, Ok)?,
        false => passing.path().to_owned(),
    };
    let (config, weights) = (&model.config().encoder, model.encoder_weights());
    let train = corpus::read(train, &saved.data.reading)?;
    let of_train = keep(&train, config, &weights, &folder, device, progress)?;
    let global: Vec<&Tensor> = seen.iter().map(|seen| &seen.global).collect();
    evaluate::nearest_neighbours((&of_train, &train), &Tensor::cat(&global, 0)?).map(Some)
}

fn tell(scores: &Scores, pictures: usize, json: bool) -> Result<()> {
    let mut out = stdout().lock();
    if json {
        writeln!(out, "{}", json!({ "pictures": pictures, "scores": scores }))?;
        return Ok(());
    }
    writeln!(out, "{pictures} pictures")?;
    writeln!(out, "captions           {}", scores.model)?;
    if let Some(neighbours) = &scores.nearest_neighbour {
        writeln!(out, "nearest neighbour  {neighbours}")?;
        writeln!(
            out,
            "times as good      BLEU-1 {:.2}, CIDEr {:.2}, CIDEr-D {:.2}",
            scores.model.bleu[0] / neighbours.bleu[0],
            scores.model.cider / neighbours.cider,
            scores.model.cider_d / neighbours.cider_d,
        )?;
    }
    if let Some(truth) = &scores.truth {
        writeln!(
            out,
            "{:.1} % are true of their scene, {:.1} % false, {:.1} % ungrammatical; {:.1} % of the words for a \
             colour or a shape look at what they name",
            truth.is_true, truth.is_false, truth.ungrammatical, truth.well_attended
        )?;
    }
    Ok(())
}

fn features(args: &FeaturesArgs, progress: ProgressStyle) -> Result<()> {
    if args.data == EMBEDDED {
        let error = "the built-in set is drawn for an encoder that is trained along: it needs no features";
        return Err(UsageError::new(error).into());
    }
    let mut config = EncoderConfig::named(EncoderName::EfficientnetLite0);
    config.preprocessing.size = args.size;
    config.colour_steps = args.colour_steps;
    config.validate()?;
    let weights = published(&args.encoder_weights)?;
    let folder = args.cache.clone().map_or_else(cache_folder, Ok)?;
    let source = Source::named(&args.data, args.split.as_deref(), Part::Train);
    let reading = Reading { images: args.images.clone(), ..Reading::default() };
    let pictures = corpus::read(&source, &reading)?;
    let features: Features = keep(&pictures, &config, &weights, &folder, &args.device.device()?, progress)?;
    let good = (0..pictures.len()).filter(|&picture| features.has(picture)).count();
    println!("{good} of {} pictures have features in {}", pictures.len(), features.path().display());
    Ok(())
}
