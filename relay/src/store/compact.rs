//! Giving back the space of what is gone: each database is written anew beside its place, and takes it.
//!
//! ```text
//! copy to gone-compact -> held against the old one -> on the disk -> the two change places in one step -> the old one is deleted
//! ```
//!
//! sled never makes its files smaller, whatever is removed or replaced in them. Interrupted at any moment, each
//! database is either the old one or the new one, whole, and both hold the same; what is left of the other is deleted
//! when the log is opened the next time.

use super::layout::{GONE, Layout, shard_folder, sync_path};
use super::{Disk, SledOptions, StoreError, half_snapshots, shards};
use std::fs;
use std::path::{Path, PathBuf};

/// What is written to the new database at a time.
const STEP_BYTES: usize = 4 * 1024 * 1024;

/// A database that was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// Its folder.
    pub database: PathBuf,
    /// What it took on the disk.
    pub before_bytes: u64,
    /// What it takes now.
    pub after_bytes: u64,
}

/// Another database than those of the log, on the same disk, with the configuration that it was made with.
pub struct Other {
    /// Its folder.
    pub folder: PathBuf,
    /// Its configuration, without its folder.
    pub config: Box<dyn Fn() -> sled::Config>,
}

/// Writes every database of the log, and others, anew. No other process may have them open, which the lock of the log
/// and whoever calls this see to. `each` is told after each of them.
///
/// # Errors
/// If the disk has no room for the copy of a database, or fails. Those before it are done, those after it are as they were.
pub fn compact(
    options: &SledOptions,
    others: &[Other],
    each: &mut dyn FnMut(&Rewritten),
) -> Result<(), StoreError> {
    // Takes the lock, and deletes what an interruption has left.
    let layout = Layout::open(options)?;
    let scratch = layout.shards().join(format!("{GONE}compact"));
    let ids = layout.list()?.into_iter();
    let of_log = ids.map(|id| shard_folder(&layout.shards(), id)).chain([layout.checkpoint()]);
    let of_log = of_log.map(|folder| {
        let options = options.clone();
        Other { folder, config: Box::new(move || shards::config(&options)) }
    });
    for database in of_log.collect::<Vec<_>>().iter().chain(others) {
        if database.folder.exists() {
            each(&rewrite(database, &scratch, options)?);
        }
    }
    Ok(())
}

fn rewrite(database: &Other, scratch: &Path, options: &SledOptions) -> Result<Rewritten, StoreError> {
    let (folder, disk) = (database.folder.as_path(), &*options.disk);
    let before_bytes = bytes_of(folder)?;
    let free = disk.free_bytes(folder).map_err(StoreError::io("cannot ask the free space of", folder))?;
    if free < before_bytes.saturating_add(options.reserve_bytes) {
        return Err(StoreError::Full { folder: folder.to_owned() });
    }
    copy(database, scratch)?;
    sync_all(disk, scratch)?;
    exchange(folder, scratch)?;
    for changed in [folder.parent(), scratch.parent()].into_iter().flatten() {
        sync_path(disk, changed)?;
    }
    let after_bytes = bytes_of(folder)?;
    fs::remove_dir_all(scratch).map_err(StoreError::io("cannot delete", scratch))?;
    Ok(Rewritten { database: folder.to_owned(), before_bytes, after_bytes })
}

/// Copies every tree, and holds the copy against the original.
fn copy(database: &Other, to: &Path) -> Result<(), StoreError> {
    let folder = &database.folder;
    half_snapshots::forget(folder).map_err(StoreError::io("cannot clean", folder))?;
    let failed = |error| shards::sled_error(folder, error);
    let open = |path: &Path| shards::open_patiently(&(database.config)().path(path)).map_err(failed);
    let (old, new) = (open(folder)?, open(to)?);
    for name in old.tree_names() {
        let (from, into) = (old.open_tree(&name).map_err(failed)?, new.open_tree(&name).map_err(failed)?);
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for row in &from {
            let (key, value) = row.map_err(failed)?;
            bytes += key.len() + value.len();
            batch.insert(key, value);
            if bytes >= STEP_BYTES {
                into.apply_batch(std::mem::take(&mut batch)).map_err(failed)?;
                bytes = 0;
            }
        }
        into.apply_batch(batch).map_err(failed)?;
    }
    new.flush().map_err(failed)?;
    if old.checksum().map_err(failed)? != new.checksum().map_err(failed)? {
        return Err(StoreError::damaged(folder, "its copy is not what it is"));
    }
    Ok(())
}

/// Fsyncs every file and folder below a folder, and itself.
fn sync_all(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    for (path, kind) in entries(folder)? {
        if kind.is_dir() { sync_all(disk, &path)? } else { sync_path(disk, &path)? }
    }
    sync_path(disk, folder)
}

