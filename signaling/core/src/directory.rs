//! The key-package directory: what is taken in, and which package is handed out.
//!
//! A package is checked when it is published, so that nobody is handed garbage, and again by whoever claims
//! it, because a relay's word is not enough. Each is handed out once. The relay remembers the hash of each
//! package it handed out until the package expires: a device that publishes the same again (its answer was
//! lost) does not bring a spent one back.

use crate::device::Device;
use bincode::{Decode, Encode};
use sha2::{Digest, Sha256};
use sotto_mls::key_package::{KeyPackageRefusal, verify};
use sotto_protocol::ids::{DeviceId, UnixMillis};
use sotto_protocol::limits::{KEY_PACKAGES_LOW, KEY_PACKAGES_PER_DEVICE_MAX};

/// A key package that was checked, as the relay stores it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct StoredPackage {
    /// Its suite's MLS code point.
    pub suite: u16,
    /// When nobody may be handed it any more.
    pub expires: UnixMillis,
    /// SHA-256 of the bytes; its name in the directory.
    pub hash: [u8; 32],
    /// As published.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for StoredPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredPackage {{ suite: {:#06x}, {} bytes }}", self.suite, self.bytes.len())
    }
}

/// What a device publishes, checked. Only [`check`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    packages: Vec<StoredPackage>,
    last_resort: Option<StoredPackage>,
}

/// Which of two uses a package is published for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// Handed out once.
    Once,
    /// Handed out while the stock is empty.
    LastResort,
}

/// Why a publication is refused, all of it. The device is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishRefused {
    /// The account has no such device.
    #[error("this device is not registered")]
    UnknownDevice,
    /// More than the stock may hold.
    #[error("a device keeps at most {KEY_PACKAGES_PER_DEVICE_MAX} key packages here")]
    TooMany,
    /// One of them does not verify.
    #[error("key package {place}: {why}")]
    Package {
        /// Its place in the list; the last-resort one comes after the others.
        place: usize,
        /// What is wrong.
        why: KeyPackageRefusal,
    },
    /// It belongs to another device than the one that publishes it.
    #[error("key package {place} belongs to another device")]
    OtherDevice {
        /// Its place in the list.
        place: usize,
    },
    /// A last-resort package among the others, or the other way round.
    #[error("key package {place} is marked for the other use (one-time or last resort)")]
    OtherUse {
        /// Its place in the list.
        place: usize,
    },
}

/// Checks what a device publishes: all of it, or nothing is stored.
///
/// # Errors
/// See [`PublishRefused`].
pub fn check(
    device: &Device,
    packages: &[impl AsRef<[u8]>],
    last_resort: Option<&[u8]>,
    now: UnixMillis,
) -> Result<Publication, PublishRefused> {
    // Before any signature is checked: the number bounds the work.
    if packages.len() > KEY_PACKAGES_PER_DEVICE_MAX {
        return Err(PublishRefused::TooMany);
    }
    let one_time = packages.iter().enumerate();
    let packages = one_time
        .map(|(place, bytes)| check_one(device, bytes.as_ref(), Use::Once, place, now))
        .collect::<Result<Vec<_>, _>>()?;
    let place = packages.len();
    let last_resort =
        last_resort.map(|bytes| check_one(device, bytes, Use::LastResort, place, now)).transpose()?;
    Ok(Publication { packages, last_resort })
}

fn check_one(
    device: &Device,
    bytes: &[u8],
    purpose: Use,
    place: usize,
    now: UnixMillis,
) -> Result<StoredPackage, PublishRefused> {
    let verified = verify(bytes, now).map_err(|why| PublishRefused::Package { place, why })?;
    if verified.certificate.to_bytes() != device.certificate {
        return Err(PublishRefused::OtherDevice { place });
    }
    if verified.last_resort != (purpose == Use::LastResort) {
        return Err(PublishRefused::OtherUse { place });
    }
    Ok(StoredPackage {
        suite: verified.suite.code_point(),
        expires: verified.expires,
        hash: Sha256::digest(bytes).into(),
        bytes: bytes.to_vec(),
    })
}

impl Publication {
    /// One-time packages and the last-resort one.
    #[must_use]
    pub fn into_parts(self) -> (Vec<StoredPackage>, Option<StoredPackage>) {
        (self.packages, self.last_resort)
    }
}

