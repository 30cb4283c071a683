//! The committer: the one thread that owns all conversations and decides about every request.
//!
//! One turn:
//! 1. *take* everything that waits (bounded);
//! 2. *decide* about each request in order ([`requests`]): what is accepted changes the state in memory and is
//!    drafted into the batch, what is refused or read is noted;
//! 3. *write* the batch, flush and fsync ([`writing`]). Nothing has left the engine yet. If this fails the
//!    engine ends, and what is in memory with it;
//! 4. *answer*: acknowledgements, refusals, pushes, who is here; reads are handed to the readers;
//! 5. once a second hand a checkpoint of what changed to the checkpointing thread ([`saving`]).

mod opening;
mod requests;
mod saving;
mod writing;

pub(crate) use opening::check_row;

use super::group::RowSource;
use super::hub::{Hub, Slot};
use super::inbox::{Inbox, Work};
use super::jobs::Pool;
use super::metrics::{EngineMetrics, micros};
use super::reader::{Read, ReadJob, Readers};
use super::verifier::{Base, Verifiers, VerifyJob};
use super::{AdmitError, Directory, EngineConfig, Fatal, OpenError, Recovered};
use crate::store::sled::SledStore;
use crate::store::{BatchNumber, LogReader, LogStore, Row, Run, StoreError};
use bytes::Bytes;
use saving::Saving;
use sotto_mls::public_state::PublicState;
use sotto_protocol::error::WireError;
use sotto_protocol::ids::{AccountId, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_relay_core::conversation::ShardId;
use sotto_relay_core::quota::{Bucket, Quotas};
use sotto_relay_core::state::{Place, State};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use writing::Draft;

/// How often a checkpoint is written while something changes.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Entries in one batch, and bytes: what one fsync carries. The bytes bound what the store's reserve must hold.
const BATCH_ENTRIES_MAX: usize = 16_384;
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Groups whose public state is kept loaded.
const GROUPS_LOADED_MAX: usize = 256;

type Clock = dyn Fn() -> UnixMillis + Send + Sync;

/// What the committer knows of a conversation beside its state.
#[derive(Debug, Default)]
struct Live {
    /// Runs that are in no written index, ascending.
    tail: Vec<Run>,
    /// How many of them a checkpoint that is being written has.
    saving: usize,
    /// The draft of this turn that takes further entries: the turn and its place.
    open: Option<(u64, usize)>,
}

/// See the module.
struct Committer {
    state: State,
    live: Vec<Live>,
    hub: Hub,
    store: Box<dyn LogStore>,
    reader: Arc<dyn LogReader>,
    directory: Arc<dyn Directory>,
    clock: Arc<Clock>,
    metrics: Arc<EngineMetrics>,
    inbox: Arc<Inbox>,
    readers: Pool<ReadJob>,
    verifiers: Pool<VerifyJob>,
    quotas: Quotas,
    buckets: HashMap<AccountId, Bucket>,
    groups: HashMap<Place, PublicState>,
    saving: Saving,
    /// The last batch written.
    written: BatchNumber,
    /// The shard that the batch of this turn goes to.
    shard: ShardId,
    /// The shard of the last batch written.
    last_shard: Option<ShardId>,
    draft: Draft,
    /// What was taken from the inbox and is not done.
    rest: VecDeque<Work>,
    turn: u64,
    now: UnixMillis,
    is_full: bool,
    /// Alive while somebody reads the whole log: no shard is deleted then.
    hold: Weak<()>,
    draining: Vec<oneshot::Sender<()>>,
}

/// What is answered when the batch of this turn is on the disk.
enum After {
    Refuse(Slot, RequestId, Box<WireError>),
    Frame(Slot, Bytes),
    Read(Slot, RequestId, Option<OwnedSemaphorePermit>, Read),
    Log(LogAsk),
    Admitted(oneshot::Sender<Result<(), AdmitError>>),
}

/// Something to be read from the log. Where it is, is looked up when this turn's batch has its place too.
struct LogAsk {
    slot: Slot,
    id: RequestId,
    permit: Option<OwnedSemaphorePermit>,
    place: Place,
    from: Sequence,
    to: Sequence,
    backwards: bool,
    kind: LogRead,
}

enum LogRead {
    Fetch { head: Sequence, limit: u32 },
    Archive { limit: u32 },
    Repeat { number: MessageNumber },
}

/// Recovers the state and starts the engine's threads.
pub(super) fn start(
    config: &EngineConfig,
    store: SledStore,
    clock: Arc<Clock>,
    directory: Arc<dyn Directory>,
    inbox: Arc<Inbox>,
    metrics: Arc<EngineMetrics>,
) -> Result<(Recovered, oneshot::Receiver<Result<(), Fatal>>), OpenError> {
    let store: Box<dyn LogStore> = Box::new(store);
    let opened = opening::recover(&*store)?;
    let reader = store.reader();
    let last_shard = opened.dirty.last_shard;
    let readers = Readers { store: reader.clone(), directory: directory.clone(), metrics: metrics.clone() };
    let verifiers =
        Verifiers { inbox: inbox.clone(), directory: directory.clone(), metrics: metrics.clone() };
    let saving = Saving::start(store.checkpointer(), inbox.clone(), metrics.clone(), opened.dirty)
        .map_err(OpenError::Thread)?;
    let committer = Committer {
        hub: Hub::new(metrics.clone()),
        readers: Pool::start("reader", config.readers, move |job| readers.work(job))
            .map_err(OpenError::Thread)?,
        verifiers: Pool::start("verifier", config.verifiers, move |job| verifiers.work(job))
            .map_err(OpenError::Thread)?,
        state: opened.state,
        live: opened.live,
        now: clock(),
        store,
        reader,
        directory,
        clock,
        metrics,
        inbox,
        quotas: config.quotas,
        buckets: HashMap::new(),
        groups: HashMap::new(),
        saving,
        written: opened.written,
        shard: ShardId(0),
        last_shard,
        draft: Draft::default(),
        rest: VecDeque::new(),
        turn: 0,
        is_full: false,
        hold: Weak::new(),
        draining: Vec::new(),
    };
    let (end, ended) = oneshot::channel();
    std::thread::Builder::new()
        .name("sotto-committer".to_owned())
        .spawn(move || {
            let result = committer.run().map_err(Fatal);
            // Nobody has to be listening.
            let _ = end.send(result);
        })
        .map_err(OpenError::Thread)?;
    Ok((opened.recovered, ended))
}

impl Committer {
    fn run(mut self) -> Result<(), StoreError> {
        let result = self.turns();
        let late = self.inbox.close();
        let rest = std::mem::take(&mut self.rest);
        for work in rest.into_iter().chain(late) {
            self.turn_away(work);
        }
        self.hub.close();
        for drained in self.draining.drain(..) {
            // Nobody has to be waiting.
            let _ = drained.send(());
        }
        if result.is_err() {
            // sled 0.34.7 syncs when it is dropped and panics if that fails, twice, which aborts the process
            // before it can say why. On a disk that failed the store is left as it is.
            std::mem::forget(self.store);
        }
        result
    }

    fn turns(&mut self) -> Result<(), StoreError> {
        let mut work: Vec<Work> = Vec::new();
        self.count();
        loop {
            let began = Instant::now();
            if self.rest.is_empty() {
                let patience = self.saving.patience();
                let patience = self.hub.next_round(began).map_or(patience, |wait| wait.min(patience));
                self.inbox.take(&mut work, patience);
                self.rest.extend(work.drain(..));
            }
            let taken = Instant::now();
            self.metrics.idle_us.add(micros(taken - began));
            self.now = (self.clock)();
            self.turn = self.turn.wrapping_add(1);
            if !self.rest.is_empty() {
                self.look_at_disk()?;
                if !self.is_full {
                    self.shard = self.store.shard_at(self.now)?;
                }
            }
            // Permits are given back when the batch is done, so that the queue bounds what is in the batch too.
            let mut rooms = Vec::new();
            while !self.draft.is_large() {
                let Some(one) = self.rest.pop_front() else { break };
                rooms.extend(self.take(one)?);
            }
            let writing = self.write()?;
            drop(rooms);
            self.metrics.writing_us.add(micros(writing));
            self.metrics.busy_us.add(micros(taken.elapsed().saturating_sub(writing)));
            if !self.draining.is_empty() && self.rest.is_empty() {
                return self.save_now();
            }
            self.save_when_due()?;
        }
    }

    /// Asks for the free space, and says when it ran out or came back.
    fn look_at_disk(&mut self) -> Result<(), StoreError> {
        let room = self.store.room()?;
        self.metrics.disk_free_bytes.set(room.free_bytes);
        if room.is_full != self.is_full {
            self.is_full = room.is_full;
            self.metrics.storage_full.set(u64::from(room.is_full));
            if room.is_full {
                tracing::warn!(
                    free_bytes = room.free_bytes,
                    "the disk is full: nothing new is taken until space returns"
                );
            } else {
                tracing::info!(free_bytes = room.free_bytes, "there is space again: appends are taken");
            }
        }
        Ok(())
    }

    /// Answers what came too late.
    fn turn_away(&mut self, work: Work) {
        match work {
            Work::Requests(submission) => {
                if let Some(slot) = self.hub.slot(submission.session) {
                    for (id, _, _) in submission.requests {
                        self.hub.send(slot, id, &super::answers::unavailable());
                    }
                }
            }
            Work::Verdict(verdict) => {
                if let Some(slot) = self.hub.slot(verdict.asked.session) {
                    self.hub.send(slot, verdict.asked.id, &super::answers::unavailable());
                }
            }
            Work::Attach { outbox, .. } => outbox.close(),
            Work::Admit(_, answer) => drop(answer.send(Err(AdmitError::Unavailable))),
            // Dropping the sender of an answer tells whoever waits.
            Work::Detach { .. }
            | Work::May(..)
            | Work::Usage(_)
            | Work::Survey(..)
            | Work::Held(..)
            | Work::Holders(..)
            | Work::Export(_)
            | Work::Mark(_)
            | Work::Retain(_)
            | Work::Saved(_)
            | Work::Drain(_) => {}
        }
    }

    /// Where a row is: in what no checkpoint has yet, or on the disk.
    fn row(&self, row: Row) -> RowSource {
        RowSource { row, fresh: self.saving.fresh(&row), reader: self.reader.clone() }
    }

    /// The public state of a conversation's group.
    fn base(&self, place: Place, row: Row) -> Base {
        self.groups
            .get(&place)
            .map_or_else(|| Base::Stored(self.row(row)), |state| Base::Loaded(state.clone()))
    }

    fn keep_group(&mut self, place: Place, state: PublicState) {
        if self.groups.len() >= GROUPS_LOADED_MAX
            && !self.groups.contains_key(&place)
            && let Some(other) = self.groups.keys().next().copied()
        {
            self.groups.remove(&other);
        }
        self.groups.insert(place, state);
    }

    fn live(&mut self, place: Place) -> Option<&mut Live> {
        if self.live.len() <= place.0 as usize {
            self.live.resize_with(self.state.count(), Live::default);
        }
        self.live.get_mut(place.0 as usize)
    }

    /// Numbers for whoever looks at the metrics, that change seldom.
    fn count(&self) {
        self.metrics.conversations.set(self.state.count() as u64);
        let bytes = self.state.all().fold(0u64, |sum, (_, known)| sum.saturating_add(known.stored_bytes()));
        self.metrics.stored_bytes.set(bytes);
    }
}
