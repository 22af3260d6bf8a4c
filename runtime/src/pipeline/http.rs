//! HTTP and HTTPS: one client for all pipelines, so that connections to a server are kept and used again.
//!
//! Sockets do not block: they wait under the watch of the pipeline whose thread uses them.

use super::failure::{fail, unwrap_failure};
use super::resolve::resolve;
use super::source::{Opened, Validator};
use super::url::{base64, split_userinfo};
use super::watch::{Limit, Watch, current};
use crate::error::{SysError, errno_name, errno_text};
use rustix::event::PollFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use ureq::http::{HeaderValue, Uri};
use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, RustlsConnector, Transport,
};
use ureq::{Agent, Error};

/// Where an initrd keeps the certificates of the authorities that it trusts, PEM. All that exist are read.
pub const ROOTS: [&str; 2] = ["/etc/ssl/cert.pem", "/etc/diskless/ca.pem"];

/// Who this machine is to a server that asks: its certificate, those between it and its authority, its key. PEM.
const IDENTITY: &str = "/etc/diskless/client.pem";

/// A longer entity tag or date is not kept: it would be sent again with every request.
const VALIDATOR: usize = 512;

/// Starts the request and reads the answer's head.
pub fn open(url: &str, unless_still: &Validator, watch: &Watch) -> io::Result<Opened> {
    static CLIENT: OnceLock<Agent> = OnceLock::new();
    open_with(CLIENT.get_or_init(|| client(&ROOTS, IDENTITY)), url, unless_still, watch)
}

