//! HPKE (RFC 9180) with the algorithms of our suites, and no others.
//!
//! The library takes its algorithms at run time from a backend. The backend that comes with it has them all: three more
//! curves, two more sizes of ML-KEM, AES and SHA-512, and older versions of what the rest of the house uses. A browser
//! would download them. [`Ours`] has what [`Suite`] needs.

use crate::primitives::{self, Refused};
use crate::suite::Suite;
use hpke_rs::{Hpke, HpkeError, Mode};
use hpke_rs_crypto::HpkeCrypto;
use hpke_rs_crypto::error::Error;
use hpke_rs_crypto::types::{AeadAlgorithm, KdfAlgorithm, KemAlgorithm};
use hpke_rs_rust_crypto::HpkeRustCrypto;
use openmls_traits::types::{
    CryptoError, ExporterSecret, HpkeCiphertext, HpkeConfig, HpkeKemType, HpkeKeyPair, KemOutput,
};
use rand_core::Rng as _;
use x_wing::{Decapsulate as _, Encapsulate as _, Generate as _, KeyExport as _, TryKeyInit as _};
use x25519_dalek::{PublicKey, StaticSecret};

const KDF: KdfAlgorithm = KdfAlgorithm::HkdfSha256;
const AEAD: AeadAlgorithm = AeadAlgorithm::ChaCha20Poly1305;
const DH: KemAlgorithm = KemAlgorithm::DhKem25519;
const X_WING: KemAlgorithm = KemAlgorithm::XWingDraft06;

/// The backend. Its errors are those of the library's own.
#[derive(Debug)]
struct Ours;

fn only<T: PartialEq>(asked: &T, ours: &T, otherwise: Error) -> Result<(), Error> {
    if asked == ours { Ok(()) } else { Err(otherwise) }
}

fn dh_secret(sk: &[u8]) -> Result<StaticSecret, Error> {
    let sk: [u8; 32] = sk.try_into().map_err(|_| Error::KemInvalidSecretKey)?;
    Ok(StaticSecret::from(sk))
}

fn x_wing_secret(sk: &[u8]) -> Result<x_wing::DecapsulationKey, Error> {
    let sk: [u8; 32] = sk.try_into().map_err(|_| Error::KemInvalidSecretKey)?;
    Ok(x_wing::DecapsulationKey::from(sk))
}

fn x_wing_pair(key: &x_wing::DecapsulationKey) -> (Vec<u8>, Vec<u8>) {
    use x_wing::Decapsulator as _;
    (key.encapsulation_key().to_bytes().to_vec(), key.as_bytes().to_vec())
}

impl HpkeCrypto for Ours {
    // A generator that the library seeds from the operating system: it asks for one without saying for whom.
    type HpkePrng = <HpkeRustCrypto as HpkeCrypto>::HpkePrng;

    fn name() -> String {
        "Sotto".to_owned()
    }

    fn supports_kdf(alg: KdfAlgorithm) -> Result<(), Error> {
        only(&alg, &KDF, Error::UnknownKdfAlgorithm)
    }

    fn supports_kem(alg: KemAlgorithm) -> Result<(), Error> {
        if alg == DH { Ok(()) } else { only(&alg, &X_WING, Error::UnknownKemAlgorithm) }
    }

    fn supports_aead(alg: AeadAlgorithm) -> Result<(), Error> {
        only(&alg, &AEAD, Error::UnknownAeadAlgorithm)
    }

    fn prng() -> Self::HpkePrng {
        HpkeRustCrypto::prng()
    }

    fn kdf_extract(alg: KdfAlgorithm, salt: &[u8], ikm: &[u8]) -> Result<Vec<u8>, Error> {
        Self::supports_kdf(alg)?;
        Ok(primitives::hkdf_extract(salt, ikm))
    }

    fn kdf_expand(alg: KdfAlgorithm, prk: &[u8], info: &[u8], output_size: usize) -> Result<Vec<u8>, Error> {
        Self::supports_kdf(alg)?;
        primitives::hkdf_expand(prk, info, output_size).map_err(|Refused| Error::HpkeInvalidOutputLength)
    }

