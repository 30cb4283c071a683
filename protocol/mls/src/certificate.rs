//! Device certificates: an account's identity key says "this device key speaks for me".
//!
//! ```text
//! version 1 | account 16 | identity key 32 | device 16 | device key 32 | created 8 (big endian) | signature 64
//! ```
//!
//! The identity key signs the label `sotto device certificate v1` and everything before the signature. The
//! encoding has one form only: fixed lengths, no options, so that equal certificates are equal bytes.
//! A certificate does not expire and is not renewed: a device that is lost is removed from its
//! conversations and from the account's list of devices.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};

/// Bytes of a serialised certificate.
pub const CERTIFICATE_BYTES: usize = 1 + 16 + 32 + 16 + 32 + 8 + 64;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"sotto device certificate v1";
const SIGNED_BYTES: usize = CERTIFICATE_BYTES - 64;

/// Why bytes are not a certificate that may be trusted. Whoever made or passed on the bytes is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Not 169 bytes of version 1.
    #[error("this is not a device certificate")]
    Malformed,
    /// A key is not a point that Ed25519 may be used with (malformed, or of small order).
    #[error("the device certificate holds a key that is not a safe Ed25519 key")]
    UnsafeKey,
    /// The identity key did not sign this.
    #[error("the identity key did not sign this device certificate")]
    BadSignature,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Fields {
    account: AccountId,
    identity_key: [u8; 32],
    device: DeviceId,
    device_key: [u8; 32],
    created: UnixMillis,
    signature: [u8; 64],
}

/// A certificate that decoded and whose signature was not checked: it says nothing yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnverifiedCertificate(Fields);

/// A certificate whose signature was checked. It is made by [`UnverifiedCertificate::verify`] and
/// [`DeviceCertificate::issue`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceCertificate(Fields);

impl Fields {
    fn head(&self) -> [u8; SIGNED_BYTES] {
        let mut head = [0; SIGNED_BYTES];
        let parts = [VERSION]
            .into_iter()
            .chain(self.account.0)
            .chain(self.identity_key)
            .chain(self.device.0)
            .chain(self.device_key)
            .chain(self.created.0.to_be_bytes());
        for (place, byte) in head.iter_mut().zip(parts) {
            *place = byte;
        }
        head
    }

    fn signed(&self) -> Vec<u8> {
        let mut signed = LABEL.to_vec();
        signed.extend_from_slice(&self.head());
        signed
    }
}

impl UnverifiedCertificate {
    /// Reads a serialised certificate.
    ///
    /// # Errors
    /// [`CertificateError::Malformed`] unless the bytes are exactly one certificate of version 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut rest = bytes;
        let fields = (|| {
            (take::<1>(&mut rest)? == [VERSION]).then_some(())?;
            Some(Fields {
                account: AccountId(take(&mut rest)?),
                identity_key: take(&mut rest)?,
                device: DeviceId(take(&mut rest)?),
                device_key: take(&mut rest)?,
                created: UnixMillis(u64::from_be_bytes(take(&mut rest)?)),
                signature: take(&mut rest)?,
            })
        })();
        match fields {
            Some(fields) if rest.is_empty() => Ok(Self(fields)),
            _ => Err(CertificateError::Malformed),
        }
    }

    /// Checks both keys and the signature (strictly: RFC 8032 without the malleable and small-order cases).
    ///
    /// # Errors
    /// If a key is unsafe or the signature is not one by the identity key in the certificate.
    pub fn verify(self) -> Result<DeviceCertificate, CertificateError> {
        safe_key(&self.0.device_key)?;
        safe_key(&self.0.identity_key)?
            .verify_strict(&self.0.signed(), &Signature::from_bytes(&self.0.signature))
            .map_err(|_| CertificateError::BadSignature)?;
        Ok(DeviceCertificate(self.0))
    }
}

impl DeviceCertificate {
    /// An account's identity key certifies a device key.
    #[must_use]
    pub fn issue(
        identity: &SigningKey,
        account: AccountId,
        device: DeviceId,
        device_key: [u8; 32],
        created: UnixMillis,
    ) -> Self {
        let identity_key = identity.verifying_key().to_bytes();
        let mut fields = Fields { account, identity_key, device, device_key, created, signature: [0; 64] };
        fields.signature = identity.sign(&fields.signed()).to_bytes();
        Self(fields)
    }

    /// Decodes and verifies.
    ///
    /// # Errors
    /// As [`UnverifiedCertificate::decode`] and [`UnverifiedCertificate::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CertificateError> {
        UnverifiedCertificate::decode(bytes)?.verify()
    }

    /// The serialised certificate.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.head().to_vec();
        bytes.extend_from_slice(&self.0.signature);
        bytes
    }

    /// Whose device it is.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.0.account
    }

    /// The account's identity key.
    #[must_use]
    pub const fn identity_key(&self) -> &[u8; 32] {
        &self.0.identity_key
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> DeviceId {
        self.0.device
    }

    /// The device's key: it signs the device's MLS messages and the relay's challenge.
    #[must_use]
    pub const fn device_key(&self) -> &[u8; 32] {
        &self.0.device_key
    }

    /// When it was made, by the clock of the device that holds the identity key.
    #[must_use]
    pub const fn created(&self) -> UnixMillis {
        self.0.created
    }
}

fn safe_key(bytes: &[u8; 32]) -> Result<VerifyingKey, CertificateError> {
    let key = VerifyingKey::from_bytes(bytes).map_err(|_| CertificateError::UnsafeKey)?;
    if key.is_weak() { Err(CertificateError::UnsafeKey) } else { Ok(key) }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> DeviceCertificate {
        let identity = SigningKey::from_bytes(&[1; 32]);
        let device_key = SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes();
        DeviceCertificate::issue(&identity, AccountId([3; 16]), DeviceId([4; 16]), device_key, UnixMillis(5))
    }

    #[test]
    fn a_certificate_has_the_bytes_of_version_1() {
        let hex: String = certificate().to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let golden = concat!(
            "01",
            "03030303030303030303030303030303",
            "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
            "04040404040404040404040404040404",
            "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
            "0000000000000005",
            "b4f57b3253274a79be93346ddfa098e5f105e5d3e208f9683d2fcb4c690fc596",
            "a0dd7dd4bf8d2e352c45a0c287278683e3e8b8e35ed0f1243cd76fc3b4565509",
        );
        assert_eq!(hex, golden);
    }

    #[test]
    fn a_certificate_is_read_as_it_was_written() {
        let bytes = certificate().to_bytes();
        assert_eq!(bytes.len(), CERTIFICATE_BYTES);
        assert_eq!(DeviceCertificate::from_bytes(&bytes), Ok(certificate()));
    }

    #[test]
    fn no_single_changed_bit_is_accepted() {
        let bytes = certificate().to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(DeviceCertificate::from_bytes(&forged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_other_length_is_malformed() {
        let mut bytes = certificate().to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(UnverifiedCertificate::decode(&bytes[..length]), Err(CertificateError::Malformed));
        }
        bytes.push(0);
        assert_eq!(UnverifiedCertificate::decode(&bytes), Err(CertificateError::Malformed));
    }

    #[test]
    fn a_device_key_of_small_order_is_refused_even_when_it_is_signed() {
        let identity = SigningKey::from_bytes(&[1; 32]);
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let certificate = DeviceCertificate::issue(
            &identity,
            AccountId([3; 16]),
            DeviceId([4; 16]),
            neutral,
            UnixMillis(5),
        );
        assert_eq!(DeviceCertificate::from_bytes(&certificate.to_bytes()), Err(CertificateError::UnsafeKey));
    }
}
