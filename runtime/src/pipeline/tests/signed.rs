//! Detached signatures that the real openssl made.

use super::support::*;
use crate::error::SysError;
use serde_json::{Value, json};
use std::process::Command;

/// None, and a word, without openssl.
fn openssl(arguments: &[&str]) -> Option<()> {
    match Command::new("openssl").args(arguments).output() {
        Ok(output) if output.status.success() => Some(()),
        _ => {
            eprintln!("\nSKIPPED: there is no openssl to sign with\n");
            None
        }
    }
}

/// Makes a key pair; gives the public one's path. The secret one is `NAME.key`.
fn key(dir: &Directory, name: &str, algorithm: &[&str]) -> Option<String> {
    let (secret, public) = (dir.text(&format!("{name}.key")), dir.text(&format!("{name}.pem")));
    openssl(&[&["genpkey", "-out", &secret, "-algorithm"], algorithm].concat())?;
    openssl(&["pkey", "-in", &secret, "-pubout", "-out", &public])?;
    Some(public)
}

fn rsa(bits: &str) -> [&str; 3] {
    ["RSA", "-pkeyopt", bits]
}

fn sign(dir: &Directory, name: &str, digest: &str, path: &str) -> Option<String> {
    let signature = dir.text(&format!("{name}.{digest}.sig"));
    let secret = dir.text(&format!("{name}.key"));
    openssl(&["dgst", &format!("-{digest}"), "-sign", &secret, "-out", &signature, path])?;
    Some(signature)
}

fn signed(signature: &str, keys: Value) -> Value {
    json!([{"kind": "signature", "signature": signature, "keys": keys}])
}

/// What becomes of a file sink, which must then be empty.
fn refused(path: &str, filters: Value) -> SysError {
    let target = Directory::new();
    let sink = json!({"kind": "file", "path": target.join("out"), "mode": 0o644});
    let error = error(pipeline(file(path), filters, sink));
    assert_eq!(std::fs::read_dir(&target.0).expect("the directory").count(), 0, "{}", error.message);
    assert_eq!(error.code, "SIGNATURE", "{}", error.message);
    error
}

#[test]
fn what_openssl_signed_is_verified_whichever_key_and_digest() {
    let dir = Directory::new();
    let bytes = b"the image ".repeat(30_000);
    let path = dir.file("image", &bytes);
    let Some(stranger) = key(&dir, "stranger", &rsa("rsa_keygen_bits:2048")) else { return };
    for bits in ["2048", "2056", "3072", "4096"] {
        let Some(public) = key(&dir, bits, &rsa(&format!("rsa_keygen_bits:{bits}"))) else { return };
        for digest in ["sha256", "sha512"] {
            let Some(signature) = sign(&dir, bits, digest, &path) else { return };
            let sink = json!({"kind": "file", "path": dir.join("out"), "mode": 0o644});
            let keys = json!({"a stranger": stranger, "ours": public});
            pipeline(file(&path), signed(&signature, keys), sink).expect("a good signature");
            assert_eq!(std::fs::read(dir.join("out")).expect("the file"), bytes, "{bits} {digest}");
            let written = dir.text("signature.txt");
            openssl(&["base64", "-in", &signature, "-out", &written]).expect("openssl is there");
            let keys = json!({"ours": public});
            pipeline(file(&path), signed(&written, keys), json!({"kind": "discard"})).expect("base64 of it");
        }
        // A digest that is not asked for.
        let Some(signature) = sign(&dir, bits, "sha1", &path) else { return };
        refused(&path, signed(&signature, json!({"ours": public})));
    }
}

#[test]
fn a_large_public_exponent_is_an_exponent() {
    let dir = Directory::new();
    let path = dir.file("image", b"the image");
    for exponent in ["3", "4294967297"] {
        let algorithm =
            ["RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-pkeyopt", &format!("rsa_keygen_pubexp:{exponent}")];
        let Some(public) = key(&dir, "odd", &algorithm) else { return };
        let Some(signature) = sign(&dir, "odd", "sha256", &path) else { return };
        let sink = json!({"kind": "discard"});
        assert!(
            pipeline(file(&path), signed(&signature, json!({"odd": public})), sink).is_ok(),
            "{exponent}"
        );
    }
}

