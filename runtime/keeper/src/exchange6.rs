//! The part of a DHCPv6 client that is left after the boot: RFC 8415, 18.2, as a state machine without a socket.
//!
//! T1: the server is asked alone (by multicast, with its name). T2: any server is. No binding: it is asked for as if it
//! were new. The end, or a refusal: from the beginning, until somebody answers.

use crate::exchange::{Action, REMEMBERED};
use crate::message6::{self, Answer, Given, Kind, Question};
use crate::network::addresses::Lifetimes;
use crate::plan::Dhcp6;
use crate::settings::Settings;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::Ipv6Addr;

/// IRT and MRT of RFC 8415, 7.6, milliseconds.
const SOLICIT: (f64, f64) = (1000.0, 3_600_000.0);
const REQUEST: (f64, f64) = (1000.0, 30_000.0);
const RENEW: (f64, f64) = (10_000.0, 600_000.0);
/// REQ_MAX_RC.
const REQUESTS_PER_OFFER: u32 = 10;
const BEST_PREFERENCE: u8 = 255;
const LONGEST_PAUSE: f64 = 600_000.0;

#[derive(Debug, PartialEq)]
enum Phase {
    Bound,
    Renewing,
    Rebinding,
    /// The best offer until now: its preference, and who made it for which address.
    Soliciting(Option<(u8, Vec<u8>, Ipv6Addr)>),
    Requesting(Vec<u8>, Ipv6Addr),
    /// Before it begins anew.
    Pausing,
}

/// A lease and its times, milliseconds of the clock; None: never.
pub struct Held {
    pub address: Ipv6Addr,
    pub server: Vec<u8>,
    pub obtained: f64,
    pub renew: Option<f64>,
    pub rebind: Option<f64>,
    pub end: Option<f64>,
}

pub struct Exchange6 {
    plan: Dhcp6,
    held: Option<Held>,
    phase: Phase,
    /// The latest last.
    transactions: VecDeque<u32>,
    began: f64,
    /// Of this exchange.
    sent: u32,
    wait: f64,
    next: Option<f64>,
    pub renewals: u32,
    /// Refusals and disappointments in a row.
    failures: u32,
}

