//! A copy aside: what passes through a pipeline is also written to a file. It is a convenience and never the reason that
//! a pipeline fails: what cannot be written is given up, and told in the outcome.

use super::failure::{fail, unwrap_failure};
use super::filter::hex;
use super::sink::{Temporary, writing};
use ring::digest::{Context, SHA256};
use serde::Serialize;
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;

#[derive(Serialize)]
#[serde(untagged)]
pub enum Copied {
    Whole {
        sha256: String,
        bytes: u64,
    },
    #[serde(rename_all = "camelCase")]
    GivenUp {
        given_up: String,
    },
}

/// The copy while it is written. Removed when dropped before `keep`.
pub struct Aside {
    state: State,
    path: String,
    limit: u64,
}

enum State {
    Writing { file: File, temporary: Temporary, sha256: Box<Context>, bytes: u64 },
    GivenUp(String),
}

impl Aside {
    /// `path` must not be there: what lies on a disk may be a symlink of somebody's.
    pub fn new(path: &str, limit: u64) -> Aside {
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let state = match opened {
            Ok(file) => State::Writing {
                file,
                temporary: Temporary::new(path.to_owned()),
                sha256: Box::new(Context::new(&SHA256)),
                bytes: 0,
            },
            Err(error) => State::GivenUp(error.to_string()),
        };
        Aside { state, path: path.to_owned(), limit }
    }

    fn write(&mut self, part: &[u8]) {
        let State::Writing { file, sha256, bytes, .. } = &mut self.state else { return };
        *bytes += part.len() as u64;
        let written = if *bytes > self.limit {
            let message = format!("more than {} bytes came, which is the limit", self.limit);
            Err(fail("TOO_BIG", "aside", &self.path, message))
        } else {
            file.write_all(part).map_err(|error| writing(error, "aside", &self.path, &*file))
        };
        match written {
            Ok(()) => sha256.update(part),
            Err(error) => {
                let reason =
                    unwrap_failure(&error).map_or_else(|| error.to_string(), |known| known.message.clone());
                self.state = State::GivenUp(reason);
            }
        }
    }

    /// For when the pipeline went well to its end.
    pub fn keep(self) -> Copied {
        match self.state {
            State::GivenUp(given_up) => Copied::GivenUp { given_up },
            State::Writing { temporary, sha256, bytes, .. } => {
                temporary.keep();
                Copied::Whole { sha256: hex(sha256.finish().as_ref()), bytes }
            }
        }
    }
}

/// Passes on what it reads.
pub struct Tee<'a, R> {
    pub source: R,
    pub aside: &'a RefCell<Aside>,
}

impl<R: Read> Read for Tee<'_, R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(to)?;
        self.aside.borrow_mut().write(&to[..count]);
        Ok(count)
    }
}
