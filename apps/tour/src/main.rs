//! `tour`: the article *A brief introduction to recurrent neural networks*, running.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use app_kit::DeviceArgs;
use clap::Parser;
use tour::{Chapter, Language, Options, Page};

/// The article "A brief introduction to recurrent neural networks", running
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Tell only this chapter; may be given several times
    #[arg(long, value_name = "NAME")]
    chapter: Vec<Chapter>,

    /// Train the applications for seconds, on a part of their data: they learn next to nothing
    #[arg(long)]
    fast: bool,

    /// Folder for the figures, the trained models, and the page that shows it all, index.html
    #[arg(long, value_name = "FOLDER", default_value = "tour-report")]
    out: PathBuf,

    /// Language of the narration; words in figures stay English
    #[arg(long, value_name = "LANGUAGE", value_enum, default_value_t)]
    lang: Language,

    #[command(flatten)]
    device: DeviceArgs,
}

fn main() -> ExitCode {
    app_kit::run(|| {
        let arguments: Arguments = app_kit::parse()?;
        app_kit::init_logging(false, 0);
        let mut stdout = std::io::stdout();
        let bold = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut page = Page::new(&mut stdout, bold, arguments.lang);
        page.title()?;
        let options = Options {
            device: arguments.device.device()?,
            seed: arguments.device.seed(),
            fast: arguments.fast,
            folder: arguments.out,
        };
        let chapters = match arguments.chapter.as_slice() {
            [] => &Chapter::ALL,
            some => some,
        };
        tour::run(chapters, &options, &mut page)?;
        page.line("")?;
        let report = options.folder.join("index.html");
        page.line(&page.say("report", &[("path", &report.display())]))?;
        Ok(())
    })
}
