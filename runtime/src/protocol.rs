//! What engine and supervisor tell each other: one JSON value a packet, over a socket pair of SOCK_SEQPACKET.

use crate::error::SysError;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::os::fd::{AsFd, OwnedFd};

/// The longest packet. Last words are cut to fit.
const PACKET: usize = 64 << 10;

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    Shell,
    Retry,
    Reboot,
}

/// `FatalPolicy` of `Sys`.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    pub action: Action,
    pub delay_ms: u64,
    pub consoles: Vec<String>,
}

/// `Handoff` of `Sys`.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Handoff {
    pub root: String,
    pub init: String,
    pub arguments: Vec<String>,
    pub console: String,
    /// The lease keeper's plan, JSON; none where there is no lease to keep.
    #[serde(default)]
    pub keeper: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub enum Reboot {
    Reboot,
    Poweroff,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
pub enum ToSupervisor {
    Policy(Policy),
    Note(String),
    /// The engine's last words: it ends right after.
    Fatal(String),
    Handoff(Handoff),
    Reboot(Reboot),
}

/// The handoff cannot be done, and nothing has been touched.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
pub struct Refused {
    pub code: String,
    pub subject: String,
    pub message: String,
}

impl Refused {
    pub fn new(code: &str, subject: &str, message: impl Into<String>) -> Self {
        Refused { code: code.to_owned(), subject: subject.to_owned(), message: message.into() }
    }

    pub fn os(subject: &str, error: impl Into<std::io::Error>) -> Self {
        let error = SysError::os("", subject, error);
        Refused { code: error.code, subject: error.subject, message: error.message }
    }
}

pub fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

pub fn send<T: Serialize>(link: impl AsFd, message: &T) -> std::io::Result<()> {
    let packet = serde_json::to_vec(message).map_err(std::io::Error::other)?;
    rustix::net::send(link, &packet, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next packet; none when the other end is closed.
pub fn receive<T: DeserializeOwned>(link: impl AsFd) -> std::io::Result<Option<T>> {
    let mut packet = vec![0; PACKET];
    let (length, _) =
        rustix::io::retry_on_intr(|| rustix::net::recv(&link, &mut packet[..], RecvFlags::empty()))?;
    match length {
        0 => Ok(None),
        length => serde_json::from_slice(&packet[..length]).map(Some).map_err(std::io::Error::other),
    }
}

/// Text that fits into a packet whatever JSON makes of its characters: the beginning, where the failure is named.
pub fn cut(text: &str) -> String {
    let mut end = text.len().min(PACKET / 8);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_borders_and_last_words_always_fit() {
        let (one, other) = pair().unwrap();
        let words = cut(&"\u{1}é".repeat(PACKET));
        send(&one, &ToSupervisor::Fatal(words.clone())).unwrap();
        send(&one, &ToSupervisor::Note("second".into())).unwrap();
        drop(one);
        match receive(&other).unwrap() {
            Some(ToSupervisor::Fatal(text)) => assert_eq!(text, words),
            unexpected => panic!("{unexpected:?}"),
        }
        assert!(matches!(receive(&other).unwrap(), Some(ToSupervisor::Note(text)) if text == "second"));
        assert!(receive::<ToSupervisor>(&other).unwrap().is_none());
    }
}
