//! One lease that is kept: its exchange with the servers, its sockets, its card.

use crate::apply::Card;
use crate::clock;
use crate::exchange::{Action, Exchange};
use crate::exchange6::Exchange6;
use crate::network::links::{self, Link};
use crate::network::netlink::Refusal;
use crate::network::{addresses, packet::MacBytes};
use crate::others::Others;
use crate::plan::{self, Granted};
use crate::root::Root;
use crate::settings::Settings;
use crate::socket4::Socket4;
use crate::socket6::Socket6;
use crate::{lease, tell};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;
use serde_json::{Value, json};

/// What the kernel takes away at its end is not somebody else's doing, even if it is a little early. Milliseconds.
const ABOUT: f64 = 2000.0;

pub struct Kept {
    /// Its name may change, this does not.
    index: u32,
    name: String,
    client: Client,
    others: Others,
    card: Card,
    /// A new address of IPv6 is not known to be nobody else's yet.
    tentative: bool,
}

enum Client {
    Four(Exchange, Socket4),
    Six(Exchange6, Socket6),
}

impl Kept {
    pub fn start(kept: plan::Kept) -> Result<Self, Refusal> {
        let link = links::link(&kept.link)?;
        let unusable = |words: String| Refusal { errno: Errno::INVAL, words: Some(words) };
        let mac = kept.mac.0;
        let (client, present) = match kept.lease {
            Granted::Dhcp4(four) => {
                let present = lease::parse(&four.applied).ok().map(|lease| lease.settings);
                let exchange = Exchange::new(four, kept.mac, clock::random()).map_err(unusable)?;
                (Client::Four(exchange, Socket4::open(&link)?), present)
            }
            Granted::Dhcp6(six) => {
                let present = Settings {
                    address: six.address.into(),
                    prefix_length: 128,
                    broadcast: None,
                    mtu: None,
                    routes: Vec::new(),
                    dns: six.dns.clone(),
                    search: six.search.clone(),
                    lifetimes: None,
                };
                (Client::Six(Exchange6::new(six, clock::random()), Socket6::new(link.index)), Some(present))
            }
        };
        Kept::new(&link, mac, client, Card::new(present, kept.resolver, kept.when_lost))
    }

    fn new(link: &Link, mac: MacBytes, client: Client, card: Card) -> Result<Self, Refusal> {
        let others = Others::open(link.index, mac, matches!(client, Client::Six(..)))?;
        Ok(Kept { index: link.index, name: link.name.clone(), client, others, card, tentative: false })
    }

    pub fn link(&self) -> &str {
        &self.name
    }

    /// When to call `woken`, by `clock::now`.
    pub fn next(&self) -> Option<f64> {
        match &self.client {
            Client::Four(exchange, _) => exchange.next(),
            Client::Six(exchange, _) => exchange.next(),
        }
    }

    /// What is waited for besides the clock: other clients, then answers.
    pub fn waited(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        let answers = match &self.client {
            Client::Four(_, socket) => Some(socket.as_fd()),
            Client::Six(_, socket) => socket.waited(),
        };
        (self.others.as_fd(), answers)
    }

    /// Something left by the card; why to end.
    pub fn other(&self, buffer: &mut [u8]) -> Result<Option<String>, Refusal> {
        let ours = |number: u32| match &self.client {
            Client::Four(exchange, _) => exchange.sent(number),
            Client::Six(exchange, _) => exchange.sent(number),
        };
        Ok(self.others.seen(buffer, ours)?)
    }

    pub fn answer(&mut self, root: &Root, buffer: &mut [u8]) -> Result<(), Refusal> {
        let (now, random) = (clock::now(), clock::random());
        let actions = match &mut self.client {
            Client::Four(exchange, socket) => {
                socket.take(buffer)?.map(|message| exchange.received(&message, now, random))
            }
            Client::Six(exchange, socket) => {
                socket.take(buffer)?.map(|bytes| exchange.received(bytes, now, random))
            }
        };
        self.perform(root, actions.unwrap_or_default());
        Ok(())
    }

