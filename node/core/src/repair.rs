//! Never "unable to decrypt": what to do about an envelope that could not be read.
//!
//! First the archive copy, then its sender (or another device of our own account) is asked to send it again,
//! then this device joins again by an external commit that the members see. What remains is shown as missing.

use crate::core::{Convo, Core, Ctx, store_or};
use crate::event::Event;
use crate::kinds::expiry;
use crate::kinds::heard::Speech;
use crate::kinds::marks::{self, Mark, Said};
use crate::kinds::settle::{self, AboutRow};
use crate::link::Ask;
use crate::rows::{self, BrokenRow, HistoryRow, Kept};
use crate::sync::Place;
use crate::view::{Line, Origin};
use sotto_e2ee::archive_keys;
use sotto_e2ee::content::{Content, RESENDS_PER_REQUEST_MAX, Text};
use sotto_e2ee::conversation::{Reason, ResentContent, Sender};
use sotto_e2ee::repair::{self, Repair, Situation, Source, Step};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::log::{ArchiveEntries, ArchiveEntry, Entry, FetchArchive};
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, Sequence, UnixMillis};

/// How long members have to send a content again.
pub(crate) const RESEND_WAIT_MS: u64 = 15_000;

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

impl Core {
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
                    self.missing(ctx, convo, Sequence(number), &row, &reason)?;
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

    pub(crate) fn archive_tried(&self, ctx: &Ctx<'_>, convo: &mut Convo, number: u64) {
        if let Some(row) = convo.broken.get_mut(&number) {
            row.archive_tried = true;
            rows::put(ctx.tx, rows::broken_key(convo.id, Sequence(number)), row);
        }
    }

    /// Nothing is wrong with this entry any more.
    pub(crate) fn mended(&self, ctx: &Ctx<'_>, convo: &mut Convo, number: u64) {
        convo.broken.remove(&number);
        ctx.tx.delete(rows::broken_key(convo.id, Sequence(number)));
    }

    /// Says in the history that something is missing, and why.
    pub(crate) fn missing(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        row: &BrokenRow,
        reason: &str,
    ) -> Result<(), StoreError> {
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
        self.add_line(ctx, convo, sequence, &line, false)?;
        ctx.event(Event::HistoryAdded { conversation: convo.id, lines: 1 });
        Ok(())
    }

    /// Sends again what this device said and another could not read.
    pub(crate) fn send_again(
        &self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        sender: &Sender,
        request: &Content,
        sequences: &[Sequence],
    ) -> Result<(), StoreError> {
        for sequence in sequences {
            let Some((resent, epoch)) = self.said_before(ctx, convo, *sequence)? else { continue };
            // What others said goes to devices of our own account only.
            if resent.device != self.me.device() && sender.account != self.me.account() {
                continue;
            }
            let Some(group) = convo.group.as_ref() else { return Ok(()) };
            let answer = group.answer_resend(ctx.tx, &self.me, sender, request, epoch, &resent);
            if let Some(kept) = store_or(answer)?.ok().flatten().and_then(Kept::of) {
                self.queue(ctx, convo, kept);
            }
        }
        Ok(())
    }

    /// What was said at a place, and in which epoch, as far as it is still kept: a text that was edited or deleted since is
    /// not said again as it was.
    fn said_before(
        &self,
        ctx: &Ctx<'_>,
        convo: &Convo,
        sequence: Sequence,
    ) -> Result<Option<(ResentContent, Epoch)>, StoreError> {
        let row: Option<HistoryRow> = rows::get(ctx.tx, &rows::history_key(convo.id, sequence))?;
        let Some(row) = row else { return self.mark_before(ctx, convo, sequence) };
        let about = settle::about(ctx.tx, convo.id, sequence)?;
        let content = match row.line {
            Line::Text(body) => {
                let AboutRow { reply_to, expires_after, mentions, .. } = about;
                Content::Text(Text { body, reply_to, expires_after, mentions })
            }
            Line::File { about: file, caption: body } => {
                let AboutRow { reply_to, expires_after, mentions, .. } = about;
                let caption = Text { body, reply_to, expires_after, mentions };
                Content::File { about: file, caption, preview: settle::preview(ctx.tx, convo.id, sequence)? }
            }
            Line::Named(name) => Content::Info { name },
            Line::Timer(seconds) => Content::Timer { seconds },
            Line::Call(record) => Content::Call(record),
            _ => return Ok(None),
        };
        let HistoryRow { account, device, number, sent_at, epoch, .. } = row;
        Ok(Some((ResentContent { sequence, account, device, number, sent_at, content }, epoch)))
    }

    /// The same for what was said about a text.
    fn mark_before(
        &self,
        ctx: &Ctx<'_>,
        convo: &Convo,
        sequence: Sequence,
    ) -> Result<Option<(ResentContent, Epoch)>, StoreError> {
        let account = self.me.account();
        let Some((target, said, mark)) = marks::said_at(ctx.tx, convo.id, account, sequence)? else {
            return Ok(None);
        };
        let content = match mark {
            Mark::Edit(edited) => {
                let text = match edited.text {
                    None => self.text_now(ctx, convo, target)?,
                    waiting => waiting,
                };
                let Some(text) = text else { return Ok(None) };
                let expires_after = edited.expires_at.map(|end| expiry::seconds_left(end, said.time));
                Content::Edit { target, text: Text { expires_after, ..text } }
            }
            Mark::Delete => Content::Delete { target },
            Mark::React(toggle) => Content::React { target, emoji: toggle.emoji, on: toggle.on },
            Mark::Pin(on) => Content::Pin { target, on },
        };
        let Said { device, number, sent_at, epoch, .. } = said;
        Ok(Some((ResentContent { sequence, account, device, number, sent_at, content }, epoch)))
    }

    /// A text as it is now.
    fn text_now(&self, ctx: &Ctx<'_>, convo: &Convo, target: Sequence) -> Result<Option<Text>, StoreError> {
        let row: Option<HistoryRow> = rows::get(ctx.tx, &rows::history_key(convo.id, target))?;
        let Some(Line::Text(body) | Line::File { caption: body, .. }) = row.map(|row| row.line) else {
            return Ok(None);
        };
        let mentions = settle::about(ctx.tx, convo.id, target)?.mentions;
        Ok(Some(Text { body, mentions, ..Text::default() }))
    }

    pub(crate) fn resent(
        &mut self,
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
        let speech = Speech {
            place: Place { sequence, time: row.time, epoch: row.epoch },
            account: row.account,
            device: row.device,
            number: row.number,
            sent_at: resent.sent_at,
            origin: Origin::Resent,
            live: false,
        };
        match resent.content {
            Content::Info { name } => {
                self.add_line(ctx, convo, sequence, &speech.row(Line::Named(name)), false)?;
            }
            control if control.is_control() => {}
            content => drop(self.heard(ctx, convo, &speech, content)?),
        }
        self.mended(ctx, convo, sequence.0);
        repair::count_repair(ctx.tx, Repair::Resent)?;
        ctx.event(Event::HistoryAdded { conversation: convo.id, lines: 1 });
        ctx.event(Event::Repaired { conversation: convo.id, by: Repair::Resent });
        Ok(())
    }
}

pub(crate) fn broken_of(entry: &ArchiveEntry, reason: Reason) -> BrokenRow {
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
