//! Backups: everything that a relay keeps, in files that do not depend on how the database lays it out.
//!
//! ```text
//! make    : rows of the last checkpoint -> mark -> batches up to the mark -> accounts -> keys -> manifest -> named
//! restore : the newest, or the newest of a moment -> every hash held -> a new data folder beside the place -> renamed into it
//! verify  : every hash, every record, every conversation without a gap
//! ```
//! A backup is made while the relay runs: batches never change once they are written, so they are read beside the
//! committer, which only says where it is. Everything that was acknowledged before the mark is in the backup.
//! Until all of it is on the disk a backup is called `new-...`, so that an interruption leaves those before it.

mod files;
mod make;
mod restore;
mod running;
mod verify;

pub use files::{FORMAT, Listed, Manifest};
pub use make::Made;
pub(crate) use make::newest;
use make::{Source, due_in, make};
pub use restore::{Restored, restore};
pub use running::Backups;
pub use verify::{Verified, verify};

use crate::accounts::AccountsError;
use crate::folder::FolderError;
use crate::store::StoreError;
use serde::Serialize;
use sotto_protocol::ids::UnixMillis;
use std::path::{Path, PathBuf};

/// What the names of backups begin with.
const NAME: &str = "backup-";

/// One that is being made.
const NEW: &str = "new-";

/// One that is being deleted.
const GONE: &str = "gone-";

/// Why a backup was not made, is no good, or was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The operating system.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Its words.
        source: std::io::Error,
    },
    /// The backup is not as it was written.
    #[error("the backup is damaged, use another one: {}: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A newer program made it.
    #[error("{} has the format {found:?}, this program reads {FORMAT:?}; use the program that made it, or a newer one", path.display())]
    Format {
        /// Its manifest.
        path: PathBuf,
        /// What stands there.
        found: String,
    },
    /// There is something already where a relay's data is to be restored.
    #[error("{} is not empty, and nothing is ever written over data; name a folder that does not exist yet (--to)", .0.display())]
    NotEmpty(PathBuf),
    /// Another one is at work in the folder.
    #[error("a backup is being made in {} at this moment; wait for it, or name another folder", .0.display())]
    Busy(PathBuf),
    /// No backup in the folder.
    #[error("there is no backup in {}", .0.display())]
    None(PathBuf),
    /// None that is old enough.
    #[error("no backup in {} is as old as that; `sotto-relay backups` lists them with their marks", .0.display())]
    NoneUntil(PathBuf),
    /// The disk is nearly full.
    #[error("the disk of {} is nearly full; no backup was made, those before it are as they were", .0.display())]
    Full(PathBuf),
    /// The relay ends.
    #[error("the relay is stopping; no backup was made, those before it are as they were")]
    Stopped,
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The log.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    fn damaged(path: &Path, what: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.into() }
    }
}

/// The backups in a folder, oldest first: their names sort by time.
///
/// # Errors
/// If the folder does not list.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = names(folder, NAME)?;
    found.sort_unstable();
    Ok(found)
}

fn names(folder: &Path, beginning: &str) -> Result<Vec<PathBuf>, BackupError> {
    let entries = std::fs::read_dir(folder).map_err(BackupError::io(folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(BackupError::io(folder))?;
        if entry.file_name().to_string_lossy().starts_with(beginning) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// A backup that is kept, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Where.
    pub backup: PathBuf,
    /// The last batch in it.
    pub mark_batch: u64,
    /// When its mark was taken: what was acknowledged before is in it.
    pub mark_ms: u64,
    /// How large it is.
    pub bytes: u64,
}

/// The backups in a folder with their marks, oldest first.
///
/// # Errors
/// If one does not say what it is.
pub fn kept(folder: &Path) -> Result<Vec<Kept>, BackupError> {
    if !folder.exists() {
        return Err(BackupError::None(folder.to_owned()));
    }
    let read = |backup: PathBuf| {
        let Manifest { mark_batch, mark_ms, files, .. } = Manifest::read(&backup)?;
        let bytes = files.iter().map(|listed| listed.bytes).sum();
        Ok(Kept { backup, mark_batch, mark_ms, bytes })
    };
    list(folder)?.into_iter().map(read).collect()
}

/// A backup that was named, or the newest one in a folder of them; of those alone whose mark is not after `until`,
/// if that is given.
fn find(path: &Path, until: Option<UnixMillis>) -> Result<PathBuf, BackupError> {
    let is_named = path.join(files::MANIFEST).exists();
    if !is_named && !path.exists() {
        return Err(BackupError::None(path.to_owned()));
    }
    let mut found = if is_named { vec![path.to_owned()] } else { list(path)? };
    let newest = found.pop().ok_or_else(|| BackupError::None(path.to_owned()))?;
    let Some(until) = until else { return Ok(newest) };
    found.push(newest);
    for backup in found.into_iter().rev() {
        if Manifest::read(&backup)?.mark_ms <= until.0 {
            return Ok(backup);
        }
    }
    Err(BackupError::NoneUntil(path.to_owned()))
}

/// Fsyncs a folder.
fn sync(folder: &Path) -> Result<(), BackupError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    std::fs::File::open(folder).and_then(|file| file.sync_all()).map_err(BackupError::io(folder))
}
