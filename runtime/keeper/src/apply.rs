//! What the keeper changes in the new system: a card's address and routes, and its resolv.conf.

use crate::network::addresses::Address;
use crate::network::netlink::Refusal;
use crate::network::{addresses, links};
use crate::plan::{Resolver, WhenLost};
use crate::root::Root;
use crate::settings::Settings;
use crate::tell;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;
use rustix::io::{Errno, Result};

pub struct Card {
    /// What is on it.
    present: Option<Settings>,
    /// None once somebody else has written resolv.conf.
    resolver: Option<Resolver>,
    when_lost: WhenLost,
}

impl Card {
    pub fn new(present: Option<Settings>, resolver: Option<Resolver>, when_lost: WhenLost) -> Self {
        Card { present, resolver, when_lost }
    }

    /// What the card should have.
    pub fn address(&self) -> Option<Address> {
        self.present.as_ref().map(Settings::address)
    }

    /// Changes what differs and nothing else: the rest may be somebody's by now. True where the address is another.
    pub fn hold(&mut self, root: &Root, link: &str, wanted: Settings) -> bool {
        let before = self.present.take();
        let tell = |what: &str, done: core::result::Result<(), Refusal>| {
            if let Err(Refusal { errno, words }) = done {
                let words = words.map(|words| format!(" ({words})")).unwrap_or_default();
                tell::notice(root, link, &format!("{what} was refused: {errno}{words}"));
            }
        };
        if let Some(mtu) = wanted.mtu.filter(|mtu| before.as_ref().and_then(|it| it.mtu) != Some(*mtu)) {
            tell(
                &format!("MTU {mtu}"),
                links::set(link, &links::Change { mtu: Some(mtu), ..Default::default() }),
            );
        }
        let moved = before.as_ref().is_none_or(|before| before.address() != wanted.address());
        let routes = before.as_ref().map(|it| it.routes.clone()).unwrap_or_default();
        for route in routes.iter().filter(|route| moved || !wanted.routes.contains(route)) {
            let destination = &route.destination;
            tell(
                &format!("to remove the route to {}/{}", destination.0, destination.1),
                addresses::remove_route(link, route),
            );
        }
        if moved {
            // The old one first: in one subnet the second were a secondary, which goes with the first.
            if let Some(before) = &before {
                tell(&format!("to remove {}", before.address), addresses::remove(link, &before.address()));
            }
        }
        // One that is there already is given more time.
        let lifetimes = wanted.lifetimes.filter(|_| self.when_lost == WhenLost::Remove);
        if moved || lifetimes.is_some() {
            let address = Address { lifetimes, ..wanted.address() };
            tell(&format!("the address {}", wanted.address), addresses::add(link, &address));
        }
        for route in wanted.routes.iter().filter(|route| moved || !routes.contains(route)) {
            let destination = &route.destination;
            tell(
                &format!("the route to {}/{}", destination.0, destination.1),
                addresses::add_route(link, route),
            );
        }
        self.resolve(root, link, &wanted);
        self.present = Some(wanted);
        moved
    }

    /// Removes the address, with its routes, unless the root comes by it.
    pub fn lose(&mut self, root: &Root, link: &str) {
        if self.when_lost == WhenLost::Keep {
            return;
        }
        if let Some(before) = self.present.take()
            && let Err(Refusal { errno, .. }) = addresses::remove(link, &before.address())
        {
            tell::notice(root, link, &format!("to remove {} was refused: {errno}", before.address));
        }
    }

    fn resolve(&mut self, root: &Root, link: &str, wanted: &Settings) {
        let Some(ours) = &mut self.resolver else { return };
        let text = resolver_text(ours, wanted);
        if text.is_empty() || text == ours.text {
            return;
        }
        match replace_resolver(root, &ours.text, &text) {
            Ok(true) => ours.text = text,
            Ok(false) => self.resolver = None,
            Err(errno) => {
                tell::notice(root, link, &format!("/etc/resolv.conf could not be changed: {errno}"));
            }
        }
    }
}

/// False when somebody else has written it meanwhile.
fn replace_resolver(root: &Root, ours: &str, text: &str) -> Result<bool> {
    const PATH: &str = "etc/resolv.conf";
    match root.read(PATH) {
        Ok(found) if found == ours.as_bytes() => root.write(PATH, text.as_bytes()).map(|()| true),
        Ok(_) | Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// resolv.conf(5), as src/network/files.ts writes it.
fn resolver_text(besides: &Resolver, settings: &Settings) -> String {
    let mut text = String::new();
    let mut search = settings.search.clone();
    search.extend(besides.search.iter().filter(|name| !settings.search.contains(name)).cloned());
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    let mut servers = besides.before.clone();
    let leased = settings.dns.iter().map(IpAddr::to_string);
    for server in leased.chain(besides.after.iter().cloned()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text
}