/// A package that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Whose it is.
    pub device: DeviceId,
    /// The package.
    pub package: StoredPackage,
    /// Whether it was the last-resort one, which stays.
    pub last_resort: bool,
    /// How many one-time packages the device has left.
    pub left: usize,
}

impl Claimed {
    /// Whether the device is to be told to publish more.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.left < KEY_PACKAGES_LOW
    }
}

/// Chooses among what one device has: by the caller's suites, best first, a one-time package before a
/// last-resort one of the same suite, and the one that expires first. The suite counts most: the caller's
/// conversation has one, and a post-quantum one is not given up to save a package.
#[must_use]
pub fn choose<'a>(
    suites: &[u16],
    once: &'a [StoredPackage],
    last_resort: &'a [StoredPackage],
    now: UnixMillis,
) -> Option<(&'a StoredPackage, Use)> {
    let fits = |package: &&StoredPackage, suite: u16| package.suite == suite && package.expires > now;
    suites.iter().find_map(|&suite| {
        let one_time =
            once.iter().filter(|package| fits(package, suite)).min_by_key(|package| package.expires);
        let last = last_resort.iter().find(|package| fits(package, suite));
        one_time
            .map(|package| (package, Use::Once))
            .or_else(|| last.map(|package| (package, Use::LastResort)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn package(suite: u16, expires: u64, tag: u8) -> StoredPackage {
        StoredPackage { suite, expires: UnixMillis(expires), hash: [tag; 32], bytes: vec![tag] }
    }

    const NOW: UnixMillis = UnixMillis(100);

    #[test]
    fn the_callers_first_suite_wins_then_one_time_before_last_resort_then_the_soonest_to_expire() {
        let once = [package(3, 900, 1), package(3, 500, 2), package(77, 900, 3)];
        let last = [package(77, 900, 4), package(3, 900, 5)];
        let tag = |suites: &[u16], once: &[StoredPackage]| {
            choose(suites, once, &last, NOW).map(|(package, purpose)| (package.bytes[0], purpose))
        };
        assert_eq!(tag(&[77, 3], &once), Some((3, Use::Once)));
        assert_eq!(tag(&[3, 77], &once), Some((2, Use::Once)));
        assert_eq!(tag(&[77, 3], &once[..2]), Some((4, Use::LastResort)));
        assert_eq!(tag(&[5], &once), None);
        assert_eq!(tag(&[], &once), None);
    }

    #[test]
    fn an_expired_package_is_not_handed_out() {
        let once = [package(3, 100, 1)];
        assert_eq!(choose(&[3], &once, &[package(3, 99, 2)], NOW), None);
    }

    #[test]
    fn bytes_that_are_no_key_package_are_refused_with_their_place() {
        let device = Device {
            id: DeviceId([1; 16]),
            account: sotto_protocol::ids::AccountId([1; 16]),
            name: crate::names::Label::lossy("x"),
            device_key: [1; 32],
            certificate: Vec::new(),
            created: NOW,
        };
        let why = KeyPackageRefusal::Malformed;
        let refused = check(&device, &[[1u8, 2, 3]], None, NOW);
        assert_eq!(refused, Err(PublishRefused::Package { place: 0, why: why.clone() }));
        let none: [[u8; 1]; 0] = [];
        let refused = check(&device, &none, Some(&[1]), NOW);
        assert_eq!(refused, Err(PublishRefused::Package { place: 0, why }));
        let many = vec![[0u8; 1]; KEY_PACKAGES_PER_DEVICE_MAX + 1];
        assert_eq!(check(&device, &many, None, NOW), Err(PublishRefused::TooMany));
    }

    proptest! {
        #[test]
        fn what_is_chosen_is_one_of_the_asked_suites_and_not_expired(
            once in prop::collection::vec((0u16..4, 0u64..300), 0..20),
            suites in prop::collection::vec(0u16..4, 0..4),
        ) {
            let once: Vec<_> = once.into_iter().map(|(suite, expires)| package(suite, expires, 0)).collect();
            match choose(&suites, &once, &[], NOW) {
                Some((package, _)) => {
                    prop_assert!(suites.contains(&package.suite) && package.expires > NOW);
                }
                None => prop_assert!(!once.iter().any(|p| suites.contains(&p.suite) && p.expires > NOW)),
            }
        }
    }
}
