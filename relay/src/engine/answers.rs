//! Frames that the engine writes often, built without a detour: acknowledgements, runs, fetch answers.

use crate::store::StoreError;
use bytes::{BufMut, Bytes, BytesMut};
use sotto_protocol::body::log::{Appended, ArchiveEntries, Entries};
use sotto_protocol::body::push::Delivered;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body, FrameKind, HEADER_BYTES, Header, VERSION};
use sotto_protocol::ids::{ConversationId, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_relay_core::entry::write_varint;

/// The empty list of extensions that closes a body.
const NO_EXTENSIONS: u8 = 0;

/// Leaves room for a header; returns its place.
fn begin(out: &mut BytesMut) -> usize {
    let place = out.len();
    out.put_bytes(0, HEADER_BYTES);
    place
}

/// Writes the header over its room, for a body that ends `outside` bytes after what is in `out`.
fn end(out: &mut BytesMut, place: usize, kind: FrameKind, id: RequestId, outside: usize) {
    let length = out.len() - place - HEADER_BYTES + outside;
    let length = u32::try_from(length).expect("the parts of a body are bounded by the protocol's limits");
    let header = Header { version: VERSION, kind, id, length }.encode();
    if let Some(room) = out.get_mut(place..place + HEADER_BYTES) {
        room.copy_from_slice(&header);
    }
}

/// Appends an [`Appended`] frame.
pub(super) fn appended(
    out: &mut BytesMut,
    id: RequestId,
    conversation: ConversationId,
    number: MessageNumber,
    sequence: Sequence,
    time: UnixMillis,
) {
    let place = begin(out);
    out.put_slice(conversation.as_bytes());
    write_varint(out, number.0);
    write_varint(out, sequence.0);
    write_varint(out, time.0);
    out.put_u8(NO_EXTENSIONS);
    end(out, place, Appended::KIND, id, 0);
}

/// Appends the start of a [`Delivered`] frame whose `cores` bytes of entries, and [`CLOSE`], follow elsewhere.
pub(super) fn delivered_head(out: &mut BytesMut, conversation: ConversationId, count: u32, cores: usize) {
    let place = begin(out);
    out.put_slice(conversation.as_bytes());
    write_varint(out, u64::from(count));
    end(out, place, Delivered::KIND, RequestId::PUSH, cores + CLOSE.len());
}

/// What closes a body.
pub(super) const CLOSE: &[u8] = &[NO_EXTENSIONS];

/// An [`Entries`] frame from stored entries.
pub(super) fn entries(
    id: RequestId,
    conversation: ConversationId,
    head: Sequence,
    count: usize,
    cores: &[Bytes],
) -> Vec<Bytes> {
    let bytes: usize = cores.iter().map(Bytes::len).sum();
    let mut out = BytesMut::with_capacity(HEADER_BYTES + 40 + bytes);
    let place = begin(&mut out);
    out.put_slice(conversation.as_bytes());
    write_varint(&mut out, head.0);
    write_varint(&mut out, count as u64);
    for part in cores {
        out.put_slice(part);
    }
    out.put_slice(CLOSE);
    end(&mut out, place, Entries::KIND, id, 0);
    vec![out.freeze()]
}

/// An [`ArchiveEntries`] frame around encoded copies.
pub(super) fn archive_entries(
    id: RequestId,
    conversation: ConversationId,
    count: usize,
    copies: &[u8],
    next: Sequence,
) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + 40 + copies.len());
    let place = begin(&mut out);
    out.put_slice(conversation.as_bytes());
    write_varint(&mut out, count as u64);
    out.put_slice(copies);
    write_varint(&mut out, next.0);
    out.put_slice(CLOSE);
    end(&mut out, place, ArchiveEntries::KIND, id, 0);
    out.freeze()
}

/// Not a member, or no such conversation: the two are answered alike.
pub(super) fn not_member() -> WireError {
    WireError::new(ErrorCode::NotMember, "you are not a member of this conversation, or it does not exist")
}

/// The disk is full.
pub(super) fn storage_full() -> WireError {
    WireError::new(ErrorCode::StorageFull, "the relay's disk is full; it still serves what it has")
        .with_retry_after_ms(10_000)
}

/// The engine drains or has ended.
pub(super) fn unavailable() -> WireError {
    WireError::new(ErrorCode::Unavailable, "the relay is stopping").with_retry_after_ms(2_000)
}

/// The log could not be read. A disk that does not answer may answer later, or ends the relay at its next batch; what
/// is damaged stays damaged.
pub(super) fn unreadable(error: &StoreError) -> WireError {
    match error {
        StoreError::Io { .. } => WireError::new(ErrorCode::Unavailable, "the relay's disk does not answer")
            .with_retry_after_ms(2_000),
        _ => internal("the log could not be read"),
    }
}

/// A failure of our own.
pub(super) fn internal(what: &str) -> WireError {
    WireError::new(ErrorCode::Internal, format!("the relay failed: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_tried_again_and_damage_is_not() {
        let io = StoreError::Io {
            what: "cannot use the database",
            path: "log".into(),
            source: std::io::Error::from_raw_os_error(5),
        };
        assert_eq!(unreadable(&io).code(), Some(ErrorCode::Unavailable));
        let damaged = StoreError::Damaged { folder: "log".into(), what: "a piece is missing".to_owned() };
        assert_eq!(unreadable(&damaged).code(), Some(ErrorCode::Internal));
    }

    use sotto_protocol::body::Extensions;
    use sotto_protocol::frame;

    #[test]
    fn the_hand_written_acknowledgement_is_the_derived_one() {
        let (conversation, id) = (ConversationId([7; 16]), RequestId(9));
        for (number, sequence, time) in [(1, 2, 3), (250, 251, 1_763_666_666_666), (65_535, 65_536, u64::MAX)]
        {
            let mut ours = BytesMut::new();
            appended(
                &mut ours,
                id,
                conversation,
                MessageNumber(number),
                Sequence(sequence),
                UnixMillis(time),
            );
            let body = Appended {
                conversation,
                number: MessageNumber(number),
                sequence: Sequence(sequence),
                time: UnixMillis(time),
                extensions: Extensions::default(),
            };
            assert_eq!(ours.freeze(), frame::encode(id, &body));
        }
    }
}
