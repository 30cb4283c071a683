//! The local store: a synchronous, ordered key-value store with one atomic commit, and the transaction over it.
//!
//! # The contract
//!
//! Everything that a device must not lose or mix up goes through one [`Store::commit`]: the state of the MLS
//! group, the rows of the application, and the frame that is about to be sent. An implementation promises:
//!
//! 1. **Atomic.** After [`Store::commit`], or a crash during it, either every change of the batch is there or none.
//! 2. **Durable.** When it returns, the batch survives `kill -9` and a power cut.
//! 3. **Gone is gone.** The bytes of a value that was deleted or overwritten are no longer on the medium when
//!    [`Store::commit`] returns, neither in free pages nor in a journal. Forward secrecy rests on this alone.
//! 4. **Ordered.** [`Store::scan`] gives rows in the order of their keys' bytes.
//! 5. **No partial answers.** A damaged medium is an error, never an empty or shortened answer.
//!
//! [`conformance`] is the test of these that needs no crash; the shell adds kills and a search of its files.

mod conformance;
mod memory;
pub(crate) mod messagepack;
mod mls;
pub(crate) mod prefix;
mod transaction;

pub use conformance::conformance;
pub use memory::MemoryStore;
pub(crate) use mls::{CodecError, MlsStorage};
pub use prefix::FIRST_APPLICATION_PREFIX;
pub use transaction::Transaction;

use std::collections::BTreeMap;
use std::ops::Bound;
use zeroize::Zeroizing;

/// A value; wiped from memory when it is dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// See the [module's contract](self).
pub trait Store {
    /// The value of a key.
    ///
    /// # Errors
    /// If the medium fails or is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError>;

    /// The rows that `scan` asks for, in the order of their keys.
    ///
    /// # Errors
    /// If the medium fails or is damaged.
    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError>;

    /// The keys that start with `prefix`, in order. A store whose keys can be read where a value is damaged does
    /// so here: this is how what is damaged gets deleted.
    ///
    /// # Errors
    /// If the medium fails.
    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        Ok(self.scan(&Scan::prefix(prefix))?.into_iter().map(|row| row.key).collect())
    }

    /// Applies all of the batch or nothing of it; it is on the medium when this returns.
    ///
    /// # Errors
    /// If nothing was applied: the medium failed, is damaged or full.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}

/// A key with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// The whole key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Value,
}

/// Which rows to read: `Scan::prefix(b"m").after(key).backwards().limit(50)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Only keys that start with this.
    pub prefix: Vec<u8>,
    /// Only keys greater than this whole key, whatever the direction.
    pub after: Option<Vec<u8>>,
    /// Only keys smaller than this whole key, whatever the direction.
    pub before: Option<Vec<u8>>,
    /// From the greatest key down.
    pub backwards: bool,
    /// At most so many rows.
    pub limit: usize,
}

/// Where a range of keys begins and ends.
pub type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Scan {
    /// All rows whose keys start with `prefix`, upwards.
    #[must_use]
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        Self { prefix: prefix.into(), after: None, before: None, backwards: false, limit: usize::MAX }
    }

    /// Only keys greater than `key`.
    #[must_use]
    pub fn after(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// Only keys smaller than `key`.
    #[must_use]
    pub fn before(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.before = Some(key.into());
        self
    }

    /// From the greatest key down.
    #[must_use]
    pub fn backwards(mut self) -> Self {
        self.backwards = true;
        self
    }

    /// At most `limit` rows.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The keys that are asked for, as a range; `None` if there can be none.
    #[must_use]
    pub fn range(&self) -> Option<KeyRange> {
        let start = match &self.after {
            Some(after) if *after >= self.prefix => Bound::Excluded(after.clone()),
            _ => Bound::Included(self.prefix.clone()),
        };
        let past = after_all_with(&self.prefix);
        let end = [self.before.as_ref(), past.as_ref()].into_iter().flatten().min().cloned();
        let (Bound::Included(first) | Bound::Excluded(first)) = &start else { return None };
        if end.as_ref().is_some_and(|end| first >= end) {
            return None;
        }
        Some((start, end.map_or(Bound::Unbounded, Bound::Excluded)))
    }

    /// Whether a key is one that is asked for, the limit aside.
    #[must_use]
    pub fn wants(&self, key: &[u8]) -> bool {
        key.starts_with(&self.prefix)
            && self.after.as_deref().is_none_or(|after| key > after)
            && self.before.as_deref().is_none_or(|before| key < before)
    }
}

/// The first key after all keys that start with `prefix`; `None` if there is none.
fn after_all_with(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

/// What one commit changes: keys with their new values, or `None` to delete them.
#[derive(Clone, Default)]
pub struct Batch {
    /// Each key once.
    pub changes: BTreeMap<Vec<u8>, Option<Value>>,
}

impl Batch {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Why the store did not answer. The machine or its owner is to blame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The medium failed.
    #[error("the local store failed: {0}")]
    Failed(String),
    /// No room; nothing was applied.
    #[error("the local store's disk is full")]
    Full,
    /// What is there cannot be right. It is never overwritten.
    #[error("the local store is damaged: {0}")]
    Damaged(String),
}
