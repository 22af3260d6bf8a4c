//! The lease keeper against a real kernel, in a network namespace of each test's own, beside dnsmasq, beside busybox's
//! udhcpc, and beside a server that says what the test wants.
//!
//! Needs root (CAP_SYS_ADMIN), `ip` and dnsmasq; without root each test says that it was skipped.

#[allow(dead_code, reason = "each of the keeper’s test programs uses a part of it")]
mod lease_server;

use dhcproto::v4::{DhcpOption, MessageType};
use lease_server::{BUSYBOX, Place, RealServer, Server, Way, ip, namespace};
use serde_json::json;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

const OURS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 50);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 60);

#[test]
fn renews_alone_then_rebinds_with_all_and_applies_what_changed() {
    let Some(()) = namespace() else { return };
    let server = Server::start();
    let place = Place::new("renews");
    let keeper = place.keep(&[("renewalTime", json!(1)), ("rebindingTime", json!(4))], 120);

    let (way, request) = server.next();
    assert_eq!((way, request.opts().msg_type()), (Way::Alone, Some(MessageType::Request)));
    // RFC 2131, table 5: a renewal names its address in ciaddr, and neither server nor address in options.
    assert_eq!(request.ciaddr(), OURS);
    assert!(request.opts().get(dhcproto::v4::OptionCode::ServerIdentifier).is_none());
    assert!(request.opts().get(dhcproto::v4::OptionCode::RequestedIpAddress).is_none());
    assert_eq!(
        request.opts().get(dhcproto::v4::OptionCode::ClientIdentifier),
        Some(&DhcpOption::ClientIdentifier(vec![1, 2, 0, 0, 0, 0, 1]))
    );
    server.answer(&request, MessageType::Ack, OURS, &[DhcpOption::Renewal(1), DhcpOption::Rebinding(2)]);
    let state = place.state(|state| state["renewals"] == 1);
    assert_eq!((&state["state"], &state["address"]), (&json!("bound"), &json!("10.0.0.50")));

    // The server is deaf to what is sent to it alone; at T2 the request is everybody's.
    let rebinding = loop {
        let (way, request) = server.next();
        if way == Way::All {
            break request;
        }
    };
    assert_eq!((rebinding.ciaddr(), rebinding.opts().msg_type()), (OURS, Some(MessageType::Request)));
    let changed = [
        DhcpOption::Renewal(1),
        DhcpOption::Router(vec![Ipv4Addr::new(10, 0, 0, 2)]),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 0, 0, 3)]),
        DhcpOption::InterfaceMtu(1400),
    ];
    server.answer(&rebinding, MessageType::Ack, OURS, &changed);
    place.state(|state| state["renewals"] == 2);
    assert!(ip("route show").contains("default via 10.0.0.2 dev near"), "{}", ip("route show"));
    assert!(!ip("route show").contains("10.0.0.254"));
    assert!(ip("link show near").contains("mtu 1400"));
    assert_eq!(place.read("etc/resolv.conf"), "nameserver 9.9.9.9\nnameserver 10.0.0.3\n");

    // Now it is somebody else's, and stays as it is.
    place.write("etc/resolv.conf", "nameserver 127.0.0.1\n");
    let (_, request) = server.next();
    let again = [DhcpOption::Renewal(60), DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 0, 0, 4)])];
    server.answer(&request, MessageType::Ack, OURS, &again);
    place.state(|state| state["renewals"] == 3);
    assert_eq!(place.read("etc/resolv.conf"), "nameserver 127.0.0.1\n");
    assert!(place.log().contains("does not renew the lease: asking every server"), "{}", place.log());
    keeper.terminate();
    assert!(ip("address show near").contains("inet 10.0.0.50/24"), "the address stays when it is killed");
    assert!(server.is_quiet(), "and nothing is released");
}

#[test]
fn a_refusal_brings_another_address_and_takes_the_old_one_away() {
    let Some(()) = namespace() else { return };
    let server = Server::start();
    let place = Place::new("refusal");
    let keeper = place.keep(&[("renewalTime", json!(1))], 120);
    let (_, request) = server.next();
    server.answer(&request, MessageType::Nak, Ipv4Addr::UNSPECIFIED, &[]);
    let (way, discover) = server.next();
    assert_eq!((way, discover.opts().msg_type()), (Way::All, Some(MessageType::Discover)));
    assert!(!ip("address show near").contains("10.0.0.50"), "a refused address is not used");
    server.answer(&discover, MessageType::Offer, OTHER, &[]);
    let (_, request) = server.next();
    assert_eq!(
        request.opts().get(dhcproto::v4::OptionCode::RequestedIpAddress),
        Some(&DhcpOption::RequestedIpAddress(OTHER))
    );
    server.answer(&request, MessageType::Ack, OTHER, &[DhcpOption::Router(vec![Ipv4Addr::new(10, 0, 0, 2)])]);
    place.state(|state| state["state"] == "bound" && state["address"] == "10.0.0.60");
    assert!(ip("address show near").contains("inet 10.0.0.60/24"));
    assert!(ip("route show").contains("default via 10.0.0.2"));
    assert!(place.log().contains("refuses to extend the lease"), "{}", place.log());
    keeper.terminate();
}

