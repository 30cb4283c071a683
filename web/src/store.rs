//! The encrypted local store of a browser: a tree of pages in one private file, row secrets in another.
//!
//! The contract is that of [`Store`]. Atomic and durable is [`redb`]'s part: a commit writes new pages beside the old ones
//! and flushes before the root changes. *Gone is gone* is the part of [`RowKeys`]: free pages may keep what was deleted,
//! sealed under a secret that is overwritten. So a commit does as the node's store does: new secrets, then the rows that
//! name them, then the old secrets are cleared; what a crash leaves over is cleared at the next start.

use gathered::Gathered;
use rand_core::CryptoRng;
use redb::{
    AccessGuard, Builder, Database, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition,
};
use sotto_e2ee::store::{Batch, Row, Scan, Store, StoreError, Value};
use sotto_node_core::sealed::{Flat, RowKeys, Sealer, Slot, StoreKey};
use std::collections::HashSet;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
const HEADER: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("header");

/// What shows whether a key is the right one.
const KEY_CHECK: &[u8] = b"key check";
const KEY_CHECK_TEXT: &[u8] = b"this key opens this store";

/// The header's own secret is no secret: the header is never deleted.
const HEADER_SECRET: [u8; 32] = [0; 32];

/// Memory for pages that were read. A browser's tab has little, and what is asked for again lies together.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes before a sealed value that say which secret it uses.
const SLOT_BYTES: usize = size_of::<Slot>();

/// A row as the tree has it.
type Sealed = (Vec<u8>, Vec<u8>);

/// What the tree gives for each row of a range.
type Found<'a> = Result<(AccessGuard<'a, &'static [u8]>, AccessGuard<'a, &'static [u8]>), redb::StorageError>;

/// See the top of this file.
pub struct TreeStore<R> {
    tree: Database,
    row_keys: RowKeys<Box<dyn Flat>>,
    sealer: Sealer,
    rng: R,
    /// Goes into the next commit whatever that is: see [`Self::attach`].
    attached: Option<Row>,
}

/// What a store lies in.
pub struct Medium {
    /// Holds the tree.
    pub pages: Box<dyn StorageBackend>,
    /// Holds the row secrets.
    pub secrets: Box<dyn Flat>,
}

/// Why a store does not open. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The key is not the one that sealed it: the browser kept one of the two and threw the other away.
    #[error("this browser no longer has the key of what is stored here")]
    WrongKey,
    /// The browser failed, or gives no room.
    #[error("the browser's storage failed: {0}")]
    Failed(String),
    /// What is there is not what was written.
    #[error("what this browser stored is damaged: {0}")]
    Damaged(String),
}

