//! What accounts have said about a text: edits, deletes, reactions, pins.
//!
//! Each account has one row for each text that it said something about, and of everything the row keeps the last word
//! *by the place in the log*, never by when this device heard of it: history is read backwards while new entries
//! come in, and every device has to end with the same. Merging is associative, commutative and idempotent, so any order
//! of the same entries gives the same rows; nothing that was merged away can matter later.

use crate::rows;
use bincode::{Decode, Encode};
use sotto_e2ee::content::Text;
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};

/// Different emoji that one account has a say about on one text: of more, the newest count. Taking one off is a say
/// too, so that an older "on" that is read later does not bring it back. At [`EMOJI_BYTES_MAX`](super::EMOJI_BYTES_MAX)
/// and about 50 bytes around each, a row stays below 2 KiB.
pub(crate) const REACTIONS_PER_ACCOUNT_MAX: usize = 16;

/// The head of an entry that said something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Said {
    pub(crate) sequence: Sequence,
    /// The relay's time.
    pub(crate) time: UnixMillis,
    pub(crate) sent_at: UnixMillis,
    pub(crate) device: DeviceId,
    pub(crate) number: MessageNumber,
    pub(crate) epoch: Epoch,
}

/// Something, with who said it when.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Marked<T> {
    pub(crate) said: Said,
    pub(crate) what: T,
}

/// The new text of an edit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Edited {
    /// `None` once the line has it.
    pub(crate) text: Option<Text>,
    pub(crate) expires_at: Option<UnixMillis>,
}

/// A reaction that was put on or taken off.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Toggle {
    pub(crate) emoji: String,
    pub(crate) on: bool,
}

/// One thing that is said about a text.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Mark {
    Edit(Edited),
    Delete,
    React(Toggle),
    Pin(bool),
}

/// All that one account has said about one text and that still counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct MarkRow {
    pub(crate) edit: Option<Marked<Edited>>,
    pub(crate) delete: Option<Marked<()>>,
    pub(crate) pin: Option<Marked<bool>>,
    /// By their places, the oldest first.
    pub(crate) reactions: Vec<Marked<Toggle>>,
}

impl MarkRow {
    /// Adds one thing; true if it counts.
    pub(crate) fn merge(&mut self, said: Said, mark: Mark) -> bool {
        match mark {
            Mark::Edit(what) => later(&mut self.edit, Marked { said, what }),
            Mark::Pin(what) => later(&mut self.pin, Marked { said, what }),
            // What is deleted stays deleted: the first word counts.
            Mark::Delete => {
                let first = self.delete.as_ref().is_none_or(|known| said.sequence < known.said.sequence);
                if first {
                    self.delete = Some(Marked { said, what: () });
                }
                first
            }
            Mark::React(toggle) => self.react(Marked { said, what: toggle }),
        }
    }

