//! The log in sled: a folder for each shard and one for the checkpoint.

use super::keys::{self, PIECE_BYTES, RUNS_PER_RECORD};
use super::layout::{self, Layout, shard_folder};
use super::shards::{Shard, Shards, SyncedDb};
use super::{
    BatchNumber, Checkpoint, Checkpointer, EachBatch, EachRow, LogExport, LogReader, LogStore, Restored,
    Room, Row, Run, SledOptions, StoreError, Took, about::About,
};
use bytes::{Bytes, BytesMut};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence, UnixMillis};
use sotto_relay_core::conversation::ShardId;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The writing end.
#[derive(Debug)]
pub struct SledStore {
    layout: Layout,
    options: SledOptions,
    inner: Arc<Inner>,
    current: Option<Arc<Shard>>,
    /// The newest shard that is there; a clock that goes backwards stays in it.
    newest: Option<ShardId>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    about: About,
    shards: Shards,
    checkpoint: SyncedDb,
    rows: sled::Tree,
    /// Held while a checkpoint is written, and while all rows of one are read.
    saving: Mutex<()>,
    /// The shard of the batch that the last checkpoint has, plus one; 0 for none.
    checkpointed: AtomicU64,
}

/// Opens a store, making it if the folder is empty.
///
/// # Errors
/// If it is in use, of another format, damaged, or the disk fails.
pub fn open(options: &SledOptions) -> Result<SledStore, StoreError> {
    let layout = Layout::open(options)?;
    let checkpoint = SyncedDb::open(&layout.checkpoint(), options)?;
    let rows = checkpoint.tree("rows")?;
    let shards = Shards::new(layout.shards(), options.clone());
    let newest = layout.list()?.last().copied();
    let folder = layout.folder.clone();
    let about = layout.about;
    let (saving, checkpointed) = (Mutex::default(), AtomicU64::new(0));
    let inner = Inner { folder, about, shards, checkpoint, rows, saving, checkpointed };
    if let Some((_, shard)) = inner.applied()? {
        inner.checkpointed.store(shard.0.saturating_add(1), Ordering::Relaxed);
    }
    Ok(SledStore { layout, options: options.clone(), inner: Arc::new(inner), current: None, newest })
}

impl Inner {
    fn error(&self, error: sled::Error) -> StoreError {
        self.checkpoint.error(error)
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::damaged(&self.folder, what)
    }

    /// The batch that the checkpoint has, with its shard.
    fn applied(&self) -> Result<Option<(BatchNumber, ShardId)>, StoreError> {
        let Some(value) = self.rows.get(keys::APPLIED).map_err(|error| self.error(error))? else {
            return Ok(None);
        };
        let numbers =
            value.split_first_chunk::<8>().and_then(|(batch, rest)| Some((*batch, rest.try_into().ok()?)));
        let (batch, shard): ([u8; 8], [u8; 8]) =
            numbers.ok_or_else(|| self.damaged("the checkpoint does not say which batch it has"))?;
        Ok(Some((BatchNumber(u64::from_be_bytes(batch)), ShardId(u64::from_be_bytes(shard)))))
    }

    fn read_row(&self, row: &Row) -> Result<Option<Bytes>, StoreError> {
        let get = |piece| self.rows.get(keys::row_piece(row, piece)).map_err(|error| self.error(error));
        let Some(first) = get(0)? else { return Ok(None) };
        let damaged = || self.damaged(format!("a row of the checkpoint is not whole ({row:?})"));
        let (length, rest) = keys::first_of_row(&first).ok_or_else(damaged)?;
        let mut whole = BytesMut::with_capacity(length);
        whole.extend_from_slice(rest);
        for (piece, _) in (0u32..).zip(0..keys::pieces(length)).skip(1) {
            whole.extend_from_slice(&get(piece)?.ok_or_else(damaged)?);
        }
        if whole.len() == length { Ok(Some(whole.freeze())) } else { Err(damaged()) }
    }

