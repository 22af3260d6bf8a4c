//! Unpacking: what a good archive becomes, and what a bad one cannot do.

use super::support::*;
use crate::pipeline::{Made, Outcome};
use serde_json::json;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};

fn unpack(root: &Directory, bytes: &[u8]) -> crate::error::Result<Outcome> {
    let dir = Directory::new();
    pipeline(file(&dir.file("archive.tar", bytes)), json!([]), tree(root))
}

#[test]
fn everything_that_an_archive_holds_is_made() {
    let root = Directory::new();
    let entries = [
        tar_entry("./", b'5'),
        TarEntry { mode: 0o1777, ..tar_entry("tmp/", b'5') },
        TarEntry { mode: 0o750, uid: 42, gid: 43, ..tar_entry("var/", b'5') },
        TarEntry { mode: 0o4755, uid: 7, gid: 8, ..tar_file("bin/su", b"#!") },
        tar_link("bin/sh", b'2', "/bin/busybox"),
        tar_link("bin/su2", b'1', "bin/su"),
        TarEntry { device: (1, 3), mode: 0o666, ..tar_entry("dev/null", b'3') },
        tar_entry("run/fifo", b'6'),
        TarEntry { pax: vec![("path".into(), "ä".repeat(100).into_bytes())], ..tar_file("short", b"long") },
        TarEntry { pax: vec![("SCHILY.xattr.user.note".into(), b"a\nb".to_vec())], ..tar_file("noted", b"") },
        TarEntry { content: [b"g".repeat(150), vec![0]].concat(), ..tar_entry("././@LongLink", b'L') },
        tar_file("cut", b"gnu"),
    ];
    let Ok(Outcome { made: Made::Tree { paths }, bytes, .. }) = unpack(&root, &tar(&entries)) else {
        panic!("not unpacked")
    };
    assert_eq!(bytes, tar(&entries).len() as u64);
    assert_eq!(paths[..5], ["tmp/", "var/", "bin/su", "bin/sh", "bin/su2"]);
    let status = |name: &str| std::fs::symlink_metadata(root.join(name)).expect(name);
    assert_eq!(status("tmp").mode() & 0o7777, 0o1777);
    assert_eq!((status("var").mode() & 0o7777, status("var").uid(), status("var").gid()), (0o750, 42, 43));
    let su = status("bin/su");
    assert_eq!(
        (su.mode() & 0o7777, su.uid(), su.gid(), su.mtime(), su.nlink()),
        (0o4755, 7, 8, 1_000_000_000, 2)
    );
    assert_eq!(std::fs::read_link(root.join("bin/sh")).expect("a link").to_str(), Some("/bin/busybox"));
    assert!(status("dev/null").file_type().is_char_device());
    assert_eq!(status("dev/null").rdev(), 0x103);
    assert!(status("run/fifo").file_type().is_fifo());
    assert_eq!(std::fs::read(root.join("ä".repeat(100))).expect("the long name"), b"long");
    assert_eq!(std::fs::read(root.join("g".repeat(150))).expect("the GNU name"), b"gnu");
    assert_eq!(status("var").mtime(), 1_000_000_000);
    let mut value = [0u8; 8];
    let length = rustix::fs::getxattr(root.join("noted"), "user.note", &mut value).expect("the attribute");
    assert_eq!(&value[..length], b"a\nb");
}

#[test]
fn what_is_not_a_tar_is_refused() {
    let root = Directory::new();
    for bytes in [b"<html>".repeat(200), b"short".to_vec()] {
        assert_eq!(error(unpack(&root, &bytes)).code, "FORMAT");
    }
    let whole = tar(&[tar_file("a", &[1; 2000])]);
    assert_eq!(error(unpack(&root, &whole[..1800])).code, "TRUNCATED");
    let mut damaged = tar(&[tar_file("a", b"x"), tar_file("b", b"y")]);
    damaged[1024 + 5] ^= 1;
    assert_eq!(error(unpack(&root, &damaged)).code, "FORMAT");
    let huge = TarEntry { content: vec![b'a'; 2 << 20], ..tar_entry("pax", b'x') };
    assert_eq!(error(unpack(&root, &tar(&[huge]))).code, "FORMAT");
}

