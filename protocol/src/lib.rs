//! What bytes mean between a device and a relay: ids, frames, versions, limits, wire errors and invites.
//!
//! Everything a stranger can send is decoded here, with a bound on every length and without a panic.
//! There is no socket, no clock, no secret and no ambient randomness in this crate, and it builds for wasm.
//!
//! Read in this order: [`ids`] (who and what), [`limits`] (how much), [`frame`] (the outer header),
//! [`body`] (what travels inside, one type for each kind of frame), [`error`] (what may go wrong and who
//! is to blame), [`hello`] (choosing a version), [`invite`] (links people pass on), [`blob`] (chunks of files and
//! their hashes), [`peer`] (what two devices say to each other without a relay) and [`mls_header`] (the little that a relay reads of an MLS message). The rules are numbered in `docs/protocol.md`.

pub mod blob;
pub mod body;
pub mod error;
pub mod frame;
pub mod hello;
pub mod hex;
pub mod ids;
pub mod invite;
pub mod limits;
pub mod mls_header;
pub mod ordered;
pub mod payload;
pub mod peer;
