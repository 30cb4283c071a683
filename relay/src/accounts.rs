//! Where accounts are kept: a sled database of its own, as a table for [`sotto_signaling::store::Embedded`].
//!
//! `Embedded` brings the one committer thread and its group commit; this brings what a batch needs to be
//! durable. sled's own flush only starts writing (it survives a killed process, not a power cut), so an
//! fsync of its file follows before anybody is answered.

use crate::store::{Disk, half_snapshots, shards};
use sotto_signaling::store::StoreError;
use sotto_signaling::store::table::{Reader, Row, Table, Writes};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// The file inside sled's folder that holds its records.
const SLED_FILE: &str = "db";

/// Memory for pages: accounts, sessions and key packages of some thousand accounts.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes that sled takes for one byte (measured: 4.1).
const SLED_OVERHEAD: u64 = 5;

/// The version of the rows' layout, under a key of its own. A newer one is refused, never changed.
const FORMAT_KEY: &[u8] = b"\0format";
const FORMAT: &[u8] = b"1";

/// Why the accounts cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountsError {
    /// sled does not open the folder.
    #[error("cannot open the accounts in {}: {source}; if the disk is full make room, if files are damaged restore a backup", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// sled's words.
        source: sled::Error,
    },
    /// The file to fsync cannot be opened.
    #[error("cannot open the accounts' file in {}: {source}", path.display())]
    File {
        /// The folder.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// Another program version wrote them.
    #[error("the accounts in {} were written in format {found:?}, this program reads {FORMAT:?}; use the newer program", path.display())]
    Format {
        /// The folder.
        path: PathBuf,
        /// What stands there.
        found: Vec<u8>,
    },
}

/// The table of accounts, on disk.
#[derive(Debug)]
pub struct SledTable {
    db: sled::Db,
    file: File,
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    reserve_bytes: u64,
    broken: watch::Sender<Option<String>>,
    /// Held while a batch is written, and while all rows are read.
    writing: Mutex<()>,
}

impl SledTable {
    /// Opens the folder, or makes it. What is received turns to a reason when a write failed: the process has
    /// to end then, because nobody knows what a failed fsync left behind. sled cannot go on after a write that
    /// did not fit, so nothing is written while the disk has less than `reserve_bytes` free.
    ///
    /// # Errors
    /// If it cannot be read or written, or is of another format.
    pub fn open(
        path: &Path,
        disk: Arc<dyn Disk>,
        reserve_bytes: u64,
    ) -> Result<(Self, watch::Receiver<Option<String>>), AccountsError> {
        let at = || path.to_owned();
        half_snapshots::forget(path).map_err(|source| AccountsError::File { path: at(), source })?;
        let db = shards::open_patiently(&config().path(path))
            .map_err(|source| AccountsError::Open { path: at(), source })?;
        let file =
            File::open(path.join(SLED_FILE)).map_err(|source| AccountsError::File { path: at(), source })?;
        let (broken, breaks) = watch::channel(None);
        let table = Self {
            db,
            file,
            folder: path.to_owned(),
            disk,
            reserve_bytes,
            broken,
            writing: Mutex::default(),
        };
        let format = table.db.get(FORMAT_KEY).map_err(|source| AccountsError::Open { path: at(), source })?;
        match format {
            None => {
                let mark = || -> sled::Result<()> {
                    table.db.insert(FORMAT_KEY, FORMAT)?;
                    table.db.flush()?;
                    Ok(())
                };
                mark().map_err(|source| AccountsError::Open { path: at(), source })?;
                let sync = || {
                    table.file.sync_all()?;
                    File::open(path)?.sync_all()
                };
                sync().map_err(|source| AccountsError::File { path: at(), source })?;
            }
            Some(found) if found.as_ref() == FORMAT => {}
            Some(found) => return Err(AccountsError::Format { path: at(), found: found.to_vec() }),
        }
        Ok((table, breaks))
    }
}

/// How the accounts' database is made.
pub(crate) fn config() -> sled::Config {
    sled::Config::new().cache_capacity(CACHE_BYTES).flush_every_ms(None)
}

fn failed(error: &sled::Error) -> StoreError {
    match error {
        sled::Error::Io(io) if io.kind() == io::ErrorKind::StorageFull => StoreError::Full,
        other => StoreError::Failed(other.to_string()),
    }
}

impl Reader for SledTable {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get(key).map_err(|error| failed(&error))?.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Row>, StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix),
        };
        self.db
            .range::<&[u8], _>((start, Bound::Unbounded))
            .take_while(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
            .take(limit)
            .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(|error| failed(&error)))
            .collect()
    }
}

impl SledTable {
    /// Gives every row, as they were at one moment: changes of accounts wait meanwhile, messages do not.
    ///
    /// # Errors
    /// What `each` fails with; or if a row does not read.
    pub fn dump<E: From<AccountsError>>(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        for row in self.db.iter() {
            let failed = |source| AccountsError::Open { path: self.folder.clone(), source };
            let (key, value) = row.map_err(failed)?;
            each(&key, &value)?;
        }
        Ok(())
    }