    fn saving(&self) -> MutexGuard<'_, ()> {
        self.saving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The batches of a shard between two numbers, whole.
    fn batches_of<E: From<StoreError>>(
        &self,
        shard: &Shard,
        (from, to): (BatchNumber, BatchNumber),
        mut each: impl FnMut(BatchNumber, Bytes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut gathered: Option<(BatchNumber, BytesMut)> = None;
        for item in shard.batches.range(keys::batch_piece(from, 0)..=keys::batch_piece(to, u32::MAX)) {
            let (key, value) = item.map_err(|error| shard.db.error(error))?;
            let (number, piece) =
                keys::read_batch_piece(&key).ok_or_else(|| self.damaged("a key of the log does not read"))?;
            if piece == 0 {
                if let Some((number, batch)) = gathered.replace((number, BytesMut::from(&value[..]))) {
                    each(number, batch.freeze())?;
                }
            } else if let Some((_, batch)) = gathered.as_mut().filter(|(known, _)| *known == number) {
                batch.extend_from_slice(&value);
            } else {
                return Err(self.damaged(format!("batch {} has no beginning", number.0)).into());
            }
        }
        gathered.map_or(Ok(()), |(number, batch)| each(number, batch.freeze()))
    }

    /// All rows with one first byte: the key without tag and piece, and the whole value.
    fn scan(&self, tag: u8) -> Result<Vec<(Vec<u8>, Bytes)>, StoreError> {
        let mut found: Vec<(Vec<u8>, usize, BytesMut)> = Vec::new();
        for item in self.rows.scan_prefix([tag]) {
            let (key, value) = item.map_err(|error| self.error(error))?;
            let damaged = || self.damaged("a key of the checkpoint does not read");
            let (id, piece) = key.split_last_chunk::<4>().ok_or_else(damaged)?;
            if u32::from_be_bytes(*piece) == 0 {
                let (length, rest) = keys::first_of_row(&value).ok_or_else(damaged)?;
                found.push((id.get(1..).unwrap_or_default().to_vec(), length, BytesMut::from(rest)));
            } else {
                found.last_mut().ok_or_else(damaged)?.2.extend_from_slice(&value);
            }
        }
        if found.iter().any(|(_, length, value)| *length != value.len()) {
            return Err(self.damaged("a row of the checkpoint is not whole"));
        }
        Ok(found.into_iter().map(|(id, _, value)| (id, value.freeze())).collect())
    }

    fn write_rows(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut writes = sled::Batch::default();
        for (row, value) in &checkpoint.rows {
            let old = self.rows.get(keys::row_piece(row, 0)).map_err(|error| self.error(error))?;
            let old = old.and_then(|piece| Some(keys::pieces(keys::first_of_row(&piece)?.0))).unwrap_or(0);
            let mut new = 0;
            if let Some(value) = value {
                new = keys::pieces(value.len());
                for (piece, bytes) in keys::cut_row(value) {
                    writes.insert(keys::row_piece(row, piece), bytes);
                }
            }
            for (piece, _) in (0u32..).zip(0..old).skip(new) {
                writes.remove(keys::row_piece(row, piece));
            }
        }
        if let Some(shard) = checkpoint.shard {
            let mut applied = checkpoint.applied.0.to_be_bytes().to_vec();
            applied.extend_from_slice(&shard.0.to_be_bytes());
            writes.insert(keys::APPLIED, applied);
        }
        self.rows.apply_batch(writes).map_err(|error| self.error(error))?;
        self.checkpoint.flush()?;
        if let Some(shard) = checkpoint.shard {
            self.checkpointed.store(shard.0.saturating_add(1), Ordering::Relaxed);
        }
        Ok(())
    }

    fn write_runs(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let mut writes: BTreeMap<ShardId, sled::Batch> = BTreeMap::new();
        for (conversation, runs) in &checkpoint.runs {
            for of_shard in runs.chunk_by(|one, next| one.shard == next.shard) {
                for record in of_shard.chunks(RUNS_PER_RECORD) {
                    let Some(first) = record.first() else { continue };
                    let writes = writes.entry(first.shard).or_default();
                    writes.insert(&keys::run(*conversation, first.first), keys::write_runs(record));
                }
            }
        }
        for (shard, writes) in writes {
            let shard = self.shards.make(shard)?;
            shard.runs.apply_batch(writes).map_err(|error| shard.db.error(error))?;
            shard.db.flush()?;
        }
        Ok(())
    }
}

impl Checkpointer for Inner {
    fn save(&self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let _saving = self.saving();
        // The index first: what the checkpoint calls applied must be found through it.
        self.write_runs(checkpoint)?;
        self.write_rows(checkpoint)
    }
}

impl LogReader for Inner {
    fn bytes(
        &self,
        shard: ShardId,
        batch: BatchNumber,
        offset: u32,
        length: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(shard) = self.shards.get(shard)? else { return Ok(None) };
        let (start, end) = (offset as usize, (offset as usize).saturating_add(length as usize));
        let mut whole = BytesMut::with_capacity(length as usize);
        let pieces = start / PIECE_BYTES..end.div_ceil(PIECE_BYTES);
        for place in pieces {
            let piece = u32::try_from(place).map_err(|_| self.damaged("a run lies past any batch"))?;
            let value =
                shard.batches.get(keys::batch_piece(batch, piece)).map_err(|error| shard.db.error(error))?;
            let base = place * PIECE_BYTES;
            let part = value.as_ref().and_then(|value| {
                value.get(start.saturating_sub(base)..end.saturating_sub(base).min(value.len()))
            });
            let missing = || self.damaged(format!("piece {place} of batch {} is missing", batch.0));
            whole.extend_from_slice(part.ok_or_else(missing)?);
        }
        if whole.len() == length as usize {
            return Ok(Some(whole.freeze()));
        }
        Err(self.damaged(format!("batch {} is shorter than its index says", batch.0)))
    }

