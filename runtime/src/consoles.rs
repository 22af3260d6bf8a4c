//! The consoles room of `Sys`. Writing never waits: each device has a buffer and a thread that empties it.

use crate::error::{Result, SysError};
use crate::kmsg::Log;
use crate::ops::{Cancel, Emit, Ops};
use crate::terminal::{self, Console};
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// What a device that takes nothing may keep waiting; then the oldest lines go.
const BUFFER: usize = 256 << 10;
/// Bytes a write: a slow line is not given more than it can take soon.
const CHUNK: usize = 4 << 10;
/// Nobody holds the other end (a virtio port): look again, as no event tells.
const HUNG_UP: Duration = Duration::from_secs(1);
/// Lines of the kernel's log that are answered at most.
const LOG_LINES: usize = 2000;

#[derive(Default)]
struct Buffer {
    bytes: VecDeque<u8>,
    writing: bool,
    /// The device failed: the next write opens it again.
    closed: bool,
}

impl Buffer {
    /// Drops whole lines, so that what follows is still readable.
    fn push(&mut self, text: &str) {
        self.bytes.extend(text.as_bytes());
        if self.bytes.len() > BUFFER {
            let excess = self.bytes.len() - BUFFER;
            let line_end = self.bytes.iter().skip(excess).position(|byte| *byte == b'\n');
            self.bytes.drain(..excess + line_end.map_or(0, |end| end + 1));
        }
    }
}

type Shared = Arc<(Mutex<Buffer>, Condvar)>;

static DEVICES: Mutex<Option<HashMap<String, Shared>>> = Mutex::new(None);

