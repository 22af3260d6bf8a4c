//! What bounds a pipeline in time: TypeScript's cancel, and the deadlines for connecting, for a stall, for everything.
//!
//! Whatever waits, waits here, in slices short enough that a cancel is seen within `SLICE`.

use super::failure::{fail, failure};
use crate::error::SysError;
use crate::ops::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a wait may go without looking at the cancel flag.
pub const SLICE: Duration = Duration::from_millis(200);

/// In milliseconds, as `Deadlines` in src/sys/pipeline.ts.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "camelCase")]
pub struct Deadlines {
    pub connect_ms: u64,
    pub stall_ms: u64,
    pub total_ms: u64,
}

/// Which deadline a wait is under, besides the total one.
#[derive(Clone, Copy)]
pub enum Limit {
    Connect,
    Stall,
}

pub struct Watch {
    pub stage: &'static str,
    pub subject: String,
    cancel: Cancel,
    started: Instant,
    deadlines: Option<Deadlines>,
    bytes: Cell<u64>,
    connections: Cell<u32>,
}

impl Watch {
    pub fn new(stage: &'static str, subject: &str, cancel: &Cancel, deadlines: Option<Deadlines>) -> Watch {
        Watch {
            stage,
            subject: subject.to_owned(),
            cancel: cancel.clone(),
            started: Instant::now(),
            deadlines,
            bytes: Cell::new(0),
            connections: Cell::new(0),
        }
    }

    /// Counts bytes of the source, for the messages.
    pub fn count(&self, bytes: usize) {
        self.bytes.set(self.bytes.get() + bytes as u64);
    }

    /// Bytes of the source so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Counts a connection that was made, and not one that was kept and used again.
    pub fn count_connection(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    pub fn connections(&self) -> u32 {
        self.connections.get()
    }

    /// Fails when the call was given up or its total deadline is past.
    pub fn check(&self) -> io::Result<()> {
        if self.cancel.cancelled() {
            return Err(failure(SysError::aborted(&super::failure::operation(self.stage), &self.subject)));
        }
        match self.deadlines {
            Some(d) if self.started.elapsed() >= Duration::from_millis(d.total_ms) => {
                Err(self.timeout(format!(
                    "total deadline: not finished after {}, with {} bytes received",
                    seconds(d.total_ms),
                    self.bytes.get()
                )))
            }
            _ => Ok(()),
        }
    }

    /// Fails when `since` is too long ago for `limit`; otherwise says how long to wait at most before asking again.
    pub fn slice(&self, since: Instant, limit: Limit) -> io::Result<Duration> {
        self.check()?;
        let Some(d) = self.deadlines else { return Ok(SLICE) };
        let allowed = match limit {
            Limit::Connect => d.connect_ms,
            Limit::Stall => d.stall_ms,
        };
        let elapsed = since.elapsed();
        let left = Duration::from_millis(allowed).saturating_sub(elapsed);
        if left.is_zero() {
            return Err(self.timeout(match limit {
                Limit::Connect => format!("connect deadline: no connection within {}", seconds(allowed)),
                Limit::Stall => format!(
                    "stall deadline: nothing came for {}, after {} bytes",
                    seconds(allowed),
                    self.bytes.get()
                ),
            }));
        }
        let total = Duration::from_millis(d.total_ms).saturating_sub(self.started.elapsed());
        Ok(left.min(total).min(SLICE).max(Duration::from_millis(1)))
    }

    /// Waits until the descriptor is ready.
    pub fn wait(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        since: Instant,
        limit: Limit,
    ) -> io::Result<()> {
        while !self.poll(fd, events, self.slice(since, limit)?)? {}
        Ok(())
    }

    /// Whether the descriptor is ready within a slice.
    pub fn poll(&self, fd: BorrowedFd<'_>, events: PollFlags, slice: Duration) -> io::Result<bool> {
        self.poll_all(&mut [PollFd::from_borrowed_fd(fd, events)], slice)
    }

    /// Whether any of the descriptors is ready within a slice.
    pub fn poll_all(&self, descriptors: &mut [PollFd<'_>], slice: Duration) -> io::Result<bool> {
        let timeout = Timespec { tv_sec: slice.as_secs() as i64, tv_nsec: slice.subsec_nanos().into() };
        match poll(descriptors, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(false),
            Ok(_) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets some time pass.
    pub fn pause(&self, wait: Duration) -> io::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < wait {
            self.check()?;
            std::thread::sleep(wait.saturating_sub(begun.elapsed()).min(SLICE));
        }
        self.check()
    }

    fn timeout(&self, message: String) -> io::Error {
        fail("TIMEOUT", self.stage, &self.subject, message)
    }
}

fn seconds(milliseconds: u64) -> String {
    format!("{} s", milliseconds as f64 / 1000.0)
}

thread_local! {
    /// The HTTP client's sockets are shared by all pipelines; whose deadlines count is a matter of the thread.
    static CURRENT: RefCell<Option<Rc<Watch>>> = const { RefCell::new(None) };
}

/// Makes `watch` the one that this thread's sockets obey, while `run` runs.
pub fn watched<T>(watch: &Rc<Watch>, run: impl FnOnce() -> T) -> T {
    CURRENT.with(|current| current.replace(Some(watch.clone())));
    let result = run();
    CURRENT.with(|current| current.replace(None));
    result
}

/// The watch of this thread's pipeline.
pub fn current() -> io::Result<Rc<Watch>> {
    CURRENT
        .with(|current| current.borrow().clone())
        .ok_or_else(|| io::Error::other("a socket used outside a pipeline"))
}
