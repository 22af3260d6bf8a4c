//! Addresses and routes of a link, IPv4 and IPv6 alike (RTM_NEWADDR, RTM_NEWROUTE of rtnetlink(7)).

use super::links::link;
use super::netlink::{self, Message, Refusal, Routing};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use rustix::io::Errno;
use serde::Deserialize;

/// RTNH_F_ONLINK of linux/rtnetlink.h.
const ONLINK: u32 = 4;
/// RTPROT_RA of linux/rtnetlink.h.
const PROTOCOL_ADVERTISED: u8 = 9;
/// Set by whoever is not the kernel; `ip` writes the same.
const PROTOCOL_BOOT: u8 = libc::RTPROT_BOOT;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Address {
    pub address: IpAddr,
    pub prefix_length: u8,
    pub broadcast: Option<IpAddr>,
    /// Without: for ever.
    pub lifetimes: Option<Lifetimes>,
}

/// Seconds from now, after which the kernel prefers another address, and takes this one away; None: never.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Lifetimes {
    pub preferred: Option<u32>,
    pub valid: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Route {
    pub destination: Destination,
    pub gateway: Option<IpAddr>,
    pub metric: Option<u32>,
    #[serde(default)]
    pub onlink: bool,
}

/// `10.0.0.0/8`. Bits beyond the prefix are dropped, which the kernel would refuse and DHCP servers do send.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Destination(pub IpAddr, pub u8);

impl TryFrom<String> for Destination {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text}: not a destination like 10.0.0.0/8");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let length: u8 = length.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if length > bits {
            return Err(wrong());
        }
        let empty = u32::from(bits - length);
        Ok(Destination(
            match address {
                IpAddr::V4(v4) => IpAddr::V4(
                    (v4.to_bits().checked_shr(empty).unwrap_or(0)).checked_shl(empty).unwrap_or(0).into(),
                ),
                IpAddr::V6(v6) => IpAddr::V6(
                    (v6.to_bits().checked_shr(empty).unwrap_or(0)).checked_shl(empty).unwrap_or(0).into(),
                ),
            },
            length,
        ))
    }
}

fn family(address: IpAddr) -> u8 {
    (if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 }) as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

pub fn address_header(family: u8, prefix_length: u8, index: u32) -> [u8; 8] {
    let [a, b, c, d] = index.to_ne_bytes();
    [family, prefix_length, 0, 0, a, b, c, d]
}

/// An address that is there already is set anew, so a second call changes nothing.
pub fn add(name: &str, wanted: &Address) -> Result<(), Refusal> {
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let header = address_header(family(wanted.address), wanted.prefix_length, link(name)?.index);
    let mut message = Message::new(libc::RTM_NEWADDR, flags, &header)
        .attribute(libc::IFA_LOCAL, &octets(wanted.address))
        .attribute(libc::IFA_ADDRESS, &octets(wanted.address));
    if let Some(broadcast) = wanted.broadcast {
        message = message.attribute(libc::IFA_BROADCAST, &octets(broadcast));
    }
    if let Some(Lifetimes { preferred, valid }) = wanted.lifetimes {
        // struct ifa_cacheinfo of linux/if_addr.h: two times of its own follow, and all ones are for ever.
        let [preferred, valid] = [preferred, valid].map(|seconds| seconds.unwrap_or(u32::MAX).to_ne_bytes());
        message = message.attribute(libc::IFA_CACHEINFO, &[preferred, valid, [0; 4], [0; 4]].concat());
    }
    Routing::open()?.request(message)
}

/// With it go the routes that came by it. An address that is not there is no error.
#[allow(dead_code, reason = "the lease keeper’s, which is built from this file too")]
pub fn remove(name: &str, address: &Address) -> Result<(), Refusal> {
    let header = address_header(family(address.address), address.prefix_length, link(name)?.index);
    let message = Message::new(libc::RTM_DELADDR, libc::NLM_F_ACK, &header)
        .attribute(libc::IFA_LOCAL, &octets(address.address));
    gone(Routing::open()?.request(message))
}

/// The IFA_F_ flags of this address, with whatever prefix; None where the link does not have it.
#[allow(dead_code, reason = "the lease keeper’s, which is built from this file too")]
pub fn flags(index: u32, address: IpAddr) -> Result<Option<u32>, Refusal> {
    // Of IPv6 there is one address, of IPv4 the far end's, too.
    let own = if address.is_ipv4() { libc::IFA_LOCAL } else { libc::IFA_ADDRESS };
    let header = address_header(family(address), 0, 0);
    let all = Routing::open()?.dump(|| Message::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &header))?;
    Ok(all.iter().find_map(|(_, payload)| {
        let here = netlink::read_u32(payload, 4) == Some(index);
        let attributes = || netlink::attributes(payload.get(8..).unwrap_or_default());
        let all_flags = attributes().find(|(kind, _)| *kind == libc::IFA_FLAGS);
        let flags = all_flags.and_then(|(_, value)| netlink::read_u32(value, 0)).unwrap_or(0);
        let found = attributes().any(|(kind, value)| kind == own && value == octets(address));
        (here && found).then_some(flags)
    }))
}

/// Replaces a route of the same destination and metric.
pub fn add_route(name: &str, route: &Route) -> Result<(), Refusal> {
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    Routing::open()?.request(route_message(libc::RTM_NEWROUTE, flags, name, route)?)
}

