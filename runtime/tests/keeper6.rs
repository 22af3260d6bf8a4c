//! The lease keeper with DHCPv6, and with several leases: against a real kernel, beside dnsmasq and beside a server that
//! says what the test wants. What it needs, tests/keeper.rs says.

#[allow(dead_code, reason = "each of the keeper’s test programs uses a part of it")]
mod lease_server;

use dhcproto::v6::{
    DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, OptionCode, Status, StatusCode,
};
use dhcproto::{Decodable, Encodable};
use lease_server::{Place, RealServer, SOON, Server, far, ip, namespace, send_from_near};
use rustix::net::netdevice::name_to_index;
use serde_json::json;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::time::{Duration, Instant};

const OURS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x50);
const OTHER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x60);
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const OUR_ID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];
const SERVER_ID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 2];

/// With the address as the boot left it.
fn namespace6() -> Option<()> {
    namespace()?;
    ip("address add 2001:db8::50/128 dev near nodad");
    Some(())
}

struct Server6(UdpSocket);

impl Server6 {
    fn start() -> Self {
        Server6::beside("link show far")
    }

    /// On a machine that has more of its own.
    fn beside(words: &'static str) -> Self {
        let socket = far(move || {
            ip(words);
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 547)).expect("bound");
            let index = name_to_index(&socket, "far").expect("there");
            socket.join_multicast_v6(&SERVERS, index).expect("joined");
            socket.set_read_timeout(Some(SOON)).expect("set");
            socket
        });
        until_settled();
        Server6(socket)
    }

    fn next(&self) -> (Message, SocketAddr) {
        let mut buffer = [0; 2048];
        let (length, from) = self.0.recv_from(&mut buffer).expect("a message");
        (Message::from_bytes(&buffer[..length]).expect("dhcproto reads it"), from)
    }

    /// The next one of a kind: what was sent again is passed over.
    fn next_of(&self, kind: MessageType) -> (Message, SocketAddr) {
        loop {
            let (message, from) = self.next();
            if message.msg_type() == kind {
                return (message, from);
            }
        }
    }

    fn answer(
        &self,
        (to, from): &(Message, SocketAddr),
        kind: MessageType,
        association: IANA,
        more: &[DhcpOption],
    ) {
        let mut reply = Message::new_with_id(kind, to.xid());
        let options = reply.opts_mut();
        options.insert(DhcpOption::ClientId(OUR_ID.to_vec()));
        options.insert(DhcpOption::ServerId(SERVER_ID.to_vec()));
        options.insert(DhcpOption::IANA(association));
        for option in more {
            options.insert(option.clone());
        }
        let begun = Instant::now();
        // Not before its own address has passed duplicate address detection.
        while let Err(error) = self.0.send_to(&reply.to_vec().expect("encoded"), from) {
            assert!(begun.elapsed() < SOON, "{error}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Nothing can be sent from an address that is still asked about.
fn until_settled() {
    let begun = Instant::now();
    while ip("-6 address show near scope link").contains("tentative") {
        assert!(begun.elapsed() < SOON, "{}", ip("-6 address show near"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn association(t1: u32, t2: u32, option: DhcpOption) -> IANA {
    IANA { id: 1, t1, t2, opts: [option].into_iter().collect() }
}

fn given(address: Ipv6Addr, preferred: u32, valid: u32) -> DhcpOption {
    DhcpOption::IAAddr(IAAddr {
        addr: address,
        preferred_life: preferred,
        valid_life: valid,
        opts: DhcpOptions::default(),
    })
}

/// The address that a message asks for.
fn asked(message: &Message) -> Option<Ipv6Addr> {
    let Some(DhcpOption::IANA(association)) = message.opts().get(OptionCode::IANA) else { return None };
    match association.opts.get(OptionCode::IAAddr) {
        Some(DhcpOption::IAAddr(address)) => Some(address.addr),
        _ => None,
    }
}

#[test]
fn renews_rebinds_and_begins_anew_at_the_end() {
    let Some(()) = namespace6() else { return };
    let server = Server6::start();
    let place = Place::new("renews6");
    let lease =
        place.lease6(&[("renewalTime", json!(1)), ("rebindingTime", json!(2)), ("validLifetime", json!(60))]);
    let keeper = place.keep_all(&json!([lease]));

    // RFC 8415, 18.2.4: with the name of the server that gave it.
    let renew = server.next();
    assert_eq!((renew.0.msg_type(), asked(&renew.0)), (MessageType::Renew, Some(OURS)));
    assert_eq!(renew.0.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(SERVER_ID.to_vec())));
    assert_eq!(renew.0.opts().get(OptionCode::ClientId), Some(&DhcpOption::ClientId(OUR_ID.to_vec())));
    assert!(renew.0.opts().get(OptionCode::ORO).is_some(), "and what the plan wants to be asked");
    // No answer; 18.2.5: any server may.
    let rebind = server.next();
    assert_eq!((rebind.0.msg_type(), asked(&rebind.0)), (MessageType::Rebind, Some(OURS)));
    assert!(rebind.0.opts().get(OptionCode::ServerId).is_none());
    let dns = DhcpOption::DomainNameServers(vec!["2001:db8::3".parse().expect("an address")]);
    server.answer(&rebind, MessageType::Reply, association(1, 60, given(OURS, 70, 90)), &[dns]);
    let state = place.state(|state| state["renewals"] == 1);
    assert_eq!((&state["state"], &state["address"]), (&json!("bound"), &json!("2001:db8::50")));
    assert_eq!(place.read("etc/resolv.conf"), "nameserver 9.9.9.9\nnameserver 2001:db8::3\n");
    let addresses = ip("-6 address show near");
    let until = |name: &str, most: u32| {
        (most - 5..=most).any(|left| addresses.contains(&format!("{name} {left}sec")))
    };
    assert!(until("valid_lft", 90) && until("preferred_lft", 70), "{addresses}");

    // 18.2.10.1: a server that has forgotten is asked for it as if it were new.
    let renew = server.next_of(MessageType::Renew);
    let status = StatusCode { status: Status::NoBinding, msg: String::new() };
    server.answer(&renew, MessageType::Reply, association(0, 0, DhcpOption::StatusCode(status)), &[]);
    let request = server.next();
    assert_eq!((request.0.msg_type(), asked(&request.0)), (MessageType::Request, Some(OURS)));
    assert_eq!(request.0.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(SERVER_ID.to_vec())));
    server.answer(&request, MessageType::Reply, association(1, 2, given(OURS, 3, 4)), &[]);
    place.state(|state| state["renewals"] == 2);

    // Nobody answers until its end.
    let solicit = server.next_of(MessageType::Solicit);
    assert!(
        !ip("-6 address show near").contains("2001:db8::50"),
        "an address whose time is over is not used"
    );
    server.answer(
        &solicit,
        MessageType::Advertise,
        association(0, 0, given(OTHER, 100, 120)),
        &[DhcpOption::Preference(255)],
    );
    let request = server.next_of(MessageType::Request);
    assert_eq!(asked(&request.0), Some(OTHER));
    server.answer(&request, MessageType::Reply, association(1, 0, given(OTHER, 100, 120)), &[]);
    place.state(|state| state["address"] == "2001:db8::60");
    assert!(ip("-6 address show near").contains("inet6 2001:db8::60/128"));

    // What a server takes back is gone at once.
    let renew = server.next_of(MessageType::Renew);
    server.answer(&renew, MessageType::Reply, association(0, 0, given(OTHER, 0, 0)), &[]);
    server.next_of(MessageType::Solicit);
    assert!(!ip("-6 address show near").contains("2001:db8::60"));
    let log = place.log();
    for word in [
        "asking every server",
        "knows nothing of the lease",
        "is over and no server answered",
        "takes 2001:db8::60 back",
    ] {
        assert!(log.contains(word), "{word}: {log}");
    }
    keeper.terminate();
}

#[test]
fn a_root_that_comes_by_the_network_keeps_an_address_whose_time_is_over() {
    let Some(()) = namespace6() else { return };
    let server = Server6::start();
    let place = Place::new("keeps6");
    place.when_lost("keep");
    let lease =
        place.lease6(&[("renewalTime", json!(0)), ("rebindingTime", json!(1)), ("validLifetime", json!(2))]);
    let keeper = place.keep_all(&json!([lease]));
    server.next_of(MessageType::Solicit);
    assert!(ip("-6 address show near").contains("inet6 2001:db8::50/128 scope global"));
    keeper.terminate();
}

#[test]
fn declines_what_another_machine_has() {
    let Some(()) = namespace6() else { return };
    let server = Server6::beside("address add 2001:db8::60/64 dev far nodad");
    let place = Place::new("declines6");
    let keeper = place.keep_all(&json!([place.lease6(&[("renewalTime", json!(0))])]));
    let renew = server.next_of(MessageType::Renew);
    let both = IANA {
        id: 1,
        t1: 60,
        t2: 90,
        opts: [given(OURS, 0, 0), given(OTHER, 100, 120)].into_iter().collect(),
    };
    server.answer(&renew, MessageType::Reply, both, &[]);
    let decline = server.next_of(MessageType::Decline);
    assert_eq!(asked(&decline.0), Some(OTHER));
    server.next_of(MessageType::Solicit);
    assert!(!ip("-6 address show near").contains("2001:db8::60"));
    keeper.terminate();
}

#[test]
fn each_lease_has_an_end_of_its_own_when_another_client_takes_over() {
    let Some(()) = namespace6() else { return };
    let _server = Server::start();
    let place = Place::new("both");
    let keeper = place.keep_all(&json!([place.lease4(&[], 120), place.lease6(&[])]));
    let state = place.state(|state| state["others"][0]["state"] == "bound");
    assert_eq!(
        (&state["address"], &state["others"][0]["address"]),
        (&json!("10.0.0.50"), &json!("2001:db8::50"))
    );
    let (resident, _) = keeper.cost();
    eprintln!("with two leases the keeper has {resident} kB resident");
    send_from_near([2, 0, 0, 0, 0, 1], dhcproto::v4::MessageType::Discover);
    place.state(|state| state["address"] == "2001:db8::50" && state["others"] == json!([]));
    assert!(place.log().contains("another DHCP client sent a DHCP discover"), "{}", place.log());

    // Of DHCPv6: who wants no address is no other client.
    let client =
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 546)).expect("the port is free between two renewals");
    let index = name_to_index(&client, "near").expect("there");
    let send = |kind: MessageType| {
        let message = Message::new_with_id(kind, [0, 0, 77]).to_vec().expect("encoded");
        client.send_to(&message, SocketAddrV6::new(SERVERS, 547, 0, index)).expect("sent");
    };
    send(MessageType::InformationRequest);
    send(MessageType::Solicit);
    assert_eq!(keeper.ended(), Some(0));
    assert!(place.log().contains("another DHCP client sent a DHCPv6 solicit"), "{}", place.log());
    assert!(ip("-6 address show near").contains("2001:db8::50"), "the address is the other's to change");
}

#[test]
fn is_renewed_by_dnsmasq() {
    let Some(()) = namespace6() else { return };
    let dnsmasq = RealServer::dnsmasq6();
    let place = Place::new("dnsmasq6");
    // It does not know this server's name, so that any server is asked at once; dnsmasq has no such lease.
    let soon = [("renewalTime", json!(0)), ("rebindingTime", json!(0))];
    let keeper = place.keep_all(&json!([place.lease6(&soon)]));
    dnsmasq.says("DHCPREPLY(far) 2001:db8::50");
    let state = place.state(|state| state["renewals"] == 1);
    let left = state["expiresAt"].as_f64().zip(state["obtainedAt"].as_f64()).map(|(end, begin)| end - begin);
    assert_eq!(left, Some(120_000.0));
    assert!(ip("-6 address show near").contains("valid_lft 1"), "{}", ip("-6 address show near"));
    keeper.terminate();

    // Now it has, and renews it.
    let lease = place.lease6(&[("renewalTime", json!(0)), ("serverId", state["server"].clone())]);
    let keeper = place.keep_all(&json!([lease]));
    dnsmasq.says("DHCPRENEW(far)");
    dnsmasq.says("DHCPREPLY(far) 2001:db8::50");
    place.state(|state| state["renewals"] == 1 && state["state"] == "bound");
    keeper.terminate();
}
