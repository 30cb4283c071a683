//! Reading the past: the archive, the keys to it, and what could not be decrypted.

use crate::core::{Answer, Convo, Core, Ctx, store_or};
use crate::event::{Event, Outcome};
use crate::link::Ask;
use crate::rows::{self, BrokenRow, HistoryRow, Kept};
use crate::sync::Place;
use crate::view::{Line, Origin};
use sotto_e2ee::archive_keys::{self, OpenError};
use sotto_e2ee::content::{Content, RESENDS_PER_REQUEST_MAX};
use sotto_e2ee::conversation::{Reason, ResentContent, Sender};
use sotto_e2ee::repair::{self, Repair, Situation, Source, Step};
use sotto_e2ee::seal::SealError;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::{ArchiveEntries, ArchiveEntry, Entry, FetchArchive};
use sotto_protocol::error::WireError;
use sotto_protocol::ids::{ConversationId, MessageNumber, Sequence, UnixMillis};
use std::collections::BTreeSet;

/// Entries asked for at once while reading back.
const BACKFILL_AT_ONCE: u32 = 100;

/// How long members have to answer a request for keys before it is asked again.
const KEYS_WAIT_MS: u64 = 20_000;

/// How often keys are asked for.
const KEYS_TRIES_MAX: u32 = 4;

/// How long members have to send a content again.
const RESEND_WAIT_MS: u64 = 15_000;

/// Why an envelope did not decrypt, as kept in rows: the place in this list.
const REASONS: [Reason; 11] = [
    Reason::Malformed,
    Reason::WrongConversation,
    Reason::WrongEpoch,
    Reason::Replayed,
    Reason::Altered,
    Reason::Spoofed,
    Reason::ForgedCertificate,
    Reason::NotMember,
    Reason::KeyGone,
    Reason::CommitInvalid,
    Reason::LeaveForged,
];

fn reason_code(reason: Reason) -> u8 {
    REASONS.iter().position(|known| *known == reason).and_then(|place| u8::try_from(place).ok()).unwrap_or(0)
}

