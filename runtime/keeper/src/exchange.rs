//! The part of a DHCP client that is left after the boot: RFC 2131, 4.4.5, as a state machine without a socket.
//!
//! T1: the server is asked alone. T2: any server is. The end, or a refusal: from the beginning, until somebody answers.

use crate::lease::{self, Lease};
use crate::network::dhcp_message::{DhcpMessage, Direction, Mac};
use crate::plan::Dhcp4;
use crate::settings::Settings;
use alloc::borrow::ToOwned;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv4Addr;
use serde_json::Value;

/// Milliseconds. RFC 2131 wants a minute at least between two requests; of a short lease a minute were all of it.
const LONGEST_PAUSE: f64 = 60_000.0;
const SHORTEST_PAUSE: f64 = 2000.0;
/// Of a lease: the least that lies between two requests, where that is less than a minute.
const PART: f64 = 1.0 / 32.0;
const FIRST_WAIT: f64 = 1000.0;
/// An offer is asked for so often, then another one is looked for.
const REQUESTS_PER_OFFER: u32 = 4;
/// So many of our latest exchanges are known again when their frames are seen to leave.
pub const REMEMBERED: usize = 8;

/// What is to be done, of either protocol.
#[derive(Debug)]
pub enum Action {
    /// To all when there is no address.
    Send(DhcpMessage, Option<Ipv4Addr>),
    Send6(Vec<u8>),
    /// What holds now.
    Hold(Settings),
    /// Nothing holds any more.
    Lose,
    /// For a person.
    Tell(String),
}

#[derive(Debug, PartialEq)]
enum Phase {
    Bound,
    Renewing,
    Rebinding,
    Selecting { sent: u32 },
    Requesting { address: Ipv4Addr, server: Ipv4Addr, sent: u32 },
}

/// A lease and its times, milliseconds of the clock.
pub struct Held {
    pub lease: Lease,
    pub obtained: f64,
    pub renew: f64,
    pub rebind: f64,
    pub end: f64,
}

impl Held {
    /// None of a lease without end. T1 up to a twentieth earlier: what booted together shall not renew together.
    fn new(lease: Lease, obtained: f64, random: f64) -> Option<Held> {
        let times = lease.times?;
        let at = |seconds: f64| obtained + seconds * 1000.0;
        let (renew, rebind) = (at(times.renewal * (1.0 - 0.05 * random)), at(times.rebinding));
        Some(Held { obtained, renew, rebind, end: at(times.lease), lease })
    }
}

pub struct Exchange {
    plan: Dhcp4,
    mac: Mac,
    held: Option<Held>,
    phase: Phase,
    /// The latest last.
    xids: VecDeque<u32>,
    began: f64,
    asked: f64,
    next: Option<f64>,
    pub renewals: u32,
    /// Refusals and disappointments in a row.
    failures: u32,
}

impl Exchange {
    pub fn new(plan: Dhcp4, mac: Mac, random: f64) -> Result<Self, String> {
        let lease = lease::parse(&plan.acknowledged)?;
        let held = Held::new(lease, plan.obtained_at, random).ok_or("this lease has no end")?;
        let next = Some(held.renew);
        let (held, phase, xids) = (Some(held), Phase::Bound, VecDeque::new());
        Ok(Exchange { plan, mac, held, phase, xids, began: 0.0, asked: 0.0, next, renewals: 0, failures: 0 })
    }

