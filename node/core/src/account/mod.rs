//! The account at its relay, over HTTP: registering, signing in, devices, invites, the vault.
//!
//! A shell brings one thing, [`Exchange`]: a way to send a request to the relay's API. Everything else is here and the
//! same for terminal and browser: which requests there are ([`AccountApi`]), what travels in them (`shapes`), the way
//! from nothing to a client ([`setup`]), and what is kept about the account in the store next to the client's rows:
//! the [`session`], [`drafts`], [`alarms`], [`uploads`] that are not through and [`shared`] files.

pub mod alarms;
pub mod api;
pub mod drafts;
pub mod session;
pub mod setup;
pub mod shared;
pub mod uploads;

mod shapes;

pub use api::{AccountApi, Answer, Exchange, Malformed, Method, Problem, Request, VaultPut};
pub use shapes::{Device, Invited, Redeemed, SignedIn, Tokens, Usage, User, Vault};