    pub fn woken(&mut self, root: &Root) {
        let (now, random) = (clock::now(), clock::random());
        let actions = match &mut self.client {
            Client::Four(exchange, _) => exchange.woken(now, random),
            Client::Six(exchange, _) => exchange.woken(now, random),
        };
        self.perform(root, actions);
    }

    /// Why there is nothing left to keep. An address that another machine turns out to have is declined.
    pub fn look(&mut self, root: &Root) -> Result<Option<String>, Refusal> {
        match links::links()?.into_iter().find(|link| link.index == self.index) {
            None => return Ok(Some("the card is gone".to_owned())),
            Some(link) => self.name = link.name,
        }
        let Some(address) = self.card.address().map(|address| address.address) else { return Ok(None) };
        let found = addresses::flags(self.index, address)?;
        match &mut self.client {
            Client::Six(exchange, _) => {
                let now = clock::now();
                self.tentative &= found.is_none_or(|flags| flags & libc::IFA_F_TENTATIVE != 0);
                // The kernel takes away what another machine has, if it has an end; else it says so.
                let duplicate = found.map_or(self.tentative, |flags| flags & libc::IFA_F_DADFAILED != 0);
                if duplicate {
                    self.tentative = false;
                    let actions = exchange.declined(now, clock::random());
                    self.perform(root, actions);
                    return Ok(None);
                }
                let end = exchange.held().and_then(|held| held.end);
                if exchange.held().is_none() || end.is_some_and(|end| now >= end - ABOUT) {
                    return Ok(None);
                }
            }
            Client::Four(..) => {}
        }
        Ok(found
            .is_none()
            .then(|| format!("{address} was taken off the card by somebody else, who looks after it now")))
    }

    fn perform(&mut self, root: &Root, actions: Vec<Action>) {
        for action in actions {
            match (action, &mut self.client) {
                // A message that cannot be sent is one that is lost: the next one is the answer to it.
                (Action::Send(message, to), Client::Four(_, socket)) => drop(socket.send(&message, to)),
                (Action::Send6(message), Client::Six(_, socket)) => drop(socket.send(&self.name, &message)),
                (Action::Hold(settings), _) => {
                    self.rest();
                    let moved = self.card.hold(root, &self.name, settings);
                    self.tentative |= moved && matches!(self.client, Client::Six(..));
                }
                (Action::Lose, _) => {
                    self.rest();
                    self.card.lose(root, &self.name);
                }
                (Action::Tell(text), _) => tell::notice(root, &self.name, &text),
                // There is none of another protocol.
                (Action::Send(..), Client::Six(..)) | (Action::Send6(_), Client::Four(..)) => {}
            }
        }
    }

    fn rest(&mut self) {
        match &mut self.client {
            Client::Four(_, socket) => socket.rest(),
            Client::Six(_, socket) => socket.rest(),
        }
    }

    /// How things stand, for whoever wants to know: times in milliseconds of CLOCK_BOOTTIME.
    pub fn state(&self) -> Value {
        let address = self.card.address();
        let (state, renewals) = match &self.client {
            Client::Four(exchange, _) => (exchange.name(), exchange.renewals),
            Client::Six(exchange, _) => (exchange.name(), exchange.renewals),
        };
        let (server, times) = match &self.client {
            Client::Four(exchange, _) => {
                let held = exchange.held();
                let times = held.map(|held| [held.obtained, held.renew, held.rebind, held.end].map(Some));
                (held.map(|held| held.lease.server.to_string()), times)
            }
            Client::Six(exchange, _) => {
                let held = exchange.held();
                let times = held.map(|held| [Some(held.obtained), held.renew, held.rebind, held.end]);
                let hex = |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                (held.map(|held| hex(&held.server)), times)
            }
        };
        let [obtained, renew, rebind, end] =
            times.unwrap_or([None; 4]).map(|time| time.map(|time| time as u64));
        json!({
            "link": self.name,
            "state": state,
            "address": address.as_ref().map(|address| address.address),
            "prefixLength": address.map(|address| address.prefix_length),
            "server": server,
            "obtainedAt": obtained,
            "renewAt": renew,
            "rebindAt": rebind,
            "expiresAt": end,
            "renewals": renewals,
        })
    }
}
