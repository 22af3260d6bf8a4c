//! The socket that DHCPv4 speaks through.

use super::dhcp_message::DhcpMessage;
use super::dhcp_wire::{Unicast, Wire};
use super::links::Link;
use super::netlink::Refusal;
use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

pub struct DhcpSocket {
    pub wire: Wire,
    unicast: Mutex<Unicast>,
    pub closed: AtomicBool,
}

impl DhcpSocket {
    pub fn open(link: &Link) -> Result<Self, Refusal> {
        Ok(DhcpSocket { wire: Wire::open(link)?, unicast: Mutex::new(None), closed: AtomicBool::new(false) })
    }

    pub fn send(&self, message: &DhcpMessage, to: Option<Ipv4Addr>) -> Result<(), Refusal> {
        self.wire.send(&mut self.unicast.lock().expect("no panic inside"), message, to)
    }
}
