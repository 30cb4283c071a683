//! An ordered table of bytes, the little that [`Embedded`](super::Embedded) needs of a storage engine.
//!
//! ```text
//! operation -> Job -> committer thread: run each job over one Overlay -> Table::apply (one batch, durable) -> answer all
//! ```
//!
//! Jobs run one after the other on one thread, so each sees what the ones before it did, nobody else writes, and
//! all that arrived while a batch was on its way to the disk share the next one.

use super::StoreError;
use std::collections::BTreeMap;
use std::ops::Bound;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a batch changes: a value to put, or `None` to remove.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Reading rows in the order of their keys' bytes.
pub trait Reader {
    /// The value under a key.
    ///
    /// # Errors
    /// If the storage fails.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The rows whose keys start with `prefix` and lie after `after` where one is given, in ascending order,
    /// at most `limit`.
    ///
    /// # Errors
    /// If the storage fails.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError>;
}

/// A storage engine: rows that can be read at any time, from any thread, and written in durable batches.
pub trait Table: Reader + Send + Sync + 'static {
    /// Writes a batch: all of it or nothing, and durable (fsync) when it returns. Only one thread calls this.
    ///
    /// # Errors
    /// If nothing of it was written. After an error other than [`StoreError::Full`] nobody calls it again:
    /// what a failed fsync left behind is not known.
    fn apply(&self, writes: &Writes) -> Result<(), StoreError>;
}

impl<T: Reader + ?Sized> Reader for &T {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).get(key)
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        (**self).scan(prefix, after, limit)
    }
}

/// Writes that are not in the table yet, over the rows that are.
pub struct Overlay<'a> {
    below: &'a dyn Reader,
    writes: Writes,
}

impl<'a> Overlay<'a> {
    /// Nothing changed yet.
    #[must_use]
    pub fn new(below: &'a dyn Reader) -> Self {
        Self { below, writes: Writes::new() }
    }

    /// Puts a value.
    pub fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.writes.insert(key, Some(value));
    }

    /// Removes a value, if there is one.
    pub fn remove(&mut self, key: Vec<u8>) {
        self.writes.insert(key, None);
    }

    /// Takes over what another overlay on top of this one changed.
    pub fn absorb(&mut self, writes: Writes) {
        self.writes.extend(writes);
    }

    /// What changed.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        self.writes
    }
}

impl Reader for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.below.get(key),
        }
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let changed: Vec<_> = range(&self.writes, prefix, after).collect();
        // Each removed row hides at most one below.
        let removed = changed.iter().filter(|(_, value)| value.is_none()).count();
        let below = self.below.scan(prefix, after, limit.saturating_add(removed))?;
        let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = below.into_iter().collect();
        for (key, value) in changed {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }
}

/// The part of an ordered map that a [`Reader::scan`] walks over.
pub fn range<'m, V>(
    map: &'m BTreeMap<Vec<u8>, V>,
    prefix: &'m [u8],
    after: Option<&[u8]>,
) -> impl Iterator<Item = (&'m Vec<u8>, &'m V)> + use<'m, V> {
    let start = match after {
        Some(after) if after >= prefix => Bound::Excluded(after.to_vec()),
        Some(_) | None => Bound::Included(prefix.to_vec()),
    };
    map.range((start, Bound::Unbounded)).take_while(move |(key, _)| key.starts_with(prefix))
}
