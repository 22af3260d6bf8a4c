//! Connections that break in the middle of a body, and servers that go on, do not, or lie about it.

use super::support::*;
use crate::ops::{Cancel, Emit};
use crate::pipeline::run;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

const BODY: &[u8] = b"0123456789abcdefghij";

/// A server whose n-th answer, from 0, is `answer`'s; with the requests that came.
fn serve_in_turn(
    answer: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<String>>>) {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let url = serve(move |head, stream| {
        let mut heads = seen.lock().expect("no panic");
        heads.push(head.to_lowercase());
        answer(heads.len() - 1, stream);
        let _ = stream.shutdown(Shutdown::Both);
    });
    (url, heads)
}

fn cut(stream: &mut TcpStream, headers: &str, upto: usize) {
    let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n", BODY.len());
    let _ = stream.write_all(&BODY[..upto]);
}

fn part(stream: &mut TcpStream, range: &str, headers: &str, body: &[u8]) {
    reply(stream, "206 Partial Content", &format!("Content-Range: bytes {range}\r\n{headers}"), body);
}

/// Runs it with so many reconnections. What came, and what was told on the way.
fn fetch(url: &str, times: usize) -> (crate::error::Result<String>, Vec<Value>) {
    let mut source = http_within(url, 5000, 300, 10_000);
    source["resume"] =
        json!({"afterMs": vec![0; times], "on": ["TRUNCATED", "TIMEOUT", "ECONNRESET", "ECONNREFUSED"]});
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let emit = Emit::new(move |event| {
        let event: Value = serde_json::from_str(&event).expect("JSON");
        if !event["broken"].is_null() {
            seen.lock().expect("no panic").push(event["broken"].clone());
        }
    });
    let pipeline = serde_json::from_value(json!({"source": source, "filters": [], "sink": text()}));
    let result = run(&pipeline.expect("a pipeline"), &Cancel::default(), &emit).map(|outcome| {
        serde_json::to_value(outcome).expect("JSON")["text"].as_str().expect("text").to_owned()
    });
    (result, told.lock().expect("no panic").clone())
}

