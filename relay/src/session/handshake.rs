//! The states of a connection before it is ready, as plain values: frames in, answers out.
//!
//! ```text
//! AwaitHello --Hello--> AwaitProof --Authenticate--> Claim --(token, device key and signature hold)--> ready
//! ```
//!
//! Each state owns only what it needs and is consumed by its step, so no proof is taken without a challenge,
//! and no request without a proof. Nothing here touches a socket, a clock or a store: the caller looks the
//! token and the device up and hands in what it found.

use bytes::{Bytes, BytesMut};
use ed25519_dalek::{Signature, VerifyingKey};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{
    Authenticate, Challenge, ChannelBinding, Hello, authentication_bytes,
};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{self, Body, Frame, FrameError, VERSION};
use sotto_protocol::hello::SPOKEN;
use sotto_protocol::ids::{DeviceId, RequestId};

/// A connection is not let in (or no longer): what the device is told, and what the metrics call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The answer.
    pub error: WireError,
    /// The frame that it answers.
    pub id: RequestId,
    /// The value of the label `reason` of `sotto_connections_refused_total`.
    pub reason: &'static str,
}

impl Refusal {
    /// A refusal that answers `id`.
    #[must_use]
    pub fn new(id: RequestId, code: ErrorCode, text: impl Into<String>, reason: &'static str) -> Self {
        Self { error: WireError::new(code, text), id, reason }
    }

    /// Bytes came that are no frames: nothing after them can be trusted.
    #[must_use]
    pub fn not_frames(error: &FrameError) -> Self {
        Self::new(RequestId::PUSH, code_of(error), error.to_string(), "malformed")
    }

    /// The refusal as a frame.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        frame::encode(self.id, &self.error)
    }
}

/// The connection is open and nothing came yet.
#[derive(Debug)]
pub struct AwaitHello;

/// Versions are agreed and the challenge is out.
#[derive(Debug)]
pub struct AwaitProof {
    nonce: Challenged,
}

/// The nonce of a connection's challenge; kept while it lives, so that a fresh token can be proved with it.
#[derive(Debug, Clone, Copy)]
pub struct Challenged(pub [u8; 32]);

/// What a device says of itself. Nothing of it is verified yet.
#[derive(Debug)]
pub struct Claim {
    /// The request to answer.
    pub id: RequestId,
    /// Says whose account.
    pub access_token: String,
    /// Says which device.
    pub device: DeviceId,
    signature: Signature,
    signed: Vec<u8>,
}

/// The signature of a claim does not verify with the device's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the device's signature does not verify")]
pub struct BadProof;

impl AwaitHello {
    /// Takes the first frame; gives the next state and the answer to send.
    ///
    /// # Errors
    /// If it is no good hello, or no version is common.
    pub fn handle(self, frame: &Frame, nonce: [u8; 32]) -> Result<(AwaitProof, Bytes), Refusal> {
        let id = frame.header.id;
        let hello: Hello = due(frame, "a hello")?;
        if let Err(error) = SPOKEN.highest_in_common(hello.versions()) {
            return Err(Refusal::new(id, ErrorCode::VersionTooOld, error.to_string(), "version"));
        }
        let mut answer = BytesMut::new();
        frame::encode_into(&mut answer, id, &Hello::new(crate::AGENT));
        frame::encode_into(&mut answer, id, &Challenge { nonce, extensions: Extensions::default() });
        Ok((AwaitProof { nonce: Challenged(nonce) }, answer.freeze()))
    }
}

impl AwaitProof {
    /// Takes the frame that must prove who it is.
    ///
    /// # Errors
    /// If it is no good authentication.
    pub fn handle(self, frame: &Frame, binding: &ChannelBinding) -> Result<(Claim, Challenged), Refusal> {
        Ok((self.nonce.claim(frame, binding)?, self.nonce))
    }
}

impl Challenged {
    /// Reads an authentication that answers this challenge: the first one, or a later one with a fresh token.
    ///
    /// # Errors
    /// If it is no good authentication.
    pub fn claim(&self, frame: &Frame, binding: &ChannelBinding) -> Result<Claim, Refusal> {
        let id = frame.header.id;
        if frame.header.version != VERSION {
            let text = format!("version {} was not agreed on", frame.header.version);
            return Err(Refusal::new(id, ErrorCode::Unexpected, text, "unexpected"));
        }
        let body: Authenticate = due(frame, "an authentication")?;
        Ok(Claim {
            id,
            signed: authentication_bytes(&self.0, binding, body.device),
            signature: Signature::from_bytes(&body.signature),
            access_token: body.access_token,
            device: body.device,
        })
    }
}

impl Claim {
    /// Whether the device that holds the private half of `device_key` signed it for this very connection.
    ///
    /// # Errors
    /// If it did not.
    pub fn verify(&self, device_key: &[u8; 32]) -> Result<(), BadProof> {
        let key = VerifyingKey::from_bytes(device_key).map_err(|_| BadProof)?;
        key.verify_strict(&self.signed, &self.signature).map_err(|_| BadProof)
    }
}

/// Decodes the one kind of frame that may come now.
fn due<B: Body>(frame: &Frame, what: &str) -> Result<B, Refusal> {
    frame.decode().map_err(|error| match error {
        FrameError::UnexpectedKind { got, .. } => Refusal::new(
            frame.header.id,
            ErrorCode::Unexpected,
            format!("frame kind {got:#06x} came where {what} was due"),
            "unexpected",
        ),
        other => Refusal::new(frame.header.id, code_of(&other), other.to_string(), "malformed"),
    })
}

