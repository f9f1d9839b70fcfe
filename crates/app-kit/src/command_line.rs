//! The command line of a program: its arguments, completions for a shell, and manual pages.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use clap_complete::Shell;

use crate::UsageError;

/// The variable that asks for completions, and names the shell.
const COMPLETE: &str = "COMPLETE";
/// The variable that asks for manual pages, and names the folder they go to.
const MANUAL: &str = "CANDLE_RNN_MANUAL";

/// The arguments of the program. With the variable `COMPLETE` it prints completions for the shell that is named
/// there, and with `CANDLE_RNN_MANUAL` it writes manual pages into the folder that is named there; then it ends the program.
///
/// ```sh
/// source <(COMPLETE=bash speech)
/// CANDLE_RNN_MANUAL=/usr/local/share/man/man1 speech
/// ```
///
/// Wrong arguments end the program, too, with the exit code 2.
///
/// # Errors
/// [`UsageError`] for an unknown shell; a folder that cannot be written.
pub fn parse<C: Parser>() -> Result<C> {
    let name = || C::command().get_name().to_owned();
    if let Some(shell) = std::env::var_os(COMPLETE) {
        clap_complete::generate(self::shell(&shell)?, &mut C::command(), name(), &mut io::stdout());
        std::process::exit(0);
    }
    if let Some(folder) = std::env::var_os(MANUAL) {
        write_manual(C::command(), Path::new(&folder))?;
        std::process::exit(0);
    }
    Ok(C::parse())
}

fn shell(name: &OsStr) -> Result<Shell, UsageError> {
    let name = name.to_string_lossy();
    Shell::from_str(&name, true).map_err(|_| {
        let known: Vec<String> = Shell::value_variants().iter().map(Shell::to_string).collect();
        UsageError::new(format!(
            "{COMPLETE} is {name:?}, which is no shell that completions are known for: {}",
            known.join(", ")
        ))
    })
}

fn write_manual(command: clap::Command, folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write manual pages into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(cannot)?;
    clap_mangen::generate_to(command, folder).with_context(cannot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_known_by_its_name_and_another_is_told_with_those_there_are() {
        assert_eq!(shell("bash".as_ref()).ok(), Some(Shell::Bash));
        let error = shell("tcsh".as_ref()).unwrap_err().to_string();
        assert!(error.contains("\"tcsh\"") && error.contains("bash") && error.contains("fish"), "{error}");
    }

    #[test]
    fn each_command_has_a_manual_page() {
        let folder = tempfile::tempdir().unwrap();
        let command = clap::Command::new("hear").subcommand(clap::Command::new("train"));
        write_manual(command, &folder.path().join("man1")).unwrap();
        for page in ["hear.1", "hear-train.1"] {
            assert!(folder.path().join("man1").join(page).is_file(), "{page}");
        }
    }
}
