//! Sealing one value: XChaCha20-Poly1305 under the store key and the row's secret, bound to the key of its row.

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use rand_core::CryptoRng;
use sha2::Sha256;
use sotto_e2ee::store::Value;
use zeroize::Zeroizing;

/// The key of a profile's store. It has no `Debug` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreKey(Zeroizing<[u8; 32]>);

impl StoreKey {
    /// A key from its bytes.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// A key drawn at random.
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *bytes);
        Self(bytes)
    }

    /// The bytes, for whoever keeps them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Bytes of a nonce. 192 bits drawn at random never repeat in practice, so no counter has to survive a crash.
const NONCE_BYTES: usize = 24;

/// Seals values under the key of a store and a secret of each row's own.
pub struct Sealer {
    store_key: StoreKey,
}

impl Sealer {
    /// Under a store's key.
    #[must_use]
    pub fn new(key: &StoreKey) -> Self {
        Self { store_key: key.clone() }
    }

    /// The key of one row: HKDF-SHA256 of the store key, salted with the row's secret (RFC 5869).
    fn cipher(&self, row_secret: &[u8; 32]) -> XChaCha20Poly1305 {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(row_secret), self.store_key.as_bytes())
            .expand(b"sotto store row v1", &mut *key)
            .expect("32 bytes are within what HKDF gives");
        XChaCha20Poly1305::new(&(*key).into())
    }

    /// nonce ‖ ciphertext and tag. The row key is authenticated: a value moved to another row does not open.
    pub fn seal(
        &self,
        row_secret: &[u8; 32],
        row_key: &[u8],
        value: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_BYTES];
        rng.fill_bytes(&mut nonce);
        let sealed = self
            .cipher(row_secret)
            .encrypt(&XNonce::from(nonce), Payload { msg: value, aad: row_key })
            .expect("encryption fails only for values of 256 GiB");
        let mut out = nonce.to_vec();
        out.extend_from_slice(&sealed);
        out
    }

    /// The value, or nothing if these are not bytes that this key sealed for this row.
    #[must_use]
    pub fn open(&self, row_secret: &[u8; 32], row_key: &[u8], sealed: &[u8]) -> Option<Value> {
        let (nonce, ciphertext) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: ciphertext, aad: row_key };
        self.cipher(row_secret).decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}
