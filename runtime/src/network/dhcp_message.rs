//! DHCPv4 messages: the `DhcpMessage` of src/sys/network.ts to bytes and back (RFC 2131, options RFC 2132).
//!
//! Our own codec: dhcproto brings hickory-proto and idna and adds 226 KB to the binary before a line of it is turned
//! into JSON; this is a table and a few kinds of value. Tests hold it against dhcproto.

use super::dhcp_options;
use super::packet::{MacBytes, mac_bytes, mac_text};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

const FIXED: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// RFC 1542, 2.1: relays and servers may drop what is shorter.
const MINIMUM: usize = 300;
const SNAME: core::ops::Range<usize> = 44..108;
const FILE: core::ops::Range<usize> = 108..236;
const BROADCAST_FLAG: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    Request = 1,
    Reply = 2,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub MacBytes);

impl TryFrom<String> for Mac {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        mac_bytes(&text).map(Mac).ok_or_else(|| format!("{text}: not a MAC address"))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac_text(&mac.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DhcpMessage {
    pub op: Direction,
    pub xid: u32,
    /// Sent as at most 65535: a client may wait for days.
    pub secs: u64,
    pub broadcast: bool,
    pub ciaddr: Ipv4Addr,
    pub yiaddr: Ipv4Addr,
    pub siaddr: Ipv4Addr,
    pub giaddr: Ipv4Addr,
    pub chaddr: Mac,
    pub sname: String,
    pub file: String,
    pub options: Map<String, Value>,
}

/// The UDP payload. The error says which field cannot be sent.
pub fn encode(message: &DhcpMessage) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; FIXED];
    bytes[..4].copy_from_slice(&[message.op as u8, 1, 6, 0]);
    bytes[4..8].copy_from_slice(&message.xid.to_be_bytes());
    let seconds = u16::try_from(message.secs).unwrap_or(u16::MAX);
    bytes[8..10].copy_from_slice(&seconds.to_be_bytes());
    bytes[10] = if message.broadcast { BROADCAST_FLAG } else { 0 };
    for (at, address) in [message.ciaddr, message.yiaddr, message.siaddr, message.giaddr].iter().enumerate() {
        bytes[12 + at * 4..16 + at * 4].copy_from_slice(&address.octets());
    }
    bytes[28..34].copy_from_slice(&message.chaddr.0);
    for (name, field, text) in [("sname", SNAME, &message.sname), ("file", FILE, &message.file)] {
        let room = &mut bytes[field];
        // One byte is the NUL's.
        if text.len() >= room.len() {
            return Err(format!("{name} is longer than {} bytes", room.len() - 1));
        }
        room[..text.len()].copy_from_slice(text.as_bytes());
    }
    bytes.extend_from_slice(&COOKIE);
    dhcp_options::encode(&message.options, &mut bytes)?;
    bytes.resize(bytes.len().max(MINIMUM), 0);
    Ok(bytes)
}

/// A message from the network, or None when it is no whole DHCP message for an Ethernet client.
pub fn decode(bytes: &[u8]) -> Option<DhcpMessage> {
    let (fixed, rest) = bytes.split_at_checked(FIXED)?;
    let options = rest.strip_prefix(&COOKIE)?;
    let op = match fixed[..3] {
        [1, 1, 6] => Direction::Request,
        [2, 1, 6] => Direction::Reply,
        _ => return None,
    };
    let word = |at: usize| [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
    let address = |at: usize| Ipv4Addr::from(word(at));
    let (options, overloaded) = dhcp_options::decode(options, &fixed[FILE], &fixed[SNAME])?;
    let text = |field: core::ops::Range<usize>, taken: bool| {
        if taken { String::new() } else { dhcp_options::text(&fixed[field]) }
    };
    Some(DhcpMessage {
        op,
        xid: u32::from_be_bytes(word(4)),
        secs: u64::from(u16::from_be_bytes([fixed[8], fixed[9]])),
        broadcast: fixed[10] & BROADCAST_FLAG != 0,
        ciaddr: address(12),
        yiaddr: address(16),
        siaddr: address(20),
        giaddr: address(24),
        chaddr: Mac(fixed[28..34].try_into().ok()?),
        sname: text(SNAME, overloaded.sname),
        file: text(FILE, overloaded.file),
        options,
    })
}
