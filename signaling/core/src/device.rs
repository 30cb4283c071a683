//! Which devices an account has, and whose certificate counts.
//!
//! The first device brings the account's identity key; from then on only certificates by that key count, so a
//! stolen password registers no device. The relay's list is a directory, not a proof: every client checks
//! certificates itself.

use crate::account::Account;
use crate::limits::{CLOCK_SKEW_SECONDS_MAX, MS};
use crate::names::Label;
use bincode::{Decode, Encode};
use sotto_mls::certificate::DeviceCertificate;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_protocol::limits::DEVICES_PER_ACCOUNT_MAX;

/// A registered device, as the relay stores it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Device {
    /// Drawn by the device.
    pub id: DeviceId,
    /// Whose.
    pub account: AccountId,
    /// What its owner calls it.
    pub name: Label,
    /// The Ed25519 key that it proves itself with.
    pub device_key: [u8; 32],
    /// The certificate as it came.
    pub certificate: Vec<u8>,
    /// When it was registered here.
    pub created: UnixMillis,
}

/// Why a device is not registered. The account's owner, or who pretends to be, is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceRefused {
    /// The certificate was issued for another account.
    #[error("the certificate is for another account")]
    OtherAccount,
    /// The certificate names another device than the request.
    #[error("the certificate is for another device")]
    OtherDevice,
    /// The account has another identity key.
    #[error("the certificate is not by this account's identity key; restore it with the recovery words")]
    OtherIdentity,
    /// The id is in use with another key, or by another account.
    #[error("this device id is in use; draw another")]
    IdTaken,
    /// The certificate is dated in the future.
    #[error("the certificate is dated in the future; check the device's clock")]
    FromTheFuture,
    /// [`DEVICES_PER_ACCOUNT_MAX`] are there.
    #[error("an account has at most {DEVICES_PER_ACCOUNT_MAX} devices; remove one first")]
    TooMany,
}

/// What registering a device does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The row to store.
    pub device: Device,
    /// Whether it was there before: the same certificate again only changes the name.
    pub again: bool,
    /// The identity key to store with the account, if this is its first device.
    pub sets_identity: Option<[u8; 32]>,
}

/// What the decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct DeviceFacts<'a> {
    /// The account that asks.
    pub account: &'a Account,
    /// The row under the certificate's device id, whosever it is.
    pub same_id: Option<&'a Device>,
    /// How many devices the account has.
    pub devices: usize,
}

