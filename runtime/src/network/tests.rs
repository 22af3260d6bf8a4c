//! The room against a real kernel, in a network namespace of each test's own, and against a real dnsmasq.
//!
//! Needs root (CAP_SYS_ADMIN), `ip` and dnsmasq; without root each test says that it was skipped.

use super::answers::Answer;
use super::*;
use crate::clock::now;
use crate::ops::{Cancel, Emit};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Moves this thread to a new network namespace with `lo` up and a veth pair `far` and `near`. None without root.
/// Each cargo test has a thread of its own, so what it does to its namespace ends with it.
pub fn namespace() -> Option<()> {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: needs root for a network namespace");
        return None;
    }
    // SAFETY: only this thread's network namespace changes, and everything that it opens afterwards is meant for it.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.expect("unshare");
    ip("link set lo up");
    ip("link add near address 02:00:00:00:00:01 type veth peer name far address 02:00:00:00:00:02");
    Some(())
}

pub fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().expect("ip starts");
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn change(json: Value) -> links::Change {
    serde_json::from_value(json).expect("a change")
}

fn up(link: &str) {
    links::set(link, &change(json!({"up": true}))).expect("up");
}

pub fn both_up() {
    up("near");
    up("far");
}

pub fn address(link: &str, json: Value) -> std::result::Result<(), Refusal> {
    addresses::add(link, &serde_json::from_value(json).expect("an address"))
}

fn route(link: &str, json: Value) -> std::result::Result<(), Refusal> {
    addresses::add_route(link, &serde_json::from_value(json).expect("a route"))
}

pub fn waiter() -> Waiter {
    Waiter::new(&Cancel::default()).expect("an eventfd")
}

#[test]
fn links_are_listed_and_set() {
    let Some(()) = namespace() else { return };
    let near = links::link("near").expect("near");
    assert_eq!(
        (near.mac.as_str(), near.mtu, near.up, near.carrier),
        ("02:00:00:00:00:01", 1500, false, false)
    );
    assert!(near.ethernet && !near.physical, "a veth is stacked");
    assert!(!links::link("lo").expect("lo").ethernet);
    both_up();
    links::set("near", &change(json!({"mtu": 1400}))).expect("mtu");
    let near = links::link("near").expect("near");
    assert_eq!((near.mtu, near.up, near.carrier), (1400, true, true));
    links::set("near", &change(json!({"up": false, "mac": "02:00:00:00:00:07"}))).expect("down");
    let near = links::link("near").expect("near");
    assert_eq!((near.up, near.mac.as_str()), (false, "02:00:00:00:00:07"));

    let error =
        told("network.setLink", "eth7")(links::set("eth7", &change(json!({"up": true}))).expect_err("none"));
    assert_eq!((error.code.as_str(), error.message.as_str()), ("ENODEV", "No such device"));
}

fn watch() -> (Cancel, Receiver<Value>, Receiver<std::result::Result<String, SysError>>) {
    let (events, seen) = channel();
    let (answers, answer) = channel();
    let cancel = Cancel::default();
    let call = Call {
        reply: crate::ops::Reply::new(move |it| answers.send(it).expect("the test waits")),
        cancel: cancel.clone(),
        emit: Emit::new(move |json| {
            // The test may have seen enough.
            let _ = events.send(serde_json::from_str(&json).expect("JSON"));
        }),
    };
    watch_links(Nothing {}, call);
    (cancel, seen, answer)
}

pub const SOON: Duration = Duration::from_secs(10);

#[test]
fn changes_are_watched_until_cancelled() {
    let Some(()) = namespace() else { return };
    let (cancel, seen, answer) = watch();
    let mut first: Vec<String> = (0..3)
        .map(|_| seen.recv_timeout(SOON).expect("a link")["name"].as_str().expect("a name").to_owned())
        .collect();
    first.sort();
    assert_eq!(first, ["far", "lo", "near"]);
    both_up();
    let until =
        |wanted: &dyn Fn(&Value) -> bool| while !wanted(&seen.recv_timeout(SOON).expect("an event")) {};
    until(&|link| link["name"] == "near" && link["carrier"] == true);
    ip("link del near");
    until(&|link| link["name"] == "near" && link["up"] == false && link["carrier"] == false);
    assert!(answer.try_recv().is_err(), "it goes on");
    let before = now();
    cancel.cancel();
    assert_eq!(answer.recv_timeout(SOON).expect("an answer").expect("no error"), "null");
    assert!(now() - before < 250.0, "ended after {} ms", now() - before);
}

