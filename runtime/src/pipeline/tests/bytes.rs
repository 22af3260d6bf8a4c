//! Filters, and the sinks that keep bytes as they are.

use super::support::*;
use crate::pipeline::{Made, Outcome};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

fn text_of(outcome: crate::error::Result<Outcome>) -> String {
    match outcome {
        Ok(Outcome { made: Made::Text { text }, .. }) => text,
        other => panic!("not a text: {:?}", other.err()),
    }
}

#[test]
fn gzip_members_follow_each_other() {
    let dir = Directory::new();
    let path = dir.file("two.gz", &[gzip(b"one "), gzip(b"two")].concat());
    assert_eq!(text_of(pipeline(file(&path), json!([{"kind": "gunzip"}]), text())), "one two");
}

#[test]
fn a_cut_gzip_is_truncated_wherever_it_is_cut() {
    let dir = Directory::new();
    let whole = gzip("some text that is long enough ".repeat(100).as_bytes());
    for length in [0, 1, 5, 12, whole.len() / 2, whole.len() - 8, whole.len() - 1] {
        let path = dir.file("cut.gz", &whole[..length]);
        let error = error(pipeline(file(&path), json!([{"kind": "gunzip"}]), text()));
        assert_eq!(
            (error.code.as_str(), error.operation.as_str()),
            ("TRUNCATED", "pipeline.gunzip"),
            "at {length}"
        );
    }
}

#[test]
fn what_is_not_gzip_or_damaged_is_refused() {
    let dir = Directory::new();
    let mut damaged = gzip("some text that is long enough ".repeat(100).as_bytes());
    let last = damaged.len() - 6;
    damaged[last] ^= 1;
    let garbage_after = [gzip(b"good"), b"garbage".to_vec()].concat();
    for bytes in [b"<html>not found</html>".to_vec(), damaged, garbage_after] {
        let path = dir.file("bad.gz", &bytes);
        assert_eq!(error(pipeline(file(&path), json!([{"kind": "gunzip"}]), text())).code, "FORMAT");
    }
}

#[test]
fn zstd_frames_are_read_and_a_cut_one_is_truncated() {
    let dir = Directory::new();
    let plain = "diskless ".repeat(5000);
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let frame = ruzstd::encoding::compress_to_vec(plain.as_bytes(), level);
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3][..], &frame].concat();
    let filters = json!([{"kind": "unzstd"}]);
    for whole in [frame.clone(), skippable, [frame.clone(), frame.clone()].concat()] {
        let path = dir.file("whole.zst", &whole);
        assert!(text_of(pipeline(file(&path), filters.clone(), text())).starts_with(&plain));
    }
    for length in [0, 3, frame.len() / 2, frame.len() - 1] {
        let path = dir.file("cut.zst", &frame[..length]);
        assert_eq!(error(pipeline(file(&path), filters.clone(), text())).code, "TRUNCATED", "at {length}");
    }
    let path = dir.file("bad.zst", b"this is not zstd at all");
    assert_eq!(error(pipeline(file(&path), filters, text())).code, "FORMAT");
}

#[test]
fn a_digest_that_does_not_match_keeps_the_file_out() {
    let dir = Directory::new();
    let path = dir.file("in", b"abc");
    let good = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let sink = json!({"kind": "file", "path": dir.text("out"), "mode": 0o640});
    let digest = |expected: &str| json!([{"kind": "digest", "algorithm": "sha256", "expected": expected}]);
    let wrong = error(pipeline(file(&path), digest(&good.replace('b', "c")), sink.clone()));
    assert_eq!((wrong.code.as_str(), wrong.operation.as_str()), ("DIGEST", "pipeline.digest"));
    assert!(wrong.message.contains(good));
    assert_eq!(std::fs::read_dir(&dir.0).expect("a directory").count(), 1, "nothing is left behind");
    assert!(pipeline(file(&path), digest(&good.to_uppercase()), sink).is_ok());
    assert_eq!(std::fs::read(dir.join("out")).expect("the file"), b"abc");
    assert_eq!(std::fs::metadata(dir.join("out")).expect("the file").permissions().mode() & 0o7777, 0o640);
}

#[test]
fn a_bomb_stops_at_the_limit_before_or_after_inflating() {
    let dir = Directory::new();
    let path = dir.file("bomb.gz", &gzip(&vec![0; 8 << 20]));
    let limit = json!({"kind": "limit", "bytes": 1 << 20});
    let sink = json!({"kind": "file", "path": dir.text("out"), "mode": 420});
    let inflated = error(pipeline(file(&path), json!([{"kind": "gunzip"}, limit]), sink.clone()));
    assert_eq!((inflated.code.as_str(), inflated.operation.as_str()), ("TOO_BIG", "pipeline.limit"));
    let compressed = json!([{"kind": "limit", "bytes": 100}, {"kind": "gunzip"}]);
    assert_eq!(error(pipeline(file(&path), compressed, sink.clone())).code, "TOO_BIG");
    assert!(!dir.join("out").exists());
    let enough = json!([{"kind": "limit", "bytes": 1 << 20}, {"kind": "gunzip"}]);
    assert!(pipeline(file(&path), enough, sink).is_ok());
}

#[test]
fn texts_have_a_limit_and_files_must_be_there() {
    let dir = Directory::new();
    let path = dir.file("in", b"12345");
    let sink = json!({"kind": "text", "bytes": 4});
    assert_eq!(error(pipeline(file(&path), json!([]), sink)).code, "TOO_BIG");
    let missing = error(pipeline(file(&dir.text("missing")), json!([]), text()));
    assert_eq!((missing.code.as_str(), missing.operation.as_str()), ("ENOENT", "pipeline.file"));
    assert_eq!(error(pipeline(file(&dir.text("")), json!([]), text())).code, "EISDIR");
}
