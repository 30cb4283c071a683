//! HTTP API and WebSocket gateway; traits for what they store.
