//! The links' changes, as they happen (RTMGRP_LINK of rtnetlink(7)).

use super::links::{Link, links, read};
use super::netlink::{self, Refusal};
use crate::ops::Emit;
use rustix::io::Errno;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

/// A subscription to changes, opened before the first look so that nothing falls between.
pub struct Watch {
    pub socket: OwnedFd,
    known: HashMap<u32, Link>,
    buffer: Vec<u8>,
}

impl Watch {
    pub fn open() -> Result<Self, Refusal> {
        let socket = netlink::open(None, libc::RTMGRP_LINK as u32)?;
        Ok(Watch { socket, known: HashMap::new(), buffer: Vec::new() })
    }

    /// Emits what differs from what was last told: at first everything. A link that went away is told as down.
    pub fn look(&mut self, emit: &Emit) -> Result<(), Refusal> {
        let now = links()?;
        let gone: Vec<u32> = self
            .known
            .keys()
            .filter(|index| !now.iter().any(|link| link.index == **index))
            .copied()
            .collect();
        for link in now {
            self.tell(link, emit);
        }
        for index in gone {
            if let Some(link) = self.known.remove(&index) {
                emit.event(&Link { up: false, carrier: false, ..link });
            }
        }
        Ok(())
    }

    /// Reads what has come. A queue that overflowed is answered by looking again.
    pub fn read(&mut self, emit: &Emit) -> Result<(), Refusal> {
        let mut buffer = std::mem::take(&mut self.buffer);
        match netlink::receive(self.socket.as_fd(), &mut buffer) {
            Ok(bytes) => {
                for message in netlink::messages(bytes) {
                    let deleted = message.kind == libc::RTM_DELLINK;
                    let Some(link) = read(message.payload, deleted) else { continue };
                    if !deleted {
                        self.tell(link, emit);
                    } else if self.known.remove(&link.index).is_some() {
                        emit.event(&link);
                    }
                }
            }
            Err(Errno::NOBUFS) => self.look(emit)?,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.buffer = buffer;
        Ok(())
    }

    fn tell(&mut self, link: Link, emit: &Emit) {
        if self.known.get(&link.index) != Some(&link) {
            emit.event(&link);
            self.known.insert(link.index, link);
        }
    }
}
