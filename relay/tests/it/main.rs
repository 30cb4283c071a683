//! A real relay on real sockets, asked by a small client of these tests' own.

// Clippy knows tests by their attribute; the helpers beside them are tests too.
#![allow(clippy::unwrap_used)]

mod browser;
mod certificate;
mod client;
mod documents;
mod http_api;
mod operator;
mod program;
mod sessions;
mod store;
mod telemetry;
mod turn;
mod world;
