//! DHCP messages against dhcproto's reading of them, against the RFCs' examples, and against junk.

use super::dhcp_message::{DhcpMessage, decode, encode};
use crate::fuzz::{Chance, inputs};
use dhcproto::v4::{self, DhcpOption, OptionCode};
use dhcproto::{Decodable, Encodable};
use serde_json::{Value, json};
use std::net::Ipv4Addr;

fn message(options: Value) -> DhcpMessage {
    serde_json::from_value(json!({
        "op": "request", "xid": 0x1234_5678, "secs": 70_000, "broadcast": true, "ciaddr": "10.0.0.2",
        "yiaddr": "10.0.0.3", "siaddr": "10.0.0.4", "giaddr": "10.0.0.5", "chaddr": "52:54:00:12:34:56",
        "sname": "server", "file": "boot/kernel", "options": options,
    }))
    .expect("a message")
}

/// One value for every option.
fn all() -> Value {
    json!({
        "messageType": "request", "clientId": "01525400123456", "serverId": "10.0.0.1", "requestedAddress": "10.0.0.9",
        "leaseTime": 4_294_967_295u32, "renewalTime": 300, "rebindingTime": 500, "subnetMask": "255.255.255.0",
        "broadcastAddress": "10.0.0.255", "routers": ["10.0.0.1", "10.0.0.2"],
        "classlessRoutes": [
            {"destination": "0.0.0.0/0", "gateway": "10.0.0.1"}, {"destination": "10.17.0.0/16", "gateway": "10.0.0.2"},
            {"destination": "10.1.2.3/32", "gateway": "0.0.0.0"}, {"destination": "10.128.0.0/9", "gateway": "10.0.0.3"},
        ],
        "dnsServers": ["10.0.0.3"], "domainSearch": ["eng.example.org", "example.org"], "hostname": "client",
        "domainName": "example.org", "mtu": 1400, "ntpServers": ["10.0.0.6"], "rootPath": "10.0.0.1:/srv",
        "tftpServerName": "tftp", "bootFile": "pxelinux.0", "pathPrefix": "/prefix/", "message": "no",
        "vendorClass": "diskless", "userClass": "iPXE", "clientUuid": "00112233", "maximumMessageSize": 1500,
        "rapidCommit": true, "parameterRequestList": [1, 3, 121],
    })
}

#[test]
fn every_option_comes_back() {
    let sent = message(all());
    let mut expected = sent.clone();
    expected.secs = 65_535;
    assert_eq!(decode(&encode(&sent).expect("encoded")), Some(expected));
}

#[test]
fn dhcproto_reads_what_we_write() {
    let bytes = encode(&message(all())).expect("encoded");
    let read = v4::Message::from_bytes(&bytes).expect("dhcproto reads it");
    assert_eq!((read.xid(), read.secs(), read.flags().broadcast()), (0x1234_5678, 65_535, true));
    assert_eq!((read.ciaddr(), read.giaddr()), (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 5)));
    assert_eq!(read.chaddr(), [0x52, 0x54, 0, 0x12, 0x34, 0x56]);
    let options = read.opts();
    assert_eq!(options.iter().count(), all().as_object().expect("an object").len());
    let has = |option: DhcpOption| assert_eq!(options.get(OptionCode::from(&option)), Some(&option));
    has(DhcpOption::MessageType(v4::MessageType::Request));
    has(DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 0, 0, 1)));
    has(DhcpOption::AddressLeaseTime(u32::MAX));
    has(DhcpOption::Router(vec![Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)]));
    has(DhcpOption::InterfaceMtu(1400));
    has(DhcpOption::RootPath("10.0.0.1:/srv".to_owned()));
    has(DhcpOption::MaxMessageSize(1500));
    has(DhcpOption::ClientIdentifier(vec![1, 0x52, 0x54, 0, 0x12, 0x34, 0x56]));
    has(DhcpOption::RapidCommit);
    let Some(DhcpOption::ClasslessStaticRoute(routes)) = options.get(OptionCode::ClasslessStaticRoute) else {
        panic!("no routes")
    };
    let routes: Vec<String> = routes.iter().map(|(net, gateway)| format!("{net} {gateway}")).collect();
    assert_eq!(
        routes,
        ["0.0.0.0/0 10.0.0.1", "10.17.0.0/16 10.0.0.2", "10.1.2.3/32 0.0.0.0", "10.128.0.0/9 10.0.0.3"]
    );
    let Some(DhcpOption::DomainSearch(names)) = options.get(OptionCode::DomainSearch) else {
        panic!("no names")
    };
    assert_eq!(names.len(), 2);
}

#[test]
fn we_read_what_dhcproto_writes() {
    let mut sent = v4::Message::default();
    sent.set_opcode(v4::Opcode::BootReply).set_chaddr(&[2, 0, 0, 0, 0, 1]).set_fname_str("kernel");
    for option in [
        DhcpOption::MessageType(v4::MessageType::Ack),
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 0, 0)),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 0, 0, 3)]),
        // RFC 3396: longer than one option holds.
        DhcpOption::RootPath("r".repeat(600)),
    ] {
        sent.opts_mut().insert(option);
    }
    let read = decode(&sent.to_vec().expect("encoded")).expect("decoded");
    assert_eq!((read.op as u8, read.file.as_str()), (2, "kernel"));
    let options = Value::Object(read.options);
    assert_eq!(
        options,
        json!({
            "messageType": "ack", "subnetMask": "255.255.0.0", "dnsServers": ["10.0.0.3"], "rootPath": "r".repeat(600),
        })
    );
}

