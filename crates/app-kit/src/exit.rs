//! How a program ends: 0 done, 1 failed, 2 asked for wrongly, 130 cut off by a
//! second Ctrl-C.

use std::io::{self, Write};
use std::process::ExitCode;

/// The caller asked for something that cannot be: exit code 2, like a
/// malformed command line.
///
/// ```
/// fn window(text: &str) -> anyhow::Result<usize> {
///     let window = text.parse()?;
///     if window == 0 {
///         return Err(app_kit::UsageError::new("--window must be at least 1").into());
///     }
///     Ok(window)
/// }
/// assert!(window("0").unwrap_err().is::<app_kit::UsageError>());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

impl UsageError {
    /// An error with this message, which should say what to do instead.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Runs the body of `main` and turns its result into an exit code, after
/// [preparing the process](crate::process::prepare). Let it be all that `main` does.
///
/// An error is printed to standard error with its causes, one after the other.
/// A reader that closes the pipe early (`… | head`) ends the program quietly.
pub fn run(body: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    // Safety: `main` does nothing before, so that no thread has been started.
    unsafe { crate::process::prepare() };
    end_quietly_on_a_closed_pipe();
    let result = body().and_then(|()| Ok(io::stdout().flush()?));
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    let code = code(&error);
    if code != 0 {
        // If standard error is closed too there is nobody left to tell.
        let _ = writeln!(io::stderr(), "error: {}", message(&error));
    }
    ExitCode::from(code)
}

/// The exit code of an error: 2 for a [`UsageError`] anywhere in its chain, 0
/// for a closed pipe, else 1.
fn code(error: &anyhow::Error) -> u8 {
    let closed_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    if error.chain().any(|cause| cause.is::<UsageError>()) {
        2
    } else if error.chain().any(|cause| cause.downcast_ref().is_some_and(closed_pipe)) {
        0
    } else {
        1
    }
}

/// The chain of causes on one line, a cause that only repeats the end of what
/// stands before it left out.
fn message(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut text, cause| {
        let cause = cause.to_string();
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
        text
    })
}

/// `println!` panics when its reader is gone; that is no fault worth a report.
fn end_quietly_on_a_closed_pipe() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let closed = panic
            .payload_as_str()
            .is_some_and(|text| text.starts_with("failed printing to") && text.contains("Broken pipe"));
        if closed {
            std::process::exit(0);
        }
        report(panic);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_usage_error_ends_with_2_whatever_context_it_got() {
        let error = Err::<(), _>(UsageError::new("no such name")).context("while reading");
        assert_eq!(code(&error.unwrap_err()), 2);
    }

    #[test]
    fn any_other_error_ends_with_1_and_tells_every_cause_once() {
        let error = anyhow!("no such file").context("cannot read: no such file").context("train");
        assert_eq!(code(&error), 1);
        assert_eq!(message(&error), "train: cannot read: no such file");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("list");
        assert_eq!(code(&error), 0);
    }
}