#[test]
fn addresses_and_routes_are_added_replaced_and_flushed() {
    let Some(()) = namespace() else { return };
    both_up();
    for _ in 0..2 {
        address("near", json!({"address": "10.0.0.2", "prefixLength": 24, "broadcast": "10.0.0.255"}))
            .expect("v4");
        address("near", json!({"address": "2001:db8::2", "prefixLength": 64})).expect("v6");
        route("near", json!({"destination": "0.0.0.0/0", "gateway": "10.0.0.1", "metric": 200}))
            .expect("default");
        route("near", json!({"destination": "10.9.1.1/16"})).expect("on-link");
        route("near", json!({"destination": "10.8.0.0/16", "gateway": "192.0.2.1", "onlink": true}))
            .expect("onlink");
        route("near", json!({"destination": "::/0", "gateway": "2001:db8::1", "metric": 300})).expect("v6");
    }
    let (four, six) = (ip("-4 route show"), ip("-6 route show"));
    assert!(ip("-4 address show dev near").contains("inet 10.0.0.2/24 brd 10.0.0.255"));
    assert!(four.contains("default via 10.0.0.1 dev near metric 200"), "{four}");
    assert!(four.contains("10.9.0.0/16 dev near scope link"), "{four}");
    assert!(four.contains("10.8.0.0/16 via 192.0.2.1 dev near onlink"), "{four}");
    assert!(six.contains("default via 2001:db8::1 dev near metric 300"), "{six}");
    assert_eq!(four.lines().count(), 4, "{four}");

    let beyond = route("near", json!({"destination": "10.7.0.0/16", "gateway": "203.0.113.1"}));
    let error = told("network.addRoute", "near")(beyond.expect_err("the gateway is beyond every prefix"));
    assert_eq!(error.code, "ENETUNREACH");
    assert!(error.message.contains("Nexthop has invalid gateway"), "{}", error.message);

    addresses::flush("near").expect("flush");
    assert_eq!(ip("-4 route show"), "");
    assert!(!ip("-4 address show dev near").contains("inet"));
    let six = ip("-6 address show dev near") + &ip("-6 route show");
    assert!(!six.contains("2001:db8") && six.contains("fe80::"), "{six}");
    addresses::flush("near").expect("nothing left is no error");
}

#[test]
fn a_taken_address_is_found_and_a_free_one_is_not() {
    let Some(()) = namespace() else { return };
    both_up();
    address("far", json!({"address": "10.0.0.5", "prefixLength": 24})).expect("far's");
    let near = links::link("near").expect("near");
    let mac = packet::mac_bytes(&near.mac).expect("a MAC");
    let probe = |address: &str, timeout| {
        arp::in_use(near.index, &mac, address.parse().expect("an address"), timeout, &waiter())
            .expect("a probe")
    };
    let before = now();
    assert_eq!(probe("10.0.0.5", 9000.0), Some(true));
    assert!(now() - before < 5000.0, "an answer ends the wait");
    let before = now();
    assert_eq!(probe("10.0.0.6", 300.0), Some(false));
    assert!(now() - before >= 299.0);
}

pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

/// A real DHCP server on `far`.
fn dnsmasq(options: &[&str]) -> Server {
    let common = ["--no-ping", "--dhcp-range=10.0.0.10,10.0.0.90,255.255.255.0,10m", "--dhcp-authoritative"];
    server("ip address add 10.0.0.1/24 dev far", &[&common, options].concat(), "DHCP, sockets bound")
}

/// dnsmasq on `far`, in a namespace of its own, or packets to it would stay inside ours. `set_up`: what its link is given
/// before; `ready`: what it then says.
pub fn server(set_up: &str, options: &[&str], ready: &str) -> Server {
    let script = format!(
        "echo unshared; read moved; ip link set lo up; ip link set far up; {set_up}; exec dnsmasq \"$@\" 2>&1"
    );
    up("near");
    let child = Command::new("unshare")
        .args(["--net", "sh", "-c", &script, "sh"])
        .args(["--no-daemon", "--port=0", "--conf-file=/dev/null", "--interface=far", "--bind-interfaces"])
        .args(["--leasefile-ro", "--log-dhcp", "--user=root", "--pid-file="])
        .args(options)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    let mut server = Server(child);
    let log = BufReader::new(server.0.stdout.take().expect("piped"));
    let (lines, said) = channel();
    std::thread::spawn(move || {
        for line in log.lines().map_while(std::result::Result::ok) {
            eprintln!("{line}");
            // The test waits for the first few only.
            let _ = lines.send(line);
        }
    });
    assert_eq!(said.recv_timeout(SOON).expect("it starts"), "unshared");
    ip(&format!("link set far netns {}", server.0.id()));
    server.0.stdin.take().expect("piped").write_all(b"moved\n").expect("it reads");
    while !said.recv_timeout(SOON).expect("dnsmasq listens").contains(ready) {}
    server
}

