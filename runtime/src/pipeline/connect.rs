//! Connections for the HTTP client: to one of a host's addresses, the first that answers (RFC 8305), or to a proxy.
//!
//! Sockets do not block: they wait under the watch of the pipeline whose thread uses them.

use super::failure::fail;
use super::resolve::{Addresses, lookup};
use super::url::base64;
use super::watch::{Limit, Watch, current};
use crate::error::{errno_name, errno_text};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Error, Proxy};

/// Where an initrd keeps the certificates of the authorities that it trusts, PEM. All that exist are read.
pub const ROOTS: [&str; 2] = ["/etc/ssl/cert.pem", "/etc/diskless/ca.pem"];

/// Of each connection: what one read may bring.
pub const INPUT: usize = 64 << 10;

/// RFC 8305, 5: how long one address is waited for before the next one is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// A name with more addresses than this has no use for the rest.
const MOST_ADDRESSES: usize = 32;

/// Leaves resolving to the connector: a connection that is used again needs no name.
#[derive(Debug)]
pub struct Later;

impl Resolver for Later {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from(([0, 0, 0, 0], 0)));
        Ok(addresses)
    }
}

#[derive(Debug)]
pub struct Tcp {
    /// Whether there is any authority to trust.
    pub trust: bool,
}

impl Connector<()> for Tcp {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let watch = current()?;
        if details.needs_tls() && !self.trust {
            let advice = format!("https needs certificates of authorities in {} or {}", ROOTS[0], ROOTS[1]);
            return Err(fail("TLS", watch.stage, &watch.subject, advice).into());
        }
        let host = details.uri.host().unwrap_or_default();
        let port = details.uri.port_u16().unwrap_or(if details.needs_tls() { 443 } else { 80 });
        let (host, port, forward) = match details.config.proxy() {
            None => (host, port, None),
            // A tunnel: the connector of the client's own asks the proxy for it, over a connection from here.
            Some(_) if details.needs_tls() => return Ok(None),
            Some(proxy) => (proxy.host(), proxy.port(), Some(Forward::new(details.uri, proxy))),
        };
        watch.count_connection();
        let since = Instant::now();
        let stream = match again(host, port, &watch)? {
            Some(stream) => stream,
            None => {
                let mut addresses = lookup(host, port)?;
                addresses.wait(&watch, since)?;
                race(addresses, &watch, since)?
            }
        };
        remember(host, stream.peer_addr().ok());
        let buffers = LazyBuffers::new(INPUT, 16 << 10);
        Ok(Some(Socket { stream, buffers, forward, within: false }))
    }
}

/// By host: the address that it was reached by last, and when. Several connections to one server are opened at once, and
/// one question is enough for them.
static REACHED: Mutex<Vec<(String, SocketAddr, Instant)>> = Mutex::new(Vec::new());
/// A name may come to mean another address.
const REMEMBERED: Duration = Duration::from_secs(60);

pub fn remember(host: &str, address: Option<SocketAddr>) {
    let mut reached = REACHED.lock().expect("a panic aborts");
    let port = address.map(|address| address.port());
    reached.retain(|(name, other, since)| {
        since.elapsed() < REMEMBERED && (name != host || port.is_some_and(|port| port != other.port()))
    });
    reached.extend(address.map(|address| (host.to_owned(), address, Instant::now())));
}

/// A connection to where the host was reached before, if it answers as soon as it should.
fn again(host: &str, port: u16, watch: &Watch) -> io::Result<Option<TcpStream>> {
    let known = REACHED.lock().expect("a panic aborts").iter().find_map(|(name, address, since)| {
        (name == host && address.port() == port && since.elapsed() < REMEMBERED).then_some(*address)
    });
    let Some(Ok(socket)) = known.map(begin) else { return Ok(None) };
    if watch.poll(socket.as_fd(), PollFlags::OUT, STAGGER)? && sockopt::socket_error(&socket)?.is_ok() {
        return Ok(Some(TcpStream::from(socket)));
    }
    remember(host, None);
    Ok(None)
}

