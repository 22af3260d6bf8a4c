//! The mounts room of `Sys`. A file system is mounted by fsopen(2), whose descriptor carries the kernel's own words;
//! not every file system uses it, so the kernel's log is read as well.

use crate::error::{Result, SysError};
use crate::kmsg::Log;
use crate::mount_options::Options;
use crate::ops::{Call, Cancel, Emit, Ops};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::mount::{
    self, FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
};
use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

const MOUNT: &str = "mounts.mount";
/// Lines of the kernel that an error carries.
const DETAIL: usize = 10;
/// A child that hangs in the kernel may not even be killed; it is not waited for longer.
const BURIAL: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MountRequest {
    #[serde(rename = "type")]
    kind: String,
    source: String,
    target: String,
    options: Vec<String>,
    timeout_ms: Option<u64>,
}

/// A mount with everything allocated: what is left are system calls, so a forked child may do it.
struct Prepared {
    kind: CString,
    source: CString,
    target: CString,
    parameters: Vec<(CString, Option<CString>)>,
    attributes: MountAttrFlags,
    flags: MountFlags,
    data: CString,
}

impl Prepared {
    fn new(request: &MountRequest) -> std::result::Result<Self, std::ffi::NulError> {
        let options = Options::parse(&request.options);
        let parameters = options.parameters.into_iter();
        let parameters =
            parameters.map(|(name, value)| Ok((CString::new(name)?, value.map(CString::new).transpose()?)));
        Ok(Prepared {
            kind: CString::new(request.kind.as_str())?,
            source: CString::new(request.source.as_str())?,
            target: CString::new(request.target.as_str())?,
            parameters: parameters.collect::<std::result::Result<_, _>>()?,
            attributes: options.attributes,
            flags: options.flags,
            data: CString::new(options.own.join(","))?,
        })
    }

    /// Only system calls; `say` receives the kernel's messages.
    fn perform(&self, say: &mut dyn FnMut(&[u8])) -> rustix::io::Result<()> {
        // fsconfig(2) takes no more of a value: an overlay of many layers.
        let long =
            self.parameters.iter().any(|(_, value)| value.as_ref().is_some_and(|it| it.count_bytes() > 255));
        let context = match mount::fsopen(&*self.kind, FsOpenFlags::FSOPEN_CLOEXEC) {
            Ok(context) if !long => context,
            Ok(_) | Err(Errno::NOSYS) => {
                return mount::mount(
                    &*self.source,
                    &*self.target,
                    &*self.kind,
                    self.flags,
                    Some(&*self.data),
                );
            }
            Err(error) => return Err(error),
        };
        let done = self.with_context(context.as_fd());
        if done.is_err() {
            let mut message = [0; 1024];
            // One message a read, until ENODATA.
            while let Ok(length @ 1..) = rustix::io::read(&context, &mut message) {
                say(message[..length].trim_ascii_end());
            }
        }
        done
    }

    fn with_context(&self, context: std::os::fd::BorrowedFd) -> rustix::io::Result<()> {
        mount::fsconfig_set_string(context, c"source", &*self.source)?;
        for (name, value) in &self.parameters {
            match value {
                Some(value) => mount::fsconfig_set_string(context, &**name, &**value)?,
                None => mount::fsconfig_set_flag(context, &**name)?,
            }
        }
        mount::fsconfig_create(context)?;
        let mounted = mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, self.attributes)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        mount::move_mount(&mounted, c"", rustix::fs::CWD, &*self.target, flags)
    }
}

enum Failure {
    Refused(Errno),
    Late(u64),
    Cancelled,
}

/// A thread of its own: a disk that does not answer must not keep others from their mounts.
fn start(request: MountRequest, call: Call) {
    std::thread::spawn(move || {
        let result = run(&request, &call.cancel);
        call.reply.answer(result);
    });
}

fn run(request: &MountRequest, cancel: &Cancel) -> Result<()> {
    let subject = format!("{} ({}) on {}", request.source, request.kind, request.target);
    let prepared = Prepared::new(request)
        .map_err(|error| SysError::new("EINVAL", MOUNT, &subject, error.to_string()))?;
    // Without the log an error says less, and that is all.
    let log = Log::tail().ok();
    let mut said: Vec<String> = Vec::new();
    let done = match request.timeout_ms {
        None => prepared
            .perform(&mut |message| said.push(String::from_utf8_lossy(message).into_owned()))
            .map_err(Failure::Refused),
        Some(milliseconds) => in_child(&prepared, milliseconds, cancel, &mut said),
    };
    let Err(failure) = done else { return Ok(()) };
    // `e `, `w ` and `i ` begin the messages of a context.
    let mut detail: Vec<String> = said
        .iter()
        .map(|line| line.split_at_checked(2).map_or(line.as_str(), |(_, text)| text).to_owned())
        .collect();
    detail.extend(
        log.map(|log| log.read())
            .unwrap_or_default()
            .into_iter()
            .map(|line| line.text)
            .filter(|line| concerns(line, request)),
    );
    detail.truncate(DETAIL);
    let error = match failure {
        Failure::Refused(error) => SysError::os(MOUNT, subject, error),
        Failure::Late(milliseconds) => SysError::timeout(MOUNT, subject, milliseconds),
        Failure::Cancelled => SysError::aborted(MOUNT, subject),
    };
    Err(error.with_detail(detail))
}

