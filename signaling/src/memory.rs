//! Everything in memory: the store of tests, and the reference that others are compared with.

use crate::store::table::{Reader, Row, Table, Writes, range};
use crate::store::{Embedded, StoreError};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// A table in memory. Durable for as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryTable(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);

/// An empty store in memory.
#[must_use]
pub fn store() -> Embedded<MemoryTable> {
    Embedded::open(MemoryTable::default())
}

impl Reader for MemoryTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let rows = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Ok(range(&rows, prefix, after).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

impl Table for MemoryTable {
    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut rows = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            match value {
                Some(value) => rows.insert(key.clone(), value.clone()),
                None => rows.remove(key),
            };
        }
        Ok(())
    }
}
