//! A real relay on real sockets, asked by a small client of these tests' own.

mod client;
mod http_api;
mod program;
mod sessions;
mod store;
mod world;
