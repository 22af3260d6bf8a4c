//! Time that goes on while the machine is suspended, as leases do; and chance.

use rustix::time::{ClockId, clock_gettime};

/// Milliseconds since the kernel started (CLOCK_BOOTTIME), as init's `clock.now`.
pub fn now() -> f64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec as f64 * 1000.0 + time.tv_nsec as f64 / 1e6
}

/// In [0, 1).
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    // Early in a boot there may be none: then all machines are alike, and nothing is wrong but the crowd.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK);
    f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}
