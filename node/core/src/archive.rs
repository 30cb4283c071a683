//! Reading the past: the archive, and the keys to it.

use crate::core::{Answer, Convo, Core, Ctx, store_or};
use crate::event::{Event, Outcome};
use crate::link::Ask;
use crate::repair::{RESEND_WAIT_MS, broken_of};
use crate::rows::{self, Kept};
use crate::sync::Place;
use crate::view::Origin;
use sotto_e2ee::archive_keys::{self, OpenError};
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{Reason, Sender};
use sotto_e2ee::repair::{self, Repair};
use sotto_e2ee::seal::SealError;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::log::{ArchiveEntries, ArchiveEntry, FetchArchive};
use sotto_protocol::error::WireError;
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};
use sotto_protocol::ordered::one_by_one;
use std::collections::BTreeSet;

/// Entries asked for at once while reading back.
const BACKFILL_AT_ONCE: u32 = 100;

/// How long members have to answer a request for keys before it is asked again.
const KEYS_WAIT_MS: u64 = 20_000;

/// How often keys are asked for.
const KEYS_TRIES_MAX: u32 = 4;

/// What came of reading copies.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) added: usize,
    pub(crate) locked: u32,
}

impl Core {
    /// Opens copies and adds their lines; what is there already is left alone.
    pub(crate) fn read_copies(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entries: &[ArchiveEntry],
        floor: Sequence,
    ) -> Result<Read, StoreError> {
        let mut read = Read::default();
        for entry in entries.iter().filter(|entry| entry.sequence > floor) {
            let key = rows::history_key(convo.id, entry.sequence);
            if ctx.tx.get(&key)?.is_some() {
                continue;
            }
            match archive_keys::open(ctx.tx, convo.id, entry) {
                Ok(verified) => {
                    let place = Place { sequence: entry.sequence, time: entry.time, epoch: entry.epoch };
                    if self.take_content(ctx, convo, place, verified, Origin::Archive, false)? {
                        read.added += 1;
                    }
                }
                Err(OpenError::Store(error)) => return Err(error),
                // A key that somebody gave may be wrong: the right one may still come.
                Err(OpenError::Seal(SealError::NoKey | SealError::Altered)) => {
                    read.locked = read.locked.saturating_add(1)
                }
                Err(error) => {
                    let broken = broken_of(entry, Reason::Altered);
                    self.missing(ctx, convo, entry.sequence, &broken, &error.to_string())?;
                    read.added += 1;
                }
            }
        }
        Ok(read)
    }

    pub(crate) fn drive_backfill(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) {
        let Some(backfill) = &convo.row().backfill else { return };
        if backfill.done || convo.flight.archive {
            return;
        }
        let body = FetchArchive {
            conversation: convo.id,
            from: backfill.before,
            backwards: true,
            limit: backfill.left.min(BACKFILL_AT_ONCE),
            extensions: Default::default(),
        };
        convo.flight.archive = true;
        self.link.ask(ctx, &self.settings, Ask::Backfill(convo.id), &body);
    }

