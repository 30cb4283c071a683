//! The first byte of a key says what the row is, so that crates share one store without meeting.

use sotto_protocol::ids::ConversationId;

/// Keys from this first byte on belong to the application; the smaller ones belong to this crate.
pub const FIRST_APPLICATION_PREFIX: u8 = 0x40;

/// What OpenMLS keeps, under one more byte for the kind of object.
pub(crate) const MLS: u8 = 0x01;
/// Our record of a conversation: conversation.
pub(crate) const CONVERSATION: u8 = 0x02;
/// The log's chain hash at a sequence of the current epoch: conversation, sequence.
pub(crate) const CHAIN: u8 = 0x03;
/// What we sent and have not seen in the log: conversation, number.
pub(crate) const SENT: u8 = 0x04;
/// What we sent and the relay placed ahead of the cursor: conversation, sequence.
pub(crate) const PLACED: u8 = 0x05;
/// The last number of another device: conversation, device.
pub(crate) const NUMBER: u8 = 0x06;
/// An archive key: conversation, epoch.
pub(crate) const ARCHIVE_KEY: u8 = 0x07;
/// The private half of a request for keys or contents: conversation, hash of the public half.
pub(crate) const REQUEST: u8 = 0x08;
/// Expiry and kind of a key package of ours: its reference.
pub(crate) const KEY_PACKAGE: u8 = 0x09;
/// The identity key that an account is known by: account.
pub(crate) const PIN: u8 = 0x0a;
/// A counter of failures or repairs: its name.
pub(crate) const COUNTER: u8 = 0x0b;
/// The epoch in which an account became a member: conversation, account.
pub(crate) const SINCE: u8 = 0x0c;

/// A key of one conversation: prefix, conversation, rest.
pub(crate) fn key(prefix: u8, conversation: ConversationId, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(17 + rest.len());
    key.push(prefix);
    key.extend_from_slice(conversation.as_bytes());
    key.extend_from_slice(rest);
    key
}

/// Reads the big-endian number that ends a key of one conversation.
pub(crate) fn number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().filter(|_| key.len() == 25).map(|bytes| u64::from_be_bytes(*bytes))
}
