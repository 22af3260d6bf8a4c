//! Asking whether an IPv4 address is in use (RFC 5227).

use super::packet::{self, BROADCAST, ETHERNET, MacBytes, PacketSocket, bpf};
use crate::clock::now;
use crate::wait::{Waiter, Woken};
use rustix::io::Result;
use std::net::Ipv4Addr;

/// RFC 5227's PROBE_NUM, spread over the time that the caller gives.
const PROBES: u32 = 3;
/// Ethernet, IPv4, their lengths.
const FIXED: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: [u8; 2] = [0, 1];

/// A probe asks for the address without claiming it: the sender's address is 0.0.0.0.
fn probe(mac: &MacBytes, address: Ipv4Addr) -> Vec<u8> {
    let kind = (libc::ETH_P_ARP as u16).to_be_bytes();
    [&BROADCAST[..], mac, &kind, &FIXED, &REQUEST, mac, &[0; 4], &[0; 6], &address.octets()].concat()
}

/// True when the frame shows that another station has the address, or is probing for it as we are.
fn conflicts(frame: &[u8], mac: &MacBytes, address: Ipv4Addr) -> bool {
    let Some(arp) = frame.get(ETHERNET..ETHERNET + 28).filter(|arp| arp[..6] == FIXED) else { return false };
    let (sender_mac, sender, target) = (&arp[8..14], &arp[14..18], &arp[24..28]);
    let probes_too = arp[6..8] == REQUEST && sender == [0; 4] && target == address.octets();
    sender_mac != mac && (sender == address.octets() || probes_too)
}

/// True as soon as there is a conflict; false when `timeout` milliseconds pass without, None when cancelled.
pub fn in_use(
    index: u32,
    mac: &MacBytes,
    address: Ipv4Addr,
    timeout: f64,
    waiter: &Waiter,
) -> Result<Option<bool>> {
    let mut everything = [bpf(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX)];
    let socket = PacketSocket::open(index, libc::ETH_P_ARP, &mut everything)?;
    let start = now();
    let mut buffer = [0; packet::FRAME];
    for sent in 1..=PROBES {
        socket.send(&probe(mac, address))?;
        let until = start + timeout * f64::from(sent) / f64::from(PROBES);
        loop {
            match waiter.socket(&socket, Some(until))? {
                Woken::Cancelled => return Ok(None),
                Woken::Deadline => break,
                Woken::Ready => {
                    if socket.receive(&mut buffer)?.is_some_and(|frame| conflicts(frame, mac, address)) {
                        return Ok(Some(true));
                    }
                }
            }
        }
    }
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{Chance, inputs};

    const OURS: MacBytes = [2, 0, 0, 0, 0, 1];
    const THEIRS: MacBytes = [2, 0, 0, 0, 0, 2];
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);

    #[test]
    fn our_own_probe_is_no_conflict_and_anothers_is() {
        assert!(!conflicts(&probe(&OURS, ADDRESS), &OURS, ADDRESS));
        assert!(conflicts(&probe(&THEIRS, ADDRESS), &OURS, ADDRESS));
        assert!(!conflicts(&probe(&THEIRS, Ipv4Addr::new(10, 0, 0, 6)), &OURS, ADDRESS));
    }

    #[test]
    fn arp_frames_fuzzed() {
        let (mut chance, good) = (Chance::new(), [probe(&THEIRS, ADDRESS)]);
        let inputs = inputs(20_000);
        let found = (0..inputs).filter(|_| conflicts(&chance.damaged(&good), &OURS, ADDRESS)).count();
        assert!((inputs / 20..inputs * 19 / 20).contains(&found), "{found}");
    }

    #[test]
    fn an_answer_with_the_address_is_a_conflict() {
        let mut answer = probe(&THEIRS, Ipv4Addr::UNSPECIFIED);
        answer[ETHERNET + 7] = 2;
        answer[ETHERNET + 14..ETHERNET + 18].copy_from_slice(&ADDRESS.octets());
        assert!(conflicts(&answer, &OURS, ADDRESS));
        assert!(!conflicts(&answer, &OURS, Ipv4Addr::new(10, 0, 0, 6)));
        for end in 0..answer.len() {
            assert!(!conflicts(&answer[..end], &OURS, ADDRESS));
        }
    }
}