    pub(crate) fn backfilled(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        answer: &ArchiveEntries,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.archive = false;
            let Some(floor) = convo.row().backfill.as_ref().map(|backfill| backfill.floor) else {
                return Ok(());
            };
            let read = core.read_copies(ctx, convo, &answer.entries, floor)?;
            if read.added > 0 {
                ctx.event(Event::HistoryAdded { conversation: id, lines: read.added });
            }
            let seen = u32::try_from(answer.entries.len()).unwrap_or(u32::MAX);
            let Some(backfill) = convo.row_mut().backfill.as_mut() else { return Ok(()) };
            backfill.locked = backfill.locked.saturating_add(read.locked);
            backfill.left = backfill.left.saturating_sub(seen);
            let stuck = answer.next >= backfill.before;
            backfill.before = answer.next;
            if answer.next <= backfill.floor.next() || backfill.left == 0 || stuck {
                backfill.done = true;
                let (locked, repaired) = (backfill.locked, backfill.repair);
                if locked == 0 {
                    convo.row_mut().backfill = None;
                    convo.row_mut().keys_asked = None;
                    if repaired {
                        repair::count_repair(ctx.tx, Repair::Archive)?;
                        ctx.event(Event::Repaired { conversation: id, by: Repair::Archive });
                    }
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(crate) fn backfill_refused(
        &mut self,
        ctx: &Ctx<'_>,
        id: ConversationId,
        _error: WireError,
    ) -> Result<(), StoreError> {
        self.with(id, |_, convo| {
            let until = UnixMillis(ctx.now.0.saturating_add(RESEND_WAIT_MS));
            if let Some(backfill) = convo.row_mut().backfill.as_mut() {
                backfill.done = true; // keys that arrive, or the person scrolling, begin it again
            }
            convo.wake_at(until);
            Ok(())
        })?;
        Ok(())
    }

    /// Asks for the archive keys of the epochs that this device was not there for.
    pub(crate) fn drive_keys(&self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        let Some(asked) = convo.row().keys_asked.clone() else { return Ok(()) };
        // First what the keys at hand open: often that is everything.
        let locked = match &convo.row().backfill {
            Some(backfill) => backfill.done && backfill.locked > 0,
            None => false,
        };
        let others = convo.members().len() > 1;
        if !locked || !others || asked.tries >= KEYS_TRIES_MAX {
            return Ok(());
        }
        let due = UnixMillis(asked.at.0.saturating_add(KEYS_WAIT_MS));
        if asked.tries > 0 && due > ctx.now {
            convo.wake_at(due);
            return Ok(());
        }
        let Some(group) = convo.group.as_mut() else { return Ok(()) };
        let request = group.request_keys(ctx.tx, &mut ctx.rng, asked.from, asked.until);
        if let Some(kept) = store_or(request)?.ok().and_then(Kept::of) {
            self.queue(ctx, convo, kept);
        }
        convo.wake_at(ctx.later(KEYS_WAIT_MS, 1));
        if let Some(asked) = convo.row_mut().keys_asked.as_mut() {
            asked.at = ctx.now;
            asked.tries = asked.tries.saturating_add(1);
        }
        Ok(())
    }

    /// A content that is never shown.
    pub(crate) fn control(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        content: &Content,
    ) -> Result<(), StoreError> {
        match content {
            Content::KeyRequest { .. } if sender.device != self.me.device() => {
                // An own device answers at once, the others in their turns unless somebody was sooner.
                let own = sender.account == self.me.account();
                let due = if own { ctx.now } else { self.my_turn(ctx, convo) };
                let answer = Answer { conversation: convo.id, to: *sender, request: content.clone(), due };
                self.answers.push(answer);
            }
            Content::KeyAnswer { to, .. } if *to == self.me.device() => {
                self.keys_came(ctx, convo, sender, content)?;
            }
            Content::KeyAnswer { to, .. } => {
                self.answers.retain(|answer| answer.conversation != convo.id || answer.to.device != *to);
            }
            Content::ResendRequest { sequences, .. } if sender.device != self.me.device() => {
                self.send_again(ctx, convo, sender, content, sequences)?;
            }
            Content::Resent { to, .. } if *to == self.me.device() => {
                self.resent(ctx, convo, sender, content)?
            }
            _ => {}
        }
        Ok(())
    }

    /// Our turn to answer a request for keys.
    pub(crate) fn give_keys(
        &self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        answer: &Answer,
    ) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_ref().filter(|_| convo.is_member()) else { return Ok(()) };
        let still_in = convo.members().iter().any(|member| member.device == answer.to.device);
        if !still_in {
            return Ok(());
        }
        let given = store_or(group.answer_keys(ctx.tx, &self.me, &answer.to, &answer.request))?;
        let Ok(Some(content)) = given else { return Ok(()) };
        if let Some(kept) = Kept::of(content) {
            self.queue(ctx, convo, kept);
        }
        if !convo.row().name.is_empty() {
            let name = convo.row().name.clone();
            self.queue(ctx, convo, Kept::Info(name));
        }
        Ok(())
    }

    fn keys_came(
        &mut self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        content: &Content,
    ) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_ref() else { return Ok(()) };
        let taken = store_or(group.take_keys(ctx.tx, &self.me, sender, content))?;
        let epochs = taken.unwrap_or_default();
        if epochs.is_empty() {
            return Ok(());
        }
        self.vault_changed(ctx);
        if let Some(backfill) = convo.row_mut().backfill.as_mut() {
            backfill.before = backfill.top;
            backfill.left = backfill.span;
            backfill.locked = 0;
            backfill.done = false;
        }
        for (sequence, row) in &mut convo.broken {
            if row.archive_tried && epochs.contains(&row.epoch) {
                row.archive_tried = false;
                rows::put(ctx.tx, rows::broken_key(convo.id, Sequence(*sequence)), row);
            }
        }
        Ok(())
    }

    /// What the person asked for by scrolling.
    pub(crate) fn history_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: crate::command::Token,
        id: ConversationId,
        answer: &ArchiveEntries,
    ) -> Result<(), StoreError> {
        let read = self.with(id, |core, convo| core.read_copies(ctx, convo, &answer.entries, Sequence(0)))?;
        let Some(read) = read else {
            ctx.failed(Some(token), crate::outbox::unknown_conversation());
            return Ok(());
        };
        let next = (answer.next.0 > 0).then_some(answer.next);
        if read.added > 0 {
            ctx.event(Event::HistoryAdded { conversation: id, lines: read.added });
        }
        ctx.done(Some(token), Outcome::History { conversation: id, added: read.added, next });
        Ok(())
    }

    /// Takes keys from a vault.
    pub(crate) fn import_keys(
        &mut self,
        ctx: &Ctx<'_>,
        keys: &crate::command::ArchiveKeys,
    ) -> Result<(), StoreError> {
        archive_keys::import(ctx.tx, &keys.0)?;
        let conversations: BTreeSet<ConversationId> = one_by_one(keys.0.iter().map(|key| key.conversation));
        for id in conversations {
            self.with(id, |_, convo| {
                if let Some(backfill) = convo.row_mut().backfill.as_mut() {
                    backfill.before = backfill.top;
                    backfill.left = backfill.span;
                    backfill.locked = 0;
                    backfill.done = false;
                }
                Ok(())
            })?;
        }
        self.vault_changed(ctx);
        Ok(())
    }
}
