//! Full-text search over the local history, without a plain word on the medium.
//!
//! ```text
//! history rows ──► packs: the folded words of up to 1,024 lines in one row, sealed by the store as every row is
//!                  waiting: lines that are in no pack yet, in memory; a mark in the store says which packs lack some
//! a question ──► every pack of the conversation, opened in memory ──► the newest that fit ──► read again and checked
//! ```
//!
//! One row holds many lines because what a question costs is opening rows: 100,000 lines are 100 packs and 10 MB,
//! where they are 100,000 rows of history. Packs are read in the order of their keys and not each by itself: SQLite
//! reads a row of that size whole for each comparison on the way to it. A pack is nothing but a copy of a stretch of one conversation's history,
//! so it can be made again at any time: when a store of before this existed is opened, when a pack is damaged.
//!
//! Whoever writes a history row need not know of this: each input ends with a look at the history rows that it
//! changed. A line that was deleted, edited or has disappeared is out of its pack *in the same commit*, and the store
//! overwrites what a row held before. What is new waits until there are enough or a few seconds have passed, and goes
//! into its pack in a step of its own between two inputs.
//!
//! A word is what Unicode calls one (UAX #29), folded (NFKC, lower case), and is found by its beginning; of several
//! all must be there. Where a script writes no spaces, what Unicode takes for one word is.

mod pack;
mod words;

use crate::core::{Core, Ctx};
use crate::rows::{self, HistoryRow};
use crate::view::Message;
use pack::{LINES, Lines, Pack, Said};
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Range;
use words::Wanted;

/// Packs, marks of packs that lack lines, and the row that says that every line is in a pack or its pack is marked.
const PACK: u8 = 0x58;
const MARK: u8 = 0x59;
const STATE: u8 = 0x5a;

/// The format of packs. A store with another one makes them anew.
const FORMAT: u8 = 2;

/// Packs that are read at once: 2 MB, seldom more.
const PACKS_AT_ONCE: usize = 16;

/// What opened packs may take in memory.
const OPENED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Lines wait for so long, unless so many wait for one pack. A pack of 100 KB is rewritten at most four times while it
/// fills by a busy conversation: 400 bytes a line.
const WAIT_MS: u64 = 5_000;
const WAITING_MAX: usize = 256;

/// What to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchQuery {
    /// Words, or how they begin; a line has to have all of them.
    pub words: String,
    /// Only in this conversation.
    pub conversation: Option<ConversationId>,
    /// Only what is older than this hit of a search before.
    pub before: Option<SearchPlace>,
    /// So many hits at most.
    pub limit: usize,
}

/// Where a hit stands among all: ordered by time, across conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchPlace {
    /// The relay's time of it.
    pub time: UnixMillis,
    /// Where.
    pub conversation: ConversationId,
    /// Its place.
    pub sequence: Sequence,
}

/// A line that has the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchHit {
    /// Where.
    pub conversation: ConversationId,
    /// Its place.
    pub sequence: Sequence,
    /// The line.
    pub message: Message,
    /// Where in its [words](crate::view::Line::words) they are, as bytes, ascending.
    pub marks: Vec<Range<usize>>,
}

impl SearchHit {
    /// For the next [`SearchQuery::before`].
    #[must_use]
    pub fn place(&self) -> SearchPlace {
        SearchPlace { time: self.message.time, conversation: self.conversation, sequence: self.sequence }
    }
}

/// A stretch of [`LINES`] places of a conversation.
type Key = (ConversationId, u64);

/// Lines that are in no pack yet.
#[derive(Default)]
struct Waiting {
    /// Everything that the pack lacks is in `lines`. Not so for what a process before this one left.
    is_known: bool,
    lines: Lines,
    due: UnixMillis,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Search {
    /// Packs in the store.
    packs: BTreeSet<Key>,
    /// The store has no packs of this format.
    is_new: bool,
    /// Which places the packs that were touched have; spares opening a pack for each line.
    places: BTreeMap<Key, BTreeSet<u16>>,
    waiting: BTreeMap<Key, Waiting>,
    /// Packs that a question found damaged.
    damaged: RefCell<BTreeSet<Key>>,
    /// Packs that a question has opened: the next one, a letter later, need not unseal them again.
    opened: RefCell<Opened>,
}

/// Opened packs, as many as fit; those of 150,000 messages do. They are wiped when they go.
#[derive(Default)]
struct Opened {
    packs: BTreeMap<Key, Pack>,
    bytes: usize,
}

impl Opened {
    fn keep(&mut self, key: Key, pack: Pack) {
        let bytes = self.bytes.saturating_add(pack.bytes());
        if bytes <= OPENED_BYTES_MAX {
            self.bytes = bytes;
            self.packs.insert(key, pack);
        }
    }