#[test]
fn at_its_end_a_lease_is_given_up_unless_the_root_comes_by_it() {
    for (when_lost, stays) in [("remove", false), ("keep", true)] {
        // Each in a thread, and so a namespace, of its own.
        let run = std::thread::spawn(move || {
            let Some(()) = namespace() else { return };
            let server = Server::start();
            let place = Place::new(when_lost);
            place.when_lost(when_lost);
            let keeper = place.keep(&[("renewalTime", json!(1)), ("rebindingTime", json!(2))], 3);
            let discover = loop {
                let (_, message) = server.next();
                if message.opts().msg_type() == Some(MessageType::Discover) {
                    break message;
                }
            };
            assert_eq!(ip("address show near").contains("10.0.0.50"), stays);
            server.answer(&discover, MessageType::Offer, OTHER, &[]);
            let (_, request) = server.next();
            server.answer(&request, MessageType::Ack, OTHER, &[]);
            place.state(|state| state["state"] == "bound");
            let addresses = ip("address show near");
            assert!(addresses.contains("10.0.0.60/24") && !addresses.contains("10.0.0.50"), "{addresses}");
            keeper.terminate();
        });
        run.join().expect("it passes");
    }
}

#[test]
fn ends_without_a_release_when_udhcpc_starts_and_not_for_less() {
    let Some(()) = namespace() else { return };
    let server = Server::start();
    let place = Place::new("udhcpc");
    let keeper = place.keep(&[("renewalTime", json!(1))], 120);
    // Its own requests are none of another's, and a machine behind a bridge is another machine.
    let (_, request) = server.next();
    server.answer(&request, MessageType::Ack, OURS, &[DhcpOption::Renewal(1)]);
    place.state(|state| state["renewals"] == 1);
    lease_server::send_from_near([2, 0, 0, 0, 0, 9], MessageType::Discover);
    lease_server::send_from_near([2, 0, 0, 0, 0, 1], MessageType::Inform);
    let request = loop {
        let (_, message) = server.next();
        if message.ciaddr() == OURS {
            break message;
        }
    };
    server.answer(&request, MessageType::Ack, OURS, &[DhcpOption::Renewal(50)]);
    place.state(|state| state["renewals"] == 2);
    keeper.is_alive();
    let mut udhcpc = Command::new(BUSYBOX)
        .args(["udhcpc", "-f", "-n", "-q", "-t", "1", "-T", "1", "-i", "near", "-s", "/bin/true"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("busybox starts");
    assert_eq!(keeper.ended(), Some(0));
    udhcpc.wait().expect("udhcpc ends");
    assert!(place.log().contains("another DHCP client sent a DHCP discover"), "{}", place.log());
    assert!(ip("address show near").contains("10.0.0.50"), "the address is the other's to change");
    assert!(server.all().iter().all(|message| message.opts().msg_type() != Some(MessageType::Release)));
}

#[test]
fn ends_when_its_address_or_its_card_is_taken_away() {
    type Act = fn();
    let cases: [(&str, Act, &str); 2] = [
        ("address", || drop(ip("address del 10.0.0.50/24 dev near")), "taken off the card by somebody else"),
        ("card", || drop(ip("link del near")), "the card is gone"),
    ];
    for (name, act, word) in cases {
        let run = std::thread::spawn(move || {
            let Some(()) = namespace() else { return };
            let _server = Server::start();
            let place = Place::new(name);
            let keeper = place.keep(&[], 120);
            place.state(|state| state["state"] == "bound");
            // What is added beside it, or a new name, is nobody's business.
            ip("address add 10.9.0.1/24 dev near");
            act();
            assert_eq!(keeper.ended(), Some(0));
            assert!(place.log().contains(word), "{}", place.log());
        });
        run.join().expect("it passes");
    }
}

#[test]
fn is_renewed_by_dnsmasq() {
    let Some(()) = namespace() else { return };
    let dnsmasq = RealServer::dnsmasq();
    let place = Place::new("dnsmasq");
    let keeper = place.keep(&[("renewalTime", json!(1))], 120);
    dnsmasq.says("DHCPACK(far) 10.0.0.50");
    let state = place.state(|state| state["renewals"] == 1);
    let left = state["expiresAt"].as_f64().zip(state["obtainedAt"].as_f64()).map(|(end, begin)| end - begin);
    assert_eq!(left, Some(120_000.0));
    keeper.terminate();
}

#[test]
fn is_renewed_by_udhcpd_again_and_again_and_costs_less_than_one_megabyte() {
    let Some(()) = namespace() else { return };
    let place = Place::new("udhcpd");
    let udhcpd = RealServer::udhcpd(&place, 4);
    let keeper = place.keep(&[], 4);
    for _ in 0..3 {
        udhcpd.says("sending ACK to 10.0.0.50");
    }
    place.state(|state| state["renewals"] == 3);
    let (resident, file) = keeper.cost();
    eprintln!("the keeper costs {resident} kB resident and {file} kB of file");
    assert!(resident + file <= 1000, "{resident} kB resident and {file} kB of file");
    assert!(ip("address show near").contains("inet 10.0.0.50/24"));
    keeper.terminate();
}
