//! What the integration tests share. The tests themselves are modules of the one binary `tests/it/main.rs`.

pub mod daemon_process;
pub mod dockerfile;
pub mod foreign;
pub mod fuzz;
pub mod garden;
pub mod ledger;
pub mod network;
pub mod own_node;
pub mod person;
pub mod pictures;
pub mod power;
pub mod programs;
pub mod receiver;
pub mod relay_process;
pub mod sending;
pub mod sound_server;
pub mod terminal;
pub mod tones;
mod tool;
pub mod world;
