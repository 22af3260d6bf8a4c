//! Links: what network cards there are, their changes, up, down and MTU, and links on top of them (RTM_GETLINK and
//! RTM_NEWLINK of rtnetlink(7)).

use super::netlink::{self, Message, Nested, Refusal, Routing};
use super::packet::{mac_bytes, mac_text};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// The `Link` of src/sys/network.ts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Link {
    pub index: u32,
    pub name: String,
    pub mac: String,
    pub mtu: u32,
    pub up: bool,
    pub carrier: bool,
    pub physical: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// ARPHRD_ETHER, stacked or not.
    #[serde(skip)]
    pub ethernet: bool,
}

/// RTEXT_FILTER_SKIP_STATS: counters are most of a dump's bytes.
const SKIP_STATISTICS: u32 = 1 << 3;

fn link_header(flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..].copy_from_slice(&change.to_ne_bytes());
    header
}

/// Reads one RTM_NEWLINK or RTM_DELLINK; None for what is not about a link as a whole (bridge ports, wireless events).
pub fn read(payload: &[u8], deleted: bool) -> Option<Link> {
    let flags = netlink::read_u32(payload, 8).filter(|_| payload[0] == libc::AF_UNSPEC as u8)?;
    let ethernet = netlink::read_u16(payload, 2)? == libc::ARPHRD_ETHER;
    let (mut name, mut mtu, mut mac) = (None, None, String::new());
    let (mut stacked, mut enslaved) = (false, false);
    for (kind, value) in netlink::attributes(payload.get(16..)?) {
        match kind {
            libc::IFLA_IFNAME => name = Some(netlink::text(value)),
            libc::IFLA_MTU => mtu = netlink::read_u32(value, 0),
            libc::IFLA_ADDRESS => mac = mac_text(value),
            libc::IFLA_MASTER => enslaved = true,
            // Drivers of hardware have no kind; the ports of a switch chip have, and are as real as any.
            libc::IFLA_LINKINFO => {
                stacked = netlink::attributes(value)
                    .any(|(kind, value)| kind == libc::IFLA_INFO_KIND && netlink::text(value) != "dsa");
            }
            _ => {}
        }
    }
    let name = name?;
    let up = !deleted && flags & libc::IFF_UP as u32 != 0;
    Some(Link {
        index: netlink::read_u32(payload, 4)?,
        mac,
        mtu: mtu?,
        up,
        carrier: up && flags & libc::IFF_LOWER_UP as u32 != 0,
        physical: ethernet && !stacked && !enslaved,
        driver: driver(&name),
        ethernet,
        name,
    })
}

fn driver(name: &str) -> Option<String> {
    let link = format!("/sys/class/net/{name}/device/driver");
    let target = rustix::fs::readlink(link.as_str(), Vec::new()).ok()?;
    target.to_string_lossy().rsplit('/').next().map(ToOwned::to_owned)
}

pub fn links() -> Result<Vec<Link>, Refusal> {
    let found = Routing::open()?.dump(|| {
        Message::new(libc::RTM_GETLINK, libc::NLM_F_DUMP, &link_header(0, 0))
            .attribute(libc::IFLA_EXT_MASK, &SKIP_STATISTICS.to_ne_bytes())
    })?;
    Ok(found.iter().filter_map(|(_, payload)| read(payload, false)).collect())
}

pub fn link(name: &str) -> Result<Link, Refusal> {
    links()?.into_iter().find(|link| link.name == name).ok_or(Refusal::from(Errno::NODEV))
}

/// The `LinkChange` of src/sys/network.ts.
#[derive(Default, Deserialize)]
pub struct Change {
    pub up: Option<bool>,
    pub mtu: Option<u32>,
    pub mac: Option<String>,
    pub master: Option<String>,
}

pub fn set(name: &str, change: &Change) -> Result<(), Refusal> {
    let bit = libc::IFF_UP as u32;
    let header =
        link_header(if change.up == Some(true) { bit } else { 0 }, if change.up.is_some() { bit } else { 0 });
    let mut message = named(libc::NLM_F_ACK, &header, name);
    if let Some(mtu) = change.mtu {
        message = message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    }
    if let Some(mac) = &change.mac {
        let bytes = mac_bytes(mac).ok_or_else(|| Refusal {
            errno: Errno::INVAL,
            words: Some(format!("{mac} is no hardware address")),
        })?;
        message = message.attribute(libc::IFLA_ADDRESS, &bytes);
    }
    if let Some(master) = &change.master {
        message = message.attribute(libc::IFLA_MASTER, &link(master)?.index.to_ne_bytes());
    }
    Routing::open()?.request(message)
}

fn named(flags: i32, header: &[u8; 16], name: &str) -> Message {
    Message::new(libc::RTM_NEWLINK, flags, header)
        .attribute(libc::IFLA_IFNAME, &[name.as_bytes(), b"\0"].concat())
}

/// The `NewLink` of src/sys/network.ts.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum NewLink {
    Vlan { name: String, parent: String, id: u16 },
    Bond { name: String },
}

impl NewLink {
    pub fn name(&self) -> &str {
        let (NewLink::Vlan { name, .. } | NewLink::Bond { name }) = self;
        name
    }
}

pub fn add(new: &NewLink) -> Result<(), Refusal> {
    /// IFLA_VLAN_ID of linux/if_link.h.
    const VLAN_ID: u16 = 1;
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    let message = named(flags, &link_header(0, 0), new.name());
    let (message, info) = match new {
        NewLink::Vlan { parent, id, .. } => (
            message.attribute(libc::IFLA_LINK, &link(parent)?.index.to_ne_bytes()),
            Nested::new().attribute(libc::IFLA_INFO_KIND, b"vlan\0").attribute(
                libc::IFLA_INFO_DATA,
                &Nested::new().attribute(VLAN_ID, &id.to_ne_bytes()).finished(),
            ),
        ),
        NewLink::Bond { .. } => (message, Nested::new().attribute(libc::IFLA_INFO_KIND, b"bond\0")),
    };
    Routing::open()?.request(message.attribute(libc::IFLA_LINKINFO, &info.finished()))
}
