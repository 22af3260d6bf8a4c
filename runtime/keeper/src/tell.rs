//! What a person should know of, into the kernel's log: there is no other place that every system has.

use crate::root::Root;
use alloc::format;

pub fn notice(root: &Root, link: &str, text: &str) {
    // KERN_NOTICE of a daemon, syslog(3). There is nobody to tell that it cannot be told.
    let _ = root.append("dev/kmsg", format!("<29>diskless-lease: {link}: {text}\n").as_bytes());
}
