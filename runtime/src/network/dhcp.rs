//! The sockets that DHCP speaks through: broadcasts on a packet socket, renewals to a server on an ordinary one.

use super::dhcp_message::{self, DhcpMessage, Direction};
use super::links::Link;
use super::netlink::Refusal;
use super::packet::{self, BROADCAST, Endpoint, MacBytes, PacketSocket};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

const CLIENT: u16 = 68;
const SERVER: u16 = 67;

pub struct DhcpSocket {
    pub link: String,
    mac: MacBytes,
    pub packets: PacketSocket,
    /// Opened by the first message from an address of our own. Its answers are read from `packets` like all others;
    /// while it is open the kernel does not tell the server that nobody listens.
    unicast: Mutex<Option<(Ipv4Addr, UdpSocket)>>,
    pub closed: AtomicBool,
}

impl DhcpSocket {
    pub fn open(link: &Link) -> Result<Self, Refusal> {
        let mac = packet::mac_bytes(&link.mac).filter(|_| link.ethernet).ok_or_else(|| Refusal {
            errno: Errno::OPNOTSUPP,
            words: Some("DHCP is spoken on Ethernet only".to_owned()),
        })?;
        Ok(DhcpSocket {
            link: link.name.clone(),
            mac,
            packets: PacketSocket::open(link.index, libc::ETH_P_IP, &mut packet::udp_filter(CLIENT))?,
            unicast: Mutex::new(None),
            closed: AtomicBool::new(false),
        })
    }

    pub fn send(&self, message: &DhcpMessage, to: Option<Ipv4Addr>) -> Result<(), Refusal> {
        let payload = dhcp_message::encode(message)
            .map_err(|words| Refusal { errno: Errno::INVAL, words: Some(words) })?;
        if let Some(to) = to.filter(|to| !to.is_broadcast() && !message.ciaddr.is_unspecified()) {
            return self.send_unicast(message.ciaddr, to, &payload);
        }
        let from = Endpoint { mac: self.mac, address: message.ciaddr, port: CLIENT };
        let to = Endpoint { mac: BROADCAST, address: to.unwrap_or(Ipv4Addr::BROADCAST), port: SERVER };
        let frame = packet::udp_frame(&from, &to, &payload).ok_or(Refusal::from(Errno::MSGSIZE))?;
        Ok(self.packets.send(&frame)?)
    }

    fn send_unicast(&self, from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Result<(), Refusal> {
        let failed = |error: std::io::Error| Refusal::from(Errno::from_io_error(&error).unwrap_or(Errno::IO));
        let mut unicast = self.unicast.lock().expect("no panic inside");
        if unicast.as_ref().is_none_or(|(bound, _)| *bound != from) {
            let flags = SocketFlags::CLOEXEC;
            let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
            // The new system's own client, which takes over, binds the same port.
            packet::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
            let mut name = [0u8; libc::IFNAMSIZ];
            let length = self.link.len().min(name.len() - 1);
            name[..length].copy_from_slice(&self.link.as_bytes()[..length]);
            packet::set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &name)?;
            rustix::net::bind(&socket, &SocketAddrV4::new(from, CLIENT))?;
            *unicast = Some((from, socket.into()));
        }
        let Some((_, socket)) = unicast.as_ref() else { return Err(Errno::IO.into()) };
        socket.send_to(payload, SocketAddrV4::new(to, SERVER)).map_err(failed)?;
        Ok(())
    }

    /// Frees the port for others, until the next message to one server alone.
    #[allow(dead_code, reason = "the lease keeper’s, which is built from this file too")]
    pub fn rest(&self) {
        *self.unicast.lock().expect("no panic inside") = None;
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
