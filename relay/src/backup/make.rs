//! Making a backup, and keeping only the last ones.

use super::files::{BATCHES, FORMAT, MANIFEST, Manifest, ROWS, Writing};
use super::{BackupError, GONE, NAME, NEW, list, names, sync};
use crate::accounts::SledTable;
use crate::engine::Export;
use crate::folder::{DataFolder, FolderError};
use crate::store::{BatchNumber, Disk as _, RealDisk};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::UnixMillis;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Files of a data folder that a backup leaves out: what belongs to a running process.
const LEFT_OUT: [&str; 3] = ["lock", "ready.json", "control.sock"];

/// Where a backup comes from.
pub(super) struct Source<'a> {
    /// The log.
    pub(super) export: &'a Export,
    /// The accounts.
    pub(super) accounts: &'a SledTable,
    /// Where certificate and keys are.
    pub(super) data_dir: &'a Path,
    /// Less free space than this is left alone.
    pub(super) reserve_bytes: u64,
    /// Turns true when the relay ends.
    pub(super) stop: &'a AtomicBool,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Where.
    pub backup: PathBuf,
    /// The last batch in it.
    pub mark_batch: u64,
    /// When its mark was taken: what was acknowledged before is in it.
    pub mark_ms: u64,
    /// How large it is.
    pub bytes: u64,
}

/// Makes a backup in `folder` and deletes the oldest, so that `keep` are left; `None` keeps all..
///
/// # Errors
/// See [`BackupError`]; the backups before it are then as they were.
pub(super) fn make(source: &Source<'_>, folder: &Path, keep: Option<usize>) -> Result<Made, BackupError> {
    // The lock of a data folder serves here too: one process makes backups in a folder at a time.
    let _lock = DataFolder::open(folder).map_err(|error| match error {
        FolderError::InUse { path } => BackupError::Busy(path),
        other => other.into(),
    })?;
    for left in names(folder, NEW)?.into_iter().chain(names(folder, GONE)?) {
        std::fs::remove_dir_all(&left).map_err(BackupError::io(&left))?;
    }
    let new = folder.join(format!("{NEW}backup"));
    for made in [&new, &new.join("log"), &new.join("files")] {
        make_private(made)?;
    }
    let manifest = fill(source, &new)?;
    let text = serde_json::to_string_pretty(&manifest).expect("texts and numbers are JSON");
    let mut writing = Writing::new(&new, MANIFEST)?;
    writing.write(text.as_bytes())?;
    writing.finish()?;
    for made in [&new.join("log"), &new.join("files"), &new] {
        sync(made)?;
    }
    // Two within a millisecond, or a clock that was set back.
    let name = |ms: u64| folder.join(format!("{NAME}{ms:015}-{:012}", manifest.mark_batch));
    let named = (manifest.mark_ms..).map(name).find(|named| !named.exists());
    let named = named.ok_or_else(|| BackupError::Busy(folder.to_owned()))?;
    std::fs::rename(&new, &named).map_err(BackupError::io(&new))?;
    sync(folder)?;
    if let Some(keep) = keep {
        let all = list(folder)?;
        for old in all.iter().take(all.len().saturating_sub(keep.max(1))) {
            delete(folder, old)?;
        }
    }
    let Manifest { mark_batch, mark_ms, files, .. } = manifest;
    let bytes = files.iter().map(|listed| listed.bytes).sum();
    Ok(Made { backup: named, mark_batch, mark_ms, bytes })
}

fn delete(folder: &Path, backup: &Path) -> Result<(), BackupError> {
    let name = backup.file_name().unwrap_or_default().to_string_lossy();
    let gone = folder.join(format!("{GONE}{name}"));
    std::fs::rename(backup, &gone).map_err(BackupError::io(backup))?;
    std::fs::remove_dir_all(&gone).map_err(BackupError::io(&gone))
}

fn make_private(folder: &Path) -> Result<(), BackupError> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(BackupError::io(folder))
}

fn fill(source: &Source<'_>, new: &Path) -> Result<Manifest, BackupError> {
    let go_on = || {
        if source.stop.load(Ordering::Relaxed) {
            return Err(BackupError::Stopped);
        }
        let free = RealDisk.free_bytes(new).map_err(BackupError::io(new))?;
        if free < source.reserve_bytes { Err(BackupError::Full(new.to_owned())) } else { Ok(()) }
    };
    let mut files = Vec::new();
    // The rows first: the batches that come later are then in the batches below, never the other way round.
    let mut rows = Writing::new(new, "log/state.rows")?;
    rows.write(ROWS)?;
    let mut written = Ok(());
    let log = source.export.log();
    let base = log.rows(&mut |row, value| {
        written = go_on().and_then(|()| rows.row(&row.to_bytes(), &value));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    files.push(rows.finish()?);
    let mark = source.export.mark().ok_or(BackupError::Stopped)?;
    for shard in log.shards()? {
        let mut batches = Writing::new(new, &format!("log/{:012}.batches", shard.0))?;
        batches.write(BATCHES)?;
        let mut written = Ok(());
        log.batches(shard, (BatchNumber(0), mark.batch), &mut |number, batch| {
            written = go_on().and_then(|()| batches.batch(number.0, &batch));
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        written?;
        files.push(batches.finish()?);
    }
    // After the mark: whoever writes in the log is then among the accounts.
    let mut accounts = Writing::new(new, "accounts.rows")?;
    accounts.write(ROWS)?;
    source.accounts.dump(|key, value| go_on().and_then(|()| accounts.row(key, value)))?;
    files.push(accounts.finish()?);
    for entry in std::fs::read_dir(source.data_dir).map_err(BackupError::io(source.data_dir))? {
        let entry = entry.map_err(BackupError::io(source.data_dir))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && !LEFT_OUT.contains(&name.as_str()) && !name.ends_with(".new") {
            let bytes = std::fs::read(entry.path()).map_err(BackupError::io(&entry.path()))?;
            let mut file = Writing::new(new, &format!("files/{name}"))?;
            file.write(&bytes)?;
            files.push(file.finish()?);
        }
    }
    Ok(Manifest {
        format: FORMAT.to_owned(),
        made_by: crate::AGENT.to_owned(),
        mark_batch: mark.batch.0,
        mark_ms: mark.time.0,
        base_batch: base.0,
        shard_span_ms: u64::try_from(log.shard_span().as_millis()).unwrap_or(u64::MAX),
        files,
    })
}

/// What the newest backup in a folder says of itself; `None` if there is none.
///
/// # Errors
/// If it does not read.
pub(crate) fn newest(folder: &Path) -> Result<Option<Manifest>, BackupError> {
    if !folder.exists() {
        return Ok(None);
    }
    list(folder)?.pop().map(|newest| Manifest::read(&newest)).transpose()
}

/// How long until the next backup of a schedule is due, by the newest one that is there.
///
/// # Errors
/// If the newest one does not read.
pub(super) fn due_in(folder: &Path, every: Duration, now: UnixMillis) -> Result<Duration, BackupError> {
    let Some(newest) = newest(folder)? else { return Ok(Duration::ZERO) };
    Ok(every.saturating_sub(Duration::from_millis(now.0.saturating_sub(newest.mark_ms))))
}
