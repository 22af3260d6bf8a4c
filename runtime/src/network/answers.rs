//! Whether somebody is there at a TCP port, through one link alone.

use super::netlink::Refusal;
use super::packet::set_option;
use crate::clock::now;
use crate::wait::{Waiter, Woken};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// Some(true): a connection, or a refusal, which is an answer as well. None: the call was given up.
pub fn answers(
    link: &str,
    address: IpAddr,
    port: u16,
    timeout: f64,
    waiter: &Waiter,
) -> Result<Option<bool>, Refusal> {
    let deadline = now() + timeout;
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    let mut name = [0u8; libc::IFNAMSIZ];
    let length = link.len().min(name.len() - 1);
    name[..length].copy_from_slice(&link.as_bytes()[..length]);
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_BINDTODEVICE, &name)?;
    let outcome = match rustix::net::connect(&socket, &SocketAddr::new(address, port)) {
        Err(Errno::INPROGRESS) => match waiter.writable(socket.as_fd(), Some(deadline))? {
            Woken::Cancelled => return Ok(None),
            Woken::Deadline => return Ok(Some(false)),
            Woken::Ready => rustix::net::sockopt::socket_error(&socket)?,
        },
        at_once => at_once,
    };
    match outcome {
        Ok(()) | Err(Errno::CONNREFUSED | Errno::CONNRESET) => Ok(Some(true)),
        Err(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT | Errno::HOSTDOWN | Errno::ACCESS) => {
            Ok(Some(false))
        }
        Err(errno) => Err(errno.into()),
    }
}
