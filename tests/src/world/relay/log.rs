//! The log of the world's relay: what is appended, who is told, and what may be read.

use super::ConnectionId;
use super::{Asker, EpochBegun, Logged, Out, Refused, Relay};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::Leave;
use sotto_protocol::body::log::{
    Append, Appended, ArchiveEntries, ArchiveEntry, Commit, Entries, Entry, EntryKind, Fetch, FetchArchive,
    Follow, Followed, SendEphemeral,
};
use sotto_protocol::body::push::{Delivered, Ephemeral, WelcomeWaiting};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::encode;
use sotto_protocol::ids::{ConversationId, MessageNumber, RequestId, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;
use sotto_relay_core::append::{self, Decision};
use sotto_relay_core::authorise::{Action, Denied, authorise};
use sotto_relay_core::commit::{self, Roll};
use sotto_relay_core::conversation::{Conversation, ShardId};
use sotto_relay_core::entry::EntryHead;
use sotto_relay_core::quota::Quotas;
use sotto_relay_core::record::Fact;

impl Relay {
    pub(super) fn entry(
        &self,
        id: ConversationId,
        who: Asker,
        kind: EntryKind,
        now: UnixMillis,
    ) -> Option<Entry> {
        let conversation = self.state.find(id)?;
        Some(Entry {
            sequence: conversation.head.next(),
            time: now,
            kind,
            account: who.account,
            device: who.device,
            number: MessageNumber(0),
            epoch: conversation.epoch,
            message: Payload::default(),
        })
    }

    pub(super) fn take(
        &mut self,
        id: ConversationId,
        entry: Entry,
        archive: Payload,
        out: &mut Out,
    ) -> Appended {
        let head = EntryHead {
            sequence: entry.sequence,
            time: entry.time,
            kind: entry.kind,
            account: entry.account,
            device: entry.device,
            number: entry.number,
            epoch: entry.epoch,
        };
        if let Some(place) = self.state.place(id) {
            let bytes = u64::try_from(entry.message.len() + archive.len()).unwrap_or(u64::MAX);
            self.state.append(place, ShardId(0), &head, bytes);
        }
        self.logs.entry(id).or_default().push(Logged { entry: entry.clone(), archive });
        let appended = Appended {
            conversation: id,
            number: head.number,
            sequence: head.sequence,
            time: head.time,
            extensions: Extensions::default(),
        };
        let sender = entry.device;
        let delivered =
            Delivered { conversation: id, entries: vec![entry], extensions: Extensions::default() };
        let bytes = encode(RequestId::PUSH, &delivered);
        for (connection, state) in &self.connections {
            let Some(who) = state.who.filter(|who| who.device != sender) else { continue };
            let member = self.state.find(id).is_some_and(|known| known.member(who.account).is_some());
            if state.followed.contains(&id) && member {
                out.push((*connection, bytes.clone()));
            }
        }
        appended
    }

    pub(super) fn append(
        &mut self,
        who: Asker,
        body: &Append,
        now: UnixMillis,
        out: &mut Out,
    ) -> Result<Appended, Refused> {
        let id = body.conversation;
        if let Some(left) = self.too_fast.checked_sub(1) {
            self.too_fast = left;
            let error = WireError::new(ErrorCode::QuotaExceeded, "the account has used up its rate");
            return Err(error.with_retry_after_ms(500).into());
        }
        let conversation = self.state.find(id);
        let decision = append::decide(conversation, who.account, who.device, body, &Quotas::NONE, 0);
        match decision.map_err(append::Refusal::wire) {
            Ok(Decision::Accept(_)) => {
                self.counts.appends += 1;
                let entry = self.entry(id, who, EntryKind::Application, now).ok_or(Refused::Broken)?;
                let entry = Entry { number: body.number, message: body.message.clone(), ..entry };
                Ok(self.take(id, entry, body.archive.clone(), out))
            }
            Ok(Decision::Repeat(place)) => {
                self.counts.repeats += 1;
                let log = self.logs.get(&id).into_iter().flatten();
                let time = log
                    .into_iter()
                    .find(|logged| Some(logged.entry.sequence) == place)
                    .map_or(now, |logged| logged.entry.time);
                let sequence = place.unwrap_or_default();
                let (number, extensions) = (body.number, Extensions::default());
                Ok(Appended { conversation: id, number, sequence, time, extensions })
            }
            Err(error) => {
                self.counts.stale += u64::from(error.code() == Some(ErrorCode::Stale));
                Err(error.into())
            }
        }
    }

    pub(super) fn commit(
        &mut self,
        who: Asker,
        body: &Commit,
        now: UnixMillis,
        out: &mut Out,
    ) -> Result<Appended, Refused> {
        let id = body.conversation;
        let conversation = self.known(id)?;
        commit::may_commit(who, conversation)?;
        let group = self.groups.get(&id).ok_or(Refused::Broken)?;
        let current = group.epoch();
        let refused = |error: commit::CommitRefused| {
            Refused::Wire(WireError::new(error.code(), error.to_string()).with_context(current.0))
        };
        let decided = commit::verify(group, body).and_then(|verified| {
            let change = commit::decide(&verified, group, who, conversation, &self.directory)?;
            Ok((verified.next().clone(), change))
        });
        let (next, change) = match decided {
            Ok(decided) => decided,
            Err(error) => {
                self.counts.races += u64::from(error.code() == ErrorCode::EpochMoved);
                return Err(refused(error));
            }
        };
        self.counts.commits += 1;
        let entry = self.entry(id, who, EntryKind::Commit, now).ok_or(Refused::Broken)?;
        let entry = Entry { message: body.commit.clone(), ..entry };
        let appended = self.take(id, entry, Payload::default(), out);
        let begun = EpochBegun {
            sequence: appended.sequence,
            group_info: body.group_info.clone(),
            tree: next.export_tree().into(),
            welcome: body.welcome.clone().unwrap_or_default(),
        };
        self.epochs.insert((id, next.epoch()), begun);
        let epoch = next.epoch();
        self.groups.insert(id, next);
        self.state.apply(&Fact::Committed {
            conversation: id,
            sequence: appended.sequence,
            joined: change.joined,
            left: change.left,
            welcomed: change.welcomed.iter().map(|asker| asker.device).collect(),
            welcome: body.welcome.clone(),
            group_info: body.group_info.clone(),
        });
        for (connection, state) in &self.connections {
            if state.who.is_some_and(|who| change.welcomed.iter().any(|added| added.device == who.device)) {
                let waiting = WelcomeWaiting { conversation: id, epoch, extensions: Extensions::default() };
                out.push((*connection, encode(RequestId::PUSH, &waiting)));
            }
        }
        Ok(appended)
    }

    pub(super) fn leave(
        &mut self,
        who: Asker,
        body: &Leave,
        now: UnixMillis,
        out: &mut Out,
    ) -> Result<Appended, Refused> {
        let id = body.conversation;
        let conversation = self.known(id)?;
        authorise(Action::Leave, conversation.standing(who.account), conversation.kind)?;
        let entry = self.entry(id, who, EntryKind::Leave, now).ok_or(Refused::Broken)?;
        let entry = Entry { message: body.signature.to_vec().into(), ..entry };
        let appended = self.take(id, entry, Payload::default(), out);
        let (account, sequence) = (who.account, appended.sequence);
        self.state.apply(&Fact::Leaving { conversation: id, account, sequence });
        Ok(appended)
    }

    pub(super) fn visible(&self, id: ConversationId, who: Asker) -> Result<&Conversation, Refused> {
        let conversation = self.known(id)?;
        authorise(Action::ReadPast, conversation.standing(who.account), conversation.kind)?;
        Ok(conversation)
    }

    pub(super) fn fetch(&self, who: Asker, body: &Fetch) -> Result<Entries, Refused> {
        let id = body.conversation;
        let conversation = self.visible(id, who)?;
        let (from, to) = conversation.visible_after(who.account, body.after).ok_or(Denied::NotMember)?;
        let last = Sequence(to.0.min(from.0.saturating_add(u64::from(body.limit.min(64))).saturating_sub(1)));
        let log = self.logs.get(&id).into_iter().flatten();
        let entries = log
            .filter(|logged| from <= logged.entry.sequence && logged.entry.sequence <= last)
            .map(|logged| logged.entry.clone())
            .collect();
        let head = if conversation.member(who.account).is_some() { conversation.head } else { to };
        Ok(Entries { conversation: id, head, entries, extensions: Extensions::default() })
    }

    pub(super) fn fetch_archive(&self, who: Asker, body: &FetchArchive) -> Result<ArchiveEntries, Refused> {
        let id = body.conversation;
        let conversation = self.visible(id, who)?;
        let seen = if body.backwards {
            conversation.visible_before(who.account, body.from)
        } else {
            conversation.visible_after(who.account, body.from)
        };
        let (from, to) = seen.ok_or(Denied::NotMember)?;
        let log: Vec<&Logged> = self
            .logs
            .get(&id)
            .into_iter()
            .flatten()
            .filter(|logged| from <= logged.entry.sequence && logged.entry.sequence <= to)
            .collect();
        let limit = usize::try_from(body.limit).unwrap_or(usize::MAX);
        let ordered: Vec<&Logged> = if body.backwards { log.into_iter().rev().collect() } else { log };
        let looked: Vec<&Logged> = ordered.iter().copied().take(limit).collect();
        let more = ordered.len() > looked.len();
        let next = looked.last().filter(|_| more).map_or(Sequence(0), |logged| logged.entry.sequence);
        let entries = looked
            .into_iter()
            .filter(|logged| !logged.archive.is_empty())
            .map(|Logged { entry, archive }| ArchiveEntry {
                sequence: entry.sequence,
                time: entry.time,
                account: entry.account,
                device: entry.device,
                number: entry.number,
                epoch: entry.epoch,
                sealed: archive.clone(),
            })
            .collect();
        Ok(ArchiveEntries { conversation: id, entries, next, extensions: Extensions::default() })
    }

    pub(super) fn follow(&mut self, from: ConnectionId, who: Asker, body: &Follow) -> Followed {
        let mut heads = Vec::new();
        for id in &body.conversations {
            let member = self.state.find(*id).filter(|known| known.member(who.account).is_some());
            let Some(conversation) = member else { continue };
            heads.push((*id, conversation.head));
            if let Some(connection) = self.connections.get_mut(&from) {
                connection.followed.insert(*id);
            }
        }
        Followed { heads, extensions: Extensions::default() }
    }

    pub(super) fn ephemeral(&mut self, who: Asker, mut body: SendEphemeral, out: &mut Out) {
        let id = body.conversation;
        let Some(conversation) = self.state.find(id) else { return };
        if authorise(Action::Write, conversation.standing(who.account), conversation.kind).is_err() {
            return;
        }
        if self.alters_ephemerals {
            // Behind the epoch, which is in the clear: another place each time.
            let mut bytes = body.sealed.as_slice().to_vec();
            let place = 8 + usize::try_from(self.counts.altered).unwrap_or(0) * 101 % (bytes.len() - 8);
            bytes[place] ^= 1 << (self.counts.altered % 8);
            self.counts.altered += 1;
            body.sealed = bytes.into();
        }
        let push = Ephemeral {
            conversation: id,
            account: who.account,
            device: who.device,
            sealed: body.sealed,
            extensions: Extensions::default(),
        };
        let bytes = encode(RequestId::PUSH, &push);
        for (connection, state) in &self.connections {
            let Some(to) = state.who.filter(|to| to.device != who.device) else { continue };
            if state.followed.contains(&id) && conversation.member(to.account).is_some() {
                out.push((*connection, bytes.clone()));
            }
        }
    }
}