/// Decides on a device that shows a verified certificate.
///
/// # Errors
/// See [`DeviceRefused`].
pub fn register(
    facts: DeviceFacts<'_>,
    certificate: &DeviceCertificate,
    name: Label,
    now: UnixMillis,
) -> Result<Registration, DeviceRefused> {
    let DeviceFacts { account, same_id, devices } = facts;
    if certificate.account() != account.id {
        return Err(DeviceRefused::OtherAccount);
    }
    let sets_identity = match account.identity_key {
        None => Some(*certificate.identity_key()),
        Some(key) if key == *certificate.identity_key() => None,
        Some(_) => return Err(DeviceRefused::OtherIdentity),
    };
    if certificate.created().0 > now.0.saturating_add(CLOCK_SKEW_SECONDS_MAX * MS) {
        return Err(DeviceRefused::FromTheFuture);
    }
    if let Some(there) = same_id {
        if there.account != account.id || there.device_key != *certificate.device_key() {
            return Err(DeviceRefused::IdTaken);
        }
        let device = Device { name, certificate: certificate.to_bytes(), ..there.clone() };
        return Ok(Registration { device, again: true, sets_identity });
    }
    if devices >= DEVICES_PER_ACCOUNT_MAX {
        return Err(DeviceRefused::TooMany);
    }
    let device = Device {
        id: certificate.device(),
        account: account.id,
        name,
        device_key: *certificate.device_key(),
        certificate: certificate.to_bytes(),
        created: now,
    };
    Ok(Registration { device, again: false, sets_identity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Role;
    use crate::password::{PasswordCost, PasswordHash};
    use ed25519_dalek::SigningKey;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn account(identity_key: Option<[u8; 32]>) -> Account {
        Account {
            id: AccountId([1; 16]),
            username: "anna".parse().expect("a name"),
            email: "anna@example.org".parse().expect("an address"),
            password: PasswordHash::dummy(PasswordCost::CHEAPEST, &mut ChaCha20Rng::seed_from_u64(1)),
            role: Role::User,
            created: NOW,
            identity_key,
            disabled: None,
        }
    }

    fn certificate(identity: u8, account: u8, device: u8, created: u64) -> DeviceCertificate {
        let device_key = SigningKey::from_bytes(&[device; 32]).verifying_key().to_bytes();
        let identity = SigningKey::from_bytes(&[identity; 32]);
        let (account, device) = (AccountId([account; 16]), DeviceId([device; 16]));
        DeviceCertificate::issue(&identity, account, device, device_key, UnixMillis(created))
    }

    fn ask(
        account: &Account,
        same_id: Option<&Device>,
        devices: usize,
        certificate: &DeviceCertificate,
    ) -> Result<Registration, DeviceRefused> {
        register(DeviceFacts { account, same_id, devices }, certificate, Label::lossy("laptop"), NOW)
    }

    #[test]
    fn the_first_device_sets_the_identity_key_and_later_ones_must_match_it() {
        let first = certificate(9, 1, 2, 0);
        let made = ask(&account(None), None, 0, &first).expect("the first device");
        assert_eq!(made.sets_identity, Some(*first.identity_key()));
        let owner = account(made.sets_identity);
        let second = ask(&owner, None, 1, &certificate(9, 1, 3, 0)).expect("the same identity");
        assert_eq!(second.sets_identity, None);
        assert_eq!(ask(&owner, None, 1, &certificate(8, 1, 3, 0)), Err(DeviceRefused::OtherIdentity));
    }

    #[test]
    fn a_certificate_for_somebody_else_is_refused() {
        assert_eq!(ask(&account(None), None, 0, &certificate(9, 7, 2, 0)), Err(DeviceRefused::OtherAccount));
    }

    #[test]
    fn a_device_id_belongs_to_one_key_of_one_account() {
        let first = certificate(9, 1, 2, 0);
        let made = ask(&account(None), None, 0, &first).expect("the first device");
        let owner = account(made.sets_identity);
        let again = ask(&owner, Some(&made.device), 1, &first).expect("the same again");
        assert!(again.again);
        let other_key = Device { device_key: [0; 32], ..made.device.clone() };
        assert_eq!(ask(&owner, Some(&other_key), 1, &first), Err(DeviceRefused::IdTaken));
        let other_account = Device { account: AccountId([5; 16]), ..made.device };
        assert_eq!(ask(&owner, Some(&other_account), 1, &first), Err(DeviceRefused::IdTaken));
    }

    #[test]
    fn the_number_of_devices_is_limited_but_not_for_one_that_is_there() {
        let first = certificate(9, 1, 2, 0);
        let made = ask(&account(None), None, 0, &first).expect("the first device");
        let owner = account(made.sets_identity);
        let full = DEVICES_PER_ACCOUNT_MAX;
        assert_eq!(ask(&owner, None, full, &certificate(9, 1, 3, 0)), Err(DeviceRefused::TooMany));
        assert!(ask(&owner, Some(&made.device), full, &first).is_ok());
    }

    #[test]
    fn a_certificate_from_the_far_future_is_refused() {
        let day = CLOCK_SKEW_SECONDS_MAX * MS;
        assert!(ask(&account(None), None, 0, &certificate(9, 1, 2, NOW.0 + day)).is_ok());
        let refused = ask(&account(None), None, 0, &certificate(9, 1, 2, NOW.0 + day + 1));
        assert_eq!(refused, Err(DeviceRefused::FromTheFuture));
    }
}
