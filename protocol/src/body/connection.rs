//! Opening, proving, keeping and closing a connection.
//!
//! ```text
//! device                                relay
//!   Hello   ------------------------->
//!           <-------------------------   Hello, Challenge      (or WireError VersionTooOld)
//!   Authenticate -------------------->
//!           <-------------------------   Ready                 (or WireError TokenRefused, DeviceRefused)
//!   requests, pushes ...
//! ```

use super::Extensions;
use crate::hello::VersionRange;
use crate::ids::{AccountId, DeviceId, UnixMillis};
use bincode::{Decode, Encode};

/// The first frame each way. Its layout is the same in every version.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Hello {
    /// The oldest version spoken.
    pub version_min: u8,
    /// The newest version spoken.
    pub version_max: u8,
    /// Program and version for logs, as `sotto/0.1.0`; at most [`NAME_BYTES_MAX`](crate::limits::NAME_BYTES_MAX).
    pub agent: String,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

impl Hello {
    /// The hello of this crate's version.
    #[must_use]
    pub fn new(agent: impl Into<String>) -> Self {
        let VersionRange { min, max } = crate::hello::SPOKEN;
        Self { version_min: min, version_max: max, agent: agent.into(), extensions: Extensions::default() }
    }

    /// The range it names.
    #[must_use]
    pub const fn versions(&self) -> VersionRange {
        VersionRange { min: self.version_min, max: self.version_max }
    }
}

/// What a device signs to prove itself. Fresh for each connection.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Challenge {
    /// Random bytes.
    pub nonce: [u8; 32],
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The label that opens what is signed, so that no other signature of the device key fits here.
pub const AUTHENTICATION_LABEL: &[u8] = b"sotto device authentication v1";

/// Label and length of the TLS exporter (RFC 8446 section 7.5) that binds the proof to one connection.
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-sotto-device-authentication";

/// What ties a proof to the connection it travels on, so that it is worth nothing on another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelBinding {
    /// 32 bytes of TLS exporter under [`EXPORTER_LABEL`] with an empty context.
    TlsExporter([u8; 32]),
    /// A transport that shows no exporter (a browser's WebSocket): only the relay's nonce binds.
    NonceOnly,
}

/// The bytes that a device key signs: label, nonce, one byte for the kind of binding, the binding, the device id.
#[must_use]
pub fn authentication_bytes(nonce: &[u8; 32], binding: &ChannelBinding, device: DeviceId) -> Vec<u8> {
    let mut bytes = AUTHENTICATION_LABEL.to_vec();
    bytes.extend_from_slice(nonce);
    match binding {
        ChannelBinding::TlsExporter(exported) => {
            bytes.push(1);
            bytes.extend_from_slice(exported);
        }
        ChannelBinding::NonceOnly => bytes.push(0),
    }
    bytes.extend_from_slice(device.as_bytes());
    bytes
}

/// Who connects, and the proof. May be sent again on a ready connection with a fresh token.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Authenticate {
    /// A JWT from the HTTP API.
    pub access_token: String,
    /// The device.
    pub device: DeviceId,
    /// Ed25519 by the device key over [`authentication_bytes`].
    pub signature: [u8; 64],
    /// Whatever later versions add.
    pub extensions: Extensions,
}

impl std::fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Authenticate {{ device: {} }}", self.device)
    }
}

/// The connection is proved and ready for requests.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Ready {
    /// The account of the token.
    pub account: AccountId,
    /// The relay's clock.
    pub time: UnixMillis,
    /// The device's address as the relay sees it (`ip:port`), for peer links later.
    pub observed_address: String,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Are you there?
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Ping {
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Yes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Pong {
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// The relay is about to close the connection in good order (a drain, a newer connection of the same device).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Goodbye {
    /// One sentence for logs.
    pub reason: String,
    /// When to connect again, in milliseconds from now.
    pub reconnect_after_ms: u32,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// A request that has no other answer was carried out, durably where it changed something.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct Done {
    /// Whatever later versions add.
    pub extensions: Extensions,
}
