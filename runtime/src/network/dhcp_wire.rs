//! How DHCPv4's messages go out and come in: broadcasts on a packet socket, renewals to a server on an ordinary one.

use super::dhcp_message::{self, DhcpMessage, Direction};
use super::links::Link;
use super::netlink::Refusal;
use super::packet::{self, BROADCAST, Endpoint, MacBytes, PacketSocket, bind_to_device};
use super::socket_option::set_option;
use alloc::borrow::ToOwned;
use alloc::string::String;
use core::net::{Ipv4Addr, SocketAddrV4};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};

const CLIENT: u16 = 68;
const SERVER: u16 = 67;

pub struct Wire {
    pub link: String,
    mac: MacBytes,
    pub packets: PacketSocket,
}

/// Opened by the first message from an address of our own. Its answers are read from the packet socket like all others;
/// while it is open the kernel does not tell the server that nobody listens.
pub type Unicast = Option<(Ipv4Addr, OwnedFd)>;

impl Wire {
    pub fn open(link: &Link) -> Result<Self, Refusal> {
        let mac = packet::mac_bytes(&link.mac).filter(|_| link.ethernet).ok_or_else(|| Refusal {
            errno: Errno::OPNOTSUPP,
            words: Some("DHCP is spoken on Ethernet only".to_owned()),
        })?;
        let packets = PacketSocket::open(link.index, libc::ETH_P_IP, &mut packet::udp_filter(CLIENT))?;
        Ok(Wire { link: link.name.clone(), mac, packets })
    }

    pub fn send(
        &self,
        unicast: &mut Unicast,
        message: &DhcpMessage,
        to: Option<Ipv4Addr>,
    ) -> Result<(), Refusal> {
        let payload = dhcp_message::encode(message)
            .map_err(|words| Refusal { errno: Errno::INVAL, words: Some(words) })?;
        if let Some(to) = to.filter(|to| !to.is_broadcast() && !message.ciaddr.is_unspecified()) {
            return self.send_unicast(unicast, message.ciaddr, to, &payload);
        }
        let from = Endpoint { mac: self.mac, address: message.ciaddr, port: CLIENT };
        let to = Endpoint { mac: BROADCAST, address: to.unwrap_or(Ipv4Addr::BROADCAST), port: SERVER };
        let frame = packet::udp_frame(&from, &to, &payload).ok_or(Refusal::from(Errno::MSGSIZE))?;
        Ok(self.packets.send(&frame)?)
    }

    fn send_unicast(
        &self,
        unicast: &mut Unicast,
        from: Ipv4Addr,
        to: Ipv4Addr,
        payload: &[u8],
    ) -> Result<(), Refusal> {
        let socket = match unicast.take().filter(|(bound, _)| *bound == from) {
            Some((_, socket)) => socket,
            None => self.bound(from)?,
        };
        let (_, socket) = unicast.insert((from, socket));
        rustix::net::sendto(socket, payload, SendFlags::empty(), &SocketAddrV4::new(to, SERVER))?;
        Ok(())
    }

    fn bound(&self, from: Ipv4Addr) -> Result<OwnedFd, Refusal> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        // The new system's own client, which takes over, binds the same port.
        set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
        bind_to_device(socket.as_fd(), &self.link)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(from, CLIENT))?;
        Ok(socket)
    }

    /// What has come: a reply to our hardware address, or None when it was anything else.
    pub fn take(&self, buffer: &mut [u8]) -> Result<Option<DhcpMessage>, Refusal> {
        Ok(self.packets.receive(buffer)?.and_then(|frame| self.reply(frame)))
    }

    fn reply(&self, frame: &[u8]) -> Option<DhcpMessage> {
        let message = dhcp_message::decode(packet::udp_payload(frame, CLIENT)?)?;
        (message.op == Direction::Reply && message.chaddr.0 == self.mac).then_some(message)
    }
}
