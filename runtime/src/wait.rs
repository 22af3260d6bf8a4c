//! Waiting for the kernel to say something, with a deadline, until the call is given up; on a thread of its own,
//! so that the small pool stays free for work.

use crate::clock::now;
use crate::error::Result;
use crate::ops::{Call, Cancel, Emit};
use rustix::event::{PollFd, PollFlags, Timespec};
use serde::Serialize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// These threads hold a packet or a module being unpacked, not a recursion. Only what is touched takes memory.
const STACK: usize = 1 << 20;

/// Runs `work` on its own thread and answers the call with what it returns.
pub fn on_thread<T: Serialize>(
    name: &str,
    call: Call,
    work: impl FnOnce(&Cancel, &Emit) -> Result<T> + Send + 'static,
) {
    let Call { reply, cancel, emit } = call;
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    // Without a thread the closure is dropped and the reply in it tells the caller.
    let _ = thread.spawn(move || reply.answer(work(&cancel, &emit)));
}

#[derive(Debug, PartialEq)]
pub enum Woken {
    Ready,
    Deadline,
    Cancelled,
}

/// Waits on one descriptor after another for the length of a call.
pub struct Waiter(Arc<OwnedFd>);

impl Waiter {
    pub fn new(cancel: &Cancel) -> std::io::Result<Self> {
        Ok(Waiter(cancel.descriptor()?))
    }

    /// `deadline`: milliseconds of `now`; None waits for ever.
    pub fn readable(&self, fd: BorrowedFd<'_>, deadline: Option<f64>) -> rustix::io::Result<Woken> {
        self.ready(fd, PollFlags::IN, deadline)
    }

    /// A connection that was asked for: it is there, or failed.
    pub fn writable(&self, fd: BorrowedFd<'_>, deadline: Option<f64>) -> rustix::io::Result<Woken> {
        self.ready(fd, PollFlags::OUT, deadline)
    }

    fn ready(&self, fd: BorrowedFd<'_>, what: PollFlags, deadline: Option<f64>) -> rustix::io::Result<Woken> {
        loop {
            let left = deadline.map(|deadline| (deadline - now()).clamp(0.0, 1e9));
            // Rounded up to a millisecond, or the last bit of the wait would be a busy loop.
            let left = left.map(|left| left.ceil() as i64);
            let timeout = left.map(|left| Timespec { tv_sec: left / 1000, tv_nsec: left % 1000 * 1_000_000 });
            let mut waited = [PollFd::from_borrowed_fd(fd, what), PollFd::new(&self.0, PollFlags::IN)];
            match rustix::event::poll(&mut waited, timeout.as_ref()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(_) if !waited[1].revents().is_empty() => return Ok(Woken::Cancelled),
                Ok(_) if !waited[0].revents().is_empty() => return Ok(Woken::Ready),
                Ok(_) if deadline.is_some_and(|deadline| now() >= deadline) => return Ok(Woken::Deadline),
                Ok(_) => {}
            }
        }
    }

    /// The same descriptor's `AsFd`, for sockets.
    pub fn socket(&self, socket: &impl AsFd, deadline: Option<f64>) -> rustix::io::Result<Woken> {
        self.readable(socket.as_fd(), deadline)
    }
}
