//! The processes room of `Sys`: programs run to their end, and programs on a console.

use crate::error::{Result, SysError};
use crate::ops::{Call, Cancel, Ops};
use crate::session::{self, Session};
use crate::spawn::{Program, spawn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The end of a program's output says why it failed.
const OUTPUT: usize = 64 << 10;
/// Lines of it that an error carries.
const OUTPUT_LINES: usize = 10;
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunRequest {
    argv: Vec<String>,
    root: Option<String>,
    directory: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    input: Option<String>,
    timeout_ms: u64,
}

#[derive(Serialize)]
struct RunResult {
    status: i32,
    output: String,
}

const RUN: &str = "processes.run";

/// A thread of its own each: a script may take minutes.
fn run(request: RunRequest, call: Call) {
    std::thread::spawn(move || {
        let result = run_to_end(&request, &call.cancel);
        call.reply.answer(result);
    });
}

fn run_to_end(request: &RunRequest, cancel: &Cancel) -> Result<RunResult> {
    let program = request.argv.first().map_or("", String::as_str);
    let failed = |error: std::io::Error| SysError::os(RUN, program, error);
    let (output, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| SysError::os(RUN, program, error))?;
    let pid = start(request, &theirs)?;
    // A copy of the pipe's end would keep the pipe open.
    drop(theirs);
    let mut tail = Tail::default();
    match watch(pid, &output, &mut tail, request.timeout_ms, cancel) {
        Ok(status) => Ok(RunResult { status, output: tail.text() }),
        Err(error) => {
            // Gone already, if the error came after its end.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
            Err(match error {
                Stopped::Cancelled => SysError::aborted(RUN, program),
                Stopped::Late => {
                    SysError::timeout(RUN, program, request.timeout_ms).with_detail(tail.lines())
                }
                Stopped::Failed(error) => failed(error),
            })
        }
    }
}

fn start(request: &RunRequest, output: &OwnedFd) -> Result<Pid> {
    let Some(name) = request.argv.first() else {
        return Err(SysError::new("EINVAL", RUN, "argv", "it is empty"));
    };
    let subject = || request.root.as_ref().map_or(name.clone(), |root| format!("{name} in {root}"));
    if let Some(root) = request.root.as_ref().filter(|root| !Path::new(root).is_dir()) {
        return Err(SysError::new("ENOENT", RUN, root, "the root to run in is not a directory"));
    }
    let input = match &request.input {
        None => File::open("/dev/null").map(OwnedFd::from),
        Some(text) => in_memory(text),
    };
    let input = input.map_err(|error| SysError::os(RUN, "input", error))?;
    let text = |text: &str| {
        CString::new(text).map_err(|_| SysError::new("EINVAL", RUN, subject(), "a text contains a NUL"))
    };
    let path = found(name, request).ok_or_else(|| SysError::os(RUN, subject(), Errno::NOENT))?;
    let root = request.root.as_deref().map(text).transpose()?;
    let mut environment = BTreeMap::from([("PATH", PATH)]);
    environment.extend(request.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let program = Program {
        path: &text(&path)?,
        argv: &request.argv.iter().map(|word| text(word)).collect::<Result<Vec<_>>>()?,
        environment: &environment
            .iter()
            .map(|(name, value)| text(&format!("{name}={value}")))
            .collect::<Result<Vec<_>>>()?,
        root: root.as_deref(),
        directory: &text(request.directory.as_deref().unwrap_or("/"))?,
        input: input.as_fd(),
        output: output.as_fd(),
    };
    spawn(&program).map_err(|errno| SysError::os(RUN, subject(), errno))
}

/// A path as it is; a name by the PATH that the program gets, in its root.
fn found(name: &str, request: &RunRequest) -> Option<String> {
    if name.contains('/') {
        return Some(name.to_owned());
    }
    let root = request.root.as_deref().unwrap_or("");
    let directories = request.environment.get("PATH").map_or(PATH, String::as_str).split(':');
    let paths = directories.map(|directory| format!("{directory}/{name}"));
    paths.into_iter().find(|path| Path::new(&format!("{root}{path}")).is_file())
}

/// A file that is nowhere: no pipe that somebody would have to fill.
fn in_memory(text: &str) -> std::io::Result<OwnedFd> {
    let file = rustix::fs::memfd_create("input", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut bytes = text.as_bytes();
    while !bytes.is_empty() {
        let count = rustix::io::write(&file, bytes)?;
        bytes = &bytes[count..];
    }
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    Ok(file)
}

enum Stopped {
    Cancelled,
    Late,
    Failed(std::io::Error),
}

impl<E: Into<std::io::Error>> From<E> for Stopped {
    fn from(error: E) -> Self {
        Stopped::Failed(error.into())
    }
}

/// Reads until the program itself has ended: a daemon that it left behind may hold the pipe for ever.
fn watch(
    pid: Pid,
    output: &OwnedFd,
    tail: &mut Tail,
    timeout_ms: u64,
    cancel: &Cancel,
) -> std::result::Result<i32, Stopped> {
    rustix::io::ioctl_fionbio(output, true)?;
    let (process, cancelled) = (rustix::process::pidfd_open(pid, PidfdFlags::empty())?, cancel.descriptor()?);
    let deadline = Instant::now() + Duration::from_millis(timeout_ms);
    let mut open = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = rustix::event::Timespec::try_from(left).map_err(std::io::Error::other)?;
        let mut ready = vec![PollFd::new(&process, PollFlags::IN), PollFd::new(&*cancelled, PollFlags::IN)];
        ready.extend(open.then(|| PollFd::new(output, PollFlags::IN)));
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) => return Err(Stopped::Late),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ended = !ready[0].revents().is_empty();
        open = open && tail.fill(output)?;
        if ended {
            let status = rustix::process::waitpid(Some(pid), WaitOptions::empty())?;
            return Ok(status.map_or(0, |(_, status)| code(status)));
        }
        if cancel.cancelled() {
            return Err(Stopped::Cancelled);
        }
    }
}

/// As a shell counts it.
fn code(status: WaitStatus) -> i32 {
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0))
}

