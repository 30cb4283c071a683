//! The recovery key and the vault that it opens.
//!
//! ```text
//! version 1 | nonce 24 | XChaCha20-Poly1305( identity secret 32 | count 4 | count * (conversation 16 | epoch 8 | key 32) )
//! ```
//!
//! The key of the seal is HKDF-SHA-256 of the recovery key; the associated data are the label, the version and the
//! account, so that one account's vault does not pass for another's. The recovery key is 32 random bytes, shown
//! once as 24 words of BIP-39: it needs no stretching, and a relay that holds the vault learns nothing from it.

use super::{AccountIdentity, random_bytes};
use crate::archive_keys::ArchiveKey;
use bip39::{Language, Mnemonic};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use sotto_protocol::ids::{AccountId, ConversationId, Epoch};
use sotto_protocol::limits::VAULT_BYTES_MAX;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
const KEY_BYTES: usize = 16 + 8 + 32;
const LABEL: &[u8] = b"sotto vault v1";

/// Archive keys in one vault: what fits in [`VAULT_BYTES_MAX`] beside the rest. The newest are kept.
pub const VAULT_KEYS_MAX: usize = (VAULT_BYTES_MAX - 1 - NONCE_BYTES - 16 - 32 - 4) / KEY_BYTES;

/// 32 bytes that open the vault. No `Debug`; wiped when dropped.
pub struct RecoveryKey(Zeroizing<[u8; 32]>);

/// What the recovery key opens.
pub struct Vault {
    /// The account's identity.
    pub identity: AccountIdentity,
    /// Archive keys, of all conversations.
    pub archive_keys: Vec<ArchiveKey>,
}

/// Why recovery does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// There are not 24 words.
    #[error("a recovery key has 24 words, these are {0}")]
    WordCount(usize),
    /// A word is not in the list; its place, counted from 1.
    #[error("word {0} is not one of the recovery words")]
    UnknownWord(usize),
    /// All words are known and do not belong together: one is wrong, or two changed places.
    #[error("these words do not belong together: one is wrong, or their order is")]
    Checksum,
    /// The vault is of a later version of this program.
    #[error("the vault was written by a newer version of this program")]
    NewerVault,
    /// The words open another vault, or the vault was altered.
    #[error("the recovery words do not open this vault")]
    WrongKey,
}

impl RecoveryKey {
    /// A new recovery key.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(random_bytes(rng))
    }

    /// The key of a secret that was kept.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*secret))
    }

    /// The secret, for the sealed store only.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.0
    }

    /// 24 words with spaces between them.
    #[must_use]
    pub fn to_words(&self) -> Zeroizing<String> {
        let mnemonic = Mnemonic::from_entropy(&*self.0).expect("BIP-39 writes 32 bytes as 24 words");
        Zeroizing::new(mnemonic.to_string())
    }

    /// Reads 24 words; capitals and any white space are fine.
    ///
    /// # Errors
    /// If they are not the words of a key; the error says which word to look at.
    pub fn from_words(words: &str) -> Result<Self, RecoveryError> {
        let words: Vec<_> =
            words.split_whitespace().map(|word| Zeroizing::new(word.to_lowercase())).collect();
        if words.len() != 24 {
            return Err(RecoveryError::WordCount(words.len()));
        }
        let joined = Zeroizing::new(words.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(" "));
        let mnemonic =
            Mnemonic::parse_in_normalized(Language::English, &joined).map_err(|error| match error {
                bip39::Error::UnknownWord(place) => RecoveryError::UnknownWord(place + 1),
                _ => RecoveryError::Checksum,
            })?;
        let entropy = Zeroizing::new(mnemonic.to_entropy());
        let secret = <&[u8; 32]>::try_from(entropy.as_slice()).map_err(|_| RecoveryError::Checksum)?;
        Ok(Self::from_secret(secret))
    }

    /// Seals a vault. Of more than [`VAULT_KEYS_MAX`] archive keys the last ones are kept.
    #[must_use]
    pub fn seal_vault(&self, rng: &mut impl CryptoRng, account: AccountId, vault: &Vault) -> Vec<u8> {
        let skipped = vault.archive_keys.len().saturating_sub(VAULT_KEYS_MAX);
        let kept = vault.archive_keys.get(skipped..).unwrap_or_default();
        let mut plain = Zeroizing::new(Vec::with_capacity(36 + kept.len() * KEY_BYTES));
        plain.extend_from_slice(vault.identity.secret());
        let count = u32::try_from(kept.len()).expect("VAULT_KEYS_MAX fits in 32 bits");
        plain.extend_from_slice(&count.to_be_bytes());
        for key in kept {
            plain.extend_from_slice(&key.conversation.0);
            plain.extend_from_slice(&key.epoch.0.to_be_bytes());
            plain.extend_from_slice(&*key.secret);
        }
        let nonce = random_bytes::<NONCE_BYTES>(rng);
        let payload = Payload { msg: &plain, aad: &associated_data(account) };
        let sealed =
            self.cipher().encrypt(&XNonce::from(*nonce), payload).expect("a vault is far below the limit");
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&*nonce);
        bytes.extend_from_slice(&sealed);
        bytes
    }

    /// Opens an account's vault.
    ///
    /// # Errors
    /// If this key does not open it, or it is of a later version.
    pub fn open_vault(&self, account: AccountId, bytes: &[u8]) -> Result<Vault, RecoveryError> {
        let (&version, rest) = bytes.split_first().ok_or(RecoveryError::WrongKey)?;
        if version != VERSION {
            return Err(RecoveryError::NewerVault);
        }
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(RecoveryError::WrongKey)?;
        let payload = Payload { msg: sealed, aad: &associated_data(account) };
        let plain =
            self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| RecoveryError::WrongKey)?;
        read_plain(&Zeroizing::new(plain)).ok_or(RecoveryError::WrongKey)
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(LABEL), &*self.0)
            .expand(b"seal", &mut *key)
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        XChaCha20Poly1305::new((&*key).into())
    }
}

