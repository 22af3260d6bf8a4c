//! TFTP, reading: RFC 1350 with options (RFC 2347): blksize (2348), tsize and timeout (2349), windowsize (7440).
//!
//! Whoever waits repeats itself: a packet of ours that is not answered goes again, after 1 s, 2 s, then every 4 s,
//! until the deadline. Duplicates are never answered, so no two packets breed (the "sorcerer's apprentice").

use super::failure::{fail, failure, sys_error};
use super::opened::Opened;
use super::resolve::resolve;
use super::tftp_packet::{BLOCK, DATA, ERROR, OPTIONS, WINDOW, acknowledgement, refusal, request, split};
use super::url::{host_port_path, percent_decode, split_userinfo};
use super::watch::{Limit, Watch};
use rustix::event::PollFlags;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Read};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

const PORT: u16 = 69;
const STAGE: &str = "tftp";

pub fn open(url: &str, watch: &Rc<Watch>) -> io::Result<Opened<'static>> {
    let url = split_userinfo(url).1;
    let invalid = || fail("EINVAL", STAGE, &watch.subject, "this is not a URL of a file: tftp://HOST/PATH");
    let (host, port, path) = host_port_path(&url, PORT).ok_or_else(invalid)?;
    let name = percent_decode(path.strip_prefix('/').unwrap_or(path));
    if name.is_empty() || name.contains(&0) {
        return Err(invalid());
    }
    let since = Instant::now();
    let mut last = None;
    for server in resolve(host, port, watch, since)? {
        match Transfer::start(server, &name, watch, since) {
            Ok(transfer) => {
                let total = transfer.total;
                return Ok(Opened { reader: Box::new(transfer), total, validator: None });
            }
            // A family that this machine has no way to: the next address may do.
            Err(error) if error.raw_os_error().is_some() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    Err(failure(sys_error(error, STAGE, &watch.subject)))
}

struct Transfer {
    socket: UdpSocket,
    /// The server, with the port that it chose for this transfer once it answered.
    peer: SocketAddr,
    watch: Rc<Watch>,
    total: Option<u64>,
    block_size: usize,
    window: u16,
    /// The block that comes next; it wraps.
    expected: u16,
    /// Blocks since the last acknowledgement.
    unacknowledged: u16,
    /// A block was lost and the server was told where to begin again.
    gap: bool,
    bytes: u64,
    received: VecDeque<u8>,
    done: bool,
    /// The packet that goes again when no answer comes, and when it went.
    last: Vec<u8>,
    sent: Instant,
    wait: Duration,
}

impl Transfer {
    fn start(server: SocketAddr, name: &[u8], watch: &Rc<Watch>, since: Instant) -> io::Result<Transfer> {
        let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let socket = UdpSocket::bind(any)?;
        socket.set_nonblocking(true)?;
        let mut transfer = Transfer {
            socket,
            peer: server,
            watch: watch.clone(),
            total: None,
            block_size: 512,
            window: 1,
            expected: 1,
            unacknowledged: 0,
            gap: false,
            bytes: 0,
            received: VecDeque::new(),
            done: false,
            last: Vec::new(),
            sent: Instant::now(),
            wait: Duration::ZERO,
        };
        transfer.send(request(name, true))?;
        let mut options = true;
        loop {
            let (packet, from) = transfer.receive(since, Limit::Connect)?;
            if from.ip() != server.ip() {
                continue;
            }
            match split(&packet) {
                Some((OPTIONS, body)) if options => {
                    transfer.meet(from)?;
                    transfer.agree(body)?;
                    transfer.send(acknowledgement(0))?;
                    return Ok(transfer);
                }
                Some((DATA, body)) if body.starts_with(&[0, 1]) => {
                    transfer.meet(from)?;
                    transfer.block(body)?;
                    return Ok(transfer);
                }
                // Option negotiation failed (RFC 2347), or an old server that does not know options.
                Some((ERROR, [0, 4 | 8, ..])) if options => {
                    options = false;
                    transfer.send(request(name, false))?;
                }
                Some((ERROR, body)) => {
                    transfer.done = true;
                    return Err(refused(body, watch));
                }
                _ => {}
            }
        }
    }

    /// From now on only this port of the server is heard, and the network's errors are.
    fn meet(&mut self, from: SocketAddr) -> io::Result<()> {
        self.peer = from;
        self.socket.connect(from)
    }

    /// Takes over what the server agreed to; it may only lower what was asked for.
    fn agree(&mut self, body: &[u8]) -> io::Result<()> {
        let mut fields = body.split(|&byte| byte == 0).map(String::from_utf8_lossy);
        let mut agreed = HashMap::new();
        while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
            agreed.insert(name.to_ascii_lowercase(), value.parse::<u64>().ok());
        }
        let get = |name: &str| agreed.get(name).copied().flatten();
        self.total = get("tsize");
        let block = get("blksize").unwrap_or(512);
        let window = get("windowsize").unwrap_or(1);
        if !(8..=BLOCK as u64).contains(&block) || !(1..=u64::from(WINDOW)).contains(&window) {
            self.complain(8, b"more than was asked for");
            let message = "the server insists on options that nobody asked for";
            return Err(fail("FORMAT", STAGE, &self.watch.subject, message));
        }
        (self.block_size, self.window) = (block as usize, window as u16);
        Ok(())
    }

    fn send(&mut self, packet: Vec<u8>) -> io::Result<()> {
        self.last = packet;
        self.wait = Duration::from_secs(1);
        self.repeat()
    }

    fn repeat(&mut self) -> io::Result<()> {
        self.sent = Instant::now();
        match self.socket.send_to(&self.last, self.peer) {
            // What the network cannot take now is as good as lost, and goes again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            result => result.map(|_| ()),
        }
    }

    /// The next packet. Repeats ours while there is none.
    fn receive(&mut self, since: Instant, limit: Limit) -> io::Result<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; BLOCK.max(512) + 4 + 1];
        loop {
            match self.socket.recv_from(&mut buffer) {
                Ok((length, from)) => {
                    buffer.truncate(length);
                    return Ok((buffer, from));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let deadline = self.watch.left(since, limit)?;
            let left = self.wait.saturating_sub(self.sent.elapsed());
            if left.is_zero() {
                self.wait = (self.wait * 2).min(Duration::from_secs(4));
                self.repeat()?;
            }
            self.watch.poll(
                self.socket.as_fd(),
                PollFlags::IN,
                deadline.min(left.max(Duration::from_millis(1))),
            )?;
        }
    }

    /// A block, number and content: if it is the next one it is kept.
    fn block(&mut self, body: &[u8]) -> io::Result<()> {
        let Some((number, content)) = body.split_first_chunk::<2>() else { return Ok(()) };
        let number = u16::from_be_bytes(*number);
        if number != self.expected || content.len() > self.block_size {
            // Not an old one that comes again, but one too far: tell the server, once, where to begin again.
            let ahead = number.wrapping_sub(self.expected);
            if ahead > 0 && ahead < self.window && !self.gap {
                self.gap = true;
                self.acknowledge()?;
            }
            return Ok(());
        }
        self.gap = false;
        self.expected = self.expected.wrapping_add(1);
        self.unacknowledged += 1;
        self.bytes += content.len() as u64;
        self.received.extend(content);
        self.done = content.len() < self.block_size;
        if self.done || self.unacknowledged >= self.window {
            self.acknowledge()?;
        }
        match self.total {
            Some(total) if self.done && self.bytes < total => {
                let message = format!("the transfer ended after {} of {total} bytes", self.bytes);
                Err(fail("TRUNCATED", STAGE, &self.watch.subject, message))
            }
            _ => Ok(()),
        }
    }

    fn acknowledge(&mut self) -> io::Result<()> {
        self.unacknowledged = 0;
        self.send(acknowledgement(self.expected.wrapping_sub(1)))
    }

    /// Tells the server that this is over. It may not hear it, and will find out.
    fn complain(&mut self, code: u16, text: &[u8]) {
        self.done = true;
        let packet = [&ERROR.to_be_bytes()[..], &code.to_be_bytes(), text, &[0]].concat();
        let _ = self.socket.send_to(&packet, self.peer);
    }
}

impl Read for Transfer {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        while self.received.is_empty() && !self.done {
            let (packet, _) = self.receive(since, Limit::Stall)?;
            match split(&packet) {
                Some((DATA, body)) => self.block(body)?,
                Some((ERROR, body)) => {
                    self.done = true;
                    return Err(refused(body, &self.watch));
                }
                _ => {}
            }
        }
        self.received.read(to)
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if !self.done {
            self.complain(0, b"given up");
        }
    }
}

fn refused(body: &[u8], watch: &Watch) -> io::Error {
    let (code, message) = refusal(body);
    fail(code, STAGE, &watch.subject, message)
}
