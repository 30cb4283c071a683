//! Recovery: the state of the last checkpoint, and every batch after it applied again by the same code.

use super::Live;
use super::saving::Dirty;
use crate::engine::Recovered;
use crate::engine::group::{GroupRow, RowSource};
use crate::engine::verifier::rows;
use crate::store::{BatchNumber, LogStore, Row, Run, StoreError};
use bincode::{Decode, Encode};
use bytes::Bytes;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::log::{Commit, EntryKind};
use sotto_protocol::ids::{ConversationId, Sequence};
use sotto_protocol::payload::Payload;
use sotto_relay_core::commit;
use sotto_relay_core::conversation::{Conversation, ShardId};
use sotto_relay_core::holding::Holding;
use sotto_relay_core::record::{Fact, Record, RunHeader, read_batch, walk_run};
use sotto_relay_core::state::{State, Waiting};
use std::collections::HashMap;
use std::ops::ControlFlow;

/// What recovery leaves to the committer.
pub(super) struct Opened {
    pub(super) state: State,
    pub(super) live: Vec<Live>,
    pub(super) written: BatchNumber,
    /// What was applied after the checkpoint, so that the next one has it.
    pub(super) dirty: Dirty,
    pub(super) recovered: Recovered,
}

/// A row of a conversation or of a device's Welcomes.
pub(super) fn to_row(value: &impl Encode) -> Bytes {
    bincode::encode_to_vec(value, bincode::config::standard())
        .expect("writing to memory does not fail, and a row has no part that cannot be encoded")
        .into()
}

fn from_row<T: Decode<()>>(bytes: &Bytes) -> Result<T, StoreError> {
    // Every row is read from the disk whole, so no length in it can be larger than this.
    const CONFIG: bincode::config::Configuration<
        bincode::config::LittleEndian,
        bincode::config::Varint,
        bincode::config::Limit<{ 256 * 1024 * 1024 }>,
    > = bincode::config::standard().with_limit::<{ 256 * 1024 * 1024 }>();
    let unreadable = || StoreError::Internal("a row of the checkpoint does not read".to_owned());
    let (value, read) = bincode::decode_from_slice(bytes, CONFIG).map_err(|_| unreadable())?;
    if read == bytes.len() { Ok(value) } else { Err(unreadable()) }
}

/// Whether a row of a checkpoint reads. For a conversation, where its log is.
pub(crate) fn check_row(row: &Row, value: &Bytes) -> Result<Option<(ConversationId, Sequence)>, StoreError> {
    let unreadable = || StoreError::Internal(format!("{row:?} of the checkpoint does not read"));
    match row {
        Row::Conversation(_) => {
            let known: Conversation = from_row(value)?;
            return Ok(Some((known.id, known.head)));
        }
        Row::Group(id) => {
            GroupRow::from_bytes(value).ok_or_else(unreadable)?.state(*id)?;
        }
        Row::Joining(..) => {
            GroupRow::from_bytes(value).ok_or_else(unreadable)?;
        }
        Row::Waiting(_) => {
            from_row::<Vec<Waiting>>(value)?;
        }
        Row::Holding(_) => {
            from_row::<Holding>(value)?;
        }
        // An MLS message for those who join; the relay does not read it.
        Row::Welcome(..) | Row::Counted => {}
    }
    Ok(None)
}