fn associated_data(account: AccountId) -> Vec<u8> {
    [LABEL, &[VERSION], account.as_bytes()].concat()
}

fn read_plain(plain: &[u8]) -> Option<Vault> {
    let (secret, rest) = plain.split_first_chunk::<32>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let count = usize::try_from(u32::from_be_bytes(*count)).ok()?;
    let mut archive_keys = Vec::with_capacity(count.min(VAULT_KEYS_MAX));
    for _ in 0..count {
        let (conversation, after) = rest.split_first_chunk::<16>()?;
        let (epoch, after) = after.split_first_chunk::<8>()?;
        let (secret, after) = after.split_first_chunk::<32>()?;
        rest = after;
        archive_keys.push(ArchiveKey {
            conversation: ConversationId(*conversation),
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            secret: Zeroizing::new(*secret),
        });
    }
    rest.is_empty().then(|| Vault { identity: AccountIdentity::from_secret(secret), archive_keys })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_core::SeedableRng;

    const ACCOUNT: AccountId = AccountId([1; 16]);

    fn vault(keys: usize) -> Vault {
        let key = |number: usize| ArchiveKey {
            conversation: ConversationId([2; 16]),
            epoch: Epoch(number as u64),
            secret: Zeroizing::new([3; 32]),
        };
        Vault { identity: AccountIdentity::from_secret(&[4; 32]), archive_keys: (0..keys).map(key).collect() }
    }

    #[test]
    fn the_words_are_those_of_bip_39() {
        let words = RecoveryKey::from_secret(&[0; 32]).to_words();
        assert_eq!(*words, format!("{}art", "abandon ".repeat(23)));
        let read = RecoveryKey::from_words(&format!("  {}\n", words.to_uppercase()))
            .unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.secret(), &[0; 32]);
    }

    #[test]
    fn wrong_words_are_told_apart() {
        let words = |text: String| RecoveryKey::from_words(&text).err();
        assert_eq!(words("abandon ".repeat(23)), Some(RecoveryError::WordCount(23)));
        assert_eq!(words("abandon ".repeat(24)), Some(RecoveryError::Checksum));
        let misspelt = format!("abandon sottovoce {}", "abandon ".repeat(22));
        assert_eq!(words(misspelt), Some(RecoveryError::UnknownWord(2)));
    }

    #[test]
    fn a_vault_opens_with_its_words_for_its_account_and_not_otherwise() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = RecoveryKey::generate(&mut rng);
        let sealed = key.seal_vault(&mut rng, ACCOUNT, &vault(2));
        let opened = key.open_vault(ACCOUNT, &sealed).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(opened.identity.secret(), &[4; 32]);
        assert_eq!(opened.archive_keys.iter().map(|key| key.epoch.0).collect::<Vec<_>>(), [0, 1]);

        let refusal = |key: &RecoveryKey, account, bytes: &[u8]| key.open_vault(account, bytes).err();
        let other = RecoveryKey::generate(&mut rng);
        assert_eq!(refusal(&other, ACCOUNT, &sealed), Some(RecoveryError::WrongKey));
        assert_eq!(refusal(&key, AccountId([9; 16]), &sealed), Some(RecoveryError::WrongKey));
        for place in 1..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert_eq!(refusal(&key, ACCOUNT, &altered), Some(RecoveryError::WrongKey), "byte {place}");
            assert_eq!(refusal(&key, ACCOUNT, &sealed[..place]), Some(RecoveryError::WrongKey));
        }
        let mut newer = sealed;
        newer[0] = 2;
        assert_eq!(refusal(&key, ACCOUNT, &newer), Some(RecoveryError::NewerVault));
    }

    #[test]
    fn an_overfull_vault_keeps_the_last_keys_and_its_size_limit() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = RecoveryKey::generate(&mut rng);
        let sealed = key.seal_vault(&mut rng, ACCOUNT, &vault(VAULT_KEYS_MAX + 1));
        assert!(sealed.len() <= VAULT_BYTES_MAX);
        let opened = key.open_vault(ACCOUNT, &sealed).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(opened.archive_keys.first().map(|key| key.epoch), Some(Epoch(1)));
    }
}
