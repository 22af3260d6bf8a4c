//! One request over HTTP, and what may come back, in our codes and in a person's words.

use super::failure::{fail, failure, sys_error, unwrap_failure};
use super::http_date;
use super::opened::Validator;
use super::url::{base64, split_userinfo, without_zone};
use super::watch::{Deadlines, Watch};
use crate::error::{SysError, errno_name, errno_text};
use serde::Deserialize;
use std::io::{self, Read};
use ureq::http::{HeaderValue, Response};
use ureq::{Agent, Body as Answer, BodyReader, Error, Proxy, RequestBuilder};

/// More connections to one server than this are not kept.
pub const KEPT: usize = 16;

/// What is asked for, as `Source` in src/sys/pipeline.ts has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Http {
    pub url: String,
    pub deadlines: Deadlines,
    #[serde(default)]
    pub unless_still: Validator,
    #[serde(default)]
    pub resume: Resume,
    /// `http://[USER:PASSWORD@]HOST[:PORT]`.
    pub proxy: Option<String>,
    /// JSON lines to be posted.
    pub body: Option<String>,
}

/// `Resume` in src/sys/pipeline.ts.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// Milliseconds before each reconnection; there are no more than these.
    pub after_ms: Vec<u64>,
    /// The codes of what is a break.
    pub on: Vec<String>,
}

/// From an offset on, if it is still what this validator says.
pub struct Rest<'a> {
    pub from: u64,
    pub condition: &'a str,
}

/// One request, redirects followed, up to the head of an answer that is a success.
pub fn ask(
    client: &Agent,
    http: &Http,
    rest: Option<Rest<'_>>,
    watch: &Watch,
) -> io::Result<Response<Answer>> {
    let answered = send(client, http, rest, watch);
    let Some(proxy) = &http.proxy else { return answered };
    answered.map_err(|error| {
        let mut error = sys_error(error, "http", &watch.subject);
        let shown = split_userinfo(proxy).1;
        error.message = format!("by the proxy {shown}: {}", error.message);
        failure(error)
    })
}

fn send(client: &Agent, http: &Http, rest: Option<Rest<'_>>, watch: &Watch) -> io::Result<Response<Answer>> {
    let mut kept = KEPT;
    let answer = loop {
        let connections = watch.connections();
        match once(client, http, rest.as_ref(), watch)? {
            // Servers close what was kept, perhaps just now: that is no answer (RFC 9112, 9.3.1).
            Err(Error::Io(error)) if is_closed(&error) && watch.connections() == connections && kept > 0 => {
                kept -= 1;
            }
            answered => break answered.map_err(|error| explain(error, watch))?,
        }
    };
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let reason = match status.as_u16() {
        304 => "unchanged",
        _ => status.canonical_reason().unwrap_or("no reason that is known"),
    };
    let message = format!("the server answered {} ({reason})", status.as_u16());
    let mut error = SysError::new("HTTP", "pipeline.http", &watch.subject, message);
    error.status = Some(status.as_u16());
    error.retry_after = retry_after(&answer);
    Err(failure(error))
}

/// The outer error: there is no such request.
fn once(
    client: &Agent,
    http: &Http,
    rest: Option<&Rest<'_>>,
    watch: &Watch,
) -> io::Result<Result<Response<Answer>, Error>> {
    let (_, url) = split_userinfo(&http.url);
    let Some(body) = &http.body else {
        return Ok(prepare(client.get(url.as_ref()), http, rest, watch)?.call());
    };
    let request = prepare(client.post(url.as_ref()), http, rest, watch)?;
    // A redirect would make a GET of it, and what was to be told would be lost without a word.
    let request = request.config().max_redirects(0).build();
    Ok(request.content_type("application/x-ndjson").send(body))
}

fn prepare<T>(
    mut request: RequestBuilder<T>,
    http: &Http,
    rest: Option<&Rest<'_>>,
    watch: &Watch,
) -> io::Result<RequestBuilder<T>> {
    let invalid = |message: String| fail("EINVAL", "http", &watch.subject, message);
    let (user, url) = split_userinfo(&http.url);
    if let Some(host) = without_zone(&url) {
        request = request.header("Host", host);
    }
    if let Some(user) = user {
        request = request.header("Authorization", format!("Basic {}", base64(&user)));
    }
    let still = &http.unless_still;
    let conditions = match rest {
        None => {
            [("If-None-Match", still.etag.as_deref()), ("If-Modified-Since", still.last_modified.as_deref())]
        }
        Some(rest) => {
            request = request.header("Range", format!("bytes={}-", rest.from));
            [("If-Range", Some(rest.condition)), ("", None)]
        }
    };
    for (name, value) in conditions {
        let Some(value) = value else { continue };
        let value = HeaderValue::from_str(value)
            .map_err(|_| invalid(format!("{name} cannot be asked with {value:?}")))?;
        request = request.header(name, value);
    }
    // What was asked for in secret is not taken from anybody who listens.
    let secure = url.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https:"));
    request = request.config().https_only(secure).build();
    if let Some(proxy) = &http.proxy {
        let proxy = Proxy::new(proxy).map_err(|_| invalid("this is not the URL of a proxy".into()))?;
        request = request.config().proxy(Some(proxy)).build();
    }
    Ok(request)
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

pub fn header<'a>(answer: &'a Response<Answer>, name: &str) -> Option<&'a str> {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// RFC 9110, 10.2.3: seconds, or a date, which the server's own clock counts from and not ours.
fn retry_after(answer: &Response<Answer>) -> Option<u64> {
    let asked = header(answer, "retry-after")?;
    asked.parse().ok().or_else(|| {
        let now = http_date::parse(header(answer, "date")?)?;
        Some(http_date::parse(asked)?.saturating_sub(now).max(0) as u64)
    })
}