/// Reads the store.
pub(super) fn recover(store: &dyn LogStore) -> Result<Opened, StoreError> {
    let restored = store.restore()?;
    let conversations: Vec<Conversation> =
        restored.conversations.iter().map(from_row).collect::<Result<_, _>>()?;
    let waiting = restored.waiting.iter().map(|(device, row)| Ok((*device, from_row::<Vec<Waiting>>(row)?)));
    let waiting = waiting.collect::<Result<Vec<_>, StoreError>>()?;
    let counted = restored.holdings.is_some();
    let holdings = restored.holdings.iter().flatten();
    let holdings = holdings.map(|(account, row)| Ok((*account, from_row::<Holding>(row)?)));
    let holdings = holdings.collect::<Result<Vec<_>, StoreError>>()?;
    let mut replay = Replay {
        store,
        state: State::restore(conversations, waiting, holdings),
        live: Vec::new(),
        groups: HashMap::new(),
        commits: HashMap::new(),
        states: HashMap::new(),
        dirty: Dirty::default(),
        entries: 0,
        batches: 0,
        written: restored.applied,
    };
    if !counted {
        replay.count(restored.applied)?;
    }
    store.replay(restored.applied, &mut |shard, number, batch| replay.batch(shard, number, &batch))?;
    replay.state.drop_shards(|shard| !store.has_shard(shard));
    let recovered = Recovered {
        conversations: replay.state.count(),
        replayed_batches: replay.batches,
        replayed_entries: replay.entries,
        after_crash: replay.batches > 0,
    };
    let Replay { state, live, dirty, written, .. } = replay;
    Ok(Opened { state, live, written, dirty, recovered })
}

struct Replay<'a> {
    store: &'a dyn LogStore,
    state: State,
    live: Vec<Live>,
    /// States of the groups whose commits are replayed.
    groups: HashMap<ConversationId, PublicState>,
    /// The last commit's entry of a conversation, until the fact that accepts it.
    commits: HashMap<ConversationId, (Sequence, Bytes)>,
    /// The state that the last commit leads to, where the log has it.
    states: HashMap<ConversationId, (Sequence, Payload)>,
    dirty: Dirty,
    entries: u64,
    batches: u64,
    written: BatchNumber,
}