fn whole() -> String {
    String::from_utf8(BODY.to_vec()).expect("text")
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_was() {
    let (url, heads) = serve_in_turn(|turn, stream| match turn {
        0 => cut(stream, "ETag: \"v1\"\r\n", 5),
        // The next connection breaks as well.
        1 => {
            let _ = stream.write_all(
                b"HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 5-19/20\r\nContent-Length: 15\r\n\r\n567",
            );
        }
        _ => part(stream, "8-19/20", "ETag: \"v1\"\r\n", &BODY[8..]),
    });
    let (result, told) = fetch(&url, 3);
    assert_eq!(result.expect("all of it"), whole());
    let heads = heads.lock().expect("no panic");
    assert_eq!(heads.len(), 3);
    assert!(!heads[0].contains("range"), "{}", heads[0]);
    assert!(heads[1].contains("range: bytes=5-") && heads[1].contains("if-range: \"v1\""), "{}", heads[1]);
    assert!(heads[2].contains("range: bytes=8-"), "{}", heads[2]);
    assert_eq!(
        told[1],
        json!({"bytes": 8, "why": "the connection ended after 8 of 20 bytes", "attempt": 2, "of": 3, "waitMs": 0})
    );
}

#[test]
fn a_stall_is_a_break_too() {
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (go, gone) = (Mutex::new(Some(go)), Mutex::new(gone));
    let url = serve(move |head, stream| {
        if head.to_lowercase().contains("range: bytes=7-") {
            part(stream, "7-19/20", "", &BODY[7..]);
            drop(go.lock().expect("no panic").take());
        } else {
            cut(
                stream,
                "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n",
                7,
            );
            // Keeps the connection open, silent, until the other one was served.
            let _ = gone.lock().expect("no panic").recv();
        }
    });
    let (result, told) = fetch(&url, 1);
    assert_eq!(result.expect("all of it"), whole());
    assert!(told[0]["why"].as_str().expect("why").contains("stall deadline"), "{told:?}");
}

#[test]
fn a_server_that_is_away_for_a_moment_is_asked_again() {
    let (url, _) = serve_in_turn(|turn, stream| match turn {
        0 => cut(stream, "ETag: \"v1\"\r\n", 5),
        1 => reply(stream, "503 Service Unavailable", "", b""),
        _ => part(stream, "5-19/20", "", &BODY[5..]),
    });
    let (result, told) = fetch(&url, 2);
    assert_eq!(result.expect("all of it"), whole());
    assert!(told[1]["why"].as_str().expect("why").contains("503"), "{told:?}");
}

#[test]
fn breaks_end_with_the_first_error_when_there_were_too_many() {
    let (url, heads) = serve_in_turn(|turn, stream| match turn {
        0 => cut(stream, "ETag: \"v1\"\r\n", 5),
        _ => {
            let _ = stream.write_all(
                b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-19/20\r\nContent-Length: 15\r\n\r\n",
            );
        }
    });
    let (result, told) = fetch(&url, 2);
    assert_eq!(result.expect_err("no end").code, "TRUNCATED");
    assert_eq!((told.len(), heads.lock().expect("no panic").len()), (2, 3));
}

#[test]
fn bytes_of_two_versions_are_never_mixed() {
    let tag = "ETag: \"v1\"\r\n";
    let dated =
        |modified: &str| format!("Last-Modified: {modified}\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n");
    type Second = fn(&mut TcpStream);
    let seconds: [(&str, Second); 11] = [
        ("ignores Range", |stream| reply(stream, "200 OK", "ETag: \"v1\"\r\n", BODY)),
        ("has another one", |stream| reply(stream, "200 OK", "ETag: \"v2\"\r\n", b"ABCDEFGHIJ0123456789")),
        ("says another tag", |stream| part(stream, "5-19/20", "ETag: \"v2\"\r\n", &BODY[5..])),
        ("has another length", |stream| part(stream, "5-24/25", "", b"56789abcdefghijklmno")),
        ("sends another part", |stream| part(stream, "6-19/20", "", &BODY[6..])),
        ("says no part", |stream| reply(stream, "206 Partial Content", "", &BODY[5..])),
        ("says no unit", |stream| part(stream, "*/20", "", &BODY[5..])),
        ("sends several", |stream| {
            reply(stream, "206 Partial Content", "Content-Type: multipart/byteranges; boundary=x\r\n", b"--x")
        }),
        ("refuses the condition", |stream| reply(stream, "412 Precondition Failed", "", b"")),
        ("has no such range", |stream| {
            reply(stream, "416 Range Not Satisfiable", "Content-Range: bytes */3\r\n", b"")
        }),
        ("has it no more", |stream| reply(stream, "404 Not Found", "", b"")),
    ];
    for (what, second) in seconds {
        let (url, heads) =
            serve_in_turn(move |turn, stream| if turn == 0 { cut(stream, tag, 5) } else { second(stream) });
        let (result, _) = fetch(&url, 4);
        let error = result.expect_err(what);
        assert_eq!((error.code.as_str(), error.operation.as_str()), ("TRUNCATED", "pipeline.http"), "{what}");
        assert!(
            error.message.contains("after 5 bytes, and asked for the rest the server"),
            "{what}: {}",
            error.message
        );
        assert_eq!(heads.lock().expect("no panic").len(), 2, "{what}: it is asked once");
    }
    // More than the range says.
    let (url, _) = serve_in_turn(move |turn, stream| match turn {
        0 => cut(stream, tag, 5),
        _ => part(stream, "5-19/20", "", b"56789abcdefghijklmno"),
    });
    assert_eq!(fetch(&url, 1).0.expect_err("too much").code, "FORMAT");
    // Nothing to rely on: a weak tag (whatever the date says), a date as young as the answer, a date of no age, nothing.
    let old = dated("Sun, 06 Nov 1994 08:49:37 GMT");
    let young = dated("Mon, 07 Nov 1994 08:49:37 GMT");
    let ageless = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned();
    for headers in [format!("ETag: W/\"v1\"\r\n{old}"), young, ageless, String::new()] {
        let (url, heads) = serve_in_turn(move |_, stream| cut(stream, &headers, 5));
        let (result, told) = fetch(&url, 4);
        assert_eq!(result.expect_err("no rest").code, "TRUNCATED");
        assert_eq!((told.len(), heads.lock().expect("no panic").len()), (0, 1));
    }
}

#[test]
fn a_body_of_no_announced_length_goes_on_when_the_rest_has_one() {
    for (range, expected) in [("5-19/20", true), ("5-19/*", false)] {
        let (url, _) = serve_in_turn(move |turn, stream| match turn {
            0 => {
                let _ = stream.write_all(
                    b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n",
                );
            }
            _ => part(stream, range, "", &BODY[5..]),
        });
        assert_eq!(fetch(&url, 1).0.is_ok_and(|text| text == whole()), expected, "{range}");
    }
}

#[test]
fn a_refused_reconnection_and_the_end_of_patience_are_told() {
    // Serves one connection, and then listens no more.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        drop(listener);
        let _ = std::io::Read::read(&mut stream, &mut [0; 1000]);
        cut(&mut stream, "ETag: \"v1\"\r\n", 5);
    });
    let (result, told) = fetch(&url, 3);
    assert_eq!(result.expect_err("gone").code, "ECONNREFUSED");
    assert_eq!(told.len(), 3);
    assert!(told[2]["why"].as_str().expect("why").contains("Connection refused"), "{told:?}");
}
