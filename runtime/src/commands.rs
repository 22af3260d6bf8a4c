//! The commands of the emergency shell (`retry`, `log`, `plan`, `timeline`) and the socket by which they reach init.
//!
//! One connection a command: a line of JSON `{"argv":[…]}`, answered by a line `{"text":…,"status":…}`.

use crate::error::{Result, SysError};
use crate::ops::{Call, Ops};
use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

pub const NAMES: [&str; 4] = ["retry", "log", "plan", "timeline"];

const SOCKET: &str = "/run/diskless/shell.sock";
/// A command line is short.
const REQUEST_LIMIT: u64 = 64 << 10;
/// What a command may wait for init to be asked.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Serialize, Deserialize)]
struct Request {
    argv: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    text: String,
    status: i32,
}

/// The command itself; its exit status.
pub fn run(argv: Vec<String>) -> i32 {
    let name = argv[0].clone();
    match ask(Request { argv }) {
        Ok(answer) => {
            print!("{}", answer.text);
            if !answer.text.is_empty() && !answer.text.ends_with('\n') {
                println!();
            }
            answer.status
        }
        Err(_) if name == "retry" => {
            // init has died: PID 1 starts it again, and ends this shell.
            match rustix::process::kill_process(rustix::process::Pid::INIT, rustix::process::Signal::USR1) {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("retry: PID 1 cannot be asked: {error}");
                    1
                }
            }
        }
        Err(error) => {
            eprintln!(
                "{name}: init is not running ({error}); `retry` starts it again, `dmesg` has the kernel's log"
            );
            1
        }
    }
}

fn ask(request: Request) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(SOCKET)?;
    serde_json::to_writer(&stream, &request)?;
    stream.write_all(b"\n")?;
    Ok(serde_json::from_reader(stream)?)
}

#[derive(Default)]
struct Waiting {
    last: u32,
    streams: HashMap<u32, UnixStream>,
}

/// Connections that wait for `supervisor.answer`.
static WAITING: Mutex<Option<Waiting>> = Mutex::new(None);

fn with_waiting<T>(use_it: impl FnOnce(&mut Waiting) -> T) -> T {
    use_it(WAITING.lock().expect("a panic aborts").get_or_insert_default())
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Serialize)]
struct Command {
    id: u32,
    argv: Vec<String>,
}

/// A stream: one event a command, until it is cancelled.
fn commands(_: Nothing, call: Call) {
    let operation = "supervisor.commands";
    let failed = |error: std::io::Error| SysError::os(operation, SOCKET, error);
    let begin = || Ok((listen().map_err(failed)?, call.cancel.descriptor().map_err(failed)?));
    let (listener, cancelled) = match begin() {
        Ok(begun) => begun,
        Err(error) => return call.reply.answer::<()>(Err(error)),
    };
    std::thread::spawn(move || {
        loop {
            let mut ready = [PollFd::new(&listener, PollFlags::IN), PollFd::new(&*cancelled, PollFlags::IN)];
            let polled = poll(&mut ready, None);
            if call.cancel.cancelled() {
                return call.reply.answer::<()>(Err(SysError::aborted(operation, SOCKET)));
            }
            match polled {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return call.reply.answer::<()>(Err(SysError::os(operation, SOCKET, error))),
            }
            // Who connects and does not ask within the patience is let go.
            if let Ok((id, argv)) = listener.accept().and_then(|(stream, _)| read(stream)) {
                call.emit.event(&Command { id, argv });
            }
        }
    });
}

fn listen() -> std::io::Result<UnixListener> {
    if let Some(directory) = Path::new(SOCKET).parent() {
        std::fs::create_dir_all(directory)?;
    }
    match std::fs::remove_file(SOCKET) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(SOCKET)?;
    std::fs::set_permissions(SOCKET, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn read(stream: UnixStream) -> std::io::Result<(u32, Vec<String>)> {
    stream.set_read_timeout(Some(REQUEST_PATIENCE))?;
    stream.set_write_timeout(Some(REQUEST_PATIENCE))?;
    let mut line = String::new();
    BufReader::new((&stream).take(REQUEST_LIMIT)).read_line(&mut line)?;
    let request: Request = serde_json::from_str(&line)?;
    let id = with_waiting(|waiting| {
        waiting.last += 1;
        waiting.streams.insert(waiting.last, stream);
        waiting.last
    });
    Ok((id, request.argv))
}

#[derive(Deserialize)]
struct ToAnswer {
    id: u32,
    #[serde(flatten)]
    answer: Answer,
}

fn answer(arguments: ToAnswer, _: &crate::ops::Cancel, _: &crate::ops::Emit) -> Result<()> {
    let operation = "supervisor.answer";
    let stream = with_waiting(|waiting| waiting.streams.remove(&arguments.id))
        .ok_or_else(|| SysError::new("ENOENT", operation, SOCKET, "no command waits for this answer"))?;
    // A command that was interrupted needs no answer any more.
    match serde_json::to_vec(&arguments.answer).map(|line| (&stream).write_all(&line)) {
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(SysError::os(operation, SOCKET, error))
        }
        _ => Ok(()),
    }
}

pub fn register(ops: &mut Ops) {
    ops.deferred("supervisor.commands", commands);
    ops.pool("supervisor.answer", answer);
}
