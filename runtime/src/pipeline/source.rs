//! Where bytes come from, and the meter on them: cancel and deadlines at each chunk, progress at most ten times a second.

use super::failure::{failure, sys_error};
use super::opened::Opened;
use super::request::Http;
use super::watch::{Deadlines, Watch};
use super::{http, tftp};
use crate::ops::Emit;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::{Duration, Instant};

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    Http(Http),
    Tftp { url: String, deadlines: Deadlines },
    File { path: String },
}

impl Source {
    pub fn stage(&self) -> &'static str {
        match self {
            Source::Http(_) => "http",
            Source::Tftp { .. } => "tftp",
            Source::File { .. } => "file",
        }
    }

    pub fn deadlines(&self) -> Option<Deadlines> {
        match self {
            Source::Http(Http { deadlines, .. }) | Source::Tftp { deadlines, .. } => Some(*deadlines),
            Source::File { .. } => None,
        }
    }

    /// What errors are about: never with a password.
    pub fn subject(&self) -> String {
        match self {
            Source::Http(Http { url, .. }) | Source::Tftp { url, .. } => {
                super::url::split_userinfo(url).1.into_owned()
            }
            Source::File { path } => path.clone(),
        }
    }

    pub fn open<'a>(&'a self, watch: &Rc<Watch>, emit: &'a Emit) -> io::Result<Opened<'a>> {
        match self {
            Source::Http(http) => http::open(http, watch, emit),
            Source::Tftp { url, .. } => tftp::open(url, watch),
            Source::File { path } => open_file(path).map_err(|error| failure(sys_error(error, "file", path))),
        }
    }
}

fn open_file(path: &str) -> io::Result<Opened<'static>> {
    let file = File::open(path)?;
    let status = file.metadata()?;
    if status.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    let total = status.is_file().then_some(status.len());
    Ok(Opened { reader: Box::new(file), total, validator: None })
}

#[derive(Serialize)]
struct Progress {
    bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// The source as the filters see it.
pub struct Metered<'a> {
    pub source: Opened<'a>,
    pub watch: Rc<Watch>,
    pub emit: &'a Emit,
    pub bytes: u64,
    pub told: Instant,
    pub told_bytes: u64,
}

impl Metered<'_> {
    const EVERY: Duration = Duration::from_millis(100);
}

impl Read for Metered<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        self.watch.check()?;
        let count = match self.source.reader.read(to) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(failure(sys_error(error, self.watch.stage, &self.watch.subject))),
        };
        self.bytes += count as u64;
        self.watch.count(count);
        let ended = count == 0 && self.told_bytes < self.bytes;
        if ended || self.told.elapsed() >= Self::EVERY {
            self.told = Instant::now();
            self.told_bytes = self.bytes;
            self.emit.event(&Progress { bytes: self.bytes, total: self.source.total });
        }
        Ok(count)
    }
}
