//! The lease keeper: a process of its own that outlives the initrd. It renews the leases that the boot got, as RFC 2131
//! and RFC 8415 say, each until another DHCP client of the new system takes over.
//!
//! A second, small program, because it stays: its file is kept in memory as long as it runs. What it may do was decided
//! by TypeScript before the handoff, and is in its plan (src/network/keeper.ts), which comes on its standard input.

#![cfg_attr(not(test), no_std)]

extern crate alloc;

mod apply;
mod clock;
mod exchange;
mod exchange6;
#[cfg(test)]
#[path = "../../src/fuzz.rs"]
mod fuzz;
mod kept;
mod lease;
mod message6;
mod others;
mod plan;
mod root;
mod settings;
mod socket4;
mod socket6;
mod system;
mod tell;
mod timer;

/// The same wire as init's own.
#[allow(dead_code, reason = "what only init needs of it is not used here")]
#[path = "../../src/network"]
mod network {
    pub mod addresses;
    pub mod dhcp_message;
    pub mod dhcp_options;
    pub mod dhcp_wire;
    pub mod links;
    pub mod netlink;
    pub mod packet;
    pub mod socket_option {
        pub use crate::system::set_option;
    }
}

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use kept::Kept;
use network::netlink::{self, Refusal};
use network::packet;
use plan::Plan;
use root::Root;
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use serde_json::{Value, json};
pub use system::exit;
use timer::Timer;

/// sysexits.h: the plan is not understood; the machine refuses what it cannot do without.
const EX_DATAERR: u8 = 65;
const EX_OSERR: u8 = 71;
/// RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const IPV6_ADDRESSES: i32 = 0x100;

/// The exit status.
pub fn run() -> u8 {
    // A session of its own: no terminal's end is its end. It fails only where it is one already.
    let _ = rustix::process::setsid();
    let read = read_plan().map_err(|errno| errno.to_string());
    let plan: Plan =
        match read.and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string())) {
            Ok(plan) => plan,
            Err(error) => {
                // Where the new system's root usually is.
                tell::notice(&Root("/..".to_owned()), "the plan", &format!("it is not understood: {error}"));
                return EX_DATAERR;
            }
        };
    let root = Root(plan.new_root);
    match Keeper::start(&root, plan.leases).and_then(|keeper| keeper.run(&root)) {
        Ok(()) => 0,
        Err(refusal) => {
            no_longer(&root, "all of them", &refusal);
            EX_OSERR
        }
    }
}

/// PID 1 writes it whole into a pipe and closes that.
fn read_plan() -> rustix::io::Result<Vec<u8>> {
    // SAFETY: PID 1 has opened it, and nobody closes it.
    let input = unsafe { rustix::stdio::stdin() };
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match rustix::io::read(input, &mut buffer)? {
            0 => return Ok(text),
            length => text.extend_from_slice(&buffer[..length]),
        }
    }
}

fn no_longer(root: &Root, link: &str, Refusal { errno, words }: &Refusal) {
    let words = words.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
    tell::notice(root, link, &format!("the lease is not kept any longer: {errno}{words}"));
}

struct Keeper {
    leases: Vec<Kept>,
    changes: OwnedFd,
    timer: Timer,
    buffer: Vec<u8>,
    /// keeper.json as it was written last.
    told: String,
}

impl Keeper {
    fn start(root: &Root, leases: Vec<plan::Kept>) -> Result<Self, Refusal> {
        // Before the first look at what is there, so that nothing falls between.
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | IPV6_ADDRESSES;
        let changes = netlink::open(None, groups as u32)?;
        let mut started = Vec::new();
        for lease in leases {
            let link = lease.link.clone();
            match Kept::start(lease) {
                Ok(kept) => started.push(kept),
                Err(refusal) => no_longer(root, &link, &refusal),
            }
        }
        if started.is_empty() {
            return Err(Refusal::from(Errno::NODEV));
        }
        let buffer = vec![0; packet::FRAME];
        Ok(Keeper { leases: started, changes, timer: Timer::new()?, buffer, told: String::new() })
    }

    /// Until there is nothing left to keep.
    fn run(mut self, root: &Root) -> Result<(), Refusal> {
        // Between the plan and now somebody may have been here.
        self.each(root, |kept, _| kept.look(root));
        while !self.leases.is_empty() {
            self.write_state(root);
            let next = self.leases.iter().filter_map(Kept::next).reduce(f64::min);
            self.timer.set(next)?;
            let Some(mut came) = self.wait()? else { continue };
            let (time, change) = (came.next() == Some(true), came.next() == Some(true));
            if time {
                self.timer.read();
            }
            if change {
                self.drain_changes()?;
            }
            self.each(root, |kept, buffer| {
                let (other, answer) = (came.next() == Some(true), came.next() == Some(true));
                if other && let Some(why) = kept.other(buffer)? {
                    return Ok(Some(why));
                }
                if answer {
                    kept.answer(root, buffer)?;
                }
                // Each looks at the clock itself.
                kept.woken(root);
                if change { kept.look(root) } else { Ok(None) }
            });
        }
        Ok(())
    }

    /// Whether there is something: of the timer, of the changes, then of each lease its other clients and its answers.
    fn wait(&self) -> rustix::io::Result<Option<impl Iterator<Item = bool> + use<>>> {
        let leases = self.leases.iter().map(Kept::waited);
        let of_leases = leases.flat_map(|(others, answers)| [Some(others), answers]);
        let all: Vec<_> =
            [Some(self.timer.as_fd()), Some(self.changes.as_fd())].into_iter().chain(of_leases).collect();
        let mut waited: Vec<_> =
            all.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        match rustix::event::poll(&mut waited, None) {
            Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        let mut found = waited.iter().map(|each| !each.revents().is_empty());
        let came: Vec<bool> = all.iter().map(|fd| fd.is_some() && found.next() == Some(true)).collect();
        Ok(Some(came.into_iter()))
    }

    /// What ends, or fails, is told and left.
    fn each(
        &mut self,
        root: &Root,
        mut look: impl FnMut(&mut Kept, &mut [u8]) -> Result<Option<String>, Refusal>,
    ) {
        let Keeper { leases, buffer, .. } = self;
        leases.retain_mut(|kept| match look(kept, buffer) {
            Ok(None) => true,
            Ok(Some(why)) => {
                tell::notice(root, kept.link(), &why);
                false
            }
            Err(refusal) => {
                no_longer(root, kept.link(), &refusal);
                false
            }
        });
    }

    /// What changed is looked at afresh: a queue that overflowed tells as much as one that did not.
    fn drain_changes(&self) -> Result<(), Refusal> {
        let mut buffer = Vec::new();
        match netlink::receive(self.changes.as_fd(), &mut buffer) {
            Ok(_) | Err(Errno::NOBUFS | Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The first lease, with the others in it, as lease.json has them.
    fn write_state(&mut self, root: &Root) {
        let mut states = self.leases.iter().map(Kept::state);
        let mut state = states.next().unwrap_or(Value::Null);
        state["pid"] = json!(rustix::process::getpid().as_raw_nonzero().get());
        state["others"] = states.collect();
        let text = format!("{state}\n");
        if text != self.told {
            // Only told, never read by us: a system without /run/diskless has no use for it.
            let _ = root.create("run/diskless/keeper.json", text.as_bytes());
            self.told = text;
        }
    }
}
