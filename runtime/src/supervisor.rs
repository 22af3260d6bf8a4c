//! PID 1: a small parent of the engine. It reaps, knows what was being done, and does what must be done when the
//! engine is gone: the handoff, or the message and then a shell, another try, a reboot. It never exits.
//!
//! One thread, so that forking an engine is safe, and because the kernel's own threads share PID 1's root.

use crate::ending::{end_machine, last_resort};
use crate::protocol::{self, Action, Handoff, Policy, Reboot, ToSupervisor};
use crate::session::{self, Session};
use crate::signals::{Signals, Wake};
use crate::{bundle, cmdline, engine, handoff, link, shell, terminal};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::{Duration, Instant};

/// An engine that dies again and again by itself: after so many deaths the machine starts afresh.
const DEATHS: u32 = 20;
/// How long after the n-th death at least; doubled up to a minute.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How an engine ended.
enum End {
    Died(String),
    Handoff(Handoff),
    Reboot(Reboot),
}

struct Supervisor {
    signals: Signals,
    policy: Option<Policy>,
    note: String,
    /// Deaths since a person last asked for another try.
    deaths: u32,
}

/// Whether what ended the wait was a person.
#[derive(PartialEq)]
enum Again {
    Asked,
    ByItself,
}

pub fn run() -> ! {
    let signals = match Signals::take() {
        Ok(signals) => signals,
        Err(error) => last_resort(&format!("diskless: no signals: {error}"), Duration::from_secs(30)),
    };
    let mut supervisor = Supervisor { signals, policy: None, note: "starting".to_owned(), deaths: 0 };
    loop {
        let text = match supervisor.run_engine() {
            Ok(End::Handoff(handoff)) => supervisor.hand_over(&handoff),
            Ok(End::Reboot(how)) => end_machine(how),
            Ok(End::Died(text)) => text,
            Err(error) => format!("the engine cannot be started: {error}"),
        };
        if supervisor.recover(&text) == Again::Asked {
            supervisor.deaths = 0;
        }
        terminal::print_everywhere("diskless: starting init again");
    }
}

impl Supervisor {
    fn run_engine(&mut self) -> std::io::Result<End> {
        let (ours, theirs) = protocol::pair()?;
        // SAFETY: this process has one thread, so the child may go on as if nothing had happened.
        let pid = match unsafe { libc::fork() } {
            -1 => return Err(std::io::Error::last_os_error()),
            0 => {
                drop(ours);
                run_child(theirs)
            }
            pid => Pid::from_raw(pid).expect("fork returned a child"),
        };
        drop(theirs);
        Ok(self.watch(pid, &ours))
    }

    /// Until the engine has ended, or asked to be. What it told comes before its death.
    fn watch(&mut self, engine: Pid, link: &OwnedFd) -> End {
        let (mut words, mut open, mut status) = (None, true, None);
        loop {
            if let Some(status) = status
                && !(open && self.signals.readable(link))
            {
                return End::Died(self.obituary(words, status));
            }
            match self.signals.wait(open.then_some(link), None) {
                Wake::Link => {}
                Wake::Child => {
                    let ended = reap().into_iter().find(|(pid, _)| *pid == engine);
                    status = status.or(ended.map(|(_, status)| status));
                    continue;
                }
                Wake::Asked | Wake::Timeout => continue,
            }
            match protocol::receive(link) {
                Ok(Some(ToSupervisor::Policy(policy))) => self.policy = Some(policy),
                Ok(Some(ToSupervisor::Note(note))) => self.note = note,
                Ok(Some(ToSupervisor::Fatal(text))) => words = Some(text),
                Ok(Some(ToSupervisor::Reboot(how))) => {
                    stop(engine);
                    return End::Reboot(how);
                }
                Ok(Some(ToSupervisor::Handoff(handoff))) => match handoff::check(&handoff) {
                    Ok(()) => {
                        stop(engine);
                        return End::Handoff(handoff);
                    }
                    // An engine that is gone is noticed above.
                    Err(refused) => drop(protocol::send(link, &refused)),
                },
                Ok(None) => open = false,
                Err(error) => {
                    terminal::print_everywhere(&format!(
                        "diskless: what init tells is not understood: {error}"
                    ));
                    open = false;
                }
            }
        }
    }

    fn obituary(&self, words: Option<String>, status: WaitStatus) -> String {
        let how = describe(status);
        let what = match words {
            Some(words) => words,
            None => format!("init died without a word: {how}"),
        };
        format!("{what}\n  while: {}", self.note)
    }

    fn hand_over(&mut self, handoff: &Handoff) -> String {
        self.signals.release();
        let text = handoff::perform(handoff, self.policy().action);
        match Signals::take() {
            Ok(signals) => self.signals = signals,
            Err(error) => last_resort(&format!("{text}\n  and no signals: {error}"), Duration::from_secs(30)),
        }
        text
    }

    fn policy(&self) -> Policy {
        self.policy.clone().unwrap_or_else(cmdline::policy)
    }