/// Empties one device's buffer until the device fails.
fn feed(path: &str, mut device: OwnedFd, shared: &Shared) {
    let (buffer, changed) = &**shared;
    // The end of a session hangs its terminal up, under us too: what is open fails, and can be opened anew.
    let mut reopened = false;
    loop {
        let mut locked = buffer.lock().expect("a panic aborts");
        locked.writing = false;
        changed.notify_all();
        while locked.bytes.is_empty() {
            locked = changed.wait(locked).expect("a panic aborts");
        }
        let length = locked.bytes.len().min(CHUNK);
        let chunk: Vec<u8> = locked.bytes.drain(..length).collect();
        locked.writing = true;
        drop(locked);
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            match terminal::write(&device, rest, HUNG_UP) {
                Ok(0) => std::thread::sleep(HUNG_UP),
                Ok(count) => {
                    rest = &rest[count..];
                    reopened = false;
                }
                Err(_) => {
                    if !reopened && let Ok(again) = terminal::open(path) {
                        (device, reopened) = (again, true);
                        continue;
                    }
                    let mut locked = buffer.lock().expect("a panic aborts");
                    *locked = Buffer { closed: true, ..Buffer::default() };
                    changed.notify_all();
                    return;
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Write {
    device: String,
    text: String,
}

fn write(arguments: Write) -> Result<()> {
    let Write { device, text } = arguments;
    let mut devices = DEVICES.lock().expect("a panic aborts");
    let devices = devices.get_or_insert_default();
    let known = devices.get(&device).filter(|shared| !shared.0.lock().expect("a panic aborts").closed);
    let shared = match known {
        Some(shared) => shared.clone(),
        None => {
            let opened = terminal::open(&device)
                .map_err(|error| SysError::os("consoles.write", device.as_str(), error))?;
            let shared = Shared::default();
            let theirs = shared.clone();
            let path = device.clone();
            std::thread::spawn(move || feed(&path, opened, &theirs));
            devices.insert(device, shared.clone());
            shared
        }
    };
    shared.0.lock().expect("a panic aborts").push(&text);
    shared.1.notify_all();
    Ok(())
}

/// Waits until what was written is out, before this process ends; no longer than `patience`.
pub fn flush(patience: Duration) {
    let deadline = Instant::now() + patience;
    let devices: Vec<Shared> = DEVICES
        .lock()
        .expect("a panic aborts")
        .iter()
        .flat_map(|devices| devices.values().cloned())
        .collect();
    for shared in devices {
        let left = deadline.saturating_duration_since(Instant::now());
        let locked = shared.0.lock().expect("a panic aborts");
        let busy = |buffer: &mut Buffer| !buffer.closed && (buffer.writing || !buffer.bytes.is_empty());
        drop(shared.1.wait_timeout_while(locked, left, busy).expect("a panic aborts"));
    }
}

#[derive(Deserialize)]
struct Nothing {}

fn list(_: Nothing, _: &Cancel, _: &Emit) -> Result<Vec<Console>> {
    terminal::list().map_err(|error| SysError::os("consoles.list", "/proc/consoles", error))
}

#[derive(Deserialize)]
struct Device {
    device: String,
}

fn idle(arguments: Device) -> Result<f64> {
    terminal::idle(&arguments.device)
        .map(|idle| idle.as_secs_f64() * 1e3)
        .map_err(|error| SysError::os("consoles.idle", arguments.device, error))
}

#[derive(Deserialize)]
struct Speed {
    device: String,
    baud: u32,
}

fn set_speed(arguments: Speed) -> Result<()> {
    terminal::set_speed(&arguments.device, arguments.baud)
        .map_err(|error| SysError::os("consoles.setSpeed", arguments.device, error))
}

#[derive(Deserialize)]
struct Since {
    /// Milliseconds since the kernel started.
    since: Option<f64>,
}

fn kernel_log(arguments: Since, _: &Cancel, _: &Emit) -> Result<Vec<String>> {
    let log = Log::whole().map_err(|error| SysError::os("consoles.kernelLog", "/dev/kmsg", error))?;
    let since = arguments.since.unwrap_or(0.0) * 1e3;
    let lines: Vec<String> = log
        .read()
        .iter()
        .filter(|line| line.microseconds as f64 >= since)
        .map(crate::kmsg::Line::shown)
        .collect();
    Ok(lines[lines.len().saturating_sub(LOG_LINES)..].to_vec())
}

#[derive(Deserialize)]
struct Keymap {
    path: String,
}

pub fn register(ops: &mut Ops) {
    ops.pool("consoles.list", list);
    ops.deferred("consoles.ask", crate::ask::ask);
    ops.pool("consoles.setKeymap", |it: Keymap, _, _| crate::keymap::set(&it.path));
    ops.inline("consoles.write", write);
    ops.inline("consoles.setSpeed", set_speed);
    ops.inline("consoles.idle", idle);
    ops.pool("consoles.kernelLog", kernel_log);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_buffer_drops_whole_lines_from_its_beginning() {
        let mut buffer = Buffer::default();
        let line = "x".repeat(999) + "\n";
        for _ in 0..400 {
            buffer.push(&line);
        }
        buffer.push("last\n");
        let bytes: Vec<u8> = buffer.bytes.into();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.len() <= BUFFER && text.len() > BUFFER - 2 * line.len());
        assert!(text.lines().rev().skip(1).all(|kept| kept.len() == 999));
        assert!(text.ends_with("last\n"));
    }

    #[test]
    fn writing_to_what_takes_nothing_returns_and_the_rest_comes_when_it_does() {
        let path = std::env::temp_dir().join(format!("diskless-fifo-{}", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // Both ends, so that opening for writing succeeds and nothing is read yet.
        let mut reader = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let device = path.to_str().unwrap().to_owned();
        let text = "0123456789abcde\n".repeat(8 << 10);
        write(Write { device, text: text.clone() }).unwrap();
        let mut read = vec![0; text.len()];
        std::io::Read::read_exact(&mut reader, &mut read).unwrap();
        assert_eq!(read, text.as_bytes());
        std::fs::remove_file(&path).unwrap();
    }
}
