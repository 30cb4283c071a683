//! What OpenMLS computes with: the algorithms of our suites, and randomness that the caller gives.
//!
//! [`MlsCrypto`] has what [`Suite`] needs and refuses everything else. The provider that comes with OpenMLS takes its
//! algorithms at run time and so brings three curves, AES and SHA-512 into every program; a browser would download them.
//! The tests hold ours against it.
//!
//! [`SeededRand`] makes the randomness of an operation an argument: the same seed gives the same key pairs,
//! nonces and path secrets. One exception lies inside the library: an HPKE encapsulation (for Welcomes and
//! update paths) draws from the operating system, so ciphertexts are not reproducible byte for byte.

use crate::hpke;
use crate::primitives::{self, Refused};
use crate::suite::Suite;
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::storage::{CURRENT_VERSION, StorageProvider};
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKeyPair,
    KemOutput, SignatureScheme,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, Rng, SeedableRng};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use tls_codec::SecretVLBytes;

/// The algorithms of the suites of [`Suite`].
#[derive(Debug, Default)]
pub struct MlsCrypto;

fn check_hash(hash_type: HashType) -> Result<(), CryptoError> {
    if hash_type == HashType::Sha2_256 { Ok(()) } else { Err(CryptoError::UnsupportedHashAlgorithm) }
}

fn check_aead(alg: AeadType) -> Result<(), CryptoError> {
    if alg == AeadType::ChaCha20Poly1305 { Ok(()) } else { Err(CryptoError::UnsupportedAeadAlgorithm) }
}

fn check_signature(alg: SignatureScheme) -> Result<(), CryptoError> {
    if alg == SignatureScheme::ED25519 { Ok(()) } else { Err(CryptoError::UnsupportedSignatureScheme) }
}

impl OpenMlsCrypto for MlsCrypto {
    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        Suite::try_from(ciphersuite).map(drop).map_err(|_| CryptoError::UnsupportedCiphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        Suite::ALL.map(Suite::ciphersuite).to_vec()
    }

    fn hkdf_extract(
        &self,
        hash_type: HashType,
        salt: &[u8],
        ikm: &[u8],
    ) -> Result<SecretVLBytes, CryptoError> {
        check_hash(hash_type)?;
        Ok(primitives::hkdf_extract(salt, ikm).into())
    }

    fn hmac(&self, hash_type: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        check_hash(hash_type)?;
        Ok(primitives::hmac(key, message).into())
    }

    fn hkdf_expand(
        &self,
        hash_type: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        check_hash(hash_type)?;
        let expanded = primitives::hkdf_expand(prk, info, okm_len);
        Ok(expanded.map_err(|Refused| CryptoError::HkdfOutputLengthInvalid)?.into())
    }

    fn hash(&self, hash_type: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        check_hash(hash_type)?;
        Ok(primitives::sha256(data))
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        check_aead(alg)?;
        primitives::aead_seal(key, nonce, aad, data).map_err(|Refused| CryptoError::CryptoLibraryError)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        check_aead(alg)?;
        primitives::aead_open(key, nonce, aad, ct_tag).map_err(|Refused| CryptoError::AeadDecryptionError)
    }

    // The library makes its keys itself; ours come from the account.
    fn signature_key_gen(&self, _alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        Err(CryptoError::UnsupportedSignatureScheme)
    }

    fn verify_signature(
        &self,
        alg: SignatureScheme,
        data: &[u8],
        pk: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        check_signature(alg)?;
        primitives::verify(data, pk, signature).map_err(|Refused| CryptoError::InvalidSignature)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        check_signature(alg)?;
        primitives::sign(data, key).map_err(|Refused| CryptoError::SigningError)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        hpke::seal(&config, pk_r, info, aad, ptxt)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        hpke::open(&config, input, sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        hpke::send_export(&config, pk_r, info, exporter_context, exporter_length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        exporter_context: &[u8],
        exporter_length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        hpke::receive_export(&config, enc, sk_r, info, exporter_context, exporter_length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        hpke::derive_key_pair(&config, ikm)
    }
}

/// A ChaCha20 generator seeded by the caller. OpenMLS asks through a shared reference, hence the lock.
pub struct SeededRand(Mutex<ChaCha20Rng>);

impl SeededRand {
    /// Takes a seed of 32 bytes from the caller's generator.
    #[must_use]
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        Self(Mutex::new(ChaCha20Rng::from_rng(rng)))
    }

    fn fill(&self, bytes: &mut [u8]) {
        // A generator has no broken state: after a panic elsewhere it goes on where it was.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }
}

impl OpenMlsRand for SeededRand {
    type Error = Infallible;

    fn random_array<const N: usize>(&self) -> Result<[u8; N], Infallible> {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        Ok(bytes)
    }

    fn random_vec(&self, len: usize) -> Result<Vec<u8>, Infallible> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        Ok(bytes)
    }
}

/// Everything that OpenMLS needs for one operation, around a storage `S`.
pub struct Provider<S> {
    crypto: MlsCrypto,
    rand: SeededRand,
    storage: S,
}

impl<S> Provider<S> {
    /// A provider over `storage`, with randomness drawn from `rng`.
    #[must_use]
    pub fn new(storage: S, rng: &mut impl CryptoRng) -> Self {
        Self { crypto: MlsCrypto, rand: SeededRand::new(rng), storage }
    }

    /// The storage, to read what the library wrote.
    #[must_use]
    pub const fn inner(&self) -> &S {
        &self.storage
    }

    /// Gives the storage back.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.storage
    }
}

impl<S: StorageProvider<CURRENT_VERSION>> OpenMlsProvider for Provider<S> {
    type CryptoProvider = MlsCrypto;
    type RandProvider = SeededRand;
    type StorageProvider = S;

