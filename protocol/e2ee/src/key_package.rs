//! Key packages: how others add this device while it is away.
//!
//! A device keeps a stock on the relay, each handed out once, and one *last-resort* package for when the stock is
//! empty. The last-resort one may be used several times, which costs forward secrecy of the Welcomes that use it;
//! so it is replaced after its first use, and the private parts of what has expired are deleted.

use crate::identity::LocalDevice;
use crate::mls::{Provider, Suite, capabilities};
use crate::seal::Sender;
use crate::store::{CodecError, MlsStorage, Scan, StoreError, Transaction, messagepack, prefix};
use openmls::prelude::{KeyPackage, KeyPackageRef, Lifetime};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::storage::StorageProvider as _;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sotto_mls::key_package::{self as shared, KEY_PACKAGE_BACKDATE_SECONDS, KeyPackageRefusal};
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_protocol::limits::KEY_PACKAGE_LIFETIME_SECONDS;
use sotto_protocol::payload::Payload;

/// A last-resort package with less than this to live is replaced (7 days).
pub const LAST_RESORT_REFRESH_SECONDS: u64 = 7 * 24 * 3600;

/// Private parts are kept this long after their package expired (7 days), for Welcomes that are on their way.
pub const KEEP_EXPIRED_SECONDS: u64 = 7 * 24 * 3600;

/// Why a key package could not be made or is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageError {
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It does not verify. Its device, or the relay that gave it, is to blame.
    #[error(transparent)]
    Refused(#[from] KeyPackageRefusal),
    /// It is for another suite than the conversation's. The relay is to blame.
    #[error("the key package is for suite {got}, the conversation uses {due}")]
    OtherSuite {
        /// The conversation's.
        due: Suite,
        /// The package's.
        got: Suite,
    },
    /// It is of another account or device than was asked for: the relay swapped it.
    #[error(
        "the relay gave a key package of account {account}, device {device}, in place of the one asked for"
    )]
    Swapped {
        /// Whose it is.
        account: AccountId,
        /// Of which device.
        device: DeviceId,
    },
    /// The library failed, which is a bug.
    #[error("a key package could not be made: {0}")]
    Library(String),
}

/// A key package of another device that passed every check: the only kind that a conversation adds.
#[derive(Clone)]
pub struct VerifiedKeyPackage(shared::VerifiedKeyPackage);

impl VerifiedKeyPackage {
    /// Whose.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.0.certificate.account()
    }

    /// Of which device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.0.certificate.device()
    }

    /// The account's identity key.
    #[must_use]
    pub fn identity_key(&self) -> [u8; 32] {
        *self.0.certificate.identity_key()
    }

    pub(crate) fn sender(&self) -> Sender {
        Sender::from(&self.0.certificate)
    }

    pub(crate) const fn suite(&self) -> Suite {
        self.0.suite
    }

    pub(crate) fn into_package(self) -> KeyPackage {
        self.0.key_package
    }
}

/// What is known of a package of ours beside its private parts.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    reference: KeyPackageRef,
    expires: UnixMillis,
    last_resort: bool,
    used: bool,
}

impl Row {
    fn key(&self) -> Vec<u8> {
        key(self.reference.as_slice())
    }

    fn write(&self, tx: &Transaction<'_>) {
        let value =
            rmp_serde::to_vec(self).expect("writing to memory does not fail, and a row has no odd types");
        tx.put(self.key(), value);
    }

    fn read(value: &[u8]) -> Result<Self, StoreError> {
        messagepack::from_slice(value).map_err(|_| StoreError::Damaged("the list of key packages".into()))
    }
}

fn key(reference: &[u8]) -> Vec<u8> {
    [&[prefix::KEY_PACKAGE], reference].concat()
}

/// Makes one-time packages to publish; their private parts go into the transaction.
///
/// # Errors
/// If the library fails.
pub fn generate(
    tx: &Transaction<'_>,
    rng: &mut impl CryptoRng,
    me: &LocalDevice,
    suite: Suite,
    count: usize,
    now: UnixMillis,
) -> Result<Vec<Payload>, KeyPackageError> {
    (0..count).map(|_| make(tx, rng, me, suite, now, false)).collect()
}

