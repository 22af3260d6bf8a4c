//! Packages: staged, committed, and refused.

use super::support::*;
use crate::error::Result;
use crate::pipeline::filter::hex;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn stage_as(root: &Directory, bytes: &[u8], checksum: &str) -> Result<Value> {
    let dir = Directory::new();
    let sink = json!({"kind": "apk-stage", "root": root.0, "checksum": checksum});
    run(&dir.file("package.apk", bytes), sink).map(|result| result["stage"].clone())
}

fn stage(root: &Directory, package: &Package) -> Result<Value> {
    stage_as(root, &package.bytes(), &package.checksum())
}

fn stages_left(root: &Directory) -> usize {
    std::fs::read_dir(root.join(".diskless")).map_or(0, |entries| entries.count())
}

fn database(root: &Directory, keep: &[&str]) -> Value {
    call("packages.openDatabase", json!({"root": root.0, "keep": keep})).expect("a database")["id"].clone()
}

struct Commit<'a> {
    database: &'a Value,
    root: &'a Directory,
    takes: &'a [&'a str],
    yields: &'a [&'a str],
}

impl Commit<'_> {
    fn commit(&self, name: &str, entries: &[TarEntry]) -> Result<Value> {
        let package =
            Package::new(&format!("pkgname = {name}\n"), &[("post-install", "#!/bin/sh\n")], entries);
        let staged = stage(self.root, &package)?;
        let stanza = format!("C:{}\nP:{name}\nV:1.0-r0\n", package.checksum());
        call(
            "packages.commit",
            json!({"database": self.database, "stage": staged["id"], "name": name, "stanza": stanza,
                "takes": self.takes, "yields": self.yields}),
        )
    }
}

fn commit(root: &Directory, database: &Value, name: &str, entries: &[TarEntry]) -> Result<Value> {
    Commit { database, root, takes: &[], yields: &[] }.commit(name, entries)
}

fn installed(root: &Directory, database: &Value) -> String {
    call("packages.settleDirectories", json!({"database": database})).expect("settled");
    call("packages.writeDatabase", json!({"database": database, "broken": []})).expect("written");
    std::fs::read_to_string(root.join("lib/apk/db/installed")).expect("installed")
}

fn status(root: &Directory, name: &str) -> (u32, u32, u32) {
    let status = std::fs::symlink_metadata(root.join(name)).expect(name);
    (status.mode() & 0o7777, status.uid(), status.gid())
}

#[test]
fn a_stage_says_what_it_holds_and_goes_without_a_trace() {
    let root = Directory::new();
    let entries = [tar_entry("bin/", b'5'), tar_file("bin/hello", b"hello"), tar_file("bin/.keep_bin", b"")];
    let package = Package::new("pkgname = hello\n", &[("pre-install", "#!/bin/sh\nexit 0\n")], &entries);
    let staged = stage(&root, &package).expect("a stage");
    assert_eq!((&staged["files"], &staged["installedBytes"]), (&json!(1), &json!(5)));
    assert_eq!(staged["scripts"], json!(["pre-install"]));
    assert!(staged["pkginfo"].as_str().expect("text").starts_with("pkgname = hello\n"));
    assert!(!root.join("bin").exists());
    let path = root.text("script");
    let extract = |script: &str| {
        call("packages.extractScript", json!({"stage": staged["id"], "script": script, "path": path}))
    };
    extract("pre-install").expect("a script");
    assert_eq!(std::fs::read(&path).expect("a script"), b"#!/bin/sh\nexit 0\n");
    assert_eq!(status(&root, "script").0, 0o755);
    assert_eq!(extract("trigger").expect_err("no script").code, "ENOENT");
    assert_eq!(stages_left(&root), 1);
    call("packages.discard", json!({"stage": staged["id"]})).expect("discarded");
    assert_eq!(stages_left(&root), 0);
}

