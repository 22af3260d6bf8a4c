//! What the keeper changes in the new system: the card's address and routes, its resolv.conf, and a file that says
//! how things stand. Nothing there is held open.

use crate::exchange::Exchange;
use crate::lease::Settings;
use crate::network::netlink::Refusal;
use crate::network::{addresses, links};
use crate::plan::{Plan, WhenLost};
use crate::{lease, tell};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;

/// Larger than any that we write.
const RESOLVER: u64 = 64 << 10;

pub struct NewSystem {
    /// What is on the card.
    present: Option<Settings>,
    nameservers: Vec<String>,
    /// What we wrote last; None once somebody else has.
    resolver: Option<String>,
    when_lost: WhenLost,
    root: String,
}

impl NewSystem {
    pub fn new(plan: &Plan) -> Self {
        NewSystem {
            present: lease::parse(&plan.acknowledged).ok().map(|lease| lease.settings),
            nameservers: plan.nameservers.clone(),
            resolver: plan.resolver.clone(),
            when_lost: plan.when_lost,
            root: plan.new_root.clone(),
        }
    }

    /// What the card should have.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.present.as_ref().map(|settings| settings.address)
    }

    /// Changes what differs and nothing else: the rest may be somebody's by now.
    pub fn hold(&mut self, link: &str, wanted: Settings) {
        let before = self.present.take();
        let tell = |what: &str, done: Result<(), Refusal>| {
            if let Err(Refusal { errno, words }) = done {
                let words = words.map(|words| format!(" ({words})")).unwrap_or_default();
                tell::notice(link, &format!("{what} was refused: {errno}{words}"));
            }
        };
        if let Some(mtu) = wanted.mtu.filter(|mtu| before.as_ref().and_then(|it| it.mtu) != Some(*mtu)) {
            tell(
                &format!("MTU {mtu}"),
                links::set(link, &links::Change { mtu: Some(mtu), ..Default::default() }),
            );
        }
        let moved = before.as_ref().is_none_or(|before| before.address() != wanted.address());
        let known = |settings: Option<&Settings>| settings.map(|it| it.routes.clone()).unwrap_or_default();
        let routes = known(before.as_ref());
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
            tell(&format!("the address {}", wanted.address), addresses::add(link, &wanted.address()));
        }
        for route in wanted.routes.iter().filter(|route| moved || !routes.contains(route)) {
            let destination = &route.destination;
            tell(
                &format!("the route to {}/{}", destination.0, destination.1),
                addresses::add_route(link, route),
            );
        }
        self.resolve(link, &wanted);
        self.present = Some(wanted);
    }

    /// Removes the address, with its routes, unless the root comes by it.
    pub fn lose(&mut self, link: &str) {
        if self.when_lost == WhenLost::Keep {
            return;
        }
        if let Some(before) = self.present.take()
            && let Err(Refusal { errno, .. }) = addresses::remove(link, &before.address())
        {
            tell::notice(link, &format!("to remove {} was refused: {errno}", before.address));
        }
    }

    fn resolve(&mut self, link: &str, wanted: &Settings) {
        let Some(ours) = &self.resolver else { return };
        let text = resolver_text(&self.nameservers, wanted);
        if text.is_empty() || text == *ours {
            return;
        }
        match self.replace_resolver(ours, &text) {
            Ok(true) => self.resolver = Some(text),
            Ok(false) => self.resolver = None,
            Err(error) => tell::notice(link, &format!("/etc/resolv.conf could not be changed: {error}")),
        }
    }

    /// False when somebody else has written it meanwhile.
    fn replace_resolver(&self, ours: &str, text: &str) -> std::io::Result<bool> {
        const PATH: &str = "etc/resolv.conf";
        let mut found = String::new();
        match self.open(PATH, OFlags::RDONLY) {
            Ok(file) => file.take(RESOLVER).read_to_string(&mut found)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        if found != ours {
            return Ok(false);
        }
        self.open(PATH, OFlags::WRONLY | OFlags::TRUNC)?.write_all(text.as_bytes())?;
        Ok(true)
    }

    /// How things stand, for whoever wants to know: times in milliseconds of CLOCK_BOOTTIME.
    pub fn write_state(&self, exchange: &Exchange) {
        let held = exchange.held();
        let state = json!({
            "pid": std::process::id(),
            "state": exchange.name(),
            "address": self.address(),
            "prefixLength": self.present.as_ref().map(|settings| settings.prefix_length),
            "server": held.map(|held| held.lease.server),
            "obtainedAt": held.map(|held| held.obtained),
            "renewAt": held.map(|held| held.renew),
            "rebindAt": held.map(|held| held.rebind),
            "expiresAt": held.map(|held| held.end),
            "renewals": exchange.renewals,
        });
        // Only told, never read by us: a system without /run/diskless has no use for it.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        if let Ok(mut file) = self.open("run/diskless/keeper.json", flags) {
            let _ = file.write_all(format!("{state}\n").as_bytes());
        }
    }

    /// As the new system sees the path: symlinks in it lead nowhere else. The root is looked up each time, so that it
    /// is never busy.
    fn open(&self, path: &str, flags: OFlags) -> std::io::Result<File> {
        let directory = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, Path::new(&self.root), directory, Mode::empty())?;
        let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        Ok(openat2(&root, path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, mode, inside)?.into())
    }
}

/// resolv.conf(5), as src/network/files.ts writes it.
fn resolver_text(first: &[String], settings: &Settings) -> String {
    let mut text = String::new();
    if !settings.search.is_empty() {
        text.push_str(&format!("search {}\n", settings.search.join(" ")));
    }
    let mut servers = first.to_vec();
    servers.extend(settings.dns.iter().map(Ipv4Addr::to_string).filter(|server| !first.contains(server)));
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    text
}
