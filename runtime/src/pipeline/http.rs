//! HTTP and HTTPS: one client for all pipelines, so that connections to a server are kept and used again.

use super::connect::{INPUT, Later, ROOTS, Tcp};
use super::failure::fail;
use super::opened::{Opened, Validator};
use super::request::{Http, KEPT, ask, header};
use super::resume::Resuming;
use super::watch::Watch;
use crate::ops::Emit;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::transport::{ConnectProxyConnector, Connector, RustlsConnector};

/// Who this machine is to a server that asks: its certificate, those between it and its authority, its key. PEM.
const IDENTITY: &str = "/etc/diskless/client.pem";

/// A longer entity tag or date is not kept: it would be sent again with every request.
const VALIDATOR: usize = 512;

/// Starts the request and reads the answer's head.
pub fn open<'a>(http: &'a Http, watch: &Rc<Watch>, emit: &'a Emit) -> io::Result<Opened<'a>> {
    static CLIENT: OnceLock<Agent> = OnceLock::new();
    open_with(CLIENT.get_or_init(|| client(&ROOTS, IDENTITY)), http, watch, emit)
}

pub fn client(roots: &[&str], identity: &str) -> Agent {
    let certificates: Vec<Certificate<'static>> =
        roots.iter().filter_map(|path| std::fs::read(path).ok()).flat_map(|pem| certificates(&pem)).collect();
    let trust = !certificates.is_empty();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(certificates)))
        .client_cert(std::fs::read(identity).ok().and_then(|pem| client_certificate(&pem)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .user_agent("diskless")
        .max_redirects(10)
        // Less than a buffer holds: a full one would look like the connection's end.
        .max_response_header_size(INPUT / 2)
        .max_idle_connections(2 * KEPT)
        .max_idle_connections_per_host(KEPT)
        .max_idle_age(Duration::from_secs(10))
        .tls_config(tls)
        .build();
    let connector = Tcp { trust }.chain(ConnectProxyConnector::default()).chain(RustlsConnector::default());
    Agent::with_parts(config, connector, Later)
}

fn client_certificate(pem: &[u8]) -> Option<ClientCert> {
    let key = parse_pem(pem).find_map(|item| match item {
        Ok(PemItem::PrivateKey(key)) => Some(key),
        _ => None,
    })?;
    Some(ClientCert::new_with_certs(&certificates(pem), key))
}

fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

pub fn open_with<'a>(
    client: &'a Agent,
    http: &'a Http,
    watch: &Rc<Watch>,
    emit: &'a Emit,
) -> io::Result<Opened<'a>> {
    let answer = ask(client, http, None, watch)?;
    if answer.status() == 206 {
        let message = "the server sent a part of it (206), which nobody asked for";
        return Err(fail("FORMAT", "http", &watch.subject, message));
    }
    let total = header(&answer, "content-length").and_then(|length| length.parse().ok());
    let state = |name| {
        header(&answer, name).filter(|value| (1..=VALIDATOR).contains(&value.len())).map(str::to_owned)
    };
    let validator = match (state("etag"), state("last-modified")) {
        (None, None) => None,
        (etag, last_modified) => Some(Validator { etag, last_modified }),
    };
    let resuming = Resuming::new(client, http, watch.clone(), emit, answer, total);
    Ok(Opened { reader: Box::new(resuming), total, validator })
}