impl Replay<'_> {
    /// Counts what each account has in the batches that the checkpoint has: once, for a log or a backup that was
    /// written when nobody did.
    fn count(&mut self, applied: BatchNumber) -> Result<(), StoreError> {
        let (export, state) = (self.store.export(), &mut self.state);
        for shard in export.shards()? {
            export.batches(shard, (BatchNumber(0), applied), &mut |_, batch| {
                // What does not read is for those to find who check a log.
                for record in read_batch(&batch).unwrap_or_default() {
                    let Record::Run { cores, archives, .. } = record else { continue };
                    for (entry, sealed) in walk_run(&cores, &archives) {
                        let bytes = entry.message.len() + sealed.len();
                        state.hold(entry.head.account, shard, bytes as u64);
                    }
                }
                ControlFlow::Continue(())
            })?;
        }
        self.dirty.holders.extend(self.state.holdings().map(|(account, _)| account));
        Ok(())
    }

    fn batch(&mut self, shard: ShardId, number: BatchNumber, batch: &Bytes) -> Result<(), StoreError> {
        let failed = |what: String| {
            StoreError::Internal(format!("batch {} cannot be applied again: {what}", number.0))
        };
        let records = read_batch(batch).map_err(|error| failed(error.to_string()))?;
        for record in records {
            match record {
                Record::Run { header, offset, cores, archives } => {
                    self.run((shard, number), (&header, offset), &cores, &archives).map_err(failed)?;
                }
                Record::Fact(fact) => self.fact(&fact).map_err(failed)?,
            }
        }
        self.batches += 1;
        self.written = number;
        Ok(())
    }

    fn run(
        &mut self,
        (shard, batch): (ShardId, BatchNumber),
        (header, offset): (&RunHeader, u32),
        cores: &Bytes,
        archives: &Bytes,
    ) -> Result<(), String> {
        let id = header.conversation;
        let place = self.state.place(id).ok_or_else(|| format!("conversation {id} is unknown"))?;
        let mut due = header.first;
        let mut start = 0;
        for (entry, sealed) in walk_run(cores, archives) {
            let head = self.state.get(place).map_or(Sequence(0), |known| known.head);
            if entry.head.sequence != due || due != head.next() {
                return Err(format!(
                    "entry {} of conversation {id} where {} is due",
                    entry.head.sequence,
                    head.next()
                ));
            }
            if entry.head.kind == EntryKind::Commit {
                let message = entry.message.as_ptr() as usize - cores.as_ptr() as usize;
                let message = cores.slice(message..message + entry.message.len());
                self.commits.insert(id, (entry.head.sequence, message));
            }
            let bytes = entry.message.len() + sealed.len();
            self.state.append(place, shard, &entry.head, bytes as u64);
            self.dirty.holders.insert(entry.head.account);
            due = due.next();
            start += entry.length;
            self.entries += 1;
        }
        if due.0 != header.first.0 + u64::from(header.count) || start != cores.len() {
            return Err(format!("a run of conversation {id} is not whole"));
        }
        self.live.resize_with(self.state.count(), Live::default);
        if let Some(live) = self.live.get_mut(place.0 as usize) {
            live.tail.push(Run {
                shard,
                batch,
                first: header.first,
                count: header.count,
                offset,
                cores: header.cores,
                archives: header.archives,
            });
        }
        self.dirty.places.insert(place);
        self.dirty.last_shard = Some(shard);
        Ok(())
    }

    fn fact(&mut self, fact: &Fact) -> Result<(), String> {
        match fact {
            Fact::Created { conversation, group_info, tree, .. } => {
                let state = PublicState::create(*conversation, group_info.as_slice(), tree.as_slice())
                    .map_err(|error| error.to_string())?;
                self.keep(*conversation, state, GroupRow::current, group_info);
            }
            Fact::Committed { conversation, sequence, group_info, welcome, .. } => {
                self.commit(*conversation, *sequence, group_info, welcome.as_ref())?;
            }
            Fact::State { conversation, sequence, snapshot } => {
                self.states.insert(*conversation, (*sequence, snapshot.clone()));
            }
            Fact::Leaving { .. }
            | Fact::RoleSet { .. }
            | Fact::Admitted { .. }
            | Fact::WelcomeTaken { .. } => {}
        }
        let consequences = self.state.apply(fact);
        self.dirty.note(&consequences);
        Ok(())
    }

    fn keep(
        &mut self,
        id: ConversationId,
        state: PublicState,
        row: impl Fn(&PublicState, &Payload) -> GroupRow,
        group_info: &Payload,
    ) {
        self.dirty.set(Row::Group(id), Some(row(&state, group_info).to_bytes()));
        self.groups.insert(id, state);
    }

    fn commit(
        &mut self,
        id: ConversationId,
        sequence: Sequence,
        group_info: &Payload,
        welcome: Option<&Payload>,
    ) -> Result<(), String> {
        let (_, message) = self
            .commits
            .remove(&id)
            .filter(|(known, _)| *known == sequence)
            .ok_or_else(|| format!("the commit at {sequence} of conversation {id} has no entry"))?;
        let commit = Commit {
            conversation: id,
            commit: message.into(),
            group_info: group_info.clone(),
            welcome: welcome.cloned(),
            extensions: Extensions::default(),
        };
        let before = self.groups.remove(&id);
        let next = match self.states.remove(&id).filter(|(known, _)| *known == sequence) {
            Some((_, snapshot)) => {
                PublicState::from_snapshot(id, snapshot.as_slice()).map_err(|error| error.to_string())?
            }
            None => {
                let source = RowSource { row: Row::Group(id), fresh: None, reader: self.store.reader() };
                let stored = || source.group().and_then(|row| row.state(id));
                let base = before.map_or_else(stored, Ok).map_err(|error| error.to_string())?;
                commit::verify(&base, &commit).map_err(|error| error.to_string())?.next().clone()
            }
        };
        let epoch = next.epoch();
        if self.state.find(id).is_some_and(|known| known.epoch.next() != epoch) {
            return Err(format!(
                "the state after the commit at {sequence} of conversation {id} is of {epoch}"
            ));
        }
        let (row, joining) = rows(&next, &commit);
        self.dirty.set(Row::Group(id), Some(row));
        if let (Some(joining), Some(welcome)) = (joining, welcome) {
            self.dirty.set(Row::Joining(id, epoch), Some(joining));
            self.dirty.set(Row::Welcome(id, epoch), Some(welcome.0.clone()));
        }
        self.groups.insert(id, next);
        Ok(())
    }
}