/// The last bytes of an output.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    /// Takes what is there; false at the end. No more than the pipe held, or a writer without end would keep us.
    fn fill(&mut self, output: &OwnedFd) -> std::io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            match rustix::io::read(output, &mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.0.extend(&buffer[..count]);
                    self.0.drain(..self.0.len().saturating_sub(OUTPUT));
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn text(&self) -> String {
        let (one, other) = self.0.as_slices();
        String::from_utf8_lossy(&[one, other].concat()).into_owned()
    }

    fn lines(&self) -> Vec<String> {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(OUTPUT_LINES)..].iter().map(|line| (*line).to_owned()).collect()
    }
}

#[derive(Default)]
struct Sessions {
    last: u32,
    open: HashMap<u32, std::sync::Arc<Session>>,
}

static SESSIONS: Mutex<Option<Sessions>> = Mutex::new(None);

fn with_sessions<T>(use_them: impl FnOnce(&mut Sessions) -> T) -> T {
    use_them(SESSIONS.lock().expect("a panic aborts").get_or_insert_default())
}

#[derive(Deserialize)]
struct OnConsole {
    device: String,
    argv: Vec<String>,
    environment: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct SessionId {
    session: u32,
}

fn on_console(request: OnConsole, _: &Cancel, _: &crate::ops::Emit) -> Result<SessionId> {
    let operation = "processes.onConsole";
    let Some((program, arguments)) = request.argv.split_first() else {
        return Err(SysError::new("EINVAL", operation, "argv", "it is empty"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", PATH).envs(&request.environment).current_dir("/");
    let started = session::start(&request.device, command)
        .map_err(|error| SysError::os(operation, format!("{program} on {}", request.device), error))?;
    let session = with_sessions(|sessions| {
        sessions.last += 1;
        sessions.open.insert(sessions.last, started.into());
        sessions.last
    });
    Ok(SessionId { session })
}

fn session_of(operation: &str, id: &SessionId) -> Result<std::sync::Arc<Session>> {
    let session = with_sessions(|sessions| sessions.open.get(&id.session).cloned());
    session.ok_or_else(|| SysError::new("ENOENT", operation, id.session.to_string(), "no such session"))
}

#[derive(Serialize)]
struct Ended {
    status: i32,
}

/// Answered once, when the session's leader has ended; the rest of its session ends with it.
fn session_ended(id: SessionId, call: Call) {
    let operation = "processes.sessionEnded";
    std::thread::spawn(move || {
        call.reply.answer(session_of(operation, &id).and_then(|session| {
            let status = rustix::process::waitpid(Some(session.pid()), WaitOptions::empty())
                .map_err(|error| SysError::os(operation, id.session.to_string(), error))?;
            session::kill(session.pid());
            session.restore();
            with_sessions(|sessions| sessions.open.remove(&id.session));
            Ok(Ended { status: status.map_or(0, |(_, status)| code(status)) })
        }));
    });
}

/// No error when it has ended already.
fn session_close(id: SessionId, _: &Cancel, _: &crate::ops::Emit) -> Result<()> {
    if let Ok(session) = session_of("processes.sessionClose", &id) {
        session::kill(session.pid());
    }
    Ok(())
}

pub fn register(ops: &mut Ops) {
    ops.deferred("processes.run", run);
    ops.pool("processes.onConsole", on_console);
    ops.deferred("processes.sessionEnded", session_ended);
    ops.pool("processes.sessionClose", session_close);
}