    fn storage(&self) -> &S {
        &self.storage
    }

    fn crypto(&self) -> &MlsCrypto {
        &self.crypto
    }

    fn rand(&self) -> &SeededRand {
        &self.rand
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use openmls_rust_crypto::RustCrypto;

    #[test]
    fn the_same_seed_gives_the_same_randomness() {
        let draw = |seed| {
            let rand = SeededRand::new(&mut ChaCha20Rng::seed_from_u64(seed));
            rand.random_array::<32>().expect("a seeded generator does not fail")
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn both_suites_and_no_other_are_supported() {
        let crypto = MlsCrypto;
        for suite in Suite::ALL {
            assert!(crypto.supports(suite.ciphersuite()).is_ok());
        }
        let other = Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519;
        assert!(crypto.supports(other).is_err());
    }

    #[test]
    fn every_algorithm_gives_what_openmls_own_provider_gives() {
        let (ours, theirs) = (MlsCrypto, RustCrypto::default());
        let (hash, aead, scheme) = (HashType::Sha2_256, AeadType::ChaCha20Poly1305, SignatureScheme::ED25519);
        let (key, nonce, aad, text) = (&[1; 32], &[2; 12], &b"aad"[..], &b"text"[..]);
        assert_eq!(ours.hash(hash, text), theirs.hash(hash, text));
        assert_eq!(ours.hmac(hash, key, text), theirs.hmac(hash, key, text));
        assert_eq!(ours.hkdf_extract(hash, aad, text), theirs.hkdf_extract(hash, aad, text));
        assert_eq!(ours.hkdf_expand(hash, key, text, 80), theirs.hkdf_expand(hash, key, text, 80));
        assert!(ours.hkdf_expand(hash, key, text, 255 * 32 + 1).is_err());
        let sealed = ours.aead_encrypt(aead, key, text, nonce, aad).expect("lengths are right");
        assert_eq!(Ok(&sealed), theirs.aead_encrypt(aead, key, text, nonce, aad).as_ref());
        assert_eq!(ours.aead_decrypt(aead, key, &sealed, nonce, aad).as_deref(), Ok(text));
        assert_eq!(
            ours.aead_decrypt(aead, key, &sealed, nonce, b"other"),
            Err(CryptoError::AeadDecryptionError)
        );
        assert!(ours.aead_encrypt(aead, &key[1..], text, nonce, aad).is_err());
        assert!(ours.aead_encrypt(aead, key, text, &nonce[1..], aad).is_err());
        let (private, public) = theirs.signature_key_gen(scheme).expect("it makes a key pair");
        let signature = ours.sign(scheme, text, &private).expect("it is a key");
        assert_eq!(Ok(&signature), theirs.sign(scheme, text, &private).as_ref());
        assert_eq!(ours.verify_signature(scheme, text, &public, &signature), Ok(()));
        for (text, signature) in [(aad, &signature[..]), (text, &signature[1..]), (text, &[0; 64][..])] {
            let verdict = ours.verify_signature(scheme, text, &public, signature);
            assert_eq!(verdict, Err(CryptoError::InvalidSignature));
        }
    }

    #[test]
    fn other_algorithms_are_refused() {
        let crypto = MlsCrypto;
        assert_eq!(crypto.hash(HashType::Sha2_512, b""), Err(CryptoError::UnsupportedHashAlgorithm));
        let sealed = crypto.aead_encrypt(AeadType::Aes128Gcm, &[0; 16], b"", &[0; 12], b"");
        assert_eq!(sealed, Err(CryptoError::UnsupportedAeadAlgorithm));
        let other = SignatureScheme::ECDSA_SECP256R1_SHA256;
        assert_eq!(crypto.sign(other, b"", &[0; 32]), Err(CryptoError::UnsupportedSignatureScheme));
    }
}
