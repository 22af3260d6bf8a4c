//! What bounds a pipeline in time: TypeScript's cancel, and the deadlines for connecting, for a stall, for everything.
//!
//! Whatever waits, waits here: for an event, for a deadline, and for the cancel, which is an event too.

use super::failure::{fail, failure};
use crate::error::SysError;
use crate::ops::Cancel;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where there is no deadline.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

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
    /// Readable once the call is given up.
    given_up: Arc<OwnedFd>,
    started: Instant,
    deadlines: Option<Deadlines>,
    bytes: Cell<u64>,
    connections: Cell<u32>,
}

impl Watch {
    pub fn new(
        stage: &'static str,
        subject: &str,
        cancel: &Cancel,
        deadlines: Option<Deadlines>,
    ) -> io::Result<Watch> {
        Ok(Watch {
            stage,
            subject: subject.to_owned(),
            cancel: cancel.clone(),
            given_up: cancel.descriptor()?,
            started: Instant::now(),
            deadlines,
            bytes: Cell::new(0),
            connections: Cell::new(0),
        })
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

    /// Fails when `since` is too long ago for `limit`; otherwise says how much time is left.
    pub fn left(&self, since: Instant, limit: Limit) -> io::Result<Duration> {
        self.check()?;
        let Some(d) = self.deadlines else { return Ok(FOR_EVER) };
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
        Ok(left.min(self.total_left()))
    }

    fn total_left(&self) -> Duration {
        self.deadlines
            .map_or(FOR_EVER, |d| Duration::from_millis(d.total_ms).saturating_sub(self.started.elapsed()))
    }

    /// Waits until the descriptor is ready.
    pub fn wait(
        &self,
        fd: BorrowedFd<'_>,
        events: PollFlags,
        since: Instant,
        limit: Limit,
    ) -> io::Result<()> {
        while !self.poll(fd, events, self.left(since, limit)?)? {}
        Ok(())
    }

    /// Whether the descriptor is ready in that time. Sooner, and not, where the call was given up.
    pub fn poll(&self, fd: BorrowedFd<'_>, events: PollFlags, wait: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::from_borrowed_fd(fd, events), PollFd::new(&self.given_up, PollFlags::IN)];
        poll_for(&mut polled, wait)?;
        Ok(!polled[0].revents().is_empty())
    }

    /// Waits so long for any of the descriptors, or for the call to be given up.
    pub fn poll_any<'a>(&'a self, polled: &mut Vec<PollFd<'a>>, wait: Duration) -> io::Result<()> {
        polled.push(PollFd::new(&self.given_up, PollFlags::IN));
        poll_for(polled, wait)
    }

    /// Lets some time pass, but none that there is not.
    pub fn pause(&self, wait: Duration) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            self.check()?;
            let left = wait.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            self.poll_any(&mut Vec::new(), left.min(self.total_left()))?;
        }
    }

    fn timeout(&self, message: String) -> io::Error {
        fail("TIMEOUT", self.stage, &self.subject, message)
    }
}

fn poll_for(polled: &mut [PollFd<'_>], wait: Duration) -> io::Result<()> {
    let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
    match poll(polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::failure::sys_error;

    fn pause(cancel: &Cancel, total_ms: u64, wait: Duration) -> crate::error::Result<()> {
        let deadlines = Deadlines { connect_ms: 60_000, stall_ms: 60_000, total_ms };
        let watch = Watch::new("http", "http://h/x", cancel, Some(deadlines)).expect("a watch");
        watch.pause(wait).map_err(|error| sys_error(error, "http", "http://h/x"))
    }

    #[test]
    fn a_pause_lasts_as_long_as_it_should() {
        let (begun, wait) = (Instant::now(), Duration::from_millis(30));
        pause(&Cancel::default(), 60_000, wait).expect("a pause");
        assert!(begun.elapsed() >= wait);
    }

    #[test]
    fn a_pause_ends_when_the_call_is_given_up() {
        let cancel = Cancel::default();
        let running = cancel.clone();
        let begun = Instant::now();
        let pausing = std::thread::spawn(move || pause(&running, 60_000, Duration::from_secs(60)));
        cancel.cancel();
        let error = pausing.join().expect("no panic").expect_err("it was given up");
        assert_eq!(error.code, "ABORTED");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn a_pause_ends_at_the_total_deadline() {
        let error = pause(&Cancel::default(), 20, Duration::from_secs(60)).expect_err("no time");
        assert_eq!(error.code, "TIMEOUT");
        assert!(error.message.contains("total deadline"), "{}", error.message);
    }
}
