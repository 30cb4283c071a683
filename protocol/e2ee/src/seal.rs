//! The second encryption: signed by the sending device, then sealed under a key of the epoch.
//!
//! ```text
//! nonce 24 | XChaCha20-Poly1305( certificate 169 | signature 64 | padded content )
//! signature: device key over   label | conversation | epoch | number | padded content
//! associated data:             label | conversation | epoch | device | number
//! ```
//!
//! An archive key is known to all members of an epoch and to later readers, so the seal alone would let each of
//! them write in another's name; hence the signature. A relay cannot move a sealed copy to another place, because
//! the place is part of what is sealed and signed. Archive copies and ephemerals differ in their label and key.

use crate::content::{Content, Head};
use crate::identity::{LocalDevice, random_bytes};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signature, VerifyingKey};
use rand_core::CryptoRng;
use sotto_mls::certificate::{CERTIFICATE_BYTES, DeviceCertificate};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber};
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;
const SIGNATURE_BYTES: usize = 64;

/// A device, as a certificate that was checked says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// The account's identity key.
    pub identity_key: [u8; 32],
    /// The device's key.
    pub device_key: [u8; 32],
}

impl From<&DeviceCertificate> for Sender {
    fn from(certificate: &DeviceCertificate) -> Self {
        Self {
            account: certificate.account(),
            device: certificate.device(),
            identity_key: *certificate.identity_key(),
            device_key: *certificate.device_key(),
        }
    }
}

/// A content of which it was checked who said it, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Who said it.
    pub sender: Sender,
    /// Its head.
    pub head: Head,
    /// What was said.
    pub content: Content,
    /// The sender's identity key is not the one that the account is known by now. Never so for what came as MLS
    /// message; in the archive it is an account that changed its key since, or a forgery: show it as unverified.
    pub identity_differs: bool,
}

/// Why a sealed copy is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// No key of its epoch is at hand.
    #[error("no key of that epoch is at hand")]
    NoKey,
    /// It was altered, or belongs to another place. The relay is to blame.
    #[error("the sealed copy was altered, or belongs to another place")]
    Altered,
    /// Its signature is not by the device key of its certificate. A member is to blame.
    #[error("the signature of the sealed copy is forged")]
    ForgedSignature,
    /// Its certificate does not verify. A member is to blame.
    #[error("the certificate in the sealed copy is forged")]
    ForgedCertificate,
    /// The relay names another account or device than the certificate does.
    #[error("the sealed copy is by another device than the relay says")]
    SpoofedSender,
    /// What is inside is not a content. The sender is to blame.
    #[error("the sealed copy holds no content")]
    Malformed,
}

/// What is sealed: archive copies and ephemerals never pass for each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Archive,
    Ephemeral,
}

/// The place of a sealed copy.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) purpose: Purpose,
    pub(crate) conversation: ConversationId,
    pub(crate) epoch: Epoch,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) number: MessageNumber,
}

impl Purpose {
    /// The label of the MLS exporter, and the start of everything that is signed or authenticated.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Archive => "sotto archive",
            Self::Ephemeral => "sotto ephemeral",
        }
    }
}

impl Place {
    fn associated_data(&self) -> Vec<u8> {
        let mut data = self.purpose.label().as_bytes().to_vec();
        data.extend_from_slice(self.conversation.as_bytes());
        data.extend_from_slice(&self.epoch.0.to_be_bytes());
        data.extend_from_slice(self.device.as_bytes());
        data.extend_from_slice(&self.number.0.to_be_bytes());
        data
    }

    fn signed(&self, padded: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(64 + padded.len()));
        bytes.extend_from_slice(self.purpose.label().as_bytes());
        bytes.extend_from_slice(self.conversation.as_bytes());
        bytes.extend_from_slice(&self.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&self.number.0.to_be_bytes());
        bytes.extend_from_slice(padded);
        bytes
    }
}

/// Signs and seals padded bytes as `me`, whom the place names.
pub(crate) fn seal(
    rng: &mut impl CryptoRng,
    key: &[u8; 32],
    place: &Place,
    me: &LocalDevice,
    padded: &[u8],
) -> Vec<u8> {
    let mut plain = Zeroizing::new(Vec::with_capacity(CERTIFICATE_BYTES + SIGNATURE_BYTES + padded.len()));
    plain.extend_from_slice(&me.certificate_bytes());
    plain.extend_from_slice(&me.sign(&place.signed(padded)));
    plain.extend_from_slice(padded);
    let nonce = random_bytes::<NONCE_BYTES>(rng);
    let payload = Payload { msg: &plain, aad: &place.associated_data() };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(&XNonce::from(*nonce), payload)
        .expect("a content is far below the 256 GiB that the cipher takes");
    let mut bytes = nonce.to_vec();
    bytes.extend_from_slice(&sealed);
    bytes
}

