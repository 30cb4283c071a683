//! Keys and values of the sled trees. Numbers in keys are big-endian, so that their order is that of time.
//!
//! Values are cut into pieces: sled keeps up to 17 values in one node, and a node over a quarter of a segment
//! becomes a file of its own, outside of what is synced. 17 pieces of 16 KiB stay under a quarter of 2 MiB.
//! Of the sizes tried these cost the least: 5.4 ms of CPU for a megabyte in batches of 332 KiB (56 KiB in 4 MiB:
//! 6.7 ms; 7 KiB in sled's default of 512 KiB: 8.7 ms), 1.7 bytes on the disk for each byte.

use super::{BatchNumber, Row, Run};
use bytes::{Bytes, BytesMut};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, Sequence};
use sotto_relay_core::conversation::ShardId;
use sotto_relay_core::entry::{read_varint, write_varint};

/// sled's segment.
pub(super) const SEGMENT_BYTES: usize = 2 * 1024 * 1024;

/// One piece of a value.
pub(super) const PIECE_BYTES: usize = 16 * 1024;

// 17 pieces with their keys fit in a node.
const _: () = assert!(17 * (PIECE_BYTES + 64) < SEGMENT_BYTES / 4 - 1024);

/// Runs in one record of the index.
pub(super) const RUNS_PER_RECORD: usize = 512;

/// `batch 8 | piece 4`
pub(super) fn batch_piece(batch: BatchNumber, piece: u32) -> [u8; 12] {
    let mut key = [0; 12];
    fill(&mut key, &[&batch.0.to_be_bytes(), &piece.to_be_bytes()]);
    key
}

/// The batch and the piece of a key.
pub(super) fn read_batch_piece(key: &[u8]) -> Option<(BatchNumber, u32)> {
    let (batch, piece) = key.split_first_chunk::<8>()?;
    Some((BatchNumber(u64::from_be_bytes(*batch)), u32::from_be_bytes(piece.try_into().ok()?)))
}

/// `conversation 16 | first sequence 8`
pub(super) fn run(conversation: ConversationId, first: Sequence) -> [u8; 24] {
    let mut key = [0; 24];
    fill(&mut key, &[conversation.as_bytes(), &first.0.to_be_bytes()]);
    key
}

fn fill(key: &mut [u8], parts: &[&[u8]]) {
    let bytes = parts.iter().flat_map(|part| part.iter());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
}

/// Each number as the difference to what the run before lets expect, so that most take one or two bytes.
pub(super) fn write_runs(runs: &[Run]) -> Vec<u8> {
    let mut out = BytesMut::with_capacity(runs.len() * 12);
    let mut batch = 0;
    let mut next = 0;
    for run in runs {
        write_varint(&mut out, run.batch.0.wrapping_sub(batch));
        write_varint(&mut out, run.first.0.wrapping_sub(next));
        for number in [run.count, run.offset, run.cores, run.archives] {
            write_varint(&mut out, u64::from(number));
        }
        batch = run.batch.0;
        next = run.last().0.wrapping_add(1);
    }
    out.into()
}

pub(super) fn read_runs(shard: ShardId, mut bytes: &[u8]) -> Option<Vec<Run>> {
    let mut runs = Vec::new();
    let mut batch = 0u64;
    let mut next = 0u64;
    while !bytes.is_empty() {
        batch = batch.wrapping_add(read_varint(&mut bytes)?);
        let first = Sequence(next.wrapping_add(read_varint(&mut bytes)?));
        let mut number = || u32::try_from(read_varint(&mut bytes)?).ok();
        let run = Run {
            shard,
            batch: BatchNumber(batch),
            first,
            count: number()?,
            offset: number()?,
            cores: number()?,
            archives: number()?,
        };
        next = run.last().0.wrapping_add(1);
        runs.push(run);
    }
    Some(runs)
}

/// The key of the row that says which batch a checkpoint has.
pub(super) const APPLIED: &[u8] = b"a";

/// The first byte of a row's key.
pub(super) const fn tag(row: &Row) -> u8 {
    match row {
        Row::Conversation(_) => b'c',
        Row::Group(_) => b'g',
        Row::Joining(..) => b'j',
        Row::Welcome(..) => b'w',
        Row::Waiting(_) => b'd',
        Row::Holding(_) => b'h',
        Row::Counted => b'n',
    }
}

/// `tag 1 | id 16 or nothing | epoch 8 or nothing | piece 4`
pub(super) fn row_piece(row: &Row, piece: u32) -> Vec<u8> {
    let mut key = row.to_bytes();
    key.extend_from_slice(&piece.to_be_bytes());
    key
}

