//! A body whose connection may break: the rest is asked for with Range and If-Range (RFC 9110, 13.1.5 and 14), so
//! that no sink and no filter sees the break. How often and how long after is TypeScript's to say. What is not surely
//! the rest of the same thing ends the pipeline: bytes of two versions are never mixed.

use super::failure::{fail, failure, sys_error};
use super::http_date;
use super::request::{Body, Http, Rest, Resume, ask, header};
use super::watch::Watch;
use crate::error::SysError;
use crate::ops::Emit;
use serde::Serialize;
use std::io::{self, Read};
use std::rc::Rc;
use std::time::Duration;
use ureq::http::Response;
use ureq::{Agent, Body as Answer};

/// What is told of a break.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broken<'a> {
    bytes: u64,
    why: &'a str,
    attempt: usize,
    of: usize,
    wait_ms: u64,
}

#[derive(Serialize)]
struct Told<'a> {
    broken: Broken<'a>,
}

pub struct Resuming<'a> {
    client: &'a Agent,
    http: &'a Http,
    watch: Rc<Watch>,
    emit: &'a Emit,
    body: Body,
    /// What the first answer said of the resource's state and can be relied on: a strong tag, or else a date.
    condition: Option<(&'static str, String)>,
    /// Reconnections so far.
    made: usize,
}

impl<'a> Resuming<'a> {
    pub fn new(
        client: &'a Agent,
        http: &'a Http,
        watch: Rc<Watch>,
        emit: &'a Emit,
        answer: Response<Answer>,
        total: Option<u64>,
    ) -> Resuming<'a> {
        let condition = condition(&answer);
        let body = Body { reader: answer.into_body().into_reader(), total, bytes: 0 };
        Resuming { client, http, watch, emit, body, condition, made: 0 }
    }

    /// Goes on after a break, or gives its error back.
    fn reconnect(&mut self, broken: io::Error) -> io::Result<()> {
        let Some((name, state)) = self.condition.clone().filter(|_| self.body.bytes > 0) else {
            return Err(broken);
        };
        let mut broken = sys_error(broken, "http", &self.watch.subject);
        loop {
            let Resume { after_ms, on } = &self.http.resume;
            let (true, Some(&wait_ms)) = (on.contains(&broken.code), after_ms.get(self.made)) else {
                return Err(failure(broken));
            };
            // The deadline for everything has the same code as a stall.
            self.watch.check()?;
            self.made += 1;
            let (bytes, attempt, of) = (self.body.bytes, self.made, after_ms.len());
            let told = Broken { bytes, why: &broken.message, attempt, of, wait_ms };
            self.emit.event(&Told { broken: told });
            self.watch.pause(Duration::from_millis(wait_ms))?;
            let rest = Rest { from: bytes, condition: &state };
            match ask(self.client, self.http, Some(rest), &self.watch) {
                Ok(answer) => return self.go_on(answer, name, &state),
                Err(error) => {
                    let error = sys_error(error, "http", &self.watch.subject);
                    // The server's own trouble may pass; any other status is its answer.
                    broken = match error.status {
                        Some(status @ 400..500) => return Err(self.refused(&format!("answered {status}"))),
                        Some(_) => SysError { code: "TRUNCATED".to_owned(), ..error },
                        None => error,
                    };
                }
            }
        }
    }

    fn go_on(&mut self, answer: Response<Answer>, name: &str, state: &str) -> io::Result<()> {
        let status = answer.status().as_u16();
        if status != 206 {
            return Err(self.refused(&format!("answered {status}: it changed, or the server cannot")));
        }
        if header(&answer, name).is_some_and(|now| now != state) {
            return Err(self.refused("sent a part of something else"));
        }
        let range = header(&answer, "content-range").and_then(content_range);
        let whole = match (range, self.body.total) {
            (Some((from, _, total)), known) if from == self.body.bytes => match (known, total) {
                (Some(known), Some(total)) if known != total => None,
                // Where nobody ever told the length, the end could not be known.
                (known, total) => known.or(total),
            },
            _ => None,
        };
        let Some(whole) = whole else {
            return Err(self.refused("sent another part than was asked for"));
        };
        self.body =
            Body { reader: answer.into_body().into_reader(), total: Some(whole), bytes: self.body.bytes };
        Ok(())
    }

    fn refused(&self, how: &str) -> io::Error {
        let message = format!(
            "the connection broke after {} bytes, and asked for the rest the server {how}",
            self.body.bytes
        );
        fail("TRUNCATED", "http", &self.watch.subject, message)
    }
}

impl Read for Resuming<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.body.read(to, &self.watch) {
                Ok(count) => return Ok(count),
                Err(error) => self.reconnect(error)?,
            }
        }
    }
}

/// RFC 9110, 8.8.2.2 and 13.1.5: a weak tag says nothing of single bytes, and a date only when it is a second older
/// than the answer.
fn condition(answer: &Response<Answer>) -> Option<(&'static str, String)> {
    if let Some(tag) = header(answer, "etag") {
        return tag.starts_with('"').then(|| ("etag", tag.to_owned()));
    }
    let modified = header(answer, "last-modified")?;
    let age = http_date::parse(header(answer, "date")?)? - http_date::parse(modified)?;
    (age > 0).then(|| ("last-modified", modified.to_owned()))
}

/// `bytes 5-9/10`: first, last and, unless it is `*`, how many there are (RFC 9110, 14.4).
fn content_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, to) = range.split_once('-')?;
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    (from <= to && total.is_none_or(|total| to < total)).then_some((from, to, total))
}
