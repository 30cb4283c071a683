//! The folded words of up to [`LINES`] lines of one conversation, as one row.

use super::words::{self, Wanted};
use bincode::{Decode, Encode};
use sotto_protocol::ids::UnixMillis;

/// Places in one pack. The row is about 100 KB: 1,024 lines of 60 to 100 bytes of words.
pub(super) const LINES: u64 = 1_024;

/// A line with more words than that is not copied but read again by each question that it may answer. It bounds a
/// pack at 2 MB, and a person seldom writes as much.
const FOLDED_BYTES_MAX: usize = 2 * 1024;

/// What there is to find in one line.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(super) struct Said {
    pub(super) time: UnixMillis,
    /// The folded words; `None` if they are too many.
    folded: Option<String>,
}

impl Said {
    /// `None` for a text without a word.
    pub(super) fn new(time: UnixMillis, text: &str) -> Option<Self> {
        let folded = words::folded(text);
        (!folded.is_empty())
            .then(|| Self { time, folded: Some(folded).filter(|folded| folded.len() <= FOLDED_BYTES_MAX) })
    }

    /// True as well where only reading the line can tell.
    pub(super) fn may_match(&self, wanted: &Wanted) -> bool {
        self.folded.as_ref().is_none_or(|folded| wanted.are_in(folded))
    }
}

/// See the module. Ascending by place; a line without words has its place and nothing else.
#[derive(Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Pack(Vec<(u16, Option<Said>)>);

impl Pack {
    /// Of lines in ascending order.
    pub(super) fn of(lines: impl Iterator<Item = (u16, Option<Said>)>) -> Self {
        Self(lines.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn places(&self) -> impl Iterator<Item = u16> {
        self.0.iter().map(|(place, _)| *place)
    }

    /// `None` if the place is not in the pack, `Some(None)` if nothing can be found there.
    pub(super) fn get(&self, place: u16) -> Option<&Option<Said>> {
        let at = self.0.binary_search_by_key(&place, |(place, _)| *place).ok()?;
        self.0.get(at).map(|(_, said)| said)
    }

    pub(super) fn set(&mut self, place: u16, said: Option<Said>) {
        match self.0.binary_search_by_key(&place, |(place, _)| *place) {
            Ok(at) => {
                if let Some(line) = self.0.get_mut(at) {
                    line.1 = said;
                }
            }
            Err(at) => self.0.insert(at, (place, said)),
        }
    }

    pub(super) fn remove(&mut self, place: u16) {
        self.0.retain(|(known, _)| *known != place);
    }

    /// Calls `found` with each line that may have the words.
    pub(super) fn matching(&self, wanted: &Wanted, mut found: impl FnMut(u16, UnixMillis)) {
        for (place, said) in &self.0 {
            if let Some(said) = said.as_ref().filter(|said| said.may_match(wanted)) {
                found(*place, said.time);
            }
        }
    }
}
