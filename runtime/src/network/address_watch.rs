//! The IPv6 addresses of a link as they come, pass duplicate address detection, and go (RTM_NEWADDR of rtnetlink(7)).

use super::addresses::address_header;
use super::links::link;
use super::netlink::{self, Message, Refusal, Routing};
use crate::ops::Emit;
use rustix::io::Errno;
use serde::Serialize;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, OwnedFd};

/// RTMGRP_IPV6_IFADDR of linux/rtnetlink.h.
const IPV6_ADDRESSES: u32 = 0x100;

/// The `LinkAddress` of src/sys/network.ts.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkAddress {
    pub address: Ipv6Addr,
    pub prefix_length: u8,
    pub scope: &'static str,
    pub state: &'static str,
    pub advertised: bool,
}

fn read(payload: &[u8], index: u32) -> Option<LinkAddress> {
    let [family, prefix_length, short_flags, scope, ..] = *payload else { return None };
    if i32::from(family) != libc::AF_INET6 || netlink::read_u32(payload, 4) != Some(index) {
        return None;
    }
    let (mut address, mut flags) = (None, u32::from(short_flags));
    for (kind, value) in netlink::attributes(payload.get(8..)?) {
        match kind {
            libc::IFA_ADDRESS => address = <[u8; 16]>::try_from(value).ok().map(Ipv6Addr::from),
            libc::IFA_FLAGS => flags = netlink::read_u32(value, 0)?,
            _ => {}
        }
    }
    let has = |flag| flags & flag != 0;
    Some(LinkAddress {
        address: address?,
        prefix_length,
        scope: if scope == libc::RT_SCOPE_UNIVERSE { "global" } else { "link" },
        state: if has(libc::IFA_F_DADFAILED) {
            "duplicate"
        } else if has(libc::IFA_F_TENTATIVE) {
            "tentative"
        } else if has(libc::IFA_F_DEPRECATED) {
            "deprecated"
        } else {
            "preferred"
        },
        advertised: !has(libc::IFA_F_PERMANENT),
    })
}

pub struct Watch {
    pub socket: OwnedFd,
    index: u32,
    known: Option<Vec<LinkAddress>>,
    buffer: Vec<u8>,
}

impl Watch {
    /// Subscribed before the first look, so that nothing falls between.
    pub fn open(name: &str) -> Result<Self, Refusal> {
        let socket = netlink::open(None, IPV6_ADDRESSES)?;
        Ok(Watch { socket, index: link(name)?.index, known: None, buffer: Vec::new() })
    }

    /// Emits the whole list if it differs from what was last told.
    pub fn look(&mut self, emit: &Emit) -> Result<(), Refusal> {
        let header = address_header(libc::AF_INET6 as u8, 0, 0);
        let found = Routing::open()?
            .dump(|| Message::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &header))?
            .iter()
            .filter_map(|(_, payload)| read(payload, self.index))
            .collect();
        if self.known.as_ref() != Some(&found) {
            emit.event(&found);
            self.known = Some(found);
        }
        Ok(())
    }

    /// Something changed, somewhere.
    pub fn read(&mut self, emit: &Emit) -> Result<(), Refusal> {
        match netlink::receive(self.socket.as_fd(), &mut self.buffer) {
            Ok(_) | Err(Errno::NOBUFS) => self.look(emit),
            Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}
