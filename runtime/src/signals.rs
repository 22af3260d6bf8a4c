//! The signals of PID 1, as something to wait for beside the link: a child's end, and SIGUSR1 for another try.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{FromRawFd, OwnedFd};
use std::time::Duration;

#[derive(PartialEq, Debug)]
pub enum Wake {
    /// Some child ended, perhaps.
    Child,
    /// SIGUSR1.
    Asked,
    /// The link is readable, or its other end closed.
    Link,
    Timeout,
}

pub struct Signals {
    descriptor: OwnedFd,
}

fn set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: sigemptyset initializes the whole set, and sigaddset takes any number.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        for signal in signals {
            libc::sigaddset(&mut set, *signal);
        }
        set
    }
}

fn mask(signals: &[libc::c_int]) {
    // SAFETY: the set is a valid one; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set(signals), std::ptr::null_mut()) };
}

/// The mask and the handlers of a fresh process. std ignores SIGPIPE and handles SIGSEGV and SIGBUS.
pub fn reset_all() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL is a valid handler; numbers that have none are refused with EINVAL.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    mask(&[]);
}

/// For an engine: nothing blocked. std's handlers stay.
pub fn reset() {
    mask(&[]);
}

impl Signals {
    pub fn take() -> std::io::Result<Self> {
        let wanted = [libc::SIGCHLD, libc::SIGUSR1];
        mask(&wanted);
        // SAFETY: the set is a valid one, and -1 asks for a new descriptor.
        let number = unsafe { libc::signalfd(-1, &set(&wanted), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if number < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave this descriptor to us.
        Ok(Signals { descriptor: unsafe { OwnedFd::from_raw_fd(number) } })
    }

    /// As a fresh kernel gives them.
    pub fn release(&self) {
        reset_all();
    }

    /// The link first, then signals: what a child told comes before its end.
    pub fn wait(&self, link: Option<&OwnedFd>, patience: Option<Duration>) -> Wake {
        let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
        let mut descriptors = vec![PollFd::new(&self.descriptor, PollFlags::IN)];
        descriptors.extend(link.map(|link| PollFd::new(link, PollFlags::IN)));
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(0) => Wake::Timeout,
            Ok(_) if descriptors.get(1).is_some_and(|link| !link.revents().is_empty()) => Wake::Link,
            Ok(_) => self.read(),
            // A signal that is not blocked: look at the children.
            Err(_) => Wake::Child,
        }
    }

    pub fn readable(&self, link: &OwnedFd) -> bool {
        let mut descriptors = [PollFd::new(link, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut descriptors, Some(&now)).is_ok_and(|_| descriptors[0].revents().contains(PollFlags::IN))
    }

    fn read(&self) -> Wake {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0; SIZE];
        match rustix::io::read(&self.descriptor, &mut buffer) {
            // ssi_signo is the first field, 32 bits.
            Ok(SIZE) if buffer[..4] == (libc::SIGUSR1 as u32).to_ne_bytes() => Wake::Asked,
            _ => Wake::Child,
        }
    }
}