    /// When to call `woken`; None when a lease without end has come.
    pub fn next(&self) -> Option<f64> {
        self.next
    }

    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    pub fn name(&self) -> &'static str {
        match self.phase {
            Phase::Bound => "bound",
            Phase::Renewing => "renewing",
            Phase::Rebinding => "rebinding",
            Phase::Selecting { .. } => "selecting",
            Phase::Requesting { .. } => "requesting",
        }
    }

    /// Whether it was us who sent a message of this exchange.
    pub fn sent(&self, xid: u32) -> bool {
        self.xids.contains(&xid)
    }

    pub fn woken(&mut self, now: f64, random: f64) -> Vec<Action> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        match self.phase {
            Phase::Bound | Phase::Renewing | Phase::Rebinding => self.extend(now, random),
            Phase::Selecting { sent } => self.discover(sent, now, random),
            Phase::Requesting { sent: REQUESTS_PER_OFFER.., .. } => self.discover(0, now, random),
            Phase::Requesting { address, server, sent } => self.request(address, server, sent, now, random),
        }
    }

    /// Asks for more time, whoever is to be asked by now; or finds that there is none left.
    fn extend(&mut self, now: f64, random: f64) -> Vec<Action> {
        let Some(held) = &self.held else { return self.discover(0, now, random) };
        let (rebind, end, server, address) = (held.rebind, held.end, held.lease.server, held.lease.address);
        if now >= end {
            let told = Action::Tell(format!(
                "the lease of {address} is over and no server answered: asking for another"
            ));
            return self.lose(told, now, random);
        }
        let alone = now < rebind;
        let mut actions = Vec::new();
        if self.phase == Phase::Bound {
            self.begin(now, random);
        }
        if !alone && self.phase != Phase::Rebinding {
            actions.push(Action::Tell(format!("{server} does not renew the lease: asking every server")));
        }
        self.phase = if alone { Phase::Renewing } else { Phase::Rebinding };
        let message = self.message("request", &[], address, now);
        actions.push(Action::Send(message, alone.then_some(server)));
        self.asked = now;
        let deadline = if alone { rebind } else { end };
        let least = ((end - held_since(&self.held)) * PART).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.next = Some((now + ((deadline - now) / 2.0).max(least)).min(deadline));
        actions
    }

    fn lose(&mut self, told: Action, now: f64, random: f64) -> Vec<Action> {
        self.held = None;
        let mut actions = vec![told, Action::Lose];
        actions.extend(self.discover(0, now, random));
        actions
    }

    /// `sent`: how many went out before.
    fn discover(&mut self, sent: u32, now: f64, random: f64) -> Vec<Action> {
        if sent == 0 {
            self.begin(now, random);
        }
        self.phase = Phase::Selecting { sent: sent.saturating_add(1) };
        self.next = Some(now + wait(sent, random));
        let message = self.message("discover", &[], Ipv4Addr::UNSPECIFIED, now);
        vec![Action::Send(message, None)]
    }

    fn request(
        &mut self,
        address: Ipv4Addr,
        server: Ipv4Addr,
        sent: u32,
        now: f64,
        random: f64,
    ) -> Vec<Action> {
        self.phase = Phase::Requesting { address, server, sent: sent + 1 };
        self.asked = now;
        self.next = Some(now + wait(sent, random));
        let named =
            [("requestedAddress", address.to_string().into()), ("serverId", server.to_string().into())];
        vec![Action::Send(self.message("request", &named, Ipv4Addr::UNSPECIFIED, now), None)]
    }

    pub fn received(&mut self, message: &DhcpMessage, now: f64, random: f64) -> Vec<Action> {
        let text = |name: &str| message.options.get(name).and_then(Value::as_str);
        if message.op != Direction::Reply || self.xids.back() != Some(&message.xid) {
            return Vec::new();
        }
        let server: Option<Ipv4Addr> = text("serverId").and_then(|text| text.parse().ok());
        match (&self.phase, text("messageType")) {
            (Phase::Selecting { .. }, Some("offer")) => match lease::parse(message) {
                Ok(Lease { address, server, .. }) => self.request(address, server, 0, now, random),
                // Another offer may come, or the next discover finds one.
                Err(_) => Vec::new(),
            },
            (Phase::Bound | Phase::Selecting { .. }, _) => Vec::new(),
            // Another server's word is not the answer to this request.
            (Phase::Requesting { server: asked, .. }, _) if server.is_some_and(|server| server != *asked) => {
                Vec::new()
            }
            (_, Some("ack")) => self.acknowledged(message, random),
            (Phase::Requesting { .. }, Some("nak")) => {
                // From the beginning, but a server that always refuses is not to be flooded.
                self.failures = self.failures.saturating_add(1);
                self.phase = Phase::Selecting { sent: 0 };
                self.next = Some(now + wait(self.failures, random));
                Vec::new()
            }
            (_, Some("nak")) => {
                let why = text("message").map(|why| format!(" ({why:?})")).unwrap_or_default();
                let from = server.map_or("a server".to_owned(), |server| server.to_string());
                let told = format!("{from} refuses to extend the lease{why}: asking for another");
                self.lose(Action::Tell(told), now, random)
            }
            _ => Vec::new(),
        }
    }

    fn acknowledged(&mut self, message: &DhcpMessage, random: f64) -> Vec<Action> {
        let mut message = message.clone();
        // An ACK must name its server; one that forgets is of whom we asked.
        let asked = match (&self.phase, &self.held) {
            (Phase::Requesting { server, .. }, _) => Some(*server),
            (_, held) => held.as_ref().map(|held| held.lease.server),
        };
        if let Some(asked) = asked {
            message.options.entry("serverId").or_insert_with(|| asked.to_string().into());
        }
        let lease = match lease::parse(&message) {
            Ok(lease) => lease,
            Err(why) => return vec![Action::Tell(format!("an acknowledgement is not usable: {why}"))],
        };
        let settings = lease.settings.clone();
        let mut actions = Vec::new();
        let before = self.held.as_ref().map(|held| held.lease.address);
        if before != Some(lease.address) {
            actions
                .push(Action::Tell(format!("the address is {} now, from {}", lease.address, lease.server)));
        }
        // RFC 2131, 4.4.1: a lease counts from when it was asked for.
        self.held = Held::new(lease.clone(), self.asked, random);
        self.next = self.held.as_ref().map(|held| held.renew);
        if self.held.is_none() {
            actions.push(Action::Tell("this lease has no end: nothing is left to renew".to_owned()));
        }
        self.phase = Phase::Bound;
        self.failures = 0;
        self.renewals = self.renewals.saturating_add(1);
        actions.push(Action::Hold(settings));
        actions
    }

    fn begin(&mut self, now: f64, random: f64) {
        self.began = now;
        self.xids.push_back((random * 4_294_967_296.0) as u32);
        if self.xids.len() > REMEMBERED {
            self.xids.pop_front();
        }
    }

    fn message(&self, kind: &str, more: &[(&str, Value)], ciaddr: Ipv4Addr, now: f64) -> DhcpMessage {
        let mut options = self.plan.options.clone();
        options.insert("messageType".to_owned(), kind.into());
        options.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        DhcpMessage {
            op: Direction::Request,
            xid: self.xids.back().copied().unwrap_or(0),
            secs: ((now - self.began).max(0.0) / 1000.0) as u64,
            broadcast: false,
            ciaddr,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: Ipv4Addr::UNSPECIFIED,
            giaddr: Ipv4Addr::UNSPECIFIED,
            chaddr: self.mac.clone(),
            sname: String::new(),
            file: String::new(),
            options,
        }
    }
}

fn held_since(held: &Option<Held>) -> f64 {
    held.as_ref().map_or(0.0, |held| held.obtained)
}

/// Milliseconds after the so-manieth message of a kind: 1, 2, 4, … 64 s, more or less.
fn wait(sent: u32, random: f64) -> f64 {
    FIRST_WAIT * f64::from(1 << sent.min(6)) * (0.8 + 0.4 * random)
}
