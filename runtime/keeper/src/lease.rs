//! What of an acknowledgement is applied: the rules of src/network/lease.ts, for the leases that come when there is no
//! TypeScript any more. test/unit/network/leases.json holds the two to the same answers.

use crate::network::addresses::{Destination, Route};
use crate::network::dhcp_message::DhcpMessage;
use crate::settings::{Settings, is_name};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};
use serde_json::Value;

/// RFC 2131, 3.3: infinity.
const FOR_EVER: u64 = 0xffff_ffff;
/// Of a server that forgot to say, as udhcpc takes it. Seconds.
const FORGOTTEN_LEASE_TIME: u64 = 3600;
/// RFC 791: every host must take datagrams of this size.
const SMALLEST_MTU: u64 = 576;

/// Seconds; None of a lease without end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    pub lease: f64,
    pub renewal: f64,
    pub rebinding: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    pub address: Ipv4Addr,
    pub settings: Settings,
    pub server: Ipv4Addr,
    pub times: Option<Times>,
}

/// The error says what cannot be used.
pub fn parse(message: &DhcpMessage) -> Result<Lease, String> {
    let address = message.yiaddr;
    if !is_host(address) {
        return Err(format!("no usable address in it ({address})"));
    }
    let server = one(message, "serverId").filter(|server| is_host(*server));
    let server = server.ok_or("no usable server identifier in it")?;
    let prefix_length = match one(message, "subnetMask") {
        None => classful(address),
        Some(mask) => prefix_of(mask).ok_or_else(|| format!("its subnet mask {mask} is none"))?,
    };
    let within = |other: Ipv4Addr| network(other, prefix_length) == network(address, prefix_length);
    let mut dns: Vec<IpAddr> = Vec::new();
    for server in several(message, "dnsServers").filter(|server| is_host(*server)) {
        if !dns.contains(&server.into()) {
            dns.push(server.into());
        }
    }
    let broadcast = one(message, "broadcastAddress").filter(|broadcast| within(*broadcast)).map(IpAddr::from);
    let mtu = number(message, "mtu").filter(|mtu| *mtu >= SMALLEST_MTU).map(|mtu| mtu as u32);
    let routes = routes(message, address, within);
    let settings = Settings {
        address: address.into(),
        prefix_length,
        broadcast,
        mtu,
        routes,
        dns,
        search: search(message),
        // The keeper itself sees to its end.
        lifetimes: None,
    };
    Ok(Lease { address, settings, server, times: times(message) })
}

fn list<'a>(message: &'a DhcpMessage, name: &str) -> impl Iterator<Item = &'a Value> {
    message.options.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn quad(value: &Value) -> Option<Ipv4Addr> {
    value.as_str()?.parse().ok()
}

fn one(message: &DhcpMessage, name: &str) -> Option<Ipv4Addr> {
    quad(message.options.get(name)?)
}

fn several(message: &DhcpMessage, name: &str) -> impl Iterator<Item = Ipv4Addr> {
    list(message, name).filter_map(quad)
}

fn number(message: &DhcpMessage, name: &str) -> Option<u64> {
    message.options.get(name)?.as_u64()
}

/// An address that a single host can have: not 0/8, 127/8, nor class D and E.
fn is_host(address: Ipv4Addr) -> bool {
    !matches!(address.octets()[0], 0 | 127 | 224..)
}

fn network(address: Ipv4Addr, prefix_length: u8) -> u32 {
    address.to_bits().checked_shr(32 - u32::from(prefix_length)).unwrap_or(0)
}

fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits != 0 && bits.leading_ones() + bits.trailing_zeros() == 32).then(|| bits.leading_ones() as u8)
}

/// RFC 791: what a network was before masks.
fn classful(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..128 => 8,
        128..192 => 16,
        _ => 24,
    }
}

