//! The same packages installed by the real apk-tools 2.14 and by us: the same tree, and the same database byte for byte.
//!
//! Needs root and a tree with Alpine's packages: `DISKLESS_MEDIA=DIR cargo test real`, where DIR has x86_64/ with
//! APKINDEX.tar.gz, apk-tools, what that links to, and alpine-keys.

use super::support::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{DirBuilder, read_dir};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

struct Media {
    place: String,
    index: u64,
}

impl Media {
    fn open(place: String) -> Media {
        let opened =
            run(&format!("{place}/x86_64/APKINDEX.tar.gz"), json!({"kind": "apk-index"})).expect("an index");
        Media { place, index: opened["index"]["id"].as_u64().expect("a number") }
    }

    fn stanza(&self, name: &str) -> String {
        let stanzas =
            call("packages.lookup", json!({"index": self.index, "names": [name]})).expect("stanzas");
        let mut stanzas = stanzas.as_array().into_iter().flatten().filter_map(Value::as_str);
        stanzas.find(|stanza| stanza.contains(&format!("P:{name}\n"))).expect(name).to_owned()
    }

    /// The index's stanza is what the database has, but for what is in .PKGINFO only.
    fn install(&self, database: &Value, root: &Directory, name: &str) -> Vec<String> {
        let stanza = self.stanza(name);
        let field =
            |letter: &str| stanza.lines().find_map(|line| line.strip_prefix(letter)).unwrap_or_default();
        let path = format!("{}/x86_64/{name}-{}.apk", self.place, field("V:"));
        let staged =
            run(&path, json!({"kind": "apk-stage", "root": root.0, "checksum": field("C:")})).expect(name);
        let info = staged["stage"]["pkginfo"].as_str().expect("text");
        let all =
            |key: &str| -> Vec<&str> { info.lines().filter_map(|line| line.strip_prefix(key)).collect() };
        let mut lines = stanza.clone() + "\n";
        for (letter, values) in [("r", all("replaces = ")), ("q", all("replaces_priority = "))] {
            if !values.is_empty() {
                lines += &format!("{letter}:{}\n", values.join(" "));
            }
        }
        let triggers: Vec<&str> = all("triggers = ").iter().flat_map(|line| line.split(' ')).collect();
        let request = json!({"database": database, "stage": staged["stage"]["id"], "name": name,
            "stanza": lines, "takes": [], "yields": [], "triggers": triggers});
        let result = call("packages.commit", request).expect(name);
        let conflicts = result["conflicts"].as_array().into_iter().flatten();
        conflicts.map(|conflict| conflict["path"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

/// Everything of a file that a package decides.
fn describe(path: &Path) -> String {
    let status = path.symlink_metadata().expect("it is there");
    let kind = status.file_type();
    let what = if kind.is_symlink() {
        format!("-> {}", path.read_link().expect("a link").display())
    } else if kind.is_file() {
        let bytes = std::fs::read(path).expect("a file");
        let sum = crate::packages::checksum::q1(crate::packages::checksum::sha1_of(&bytes).as_ref());
        format!("{sum} {} links {} at {}", bytes.len(), status.nlink(), status.mtime())
    } else {
        format!("device {}", status.rdev())
    };
    let mut names = vec![0u8; 4096];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    format!("{:o} {}:{} {what} {}", status.mode(), status.uid(), status.gid(), names[..length].escape_ascii())
}

fn walk(root: &Path, at: &Path, found: &mut BTreeMap<String, String>) {
    for entry in read_dir(at).expect("a directory").map(|entry| entry.expect("an entry")) {
        let path = entry.path();
        let name = path.strip_prefix(root).expect("below").to_string_lossy().into_owned();
        // What apk makes before any package, with the host's /proc in it for a while, and what it is told to fetch.
        if name.starts_with("dev/")
            || name.starts_with("lib/apk/db/")
            || name == "etc/apk/world"
            || name == "etc/apk/arch"
        {
            continue;
        }
        found.insert(name, describe(&path));
        if entry.file_type().expect("a type").is_dir() {
            walk(root, &path, found);
        }
    }
}

/// The archive without its times and checksums.
fn without_times(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).expect("scripts.tar");
    let mut at = 0;
    while at + 512 <= bytes.len() && bytes[at] != 0 {
        let size = std::str::from_utf8(&bytes[at + 124..at + 136]).expect("octal").to_owned();
        bytes[at + 136..at + 155].fill(0);
        at += 512 + usize::from_str_radix(&size, 8).expect("octal").next_multiple_of(512);
    }
    bytes
}

#[test]
fn a_root_is_the_same_as_the_real_apk_makes_it() {
    let Ok(place) = std::env::var("DISKLESS_MEDIA") else {
        eprintln!("\nSKIPPED: a_root_is_the_same_as_the_real_apk_makes_it needs DISKLESS_MEDIA=DIR\n");
        return;
    };
    let media = Media::open(place);
    // The real apk, put there by ours.
    let tools = Directory::new();
    let database =
        call("packages.openDatabase", json!({"root": tools.0, "keep": []})).expect("a database")["id"]
            .clone();
    for name in ["musl", "zlib", "libcrypto3", "libssl3", "apk-tools", "alpine-keys"] {
        media.install(&database, &tools, name);
    }
    call("packages.writeDatabase", json!({"database": database, "broken": []})).expect("written");
    let keys: BTreeMap<String, String> = read_dir(tools.join("usr/share/apk/keys"))
        .expect("keys")
        .map(|entry| entry.expect("a key"))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| {
            (entry.file_name().to_string_lossy().into_owned(), entry.path().to_string_lossy().into_owned())
        })
        .collect();
    let verified =
        call("packages.verifyIndex", json!({"index": media.index, "keys": keys})).expect("a signature");
    assert!(keys.contains_key(verified.as_str().expect("a name")));

    let theirs = Directory::new();
    let names: Vec<String> = read_dir(format!("{}/x86_64", media.place))
        .expect("packages")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".apk")?.rsplitn(3, '-').nth(2)?.to_owned()))
        // These two conflict with ifupdown-ng.
        .filter(|name| name != "vlan" && name != "network-extras")
        .collect();
    let began = Instant::now();
    let output = Command::new(tools.join("lib/ld-musl-x86_64.so.1"))
        .args([
            "--library-path",
            &format!("{}:{}", tools.text("lib"), tools.text("usr/lib")),
            &tools.text("sbin/apk"),
        ])
        .args([
            "--root",
            &theirs.text(""),
            "--arch",
            "x86_64",
            "--initdb",
            "--no-scripts",
            "--no-network",
            "--no-cache",
        ])
        .args(["--force-overwrite", "--clean-protected"])
        .args(["--repositories-file", "/dev/null", "--repository", &media.place])
        .args(["--keys-dir", &tools.text("usr/share/apk/keys"), "add"])
        .args(&names)
        .output()
        .expect("apk runs");
    let their_time = began.elapsed();
    let log = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    let order: Vec<&str> =
        log.lines().filter_map(|line| line.split_once(") Installing ")?.1.split(' ').next()).collect();
    assert_eq!(order.len(), names.len(), "{log}");

    let ours = Directory::new();
    std::fs::set_permissions(&ours.0, PermissionsExt::from_mode(0o755)).expect("a mode");
    for (path, mode) in
        [("tmp", 0o1777), ("dev", 0o755), ("etc/apk", 0o755), ("lib/apk/db", 0o755), ("proc", 0o555)]
            .into_iter()
            .chain([("var/cache/apk", 0o755), ("var/cache/misc", 0o755)])
    {
        DirBuilder::new().recursive(true).mode(0o755).create(ours.join(path)).expect("a directory");
        std::fs::set_permissions(ours.join(path), PermissionsExt::from_mode(mode)).expect("a mode");
    }
    let database =
        call("packages.openDatabase", json!({"root": ours.0, "keep": []})).expect("a database")["id"].clone();
    let began = Instant::now();
    for name in order {
        let conflicts = media.install(&database, &ours, name);
        for path in conflicts {
            assert!(log.contains(&format!("{path} owned by")), "{name}: {path}: {log}");
        }
    }
    call("packages.settleDirectories", json!({"database": database})).expect("settled");
    call("packages.writeDatabase", json!({"database": database, "broken": []})).expect("written");
    let our_time = began.elapsed();

    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    walk(&theirs.0, &theirs.0, &mut expected);
    walk(&ours.0, &ours.0, &mut found);
    let differences: Vec<String> = expected
        .keys()
        .chain(found.keys())
        .filter(|name| expected.get(*name) != found.get(*name))
        .map(|name| format!("{name}: apk {:?}, we {:?}", expected.get(name), found.get(name)))
        .collect();
    assert!(expected.len() > 1000, "only {} files", expected.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    for name in ["installed", "triggers"] {
        let file =
            |root: &Directory| std::fs::read_to_string(root.join("lib/apk/db").join(name)).expect(name);
        let (theirs, ours) = (file(&theirs), file(&ours));
        if let Some((line, (a, b))) = theirs.lines().zip(ours.lines()).enumerate().find(|(_, (a, b))| a != b)
        {
            panic!("{name}, line {}: apk {a}, we {b}", line + 1);
        }
        assert_eq!(theirs.len(), ours.len(), "{name}");
        assert!(theirs.len() > 70, "{name}: {theirs}");
    }
    let scripts = |root: &Directory| without_times(&root.join("lib/apk/db/scripts.tar"));
    assert!(scripts(&theirs) == scripts(&ours), "scripts.tar");
    let lock = ours.join("lib/apk/db/lock").metadata().expect("lock");
    assert_eq!((lock.len(), lock.mode() & 0o7777), (0, 0o600));
    let counts = (expected.len(), names.len());
    eprintln!(
        "{counts:?} paths and packages as the real apk has them; it took {their_time:?}, we {our_time:?}"
    );

    // What we wrote, we read back, and write again as it was.
    let before = std::fs::read(ours.join("lib/apk/db/installed")).expect("installed");
    let again = call("packages.openDatabase", json!({"root": ours.0, "keep": []})).expect("a database");
    assert_eq!(again["installed"].as_array().map(Vec::len), Some(names.len()));
    call("packages.writeDatabase", json!({"database": again["id"], "broken": ["busybox"]})).expect("written");
    let after = String::from_utf8(std::fs::read(ours.join("lib/apk/db/installed")).expect("installed"))
        .expect("text");
    assert_eq!(after.replace("f:s\n", "").as_bytes(), before);
    assert_eq!(after.matches("f:s\n").count(), 1);
}
