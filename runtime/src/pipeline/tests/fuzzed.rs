//! Servers that answer with damage, over real sockets: nothing panics, nothing hangs, and what is said of it is clean.

use super::support::*;
use crate::error::SysError;
use crate::fuzz::{Chance, inputs};
use crate::pipeline::http_date;
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, UdpSocket};

/// What no decoder's error may be: the machine's own trouble, or a word that commands a terminal.
fn check(error: &SysError) {
    assert!(!["EIO", "EINVAL", "EMFILE"].contains(&error.code.as_str()), "{} {}", error.code, error.message);
    assert!(!error.message.is_empty() && !error.message.contains(char::is_control), "{:?}", error.message);
}

/// Counts what can be used all the same: a test in which that is nothing tests nothing.
fn ends_well(of: usize, mut one: impl FnMut() -> Result<(), SysError>) {
    let mut good = 0;
    for _ in 0..of {
        match one() {
            Ok(()) => good += 1,
            Err(error) => check(&error),
        }
    }
    eprintln!("{good} of {of} could be used");
    assert!(good > 0 && good < of);
}

/// Not among them: redirects, whose damage would send the client to whatever machine bears that name.
fn answers() -> Vec<Vec<u8>> {
    let date = "Date: Mon, 07 Nov 1994 08:49:37 GMT\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    [
        format!("HTTP/1.1 200 OK\r\n{date}ETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123456789"),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5;a=b\r\n56789\r\n0\r\nT: x\r\n\r\n".into(),
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nETag: \"v1\"\r\nContent-Length: 5\r\n\r\n56789"
            .into(),
        format!("HTTP/1.0 200 OK\r\n{date}\r\n0123456789"),
        "HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n".into(),
        "HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n".into(),
    ]
    .map(String::into_bytes)
    .to_vec()
}

#[test]
fn http_answers_fuzzed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut chance, good) = (Chance::new(), answers());
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let _ = stream.write_all(&chance.damaged(&good));
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let mut source = http_within(&url, 5000, 5000, 20_000);
    source["resume"] = json!({"afterMs": [0, 0], "on": ["TRUNCATED"]});
    ends_well(inputs(3000), || pipeline(source.clone(), json!([]), text()).map(drop));
}

#[test]
fn tftp_packets_fuzzed() {
    let good: [&[u8]; 5] = [
        b"\0\x06blksize\x0016\0tsize\x0020\0windowsize\x004\0",
        b"\0\x03\0\x010123456789abcdef",
        b"\0\x03\0\x020123",
        b"\0\x03\0\x01hello",
        b"\0\x05\0\x08no options\0",
    ];
    let good = good.map(<[u8]>::to_vec);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let url = format!("tftp://{}/x", socket.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut chance, mut asked) = (Chance::new(), [0; 600]);
        while let Ok((length, client)) = socket.recv_from(&mut asked) {
            if !asked[..length].starts_with(&[0, 1]) {
                continue;
            }
            for _ in 0..10 {
                let _ = socket.send_to(&chance.damaged(&good), client);
            }
            // Whatever it waits for by now, this ends it.
            let _ = socket.send_to(b"\0\x05\0\x01over\0", client);
        }
    });
    let source = json!({"kind": "tftp", "url": url,
        "deadlines": {"connectMs": 5000, "stallMs": 5000, "totalMs": 20_000}});
    ends_well(inputs(10_000) / 10, || pipeline(source.clone(), json!([]), text()).map(drop));
}

#[test]
fn http_dates_fuzzed() {
    let (mut chance, good) = (Chance::new(), [b"Sun, 06 Nov 1994 08:49:37 GMT".to_vec()]);
    for _ in 0..inputs(20_000) {
        let bytes = chance.damaged(&good);
        let years = http_date::parse(&String::from_utf8_lossy(&bytes)).unwrap_or(0) / 31_556_952;
        assert!((-1970..=8030).contains(&years), "{years}: {bytes:?}");
    }
}
