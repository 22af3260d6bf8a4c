//! HTTP: what servers do to a client, and what becomes of it.

use super::support::*;
use crate::ops::Cancel;
use crate::pipeline::{Made, Outcome};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_body_is_fetched_and_its_connection_used_again() {
    let connections = Arc::new(AtomicU32::new(0));
    let count = connections.clone();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/x", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(|stream| stream.ok()) {
            count.fetch_add(1, Ordering::Relaxed);
            let lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
            for line in lines.map_while(|line| line.ok()) {
                if line.is_empty() {
                    reply(&mut stream.try_clone().expect("a stream"), "200 OK", "", b"hello");
                }
            }
        }
    });
    for _ in 0..3 {
        match pipeline(http(&url), json!([]), text()) {
            Ok(Outcome { made: Made::Text { text }, bytes, .. }) => {
                assert_eq!((text.as_str(), bytes), ("hello", 5))
            }
            other => panic!("{:?}", other.err()),
        }
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[test]
fn statuses_are_told_with_what_the_server_asks_for() {
    let url = serve(|head, stream| {
        if head.starts_with("GET /busy") {
            reply(stream, "503 Service Unavailable", "Retry-After: 7\r\n", b"later");
        } else {
            reply(stream, "404 Not Found", "", b"no");
        }
    });
    let missing = error(pipeline(http(&format!("{url}/missing")), json!([]), text()));
    assert_eq!((missing.code.as_str(), missing.status, missing.retry_after), ("HTTP", Some(404), None));
    assert!(missing.message.contains("404"));
    let busy = error(pipeline(http(&format!("{url}/busy")), json!([]), text()));
    assert_eq!((busy.status, busy.retry_after), (Some(503), Some(7)));
}

#[test]
fn a_body_is_posted_and_does_not_follow_a_redirect() {
    let (told, heard) = std::sync::mpsc::channel();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let base = format!("127.0.0.1:{}", listener.local_addr().expect("an address").port());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(|stream| stream.ok()) {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).is_ok_and(|count| count > 0) {}
            let mut body = [0; 12];
            if reader.read_exact(&mut body).is_err() {
                return;
            }
            let moved = head.starts_with("POST /moved");
            let _ = told.send((head, body));
            let mut stream = stream;
            if moved {
                reply(&mut stream, "302 Found", "Connection: close\r\nLocation: /\r\n", b"");
            } else {
                reply(&mut stream, "200 OK", "Connection: close\r\n", b"");
            }
        }
    });
    let post = |path: &str| {
        let mut source = http(&format!("http://me:secret@{base}{path}"));
        source["body"] = json!("{\"a\":\"\u{e4}\"}\n\n");
        pipeline(source, json!([]), json!({"kind": "discard"}))
    };
    assert!(post("/report").is_ok());
    let (head, body) = heard.recv().expect("a request");
    let head = head.to_lowercase();
    assert!(head.starts_with("post /report http/1.1\r\n"), "{head}");
    for line in
        ["content-length: 12", "content-type: application/x-ndjson", "authorization: basic bwu6c2vjcmv0"]
    {
        assert!(head.contains(&format!("{line}\r\n")), "{line} is not in {head}");
    }
    assert_eq!(String::from_utf8_lossy(&body), "{\"a\":\"\u{e4}\"}\n\n");
    let moved = error(post("/moved"));
    assert_eq!((moved.code.as_str(), moved.status), ("HTTP", Some(302)));
    assert!(!moved.subject.contains("secret"), "{}", moved.subject);
    assert_eq!(heard.recv().expect("a request").1.len(), 12);
    assert!(heard.try_recv().is_err(), "it was asked again");
}

#[test]
fn redirects_are_followed() {
    let url = serve(|head, stream| match head.split(' ').nth(1) {
        Some("/old") => reply(stream, "302 Found", "Location: /new\r\n", b""),
        Some("/loop") => reply(stream, "302 Found", "Location: /loop\r\n", b""),
        _ => reply(stream, "200 OK", "", b"new"),
    });
    assert!(pipeline(http(&format!("{url}/old")), json!([]), text()).is_ok());
    assert_eq!(error(pipeline(http(&format!("{url}/loop")), json!([]), text())).code, "ELOOP");
}

#[test]
fn a_short_body_is_truncated() {
    let url = serve(|head, stream| {
        let answer = if head.contains("/chunked") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        } else {
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
        };
        let _ = stream.write_all(answer.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Both);
    });
    let short = error(pipeline(http(&format!("{url}/short")), json!([]), text()));
    assert_eq!(short.code, "TRUNCATED");
    assert!(short.message.contains("9 of 100"), "{}", short.message);
    assert_eq!(error(pipeline(http(&format!("{url}/chunked")), json!([]), text())).code, "TRUNCATED");
}