/// What a device is told about bytes that cannot be read.
#[must_use]
pub const fn code_of(error: &FrameError) -> ErrorCode {
    match error {
        FrameError::TooLarge { .. } | FrameError::OverLimit { .. } => ErrorCode::TooLarge,
        FrameError::UnexpectedKind { .. } => ErrorCode::Unexpected,
        _ => ErrorCode::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use proptest::prelude::*;
    use sotto_protocol::body::connection::Ping;
    use sotto_protocol::limits::NAME_BYTES_MAX;

    const DEVICE: DeviceId = DeviceId([5; 16]);

    fn frame_of<B: Body>(body: &B) -> Frame {
        let mut bytes = BytesMut::from(&frame::encode(RequestId(9), body)[..]);
        Frame::take(&mut bytes, 1 << 20).unwrap().unwrap()
    }

    fn proof(key: &SigningKey, binding: &ChannelBinding, nonce: &[u8; 32]) -> Authenticate {
        Authenticate {
            access_token: "token".to_owned(),
            device: DEVICE,
            signature: key.sign(&authentication_bytes(nonce, binding, DEVICE)).to_bytes(),
            extensions: Extensions::default(),
        }
    }

    /// P-015.
    #[test]
    fn a_hello_is_answered_by_a_hello_and_a_challenge_under_its_id() {
        let (_, answer) = AwaitHello.handle(&frame_of(&Hello::new("test/1")), [3; 32]).unwrap();
        let mut answer = BytesMut::from(&answer[..]);
        let hello = Frame::take(&mut answer, 1 << 20).unwrap().unwrap();
        let challenge = Frame::take(&mut answer, 1 << 20).unwrap().unwrap();
        assert_eq!(hello.header.id, RequestId(9));
        hello.decode::<Hello>().unwrap();
        assert_eq!(challenge.decode::<Challenge>().unwrap().nonce, [3; 32]);
        assert!(answer.is_empty());
    }

    #[test]
    fn what_is_no_good_hello_is_refused_with_its_reason() {
        let too_new = Hello { version_min: 200, version_max: 201, ..Hello::new("future/9") };
        let inverted = Hello { version_min: 9, version_max: 0, ..Hello::new("odd/1") };
        let long = Hello::new("x".repeat(NAME_BYTES_MAX + 1));
        for (frame, code) in [
            (frame_of(&too_new), ErrorCode::VersionTooOld),
            (frame_of(&inverted), ErrorCode::VersionTooOld),
            (frame_of(&long), ErrorCode::TooLarge),
            (frame_of(&Ping::default()), ErrorCode::Unexpected),
            (Frame { body: Bytes::from_static(&[1]), ..frame_of(&Hello::new("a")) }, ErrorCode::Malformed),
        ] {
            let refusal = AwaitHello.handle(&frame, [0; 32]).unwrap_err();
            assert_eq!(refusal.error.code(), Some(code));
            assert_eq!(refusal.id, RequestId(9));
        }
    }

    /// P-004.
    #[test]
    fn a_proof_counts_only_for_its_nonce_its_connection_its_device_and_its_key() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let device_key = key.verifying_key().to_bytes();
        let binding = ChannelBinding::TlsExporter([1; 32]);
        let claim = |proof: &Authenticate, nonce| {
            AwaitProof { nonce: Challenged(nonce) }.handle(&frame_of(proof), &binding).unwrap().0
        };
        let good = proof(&key, &binding, &[4; 32]);
        assert_eq!(claim(&good, [4; 32]).verify(&device_key), Ok(()));

        let replayed = claim(&good, [5; 32]);
        let elsewhere = claim(&proof(&key, &ChannelBinding::TlsExporter([2; 32]), &[4; 32]), [4; 32]);
        let unbound = claim(&proof(&key, &ChannelBinding::NonceOnly, &[4; 32]), [4; 32]);
        let other_device = claim(&Authenticate { device: DeviceId([6; 16]), ..good.clone() }, [4; 32]);
        let other_key = claim(&proof(&SigningKey::from_bytes(&[8; 32]), &binding, &[4; 32]), [4; 32]);
        for bad in [replayed, elsewhere, unbound, other_device, other_key] {
            assert_eq!(bad.verify(&device_key), Err(BadProof));
        }
        assert_eq!(claim(&good, [4; 32]).verify(&[0xff; 32]), Err(BadProof));
    }

    /// P-003.
    #[test]
    fn a_request_before_the_proof_is_unexpected() {
        let state = AwaitProof { nonce: Challenged([0; 32]) };
        let refusal = state.handle(&frame_of(&Ping::default()), &ChannelBinding::NonceOnly).unwrap_err();
        assert_eq!(refusal.error.code(), Some(ErrorCode::Unexpected));
    }

    proptest! {
        #[test]
        fn hostile_frames_are_refused_and_never_panic(
            kind in 0_u16..0x48, version in 0_u8..4, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = frame::Header {
                version,
                kind: frame::FrameKind(kind),
                id: RequestId(1),
                length: u32::try_from(body.len()).unwrap(),
            };
            let frame = Frame { header, body: body.into() };
            let _ = AwaitHello.handle(&frame, [0; 32]);
            let state = AwaitProof { nonce: Challenged([0; 32]) };
            if let Ok((claim, _)) = state.handle(&frame, &ChannelBinding::NonceOnly) {
                prop_assert_eq!(claim.verify(&[1; 32]), Err(BadProof));
            }
        }
    }
}
