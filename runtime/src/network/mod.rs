//! The room `network` of `Sys` (src/sys/network.ts): links, addresses, routes, DHCP's sockets, ARP probes.

mod address_watch;
mod addresses;
mod answers;
mod arp;
mod datagram;
mod date;
mod dhcp;
mod dhcp_message;
mod dhcp_options;
#[cfg(test)]
mod dhcp_tests;
mod dhcp_wire;
#[cfg(test)]
mod ipv6_tests;
mod link_watch;
mod links;
pub mod netlink;
mod packet;
mod receive;
mod socket_option;
#[cfg(test)]
mod tests;
mod time;

use crate::error::{Result, SysError};
use crate::ops::{Call, Ops};
use crate::wait::{Waiter, Woken, on_thread};
use datagram::{DatagramSocket, Kind};
use dhcp::DhcpSocket;
use netlink::Refusal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

pub fn register(ops: &mut Ops) {
    ops.pool("network.links", |_: Nothing, _, _| links::links().map_err(told("network.links", "links")));
    ops.deferred("network.watchLinks", watch_links);
    ops.pool("network.setLink", |it: SetLink, _, _| {
        links::set(&it.name, &it.change).map_err(told("network.setLink", &it.name))
    });
    ops.pool("network.addLink", |it: AddLink, _, _| {
        links::add(&it.link).map_err(told("network.addLink", it.link.name()))
    });
    ops.pool("network.addAddress", |it: AddAddress, _, _| {
        addresses::add(&it.link, &it.address).map_err(told("network.addAddress", &it.link))
    });
    ops.pool("network.flush", |it: OfLink, _, _| {
        addresses::flush(&it.link).map_err(told("network.flush", &it.link))
    });
    ops.pool("network.addRoute", |it: AddRoute, _, _| {
        addresses::add_route(&it.link, &it.route).map_err(told("network.addRoute", &it.link))
    });
    ops.pool("network.openDhcp", |it: OfLink, _, _| open_dhcp(&it.link));
    ops.pool("network.dhcpSend", |it: DhcpSend, _, _| {
        let socket = SOCKETS.get("network.dhcpSend", it.socket)?;
        socket.send(&it.message, it.to).map_err(told("network.dhcpSend", &socket.wire.link))
    });
    ops.deferred("network.dhcpReceive", dhcp_receive);
    ops.inline("network.dhcpClose", |it: OfSocket| {
        if let Some(socket) = SOCKETS.remove(it.socket) {
            socket.closed.store(true, Ordering::Relaxed);
        }
        Ok(())
    });
    ops.deferred("network.watchAddresses", watch_addresses);
    ops.pool("network.openRouterDiscovery", |it: OfLink, _, _| {
        open_datagrams("network.openRouterDiscovery", &it.link, &Kind::RouterDiscovery)
    });
    ops.pool("network.openDhcp6", |it: OfLink, _, _| {
        open_datagrams("network.openDhcp6", &it.link, &Kind::Dhcp)
    });
    ops.pool("network.datagramSend", |it: DatagramSend, _, _| {
        let socket = DATAGRAMS.get("network.datagramSend", it.socket)?;
        socket.send(&it.bytes, it.to).map_err(told("network.datagramSend", &socket.link))
    });
    ops.deferred("network.datagramReceive", datagram_receive);
    ops.inline("network.datagramClose", |it: OfSocket| {
        if let Some(socket) = DATAGRAMS.remove(it.socket) {
            socket.closed.store(true, Ordering::Relaxed);
        }
        Ok(())
    });
    ops.deferred("network.resolve", resolve);
    ops.deferred("network.answers", answers);
    ops.deferred("network.arpProbe", arp_probe);
    ops.deferred("network.askTime", ask_time);
    ops.deferred("network.askDate", ask_date);
}

#[derive(Deserialize)]
struct Nothing {}

#[derive(Deserialize)]
struct OfLink {
    link: String,
}

#[derive(Deserialize)]
struct SetLink {
    name: String,
    #[serde(flatten)]
    change: links::Change,
}

#[derive(Deserialize)]
struct AddLink {
    link: links::NewLink,
}