#[test]
fn each_deadline_is_named() {
    let silent = serve(|_, _| ());
    let began = Instant::now();
    let stall = error(pipeline(http_within(&silent, 5000, 300, 9000), json!([]), text()));
    assert_eq!(stall.code, "TIMEOUT");
    assert!(stall.message.contains("stall deadline"), "{}", stall.message);
    assert!(began.elapsed() < Duration::from_secs(4));

    let dripping = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
        while stream.write_all(b".").is_ok() {
            std::thread::yield_now();
        }
    });
    let total = error(pipeline(http_within(&dripping, 5000, 5000, 400), json!([]), text()));
    assert_eq!(total.code, "TIMEOUT", "{}", total.message);
    assert!(total.message.contains("total deadline"), "{}", total.message);

    // A listener whose backlog is full does not answer a connection.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    rustix::net::listen(&listener, 0).expect("a small backlog");
    let address = listener.local_addr().expect("an address");
    let _first = std::net::TcpStream::connect(address).expect("a connection");
    let connect =
        error(pipeline(http_within(&format!("http://{address}"), 400, 5000, 9000), json!([]), text()));
    assert_eq!(connect.code, "TIMEOUT", "{}", connect.message);
    assert!(connect.message.contains("connect deadline"), "{}", connect.message);
}

#[test]
fn a_cancel_is_heard_while_the_server_is_silent() {
    let (told, asked) = std::sync::mpsc::channel();
    let url = serve(move |_, _| told.send(()).expect("the test waits"));
    let cancel = Cancel::default();
    let running = cancel.clone();
    let thread = std::thread::spawn(move || error(pipeline_with(http(&url), json!([]), text(), &running)));
    asked.recv().expect("the request");
    let began = Instant::now();
    cancel.cancel();
    assert_eq!(thread.join().expect("the pipeline").code, "ABORTED");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_refused_connection_and_an_unknown_name() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let refused = error(pipeline(http(&format!("http://{address}/")), json!([]), text()));
    assert_eq!((refused.code.as_str(), refused.operation.as_str()), ("ECONNREFUSED", "pipeline.http"));
    let unknown = error(pipeline(http("http://no-such-host.invalid/"), json!([]), text()));
    assert_eq!(unknown.code, "DNS");
    assert!(unknown.message.contains("no-such-host.invalid"), "{}", unknown.message);
}

#[test]
fn a_password_goes_to_the_server_and_nowhere_else() {
    let (told, asked) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let url = serve(move |head, stream| {
        told.lock().expect("no panic").send(head.to_owned()).expect("the test waits");
        reply(stream, "403 Forbidden", "", b"");
    });
    let url = url.replace("http://", "http://kiosk:s%3Acret@");
    let error = error(pipeline(http(&url), json!([]), text()));
    let head = asked.recv().expect("a request").to_lowercase();
    assert!(head.contains("authorization: basic a2lvc2s6czpjcmv0"), "{head}");
    let all = serde_json::to_string(&error).expect("JSON");
    assert!(!all.contains("cret") && !all.contains("kiosk"), "{all}");
}

#[test]
fn a_kept_connection_that_the_server_closes_is_no_answer() {
    let turn = AtomicU32::new(0);
    let url = serve(move |_, stream| match turn.fetch_add(1, Ordering::SeqCst) {
        1 => drop(stream.shutdown(std::net::Shutdown::Both)),
        _ => reply(stream, "200 OK", "", b"here"),
    });
    for _ in 0..2 {
        match pipeline(http(&url), json!([]), text()) {
            Ok(Outcome { made: Made::Text { text }, .. }) => assert_eq!(text, "here"),
            other => panic!("{:?}", other.err()),
        }
    }
}

/// Fetches with a client that trusts these authorities.
fn fetch_trusting(roots: &[&str], url: &str) -> crate::error::Result<String> {
    fetch_as("/no/identity", roots, http(url))
}

pub fn fetch_as(identity: &str, roots: &[&str], source: serde_json::Value) -> crate::error::Result<String> {
    use crate::pipeline::{failure::sys_error, http, request, watch};
    let asked: request::Http = serde_json::from_value(source).expect("a source");
    let url = asked.url.as_str();
    let watch = std::rc::Rc::new(watch::Watch::new("http", url, &Cancel::default(), None).expect("a watch"));
    let (client, emit) = (http::client(roots, identity), crate::ops::Emit::new(|_| ()));
    watch::watched(&watch, || {
        let mut text = String::new();
        http::open_with(&client, &asked, &watch, &emit)?.reader.read_to_string(&mut text).map(|_| text)
    })
    .map_err(|error| sys_error(error, "http", url))
}

