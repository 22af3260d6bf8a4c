//! How the machine ends: a reboot, a power-off, and what is left where not even recovering works.

use crate::protocol::Reboot;
use crate::terminal;
use std::time::Duration;

/// Does not return: where the kernel refuses, it says so and waits, as PID 1 must not exit.
pub fn end_machine(how: Reboot) -> ! {
    use rustix::system::{RebootCommand, reboot};
    rustix::fs::sync();
    let command = match how {
        Reboot::Reboot => RebootCommand::Restart,
        Reboot::Poweroff => RebootCommand::PowerOff,
    };
    loop {
        if let Err(error) = reboot(command) {
            terminal::print_everywhere(&format!("diskless: the kernel refuses to {how:?}: {error}"));
        }
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Where not even recovering works.
pub fn last_resort(text: &str, wait: Duration) -> ! {
    terminal::print_everywhere(&format!("{text}\ndiskless: rebooting in {} s", wait.as_secs()));
    std::thread::sleep(wait);
    end_machine(Reboot::Reboot)
}
