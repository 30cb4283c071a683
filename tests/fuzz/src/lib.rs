//! The functions that the targets call: the same file as `sotto_tests::fuzz`, without the rest of that crate.

#[path = "../../src/fuzz.rs"]
mod targets;

pub use targets::{files, frame, http_bodies, invite, mls, picture, turn};
