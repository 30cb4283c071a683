//! A transaction: what one operation changes, read back as it is written, and committed whole or not at all.

use super::{Batch, Row, Scan, Store, StoreError, Value};
use sotto_protocol::ordered::one_by_one;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// One operation's changes over a store.
///
/// Everything takes `&Transaction`: OpenMLS writes through shared references. End it by
/// [`Transaction::into_batch`] and [`Store::commit`], or drop it, and nothing happened; then whatever was read
/// through it (a [`Conversation`](crate::conversation::Conversation), above all) has to be loaded again.
pub struct Transaction<'a> {
    store: &'a dyn Store,
    /// The last layer takes the writes; it hides the ones before it, and they hide the store.
    layers: RefCell<Vec<Layer>>,
}

/// Keys with their new values, `None` to delete.
type Layer = BTreeMap<Vec<u8>, Option<Value>>;

impl<'a> Transaction<'a> {
    /// Begins.
    #[must_use]
    pub fn new(store: &'a dyn Store) -> Self {
        Self { store, layers: RefCell::new(vec![Layer::new()]) }
    }

    /// The value of a key, as this transaction leaves it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        match self.layers.borrow().iter().rev().find_map(|layer| layer.get(key)) {
            Some(change) => Ok(change.clone()),
            None => self.store.get(key),
        }
    }

    /// Sets a value.
    pub fn put(&self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.change(key.into(), Some(Value::new(value.into())));
    }

    /// Deletes a key.
    pub fn delete(&self, key: impl Into<Vec<u8>>) {
        self.change(key.into(), None);
    }

    fn change(&self, key: Vec<u8>, change: Option<Value>) {
        if let Some(layer) = self.layers.borrow_mut().last_mut() {
            layer.insert(key, change);
        }
    }

    /// Rows as this transaction leaves them.
    ///
    /// # Errors
    /// If the store fails.
    pub fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let layers = self.layers.borrow();
        let changed: BTreeMap<_, _> =
            one_by_one(layers.iter().flat_map(|layer| layer.iter().filter(|(key, _)| scan.wants(key))));
        if changed.is_empty() {
            return self.store.scan(scan);
        }
        // Each change can hide one row of the store, so that many more rows are enough.
        let mut below = scan.clone();
        below.limit = scan.limit.saturating_add(changed.len());
        let mut rows: BTreeMap<Vec<u8>, Value> =
            one_by_one(self.store.scan(&below)?.into_iter().map(|row| (row.key, row.value)));
        for (key, change) in changed {
            match change {
                Some(value) => drop(rows.insert(key.clone(), value.clone())),
                None => drop(rows.remove(key)),
            }
        }
        let row = |(key, value)| Row { key, value };
        Ok(if scan.backwards {
            rows.into_iter().rev().take(scan.limit).map(row).collect()
        } else {
            rows.into_iter().take(scan.limit).map(row).collect()
        })
    }

    /// The keys that start with `prefix` in the store, what this transaction changes aside.
    ///
    /// # Errors
    /// If the store fails.
    pub fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.keys(prefix)
    }

    /// What this transaction changes under a prefix so far: keys with their new values, `None` where it deletes.
    #[must_use]
    pub fn changed(&self, prefix: &[u8]) -> Layer {
        let layers = self.layers.borrow();
        let changes = layers.iter().flatten().filter(|(key, _)| key.starts_with(prefix));
        one_by_one(changes.map(|(key, value)| (key.clone(), value.clone())))
    }

    /// Deletes every row whose key starts with `prefix`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn delete_prefix(&self, prefix: &[u8]) -> Result<(), StoreError> {
        let mut keys = self.store.keys(prefix)?;
        keys.extend(
            self.layers
                .borrow()
                .iter()
                .flat_map(|layer| layer.keys().filter(|key| key.starts_with(prefix)).cloned()),
        );
        keys.into_iter().for_each(|key| self.delete(key));
        Ok(())
    }

    /// Whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.borrow().iter().all(BTreeMap::is_empty)
    }

    /// Everything that was changed, for [`Store::commit`].
    #[must_use]
    pub fn into_batch(self) -> Batch {
        Batch { changes: one_by_one(self.layers.into_inner().into_iter().flatten()) }
    }

    /// Runs an operation whose changes are forgotten if it fails.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn nested<T, E>(&self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.layers.borrow_mut().push(Layer::new());
        let result = operation();
        let mut layers = self.layers.borrow_mut();
        let top = layers.pop().unwrap_or_default();
        if let (Ok(_), Some(layer)) = (&result, layers.last_mut()) {
            layer.extend(top);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;
    use proptest::prelude::*;

    fn keys(rows: &[Row]) -> Vec<&[u8]> {
        rows.iter().map(|row| row.key.as_slice()).collect()
    }

    #[test]
    fn a_transaction_reads_its_own_writes_and_the_store_sees_none_of_them() {
        let mut store = MemoryStore::new();
        let first = Transaction::new(&store);
        first.put(*b"a1", *b"old");
        first.put(*b"a2", *b"kept");
        let batch = first.into_batch();
        store.commit(batch).expect("memory");

        let second = Transaction::new(&store);
        second.put(*b"a1", *b"new");
        second.put(*b"a3", *b"more");
        second.delete(*b"a2");
        assert_eq!(second.get(b"a1").expect("memory").expect("written").as_slice(), b"new");
        assert_eq!(second.get(b"a2").expect("memory"), None);
        assert_eq!(keys(&second.scan(&Scan::prefix(*b"a")).expect("memory")), [b"a1", b"a3"]);
        assert_eq!(store.get(b"a1").expect("memory").expect("written").as_slice(), b"old");
    }

    #[test]
    fn a_failed_nested_operation_forgets_only_its_own_changes() {
        let store = MemoryStore::new();
        let transaction = Transaction::new(&store);
        transaction.put(*b"before", *b"1");
        let failed: Result<(), ()> = transaction.nested(|| {
            transaction.put(*b"after", *b"2");
            transaction.delete(*b"before");
            assert!(
                transaction.get(b"before").expect("memory").is_none(),
                "the operation reads its own writes"
            );
            Err(())
        });
        assert_eq!(failed, Err(()));
        let kept: Result<(), ()> = transaction.nested(|| {
            transaction.put(*b"kept", *b"3");
            Ok(())
        });
        assert_eq!(kept, Ok(()));
        assert!(transaction.get(b"before").expect("memory").is_some());
        assert!(transaction.get(b"after").expect("memory").is_none());
        assert_eq!(transaction.into_batch().changes.len(), 2);
    }

    proptest! {
        #[test]
        fn a_scan_over_changes_is_the_scan_after_the_commit(
            old in proptest::collection::btree_map("[ab][a-c]{0,2}", "[a-z]{0,3}", 0..12),
            changes in proptest::collection::btree_map("[ab][a-c]{0,2}", proptest::option::of("[a-z]{0,3}"), 0..12),
            prefix in "[ab]?", after in proptest::option::of("[ab][a-c]{0,2}"),
            before in proptest::option::of("[ab][a-c]{0,2}"), backwards: bool, limit in 0usize..6,
        ) {
            let mut store = MemoryStore::new();
            let written = Transaction::new(&store);
            for (key, value) in &old {
                written.put(key.as_bytes(), value.as_bytes());
            }
            let batch = written.into_batch();
            store.commit(batch).expect("memory");
            let scan = Scan {
                prefix: prefix.into_bytes(),
                after: after.map(String::into_bytes),
                before: before.map(String::into_bytes),
                backwards,
                limit,
            };
            let transaction = Transaction::new(&store);
            for (key, value) in &changes {
                match value {
                    Some(value) => transaction.put(key.as_bytes(), value.as_bytes()),
                    None => transaction.delete(key.as_bytes()),
                }
            }
            let seen = transaction.scan(&scan).expect("memory");
            let batch = transaction.into_batch();
            store.commit(batch).expect("memory");
            prop_assert!(seen == store.scan(&scan).expect("memory"));
        }
    }
}
