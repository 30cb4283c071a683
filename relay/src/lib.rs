//! The relay program: one command that keeps encrypted conversations in order and hands them on.
//!
//! ```text
//!   devices ==QUIC==> quic ----.                        .--> engine --> store     (conversations, durable)
//!                               >-- session -- gate ---<
//!   devices ==WSS===> gateway -'                        '--> sotto-signaling --> accounts (durable)
//!   browsers =HTTP/3=> quic -- webtransport -- session, as above
//!   devices ==STUN, TURN=> turn -- peers that they do not reach directly
//!   devices ==HTTPS==> api -- blobs (encrypted files, on the disk)
//!   anybody ==HTTPS=> web -- site (the browser client) or api (sotto-signaling's router)
//! ```
//!
//! Read in this order: [`config`] (what an operator chooses), [`relay`] (starting and ending), [`session`]
//! (one connection from hello to goodbye), [`engine`] and [`store`] (the log). [`Relay::start`] is the whole
//! program in one call; the binary adds the command line and the signals.

pub mod config;
pub mod relay;
mod welcome;

pub mod api;
pub mod gate;
pub mod gateway;
pub mod hooks;
pub mod operator;
pub mod quic;
pub mod session;
pub mod site;
pub mod turn;
pub mod web;
pub mod webtransport;

pub mod accounts;
pub mod acme;
pub mod backup;
pub mod blobs;
pub mod compact;
pub mod directory;
pub mod engine;
pub mod store;

pub mod admission;
pub mod clock;
pub mod exporter;
pub mod folder;
mod host;
pub mod logs;
pub mod metrics;
mod nearly_full;
mod outgoing;
pub mod ready;
pub mod sockets;
pub mod telemetry;
pub mod tls;

pub use relay::{Relay, RelayHandle, RunError, StartError};
pub use welcome::welcome;

/// What this program calls itself on the wire.
pub const AGENT: &str = concat!("sotto-relay/", env!("CARGO_PKG_VERSION"));

/// A new id for one connection, to find its lines in the log.
#[must_use]
pub fn trace_id() -> String {
    data_encoding::HEXLOWER.encode(&rand::random::<[u8; 8]>())
}
