//! The one integration binary of the house. Each module is one subject; names of tests are sentences.
//!
//! What only root on Linux can do is marked `#[ignore = "needs root: ..."]`; `cargo xtask test --privileged`
//! runs those too, and the plain form names at its end what it left out.

mod acme;
mod backup;
mod blocked_udp;
mod bots;
mod calls;
mod chat;
mod compact;
mod daemon;
mod demo;
mod deployment;
mod doctor;
mod drain;
mod exchange;
mod export;
mod failing_disk;
mod files;
mod foreign_calls;
mod foreign_links;
mod fuzz_corpus;
mod hostile_relay_table;
mod interop_mls_rs;
mod interrupted;
mod kinds;
mod nat_table;
mod node_kill;
mod peers;
mod pictures;
mod power_cut;
mod presence;
mod quota;
mod register;
mod relay_kill;
mod routed_calls;
mod routed_files;
mod search;
mod sound_devices;
mod terminal_interface;
mod virtual_world;
