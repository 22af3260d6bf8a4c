//! What a person should know of, into the kernel's log: there is no other place that every system has.

use std::io::Write;
use std::sync::OnceLock;

static ROOT: OnceLock<String> = OnceLock::new();

pub fn set_root(path: &str) {
    ROOT.get_or_init(|| path.to_owned());
}

/// Opened for one line: nothing of the new system is held open.
pub fn notice(link: &str, text: &str) {
    let path = format!("{}/dev/kmsg", ROOT.get().map_or("", String::as_str));
    if let Ok(mut log) = std::fs::OpenOptions::new().append(true).open(path) {
        // KERN_NOTICE of a daemon, syslog(3). There is nobody to tell that it cannot be told.
        let _ = log.write_all(format!("<29>diskless-lease: {link}: {text}\n").as_bytes());
    }
}
