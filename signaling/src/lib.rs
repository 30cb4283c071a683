//! HTTP API and WebSocket gateway; traits for what they store.
//!
//! The decisions are `sotto-signaling-core`'s; here they meet storage, a clock, random numbers and HTTP.
//! [`router`] is what the relay program mounts; [`Signaling`] is what its frames call.
//!
//! Read in this order: [`config`] (what an operator chooses), [`store`] (what is kept, as atomic operations),
//! [`hooks`], [`gateway`] and [`blobs`] (what the relay program brings), [`tokens`], [`service`] (everything that signaling
//! does), [`problem`] (how it refuses), [`http`] (how it is asked). [`memory`] and [`conformance`] are the
//! reference store and what every store must do.
//!
//! **Doors for later.** A sign-in is two steps: somebody vouches for an account (today: a password that fits),
//! then a session is opened for it. Codes by e-mail, OIDC and passkeys are other ways to vouch: routes beside
//! `auth` and rows beside accounts. Sessions, tokens and everything after them stay as they are.

pub mod blobs;
pub mod config;
pub mod conformance;
pub mod gateway;
pub mod hooks;
pub mod http;
pub mod memory;
pub mod metrics;
pub mod problem;
pub mod service;
pub mod store;
pub mod tokens;

#[cfg(test)]
mod tests;

pub use crate::http::bodies::fuzz_bodies;
pub use crate::http::router;
pub use crate::service::Signaling;