#[test]
fn a_digest_of_the_whole_takes_the_place_of_the_datas_own() {
    let (root, dir) = (Directory::new(), Directory::new());
    let package = Package::new("pkgname = hello\n", &[], &[tar_file("hello", b"hello")]);
    let data = gzip(&tar(&[tar_file("hello", b"other")]));
    let swapped = Package { data, control: package.control.clone() };
    let staged = |package: &Package, of: &[u8], digested: bool, filtered: bool| {
        let sha256 = hex(digest(&SHA256, of).as_ref());
        let filter = json!({"kind": "digest", "algorithm": "sha256", "expected": sha256});
        let filters = if filtered { json!([filter]) } else { json!([]) };
        let sink = json!({"kind": "apk-stage", "root": root.0, "checksum": package.checksum(),
            "digested": digested});
        pipeline(file(&dir.file("package.apk", &package.bytes())), filters, sink)
    };
    staged(&package, &package.bytes(), true, true).expect("what it should be");
    staged(&swapped, &swapped.bytes(), true, true).expect("nobody asks for the data's own");
    for (digested, filtered) in [(false, true), (true, false), (false, false)] {
        let error = error(staged(&swapped, &swapped.bytes(), digested, filtered));
        assert_eq!((error.code.as_str(), error.operation.as_str()), ("DIGEST", "pipeline.apk-stage"));
    }
    let error = error(staged(&swapped, &package.bytes(), true, true));
    assert_eq!((error.code.as_str(), error.operation.as_str()), ("DIGEST", "pipeline.digest"));
}

#[test]
fn what_was_changed_or_cut_is_refused_and_nothing_of_it_stays() {
    let root = Directory::new();
    let entries = [tar_entry("bin/", b'5'), tar_file("bin/hello", &[7; 5000])];
    let package = Package::new("pkgname = hello\n", &[], &entries);
    let good = package.bytes();
    let other = Package::new("pkgname = hello\nurl = elsewhere\n", &[], &entries);
    let control = stage_as(&root, &other.bytes(), &package.checksum()).expect_err("another control member");
    assert_eq!((control.code.as_str(), control.operation.as_str()), ("DIGEST", "pipeline.apk-stage"));
    let data = gzip(&tar(&[tar_entry("bin/", b'5'), tar_file("bin/hello", b"evil")]));
    let swapped = Package { data, control: package.control.clone() };
    assert_eq!(stage(&root, &swapped).expect_err("other data").code, "DIGEST");
    let appended = [good.clone(), gzip(&tar(&[tar_file("evil", b"")]))].concat();
    assert_eq!(stage_as(&root, &appended, &package.checksum()).expect_err("more data").code, "DIGEST");
    for length in (0..good.len()).step_by(7) {
        let error = stage_as(&root, &good[..length], &package.checksum()).expect_err("a cut package");
        assert!(["TRUNCATED", "FORMAT", "DIGEST"].contains(&error.code.as_str()), "{length}: {error:?}");
    }
    for at in package.bytes().len() - package.control.len() - package.data.len()..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(stage_as(&root, &bytes, &package.checksum()).is_err(), "a changed byte {at}");
    }
    let plain = gzip(&tar(&[tar_file("bin/hello", b"")]));
    assert_eq!(stage_as(&root, &plain, &package.checksum()).expect_err("no package").code, "DIGEST");
    for magic in [b"ADB.", b"ADBd", b"ADBc"] {
        let adb = stage_as(&root, magic, &package.checksum()).expect_err("version 3");
        assert_eq!(adb.code, "FORMAT");
        assert!(adb.message.contains("apk-tools 3 (ADB)"), "{}", adb.message);
    }
    assert_eq!(stages_left(&root), 0);
}

#[test]
fn names_that_lead_out_or_lie_are_refused() {
    let root = Directory::new();
    let hardlink = |target: &str| vec![tar_file("a", b""), tar_link("b", b'1', target)];
    for (code, entries) in [
        ("ESCAPE", vec![tar_file("../evil", b"")]),
        ("ESCAPE", vec![tar_entry("etc/", b'5'), tar_file("etc/../../evil", b"")]),
        ("ESCAPE", vec![tar_file("/etc/evil", b"")]),
        ("ESCAPE", hardlink("/etc/passwd")),
        ("ESCAPE", hardlink("../passwd")),
        ("FORMAT", hardlink("etc/passwd")),
        ("FORMAT", vec![tar_file("a\nP:evil", b"")]),
        ("FORMAT", vec![tar_file("./a", b"")]),
        ("FORMAT", vec![tar_file("no/directory", b"")]),
    ] {
        let error = stage(&root, &Package::new("", &[], &entries)).expect_err("a refusal");
        assert_eq!(error.code, code, "{}", error.message);
    }
    assert_eq!(stages_left(&root), 0);
}