/// Tries every address, each some time after the one before it or as soon as that failed. The first that answers wins.
fn race(mut addresses: Addresses, watch: &Watch, since: Instant) -> io::Result<TcpStream> {
    let mut running: Vec<(OwnedFd, SocketAddr)> = Vec::new();
    let mut tried: Vec<SocketAddr> = Vec::new();
    let mut refused: Vec<(SocketAddr, Errno)> = Vec::new();
    let mut next_at = since;
    loop {
        if tried.len() < MOST_ADDRESSES
            && Instant::now() >= next_at
            && let Some(address) = addresses.next()
        {
            if tried.contains(&address) {
                continue;
            }
            tried.push(address);
            match begin(address) {
                Ok(socket) => {
                    running.push((socket, address));
                    next_at = Instant::now() + STAGGER;
                }
                Err(error) => refused.push((address, error)),
            }
            continue;
        }
        if running.is_empty() {
            if !addresses.expects_more() {
                return Err(nobody(&refused, &addresses, watch));
            }
            addresses.wait(watch, since)?;
            next_at = since;
            continue;
        }
        let mut wait = watch.left(since, Limit::Connect)?;
        if tried.len() < MOST_ADDRESSES && addresses.has_known() {
            wait = wait.min(next_at.saturating_duration_since(Instant::now()));
        }
        let mut polled: Vec<_> =
            running.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::OUT)).collect();
        polled.push(addresses.bell());
        watch.poll_any(&mut polled, wait)?;
        let ready: Vec<bool> = polled.iter().map(|each| !each.revents().is_empty()).collect();
        drop(polled);
        addresses.hear();
        for at in (0..running.len()).rev().filter(|&at| ready[at]) {
            let (socket, address) = running.remove(at);
            match sockopt::socket_error(&socket)? {
                Ok(()) => return Ok(TcpStream::from(socket)),
                Err(error) => {
                    refused.push((address, error));
                    next_at = since;
                }
            }
        }
    }
}

fn begin(address: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error),
    }
}

/// Every address with what it said; the code is the last one's.
fn nobody(refused: &[(SocketAddr, Errno)], addresses: &Addresses, watch: &Watch) -> io::Error {
    let Some((_, last)) = refused.last() else { return addresses.none(watch) };
    let each: Vec<String> = refused
        .iter()
        .map(|(address, error)| format!("{address}: {}", errno_text(error.raw_os_error())))
        .collect();
    let message = format!("no connection to {}", each.join(", nor to "));
    fail(&errno_name(last.raw_os_error()), watch.stage, &watch.subject, message)
}

/// What a proxy needs in a request that it passes on (RFC 9112, 3.2.2): the whole URL, and who asks.
#[derive(Debug)]
struct Forward {
    /// `http://HOST:PORT`, to go before the path.
    origin: String,
    /// A header's line, or nothing.
    authorization: String,
}

impl Forward {
    fn new(uri: &Uri, proxy: &Proxy) -> Forward {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let authorization = match (proxy.username(), proxy.password()) {
            (None, None) => String::new(),
            (user, password) => {
                let text = format!("{}:{}", user.unwrap_or_default(), password.unwrap_or_default());
                format!("Proxy-Authorization: Basic {}\r\n", base64(text.as_bytes()))
            }
        };
        Forward { origin: format!("http://{authority}"), authorization }
    }

    /// The request's head as the proxy wants it.
    fn head(&self, head: &[u8]) -> io::Result<Vec<u8>> {
        let path = head.iter().position(|&byte| byte == b' ').map(|space| space + 1);
        let line = head.windows(2).position(|pair| pair == b"\r\n").map(|end| end + 2);
        let (Some(path), Some(line)) = (path, line) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the URL is too long for a proxy"));
        };
        let parts = [&head[..path], self.origin.as_bytes(), &head[path..line]];
        Ok([&parts.concat(), self.authorization.as_bytes(), &head[line..]].concat())
    }
}

pub struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    forward: Option<Forward>,
    /// In the middle of a request's head.
    within: bool,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Socket({:?})", self.stream.peer_addr().ok())
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), Error> {
        let (watch, mut since, mut sent) = (current()?, Instant::now(), 0);
        let output = &self.buffers.output()[..amount];
        let changed = match &self.forward {
            Some(forward) if !self.within => Some(forward.head(output)?),
            _ => None,
        };
        self.within = !output.ends_with(b"\r\n\r\n");
        let output = changed.as_deref().unwrap_or(output);
        while sent < output.len() {
            match (&self.stream).write(&output[sent..]) {
                Ok(count) => {
                    sent += count;
                    since = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    watch.wait(self.stream.as_fd(), PollFlags::OUT, since, Limit::Stall)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, Error> {
        let (watch, since) = (current()?, Instant::now());
        loop {
            match (&self.stream).read(self.buffers.input_append_buf()) {
                Ok(count) => {
                    self.buffers.input_appended(count);
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    watch.wait(self.stream.as_fd(), PollFlags::IN, since, Limit::Stall)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A connection that waits in the pool must be silent: an end or bytes nobody asked for mean that it is useless.
    fn is_open(&mut self) -> bool {
        matches!((&self.stream).read(&mut [0]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
