//! Proving that a backup reads: every hash, every record, every conversation without a gap.

use super::files::{BATCHES, Manifest, ROWS, Reading};
use super::{BackupError, find};
use crate::engine::check_row;
use crate::store::Row;
use serde::Serialize;
use sotto_relay_core::check::Checker;
use std::path::{Path, PathBuf};

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The backup.
    pub backup: PathBuf,
    /// Its last batch.
    pub mark_batch: u64,
    /// When its mark was taken.
    pub mark_ms: u64,
    /// Entries of the log, of all kinds.
    pub entries: u64,
    /// Messages among them.
    pub messages: u64,
    /// Conversations.
    pub conversations: u64,
    /// Rows of accounts, devices, key packages, invites, vaults.
    pub account_rows: u64,
}

/// Reads all of a backup, or of the newest one in a folder of them.
///
/// # Errors
/// At the first thing that is not as it was written.
pub fn verify(backup: &Path) -> Result<Verified, BackupError> {
    let backup = find(backup, None)?;
    let manifest = Manifest::read(&backup)?;
    manifest.check_files(&backup)?;
    let path = backup.join("log/state.rows");
    let mut rows = Reading::open(&path, ROWS)?;
    let mut heads = Vec::new();
    while let Some((key, value)) = rows.row()? {
        let row =
            Row::from_bytes(&key).ok_or_else(|| BackupError::damaged(&path, "a row has no good key"))?;
        heads
            .extend(check_row(&row, &value).map_err(|error| BackupError::damaged(&path, error.to_string()))?);
    }
    let mut checker = Checker::default();
    let mut at_base = manifest.base_batch == 0;
    for listed in manifest.files.iter().filter(|listed| listed.path.ends_with(".batches")) {
        let path = backup.join(&listed.path);
        let mut batches = Reading::open(&path, BATCHES)?;
        while let Some((number, batch)) = batches.batch()? {
            checker.batch(number, &batch).map_err(|fault| BackupError::damaged(&path, fault.to_string()))?;
            if number == manifest.base_batch {
                at_base = true;
                for (conversation, head) in &heads {
                    if checker.head(*conversation).is_some_and(|found| found != *head) {
                        let what = format!("conversation {conversation} is not where the checkpoint has it");
                        return Err(BackupError::damaged(&path, what));
                    }
                }
            }
        }
    }
    if !at_base || checker.last_batch() != manifest.mark_batch {
        return Err(BackupError::damaged(&backup, "batches up to its mark are missing"));
    }
    let path = backup.join("accounts.rows");
    let mut rows = Reading::open(&path, ROWS)?;
    let mut account_rows = 0;
    while rows.row()?.is_some() {
        account_rows += 1;
    }
    let Manifest { mark_batch, mark_ms, .. } = manifest;
    let counts = checker.counts();
    let conversations = (checker.conversations() as u64).max(heads.len() as u64);
    Ok(Verified {
        backup,
        mark_batch,
        mark_ms,
        entries: counts.entries,
        messages: counts.messages,
        conversations,
        account_rows,
    })
}