#[test]
fn sizes_that_nothing_can_have_are_not_believed() {
    let root = Directory::new();
    let claims = |size: &str, name: &str| {
        let pax = vec![("size".to_owned(), size.as_bytes().to_vec())];
        [TarEntry { pax, ..tar_file(name, b"a few bytes") }]
    };
    for (size, code) in
        [("1099511627776", "TRUNCATED"), ("9223372036854775807", "TRUNCATED"), ("1e9", "FORMAT")]
    {
        let error = stage(&root, &Package::unchecked("", &[], &claims(size, "big"))).expect_err("a lie");
        assert_eq!(error.code, code, "{size}: {}", error.message);
    }
    // Of .PKGINFO and scripts, which are kept in memory.
    let control = gzip(&tar(&[tar_file(".PKGINFO", &[b'#'; 17 << 20])]));
    let endless = Package { control, data: Vec::new() };
    assert_eq!(stage(&root, &endless).expect_err("too much of it").code, "TOO_BIG");
    assert_eq!(stages_left(&root), 0);
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
    let full = stage(&root, &Package::new("", &[], &[tar_file("big", &[7; 3 << 20])]));
    let left = stages_left(&root);
    rustix::mount::unmount(&root.0, rustix::mount::UnmountFlags::DETACH).expect("unmounted");
    let full = full.expect_err("no room");
    assert_eq!((full.code.as_str(), left), ("ENOSPC", 0));
    assert!(full.message.contains("of 1 MiB free"), "{}", full.message);
}

#[test]
fn owners_go_by_name_and_modes_with_their_set_id_bits() {
    let root = Directory::new();
    std::fs::create_dir(root.join("etc")).expect("a directory");
    root.file("etc/passwd", b"root:x:0:0::/:\nkiosk:x:1234:99::/:\n");
    root.file("etc/group", b"root:x:0:\nshow:x:77:\n");
    let database = database(&root, &[]);
    let of = |name: &str, uname, gname, mode| TarEntry {
        uname,
        gname,
        mode,
        uid: 5,
        gid: 6,
        ..tar_file(name, b"x")
    };
    let entries = [
        TarEntry { uname: "kiosk", gname: "show", mode: 0o750, ..tar_entry("srv/", b'5') },
        of("srv/named", "kiosk", "show", 0o6755),
        of("srv/numbered", "nobody-knows", "nor-this", 0o600),
        TarEntry { uname: "kiosk", gname: "show", mode: 0o6755, ..tar_link("srv/again", b'1', "srv/named") },
        tar_link("srv/link", b'2', "/anywhere"),
        TarEntry {
            pax: vec![(
                "SCHILY.xattr.security.capability".into(),
                vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            )],
            ..of("srv/ping", "kiosk", "root", 0o755)
        },
    ];
    commit(&root, &database, "shop", &entries).expect("committed");
    // Until all packages are there a directory is root's.
    assert_eq!(status(&root, "srv"), (0o750, 0, 0));
    assert_eq!(status(&root, "srv/named"), (0o6755, 1234, 77));
    assert_eq!(status(&root, "srv/numbered"), (0o600, 5, 6));
    let inode = |name: &str| std::fs::metadata(root.join(name)).expect(name).ino();
    assert_eq!(inode("srv/named"), inode("srv/again"));
    let mut value = [0; 32];
    assert_eq!(rustix::fs::getxattr(root.join("srv/ping"), "security.capability", &mut value), Ok(20));
    let text = installed(&root, &database);
    assert_eq!(status(&root, "srv"), (0o750, 1234, 77));
    for line in [
        "F:srv\nM:1234:77:750\n",
        "R:named\na:1234:77:6755\nZ:Q1",
        "R:numbered\na:5:6:600\n",
        "R:ping\na:1234:0:755:Q1",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    assert!(!root.join(".diskless").exists());
}

#[test]
fn a_file_of_two_packages_goes_to_whom_typescript_says() {
    let root = Directory::new();
    let database = database(&root, &[]);
    let with = |text: &[u8]| [tar_entry("bin/", b'5'), tar_file("bin/tool", text)];
    let content = || std::fs::read_to_string(root.join("bin/tool")).expect("the tool");
    let told = commit(&root, &database, "one", &with(b"1")).expect("committed");
    assert_eq!(told, json!({"conflicts": [], "directories": ["bin"], "broken": []}));
    let ask = |takes: &[&str], yields: &[&str], name: &str, text: &[u8]| {
        Commit { database: &database, root: &root, takes, yields }
            .commit(name, &with(text))
            .expect("committed")
    };
    assert_eq!(ask(&[], &["one"], "two", b"2")["conflicts"], json!([]));
    assert_eq!(content(), "1");
    assert_eq!(ask(&["one"], &[], "three", b"3")["conflicts"], json!([]));
    assert_eq!(content(), "3");
    assert_eq!(ask(&[], &[], "four", b"4")["conflicts"], json!([{"path": "bin/tool", "owner": "three"}]));
    assert_eq!(content(), "4");
    let text = installed(&root, &database);
    let owners: Vec<&str> = text.split("\n\n").filter(|stanza| stanza.contains("R:tool")).collect();
    assert_eq!(owners.len(), 1);
    assert!(owners[0].contains("P:four\n"));
    assert_eq!(commit(&root, &database, "four", &[]).expect_err("twice").code, "EEXIST");
}

#[test]
fn the_overlays_files_and_changed_configuration_stay() {
    let root = Directory::new();
    for directory in ["etc", "usr"] {
        std::fs::create_dir(root.join(directory)).expect("a directory");
    }
    root.file("etc/mine", b"edited");
    root.file("usr/kept", b"overlay");
    root.file("usr/stray", b"stray");
    let database = database(&root, &["usr/", "usr/kept"]);
    let first = |text: &'static [u8]| {
        [
            tar_entry("etc/", b'5'),
            tar_file("etc/mine", text),
            tar_file("etc/theirs", text),
            tar_entry("usr/", b'5'),
            tar_file("usr/kept", text),
            tar_file("usr/stray", text),
        ]
    };
    commit(&root, &database, "one", &first(b"one")).expect("committed");
    let content = |name: &str| std::fs::read_to_string(root.join(name)).expect(name);
    let all = || ["etc/mine", "etc/theirs", "usr/kept", "usr/stray"].map(content);
    assert_eq!(all(), ["edited", "one", "overlay", "one"]);
    // A package that replaces the first: what nobody touched is overwritten, what somebody did is not.
    Commit { database: &database, root: &root, takes: &["one"], yields: &[] }
        .commit("two", &first(b"two"))
        .expect("committed");
    // The overlay's file was the first package's since then, and went with it.
    assert_eq!(all(), ["edited", "two", "two", "two"]);
    assert_eq!(installed(&root, &database).matches("R:kept\n").count(), 1);
}

