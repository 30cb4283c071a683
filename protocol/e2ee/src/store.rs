//! The local store.
use zeroize::Zeroizing;

/// A value; wiped from memory when dropped.
pub type Value = Zeroizing<Vec<u8>>;

/// A synchronous, ordered key-value store with one atomic, durable commit.
pub trait Store {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError>;
    /// Rows in the order of their keys.
    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError>;
    /// All of it or nothing, on the medium when this returns; deleted and overwritten values are gone from it.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}

pub struct Row {
    pub key: Vec<u8>,
    pub value: Value,
}

/// Which rows to read: `Scan::prefix(b"m/").after(key).backwards().limit(50)`.
#[derive(Debug, Clone)]
pub struct Scan {
    pub prefix: Vec<u8>,
    /// Exclusive whole key, whatever the direction: only keys greater than this.
    pub after: Option<Vec<u8>>,
    /// Exclusive whole key: only keys smaller than this.
    pub before: Option<Vec<u8>>,
    pub backwards: bool,
    pub limit: usize,
}
impl Scan {
    pub fn prefix(prefix: impl Into<Vec<u8>>) -> Self {
        unimplemented!()
    }
    #[must_use]
    pub fn after(self, key: impl Into<Vec<u8>>) -> Self {
        unimplemented!()
    }
    #[must_use]
    pub fn before(self, key: impl Into<Vec<u8>>) -> Self {
        unimplemented!()
    }
    #[must_use]
    pub fn backwards(self) -> Self {
        unimplemented!()
    }
    #[must_use]
    pub fn limit(self, limit: usize) -> Self {
        unimplemented!()
    }
}

/// What one commit changes: keys with their new values, or deletions.
pub struct Batch {
    pub changes: std::collections::BTreeMap<Vec<u8>, Option<Value>>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("the local store failed: {0}")]
    Failed(String),
    #[error("the local store is full")]
    Full,
    #[error("the local store is corrupted: {0}")]
    Corrupted(String),
}

/// For tests, the virtual world and the start of a browser client.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
}
impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }
    /// Every row, for tests that search the medium.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))
    }
}
impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        unimplemented!()
    }
    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        unimplemented!()
    }
}

/// What the first byte of a key says about the row. This crate owns 0x00..=0x3f; everything from 0x40 is the application's.
pub const FIRST_APPLICATION_PREFIX: u8 = 0x40;

/// One operation's changes over a store: it reads its own writes, and ends as one [`Batch`] or not at all.
/// Interior mutability: everything takes `&Transaction`.
pub struct Transaction<'a> {
    store: &'a dyn Store,
}
impl<'a> Transaction<'a> {
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store }
    }
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        unimplemented!()
    }
    pub fn put(&self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        unimplemented!()
    }
    pub fn delete(&self, key: impl Into<Vec<u8>>) {
        unimplemented!()
    }
    pub fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        unimplemented!()
    }
    /// Everything written since, for `store.commit(..)`.
    pub fn into_batch(self) -> Batch {
        unimplemented!()
    }
    pub fn is_empty(&self) -> bool {
        unimplemented!()
    }
}

/// What every [`Store`] must pass. `reopen` closes the store and opens it again on the same medium.
pub fn conformance<S: Store>(store: S, reopen: impl FnMut(S) -> S) {
    unimplemented!()
}
