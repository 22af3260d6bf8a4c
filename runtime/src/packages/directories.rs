//! The directories that apk makes for itself.

use crate::pipeline::inside::Root;
use rustix::fs::{AtFlags, Mode, chmodat, mkdirat};
use rustix::io::Errno;
use std::io;

/// What is there already stays as it is.
pub fn make(root: &mut Root) -> io::Result<()> {
    for path in ["dev", "etc/apk", "lib/apk/db", "var/cache/apk", "var/cache/misc"] {
        root.directory(path.as_bytes(), true)?;
    }
    let mode = Mode::from_raw_mode(0o1777);
    match mkdirat(root.fd(), "tmp", mode) {
        // mkdir(2) heeds the umask.
        Ok(()) => chmodat(root.fd(), "tmp", mode, AtFlags::empty()),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error),
    }
    .map_err(|error| root.error(error, b"tmp"))
}