fn reason_of(code: u8) -> Reason {
    REASONS.get(usize::from(code)).copied().unwrap_or(Reason::Malformed)
}

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
                    self.missing(ctx, convo, entry.sequence, &broken, &error.to_string());
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

    // Envelopes that did not decrypt.

    pub(crate) fn undecryptable(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        entry: &Entry,
        reason: Reason,
    ) -> Result<(), StoreError> {
        repair::count_failure(ctx.tx, reason)?;
        ctx.event(Event::Undecryptable { conversation: convo.id, sequence: entry.sequence, reason });
        let row = BrokenRow {
            code: reason_code(reason),
            time: entry.time,
            account: entry.account,
            device: entry.device,
            number: entry.number,
            epoch: entry.epoch,
            archive_tried: false,
            resend_asked: None,
            rejoined: false,
        };
        rows::put(ctx.tx, rows::broken_key(convo.id, entry.sequence), &row);
        convo.broken.insert(entry.sequence.0, row);
        Ok(())
    }

    pub(crate) fn drive_repair(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo) -> Result<(), StoreError> {
        let numbers: Vec<u64> = convo.broken.keys().copied().collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let epochs = archive_keys::epochs(ctx.tx, convo.id)?;
        let archived = convo.row().history != HistoryPolicy::None;
        let mut ask_again = Vec::new();
        for number in numbers {
            let Some(row) = convo.broken.get(&number).cloned() else { continue };
            let asked_until = row.resend_asked.map(|at| UnixMillis(at.0.saturating_add(RESEND_WAIT_MS)));
            let archive = if archived && epochs.contains(&row.epoch) && !row.archive_tried {
                Source::Untried
            } else {
                Source::Exhausted
            };
            let resend = match asked_until {
                // Nobody can say again what was no content of a member.
                None if row.number.0 == 0 || convo.members().len() < 2 => Source::Exhausted,
                None => Source::Untried,
                Some(until) if until <= ctx.now => Source::Exhausted,
                Some(_) => Source::Asked,
            };
            let rejoined = row.rejoined;
            let situation = Situation { reason: reason_of(row.code), archive, resend, rejoined };
            match repair::next_step(&situation) {
                Step::Ignore => self.mended(ctx, convo, number),
                Step::ReadArchive => self.read_copy(ctx, convo, number),
                Step::AskResend => ask_again.push(Sequence(number)),
                Step::Wait => {
                    if let Some(until) = asked_until {
                        convo.wake_at(until);
                    }
                }
                Step::Rejoin => return self.begin_rejoin(ctx, convo),
                // A commit is no content: nothing of it is missing once the state is mended.
                Step::GiveUp if row.number.0 == 0 => self.mended(ctx, convo, number),
                Step::GiveUp => {
                    let reason = format!("{:?}", reason_of(row.code));
                    self.missing(ctx, convo, Sequence(number), &row, &reason);
                    self.mended(ctx, convo, number);
                }
            }
        }
        self.ask_resend(ctx, convo, ask_again)
    }

    fn ask_resend(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        mut sequences: Vec<Sequence>,
    ) -> Result<(), StoreError> {
        sequences.truncate(RESENDS_PER_REQUEST_MAX);
        if sequences.is_empty() {
            return Ok(());
        }
        let Some(group) = convo.group.as_mut() else { return Ok(()) };
        let request = store_or(group.request_resend(ctx.tx, &mut ctx.rng, sequences.clone()))?;
        if let Some(kept) = request.ok().and_then(Kept::of) {
            self.queue(ctx, convo, kept);
        }
        for sequence in sequences {
            if let Some(row) = convo.broken.get_mut(&sequence.0) {
                row.resend_asked = Some(ctx.now);
                rows::put(ctx.tx, rows::broken_key(convo.id, sequence), row);
            }
        }
        convo.wake_at(ctx.later(RESEND_WAIT_MS, 1));
        Ok(())
    }

    fn read_copy(&mut self, ctx: &mut Ctx<'_>, convo: &mut Convo, number: u64) {
        if std::mem::replace(&mut convo.flight.archive, true) {
            return;
        }
        let body = FetchArchive {
            conversation: convo.id,
            from: Sequence(number.saturating_sub(1)),
            backwards: false,
            limit: 1,
            extensions: Default::default(),
        };
        self.link.ask(ctx, &self.settings, Ask::RepairCopy(convo.id, number), &body);
    }

    pub(crate) fn copy_read(
        &mut self,
        ctx: &mut Ctx<'_>,
        id: ConversationId,
        number: u64,
        answer: &ArchiveEntries,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            convo.flight.archive = false;
            let copy = answer.entries.iter().find(|entry| entry.sequence.0 == number).cloned();
            let place = Sequence(number.saturating_sub(1));
            let read = core.read_copies(ctx, convo, copy.as_slice(), place)?;
            if copy.is_some() && read.locked == 0 {
                core.mended(ctx, convo, number);
                repair::count_repair(ctx.tx, Repair::Archive)?;
                ctx.event(Event::HistoryAdded { conversation: id, lines: read.added });
                ctx.event(Event::Repaired { conversation: id, by: Repair::Archive });
            } else {
                core.archive_tried(ctx, convo, number);
            }
            Ok(())
        })?;
        Ok(())
    }

    pub(crate) fn copy_refused(
        &mut self,
        id: ConversationId,
        number: u64,
        ctx: &Ctx<'_>,
    ) -> Result<(), StoreError> {
        self.with(id, |core, convo| {
            core.archive_tried(ctx, convo, number);
            Ok(())
        })?;
        Ok(())
    }

    fn archive_tried(&self, ctx: &Ctx<'_>, convo: &mut Convo, number: u64) {
        if let Some(row) = convo.broken.get_mut(&number) {
            row.archive_tried = true;
            rows::put(ctx.tx, rows::broken_key(convo.id, Sequence(number)), row);
        }
    }

    /// Nothing is wrong with this entry any more.
    fn mended(&self, ctx: &Ctx<'_>, convo: &mut Convo, number: u64) {
        convo.broken.remove(&number);
        ctx.tx.delete(rows::broken_key(convo.id, Sequence(number)));
    }

    /// Says in the history that something is missing, and why.
    fn missing(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        row: &BrokenRow,
        reason: &str,
    ) {
        let line = HistoryRow {
            time: row.time,
            sent_at: row.time,
            account: row.account,
            device: row.device,
            number: row.number,
            epoch: row.epoch,
            line: Line::Missing(reason.to_owned()),
            origin: Origin::Message,
        };
        self.add_line(ctx, convo, sequence, &line, false);
        ctx.event(Event::HistoryAdded { conversation: convo.id, lines: 1 });
    }

    /// Sends again what this device said and another could not read.
    fn send_again(
        &self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        request: &Content,
        sequences: &[Sequence],
    ) -> Result<(), StoreError> {
        for sequence in sequences {
            let row: Option<HistoryRow> = rows::get(ctx.tx, &rows::history_key(convo.id, *sequence))?;
            // What others said goes to devices of our own account only.
            let ours =
                |row: &HistoryRow| row.device == self.me.device() || sender.account == self.me.account();
            let Some(row) = row.filter(ours) else { continue };
            let content = match row.line {
                Line::Text(body) => Content::Text { body },
                Line::Named(name) => Content::Info { name },
                _ => continue,
            };
            let resent = ResentContent {
                sequence: *sequence,
                account: row.account,
                device: row.device,
                number: row.number,
                sent_at: row.sent_at,
                content,
            };
            let Some(group) = convo.group.as_ref() else { return Ok(()) };
            let answer = group.answer_resend(ctx.tx, &self.me, sender, request, row.epoch, &resent);
            if let Some(kept) = store_or(answer)?.ok().flatten().and_then(Kept::of) {
                self.queue(ctx, convo, kept);
            }
        }
        Ok(())
    }

    fn resent(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        content: &Content,
    ) -> Result<(), StoreError> {
        let Some(group) = convo.group.as_ref() else { return Ok(()) };
        let taken = store_or(group.take_resent(ctx.tx, &self.me, sender, content))?;
        let Ok(Some(resent)) = taken else { return Ok(()) };
        let sequence = resent.sequence;
        let Some(row) = convo.broken.get(&sequence.0).cloned() else { return Ok(()) };
        let label = (row.account, row.device, row.number);
        if label != (resent.account, resent.device, resent.number) {
            return Ok(());
        }
        let line = match resent.content {
            Content::Text { body } => Line::Text(body),
            Content::Info { name } => Line::Named(name),
            _ => Line::Unknown,
        };
        let (time, account, device, number, epoch) =
            (row.time, row.account, row.device, row.number, row.epoch);
        let (sent_at, origin) = (resent.sent_at, Origin::Resent);
        let history = HistoryRow { time, sent_at, account, device, number, epoch, line, origin };
        self.add_line(ctx, convo, sequence, &history, false);
        self.mended(ctx, convo, sequence.0);
        repair::count_repair(ctx.tx, Repair::Resent)?;
        ctx.event(Event::HistoryAdded { conversation: convo.id, lines: 1 });
        ctx.event(Event::Repaired { conversation: convo.id, by: Repair::Resent });
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
        let conversations: BTreeSet<ConversationId> = keys.0.iter().map(|key| key.conversation).collect();
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

fn broken_of(entry: &ArchiveEntry, reason: Reason) -> BrokenRow {
    BrokenRow {
        code: reason_code(reason),
        time: entry.time,
        account: entry.account,
        device: entry.device,
        number: MessageNumber(entry.number.0),
        epoch: entry.epoch,
        archive_tried: true,
        resend_asked: None,
        rejoined: false,
    }
}
