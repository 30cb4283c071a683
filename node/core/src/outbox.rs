//! Sending: each content gets its number once, and goes out until the relay says where it stands.
//!
//! The relay tells repeats by the number, so sending again is always safe. What keeps a text from being
//! lost is that its row goes only in the commit that writes its line of history.

use crate::core::{Convo, Core, Ctx, store_or};
use crate::event::{Event, Failure, FailureCode, Outcome};
use crate::kinds::heard::Speech;
use crate::link::Ask;
use crate::rows::{self, Kept, OutboxRow, SealedRow};
use crate::sync::Place;
use crate::view::{Line, Origin, Standing};
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::Conversation;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::log::{Append, Appended};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::limits::APPENDS_OUTSTANDING_MAX;
use sotto_protocol::ordered::one_by_one;

/// Texts that may wait in one conversation: at 64 KiB each, 64 MiB at the very worst.
pub(crate) const OUTBOX_MAX: usize = 1_024;

/// How long a push may take after an acknowledgement showed that there is something before it.
const EXPECTED_PUSH_MS: u64 = 300;

/// A number far beyond any: its refusal names the number that is due.
const FAR_BEYOND: u64 = 1 << 40;

impl Core {
    /// Puts a content into the outbox.
    pub(crate) fn queue(&self, ctx: &Ctx<'_>, convo: &mut Convo, content: Kept) -> MessageNumber {
        let number = convo.row().last_number.next();
        convo.row_mut().last_number = number;
        let row = OutboxRow { content, queued: ctx.now, first_seen: None, sealed: None };
        rows::put(ctx.tx, rows::outbox_key(convo.id, number), &row);
        convo.outbox.insert(number.0, row);
        number
    }

    /// Sends what may be under way and is not.
    pub(crate) fn drive_outbox(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        // While a commit is on its way, what is encrypted now would most likely be stale on arrival.
        if convo.row().staged.is_some() || convo.row().standing != Standing::Member || !convo.is_member() {
            return Ok(());
        }
        let numbers: Vec<u64> = convo.outbox.keys().copied().take(APPENDS_OUTSTANDING_MAX).collect();
        let epoch = convo.group.as_ref().map(Conversation::epoch);
        for number in numbers {
            if convo.flight.appends.contains(&number) {
                // One that was encrypted for an epoch that has ended comes back as stale and has to be encrypted
                // again *before* the ones behind it: receivers forget the keys that they skip.
                let sealed = convo.outbox.get(&number).and_then(|row| row.sealed.as_ref());
                if sealed.map(|sealed| sealed.epoch) != epoch {
                    break;
                }
                continue;
            }
            if !self.seal_row(ctx, convo, number)? {
                convo.flight.damaged = true;
                return Ok(());
            }
            let Some(sealed) = convo.outbox.get(&number).and_then(|row| row.sealed.clone()) else { continue };
            convo.flight.appends.insert(number);
            let body = Append {
                conversation: convo.id,
                number: MessageNumber(number),
                message: sealed.message.into(),
                archive: sealed.archive.into(),
                extensions: Default::default(),
            };
            self.link.ask(ctx, &self.settings, Ask::Append(convo.id, number), &body);
        }
        Ok(())
    }

    /// Encrypts a row for the current epoch, unless it is; false if the group does not work.
    fn seal_row(&self, ctx: &mut Ctx<'_>, convo: &mut Convo, number: u64) -> Result<bool, StoreError> {
        let Some(group) = convo.group.as_mut() else { return Ok(false) };
        let Some(row) = convo.outbox.get_mut(&number) else { return Ok(true) };
        if row.sealed.as_ref().is_some_and(|sealed| sealed.epoch == group.epoch()) {
            return Ok(true);
        }
        let content = row.content.content();
        let result = group.encrypt(ctx.tx, &mut ctx.rng, &self.me, MessageNumber(number), &content, ctx.now);
        let Ok(encrypted) = store_or(result)? else { return Ok(false) };
        row.first_seen.get_or_insert_with(|| group.cursor());
        row.sealed = Some(SealedRow {
            epoch: encrypted.epoch,
            message: encrypted.message.0.to_vec(),
            archive: encrypted.archive.0.to_vec(),
        });
        rows::put(ctx.tx, rows::outbox_key(convo.id, MessageNumber(number)), row);
        Ok(true)
    }

