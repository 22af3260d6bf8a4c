//! The copy aside: whole, or not at all, and never in the way.

use super::support::*;
use crate::error::Result;
use crate::ops::{Cancel, Emit};
use crate::pipeline::{Outcome, Pipeline, run};
use serde_json::{Value, json};

fn copying(from: &str, aside: Value, filters: Value, sink: Value) -> Result<Outcome> {
    let json = json!({"source": file(from), "aside": aside, "filters": filters, "sink": sink});
    let pipeline: Pipeline = serde_json::from_value(json).expect("a pipeline");
    run(&pipeline, &Cancel::default(), &Emit::new(|_| ()))
}

fn copied(outcome: Result<Outcome>) -> Value {
    let outcome = outcome.expect("a pipeline that goes well");
    serde_json::to_value(outcome).expect("JSON")["copied"].clone()
}

#[test]
fn is_what_the_source_gave_before_any_filter() {
    let dir = Directory::new();
    let bytes = gzip(b"a text");
    let path = dir.file("in.gz", &bytes);
    let aside = json!({"path": dir.text("copy"), "bytes": 1000});
    let result = copied(copying(&path, aside, json!([{"kind": "gunzip"}]), text()));
    let expected = ring::digest::digest(&ring::digest::SHA256, &bytes);
    let sha256 = crate::pipeline::filter::hex(expected.as_ref());
    assert_eq!(result, json!({"sha256": sha256, "bytes": bytes.len()}));
    assert_eq!(std::fs::read(dir.join("copy")).expect("the copy"), bytes);
}

#[test]
fn is_not_left_by_a_pipeline_that_fails() {
    let dir = Directory::new();
    let path = dir.file("in", b"abc");
    let aside = json!({"path": dir.text("copy"), "bytes": 1000});
    let digest = json!([{"kind": "digest", "algorithm": "sha256", "expected": "00"}]);
    assert_eq!(error(copying(&path, aside, digest, text())).code, "DIGEST");
    assert!(!dir.join("copy").exists());
}

#[test]
fn is_given_up_where_it_cannot_be_written() {
    let dir = Directory::new();
    let path = dir.file("in", b"abcd");
    let nowhere = json!({"path": dir.text("no/such/directory"), "bytes": 1000});
    let too_small = json!({"path": dir.text("copy"), "bytes": 3});
    std::os::unix::fs::symlink("/dev/null", dir.join("link")).expect("a symlink");
    let symlink = json!({"path": dir.text("link"), "bytes": 1000});
    let full = json!({"path": "/proc/self/copy", "bytes": 1000});
    for aside in [nowhere, too_small, symlink, full] {
        let result = copied(copying(&path, aside, json!([]), text()));
        assert!(result["givenUp"].is_string(), "{result}");
    }
    assert!(!dir.join("copy").exists());
    assert!(dir.join("link").is_symlink(), "what was there is left alone");
}
