//! Checkpoints: what changed since the last one, written by a thread of its own while batches go on.

use super::Committer;
use super::opening::to_row;
use crate::engine::Retained;
use crate::engine::inbox::{Inbox, Work};
use crate::engine::jobs::Pool;
use crate::engine::metrics::{EngineMetrics, micros};
use crate::store::{Checkpoint, Checkpointer, Row, StoreError};
use bytes::Bytes;
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_relay_core::conversation::ShardId;
use sotto_relay_core::state::{Consequences, Dropped, Place};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What no checkpoint has yet.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    pub(super) places: BTreeSet<Place>,
    pub(super) devices: BTreeSet<DeviceId>,
    /// Accounts that have more or less in the log.
    pub(super) holders: BTreeSet<AccountId>,
    /// Rows that are not made from the state: groups, Welcomes.
    pub(super) rows: BTreeMap<Row, Option<Bytes>>,
    /// The shard of the last batch.
    pub(super) last_shard: Option<ShardId>,
}

impl Dirty {
    pub(super) fn set(&mut self, row: Row, value: Option<Bytes>) {
        self.rows.insert(row, value);
    }

    pub(super) fn note(&mut self, consequences: &Consequences) {
        self.places.extend(consequences.changed);
        self.devices.extend(consequences.devices.iter().copied());
        for (conversation, epoch) in &consequences.forgotten {
            self.set(Row::Welcome(*conversation, *epoch), None);
            self.set(Row::Joining(*conversation, *epoch), None);
        }
    }
}

/// See the module.
pub(super) struct Saving {
    pub(super) dirty: Dirty,
    /// Rows of the checkpoint that is being written.
    in_flight: Option<BTreeMap<Row, Option<Bytes>>>,
    /// Conversations whose runs it has.
    in_flight_places: Vec<Place>,
    last: Instant,
    thread: Pool<Checkpoint>,
    store: Arc<dyn Checkpointer>,
    metrics: Arc<EngineMetrics>,
}

impl Saving {
    pub(super) fn start(
        store: Arc<dyn Checkpointer>,
        inbox: Arc<Inbox>,
        metrics: Arc<EngineMetrics>,
        dirty: Dirty,
    ) -> std::io::Result<Self> {
        let (writer, counted) = (store.clone(), metrics.clone());
        let thread = Pool::start("checkpoint", 1, move |checkpoint: Checkpoint| {
            let saved = save(&*writer, &checkpoint, &counted);
            // An error means that the committer has ended.
            let _ = inbox.put(Work::Saved(saved));
        })?;
        Ok(Self {
            dirty,
            in_flight: None,
            in_flight_places: Vec::new(),
            last: Instant::now(),
            thread,
            store,
            metrics,
        })
    }

    /// How long the committer may sleep.
    pub(super) fn patience(&self) -> Duration {
        if self.is_clean() || self.in_flight.is_some() {
            return Duration::from_secs(60);
        }
        super::CHECKPOINT_EVERY.saturating_sub(self.last.elapsed())
    }

    /// A row that no checkpoint has yet.
    pub(super) fn fresh(&self, row: &Row) -> Option<Bytes> {
        let in_flight = || self.in_flight.as_ref().and_then(|rows| rows.get(row));
        self.dirty.rows.get(row).or_else(in_flight).cloned().flatten()
    }

    fn is_clean(&self) -> bool {
        let Dirty { places, devices, holders, rows, last_shard: _ } = &self.dirty;
        places.is_empty() && devices.is_empty() && holders.is_empty() && rows.is_empty()
    }
}

fn save(
    store: &dyn Checkpointer,
    checkpoint: &Checkpoint,
    metrics: &EngineMetrics,
) -> Result<(), StoreError> {
    let begin = Instant::now();
    store.save(checkpoint)?;
    metrics.checkpoints.add(1);
    metrics.checkpoint_us.record(micros(begin.elapsed()));
    Ok(())
}