    /// It is another one now, or none.
    fn forget(&mut self, key: Key) {
        if let Some(pack) = self.packs.remove(&key) {
            self.bytes = self.bytes.saturating_sub(pack.bytes());
        }
    }
}

impl Search {
    pub(crate) fn load(tx: &Transaction<'_>) -> Result<Self, StoreError> {
        // Everything here can be made anew, so damage is no reason to stop.
        let format = tx.get(&[STATE]).ok().flatten();
        if format.is_none_or(|format| format.as_slice() != [FORMAT]) {
            return Ok(Self { is_new: true, ..Self::default() });
        }
        let keys = |prefix| -> Result<BTreeSet<Key>, StoreError> {
            Ok(one_by_one(tx.keys(&[prefix])?.iter().filter_map(|key| key_of(key))))
        };
        let waiting = one_by_one(keys(MARK)?.into_iter().map(|key| (key, Waiting::default())));
        Ok(Self { packs: keys(PACK)?, waiting, ..Self::default() })
    }

    /// When the next step is due.
    pub(crate) fn next_due(&self) -> Option<UnixMillis> {
        if self.is_new || !self.damaged.borrow().is_empty() {
            return Some(UnixMillis(0));
        }
        self.waiting.values().map(|waiting| waiting.due).min()
    }

    /// The clock jumped back.
    pub(crate) fn clamp(&mut self, now: UnixMillis) {
        for waiting in self.waiting.values_mut() {
            waiting.due = waiting.due.min(now);
        }
    }

    fn is_complete(&self) -> bool {
        !self.is_new && self.waiting.values().all(|waiting| waiting.is_known)
    }

    fn places(&mut self, tx: &Transaction<'_>, key: Key) -> &mut BTreeSet<u16> {
        let exists = self.packs.contains(&key);
        self.places.entry(key).or_insert_with(|| {
            let pack = if exists { load_pack(tx, key) } else { None };
            pack.map(|pack| one_by_one(pack.places())).unwrap_or_default()
        })
    }

    fn put(&mut self, tx: &Transaction<'_>, key: Key, pack: &Pack) {
        self.opened.get_mut().forget(key);
        self.places.insert(key, one_by_one(pack.places()));
        if pack.is_empty() {
            tx.delete(row_key(PACK, key));
            self.packs.remove(&key);
        } else {
            rows::put(tx, row_key(PACK, key), pack);
            self.packs.insert(key);
        }
    }

    /// Reads every pack, or those of one conversation.
    fn each_pack(
        &self,
        tx: &Transaction<'_>,
        only: Option<ConversationId>,
        mut visit: impl FnMut(Key, &Pack),
    ) -> Result<(), StoreError> {
        let asked_for = |key: &&Key| only.is_none_or(|only| only == key.0);
        let mut left: BTreeSet<Key> = one_by_one(self.packs.iter().filter(asked_for).copied());
        let mut opened = self.opened.borrow_mut();
        left.retain(|key| match opened.packs.get(key) {
            Some(pack) => {
                visit(*key, pack);
                false
            }
            None => true,
        });
        while let Some(first) = left.first().copied() {
            let scan = Scan::prefix([PACK]).after(before(first)).limit(left.len().min(PACKS_AT_ONCE));
            let rows = tx.scan(&scan).unwrap_or_default();
            for row in rows {
                let Some(key) = key_of(&row.key) else { continue };
                if left.contains(&key)
                    && let Ok(pack) = rows::decode(&row.value)
                {
                    left.remove(&key);
                    visit(key, &pack);
                    opened.keep(key, pack);
                }
            }
            // A row that does not open spoils the scan: it is looked at by itself.
            if left.remove(&first) {
                let pack = match load_pack(tx, first) {
                    Some(pack) => pack,
                    None => {
                        self.damaged.borrow_mut().insert(first);
                        made_anew(tx, first)?.into()
                    }
                };
                visit(first, &pack);
            }
        }
        Ok(())
    }

