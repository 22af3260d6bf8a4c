//! DHCP options: one table of those that we send or read, and how each kind of value is written
//! (RFC 2132; long options RFC 3396, overload RFC 2132 9.3).

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy)]
enum Kind {
    Address,
    Addresses,
    U32,
    U16,
    Text,
    /// RFC 3004: each class after its length. iPXE and others send one class without.
    UserClass,
    Hex,
    Bytes,
    /// Present and empty.
    Flag,
    MessageType,
    /// RFC 3442: prefix length, the octets that matter, gateway.
    Routes,
    /// RFC 3397: DNS names, with RFC 1035's compression.
    Names,
}

/// Number, name in `DhcpOptions`, kind; in the order in which they are sent.
const OPTIONS: [(u8, &str, Kind); 27] = [
    (53, "messageType", Kind::MessageType),
    (61, "clientId", Kind::Hex),
    (54, "serverId", Kind::Address),
    (50, "requestedAddress", Kind::Address),
    (51, "leaseTime", Kind::U32),
    (58, "renewalTime", Kind::U32),
    (59, "rebindingTime", Kind::U32),
    (1, "subnetMask", Kind::Address),
    (28, "broadcastAddress", Kind::Address),
    (3, "routers", Kind::Addresses),
    (121, "classlessRoutes", Kind::Routes),
    (6, "dnsServers", Kind::Addresses),
    (119, "domainSearch", Kind::Names),
    (12, "hostname", Kind::Text),
    (15, "domainName", Kind::Text),
    (26, "mtu", Kind::U16),
    (42, "ntpServers", Kind::Addresses),
    (17, "rootPath", Kind::Text),
    (66, "tftpServerName", Kind::Text),
    (67, "bootFile", Kind::Text),
    (210, "pathPrefix", Kind::Text),
    (56, "message", Kind::Text),
    (60, "vendorClass", Kind::Text),
    (77, "userClass", Kind::UserClass),
    (97, "clientUuid", Kind::Hex),
    (57, "maximumMessageSize", Kind::U16),
    (80, "rapidCommit", Kind::Flag),
];
/// Sent last, as it is only a list.
const REQUEST_LIST: (u8, &str, Kind) = (55, "parameterRequestList", Kind::Bytes);

const PAD: u8 = 0;
const OVERLOAD: u8 = 52;
const END: u8 = 255;
const TYPES: [&str; 8] = ["discover", "offer", "request", "decline", "ack", "nak", "release", "inform"];

fn table() -> impl Iterator<Item = (u8, &'static str, Kind)> {
    OPTIONS.into_iter().chain([REQUEST_LIST])
}

/// Appends the options and the end. Values longer than 255 bytes go in several pieces (RFC 3396).
pub fn encode(options: &Map<String, Value>, bytes: &mut Vec<u8>) -> Result<(), String> {
    if let Some(unknown) = options.keys().find(|key| !table().any(|(_, name, _)| name == key.as_str())) {
        return Err(format!("no DHCP option is called {unknown}"));
    }
    for (code, name, kind) in table() {
        let Some(value) = options.get(name) else { continue };
        let value = write(kind, value).ok_or_else(|| format!("{name} cannot be {value}"))?;
        if value.is_empty() && matches!(kind, Kind::Flag) && options[name] == true {
            bytes.extend_from_slice(&[code, 0]);
        }
        for piece in value.chunks(255) {
            bytes.extend_from_slice(&[code, piece.len() as u8]);
            bytes.extend_from_slice(piece);
        }
    }
    bytes.push(END);
    Ok(())
}

#[derive(Default)]
pub struct Overloaded {
    pub file: bool,
    pub sname: bool,
}

/// Reads the options and, where option 52 says so, those in the fields `file` and `sname`. None when one of them
/// ends beyond its field. An option that makes no sense is left out, as if it were not sent.
pub fn decode(options: &[u8], file: &[u8], sname: &[u8]) -> Option<(Map<String, Value>, Overloaded)> {
    let mut raw = BTreeMap::new();
    collect(options, &mut raw)?;
    let overload = raw.get(&OVERLOAD).and_then(|value: &Vec<u8>| value.first()).copied().unwrap_or(0);
    let overloaded = Overloaded { file: overload & 1 != 0, sname: overload & 2 != 0 };
    for (taken, field) in [(overloaded.file, file), (overloaded.sname, sname)] {
        if taken {
            collect(field, &mut raw)?;
        }
    }
    let read = table().filter_map(|(code, name, kind)| Some((name.to_owned(), read(kind, raw.get(&code)?)?)));
    Some((read.collect(), overloaded))
}

fn collect(mut bytes: &[u8], into: &mut BTreeMap<u8, Vec<u8>>) -> Option<()> {
    while let [code, rest @ ..] = bytes {
        bytes = match *code {
            PAD => rest,
            END => break,
            code => {
                let (length, rest) = rest.split_first()?;
                let (value, rest) = rest.split_at_checked(usize::from(*length))?;
                into.entry(code).or_default().extend_from_slice(value);
                rest
            }
        };
    }
    Some(())
}

/// Up to the first NUL, which some servers append.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn some_text(bytes: &[u8]) -> Option<Value> {
    Some(text(bytes)).filter(|text| !text.is_empty()).map(Value::from)
}