    /// A shared secret of zeros comes of a public key that is no key (RFC 9180, 7.1.4).
    fn dh(alg: KemAlgorithm, pk: &[u8], sk: &[u8]) -> Result<Vec<u8>, Error> {
        only(&alg, &DH, Error::UnknownKemAlgorithm)?;
        let pk: [u8; 32] = pk.try_into().map_err(|_| Error::KemInvalidPublicKey)?;
        let shared = dh_secret(sk)?.diffie_hellman(&PublicKey::from(pk));
        if shared.was_contributory() {
            Ok(shared.as_bytes().to_vec())
        } else {
            Err(Error::KemInvalidPublicKey)
        }
    }

    fn secret_to_public(alg: KemAlgorithm, sk: &[u8]) -> Result<Vec<u8>, Error> {
        only(&alg, &DH, Error::UnsupportedKemOperation)?;
        Ok(PublicKey::from(&dh_secret(sk)?).as_bytes().to_vec())
    }

    fn kem_key_gen(alg: KemAlgorithm, prng: &mut Self::HpkePrng) -> Result<(Vec<u8>, Vec<u8>), Error> {
        if alg == DH {
            let mut secret = [0; 32];
            prng.fill_bytes(&mut secret);
            let secret = StaticSecret::from(secret);
            return Ok((PublicKey::from(&secret).as_bytes().to_vec(), secret.to_bytes().to_vec()));
        }
        only(&alg, &X_WING, Error::UnknownKemAlgorithm)?;
        Ok(x_wing_pair(&x_wing::DecapsulationKey::generate_from_rng(prng)))
    }

    fn kem_key_gen_derand(alg: KemAlgorithm, seed: &[u8]) -> Result<(Vec<u8>, Vec<u8>), Error> {
        only(&alg, &X_WING, Error::UnsupportedKemOperation)?;
        Ok(x_wing_pair(&x_wing_secret(seed)?))
    }

    fn kem_encaps(
        alg: KemAlgorithm,
        pk_r: &[u8],
        prng: &mut Self::HpkePrng,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        only(&alg, &X_WING, Error::UnsupportedKemOperation)?;
        let key = x_wing::EncapsulationKey::new_from_slice(pk_r).map_err(|_| Error::KemInvalidPublicKey)?;
        let (ciphertext, shared) = key.encapsulate_with_rng(prng);
        Ok((shared.to_vec(), ciphertext.to_vec()))
    }

    fn kem_decaps(alg: KemAlgorithm, ct: &[u8], sk_r: &[u8]) -> Result<Vec<u8>, Error> {
        only(&alg, &X_WING, Error::UnsupportedKemOperation)?;
        let ciphertext = x_wing::Ciphertext::try_from(ct).map_err(|_| Error::KemInvalidCiphertext)?;
        Ok(x_wing_secret(sk_r)?.decapsulate(&ciphertext).to_vec())
    }

    // Only keys of other curves are ever checked by this.
    fn dh_validate_sk(_alg: KemAlgorithm, _sk: &[u8]) -> Result<Vec<u8>, Error> {
        Err(Error::UnknownKemAlgorithm)
    }

    fn aead_seal(
        alg: AeadAlgorithm,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        msg: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Self::supports_aead(alg)?;
        primitives::aead_seal(key, nonce, aad, msg).map_err(|Refused| Error::AeadInvalidNonce)
    }

    fn aead_open(
        alg: AeadAlgorithm,
        key: &[u8],
        nonce: &[u8],
        aad: &[u8],
        msg: &[u8],
    ) -> Result<Vec<u8>, Error> {
        Self::supports_aead(alg)?;
        primitives::aead_open(key, nonce, aad, msg).map_err(|Refused| Error::AeadOpenError)
    }
}

/// HPKE in base mode, as OpenMLS asks for it, if that is one of our suites.
fn with(config: &HpkeConfig) -> Result<Hpke<Ours>, CryptoError> {
    let ours = Suite::ALL.into_iter().any(|suite| {
        let HpkeConfig(kem, kdf, aead) = suite.ciphersuite().hpke_config();
        (kem, kdf, aead) == (config.0, config.1, config.2)
    });
    if !ours {
        return Err(CryptoError::UnsupportedCiphersuite);
    }
    let kem = if config.0 == HpkeKemType::DhKem25519 { DH } else { X_WING };
    Ok(Hpke::new(Mode::Base, kem, KDF, AEAD))
}

// What follows has the errors of OpenMLS's own provider.

fn keys_fault(error: &HpkeError) -> CryptoError {
    match error {
        HpkeError::InvalidInput => CryptoError::InvalidLength,
        _ => CryptoError::CryptoLibraryError,
    }
}