    /// The relay answered an append.
    pub(crate) fn appended(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        number: u64,
        answer: &Appended,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.appends.remove(&number);
            core.acknowledge(ctx, convo, MessageNumber(number), answer.sequence, answer.time, true)
        })?;
        Ok(())
    }

    /// A content of ours has its place: the row of the outbox becomes a line of history.
    pub(crate) fn acknowledge(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        number: MessageNumber,
        sequence: Sequence,
        time: UnixMillis,
        answered: bool,
    ) -> Result<(), StoreError> {
        if convo.row().last_number < number {
            // The log has a number that this store never gave: it was put back to an older state.
            convo.row_mut().last_number = number;
        }
        let Some(row) = convo.outbox.get(&number.0) else { return Ok(()) };
        if row.first_seen.is_none_or(|seen| sequence <= seen) {
            self.renumber(ctx, convo, FAR_BEYOND);
            return Ok(());
        }
        let Some(row) = convo.outbox.remove(&number.0) else { return Ok(()) };
        ctx.tx.delete(rows::outbox_key(convo.id, number));
        if convo.row().acknowledged < number {
            convo.row_mut().acknowledged = number;
        }
        if answered {
            self.place_own(ctx, convo, number, sequence)?;
        }
        let epoch = row.sealed.as_ref().map_or(Epoch(0), |sealed| sealed.epoch);
        let speech = Speech {
            place: Place { sequence, time, epoch },
            account: self.me.account(),
            device: self.me.device(),
            number,
            sent_at: row.queued,
            origin: Origin::Own,
            live: true,
        };
        match row.content.content() {
            Content::Info { name } => {
                self.add_line(ctx, convo, sequence, &speech.row(Line::Named(name)), true)?;
            }
            control if control.is_control() => {}
            content => drop(self.heard(ctx, convo, &speech, content)?),
        }
        let token = self.waiting.sends.remove(&(convo.id, number));
        ctx.done(token, Outcome::Sent { conversation: convo.id, number, sequence, time });
        Ok(())
    }

    /// Tells the group where our entry stands, for the history check and the cursor.
    fn place_own(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        number: MessageNumber,
        sequence: Sequence,
    ) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_mut() else { return Ok(()) };
        if sequence <= group.cursor() {
            return Ok(());
        }
        if store_or(group.appended(ctx.tx, number, sequence))?.is_err() {
            convo.flight.damaged = true;
            return Ok(());
        }
        if convo.cursor() < sequence {
            let head = convo.flight.expected.map_or(sequence, |(head, _)| head.max(sequence));
            convo.flight.expected = Some((head, ctx.later(EXPECTED_PUSH_MS, 1)));
        }
        Ok(())
    }

    pub(crate) fn append_refused(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        number: u64,
        error: WireError,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            match error.code() {
                Some(ErrorCode::Stale) => {
                    // Entries that end our epoch are in the log; an answer that we overtook needs nothing.
                    let epoch = convo.group.as_ref().map_or(Epoch(0), Conversation::epoch);
                    if error.context > epoch.0 {
                        convo.flight.wanted = convo.flight.wanted.max(convo.cursor().next());
                    }
                }
                Some(ErrorCode::NumberGap) => core.number_gap(ctx, convo, number, error.context),
                Some(ErrorCode::NotMember) => {
                    // The log says how it came; if it says nothing, the fetch is refused too.
                    convo.flight.wanted = convo.flight.wanted.max(convo.cursor().next());
                }
                _ => core.drop_row(ctx, convo, number, error),
            }
            Ok(())
        })?;
        Ok(())
    }

    fn number_gap(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, number: u64, due: u64) {
        let Some((&lowest, _)) = convo.outbox.first_key_value() else { return };
        if due == lowest || convo.outbox.contains_key(&due) {
            if convo.flight.appends.contains(&due) && due != number {
                // The one that is due is under way: let it arrive first.
                let until = ctx.later(EXPECTED_PUSH_MS, EXPECTED_PUSH_MS);
                convo.flight.hold = Some(until);
            }
            return;
        }
        if due <= convo.row().acknowledged.0 {
            ctx.event(Event::LogTampered {
                conversation: convo.id,
                what: format!(
                    "the relay acknowledged {} contents of this device and knows fewer than {due} of them now",
                    convo.row().acknowledged
                ),
            });
        }
        self.renumber(ctx, convo, due);
    }

    /// Gives what waits new numbers from `start` on: the relay's count of this device is not ours, because one
    /// of the two stores was put back to an older state.
    fn renumber(&mut self, ctx: &Ctx<'_>, convo: &mut Convo, start: u64) {
        let old = std::mem::take(&mut convo.outbox);
        for number in old.keys() {
            ctx.tx.delete(rows::outbox_key(convo.id, MessageNumber(*number)));
        }
        let mut tokens = Vec::new();
        for (number, (old_number, mut row)) in (start.max(1)..).zip(old) {
            row.sealed = None;
            row.first_seen = None;
            rows::put(ctx.tx, rows::outbox_key(convo.id, MessageNumber(number)), &row);
            convo.outbox.insert(number, row);
            let token = self.waiting.sends.remove(&(convo.id, MessageNumber(old_number)));
            tokens.extend(token.map(|token| ((convo.id, MessageNumber(number)), token)));
            convo.row_mut().last_number = MessageNumber(number);
        }
        self.waiting.sends.extend(tokens);
        convo.flight.appends.clear();
    }

    /// A content that the relay refuses for good. What follows it moves up by one number: nothing of it can
    /// have been taken while this one was missing.
    fn drop_row(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, number: u64, error: WireError) {
        if convo.outbox.remove(&number).is_none() {
            return;
        }
        ctx.tx.delete(rows::outbox_key(convo.id, MessageNumber(number)));
        let token = self.waiting.sends.remove(&(convo.id, MessageNumber(number)));
        ctx.failed(token, error.into());
        let before = convo.outbox.clone();
        convo.outbox.retain(|kept, _| *kept > number);
        convo.row_mut().last_number = MessageNumber(number.saturating_sub(1));
        let under_way = std::mem::take(&mut convo.flight.appends);
        self.renumber(ctx, convo, number);
        convo.flight.appends = one_by_one(under_way.into_iter().filter(|kept| *kept < number));
        convo.outbox.extend(before.into_iter().filter(|(kept, _)| *kept < number));
    }

    /// A text from the person.
    pub(crate) fn send(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: crate::command::Token,
        id: ConversationId,
        content: Kept,
    ) -> Result<(), StoreError> {
        let offline = !self.link.is_ready();
        let known = self.with(id, |core, convo| {
            let refusal = if convo.row().standing == Standing::Gone {
                Some(Failure::new(FailureCode::NotMember, "this device is not a member of the conversation"))
            } else if convo.row().standing == Standing::Leaving {
                Some(Failure::new(FailureCode::Invalid, "this account is leaving the conversation"))
            } else if convo.outbox.len() >= OUTBOX_MAX {
                Some(Failure::new(FailureCode::Invalid, "too much waits to be sent in this conversation"))
            } else {
                None
            };
            if let Some(failure) = refusal {
                ctx.failed(Some(token), failure);
                return Ok(());
            }
            if let Kept::Info(name) = &content {
                convo.row_mut().name.clone_from(name);
            }
            let number = core.queue(ctx, convo, content);
            core.waiting.sends.insert((id, number), token);
            ctx.event(Event::Queued { token, conversation: id, number, offline });
            Ok(())
        })?;
        if known.is_none() {
            ctx.failed(Some(token), unknown_conversation());
        }
        Ok(())
    }
}

pub(crate) fn unknown_conversation() -> Failure {
    Failure::new(FailureCode::UnknownConversation, "this device knows no such conversation")
}
