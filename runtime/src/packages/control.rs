//! A package's control member: .PKGINFO and the scripts. The index, which is signed, has its SHA-1.

use super::checksum::{Algorithm, q1};
use super::member::{Bounded, Tap, next_member};
use crate::pipeline::archive::{Archive, Kind};
use crate::pipeline::failure::fail;
use crate::pipeline::sink::drain;
use std::io::{self, Read};

/// What errors say was being done.
pub const STAGE: &str = "apk-stage";

/// .PKGINFO and the scripts, inflated.
const CONTROL: u64 = 16 << 20;

/// In the order in which apk writes them.
pub const SCRIPTS: [&str; 7] = [
    "pre-install",
    "post-install",
    "pre-deinstall",
    "post-deinstall",
    "pre-upgrade",
    "post-upgrade",
    "trigger",
];

pub struct Control {
    /// As it is.
    pub pkginfo: String,
    /// Name, without the dot, and content.
    pub scripts: Vec<(String, Vec<u8>)>,
    /// The data's SHA-256, hex.
    pub datahash: String,
}

/// Reads up to the control member's end, and checks it before any of it counts.
pub fn read<R: Read>(tap: &mut Tap<R>, checksum: &str, subject: &str) -> io::Result<Control> {
    let mut left = CONTROL;
    loop {
        tap.hash(Algorithm::Sha1);
        let Some(member) = next_member(tap, STAGE, subject)? else {
            return Err(fail("FORMAT", STAGE, subject, "there is no .PKGINFO in it; it is not a package"));
        };
        let member = Bounded { source: member, left: &mut left, stage: STAGE, subject };
        let mut archive = Archive::new(member, STAGE, subject);
        let (mut pkginfo, mut scripts, mut signature) = (None, Vec::new(), true);
        while let Some(entry) = archive.next()? {
            signature &= entry.path.starts_with(b".SIGN.");
            let name = entry.path.strip_prefix(b".").map(String::from_utf8_lossy).unwrap_or_default();
            if name == "PKGINFO" {
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes)?;
                pkginfo = Some(String::from_utf8_lossy(&bytes).into_owned());
            } else if SCRIPTS.contains(&&*name) && entry.kind == Kind::File {
                let mut bytes = Vec::new();
                archive.read_to_end(&mut bytes)?;
                scripts.push((name.into_owned(), bytes));
            }
        }
        drain(&mut archive.into_source())?;
        let found = tap.hashed().map(|digest| q1(digest.as_ref())).unwrap_or_default();
        if signature {
            continue;
        }
        if found != checksum {
            let message =
                format!("it is not the package of the index: its checksum is {found}, not {checksum}");
            return Err(fail("DIGEST", STAGE, subject, message));
        }
        let Some(pkginfo) = pkginfo else {
            return Err(fail("FORMAT", STAGE, subject, "its control member has no .PKGINFO"));
        };
        let Some(datahash) = pkginfo.lines().find_map(|line| line.strip_prefix("datahash = ")) else {
            return Err(fail(
                "FORMAT",
                STAGE,
                subject,
                ".PKGINFO has no datahash, so its data cannot be checked",
            ));
        };
        let datahash = datahash.trim().to_ascii_lowercase();
        return Ok(Control { datahash, pkginfo, scripts });
    }
}
