//! The kernel's uevents, as they come.

use super::Nothing;
use crate::error::SysError;
use crate::network::netlink;
use crate::ops::Call;
use crate::wait::{Waiter, Woken, on_thread};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::fd::AsFd;

#[derive(Debug, PartialEq, Serialize)]
struct Uevent {
    action: String,
    devpath: String,
    subsystem: String,
    environment: BTreeMap<String, String>,
}

/// The kernel's group of NETLINK_KOBJECT_UEVENT; 2 is udev's.
const KERNEL: u32 = 1;
/// Coldplug of a big machine makes ten thousand events at once.
const QUEUE: usize = 16 << 20;

/// The stream ends with ENOBUFS when the queue has overflowed: events are lost, and the caller lists again.
pub fn watch(_: Nothing, call: Call) {
    let failed = |errno: Errno| SysError::os("devices.watch", "uevents", errno);
    // Open before this returns, so that what happens after the call is seen.
    let opened = netlink::open(Some(rustix::net::netlink::KOBJECT_UEVENT), KERNEL).and_then(|socket| {
        // Without CAP_NET_ADMIN the limit of net.core.rmem_max holds.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, QUEUE))?;
        Ok(socket)
    });
    on_thread("watch-devices", call, move |cancel, emit| {
        let socket = opened.map_err(failed)?;
        let waiter = Waiter::new(cancel).map_err(|error| SysError::os("devices.watch", "uevents", error))?;
        let mut buffer = Vec::new();
        while waiter.socket(&socket, None).map_err(failed)? == Woken::Ready {
            match netlink::receive(socket.as_fd(), &mut buffer) {
                Ok(bytes) => {
                    if let Some(event) = read(bytes) {
                        emit.event(&event);
                    }
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Ok(())
    });
}

/// `add@/devices/…`, then `KEY=value`, each ended by a NUL.
fn read(bytes: &[u8]) -> Option<Uevent> {
    let text = String::from_utf8_lossy(bytes);
    let (headline, rest) = text.split_once('\0')?;
    let (action, devpath) = headline.split_once('@')?;
    let pairs = rest.split('\0').filter_map(|pair| pair.split_once('='));
    let environment: BTreeMap<String, String> =
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    Some(Uevent {
        action: action.to_owned(),
        devpath: devpath.to_owned(),
        subsystem: environment.get("SUBSYSTEM")?.clone(),
        environment,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::{Cancel, Emit, Reply};
    use std::process::Command;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn a_uevent_is_read_and_junk_is_not() {
        let event = read(b"add@/devices/x\0ACTION=add\0DEVPATH=/devices/x\0SUBSYSTEM=net\0A=b=c\0")
            .expect("an event");
        assert_eq!(
            (event.action.as_str(), event.devpath.as_str(), event.subsystem.as_str()),
            ("add", "/devices/x", "net")
        );
        assert_eq!(event.environment["A"], "b=c");
        for junk in [
            b"".as_slice(),
            b"\0",
            b"libudev\0\xfe\xed\xca\xfe",
            b"add@/devices/x\0",
            b"add\0SUBSYSTEM=net\0",
        ] {
            assert_eq!(read(junk), None);
        }
    }

    #[test]
    fn a_new_link_is_an_event() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: needs root for a network namespace");
            return;
        }
        // SAFETY: only this thread's network namespace changes, and the thread ends with the test.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }.expect("unshare");
        let (events, seen) = channel();
        let (answers, answer) = channel();
        let cancel = Cancel::default();
        let call = Call {
            reply: Reply::new(move |it| answers.send(it).expect("the test waits")),
            cancel: cancel.clone(),
            emit: Emit::new(move |json| {
                // The test may have seen enough.
                let _ = events.send(json);
            }),
        };
        watch(Nothing {}, call);
        let added =
            Command::new("ip").args(["link", "add", "uev0", "type", "veth"]).status().expect("ip starts");
        assert!(added.success());
        const SOON: Duration = Duration::from_secs(10);
        loop {
            let event: serde_json::Value =
                serde_json::from_str(&seen.recv_timeout(SOON).expect("an event")).expect("JSON");
            if event["devpath"] == "/devices/virtual/net/uev0" {
                assert_eq!(
                    (event["action"].as_str(), event["subsystem"].as_str()),
                    (Some("add"), Some("net"))
                );
                assert_eq!(event["environment"]["INTERFACE"], "uev0");
                break;
            }
        }
        cancel.cancel();
        assert_eq!(answer.recv_timeout(SOON).expect("an answer").expect("no error"), "null");
    }
}