/// A reply with these bytes as options, sname and file.
fn reply(options: &[u8], sname: &[u8], file: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 236];
    bytes[..3].copy_from_slice(&[2, 1, 6]);
    bytes[44..44 + sname.len()].copy_from_slice(sname);
    bytes[108..108 + file.len()].copy_from_slice(file);
    bytes.extend_from_slice(&[99, 130, 83, 99]);
    bytes.extend_from_slice(options);
    bytes
}

fn options(bytes: &[u8]) -> Option<Value> {
    Some(Value::Object(decode(&reply(bytes, b"", b""))?.options))
}

#[test]
fn fields_that_hold_options_are_read_as_such() {
    // Option 52 says which; 67 is in both of them, so its pieces are joined, `file` first.
    let both =
        decode(&reply(&[53, 1, 5, 52, 1, 3, 255], b"\x43\x03net\xff", b"\x43\x04boot\xff")).expect("decoded");
    assert_eq!((both.sname.as_str(), both.file.as_str()), ("", ""));
    assert_eq!(Value::Object(both.options), json!({"messageType": "ack", "bootFile": "bootnet"}));
    let file = decode(&reply(&[52, 1, 1, 255], b"server", b"\x0f\x03org\xff")).expect("decoded");
    assert_eq!((file.sname.as_str(), file.options["domainName"].as_str()), ("server", Some("org")));
    let none = decode(&reply(&[255], b"server\0junk", b"kernel")).expect("decoded");
    assert_eq!((none.sname.as_str(), none.file.as_str()), ("server", "kernel"));
}

#[test]
fn what_a_relay_agent_adds_is_passed_over() {
    // Option 82 (RFC 3046) with a circuit and a remote id, as a server echoes it and some relays forget to take it out.
    let relayed = [&[53, 1, 5, 82, 12][..], b"\x01\x04eth7\x02\x04port", &[12, 2, b'v', b'm', 255]].concat();
    let mut bytes = reply(&relayed, b"", b"");
    bytes[24..28].copy_from_slice(&[10, 9, 0, 1]);
    let read = decode(&bytes).expect("decoded");
    assert_eq!(read.giaddr, Ipv4Addr::new(10, 9, 0, 1));
    assert_eq!(Value::Object(read.options), json!({"messageType": "ack", "hostname": "vm"}));
}

#[test]
fn what_makes_no_sense_is_left_out_and_what_overruns_is_refused() {
    assert_eq!(options(&[]), Some(json!({})));
    assert_eq!(options(&[0, 0, 53, 1, 5]), Some(json!({"messageType": "ack"})), "without an end");
    assert_eq!(options(&[53, 1, 99, 51, 2, 0, 1, 12, 0, 255]), Some(json!({})));
    assert_eq!(options(&[12, 5, b'h', b'o', 0, b'x', b'y', 255]), Some(json!({"hostname": "ho"})));
    assert_eq!(options(&[77, 4, b'i', b'P', b'X', b'E', 255]), Some(json!({"userClass": "iPXE"})));
    assert_eq!(options(&[121, 6, 33, 10, 0, 0, 1, 1, 255]), Some(json!({})), "a prefix of 33");
    assert_eq!(options(&[121, 9, 255, 10, 0, 0, 1, 1, 1, 1, 1, 255]), Some(json!({})));
    assert_eq!(options(&[53, 4, 5]), None);
    assert_eq!(options(&[53]), None);
    assert_eq!(decode(&[2; 239]), None);
    assert_eq!(decode(&[0; 1000]), None);
}

#[test]
fn names_are_expanded_and_loops_and_tricks_end() {
    let names = |bytes: &[u8]| {
        options(&[&[119, bytes.len() as u8][..], bytes, &[255]].concat())
            .expect("decoded")
            .get("domainSearch")
            .cloned()
    };
    // The example of RFC 3397.
    let example = b"\x03eng\x05apple\x03com\0\x09marketing\xc0\x04";
    assert_eq!(names(example), Some(json!(["eng.apple.com", "marketing.apple.com"])));
    for junk in [
        b"\xc0\x00".as_slice(),
        b"\x01a\xc0\x00",
        b"\x01a\xc0\x02",
        b"\x01a\xc0",
        b"\x05ab",
        b"\x03a\nb\0",
        b"\x03a b\0",
        b"\x80a\0",
        b"\0\0\0",
    ] {
        assert_eq!(names(junk), None, "{junk:?}");
    }
}

#[test]
fn what_cannot_be_sent_is_told() {
    let fails = |options: Value| encode(&message(options)).expect_err("refused");
    assert_eq!(fails(json!({"leaseTime": "long"})), "leaseTime cannot be \"long\"");
    assert_eq!(fails(json!({"clientId": "0"})), "clientId cannot be \"0\"");
    assert_eq!(fails(json!({"clientID": "00"})), "no DHCP option is called clientID");
    assert_eq!(fails(json!({"mtu": 70_000})), "mtu cannot be 70000");
    let mut long = message(json!({}));
    long.file = "f".repeat(128);
    assert_eq!(encode(&long).expect_err("refused"), "file is longer than 127 bytes");
    assert_eq!(encode(&message(json!({}))).expect("short").len(), 300);
}

/// Nothing panics, and what still reads can be written again.
#[test]
fn dhcp_messages_fuzzed() {
    let (mut chance, good) = (Chance::new(), encode(&message(all())).expect("encoded"));
    let (head, tail) = good.split_at(236);
    let (inputs, tail) = (inputs(20_000), [tail.to_vec()]);
    let mut read = 0;
    for _ in 0..inputs {
        if chance.below(4) == 0 {
            // The names in the head may grow longer than can be sent.
            decode(&chance.damaged(std::slice::from_ref(&good)));
        } else if let Some(message) = decode(&[head, &chance.damaged(&tail)].concat()) {
            read += 1;
            encode(&message).expect("what was read can be written");
        }
    }
    assert!(read > inputs / 20, "{read} of them could still be read");
}
