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

/// Runs beside dnsmasq's server of this directory, in a network of their own. False without the rights to make one.
fn beside_dnsmasq(dir: &Directory, options: &[&str], run: impl FnOnce() + Send + 'static) -> bool {
    use std::process::{Command, Stdio};
    let mut arguments: Vec<String> =
        ["--no-daemon", "--port=0", "--conf-file=/dev/null", "--pid-file=", "--user=root", "--enable-tftp"]
            .iter()
            .chain(options)
            .map(|option| (*option).to_owned())
            .collect();
    arguments.push(format!("--tftp-root={}", dir.0.display()));
    let thread = std::thread::spawn(move || {
        use rustix::thread::{UnshareFlags, unshare_unsafe};
        // SAFETY: this thread alone moves to a new network namespace; its files are as before.
        if unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.is_err() {
            return false;
        }
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        assert!(up.is_ok_and(|status| status.success()), "a loopback");
        let mut server =
            Command::new("dnsmasq").args(arguments).stderr(Stdio::piped()).spawn().expect("dnsmasq");
        let said = std::io::BufReader::new(server.stderr.take().expect("piped"));
        let mut lines = std::io::BufRead::lines(said).map_while(Result::ok);
        assert!(lines.any(|line| line.contains("TFTP root")), "it serves");
        std::thread::spawn(move || lines.for_each(drop));
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        let _ = server.kill();
        let _ = server.wait();
        result.is_ok()
    });
    thread.join().expect("no panic outside")
}

/// Stands between a client and port 69 of this machine, and loses every seventh packet, of either side.
fn lossy_relay() -> String {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.1:0"));
    let (near, far) = (near.expect("a port"), far.expect("another port"));
    let url = format!("tftp://{}", near.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut client, mut server) = (None, ([127, 0, 0, 1], 69).into());
        let mut buffer = [0; 2000];
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(std::time::Duration::from_millis(1))).expect("a timeout");
        }
        for count in 1u64.. {
            let lost = count.is_multiple_of(7);
            let (length, to, by) = loop {
                if let Ok((length, from)) = near.recv_from(&mut buffer) {
                    if client != Some(from) {
                        (client, server) = (Some(from), ([127, 0, 0, 1], 69).into());
                    }
                    break (length, server, &far);
                }
                if let (Ok((length, from)), Some(client)) = (far.recv_from(&mut buffer), client) {
                    // The port that the server chose for the transfer.
                    server = from;
                    break (length, client, &near);
                }
            };
            if !lost {
                let _ = by.send_to(&buffer[..length], to);
            }
        }
    });
    url
}

/// dnsmasq 2.90 knows blksize and tsize, and no windowsize.
#[test]
fn dnsmasq_serves_what_it_agrees_to_over_a_wire_that_loses_packets() {
    if !rustix::process::getuid().is_root() {
        eprintln!("\nSKIPPED: dnsmasq_serves_what_it_agrees_to_over_a_wire_that_loses_packets needs root\n");
        return;
    }
    let content = letters(15_000);
    for (options, what) in [(&[][..], "with blksize"), (&["--tftp-no-blocksize"][..], "without")] {
        let dir = Directory::new();
        dir.file("a file", &content);
        let expected = content.clone();
        let good = beside_dnsmasq(&dir, options, move || {
            let url = lossy_relay();
            let totals = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
            let seen = totals.clone();
            let emit = crate::ops::Emit::new(move |event| seen.lock().expect("no panic").push(event));
            let json =
                json!({"source": tftp(&format!("{url}/a%20file"), 20_000), "filters": [], "sink": text()});
            let asked = serde_json::from_value(json).expect("a pipeline");
            let outcome =
                crate::pipeline::run(&asked, &crate::ops::Cancel::default(), &emit).expect("the file");
            assert_eq!(
                serde_json::to_value(outcome).expect("JSON")["text"].as_str().map(str::as_bytes),
                Some(&expected[..])
            );
            let last = totals.lock().expect("no panic").last().cloned().expect("progress");
            // tsize was agreed to.
            assert_eq!(serde_json::from_str::<Value>(&last).expect("JSON")["total"], 15_000);
            let missing = error(pipeline(tftp(&format!("{url}/other"), 20_000), json!([]), text()));
            assert_eq!(missing.code, "ENOENT", "{}", missing.message);
            assert!(missing.message.contains("other not found"), "{}", missing.message);
        });
        assert!(good, "{what}");
    }
}