    fn runs(
        &self,
        shard: ShardId,
        conversation: ConversationId,
        at: Sequence,
    ) -> Result<Vec<Run>, StoreError> {
        let Some(shard) = self.shards.get(shard)? else { return Ok(Vec::new()) };
        let range = keys::run(conversation, Sequence(0))..=keys::run(conversation, at);
        let Some(found) = shard.runs.range(range).next_back() else { return Ok(Vec::new()) };
        let (_, value) = found.map_err(|error| shard.db.error(error))?;
        keys::read_runs(shard.id, &value).ok_or_else(|| self.damaged("a record of the index does not read"))
    }

    fn row(&self, row: &Row) -> Result<Option<Bytes>, StoreError> {
        self.read_row(row)
    }
}

impl LogStore for SledStore {
    fn reader(&self) -> Arc<dyn LogReader> {
        self.inner.clone()
    }

    fn export(&self) -> Arc<dyn LogExport> {
        self.inner.clone()
    }

    fn checkpointer(&self) -> Arc<dyn Checkpointer> {
        self.inner.clone()
    }

    fn restore(&self) -> Result<Restored, StoreError> {
        let Some((applied, shard)) = self.inner.applied()? else { return Ok(Restored::default()) };
        let is_there = self.inner.shards.get(shard)?.is_some_and(|shard| {
            matches!(shard.batches.contains_key(keys::batch_piece(applied, 0)), Ok(true))
        });
        if !is_there {
            let what = format!(
                "its checkpoint has batch {}, which is not in shard {}: acknowledged entries are lost",
                applied.0, shard.0
            );
            return Err(self.inner.damaged(what));
        }
        let conversations = self.inner.scan(keys::tag(&Row::Conversation(ConversationId([0; 16]))))?;
        let waiting = self.inner.scan(keys::tag(&Row::Waiting(DeviceId([0; 16]))))?;
        let is_counted = self.inner.read_row(&Row::Counted)?.is_some();
        let scan = || self.inner.scan(keys::tag(&Row::Holding(AccountId([0; 16]))));
        let holdings = is_counted.then(scan).transpose()?;
        let id = |id: Vec<u8>| -> Result<[u8; 16], StoreError> {
            id.try_into().map_err(|_| self.inner.damaged("an id of the checkpoint does not read"))
        };
        let holder = |(account, value)| Ok((AccountId(id(account)?), value));
        let device = |(device, value)| Ok((DeviceId(id(device)?), value));
        Ok(Restored {
            applied,
            conversations: conversations.into_iter().map(|(_, value)| value).collect(),
            waiting: waiting.into_iter().map(device).collect::<Result<_, StoreError>>()?,
            holdings: holdings
                .map(|rows| rows.into_iter().map(holder).collect::<Result<_, StoreError>>())
                .transpose()?,
        })
    }

    fn replay(
        &self,
        applied: BatchNumber,
        each: &mut dyn FnMut(ShardId, BatchNumber, Bytes) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let from = self.inner.applied()?.map_or(ShardId(0), |(_, shard)| shard);
        let mut due = applied.next();
        for id in self.layout.list()?.into_iter().filter(|id| *id >= from) {
            let Some(shard) = self.inner.shards.get(id)? else { continue };
            self.inner.batches_of(&shard, (due, BatchNumber(u64::MAX)), |number, batch| {
                if number != due {
                    let what = format!("batch {} is due and {} comes", due.0, number.0);
                    return Err(self.inner.damaged(what));
                }
                due = due.next();
                each(id, number, batch)
            })?;
        }
        Ok(())
    }

