//! Accounts, sessions, tokens, key directory, invites and admission: pure decisions.
//!
//! Nothing here knows HTTP, a database, a clock or an ambient random source. The shell (`sotto-signaling`)
//! reads a row, asks this crate what it means, and writes what it answers in the same atomic step. Time is a
//! [`UnixMillis`](sotto_protocol::ids::UnixMillis) argument, randomness an `&mut impl CryptoRng`.
//!
//! Read in this order: [`names`] (what may be a user name, an e-mail address, a password), [`password`] and
//! [`secret`] (what is stored instead of secrets), [`account`] (who may register), [`rights`] (what a role may),
//! [`session`] (refresh-token families), [`claims`] (what an access token says), [`invite`], [`device`] (whose certificate counts),
//! [`directory`] (key packages, each handed out once), [`vault`], and [`rate`] (how often).

pub mod account;
pub mod claims;
pub mod device;
pub mod directory;
pub mod invite;
pub mod limits;
pub mod names;
pub mod password;
pub mod rate;
pub mod rights;
pub mod secret;
pub mod session;
pub mod vault;
