//! What every binary shares: its command line, device flags, logging, exit codes, Ctrl-C, model folders and what is in
//! them, the names of neurons, paths and text files.
//!
//! A `main.rs` built on this crate is a few lines:
//!
//! ```no_run
//! use app_kit::{DeviceArgs, LoggingArgs};
//! use clap::Parser;
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     device: DeviceArgs,
//!     #[command(flatten)]
//!     logging: LoggingArgs,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     app_kit::run(|| {
//!         let cli: Cli = app_kit::parse()?;
//!         cli.logging.init();
//!         println!("{:?}", cli.device.device()?);
//!         Ok(())
//!     })
//! }
//! ```

pub mod command_line;
pub mod device;
pub mod exit;
pub mod inspect;
pub mod interrupt;
pub mod logging;
pub mod model_folder;
pub mod network;
pub mod path;
pub mod process;
pub mod text;

pub use command_line::parse;
pub use device::{DeviceArgs, DeviceChoice};
pub use exit::{UsageError, run};
pub use inspect::{Contents, InspectArgs};
pub use logging::{LoggingArgs, init_logging};
pub use model_folder::{ModelFolder, ModelFolderError};
pub use network::{CellName, MatmulArgs, check_matmul};
