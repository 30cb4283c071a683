//! The algorithms of every suite: SHA-256, HMAC and HKDF with it, ChaCha20-Poly1305 and Ed25519, by the crates that the rest
//! of the house uses.

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit as _, Nonce};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

/// A key, a nonce or a text of a length or value that the algorithm does not take, or one that fails its check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

pub(crate) fn sha256(data: &[u8]) -> Vec<u8> {
    Sha256::digest(data).to_vec()
}

pub(crate) fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    hmac.update(message);
    hmac.finalize().into_bytes().to_vec()
}

pub(crate) fn hkdf_extract(salt: &[u8], ikm: &[u8]) -> Vec<u8> {
    Hkdf::<Sha256>::extract(Some(salt), ikm).0.to_vec()
}

pub(crate) fn hkdf_expand(prk: &[u8], info: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let mut out = vec![0; length];
    Hkdf::<Sha256>::from_prk(prk).map_err(|_| Refused)?.expand(info, &mut out).map_err(|_| Refused)?;
    Ok(out)
}

pub(crate) fn aead_seal(key: &[u8], nonce: &[u8], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, Refused> {
    let nonce = Nonce::try_from(nonce).map_err(|_| Refused)?;
    let cipher = ChaCha20Poly1305::new_from_slice(key).map_err(|_| Refused)?;
    cipher.encrypt(&nonce, Payload { msg, aad }).map_err(|_| Refused)
}

pub(crate) fn aead_open(key: &[u8], nonce: &[u8], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, Refused> {
    let nonce = Nonce::try_from(nonce).map_err(|_| Refused)?;
    let cipher = ChaCha20Poly1305::new_from_slice(key).map_err(|_| Refused)?;
    cipher.decrypt(&nonce, Payload { msg, aad }).map_err(|_| Refused)
}

pub(crate) fn sign(data: &[u8], key: &[u8]) -> Result<Vec<u8>, Refused> {
    let key = SigningKey::try_from(key).map_err(|_| Refused)?;
    Ok(key.sign(data).to_bytes().to_vec())
}

pub(crate) fn verify(data: &[u8], key: &[u8], signature: &[u8]) -> Result<(), Refused> {
    let key = VerifyingKey::try_from(key).map_err(|_| Refused)?;
    let signature = Signature::from_slice(signature).map_err(|_| Refused)?;
    key.verify_strict(data, &signature).map_err(|_| Refused)
}
