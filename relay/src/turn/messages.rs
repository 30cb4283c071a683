//! The STUN messages that the relay writes itself: answers to Binding, and refusals.

use std::net::SocketAddr;
use turn_server_proto::stun::types::attribute::{ErrorCode, XorMappedAddress};
use turn_server_proto::stun::types::message::{
    IntegrityAlgorithm, Message, MessageIntegrityCredentials, MessageWriteExt as _, MessageWriteVec,
};
use turn_server_proto::stun::types::prelude::MessageWrite as _;

/// A refusal's longest form: header, code with its reason, integrity, fingerprint.
const REFUSAL_BYTES: usize = 128;

/// What a STUN client asks first: as which address it is seen.
pub(super) fn binding(request: &Message<'_>, seen: SocketAddr) -> Vec<u8> {
    let address = XorMappedAddress::new(seen, request.transaction_id());
    let mut answer = Message::builder_success(request, MessageWriteVec::with_capacity(REFUSAL_BYTES));
    answer.add_attribute(&address).expect("a new message has room for an address");
    answer.add_fingerprint().expect("a message without a fingerprint takes one");
    answer.finish()
}

/// A refusal; signed where the request was.
pub(super) fn refusal(
    request: &Message<'_>,
    code: u16,
    signed_by: Option<&MessageIntegrityCredentials>,
) -> Vec<u8> {
    let error = ErrorCode::builder(code).build().expect("every code here is one of STUN's");
    let mut answer = Message::builder_error(request, MessageWriteVec::with_capacity(REFUSAL_BYTES));
    answer.add_attribute(&error).expect("a new message has room for a code");
    if let Some(credentials) = signed_by {
        answer
            .add_message_integrity(credentials, IntegrityAlgorithm::Sha1)
            .expect("a message without integrity takes one");
    }
    answer.add_fingerprint().expect("a message without a fingerprint takes one");
    answer.finish()
}

/// Whether a datagram is one of a channel's.
pub(super) fn is_channel_data(data: &[u8]) -> bool {
    data.first().is_some_and(|first| (0x40..0x80).contains(first))
}
