//! What a failed operation looks like on its way to TypeScript. The fields are `SysErrorFields` in src/sys/error.ts.

use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SysError {
    /// An errno's name, or one of the codes that src/sys/error.ts lists.
    pub code: String,
    /// The operation as `Sys` names it: `mounts.mount`.
    pub operation: String,
    /// What it was done to.
    pub subject: String,
    /// One line for a person.
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<String>,
}

pub type Result<T> = std::result::Result<T, SysError>;

impl SysError {
    pub fn new(code: &str, operation: &str, subject: impl Into<String>, message: impl Into<String>) -> Self {
        SysError {
            code: code.to_owned(),
            operation: operation.to_owned(),
            subject: subject.into(),
            message: message.into(),
            status: None,
            retry_after: None,
            detail: Vec::new(),
        }
    }
}
