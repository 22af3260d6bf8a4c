//! Waiting for what a socket gets, in the time of a call.

use super::dhcp::DhcpSocket;
use super::dhcp_message::DhcpMessage;
use super::netlink::Refusal;
use super::packet;
use crate::wait::{Waiter, Woken};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

impl DhcpSocket {
    /// The next reply to our hardware address; None at the deadline, when the call is given up, and after the
    /// socket was closed.
    pub fn receive(&self, deadline: Option<f64>, waiter: &Waiter) -> Result<Option<DhcpMessage>, Refusal> {
        let mut buffer = vec![0; packet::FRAME];
        next_before(&self.wire.packets, &self.closed, deadline, waiter, || self.wire.take(&mut buffer))
    }
}

/// Calls `take` whenever there is something to read until it finds what was waited for. None at the deadline, when the
/// call is given up, and after the socket was closed.
pub fn next_before<T>(
    socket: &impl AsFd,
    closed: &AtomicBool,
    deadline: Option<f64>,
    waiter: &Waiter,
    mut take: impl FnMut() -> Result<Option<T>, Refusal>,
) -> Result<Option<T>, Refusal> {
    /// How soon a receiver sees that its socket was closed, in milliseconds.
    const LOOK: f64 = 250.0;
    while !closed.load(Ordering::Relaxed) {
        let look = crate::clock::now() + LOOK;
        let last = deadline.is_some_and(|deadline| deadline <= look);
        match waiter.socket(socket, Some(deadline.filter(|_| last).unwrap_or(look)))? {
            Woken::Cancelled => break,
            Woken::Deadline if last => break,
            Woken::Deadline => {}
            Woken::Ready => {
                if let Some(found) = take()? {
                    return Ok(Some(found));
                }
            }
        }
    }
    Ok(None)
}
