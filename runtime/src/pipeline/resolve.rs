//! Host names to addresses, by the C library's getaddrinfo (static glibc holds its `files` and `dns` services; what
//! it does about several servers and silent ones is in `RESOLVER`).
//!
//! A and AAAA are two questions, asked together and answered apart (RFC 8305, 3): a server that drops one of them
//! holds nobody up.

use super::failure::{fail, sys_error};
use super::watch::{Deadlines, Limit, Watch};
use crate::error::{Result, SysError};
use crate::ops::Cancel;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd};
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

/// RES_OPTIONS of resolv.conf(5): each server of the list is given a second, and the list is gone through five times.
/// Another one is asked at once after SERVFAIL. By default each would be given five seconds.
pub const RESOLVER: (&str, &str) = ("RES_OPTIONS", "timeout:1 attempts:5");

/// RFC 8305, 3: how long the second family is waited for when the first one is there.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

/// What a family's question came to: addresses, or why there are none.
type Answer = std::result::Result<Vec<SocketAddr>, String>;

/// The addresses of a host, the preferred family first and the families by turns. Some may come later.
pub struct Addresses {
    host: String,
    known: [VecDeque<SocketAddr>; 2],
    /// Which family is next.
    next: usize,
    reasons: Vec<String>,
    /// Questions that are not answered.
    open: usize,
    answers: Receiver<Answer>,
    /// An eventfd: readable once there is an answer that was not heard.
    bell: Arc<OwnedFd>,
}

/// Asks for a host. getaddrinfo cannot be interrupted, so threads of their own wait for it; when nobody wants the
/// answers any more they end by themselves, within the resolver's own timeouts.
pub fn lookup(host: &str, port: u16) -> io::Result<Addresses> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let (tell, answers) = channel();
    let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let mut addresses = Addresses {
        host: bare.to_owned(),
        known: Default::default(),
        next: 0,
        reasons: Vec::new(),
        open: 0,
        answers,
        bell: bell.clone(),
    };
    if let Some(address) = literal(bare, port) {
        addresses.known[usize::from(address.is_ipv4())].push_back(address);
        return Ok(addresses);
    }
    for family in [libc::AF_INET6, libc::AF_INET] {
        let (name, tell, bell): (_, Sender<Answer>, _) = (bare.to_owned(), tell.clone(), bell.clone());
        let thread = std::thread::Builder::new().name("resolve".into()).stack_size(512 << 10);
        thread.spawn(move || {
            let _ = tell.send(ask(&name, port, family));
            // It takes eight bytes unless its counter is full, and then it is readable already.
            let _ = rustix::io::write(&*bell, &1u64.to_ne_bytes());
        })?;
        addresses.open += 1;
    }
    Ok(addresses)
}

impl Addresses {
    /// Waits until there is something to try, and a moment longer for the other family.
    pub fn wait(&mut self, watch: &Watch, since: Instant) -> io::Result<()> {
        while !self.has_known() && self.open > 0 {
            watch.poll(self.bell.as_fd(), PollFlags::IN, watch.left(since, Limit::Connect)?)?;
            self.hear();
        }
        let begun = Instant::now();
        while self.open > 0 && begun.elapsed() < RESOLUTION_DELAY {
            let left = watch.left(since, Limit::Connect)?;
            let delay = RESOLUTION_DELAY.saturating_sub(begun.elapsed());
            watch.poll(self.bell.as_fd(), PollFlags::IN, delay.min(left))?;
            self.hear();
        }
        Ok(())
    }

    /// To wait for an answer beside other things; then `hear`.
    pub fn bell(&self) -> PollFd<'_> {
        PollFd::new(&self.bell, PollFlags::IN)
    }

    /// Takes the answers that are there.
    pub fn hear(&mut self) {
        // Nothing to read is as good.
        let _ = rustix::io::read(&*self.bell, &mut [0; 8]);
        loop {
            match self.answers.try_recv() {
                Ok(answer) => {
                    self.open -= 1;
                    match answer {
                        Ok(found) => {
                            for address in found {
                                self.known[usize::from(address.is_ipv4())].push_back(address);
                            }
                        }
                        Err(reason) => self.reasons.push(reason),
                    }
                }
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.open = 0;
                    return;
                }
            }
        }
    }

    /// Whether there is something to try.
    pub fn has_known(&self) -> bool {
        self.known.iter().any(|known| !known.is_empty())
    }

    /// The next one to try, of what is known so far.
    pub fn next(&mut self) -> Option<SocketAddr> {
        self.hear();
        let found = self.known[self.next].pop_front().or_else(|| {
            self.next = 1 - self.next;
            self.known[self.next].pop_front()
        });
        self.next = 1 - self.next;
        found
    }

    /// Whether an answer may still come.
    pub fn expects_more(&self) -> bool {
        self.open > 0
    }

    /// Why there is no address.
    pub fn none(&self, watch: &Watch) -> io::Error {
        let reason = self.reasons.first().map_or("it has no address", String::as_str);
        let message = format!("the name {} was not resolved: {reason}", self.host);
        fail("DNS", watch.stage, &watch.subject, message)
    }
}

