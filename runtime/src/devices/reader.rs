//! Reads a device that may never answer: a child opens and reads it, and can be left behind. In a thread, a read that
//! hangs would keep the whole engine from ending.

use super::medium::{BLOCK, Medium};
use crate::clock::now;
use crate::error::{Result, SysError};
use crate::ops::Cancel;
use crate::wait::{Waiter, Woken};
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions};
use std::cell::RefCell;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// An answer: an errno or 0, then the number asked for, or the bytes.
const HEAD: usize = 4;
const ANSWER: usize = HEAD + BLOCK as usize;

struct Reader {
    child: Pid,
    socket: OwnedFd,
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Idle, it ends at once. What hangs in the kernel is reaped by nobody until the engine ends.
        let _ = rustix::process::kill_process(self.child, Signal::KILL);
        let process = rustix::process::pidfd_open(self.child, rustix::process::PidfdFlags::empty());
        const SOON: std::time::Duration = std::time::Duration::from_millis(100);
        let ended = process.is_ok_and(|process| {
            crate::terminal::wait(&process, rustix::event::PollFlags::IN, SOON)
                .is_ok_and(|events| !events.is_empty())
        });
        if ended {
            let _ = rustix::process::waitpid(Some(self.child), WaitOptions::NOHANG);
        }
    }
}

impl Reader {
    fn start(path: &str) -> std::io::Result<Self> {
        let path = CString::new(path)?;
        let mut buffer = vec![0; ANSWER];
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // SAFETY: the child makes system calls only, on memory that was allocated before, and ends by _exit.
        match unsafe { libc::fork() } {
            -1 => Err(std::io::Error::last_os_error()),
            0 => {
                close_others(theirs.as_fd());
                serve(theirs.as_fd(), &path, &mut buffer);
                // SAFETY: _exit runs nothing of this process.
                unsafe { libc::_exit(0) }
            }
            pid => Ok(Reader { child: Pid::from_raw(pid).expect("fork returned a child"), socket: ours }),
        }
    }

    fn answer(&self, waiter: &Waiter, deadline: f64) -> std::result::Result<Vec<u8>, Stop> {
        match waiter.readable(self.socket.as_fd(), Some(deadline))? {
            Woken::Deadline => return Err(Stop::Late),
            Woken::Cancelled => return Err(Stop::Cancelled),
            Woken::Ready => {}
        }
        let mut answer = vec![0; ANSWER];
        let (_, length) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        answer.truncate(length);
        let Some((head, bytes)) = answer.split_first_chunk::<HEAD>() else {
            return Err(Stop::Failed(Errno::IO));
        };
        match i32::from_ne_bytes(*head) {
            0 => Ok(bytes.to_vec()),
            number => Err(Stop::Failed(Errno::from_raw_os_error(number))),
        }
    }
}

enum Stop {
    Late,
    Cancelled,
    Failed(Errno),
}

impl From<Errno> for Stop {
    fn from(error: Errno) -> Self {
        Stop::Failed(error)
    }
}

/// A child that hangs must not keep what others wait to see closed.
fn close_others(kept: BorrowedFd) {
    let kept = kept.as_raw_fd() as libc::c_uint;
    for (first, last) in [(0, kept.saturating_sub(1)), (kept + 1, libc::c_uint::MAX)] {
        // SAFETY: this child uses none of the descriptors below and above its own.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

/// The child: says how large the device is, then answers each offset with a block, until nobody asks.
fn serve(socket: BorrowedFd, path: &CString, buffer: &mut [u8]) {
    let opened = rustix::fs::open(&**path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|device| Ok((rustix::fs::seek(&device, SeekFrom::End(0))?, device)));
    let device = match opened {
        Ok((size, device)) => {
            buffer[HEAD..HEAD + 8].copy_from_slice(&size.to_ne_bytes());
            send(socket, buffer, 8, None);
            device
        }
        Err(error) => return send(socket, buffer, 0, Some(error)),
    };
    let mut offset = [0; 8];
    while let Ok((_, 8)) = rustix::net::recv(socket, &mut offset, RecvFlags::empty()) {
        let start = u64::from_ne_bytes(offset);
        let (mut length, mut failed) = (0, None);
        while failed.is_none() && length < BLOCK as usize {
            match rustix::io::pread(&device, &mut buffer[HEAD + length..], start + length as u64) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) => failed = Some(error),
            }
        }
        // What was read before a bad sector is worth having.
        send(socket, buffer, length, failed.filter(|_| length == 0));
    }
}

fn send(socket: BorrowedFd, buffer: &mut [u8], length: usize, error: Option<Errno>) {
    buffer[..HEAD].copy_from_slice(&error.map_or(0, Errno::raw_os_error).to_ne_bytes());
    // Without its reader this ends.
    let _ = rustix::net::send(socket, &buffer[..HEAD + length], SendFlags::NOSIGNAL);
}

/// Opens `path` and lets `look` at it. Late by `deadline` (milliseconds of `now`): TIMEOUT. A first block that cannot be
/// read is an error; others are missing.
pub fn read<T>(
    operation: &str,
    path: &str,
    deadline: f64,
    cancel: &Cancel,
    look: impl FnOnce(&mut Medium) -> T,
) -> Result<T> {
    let began = now();
    let failed = |error: std::io::Error| SysError::os(operation, path, error);
    let stopped = |stop| match stop {
        Stop::Late => SysError::timeout(operation, path, (deadline - began).max(0.0).round() as u64),
        Stop::Cancelled => SysError::aborted(operation, path),
        Stop::Failed(error) => failed(error.into()),
    };
    let waiter = Waiter::new(cancel).map_err(failed)?;
    let reader = Reader::start(path).map_err(failed)?;
    let size = reader.answer(&waiter, deadline).map_err(stopped)?;
    let size = u64::from_ne_bytes(size.try_into().map_err(|_| stopped(Stop::Failed(Errno::IO)))?);
    let stop = RefCell::new(None);
    let mut medium = Medium::new(size, |offset| {
        if stop.borrow().is_some() {
            return Vec::new();
        }
        let asked = rustix::net::send(&reader.socket, &offset.to_ne_bytes(), SendFlags::NOSIGNAL);
        match asked.map_err(Stop::from).and_then(|_| reader.answer(&waiter, deadline)) {
            Ok(block) => block,
            Err(Stop::Failed(_)) if offset > 0 => Vec::new(),
            Err(error) => {
                *stop.borrow_mut() = Some(error);
                Vec::new()
            }
        }
    });
    let seen = look(&mut medium);
    drop(medium);
    match stop.into_inner() {
        Some(stop) => Err(stopped(stop)),
        None => Ok(seen),
    }
}
