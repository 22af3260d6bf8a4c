//! What asking for a connection with a TCP port comes to, through one link alone.

use super::netlink::Refusal;
use super::socket_option::set_option;
use crate::clock::now;
use crate::wait::{Waiter, Woken};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

/// The `PortAnswer` of src/sys/network.ts.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    Connected,
    Refused,
    Nothing,
}

/// None: the call was given up.
pub fn answers(
    link: &str,
    address: IpAddr,
    port: u16,
    timeout: f64,
    waiter: &Waiter,
) -> Result<Option<Answer>, Refusal> {
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
            Woken::Deadline => return Ok(Some(Answer::Nothing)),
            Woken::Ready => rustix::net::sockopt::socket_error(&socket)?,
        },
        at_once => at_once,
    };
    match outcome {
        Ok(()) => Ok(Some(Answer::Connected)),
        Err(Errno::CONNREFUSED | Errno::CONNRESET) => Ok(Some(Answer::Refused)),
        Err(Errno::HOSTUNREACH | Errno::NETUNREACH | Errno::TIMEDOUT | Errno::HOSTDOWN | Errno::ACCESS) => {
            Ok(Some(Answer::Nothing))
        }
        Err(errno) => Err(errno.into()),
    }
}
