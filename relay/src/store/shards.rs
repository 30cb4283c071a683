//! sled databases that are synced: one, and the set of open shards.

use super::keys::{PIECE_BYTES, SEGMENT_BYTES};
use super::layout::{shard_folder, sync_path};
use super::{BatchNumber, Disk, SledOptions, StoreError, SyncMode, Took, half_snapshots, keys};
use bytes::Bytes;
use sled::IVec;
use sotto_relay_core::conversation::ShardId;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A database that is being made has this before its name.
const NEW: &str = "new-";

/// A sled database whose `flush` is followed by an fsync of its file (sled's own is `sync_file_range`, which
/// survives `kill -9` and loses everything on a power cut).
#[derive(Debug)]
pub(super) struct SyncedDb {
    db: sled::Db,
    folder: PathBuf,
    file: File,
    sync: SyncMode,
    disk: Arc<dyn Disk>,
}

impl SyncedDb {
    pub(super) fn open(folder: &Path, options: &SledOptions) -> Result<Self, StoreError> {
        if !folder.exists() {
            Self::make(folder, options)?;
        }
        Self::open_made(folder, options)
    }

    /// Makes an empty database under another name and gives it its own when it is on the disk, so that a power
    /// cut in the middle leaves none rather than half of one.
    fn make(folder: &Path, options: &SledOptions) -> Result<(), StoreError> {
        let parent = folder.parent().unwrap_or(folder);
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let new = parent.join(format!("{NEW}{name}"));
        if new.exists() {
            std::fs::remove_dir_all(&new).map_err(StoreError::io("cannot delete", &new))?;
        }
        let made = Self::open_made(&new, options)?;
        made.flush()?;
        drop(made);
        if options.sync == SyncMode::FlushAndFsync {
            for path in [&new.join("conf"), &new.join("db"), &new] {
                sync_path(&*options.disk, path)?;
            }
        }
        std::fs::rename(&new, folder).map_err(StoreError::io("cannot rename", &new))?;
        if options.sync == SyncMode::FlushAndFsync {
            sync_path(&*options.disk, parent)?;
        }
        Ok(())
    }

    fn open_made(folder: &Path, options: &SledOptions) -> Result<Self, StoreError> {
        half_snapshots::forget(folder).map_err(StoreError::io("cannot clean", folder))?;
        let db = open_patiently(&config(options).path(folder)).map_err(|error| sled_error(folder, error))?;
        let path = folder.join("db");
        let file = File::open(&path).map_err(StoreError::io("cannot open", &path))?;
        Ok(Self { db, folder: folder.to_owned(), file, sync: options.sync, disk: options.disk.clone() })
    }

    pub(super) fn tree(&self, name: &str) -> Result<sled::Tree, StoreError> {
        self.db.open_tree(name).map_err(|error| self.error(error))
    }

    pub(super) fn error(&self, error: sled::Error) -> StoreError {
        sled_error(&self.folder, error)
    }

    /// Returns when all that was applied is on the disk.
    pub(super) fn flush(&self) -> Result<Took, StoreError> {
        let begin = Instant::now();
        self.db.flush().map_err(|error| self.error(error))?;
        let flushed = Instant::now();
        if self.sync == SyncMode::FlushAndFsync {
            let failed = |source| StoreError::Sync { file: self.folder.join("db"), source };
            self.disk.sync(&self.file).map_err(failed)?;
        }
        Ok(Took { write: begin.elapsed(), fsync: flushed.elapsed() })
    }
}

/// How the databases of a log are made. Nothing is flushed by sled's own thread: the committer says when.
pub(super) fn config(options: &SledOptions) -> sled::Config {
    sled::Config::new().segment_size(SEGMENT_BYTES).cache_capacity(options.cache_bytes).flush_every_ms(None)
}

/// Opens a database. This process holds the lock of the whole store, so whoever still has this one open is a
/// thread of sled's (or a reader) that is about to close it.
pub(crate) fn open_patiently(config: &sled::Config) -> sled::Result<sled::Db> {
    let is_locked = |error: &sled::Error| matches!(error, sled::Error::Io(error) if error.to_string().contains("could not acquire lock"));
    for _ in 0..100 {
        match config.open() {
            Err(error) if is_locked(&error) => std::thread::sleep(Duration::from_millis(20)),
            other => return other,
        }
    }
    config.open()
}