/// The row and the piece of a key of the checkpoint; `None` for the one that says which batch it has.
pub(super) fn read_row_piece(key: &[u8]) -> Option<(Row, u32)> {
    let (row, piece) = key.split_last_chunk::<4>()?;
    Some((Row::from_bytes(row)?, u32::from_be_bytes(*piece)))
}

impl Row {
    /// `tag 1 | id 16 or nothing | epoch 8 or nothing`
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut key = vec![tag(self)];
        match self {
            Self::Conversation(conversation) | Self::Group(conversation) => {
                key.extend_from_slice(conversation.as_bytes())
            }
            Self::Joining(conversation, Epoch(epoch)) | Self::Welcome(conversation, Epoch(epoch)) => {
                key.extend_from_slice(conversation.as_bytes());
                key.extend_from_slice(&epoch.to_be_bytes());
            }
            Self::Waiting(DeviceId(id)) | Self::Holding(AccountId(id)) => key.extend_from_slice(id),
            Self::Counted => {}
        }
        key
    }

    /// Reads what [`Row::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(key: &[u8]) -> Option<Self> {
        let (&tag, rest) = key.split_first()?;
        if tag == b'n' && rest.is_empty() {
            return Some(Self::Counted);
        }
        let (&id, rest) = rest.split_first_chunk::<16>()?;
        let epoch = || Some(Epoch(u64::from_be_bytes(rest.try_into().ok()?)));
        match tag {
            b'c' if rest.is_empty() => Some(Self::Conversation(ConversationId(id))),
            b'g' if rest.is_empty() => Some(Self::Group(ConversationId(id))),
            b'd' if rest.is_empty() => Some(Self::Waiting(DeviceId(id))),
            b'h' if rest.is_empty() => Some(Self::Holding(AccountId(id))),
            b'j' => Some(Self::Joining(ConversationId(id), epoch()?)),
            b'w' => Some(Self::Welcome(ConversationId(id), epoch()?)),
            _ => None,
        }
    }
}

/// How many pieces a value of this length has; at least one.
pub(super) const fn pieces(length: usize) -> usize {
    let pieces = length.div_ceil(PIECE_BYTES);
    if pieces == 0 { 1 } else { pieces }
}

/// The pieces of a row: the first one begins with the length of the whole.
pub(super) fn cut_row(value: &Bytes) -> impl Iterator<Item = (u32, Vec<u8>)> + '_ {
    let length = u32::try_from(value.len()).expect("a row is a tree and change, under 4 GiB");
    (0u32..).zip(0..pieces(value.len())).map(move |(piece, place)| {
        let start = place * PIECE_BYTES;
        let end = start.saturating_add(PIECE_BYTES).min(value.len());
        let mut bytes = if piece == 0 { length.to_be_bytes().to_vec() } else { Vec::new() };
        bytes.extend_from_slice(value.get(start..end).unwrap_or_default());
        (piece, bytes)
    })
}

/// The length of a whole row, from its first piece, and the rest of that piece.
pub(super) fn first_of_row(piece: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = piece.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*length) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_read_as_they_were_written_and_take_few_bytes() {
        let runs: Vec<Run> = (0..500u32)
            .map(|place| Run {
                shard: ShardId(3),
                batch: BatchNumber(1_000_000 + u64::from(place) * 2),
                first: Sequence(70_000 + u64::from(place) * 4),
                count: 4,
                offset: 36,
                cores: 1_300,
                archives: 200,
            })
            .collect();
        let bytes = write_runs(&runs);
        assert!(bytes.len() < runs.len() * 12, "{} bytes", bytes.len());
        assert_eq!(read_runs(ShardId(3), &bytes), Some(runs));
        assert_eq!(read_runs(ShardId(3), &bytes[..bytes.len() - 1]), None);
    }

    #[test]
    fn a_row_is_found_again_by_its_bytes_and_no_other_bytes_are_one() {
        let (c, e) = (ConversationId([1; 16]), Epoch(7));
        for row in [
            Row::Conversation(c),
            Row::Group(c),
            Row::Joining(c, e),
            Row::Welcome(c, e),
            Row::Waiting(DeviceId([2; 16])),
            Row::Holding(AccountId([3; 16])),
            Row::Counted,
        ] {
            let bytes = row.to_bytes();
            assert_eq!(Row::from_bytes(&bytes), Some(row));
            assert_eq!(Row::from_bytes(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Row::from_bytes(APPLIED), None);
    }
}