    /// Says what happened, and returns when the engine shall start again.
    fn recover(&mut self, text: &str) -> Again {
        self.deaths += 1;
        handoff::mount_essentials();
        let policy = self.policy();
        terminal::print_everywhere(&format!("\ndiskless: {text}"));
        rustix::fs::sync();
        let pause = FIRST_PAUSE.saturating_mul(1 << (self.deaths - 1).min(6)).min(LONGEST_PAUSE);
        let told = Duration::from_millis(policy.delay_ms);
        if self.deaths >= DEATHS {
            let text = format!("diskless: that was the {DEATHS}th time: rebooting in 60 s");
            terminal::print_everywhere(&text);
            self.pause(LONGEST_PAUSE);
            end_machine(Reboot::Reboot);
        }
        match policy.action {
            Action::Reboot => {
                terminal::print_everywhere(&format!("diskless: rebooting in {} s", told.as_secs_f64()));
                if self.pause(told) == Again::Asked {
                    return Again::Asked;
                }
                end_machine(Reboot::Reboot)
            }
            Action::Retry => {
                let wait = told.max(pause);
                terminal::print_everywhere(&format!("diskless: trying again in {} s", wait.as_secs_f64()));
                self.pause(wait)
            }
            Action::Shell => self.shells(&policy, pause),
        }
    }

    /// A deadline that SIGUSR1 cuts short.
    fn pause(&mut self, wait: Duration) -> Again {
        let deadline = Instant::now() + wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.signals.wait(None, Some(left)) {
                Wake::Asked => return Again::Asked,
                Wake::Timeout => return Again::ByItself,
                Wake::Child | Wake::Link => drop(reap()),
            }
        }
    }

    /// A shell on every console that the policy names, until one is left, `retry` is typed, or nobody types.
    fn shells(&mut self, policy: &Policy, pause: Duration) -> Again {
        let mut devices = policy.consoles.clone();
        if devices.is_empty() {
            let consoles = terminal::list().unwrap_or_default();
            devices.extend(
                consoles.into_iter().filter(|console| console.preferred).map(|console| console.device),
            );
        }
        if devices.is_empty() {
            devices.push("/dev/console".to_owned());
        }
        let mut open: Vec<(String, Session)> = Vec::new();
        for device in devices {
            match session::start(&device, shell_command()) {
                Ok(session) => open.push((device, session)),
                Err(error) => terminal::print_everywhere(&format!("diskless: no shell on {device}: {error}")),
            }
        }
        let again = self.while_open(&mut open);
        for (_, session) in &open {
            session::kill(session.pid());
            // Its status says nothing any more.
            let _ = rustix::process::waitpid(Some(session.pid()), WaitOptions::empty());
            session.restore();
        }
        match again {
            Some(again) => again,
            None => {
                let text = format!("diskless: no shell: trying again in {} s", pause.as_secs());
                terminal::print_everywhere(&text);
                self.pause(pause)
            }
        }
    }

    /// None when no shell could be had: each was refused. A shell in which nobody types goes on trying: a site must
    /// come back by itself after a power cut.
    fn while_open(&mut self, open: &mut Vec<(String, Session)>) -> Option<Again> {
        let (begun, patience) = (Instant::now(), cmdline::idle());
        while !open.is_empty() {
            let typed = open.iter().filter_map(|(device, _)| terminal::idle(device).ok()).min();
            let quiet = typed.unwrap_or(begun.elapsed()).min(begun.elapsed());
            if let Some(patience) = patience.filter(|patience| quiet >= *patience) {
                terminal::print_everywhere(&format!("\ndiskless: nobody typed for {} s", patience.as_secs()));
                return Some(Again::ByItself);
            }
            match self.signals.wait(None, patience.map(|patience| patience - quiet)) {
                Wake::Asked => return Some(Again::Asked),
                Wake::Timeout | Wake::Link => {}
                Wake::Child => {
                    for (ended, status) in reap() {
                        let Some(at) = open.iter().position(|(_, session)| session.pid() == ended) else {
                            continue;
                        };
                        let (_, session) = open.swap_remove(at);
                        session::kill(ended);
                        session.restore();
                        if status.exit_status() != Some(shell::REFUSED) {
                            return Some(Again::Asked);
                        }
                    }
                }
            }
        }
        None
    }
}

/// The engine's process: what a fresh process would be, but for the link.
fn run_child(link: OwnedFd) -> ! {
    crate::signals::reset();
    link::connect(link);
    link::catch_panics();
    link::end(&engine::run())
}

fn shell_command() -> Command {
    let mut command = Command::new(bundle::own_path());
    command.arg("shell").env_clear().current_dir("/").env(
        "DISKLESS_GREETING",
        "init has died; its last words are above. `retry` or leaving this shell starts it again.",
    );
    command
}

/// Every child that has ended. What nobody looks for among them is an orphan.
fn reap() -> Vec<(Pid, WaitStatus)> {
    std::iter::from_fn(|| rustix::process::wait(WaitOptions::NOHANG).ok().flatten()).collect()
}

fn stop(engine: Pid) {
    // It may have ended by itself.
    let _ = rustix::process::kill_process(engine, Signal::KILL);
    let _ = rustix::process::waitpid(Some(engine), WaitOptions::empty());
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(libc::SIGKILL)) => "killed by SIGKILL (for want of memory, or by hand)".to_owned(),
        (_, Some(libc::SIGSEGV)) => "killed by SIGSEGV (a native stack that overflowed, perhaps)".to_owned(),
        (_, Some(libc::SIGABRT)) => "aborted (SIGABRT): the lines above may say why".to_owned(),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => "for no known reason".to_owned(),
    }
}
