//! From a backup to a data folder that a relay can be started on.

use super::files::{BATCHES, Manifest, ROWS, Reading};
use super::{BackupError, find, sync};
use crate::config::Config;
use crate::folder::{DataFolder, FolderError};
use crate::store::{BatchNumber, Checkpoint, LogStore as _, Row, Run, SledOptions};
use bytes::Bytes;
use serde::Serialize;
use sotto_protocol::ids::{ConversationId, UnixMillis};
use sotto_relay_core::check::runs;
use sotto_relay_core::conversation::ShardId;
use sotto_signaling::store::table::{Table as _, Writes};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is written to the databases at a time.
const STEP_BYTES: usize = 4 * 1024 * 1024;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The backup.
    pub backup: PathBuf,
    /// Its last batch.
    pub mark_batch: u64,
    /// When its mark was taken.
    pub mark_ms: u64,
}

/// Makes a data folder at `to` from a backup, or from the newest one in a folder of them: the newest whose mark is not
/// after `until`, if that is given. It takes its place only when it is whole.
///
/// # Errors
/// If something is there already, or the backup is not whole.
pub fn restore(
    config: &Config,
    backup: &Path,
    until: Option<UnixMillis>,
    to: &Path,
) -> Result<Restored, BackupError> {
    if let Ok(mut inside) = std::fs::read_dir(to)
        && inside.next().is_some()
    {
        return Err(BackupError::NotEmpty(to.to_owned()));
    }
    let backup = find(backup, until)?;
    let manifest = Manifest::read(&backup)?;
    manifest.check_files(&backup)?;
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let new = to.with_file_name(name);
    if new.exists() {
        // Half of an interrupted one.
        std::fs::remove_dir_all(&new).map_err(BackupError::io(&new))?;
    }
    let folder = DataFolder::open(&new)?;
    for listed in manifest.files.iter().filter_map(|listed| listed.path.strip_prefix("files/")) {
        let path = backup.join("files").join(listed);
        let bytes = std::fs::read(&path).map_err(BackupError::io(&path))?;
        folder.write(listed, bytes)?;
    }
    accounts(config, &folder, &backup)?;
    log(&folder, &backup, &manifest)?;
    sync(&new)?;
    drop(folder);
    let failed = |source| FolderError::Io { path: to.to_owned(), source };
    // An empty folder gives its place to the new one.
    std::fs::rename(&new, to).map_err(failed)?;
    sync(to.parent().unwrap_or(to))?;
    let Manifest { mark_batch, mark_ms, .. } = manifest;
    Ok(Restored { backup, mark_batch, mark_ms })
}

fn accounts(config: &Config, folder: &DataFolder, backup: &Path) -> Result<(), BackupError> {
    let (table, _) = crate::relay::open_accounts(config, folder)?;
    let path = backup.join("accounts.rows");
    let mut rows = Reading::open(&path, ROWS)?;
    let (mut writes, mut bytes) = (Writes::new(), 0);
    let write = |writes: &mut Writes| {
        let done = table.apply(&std::mem::take(writes));
        done.map_err(|error| BackupError::io(&path)(std::io::Error::other(error)))
    };
    while let Some((key, value)) = rows.row()? {
        bytes += key.len() + value.len();
        writes.insert(key.to_vec(), Some(value.to_vec()));
        if bytes >= STEP_BYTES {
            write(&mut writes)?;
            bytes = 0;
        }
    }
    write(&mut writes)
}

fn log(folder: &DataFolder, backup: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let options = SledOptions {
        shard_span: Duration::from_millis(manifest.shard_span_ms.max(1)),
        ..SledOptions::new(folder.join("log"))
    };
    let mut store = crate::store::sled::open(&options)?;
    let checkpointer = store.checkpointer();
    let base = BatchNumber(manifest.base_batch);
    let mut base_shard = None;
    for listed in &manifest.files {
        let Some(shard) = shard_of(&listed.path) else { continue };
        let mut batches = Reading::open(&backup.join(&listed.path), BATCHES)?;
        let mut step = Step::default();
        while let Some((number, batch)) = batches.batch()? {
            let number = BatchNumber(number);
            if number == base {
                base_shard = Some(shard);
            }
            step.take(shard, number, batch, base);
            if step.bytes >= STEP_BYTES {
                step.write(&mut store, shard)?;
            }
        }
        step.write(&mut store, shard)?;
    }
    if manifest.base_batch > 0 && base_shard.is_none() {
        return Err(BackupError::damaged(backup, "the batch of its checkpoint is missing"));
    }
    let path = backup.join("log/state.rows");
    let mut rows = Reading::open(&path, ROWS)?;
    let mut checkpoint = Checkpoint::default();
    let mut bytes = 0;
    while let Some((key, value)) = rows.row()? {
        let row =
            Row::from_bytes(&key).ok_or_else(|| BackupError::damaged(&path, "a row has no good key"))?;
        bytes += value.len();
        checkpoint.rows.push((row, Some(value)));
        if bytes >= STEP_BYTES {
            checkpointer.save(&std::mem::take(&mut checkpoint))?;
            bytes = 0;
        }
    }
    // The last step says which batch the rows have; the relay applies those after it when it starts.
    checkpointer.save(&Checkpoint { applied: base, shard: base_shard, ..checkpoint })?;
    Ok(())
}

fn shard_of(path: &str) -> Option<ShardId> {
    path.strip_prefix("log/")?.strip_suffix(".batches")?.parse().ok().map(ShardId)
}

/// Batches that are written together, with the index of those that the checkpoint has.
#[derive(Default)]
struct Step {
    batches: Vec<(BatchNumber, Bytes)>,
    runs: BTreeMap<ConversationId, Vec<Run>>,
    bytes: usize,
}

impl Step {
    fn take(&mut self, shard: ShardId, batch: BatchNumber, bytes: Bytes, base: BatchNumber) {
        if batch <= base {
            for (header, offset) in runs(&bytes) {
                self.runs.entry(header.conversation).or_default().push(Run {
                    shard,
                    batch,
                    first: header.first,
                    count: header.count,
                    offset,
                    cores: header.cores,
                    archives: header.archives,
                });
            }
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.batches.push((batch, bytes));
    }

    fn write(
        &mut self,
        store: &mut crate::store::sled::SledStore,
        shard: ShardId,
    ) -> Result<(), BackupError> {
        let Self { batches, runs, .. } = std::mem::take(self);
        store.import(shard, &batches)?;
        let runs = runs.into_iter().collect();
        store.checkpointer().save(&Checkpoint { runs, ..Checkpoint::default() })?;
        Ok(())
    }
}
