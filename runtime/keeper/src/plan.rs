//! What TypeScript decided before the handoff: `KeeperPlan` of src/network/keeper.ts.

use crate::network::dhcp_message::{DhcpMessage, Mac};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The new system's root as the keeper sees it.
    pub new_root: String,
    pub leases: Vec<Kept>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub link: String,
    pub mac: Mac,
    pub when_lost: WhenLost,
    /// None where the new system's resolv.conf is somebody else's.
    pub resolver: Option<Resolver>,
    pub lease: Granted,
}

/// The new system's resolv.conf, as we wrote it, and what is in it besides what the lease says.
#[derive(Deserialize)]
pub struct Resolver {
    pub text: String,
    /// Asked before those of a lease, and after them.
    pub before: Vec<String>,
    pub after: Vec<String>,
    pub search: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenLost {
    /// The root comes by the network: until there is another address, a doubtful one is better than none.
    Keep,
    Remove,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Granted {
    Dhcp4(Dhcp4),
    Dhcp6(Dhcp6),
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dhcp4 {
    /// The acknowledgement that is in force, and when it came, by CLOCK_BOOTTIME in milliseconds.
    pub acknowledged: DhcpMessage,
    pub obtained_at: f64,
    /// The one whose settings are on the card.
    pub applied: DhcpMessage,
    /// What every request carries: client identifier, classes, what is asked for.
    pub options: Map<String, Value>,
}

/// Times in seconds from `obtained_at`, which is in milliseconds of CLOCK_BOOTTIME.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dhcp6 {
    pub client_id: Hex,
    pub server_id: Hex,
    pub iaid: u32,
    pub address: Ipv6Addr,
    pub obtained_at: f64,
    pub renewal_time: f64,
    pub rebinding_time: f64,
    /// None: never.
    pub valid_lifetime: Option<f64>,
    /// Those that are in use.
    pub dns: Vec<IpAddr>,
    pub search: Vec<String>,
    /// What every question carries besides: whole options.
    pub options: Hex,
}

/// Bytes, in hex.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hex(pub Vec<u8>);

impl TryFrom<String> for Hex {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        };
        text.as_bytes().chunks(2).map(pair).collect::<Option<_>>().map(Hex).ok_or("it is not hexadecimal")
    }
}