/// An address as a URL writes it: RFC 3986, and RFC 6874's zone after `%25` (or `%`, as everybody writes it).
fn literal(bare: &str, port: u16) -> Option<SocketAddr> {
    let Some((address, zone)) = bare.split_once('%') else {
        return bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, port));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let name = CString::new(zone.strip_prefix("25").unwrap_or(zone)).ok()?;
    // SAFETY: a NUL-terminated string that outlives the call.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    let index = if index == 0 { name.to_str().ok()?.parse().ok()? } else { index };
    Some(SocketAddrV6::new(address, port, 0, index).into())
}

fn ask(name: &str, port: u16, family: i32) -> Answer {
    let name = CString::new(name).map_err(|_| "it is not a name".to_owned())?;
    // SAFETY: all zeroes is a valid addrinfo: no flags, any family, null pointers.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    (hints.ai_family, hints.ai_socktype) = (family, libc::SOCK_STREAM);
    let mut list = std::ptr::null_mut();
    // SAFETY: name and hints outlive the call, a null service is allowed, and list takes the result.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &hints, &mut list) };
    // The name is there, and has none of this family.
    if code == libc::EAI_NODATA {
        return Ok(Vec::new());
    }
    if code != 0 {
        // SAFETY: gai_strerror returns a static string for any number.
        let reason = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
        return Err(reason.to_string_lossy().into_owned());
    }
    let (mut found, mut at) = (Vec::new(), list);
    // SAFETY: every entry is null or one that getaddrinfo made, valid until freeaddrinfo below.
    while let Some(entry) = unsafe { at.as_ref() } {
        if entry.ai_family == libc::AF_INET {
            // SAFETY: an entry of this family has a sockaddr_in.
            let address = unsafe { *entry.ai_addr.cast::<libc::sockaddr_in>() };
            found.push((address.sin_addr.s_addr.to_ne_bytes(), port).into());
        } else if entry.ai_family == libc::AF_INET6 {
            // SAFETY: an entry of this family has a sockaddr_in6.
            let address = unsafe { *entry.ai_addr.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            found.push(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into());
        }
        at = entry.ai_next;
    }
    // SAFETY: from getaddrinfo, freed once; nothing points into it any more.
    unsafe { libc::freeaddrinfo(list) };
    Ok(found)
}

/// Every address that is known when the families were given their time.
pub fn resolve(host: &str, port: u16, watch: &Watch, since: Instant) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = lookup(host, port)?;
    addresses.wait(watch, since)?;
    let mut found: Vec<SocketAddr> = Vec::new();
    while let Some(address) = addresses.next() {
        if !found.contains(&address) {
            found.push(address);
        }
    }
    if found.is_empty() { Err(addresses.none(watch)) } else { Ok(found) }
}

/// The addresses of a host for one operation that is no pipeline.
pub fn addresses(
    operation: &'static str,
    host: &str,
    timeout_ms: u64,
    cancel: &Cancel,
) -> Result<Vec<IpAddr>> {
    let deadlines = Deadlines { connect_ms: timeout_ms, stall_ms: timeout_ms, total_ms: timeout_ms };
    let found = Watch::new(operation, host, cancel, Some(deadlines))
        .and_then(|watch| resolve(host, 0, &watch, Instant::now()));
    let found = found.map_err(|error| {
        let error = sys_error(error, operation, host);
        // It waited for no connection.
        if error.code == "TIMEOUT" { SysError::timeout(operation, host, timeout_ms) } else { error }
    })?;
    Ok(found.iter().map(SocketAddr::ip).collect())
}
