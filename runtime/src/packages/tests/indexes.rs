//! Indexes. The fixtures were signed once with openssl by a key that nobody has any more, `test.rsa.pub`:
//! `openssl dgst -sha1 -sign KEY` (and -sha256) over the member with DESCRIPTION and APKINDEX.

use super::support::*;
use serde_json::{Value, json};

const SHA1: &[u8] = include_bytes!("fixtures/sha1.tar.gz");
const SHA256: &[u8] = include_bytes!("fixtures/sha256.tar.gz");
const KEY: &[u8] = include_bytes!("fixtures/test.rsa.pub");
const STRANGER: &[u8] = include_bytes!("fixtures/stranger.rsa.pub");

fn open(bytes: &[u8]) -> crate::error::Result<Value> {
    let dir = Directory::new();
    run(&dir.file("APKINDEX.tar.gz", bytes), json!({"kind": "apk-index"}))
        .map(|result| result["index"].clone())
}

fn verify(index: &Value, name: &str, key: &[u8]) -> crate::error::Result<Value> {
    let dir = Directory::new();
    let path = dir.file("key", key);
    call("packages.verifyIndex", json!({"index": index["id"], "keys": {name: path}}))
}

fn names(stanzas: Value) -> Vec<String> {
    let stanzas = stanzas.as_array().cloned().unwrap_or_default();
    let name = |stanza: &Value| {
        let name = stanza.as_str()?.lines().find_map(|line| line.strip_prefix("P:"))?;
        Some(name.to_owned())
    };
    stanzas.iter().filter_map(name).collect()
}

#[test]
fn a_signed_index_is_verified_and_searched() {
    for (bytes, algorithm) in [(SHA1, "RSA"), (SHA256, "RSA256")] {
        let index = open(bytes).expect("an index");
        assert_eq!(index["packages"], 4);
        assert_eq!(index["description"], "v1 of the tests");
        assert_eq!(index["signatures"], json!([{"keyName": "test.rsa.pub", "algorithm": algorithm}]));
        assert_eq!(verify(&index, "test.rsa.pub", KEY).expect("verified"), "test.rsa.pub");
    }
    let index = open(SHA1).expect("an index");
    let ask = |operation: &str, wanted: &[&str]| {
        names(call(operation, json!({"index": index["id"], "names": wanted})).expect("stanzas"))
    };
    assert_eq!(ask("packages.lookup", &["hello"]), ["hello", "goodbye"]);
    assert_eq!(ask("packages.lookup", &["goodbye", "so:libhello.so.1", "cmd:hello"]), ["hello", "goodbye"]);
    assert!(ask("packages.lookup", &["hell", "hello=1.0-r0", ""]).is_empty());
    assert_eq!(ask("packages.installIf", &["hello", "openrc"]), ["hello-openrc"]);
    assert_eq!(ask("packages.installIf", &["nothing"]), ["hello-quiet"]);
    assert_eq!(ask("packages.installIf", &["silence"]), ["hello-quiet"]);
    assert!(ask("packages.installIf", &["openrc"]).is_empty());
    let stanza =
        call("packages.lookup", json!({"index": index["id"], "names": ["goodbye"]})).expect("stanzas");
    assert_eq!(stanza, json!(["C:Q1ccccccccccccccccccccccccccc=\nP:goodbye\nV:2.0-r0\nA:x86_64\np:hello"]));
    call("packages.closeIndex", json!({"index": index["id"]})).expect("closed");
    let closed = call("packages.lookup", json!({"index": index["id"], "names": []}));
    assert_eq!(closed.expect_err("closed").code, "EBADF");
}

#[test]
fn signatures_that_do_not_hold_are_refused_with_the_reason() {
    let index = open(SHA256).expect("an index");
    let refused = |result: crate::error::Result<Value>, reason: &str| {
        let error = result.expect_err("a refusal");
        assert_eq!((error.code.as_str(), error.operation.as_str()), ("SIGNATURE", "packages.verifyIndex"));
        assert!(error.message.contains(reason), "{}", error.message);
    };
    refused(verify(&index, "test.rsa.pub", STRANGER), "is wrong");
    refused(verify(&index, "other.rsa.pub", KEY), "none of the 1 keys");
    let unsigned = open(&gzip(&tar(&[tar_file("DESCRIPTION", b"v1"), tar_file("APKINDEX", b"P:x\n\n")])));
    refused(verify(&unsigned.expect("an index"), "test.rsa.pub", KEY), "is not signed");
    let garbage =
        verify(&index, "test.rsa.pub", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    assert_eq!(garbage.expect_err("no key").code, "FORMAT");
    let dir = Directory::new();
    let absent =
        call("packages.verifyIndex", json!({"index": index["id"], "keys": {"test.rsa.pub": dir.text("k")}}));
    assert_eq!(absent.expect_err("no file").code, "ENOENT");
}

#[test]
fn no_change_of_any_byte_goes_unnoticed() {
    // What the member of the signature has beside the signature is nobody's promise.
    let signed = SHA1.windows(3).rposition(|bytes| bytes == [0x1f, 0x8b, 8]).expect("the content's member");
    assert!(signed > 300);
    for at in signed..SHA1.len() {
        let mut bytes = SHA1.to_vec();
        bytes[at] ^= 1;
        if let Ok(index) = open(&bytes) {
            let error = verify(&index, "test.rsa.pub", KEY).expect_err("a changed byte");
            assert_eq!(error.code, "SIGNATURE", "a changed byte {at}");
        }
    }
}

#[test]
fn what_is_no_index_is_refused() {
    let code = |bytes: &[u8]| open(bytes).expect_err("no index").code;
    assert_eq!(code(&gzip(&tar(&[tar_file("README", b"hello")]))), "FORMAT");
    assert_eq!(code(b"<html>"), "FORMAT");
    assert_eq!(code(&SHA1[..SHA1.len() - 20]), "TRUNCATED");
    let adb = open(b"ADB.more of it").expect_err("no index");
    assert_eq!(adb.code, "FORMAT");
    assert!(adb.message.contains("apk-tools 3"));
}

#[test]
fn an_index_as_big_as_alpines_is_read_fast() {
    let stanza = |n: u32| {
        format!(
            "C:Q1{n:027}=\nP:package-{n}\nV:1.{n}-r0\nA:x86_64\nS:{n}\nI:{n}\nT:The package of number {n}\n\
            U:https://example.org/{n}\nL:MIT\no:package\nD:so:libc.musl-x86_64.so.1 /bin/sh\n\
            p:cmd:p{n}=1.{n} so:lib{n}.so.1=1 so:lib{n}-extra.so.1=1\n\n"
        )
    };
    let text: String = (0..20_000).map(stanza).collect();
    let (dir, bytes) = (Directory::new(), gzip(&tar(&[tar_file("APKINDEX", text.as_bytes())])));
    let path = dir.file("big", &bytes);
    let began = std::time::Instant::now();
    let index = run(&path, json!({"kind": "apk-index"})).expect("an index")["index"].clone();
    let took = began.elapsed();
    eprintln!("20000 packages, {} KiB of text: {took:?}", text.len() >> 10);
    assert_eq!(index["packages"], 20_000);
    assert!(took < std::time::Duration::from_secs(2), "{took:?}");
    let found =
        call("packages.lookup", json!({"index": index["id"], "names": ["cmd:p19999", "so:lib7.so.1"]}));
    assert_eq!(names(found.expect("stanzas")), ["package-7", "package-19999"]);
}
