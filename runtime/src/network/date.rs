//! The `Date` of a web server's answer (RFC 9110, 6.6.1), asked for in the clear: before the clock is right no certificate
//! counts, and no secure connection comes about.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// More head than this is not read.
const MOST: u64 = 8192;

/// The header's text. `host`: what the request names.
pub fn ask(server: SocketAddr, host: &str, timeout: Duration) -> Result<String> {
    let until = Instant::now() + timeout;
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_write_timeout(Some(timeout))?;
    // In one piece: a server that answers the first packet and closes would reset what the others bring.
    let request =
        format!("HEAD / HTTP/1.0\r\nHost: {host}\r\nUser-Agent: diskless\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    loop {
        if let Some(date) = find(&head) {
            return Ok(date);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part) {
            Ok(count) if count > 0 && head.len() as u64 <= MOST => head.extend_from_slice(&part[..count]),
            Ok(_) => return Err(Error::other("its answer has no date")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(error) => return Err(error),
        }
    }
}

/// In the lines that are whole.
fn find(head: &[u8]) -> Option<String> {
    let whole = &head[..=head.iter().rposition(|&byte| byte == b'\n')?];
    let text = String::from_utf8_lossy(whole);
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| value.trim().chars().take(64).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::{Chance, inputs};
    use std::net::TcpListener;

    /// Longer than any machine needs to answer itself.
    const PATIENT: Duration = Duration::from_secs(60);
    /// For what never comes.
    const SHORT: Duration = Duration::from_millis(300);

    fn answered(answer: &'static [u8], timeout: Duration) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            // A client that has read enough closes, and resets what is still on its way.
            let _ = stream.write_all(answer);
            // Kept open when there is no answer: the client's patience ends it.
            let _ = stream.read(&mut [0; 1]);
            String::from_utf8_lossy(&request).into_owned()
        });
        let date = ask(address, "example.org", timeout);
        assert!(server.join().expect("no panic").contains("\r\nHost: example.org\r\n"));
        date
    }

    #[test]
    fn is_read_whatever_the_server_thinks_of_the_request() {
        let answer =
            b"HTTP/1.1 403 Forbidden\r\nServer: x\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nno\r\n";
        assert_eq!(answered(answer, PATIENT).expect("a date"), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn heads_fuzzed() {
        let good = [b"HTTP/1.1 403 No\r\nServer: x\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n".to_vec()];
        let mut chance = Chance::new();
        for _ in 0..inputs(20_000) {
            let date = find(&chance.damaged(&good)).unwrap_or_default();
            assert!(date.chars().count() <= 64, "{date}");
        }
    }

    #[test]
    fn half_a_line_silence_and_endless_heads_are_no_date() {
        assert_eq!(
            answered(b"HTTP/1.1 200 OK\r\nDate: Sun, 06", SHORT).expect_err("half").kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(answered(b"", SHORT).expect_err("nothing").kind(), ErrorKind::TimedOut);
        assert_eq!(answered(&[b'x'; 20_000], PATIENT).expect_err("endless").kind(), ErrorKind::Other);
    }
}