impl Exchange6 {
    pub fn new(plan: Dhcp6, random: f64) -> Self {
        let at = |seconds: f64| plan.obtained_at + seconds * 1000.0;
        let held = Held {
            address: plan.address,
            server: plan.server_id.0.clone(),
            obtained: plan.obtained_at,
            renew: Some(at(early(plan.renewal_time, random))),
            rebind: Some(at(plan.rebinding_time)),
            end: plan.valid_lifetime.map(at),
        };
        Exchange6 {
            next: held.renew,
            held: Some(held),
            phase: Phase::Bound,
            transactions: VecDeque::new(),
            began: 0.0,
            sent: 0,
            wait: 0.0,
            renewals: 0,
            failures: 0,
            plan,
        }
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
            Phase::Soliciting(_) | Phase::Pausing => "selecting",
            Phase::Requesting(..) => "requesting",
        }
    }

    /// Whether it was us who sent a message of this exchange.
    pub fn sent(&self, transaction: u32) -> bool {
        self.transactions.contains(&transaction)
    }

    pub fn woken(&mut self, now: f64, random: f64) -> Vec<Action> {
        if self.next.is_none_or(|next| now < next) {
            return Vec::new();
        }
        if let Some(held) = &self.held
            && held.end.is_some_and(|end| now >= end)
        {
            let told =
                format!("the lease of {} is over and no server answered: asking for another", held.address);
            return self.lose(told, now, random);
        }
        match &self.phase {
            Phase::Bound | Phase::Renewing | Phase::Rebinding => self.extend(now, random),
            Phase::Soliciting(Some((_, server, address))) => {
                self.request(server.clone(), *address, now, random)
            }
            Phase::Soliciting(None) => self.send(SOLICIT, now, random),
            Phase::Requesting(..) if self.sent < REQUESTS_PER_OFFER => self.send(REQUEST, now, random),
            Phase::Requesting(..) | Phase::Pausing => self.solicit(now, random),
        }
    }

    /// Asks for more time, whoever is to be asked by now.
    fn extend(&mut self, now: f64, random: f64) -> Vec<Action> {
        let alone = self.held.as_ref().is_some_and(|held| held.rebind.is_none_or(|rebind| now < rebind));
        let mut actions = Vec::new();
        if !alone && self.phase != Phase::Rebinding {
            actions
                .push(Action::Tell("the server does not renew the lease: asking every server".to_string()));
            self.begin(Phase::Rebinding, now, random);
        } else if self.phase == Phase::Bound {
            self.begin(Phase::Renewing, now, random);
        }
        actions.extend(self.send(RENEW, now, random));
        actions
    }

    fn lose(&mut self, told: String, now: f64, random: f64) -> Vec<Action> {
        self.held = None;
        let mut actions = vec![Action::Tell(told), Action::Lose];
        actions.extend(self.solicit(now, random));
        actions
    }

    fn solicit(&mut self, now: f64, random: f64) -> Vec<Action> {
        self.begin(Phase::Soliciting(None), now, random);
        self.send(SOLICIT, now, random)
    }

    fn request(&mut self, server: Vec<u8>, address: Ipv6Addr, now: f64, random: f64) -> Vec<Action> {
        self.begin(Phase::Requesting(server, address), now, random);
        self.send(REQUEST, now, random)
    }

    /// Begins anew after a wait that grows: a server that always refuses is not to be flooded.
    fn pause(&mut self, now: f64, random: f64) -> Vec<Action> {
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pausing;
        let wait = (1000.0 * f64::from(1 << self.failures.min(10))).min(LONGEST_PAUSE);
        self.next = self.no_later_than_the_end(now + wait * (0.9 + 0.2 * random));
        Vec::new()
    }

    fn begin(&mut self, phase: Phase, now: f64, random: f64) {
        (self.phase, self.began, self.sent, self.wait) = (phase, now, 0, 0.0);
        self.transactions.push_back((random * 16_777_216.0) as u32);
        if self.transactions.len() > REMEMBERED {
            self.transactions.pop_front();
        }
    }

    /// The exchange's message, for the first time or again: RFC 8415, 15.
    fn send(&mut self, (first, longest): (f64, f64), now: f64, random: f64) -> Vec<Action> {
        let part = 0.2 * random - 0.1;
        let wait = match self.wait {
            0.0 => first * (1.0 + if matches!(self.phase, Phase::Soliciting(_)) { part.abs() } else { part }),
            before => before * (2.0 + part),
        };
        self.wait = if wait > longest { longest * (1.0 + part) } else { wait };
        self.sent = self.sent.saturating_add(1);
        let mut next = now + self.wait;
        if let (Phase::Renewing, Some(rebind)) =
            (&self.phase, self.held.as_ref().and_then(|held| held.rebind))
        {
            next = next.min(rebind);
        }
        self.next = self.no_later_than_the_end(next);
        let held = || self.held.as_ref().map(|held| held.address);
        let (kind, server, address) = match &self.phase {
            Phase::Renewing => (Kind::Renew, self.held.as_ref().map(|held| &held.server[..]), held()),
            Phase::Rebinding => (Kind::Rebind, None, held()),
            Phase::Requesting(server, address) => (Kind::Request, Some(&server[..]), Some(*address)),
            // The one that it had is what it would like.
            _ => (Kind::Solicit, None, Some(self.plan.address)),
        };
        vec![Action::Send6(self.message(kind, server, address, now))]
    }

    fn no_later_than_the_end(&self, next: f64) -> Option<f64> {
        Some(self.held.as_ref().and_then(|held| held.end).map_or(next, |end| next.min(end)))
    }

    fn message(&self, kind: Kind, server: Option<&[u8]>, address: Option<Ipv6Addr>, now: f64) -> Vec<u8> {
        message6::encode(&Question {
            kind,
            transaction: self.transactions.back().copied().unwrap_or(0),
            client: &self.plan.client_id.0,
            server,
            association: self.plan.iaid,
            address,
            elapsed: ((now - self.began) / 10.0).clamp(0.0, 65535.0) as u16,
            more: &self.plan.options.0,
        })
    }

    pub fn received(&mut self, bytes: &[u8], now: f64, random: f64) -> Vec<Action> {
        let Some((transaction, answer)) = message6::decode(bytes, self.plan.iaid) else { return Vec::new() };
        if self.transactions.back() != Some(&transaction) || answer.client != self.plan.client_id.0 {
            return Vec::new();
        }
        match (&mut self.phase, answer.kind) {
            (Phase::Soliciting(best), Kind::Advertise) => {
                let Some(given) = usable(&answer, self.plan.address) else { return Vec::new() };
                if best.as_ref().is_none_or(|(preference, ..)| *preference < answer.preference) {
                    *best = Some((answer.preference, answer.server, given.address));
                }
                // RFC 8415, 18.2.1: others may answer until the first wait is over; then the first that comes is taken.
                match best.take_if(|best| best.0 == BEST_PREFERENCE || self.sent > 1) {
                    Some((_, server, address)) => self.request(server, address, now, random),
                    None => Vec::new(),
                }
            }
            (Phase::Requesting(server, address), Kind::Reply) if *server == answer.server => {
                match usable(&answer, *address) {
                    Some(given) => self.bound(answer, &given, now, random),
                    None => self.pause(now, random),
                }
            }
            (Phase::Renewing | Phase::Rebinding, Kind::Reply) => self.extended(answer, now, random),
            _ => Vec::new(),
        }
    }

    /// RFC 8415, 18.2.10.1.
    fn extended(&mut self, answer: Answer, now: f64, random: f64) -> Vec<Action> {
        let Some(Held { address, server, .. }) = &self.held else { return Vec::new() };
        let address = *address;
        if self.phase == Phase::Renewing && *server != answer.server {
            return Vec::new();
        }
        if answer.status == message6::NO_BINDING {
            let told = "the server knows nothing of the lease any more: asking it for one".to_string();
            let mut actions = vec![Action::Tell(told)];
            actions.extend(self.request(answer.server, address, now, random));
            return actions;
        }
        let taken = answer.given.iter().any(|given| given.address == address && given.valid == Some(0));
        match usable(&answer, address) {
            Some(given) if given.address == address || taken => self.bound(answer, &given, now, random),
            _ if taken || answer.status == message6::NOT_ON_LINK => {
                let told = format!("the server takes {address} back: asking for another");
                self.lose(told, now, random)
            }
            // It says nothing of this address: the next question is on its way.
            _ => Vec::new(),
        }
    }

    fn bound(&mut self, answer: Answer, given: &Given, now: f64, random: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.held.as_ref().map(|held| held.address) != Some(given.address) {
            actions.push(Action::Tell(format!("the address is {} now", given.address)));
        }
        let at = |seconds: u32| now + f64::from(seconds) * 1000.0;
        self.held = Some(Held {
            address: given.address,
            server: answer.server,
            obtained: now,
            renew: given.renewal.map(|renewal| now + early(f64::from(renewal), random) * 1000.0),
            rebind: given.rebinding.map(at),
            end: given.valid.map(at),
        });
        self.plan.address = given.address;
        self.next = self.held.as_ref().and_then(|held| held.renew);
        if self.next.is_none() {
            actions.push(Action::Tell("this lease has no end: nothing is left to renew".to_string()));
        }
        (self.phase, self.failures) = (Phase::Bound, 0);
        self.renewals = self.renewals.saturating_add(1);
        actions.push(Action::Hold(Settings {
            address: given.address.into(),
            // RFC 8415: what is on the link is for routers to say, so the address stands alone.
            prefix_length: 128,
            broadcast: None,
            mtu: None,
            routes: Vec::new(),
            dns: answer.dns.into_iter().map(Into::into).collect(),
            search: answer.search,
            lifetimes: Some(Lifetimes { preferred: given.preferred, valid: given.valid }),
        }));
        actions
    }

    /// Another machine has it: the server is told, and asked for another one after a while.
    pub fn declined(&mut self, now: f64, random: f64) -> Vec<Action> {
        let Some(held) = self.held.take() else { return Vec::new() };
        self.begin(Phase::Pausing, now, random);
        let message = self.message(Kind::Decline, Some(&held.server), Some(held.address), now);
        let told = format!("another machine has {}: it is declined", held.address);
        let actions = vec![Action::Tell(told), Action::Send6(message), Action::Lose];
        self.pause(now, random);
        actions
    }
}

/// The address that is wanted, or another one.
fn usable(answer: &Answer, wanted: Ipv6Addr) -> Option<Given> {
    let mut good = answer.given.iter().filter(|given| given.valid != Some(0));
    let same = good.clone().find(|given| given.address == wanted);
    same.or_else(|| good.next()).filter(|_| answer.status == message6::SUCCESS).cloned()
}

/// T1 up to a twentieth earlier: what booted together shall not renew together.
fn early(seconds: f64, random: f64) -> f64 {
    seconds * (1.0 - 0.05 * random)
}

#[cfg(test)]
#[path = "exchange6_tests.rs"]
mod tests;
