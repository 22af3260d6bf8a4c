//! Asking a server for the time: SNTP, the client's side of it (RFC 4330).

use crate::clock::{now, random};
use crate::wait::{Waiter, Woken};
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

const PORT: u16 = 123;
/// Without the authenticator.
const LENGTH: usize = 48;
/// Version 4, mode 3.
const CLIENT: u8 = 0x23;
const SERVER_MODE: u8 = 4;
/// Seconds from 1900 to 1970, and from 1900 to 2036, when the timestamp's seconds begin again.
const TO_1970: f64 = 2_208_988_800.0;
const ERA: f64 = 4_294_967_296.0;

/// Milliseconds since 1970 when the answer came; None when cancelled.
pub fn ask(server: IpAddr, timeout: f64, waiter: &Waiter) -> Result<Option<f64>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    socket.set_nonblocking(true)?;
    // Nobody else's packets, and the server's refusal as an error.
    socket.connect((server, PORT))?;
    exchange(&socket, timeout, waiter)
}

fn exchange(socket: &UdpSocket, timeout: f64, waiter: &Waiter) -> Result<Option<f64>> {
    // What it sends back as the originate timestamp: nobody who did not see the request can answer it.
    let cookie = random().to_bits().to_be_bytes();
    let mut request = [0; LENGTH];
    request[0] = CLIENT;
    request[40..].copy_from_slice(&cookie);
    let asked = now();
    socket.send(&request)?;
    loop {
        match waiter.socket(socket, Some(asked + timeout))? {
            Woken::Cancelled => return Ok(None),
            Woken::Deadline => return Err(ErrorKind::TimedOut.into()),
            Woken::Ready => {}
        }
        let mut answer = [0; 512];
        let count = match socket.recv(&mut answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            received => received?,
        };
        let came = now();
        if let Some(sent) = read(&answer[..count], cookie)? {
            return Ok(Some(sent + (came - asked) / 2.0));
        }
    }
}

/// The server's transmit timestamp in milliseconds since 1970; None for what answers nothing that we asked.
fn read(answer: &[u8], cookie: [u8; 8]) -> Result<Option<f64>> {
    let Some(answer) = answer.get(..LENGTH) else { return Ok(None) };
    if answer[0] & 7 != SERVER_MODE || answer[24..32] != cookie {
        return Ok(None);
    }
    let (leap, stratum) = (answer[0] >> 6, answer[1]);
    if stratum == 0 {
        let code: String =
            answer[12..16].iter().filter(|byte| byte.is_ascii_graphic()).map(|&byte| byte as char).collect();
        return Err(Error::other(format!("it refuses to tell the time ({code})")));
    }
    if leap == 3 || stratum > 15 {
        return Err(Error::other("it does not know the time itself"));
    }
    let word = |at: usize| {
        f64::from(u32::from_be_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]]))
    };
    let seconds = word(40);
    // RFC 4330, section 3: without the top bit it is after 2036.
    let seconds = if seconds < ERA / 2.0 { seconds + ERA } else { seconds };
    Ok(Some((seconds - TO_1970) * 1e3 + word(44) / ERA * 1e3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{Chance, inputs};
    use crate::ops::Cancel;

    const COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

    fn answer(seconds: u32, fraction: u32, cookie: [u8; 8]) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = 0x24;
        bytes[1] = 2;
        bytes[24..32].copy_from_slice(&cookie);
        bytes[40..44].copy_from_slice(&seconds.to_be_bytes());
        bytes[44..].copy_from_slice(&fraction.to_be_bytes());
        bytes
    }

    #[test]
    fn both_eras_are_read() {
        let time = |seconds| read(&answer(seconds, 1 << 31, COOKIE), COOKIE).expect("an answer");
        // 2026-01-01 and 2040-01-01.
        assert_eq!(time(3_976_214_400), Some(1_767_225_600_500.0));
        assert_eq!(time(123_010_304), Some(2_208_988_800_500.0));
    }

    #[test]
    fn what_answers_another_question_is_passed_over() {
        let good = answer(3_976_214_400, 0, COOKIE);
        assert_eq!(read(&good, [0; 8]).expect("no error"), None);
        for length in 0..LENGTH {
            assert_eq!(read(&good[..length], COOKIE).expect("no error"), None);
        }
        let mut mode = good;
        mode[0] = 0x23;
        assert_eq!(read(&mode, COOKIE).expect("no error"), None);
    }

    #[test]
    fn answers_fuzzed() {
        let (mut chance, good) = (Chance::new(), [answer(3_976_214_400, 0, COOKIE).to_vec()]);
        let inputs = inputs(20_000);
        let times: Vec<f64> =
            (0..inputs).filter_map(|_| read(&chance.damaged(&good), COOKIE).ok().flatten()).collect();
        assert!(times.len() > inputs / 20 && times.iter().all(|time| time.is_finite()));
    }

    #[test]
    fn a_server_that_does_not_know_is_not_believed() {
        let mut kiss = answer(3_976_214_400, 0, COOKIE);
        kiss[1] = 0;
        kiss[12..16].copy_from_slice(b"RATE");
        assert!(read(&kiss, COOKIE).expect_err("a kiss of death").to_string().contains("RATE"));
        for (at, value) in [(0, 0xe4), (1, 16)] {
            let mut bad = answer(3_976_214_400, 0, COOKIE);
            bad[at] = value;
            assert!(read(&bad, COOKIE).is_err());
        }
    }

    #[test]
    fn a_server_is_asked_and_waited_for() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        client.set_nonblocking(true).expect("a socket");
        client.connect(server.local_addr().expect("an address")).expect("a socket");
        let waiter = Waiter::new(&Cancel::default()).expect("a waiter");
        let thread = std::thread::spawn(move || {
            let mut request = [0; 100];
            let (count, from) = server.recv_from(&mut request).expect("a request");
            assert_eq!((count, request[0]), (LENGTH, CLIENT));
            let cookie = request[40..48].try_into().expect("eight bytes");
            server.send_to(&answer(3_976_214_400, 0, [9; 8]), from).expect("a packet");
            server.send_to(&answer(3_976_214_400, 0, cookie), from).expect("a packet");
            // And then it is silent.
            server
        });
        let time = exchange(&client, 5000.0, &waiter).expect("an answer").expect("not cancelled");
        assert!((1_767_225_600_000.0..1_767_225_605_000.0).contains(&time), "{time}");
        let _server = thread.join().expect("no panic");
        let silence = exchange(&client, 50.0, &waiter).expect_err("no answer");
        assert_eq!(silence.kind(), ErrorKind::TimedOut);
    }
}
