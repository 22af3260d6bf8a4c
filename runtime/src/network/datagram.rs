//! Datagrams of IPv6 on one link, whose messages TypeScript reads and writes: router discovery (ICMPv6, RFC 4861) and
//! DHCPv6 (UDP, RFC 8415).

use super::links::Link;
use super::netlink::Refusal;
use super::packet::{bind_to_device, bpf};
use super::receive::next_before;
use super::socket_option::set_option;
use crate::wait::Waiter;
use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use serde::Serialize;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::AtomicBool;

/// RFC 8415, 7.2.
const DHCP_CLIENT: u16 = 546;
const DHCP_SERVER: u16 = 547;
/// Of ICMPv6.
const ROUTER_ADVERTISEMENT: u32 = 134;
/// RFC 4861 wants it of everything that it defines: no router passes such a packet on, so it is of this link.
const LAST_HOP: i32 = 255;
/// Longer ones are dropped. An advertisement is as long as the link's MTU at most; DHCPv6 never comes near.
const LONGEST: usize = 16 << 10;

pub enum Kind {
    RouterDiscovery,
    Dhcp,
}

pub struct DatagramSocket {
    pub link: String,
    pub closed: AtomicBool,
    index: u32,
    socket: OwnedFd,
    /// 0 where there are none.
    server: u16,
}

/// The `Datagram` of src/sys/network.ts.
#[derive(Debug, Serialize)]
pub struct Datagram {
    pub from: Ipv6Addr,
    pub bytes: String,
}

impl DatagramSocket {
    pub fn open(link: &Link, kind: &Kind) -> Result<Self, Refusal> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (form, protocol, server) = match kind {
            Kind::RouterDiscovery => (SocketType::RAW, ipproto::ICMPV6, 0),
            Kind::Dhcp => (SocketType::DGRAM, ipproto::UDP, DHCP_SERVER),
        };
        let socket = rustix::net::socket_with(AddressFamily::INET6, form, flags, Some(protocol as Protocol))?;
        if let Kind::RouterDiscovery = kind {
            let mut filter = advertisements();
            let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
            set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
            set_option(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &LAST_HOP)?;
        }
        bind_to_device(socket.as_fd(), &link.name)?;
        if let Kind::RouterDiscovery = kind {
            forget(&socket)?;
        }
        if let Kind::Dhcp = kind {
            rustix::net::bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, DHCP_CLIENT, 0, 0))?;
        }
        Ok(DatagramSocket {
            link: link.name.clone(),
            closed: AtomicBool::new(false),
            index: link.index,
            socket,
            server,
        })
    }

    /// `bytes`: in hex. The checksum of ICMPv6 is the kernel's to write.
    pub fn send(&self, bytes: &str, to: Ipv6Addr) -> Result<(), Refusal> {
        let bytes = from_hex(bytes).ok_or(Refusal::from(Errno::INVAL))?;
        let to = SocketAddrV6::new(to, self.server, 0, self.index);
        rustix::net::sendto(&self.socket, &bytes, SendFlags::empty(), &to)?;
        Ok(())
    }

    /// None at the deadline, when the call is given up, and after the socket was closed.
    pub fn receive(&self, deadline: Option<f64>, waiter: &Waiter) -> Result<Option<Datagram>, Refusal> {
        let mut buffer = vec![0; LONGEST];
        next_before(&self.socket, &self.closed, deadline, waiter, || {
            match rustix::net::recvfrom(&self.socket, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, length, from)) => {
                    let from = from.and_then(|from| SocketAddrV6::try_from(from).ok());
                    Ok(from
                        .zip(buffer.get(..length))
                        .map(|(from, bytes)| Datagram { from: *from.ip(), bytes: to_hex(bytes) }))
                }
                // An ICMP error for what was sent, or a link that goes down: it may come back before the deadline.
                Err(Errno::AGAIN | Errno::INTR | Errno::NETDOWN | Errno::CONNREFUSED) => Ok(None),
                Err(errno) => Err(errno.into()),
            }
        })
    }
}

/// What came before the filter was there, of any kind and from any link.
fn forget(socket: &OwnedFd) -> Result<(), Errno> {
    loop {
        match rustix::net::recv(socket, &mut [0; 1], RecvFlags::TRUNC) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Ok(()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Lets router advertisements of this link through: the kernel has checked their checksum by then.
fn advertisements() -> [libc::sock_filter; 6] {
    use libc::{BPF_ABS, BPF_B, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET};
    const HOP_LIMIT: u32 = libc::SKF_NET_OFF as u32 + 7;
    [
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, HOP_LIMIT),
        bpf(BPF_JMP | BPF_JEQ | BPF_K, 0, 3, LAST_HOP as u32),
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, 0),
        bpf(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ROUTER_ADVERTISEMENT),
        bpf(BPF_RET | BPF_K, 0, 0, u32::MAX),
        bpf(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    impl DatagramSocket {
        /// As if a router had passed on what is sent.
        pub fn set_hops(&self, hops: i32) {
            set_option(self.socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, &hops)
                .expect("hops");
        }
    }

    #[test]
    fn hex_goes_both_ways_and_nothing_else_does() {
        assert_eq!(from_hex(&to_hex(&[0, 15, 255])), Some(vec![0, 15, 255]));
        assert_eq!(from_hex(""), Some(vec![]));
        for wrong in ["0", "0g", "+1", "é"] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
