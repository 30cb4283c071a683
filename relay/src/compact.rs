//! `sotto-relay compact`: the disk space of what was deleted and replaced comes back, while the relay is stopped.

use crate::accounts;
use crate::config::Config;
use crate::folder::DataFolder;
use crate::operator::OperatorError;
use crate::relay::log_options;
use crate::store::compact::{Other, compact as rewrite};
use crate::store::{LogStore as _, StoreError};
use serde::Serialize;

/// What was written anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// How many databases: one for each stretch of the log, its checkpoint, the accounts.
    pub databases: u64,
    /// What they took on the disk.
    pub before_bytes: u64,
    /// What they take now.
    pub after_bytes: u64,
}

/// Why not, or not all of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// The folder cannot be used: a relay has it, or there is nothing in it.
    #[error(transparent)]
    Folder(#[from] OperatorError),
    /// A database. What was done before it stands, and all that is kept is there.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy does not fit.
    #[error(
        "the disk has no room for a copy of its largest database beside it; nothing is lost, and what was written anew \
         before stays so: make room, or move the data folder to a larger disk"
    )]
    NoRoom,
}

/// Writes every database of a data folder anew.
///
/// # Errors
/// See [`CompactError`]. Whatever happens, and wherever it is interrupted, everything that was kept is kept.
pub fn compact(config: &Config) -> Result<Compacted, CompactError> {
    if !config.data_dir.join("accounts").exists() {
        return Err(OperatorError::Empty(config.data_dir.clone()).into());
    }
    let folder = DataFolder::open(&config.data_dir).map_err(OperatorError::from)?;
    let options = log_options(config, &folder);
    let accounts = Other { folder: folder.join("accounts"), config: Box::new(accounts::config) };
    let mut all = Compacted::default();
    let done = rewrite(&options, &[accounts], &mut |done| {
        all.databases += 1;
        all.before_bytes += done.before_bytes;
        all.after_bytes += done.after_bytes;
    });
    match done {
        Ok(()) => {}
        Err(StoreError::Full { .. }) => return Err(CompactError::NoRoom),
        Err(error) => return Err(error.into()),
    }
    // It opens: what was written is what a relay starts from.
    crate::store::sled::open(&options)?.restore()?;
    Ok(all)
}
