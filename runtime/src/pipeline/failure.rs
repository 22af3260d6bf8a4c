//! Carries a `SysError` through code that speaks `std::io::Error`: readers, the HTTP client, decoders.

use crate::error::SysError;
use std::{error, fmt, io};

#[derive(Debug)]
pub struct Failure(pub SysError);

impl fmt::Display for Failure {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0.message)
    }
}

impl error::Error for Failure {}

/// Wraps an error for a `Read` chain; `unwrap_failure` finds it again, whoever else wrapped it in between.
pub fn failure(error: SysError) -> io::Error {
    io::Error::other(Failure(error))
}

/// A failure of one stage of a pipeline.
pub fn fail(code: &str, stage: &str, subject: impl Into<String>, message: impl Into<String>) -> io::Error {
    failure(SysError::new(code, &operation(stage), subject, message))
}

/// The operation of a stage, as `SysError` names it: `pipeline.gunzip`. What serves other operations as well
/// (paths inside a root, archives) gets their names whole, with a dot.
pub fn operation(stage: &str) -> String {
    if stage.contains('.') { stage.to_owned() } else { format!("pipeline.{stage}") }
}

/// The `SysError` that travels in an error or in one of its causes.
pub fn unwrap_failure(error: &io::Error) -> Option<&SysError> {
    let mut at: &(dyn error::Error + 'static) = error.get_ref()?;
    loop {
        if let Some(found) = at.downcast_ref::<Failure>() {
            return Some(&found.0);
        }
        if let Some(ureq::Error::Io(inner)) = at.downcast_ref::<ureq::Error>() {
            return unwrap_failure(inner);
        }
        if let Some(inner) = at.downcast_ref::<io::Error>() {
            return unwrap_failure(inner);
        }
        at = at.source()?;
    }
}

/// What a stage reports for an error: the `SysError` inside, or the system's own.
pub fn sys_error(error: io::Error, stage: &str, subject: &str) -> SysError {
    match unwrap_failure(&error) {
        Some(found) => found.clone(),
        None => SysError::os(&operation(stage), subject, error),
    }
}
