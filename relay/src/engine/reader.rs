//! Answers that are read from the disk, on threads of their own.
//!
//! The committer has decided what may be seen before it hands a job over; nothing here asks who somebody is.

use super::group::RowSource;
use super::metrics::{EngineMetrics, micros};
use super::outbox::Outbox;
use super::{Directory, answers};
use crate::store::{LogReader, Run, StoreError};
use bytes::{BufMut, Bytes, BytesMut};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{Group, Member, State, States, Welcome, Welcomes};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame;
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_protocol::limits::{FETCH_BYTES_MAX, FETCH_ENTRIES_MAX, FRAME_BODY_BYTES_MAX};
use sotto_relay_core::conversation::{Membership, ShardId};
use sotto_relay_core::entry::{self, EntryHead, write_varint};
use sotto_relay_core::record::walk_archives;
use sotto_relay_core::state::Waiting;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::OwnedSemaphorePermit;

/// Where the answer goes.
pub(super) struct Ask {
    pub(super) outbox: Arc<Outbox>,
    pub(super) id: RequestId,
    /// Given back when the answer is queued; `None` for what is answered one for one with a bounded request.
    pub(super) permit: Option<OwnedSemaphorePermit>,
}

/// A stretch of a log, and where its runs are.
pub(super) struct Stretch {
    pub(super) conversation: ConversationId,
    /// First and last place, both included.
    pub(super) from: Sequence,
    pub(super) to: Sequence,
    /// Shards with their first sequences, oldest first.
    pub(super) shards: Vec<(ShardId, Sequence)>,
    /// The runs in the stretch that are in no index yet, ascending.
    pub(super) fresh: Vec<Run>,
}

/// What to read.
pub(super) enum Read {
    Fetch {
        stretch: Stretch,
        head: Sequence,
        limit: u32,
    },
    Archive {
        stretch: Stretch,
        backwards: bool,
        limit: u32,
    },
    /// An append that was taken before: the time of its entry is in the log.
    Repeat {
        stretch: Stretch,
        number: MessageNumber,
    },
    Group {
        source: RowSource,
        epoch: Epoch,
        sequence: Sequence,
    },
    Welcomes {
        sources: Vec<(Waiting, RowSource)>,
    },
    States {
        conversations: Vec<Known>,
    },
}

/// A conversation as one account may know it.
pub(super) struct Known {
    pub(super) state: State,
    /// `None` for an account that is no member.
    pub(super) members: Option<Arc<BTreeMap<AccountId, Membership>>>,
}

/// One read with where its answer goes.
pub(super) struct ReadJob {
    pub(super) ask: Ask,
    pub(super) read: Read,
}

/// What readers need.
pub(super) struct Readers {
    pub(super) store: Arc<dyn LogReader>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) metrics: Arc<EngineMetrics>,
}

