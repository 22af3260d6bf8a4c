//! DHCPv4's sockets. The one for a single server is open only while an answer is waited for.

use crate::network::dhcp_message::DhcpMessage;
use crate::network::dhcp_wire::{Unicast, Wire};
use crate::network::links::Link;
use crate::network::netlink::Refusal;
use core::net::Ipv4Addr;
use rustix::fd::{AsFd, BorrowedFd};

pub struct Socket4 {
    wire: Wire,
    unicast: Unicast,
}

impl Socket4 {
    pub fn open(link: &Link) -> Result<Self, Refusal> {
        Ok(Socket4 { wire: Wire::open(link)?, unicast: None })
    }

    pub fn send(&mut self, message: &DhcpMessage, to: Option<Ipv4Addr>) -> Result<(), Refusal> {
        self.wire.send(&mut self.unicast, message, to)
    }

    pub fn take(&self, buffer: &mut [u8]) -> Result<Option<DhcpMessage>, Refusal> {
        self.wire.take(buffer)
    }

    pub fn rest(&mut self) {
        self.unicast = None;
    }
}

impl AsFd for Socket4 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.packets.as_fd()
    }
}