/// Others write to the kernel's log meanwhile.
fn concerns(line: &str, request: &MountRequest) -> bool {
    let line = line.to_lowercase();
    let device = request.source.rsplit('/').next().unwrap_or_default().to_lowercase();
    let kind = match request.kind.as_str() {
        "vfat" | "msdos" => "fat-fs",
        "iso9660" => "isofs",
        "nfs" | "nfs4" => "nfs",
        other => other,
    };
    // What a driver says when it is loaded for this mount.
    let introduces = line.contains("register");
    !introduces && (line.contains(kind) || (device.len() > 1 && line.contains(&device)))
}

/// A mount that hangs cannot be interrupted in a thread.
fn in_child(
    prepared: &Prepared,
    milliseconds: u64,
    cancel: &Cancel,
    said: &mut Vec<String>,
) -> std::result::Result<(), Failure> {
    let refused = |error: std::io::Error| {
        Failure::Refused(Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let (output, theirs) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(Failure::Refused)?;
    let cancelled = cancel.descriptor().map_err(refused)?;
    // SAFETY: the child makes system calls only, on memory that was prepared, and ends by _exit.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(refused(std::io::Error::last_os_error())),
        0 => child(prepared, &theirs),
        pid => Pid::from_raw(pid).expect("fork returned a child"),
    };
    drop(theirs);
    let end = watch(&output, &cancelled, Duration::from_millis(milliseconds), cancel);
    if end.is_none() {
        // It may have ended in this very moment: its status decides.
        let _ = rustix::process::kill_process(child, Signal::KILL);
    }
    let text = end.unwrap_or_default();
    said.extend(String::from_utf8_lossy(&text).lines().map(str::to_owned));
    match bury(child) {
        Some(0) => Ok(()),
        Some(number) => Err(Failure::Refused(Errno::from_raw_os_error(number))),
        None if cancel.cancelled() => Err(Failure::Cancelled),
        None => Err(Failure::Late(milliseconds)),
    }
}

/// Its exit status is the errno. Signals have their defaults: the supervisor's child blocks none.
fn child(prepared: &Prepared, output: &OwnedFd) -> ! {
    let done = prepared.perform(&mut |message| {
        // The pipe holds more than the kernel says, and its reader waits.
        let _ = rustix::io::write(output, message);
        let _ = rustix::io::write(output, b"\n");
    });
    let status = done.err().map_or(0, Errno::raw_os_error);
    // SAFETY: _exit runs nothing of this process.
    unsafe { libc::_exit(status) }
}

/// What it said, until it closed the pipe; none when it was late or given up.
fn watch(output: &OwnedFd, cancelled: &OwnedFd, patience: Duration, cancel: &Cancel) -> Option<Vec<u8>> {
    let deadline = Instant::now() + patience;
    let mut text = Vec::new();
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()?;
        let mut ready = [PollFd::new(output, PollFlags::IN), PollFd::new(cancelled, PollFlags::IN)];
        match poll(&mut ready, Some(&left)) {
            Ok(0) => return None,
            Err(Errno::INTR) => continue,
            Err(_) => return None,
            Ok(_) if cancel.cancelled() => return None,
            Ok(_) => {}
        }
        let mut buffer = [0; 1024];
        match rustix::io::read(output, &mut buffer) {
            Ok(0) => return Some(text),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(_) => return None,
        }
    }
}

/// Its exit status; none when it was killed, or hangs on.
fn bury(child: Pid) -> Option<i32> {
    let process = rustix::process::pidfd_open(child, rustix::process::PidfdFlags::empty()).ok()?;
    // What hangs on is reaped by nobody until the engine ends.
    let ended = crate::terminal::wait(&process, PollFlags::IN, BURIAL).ok()?;
    if ended.is_empty() {
        return None;
    }
    let (_, status) = rustix::process::waitpid(Some(child), WaitOptions::NOHANG).ok()??;
    status.exit_status()
}

