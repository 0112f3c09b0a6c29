//! Ctrl-C: the first one asks to finish, the second one ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that Ctrl-C sets.
pub fn flag() -> Arc<AtomicBool> {
    let cancel = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&cancel);
    // without a handler Ctrl-C ends the program as it always does
    let _ = ctrlc::set_handler(move || {
        // the second one does not wait for what takes long
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    cancel
}