#[test]
fn what_is_not_signed_by_one_of_the_keys_is_refused_with_their_names() {
    let dir = Directory::new();
    let path = dir.file("image", b"the image");
    let (Some(ours), Some(stranger)) = (
        key(&dir, "ours", &rsa("rsa_keygen_bits:2048")),
        key(&dir, "stranger", &rsa("rsa_keygen_bits:2048")),
    ) else {
        return;
    };
    let (Some(good), Some(bad)) =
        (sign(&dir, "ours", "sha256", &path), sign(&dir, "stranger", "sha256", &path))
    else {
        return;
    };
    let keys = json!({"ops@example.org": ours});
    let by_stranger = refused(&path, signed(&bad, keys.clone()));
    assert_eq!(by_stranger.operation, "pipeline.signature");
    assert!(by_stranger.message.contains("ops@example.org"), "{}", by_stranger.message);
    refused(&path, signed(&good, json!({"a": stranger})));

    let tampered = dir.file("tampered", b"the 1mage");
    refused(&tampered, signed(&good, keys.clone()));
    let bytes = std::fs::read(&good).expect("the signature");
    let mut flipped = bytes.clone();
    flipped[100] ^= 1;
    let longer = [&bytes[..], b"\n"].concat();
    let larger_than_the_modulus = vec![0xff; bytes.len()];
    for changed in [&bytes[..255], b"", &flipped, &longer, &larger_than_the_modulus, &vec![0; bytes.len()]] {
        let signature = dir.file("changed.sig", changed);
        refused(&path, signed(&signature, keys.clone()));
    }
}

#[test]
fn what_cannot_be_checked_is_refused_before_anything_is_read() {
    let dir = Directory::new();
    let path = dir.file("image", b"the image");
    let missing = refused(&path, signed(&dir.text("none.sig"), json!({"ours": "/none"})));
    assert!(missing.message.contains("none.sig: No such file"), "{}", missing.message);

    let signature = dir.file("a.sig", &[1; 256]);
    let huge = dir.file("huge.sig", &vec![1; (64 << 10) + 1]);
    assert!(refused(&path, signed(&huge, json!({}))).message.contains("longer than 65536"));
    assert!(
        refused(&path, signed(&signature, json!({"ours": dir.text("none.pem")})))
            .message
            .contains("none.pem")
    );
    assert!(refused(&path, signed(&signature, json!({}))).message.contains("no key"));
    let many: serde_json::Map<_, _> = (0..33).map(|at| (at.to_string(), json!("/none"))).collect();
    assert!(refused(&path, signed(&signature, many.into())).message.contains("33 keys"));

    let Some(curve) = key(&dir, "curve", &["ED25519"]) else { return };
    let Some(short) = key(&dir, "short", &rsa("rsa_keygen_bits:1024")) else { return };
    let garbage = dir.file("garbage.pem", b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n");
    let none = refused(&path, signed(&signature, json!({"curve": curve, "short": short, "bad": garbage})));
    assert!(none.message.contains("bad, curve, short"), "{}", none.message);
}

#[test]
fn a_tree_is_not_reported_before_its_signature_is_good() {
    let dir = Directory::new();
    let archive = gzip(&tar(&[tar_file("etc/motd", b"hello")]));
    let path = dir.file("image.tar.gz", &archive);
    let Some(ours) = key(&dir, "ours", &rsa("rsa_keygen_bits:2048")) else { return };
    let Some(good) = sign(&dir, "ours", "sha512", &path) else { return };
    let filters = |signature: &str| {
        let mut filters = signed(signature, json!({"ours": ours}));
        filters.as_array_mut().expect("a list").push(json!({"kind": "gunzip"}));
        filters
    };
    let root = Directory::new();
    assert!(pipeline(file(&path), filters(&good), tree(&root)).is_ok());
    let bad = dir.file("bad.sig", &[7; 256]);
    let root = Directory::new();
    assert_eq!(error(pipeline(file(&path), filters(&bad), tree(&root))).code, "SIGNATURE");
}
