//! What the pipelines do with good bytes and with bad ones. Tests that unpack or mount run as root.

mod aside;
mod bytes;
mod connect;
mod encrypted;
mod fuzzed;
mod lies;
mod network;
mod resume;
mod signed;
pub mod support;
mod tftp;
mod trees;
