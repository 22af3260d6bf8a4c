//! Seeing that another process of this machine asks for an address: its frames as they leave by the card.

use crate::exchange::Exchange;
use crate::network::dhcp_message;
use crate::network::netlink::Refusal;
use crate::network::packet::{ETHERNET, MacBytes, PacketSocket, bpf, udp_payload};
use std::os::fd::{AsFd, BorrowedFd};

const SERVER: u16 = 67;

/// What leaves by the card as UDP from port 68 to 67. Only sockets for all protocols are shown what leaves (packet(7)).
fn filter() -> [libc::sock_filter; 13] {
    use libc::{
        BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_MSH, BPF_RET,
    };
    const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    const IP: u32 = ETHERNET as u32;
    let equals = |value: u32, no: u8| bpf(BPF_JMP | BPF_JEQ | BPF_K, 0, no, value);
    [
        // First, as it is false of nearly all that comes.
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, PACKET_TYPE),
        equals(u32::from(libc::PACKET_OUTGOING), 10),
        bpf(BPF_LD | BPF_H | BPF_ABS, 0, 0, 12),
        equals(libc::ETH_P_IP as u32, 8),
        bpf(BPF_LD | BPF_B | BPF_ABS, 0, 0, IP + 9),
        equals(libc::IPPROTO_UDP as u32, 6),
        bpf(BPF_LD | BPF_H | BPF_ABS, 0, 0, IP + 6),
        bpf(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 0x3fff),
        bpf(BPF_LDX | BPF_B | BPF_MSH, 0, 0, IP),
        // Both ports at once.
        bpf(BPF_LD | libc::BPF_W | BPF_IND, 0, 0, IP),
        equals(68 << 16 | SERVER as u32, 1),
        bpf(BPF_RET | BPF_K, 0, 0, u32::MAX),
        bpf(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

pub struct Others {
    socket: PacketSocket,
    mac: MacBytes,
}

impl Others {
    pub fn open(index: u32, mac: MacBytes) -> Result<Self, Refusal> {
        Ok(Others { socket: PacketSocket::open(index, libc::ETH_P_ALL, &mut filter())?, mac })
    }

    /// One frame that left; why to end, if another client of this card sent it. A machine behind a bridge has a hardware
    /// address of its own, and who only asks for settings (DHCPINFORM) wants no address.
    pub fn seen(&self, buffer: &mut [u8], ours: &Exchange) -> Result<Option<String>, Refusal> {
        let Some(frame) = self.socket.receive(buffer)? else { return Ok(None) };
        let Some(message) = udp_payload(frame, SERVER).and_then(dhcp_message::decode) else {
            return Ok(None);
        };
        let kind = message.options.get("messageType").and_then(|kind| kind.as_str()).unwrap_or("request");
        let other = message.chaddr.0 == self.mac && kind != "inform" && !ours.sent(message.xid);
        Ok(other.then(|| format!("another DHCP client sent a DHCP {kind}: the lease is its own to keep now")))
    }
}

impl AsFd for Others {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
