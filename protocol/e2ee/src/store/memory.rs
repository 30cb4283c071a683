//! A store in memory.

use super::{Batch, Row, Scan, Store, StoreError, Value};
use std::collections::BTreeMap;

/// For the virtual world, tests, and a browser client before it has a better one. A clone is a snapshot.
#[derive(Clone, Default)]
pub struct MemoryStore {
    rows: BTreeMap<Vec<u8>, Value>,
}

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every row, for whoever searches the medium.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let Some(range) = scan.range() else { return Ok(Vec::new()) };
        let row = |(key, value): (&Vec<u8>, &Value)| Row { key: key.clone(), value: value.clone() };
        let wanted = self.rows.range(range);
        Ok(if scan.backwards {
            wanted.rev().take(scan.limit).map(row).collect()
        } else {
            wanted.take(scan.limit).map(row).collect()
        })
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        for (key, value) in batch.changes {
            match value {
                Some(value) => drop(self.rows.insert(key, value)),
                None => drop(self.rows.remove(&key)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        crate::store::conformance(MemoryStore::new(), |store| store);
    }
}
