//! What TypeScript decided before the handoff: `KeeperPlan` of src/network/keeper.ts.

use crate::network::dhcp_message::{DhcpMessage, Mac};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    pub link: String,
    pub mac: Mac,
    /// The acknowledgement that is in force, and when it came, by CLOCK_BOOTTIME in milliseconds.
    pub acknowledged: DhcpMessage,
    pub obtained_at: f64,
    /// What every request carries: client identifier, classes, what is asked for.
    pub options: Map<String, Value>,
    /// Asked before those of a lease.
    pub nameservers: Vec<String>,
    /// What we wrote into the new system's resolv.conf; none where the file is somebody else's.
    pub resolver: Option<String>,
    pub when_lost: WhenLost,
    /// The new system's root as the keeper sees it.
    pub new_root: String,
}

#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WhenLost {
    /// The root comes by the network: until there is another address, a doubtful one is better than none.
    Keep,
    Remove,
}
