//! One alarm, by the clock that counts suspended time too (timerfd_create(2)).

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Result;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

pub struct Timer(OwnedFd);

impl Timer {
    pub fn new() -> Result<Self> {
        Ok(Timer(timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?))
    }

    /// `at`: milliseconds of `clock::now`; None: never.
    pub fn set(&self, at: Option<f64>) -> Result<()> {
        // Zero would disarm it.
        let at = at.map_or(0, |at| at.clamp(0.0, 1e15) as i64 + 1);
        let value = Timespec { tv_sec: at / 1000, tv_nsec: at % 1000 * 1_000_000 };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &once).map(drop)
    }

    pub fn read(&self) {
        // Nothing to read: it was set anew meanwhile.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
