//! Checking the group info that comes with a commit.
//!
//! A committer hands the relay the commit and the group info of the epoch it begins; joiners get that
//! group info from the relay. A wrong one would lock every joiner out, so the relay compares it with the
//! group context that it computed itself from the commit, and checks that the committer signed it.

use crate::provider::MlsCrypto;
use openmls::prelude::{
    ConfirmationTag, GroupContext, MlsMessageBodyIn, MlsMessageIn, OpenMlsSignaturePublicKey,
    SignaturePublicKey, Verifiable,
};
use sotto_protocol::limits::GROUP_INFO_BYTES_MAX;
use tls_codec::{Deserialize, Serialize};

/// Why a group info is refused. Whoever made it is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupInfoRefusal {
    /// Over the limit.
    #[error("a group info of {bytes} bytes is over the limit of {GROUP_INFO_BYTES_MAX}")]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Not exactly one MLS message with a group info.
    #[error("this is not a group info")]
    Malformed,
    /// Of another conversation.
    #[error("the group info is of another conversation")]
    OtherConversation,
    /// Of another epoch than the commit begins.
    #[error("the group info is of epoch {got}, the commit begins {due}")]
    WrongEpoch {
        /// The epoch that is due.
        due: u64,
        /// The epoch that it names.
        got: u64,
    },
    /// Its tree hash, transcript or confirmation tag is not what the commit leads to.
    #[error("the group info does not describe the group that the commit leads to")]
    OtherState,
    /// It has no key for external commits, so nobody could join or rejoin with it.
    #[error("the group info has no key for external commits")]
    NoExternalKey,
    /// The committer did not sign it.
    #[error("the committer did not sign the group info")]
    BadSignature,
}

/// What a group info must be.
pub(crate) struct Expected<'a> {
    pub(crate) context: &'a GroupContext,
    pub(crate) confirmation_tag: &'a ConfirmationTag,
    pub(crate) signer: u32,
    pub(crate) signer_key: &'a [u8; 32],
}

/// Checks `bytes` against what was computed from the commit.
pub(crate) fn check(bytes: &[u8], expected: &Expected<'_>) -> Result<(), GroupInfoRefusal> {
    if bytes.len() > GROUP_INFO_BYTES_MAX {
        return Err(GroupInfoRefusal::TooLarge { bytes: bytes.len() });
    }
    let message = MlsMessageIn::tls_deserialize_exact(bytes).map_err(|_| GroupInfoRefusal::Malformed)?;
    let MlsMessageBodyIn::GroupInfo(group_info) = message.extract() else {
        return Err(GroupInfoRefusal::Malformed);
    };
    if group_info.group_id() != expected.context.group_id() {
        return Err(GroupInfoRefusal::OtherConversation);
    }
    let (due, got) = (expected.context.epoch().as_u64(), group_info.epoch().as_u64());
    if due != got {
        return Err(GroupInfoRefusal::WrongEpoch { due, got });
    }
    if group_info.group_context() != expected.context {
        return Err(GroupInfoRefusal::OtherState);
    }
    if group_info.extensions().external_pub().is_none() {
        return Err(GroupInfoRefusal::NoExternalKey);
    }
    let (tag, signer) = tag_and_signer(bytes, expected.context).ok_or(GroupInfoRefusal::Malformed)?;
    let expected_tag =
        expected.confirmation_tag.tls_serialize_detached().map_err(|_| GroupInfoRefusal::OtherState)?;
    if tag != expected_tag {
        return Err(GroupInfoRefusal::OtherState);
    }
    if signer != expected.signer {
        return Err(GroupInfoRefusal::BadSignature);
    }
    let key = OpenMlsSignaturePublicKey::from_signature_key(
        SignaturePublicKey::from(expected.signer_key.to_vec()),
        expected.context.ciphersuite().signature_algorithm(),
    );
    group_info.verify(&MlsCrypto, &key).map(drop).map_err(|_| GroupInfoRefusal::BadSignature)
}

/// OpenMLS keeps the confirmation tag and the signer of a group info to itself, so they are read from the
/// bytes: message header (4), group context, extensions, tag, signer (4), signature.
fn tag_and_signer<'a>(bytes: &'a [u8], context: &GroupContext) -> Option<(&'a [u8], u32)> {
    let context = context.tls_serialize_detached().ok()?;
    let rest = bytes.get(4..)?.strip_prefix(context.as_slice())?;
    let (_extensions, rest) = split_vector(rest)?;
    let (tag, rest) = split_vector(rest)?;
    let (signer, _signature) = rest.split_first_chunk::<4>()?;
    Some((tag, u32::from_be_bytes(*signer)))
}

/// Splits off one vector of RFC 9420 section 2.1.2, with its length.
fn split_vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *bytes.first()?;
    let width = match first >> 6 {
        0 => 1,
        1 => 2,
        2 => 4,
        _ => return None,
    };
    let length = bytes.get(..width)?.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
    let length = length & ((1 << (8 * width - 2)) - 1);
    bytes.split_at_checked(width.checked_add(length)?)
}
