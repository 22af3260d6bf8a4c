//! Host names to addresses, by the C library's getaddrinfo (static glibc holds its `files` and `dns` services).

use super::failure::{fail, sys_error};
use super::watch::{Deadlines, Limit, Watch};
use crate::error::{Result, SysError};
use crate::ops::Cancel;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Instant;

/// The addresses of a host, in the resolver's order. getaddrinfo cannot be interrupted, so a thread of its own
/// waits for it; when nobody wants the answer any more it ends by itself, within the resolver's own timeouts.
pub fn resolve(host: &str, port: u16, watch: &Watch, since: Instant) -> io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (send, receive) = sync_channel(1);
    let name = bare.to_owned();
    std::thread::Builder::new().name("resolve".into()).stack_size(512 << 10).spawn(move || {
        let _ = send.send((name.as_str(), port).to_socket_addrs().map(Vec::from_iter));
    })?;
    loop {
        match receive.recv_timeout(watch.slice(since, Limit::Connect)?) {
            Ok(Ok(addresses)) if !addresses.is_empty() => return Ok(addresses),
            Ok(Ok(_)) => return Err(unknown(watch, bare, "it has no address")),
            Ok(Err(error)) => {
                let text = error.to_string();
                let reason = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
                return Err(unknown(watch, bare, reason));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(unknown(watch, bare, "the resolver ended")),
        }
    }
}

/// The addresses of a host for one operation that is no pipeline.
pub fn addresses(
    operation: &'static str,
    host: &str,
    timeout_ms: u64,
    cancel: &Cancel,
) -> Result<Vec<IpAddr>> {
    let deadlines = Deadlines { connect_ms: timeout_ms, stall_ms: timeout_ms, total_ms: timeout_ms };
    let watch = Watch::new(operation, host, cancel, Some(deadlines));
    let found = resolve(host, 0, &watch, Instant::now()).map_err(|error| {
        let error = sys_error(error, operation, host);
        // It waited for no connection.
        if error.code == "TIMEOUT" { SysError::timeout(operation, host, timeout_ms) } else { error }
    })?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.iter().map(SocketAddr::ip) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

fn unknown(watch: &Watch, host: &str, reason: &str) -> io::Error {
    fail("DNS", watch.stage, &watch.subject, format!("the name {host} was not resolved: {reason}"))
}