pub(crate) fn seal(
    config: &HpkeConfig,
    pk_r: &[u8],
    info: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<HpkeCiphertext, CryptoError> {
    let sealed = with(config)?.seal(&pk_r.into(), info, aad, plain, None, None, None);
    let (kem_output, ciphertext) = sealed.map_err(|error| keys_fault(&error))?;
    Ok(HpkeCiphertext { kem_output: kem_output.into(), ciphertext: ciphertext.into() })
}

pub(crate) fn open(
    config: &HpkeConfig,
    input: &HpkeCiphertext,
    sk_r: &[u8],
    info: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let (kem_output, ciphertext) = (input.kem_output.as_slice(), input.ciphertext.as_slice());
    with(config)?
        .open(kem_output, &sk_r.into(), info, aad, ciphertext, None, None, None)
        .map_err(|_| CryptoError::HpkeDecryptionError)
}

pub(crate) fn send_export(
    config: &HpkeConfig,
    pk_r: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<(KemOutput, ExporterSecret), CryptoError> {
    let (kem_output, context) = with(config)?
        .setup_sender(&pk_r.into(), info, None, None, None)
        .map_err(|_| CryptoError::SenderSetupError)?;
    let secret = context.export(exporter_context, length).map_err(|_| CryptoError::ExporterError)?;
    Ok((kem_output, secret.into()))
}

pub(crate) fn receive_export(
    config: &HpkeConfig,
    enc: &[u8],
    sk_r: &[u8],
    info: &[u8],
    exporter_context: &[u8],
    length: usize,
) -> Result<ExporterSecret, CryptoError> {
    let context = with(config)?
        .setup_receiver(enc, &sk_r.into(), info, None, None, None)
        .map_err(|_| CryptoError::ReceiverSetupError)?;
    let secret = context.export(exporter_context, length).map_err(|_| CryptoError::ExporterError)?;
    Ok(secret.into())
}

pub(crate) fn derive_key_pair(config: &HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
    let pair = with(config)?.derive_key_pair(ikm).map_err(|error| keys_fault(&error))?;
    let (private, public) = pair.into_keys();
    Ok(HpkeKeyPair { private: private.as_slice().into(), public: public.as_slice().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use openmls_rust_crypto::RustCrypto;
    use openmls_traits::crypto::OpenMlsCrypto as _;
    use openmls_traits::types::Ciphersuite;

    #[test]
    fn what_either_seals_the_other_opens_in_every_suite() {
        let whole = RustCrypto::default();
        for suite in Suite::ALL {
            let config = || suite.ciphersuite().hpke_config();
            let pair = derive_key_pair(&config(), &[7; 64]).expect("our suite");
            let theirs = whole.derive_hpke_keypair(config(), &[7; 64]).expect("their suite");
            assert_eq!((&pair.public, &pair.private[..]), (&theirs.public, &theirs.private[..]));
            let ours = seal(&config(), &pair.public, b"info", b"aad", b"plain").expect("our suite");
            let opened = whole.hpke_open(config(), &ours, &pair.private, b"info", b"aad");
            assert_eq!(opened.as_deref(), Ok(&b"plain"[..]));
            let theirs =
                whole.hpke_seal(config(), &pair.public, b"info", b"aad", b"plain").expect("their suite");
            assert_eq!(
                open(&config(), &theirs, &pair.private, b"info", b"aad").as_deref(),
                Ok(&b"plain"[..])
            );
            let (kem_output, sent) =
                send_export(&config(), &pair.public, b"info", b"for", 32).expect("our suite");
            let received = whole.hpke_setup_receiver_and_export(
                config(),
                &kem_output,
                &pair.private,
                b"info",
                b"for",
                32,
            );
            assert_eq!(received.expect("their suite")[..], sent[..]);
            let again = receive_export(&config(), &kem_output, &pair.private, b"info", b"for", 32);
            assert_eq!(again.expect("our suite")[..], sent[..]);
        }
    }

    #[test]
    fn other_suites_are_refused() {
        for other in [
            Ciphersuite::MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519,
            Ciphersuite::MLS_128_DHKEMP256_AES128GCM_SHA256_P256,
            Ciphersuite::MLS_256_DHKEMP384_AES256GCM_SHA384_P384,
        ] {
            let refused = derive_key_pair(&other.hpke_config(), &[7; 64]).map(|_| ());
            assert_eq!(refused, Err(CryptoError::UnsupportedCiphersuite));
        }
    }
}
