//! DHCPv6 messages (RFC 8415, 8 and 21): what of an answer the keeper reads, by the rules of src/network/dhcp6-message.ts
//! and dhcp6-lease.ts; test/unit/network/leases6.json holds the two to the same answers.

use crate::network::dhcp_options;
use crate::settings::is_name;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// RFC 8415, 7.3.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub enum Kind {
    Solicit = 1,
    Advertise = 2,
    Request = 3,
    Renew = 5,
    Rebind = 6,
    Reply = 7,
    Decline = 9,
}
/// Of a client that wants no address.
pub const INFORMATION_REQUEST: u8 = 11;

/// RFC 8415, 21.13.
pub const SUCCESS: u16 = 0;
pub const NO_BINDING: u16 = 3;
pub const NOT_ON_LINK: u16 = 4;

const CLIENT: u16 = 1;
const SERVER: u16 = 2;
const ASSOCIATION: u16 = 3;
const ADDRESS: u16 = 5;
const PREFERENCE: u16 = 7;
const ELAPSED: u16 = 8;
const STATUS: u16 = 13;
const DNS: u16 = 23;
const SEARCH: u16 = 24;
/// RFC 8415, 7.7: infinity.
const FOR_EVER: u32 = u32::MAX;
const MOST: usize = 32;

#[derive(Debug, PartialEq)]
pub struct Answer {
    pub kind: Kind,
    pub client: Vec<u8>,
    pub server: Vec<u8>,
    pub preference: u8,
    /// Of the message, or of the association.
    pub status: u16,
    /// Of our association.
    pub given: Vec<Given>,
    pub dns: Vec<Ipv6Addr>,
    pub search: Vec<String>,
}

/// Seconds; None: never.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    pub address: Ipv6Addr,
    pub renewal: Option<u32>,
    pub rebinding: Option<u32>,
    pub preferred: Option<u32>,
    /// 0: the server takes it back.
    pub valid: Option<u32>,
}

/// None for what is no answer to a client, or breaks off. An option that makes no sense is left out.
pub fn decode(bytes: &[u8], association: u32) -> Option<(u32, Answer)> {
    let kind = match bytes.first()? {
        2 => Kind::Advertise,
        7 => Kind::Reply,
        _ => return None,
    };
    let all = options(bytes.get(4..)?)?;
    let first = |code: u16| all.iter().find(|(found, _)| *found == code).map(|(_, body)| *body);
    // RFC 8415, 11.1.
    let duid = |code: u16| first(code).filter(|body| (3..=130).contains(&body.len())).map(<[u8]>::to_vec);
    let mut status = first(STATUS).and_then(|body| read_u16(body, 0)).unwrap_or(SUCCESS);
    let mut given: Vec<Given> = Vec::new();
    let mut refused = SUCCESS;
    for (_, body) in all.iter().filter(|(code, _)| *code == ASSOCIATION) {
        if read_u32(body, 0) != Some(association) {
            continue;
        }
        let (Some(t1), Some(t2), Some(inner)) =
            (read_u32(body, 4), read_u32(body, 8), body.get(12..).and_then(options))
        else {
            continue;
        };
        let own = inner.iter().find(|(code, _)| *code == STATUS).and_then(|(_, body)| read_u16(body, 0));
        refused = own.unwrap_or(refused);
        let addresses = inner.iter().filter(|(code, _)| *code == ADDRESS);
        given.extend(addresses.filter_map(|(_, body)| address(body, t1, t2)));
    }
    if status == SUCCESS && given.iter().all(|given| given.valid == Some(0)) {
        status = refused;
    }
    let dns = first(DNS).unwrap_or_default().chunks_exact(16);
    let mut servers: Vec<Ipv6Addr> = Vec::new();
    for server in dns.filter_map(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from) {
        if is_host(server) && !servers.contains(&server) && servers.len() < MOST {
            servers.push(server);
        }
    }
    let mut search: Vec<String> = Vec::new();
    for name in first(SEARCH).and_then(dhcp_options::names).unwrap_or_default() {
        if is_name(&name) && !search.contains(&name) && search.len() < MOST {
            search.push(name);
        }
    }
    let answer = Answer {
        kind,
        client: duid(CLIENT).unwrap_or_default(),
        server: duid(SERVER)?,
        preference: first(PREFERENCE).and_then(|body| body.first()).copied().unwrap_or(0),
        status,
        given,
        dns: servers,
        search,
    };
    Some((transaction(bytes)?, answer))
}

/// The 24 bits after the type.
pub fn transaction(bytes: &[u8]) -> Option<u32> {
    Some(read_u32(bytes, 0)? & 0xff_ffff)
}

