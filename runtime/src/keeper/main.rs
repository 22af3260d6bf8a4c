//! The lease keeper: a process of its own that outlives the initrd. It renews the lease that the boot got, as RFC 2131
//! says, until another DHCP client of the new system takes over.
//!
//! A second, small program, because it stays: its file is kept in memory as long as it runs. What it may do was decided
//! by TypeScript before the handoff, and is in its plan (src/network/keeper.ts), which comes on its standard input.

mod apply;
mod clock;
mod exchange;
mod lease;
mod others;
mod plan;
mod tell;
mod timer;

/// The same wire as init's own; what only init needs of it is not used here.
#[allow(dead_code)]
#[path = "../network"]
mod network {
    pub mod addresses;
    pub mod dhcp;
    pub mod dhcp_message;
    pub mod dhcp_options;
    pub mod links;
    pub mod netlink;
    pub mod packet;
}

use apply::NewSystem;
use exchange::{Action, Exchange};
use network::dhcp::DhcpSocket;
use network::netlink::{self, Refusal};
use network::{addresses, links, packet};
use others::Others;
use plan::Plan;
use rustix::event::{PollFd, PollFlags};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use timer::Timer;

/// sysexits.h: the plan is not understood; the machine refuses what it cannot do without.
const EX_DATAERR: u8 = 65;
const EX_OSERR: u8 = 71;

fn main() -> ExitCode {
    // A session of its own: no terminal's end is its end. It fails only where it is one already.
    let _ = rustix::process::setsid();
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string());
    let plan: Plan = match read.and_then(|_| serde_json::from_str(&text).map_err(|error| error.to_string())) {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("diskless-lease: the plan is not understood: {error}");
            return ExitCode::from(EX_DATAERR);
        }
    };
    drop(text);
    let name = plan.link.clone();
    let new_system = NewSystem::new(&plan);
    match Keeper::start(plan, new_system).and_then(Keeper::run) {
        Ok(why) => {
            tell::notice(&name, &why);
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            let words = refusal.words.map(|words| format!(" ({words})")).unwrap_or_default();
            tell::notice(&name, &format!("the lease is not kept any longer: {}{words}", refusal.errno));
            ExitCode::from(EX_OSERR)
        }
    }
}

struct Keeper {
    /// Its name may change, this does not.
    index: u32,
    exchange: Exchange,
    socket: DhcpSocket,
    others: Others,
    changes: OwnedFd,
    timer: Timer,
    new_system: NewSystem,
    buffer: Vec<u8>,
}

impl Keeper {
    fn start(plan: Plan, new_system: NewSystem) -> Result<Self, Refusal> {
        tell::set_root(&plan.new_root);
        let link = links::link(&plan.link)?;
        // Before the first look at what is there, so that nothing falls between.
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR;
        Ok(Keeper {
            index: link.index,
            socket: DhcpSocket::open(&link)?,
            others: Others::open(link.index, plan.mac.0)?,
            changes: netlink::open(None, groups as u32)?,
            timer: Timer::new()?,
            exchange: Exchange::new(plan, clock::random())
                .map_err(|words| Refusal { errno: rustix::io::Errno::INVAL, words: Some(words) })?,
            new_system,
            buffer: vec![0; packet::FRAME],
        })
    }

    /// Until it has to end, with the reason.
    fn run(mut self) -> Result<String, Refusal> {
        self.new_system.write_state(&self.exchange);
        // Between the plan and now somebody may have been here.
        if let Some(why) = self.superfluous()? {
            return Ok(why);
        }
        loop {
            self.timer.set(self.exchange.next())?;
            let mut waited = [
                PollFd::new(&self.others, PollFlags::IN),
                PollFd::new(&self.changes, PollFlags::IN),
                PollFd::new(&self.socket.packets, PollFlags::IN),
                PollFd::new(&self.timer, PollFlags::IN),
            ];
            match rustix::event::poll(&mut waited, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let [other, change, answer, time] = waited.map(|each| !each.revents().is_empty());
            if other && let Some(why) = self.others.seen(&mut self.buffer, &self.exchange)? {
                return Ok(why);
            }
            if change {
                self.drain_changes()?;
                if let Some(why) = self.superfluous()? {
                    return Ok(why);
                }
            }
            if answer && let Some(message) = self.socket.take(&mut self.buffer)? {
                let actions = self.exchange.received(&message, clock::now(), clock::random());
                self.perform(actions);
            }
            if time {
                self.timer.read();
                let actions = self.exchange.woken(clock::now(), clock::random());
                self.perform(actions);
            }
        }
    }

    /// Why there is nothing left to keep.
    fn superfluous(&self) -> Result<Option<String>, Refusal> {
        if self.name()?.is_none() {
            return Ok(Some("the card is gone".to_owned()));
        }
        let Some(address) = self.new_system.address() else { return Ok(None) };
        let has = addresses::has(self.index, address.into())?;
        Ok((!has)
            .then(|| format!("{address} was taken off the card by somebody else, who looks after it now")))
    }

    fn name(&self) -> Result<Option<String>, Refusal> {
        Ok(links::links()?.into_iter().find(|link| link.index == self.index).map(|link| link.name))
    }

    /// What changed is looked at afresh: a queue that overflowed tells as much as one that did not.
    fn drain_changes(&self) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        match netlink::receive(self.changes.as_fd(), &mut buffer) {
            Ok(_) | Err(rustix::io::Errno::NOBUFS | rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        let Ok(Some(name)) = self.name() else { return };
        for action in actions {
            match action {
                // A message that cannot be sent is one that is lost: the next one is the answer to it.
                Action::Send(message, to) => drop(self.socket.send(&message, to)),
                Action::Hold(settings) => {
                    self.socket.rest();
                    self.new_system.hold(&name, settings);
                }
                Action::Lose => {
                    self.socket.rest();
                    self.new_system.lose(&name);
                }
                Action::Tell(text) => tell::notice(&name, &text),
            }
        }
        self.new_system.write_state(&self.exchange);
    }
}
