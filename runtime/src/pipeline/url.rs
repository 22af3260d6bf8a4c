//! The parts of a URL that a pipeline needs, and the URL as it may be shown: without its password.

use std::borrow::Cow;

/// The `user:password` of a URL, percent-decoded, and the URL without it. Nothing else of the URL changes.
pub fn split_userinfo(url: &str) -> (Option<Vec<u8>>, Cow<'_, str>) {
    let Some((scheme, rest)) = url.split_once("://") else { return (None, Cow::Borrowed(url)) };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => {
            (Some(percent_decode(&rest[..at])), Cow::Owned(format!("{scheme}://{}", &rest[at + 1..])))
        }
        None => (None, Cow::Borrowed(url)),
    }
}

/// Host and port without the zone of a link-local address, which is nobody else's business (RFC 6874, 4); `None`
/// where there is no zone. Of a URL whose userinfo is gone.
pub fn without_zone(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://[")?;
    let (address, rest) = rest.split_once(']')?;
    let (address, _) = address.split_once('%')?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    Some(format!("[{address}]{}", &rest[..end]))
}

/// RFC 3986, 2.1. What is not a valid escape stays as it is.
pub fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        match escape {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// `host`, `port` and `/path` of a URL whose userinfo is gone.
pub fn host_port_path(url: &str, default_port: u16) -> Option<(&str, u16, &str)> {
    let (_, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let colon = authority.rfind(':').filter(|&colon| !authority[colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&authority[..colon], authority[colon + 1..].parse().ok()?),
        None => (authority, default_port),
    };
    (!host.is_empty()).then_some((host, port, path))
}

/// RFC 4648, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = (0..3).fold(0u32, |group, at| group << 8 | u32::from(*chunk.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * at)) as usize & 63];
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_taken_out_of_a_url() {
        let (user, url) = split_userinfo("http://kiosk:p%40ss@server:81/a@b?c=d");
        assert_eq!(user.as_deref(), Some(&b"kiosk:p@ss"[..]));
        assert_eq!(url, "http://server:81/a@b?c=d");
        assert_eq!(split_userinfo("http://server/a@b").0, None);
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(host_port_path("tftp://[fd00::1]/a/b", 69), Some(("[fd00::1]", 69, "/a/b")));
        assert_eq!(host_port_path("tftp://server:1069/a", 69), Some(("server", 1069, "/a")));
        assert_eq!(host_port_path("tftp://server:x/a", 69), None);
    }

    #[test]
    fn zones_stay_here() {
        assert_eq!(without_zone("http://[fe80::1%25eth0]:81/a%b").as_deref(), Some("[fe80::1]:81"));
        assert_eq!(without_zone("http://[fe80::1%eth0]").as_deref(), Some("[fe80::1]"));
        assert_eq!(without_zone("http://[fe80::1]/a%25b"), None);
        assert_eq!(without_zone("http://server/%25b"), None);
    }

    #[test]
    fn base64_of_every_remainder() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