    /// A history row was written or deleted.
    fn touched(&mut self, ctx: &Ctx<'_>, key: Key, place: u16, line: Option<&HistoryRow>) {
        let said = line.map(said);
        if self.places(ctx.tx, key).contains(&place) {
            let mut lines = load_pack(ctx.tx, key).map(Pack::into_lines).unwrap_or_default();
            if said.as_ref().is_some_and(|said| lines.get(&place) == Some(said)) {
                // Something else about the line changed.
                return;
            }
            lines.remove(&place);
            self.put(ctx.tx, key, &lines.into());
        }
        let Some(said) = said else {
            if let Some(waiting) = self.waiting.get_mut(&key) {
                waiting.lines.remove(&place);
            }
            return;
        };
        let waiting = self.waiting.entry(key).or_insert_with(|| {
            rows::put(ctx.tx, row_key(MARK, key), &());
            Waiting {
                is_known: true,
                lines: Lines::new(),
                due: UnixMillis(ctx.now.0.saturating_add(WAIT_MS)),
            }
        });
        waiting.lines.insert(place, said);
        if waiting.lines.len() >= WAITING_MAX {
            waiting.due = ctx.now;
        }
    }

    /// Marks every stretch of the history, so that its pack is made.
    fn begin(&mut self, tx: &Transaction<'_>) -> Result<(), StoreError> {
        tx.delete_prefix(&[PACK])?;
        tx.delete_prefix(&[MARK])?;
        let lines = tx.keys(&[rows::HISTORY])?;
        let stretches: BTreeSet<Key> =
            one_by_one(lines.iter().filter_map(|key| stretch_of(key)).map(|(key, _)| key));
        for key in &stretches {
            rows::put(tx, row_key(MARK, *key), &());
        }
        tx.put([STATE], [FORMAT]);
        let waiting = one_by_one(stretches.into_iter().map(|key| (key, Waiting::default())));
        *self = Self { waiting, ..Self::default() };
        Ok(())
    }

    /// Brings one pack up to date.
    fn settle(&mut self, tx: &Transaction<'_>, key: Key) -> Result<(), StoreError> {
        let Some(waiting) = self.waiting.remove(&key) else { return Ok(()) };
        let there = load_pack(tx, key);
        let is_damaged = there.is_none() && self.packs.contains(&key);
        let lines = if waiting.is_known && !is_damaged {
            let mut lines = there.map(Pack::into_lines).unwrap_or_default();
            lines.extend(waiting.lines);
            lines
        } else {
            made_anew(tx, key)?
        };
        self.put(tx, key, &lines.into());
        tx.delete(row_key(MARK, key));
        Ok(())
    }
}

impl Core {
    /// The end of an input: what of the history did it change?
    pub(crate) fn index_changes(&mut self, ctx: &Ctx<'_>) -> Result<(), StoreError> {
        if self.search.is_new {
            return Ok(());
        }
        for (key, value) in ctx.tx.changed(&[rows::HISTORY]) {
            let Some((key, place)) = stretch_of(&key) else { continue };
            let line: Option<HistoryRow> = value.map(|value| rows::decode(&value)).transpose()?;
            self.search.touched(ctx, key, place, line.as_ref());
        }
        Ok(())
    }

    /// One step of what is due: a few milliseconds.
    pub(crate) fn index_step(&mut self, ctx: &Ctx<'_>) -> Result<(), StoreError> {
        if self.search.is_new {
            return self.search.begin(ctx.tx);
        }
        for key in std::mem::take(self.search.damaged.get_mut()) {
            ctx.tx.delete(row_key(PACK, key));
            rows::put(ctx.tx, row_key(MARK, key), &());
            self.search.packs.remove(&key);
            self.search.places.remove(&key);
            self.search.opened.get_mut().forget(key);
            self.search.waiting.insert(key, Waiting::default());
        }
        let due = self.search.waiting.iter().filter(|(_, waiting)| waiting.due <= ctx.now);
        let next = due.min_by_key(|(_, waiting)| waiting.due).map(|(key, _)| *key);
        next.map_or(Ok(()), |key| self.search.settle(ctx.tx, key))
    }