fn address(bytes: &[u8]) -> Option<String> {
    let octets: [u8; 4] = bytes.try_into().ok()?;
    Some(Ipv4Addr::from(octets).to_string())
}

fn read(kind: Kind, bytes: &[u8]) -> Option<Value> {
    Some(match kind {
        Kind::Address => address(bytes.get(..4)?)?.into(),
        Kind::Addresses => bytes
            .chunks_exact(4)
            .map(address)
            .collect::<Option<Vec<_>>>()
            .filter(|all| !all.is_empty())?
            .into(),
        Kind::U32 => u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?).into(),
        Kind::U16 => u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?).into(),
        Kind::Text => some_text(bytes)?,
        Kind::UserClass => match bytes.split_first() {
            Some((length, class)) if usize::from(*length) == class.len() => some_text(class)?,
            _ => some_text(bytes)?,
        },
        Kind::Hex => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
        Kind::Bytes => bytes.to_vec().into(),
        Kind::Flag => true.into(),
        Kind::MessageType => (*TYPES.get(usize::from(*bytes.first()?).checked_sub(1)?)?).into(),
        Kind::Routes => routes(bytes)?.into(),
        Kind::Names => names(bytes)?.into(),
    })
}

fn routes(mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut found = Vec::new();
    while let [length, rest @ ..] = bytes {
        let octets = usize::from(*length).div_ceil(8);
        let (significant, rest) = rest.split_at_checked(octets)?;
        let (gateway, rest) = rest.split_at_checked(4)?;
        let mut destination = [0; 4];
        destination.get_mut(..octets)?.copy_from_slice(significant);
        let destination = format!("{}/{length}", Ipv4Addr::from(destination));
        if *length > 32 {
            return None;
        }
        found.push(json!({ "destination": destination, "gateway": address(gateway)? }));
        bytes = rest;
    }
    Some(found)
}

/// Names are for resolv.conf: one with other characters than DNS names of hosts have spoils the list.
pub fn names(bytes: &[u8]) -> Option<Vec<String>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let (mut name, mut position, mut after) = (String::new(), at, None);
        loop {
            let length = usize::from(*bytes.get(position)?);
            match length {
                0 => break,
                1..=63 => {
                    let label = bytes.get(position + 1..position + 1 + length)?;
                    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
                    // 253 is the longest name (RFC 1035), and so the end of every loop of pointers.
                    if !label.iter().all(plain) || name.len() + length > 253 {
                        return None;
                    }
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(&text(label));
                    position += 1 + length;
                }
                192..=255 => {
                    let target = (length & 63) << 8 | usize::from(*bytes.get(position + 1)?);
                    after.get_or_insert(position + 2);
                    // Only ever backwards, so that it ends.
                    position = Some(target).filter(|target| *target < position)?;
                }
                _ => return None,
            }
        }
        at = after.unwrap_or(position + 1);
        if !name.is_empty() {
            found.push(name);
        }
    }
    Some(found).filter(|found| !found.is_empty())
}

fn octets(value: &Value) -> Option<Vec<u8>> {
    Some(value.as_str()?.parse::<Ipv4Addr>().ok()?.octets().to_vec())
}

fn write(kind: Kind, value: &Value) -> Option<Vec<u8>> {
    let all = |one: fn(&Value) -> Option<Vec<u8>>| -> Option<Vec<u8>> {
        Some(value.as_array()?.iter().map(one).collect::<Option<Vec<_>>>()?.concat())
    };
    match kind {
        Kind::Address => octets(value),
        Kind::Addresses => all(octets),
        Kind::U32 => Some(u32::try_from(value.as_u64()?).ok()?.to_be_bytes().to_vec()),
        Kind::U16 => Some(u16::try_from(value.as_u64()?).ok()?.to_be_bytes().to_vec()),
        Kind::Text => Some(value.as_str()?.as_bytes().to_vec()),
        Kind::UserClass => {
            let class = value.as_str()?.as_bytes();
            Some([&[u8::try_from(class.len()).ok()?][..], class].concat())
        }
        Kind::Hex => {
            let digits = value.as_str()?.as_bytes();
            let pairs =
                digits.chunks(2).map(|pair| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok());
            pairs.collect::<Option<Vec<u8>>>().filter(|_| digits.len() % 2 == 0)
        }
        Kind::Bytes => all(|one| Some(vec![u8::try_from(one.as_u64()?).ok()?])),
        Kind::Flag => value.as_bool().map(|_| Vec::new()),
        Kind::MessageType => {
            let at = TYPES.iter().position(|name| value == name)?;
            Some(vec![at as u8 + 1])
        }
        Kind::Routes => all(|one| {
            let (destination, length) = one.get("destination")?.as_str()?.split_once('/')?;
            let length: u8 = length.parse().ok().filter(|length| *length <= 32)?;
            let significant = destination.parse::<Ipv4Addr>().ok()?.octets();
            let significant = &significant[..usize::from(length).div_ceil(8)];
            Some([&[length][..], significant, &octets(one.get("gateway")?)?].concat())
        }),
        Kind::Names => all(|one| {
            let mut bytes = Vec::new();
            for label in one.as_str()?.split('.') {
                bytes.push(u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?);
                bytes.extend_from_slice(label.as_bytes());
            }
            bytes.push(0);
            Some(bytes)
        }),
    }
}
