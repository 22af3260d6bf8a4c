//! Packet sockets (packet(7)) bound to one link, and the IPv4 and UDP headers around what they carry.
//!
//! DHCP and ARP speak before the link has an address, so the kernel's own UDP cannot do it.

use super::socket_option::set_option;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, Result};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

pub type MacBytes = [u8; 6];

pub const BROADCAST: MacBytes = [0xff; 6];
pub const ETHERNET: usize = 14;
/// The longest frame that we take: a jumbo one.
pub const FRAME: usize = 9216 + ETHERNET;

pub fn mac_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

pub fn mac_bytes(text: &str) -> Option<MacBytes> {
    let bytes: Vec<u8> = text
        .split(':')
        .map(|part| u8::from_str_radix(part, 16))
        .collect::<core::result::Result<_, _>>()
        .ok()?;
    bytes.try_into().ok()
}

/// Nothing goes out or comes in by another link.
pub fn bind_to_device(socket: BorrowedFd<'_>, link: &str) -> Result<()> {
    let mut name = [0u8; libc::IFNAMSIZ];
    let length = link.len().min(name.len() - 1);
    name[..length].copy_from_slice(&link.as_bytes()[..length]);
    set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &name)
}

/// A socket that sends and receives whole Ethernet frames of one protocol on one link.
pub struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// `filter`: classic BPF; it is in place before the first frame can be.
    pub fn open(index: u32, protocol: i32, filter: &mut [libc::sock_filter]) -> Result<Self> {
        // Protocol 0 receives nothing: the bind below gives the real one.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        rustix::net::bind(&socket, &OneLink { index, protocol: protocol as u16 })?;
        Ok(PacketSocket(socket))
    }

    pub fn send(&self, frame: &[u8]) -> Result<()> {
        rustix::net::send(&self.0, frame, SendFlags::empty()).map(|_| ())
    }

    /// One frame, or None when there is none after all. A link that goes down tells it once, as an error here:
    /// it may come back before the caller's deadline.
    pub fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>> {
        match rustix::net::recv(&self.0, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => Ok(buffer.get(..length)),
            Err(Errno::AGAIN | Errno::INTR | Errno::NETDOWN) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// A sockaddr_ll (packet(7)) that says which link, and which protocol.
struct OneLink {
    index: u32,
    protocol: u16,
}

// SAFETY: the pointer and the length describe a sockaddr_ll, which lives until `f` has returned.
unsafe impl SocketAddrArg for OneLink {
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        let address = libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: self.protocol.to_be(),
            sll_ifindex: self.index as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        f((&raw const address).cast(), size_of_val(&address) as SocketAddrLen)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// One instruction of a filter: `code`, jumps when true and false, the operand.
pub const fn bpf(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Lets through whole IPv4 UDP packets to a port that are addressed to us or to all, and of no VLAN (the kernel
/// counts a frame of a VLAN that it does not know as another host's).
pub fn udp_filter(port: u16) -> [libc::sock_filter; 11] {
    use libc::{
        BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET,
    };
    const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    const IP: u32 = ETHERNET as u32;
    [
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, PACKET_TYPE),
        bpf(BPF_JMP | BPF_JEQ | BPF_K, 8, 0, u32::from(libc::PACKET_OTHERHOST)),
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, IP + 9),
        bpf(BPF_JMP | BPF_JEQ | BPF_K, 0, 6, libc::IPPROTO_UDP as u32),
        bpf(BPF_LD | BPF_H | BPF_ABS, 0, 0, IP + 6),
        bpf(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x3fff),
        bpf(BPF_LDX | BPF_B | BPF_MSH, 0, 0, IP),
        bpf(BPF_LD | BPF_H | BPF_IND, 0, 0, IP + 2),
        bpf(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, u32::from(port)),
        bpf(BPF_RET | BPF_K, 0, 0, u32::MAX),
        bpf(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

/// The Internet checksum's sum (RFC 1071), not yet complemented.
fn sum(parts: &[&[u8]]) -> u16 {
    let mut total = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            total += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

fn pseudo_header(source: &[u8], destination: &[u8], length: u16) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(source);
    header[4..8].copy_from_slice(destination);
    header[9] = libc::IPPROTO_UDP as u8;
    header[10..].copy_from_slice(&length.to_be_bytes());
    header
}

pub struct Endpoint {
    pub mac: MacBytes,
    pub address: Ipv4Addr,
    pub port: u16,
}

/// An Ethernet frame with an IPv4 UDP packet. None when the payload is too long for one.
pub fn udp_frame(from: &Endpoint, to: &Endpoint, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(payload.len() + 8).ok()?;
    let ip_length = udp_length.checked_add(20)?;
    let (source, destination) = (from.address.octets(), to.address.octets());
    // Version and header length, time to live and protocol; no identification, do not fragment (RFC 6864).
    let mut ip = [0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, libc::IPPROTO_UDP as u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ip[2..4].copy_from_slice(&ip_length.to_be_bytes());
    ip[12..16].copy_from_slice(&source);
    ip[16..].copy_from_slice(&destination);
    let checksum = !sum(&[&ip]);
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());

    let mut udp = [0; 8];
    udp[..2].copy_from_slice(&from.port.to_be_bytes());
    udp[2..4].copy_from_slice(&to.port.to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    let checksum = !sum(&[&pseudo_header(&source, &destination, udp_length), &udp, payload]);
    // Zero says that there is none, so a checksum of zero is sent as its other form (RFC 768).
    udp[6..].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());

    Some([&to.mac[..], &from.mac, &(libc::ETH_P_IP as u16).to_be_bytes(), &ip, &udp, payload].concat())
}

/// The payload of a frame with a whole UDP packet to `port`; None for anything else, or anything damaged.
pub fn udp_payload(frame: &[u8], port: u16) -> Option<&[u8]> {
    let word = |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let packet = frame.get(ETHERNET..)?;
    let first = *packet.first()?;
    let header = packet.get(..usize::from(first & 15) * 4).filter(|header| header.len() >= 20)?;
    let whole = packet.get(..usize::from(word(packet, 2)?))?;
    let udp = whole.get(header.len()..)?;
    let udp = udp.get(..usize::from(word(udp, 4)?)).filter(|udp| udp.len() >= 8)?;
    let fragment = word(header, 6)? & 0x3fff != 0;
    let ours = first >> 4 == 4 && header[9] == libc::IPPROTO_UDP as u8 && word(udp, 2)? == port;
    if !ours || fragment || sum(&[header]) != 0xffff {
        return None;
    }
    let pseudo = pseudo_header(&header[12..16], &header[16..20], udp.len() as u16);
    let checksum = word(udp, 6)?;
    // A packet from this very machine or its host may come before any card has finished its checksum: then the
    // field holds the sum of the pseudo-header alone (CHECKSUM_PARTIAL), which needs no PACKET_AUXDATA to see.
    let good = checksum == 0 || checksum == sum(&[&pseudo]) || sum(&[&pseudo, udp]) == 0xffff;
    good.then(|| &udp[8..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{Chance, inputs};

    fn frame(payload: &[u8]) -> Vec<u8> {
        let from = Endpoint { mac: [2; 6], address: Ipv4Addr::new(10, 0, 0, 1), port: 67 };
        let to = Endpoint { mac: BROADCAST, address: Ipv4Addr::BROADCAST, port: 68 };
        udp_frame(&from, &to, payload).expect("it is short")
    }

    #[test]
    fn a_frame_comes_back_and_any_flipped_bit_of_it_is_seen() {
        let whole = frame(b"hello");
        assert_eq!(udp_payload(&whole, 68), Some(b"hello".as_slice()));
        assert_eq!(udp_payload(&whole, 67), None);
        for bit in ETHERNET * 8..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(udp_payload(&flipped, 68), None, "bit {bit}");
        }
    }

    #[test]
    fn no_prefix_panics_and_trailing_bytes_are_padding() {
        let mut whole = frame(b"hello");
        for end in 0..whole.len() {
            assert_eq!(udp_payload(&whole[..end], 68), None);
        }
        whole.extend_from_slice(&[0; 18]);
        assert_eq!(udp_payload(&whole, 68), Some(b"hello".as_slice()));
    }

    #[test]
    fn a_checksum_that_a_card_was_to_finish_passes() {
        let mut partial = frame(b"hello");
        let pseudo = pseudo_header(&[10, 0, 0, 1], &[255; 4], 13);
        partial[40..42].copy_from_slice(&sum(&[&pseudo]).to_be_bytes());
        assert_eq!(udp_payload(&partial, 68), Some(b"hello".as_slice()));
        partial[40..42].copy_from_slice(&[0, 0]);
        assert_eq!(udp_payload(&partial, 68), Some(b"hello".as_slice()));
    }

    #[test]
    fn frames_fuzzed() {
        let (mut chance, good) = (Chance::new(), [frame(b"hello")]);
        for _ in 0..inputs(20_000) {
            let damaged = chance.damaged(&good);
            let payload = udp_payload(&damaged, 68).unwrap_or(b"");
            assert!(payload.len() + ETHERNET + 28 <= damaged.len().max(ETHERNET + 28));
        }
    }

    #[test]
    fn macs_are_read_and_written() {
        assert_eq!(mac_bytes("52:54:00:12:34:ff"), Some([0x52, 0x54, 0, 0x12, 0x34, 0xff]));
        assert_eq!(mac_text(&[0x52, 0x54, 0, 0x12, 0x34, 0xff]), "52:54:00:12:34:ff");
        for wrong in ["", "52:54", "52:54:00:12:34:ff:00", "zz:54:00:12:34:ff", "5254001234ff"] {
            assert_eq!(mac_bytes(wrong), None);
        }
    }
}
