//! The engine's end of the link to the supervisor: the supervisor room of `Sys`, and the engine's last words.

use crate::consoles;
use crate::error::{Result, SysError};
use crate::ops::{Call, Ops};
use crate::protocol::{self, Handoff, Policy, Reboot, Refused, ToSupervisor};
use serde::Deserialize;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::Duration;

/// How long the end waits for slow consoles.
pub const PATIENCE: Duration = Duration::from_millis(500);

static LINK: OnceLock<OwnedFd> = OnceLock::new();

/// Called once, in the engine's process, before anything else there.
pub fn connect(link: OwnedFd) {
    let connected = LINK.set(link);
    assert!(connected.is_ok(), "an engine has one supervisor");
}

fn tell(operation: &str, message: &ToSupervisor) -> Result<()> {
    match LINK.get() {
        Some(link) => {
            protocol::send(link, message).map_err(|error| SysError::os(operation, "supervisor", error))
        }
        None => Err(SysError::new("ENOTCONN", operation, "supervisor", "this engine runs without one")),
    }
}

/// How an engine ends: what JavaScript still had to say, then why. Not for a panic, which may hold a lock.
pub fn end(text: &str) -> ! {
    consoles::flush(PATIENCE);
    fatal(text);
    std::process::exit(crate::EX_SOFTWARE)
}

/// The last words of an engine: told to the supervisor, or printed where there is none.
pub fn fatal(text: &str) {
    if tell("fatal", &ToSupervisor::Fatal(protocol::cut(text))).is_err() {
        eprintln!("{text}");
    }
}

/// A panic of the host itself aborts; this tells what and where before.
pub fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let what = panic.payload_as_str().unwrap_or("without a message");
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        fatal(&format!("init's host panicked{place} (thread {thread}): {what}"));
    }));
}

/// `diskless.debug` on the kernel's command line: failures show stacks.
pub fn debugging() -> bool {
    crate::cmdline::has("diskless.debug")
}

/// Without a supervisor (tests) there is nobody to note anything.
fn set_policy(policy: Policy) -> Result<()> {
    LINK.get().map_or(Ok(()), |_| {
        tell("supervisor.setPolicy", &ToSupervisor::Policy(policy))?;
        crate::crash::if_asked();
        Ok(())
    })
}

#[derive(Deserialize)]
struct Note {
    text: String,
}

fn note(note: Note) -> Result<()> {
    LINK.get().map_or(Ok(()), |_| tell("supervisor.note", &ToSupervisor::Note(protocol::cut(&note.text))))
}

/// The supervisor either refuses, or ends this process: what is still to be printed goes out before.
fn handoff(handoff: Handoff, call: Call) {
    let operation = "supervisor.handoff";
    std::thread::spawn(move || {
        consoles::flush(PATIENCE);
        let told = tell(operation, &ToSupervisor::Handoff(handoff));
        let error = told.err().unwrap_or_else(|| match LINK.get().map(protocol::receive::<Refused>) {
            Some(Ok(Some(refused))) => {
                SysError::new(&refused.code, operation, refused.subject, refused.message)
            }
            Some(Err(error)) => SysError::os(operation, "supervisor", error),
            Some(Ok(None)) | None => SysError::new("EPIPE", operation, "supervisor", "it is gone"),
        });
        call.reply.answer::<()>(Err(error));
    });
}

#[derive(Deserialize)]
struct How {
    how: Reboot,
}

/// Never answers: the supervisor ends this process, then the machine.
fn reboot(how: How, call: Call) {
    std::thread::spawn(move || {
        consoles::flush(PATIENCE);
        match tell("supervisor.reboot", &ToSupervisor::Reboot(how.how)) {
            Err(error) => call.reply.answer::<()>(Err(error)),
            // Kept, not dropped: a dropped reply would be an answer.
            Ok(()) => std::mem::forget(call),
        }
    });
}

pub fn register(ops: &mut Ops) {
    ops.inline("supervisor.setPolicy", set_policy);
    ops.inline("supervisor.note", note);
    ops.deferred("supervisor.handoff", handoff);
    ops.deferred("supervisor.reboot", reboot);
}