impl<R: CryptoRng> TreeStore<R> {
    /// Opens what is there, or begins an empty store in empty files.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(medium: Medium, key: &StoreKey, rng: R) -> Result<Self, OpenError> {
        let Medium { pages, mut secrets } = medium;
        let failed = |error: std::io::Error| OpenError::Failed(error.to_string());
        if pages.len().map_err(failed)? == 0 {
            // A crash before the first commit may have left a file of secrets that nothing names.
            RowKeys::create(&mut secrets).map_err(failed)?;
        }
        let tree = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(Gathered::new(pages))
            .map_err(|error| match error {
                redb::DatabaseError::Storage(redb::StorageError::Io(error)) => failed(error),
                error => OpenError::Damaged(error.to_string()),
            })?;
        let row_keys = RowKeys::open(secrets)
            .map_err(failed)?
            .ok_or_else(|| OpenError::Damaged("the row keys are not what was written".to_owned()))?;
        let mut store = Self { tree, row_keys, sealer: Sealer::new(key), rng, attached: None };
        store.check_key()?;
        let named = store.slots_in_use().map_err(|error| OpenError::Damaged(error.to_string()))?;
        if named.iter().any(|slot| store.row_keys.secret(*slot).is_none()) {
            return Err(OpenError::Damaged("rows name keys that are not there".to_owned()));
        }
        store.row_keys.keep_only(&named).map_err(failed)?;
        Ok(store)
    }

    fn check_key(&mut self) -> Result<(), OpenError> {
        let damaged = |error: redb::Error| OpenError::Damaged(error.to_string());
        let check = self.header().map_err(damaged)?;
        match check {
            Some(sealed) => {
                let text = self.sealer.open(&HEADER_SECRET, KEY_CHECK, &sealed);
                match text {
                    Some(text) if text.as_slice() == KEY_CHECK_TEXT => Ok(()),
                    _ => Err(OpenError::WrongKey),
                }
            }
            None => self.begin().map_err(damaged),
        }
    }

    fn header(&self) -> Result<Option<Vec<u8>>, redb::Error> {
        let read = self.tree.begin_read()?;
        match read.open_table(HEADER) {
            Ok(header) => Ok(header.get(KEY_CHECK)?.map(|value| value.value().to_vec())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn begin(&mut self) -> Result<(), redb::Error> {
        let write = self.tree.begin_write()?;
        write.open_table(ROWS)?;
        let sealed = self.sealer.seal(&HEADER_SECRET, KEY_CHECK, KEY_CHECK_TEXT, &mut self.rng);
        write.open_table(HEADER)?.insert(KEY_CHECK, sealed.as_slice())?;
        write.commit()?;
        Ok(())
    }

    /// Puts a row into the next commit, whatever else is in that: what a request became and that it was taken are then there
    /// together, or neither is.
    pub fn attach(&mut self, row: Row) {
        self.attached = Some(row);
    }

    /// Takes back what no commit has taken.
    pub fn detach(&mut self) {
        self.attached = None;
    }

    fn slots_in_use(&self) -> Result<HashSet<Slot>, redb::Error> {
        let read = self.tree.begin_read()?;
        let rows = read.open_table(ROWS)?;
        let mut slots = HashSet::new();
        for row in rows.iter()? {
            slots.extend(slot_of(row?.1.value()));
        }
        Ok(slots)
    }

    fn unseal(&self, key: &[u8], sealed: &[u8]) -> Result<Value, StoreError> {
        let opened = sealed.split_first_chunk::<SLOT_BYTES>().and_then(|(slot, sealed)| {
            let secret = self.row_keys.secret(Slot::from_be_bytes(*slot))?;
            self.sealer.open(secret, key, sealed)
        });
        opened.ok_or_else(|| StoreError::Damaged("a value fails its authentication".to_owned()))
    }

    fn read_value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let read = self.tree.begin_read()?;
        let rows = read.open_table(ROWS)?;
        Ok(rows.get(key)?.map(|value| value.value().to_vec()))
    }

    /// What a scan asks for, still sealed.
    fn read_rows(&self, scan: &Scan) -> Result<Vec<Sealed>, redb::Error> {
        let read = self.tree.begin_read()?;
        let rows = read.open_table(ROWS)?;
        let Some((start, end)) = scan.range() else { return Ok(Vec::new()) };
        let range =
            rows.range::<&[u8]>((start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice)))?;
        let mut found = Vec::new();
        let mut take = |row: Found<'_>| {
            let (key, value) = row?;
            found.push((key.value().to_vec(), value.value().to_vec()));
            Ok::<(), redb::StorageError>(())
        };
        if scan.backwards {
            range.rev().take(scan.limit).try_for_each(&mut take)?;
        } else {
            range.take(scan.limit).try_for_each(&mut take)?;
        }
        Ok(found)
    }

    /// The batch as one transaction; gives the secrets that nothing names afterwards.
    fn apply(&mut self, batch: &Batch, fresh: &[Slot]) -> Result<Vec<Slot>, redb::Error> {
        let write = self.tree.begin_write()?;
        let mut old = Vec::new();
        {
            let mut rows = write.open_table(ROWS)?;
            let mut fresh = fresh.iter();
            for (key, value) in &batch.changes {
                let before = match value {
                    Some(value) => {
                        let slot = *fresh.next().expect("a secret was drawn for each value");
                        let secret = self.row_keys.secret(slot).expect("it was just drawn");
                        let mut sealed = slot.to_be_bytes().to_vec();
                        sealed.extend_from_slice(&self.sealer.seal(secret, key, value, &mut self.rng));
                        rows.insert(key.as_slice(), sealed.as_slice())?
                    }
                    None => rows.remove(key.as_slice())?,
                };
                old.extend(before.and_then(|value| slot_of(value.value())));
            }
        }
        write.commit()?;
        Ok(old)
    }
}

impl<R: CryptoRng> Store for TreeStore<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let sealed = self.read_value(key).map_err(|error| judge(&error))?;
        sealed.map(|sealed| self.unseal(key, &sealed)).transpose()
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let sealed = self.read_rows(scan).map_err(|error| judge(&error))?;
        let open = |(key, sealed): Sealed| {
            let value = self.unseal(&key, &sealed)?;
            Ok(Row { key, value })
        };
        sealed.into_iter().map(open).collect()
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let sealed = self.read_rows(&Scan::prefix(prefix)).map_err(|error| judge(&error))?;
        Ok(sealed.into_iter().map(|(key, _)| key).collect())
    }

    fn commit(&mut self, mut batch: Batch) -> Result<(), StoreError> {
        if let Some(Row { key, value }) = self.attached.take() {
            batch.changes.insert(key, Some(value));
        }
        if batch.is_empty() {
            return Ok(());
        }
        let values = batch.changes.values().filter(|value| value.is_some()).count();
        let fresh = self.row_keys.draw(values, &mut self.rng).map_err(|error| io_fault(&error))?;
        let gone = match self.apply(&batch, &fresh) {
            Ok(old) => (old, Ok(())),
            Err(error) => (fresh, Err(judge(&error))),
        };
        // The commit itself stands; what could not be cleared is tried again with the next one.
        let _later = self.row_keys.clear(gone.0);
        gone.1
    }
}

fn slot_of(sealed: &[u8]) -> Option<Slot> {
    sealed.first_chunk().map(|slot| Slot::from_be_bytes(*slot))
}

fn judge(error: &redb::Error) -> StoreError {
    match error {
        redb::Error::Io(error) => io_fault(error),
        redb::Error::Corrupted(what) => StoreError::Damaged(what.clone()),
        other => StoreError::Failed(other.to_string()),
    }
}

fn io_fault(error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        StoreError::Full
    } else {
        StoreError::Failed(error.to_string())
    }
}

mod gathered;
pub mod memory;

#[cfg(test)]
mod tests;
