//! `ready.json` in the data folder: where a running relay is found, for scripts and tests.

use crate::folder::{DataFolder, FolderError};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::Path;

/// The file's name.
pub const FILE: &str = "ready.json";

/// What the file says. It is there from when a relay listens until it has ended in good order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyFile {
    /// The program's version.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// UDP, for QUIC.
    pub quic: SocketAddr,
    /// TCP, for HTTPS and WebSocket.
    pub https: SocketAddr,
    /// TCP, for plain HTTP; `null` if it is off.
    pub http: Option<SocketAddr>,
    /// UDP and TCP, for STUN and TURN; `null` if it is off.
    pub turn: Option<SocketAddr>,
    /// TCP, for TURN inside TLS; `null` if it is off.
    pub turns: Option<SocketAddr>,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
    /// The link that a node registers with.
    pub link: String,
    /// What browsers open.
    pub web: String,
}

impl ReadyFile {
    /// Puts it into place, whole.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write(&self, folder: &DataFolder) -> Result<(), FolderError> {
        let text = serde_json::to_string_pretty(self).expect("texts, numbers and addresses are JSON");
        folder.write(FILE, &(text + "\n"))
    }

    /// What the relay of a data folder said last; it may have been killed since.
    #[must_use]
    pub fn read(data_dir: &Path) -> Option<Self> {
        serde_json::from_str(&std::fs::read_to_string(data_dir.join(FILE)).ok()?).ok()
    }
}