impl Readers {
    pub(super) fn work(&self, job: ReadJob) {
        let begin = Instant::now();
        let ReadJob { ask, read } = job;
        let is_fetch = matches!(read, Read::Fetch { .. } | Read::Archive { .. });
        let answer = match self.answer(ask.id, read) {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "the log could not be read");
                vec![frame::encode(ask.id, &answers::unreadable(&error))]
            }
        };
        ask.outbox.push(answer);
        drop(ask.permit);
        if is_fetch {
            self.metrics.fetches.add(1);
            self.metrics.fetch_us.record(micros(begin.elapsed()));
        }
    }

    fn answer(&self, id: RequestId, read: Read) -> Result<Vec<Bytes>, StoreError> {
        match read {
            Read::Fetch { stretch, head, limit } => self.fetch(id, &stretch, head, limit),
            Read::Archive { stretch, backwards, limit } => {
                Ok(vec![self.archive(id, &stretch, backwards, limit)?])
            }
            Read::Repeat { stretch, number } => Ok(vec![self.repeat(id, &stretch, number)?]),
            Read::Group { source, epoch, sequence } => {
                let row = source.group()?;
                if row.epoch != epoch {
                    // The row was replaced between the question and the reading.
                    let moved =
                        WireError::new(ErrorCode::Unavailable, "the group moved on meanwhile: ask again");
                    return Ok(vec![frame::encode(id, &moved.with_retry_after_ms(50))]);
                }
                let body = Group {
                    epoch: row.epoch,
                    sequence,
                    group_info: row.group_info,
                    tree: row.tree,
                    extensions: Extensions::default(),
                };
                Ok(vec![frame::encode(id, &body)])
            }
            Read::Welcomes { sources } => Ok(vec![welcomes(id, &sources)?]),
            Read::States { conversations } => Ok(vec![self.states(id, conversations)]),
        }
    }

    /// The first run that holds `at` or comes after it, within the stretch.
    fn runs_from(&self, stretch: &Stretch, at: Sequence) -> Result<Vec<Run>, StoreError> {
        let mut runs = match stretch.fresh.first() {
            Some(first) if at >= first.first => stretch.fresh.clone(),
            _ => {
                let place = stretch.shards.partition_point(|(_, first)| *first <= at);
                let shard = place.checked_sub(1).and_then(|place| stretch.shards.get(place));
                shard
                    .map_or(Ok(Vec::new()), |(shard, _)| self.store.runs(*shard, stretch.conversation, at))?
            }
        };
        runs.retain(|run| run.last() >= at);
        Ok(runs)
    }

    /// The core column of a run; `None` if retention was faster.
    fn cores(&self, run: &Run) -> Result<Option<Bytes>, StoreError> {
        self.store.bytes(run.shard, run.batch, run.offset, run.cores)
    }

    fn fetch(
        &self,
        id: RequestId,
        stretch: &Stretch,
        head: Sequence,
        limit: u32,
    ) -> Result<Vec<Bytes>, StoreError> {
        let limit = (limit as usize).clamp(1, FETCH_ENTRIES_MAX);
        let mut parts = Vec::new();
        let (mut count, mut bytes, mut at) = (0, 0, stretch.from);
        'all: while at <= stretch.to {
            let runs = self.runs_from(stretch, at)?;
            if runs.is_empty() {
                break;
            }
            for run in runs {
                let Some(cores) = self.cores(&run)? else { break 'all };
                // Entries before `at` are skipped, those after the limit cut off; what is between is one slice.
                let (mut start, mut end) = (None, 0);
                for entry in entry::walk(&cores) {
                    let place = entry.head.sequence;
                    if place >= at && place <= stretch.to {
                        let is_full = count >= limit || (count > 0 && bytes + entry.length > FETCH_BYTES_MAX);
                        if is_full {
                            parts.extend(start.map(|start| cores.slice(start..end)));
                            break 'all;
                        }
                        start.get_or_insert(end);
                        count += 1;
                        bytes += entry.length;
                        at = place.next();
                    }
                    end += entry.length;
                    if place >= stretch.to {
                        break;
                    }
                }
                parts.extend(start.map(|start| cores.slice(start..end)));
                if at > stretch.to {
                    break 'all;
                }
            }
        }
        Ok(answers::entries(id, stretch.conversation, head, count, &parts))
    }

    fn repeat(&self, id: RequestId, stretch: &Stretch, number: MessageNumber) -> Result<Bytes, StoreError> {
        let run = self.runs_from(stretch, stretch.from)?.first().copied();
        let cores = run.map(|run| self.cores(&run)).transpose()?.flatten();
        let found = cores
            .as_ref()
            .and_then(|cores| entry::walk(cores).find(|entry| entry.head.sequence == stretch.from));
        let time = found.map_or(UnixMillis(0), |entry| entry.head.time);
        let mut out = BytesMut::new();
        answers::appended(&mut out, id, stretch.conversation, number, stretch.from, time);
        Ok(out.freeze())
    }

    fn archive(
        &self,
        id: RequestId,
        stretch: &Stretch,
        backwards: bool,
        limit: u32,
    ) -> Result<Bytes, StoreError> {
        let mut page = Page { limit: (limit as usize).clamp(1, FETCH_ENTRIES_MAX), ..Page::default() };
        let mut at = if backwards { stretch.to } else { stretch.from };
        let mut next = Sequence(0);
        'all: while at >= stretch.from && at <= stretch.to {
            let runs = if backwards { self.runs_to(stretch, at)? } else { self.runs_from(stretch, at)? };
            if runs.is_empty() {
                break;
            }
            for run in runs {
                let columns = run.cores.saturating_add(run.archives);
                let Some(bytes) = self.store.bytes(run.shard, run.batch, run.offset, columns)? else {
                    break 'all;
                };
                let (cores, archives) = bytes.split_at(run.cores as usize);
                let mut copies: Vec<(EntryHead, &[u8])> =
                    entry::walk(cores).map(|entry| entry.head).zip(walk_archives(archives)).collect();
                if backwards {
                    copies.reverse();
                }
                for (head, sealed) in copies {
                    let place = head.sequence;
                    let is_due = if backwards { place <= at } else { place >= at };
                    if !is_due || place < stretch.from || place > stretch.to {
                        continue;
                    }
                    if !sealed.is_empty() && !page.take(&head, sealed) {
                        break 'all;
                    }
                    next = place;
                    at = if backwards { Sequence(place.0.saturating_sub(1)) } else { place.next() };
                    page.looked_at += 1;
                    // A stretch without copies is not walked for ever in one answer.
                    if page.looked_at >= FETCH_ENTRIES_MAX * 8 {
                        break 'all;
                    }
                }
            }
        }
        let is_end = at < stretch.from || at > stretch.to;
        let next = if is_end { Sequence(0) } else { next };
        Ok(answers::archive_entries(id, stretch.conversation, page.count, &page.bytes, next))
    }

    /// The runs up to the one that holds `at`, newest first.
    fn runs_to(&self, stretch: &Stretch, at: Sequence) -> Result<Vec<Run>, StoreError> {
        let mut runs: Vec<Run> = stretch.fresh.iter().filter(|run| run.first <= at).copied().collect();
        if runs.is_empty() {
            let place = stretch.shards.partition_point(|(_, first)| *first <= at);
            for (shard, _) in stretch.shards.get(..place).unwrap_or_default().iter().rev() {
                runs = self.store.runs(*shard, stretch.conversation, at)?;
                runs.retain(|run| run.first <= at);
                if !runs.is_empty() {
                    break;
                }
            }
        }
        runs.reverse();
        Ok(runs)
    }

    fn states(&self, id: RequestId, known: Vec<Known>) -> Bytes {
        let mut conversations = Vec::with_capacity(known.len());
        let mut bytes = 0;
        for Known { mut state, members } in known {
            let current = members.iter().flat_map(|members| members.iter());
            for (account, membership) in current {
                let Some(since) = membership.since() else { continue };
                let username = self.directory.username(*account).unwrap_or_default();
                state.members.push(Member { account: *account, username, role: membership.role, since });
            }
            let size = 160 + state.members.iter().map(|member| 40 + member.username.len()).sum::<usize>();
            // Past the middle of a frame only the conversations themselves are listed: ask for one to see its members.
            if bytes + size > FRAME_BODY_BYTES_MAX / 2 {
                state.members.clear();
            }
            bytes += if state.members.is_empty() { 160 } else { size };
            if bytes > FRAME_BODY_BYTES_MAX - 4096 {
                break;
            }
            conversations.push(state);
        }
        frame::encode(id, &States { conversations, extensions: Extensions::default() })
    }
}

