//! Client library, encrypted local store, and what the `sotto` program is made of.
//!
//! The heart is [`sotto_node_core`]: a whole client without I/O. This crate is the shell around it. Read in
//! this order: [`profile`] (the folder of one installation), [`secret`] (the key that opens it), [`store`]
//! (what lies in it, encrypted), [`tls`] (whom to trust), [`http`] (accounts), [`transport`] (frames over
//! QUIC or WebSocket), [`node`] (the one visible loop that drives the client), [`peers`] (direct links to other devices), [`files`] (to and from the disk), [`pictures`] (previews), [`calls`] (voice), [`portable`] (what exports
//! are written in) and [`tui`] (the terminal interface).

pub mod after;
pub mod calls;
pub mod files;
pub mod http;
pub mod node;
pub mod peers;
pub mod pictures;
pub mod portable;
pub mod profile;
pub mod secret;
pub mod store;
pub mod tls;
pub mod transport;
pub mod tui;

#[cfg(test)]
mod testing;