/// A route that is not there is no error.
#[allow(dead_code, reason = "the lease keeper’s, which is built from this file too")]
pub fn remove_route(name: &str, route: &Route) -> Result<(), Refusal> {
    gone(Routing::open()?.request(route_message(libc::RTM_DELROUTE, libc::NLM_F_ACK, name, route)?))
}

fn route_message(kind: u16, flags: i32, name: &str, route: &Route) -> Result<Message, Refusal> {
    let Destination(destination, length) = route.destination;
    let scope = if route.gateway.is_none() && destination.is_ipv4() {
        libc::RT_SCOPE_LINK
    } else {
        libc::RT_SCOPE_UNIVERSE
    };
    let mut header = [
        family(destination),
        length,
        0,
        0,
        libc::RT_TABLE_MAIN,
        PROTOCOL_BOOT,
        scope,
        libc::RTN_UNICAST,
        0,
        0,
        0,
        0,
    ];
    if route.onlink {
        header[8..].copy_from_slice(&ONLINK.to_ne_bytes());
    }
    let mut message =
        Message::new(kind, flags, &header).attribute(libc::RTA_OIF, &link(name)?.index.to_ne_bytes());
    if length > 0 {
        message = message.attribute(libc::RTA_DST, &octets(destination));
    }
    if let Some(gateway) = route.gateway {
        if family(gateway) != family(destination) {
            return Err(Refusal {
                errno: Errno::AFNOSUPPORT,
                words: Some(format!("gateway {gateway} is of another family than the destination")),
            });
        }
        message = message.attribute(libc::RTA_GATEWAY, &octets(gateway));
    }
    if let Some(metric) = route.metric {
        message = message.attribute(libc::RTA_PRIORITY, &metric.to_ne_bytes());
    }
    Ok(message)
}

/// Removes every address and every route that is not the kernel's own. The link-local IPv6 address stays: the
/// kernel made it, and without it the link has no IPv6 until it is taken down. So does what the kernel made from router
/// advertisements, and goes on to renew.
pub fn flush(name: &str) -> Result<(), Refusal> {
    let index = link(name)?.index;
    let mut routing = Routing::open()?;
    let addresses =
        routing.dump(|| Message::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &address_header(0, 0, 0)))?;
    for (_, payload) in addresses {
        let [family, prefix_length, flags, scope, ..] = payload[..] else { continue };
        // Those from advertisements have a lifetime.
        let permanent = u32::from(flags) & libc::IFA_F_PERMANENT != 0;
        let kernels = i32::from(family) == libc::AF_INET6 && (scope == libc::RT_SCOPE_LINK || !permanent);
        if kernels || netlink::read_u32(&payload, 4) != Some(index) {
            continue;
        }
        let header = address_header(family, prefix_length, index);
        let mut message = Message::new(libc::RTM_DELADDR, libc::NLM_F_ACK, &header);
        for (kind, value) in netlink::attributes(&payload[8..]) {
            if kind == libc::IFA_LOCAL || kind == libc::IFA_ADDRESS {
                message = message.attribute(kind, value);
            }
        }
        gone(routing.request(message))?;
    }
    let routes = routing.dump(|| Message::new(libc::RTM_GETROUTE, libc::NLM_F_DUMP, &[0; 12]))?;
    for (_, payload) in routes {
        let Some((header, rest)) = payload.split_at_checked(12) else { continue };
        let ours = ![libc::RTPROT_KERNEL, PROTOCOL_ADVERTISED].contains(&header[5])
            && header[4] == libc::RT_TABLE_MAIN;
        let here = netlink::attributes(rest)
            .any(|(kind, value)| kind == libc::RTA_OIF && netlink::read_u32(value, 0) == Some(index));
        if ours && here {
            let mut message = Message::new(libc::RTM_DELROUTE, libc::NLM_F_ACK, header);
            for (kind, value) in netlink::attributes(rest) {
                if [libc::RTA_DST, libc::RTA_OIF, libc::RTA_GATEWAY, libc::RTA_PRIORITY].contains(&kind) {
                    message = message.attribute(kind, value);
                }
            }
            gone(routing.request(message))?;
        }
    }
    Ok(())
}

/// With an address its secondaries and routes go as well: what is gone already is no error.
fn gone(removed: Result<(), Refusal>) -> Result<(), Refusal> {
    match removed {
        Err(Refusal { errno: Errno::ADDRNOTAVAIL | Errno::SRCH | Errno::NOENT, .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_loses_its_host_bits() {
        let read = |text: &str| Destination::try_from(text.to_owned());
        let want = |address: &str, length| Ok(Destination(address.parse().expect("an address"), length));
        assert_eq!(read("10.1.2.3/8"), want("10.0.0.0", 8));
        assert_eq!(read("0.0.0.0/0"), want("0.0.0.0", 0));
        assert_eq!(read("1.2.3.4/0"), want("0.0.0.0", 0));
        assert_eq!(read("10.1.2.3/32"), want("10.1.2.3", 32));
        assert_eq!(read("2001:db8::1/32"), want("2001:db8::", 32));
        assert_eq!(read("::/0"), want("::", 0));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "::/129", "a/8", "10.0.0.0/"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
