//! TFTP, against a server that loses, repeats and refuses as it is told.

use super::support::*;
use crate::pipeline::{Made, Outcome};
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, channel};

#[derive(Clone)]
struct Server {
    content: Vec<u8>,
    /// Without: it does not know options.
    block_and_window: Option<(usize, u64)>,
    /// Which of the packets that it sends, counted from 0, get lost on the way; and which go twice.
    lost: Vec<u64>,
    twice: Vec<u64>,
    announced: usize,
}

impl Server {
    fn new(content: &[u8]) -> Server {
        let (lost, twice) = (Vec::new(), Vec::new());
        Server { content: content.to_vec(), block_and_window: None, lost, twice, announced: content.len() }
    }

    /// Serves one transfer. The URL, and the request as it came.
    fn start(self) -> (String, Receiver<Vec<u8>>) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let url = format!("tftp://{}/boot/a%20file", socket.local_addr().expect("an address"));
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 2000];
            let (length, client) = socket.recv_from(&mut buffer).expect("a request");
            let _ = tell.send(buffer[..length].to_vec());
            self.transfer(client);
        });
        (url, told)
    }

    fn transfer(&self, client: std::net::SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("another port");
        let mut count = 0;
        let mut send = |packet: &[u8]| {
            let times =
                if self.lost.contains(&count) { 0 } else { 1 + u8::from(self.twice.contains(&count)) };
            for _ in 0..times {
                let _ = socket.send_to(packet, client);
            }
            count += 1;
        };
        let (block, window) = self.block_and_window.unwrap_or((512, 1));
        let mut acknowledged = 0;
        if self.block_and_window.is_some() {
            let options = format!("blksize\0{block}\0tsize\0{}\0windowsize\0{window}\0", self.announced);
            send(&[&[0, 6], options.as_bytes()].concat());
            if answer(&socket).is_none() {
                send(&[&[0, 6], options.as_bytes()].concat());
                answer(&socket).expect("an acknowledgement");
            }
        }
        let last = (self.content.len() / block) as u64 + 1;
        while acknowledged < last {
            for number in acknowledged + 1..=(acknowledged + window).min(last) {
                let from = (number as usize - 1) * block;
                let content = &self.content[from..(from + block).min(self.content.len())];
                send(&[&[0, 3], &(number as u16).to_be_bytes()[..], content].concat());
            }
            match answer(&socket) {
                Some(number) => {
                    let ahead = u64::from(number.wrapping_sub(acknowledged as u16));
                    if ahead <= window {
                        acknowledged += ahead;
                    }
                }
                None => continue,
            }
        }
    }
}

/// The block that the client acknowledges; `None` when it is silent for a while.
fn answer(socket: &UdpSocket) -> Option<u16> {
    socket.set_read_timeout(Some(std::time::Duration::from_millis(400))).expect("a timeout");
    let mut buffer = [0; 600];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!((length, &buffer[..2]), (4, &[0, 4][..]), "an acknowledgement");
    Some(u16::from_be_bytes([buffer[2], buffer[3]]))
}

fn tftp(url: &str, stall: u64) -> Value {
    json!({"kind": "tftp", "url": url, "deadlines": {"connectMs": stall, "stallMs": stall, "totalMs": 30_000}})
}

fn fetch(url: &str) -> Vec<u8> {
    match pipeline(tftp(url, 8000), json!([]), text()) {
        Ok(Outcome { made: Made::Text { text }, .. }) => text.into_bytes(),
        other => panic!("{:?}", other.err()),
    }
}

fn letters(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'a' + (at / 7 % 26) as u8).collect()
}

#[test]
fn files_of_every_length_come_with_options_and_without() {
    for length in [0, 1, 511, 512, 513, 1448 * 3, 100_000] {
        let content = letters(length);
        for block_and_window in [None, Some((1448, 1)), Some((1448, 16)), Some((64, 5))] {
            let (url, request) = Server { block_and_window, ..Server::new(&content) }.start();
            assert!(fetch(&url) == content, "{length} bytes, {block_and_window:?}");
            let request = request.recv().expect("a request");
            let expected =
                b"\0\x01boot/a file\0octet\0blksize\x001448\0tsize\x000\0timeout\x002\0windowsize\x0016\0";
            assert_eq!(request, expected);
        }
    }
}

#[test]
fn block_numbers_begin_again_after_65535() {
    let content = letters(8 * 66_000);
    let (url, _) = Server { block_and_window: Some((8, 16)), ..Server::new(&content) }.start();
    assert!(fetch(&url) == content);
}

#[test]
fn lost_and_doubled_packets_change_nothing() {
    let content = letters(1448 * 40 + 5);
    for (lost, twice) in
        [(vec![0], vec![]), (vec![5], vec![]), (vec![16, 17, 30], vec![]), (vec![], vec![1, 2, 9, 16])]
    {
        for block_and_window in [None, Some((1448, 16))] {
            let (lost, twice) = (lost.clone(), twice.clone());
            let (url, _) = Server { block_and_window, lost, twice, ..Server::new(&content) }.start();
            assert!(fetch(&url) == content);
        }
    }
}

#[test]
fn a_server_that_refuses_is_told_in_its_words() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let url = format!("tftp://{}/missing", socket.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for (code, text) in [(8, "no options"), (1, "not \x1b[31mhere")] {
            let mut buffer = [0; 600];
            let (_, client) = socket.recv_from(&mut buffer).expect("a request");
            let _ = socket.send_to(&[&[0, 5, 0, code], text.as_bytes(), &[0]].concat(), client);
        }
    });
    let missing = error(pipeline(tftp(&url, 8000), json!([]), text()));
    assert_eq!((missing.code.as_str(), missing.operation.as_str()), ("ENOENT", "pipeline.tftp"));
    assert!(missing.message.contains("not [31mhere"), "{}", missing.message);
}

#[test]
fn silence_and_a_short_file_are_told() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let url = format!("tftp://{}/file", silent.local_addr().expect("an address"));
    let error_of = |url: &str| error(pipeline(tftp(url, 500), json!([]), text()));
    let connect = error_of(&url);
    assert_eq!(connect.code, "TIMEOUT");
    assert!(connect.message.contains("connect deadline"), "{}", connect.message);

    let content = letters(5000);
    let lost = (2..100).collect();
    let (url, _) = Server { lost, ..Server::new(&content) }.start();
    let stall = error_of(&url);
    assert_eq!(stall.code, "TIMEOUT");
    assert!(
        stall.message.contains("stall deadline") && stall.message.contains("1024 bytes"),
        "{}",
        stall.message
    );

    let (url, _) =
        Server { block_and_window: Some((512, 4)), announced: 6000, ..Server::new(&content) }.start();
    let short = error_of(&url);
    assert_eq!(short.code, "TRUNCATED");
    assert!(short.message.contains("5000 of 6000"), "{}", short.message);
    assert_eq!(error_of("tftp://127.0.0.1").code, "EINVAL");
}