#[test]
fn https_without_any_authority_says_so() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let error = fetch_trusting(&[], &format!("https://{address}/")).expect_err("no authority");
    assert_eq!(error.code, "TLS");
    assert!(error.message.contains("/etc/ssl/cert.pem"), "{}", error.message);
}

/// Ends with the test.
pub struct Server(std::process::Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A certificate that signs itself, and its key beside it. None without openssl.
pub fn certificate(dir: &Directory, name: &str) -> Option<String> {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-days",
            "2",
        ])
        .args(["-subj", &format!("/CN={name}"), "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &dir.text(&format!("{name}.key")), "-out", &dir.text(name)])
        .output();
    if made.is_ok_and(|output| output.status.success()) {
        return Some(dir.text(name));
    }
    eprintln!("\nSKIPPED: this test needs openssl\n");
    None
}

/// Serves the files of the directory; gives its URL.
pub fn serve_securely(dir: &Directory, name: &str, more: &[&str]) -> (Server, String) {
    use std::process::{Command, Stdio};
    let mut server = Server(
        Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-WWW", "-cert", name, "-key"])
            .arg(format!("{name}.key"))
            .args(more)
            .current_dir(&dir.0)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a server"),
    );
    let said = BufReader::new(server.0.stdout.take().expect("its words"));
    let mut lines = said.lines().map_while(|line| line.ok());
    let port = lines.find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next().map(str::to_owned));
    let port = port.expect("a port");
    // It would end when nobody reads what it says.
    std::thread::spawn(move || lines.for_each(drop));
    (server, format!("https://127.0.0.1:{port}"))
}

#[test]
fn https_trusts_whom_it_is_told_to() {
    let dir = Directory::new();
    dir.file("page", b"secret page");
    let (Some(ours), Some(stranger)) = (certificate(&dir, "ours"), certificate(&dir, "stranger")) else {
        return;
    };
    let (_server, base) = serve_securely(&dir, "ours", &[]);
    let url = format!("{base}/page");
    assert_eq!(fetch_trusting(&[&dir.text("missing"), &ours], &url).expect("a page"), "secret page");
    let untrusted = fetch_trusting(&[&stranger], &url).expect_err("a stranger");
    assert_eq!((untrusted.code.as_str(), untrusted.operation.as_str()), ("TLS", "pipeline.http"));
    let other = fetch_trusting(&[&ours], &url.replace("127.0.0.1", "localhost")).expect_err("another name");
    assert_eq!(other.code, "TLS");
    assert!(other.message.contains("no secure connection"), "{}", other.message);
}

#[test]
fn a_server_that_asks_who_we_are_is_told() {
    let dir = Directory::new();
    dir.file("page", b"for us alone");
    let (Some(server), Some(us)) = (certificate(&dir, "server"), certificate(&dir, "us")) else { return };
    let identity = dir.file(
        "client.pem",
        &[std::fs::read(&us).expect("a certificate"), std::fs::read(dir.join("us.key")).expect("a key")]
            .concat(),
    );
    let asking = ["-Verify", "1", "-verify_return_error", "-CAfile", "us"];
    let (_server, base) = serve_securely(&dir, "server", &asking);
    let url = format!("{base}/page");
    assert_eq!(fetch_as(&identity, &[&server], http(&url)).expect("a page"), "for us alone");
    let refused = fetch_trusting(&[&server], &url).expect_err("nobody");
    assert_eq!(refused.code, "TLS", "{}", refused.message);
}

#[test]
fn progress_counts_to_the_announced_length() {
    let url = serve(|_, stream| reply(stream, "200 OK", "", &vec![b'x'; 3 << 20]));
    let events = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = events.clone();
    let emit = crate::ops::Emit::new(move |event| seen.lock().expect("no panic").push(event));
    let json = json!({"source": http(&url), "filters": [], "sink": {"kind": "text", "bytes": 4 << 20}});
    let pipeline = serde_json::from_value(json).expect("a pipeline");
    assert!(crate::pipeline::run(&pipeline, &Cancel::default(), &emit).is_ok());
    let events = events.lock().expect("no panic");
    let last: serde_json::Value = serde_json::from_str(events.last().expect("an event")).expect("JSON");
    assert_eq!(last, json!({"bytes": 3 << 20, "total": 3 << 20}));
}

