//! A whole client without I/O: commands in; frames, writes and events out.
//!
//! Terminal and browser share this crate. A shell owns the sockets, the clock, the randomness and the medium
//! of the [`Store`](sotto_e2ee::store::Store), and drives one [`Client`](client::Client), whose type describes
//! the contract. Everything in here is deterministic: the same inputs give the same outputs.
//!
//! Read in this order: [`command`] (what a person asks), [`event`] (what a person is told), [`view`] (what a
//! person can look at), [`client`] (how it is driven), then the machinery: `rows` (what is kept),
//! `connection` (proving who we are, requests and their answers), `sync` (catching up and following),
//! `outbox` (sending once and in order), `change` (commits and their races), `join` (getting in),
//! `archive` (reading the past) and `directory` (accounts, key packages).

pub mod client;
pub mod command;
pub mod event;
pub mod settings;
pub mod view;