#[test]
fn links_of_the_root_lead_where_they_will_lead_and_never_out() {
    let root = Directory::new();
    let outside = Directory::new();
    std::fs::create_dir_all(root.join("usr/lib")).expect("a directory");
    symlink("/usr/lib", root.join("lib")).expect("a link");
    symlink(outside.text(""), root.join("door")).expect("a link");
    let database = database(&root, &[]);
    commit(&root, &database, "libc", &[tar_entry("lib/", b'5'), tar_file("lib/libc.so", b"elf")])
        .expect("committed");
    assert!(root.join("lib").is_symlink());
    assert_eq!(std::fs::read(root.join("usr/lib/libc.so")).expect("the file"), b"elf");
    let evil = commit(&root, &database, "evil", &[tar_entry("door/", b'5'), tar_file("door/evil", b"x")]);
    assert_eq!(evil.expect("committed")["broken"], json!(["door/evil is not there: its directory is none"]));
    let swapped =
        [tar_link("gate", b'2', &outside.text("")), tar_entry("gate/", b'5'), tar_file("gate/evil", b"x")];
    let worse = commit(&root, &database, "worse", &swapped).expect("committed");
    assert_eq!(worse["broken"], json!(["gate/evil is not there: its directory is none"]));
    assert_eq!(std::fs::read_dir(&outside.0).expect("outside").count(), 0);
    assert_eq!(stages_left(&root), 0);
}

