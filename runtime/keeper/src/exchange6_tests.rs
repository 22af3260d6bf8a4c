//! DHCPv6's exchange by a clock of the test's own: when what is sent, and again.

use super::*;
use crate::plan::Hex;

const CLIENT: [u8; 4] = [0, 3, 0, 1];
const SERVER: [u8; 4] = [0, 3, 0, 2];
const OURS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

/// T1 1000 s, T2 1600 s, end 2000 s.
fn lease() -> Exchange6 {
    let plan = Dhcp6 {
        client_id: Hex(CLIENT.to_vec()),
        server_id: Hex(SERVER.to_vec()),
        iaid: 1,
        address: OURS,
        obtained_at: 0.0,
        renewal_time: 1000.0,
        rebinding_time: 1600.0,
        valid_lifetime: Some(2000.0),
        dns: Vec::new(),
        search: Vec::new(),
        options: Hex(Vec::new()),
    };
    Exchange6::new(plan, 0.0)
}

fn sent(actions: &[Action]) -> Option<&[u8]> {
    actions.iter().find_map(|action| match action {
        Action::Send6(bytes) => Some(&bytes[..]),
        _ => None,
    })
}

fn kind(actions: &[Action]) -> Option<u8> {
    sent(actions).map(|bytes| bytes[0])
}

fn option(code: u16, body: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(body.len() as u16).to_be_bytes(), body].concat()
}

fn given(address: Ipv6Addr, valid: u32) -> Vec<u8> {
    option(5, &[&address.octets()[..], &valid.to_be_bytes(), &valid.to_be_bytes()].concat())
}

fn status(code: u16) -> Vec<u8> {
    option(13, &code.to_be_bytes())
}

/// To the question: by this server, with this in the association.
fn answer(question: &[u8], kind: Kind, server: &[u8], preference: u8, inside: &[u8]) -> Vec<u8> {
    let association = [&1u32.to_be_bytes()[..], &[0; 8], inside].concat();
    [
        &[kind as u8][..],
        &question[1..4],
        &option(1, &CLIENT),
        &option(2, server),
        &option(7, &[preference]),
        &option(3, &association),
    ]
    .concat()
}

/// Runs to its next moment.
fn next(exchange: &mut Exchange6, random: f64) -> (f64, Vec<Action>) {
    let at = exchange.next().expect("it goes on");
    (at, exchange.woken(at, random))
}

#[test]
fn asks_again_after_growing_waits_until_the_end() {
    for (random, least) in [(0.0, 0.9), (0.999, 1.09)] {
        let mut exchange = lease();
        let mut waits = [Vec::new(), Vec::new()];
        let (mut last, actions) = next(&mut exchange, random);
        assert_eq!((last, kind(&actions)), (1_000_000.0, Some(Kind::Renew as u8)));
        loop {
            let (at, actions) = next(&mut exchange, random);
            match kind(&actions) {
                Some(5) => waits[0].push(at - last),
                Some(6) if at == 1_600_000.0 => {}
                Some(6) => waits[1].push(at - last),
                other => {
                    assert_eq!((other, at), (Some(Kind::Solicit as u8), 2_000_000.0));
                    assert!(actions.iter().any(|action| matches!(action, Action::Lose)));
                    break;
                }
            }
            last = at;
        }
        // 10, 20, 40, … s, a tenth more or less each.
        for waits in &waits {
            assert!(waits.len() >= 4, "{waits:?}");
            assert!((waits[0] / 10_000.0 - least).abs() < 0.02, "{waits:?}");
            for pair in waits.windows(2) {
                assert!((1.89..2.11).contains(&(pair[1] / pair[0])), "{waits:?}");
            }
        }
        // Never sooner than its second, RFC 8415, 18.2.1; then longer and longer, an hour at most.
        let mut wait = exchange.next().expect("it goes on") - 2_000_000.0;
        assert!((1000.0..1101.0).contains(&wait), "{wait}");
        for _ in 0..20 {
            let (at, actions) = next(&mut exchange, random);
            assert_eq!(kind(&actions), Some(Kind::Solicit as u8));
            wait = exchange.next().expect("it goes on") - at;
        }
        assert!((3_240_000.0..=3_960_000.0).contains(&wait), "{wait}");
    }
}

