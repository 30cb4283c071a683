//! The key directory: who an account's devices are, and one-time key packages to add them with.

use super::Extensions;
use crate::ids::{AccountId, DeviceId};
use crate::payload::Payload;
use bincode::{Decode, Encode};

/// A device adds to its stock of key packages. Answered by [`KeyPackageStock`] when they are on disk.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct PublishKeyPackages {
    /// Serialised MLS `KeyPackage`s, each handed out once.
    pub packages: Vec<Payload>,
    /// Replaces the device's last-resort package, which is handed out when the stock is empty.
    pub last_resort: Option<Payload>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// How many one-time key packages the relay holds for the asking device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct KeyPackageStock {
    /// The last-resort package not counted.
    pub count: u32,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Takes one key package for each device of an account. Answered by [`KeyPackages`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct ClaimKeyPackages {
    /// Whose.
    pub account: AccountId,
    /// Suites the caller can use, best first, as their MLS code points.
    pub suites: Vec<u16>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// One key package with the device it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct ClaimedKeyPackage {
    /// The device that published it; its certificate inside must say the same.
    pub device: DeviceId,
    /// A serialised MLS `KeyPackage`.
    pub package: Payload,
    /// Whether it was the last-resort one.
    pub last_resort: bool,
}

/// The packages taken. A device that has published none for the suites is missing here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct KeyPackages {
    /// One for each device that had one.
    pub packages: Vec<ClaimedKeyPackage>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// Finds an account. Answered by [`AccountCard`], or [`NotFound`](crate::error::ErrorCode::NotFound).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct LookUp {
    /// By which property.
    pub by: LookUpBy,
    /// Whatever later versions add.
    pub extensions: Extensions,
}

/// What an account is found by.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum LookUpBy {
    /// The exact user name.
    Username(String),
    /// The id.
    Account(AccountId),
}

/// What any signed-in account may know of another. The keys are the relay's word: clients check certificates.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[bincode(decode_context = "bytes::Bytes")]
pub struct AccountCard {
    /// The account.
    pub account: AccountId,
    /// Its user name.
    pub username: String,
    /// Its Ed25519 identity key, once its first device is registered.
    pub identity_key: Option<[u8; 32]>,
    /// Serialised device certificates of its devices.
    pub devices: Vec<Payload>,
    /// Whatever later versions add.
    pub extensions: Extensions,
}