#[test]
fn what_is_in_the_way_stays_and_the_package_is_broken() {
    let root = Directory::new();
    std::fs::create_dir_all(root.join("srv/data/more")).expect("a directory");
    root.file("plain", b"");
    let database = database(&root, &[]);
    let broken = |name: &str, entries: &[TarEntry]| {
        commit(&root, &database, name, entries).expect("committed")["broken"].clone()
    };
    let file = broken("one", &[tar_entry("srv/", b'5'), tar_file("srv/data", b""), tar_file("srv/a", b"")]);
    assert_eq!(file, json!(["srv/data is not there: the root has a directory in its place"]));
    let directory = broken("two", &[tar_entry("plain/", b'5'), tar_file("plain/a", b"")]);
    assert_eq!(
        directory,
        json!([
            "plain is a directory in it, and a file in the root",
            "plain/a is not there: its directory is none"
        ])
    );
    assert!(
        root.join("srv/data/more").is_dir() && root.join("plain").is_file() && root.join("srv/a").is_file()
    );
    assert_eq!(installed(&root, &database).matches("\nf:f\n").count(), 2);
}

#[test]
fn a_package_without_checksums_is_broken_as_it_is_to_apk() {
    let root = Directory::new();
    let database = database(&root, &[]);
    let entries = [tar_entry("srv/", b'5'), tar_file("srv/a", b"a"), tar_link("srv/b", b'2', "a")];
    let package = Package::unchecked("", &[], &entries);
    let staged = stage(&root, &package).expect("a stage");
    let request = json!({"database": database, "stage": staged["id"], "name": "bare", "stanza": "P:bare\n",
        "takes": [], "yields": []});
    let told = call("packages.commit", request).expect("committed");
    assert_eq!(told["broken"], json!(["it has no checksums of its files"]));
    let text = installed(&root, &database);
    assert!(text.contains("f:f\nF:srv\nR:a\nR:b\na:0:0:777\n\n"), "{text}");
}

#[test]
fn a_directory_of_several_packages_gets_what_all_of_them_allow() {
    let root = Directory::new();
    std::fs::create_dir(root.join("old")).expect("a directory");
    let database = database(&root, &[]);
    let settle = || call("packages.settleDirectories", json!({"database": database})).expect("settled");
    let with = |mode, uid| {
        [
            TarEntry { mode, uid, uname: "", ..tar_entry("new/", b'5') },
            TarEntry { mode: 0o700, ..tar_entry("old/", b'5') },
        ]
    };
    commit(&root, &database, "one", &with(0o3775, 7)).expect("committed");
    // mkdir(2) gives no set-id bits.
    assert_eq!(status(&root, "new"), (0o1775, 0, 0));
    settle();
    assert_eq!(status(&root, "new"), (0o3775, 7, 0));
    commit(&root, &database, "two", &with(0o750, 7)).expect("committed");
    settle();
    assert_eq!(status(&root, "new"), (0o750, 7, 0));
    commit(&root, &database, "three", &with(0o711, 3)).expect("committed");
    // A script's wish ends with the last package, and a trigger's is the last word.
    std::fs::set_permissions(root.join("new"), PermissionsExt::from_mode(0o777)).expect("a mode");
    settle();
    assert_eq!(status(&root, "new"), (0o711, 3, 0));
    std::fs::set_permissions(root.join("new"), PermissionsExt::from_mode(0o777)).expect("a mode");
    call("packages.writeDatabase", json!({"database": database, "broken": []})).expect("written");
    assert_eq!(status(&root, "new"), (0o777, 3, 0));
    // What was there before keeps its mode.
    assert_ne!(status(&root, "old").0, 0o700);
}

#[test]
fn a_name_is_looked_up_once_until_a_script_ran() {
    let root = Directory::new();
    let database = database(&root, &[]);
    let of = |name: &str, uname| TarEntry { uname, gname: "", uid: 9, ..tar_file(name, b"x") };
    let passwd = |text: &[u8]| {
        let mut entries = vec![tar_entry("etc/", b'5')];
        entries.extend([tar_file("etc/passwd", text), of("early", "kiosk")]);
        entries
    };
    commit(&root, &database, "base", &passwd(b"kiosk:x:1234:99::/:\nshow:x:77:77::/:\nshort:x:5\n"))
        .expect("committed");
    // Asked for before there was a passwd: as with apk, that stays the answer.
    commit(&root, &database, "two", &[of("late", "kiosk"), of("new", "show"), of("short", "short")])
        .expect("committed");
    let uid = |name| status(&root, name).1;
    assert_eq!((uid("early"), uid("late"), uid("new"), uid("short")), (9, 9, 77, 9));
    let package = Package::new("", &[], &[of("after", "kiosk")]);
    let staged = stage(&root, &package).expect("a stage");
    let request = json!({"database": database, "stage": staged["id"], "name": "three", "stanza": "P:three\n",
        "takes": [], "yields": [], "scriptRan": true});
    call("packages.commit", request).expect("committed");
    assert_eq!(uid("after"), 1234);
}