/// RFC 8415, 21.6. One that no host can have, or with a status of its own, is none.
fn address(body: &[u8], t1: u32, t2: u32) -> Option<Given> {
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(body.get(..16)?).ok()?);
    let (preferred, valid) = (read_u32(body, 16)?, read_u32(body, 20)?);
    let refused = options(body.get(24..)?)?
        .iter()
        .any(|(code, body)| *code == STATUS && read_u16(body, 0).unwrap_or(SUCCESS) != SUCCESS);
    if refused || !is_host(address) || preferred > valid {
        return None;
    }
    let seconds = |value: u32| Some(value).filter(|value| *value < FOR_EVER);
    // RFC 8415, 14.2 and 21.4: 0 leaves it to the client, and then these parts are recommended.
    let part = |value: u32, tenths: u64, most: u32| {
        let usual = u64::from(preferred) * tenths / 10;
        if value > 0 && value <= most { value } else { usual as u32 }
    };
    let rebinding = part(t2, 8, valid);
    let renewal = part(t1, 5, rebinding);
    let ends = preferred < FOR_EVER;
    Some(Given {
        address,
        renewal: ends.then_some(renewal),
        rebinding: ends.then_some(rebinding),
        preferred: seconds(preferred),
        valid: seconds(valid),
    })
}

/// What a single host can have: not `::`, `::1`, multicast, nor an IPv4 address in disguise.
fn is_host(address: Ipv6Addr) -> bool {
    !address.is_multicast() && address.segments()[..5].iter().any(|group| *group != 0)
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn options(mut bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(read_u16(bytes, 2)?);
        found.push((read_u16(bytes, 0)?, bytes.get(4..4 + length)?));
        bytes = &bytes[4 + length..];
    }
    Some(found)
}

pub struct Question<'a> {
    pub kind: Kind,
    pub transaction: u32,
    pub client: &'a [u8],
    pub server: Option<&'a [u8]>,
    pub association: u32,
    pub address: Option<Ipv6Addr>,
    /// Hundredths of a second since the exchange began.
    pub elapsed: u16,
    /// What every question carries, as bytes: TypeScript wrote them.
    pub more: &'a [u8],
}

pub fn encode(question: &Question<'_>) -> Vec<u8> {
    let mut bytes = question.transaction.to_be_bytes().to_vec();
    bytes[0] = question.kind as u8;
    let mut option = |code: u16, body: &[u8]| {
        bytes.extend_from_slice(&code.to_be_bytes());
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
    };
    option(CLIENT, question.client);
    if let Some(server) = question.server {
        option(SERVER, server);
    }
    option(ELAPSED, &question.elapsed.to_be_bytes());
    let mut association = question.association.to_be_bytes().to_vec();
    // T1 and T2 are the server's to choose, as are the lifetimes.
    association.extend_from_slice(&[0; 8]);
    if let Some(address) = question.address {
        association.extend_from_slice(&ADDRESS.to_be_bytes());
        association.extend_from_slice(&24u16.to_be_bytes());
        association.extend_from_slice(&address.octets());
        association.extend_from_slice(&[0; 8]);
    }
    option(ASSOCIATION, &association);
    if question.kind != Kind::Decline {
        bytes.extend_from_slice(question.more);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{Chance, inputs};
    use crate::plan::Hex;
    use serde_json::{Value, json};

    #[test]
    fn answers_as_typescript_does() {
        const CASES: &str = include_str!("../../../test/unit/network/leases6.json");
        let cases: Vec<Value> = serde_json::from_str(CASES).expect("JSON");
        assert!(cases.len() > 8);
        for case in cases {
            let Hex(bytes) = serde_json::from_value(case["message"].clone()).expect("hex");
            assert_eq!(read(&bytes), case["lease"], "{}", case["name"]);
        }
    }

    fn read(bytes: &[u8]) -> Value {
        let Some((_, Answer { given, dns, search, status: SUCCESS, .. })) = decode(bytes, 1) else {
            return Value::Null;
        };
        let Some(given) = given.iter().find(|given| given.valid != Some(0)) else { return Value::Null };
        json!({
            "address": given.address, "times": [given.renewal, given.rebinding, given.preferred, given.valid],
            "dns": dns, "search": search,
        })
    }

    #[test]
    fn dhcpv6_messages_fuzzed() {
        const CASES: &str = include_str!("../../../test/unit/network/leases6.json");
        let cases: Vec<Value> = serde_json::from_str(CASES).expect("JSON");
        let good = cases.iter().map(|case| {
            let Hex(bytes) = serde_json::from_value(case["message"].clone()).expect("hex");
            bytes
        });
        let (mut chance, good): (_, Vec<_>) = (Chance::new(), good.collect());
        let inputs = inputs(20_000);
        let found = (0..inputs).filter_map(|_| decode(&chance.damaged(&good), 1)).map(|(_, answer)| {
            assert!(answer.dns.len() <= MOST && answer.search.iter().all(|name| is_name(name)));
        });
        assert!(found.count() > inputs / 20);
    }

    #[test]
    fn no_prefix_and_no_flipped_bit_panics() {
        const CASES: &str = include_str!("../../../test/unit/network/leases6.json");
        let cases: Vec<Value> = serde_json::from_str(CASES).expect("JSON");
        for case in cases {
            let Hex(bytes) = serde_json::from_value(case["message"].clone()).expect("hex");
            for end in 0..bytes.len() {
                decode(&bytes[..end], 1);
            }
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                decode(&flipped, 1);
            }
        }
    }
}