#[test]
fn takes_the_best_offer_and_another_one_when_that_is_not_kept() {
    let mut exchange = lease();
    let solicit = loop {
        let (_, actions) = next(&mut exchange, 0.5);
        if kind(&actions) == Some(Kind::Solicit as u8) {
            break sent(&actions).expect("sent").to_vec();
        }
    };
    let now = exchange.next().expect("it goes on") - 1.0;
    for (server, preference, address) in
        [([0, 3, 0, 7], 1, OURS), ([0, 3, 0, 8], 9, OTHER), ([0, 3, 0, 9], 5, OURS)]
    {
        let offer = answer(&solicit, Kind::Advertise, &server, preference, &given(address, 100));
        assert!(exchange.received(&offer, now, 0.5).is_empty(), "others may answer yet");
    }
    let (_, actions) = next(&mut exchange, 0.5);
    let request = sent(&actions).expect("sent").to_vec();
    assert_eq!((request[0], exchange.name()), (Kind::Request as u8, "requesting"));
    assert!(request.windows(8).any(|part| part == option(2, &[0, 3, 0, 8])));
    // Another server's word counts for nothing, and one without an address is a pause, each longer than the last.
    let foreign = answer(&request, Kind::Reply, &[0, 3, 0, 7], 0, &given(OURS, 100));
    assert!(exchange.received(&foreign, now, 0.5).is_empty());
    assert_eq!(exchange.name(), "requesting");
    let refusal = answer(&request, Kind::Reply, &[0, 3, 0, 8], 0, &status(2));
    assert!(exchange.received(&refusal, now, 0.5).is_empty());
    assert!(exchange.next().expect("it goes on") - now >= 1800.0);
    let (at, actions) = next(&mut exchange, 0.5);
    let solicit = sent(&actions).expect("sent");
    // 255: nobody better is waited for.
    let offer = answer(solicit, Kind::Advertise, &SERVER, 255, &given(OTHER, 100));
    let actions = exchange.received(&offer, at, 0.5);
    let request = sent(&actions).expect("sent");
    let bound = exchange.received(&answer(request, Kind::Reply, &SERVER, 0, &given(OTHER, 100)), at, 0.5);
    assert!(bound.iter().any(|action| matches!(action, Action::Hold(settings) if settings.address == OTHER)));
    assert_eq!(exchange.name(), "bound");
}

#[test]
fn an_offer_that_nobody_keeps_is_asked_for_ten_times() {
    let mut exchange = lease();
    let renew = next(&mut exchange, 0.5).1;
    let renew = sent(&renew).expect("sent");
    let actions = exchange.received(&answer(renew, Kind::Reply, &SERVER, 0, &status(3)), 1_000_001.0, 0.5);
    assert_eq!(kind(&actions), Some(Kind::Request as u8));
    assert!(exchange.held().is_some(), "until its end it may be used");
    for _ in 1..REQUESTS_PER_OFFER {
        assert_eq!(kind(&next(&mut exchange, 0.5).1), Some(Kind::Request as u8));
    }
    assert_eq!(kind(&next(&mut exchange, 0.5).1), Some(Kind::Solicit as u8));
}

#[test]
fn what_is_not_the_answer_to_this_question_changes_nothing() {
    let mut exchange = lease();
    let actions = next(&mut exchange, 0.5).1;
    let renew = sent(&actions).expect("sent").to_vec();
    let good = answer(&renew, Kind::Reply, &SERVER, 0, &given(OURS, 100));
    let mut other_number = good.clone();
    other_number[3] ^= 1;
    let mut other_client = good.clone();
    other_client[11] ^= 1;
    for wrong in [
        other_number,
        other_client,
        answer(&renew, Kind::Advertise, &SERVER, 0, &given(OURS, 100)),
        answer(&renew, Kind::Reply, &[0, 3, 0, 9], 0, &given(OURS, 100)),
        // Of another address alone, or nothing: the lease is as it was.
        answer(&renew, Kind::Reply, &SERVER, 0, &given(OTHER, 100)),
        answer(&renew, Kind::Reply, &SERVER, 0, &[]),
        answer(&renew, Kind::Reply, &SERVER, 0, &status(1)),
    ] {
        assert!(exchange.received(&wrong, 1_000_001.0, 0.5).is_empty());
        assert_eq!(exchange.name(), "renewing");
    }
    assert!(!exchange.received(&good, 1_000_001.0, 0.5).is_empty());
    assert_eq!((exchange.name(), exchange.renewals), ("bound", 1));
    // NotOnLink of a renewal: it is not to be used here.
    let actions = next(&mut exchange, 0.5).1;
    let renew = sent(&actions).expect("sent");
    let actions = exchange.received(&answer(renew, Kind::Reply, &SERVER, 0, &status(4)), 1_060_000.0, 0.5);
    assert!(actions.iter().any(|action| matches!(action, Action::Lose)));
}
