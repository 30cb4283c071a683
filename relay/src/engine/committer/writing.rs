//! From what was accepted to bytes on the disk, and only then to answers.

use super::{After, Committer, Live};
use crate::engine::hub::{Outgoing, Slot};
use crate::engine::metrics::micros;
use crate::engine::reader::{Ask, Read, ReadJob, Stretch};
use crate::engine::{AdmitError, answers};
use crate::store::{Run, StoreError};
use bytes::{Bytes, BytesMut};
use sotto_protocol::body::log::EntryKind;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, RequestId, Sequence};
use sotto_protocol::limits::FETCH_ENTRIES_MAX;
use sotto_protocol::payload::Payload;
use sotto_relay_core::entry::{self, EntryHead};
use sotto_relay_core::record::{self, Fact, RUN_HEADER_BYTES, RunHeader};
use sotto_relay_core::state::Place;
use std::time::{Duration, Instant};

/// What a turn has accepted, in the order of its records.
#[derive(Default)]
pub(super) struct Draft {
    accepted: Vec<Accepted>,
    parts: Vec<Part>,
    bytes: usize,
    pub(super) after: Vec<After>,
    welcomes: Vec<(Vec<DeviceId>, ConversationId, Epoch)>,
    left: Vec<(Place, AccountId)>,
    /// Where the batch is written; what was in it before may still be on its way to receivers.
    buffer: BytesMut,
}

/// An entry that was accepted, and who is told.
struct Accepted {
    asked: Option<(Slot, RequestId)>,
    head: EntryHead,
    message: Payload,
    archive: Payload,
    /// The next entry of the same run.
    next: Option<usize>,
}

enum Part {
    Run(RunPart),
    Fact(Box<Fact>),
}

struct RunPart {
    place: Place,
    conversation: ConversationId,
    first: usize,
    last: usize,
    count: u32,
    only_by: Option<DeviceId>,
    /// Where its core column begins in the batch, and how long it is, once written.
    cores: (usize, usize),
}

impl Draft {
    pub(super) const fn is_large(&self) -> bool {
        self.accepted.len() >= super::BATCH_ENTRIES_MAX || self.bytes >= super::BATCH_BYTES_MAX
    }
}

impl Committer {
    /// Takes an entry into the batch and into the state.
    pub(super) fn accept(
        &mut self,
        place: Place,
        conversation: ConversationId,
        asked: Option<(Slot, RequestId)>,
        head: EntryHead,
        message: Payload,
        archive: Payload,
    ) {
        let bytes = message.len() + archive.len();
        self.state.append(place, self.shard, &head, bytes as u64);
        self.saving.dirty.places.insert(place);
        self.saving.dirty.holders.insert(head.account);
        self.draft.bytes += bytes + 96;
        let index = self.draft.accepted.len();
        let turn = self.turn;
        let parts = self.draft.parts.len();
        let open = self.live(place).and_then(|live| {
            let open = live.open.filter(|(known, _)| *known == turn).map(|(_, part)| part);
            live.open = Some((turn, open.unwrap_or(parts)));
            open
        });
        if let Some(Part::Run(run)) = open.and_then(|part| self.draft.parts.get_mut(part)) {
            if let Some(before) = self.draft.accepted.get_mut(run.last) {
                before.next = Some(index);
            }
            run.last = index;
            run.count += 1;
            run.only_by = run.only_by.filter(|device| *device == head.device);
        } else {
            self.draft.parts.push(Part::Run(RunPart {
                place,
                conversation,
                first: index,
                last: index,
                count: 1,
                only_by: Some(head.device),
                cores: (0, 0),
            }));
        }
        self.draft.accepted.push(Accepted { asked, head, message, archive, next: None });
    }

