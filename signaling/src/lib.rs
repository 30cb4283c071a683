//! HTTP API and WebSocket gateway; traits for what they store.

pub mod memory;
pub mod store;