fn message(json: Value) -> dhcp_message::DhcpMessage {
    let mut whole = json!({
        "op": "request", "xid": 7, "secs": 0, "broadcast": false, "ciaddr": "0.0.0.0", "yiaddr": "0.0.0.0",
        "siaddr": "0.0.0.0", "giaddr": "0.0.0.0", "chaddr": "02:00:00:00:00:01", "sname": "", "file": "", "options": {},
    });
    for (key, value) in json.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    serde_json::from_value(whole).expect("a message")
}

/// Sends and waits for the answer with our xid.
fn ask(socket: &DhcpSocket, sent: Value, to: Option<Ipv4Addr>) -> Value {
    socket.send(&message(sent), to).expect("sent");
    let reply =
        socket.receive(Some(now() + 10_000.0), &waiter()).expect("no error").expect("a reply in time");
    assert_eq!(reply.xid, 7);
    serde_json::to_value(reply).expect("JSON")
}

#[test]
fn a_lease_is_had_renewed_and_released_with_dnsmasq() {
    let Some(()) = namespace() else { return };
    let _server = dnsmasq(&[
        "--dhcp-option=121,10.5.0.0/16,10.0.0.254,0.0.0.0/0,10.0.0.1",
        "--dhcp-option=6,10.0.0.3,10.0.0.4",
        "--dhcp-option=119,eng.example.org,example.org",
        "--dhcp-option=17,/srv/root",
        "--dhcp-option=15,example.org",
        "--dhcp-boot=boot/kernel,bootserver,10.0.0.9",
        "--dhcp-userclass=set:ours,diskless",
        "--dhcp-option=tag:ours,210,/prefix/",
    ]);
    let socket = DhcpSocket::open(&links::link("near").expect("near")).expect("a socket");
    let wanted = json!([1, 3, 6, 15, 17, 28, 51, 54, 58, 59, 66, 67, 119, 121, 210]);
    let client =
        json!({"clientId": "01020000000001", "userClass": "diskless", "parameterRequestList": wanted});
    let with = |extra: Value| {
        let mut options = client.clone();
        for (key, value) in extra.as_object().expect("an object") {
            options[key] = value.clone();
        }
        options
    };
    let offer = ask(&socket, json!({"options": with(json!({"messageType": "discover"}))}), None);
    assert_eq!(offer["options"]["messageType"], "offer");
    let (address, server) = (offer["yiaddr"].clone(), offer["options"]["serverId"].clone());
    let request = json!({"messageType": "request", "requestedAddress": address, "serverId": server});
    let ack = ask(&socket, json!({"options": with(request)}), None);
    let options = &ack["options"];
    assert_eq!(options["messageType"], "ack");
    assert_eq!(options["leaseTime"], 600);
    assert_eq!(options["subnetMask"], "255.255.255.0");
    assert_eq!(options["dnsServers"], json!(["10.0.0.3", "10.0.0.4"]));
    assert_eq!(options["domainSearch"], json!(["eng.example.org", "example.org"]));
    assert_eq!(options["rootPath"], "/srv/root");
    assert_eq!(options["domainName"], "example.org");
    assert_eq!(options["pathPrefix"], "/prefix/");
    let routes = json!([
        {"destination": "10.5.0.0/16", "gateway": "10.0.0.254"}, {"destination": "0.0.0.0/0", "gateway": "10.0.0.1"},
    ]);
    assert_eq!(options["classlessRoutes"], routes);
    assert_eq!(ack["siaddr"], "10.0.0.9");
    // dnsmasq answers option 67 when asked for it, and else fills the field.
    assert!(options["bootFile"] == "boot/kernel" || ack["file"] == "boot/kernel", "{ack}");

    addresses::add(
        "near",
        &serde_json::from_value(json!({"address": address, "prefixLength": 24})).expect("an address"),
    )
    .expect("configured");
    let to: Ipv4Addr = server.as_str().expect("text").parse().expect("an address");
    for to in [Some(to), Some(to), None] {
        let renewal = json!({"ciaddr": address, "options": with(json!({"messageType": "request"}))});
        let ack = ask(&socket, renewal, to);
        assert_eq!((&ack["options"]["messageType"], &ack["yiaddr"]), (&json!("ack"), &address), "to {to:?}");
    }
    let release = json!({"ciaddr": address, "options": {"messageType": "release", "serverId": server}});
    socket.send(&message(release), Some(to)).expect("released");

    let before = now();
    assert!(socket.receive(Some(before + 200.0), &waiter()).expect("no error").is_none());
    assert!(now() - before >= 199.0 && now() - before < 5000.0);
}

