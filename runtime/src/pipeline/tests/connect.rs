//! Which of a host's addresses is connected to, and proxies.

use super::support::*;
use crate::pipeline::connect::remember;
use crate::pipeline::{Made, Outcome};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

fn text_of(result: crate::error::Result<Outcome>) -> String {
    match result {
        Ok(Outcome { made: Made::Text { text }, .. }) => text,
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_url_with_a_literal_ipv6_address_is_fetched() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("\nSKIPPED: a_url_with_a_literal_ipv6_address_is_fetched needs IPv6\n");
        return;
    };
    let port = listener.local_addr().expect("an address").port();
    let (told, heads) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut head = [0; 1000];
            let length = stream.read(&mut head).expect("a request");
            let _ = told.send(String::from_utf8_lossy(&head[..length]).to_lowercase());
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    // A zone is for this machine alone, and is not told.
    for host in ["::1", "::1%25lo", "::1%lo", "::1%251"] {
        assert_eq!(
            text_of(pipeline(http(&format!("http://[{host}]:{port}/x")), json!([]), text())),
            "hello",
            "{host}"
        );
        let head = heads.recv().expect("a request");
        assert!(head.contains(&format!("host: [::1]:{port}\r\n")), "{host}: {head}");
        assert_eq!(head.matches("host:").count(), 1, "{head}");
    }
    let unknown = error(pipeline(http(&format!("http://[::1%25no0]:{port}/")), json!([]), text()));
    assert_eq!(unknown.code, "DNS", "{}", unknown.message);
}

#[test]
fn a_host_that_was_reached_is_gone_to_without_asking_and_asked_for_where_that_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.read(&mut [0; 1000]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        }
    });
    let fetch =
        |host: &str| text_of(pipeline(http(&format!("http://{host}:{}/x", at.port())), json!([]), text()));
    // Nobody knows this name.
    remember("reached.invalid", Some(at));
    assert_eq!(fetch("reached.invalid"), "hello");
    // Nobody listens there.
    remember("localhost", Some(([127, 0, 0, 2], at.port()).into()));
    assert_eq!(fetch("localhost"), "hello");
}

#[test]
fn a_proxy_is_handed_the_whole_url_and_its_password_and_nobody_else() {
    let (told, heads) = channel();
    let told = std::sync::Mutex::new(told);
    let proxy = serve(move |head, stream| {
        told.lock().expect("no panic").send(head.to_owned()).expect("the test waits");
        match head.split(' ').nth(1) {
            Some("http://server.invalid:81/moved") => {
                reply(stream, "302 Found", "Location: http://other.invalid/there\r\n", b"")
            }
            Some("http://server.invalid/denied") => {
                reply(stream, "407 Proxy Authentication Required", "", b"")
            }
            _ => reply(stream, "200 OK", "", b"through"),
        }
    });
    let by = |url: &str, proxy: &str| {
        let mut source = http(url);
        source["proxy"] = json!(proxy);
        pipeline(source, json!([]), text())
    };
    let with_password = proxy.replace("http://", "http://us%40er:p%3Aw@");
    assert_eq!(text_of(by("http://a:b@server.invalid/x?y=1", &with_password)), "through");
    let head = heads.recv().expect("a request");
    assert!(head.starts_with("GET http://server.invalid/x?y=1 HTTP/1.1\n"), "{head}");
    let lower = head.to_lowercase();
    assert!(lower.contains("host: server.invalid\n"), "{head}");
    // us@er:p:w and a:b.
    assert!(head.contains("Proxy-Authorization: Basic dXNAZXI6cDp3"), "{head}");
    assert!(lower.contains("authorization: basic ytpi"), "{head}");

    // The second request is of another server, over the same proxy.
    assert_eq!(text_of(by("http://server.invalid:81/moved", &proxy)), "through");
    assert!(heads.recv().expect("a request").starts_with("GET http://server.invalid:81/moved "));
    assert!(heads.recv().expect("a request").starts_with("GET http://other.invalid/there "));

    let denied = error(by("http://server.invalid/denied", &with_password));
    assert_eq!((denied.code.as_str(), denied.status), ("HTTP", Some(407)));
    assert!(
        denied.message.starts_with(&format!("by the proxy {proxy}: the server answered 407")),
        "{}",
        denied.message
    );
    let all = serde_json::to_string(&denied).expect("JSON");
    assert!(!all.contains("us%40er") && !all.contains("p%3Aw"), "{all}");
}

