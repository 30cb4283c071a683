//! The public half of MLS that servers and clients share.
//!
//! A relay must refuse broken or forged changes of membership, and must not be able to read anything. So
//! whatever needs no secret lives here, and whatever does lives in `sotto-e2ee`, which servers do not link.
//!
//! Read in this order: [`suite`] (which cryptography), [`provider`] (how OpenMLS gets it), [`certificate`]
//! (an account vouches for a device), [`credential`] (the certificate inside a leaf of the group),
//! [`key_package`] (what a device leaves on the relay to be added with) and [`public_state`] (what a relay
//! knows of a group, and how it judges a commit).

pub mod certificate;
pub mod credential;
pub mod key_package;
pub mod provider;
pub mod public_state;
pub mod suite;

mod group_info;
mod hpke;
mod primitives;
mod snapshot;
#[cfg(any(test, feature = "test-group"))]
pub mod test_group;
