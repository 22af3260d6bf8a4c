//! Servers that stall, cut and lie, without end if they can.

use super::support::*;
use serde_json::{Value, json};
use std::io::Write;
use std::net::{Shutdown, TcpStream};

/// What becomes of an answer of exactly these bytes, after which the connection closes.
fn answered(bytes: &'static [u8]) -> crate::error::SysError {
    let url = serve(move |_, stream| {
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Both);
    });
    error(pipeline(http(&url), json!([]), text()))
}

#[test]
fn what_is_no_answer_is_an_error() {
    for (bytes, codes) in [
        (&b""[..], &["TRUNCATED"][..]),
        (b"HTTP/1.1 200 OK\r\nContent-Le", &["TRUNCATED", "FORMAT"]),
        (b"220 mail.example ESMTP\r\n\r\n", &["FORMAT"]),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &["FORMAT", "TRUNCATED"]),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno number\r\nx\r\n0\r\n\r\n", &["FORMAT"]),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n0\r\n\r\n",
            &["FORMAT"],
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld", &["FORMAT", "TRUNCATED"]),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", &["FORMAT"]),
        (
            b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo",
            &["FORMAT"],
        ),
        (b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", &["FORMAT", "HTTP"]),
        (
            b"HTTP/1.1 302 Found\r\nLocation: ftp://other/x\r\nContent-Length: 0\r\n\r\n",
            &["FORMAT", "EINVAL"],
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
            // The path, of the same server, again and again until it is seen to have closed: no file of this machine.
            &["FORMAT", "EINVAL", "TRUNCATED", "ECONNRESET", "ELOOP"],
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://\r\nContent-Length: 0\r\n\r\n",
            &["FORMAT", "EINVAL", "TRUNCATED", "ECONNRESET", "ELOOP"],
        ),
    ] {
        let error = answered(bytes);
        let shown = String::from_utf8_lossy(bytes);
        assert!(codes.contains(&error.code.as_str()), "{shown:?}: {} {}", error.code, error.message);
        assert!(!error.message.is_empty());
    }
}

#[test]
fn no_more_is_read_than_was_announced() {
    // The rest is on the connection, which is of no use any more: the next request gets its own answer.
    let url = serve(|head, stream| {
        let body =
            if head.starts_with("GET /first") { &b"helloHTTP/1.1 200 OK\r\n\r\nevil"[..] } else { b"other" };
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        let _ = stream.write_all(body);
    });
    for (path, expected) in [("first", "hello"), ("second", "other")] {
        let outcome = pipeline(http(&format!("{url}/{path}")), json!([]), text()).expect("an answer");
        assert_eq!(serde_json::to_value(outcome).expect("JSON")["text"], expected);
    }
}

/// A server that goes on with this for ever.
fn endless(begin: &'static str, again: &'static str) -> String {
    serve(move |_, stream| {
        let _ = stream.write_all(begin.as_bytes());
        while stream.write_all(again.as_bytes()).is_ok() {}
    })
}

#[test]
fn what_has_no_end_is_bounded() {
    let within = |url: &str| http_within(url, 5000, 5000, 3000);
    for (begin, again) in [
        ("HTTP/1.1 200 OK\r\n", "X-More: and more\r\n"),
        ("HTTP/1.1 200 OK\r\nX-Long: ", "aaaaaaaaaaaaaaaa"),
        ("HTTP/1.1 ", "2222222222222222"),
        ("", "\r\n\r\n\r\n\r\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "000000000000000000000000"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X-Trailer: more\r\n"),
    ] {
        let error = error(pipeline(within(&endless(begin, again)), json!([]), text()));
        assert!(
            ["FORMAT", "TIMEOUT"].contains(&error.code.as_str()),
            "{begin:?} {again:?}: {}",
            error.message
        );
    }
    // A body that is in the right as HTTP has it: the sink's limit ends it.
    for begin in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"] {
        let sink = json!({"kind": "text", "bytes": 1000});
        assert_eq!(error(pipeline(within(&endless(begin, "endless ")), json!([]), sink)).code, "TOO_BIG");
    }
}

