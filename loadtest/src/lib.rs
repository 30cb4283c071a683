//! What the load generator shares with fault tests: devices that speak frames without a client, and pairs that talk.

pub mod drive;
pub mod raw;
