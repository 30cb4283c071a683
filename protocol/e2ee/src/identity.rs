//! Who: account identity keys, device keys and their certificates, safety numbers, recovery keys, the vault.
use rand_core::CryptoRng;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, UnixMillis};
use zeroize::Zeroizing;

/// An account's Ed25519 identity key pair. No `Debug`, wiped when dropped.
pub struct AccountIdentity(Zeroizing<[u8; 32]>);
impl AccountIdentity {
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        unimplemented!()
    }
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        unimplemented!()
    }
    pub fn secret(&self) -> &[u8; 32] {
        &self.0
    }
    pub fn public_key(&self) -> [u8; 32] {
        unimplemented!()
    }
    /// Certifies a new device of the account and gives it its keys.
    pub fn issue_device(
        &self,
        rng: &mut impl CryptoRng,
        account: AccountId,
        device: DeviceId,
        now: UnixMillis,
    ) -> LocalDevice {
        unimplemented!()
    }
}

/// This installation: its Ed25519 signature key and the certificate over it. The signer of everything MLS.
pub struct LocalDevice {
    secret: Zeroizing<[u8; 32]>,
}
impl LocalDevice {
    pub fn account(&self) -> AccountId {
        unimplemented!()
    }
    pub fn device(&self) -> DeviceId {
        unimplemented!()
    }
    pub fn identity_key(&self) -> [u8; 32] {
        unimplemented!()
    }
    pub fn device_key(&self) -> [u8; 32] {
        unimplemented!()
    }
    /// The serialised certificate, as registration and MLS credential carry it.
    pub fn certificate_bytes(&self) -> Vec<u8> {
        unimplemented!()
    }
    /// Ed25519 by the device key: the relay's challenge, `leave_bytes`.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        unimplemented!()
    }
    /// For the store, which seals it.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        unimplemented!()
    }
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, IdentityError> {
        unimplemented!()
    }
}

/// The cryptographic name of an account: the hash of its identity key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdentityName(pub [u8; 32]);
pub fn identity_name(identity_key: &[u8; 32]) -> IdentityName {
    unimplemented!()
}

/// One side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Party {
    pub account: AccountId,
    pub identity_key: [u8; 32],
}
/// 60 digits in 12 groups of 5; the same whoever computes it.
pub fn safety_number(a: &Party, b: &Party) -> String {
    unimplemented!()
}
/// What a QR code shows: `sotto-verify:1:<account>:<identity key>`.
pub fn qr_text(party: &Party) -> String {
    unimplemented!()
}
pub fn read_qr_text(text: &str) -> Result<Party, IdentityError> {
    unimplemented!()
}

/// 32 bytes that open the vault; shown once, as 24 words.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);
impl RecoveryKey {
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        unimplemented!()
    }
    pub fn to_words(&self) -> Zeroizing<String> {
        unimplemented!()
    }
    pub fn from_words(words: &str) -> Result<Self, IdentityError> {
        unimplemented!()
    }
    pub fn seal_vault(&self, rng: &mut impl CryptoRng, account: AccountId, vault: &Vault) -> Vec<u8> {
        unimplemented!()
    }
    pub fn open_vault(&self, account: AccountId, sealed: &[u8]) -> Result<Vault, IdentityError> {
        unimplemented!()
    }
    pub fn secret(&self) -> &[u8; 32] {
        &self.0
    }
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        unimplemented!()
    }
}

/// What the recovery key opens.
pub struct Vault {
    pub identity: AccountIdentity,
    pub archive_keys: Vec<(ConversationId, Epoch, Zeroizing<[u8; 32]>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    #[error("these are not 24 recovery words: {0}")]
    Words(&'static str),
    #[error("the recovery words do not open this vault")]
    WrongKey,
    #[error("the vault is of a newer version of this program")]
    NewerVault,
    #[error("malformed")]
    Malformed,
}
