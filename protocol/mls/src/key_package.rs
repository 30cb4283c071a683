//! Key packages: what a device leaves on the relay so that others can add it while it sleeps.
//!
//! On the wire a key package is an `MLSMessage` (RFC 9420 section 6) that holds a `KeyPackage`. The relay
//! checks it when a device publishes it, and the client that claims it checks it again.

use crate::certificate::DeviceCertificate;
use crate::credential::{CredentialError, check_leaf_node};
use crate::provider::MlsCrypto;
use crate::suite::{Suite, UnknownSuite};
use openmls::prelude::{KeyPackage, MlsMessageBodyIn, MlsMessageIn, MlsMessageOut, ProtocolVersion};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::limits::{KEY_PACKAGE_BYTES_MAX, KEY_PACKAGE_LIFETIME_SECONDS};
use tls_codec::{Deserialize, Serialize};

/// How far a package may reach into the past of the clock that made it, so that receivers whose clocks are
/// behind take it too: one hour.
pub const KEY_PACKAGE_BACKDATE_SECONDS: u64 = 3600;

/// Why a key package is refused. The device that published it is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyPackageRefusal {
    /// Over the limit.
    #[error("a key package of {bytes} bytes is over the limit of {KEY_PACKAGE_BYTES_MAX}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Not exactly one MLS message with a key package.
    #[error("this is not a key package")]
    Malformed,
    /// For a suite that Sotto does not speak.
    #[error(transparent)]
    Suite(#[from] UnknownSuite),
    /// A signature, the MLS version or a field is wrong; the text is the library's.
    #[error("the key package does not verify: {0}")]
    Invalid(String),
    /// It does not show which device it belongs to.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// It starts in the future or has expired.
    #[error("the key package is not valid now: from {not_before} to {not_after}, in seconds since 1970")]
    NotNow {
        /// Start, in seconds since 1970.
        not_before: u64,
        /// End, in seconds since 1970.
        not_after: u64,
    },
    /// It lives longer than a key package may.
    #[error(
        "a key package lives at most {KEY_PACKAGE_LIFETIME_SECONDS} seconds and an hour before it is made"
    )]
    LivesTooLong,
}

/// A key package that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedKeyPackage {
    /// The device that it adds.
    pub certificate: DeviceCertificate,
    /// Its suite.
    pub suite: Suite,
    /// Whether it may be handed out more than once.
    pub last_resort: bool,
    /// When it expires.
    pub expires: UnixMillis,
    /// What an MLS group adds it by.
    pub key_package: KeyPackage,
}

/// The bytes that travel.
///
/// # Panics
/// Never: a key package that OpenMLS built can be written.
#[must_use]
pub fn encode(key_package: &KeyPackage) -> Vec<u8> {
    MlsMessageOut::from(key_package.clone())
        .tls_serialize_detached()
        .expect("a key package that OpenMLS built can be written")
}

/// Reads and checks a key package.
///
/// `now` is the caller's clock. The library also compares the lifetime with the system's clock, which it
/// gives no way around, so a package must be valid by both.
///
/// # Errors
/// See [`KeyPackageRefusal`].
pub fn verify(bytes: &[u8], now: UnixMillis) -> Result<VerifiedKeyPackage, KeyPackageRefusal> {
    if bytes.len() > KEY_PACKAGE_BYTES_MAX {
        return Err(KeyPackageRefusal::TooLarge { bytes: bytes.len() });
    }
    let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageRefusal::Malformed)?;
    let MlsMessageBodyIn::KeyPackage(unverified) = message.extract() else {
        return Err(KeyPackageRefusal::Malformed);
    };
    let key_package = unverified
        .validate(&MlsCrypto, ProtocolVersion::Mls10)
        .map_err(|error| KeyPackageRefusal::Invalid(error.to_string()))?;
    let suite = Suite::try_from(key_package.ciphersuite())?;
    let certificate = check_leaf_node(key_package.leaf_node())?;

    let (not_before, not_after) = (key_package.life_time().not_before(), key_package.life_time().not_after());
    let now_seconds = now.0 / 1000;
    if now_seconds < not_before || not_after <= now_seconds {
        return Err(KeyPackageRefusal::NotNow { not_before, not_after });
    }
    if not_after.saturating_sub(not_before) > KEY_PACKAGE_LIFETIME_SECONDS + KEY_PACKAGE_BACKDATE_SECONDS {
        return Err(KeyPackageRefusal::LivesTooLong);
    }
    Ok(VerifiedKeyPackage {
        certificate,
        suite,
        last_resort: key_package.last_resort(),
        expires: UnixMillis(not_after.saturating_mul(1000)),
        key_package,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_group::TestDevice;
    use openmls::prelude::Lifetime;

    /// The library's clock, which is the system's: its lifetimes begin an hour before.
    fn now() -> UnixMillis {
        UnixMillis((Lifetime::new(1).not_before() + KEY_PACKAGE_BACKDATE_SECONDS) * 1000)
    }

    #[test]
    fn a_key_package_names_its_device_and_suite() {
        for suite in Suite::ALL {
            let device = TestDevice::new(1, 1);
            let verified = verify(&device.key_package(suite), now()).expect("a fresh package is valid");
            assert_eq!(verified.certificate, device.certificate);
            assert_eq!(verified.suite, suite);
            assert!(!verified.last_resort);
        }
    }

    /// P-037.
    #[test]
    fn expired_early_and_long_lived_packages_are_refused() {
        let device = TestDevice::new(1, 1);
        let package = device.key_package(Suite::X25519);
        let later = UnixMillis(now().0 + (KEY_PACKAGE_LIFETIME_SECONDS + 7200) * 1000);
        assert!(matches!(verify(&package, later), Err(KeyPackageRefusal::NotNow { .. })));
        let before = UnixMillis(now().0 - 3 * 3600 * 1000);
        assert!(matches!(verify(&package, before), Err(KeyPackageRefusal::NotNow { .. })));

        let start = now().0 / 1000;
        let long =
            device.key_package_with_lifetime(Suite::X25519, Lifetime::init(start, start + 60 * 24 * 3600));
        assert_eq!(verify(&long, now()), Err(KeyPackageRefusal::LivesTooLong));
    }

    #[test]
    fn a_swapped_certificate_is_refused() {
        let (alice, mallory) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
        let package = mallory.key_package_showing(Suite::X25519, &alice.certificate);
        let refusal = KeyPackageRefusal::Credential(CredentialError::AnotherKey);
        assert_eq!(verify(&package, now()), Err(refusal));
    }

    #[test]
    fn truncated_extended_and_flipped_packages_are_refused_without_panic() {
        let package = TestDevice::new(1, 1).key_package(Suite::X25519);
        for length in (0..package.len()).step_by(3) {
            assert!(verify(&package[..length], now()).is_err(), "{length} bytes");
        }
        let mut longer = package.clone();
        longer.push(0);
        assert_eq!(verify(&longer, now()), Err(KeyPackageRefusal::Malformed));
        for place in 0..package.len() {
            let mut flipped = package.clone();
            flipped[place] ^= 1;
            assert!(verify(&flipped, now()).is_err(), "byte {place}");
        }
    }
}
