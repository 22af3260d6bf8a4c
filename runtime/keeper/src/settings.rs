//! What a lease, of either protocol, puts on a card and into resolv.conf.

use crate::network::addresses::{Address, Lifetimes, Route};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub address: IpAddr,
    pub prefix_length: u8,
    pub broadcast: Option<IpAddr>,
    pub mtu: Option<u32>,
    /// In an order that the kernel takes.
    pub routes: Vec<Route>,
    pub dns: Vec<IpAddr>,
    pub search: Vec<String>,
    /// After which the kernel itself takes the address away; None: never.
    pub lifetimes: Option<Lifetimes>,
}

impl Settings {
    /// Without its lifetimes, which are no part of what it is.
    pub fn address(&self) -> Address {
        let Settings { address, prefix_length, broadcast, .. } = *self;
        Address { address, prefix_length, broadcast, lifetimes: None }
    }
}

/// RFC 1123, and the underscore that some sites use. It ends up in a file that shells read.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.as_bytes().iter().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}
