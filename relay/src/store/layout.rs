//! The folder of a store.
//!
//! ```text
//! FORMAT            the format, checked at every opening
//! ABOUT             the length of time that one shard takes in
//! LOCK              held by the process that has it open
//! checkpoint/       a sled database: the last checkpoint
//! shards/           one folder for each shard, named by its number, each a sled database; one that is being
//!                   made is called new-..., one that is being deleted gone-..., as is a copy while the space
//!                   of what is gone is given back (`compact`)
//! ```

use super::about::About;
use super::{Disk, SledOptions, StoreError, migrate};
use crate::folder::Lock;
use sotto_relay_core::conversation::ShardId;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that is being deleted has this before its number.
pub(super) const GONE: &str = "gone-";

/// An open folder; the lock ends with it.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
    pub(super) about: About,
    _lock: Lock,
}

impl Layout {
    /// Locks the folder, making it if it is missing, and brings an older format up to this program's.
    pub(super) fn open(options: &SledOptions) -> Result<Self, StoreError> {
        let folder = &options.folder;
        let shards = folder.join("shards");
        fs::create_dir_all(&shards).map_err(StoreError::io("cannot make the folder", &shards))?;
        let path = folder.join("LOCK");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(StoreError::io("cannot open", &path))?;
        let lock = Lock::take(lock).map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse { folder: folder.clone() },
            TryLockError::Error(source) => StoreError::io("cannot lock", &path)(source),
        })?;
        migrate::bring_up(folder, options)?;
        let about = About::read(folder, options)?;
        let layout = Self { folder: folder.clone(), about, _lock: lock };
        layout.clean()?;
        Ok(layout)
    }

    /// Finishes deletions that were interrupted.
    fn clean(&self) -> Result<(), StoreError> {
        for name in self.names()? {
            if name.starts_with(GONE) {
                let path = self.shards().join(name);
                fs::remove_dir_all(&path).map_err(StoreError::io("cannot delete", &path))?;
            }
        }
        Ok(())
    }

    pub(super) fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    pub(super) fn shards(&self) -> PathBuf {
        self.folder.join("shards")
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        names(&self.shards())
    }

    /// The shards that are there, in order.
    pub(super) fn list(&self) -> Result<Vec<ShardId>, StoreError> {
        list(&self.shards())
    }

    /// Deletes a shard, so that a crash in the middle leaves nothing that looks like a whole one.
    pub(super) fn delete(&self, shard: ShardId, disk: &dyn Disk) -> Result<(), StoreError> {
        let path = shard_folder(&self.shards(), shard);
        let gone = self.shards().join(format!("{GONE}{}", shard.0));
        fs::rename(&path, &gone).map_err(StoreError::io("cannot rename", &path))?;
        sync_path(disk, &self.shards())?;
        fs::remove_dir_all(&gone).map_err(StoreError::io("cannot delete", &gone))
    }
}

fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let entries = fs::read_dir(folder).map_err(StoreError::io("cannot list", folder))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    names.collect::<io::Result<_>>().map_err(StoreError::io("cannot list", folder))
}

/// The shards in a folder, in order.
pub(super) fn list(folder: &Path) -> Result<Vec<ShardId>, StoreError> {
    let mut shards: Vec<ShardId> =
        names(folder)?.iter().filter_map(|name| name.parse().ok().map(ShardId)).collect();
    shards.sort_unstable();
    Ok(shards)
}

/// Zero-padded, so that a listing is in order of time.
pub(super) fn shard_folder(shards: &Path, shard: ShardId) -> PathBuf {
    shards.join(format!("{:012}", shard.0))
}

/// Fsyncs a file or a folder by its path.
pub(super) fn sync_path(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let file = File::open(path).map_err(StoreError::io("cannot open", path))?;
    disk.sync(&file).map_err(|source| StoreError::Sync { file: path.to_owned(), source })
}
