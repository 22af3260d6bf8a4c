//! Seeing that another process of this machine asks for an address: its frames as they leave by the card.

use crate::message6::{self, INFORMATION_REQUEST};
use crate::network::dhcp_message;
use crate::network::packet::{ETHERNET, MacBytes, PacketSocket, bpf, udp_payload};
use crate::socket6;
use alloc::format;
use alloc::string::{String, ToString};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Result;

const CLIENT: u16 = 68;
const SERVER: u16 = 67;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;

const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
const IP: u32 = ETHERNET as u32;

const fn equals(value: u32, no: u8) -> libc::sock_filter {
    bpf(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, no, value)
}

const fn load(size: u32, mode: u32, at: u32) -> libc::sock_filter {
    bpf(libc::BPF_LD | size | mode, 0, 0, at)
}

const fn take(bytes: u32) -> libc::sock_filter {
    bpf(libc::BPF_RET | libc::BPF_K, 0, 0, bytes)
}

/// What leaves by the card as UDP from port 68 to 67. Only sockets for all protocols are shown what leaves (packet(7)).
fn filter4() -> [libc::sock_filter; 13] {
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JMP, BPF_JSET, BPF_K, BPF_LDX, BPF_MSH, BPF_W};
    [
        // First, as it is false of nearly all that comes.
        load(BPF_B, BPF_ABS, PACKET_TYPE),
        equals(libc::PACKET_OUTGOING as u32, 10),
        load(BPF_H, BPF_ABS, 12),
        equals(libc::ETH_P_IP as u32, 8),
        load(BPF_B, BPF_ABS, IP + 9),
        equals(libc::IPPROTO_UDP as u32, 6),
        load(BPF_H, BPF_ABS, IP + 6),
        bpf(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x3fff),
        bpf(BPF_LDX | BPF_B | BPF_MSH, 0, 0, IP),
        // Both ports at once.
        load(BPF_W, BPF_IND, IP),
        equals((CLIENT as u32) << 16 | SERVER as u32, 1),
        take(u32::MAX),
        take(0),
    ]
}

/// The same of UDP over IPv6, from port 546 to 547. A DHCPv6 client has no use for extension headers.
fn filter6() -> [libc::sock_filter; 10] {
    use libc::{BPF_ABS, BPF_B, BPF_H, BPF_W};
    [
        load(BPF_B, BPF_ABS, PACKET_TYPE),
        equals(libc::PACKET_OUTGOING as u32, 7),
        load(BPF_H, BPF_ABS, 12),
        equals(libc::ETH_P_IPV6 as u32, 5),
        load(BPF_B, BPF_ABS, IP + 6),
        equals(libc::IPPROTO_UDP as u32, 3),
        load(BPF_W, BPF_ABS, IP + IPV6_HEADER as u32),
        equals((socket6::CLIENT as u32) << 16 | socket6::SERVER as u32, 1),
        take(u32::MAX),
        take(0),
    ]
}

pub struct Others {
    socket: PacketSocket,
    mac: MacBytes,
    six: bool,
}

impl Others {
    pub fn open(index: u32, mac: MacBytes, six: bool) -> Result<Self> {
        let all = libc::ETH_P_ALL;
        let socket = match six {
            false => PacketSocket::open(index, all, &mut filter4())?,
            true => PacketSocket::open(index, all, &mut filter6())?,
        };
        Ok(Others { socket, mac, six })
    }

    /// One frame that left; why to end, if another client of this card sent it. `ours`: whether a message of this number
    /// is our own. A machine behind a bridge has a hardware address of its own, and who only asks for settings wants no
    /// address.
    pub fn seen(&self, buffer: &mut [u8], ours: impl Fn(u32) -> bool) -> Result<Option<String>> {
        let Some(frame) = self.socket.receive(buffer)? else { return Ok(None) };
        let kind = match self.six {
            false => self.kind4(frame, ours),
            true => self.kind6(frame, ours),
        };
        Ok(kind.map(|kind| format!("another DHCP client sent a {kind}: the lease is its own to keep now")))
    }

    fn kind4(&self, frame: &[u8], ours: impl Fn(u32) -> bool) -> Option<String> {
        let message = dhcp_message::decode(udp_payload(frame, SERVER)?)?;
        let kind = message.options.get("messageType").and_then(|kind| kind.as_str()).unwrap_or("request");
        let other = message.chaddr.0 == self.mac && kind != "inform" && !ours(message.xid);
        other.then(|| format!("DHCP {kind}"))
    }

    fn kind6(&self, frame: &[u8], ours: impl Fn(u32) -> bool) -> Option<String> {
        let message = frame.get(ETHERNET + IPV6_HEADER + UDP_HEADER..)?;
        let transaction = message6::transaction(message)?;
        let kind = match *message.first()? {
            INFORMATION_REQUEST => return None,
            1 => "solicit".to_string(),
            number => format!("message of type {number}"),
        };
        let other = frame.get(6..12)? == self.mac && !ours(transaction);
        other.then(|| format!("DHCPv6 {kind}"))
    }
}

impl AsFd for Others {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
