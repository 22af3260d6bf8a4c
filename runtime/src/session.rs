//! A program as the leader of a new session on a terminal, and the end of such a session.

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal};
use rustix::termios::{OptionalActions, Termios};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

pub struct Session {
    child: Child,
    terminal: OwnedFd,
    /// As it was: a program that is killed cannot put it back.
    settings: Option<Termios>,
}

/// Opened without waiting for a carrier, and then blocking, as programs expect it.
fn open(device: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(device, flags, Mode::empty())?;
    rustix::fs::fcntl_setfl(&terminal, OFlags::RDWR)?;
    Ok(terminal)
}

/// Starts `command` in a new session with this device as its controlling terminal and its three standard streams.
pub fn start(device: &str, mut command: Command) -> std::io::Result<Session> {
    let terminal = open(device)?;
    command.stdin(terminal.try_clone()?).stdout(terminal.try_clone()?).stderr(terminal.try_clone()?);
    let descriptor = terminal.as_raw_fd();
    // SAFETY: between fork and exec only system calls are made, on a descriptor that outlives the fork.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            // 1: taken from another session, if one has it.
            match libc::ioctl(descriptor, libc::TIOCSCTTY, 1) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let settings = rustix::termios::tcgetattr(&terminal).ok();
    Ok(Session { child: command.spawn()?, terminal, settings })
}

impl Session {
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Puts the terminal back as it was found.
    pub fn restore(&self) {
        if let Some(settings) = &self.settings {
            // A terminal that has gone needs no settings.
            let _ = rustix::termios::tcsetattr(&self.terminal, OptionalActions::Now, settings);
        }
    }
}

/// The processes of a session; field 6 of proc(5)'s stat, counted after the name, which may hold anything.
fn members(session: Pid) -> Vec<Pid> {
    let id = session.as_raw_nonzero().to_string();
    let member = |entry: std::io::Result<std::fs::DirEntry>| {
        let pid = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, after_name) = stat.rsplit_once(") ")?;
        let mut fields = after_name.split(' ');
        let alive = fields.next() != Some("Z");
        (alive && fields.nth(2) == Some(&id)).then(|| Pid::from_raw(pid))?
    };
    std::fs::read_dir("/proc").map(|entries| entries.filter_map(member).collect()).unwrap_or_default()
}

/// Kills everything in a session; a process may fork while we look, so look again.
pub fn kill(session: Pid) {
    for _ in 0..50 {
        let members = members(session);
        if members.is_empty() {
            return;
        }
        for pid in members {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}