#[test]
fn names_that_lead_out_are_refused() {
    let root = Directory::new();
    let outside = Directory::new();
    for name in ["../evil", "a/../../evil", "/etc/evil", "a/.."] {
        let escape = error(unpack(&root, &tar(&[tar_file(name, b"x")])));
        assert_eq!((escape.code.as_str(), escape.operation.as_str()), ("ESCAPE", "pipeline.tree"), "{name}");
    }
    let secret = outside.file("secret", b"s");
    for target in [secret.as_str(), "../secret", "a/../../secret"] {
        assert_eq!(error(unpack(&root, &tar(&[tar_link("hard", b'1', target)]))).code, "ESCAPE", "{target}");
    }
    assert_eq!(std::fs::read_dir(&root.0).expect("the root").count(), 0);
}

#[test]
fn nothing_is_written_through_a_link_that_leads_out() {
    let root = Directory::new();
    let outside = Directory::new();
    let out = outside.text("");
    let up = "../".repeat(12) + out.trim_start_matches('/');
    for target in [out.as_str(), up.as_str(), "/proc/self/root"] {
        let entries = [tar_link("door", b'2', target), tar_file("door/evil", b"x")];
        assert_eq!(error(unpack(&root, &tar(&entries))).code, "ESCAPE", "{target}");
        let entries = [tar_link("door", b'2', target), tar_entry("door/evil", b'5')];
        assert_eq!(error(unpack(&root, &tar(&entries))).code, "ESCAPE", "{target}");
    }
    // A file replaces a link of its name, and never what the link points to.
    let victim = outside.file("victim", b"good");
    let entries = [tar_link("v", b'2', &victim), tar_file("v", b"bad")];
    assert!(unpack(&root, &tar(&entries)).is_ok());
    assert_eq!(std::fs::read(&victim).expect("the victim"), b"good");
    // A hard link to a link is a link to the link.
    let entries = [tar_link("w", b'2', &victim), tar_link("x", b'1', "w"), tar_file("y", b"")];
    assert!(unpack(&root, &tar(&entries)).is_ok());
    assert!(root.join("x").is_symlink());
    assert_eq!(std::fs::read_dir(&outside.0).expect("outside").count(), 1);
}

#[test]
fn links_inside_the_root_are_followed_as_the_new_system_would() {
    let root = Directory::new();
    std::fs::create_dir_all(root.join("usr/lib")).expect("a directory");
    symlink("/usr/lib", root.join("lib")).expect("a link");
    let entries = [tar_entry("lib/", b'5'), tar_file("lib/libc.so", b"elf")];
    assert!(unpack(&root, &tar(&entries)).is_ok());
    assert!(root.join("lib").is_symlink());
    assert_eq!(std::fs::read(root.join("usr/lib/libc.so")).expect("the file"), b"elf");
}

#[test]
fn a_directory_is_not_replaced_by_a_file() {
    let root = Directory::new();
    std::fs::create_dir(root.join("etc")).expect("a directory");
    let refused = error(unpack(&root, &tar(&[tar_file("etc", b"x")])));
    assert_eq!(refused.code, "EISDIR");
    assert!(refused.message.contains("etc"));
    root.file("file", b"");
    assert_eq!(error(unpack(&root, &tar(&[tar_entry("file", b'5')]))).code, "ENOTDIR");
    assert_eq!(error(unpack(&root, &tar(&[tar_file("file/below", b"")]))).code, "ENOTDIR");
}

#[test]
fn a_full_file_system_is_told_with_numbers() {
    let root = Directory::new();
    let mounted =
        rustix::mount::mount("tmpfs", &root.0, "tmpfs", rustix::mount::MountFlags::empty(), c"size=1m");
    if let Err(error) = mounted {
        eprintln!("SKIPPED: a_full_file_system_is_told_with_numbers needs root: {error}");
        return;
    }
    let full = error(unpack(&root, &tar(&[tar_file("big", &[7; 3 << 20])])));
    rustix::mount::unmount(&root.0, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    assert_eq!(full.code, "ENOSPC");
    assert!(full.message.contains("0 MiB of 1 MiB free"), "{}", full.message);
}
