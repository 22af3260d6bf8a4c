//! `init shell`: the emergency shell of one console, as open as the image was built to be.

use crate::terminal::Settings;
use serde::Deserialize;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// sysexits.h EX_NOPERM: this image has no shell, or no password was right. src/init/shells.ts knows it too.
pub const REFUSED: i32 = 77;

/// The builder writes it.
const CONFIGURATION: &str = "/etc/diskless/config.json";
const TRIES: u32 = 3;

#[derive(Deserialize, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Kind {
    Open,
    Password { hash: String },
    None,
}

#[derive(Deserialize)]
struct Configuration {
    shell: Kind,
}

/// An image whose configuration cannot be read has no shell: pulling a cable must not make anyone root.
pub fn configured() -> Result<Kind, String> {
    let text = std::fs::read_to_string(CONFIGURATION).map_err(|error| format!("{CONFIGURATION}: {error}"))?;
    let configuration: Configuration =
        serde_json::from_str(&text).map_err(|error| format!("{CONFIGURATION}: {error}"))?;
    Ok(configuration.shell)
}

/// Runs the shell in place of this process, or says why there is none.
pub fn run() -> i32 {
    match configured() {
        Ok(Kind::Open) => {}
        Ok(Kind::Password { hash }) => {
            if !(0..TRIES).any(|_| ask(&hash)) {
                eprintln!("Three wrong passwords.");
                return REFUSED;
            }
        }
        Ok(Kind::None) => {
            eprintln!("This image was built without an emergency shell.");
            return REFUSED;
        }
        Err(text) => {
            eprintln!("No emergency shell: {text}");
            return REFUSED;
        }
    }
    let error = open();
    eprintln!("/bin/busybox: {error}");
    REFUSED
}

fn ask(hash: &str) -> bool {
    let answer = read_secret("Password for the emergency shell: ");
    eprintln!();
    match answer {
        Ok(password) => verify(hash, password.as_bytes()) == Some(true),
        Err(error) => {
            eprintln!("the password cannot be read: {error}");
            false
        }
    }
}

/// One line of standard input, without echo where that is a terminal. The echo is off before anybody is asked.
fn read_secret(question: &str) -> std::io::Result<String> {
    use rustix::termios::LocalModes;
    let stdin = std::io::stdin();
    let quiet = Settings::change(&stdin, |settings| settings.local_modes.remove(LocalModes::ECHO))?;
    eprint!("{question}");
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    drop(quiet);
    read?;
    Ok(line.trim_end_matches('\n').to_owned())
}

/// `pbkdf2-sha256$ITERATIONS$SALT$HASH`, salt and hash in hex. None: the hash is not of that form.
fn verify(hash: &str, password: &[u8]) -> Option<bool> {
    let mut parts = hash.split('$');
    let (algorithm, iterations) = (parts.next()?, parts.next()?.parse().ok()?);
    let (salt, expected) = (unhex(parts.next()?)?, unhex(parts.next()?)?);
    if algorithm != "pbkdf2-sha256" || parts.next().is_some() || expected.len() < 16 {
        return None;
    }
    Some(
        ring::pbkdf2::verify(ring::pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password, &expected)
            .is_ok(),
    )
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

/// Returns why it could not.
fn open() -> std::io::Error {
    // Applets that cannot be linked are still there as `busybox NAME`.
    let _ = Command::new("/bin/busybox").args(["--install", "-s", "/bin"]).output();
    if let Ok(greeting) = std::env::var("DISKLESS_GREETING") {
        let _ = writeln!(std::io::stderr(), "\n{greeting}");
    }
    let _ = writeln!(
        std::io::stderr(),
        "Commands: retry tries again; log, plan and timeline show what happened, was decided, and took time.\n"
    );
    let terminal = std::env::var("TERM").unwrap_or_else(|_| "vt102".to_owned());
    Command::new("/bin/busybox")
        .arg0("sh")
        .env_clear()
        .envs([("PATH", "/bin:/sbin:/usr/bin:/usr/sbin"), ("HOME", "/"), ("PS1", "diskless# ")])
        .env("TERM", terminal)
        .exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_against_its_hash() {
        // RFC 7914, section 11: PBKDF2-HMAC-SHA-256 of "passwd" and "salt", one iteration.
        let hash =
            "pbkdf2-sha256$1$73616c74$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc";
        assert_eq!(verify(hash, b"passwd"), Some(true));
        assert_eq!(verify(hash, b"passwd "), Some(false));
        assert_eq!(verify(hash, b""), Some(false));
    }

    #[test]
    fn a_broken_hash_lets_nobody_in() {
        for hash in [
            "",
            "pbkdf2-sha256$1$73616c74$",
            "pbkdf2-sha256$1$zz$00",
            "crypt$1$00$00",
            "pbkdf2-sha256$0$00$é",
        ] {
            assert_eq!(verify(hash, b""), None, "{hash}");
        }
    }

    #[test]
    fn kinds_of_shell() {
        let kind = |json: &str| serde_json::from_str::<Configuration>(json).map(|found| found.shell);
        assert_eq!(kind(r#"{"buildTime":1,"version":"0","shell":{"kind":"open"}}"#).unwrap(), Kind::Open);
        assert_eq!(kind(r#"{"shell":{"kind":"none"}}"#).unwrap(), Kind::None);
        assert_eq!(
            kind(r#"{"shell":{"kind":"password","hash":"x"}}"#).unwrap(),
            Kind::Password { hash: "x".into() }
        );
        assert!(kind(r#"{"shell":{"kind":"password"}}"#).is_err());
        assert!(kind("{}").is_err());
    }
}