    /// Whether the disk has room for a batch and what sled makes of it.
    fn has_room(&self, writes: &Writes) -> Result<bool, StoreError> {
        let bytes: usize =
            writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        let needed = self.reserve_bytes.saturating_add(SLED_OVERHEAD.saturating_mul(bytes as u64));
        let free = self.disk.free_bytes(&self.folder);
        free.map(|free| free >= needed).map_err(|error| StoreError::Failed(error.to_string()))
    }
}

impl Table for SledTable {
    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let start = Instant::now();
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Removing makes room some day: it is never refused.
        if writes.values().any(Option::is_some) && !self.has_room(writes)? {
            return Err(StoreError::Full);
        }
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        let write = || -> sled::Result<()> {
            self.db.apply_batch(batch)?;
            self.db.flush()?;
            self.disk.sync(&self.file).map_err(sled::Error::Io)
        };
        // A batch that was applied and not synced may be visible: nothing may be promised on top of it, so
        // every failure is fatal here, a disk that filled up in between too.
        write().map_err(|error| {
            self.broken.send_replace(Some(error.to_string()));
            StoreError::Failed(error.to_string())
        })?;
        metrics::histogram!(crate::metrics::ACCOUNTS_COMMIT_SECONDS).record(start.elapsed());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RealDisk;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn open(path: &Path) -> SledTable {
        SledTable::open(path, Arc::new(RealDisk), 0).unwrap().0
    }

    fn rows(table: &SledTable, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Row> {
        table.scan(prefix, after, limit).unwrap()
    }

    fn put(key: &str) -> Writes {
        [(key.as_bytes().to_vec(), Some(vec![1]))].into()
    }

    #[test]
    fn rows_are_scanned_in_order_within_their_prefix_and_survive_a_reopen() {
        let home = tempfile::tempdir().unwrap();
        let row = |key: &str| (key.as_bytes().to_vec(), vec![1]);
        {
            let table = open(home.path());
            for key in ["b/2", "a/1", "b/1", "b/3", "c"] {
                table.apply(&put(key)).unwrap();
            }
            table.apply(&[(b"b/3".to_vec(), None)].into()).unwrap();
        }
        let table = open(home.path());
        assert_eq!(rows(&table, b"b/", None, 9), [row("b/1"), row("b/2")]);
        assert_eq!(rows(&table, b"b/", Some(b"b/1"), 9), [row("b/2")]);
        assert_eq!(rows(&table, b"b/", Some(b"a/9"), 1), [row("b/1")]);
        assert_eq!(table.get(b"b/3").unwrap(), None);
    }

    #[test]
    fn another_format_is_refused_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        open(home.path()).apply(&[(FORMAT_KEY.to_vec(), Some(b"9".to_vec()))].into()).unwrap();
        let error = SledTable::open(home.path(), Arc::new(RealDisk), 0).unwrap_err().to_string();
        assert!(error.contains("use the newer program"), "{error}");
    }

    #[derive(Debug, Default)]
    struct FaultyDisk {
        full: AtomicBool,
        fails: AtomicBool,
    }

    impl Disk for FaultyDisk {
        fn sync(&self, _: &File) -> io::Result<()> {
            let failed = || Err(io::Error::other("injected"));
            if self.fails.load(Ordering::SeqCst) { failed() } else { Ok(()) }
        }

        fn free_bytes(&self, _: &Path) -> io::Result<u64> {
            Ok(if self.full.load(Ordering::SeqCst) { 999 } else { 1 << 30 })
        }
    }

    #[test]
    fn a_full_disk_refuses_what_is_new_and_keeps_serving_reads() {
        let home = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        let (table, broken) = SledTable::open(home.path(), disk.clone(), 1_000).unwrap();
        table.apply(&put("a")).unwrap();
        disk.full.store(true, Ordering::SeqCst);
        assert_eq!(table.apply(&put("b")), Err(StoreError::Full));
        assert_eq!(table.get(b"a").unwrap(), Some(vec![1]));
        table.apply(&[(b"a".to_vec(), None)].into()).unwrap();
        disk.full.store(false, Ordering::SeqCst);
        table.apply(&put("b")).unwrap();
        assert_eq!(*broken.borrow(), None);
    }

    #[test]
    fn a_failed_fsync_is_told_to_whoever_ends_the_process() {
        let home = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::default());
        let (table, broken) = SledTable::open(home.path(), disk.clone(), 0).unwrap();
        disk.fails.store(true, Ordering::SeqCst);
        assert!(matches!(table.apply(&put("a")), Err(StoreError::Failed(_))));
        assert!(broken.borrow().as_deref().unwrap().contains("injected"));
    }

    #[test]
    fn a_table_whose_opening_was_killed_opens_again() {
        let home = tempfile::tempdir().unwrap();
        let key = put("a");
        open(home.path()).apply(&key).unwrap();
        std::fs::write(home.path().join("snap.FFFFFFFFFFFFFFFF.generating"), b"half").unwrap();
        assert_eq!(rows(&open(home.path()), b"a", None, 1).len(), 1);
    }
}
