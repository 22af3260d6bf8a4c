//! A source that has answered, whatever it speaks.

use serde::{Deserialize, Serialize};
use std::io::Read;

/// What a server said of the state of a resource (RFC 9110, 8.8).
#[derive(Deserialize, Serialize, Default, Clone)]
#[serde(rename_all = "camelCase")]
pub struct Validator {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// A source that has answered.
pub struct Opened<'a> {
    pub reader: Box<dyn Read + 'a>,
    /// The length that it announced. Not to be believed.
    pub total: Option<u64>,
    pub validator: Option<Validator>,
}