/// Makes a last-resort package to publish in place of the one before. The private parts of the one before are kept
/// until it expires: Welcomes that use it may be on their way.
///
/// # Errors
/// If the library fails.
pub fn generate_last_resort(
    tx: &Transaction<'_>,
    rng: &mut impl CryptoRng,
    me: &LocalDevice,
    suite: Suite,
    now: UnixMillis,
) -> Result<Payload, KeyPackageError> {
    make(tx, rng, me, suite, now, true)
}

fn make(
    tx: &Transaction<'_>,
    rng: &mut impl CryptoRng,
    me: &LocalDevice,
    suite: Suite,
    now: UnixMillis,
    last_resort: bool,
) -> Result<Payload, KeyPackageError> {
    let library = |error: &dyn std::fmt::Display| KeyPackageError::Library(error.to_string());
    let provider = Provider::new(MlsStorage(tx), rng);
    let seconds = now.0 / 1000;
    let until = seconds.saturating_add(KEY_PACKAGE_LIFETIME_SECONDS);
    let lifetime = Lifetime::init(seconds.saturating_sub(KEY_PACKAGE_BACKDATE_SECONDS), until);
    let mut builder =
        KeyPackage::builder().key_package_lifetime(lifetime).leaf_node_capabilities(capabilities());
    if last_resort {
        builder = builder.mark_as_last_resort();
    }
    let bundle = builder
        .build(suite.ciphersuite(), &provider, me, me.credential())
        .map_err(|error| library(&error))?;
    let package = bundle.key_package();
    let reference = package.hash_ref(provider.crypto()).map_err(|error| library(&error))?;
    let expires = UnixMillis(until.saturating_mul(1000));
    Row { reference, expires, last_resort, used: false }.write(tx);
    Ok(shared::encode(package).into())
}