    fn react(&mut self, toggle: Marked<Toggle>) -> bool {
        let place = toggle.said.sequence;
        if self.reactions.iter().any(|known| {
            known.said.sequence == place
                || (known.what.emoji == toggle.what.emoji && known.said.sequence > place)
        }) {
            return false;
        }
        self.reactions.retain(|known| known.what.emoji != toggle.what.emoji);
        let at = self.reactions.partition_point(|known| known.said.sequence < place);
        self.reactions.insert(at, toggle);
        if self.reactions.len() > REACTIONS_PER_ACCOUNT_MAX {
            self.reactions.remove(0);
        }
        self.reactions.iter().any(|known| known.said.sequence == place)
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Keeps the later of two; true if it is the new one.
fn later<T>(known: &mut Option<Marked<T>>, new: Marked<T>) -> bool {
    let later = known.as_ref().is_none_or(|known| new.said.sequence > known.said.sequence);
    if later {
        *known = Some(new);
    }
    later
}

const MARK: u8 = 0x50;

fn key(conversation: ConversationId, target: Sequence, account: AccountId) -> Vec<u8> {
    let mut key = rows::numbered(MARK, conversation, target.0);
    key.extend_from_slice(account.as_bytes());
    key
}

/// What one account has said about a text.
pub(crate) fn of(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    target: Sequence,
    account: AccountId,
) -> Result<MarkRow, StoreError> {
    Ok(rows::get(tx, &key(conversation, target, account))?.unwrap_or_default())
}

/// What all accounts have said about a text, in the order of their ids.
pub(crate) fn all(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    target: Sequence,
) -> Result<Vec<(AccountId, MarkRow)>, StoreError> {
    let rows = tx.scan(&Scan::prefix(rows::numbered(MARK, conversation, target.0)))?;
    rows.iter().map(|row| Ok((AccountId(rows::last_id(&row.key)?), rows::decode(&row.value)?))).collect()
}

/// Keeps a row, or deletes it if there is nothing in it.
pub(crate) fn keep(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    target: Sequence,
    account: AccountId,
    row: &MarkRow,
) {
    let key = key(conversation, target, account);
    if row.is_empty() {
        tx.delete(key);
    } else {
        rows::put(tx, key, row);
    }
}

/// What an account said at a place of the log, for a device that could not read it there. It looks through all rows of
/// the conversation: it is asked for once in a repair.
pub(crate) fn said_at(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    account: AccountId,
    place: Sequence,
) -> Result<Option<(Sequence, Said, Mark)>, StoreError> {
    for row in tx.scan(&Scan::prefix(rows::under(MARK, conversation)))? {
        if rows::last_id(&row.key)? != account.0 {
            continue;
        }
        let target = row.key.get(17..25).map_or(Ok(0), rows::number_of)?;
        let marks: MarkRow = rows::decode(&row.value)?;
        let here = |said: &Said| said.sequence == place;
        let found = if let Some(edit) = marks.edit.filter(|edit| here(&edit.said)) {
            Some((edit.said, Mark::Edit(edit.what)))
        } else if let Some(delete) = marks.delete.filter(|delete| here(&delete.said)) {
            Some((delete.said, Mark::Delete))
        } else if let Some(pin) = marks.pin.filter(|pin| here(&pin.said)) {
            Some((pin.said, Mark::Pin(pin.what)))
        } else {
            let toggle = marks.reactions.into_iter().find(|toggle| here(&toggle.said));
            toggle.map(|toggle| (toggle.said, Mark::React(toggle.what)))
        };
        if let Some((said, mark)) = found {
            return Ok(Some((Sequence(target), said, mark)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(sequence: u64) -> Said {
        Said {
            sequence: Sequence(sequence),
            time: UnixMillis(sequence),
            sent_at: UnixMillis(sequence),
            device: DeviceId([1; 16]),
            number: MessageNumber(sequence),
            epoch: Epoch(1),
        }
    }

    fn react(emoji: u8, on: bool) -> Mark {
        Mark::React(Toggle { emoji: emoji.to_string(), on })
    }

    fn on(row: &MarkRow) -> Vec<&str> {
        row.reactions.iter().filter(|known| known.what.on).map(|known| known.what.emoji.as_str()).collect()
    }

    #[test]
    fn the_last_word_by_its_place_counts() {
        let mut row = MarkRow::default();
        assert!(row.merge(said(5), react(1, true)));
        assert!(row.merge(said(9), react(1, false)));
        assert!(!row.merge(said(7), react(1, true)), "an older word that comes later");
        assert_eq!(on(&row), Vec::<&str>::new());
        assert!(row.merge(said(8), Mark::Delete) && row.merge(said(6), Mark::Delete));
        assert_eq!(row.delete.expect("deleted").said.sequence, Sequence(6), "of deletes the first");
    }

    #[test]
    fn of_too_many_emoji_the_newest_count() {
        let mut row = MarkRow::default();
        for n in 0..40_u8 {
            row.merge(said(u64::from(n)), react(n, true));
        }
        assert_eq!(row.reactions.len(), REACTIONS_PER_ACCOUNT_MAX);
        assert_eq!(on(&row).first(), Some(&"24"));
        assert!(!row.merge(said(2), react(99, true)), "older than all that count");
    }

    fn marks() -> impl Strategy<Value = Vec<(u64, Mark)>> {
        let mark = prop_oneof![
            (0..30_u8, any::<bool>()).prop_map(|(emoji, on)| react(emoji, on)),
            any::<bool>().prop_map(Mark::Pin),
            Just(Mark::Delete),
            Just(Mark::Edit(Edited { text: None, expires_at: None })),
        ];
        proptest::collection::vec(mark, 0..60).prop_map(|marks| (1..).zip(marks).collect())
    }

    proptest! {
        #[test]
        fn any_order_and_any_repetition_gives_the_same_row(
            marks in marks(),
            again in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
            shuffled in any::<u64>(),
        ) {
            let merged = |marks: &[(u64, Mark)]| {
                let mut row = MarkRow::default();
                for (place, mark) in marks {
                    row.merge(said(*place), mark.clone());
                }
                row
            };
            let mut other = marks.clone();
            if !marks.is_empty() {
                other.extend(again.iter().map(|index| index.get(&marks).clone()));
            }
            other.sort_by_key(|(place, _)| place.wrapping_mul(shuffled | 1).rotate_left(17));
            prop_assert_eq!(merged(&marks), merged(&other));
        }
    }
}