#[test]
fn a_port_that_answers_refuses_and_is_silent_is_told_apart() {
    let Some(()) = namespace() else { return };
    let _server = dnsmasq(&[]);
    address("near", json!({"address": "10.0.0.2", "prefixLength": 24})).expect("an address");
    let ask = |link: &str, address: &str, timeout| {
        let address = address.parse().expect("an address");
        answers::answers(link, address, 9, timeout, &waiter()).expect("no error")
    };
    assert_eq!(ask("near", "10.0.0.1", 9000.0), Some(Answer::Refused));
    let before = now();
    assert_eq!(ask("near", "10.0.0.77", 300.0), Some(Answer::Nothing), "nobody has it");
    assert!(now() - before < 2000.0);
    assert_eq!(ask("near", "192.0.2.1", 9000.0), Some(Answer::Nothing), "no route leads there");
    assert_eq!(ask("lo", "10.0.0.1", 300.0), Some(Answer::Nothing), "only through the link that is named");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let localhost = "127.0.0.1".parse().expect("an address");
    let connected = answers::answers("lo", localhost, port, 9000.0, &waiter()).expect("no error");
    assert_eq!(connected, Some(Answer::Connected));
    let cancel = Cancel::default();
    let waiter = Waiter::new(&cancel).expect("an eventfd");
    cancel.cancel();
    let given_up = answers::answers("near", "10.0.0.77".parse().expect("one"), 9, 9000.0, &waiter);
    assert_eq!(given_up.expect("no error"), None);
}

#[test]
fn a_kind_of_link_that_the_kernel_has_not_is_told_by_its_words() {
    let Some(()) = namespace() else { return };
    let add = |json: Value| {
        let link: links::NewLink = serde_json::from_value(json).expect("a link");
        links::add(&link).map_err(told("network.addLink", link.name()))
    };
    // Kernels with 8021q make it; that of the test machines has none.
    match add(json!({"kind": "vlan", "name": "near.5", "parent": "near", "id": 5})) {
        Ok(()) => assert!(ip("-d link show near.5").contains("vlan protocol 802.1Q id 5")),
        Err(error) => assert_eq!(error.code, "EOPNOTSUPP", "{error:?}"),
    }
    match add(json!({"kind": "bond", "name": "bond7"})) {
        Ok(()) => {
            links::set("near", &change(json!({"master": "bond7"}))).expect("a member");
            assert!(!links::link("near").expect("near").physical);
        }
        Err(error) => assert_eq!(error.code, "EOPNOTSUPP", "{error:?}"),
    }
    let nowhere = add(json!({"kind": "vlan", "name": "eth7.5", "parent": "eth7", "id": 5}));
    assert_eq!(nowhere.expect_err("no parent").code, "ENODEV");
}

#[test]
fn junk_on_the_wire_is_passed_over() {
    let Some(()) = namespace() else { return };
    both_up();
    let socket = DhcpSocket::open(&links::link("near").expect("near")).expect("a socket");
    let far = packet::PacketSocket::open(
        links::link("far").expect("far").index,
        libc::ETH_P_IP,
        &mut packet::udp_filter(1),
    )
    .expect("a socket");
    let from = packet::Endpoint { mac: [2; 6], address: Ipv4Addr::new(10, 0, 0, 1), port: 67 };
    let to = packet::Endpoint { mac: packet::BROADCAST, address: Ipv4Addr::BROADCAST, port: 68 };
    let send =
        |payload: &[u8]| far.send(&packet::udp_frame(&from, &to, payload).expect("short")).expect("sent");
    let good = dhcp_message::encode(&message(json!({"op": "reply", "xid": 99}))).expect("encoded");
    send(b"");
    send(&[255; 400]);
    send(&good[..235]);
    // Another client's, a client's own, one that was damaged on the way.
    send(
        &dhcp_message::encode(&message(json!({"op": "reply", "chaddr": "02:00:00:00:00:09"})))
            .expect("encoded"),
    );
    send(&dhcp_message::encode(&message(json!({}))).expect("encoded"));
    let mut damaged = packet::udp_frame(&from, &to, &good).expect("short");
    damaged[60] ^= 1;
    far.send(&damaged).expect("sent");
    send(&good);
    let got = socket.receive(Some(now() + 10_000.0), &waiter()).expect("no error").expect("the good one");
    assert_eq!(got.xid, 99);
}

#[test]
fn a_closed_socket_ends_its_receiver_and_what_is_not_ethernet_has_none() {
    let Some(()) = namespace() else { return };
    let error = DhcpSocket::open(&links::link("lo").expect("lo")).err().expect("no DHCP on lo");
    assert_eq!(told("network.openDhcp", "lo")(error).code, "EOPNOTSUPP");
    both_up();
    let socket = Arc::new(DhcpSocket::open(&links::link("near").expect("near")).expect("a socket"));
    let receiver = {
        let socket = socket.clone();
        std::thread::spawn(move || socket.receive(None, &waiter()).expect("no error"))
    };
    socket.closed.store(true, Ordering::Relaxed);
    assert!(receiver.join().expect("it ends").is_none());
}
