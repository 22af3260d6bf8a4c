//! The clock room: the kernel's clocks, and the timers of the JavaScript thread.

use crate::error::{Result, SysError};
use crate::ops::{Call, Ops, Reply};
use rustix::time::{ClockId, Timespec, clock_gettime, clock_settime};
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

fn milliseconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Milliseconds since the kernel started.
pub fn now() -> f64 {
    milliseconds(ClockId::Boottime)
}

static STARTED: OnceLock<f64> = OnceLock::new();

/// When this program's main began, by `now`. An engine is a fork of PID 1 and has PID 1's.
pub fn started() -> f64 {
    *STARTED.get_or_init(now)
}

/// Milliseconds since 1970.
pub fn wall() -> f64 {
    milliseconds(ClockId::Realtime)
}

/// In [0, 1). Before the kernel has entropy the clock stands in: this is for jitter only.
pub fn random() -> f64 {
    let mut bytes = [0; 8];
    let flags = rustix::rand::GetRandomFlags::INSECURE;
    if rustix::rand::getrandom(&mut bytes, flags).is_err() {
        bytes = now().to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    }
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}

/// Nanoseconds since the kernel started, and a number to tell equal ones apart.
type Due = (u64, u64);

#[derive(Default)]
struct Timers {
    waiting: BTreeMap<Due, Reply>,
    count: u64,
}

thread_local! {
    /// Sleeps of the JavaScript thread. Calls start, end and are cancelled there.
    static TIMERS: RefCell<Timers> = RefCell::default();
}

fn nanoseconds() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Answers the sleeps whose time has come; says how long until the next one.
pub fn fire() -> Option<Duration> {
    loop {
        let now = nanoseconds();
        let due = TIMERS.with_borrow_mut(|timers| match timers.waiting.first_key_value() {
            Some((due, _)) if due.0 <= now => Ok(timers.waiting.pop_first()),
            Some((due, _)) => Err(Some(Duration::from_nanos(due.0 - now))),
            None => Err(None),
        });
        match due {
            Ok(Some((_, reply))) => reply.answer(Ok(())),
            Ok(None) => return None,
            Err(next) => return next,
        }
    }
}

#[derive(Deserialize)]
struct Milliseconds {
    milliseconds: f64,
}

fn sleep(arguments: Milliseconds, call: Call) {
    let wait = (arguments.milliseconds.max(0.0) * 1e6).min(1e18) as u64;
    let due = TIMERS.with_borrow_mut(|timers| {
        timers.count += 1;
        let due = (nanoseconds() + wait, timers.count);
        timers.waiting.insert(due, call.reply);
        due
    });
    call.cancel.on_cancel(move || {
        if let Some(reply) = TIMERS.with_borrow_mut(|timers| timers.waiting.remove(&due)) {
            reply.answer::<()>(Err(SysError::aborted("clock.sleep", "sleep")));
        }
    });
}

fn set_wall(arguments: Milliseconds) -> Result<()> {
    let milliseconds = arguments.milliseconds;
    let time = Timespec {
        tv_sec: (milliseconds / 1e3).floor() as i64,
        tv_nsec: ((milliseconds.rem_euclid(1e3)) * 1e6) as i64,
    };
    clock_settime(ClockId::Realtime, time)
        .map_err(|error| SysError::os("clock.setWall", format!("{milliseconds} ms since 1970"), error))
}

pub fn register(ops: &mut Ops) {
    ops.deferred("clock.sleep", sleep);
    ops.inline("clock.setWall", set_wall);
}
