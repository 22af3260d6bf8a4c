//! What is on a block device or in an image, as blkid(8) tells it: the formats are asked one after another.

use super::containers::CONTAINERS;
use super::file_systems::FILE_SYSTEMS;
use super::format::Found;
use super::medium::Medium;
use super::{partition, reader};
use crate::clock::now;
use crate::error::Result;
use crate::ops::{Call, Cancel};
use crate::wait::on_thread;
use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

const PROBE: &str = "devices.probe";
/// The major number of sr (Linux' devices.txt).
const SCSI_CDROM: u32 = 11;

/// `Contents` of `Sys`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Contents {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part_label: Option<String>,
    pub size: u64,
}

pub fn contents(medium: &mut Medium) -> Contents {
    let size = medium.size;
    // Also so that a first block that cannot be read is seen, whatever the formats look at.
    if medium.byte(0).is_none() {
        return Contents { size, ..Contents::default() };
    }
    for format in CONTAINERS.iter().chain(&FILE_SYSTEMS) {
        let mut magics = format.magics.iter();
        let looks_so = format.magics.is_empty() || magics.any(|(offset, magic)| medium.has(*offset, magic));
        if looks_so && let Some(Found { uuid, label }) = (format.read)(medium) {
            return Contents { kind: Some(format.name), uuid, label, size, ..Contents::default() };
        }
    }
    Contents { size, ..Contents::default() }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    pub path: String,
    pub timeout_ms: f64,
}

/// A thread of its own each: a slow disk does not keep others waiting.
pub fn probe(request: Probe, call: Call) {
    on_thread("probe", call, move |cancel, _| look(&request, cancel));
}

pub fn look(request: &Probe, cancel: &Cancel) -> Result<Contents> {
    let (path, deadline) = (request.path.as_str(), now() + request.timeout_ms);
    // A device file answers at once, whatever its device does.
    let number = rustix::fs::stat(path)
        .ok()
        .filter(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice)
        .map(|stat| (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev)));
    let mut found = reader::read(PROBE, path, deadline, cancel, |medium| {
        medium.optical = number.is_some_and(|(major, _)| major == SCSI_CDROM);
        contents(medium)
    })?;
    if let Some(place) = number.and_then(|(major, minor)| partition::place("/sys", major, minor)) {
        let identify = |disk: &mut Medium| partition::identify(disk, &place);
        let identity = reader::read(PROBE, &place.disk, deadline, cancel, identify)?.unwrap_or_default();
        (found.part_uuid, found.part_label) = (identity.uuid, identity.label);
    }
    Ok(found)
}