/// RFC 3442: with classless routes, routers are ignored. Of several routers the first is taken.
fn routes(message: &DhcpMessage, own: Ipv4Addr, within: impl Fn(Ipv4Addr) -> bool) -> Vec<Route> {
    let by = |destination: Destination, gateway: Ipv4Addr| Route {
        destination,
        gateway: Some(gateway.into()),
        metric: None,
        onlink: !within(gateway),
    };
    let classless = || list(message, "classlessRoutes");
    if classless().next().is_none() {
        let router = several(message, "routers").find(|router| is_host(*router) && *router != own);
        let everywhere = Destination(Ipv4Addr::UNSPECIFIED.into(), 0);
        return router.map(|router| by(everywhere, router)).into_iter().collect();
    }
    let mut found: Vec<Route> = Vec::new();
    for route in classless() {
        let read = |name: &str| route.get(name).and_then(Value::as_str);
        let destination = read("destination").and_then(|text| Destination::try_from(text.to_owned()).ok());
        let gateway: Option<Ipv4Addr> = read("gateway").and_then(|text| text.parse().ok());
        let (Some(destination), Some(gateway)) = (destination, gateway) else { continue };
        if found.iter().any(|known| known.destination == destination) {
            continue;
        }
        if gateway.is_unspecified() {
            found.push(Route { destination, gateway: None, metric: None, onlink: false });
        } else if is_host(gateway) {
            found.push(by(destination, gateway));
        }
    }
    // What is on the link first, then from the most specific to the default: each gateway is known when it is named.
    found.sort_by_key(|route| (route.gateway.is_some(), core::cmp::Reverse(route.destination.1)));
    found
}

/// resolv.conf(5): without a search list, the domain is one.
fn search(message: &DhcpMessage) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in list(message, "domainSearch").filter_map(Value::as_str).filter(|name| is_name(name)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        let domain = message.options.get("domainName").and_then(Value::as_str);
        names.extend(domain.filter(|name| is_name(name)).map(str::to_owned));
    }
    names
}

/// RFC 2131, 4.4.5: T1 and T2 are 0.5 and 0.875 of the lease unless the server says otherwise; T1 < T2 < its end.
fn times(message: &DhcpMessage) -> Option<Times> {
    let said = |name: &str| number(message, name).unwrap_or(0);
    let lease = Some(said("leaseTime")).filter(|time| *time > 0).unwrap_or(FORGOTTEN_LEASE_TIME);
    if lease >= FOR_EVER {
        return None;
    }
    let t2 = Some(said("rebindingTime")).filter(|t2| (1..lease).contains(t2)).unwrap_or(lease * 7 / 8);
    let t1 = Some(said("renewalTime")).filter(|t1| (1..t2).contains(t1)).unwrap_or((lease / 2).min(t2));
    Some(Times { lease: lease as f64, renewal: t1 as f64, rebinding: t2 as f64 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_as_typescript_does() {
        const CASES: &str = include_str!("../../../test/unit/network/leases.json");
        let cases: Vec<Value> = serde_json::from_str(CASES).expect("JSON");
        assert!(cases.len() > 15);
        for case in cases {
            let message: DhcpMessage = serde_json::from_value(case["message"].clone()).expect("a message");
            assert_eq!(answer(&message), case["lease"], "{}", case["name"]);
        }
    }

    fn answer(message: &DhcpMessage) -> Value {
        let Ok(Lease { settings, server, times, .. }) = parse(message) else { return Value::Null };
        let routes: Vec<Value> = settings
            .routes
            .iter()
            .map(|route| {
                let Destination(address, length) = &route.destination;
                json!({
                    "destination": format!("{address}/{length}"), "gateway": route.gateway, "onlink": route.onlink,
                })
            })
            .collect();
        let times = times.map(|times| [times.lease as u64, times.renewal as u64, times.rebinding as u64]);
        json!({
            "address": settings.address, "prefixLength": settings.prefix_length, "broadcast": settings.broadcast,
            "mtu": settings.mtu, "routes": routes, "dns": settings.dns, "search": settings.search, "server": server,
            "times": times,
        })
    }
}
