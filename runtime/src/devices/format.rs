//! What is known of a format that a device may hold: how it is recognised, and who reads its names.

use super::medium::Medium;

/// Names of what was found; the format's own is the table's.
#[derive(Debug, PartialEq)]
pub struct Found {
    pub uuid: Option<String>,
    pub label: Option<String>,
}

pub struct Format {
    /// As libblkid calls it.
    pub name: &'static str,
    /// One of these bytes must be at its offset; without any, `read` decides alone.
    pub magics: &'static [(u64, &'static [u8])],
    /// None: it looked like this format, and is not.
    pub read: fn(&mut Medium) -> Option<Found>,
}
