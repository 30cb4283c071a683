//! Following the log: what is pushed, what is fetched, and what each entry does.
//!
//! Entries are taken strictly in the order of their sequence. What is pushed beyond a gap is dropped and
//! fetched again from the cursor, so there is one path and no buffer.

use crate::core::{Convo, Core, Ctx, store_or};
use crate::event::{Event, Failure, FailureCode};
use crate::kinds::heard::Speech;
use crate::rows::{self, Change, HistoryRow, Kept};
use crate::view::{Line, Origin, Standing};
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{CommitSummary, Conversation, Outcome, Processed, Sender, check_head};
use sotto_e2ee::seal::Verified;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::{HistoryPolicy, State, States};
use sotto_protocol::body::log::{Entries, Entry, Followed};
use sotto_protocol::body::push;
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{AccountId, ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one;
use std::collections::{BTreeMap, BTreeSet};

/// How often a log that is said to go on is asked for what comes.
const EMPTY_FETCHES_MAX: u32 = 3;

/// How long to wait in between.
const EMPTY_PAUSE_MS: u64 = 100;

impl Core {
    pub(crate) fn followed(
        &mut self,
        ctx: &mut Ctx<'_>,
        asked: &BTreeMap<ConversationId, Sequence>,
        answer: &Followed,
    ) {
        for (id, before) in asked {
            self.dirty.insert(*id);
            let Some(convo) = self.convos.get_mut(id) else { continue };
            convo.flight.following = false;
            convo.flight.followed = true;
            let cursor = convo.cursor();
            let head = answer.heads.iter().find(|(head_of, _)| head_of == id).map(|(_, head)| *head);
            // Who is no member any more is not in the answer; the log up to the removal says so itself.
            let wanted = head.unwrap_or_else(|| cursor.next());
            convo.flight.wanted = convo.flight.wanted.max(wanted);
            let alert = head.and_then(|head| check_head(*before, head));
            self.alerts(ctx, *id, alert.into_iter().collect());
        }
    }

    pub(crate) fn behind(&mut self, behind: &push::Behind) {
        self.dirty.insert(behind.conversation);
        if let Some(convo) = self.convos.get_mut(&behind.conversation) {
            convo.flight.followed = false;
            convo.flight.wanted = convo.flight.wanted.max(behind.head);
        }
    }

    pub(crate) fn delivered(
        &mut self,
        ctx: &mut Ctx<'_>,
        delivered: &push::Delivered,
    ) -> Result<(), StoreError> {
        self.with(delivered.conversation, |core, convo| core.take_entries(ctx, convo, &delivered.entries))?;
        Ok(())
    }

    pub(crate) fn fetched(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        after: Sequence,
        answer: &Entries,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.fetching = false;
            convo.flight.wanted = convo.flight.wanted.max(answer.head);
            let alert = check_head(after, answer.head);
            core.alerts(ctx, id, alert.into_iter().collect());
            if answer.entries.is_empty() {
                // A push may have overtaken this answer; but what is not there the third time is not there.
                let cursor = convo.cursor();
                let wanted = std::mem::replace(&mut convo.flight.wanted, cursor);
                convo.flight.empty_fetches = convo.flight.empty_fetches.saturating_add(1);
                if wanted > cursor && convo.flight.empty_fetches < EMPTY_FETCHES_MAX {
                    convo.flight.expected = Some((wanted, ctx.later(EMPTY_PAUSE_MS, 1)));
                }
                return Ok(());
            }
            convo.flight.empty_fetches = 0;
            core.take_entries(ctx, convo, &answer.entries)
        })?;
        Ok(())
    }

    pub(crate) fn fetch_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        error: WireError,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.wanted = convo.cursor();
            if convo.row().joining.is_some() {
                core.join_lost(convo);
                return Ok(());
            }
            match error.code() {
                Some(ErrorCode::NotMember | ErrorCode::Forbidden) => {
                    core.end(ctx, convo, &Failure::from(error))
                }
                _ => Ok(()),
            }
        })?;
        Ok(())
    }

    /// Takes a run of entries as far as it follows on the cursor.
    pub(crate) fn take_entries(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        for entry in entries {
            if convo.group.is_none() || convo.flight.damaged || convo.row().standing == Standing::Gone {
                break;
            }
            let cursor = convo.cursor();
            if entry.sequence <= cursor {
                continue;
            }
            if entry.sequence > cursor.next() {
                let last = entries.last().map_or(entry.sequence, |last| last.sequence);
                convo.flight.wanted = convo.flight.wanted.max(last);
                break;
            }
            self.take_entry(ctx, convo, entry)?;
        }
        Ok(())
    }

    fn take_entry(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, entry: &Entry) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_mut() else { return Ok(()) };
        match store_or(group.process(ctx.tx, &self.me, entry, ctx.now))? {
            Ok(processed) => self.take_processed(ctx, convo, entry, processed),
            Err(_) => {
                convo.flight.damaged = true;
                Ok(())
            }
        }
    }

    fn take_processed(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entry: &Entry,
        processed: Processed,
    ) -> Result<(), StoreError> {
        self.alerts(ctx, convo.id, processed.alerts);
        match processed.outcome {
            Outcome::Content(verified) => self.content(ctx, convo, entry, *verified),
            Outcome::Commit(summary) => self.commit_taken(ctx, convo, entry.sequence, entry.time, summary),
            Outcome::OwnCommit(summary) => self.own_commit(ctx, convo, entry.sequence, entry.time, summary),
            Outcome::Own { number } => {
                self.acknowledge(ctx, convo, number, entry.sequence, entry.time, false)
            }
            Outcome::Left(account) => self.leaver(ctx, convo, entry, account),
            Outcome::Removed(summary) => {
                self.commit_lines(ctx, convo, entry.sequence, entry.time, &summary)?;
                let failure =
                    Failure::new(FailureCode::NotMember, "this account was removed from the conversation");
                self.end(ctx, convo, &failure)
            }
            Outcome::Known | Outcome::BeforeJoining => Ok(()),
            Outcome::JoinLost => {
                self.join_lost(convo);
                Ok(())
            }
            Outcome::Undecryptable(reason) => self.undecryptable(ctx, convo, entry, reason),
        }
    }

    fn content(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entry: &Entry,
        verified: Verified,
    ) -> Result<(), StoreError> {
        let place = Place { sequence: entry.sequence, time: entry.time, epoch: entry.epoch };
        self.take_content(ctx, convo, place, verified, Origin::Message, true).map(|_| ())
    }

    /// A content that was opened, whichever way; true if it made a line.
    pub(crate) fn take_content(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        place: Place,
        verified: Verified,
        origin: Origin,
        live: bool,
    ) -> Result<bool, StoreError> {
        let Verified { sender, head, content, identity_differs } = verified;
        if identity_differs {
            // A copy in the archive may be of before the account changed its key; who knows better is the person.
            let (account, username) = (sender.account, self.name_of(sender.account));
            ctx.event(Event::IdentityChanged { account, username, was_verified: false });
        }
        if live {
            self.seen_by(ctx, convo, sender.account, head.seen);
        }
        let speech = Speech {
            place,
            account: sender.account,
            device: sender.device,
            number: head.number,
            sent_at: head.sent_at,
            origin,
            live,
        };
        match content {
            Content::Info { name } => {
                if live {
                    convo.flight.name_due = None;
                }
                // An old name from the archive does not replace the one of now.
                let news = live || convo.row().name.is_empty();
                if news && convo.row().name != name {
                    convo.row_mut().name.clone_from(&name);
                    self.conversation_event(ctx, convo)?;
                } else if live {
                    return Ok(false);
                }
                self.add_line(ctx, convo, place.sequence, &speech.row(Line::Named(name)), live)?;
                Ok(true)
            }
            control if control.is_control() => {
                if live {
                    self.control(ctx, convo, &sender, &control)?;
                }
                Ok(false)
            }
            content => self.heard(ctx, convo, &speech, content),
        }
    }

    /// A commit of somebody else.
    fn commit_taken(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        time: UnixMillis,
        summary: CommitSummary,
    ) -> Result<(), StoreError> {
        // Whatever we had staged was for the epoch that ended; the change behind it is looked at again.
        if convo.row().staged.is_some() {
            convo.row_mut().staged = None;
        }
        self.epoch_began(ctx, convo, sequence, time, &summary)
    }

    /// Our own commit is in the log.
    pub(crate) fn own_commit(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        time: UnixMillis,
        summary: CommitSummary,
    ) -> Result<(), StoreError> {
        let staged = convo.row_mut().staged.take();
        if convo.row().joining.is_some() {
            self.epoch_began(ctx, convo, sequence, time, &summary)?;
            return self.joined(ctx, convo);
        }
        self.epoch_began(ctx, convo, sequence, time, &summary)?;
        let Some(staged) = staged else { return Ok(()) };
        if let Some(Change::Add { claimed, added, .. }) = convo.changes.get_mut(&staged.change) {
            let in_now: BTreeSet<_> = one_by_one(summary.added.iter().map(|sender| sender.device));
            claimed.retain(|package| !in_now.contains(&package.device));
            let new: BTreeSet<AccountId> = one_by_one(summary.added.iter().map(|sender| sender.account));
            added.extend(new);
            self.save_change(ctx, convo, staged.change);
        } else if matches!(convo.changes.get(&staged.change), Some(Change::Update)) {
            self.change_done(ctx, convo, staged.change)?;
        }
        Ok(())
    }

    /// What every new epoch means, whoever began it.
    fn epoch_began(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        time: UnixMillis,
        summary: &CommitSummary,
    ) -> Result<(), StoreError> {
        self.commit_lines(ctx, convo, sequence, time, summary)?;
        if convo.row().history != HistoryPolicy::None {
            self.vault_changed(ctx);
        }
        if !convo.row().leavers.is_empty() {
            let members: BTreeSet<AccountId> =
                one_by_one(convo.members().iter().map(|member| member.account));
            convo.row_mut().leavers.retain(|account| members.contains(account));
            convo.flight.removal_due = None;
        }
        let by_itself = summary.committer.is_some_and(|device| summary.added.contains(&device));
        let own = summary.committer.is_some_and(|device| device.device == self.me.device());
        if by_itself && !own && !convo.row().name.is_empty() {
            // Whoever adds a device tells it the name; nobody added this one.
            convo.flight.name_due = Some(self.my_turn(ctx, convo));
        }
        let moved = !summary.added.is_empty() || !summary.removed.is_empty();
        if moved {
            convo.flight.refresh_wanted = true;
            self.conversation_event(ctx, convo)?;
        }
        Ok(())
    }

    fn commit_lines(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        time: UnixMillis,
        summary: &CommitSummary,
    ) -> Result<(), StoreError> {
        let accounts = |senders: &[Sender]| -> Vec<AccountId> {
            let set: BTreeSet<AccountId> = one_by_one(senders.iter().map(|sender| sender.account));
            set.into_iter().collect()
        };
        let line = if let Some(rejoined) = summary.rejoined.first() {
            Line::Rejoined(rejoined.account)
        } else if !summary.removed.is_empty() {
            Line::Removed(accounts(&summary.removed))
        } else if !summary.added.is_empty() {
            Line::Added(accounts(&summary.added))
        } else {
            return Ok(());
        };
        let by = summary.committer.or_else(|| summary.rejoined.first().copied());
        let by = by.or_else(|| summary.added.first().copied());
        let row = HistoryRow {
            time,
            sent_at: time,
            account: by.map_or_else(|| self.me.account(), |by| by.account),
            device: by.map_or_else(|| self.me.device(), |by| by.device),
            number: MessageNumber(0),
            epoch: summary.epoch,
            line,
            origin: Origin::Message,
        };
        self.add_line(ctx, convo, sequence, &row, true)
    }

    fn leaver(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entry: &Entry,
        account: AccountId,
    ) -> Result<(), StoreError> {
        let row = HistoryRow {
            time: entry.time,
            sent_at: entry.time,
            account,
            device: entry.device,
            number: MessageNumber(0),
            epoch: entry.epoch,
            line: Line::Left(account),
            origin: Origin::Message,
        };
        self.add_line(ctx, convo, entry.sequence, &row, true)?;
        if account == self.me.account() {
            convo.row_mut().standing = Standing::Leaving;
        }
        if !convo.row().leavers.contains(&account) {
            convo.row_mut().leavers.push(account);
        }
        Ok(())
    }

    /// Tells the name to who joined by itself, unless another member did.
    pub(crate) fn drive_name(&self, ctx: &Ctx<'_>, convo: &mut Convo) {
        let Some(due) = convo.flight.name_due.filter(|_| convo.row().standing == Standing::Member) else {
            return;
        };
        if due > ctx.now {
            convo.wake_at(due);
            return;
        }
        convo.flight.name_due = None;
        let name = convo.row().name.clone();
        self.queue(ctx, convo, Kept::Info(name));
    }

    /// Removes who left, unless another member does it first.
    pub(crate) fn drive_leavers(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let me = self.me.account();
        let leavers: Vec<AccountId> =
            convo.row().leavers.iter().copied().filter(|account| *account != me).collect();
        if leavers.is_empty() || convo.row().standing != Standing::Member {
            return;
        }
        let due = match convo.flight.removal_due {
            Some(due) => due,
            None => {
                let due = self.my_turn(ctx, convo);
                convo.flight.removal_due = Some(due);
                due
            }
        };
        if due > ctx.now {
            convo.wake_at(due);
            return;
        }
        let planned = |account: &AccountId| {
            convo.changes.values().any(|change| match change {
                Change::Remove { accounts } => accounts.contains(account),
                _ => false,
            })
        };
        let accounts: Vec<AccountId> = leavers.into_iter().filter(|account| !planned(account)).collect();
        if !accounts.is_empty() {
            self.add_change(ctx, convo, Change::Remove { accounts }, None);
        }
    }

    /// A time that differs between the devices of a conversation, so that not all do the same at once.
    pub(crate) fn my_turn(&self, ctx: &mut Ctx<'_>, convo: &Convo) -> UnixMillis {
        let rank = convo.members().iter().position(|member| member.device == self.me.device()).unwrap_or(0);
        let before_us = u64::try_from(rank).unwrap_or(0).min(20);
        ctx.later(before_us.saturating_mul(self.settings.jitter_ms), self.settings.jitter_ms)
    }

    /// This device is out: what waited fails, the history stays.
    pub(crate) fn end(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        failure: &Failure,
    ) -> Result<(), StoreError> {
        convo.group = None;
        // A removed group forgets itself; in the other cases a failure leaves rows that nothing reads.
        let _ = store_or(Conversation::forget(ctx.tx, convo.id))?;
        for number in std::mem::take(&mut convo.outbox).into_keys() {
            ctx.tx.delete(rows::outbox_key(convo.id, MessageNumber(number)));
            let token = self.waiting.sends.remove(&(convo.id, MessageNumber(number)));
            ctx.failed(token, failure.clone());
        }
        for change in std::mem::take(&mut convo.changes).into_keys() {
            ctx.tx.delete(rows::change_key(convo.id, change));
            let token = self.waiting.changes.remove(&change);
            ctx.failed(token, failure.clone());
        }
        for sequence in std::mem::take(&mut convo.broken).into_keys() {
            ctx.tx.delete(rows::broken_key(convo.id, Sequence(sequence)));
        }
        for token in self.waiting.opening.remove(&convo.id).unwrap_or_default() {
            ctx.failed(Some(token), failure.clone());
        }
        let leaving = self.waiting.leaving.remove(&convo.id);
        ctx.done(leaving, crate::event::Outcome::Nothing);
        convo.flight = crate::core::Flight::default();
        convo.wake = None;
        let row = convo.row_mut();
        row.standing = Standing::Gone;
        row.joining = None;
        row.staged = None;
        row.backfill = None;
        row.keys_asked = None;
        row.leavers.clear();
        self.answers.retain(|answer| answer.conversation != convo.id);
        self.conversation_event(ctx, convo)
    }

    /// The relay's word on roles, names and kind.
    pub(crate) fn refreshed(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        states: States,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.refreshing = false;
            if let Some(state) = states.conversations.into_iter().find(|state| state.conversation == id) {
                core.learn_state(ctx, convo, &state)?;
                core.decide_contested(ctx, convo)?;
            }
            Ok(())
        })?;
        self.decide_wishes(ctx, id)
    }

    pub(crate) fn learn_state(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        state: &State,
    ) -> Result<(), StoreError> {
        let mut news = false;
        for member in &state.members {
            news |= self.learn_name(ctx, member.account, &member.username);
        }
        let roles: Vec<_> = state.members.iter().map(|member| (member.account, member.role)).collect();
        if convo.row().roles != roles || convo.row().listed_name != state.listed_name {
            let row = convo.row_mut();
            row.roles = roles;
            row.listed_name.clone_from(&state.listed_name);
            news = true;
        }
        if news && convo.row().standing != Standing::Joining {
            self.conversation_event(ctx, convo)?;
        }
        Ok(())
    }

    pub(crate) fn conversation_event(&self, ctx: &mut Ctx<'_>, convo: &Convo) -> Result<(), StoreError> {
        let view = self.view(ctx.tx, convo)?;
        ctx.event(Event::Conversation(view));
        Ok(())
    }
}

/// Where a content stands in the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) sequence: Sequence,
    pub(crate) time: UnixMillis,
    pub(crate) epoch: Epoch,
}