#[derive(Deserialize)]
struct AddAddress {
    link: String,
    address: addresses::Address,
}

#[derive(Deserialize)]
struct AddRoute {
    link: String,
    route: addresses::Route,
}

#[derive(Deserialize)]
struct OfSocket {
    socket: u32,
}

#[derive(Deserialize)]
struct DhcpSend {
    socket: u32,
    message: dhcp_message::DhcpMessage,
    to: Option<Ipv4Addr>,
}

#[derive(Deserialize)]
struct DatagramSend {
    socket: u32,
    bytes: String,
    to: Ipv6Addr,
}

/// Also of a datagram.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DhcpReceive {
    socket: u32,
    deadline_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArpProbe {
    link: String,
    address: Ipv4Addr,
    timeout_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answers {
    link: String,
    address: IpAddr,
    port: u16,
    timeout_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resolve {
    name: String,
    timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskTime {
    server: IpAddr,
    timeout_ms: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskDate {
    server: IpAddr,
    port: u16,
    host: String,
    timeout_ms: u64,
}

/// The error of an operation: the kernel's words after the errno's where it has some.
fn told(operation: &'static str, subject: &str) -> impl Fn(Refusal) -> SysError {
    move |refusal| {
        let mut error = SysError::os(operation, subject, refusal.errno);
        if let Some(words) = &refusal.words {
            error.message = format!("{} ({words})", error.message);
        }
        error
    }
}

fn failed<E: Into<std::io::Error>>(operation: &'static str, subject: &str) -> impl Fn(E) -> SysError {
    move |error| SysError::os(operation, subject, error)
}

fn watch_links(_: Nothing, call: Call) {
    const NAME: &str = "network.watchLinks";
    // Subscribed before this returns, so a change that the caller makes next is seen.
    let opened = link_watch::Watch::open();
    on_thread("watch-links", call, move |cancel, emit| {
        let mut watch = opened.map_err(told(NAME, "links"))?;
        let waiter = Waiter::new(cancel).map_err(failed(NAME, "links"))?;
        watch.look(emit).map_err(told(NAME, "links"))?;
        while waiter.socket(&watch.socket, None).map_err(failed(NAME, "links"))? == Woken::Ready {
            watch.read(emit).map_err(told(NAME, "links"))?;
        }
        Ok(())
    });
}

/// What TypeScript knows by a number.
struct Sockets<T>(LazyLock<Mutex<HashMap<u32, Arc<T>>>>);

static SOCKETS: Sockets<DhcpSocket> = Sockets(LazyLock::new(Mutex::default));
static DATAGRAMS: Sockets<DatagramSocket> = Sockets(LazyLock::new(Mutex::default));

impl<T> Sockets<T> {
    fn add(&self, socket: T) -> Value {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        self.0.lock().expect("no panic inside").insert(id, Arc::new(socket));
        json!({ "socket": id })
    }

    fn get(&self, operation: &'static str, id: u32) -> Result<Arc<T>> {
        let found = self.0.lock().expect("no panic inside").get(&id).cloned();
        found.ok_or_else(|| SysError::new("EBADF", operation, format!("socket {id}"), "it is closed"))
    }

    fn remove(&self, id: u32) -> Option<Arc<T>> {
        self.0.lock().expect("no panic inside").remove(&id)
    }
}

fn open_dhcp(name: &str) -> Result<Value> {
    let opened = links::link(name).and_then(|link| DhcpSocket::open(&link));
    Ok(SOCKETS.add(opened.map_err(told("network.openDhcp", name))?))
}

fn open_datagrams(operation: &'static str, name: &str, kind: &Kind) -> Result<Value> {
    let opened = links::link(name).and_then(|link| DatagramSocket::open(&link, kind));
    Ok(DATAGRAMS.add(opened.map_err(told(operation, name))?))
}

fn dhcp_receive(it: DhcpReceive, call: Call) {
    const NAME: &str = "network.dhcpReceive";
    on_thread("dhcp-receive", call, move |cancel, _| {
        let socket = SOCKETS.get(NAME, it.socket)?;
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &socket.wire.link))?;
        let reply = socket.receive(it.deadline_ms, &waiter).map_err(told(NAME, &socket.wire.link))?;
        if cancel.cancelled() { Err(SysError::aborted(NAME, &socket.wire.link)) } else { Ok(reply) }
    });
}

fn datagram_receive(it: DhcpReceive, call: Call) {
    const NAME: &str = "network.datagramReceive";
    on_thread("datagram-receive", call, move |cancel, _| {
        let socket = DATAGRAMS.get(NAME, it.socket)?;
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &socket.link))?;
        let got = socket.receive(it.deadline_ms, &waiter).map_err(told(NAME, &socket.link))?;
        if cancel.cancelled() { Err(SysError::aborted(NAME, &socket.link)) } else { Ok(got) }
    });
}

