//! Entries as bytes: written once in the form in which they travel, and walked without decoding payloads.
//!
//! A stored entry is exactly the body bytes of [`sotto_protocol::body::log::Entry`], so that a push and the
//! answer to a fetch are slices of what the disk has. This module writes and reads that form by hand, without
//! allocation; a property test holds it equal to the derived encoding.

use bytes::{BufMut, BytesMut};
use sotto_protocol::body::log::EntryKind;
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};

/// An entry without its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHead {
    /// Its place.
    pub sequence: Sequence,
    /// When the relay took it.
    pub time: UnixMillis,
    /// What it is.
    pub kind: EntryKind,
    /// Who sent it.
    pub account: AccountId,
    /// Which device sent it.
    pub device: DeviceId,
    /// The device's number of it; 0 for what is no application message.
    pub number: MessageNumber,
    /// The epoch it belongs to.
    pub epoch: Epoch,
}

/// An entry in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// Everything but the message.
    pub head: EntryHead,
    /// The message.
    pub message: &'a [u8],
    /// How many bytes the whole entry takes.
    pub length: usize,
}

/// Appends the bytes of one entry.
pub fn write(out: &mut BytesMut, head: &EntryHead, message: &[u8]) {
    write_varint(out, head.sequence.0);
    write_varint(out, head.time.0);
    out.put_u8(kind_number(head.kind));
    out.put_slice(head.account.as_bytes());
    out.put_slice(head.device.as_bytes());
    write_varint(out, head.number.0);
    write_varint(out, head.epoch.0);
    write_varint(out, message.len() as u64);
    out.put_slice(message);
}

/// Reads the entry at the start of `bytes`; `None` if there is not a whole one.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<RawEntry<'_>> {
    let mut rest = bytes;
    let sequence = Sequence(read_varint(&mut rest)?);
    let time = UnixMillis(read_varint(&mut rest)?);
    let kind = kind_of(read_varint(&mut rest)?)?;
    let account = AccountId(read_id(&mut rest)?);
    let device = DeviceId(read_id(&mut rest)?);
    let number = MessageNumber(read_varint(&mut rest)?);
    let epoch = Epoch(read_varint(&mut rest)?);
    let length = usize::try_from(read_varint(&mut rest)?).ok()?;
    let (message, rest) = rest.split_at_checked(length)?;
    let head = EntryHead { sequence, time, kind, account, device, number, epoch };
    Some(RawEntry { head, message, length: bytes.len() - rest.len() })
}

/// The entries that follow each other in `bytes`; ends at the first that is not whole.
pub fn walk(bytes: &[u8]) -> impl Iterator<Item = RawEntry<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let entry = read(rest)?;
        rest = rest.get(entry.length..)?;
        Some(entry)
    })
}

const fn kind_number(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Application => 0,
        EntryKind::Commit => 1,
        EntryKind::Leave => 2,
    }
}

const fn kind_of(number: u64) -> Option<EntryKind> {
    match number {
        0 => Some(EntryKind::Application),
        1 => Some(EntryKind::Commit),
        2 => Some(EntryKind::Leave),
        _ => None,
    }
}

/// Appends a number as bincode 2 standard has it: one byte up to 250, else a mark and 2, 4 or 8 bytes, little end first.
#[expect(clippy::cast_possible_truncation, reason = "each arm holds only what fits")]
pub fn write_varint(out: &mut BytesMut, value: u64) {
    match value {
        0..=250 => out.put_u8(value as u8),
        251..=0xffff => {
            out.put_u8(251);
            out.put_u16_le(value as u16);
        }
        0x1_0000..=0xffff_ffff => {
            out.put_u8(252);
            out.put_u32_le(value as u32);
        }
        _ => {
            out.put_u8(253);
            out.put_u64_le(value);
        }
    }
}

/// Takes a number off the front; `None` if it is not whole.
pub fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let (&first, tail) = rest.split_first()?;
    let (value, tail) = match first {
        0..=250 => (u64::from(first), tail),
        251 => tail
            .split_first_chunk::<2>()
            .map(|(bytes, tail)| (u64::from(u16::from_le_bytes(*bytes)), tail))?,
        252 => tail
            .split_first_chunk::<4>()
            .map(|(bytes, tail)| (u64::from(u32::from_le_bytes(*bytes)), tail))?,
        253 => tail.split_first_chunk::<8>().map(|(bytes, tail)| (u64::from_le_bytes(*bytes), tail))?,
        _ => return None,
    };
    *rest = tail;
    Some(value)
}

fn read_id(rest: &mut &[u8]) -> Option<[u8; 16]> {
    let (id, tail) = rest.split_first_chunk::<16>()?;
    *rest = tail;
    Some(*id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sotto_protocol::body::log::Entry;

    fn head() -> impl Strategy<Value = EntryHead> {
        let kinds =
            prop_oneof![Just(EntryKind::Application), Just(EntryKind::Commit), Just(EntryKind::Leave)];
        let numbers = (number(), number(), number(), number());
        (kinds, numbers, any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(kind, numbers, account, device)| {
            EntryHead {
                sequence: Sequence(numbers.0),
                time: UnixMillis(numbers.1),
                kind,
                account: AccountId(account),
                device: DeviceId(device),
                number: MessageNumber(numbers.2),
                epoch: Epoch(numbers.3),
            }
        })
    }

    fn number() -> impl Strategy<Value = u64> {
        prop_oneof![0u64..300, 65_000u64..66_000, any::<u32>().prop_map(u64::from), any::<u64>()]
    }

    proptest! {
        /// What is stored is what travels.
        #[test]
        fn the_hand_written_form_is_the_derived_one(head in head(), message in prop::collection::vec(any::<u8>(), 0..700)) {
            let mut ours = BytesMut::new();
            write(&mut ours, &head, &message);
            let entry = Entry {
                sequence: head.sequence,
                time: head.time,
                kind: head.kind,
                account: head.account,
                device: head.device,
                number: head.number,
                epoch: head.epoch,
                message: message.clone().into(),
            };
            let derived = bincode::encode_to_vec(&entry, bincode::config::standard()).unwrap();
            prop_assert_eq!(&ours[..], &derived[..]);
            let read_back = read(&ours).unwrap();
            prop_assert_eq!(read_back.head, head);
            prop_assert_eq!(read_back.message, &message[..]);
            prop_assert_eq!(read_back.length, ours.len());
            for cut in 0..ours.len() {
                prop_assert!(read(&ours[..cut]).is_none());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for entry in walk(&bytes) {
                prop_assert!(entry.length <= bytes.len());
            }
        }
    }
}
