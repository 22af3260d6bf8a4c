//! What the real openssl encrypted, and what is only something like it.

use super::support::*;
use crate::error::{Result, SysError};
use crate::pipeline::{Made, Outcome};
use serde_json::{Value, json};
use std::process::Command;

const PASSWORD: &str = "hunter2 ünïcode";

/// None, and a word, without openssl.
fn encrypt(dir: &Directory, cipher: &str, derivation: &str, plain: &[u8]) -> Option<Vec<u8>> {
    let from = dir.file("plain", plain);
    let derive: &[&str] = if derivation == "pbkdf2" { &["-pbkdf2"] } else { &["-md", derivation] };
    let output = Command::new("openssl")
        .args(["enc", &format!("-{cipher}"), "-salt", "-pass", &format!("pass:{PASSWORD}"), "-in", &from])
        .args(derive)
        .output();
    match output {
        Ok(output) if output.status.success() => Some(output.stdout),
        _ => {
            eprintln!("\nSKIPPED: there is no openssl to encrypt with\n");
            None
        }
    }
}

fn decrypt(cipher: &str, derivation: &str, password: &str) -> Value {
    json!({"kind": "decrypt", "cipher": cipher, "keyDerivation": derivation, "password": password})
}

fn text_of(outcome: Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome { made: Made::Text { text }, .. }) => text,
        other => panic!("not a text: {:?}", other.err()),
    }
}

fn refused(dir: &Directory, bytes: &[u8], filters: Value) -> SysError {
    let path = dir.file("refused", bytes);
    let error = error(pipeline(file(&path), filters, text()));
    let said = serde_json::to_string(&error).expect("JSON");
    assert!(!said.contains(PASSWORD) && !said.contains("not the one"), "{said}");
    error
}

#[test]
fn every_cipher_and_derivation_of_openssl_enc_is_read() {
    let dir = Directory::new();
    for cipher in ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"] {
        for derivation in ["pbkdf2", "sha256", "md5"] {
            // Around a block, and around what is decrypted at a time.
            for length in [0, 1, 15, 16, 17, 32, 65_503, 65_504, 65_536, 200_001] {
                let plain: String = ('a'..='z').cycle().take(length).collect();
                let Some(bytes) = encrypt(&dir, cipher, derivation, plain.as_bytes()) else { return };
                let path = dir.file("secret", &bytes);
                let filters = json!([decrypt(cipher, derivation, PASSWORD)]);
                let outcome = pipeline(file(&path), filters, text()).expect("good bytes");
                assert_eq!(outcome.bytes, bytes.len() as u64);
                assert_eq!(text_of(Ok(outcome)), plain, "{cipher} {derivation} {length}");
            }
        }
    }
}

#[test]
fn blocks_that_arrive_in_pieces_are_put_together() {
    let dir = Directory::new();
    let plain = "in pieces ".repeat(50);
    let Some(bytes) = encrypt(&dir, "aes-256-cbc", "pbkdf2", plain.as_bytes()) else { return };
    let url = serve(move |_, stream| {
        use std::io::Write;
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
        for piece in bytes.chunks(7) {
            let _ = stream.write_all(piece).and_then(|()| stream.flush());
            std::thread::yield_now();
        }
    });
    let filters = json!([decrypt("aes-256-cbc", "pbkdf2", PASSWORD)]);
    assert_eq!(text_of(pipeline(http(&url), filters, text())), plain);
}

#[test]
fn a_wrong_password_cipher_or_derivation_is_told() {
    let dir = Directory::new();
    // By chance one wrong key in 256 leaves good padding, but not good gzip as well; so the sum of both is asked.
    let plain = gzip("the machine's files".repeat(100).as_bytes());
    let Some(bytes) = encrypt(&dir, "aes-256-cbc", "pbkdf2", &plain) else { return };
    let good = ("aes-256-cbc", "pbkdf2", PASSWORD);
    for (cipher, derivation, password) in [
        (good.0, good.1, "not the one"),
        (good.0, good.1, ""),
        (good.0, "md5", good.2),
        (good.0, "sha256", good.2),
        ("aes-128-cbc", good.1, good.2),
    ] {
        let error = refused(&dir, &bytes, json!([decrypt(cipher, derivation, password), {"kind": "gunzip"}]));
        assert_eq!(error.code, "FORMAT", "{}", error.message);
        assert!(
            error.message.contains("the password is wrong, or it was not encrypted"),
            "{}",
            error.message
        );
    }
    let filters = json!([decrypt(good.0, good.1, good.2), {"kind": "gunzip"}]);
    assert!(text_of(pipeline(file(&dir.file("good", &bytes)), filters, text())).starts_with("the machine's"));
}

#[test]
fn bad_padding_is_a_wrong_password() {
    let dir = Directory::new();
    let Some(bytes) = encrypt(&dir, "aes-128-cbc", "sha256", &[b'x'; 40]) else { return };
    // Of three blocks the second is xored into the third, whose last byte is 8 for the padding.
    for last in [0u8, 9, 16, 17, 0x80] {
        let mut changed = bytes.clone();
        changed[16 + 31] ^= 8 ^ last;
        let error = refused(&dir, &changed, json!([decrypt("aes-128-cbc", "sha256", PASSWORD)]));
        assert_eq!((error.code.as_str(), error.operation.as_str()), ("FORMAT", "pipeline.decrypt"));
        assert_eq!(error.message, "the password is wrong, or it was not encrypted like this");
    }
}

#[test]
fn what_is_cut_or_not_of_openssl_is_told() {
    let dir = Directory::new();
    let Some(bytes) = encrypt(&dir, "aes-256-cbc", "sha256", &[b'x'; 100]) else { return };
    let filters = || json!([decrypt("aes-256-cbc", "sha256", PASSWORD)]);
    for length in [17, 31, 33, bytes.len() - 1, bytes.len() - 15] {
        let error = refused(&dir, &bytes[..length], filters());
        assert_eq!(error.code, "FORMAT");
        assert!(error.message.contains("left over"), "at {length}: {}", error.message);
    }
    assert!(refused(&dir, &bytes[..16], filters()).message.contains("nothing comes after the salt"));
    // A whole block less: what is the last one now has no padding.
    assert_eq!(refused(&dir, &bytes[..bytes.len() - 16], filters()).code, "FORMAT");
    for other in
        [&b""[..], b"Salted__", b"Salted", &bytes[16..], &gzip(b"plain"), b"U2FsdGVkX18AAAAAAAAAAAAA"]
    {
        let error = refused(&dir, other, filters());
        assert_eq!(error.code, "FORMAT");
        assert!(error.message.contains("is not what openssl enc writes"), "{}", error.message);
    }
}

#[test]
fn a_file_that_does_not_decrypt_leaves_nothing_behind() {
    let dir = Directory::new();
    let Some(mut bytes) = encrypt(&dir, "aes-256-cbc", "pbkdf2", &[b'x'; 100_000]) else { return };
    bytes.pop();
    let path = dir.file("secret", &bytes);
    let target = Directory::new();
    let sink = json!({"kind": "file", "path": target.join("out"), "mode": 0o600});
    let error = error(pipeline(file(&path), json!([decrypt("aes-256-cbc", "pbkdf2", PASSWORD)]), sink));
    assert_eq!(error.code, "FORMAT");
    assert_eq!(std::fs::read_dir(&target.0).expect("the directory").count(), 0);
}
