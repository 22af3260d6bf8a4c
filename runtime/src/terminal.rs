//! The machine's consoles: which there are, writing that never hangs, and when somebody last typed.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use serde::Serialize;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

/// `Console` of `Sys`.
#[derive(Serialize, Debug, PartialEq)]
pub struct Console {
    pub device: String,
    pub screen: bool,
    pub preferred: bool,
}

/// /proc/consoles: `ttyS0 -W- (EC p a) 4:64`. C is the one that /dev/console leads to; what has no device number
/// (a boot console, netconsole) cannot be opened.
pub fn parse(text: &str) -> Vec<Console> {
    let console = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let (_, rest) = rest.split_once('(')?;
        let (flags, device) = rest.split_once(')')?;
        device.trim().split_once(':')?;
        let number = name.strip_prefix("tty").unwrap_or_default();
        Some(Console {
            device: format!("/dev/{name}"),
            screen: !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
            preferred: flags.contains('C'),
        })
    };
    text.lines().filter_map(console).collect()
}

pub fn list() -> std::io::Result<Vec<Console>> {
    Ok(parse(&std::fs::read_to_string("/proc/consoles")?))
}

/// For writing; never becomes the controlling terminal and never blocks.
pub fn open(device: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::open(device, flags, Mode::empty())
}

/// Writes as much as the device takes within `patience`; a serial line with flow control may take nothing.
pub fn write(terminal: &OwnedFd, mut bytes: &[u8], patience: Duration) -> rustix::io::Result<usize> {
    let (whole, deadline) = (bytes.len(), Instant::now() + patience);
    while !bytes.is_empty() {
        match rustix::io::write(terminal, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || wait(terminal, PollFlags::OUT, left)?.contains(PollFlags::HUP) {
                    break;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(whole - bytes.len())
}

/// A terminal's settings for a while: put back when this goes.
pub struct Settings {
    terminal: OwnedFd,
    before: Termios,
}

impl Settings {
    /// What was typed before is forgotten. None: it is no terminal.
    pub fn change(
        terminal: impl AsFd,
        change: impl FnOnce(&mut Termios),
    ) -> rustix::io::Result<Option<Self>> {
        let Ok(before) = tcgetattr(&terminal) else { return Ok(None) };
        let mut settings = before.clone();
        change(&mut settings);
        tcsetattr(&terminal, OptionalActions::Flush, &settings)?;
        let terminal = rustix::io::fcntl_dupfd_cloexec(&terminal, 3)?;
        Ok(Some(Settings { terminal, before }))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        // A terminal that has gone needs no settings.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What it became ready for; nothing when the patience ended first.
pub fn wait(descriptor: &OwnedFd, events: PollFlags, patience: Duration) -> rustix::io::Result<PollFlags> {
    let timeout = Timespec::try_from(patience).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    let mut ready = [PollFd::new(descriptor, events)];
    match poll(&mut ready, Some(&timeout)) {
        Ok(_) => Ok(ready[0].revents()),
        Err(rustix::io::Errno::INTR) => Ok(PollFlags::empty()),
        Err(error) => Err(error),
    }
}

/// Bits a second, both ways, for whoever opens it later, too: a serial line keeps its settings when it is closed.
pub fn set_speed(device: &str, baud: u32) -> rustix::io::Result<()> {
    let terminal = open(device)?;
    let mut settings = tcgetattr(&terminal)?;
    settings.set_speed(baud)?;
    tcsetattr(&terminal, OptionalActions::Now, &settings)
}

/// Since somebody typed: reading a terminal sets its atime, to within eight seconds. A clock set back counts as now.
pub fn idle(device: &str) -> std::io::Result<Duration> {
    let typed = std::fs::metadata(device)?.accessed()?;
    Ok(SystemTime::now().duration_since(typed).unwrap_or_default())
}

/// A message for whoever may be watching, on every console. There is nobody to tell of a console that fails.
pub fn print_everywhere(text: &str) {
    let text = format!("{}\n", text.trim_end());
    let consoles = list().unwrap_or_default();
    let mut devices: Vec<&str> = consoles.iter().map(|console| console.device.as_str()).collect();
    if devices.is_empty() {
        devices.push("/dev/console");
    }
    let written = devices
        .iter()
        .filter_map(|device| open(device).ok())
        .filter_map(|terminal| write(&terminal, text.as_bytes(), Duration::from_secs(2)).ok())
        .count();
    if written == 0 {
        eprint!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_outlasts_whoever_set_it() {
        let terminal = rustix::pty::openpt(rustix::pty::OpenptFlags::RDWR).unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap();
        set_speed(name.to_str().unwrap(), 115_200).unwrap();
        assert_eq!(tcgetattr(&terminal).unwrap().output_speed(), 115_200);
        assert_eq!(set_speed("/dev/null", 9600), Err(rustix::io::Errno::NOTTY));
    }

    #[test]
    fn consoles_as_the_kernel_lists_them() {
        let text = "tty0                 -WU (E  p  )    4:1\n\
                    ttyS0                -W- (EC p a)    4:64\n\
                    hvc0                 -W- (E  p  )  229:0\n\
                    netcon0              -W- (E     )\n";
        let console = |device: &str, screen, preferred| Console { device: device.into(), screen, preferred };
        assert_eq!(
            parse(text),
            [
                console("/dev/tty0", true, false),
                console("/dev/ttyS0", false, true),
                console("/dev/hvc0", false, false)
            ]
        );
        assert_eq!(parse("garbage\n\n("), []);
    }
}