/// What the files below a folder take.
fn bytes_of(folder: &Path) -> Result<u64, StoreError> {
    let mut bytes = 0_u64;
    for (path, found) in entries(folder)? {
        let more = if found.is_dir() { bytes_of(&path)? } else { found.len() };
        bytes = bytes.saturating_add(more);
    }
    Ok(bytes)
}

fn entries(folder: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>, StoreError> {
    let entries = fs::read_dir(folder).map_err(StoreError::io("cannot list", folder))?;
    let found = entries.map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.metadata()?))));
    found.collect::<std::io::Result<_>>().map_err(StoreError::io("cannot list", folder))
}

/// Two folders change places, so that there is no moment without one of them.
#[cfg(target_os = "linux")]
fn exchange(one: &Path, other: &Path) -> Result<(), StoreError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|error| {
        StoreError::io("this file system does not exchange folders; nothing was changed:", one)(error.into())
    })
}

#[cfg(not(target_os = "linux"))]
fn exchange(one: &Path, _: &Path) -> Result<(), StoreError> {
    let error = std::io::Error::from(std::io::ErrorKind::Unsupported);
    Err(StoreError::io("this system does not exchange folders; nothing was changed:", one)(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{BatchNumber, LogStore as _, sled as store};
    use sotto_protocol::ids::UnixMillis;
    use std::ops::ControlFlow;

    fn batches(options: &SledOptions) -> Vec<(u64, Vec<u8>)> {
        let opened = store::open(options).unwrap();
        let export = opened.export();
        let mut found = Vec::new();
        for shard in export.shards().unwrap() {
            export
                .batches(shard, (BatchNumber(0), BatchNumber(u64::MAX)), &mut |number, batch| {
                    found.push((number.0, batch.to_vec()));
                    ControlFlow::Continue(())
                })
                .unwrap();
        }
        found
    }

    /// Rewrites rows again and again, as accounts and checkpoints are.
    fn churn(folder: &Path) {
        let db = config().path(folder).open().unwrap();
        for round in 0..40_u32 {
            for row in 0..200_u32 {
                db.insert(row.to_be_bytes(), vec![round.to_be_bytes()[3]; 2_000]).unwrap();
            }
            db.flush().unwrap();
        }
        (0..190_u32).for_each(|row| drop(db.remove(row.to_be_bytes()).unwrap()));
        db.flush().unwrap();
    }

    fn config() -> sled::Config {
        sled::Config::new().cache_capacity(1024 * 1024).flush_every_ms(None)
    }

    #[test]
    fn every_database_holds_the_same_afterwards_and_takes_no_more_than_it_needs() {
        let home = tempfile::tempdir().unwrap();
        let options = SledOptions::new(home.path().join("log"));
        let mut opened = store::open(&options).unwrap();
        opened.shard_at(UnixMillis(1_700_000_000_000)).unwrap();
        for number in 1..=50 {
            opened.append(BatchNumber(number), &vec![7; 5_000]).unwrap();
        }
        drop(opened);
        let accounts = home.path().join("accounts");
        churn(&accounts);
        let before = batches(&options);
        assert_eq!(before.len(), 50);
        // What an interruption leaves.
        let left = home.path().join("log/shards/gone-compact");
        fs::create_dir(&left).unwrap();

        let others = [Other { folder: accounts.clone(), config: Box::new(config) }];
        let mut told = Vec::new();
        compact(&options, &others, &mut |done| told.push(done.clone())).unwrap();
        let names: Vec<_> = told.iter().map(|done| done.database.file_name().unwrap().to_owned()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        let of_accounts = told.last().unwrap();
        assert!(of_accounts.after_bytes * 2 < of_accounts.before_bytes, "{of_accounts:?}");
        assert!(!left.exists());
        assert_eq!(batches(&options), before);
        let db = shards::open_patiently(&config().path(&accounts)).unwrap();
        let rows: Vec<_> = db.iter().map(|row| row.unwrap()).collect();
        assert_eq!(rows.len(), 10);
        assert!(rows.iter().all(|(_, value)| value.as_ref() == vec![39; 2_000]));
    }

    #[test]
    fn a_log_that_is_in_use_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let options = SledOptions::new(home.path().join("log"));
        let opened = store::open(&options).unwrap();
        let refused = compact(&options, &[], &mut |_| panic!("it was rewritten"));
        assert!(matches!(refused, Err(StoreError::InUse { .. })), "{refused:?}");
        drop(opened);
    }

    #[test]
    fn without_room_for_a_copy_nothing_is_changed() {
        let home = tempfile::tempdir().unwrap();
        let options = SledOptions::new(home.path().join("log"));
        drop(store::open(&options).unwrap());
        let greedy = SledOptions { reserve_bytes: u64::MAX / 2, ..options.clone() };
        let refused = compact(&greedy, &[], &mut |_| panic!("it was rewritten"));
        assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
        assert_eq!(batches(&options), []);
    }
}
