//! Files in browsers: what is sealed on its way out and opened on its way in.
//!
//! The engine ([`sotto-web`](../sotto_web)) is what a browser downloads first, and it knows of a file only what the message says.
//! The work on its bytes is here, in a module of its own that a worker loads with the first file (`web/ui/src/files`), so
//! that hashing holds up neither the interface nor the engine. What passes between the two is [`FileAbout`] as bytes.
//!
//! ```text
//! out: Reading (each part once: sealed, hashed) --done--> Outgoing (list, root, key; seals what the list has)
//! in:  Wanted (key, root) --list, held against the root--> Incoming (opens what the list has) --all there--> Outgoing
//! ```
//!
//! Chunks come from the relay, and over a data channel from members' devices that have the file.
//!
//! Nothing here knows HTTP or a disk: parts come as bytes and go as bytes, one chunk at a time.
//!
//! [`FileAbout`]: sotto_e2ee::file::FileAbout

mod incoming;
mod outgoing;

pub use incoming::{Damaged, Incoming, Wanted};
pub use outgoing::{Changed, Outgoing, Reading};

#[cfg(target_arch = "wasm32")]
mod browser;

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "files of tests are small")]
mod tests;