    fn has_shard(&self, shard: ShardId) -> bool {
        shard_folder(&self.layout.shards(), shard).exists()
    }

    fn room(&self) -> Result<Room, StoreError> {
        let folder = &self.layout.folder;
        let free_bytes = self
            .options
            .disk
            .free_bytes(folder)
            .map_err(StoreError::io("cannot ask the free space of", folder))?;
        Ok(Room { free_bytes, is_full: free_bytes < self.options.reserve_bytes })
    }

    fn shard_at(&mut self, now: UnixMillis) -> Result<ShardId, StoreError> {
        let span = millis(self.inner.about.shard_span).max(1);
        let due = ShardId(now.0 / span).max(self.newest.unwrap_or(ShardId(0)));
        if let Some(shard) = self.current.as_ref().filter(|shard| shard.id == due) {
            return Ok(shard.id);
        }
        self.current = Some(self.inner.shards.make(due)?);
        self.newest = Some(due);
        Ok(due)
    }

    fn append(&mut self, number: BatchNumber, batch: &[u8]) -> Result<Took, StoreError> {
        let none = || StoreError::Internal("a batch was written before a shard was chosen".to_owned());
        self.current.as_ref().ok_or_else(none)?.write(number, batch)
    }

    fn retain(&mut self, now: UnixMillis) -> Result<Vec<ShardId>, StoreError> {
        let Some(retention) = self.options.retention else { return Ok(Vec::new()) };
        let span = millis(self.inner.about.shard_span).max(1);
        let keep = millis(retention);
        let checkpointed = self.inner.checkpointed.load(Ordering::Relaxed);
        let mut gone = Vec::new();
        for shard in self.layout.list()? {
            let end = shard.0.saturating_add(1).saturating_mul(span);
            // The newest checkpointed shard stays: the checkpoint names its last batch.
            let is_old = end.saturating_add(keep) <= now.0 && shard.0.saturating_add(1) < checkpointed;
            if is_old && Some(shard) != self.newest {
                self.inner.shards.close(shard);
                self.layout.delete(shard, &*self.options.disk)?;
                gone.push(shard);
            }
        }
        Ok(gone)
    }
}

impl SledStore {
    /// Writes batches into a shard of a log that is being restored, durable together.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn import(&mut self, shard: ShardId, batches: &[(BatchNumber, Bytes)]) -> Result<(), StoreError> {
        self.newest = self.newest.max(Some(shard));
        self.inner.shards.make(shard)?.write_all(batches)
    }
}

impl LogExport for Inner {
    fn shard_span(&self) -> Duration {
        self.about.shard_span
    }

    fn shards(&self) -> Result<Vec<ShardId>, StoreError> {
        layout::list(self.shards.folder())
    }

    fn batches(
        &self,
        shard: ShardId,
        range: (BatchNumber, BatchNumber),
        each: &mut EachBatch<'_>,
    ) -> Result<(), StoreError> {
        let Some(shard) = self.shards.get(shard)? else { return Ok(()) };
        let given = self.batches_of(&shard, range, |number, batch| match each(number, batch) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Ended::Asked),
        });
        Ended::result(given)
    }

    fn rows(&self, each: &mut EachRow<'_>) -> Result<BatchNumber, StoreError> {
        let _saving = self.saving();
        let applied = self.applied()?.map_or(BatchNumber(0), |(batch, _)| batch);
        let damaged = || self.damaged("a row of the checkpoint is not whole");
        for item in self.rows.iter().keys() {
            let key = item.map_err(|error| self.error(error))?;
            if key == keys::APPLIED {
                continue;
            }
            let (row, piece) = keys::read_row_piece(&key)
                .ok_or_else(|| self.damaged("a key of the checkpoint does not read"))?;
            if piece > 0 {
                continue;
            }
            let value = self.read_row(&row)?.ok_or_else(damaged)?;
            if each(row, value).is_break() {
                break;
            }
        }
        Ok(applied)
    }
}

/// Why a walk over batches ended early.
enum Ended {
    Asked,
    Failed(StoreError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}

impl Ended {
    fn result(given: Result<(), Self>) -> Result<(), StoreError> {
        match given {
            Ok(()) | Err(Self::Asked) => Ok(()),
            Err(Self::Failed(error)) => Err(error),
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