#[derive(Deserialize)]
struct Bind {
    source: String,
    target: String,
    #[serde(default)]
    options: Vec<String>,
}

fn bind(arguments: Bind, _: &Cancel, _: &Emit) -> Result<()> {
    let Bind { source, target, options } = arguments;
    let options = Options::parse(&options);
    let bind = || -> rustix::io::Result<()> {
        match options.recursive {
            true => mount::mount_bind_recursive(&source, &target)?,
            false => mount::mount_bind(&source, &target)?,
        }
        // The kernel ignores the flags of a new bind mount.
        match options.flags.is_empty() {
            true => Ok(()),
            false => mount::mount_remount(&target, options.flags | MountFlags::BIND, c""),
        }
    };
    bind().map_err(|error| SysError::os("mounts.bind", format!("{source} on {target}"), error))
}

#[derive(Deserialize)]
struct Remount {
    target: String,
    options: Vec<String>,
}

fn remount(arguments: Remount, _: &Cancel, _: &Emit) -> Result<()> {
    let options = Options::parse(&arguments.options);
    let flags = if options.bind { options.flags | MountFlags::BIND } else { options.flags };
    mount::mount_remount(&arguments.target, flags, options.own.join(","))
        .map_err(|error| SysError::os("mounts.remount", arguments.target, error))
}

#[derive(Deserialize)]
struct Move {
    source: String,
    target: String,
}

fn move_to(arguments: Move, _: &Cancel, _: &Emit) -> Result<()> {
    let Move { source, target } = arguments;
    mount::mount_move(&source, &target)
        .map_err(|error| SysError::os("mounts.move", format!("{source} to {target}"), error))
}

#[derive(Deserialize)]
struct Unmount {
    target: String,
    #[serde(default)]
    lazy: bool,
}

fn unmount(arguments: Unmount, _: &Cancel, _: &Emit) -> Result<()> {
    let flags = if arguments.lazy { UnmountFlags::DETACH } else { UnmountFlags::empty() };
    mount::unmount(&arguments.target, flags)
        .map_err(|error| SysError::os("mounts.unmount", arguments.target, error))
}

#[derive(Serialize, Debug, PartialEq)]
struct MountEntry {
    source: String,
    target: String,
    #[serde(rename = "type")]
    kind: String,
    options: Vec<String>,
    device: String,
}

#[derive(Deserialize)]
struct Nothing {}

fn list(_: Nothing, _: &Cancel, _: &Emit) -> Result<Vec<MountEntry>> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(path).map_err(|error| SysError::os("mounts.list", path, error))?;
    Ok(text.lines().filter_map(entry).collect())
}

/// proc(5): `36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`.
fn entry(line: &str) -> Option<MountEntry> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (device, target, options) = (mount.next()?, mount.nth(1)?, mount.next()?);
    let mut file_system = file_system.split(' ');
    let (kind, source, own) = (file_system.next()?, file_system.next()?, file_system.next()?);
    let mut options: Vec<String> = options.split(',').map(str::to_owned).collect();
    for option in own.split(',').filter(|option| *option != "rw" && *option != "ro") {
        options.push(unescape(option));
    }
    Some(MountEntry {
        source: unescape(source),
        target: unescape(target),
        kind: kind.to_owned(),
        options,
        device: device.to_owned(),
    })
}

/// Space, tab, newline and backslash are octal: `\040`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let octal = after.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn register(ops: &mut Ops) {
    ops.deferred(MOUNT, start);
    ops.pool("mounts.bind", bind);
    ops.pool("mounts.remount", remount);
    ops.pool("mounts.move", move_to);
    ops.pool("mounts.unmount", unmount);
    ops.pool("mounts.list", list);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        let line =
            r"36 35 98:0 /sub /mnt\040two rw,noatime shared:1 master:2 - ext3 /dev/a\134b rw,errors=continue";
        let found = entry(line).unwrap();
        assert_eq!((found.target.as_str(), found.source.as_str()), ("/mnt two", r"/dev/a\b"));
        assert_eq!((found.kind.as_str(), found.device.as_str()), ("ext3", "98:0"));
        assert_eq!(found.options, ["rw", "noatime", "errors=continue"]);
        assert_eq!(entry("garbage"), None);
    }

    #[test]
    fn a_driver_that_introduces_itself_says_nothing_of_a_mount() {
        let request = MountRequest {
            kind: "nfs".into(),
            source: "10.0.2.2:/srv".into(),
            target: "/mnt".into(),
            options: Vec::new(),
            timeout_ms: None,
        };
        assert!(concerns("NFS4: Couldn't follow remote path", &request));
        assert!(!concerns("RPC: Registered tcp NFSv4.1 backchannel transport module.", &request));
    }
}
