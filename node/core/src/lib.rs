//! A whole client without I/O: commands in; frames, writes and events out.
//!
//! Terminal and browser share this crate. A shell owns the sockets, the clock, the randomness and the medium
//! of the [`Store`](sotto_e2ee::store::Store), and drives one [`Client`](client::Client), whose type describes
//! the contract. Everything in here is deterministic: the same inputs give the same outputs.
//!
//! Read in this order: [`command`] (what a person asks), [`event`] (what a person is told), [`view`] (what a
//! person can look at), [`search`] (what a person can look for), [`client`] (how it is driven), then the machinery: `rows` (what is kept), `core` (memory),
//! `link` (proving who we are, requests and their answers), `drive` (the look around that asks for what is
//! wanted), `sync` (following the log), `outbox` (sending once and in order), `change` (commits and their
//! races), `join` (getting in), `archive` (reading the past), [`past`] (what a person brings along), `repair` (what could
//! not be decrypted), [`kinds`] (edits, reactions and the like: what is said about texts), `presence` (who is here),
//! [`calls`] (calls between two people and of groups), [`peers`] (direct links between devices), `directory` (key packages), `operation` and `commands` (what people ask). Beside all this: [`mod@format`] (the emphasis in
//! a text, and making it harmless), [`search`], [`account`] (what goes over the relay's HTTP API) and [`json`] (what programs are
//! shown) and [`sealed`] (how shells seal their stores).

pub mod account;
pub mod backoff;
pub mod calls;
pub mod client;
pub mod command;
pub mod event;
pub mod format;
pub mod json;
pub mod kinds;
pub mod past;
pub mod peers;
pub mod sealed;
pub mod search;
pub mod settings;
pub mod view;

mod answer;
mod archive;
mod change;
mod commands;
mod core;
mod directory;
mod drive;
#[cfg(feature = "fill")]
mod fill;
mod join;
mod link;
mod operation;
mod outbox;
mod presence;
mod queries;
mod repair;
mod rows;
mod sync;