    /// Takes a fact into the batch and into the state. Entries of its conversation that are accepted after it
    /// come after it in the batch.
    pub(super) fn accept_fact(&mut self, fact: Fact) {
        let consequences = self.state.apply(&fact);
        self.saving.dirty.note(&consequences);
        if let Some(place) = consequences.changed {
            for account in consequences.left {
                self.draft.left.push((place, account));
            }
            if let Some(live) = self.live(place) {
                live.open = None;
            }
        }
        if let Fact::Committed { conversation, welcomed, .. } = &fact
            && !welcomed.is_empty()
            && let Some(known) = self.state.find(*conversation)
        {
            self.draft.welcomes.push((welcomed.clone(), *conversation, known.epoch));
        }
        self.draft.bytes += match &fact {
            Fact::Created { group_info, tree, .. } => group_info.len() + tree.len(),
            Fact::Committed { group_info, welcome, .. } => {
                group_info.len() + welcome.as_ref().map_or(0, Payload::len)
            }
            Fact::State { snapshot, .. } => snapshot.len(),
            _ => 64,
        };
        self.draft.parts.push(Part::Fact(Box::new(fact)));
    }

    /// Writes the batch, then answers. Returns how long the writing took.
    pub(super) fn write(&mut self) -> Result<Duration, StoreError> {
        let mut took = Duration::ZERO;
        if !self.draft.parts.is_empty() {
            let batch = self.encode();
            let number = self.written.next();
            let timing = self.store.append(number, &batch)?;
            took = timing.write;
            self.written = number;
            self.last_shard = Some(self.shard);
            self.metrics.batches.add(1);
            self.metrics.batch_entries.record(self.draft.accepted.len() as u64);
            self.metrics.batch_write_us.record(micros(timing.write));
            self.metrics.fsync_us.record(micros(timing.fsync));
            self.index();
            self.acknowledge();
            self.answer();
            self.deliver(&batch);
        } else if !self.draft.after.is_empty() {
            self.answer();
        }
        self.draft.accepted.clear();
        self.draft.parts.clear();
        self.draft.bytes = 0;
        self.hub.tell_presence(Instant::now());
        self.hub.flush();
        Ok(took)
    }

    fn encode(&mut self) -> Bytes {
        let draft = &mut self.draft;
        let batch = &mut draft.buffer;
        batch.reserve(draft.bytes + draft.parts.len() * (RUN_HEADER_BYTES + 64));
        for part in &mut draft.parts {
            match part {
                Part::Fact(fact) => record::write_fact(batch, fact),
                Part::Run(run) => write_run(batch, run, &draft.accepted),
            }
        }
        batch.split().freeze()
    }

    /// Notes where the runs are.
    fn index(&mut self) {
        let (shard, batch) = (self.shard, self.written);
        for part in &self.draft.parts {
            let Part::Run(run) = part else { continue };
            let Some(first) = self.draft.accepted.get(run.first) else { continue };
            let archives =
                column(&self.draft.accepted, run.first).map(|entry| entry.archive.len() + 4).sum::<usize>();
            let number = |value: usize| u32::try_from(value).expect("a batch is far below 4 GiB");
            if let Some(live) = self.live.get_mut(run.place.0 as usize) {
                live.tail.push(Run {
                    shard,
                    batch,
                    first: first.head.sequence,
                    count: run.count,
                    offset: number(run.cores.0),
                    cores: number(run.cores.1),
                    archives: number(archives),
                });
            }
        }
    }

    fn acknowledge(&mut self) {
        let (mut messages, mut commits, mut bytes) = (0, 0, 0);
        for part in &self.draft.parts {
            let Part::Run(run) = part else { continue };
            for entry in column(&self.draft.accepted, run.first) {
                match entry.head.kind {
                    EntryKind::Application => messages += 1,
                    EntryKind::Commit => commits += 1,
                    EntryKind::Leave => {}
                }
                bytes += entry.message.len() + entry.archive.len();
                let Some((slot, id)) = entry.asked else { continue };
                if let Some(buffer) = self.hub.buffer(slot) {
                    let EntryHead { number, sequence, time, .. } = entry.head;
                    answers::appended(buffer, id, run.conversation, number, sequence, time);
                }
            }
        }
        self.metrics.messages.add(messages);
        self.metrics.commits.add(commits);
        self.metrics.message_bytes.add(bytes as u64);
    }

