//! Ctrl-C: the first press asks a program to finish its step and save, the
//! second ends it at once.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static FLAG: AtomicBool = AtomicBool::new(false);
static HANDLER: Once = Once::new();

/// A flag that turns true at the first Ctrl-C (or SIGTERM). The second ends
/// the process with exit code 130.
///
/// The first call installs the handler; before it, Ctrl-C ends the program as
/// usual. If the system refuses a handler, a warning is logged and the flag
/// stays false.
pub fn flag() -> &'static AtomicBool {
    HANDLER.call_once(|| {
        // The handler runs on a thread of its own, not inside the signal.
        let installed = ctrlc::set_handler(|| {
            if FLAG.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        });
        if let Err(error) = installed {
            tracing::warn!("Ctrl-C will stop the program without saving: {error}");
        }
    });
    &FLAG
}

/// Whether Ctrl-C was pressed since [`flag`] was first called.
pub fn requested() -> bool {
    FLAG.load(Ordering::SeqCst)
}
