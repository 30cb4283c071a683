//! Who: an account's identity key, a device's key that it certifies, and what people compare and write down.
//!
//! An account *is* its Ed25519 identity key; the relay's account id is only where to find it. The identity key
//! signs one certificate for each device and does nothing else. It lives on the account's devices and, sealed
//! under the recovery key, in the [vault](recovery).

pub mod recovery;
pub mod safety;

use ed25519_dalek::{Signer as _, SigningKey};
use openmls::prelude::CredentialWithKey;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::credential::credential_with_key;
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use zeroize::Zeroizing;

/// An account's identity key pair. It has no `Debug` and is wiped when dropped.
pub struct AccountIdentity(SigningKey);

/// This installation: its signature key and the certificate over it. It has no `Debug` and is wiped when dropped.
pub struct LocalDevice {
    key: SigningKey,
    certificate: DeviceCertificate,
}

/// The cryptographic name of an account: a hash of its identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityName(pub [u8; 32]);

impl std::fmt::Display for IdentityName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        sotto_protocol::hex::write(&self.0, f)
    }
}

/// The stored bytes of a device do not make sense. The medium is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stored device is damaged")]
pub struct DamagedDevice;

impl AccountIdentity {
    /// A new identity.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(SigningKey::from_bytes(&random_bytes(rng)))
    }

    /// The identity of a secret that was kept.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The secret, for the sealed store and the vault only.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Makes a new device of the account: fresh keys and the certificate over them.
    #[must_use]
    pub fn issue_device(
        &self,
        rng: &mut impl CryptoRng,
        account: AccountId,
        device: DeviceId,
        now: UnixMillis,
    ) -> LocalDevice {
        let key = SigningKey::from_bytes(&random_bytes(rng));
        let device_key = key.verifying_key().to_bytes();
        let certificate = DeviceCertificate::issue(&self.0, account, device, device_key, now);
        LocalDevice { key, certificate }
    }
}

impl LocalDevice {
    /// The account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.certificate.account()
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> DeviceId {
        self.certificate.device()
    }

    /// The account's identity key.
    #[must_use]
    pub fn identity_key(&self) -> [u8; 32] {
        *self.certificate.identity_key()
    }

    /// The device's public key.
    #[must_use]
    pub fn device_key(&self) -> [u8; 32] {
        *self.certificate.device_key()
    }

    /// The serialised certificate, as registration and MLS credentials carry it.
    #[must_use]
    pub fn certificate_bytes(&self) -> Vec<u8> {
        self.certificate.to_bytes()
    }

    /// Signs as this device: the relay's challenge, a wish to leave.
    #[must_use]
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// Secret and certificate, for the sealed store only.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(self.key.as_bytes().to_vec());
        bytes.extend_from_slice(&self.certificate.to_bytes());
        bytes
    }

    /// Reads what [`LocalDevice::to_bytes`] wrote.
    ///
    /// # Errors
    /// If the bytes are damaged: the certificate does not verify, or is over another key.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DamagedDevice> {
        let (secret, certificate) = bytes.split_first_chunk::<32>().ok_or(DamagedDevice)?;
        let key = SigningKey::from_bytes(secret);
        let certificate = DeviceCertificate::from_bytes(certificate).map_err(|_| DamagedDevice)?;
        if key.verifying_key().to_bytes() != *certificate.device_key() {
            return Err(DamagedDevice);
        }
        Ok(Self { key, certificate })
    }

    pub(crate) const fn certificate(&self) -> &DeviceCertificate {
        &self.certificate
    }

    pub(crate) fn credential(&self) -> CredentialWithKey {
        credential_with_key(&self.certificate)
    }
}

impl Signer for LocalDevice {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.key.sign(payload).to_bytes().to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// The cryptographic name of the account with this identity key.
#[must_use]
pub fn identity_name(identity_key: &[u8; 32]) -> IdentityName {
    IdentityName(
        Sha256::new().chain_update(b"sotto identity name v1").chain_update(identity_key).finalize().into(),
    )
}

/// Random bytes from the caller's generator, in memory that is wiped.
pub(crate) fn random_bytes<const N: usize>(rng: &mut impl CryptoRng) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    rng.fill_bytes(&mut *bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    fn device() -> LocalDevice {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let identity = AccountIdentity::generate(&mut rng);
        identity.issue_device(&mut rng, AccountId([1; 16]), DeviceId([2; 16]), UnixMillis(3))
    }

    #[test]
    fn a_device_is_read_as_it_was_written() {
        let device = device();
        let read = LocalDevice::from_bytes(&device.to_bytes()).expect("written by us");
        assert_eq!(read.certificate_bytes(), device.certificate_bytes());
        assert_eq!(read.sign(b"x"), device.sign(b"x"));
    }

    #[test]
    fn a_damaged_device_is_refused() {
        let bytes = device().to_bytes();
        for place in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[place] ^= 1;
            assert!(LocalDevice::from_bytes(&damaged).is_err(), "byte {place}");
        }
        assert!(LocalDevice::from_bytes(&bytes[..31]).is_err());
    }
}