#[test]
fn a_server_that_drips_is_stopped_by_the_deadline_for_everything() {
    fn drip(stream: &mut TcpStream, bytes: &[u8]) {
        for byte in bytes.iter().cycle() {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            // Slower than the reader, and well below the stall deadline.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    let head = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ");
        drip(stream, b"a");
    });
    let body = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        drip(stream, b"a");
    });
    let redirects = serve(|head, stream| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let path = head.split(' ').nth(1).unwrap_or_default();
        reply(stream, "302 Found", &format!("Location: {path}x\r\n"), b"");
    });
    for (what, url) in [("head", head), ("body", body), ("redirects", redirects)] {
        let error = error(pipeline(http_within(&url, 5000, 5000, 500), json!([]), text()));
        assert_eq!(error.code, "TIMEOUT", "{what}: {}", error.message);
        assert!(error.message.contains("total deadline"), "{what}: {}", error.message);
    }
}

#[test]
fn a_password_does_not_follow_a_redirect_to_another_server() {
    let (told, asked) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let other = serve(move |head, stream| {
        told.lock().expect("no panic").send(head.to_lowercase()).expect("the test waits");
        reply(stream, "200 OK", "", b"here");
    });
    let url = serve(move |_, stream| {
        // Another name for the same machine is another server.
        let location = other.replace("127.0.0.1", "localhost");
        reply(stream, "302 Found", &format!("Location: {location}/x\r\n"), b"");
    });
    let url = url.replace("http://", "http://kiosk:secret@");
    assert!(pipeline(http(&url), json!([]), text()).is_ok());
    let head = asked.recv().expect("a request");
    assert!(!head.contains("authorization"), "{head}");
}

#[test]
fn retry_after_is_read_as_seconds_and_as_a_date_by_the_servers_own_clock() {
    let ask = |headers: &'static str| -> Value {
        let url = serve(move |_, stream| reply(stream, "503 Service Unavailable", headers, b""));
        json!(error(pipeline(http(&url), json!([]), text())).retry_after)
    };
    assert_eq!(ask("Retry-After: 7\r\n"), json!(7));
    let date = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    let later = format!("{date}Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n");
    assert_eq!(ask(Box::leak(later.into_boxed_str())), json!(120));
    let past = format!("{date}Retry-After: Sun, 06 Nov 1994 08:00:00 GMT\r\n");
    assert_eq!(ask(Box::leak(past.into_boxed_str())), json!(0));
    for none in
        ["", "Retry-After: soon\r\n", "Retry-After: -1\r\n", "Retry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\n"]
    {
        assert_eq!(ask(none), json!(null), "{none}");
    }
}

/// Answers that are nearly right: every one ends in a body or an error, in time, and nothing panics.
#[test]
fn three_thousand_answers_that_are_nearly_http() {
    const ANSWERS: [&[u8]; 4] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\n0123456789",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nETag: \"v\"\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\nContent-Length: 5\r\n\r\n56789",
        b"HTTP/1.1 503 Busy\r\nRetry-After: Sun, 06 Nov 1994 08:51:37 GMT\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
    ];
    fn nearly(seed: u64) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = move |limit: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize % limit.max(1)
        };
        let mut answer = ANSWERS[below(ANSWERS.len())].to_vec();
        for _ in 0..=below(3) {
            let at = below(answer.len());
            match below(5) {
                0 => answer[at] ^= 1 << below(8),
                1 => answer.truncate(at + 1),
                2 => drop(answer.drain(at..(at + 1 + below(8)).min(answer.len()))),
                3 => answer.insert(at, b"0:\r\n-9f"[below(7)]),
                _ => answer.extend_from_within(at..),
            }
            if answer.is_empty() {
                break;
            }
        }
        answer
    }
    let seeds = std::sync::atomic::AtomicU64::new(0);
    let url = serve(move |_, stream| {
        let _ = stream.write_all(&nearly(seeds.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        let _ = stream.shutdown(Shutdown::Both);
    });
    let (mut bodies, mut errors) = (0, std::collections::BTreeMap::new());
    for _ in 0..3000 {
        let mut source = http_within(&url, 2000, 2000, 5000);
        source["resume"] = json!({"afterMs": [0, 0], "on": ["TRUNCATED", "ECONNRESET"]});
        match pipeline(source, json!([]), text()) {
            Ok(_) => bodies += 1,
            Err(error) => *errors.entry(error.code).or_insert(0) += 1,
        }
    }
    eprintln!("{bodies} bodies, {errors:?}");
    assert!(bodies > 100 && errors.contains_key("FORMAT") && errors.contains_key("TRUNCATED"));
    assert!(!errors.contains_key("TIMEOUT") && !errors.contains_key("EIO"), "{errors:?}");
}