    pub(crate) fn search_is_complete(&self) -> bool {
        self.search.is_complete()
    }

    pub(crate) fn search(
        &self,
        tx: &Transaction<'_>,
        query: &SearchQuery,
    ) -> Result<Vec<SearchHit>, StoreError> {
        let wanted = Wanted::new(&query.words);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut found = BinaryHeap::new();
        let mut take = |key: Key, place: u16, time: UnixMillis| {
            let place = SearchPlace { time, conversation: key.0, sequence: sequence_of(key, place) };
            if query.before.is_none_or(|before| place < before) {
                found.push(place);
            }
        };
        let asked_for = |key: &&Key| query.conversation.is_none_or(|only| only == key.0);
        self.search.each_pack(tx, query.conversation, |key, pack| {
            pack.matching(&wanted, |place, time| take(key, place, time));
        })?;
        for (key, waiting) in self.search.waiting.iter().filter(|(key, _)| asked_for(key)) {
            for (place, said) in &waiting.lines {
                if let Some(said) = said.as_ref().filter(|said| said.may_match(&wanted)) {
                    take(*key, *place, said.time);
                }
            }
        }
        let mut hits = Vec::new();
        while hits.len() < query.limit
            && let Some(SearchPlace { conversation, sequence, .. }) = found.pop()
        {
            let row: Option<HistoryRow> = rows::get(tx, &rows::history_key(conversation, sequence))?;
            let Some(row) = row else { continue };
            let Some(marks) = row.line.words().and_then(|text| wanted.marks(&text)) else { continue };
            let message = self.messages(tx, conversation, vec![(sequence, row)])?.pop();
            hits.extend(message.map(|message| SearchHit { conversation, sequence, marks, message }));
        }
        Ok(hits)
    }
}

/// What there is to find in a line; `None` in one without words.
fn said(row: &HistoryRow) -> Option<Said> {
    row.line.words().and_then(|words| Said::new(row.time, &words))
}

fn made_anew(tx: &Transaction<'_>, key: Key) -> Result<Lines, StoreError> {
    let lines = rows::history_within(tx, key.0, stretch(key))?;
    Ok(one_by_one(lines.iter().map(|(sequence, row)| (place_of(*sequence), said(row)))))
}

/// A pack that is there and good.
fn load_pack(tx: &Transaction<'_>, key: Key) -> Option<Pack> {
    rows::get(tx, &row_key(PACK, key)).ok().flatten()
}

fn row_key(prefix: u8, (conversation, number): Key) -> Vec<u8> {
    rows::numbered(prefix, conversation, number)
}

/// What sorts right before the row of a pack.
fn before((conversation, number): Key) -> Vec<u8> {
    match number.checked_sub(1) {
        Some(number) => row_key(PACK, (conversation, number)),
        None => rows::under(PACK, conversation),
    }
}

fn key_of(row_key: &[u8]) -> Option<Key> {
    let (_, rest) = row_key.split_first()?;
    let (conversation, number) = rest.split_first_chunk::<16>()?;
    let number: [u8; 8] = number.try_into().ok()?;
    Some((ConversationId(*conversation), u64::from_be_bytes(number)))
}

/// The stretch that a history row is in, and its place there.
fn stretch_of(history_key: &[u8]) -> Option<(Key, u16)> {
    let (conversation, sequence) = key_of(history_key)?;
    Some(((conversation, sequence / LINES), place_of(Sequence(sequence))))
}

fn place_of(sequence: Sequence) -> u16 {
    u16::try_from(sequence.0 % LINES).unwrap_or(0)
}

fn sequence_of((_, number): Key, place: u16) -> Sequence {
    Sequence(number.saturating_mul(LINES).saturating_add(u64::from(place)))
}

/// First and last place.
fn stretch(key: Key) -> (Sequence, Sequence) {
    let first = sequence_of(key, 0);
    (first, Sequence(first.0.saturating_add(LINES - 1)))
}

#[cfg(test)]
mod tests;