pub(super) fn sled_error(folder: &Path, error: sled::Error) -> StoreError {
    match error {
        sled::Error::Io(source) if is_full(&source) => StoreError::Full { folder: folder.to_owned() },
        sled::Error::Io(source) => StoreError::io("cannot use the database", folder)(source),
        sled::Error::Corruption { .. } => StoreError::damaged(folder, error.to_string()),
        other => StoreError::Internal(format!("{} ({})", other, folder.display())),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// One shard: the batches of a stretch of time, and the index of the runs in them.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) id: ShardId,
    pub(super) db: SyncedDb,
    pub(super) batches: sled::Tree,
    pub(super) runs: sled::Tree,
}

impl Shard {
    fn open(shards: &Path, id: ShardId, options: &SledOptions) -> Result<Self, StoreError> {
        let db = SyncedDb::open(&shard_folder(shards, id), options)?;
        let batches = db.tree("batches")?;
        let runs = db.tree("runs")?;
        Ok(Self { id, db, batches, runs })
    }

    /// Writes a batch in pieces, all or nothing.
    pub(super) fn write(&self, number: BatchNumber, batch: &[u8]) -> Result<Took, StoreError> {
        let begin = Instant::now();
        self.apply(number, batch)?;
        let flushed = self.db.flush()?;
        Ok(Took { write: begin.elapsed(), fsync: flushed.fsync })
    }

    /// Writes batches with one flush for all of them.
    pub(super) fn write_all(&self, batches: &[(BatchNumber, Bytes)]) -> Result<(), StoreError> {
        for (number, batch) in batches {
            self.apply(*number, batch)?;
        }
        self.db.flush().map(|_| ())
    }

    fn apply(&self, number: BatchNumber, batch: &[u8]) -> Result<(), StoreError> {
        let mut writes = sled::Batch::default();
        for (piece, bytes) in (0u32..).zip(batch.chunks(PIECE_BYTES)) {
            writes.insert(IVec::from(&keys::batch_piece(number, piece)), IVec::from(bytes));
        }
        self.batches.apply_batch(writes).map_err(|error| self.db.error(error))
    }
}

/// The shards that are open: the newest, and those that were read last.
#[derive(Debug)]
pub(super) struct Shards {
    folder: PathBuf,
    options: SledOptions,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    shards: BTreeMap<ShardId, (Arc<Shard>, u64)>,
    clock: u64,
}

impl Shards {
    pub(super) fn new(folder: PathBuf, options: SledOptions) -> Self {
        Self { folder, options, open: Mutex::default() }
    }

    /// Where they are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a shard, or makes it.
    pub(super) fn make(&self, id: ShardId) -> Result<Arc<Shard>, StoreError> {
        self.with(id, true)
            .and_then(|shard| shard.ok_or_else(|| StoreError::Internal("a shard was not made".to_owned())))
    }

    /// Opens a shard; `None` if it is not there.
    pub(super) fn get(&self, id: ShardId) -> Result<Option<Arc<Shard>>, StoreError> {
        self.with(id, false)
    }

    fn with(&self, id: ShardId, make: bool) -> Result<Option<Arc<Shard>>, StoreError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.clock = open.clock.saturating_add(1);
        let now = open.clock;
        if let Some((shard, used)) = open.shards.get_mut(&id) {
            *used = now;
            return Ok(Some(shard.clone()));
        }
        if !make && !shard_folder(&self.folder, id).exists() {
            return Ok(None);
        }
        let shard = Arc::new(Shard::open(&self.folder, id, &self.options)?);
        open.shards.insert(id, (shard.clone(), now));
        self.evict(&mut open);
        Ok(Some(shard))
    }

    /// Closes what was used longest ago. One that a reader holds stays open: sled opens a folder once only.
    fn evict(&self, open: &mut Open) {
        while open.shards.len() > self.options.open_shards_max.saturating_add(1) {
            let idle = open.shards.iter().filter(|(_, (shard, _))| Arc::strong_count(shard) == 1);
            let Some(oldest) = idle.min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id) else { return };
            open.shards.remove(&oldest);
        }
    }

    /// Closes a shard that is about to be deleted; readers that hold it read on from the open files.
    pub(super) fn close(&self, id: ShardId) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).shards.remove(&id);
    }
}