/// Opens what [`seal`] made, and checks who made it.
pub(crate) fn open(
    key: &[u8; 32],
    place: &Place,
    sealed: &[u8],
) -> Result<(Sender, Zeroizing<Vec<u8>>), SealError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Altered)?;
    let payload = Payload { msg: sealed, aad: &place.associated_data() };
    let plain = XChaCha20Poly1305::new(key.into())
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| SealError::Altered)?;
    let (certificate, rest) = plain.split_first_chunk::<CERTIFICATE_BYTES>().ok_or(SealError::Malformed)?;
    let (signature, padded) = rest.split_first_chunk::<SIGNATURE_BYTES>().ok_or(SealError::Malformed)?;
    let certificate = DeviceCertificate::from_bytes(certificate).map_err(|_| SealError::ForgedCertificate)?;
    VerifyingKey::from_bytes(certificate.device_key())
        .and_then(|key| key.verify_strict(&place.signed(padded), &Signature::from_bytes(signature)))
        .map_err(|_| SealError::ForgedSignature)?;
    if (certificate.account(), certificate.device()) != (place.account, place.device) {
        return Err(SealError::SpoofedSender);
    }
    Ok((Sender::from(&certificate), Zeroizing::new(padded.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_people::{device, rng};

    const KEY: [u8; 32] = [9; 32];

    fn place() -> Place {
        Place {
            purpose: Purpose::Archive,
            conversation: ConversationId([1; 16]),
            epoch: Epoch(2),
            account: AccountId([1; 16]),
            device: DeviceId([1; 16]),
            number: MessageNumber(3),
        }
    }

    #[test]
    fn a_sealed_copy_opens_at_its_place_with_its_key_and_nowhere_else() {
        let me = device(1, 1);
        let sealed = seal(&mut rng(), &KEY, &place(), &me, b"padded");
        let (sender, padded) = open(&KEY, &place(), &sealed).expect("nothing was changed");
        assert_eq!((sender, padded.as_slice()), (Sender::from(me.certificate()), &b"padded"[..]));

        let refusal = |key: &[u8; 32], place: Place, sealed: &[u8]| open(key, &place, sealed).err();
        let elsewhere = [
            Place { purpose: Purpose::Ephemeral, ..place() },
            Place { conversation: ConversationId([2; 16]), ..place() },
            Place { epoch: Epoch(3), ..place() },
            Place { device: DeviceId([2; 16]), ..place() },
            Place { number: MessageNumber(4), ..place() },
        ];
        for place in elsewhere {
            assert_eq!(refusal(&KEY, place, &sealed), Some(SealError::Altered));
        }
        assert_eq!(refusal(&[8; 32], place(), &sealed), Some(SealError::Altered));
        let other_account = Place { account: AccountId([2; 16]), ..place() };
        assert_eq!(refusal(&KEY, other_account, &sealed), Some(SealError::SpoofedSender));
        for byte in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[byte] ^= 1;
            assert_eq!(refusal(&KEY, place(), &flipped), Some(SealError::Altered), "byte {byte}");
            assert_eq!(refusal(&KEY, place(), &sealed[..byte]), Some(SealError::Altered));
        }
    }

    #[test]
    fn a_member_with_the_key_cannot_write_in_another_members_name() {
        let mallory = device(2, 2);
        // Sealed at alice's place under the shared key, with mallory's own certificate and signature.
        let sealed = seal(&mut rng(), &KEY, &place(), &mallory, b"padded");
        assert_eq!(open(&KEY, &place(), &sealed).err(), Some(SealError::SpoofedSender));
    }

    #[test]
    fn a_forged_signature_and_a_forged_certificate_are_told_apart() {
        let me = device(1, 1);
        let forged = |certificate: Vec<u8>| {
            let mut plain = certificate;
            plain.extend_from_slice(&me.sign(b"something else"));
            plain.extend_from_slice(b"padded");
            let payload = Payload { msg: &plain, aad: &place().associated_data() };
            let sealed = XChaCha20Poly1305::new(&KEY.into()).encrypt(&XNonce::from([0; 24]), payload);
            [vec![0; 24], sealed.expect("small")].concat()
        };
        let refusal = |sealed: Vec<u8>| open(&KEY, &place(), &sealed).err();
        assert_eq!(refusal(forged(me.certificate_bytes())), Some(SealError::ForgedSignature));
        let mut certificate = me.certificate_bytes();
        certificate[20] ^= 1;
        assert_eq!(refusal(forged(certificate)), Some(SealError::ForgedCertificate));
    }
}