#[test]
fn what_the_server_says_of_the_state_is_told_and_asked_with() {
    let url = serve(|head, stream| {
        let asked = |line: &str| head.lines().any(|found| found.eq_ignore_ascii_case(line));
        let long = format!("ETag: \"{}\"\r\nLast-Modified: yesterday\r\n", "x".repeat(600));
        match head.split(' ').nth(1) {
            Some("/none") => reply(stream, "200 OK", "", b"new"),
            Some("/long") => reply(stream, "200 OK", &long, b"new"),
            Some("/moved") => reply(stream, "302 Found", "Location: /file\r\nETag: \"not this\"\r\n", b""),
            _ if asked("If-None-Match: \"v1\"")
                || asked("If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT") =>
            {
                let _ = stream.write_all(b"HTTP/1.1 304 Not Modified\r\nETag: \"v1\"\r\n\r\n");
            }
            _ => reply(
                stream,
                "200 OK",
                "ETag: \"v1\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
                b"new",
            ),
        }
    });
    let state = |path: &str| {
        let outcome = pipeline(http(&format!("{url}{path}")), json!([]), json!({"kind": "discard"}));
        serde_json::to_value(outcome.expect("an answer")).expect("JSON")
    };
    let whole = json!({"etag": "\"v1\"", "lastModified": "Thu, 01 Jan 1970 00:00:00 GMT"});
    assert_eq!(state("/file"), json!({"bytes": 3, "validator": whole}));
    assert_eq!(state("/moved"), json!({"bytes": 3, "validator": whole}));
    assert_eq!(state("/none"), json!({"bytes": 3}));
    assert_eq!(state("/long"), json!({"bytes": 3, "validator": {"lastModified": "yesterday"}}));

    let ask = |validator: serde_json::Value| {
        let mut source = http(&format!("{url}/file"));
        source["unlessStill"] = validator;
        pipeline(source, json!([]), text())
    };
    for same in [whole, json!({"etag": "\"v1\""}), json!({"lastModified": "Thu, 01 Jan 1970 00:00:00 GMT"})] {
        let unchanged = error(ask(same));
        assert_eq!((unchanged.code.as_str(), unchanged.status), ("HTTP", Some(304)));
        assert!(unchanged.message.contains("unchanged"), "{}", unchanged.message);
    }
    assert!(ask(json!({"etag": "\"v0\""})).is_ok());
    assert!(ask(json!({})).is_ok());
    assert_eq!(error(ask(json!({"etag": "\"v1\"\r\nHost: other"}))).code, "EINVAL");
}

#[test]
fn an_announced_length_over_the_limit_is_refused_before_a_byte_is_read() {
    // A body that never comes: only the announcement can refuse it.
    let url = serve(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
    });
    let digest = json!({"kind": "digest", "algorithm": "sha256", "expected": ""});
    let limit = json!({"kind": "limit", "bytes": 4999});
    let refused = |filters| error(pipeline(http_within(&url, 5000, 300, 9000), filters, text()));
    for filters in [json!([limit]), json!([digest, limit, {"kind": "gunzip"}])] {
        let error = refused(filters);
        assert_eq!((error.code.as_str(), error.operation.as_str()), ("TOO_BIG", "pipeline.limit"));
        assert!(error.message.contains("5000") && error.message.contains("4999"), "{}", error.message);
    }
    // A length that changes on the way says nothing.
    let decrypt = json!({"kind": "decrypt", "cipher": "aes-256-cbc", "keyDerivation": "md5", "password": ""});
    for filter in [json!({"kind": "gunzip"}), json!({"kind": "unzstd"}), decrypt] {
        assert_eq!(refused(json!([filter, limit])).code, "TIMEOUT");
    }
    assert_eq!(refused(json!([{"kind": "limit", "bytes": 5000}])).code, "TIMEOUT");
}

/// src/network/fetch-errors.ts looks for these words, to name the clock.
#[test]
fn a_certificate_of_another_time_is_refused_in_words_that_say_so() {
    use rustls::CertificateError::{ExpiredContext, NotValidYetContext};
    use rustls::pki_types::UnixTime;
    let at = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
    let early = rustls::Error::InvalidCertificate(NotValidYetContext { time: at(5), not_before: at(9) });
    let late = rustls::Error::InvalidCertificate(ExpiredContext { time: at(9), not_after: at(5) });
    assert!(early.to_string().contains("certificate not valid yet"), "{early}");
    assert!(late.to_string().contains("certificate expired"), "{late}");
}
