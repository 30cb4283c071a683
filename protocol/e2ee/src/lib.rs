//! End-to-end encryption: identity, MLS conversations, archive and repair. Sans-I/O; servers never link it.
//!
//! Read in this order: [`identity`] (who), [`store`] (what must be atomic, and what must be gone), [`key_package`]
//! (how others add this device), [`conversation`] (one MLS group and its place in the log), [`content`] and
//! [`padding`] (what is inside an envelope), [`seal`] and [`archive_keys`] (the second encryption, that a new device
//! reads), [`pins`] (which identity keys were seen), [`repair`] (never "unable to decrypt") and
//! [`mod@file`] (what is too large for the log).
//!
//! Nothing here knows a socket, a clock or a source of randomness: they come in as arguments. There are two
//! exceptions, both inside libraries and both harmless: OpenMLS compares the lifetime of a key package with the
//! system's clock too, and HPKE encapsulation draws from the system's randomness.

pub mod archive_keys;
pub mod content;
pub mod conversation;
pub mod file;
pub mod identity;
pub mod key_package;
pub mod padding;
pub mod pins;
pub mod repair;
pub mod seal;
pub mod store;

mod mls;
#[cfg(test)]
mod test_people;
