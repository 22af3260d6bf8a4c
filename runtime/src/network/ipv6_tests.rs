//! Router discovery, DHCPv6's sockets and addresses against a real kernel and a real dnsmasq, as tests.rs does.

use super::tests::{SOON, address, both_up, ip, namespace, server, waiter};
use super::*;
use crate::clock::now;
use crate::ops::{Cancel, Emit};
use std::sync::mpsc::{Receiver, channel};

fn watch(link: &str) -> (Cancel, Receiver<Value>) {
    let (events, seen) = channel();
    let cancel = Cancel::default();
    let call = Call {
        reply: crate::ops::Reply::new(|_| {}),
        cancel: cancel.clone(),
        emit: Emit::new(move |json| {
            // The test may have seen enough.
            let _ = events.send(serde_json::from_str(&json).expect("JSON"));
        }),
    };
    watch_addresses(OfLink { link: link.to_owned() }, call);
    (cancel, seen)
}

/// The first list in which an address fits.
fn until(seen: &Receiver<Value>, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let list = seen.recv_timeout(SOON).expect("an event");
        if let Some(found) = list.as_array().expect("a list").iter().find(|it| wanted(it)) {
            return found.clone();
        }
    }
}

fn open(kind: &Kind) -> DatagramSocket {
    DatagramSocket::open(&links::link("near").expect("near"), kind).expect("a socket")
}

fn answer(socket: &DatagramSocket, bytes: &str, to: &str) -> datagram::Datagram {
    socket.send(bytes, to.parse().expect("an address")).expect("sent");
    socket.receive(Some(now() + 10_000.0), &waiter()).expect("no error").expect("an answer in time")
}

#[test]
fn an_address_is_tentative_then_preferred_or_a_duplicate() {
    let Some(()) = namespace() else { return };
    let (cancel, seen) = watch("near");
    assert_eq!(seen.recv_timeout(SOON).expect("the list"), json!([]));
    both_up();
    let local = until(&seen, |it| it["scope"] == "link" && it["state"] == "preferred");
    assert_eq!((&local["prefixLength"], &local["advertised"]), (&json!(64), &json!(false)), "{local}");
    ip("address add fd00::7/64 dev far nodad");
    for (free, state) in [("fd00::8", "preferred"), ("fd00::7", "duplicate")] {
        address("near", json!({"address": free, "prefixLength": 64})).expect("added");
        until(&seen, |it| it["address"] == free && it["state"] == "tentative");
        until(&seen, |it| it["address"] == free && it["state"] == state);
    }
    addresses::flush("near").expect("flushed");
    until(&seen, |it| it["scope"] == "link");
    assert!(!ip("-6 address show dev near").contains("fd00::"));
    cancel.cancel();
}

#[test]
fn a_router_is_heard_and_what_it_advertises_outlives_a_flush() {
    let Some(()) = namespace() else { return };
    let (cancel, seen) = watch("near");
    let _server = server(
        "ip address add fd00:1::1/64 dev far nodad",
        &["--enable-ra", "--dhcp-range=fd00:1::,ra-only", "--dhcp-option=option6:dns-server,[fd00:1::53]"],
        "router advertisement on",
    );
    until(&seen, |it| it["scope"] == "link" && it["state"] == "preferred");
    let socket = open(&Kind::RouterDiscovery);
    // While its own address is tentative dnsmasq sends from the other one, which TypeScript drops (RFC 4861, 6.1.2).
    let heard = std::iter::repeat_with(|| answer(&socket, "8500000000000000", "ff02::2"))
        .find(|heard| heard.from.is_unicast_link_local())
        .expect("an endless supply");
    assert_eq!(&heard.bytes[..2], "86", "{heard:?}");
    // RDNSS (RFC 8106): type 25, three units long.
    assert!(heard.bytes.contains("1903") && heard.bytes.contains(&format!("fd000001{}53", "0".repeat(22))));
    let made = until(&seen, |it| it["scope"] == "global" && it["state"] == "preferred");
    assert_eq!((&made["prefixLength"], &made["advertised"]), (&json!(64), &json!(true)), "{made}");

    address("near", json!({"address": "fd00:1::9", "prefixLength": 128})).expect("ours");
    addresses::flush("near").expect("flushed");
    let left = ip("-6 address show dev near") + &ip("-6 route show");
    assert!(left.contains("fd00:1::ff:fe00:1") && left.contains("default via fe80::"), "{left}");
    assert!(!left.contains("fd00:1::9"), "{left}");
    cancel.cancel();
}

#[test]
fn what_is_not_of_this_link_is_not_heard() {
    let Some(()) = namespace() else { return };
    let (cancel, seen) = watch("far");
    both_up();
    until(&seen, |it| it["scope"] == "link" && it["state"] == "preferred");
    let near = open(&Kind::RouterDiscovery);
    let far = DatagramSocket::open(&links::link("far").expect("far"), &Kind::RouterDiscovery).expect("open");
    let all: Ipv6Addr = "ff02::1".parse().expect("an address");
    // Not an advertisement; and one that came over a router.
    far.send("8500000000000000", all).expect("sent");
    far.set_hops(64);
    far.send("86000000000007080000000000000000", all).expect("sent");
    far.set_hops(255);
    far.send("86000000000007090000000000000000", all).expect("sent");
    let heard = near.receive(Some(now() + 10_000.0), &waiter()).expect("no error").expect("the good one");
    assert_eq!(&heard.bytes[8..16], "00000709", "{heard:?}");
    cancel.cancel();
}

#[test]
fn a_dhcp6_server_answers() {
    let Some(()) = namespace() else { return };
    let (cancel, seen) = watch("near");
    let _server = server(
        "ip address add fd00:1::1/64 dev far nodad",
        &["--dhcp-range=fd00:1::100,fd00:1::1ff,64,10m"],
        "DHCPv6, IP range",
    );
    until(&seen, |it| it["scope"] == "link" && it["state"] == "preferred");
    let socket = open(&Kind::Dhcp);
    // Solicit with rapid commit, a DUID-LL and one IA_NA.
    let solicit = concat!(
        "01abcdef",
        "0001000a00030001020000000001",
        "000e0000",
        "00080002000a",
        "000600020017",
        "0003000c000000010000000000000000",
    );
    let heard = answer(&socket, solicit, "ff02::1:2");
    assert_eq!(&heard.bytes[..8], "07abcdef", "{heard:?}");
    assert!(heard.bytes.contains("fd000001000000000000000000000"), "{heard:?}");
    assert!(socket.receive(Some(now() + 100.0), &waiter()).expect("no error").is_none());
    cancel.cancel();
}