#[test]
fn lines_before_the_directories_go_where_apk_leaves_them() {
    let root = Directory::new();
    let database = database(&root, &[]);
    let enter = |name: &str, more: &str| {
        let stanza = format!("C:Q1{name}\nP:{name}\nV:1-r0\n{more}");
        call("packages.enter", json!({"database": database, "name": name, "stanza": stanza}))
            .expect("entered");
    };
    enter("a-meta", "s:edge\n");
    enter("c-meta", "r:b\nq:5\ns:edge\n");
    commit(&root, &database, "b-full", &[tar_entry("srv/", b'5')]).expect("committed");
    let request = json!({"database": database, "broken": ["b-full", "a-meta"], "untagged": ["a-meta"]});
    call("packages.writeDatabase", request).expect("written");
    let text = std::fs::read_to_string(root.join("lib/apk/db/installed")).expect("installed");
    assert!(text.starts_with("C:Q1a-meta\nP:a-meta\nV:1-r0\n\nC:"), "{text}");
    assert!(text.contains("P:b-full\nV:1.0-r0\nf:s\nf:s\nF:srv\n\n"), "{text}");
    assert!(text.ends_with("C:Q1c-meta\nP:c-meta\nV:1-r0\n\n"), "{text}");
}

#[test]
fn scripts_and_triggers_are_kept_for_the_real_apk() {
    let root = Directory::new();
    let first = database(&root, &[]);
    let package = Package::new("", &[("trigger", "#!/bin/sh\n"), ("post-install", "#!/bin/sh\n:\n")], &[]);
    let staged = stage(&root, &package).expect("a stage");
    let stanza = format!("C:{}\nP:tool\nV:1.0-r0\n", package.checksum());
    let request = json!({"database": first, "stage": staged["id"], "name": "tool", "stanza": stanza,
        "takes": [], "yields": [], "triggers": ["/bin", "/usr/*"]});
    call("packages.commit", request).expect("committed");
    call("packages.writeDatabase", json!({"database": first, "broken": ["tool"]})).expect("written");
    let read = |name: &str| std::fs::read(root.join("lib/apk/db").join(name)).expect(name);
    let checksum = package.checksum();
    assert_eq!(read("triggers"), format!("{checksum} /bin /usr/*\n").as_bytes());
    // apk leaves the flag of a package without directories to the next package, and there is none.
    assert_eq!(read("installed"), format!("{stanza}\n").as_bytes());
    let script = root.text("script");
    let extract = |script: &str, path: &str| {
        let request = json!({"database": first, "name": "tool", "script": script, "path": path});
        call("packages.extractInstalledScript", request)
    };
    extract("trigger", &script).expect("a script");
    assert_eq!(std::fs::read(&script).expect("a script"), b"#!/bin/sh\n");
    assert_eq!(extract("pre-install", &script).expect_err("none").code, "ENOENT");
    let archive = read("scripts.tar");
    let name = format!("tool-1.0-r0.{checksum}.post-install");
    assert_eq!(&archive[..name.len()], name.as_bytes());
    // And read again by the next one.
    let again = call("packages.openDatabase", json!({"root": root.0, "keep": []})).expect("a database");
    assert_eq!(again["installed"], json!([stanza]));
    call("packages.writeDatabase", json!({"database": again["id"], "broken": []})).expect("written");
    assert_eq!(read("scripts.tar").len(), archive.len());
    assert_eq!(read("triggers"), format!("{checksum} /bin /usr/*\n").as_bytes());
}

#[test]
fn a_package_without_files_is_entered_without_a_stage() {
    let root = Directory::new();
    let database = database(&root, &[]);
    let stanza = "C:Q1AAAA\nP:.deps\nV:20260101.120000\nI:0\nD:one\n";
    let request = json!({"database": database, "name": ".deps", "stanza": stanza});
    call("packages.enter", request.clone()).expect("entered");
    assert_eq!(call("packages.enter", request).expect_err("twice").code, "EEXIST");
    commit(&root, &database, "one", &[]).expect("committed");
    assert!(installed(&root, &database).starts_with(&format!("{stanza}\n")));
}
