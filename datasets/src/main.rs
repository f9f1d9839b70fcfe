//! `datasets list | show NAME | get NAME | print NAME [FILE]`.

use std::path::PathBuf;
use std::process::ExitCode;

use app_kit::UsageError;
use clap::{Parser, Subcommand};
use datasets::{Card, DataRoot, How, Obtained, Source, cards, download};
use indicatif::HumanBytes;

/// Data sets for the applications: what they are and how to get them.
#[derive(Parser)]
#[command(name = "datasets", version)]
struct Cli {
    /// The folder below which every set has its own [default:
    /// $CANDLE_RNN_DATA, else the user's cache folder]
    #[arg(long, value_name = "FOLDER", global = true)]
    data_root: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List the sets and say which of them are here
    List,
    /// Show the card of a set: content, licence, address, size, SHA-256, split
    Show {
        /// The name of the set
        name: String,
    },
    /// Download a set (continuing where it was cut), verify it and unpack it, or
    /// write one that is built in to files
    Get {
        /// The name of the set
        name: String,
        /// Download from this address instead of the one on the card
        #[arg(long)]
        url: Option<String>,
    },
    /// Print the texts of a set that is built in
    Print {
        /// The name of the set
        name: String,
        /// One of its files [default: all of them]
        file: Option<String>,
    },
}

fn main() -> ExitCode {
    app_kit::run(|| {
        let cli: Cli = app_kit::parse()?;
        let root = DataRoot::resolve(cli.data_root.as_deref())?;
        match cli.command {
            Command::List => list(&root),
            Command::Show { name } => show(card(&name)?, &root),
            Command::Get { name, url } => get(card(&name)?, &root, url.as_deref())?,
            Command::Print { name, file } => print_files(card(&name)?, file.as_deref())?,
        }
        Ok(())
    })
}

fn card(name: &str) -> Result<&'static Card, UsageError> {
    cards::find(name).ok_or_else(|| {
        UsageError::new(format!("there is no data set `{name}`; `datasets list` shows those there are"))
    })
}

fn list(root: &DataRoot) {
    println!("data root: {}\n", root.path().display());
    let width = cards::ALL.iter().map(|card| card.name.len()).max().unwrap_or(0);
    for card in cards::ALL {
        let size = card.bytes().map_or("size unknown".to_owned(), |bytes| HumanBytes(bytes).to_string());
        println!("{:width$} {size:>13}  {:8}  {}", card.name, state(card, root), card.title);
    }
}

fn show(card: &Card, root: &DataRoot) {
    print!("{card}");
    println!("\n{}: {}", root.folder(card).display(), state(card, root));
}

fn state(card: &Card, root: &DataRoot) -> &'static str {
    match card.source {
        _ if root.has(card) => "here",
        Source::Embedded(_) | Source::Synthesized { .. } => "built in",
        Source::Remote(_) | Source::Archive(_) => "not here",
    }
}

fn get(card: &Card, root: &DataRoot, url: Option<&str>) -> anyhow::Result<()> {
    if url.is_some() && !card.source.texts().is_empty() {
        let message = format!("`{}` is built in; --url does not apply to it", card.name);
        return Err(UsageError::new(message).into());
    }
    let progress = download::progress_bar(card.name);
    let obtained = datasets::get(card, root, url, &progress);
    progress.finish_and_clear();
    for Obtained { path, how, unverified } in obtained? {
        let path = path.display();
        let check = match unverified {
            None => "SHA-256 verified".to_owned(),
            Some(sum) => format!("NOT verified, since the card has no SHA-256 to compare with its {sum}"),
        };
        match how {
            How::AlreadyThere => println!("{path}: already there, {check}"),
            How::AlreadyUnpacked => println!("{path}: already there, unpacked earlier"),
            How::Written => println!("{path}: written"),
            How::Downloaded { resumed_from: 0 } => println!("{path}: downloaded, {check}"),
            How::Downloaded { resumed_from } => {
                println!("{path}: downloaded, continued after {resumed_from} bytes, {check}")
            }
            How::Unpacked { files } => println!("{path}: {files} files unpacked, and the archive deleted"),
        }
    }
    Ok(())
}

fn print_files(card: &Card, file: Option<&str>) -> Result<(), UsageError> {
    let files = card.source.texts();
    if files.is_empty() {
        let message = format!("`{0}` is not built in; `datasets get {0}` downloads it", card.name);
        return Err(UsageError::new(message));
    }
    let mut wanted = files.iter().filter(|found| file.is_none_or(|name| name == found.file)).peekable();
    if wanted.peek().is_none() {
        let names: Vec<_> = files.iter().map(|file| file.file).collect();
        return Err(UsageError::new(format!("`{}` has the files {}", card.name, names.join(", "))));
    }
    wanted.for_each(|file| print!("{}", (file.text)()));
    Ok(())
}