fn watch_addresses(it: OfLink, call: Call) {
    const NAME: &str = "network.watchAddresses";
    // Subscribed before this returns, so a change that the caller makes next is seen.
    let opened = address_watch::Watch::open(&it.link);
    on_thread("watch-addresses", call, move |cancel, emit| {
        let refused = told(NAME, &it.link);
        let mut watch = opened.map_err(&refused)?;
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &it.link))?;
        watch.look(emit).map_err(&refused)?;
        while waiter.socket(&watch.socket, None).map_err(failed(NAME, &it.link))? == Woken::Ready {
            watch.read(emit).map_err(&refused)?;
        }
        Ok(())
    });
}

fn resolve(it: Resolve, call: Call) {
    const NAME: &str = "network.resolve";
    on_thread("resolve-name", call, move |cancel, _| {
        crate::pipeline::resolve::addresses(NAME, &it.name, it.timeout_ms, cancel)
    });
}

fn answers(it: Answers, call: Call) {
    const NAME: &str = "network.answers";
    on_thread("answers", call, move |cancel, _| {
        let subject = SocketAddr::new(it.address, it.port).to_string();
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &subject))?;
        let answered = answers::answers(&it.link, it.address, it.port, it.timeout_ms, &waiter)
            .map_err(told(NAME, &subject))?;
        answered.ok_or_else(|| SysError::aborted(NAME, &subject))
    });
}

fn arp_probe(it: ArpProbe, call: Call) {
    const NAME: &str = "network.arpProbe";
    on_thread("arp-probe", call, move |cancel, _| {
        let link = links::link(&it.link).map_err(told(NAME, &it.link))?;
        let Some(mac) = packet::mac_bytes(&link.mac).filter(|_| link.ethernet) else {
            return Err(SysError::new("EOPNOTSUPP", NAME, &it.link, "ARP is spoken on Ethernet only"));
        };
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &it.link))?;
        let used = arp::in_use(link.index, &mac, it.address, it.timeout_ms, &waiter)
            .map_err(failed(NAME, &it.link))?;
        used.ok_or_else(|| SysError::aborted(NAME, &it.link))
    });
}

fn ask_time(it: AskTime, call: Call) {
    const NAME: &str = "network.askTime";
    on_thread("ask-time", call, move |cancel, _| {
        let server = it.server.to_string();
        let waiter = Waiter::new(cancel).map_err(failed(NAME, &server))?;
        let time = time::ask(it.server, it.timeout_ms, &waiter)
            .map_err(|error| no_time(NAME, &server, it.timeout_ms as u64, error))?;
        time.ok_or_else(|| SysError::aborted(NAME, &server))
    });
}

fn ask_date(it: AskDate, call: Call) {
    const NAME: &str = "network.askDate";
    on_thread("ask-date", call, move |_, _| {
        let server = SocketAddr::new(it.server, it.port);
        date::ask(server, &it.host, Duration::from_millis(it.timeout_ms))
            .map_err(|error| no_time(NAME, &it.host, it.timeout_ms, error))
    });
}

fn no_time(operation: &'static str, server: &str, timeout_ms: u64, error: std::io::Error) -> SysError {
    match error.kind() {
        ErrorKind::TimedOut => SysError::timeout(operation, server, timeout_ms),
        ErrorKind::Other => SysError::new("FORMAT", operation, server, error.to_string()),
        _ => SysError::os(operation, server, error),
    }
}
