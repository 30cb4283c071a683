//! A store in memory.

use super::{Batch, Row, Scan, Store, StoreError, Value};
use std::collections::BTreeMap;
use std::ops::Bound;

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
        let after_prefix = successor(&scan.prefix);
        let start = match &scan.after {
            Some(after) if *after >= scan.prefix => Bound::Excluded(after),
            _ => Bound::Included(&scan.prefix),
        };
        let end = [scan.before.as_ref(), after_prefix.as_ref()].into_iter().flatten().min();
        let (Bound::Included(first) | Bound::Excluded(first)) = start else {
            return Ok(Vec::new());
        };
        if end.is_some_and(|end| first >= end) {
            return Ok(Vec::new());
        }
        let row = |(key, value): (&Vec<u8>, &Value)| Row { key: key.clone(), value: value.clone() };
        let wanted = self.rows.range::<Vec<u8>, _>((start, end.map_or(Bound::Unbounded, Bound::Excluded)));
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

/// The first key after all keys that start with `prefix`; `None` if there is none.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut key = prefix.get(..=last)?.to_vec();
    let byte = key.last_mut()?;
    *byte = byte.saturating_add(1);
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        crate::store::conformance(MemoryStore::new(), |store| store);
    }
}