#[test]
fn a_proxy_that_is_not_there_is_named() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let through = |proxy: &str| {
        let mut source = http("http://server.invalid/");
        source["proxy"] = json!(proxy);
        error(pipeline(source, json!([]), text()))
    };
    let refused = through(&format!("http://user:secret@{address}"));
    assert_eq!(refused.code, "ECONNREFUSED");
    assert_eq!(
        refused.message,
        format!("by the proxy http://{address}: no connection to {address}: Connection refused")
    );
    let unknown = through("http://proxy.invalid:3128");
    assert_eq!(unknown.code, "DNS");
    assert!(
        unknown
            .message
            .starts_with("by the proxy http://proxy.invalid:3128: the name proxy.invalid was not resolved"),
        "{}",
        unknown.message
    );
}

/// A proxy that answers CONNECT with this and, if that is a success, passes bytes on to `to`.
fn tunnel(answer: &'static str, to: Option<u16>) -> (String, Receiver<String>) {
    let (told, heads) = channel();
    let told = std::sync::Mutex::new(told);
    let url = serve(move |head, stream| {
        let _ = told.lock().expect("no panic").send(head.to_owned());
        let _ = stream.write_all(answer.as_bytes());
        let Some(port) = to else { return };
        let server = TcpStream::connect(("127.0.0.1", port)).expect("the server");
        let (mut from, mut back) =
            (stream.try_clone().expect("a stream"), server.try_clone().expect("a stream"));
        let (mut server, mut stream) = (server, stream.try_clone().expect("a stream"));
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut stream);
        });
        let _ = std::io::copy(&mut from, &mut server);
    });
    (url, heads)
}

#[test]
fn https_goes_through_a_tunnel_of_the_proxy() {
    use super::network::{certificate, fetch_as, serve_securely};
    let dir = Directory::new();
    dir.file("page", b"secret page");
    let Some(ours) = certificate(&dir, "ours") else { return };
    let (_server, base) = serve_securely(&dir, "ours", &[]);
    let port: u16 = base.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let fetch = |proxy: &str| {
        let mut source = http(&format!("{base}/page"));
        source["proxy"] = json!(proxy);
        fetch_as("/no/identity", &[&ours], source)
    };
    let (proxy, heads) = tunnel("HTTP/1.1 200 Connection established\r\n\r\n", Some(port));
    let proxy = proxy.replace("http://", "http://user:secret@");
    assert_eq!(fetch(&proxy).expect("a page"), "secret page");
    let head = heads.recv().expect("a request");
    assert!(head.starts_with(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\n")), "{head}");
    assert!(head.contains("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ="), "{head}");

    let (proxy, _) = tunnel("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", None);
    let denied = fetch(&proxy).expect_err("denied");
    assert_eq!((denied.code.as_str(), denied.status), ("HTTP", Some(407)));
    assert_eq!(denied.message, format!("by the proxy {proxy}: it answered 407 to CONNECT"));
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    use super::network::{certificate, fetch_as, serve_securely};
    let dir = Directory::new();
    let plain = serve(|_, stream| reply(stream, "200 OK", "", b"anybody's"));
    dir.file("moved", format!("HTTP/1.0 302 Found\r\nLocation: {plain}/x\r\n\r\n").as_bytes());
    let Some(ours) = certificate(&dir, "ours") else { return };
    // -HTTP: files hold whole answers.
    let (_server, base) = serve_securely(&dir, "ours", &["-HTTP"]);
    let error = fetch_as("/no/identity", &[&ours], http(&format!("{base}/moved"))).expect_err("a redirect");
    assert_eq!(
        (error.code.as_str(), error.message.contains("from https to http")),
        ("TLS", true),
        "{}",
        error.message
    );
}