/// Whether a last-resort package is to be made and published: there is none, it was used, or it expires soon.
///
/// # Errors
/// If the store fails.
pub fn last_resort_is_due(tx: &Transaction<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let fresh_until = UnixMillis(now.0.saturating_add(LAST_RESORT_REFRESH_SECONDS * 1000));
    for row in tx.scan(&Scan::prefix([prefix::KEY_PACKAGE]))? {
        let row = Row::read(&row.value)?;
        if row.last_resort && !row.used && row.expires > fresh_until {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Deletes the private parts of packages that expired [`KEEP_EXPIRED_SECONDS`] ago. How many.
///
/// # Errors
/// If the store fails.
pub fn expire(tx: &Transaction<'_>, now: UnixMillis) -> Result<usize, StoreError> {
    let mut deleted = 0;
    for row in tx.scan(&Scan::prefix([prefix::KEY_PACKAGE]))? {
        let package = Row::read(&row.value)?;
        if package.expires.0.saturating_add(KEEP_EXPIRED_SECONDS * 1000) <= now.0 {
            MlsStorage(tx).delete_key_package(&package.reference).map_err(|error| match error {
                CodecError::Store(error) => error,
                other => StoreError::Damaged(other.to_string()),
            })?;
            tx.delete(row.key);
            deleted += 1;
        }
    }
    Ok(deleted)
}

/// A Welcome used one of our packages: a one-time package is forgotten, a last-resort one is due for replacement.
pub(crate) fn used(tx: &Transaction<'_>, reference: &[u8]) -> Result<(), StoreError> {
    if let Some(value) = tx.get(&key(reference))? {
        match Row::read(&value)? {
            row if row.last_resort => Row { used: true, ..row }.write(tx),
            row => tx.delete(row.key()),
        }
    }
    Ok(())
}

/// Checks a package that the relay gave for a device of `account`: signatures, certificate, lifetime, suite, and
/// that it is of the account and device that were asked for.
///
/// # Errors
/// See [`KeyPackageError`]; nobody may be added with a package that is refused.
pub fn verify(
    claimed: &ClaimedKeyPackage,
    account: AccountId,
    suite: Suite,
    now: UnixMillis,
) -> Result<VerifiedKeyPackage, KeyPackageError> {
    let verified = VerifiedKeyPackage(shared::verify(claimed.package.as_slice(), now)?);
    if verified.suite() != suite {
        return Err(KeyPackageError::OtherSuite { due: suite, got: verified.suite() });
    }
    if (verified.account(), verified.device()) != (account, claimed.device) {
        return Err(KeyPackageError::Swapped { account: verified.account(), device: verified.device() });
    }
    Ok(verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use crate::test_people::{device, now, rng};

    fn claimed(device: u8, package: Payload) -> ClaimedKeyPackage {
        ClaimedKeyPackage { device: DeviceId([device; 16]), package, last_resort: false }
    }

    #[test]
    fn a_swapped_key_package_is_refused() {
        let store = MemoryStore::new();
        let tx = Transaction::new(&store);
        let mut packages =
            generate(&tx, &mut rng(), &device(2, 3), Suite::X25519, 1, now()).expect("a package is made");
        let claimed = claimed(3, packages.remove(0));
        let check = |account: u8, claimed: &ClaimedKeyPackage, suite| {
            verify(claimed, AccountId([account; 16]), suite, now()).map(|package| package.device())
        };
        assert_eq!(check(2, &claimed, Suite::X25519).expect("as asked for"), DeviceId([3; 16]));
        assert!(matches!(check(1, &claimed, Suite::X25519), Err(KeyPackageError::Swapped { .. })));
        let other_device = ClaimedKeyPackage { device: DeviceId([4; 16]), ..claimed.clone() };
        assert!(matches!(check(2, &other_device, Suite::X25519), Err(KeyPackageError::Swapped { .. })));
        assert!(matches!(check(2, &claimed, Suite::XWing), Err(KeyPackageError::OtherSuite { .. })));
        let mut bytes = claimed.package.as_slice().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let altered = ClaimedKeyPackage { package: bytes.into(), ..claimed };
        assert!(matches!(check(2, &altered, Suite::X25519), Err(KeyPackageError::Refused(_))));
    }

    #[test]
    fn private_parts_of_expired_packages_are_deleted() {
        let mut store = MemoryStore::new();
        let tx = Transaction::new(&store);
        generate(&tx, &mut rng(), &device(1, 1), Suite::X25519, 2, now()).expect("packages are made");
        let batch = tx.into_batch();
        crate::store::Store::commit(&mut store, batch).expect("memory");
        assert_eq!(store.rows().count(), 4);

        let tx = Transaction::new(&store);
        let at = |seconds: u64| UnixMillis(now().0 + seconds * 1000);
        assert_eq!(
            expire(&tx, at(KEY_PACKAGE_LIFETIME_SECONDS)).expect("memory"),
            0,
            "Welcomes may be on their way"
        );
        let later = at(KEY_PACKAGE_LIFETIME_SECONDS + KEEP_EXPIRED_SECONDS);
        assert_eq!(expire(&tx, later).expect("memory"), 2);
        let batch = tx.into_batch();
        crate::store::Store::commit(&mut store, batch).expect("memory");
        assert_eq!(store.rows().count(), 0);
    }

    #[test]
    fn a_last_resort_package_is_due_at_first_after_use_and_before_it_expires() {
        let store = MemoryStore::new();
        let tx = Transaction::new(&store);
        assert!(last_resort_is_due(&tx, now()).expect("memory"));
        let package = generate_last_resort(&tx, &mut rng(), &device(1, 1), Suite::X25519, now())
            .expect("a package is made");
        assert!(shared::verify(package.as_slice(), now()).expect("ours").last_resort);
        assert!(!last_resort_is_due(&tx, now()).expect("memory"));
        let week_before = KEY_PACKAGE_LIFETIME_SECONDS - LAST_RESORT_REFRESH_SECONDS;
        assert!(last_resort_is_due(&tx, UnixMillis(now().0 + week_before * 1000)).expect("memory"));
        let row = tx.scan(&Scan::prefix([prefix::KEY_PACKAGE])).expect("memory").remove(0);
        used(&tx, &row.key[1..]).expect("memory");
        assert!(last_resort_is_due(&tx, now()).expect("memory"));
    }
}
