//! DHCPv6's socket, which is open only while an answer is waited for: the port is the new system's at any other time.

use crate::network::netlink::Refusal;
use crate::network::packet::bind_to_device;
use crate::network::socket_option::set_option;
use core::net::{Ipv6Addr, SocketAddrV6};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

/// RFC 8415, 7.1 and 7.2.
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
pub const CLIENT: u16 = 546;
pub const SERVER: u16 = 547;

pub struct Socket6 {
    index: u32,
    open: Option<OwnedFd>,
}

impl Socket6 {
    pub fn new(index: u32) -> Self {
        Socket6 { index, open: None }
    }

    pub fn send(&mut self, link: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let socket = match self.open.take() {
            Some(socket) => socket,
            None => open(link)?,
        };
        let socket = self.open.insert(socket);
        rustix::net::sendto(
            socket,
            bytes,
            SendFlags::empty(),
            &SocketAddrV6::new(SERVERS, SERVER, 0, self.index),
        )?;
        Ok(())
    }

    /// What has come, cut to the buffer; None when there is nothing after all.
    pub fn take<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Refusal> {
        let Some(socket) = &self.open else { return Ok(None) };
        match rustix::net::recv(socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => Ok(buffer.get(..length)),
            Err(Errno::AGAIN | Errno::INTR | Errno::NETDOWN | Errno::CONNREFUSED) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    pub fn rest(&mut self) {
        self.open = None;
    }

    pub fn waited(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(AsFd::as_fd)
    }
}

fn open(link: &str) -> Result<OwnedFd, Refusal> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::INET6, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
    // The new system's own client, which takes over, binds the same port.
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, &1i32)?;
    bind_to_device(socket.as_fd(), link)?;
    rustix::net::bind(&socket, &SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, CLIENT, 0, 0))?;
    Ok(socket)
}
