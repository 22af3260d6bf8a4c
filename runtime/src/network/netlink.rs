//! Netlink: messages as the kernel reads and writes them (netlink(7), rtnetlink(7)), requests and their answers.
//!
//! Written out by hand because we need five requests: the common crates parse every attribute of every link type
//! and cost more than all of this room.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType};

const HEADER: usize = 16;
/// The kernel fills dump answers up to 32 KiB.
const BUFFER: usize = 64 * 1024;

/// What the kernel said no to: the errno, and its own words where it has some (extended acknowledgement).
#[derive(Debug)]
pub struct Refusal {
    pub errno: Errno,
    pub words: Option<String>,
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Refusal { errno, words: None }
    }
}

/// A request being put together: header, the family's own header, attributes.
pub struct Message(Vec<u8>);

impl Message {
    pub fn new(kind: u16, flags: i32, family_header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&((flags | libc::NLM_F_REQUEST) as u16).to_ne_bytes());
        bytes.extend_from_slice(family_header);
        Message(bytes)
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        append(&mut self.0, kind, value);
        self
    }

    fn finished(mut self, sequence: u32) -> Vec<u8> {
        let length = self.0.len() as u32;
        self.0[..4].copy_from_slice(&length.to_ne_bytes());
        self.0[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.0
    }
}

fn append(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// The value of an attribute that is made of attributes.
pub struct Nested(Vec<u8>);

impl Nested {
    pub fn new() -> Self {
        Nested(Vec::new())
    }

    pub fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        append(&mut self.0, kind, value);
        self
    }

    pub fn finished(self) -> Vec<u8> {
        self.0
    }
}

pub struct Received<'a> {
    pub kind: u16,
    flags: u16,
    sequence: u32,
    /// The family's header and its attributes.
    pub payload: &'a [u8],
}

pub fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The messages of one datagram.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Received<'_>> {
    core::iter::from_fn(move || {
        let length = read_u32(bytes, 0)? as usize;
        let message = bytes.get(..length).filter(|message| message.len() >= HEADER)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Received {
            kind: read_u16(message, 4)?,
            flags: read_u16(message, 6)?,
            sequence: read_u32(message, 8)?,
            payload: &message[HEADER..],
        })
    })
}

/// The attributes in `bytes`, without the flags NLA_F_NESTED and NLA_F_NET_BYTEORDER.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    core::iter::from_fn(move || {
        let length = usize::from(read_u16(bytes, 0)?);
        let value = bytes.get(4..length)?;
        let kind = read_u16(bytes, 2)? & 0x3fff;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// An attribute's text, which the kernel ends with a NUL.
pub fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

/// `protocol`: None for routing, which is netlink's number 0.
pub fn open(protocol: Option<Protocol>, groups: u32) -> rustix::io::Result<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// One datagram of the kernel's. What other processes send to us (they may) counts as empty.
pub fn receive<'a>(socket: BorrowedFd<'_>, buffer: &'a mut Vec<u8>) -> rustix::io::Result<&'a [u8]> {
    buffer.resize(BUFFER, 0);
    let (length, _, from) = rustix::net::recvfrom(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    let kernel =
        from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).is_some_and(|from| from.pid() == 0);
    Ok(if kernel { &buffer[..length] } else { &[] })
}

/// A socket to the routing part of the kernel, for requests.
pub struct Routing {
    socket: OwnedFd,
    sequence: u32,
}

impl Routing {
    pub fn open() -> rustix::io::Result<Self> {
        let socket = open(None, 0)?;
        // Both only make refusals easier to read: a kernel without them still refuses.
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            let _ = super::socket_option::set_option(socket.as_fd(), libc::SOL_NETLINK, option, &1i32);
        }
        Ok(Routing { socket, sequence: 0 })
    }

    fn send(&mut self, message: Message) -> Result<(), Refusal> {
        self.sequence += 1;
        let bytes = message.finished(self.sequence);
        rustix::net::send(&self.socket, &bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Sends a request and waits until the kernel has done it.
    pub fn request(&mut self, message: Message) -> Result<(), Refusal> {
        self.send(message)?;
        let mut buffer = Vec::new();
        loop {
            for answer in messages(receive(self.socket.as_fd(), &mut buffer)?) {
                if answer.sequence == self.sequence && answer.kind == libc::NLMSG_ERROR as u16 {
                    return acknowledgement(&answer);
                }
            }
        }
    }

    /// Asks for everything of a kind. Asks again, a few times, when it changed while the kernel was telling it.
    pub fn dump(&mut self, request: impl Fn() -> Message) -> Result<Vec<(u16, Vec<u8>)>, Refusal> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (found, consistent) = self.dump_once(request())?;
            if consistent || attempts == 5 {
                return Ok(found);
            }
        }
    }

    fn dump_once(&mut self, request: Message) -> Result<(Vec<(u16, Vec<u8>)>, bool), Refusal> {
        self.send(request)?;
        let (mut found, mut consistent, mut buffer) = (Vec::new(), true, Vec::new());
        loop {
            for answer in messages(receive(self.socket.as_fd(), &mut buffer)?) {
                if answer.sequence != self.sequence {
                    continue;
                }
                consistent &= answer.flags & libc::NLM_F_DUMP_INTR as u16 == 0;
                match i32::from(answer.kind) {
                    libc::NLMSG_DONE => return Ok((found, consistent)),
                    libc::NLMSG_ERROR => acknowledgement(&answer)?,
                    _ => found.push((answer.kind, answer.payload.to_vec())),
                }
            }
        }
    }
}

/// Reads an NLMSG_ERROR: errno 0 is the acknowledgement. With NETLINK_CAP_ACK the request's header follows the
/// errno, then attributes.
fn acknowledgement(answer: &Received<'_>) -> Result<(), Refusal> {
    const MESSAGE: u16 = 1;
    let code = read_u32(answer.payload, 0).map_or(libc::EBADMSG, |code| -(code as i32));
    if code == 0 {
        return Ok(());
    }
    let extended = answer.flags & libc::NLM_F_ACK_TLVS as u16 != 0;
    let rest = answer.payload.get(4 + HEADER..).filter(|_| extended).unwrap_or_default();
    let words = attributes(rest).find(|(kind, _)| *kind == MESSAGE).map(|(_, value)| text(value));
    Err(Refusal { errno: Errno::from_raw_os_error(code), words })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_writes() {
        let bytes = Message::new(16, libc::NLM_F_ACK, &[7; 16])
            .attribute(3, b"eth0\0")
            .attribute(4, &1500u32.to_ne_bytes())
            .finished(9);
        let all: Vec<_> = messages(&bytes).collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].kind, all[0].sequence), (16, 9));
        let found: Vec<_> = attributes(&all[0].payload[16..]).collect();
        assert_eq!(found, vec![(3, b"eth0\0".as_slice()), (4, 1500u32.to_ne_bytes().as_slice())]);
        assert_eq!(text(found[0].1), "eth0");
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        assert_eq!(messages(&[8, 0, 0, 0, 1, 0, 0, 0]).count(), 0);
        assert_eq!(messages(&[255; 64]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0);
        assert_eq!(attributes(&[9, 0, 1, 0, 5]).count(), 0);
    }
}
