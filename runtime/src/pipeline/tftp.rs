//! TFTP.
use super::failure::fail;
use super::source::Opened;
use super::watch::Watch;
use std::io;

pub fn open(_url: &str, watch: &Watch) -> io::Result<Opened> {
    Err(fail("EPROTONOSUPPORT", "tftp", &watch.subject, "tftp is not there yet"))
}