/// Archive copies on their way into one answer.
#[derive(Default)]
struct Page {
    limit: usize,
    count: usize,
    looked_at: usize,
    bytes: BytesMut,
}

impl Page {
    /// Takes one more copy, as the body of an `ArchiveEntry`; `false` if the page is full.
    fn take(&mut self, head: &EntryHead, sealed: &[u8]) -> bool {
        if self.count >= self.limit
            || (self.count > 0 && self.bytes.len() + sealed.len() + 80 > FETCH_BYTES_MAX)
        {
            return false;
        }
        let out = &mut self.bytes;
        write_varint(out, head.sequence.0);
        write_varint(out, head.time.0);
        out.put_slice(head.account.as_bytes());
        out.put_slice(head.device.as_bytes());
        write_varint(out, head.number.0);
        write_varint(out, head.epoch.0);
        write_varint(out, sealed.len() as u64);
        out.put_slice(sealed);
        self.count += 1;
        true
    }
}

fn welcomes(id: RequestId, sources: &[(Waiting, RowSource)]) -> Result<Bytes, StoreError> {
    let mut welcomes = Vec::with_capacity(sources.len());
    let mut bytes = 0usize;
    for (waiting, source) in sources {
        let welcome = source.bytes()?;
        bytes = bytes.saturating_add(welcome.len());
        if !welcomes.is_empty() && bytes > FETCH_BYTES_MAX {
            break;
        }
        let Waiting { conversation, epoch, sequence } = *waiting;
        welcomes.push(Welcome { conversation, epoch, sequence, welcome: welcome.into() });
    }
    Ok(frame::encode(id, &Welcomes { welcomes, extensions: Extensions::default() }))
}
