//! A directory, a web server that says exactly what it is told to, and archives with any content.

use crate::error::{Result, SysError};
use crate::ops::{Cancel, Emit};
use crate::pipeline::{Outcome, Pipeline, run};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removed when dropped.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("diskless-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Directory(path)
    }
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
    pub fn text(&self, name: &str) -> String {
        self.join(name).to_str().expect("UTF-8").to_owned()
    }
    pub fn file(&self, name: &str, content: &[u8]) -> String {
        std::fs::write(self.join(name), content).expect("a file for the test");
        self.text(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Serves every connection with `answer`, which gets the request's head, until the test ends. Gives the base URL.
pub fn serve(answer: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answer = std::sync::Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(|stream| stream.ok()) {
            let answer = answer.clone();
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines();
                loop {
                    let head: Vec<String> = lines
                        .by_ref()
                        .map_while(|line| line.ok())
                        .take_while(|line| !line.is_empty())
                        .collect();
                    if head.is_empty() {
                        return;
                    }
                    answer(&head.join("\n"), &mut stream.try_clone().expect("a stream"));
                }
            });
        }
    });
    url
}

/// A whole answer with a length.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

pub fn http(url: &str) -> Value {
    http_within(url, 5000, 5000, 10_000)
}

pub fn http_within(url: &str, connect: u64, stall: u64, total: u64) -> Value {
    serde_json::json!({"kind": "http", "url": url,
        "deadlines": {"connectMs": connect, "stallMs": stall, "totalMs": total}})
}

pub fn file(path: &str) -> Value {
    serde_json::json!({"kind": "file", "path": path})
}

pub fn text() -> Value {
    serde_json::json!({"kind": "text", "bytes": 1 << 20})
}

pub fn tree(root: &Directory) -> Value {
    serde_json::json!({"kind": "tree", "root": root.0})
}

/// Runs what TypeScript would send.
pub fn pipeline(source: Value, filters: Value, sink: Value) -> Result<Outcome> {
    pipeline_with(source, filters, sink, &Cancel::default())
}

pub fn pipeline_with(source: Value, filters: Value, sink: Value, cancel: &Cancel) -> Result<Outcome> {
    let json = serde_json::json!({"source": source, "filters": filters, "sink": sink});
    let pipeline: Pipeline = serde_json::from_value(json).expect("a pipeline");
    run(&pipeline, cancel, &Emit::new(|_| ()))
}

pub fn error(result: Result<Outcome>) -> SysError {
    match result {
        Err(error) => error,
        Ok(outcome) => panic!("it went well: {}", serde_json::to_string(&outcome).unwrap_or_default()),
    }
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// One tar entry, header and content.
#[derive(Clone)]
pub struct TarEntry {
    pub name: String,
    pub kind: u8,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub uname: &'static str,
    pub gname: &'static str,
    pub link: String,
    pub device: (u32, u32),
    pub content: Vec<u8>,
    /// Records of a pax header before it.
    pub pax: Vec<(String, Vec<u8>)>,
}

pub fn tar_entry(name: &str, kind: u8) -> TarEntry {
    TarEntry {
        name: name.to_owned(),
        kind,
        mode: if kind == b'5' { 0o755 } else { 0o644 },
        uid: 0,
        gid: 0,
        uname: "root",
        gname: "root",
        link: String::new(),
        device: (0, 0),
        content: Vec::new(),
        pax: Vec::new(),
    }
}

pub fn tar_file(name: &str, content: &[u8]) -> TarEntry {
    TarEntry { content: content.to_vec(), ..tar_entry(name, b'0') }
}

pub fn tar_link(name: &str, kind: u8, target: &str) -> TarEntry {
    TarEntry { link: target.to_owned(), mode: 0o777, ..tar_entry(name, kind) }
}

pub fn tar(entries: &[TarEntry]) -> Vec<u8> {
    let mut bytes = tar_cut(entries);
    bytes.extend([0; 1024]);
    bytes
}

/// Without the end of the archive, as the members of a package are.
pub fn tar_cut(entries: &[TarEntry]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        if !entry.pax.is_empty() {
            let mut records = Vec::new();
            for (name, value) in &entry.pax {
                let rest = name.len() + value.len() + 3;
                let mut length = rest + 1;
                while length != rest + length.to_string().len() {
                    length += 1;
                }
                records.extend(format!("{length} {name}=").into_bytes());
                records.extend(value);
                records.push(b'\n');
            }
            header(&mut bytes, &TarEntry { content: records, ..tar_entry("pax", b'x') });
        }
        header(&mut bytes, entry);
    }
    bytes
}

fn header(bytes: &mut Vec<u8>, entry: &TarEntry) {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, entry.name.as_bytes());
    put(100, format!("{:07o}", entry.mode).as_bytes());
    put(108, format!("{:07o}", entry.uid).as_bytes());
    put(116, format!("{:07o}", entry.gid).as_bytes());
    put(124, format!("{:011o}", entry.content.len()).as_bytes());
    put(136, format!("{:011o}", 1_000_000_000).as_bytes());
    put(148, b"        ");
    put(156, &[entry.kind]);
    put(157, entry.link.as_bytes());
    put(257, b"ustar\x0000");
    put(265, entry.uname.as_bytes());
    put(297, entry.gname.as_bytes());
    put(329, format!("{:07o}", entry.device.0).as_bytes());
    put(337, format!("{:07o}", entry.device.1).as_bytes());
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    bytes.extend(header);
    bytes.extend(&entry.content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
}
