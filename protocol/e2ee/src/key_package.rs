//! Key packages: how others add this device while it is away.
use crate::conversation::{Alert, Suite};
use crate::identity::LocalDevice;
use crate::store::{StoreError, Transaction};
use rand_core::CryptoRng;
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_protocol::payload::Payload;

/// One-time packages to publish; their private parts go into the transaction.
pub fn generate(
    tx: &Transaction<'_>,
    rng: &mut impl CryptoRng,
    me: &LocalDevice,
    suite: Suite,
    count: usize,
    now: UnixMillis,
) -> Result<Vec<Payload>, KeyPackageError> {
    unimplemented!()
}
/// The one that is handed out when the stock is empty. Replaces the last: publish it.
pub fn generate_last_resort(
    tx: &Transaction<'_>,
    rng: &mut impl CryptoRng,
    me: &LocalDevice,
    suite: Suite,
    now: UnixMillis,
) -> Result<Payload, KeyPackageError> {
    unimplemented!()
}
/// Whether the last-resort package was used by a Welcome (or nears its end) since: generate and publish another.
pub fn last_resort_is_due(tx: &Transaction<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    unimplemented!()
}
/// Deletes the private parts of packages that have expired; gives how many.
pub fn expire(tx: &Transaction<'_>, now: UnixMillis) -> Result<usize, StoreError> {
    unimplemented!()
}

/// A key package of another device that passed every check; the only kind that can be added.
pub struct VerifiedKeyPackage {
    package: (),
}
impl VerifiedKeyPackage {
    pub fn account(&self) -> AccountId {
        unimplemented!()
    }
    pub fn device(&self) -> DeviceId {
        unimplemented!()
    }
    pub fn identity_key(&self) -> [u8; 32] {
        unimplemented!()
    }
}
/// Checks a claimed package: signature, certificate, lifetime, suite, and that it is of the account and device that were asked for.
pub fn verify(
    claimed: &ClaimedKeyPackage,
    account: AccountId,
    suite: Suite,
    now: UnixMillis,
) -> Result<VerifiedKeyPackage, KeyPackageError> {
    unimplemented!()
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("malformed")]
    Malformed,
    #[error("the key package is for another suite")]
    WrongSuite,
    #[error("the key package has expired")]
    Expired,
    #[error("the key package's certificate is forged")]
    ForgedCertificate,
    #[error("the key package is of another account or device: the relay swapped it")]
    Swapped,
    #[error("MLS refused: {0}")]
    Mls(String),
}