impl Committer {
    /// Hands over a checkpoint when something changed and the last one is old enough.
    pub(super) fn save_when_due(&mut self) -> Result<(), StoreError> {
        let saving = &self.saving;
        if saving.is_clean() || saving.in_flight.is_some() || saving.last.elapsed() < super::CHECKPOINT_EVERY
        {
            return Ok(());
        }
        // A checkpoint writes too, and sled cannot go on after a write that did not fit.
        self.look_at_disk()?;
        if self.is_full {
            self.saving.last = Instant::now();
            return Ok(());
        }
        let checkpoint = self.gather();
        self.saving.thread.put(checkpoint);
        self.count();
        let (quotas, now) = (self.quotas, self.now);
        self.buckets.retain(|_, bucket| !bucket.is_full(&quotas, now));
        Ok(())
    }

    /// Writes a checkpoint here and now, for the end and before a deletion.
    pub(super) fn save_now(&mut self) -> Result<(), StoreError> {
        while self.saving.in_flight.is_some() {
            let mut work = Vec::new();
            self.inbox.take(&mut work, Duration::from_secs(1));
            for one in work {
                match one {
                    Work::Saved(result) => self.saved(result)?,
                    other => self.rest.push_back(other),
                }
            }
        }
        self.look_at_disk()?;
        if self.saving.is_clean() || self.is_full {
            return Ok(());
        }
        let checkpoint = self.gather();
        let result = save(&*self.saving.store, &checkpoint, &self.saving.metrics);
        self.saved(result)
    }

    fn gather(&mut self) -> Checkpoint {
        let dirty = std::mem::take(&mut self.saving.dirty);
        let mut rows: Vec<(Row, Option<Bytes>)> =
            dirty.rows.iter().map(|(row, value)| (*row, value.clone())).collect();
        let mut runs = Vec::new();
        for place in &dirty.places {
            let Some(conversation) = self.state.get(*place) else { continue };
            let id = conversation.id;
            rows.push((Row::Conversation(id), Some(to_row(conversation))));
            if let Some(live) = self.live.get_mut(place.0 as usize).filter(|live| !live.tail.is_empty()) {
                live.saving = live.tail.len();
                runs.push((id, live.tail.clone()));
                self.saving.in_flight_places.push(*place);
            }
        }
        for device in &dirty.devices {
            let waiting = self.state.waiting(*device);
            let row = (!waiting.is_empty()).then(|| to_row(&waiting.to_vec()));
            rows.push((Row::Waiting(*device), row));
        }
        for account in &dirty.holders {
            rows.push((Row::Holding(*account), self.state.holding(*account).map(to_row)));
        }
        rows.push((Row::Counted, Some(Bytes::new())));
        self.saving.in_flight = Some(dirty.rows);
        self.saving.last = Instant::now();
        Checkpoint { applied: self.written, shard: self.last_shard, rows, runs }
    }

    /// Forgets what a checkpoint has now.
    pub(super) fn saved(&mut self, result: Result<(), StoreError>) -> Result<(), StoreError> {
        result?;
        self.saving.in_flight = None;
        for place in self.saving.in_flight_places.drain(..) {
            if let Some(live) = self.live.get_mut(place.0 as usize) {
                live.tail.drain(..live.saving.min(live.tail.len()));
                live.saving = 0;
            }
        }
        Ok(())
    }

    /// Deletes shards that are older than the retention.
    pub(super) fn retain(&mut self) -> Result<Retained, StoreError> {
        if self.hold.strong_count() > 0 {
            tracing::debug!("old shards stay until the backup that reads them is done");
            return Ok(Retained::default());
        }
        self.save_now()?;
        let gone = self.store.retain(self.now)?;
        if gone.is_empty() {
            return Ok(Retained::default());
        }
        let Dropped { moved, relieved } = self.state.drop_shards(|shard| gone.contains(&shard));
        self.saving.dirty.places.extend(&moved);
        self.saving.dirty.holders.extend(relieved);
        tracing::info!(shards = gone.len(), conversations = moved.len(), "old shards were deleted");
        Ok(Retained { shards: gone.len(), conversations: moved.len() })
    }
}
