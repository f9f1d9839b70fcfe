//! Log lines on standard error, so that standard output stays the result.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// `--quiet` and `--verbose`; `#[command(flatten)]` them.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LoggingArgs {
    /// Say only what went wrong
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Messages")]
    pub quiet: bool,

    /// Say more; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub verbose: u8,
}

impl LoggingArgs {
    /// Starts logging as the flags ask; see [`init_logging`].
    pub fn init(&self) {
        init_logging(self.quiet, self.verbose);
    }
}

/// Starts logging to standard error: errors only if `quiet`, else messages of
/// level info, debug (`verbose` = 1) or trace (2 and more).
///
/// The environment variable `RUST_LOG` overrides both. A second call changes
/// nothing.
pub fn init_logging(quiet: bool, verbose: u8) {
    let level = match (quiet, verbose) {
        (true, _) => "error",
        // Which font stands in for another is of no interest to who draws an attention.
        (false, 0) => "info,usvg=error,fontdb=error",
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    // Fails only if a subscriber is set already, which then stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(verbose > 0)
        .without_time()
        .try_init();
}