    fn answer(&mut self) {
        let mut after = std::mem::take(&mut self.draft.after);
        for one in after.drain(..) {
            match one {
                After::Refuse(slot, id, error) => {
                    if let Some(code) = error.code() {
                        self.metrics.refused(code);
                    }
                    self.hub.send(slot, id, &*error);
                }
                After::Frame(slot, frame) => {
                    if let Some(buffer) = self.hub.buffer(slot) {
                        buffer.extend_from_slice(&frame);
                    }
                }
                After::Read(slot, id, permit, read) => self.hand_over(slot, id, permit, read),
                After::Log(log) => {
                    let Some(stretch) = self.stretch(log.place, log.from, log.to, log.backwards) else {
                        continue;
                    };
                    let read = match log.kind {
                        super::LogRead::Fetch { head, limit } => Read::Fetch { stretch, head, limit },
                        super::LogRead::Archive { limit } => {
                            Read::Archive { stretch, backwards: log.backwards, limit }
                        }
                        super::LogRead::Repeat { number } => Read::Repeat { stretch, number },
                    };
                    self.hand_over(log.slot, log.id, log.permit, read);
                }
                // Whoever asked may have gone.
                After::Admitted(answer) => drop(answer.send(Ok::<(), AdmitError>(()))),
            }
        }
        self.draft.after = after;
    }

    fn hand_over(
        &self,
        slot: Slot,
        id: RequestId,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
        read: Read,
    ) {
        if let Some(attached) = self.hub.get(slot) {
            let ask = Ask { outbox: attached.outbox.clone(), id, permit };
            self.readers.put(ReadJob { ask, read });
        }
    }

    /// A stretch of a log with the places that no index has yet. In one answer at most so many runs can matter.
    fn stretch(&self, place: Place, from: Sequence, to: Sequence, backwards: bool) -> Option<Stretch> {
        let conversation = self.state.get(place)?;
        let tail: &[Run] = self.live.get(place.0 as usize).map_or(&[], |live: &Live| &live.tail);
        let start = tail.partition_point(|run| run.last() < from);
        let end = tail.partition_point(|run| run.first <= to);
        let runs = tail.get(start..end).unwrap_or_default();
        let cut = runs.len().saturating_sub(FETCH_ENTRIES_MAX);
        let fresh = if backwards { runs.get(cut..) } else { runs.get(..runs.len().min(FETCH_ENTRIES_MAX)) };
        Some(Stretch {
            conversation: conversation.id,
            from,
            to,
            shards: conversation.spans.iter().map(|span| (span.shard, span.first)).collect(),
            fresh: fresh.unwrap_or_default().to_vec(),
        })
    }

    fn deliver(&mut self, batch: &Bytes) {
        for part in &self.draft.parts {
            let Part::Run(run) = part else { continue };
            let (Some(last), (start, length)) = (self.draft.accepted.get(run.last), run.cores) else {
                continue;
            };
            self.hub.deliver(&Outgoing {
                place: run.place,
                conversation: run.conversation,
                count: run.count,
                last: last.head.sequence,
                only_by: run.only_by,
                cores: &batch.slice(start..start + length),
            });
        }
        for (devices, conversation, epoch) in self.draft.welcomes.drain(..) {
            self.hub.welcome(&devices, conversation, epoch);
        }
        // After the delivery, so that a removed account sees its removal.
        for (place, account) in self.draft.left.drain(..) {
            self.hub.unfollow_account(place, account);
        }
    }
}

/// The entries of a run, in order.
fn column(accepted: &[Accepted], first: usize) -> impl Iterator<Item = &Accepted> {
    std::iter::successors(accepted.get(first), |entry| accepted.get(entry.next?))
}

fn write_run(batch: &mut BytesMut, run: &mut RunPart, accepted: &[Accepted]) {
    let place = record::begin_run(batch);
    let cores = batch.len();
    for entry in column(accepted, run.first) {
        entry::write(batch, &entry.head, entry.message.as_slice());
    }
    let archives = batch.len();
    for entry in column(accepted, run.first) {
        record::write_archive(batch, entry.archive.as_slice());
    }
    run.cores = (cores, archives - cores);
    let number = |value: usize| u32::try_from(value).expect("a batch is far below 4 GiB");
    let header = RunHeader {
        conversation: run.conversation,
        first: accepted.get(run.first).map_or(Sequence(0), |entry| entry.head.sequence),
        count: run.count,
        cores: number(archives - cores),
        archives: number(batch.len() - archives),
    };
    header.write_at(batch, place);
}
