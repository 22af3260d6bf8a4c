//! Keys, signed indexes and packages, made for the test.

pub use crate::pipeline::tests::support::*;

use crate::error::Result;
use crate::ops::{Call, Cancel, Emit, Ops, Reply, Run};
use crate::packages::checksum::{q1, sha1_of};
use crate::pipeline::filter::hex;
use ring::digest::{SHA256, digest};
use serde_json::Value;
use std::sync::mpsc::channel;

/// Calls an operation as TypeScript would.
pub fn call(name: &str, arguments: Value) -> Result<Value> {
    let mut ops = Ops::default();
    crate::packages::register(&mut ops);
    let json = arguments.to_string();
    let answer = match ops.table.get(name) {
        Some(Run::Inline(run)) => run(&json),
        Some(Run::Pool(run)) => run(&json, &Cancel::default(), &Emit::new(|_| ())),
        Some(Run::Deferred(run)) => {
            let (tell, answer) = channel();
            let reply = Reply::new(move |answer| tell.send(answer).expect("it is awaited"));
            run(&json, Call { reply, cancel: Cancel::default(), emit: Emit::new(|_| ()) });
            answer.recv().expect("an answer")
        }
        None => panic!("no operation {name}"),
    };
    answer.map(|json| serde_json::from_str(&json).expect("JSON"))
}

/// Runs a pipeline and gives its result as TypeScript would see it.
pub fn run(path: &str, sink: Value) -> Result<Value> {
    pipeline(file(path), serde_json::json!([]), sink)
        .map(|outcome| serde_json::to_value(outcome).expect("JSON"))
}

pub struct Package {
    pub control: Vec<u8>,
    pub data: Vec<u8>,
}

impl Package {
    /// With `.PKGINFO`, these scripts, and the checksums that packages have of their files.
    pub fn new(pkginfo: &str, scripts: &[(&str, &str)], data: &[TarEntry]) -> Package {
        let checked = data.iter().cloned().map(|mut entry| {
            let content = if entry.kind == b'2' { entry.link.as_bytes() } else { &entry.content };
            if matches!(entry.kind, b'0' | b'2') {
                let sum = hex(sha1_of(content).as_ref());
                entry.pax.push(("APK-TOOLS.checksum.SHA1".to_owned(), sum.into_bytes()));
            }
            entry
        });
        Package::unchecked(pkginfo, scripts, &checked.collect::<Vec<_>>())
    }
    pub fn unchecked(pkginfo: &str, scripts: &[(&str, &str)], data: &[TarEntry]) -> Package {
        let data = gzip(&tar(data));
        let pkginfo = format!("{pkginfo}datahash = {}\n", hex(digest(&SHA256, &data).as_ref()));
        let mut entries = vec![tar_file(".PKGINFO", pkginfo.as_bytes())];
        entries.extend(scripts.iter().map(|(name, text)| tar_file(&format!(".{name}"), text.as_bytes())));
        Package { control: gzip(&tar_cut(&entries)), data }
    }
    pub fn checksum(&self) -> String {
        q1(sha1_of(&self.control).as_ref())
    }
    pub fn bytes(&self) -> Vec<u8> {
        let signature = gzip(&tar_cut(&[tar_file(".SIGN.RSA.test.rsa.pub", b"not looked at")]));
        [signature, self.control.clone(), self.data.clone()].concat()
    }
}
