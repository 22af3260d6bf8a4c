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

unsafe extern "C" {
    /// glibc 2.32: the name of an errno (`ENOENT`), or null.
    fn strerrorname_np(errnum: libc::c_int) -> *const libc::c_char;
}

/// The name of an errno, or `E` and its number when the C library knows none.
pub fn errno_name(number: i32) -> String {
    // SAFETY: the function takes any number and returns null or a static string.
    let name = unsafe { strerrorname_np(number) };
    if name.is_null() {
        return format!("E{number}");
    }
    // SAFETY: not null, so it is a NUL-terminated string with static lifetime.
    unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

/// What strerror(3) says of an errno.
pub fn errno_text(number: i32) -> String {
    let text = std::io::Error::from_raw_os_error(number).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

impl SysError {
    /// From a failed system call: `std::io::Error` or `rustix::io::Errno`.
    pub fn os(operation: &str, subject: impl Into<String>, error: impl Into<std::io::Error>) -> Self {
        let error = error.into();
        match error.raw_os_error() {
            Some(number) => SysError::new(&errno_name(number), operation, subject, errno_text(number)),
            None => SysError::new("EIO", operation, subject, error.to_string()),
        }
    }

    pub fn aborted(operation: &str, subject: impl Into<String>) -> Self {
        SysError::new("ABORTED", operation, subject, "given up")
    }

    pub fn timeout(operation: &str, subject: impl Into<String>, milliseconds: u64) -> Self {
        SysError::new(
            "TIMEOUT",
            operation,
            subject,
            format!("no answer within {} s", milliseconds as f64 / 1000.0),
        )
    }

    /// The message with further lines: the kernel's own.
    pub fn with_detail(mut self, detail: Vec<String>) -> Self {
        self.detail = detail;
        self
    }
}