/// The body of an answer; an end before the announced length is TRUNCATED.
pub struct Body {
    pub reader: BodyReader<'static>,
    pub total: Option<u64>,
    /// Of the resource, those of earlier answers included.
    pub bytes: u64,
}

impl Body {
    pub fn read(&mut self, to: &mut [u8], watch: &Watch) -> io::Result<usize> {
        let count = match self.reader.read(to) {
            Ok(0) if to.is_empty() || self.total.is_none_or(|total| self.bytes >= total) => 0,
            Ok(0) => return Err(self.truncated(watch)),
            Ok(count) => count,
            Err(error) if unwrap_failure(&error).is_some() => return Err(error),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(self.truncated(watch)),
            Err(error) => return Err(explain(Error::from(error), watch)),
        };
        self.bytes += count as u64;
        match self.total {
            // Of a first answer the client sees to it; a part of one may have another length than its range says.
            Some(total) if self.bytes > total => {
                let message = format!("the server sent more than the {total} bytes that it announced");
                Err(fail("FORMAT", "http", &watch.subject, message))
            }
            _ => Ok(count),
        }
    }

    fn truncated(&self, watch: &Watch) -> io::Error {
        let message = match self.total {
            Some(total) => format!("the connection ended after {} of {total} bytes", self.bytes),
            None => format!("the connection ended after {} bytes, before the end of the answer", self.bytes),
        };
        fail("TRUNCATED", "http", &watch.subject, message)
    }
}

/// What the client reports, in our codes and in a person's words.
fn explain(error: Error, watch: &Watch) -> io::Error {
    let of = |code: &str, message: String| fail(code, "http", &watch.subject, message);
    match error {
        Error::Io(error) => {
            if unwrap_failure(&error).is_some() {
                error
            } else if error.kind() == io::ErrorKind::UnexpectedEof {
                of("TRUNCATED", "the server closed the connection without an answer".into())
            } else if let Some(number) = error.raw_os_error() {
                of(&errno_name(number), errno_text(number))
            } else if error.kind() == io::ErrorKind::InvalidData {
                // rustls hides its own errors in this kind.
                of("TLS", tls_text(&error.to_string()))
            } else {
                of("EIO", error.to_string())
            }
        }
        Error::Rustls(error) => of("TLS", tls_text(&error.to_string())),
        Error::Tls(text) => of("TLS", text.to_owned()),
        Error::BadUri(_) | Error::Http(_) => of("EINVAL", "this is not a URL".into()),
        Error::Protocol(error) => of("FORMAT", format!("the answer is not HTTP: {error}")),
        Error::BodyStalled => of("FORMAT", "the answer's body is not as HTTP has it".into()),
        Error::LargeResponseHeader(..) => of("FORMAT", "the answer's headers are too long".into()),
        Error::TooManyRedirects => of("ELOOP", "more than 10 redirects".into()),
        Error::RequireHttpsOnly(_) => {
            of("TLS", "the server redirects from https to http, which is refused".into())
        }
        Error::RedirectFailed => of("FORMAT", "the server redirects to what is not a URL".into()),
        Error::ConnectProxyFailed(reason) => {
            // "… responded 407/…": the client tells it in no other way.
            let status = reason.rsplit_once(' ').and_then(|(_, last)| last.split('/').next()?.parse().ok());
            let mut error = SysError::new("EPROTO", "pipeline.http", &watch.subject, reason.clone());
            if let Some(status) = status {
                (error.code, error.status) = ("HTTP".to_owned(), Some(status));
                error.message = format!("it answered {status} to CONNECT");
            }
            failure(error)
        }
        Error::HostNotFound => of("DNS", "the name was not resolved".into()),
        other => of("EIO", other.to_string()),
    }
}

fn tls_text(reason: &str) -> String {
    format!("no secure connection: {reason}")
}