pub fn client(roots: &[&str], identity: &str) -> Agent {
    let certificates: Vec<Certificate<'static>> =
        roots.iter().filter_map(|path| std::fs::read(path).ok()).flat_map(|pem| certificates(&pem)).collect();
    let trust = !certificates.is_empty();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .client_cert(std::fs::read(identity).ok().and_then(|pem| client_certificate(&pem)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("diskless")
        .max_redirects(10)
        .max_idle_connections(16)
        .max_idle_connections_per_host(8)
        .max_idle_age(Duration::from_secs(10))
        .tls_config(tls)
        .build();
    Agent::with_parts(config, Tcp { trust }.chain(RustlsConnector::default()), Later)
}

fn client_certificate(pem: &[u8]) -> Option<ClientCert> {
    let key = parse_pem(pem).find_map(|item| match item {
        Ok(PemItem::PrivateKey(key)) => Some(key),
        _ => None,
    })?;
    Some(ClientCert::new_with_certs(&certificates(pem), key))
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

pub fn open_with(client: &Agent, url: &str, unless_still: &Validator, watch: &Watch) -> io::Result<Opened> {
    let (user, url) = split_userinfo(url);
    let mut request = client.get(url.as_ref());
    if let Some(user) = user {
        request = request.header("Authorization", format!("Basic {}", base64(&user)));
    }
    for (name, value) in
        [("If-None-Match", &unless_still.etag), ("If-Modified-Since", &unless_still.last_modified)]
    {
        if let Some(value) = value {
            let value = HeaderValue::from_str(value).map_err(|_| {
                fail("EINVAL", "http", &watch.subject, format!("{name} cannot be asked with {value:?}"))
            })?;
            request = request.header(name, value);
        }
    }
    let answer = request.call().map_err(|error| explain(error, watch))?;
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let status = answer.status();
    if !status.is_success() {
        let reason = match status.as_u16() {
            304 => "unchanged",
            _ => status.canonical_reason().unwrap_or("no reason that is known"),
        };
        let message = format!("the server answered {} ({reason})", status.as_u16());
        let mut error = SysError::new("HTTP", "pipeline.http", &watch.subject, message);
        error.status = Some(status.as_u16());
        error.retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
        return Err(super::failure::failure(error));
    }
    let total = header("content-length").and_then(|length| length.parse().ok());
    let state = |name| header(name).filter(|value| (1..=VALIDATOR).contains(&value.len())).map(str::to_owned);
    let validator = match (state("etag"), state("last-modified")) {
        (None, None) => None,
        (etag, last_modified) => Some(Validator { etag, last_modified }),
    };
    let (subject, body) = (watch.subject.clone(), answer.into_body().into_reader());
    Ok(Opened { reader: Box::new(Body { body, subject, total, bytes: 0 }), total, validator })
}

/// The body of an answer; an end before the announced length is TRUNCATED.
struct Body<R> {
    body: R,
    subject: String,
    total: Option<u64>,
    bytes: u64,
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = match self.body.read(to) {
            Ok(0) if to.is_empty() || self.total.is_none_or(|total| self.bytes >= total) => 0,
            Ok(0) => return Err(self.truncated()),
            Ok(count) => count,
            Err(error) if unwrap_failure(&error).is_some() => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.truncated()),
            Err(error) => {
                let watch = current()?;
                return Err(explain(Error::from(error), &watch));
            }
        };
        self.bytes += count as u64;
        Ok(count)
    }
}

impl<R> Body<R> {
    fn truncated(&self) -> io::Error {
        let message = match self.total {
            Some(total) => format!("the connection ended after {} of {total} bytes", self.bytes),
            None => format!("the connection ended after {} bytes, before the end of the answer", self.bytes),
        };
        fail("TRUNCATED", "http", &self.subject, message)
    }
}

/// What the client reports, in our codes and in a person's words.
fn explain(error: Error, watch: &Watch) -> io::Error {
    let of = |code: &str, message: String| fail(code, "http", &watch.subject, message);
    match error {
        Error::Io(error) => {
            if unwrap_failure(&error).is_some() {
                error
            } else if error.kind() == io::ErrorKind::UnexpectedEof {
                of("TRUNCATED", "the server closed the connection without an answer".into())
            } else if let Some(number) = error.raw_os_error() {
                of(&errno_name(number), errno_text(number))
            } else if error.kind() == io::ErrorKind::InvalidData {
                // rustls hides its own errors in this kind.
                of("TLS", tls_text(&error.to_string()))
            } else {
                of("EIO", error.to_string())
            }
        }
        Error::Rustls(error) => of("TLS", tls_text(&error.to_string())),
        Error::Tls(text) => of("TLS", text.to_owned()),
        Error::BadUri(_) | Error::Http(_) => of("EINVAL", "this is not a URL".into()),
        Error::Protocol(error) => of("FORMAT", format!("the answer is not HTTP: {error}")),
        Error::LargeResponseHeader(..) => of("FORMAT", "the answer's headers are too long".into()),
        Error::TooManyRedirects => of("ELOOP", "more than 10 redirects".into()),
        Error::RedirectFailed => of("FORMAT", "the server redirects to what is not a URL".into()),
        Error::HostNotFound => of("DNS", "the name was not resolved".into()),
        other => of("EIO", other.to_string()),
    }
}

fn tls_text(reason: &str) -> String {
    format!("no secure connection: {reason}")
}

/// Leaves resolving to the connector: a connection that is used again needs no name.
#[derive(Debug)]
struct Later;

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
struct Tcp {
    /// Whether there is any authority to trust.
    trust: bool,
}

impl Connector<()> for Tcp {
    type Out = Socket;

    fn connect(&self, details: &ConnectionDetails, _: Option<()>) -> Result<Option<Socket>, Error> {
        let watch = current()?;
        if details.needs_tls() && !self.trust {
            let advice = format!("https needs certificates of authorities in {} or {}", ROOTS[0], ROOTS[1]);
            return Err(fail("TLS", watch.stage, &watch.subject, advice).into());
        }
        let since = Instant::now();
        let host = details.uri.host().unwrap_or_default();
        let port = details.uri.port_u16().unwrap_or(if details.needs_tls() { 443 } else { 80 });
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in resolve(host, port, &watch, since)? {
            match connect_to(address, &watch, since) {
                Ok(stream) => {
                    let buffers = LazyBuffers::new(128 << 10, 16 << 10);
                    return Ok(Some(Socket { stream, buffers }));
                }
                // The next address may do; a deadline or a cancel ends the search.
                Err(error) if unwrap_failure(&error).is_some() => return Err(error.into()),
                Err(error) => last = refused(error, address, &watch),
            }
        }
        Err(last.into())
    }
}

fn refused(error: io::Error, address: SocketAddr, watch: &Watch) -> io::Error {
    match error.raw_os_error() {
        Some(number) => {
            let message = format!("no connection to {address}: {}", errno_text(number));
            fail(&errno_name(number), watch.stage, &watch.subject, message)
        }
        None => error,
    }
}

fn connect_to(address: SocketAddr, watch: &Watch, since: Instant) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &address) {
        Ok(()) => {}
        Err(rustix::io::Errno::INPROGRESS) => {
            watch.wait(socket.as_fd(), PollFlags::OUT, since, Limit::Connect)?;
            sockopt::socket_error(&socket)??;
        }
        Err(error) => return Err(error.into()),
    }
    Ok(TcpStream::from(socket))
}

struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
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
        while sent < amount {
            match (&self.stream).write(&self.buffers.output()[sent..amount]) {
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
