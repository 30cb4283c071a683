//! A content that people meant for each other was read, whichever way it came here.

use super::authorise::{Act, Aim, Denied, authorise};
use super::marks::{Edited, Mark, Said, Toggle};
use super::settle::{self, AboutRow, Scene, Settled};
use super::{CONTESTED_MAX, EMOJI_BYTES_MAX, expiry};
use crate::core::{Convo, Core, Ctx};
use crate::event::Event;
use crate::rows::{self, HistoryRow};
use crate::sync::Place;
use crate::view::{Line, Origin};
use bincode::{Decode, Encode};
use sotto_e2ee::content::{Content, Text};
use sotto_e2ee::file::Preview;
use sotto_e2ee::store::StoreError;
use sotto_protocol::ids::{AccountId, DeviceId, MessageNumber, Sequence, UnixMillis};
use unicode_segmentation::UnicodeSegmentation as _;

/// Who says something, where and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speech {
    pub(crate) place: Place,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) number: MessageNumber,
    pub(crate) sent_at: UnixMillis,
    pub(crate) origin: Origin,
    /// It comes in its turn, and not from the past.
    pub(crate) live: bool,
}

impl Speech {
    fn said(&self) -> Said {
        Said {
            sequence: self.place.sequence,
            time: self.place.time,
            sent_at: self.sent_at,
            device: self.device,
            number: self.number,
            epoch: self.place.epoch,
        }
    }

    pub(crate) fn row(&self, line: Line) -> HistoryRow {
        HistoryRow {
            time: self.place.time,
            sent_at: self.sent_at,
            account: self.account,
            device: self.device,
            number: self.number,
            epoch: self.place.epoch,
            line,
            origin: self.origin,
        }
    }
}

/// A word on the timer that waits for the relay to name the roles of now.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct WaitingTimer {
    row: HistoryRow,
    sequence: Sequence,
    seconds: Option<u32>,
    live: bool,
}

/// Whether a text can be a reaction: one grapheme that shows something.
pub(crate) fn is_reaction(emoji: &str) -> bool {
    emoji.len() <= EMOJI_BYTES_MAX
        && emoji.graphemes(true).count() == 1
        && !emoji.chars().any(|c| c.is_whitespace() || c.is_control())
}

impl Core {
    /// A content that is not for devices; true if it made a line.
    pub(crate) fn heard(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        speech: &Speech,
        content: Content,
    ) -> Result<bool, StoreError> {
        let (target, mark) = match content {
            Content::Text(text) => return self.said(ctx, convo, speech, text, None, Line::Text),
            Content::File { about, caption, preview } => {
                let line = |caption| Line::File { about, caption };
                return self.said(ctx, convo, speech, caption, preview, line);
            }
            Content::Timer { seconds } => return self.timer_came(ctx, convo, speech, seconds),
            Content::Call(record) => {
                self.calls.was_recorded(convo.id, &record);
                self.add_line(
                    ctx,
                    convo,
                    speech.place.sequence,
                    &speech.row(Line::Call(record)),
                    speech.live,
                )?;
                return Ok(true);
            }
            Content::Edit { target, text } => {
                let end = |seconds| expiry::end(speech.place.time, ctx.now, seconds);
                let expires_at = text.expires_after.map(end);
                if expires_at.is_some_and(|at| at <= ctx.now) {
                    return Ok(false);
                }
                (target, Mark::Edit(Edited { text: Some(text), expires_at }))
            }
            Content::Delete { target } => (target, Mark::Delete),
            Content::React { emoji, .. } if !is_reaction(&emoji) => return Ok(false),
            Content::React { target, emoji, on } => (target, Mark::React(Toggle { emoji, on })),
            Content::Pin { target, on } => (target, Mark::Pin(on)),
            _ => {
                self.add_line(ctx, convo, speech.place.sequence, &speech.row(Line::Unknown), speech.live)?;
                return Ok(true);
            }
        };
        // What is said about a text is said after it.
        if target < speech.place.sequence {
            let settled =
                settle::take(ctx.tx, scene(convo, false), speech.account, target, speech.said(), mark)?;
            self.settled(ctx, convo, target, settled)?;
        }
        Ok(false)
    }

    /// A text came, or a file with what is said about it.
    fn said(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        speech: &Speech,
        text: Text,
        preview: Option<Preview>,
        line: impl FnOnce(String) -> Line,
    ) -> Result<bool, StoreError> {
        let sequence = speech.place.sequence;
        let key = rows::history_key(convo.id, sequence);
        let known: Option<HistoryRow> = rows::get(ctx.tx, &key)?;
        // What an export said is the person's word; what comes here was signed.
        let stands = |known: HistoryRow| {
            !matches!(known.line, Line::Missing(_) | Line::Unknown) && known.origin != Origin::Imported
        };
        if known.is_some_and(stands) {
            return Ok(false);
        }
        if speech.live {
            self.stopped_typing(ctx, convo, speech.account);
        }
        let expires_at = text.expires_after.map(|seconds| expiry::end(speech.place.time, ctx.now, seconds));
        if expires_at.is_some_and(|at| at <= ctx.now) {
            settle::erase_about(ctx.tx, convo.id, sequence)?;
            ctx.tx.delete(key);
            return Ok(false);
        }
        let about = AboutRow {
            reply_to: text.reply_to.filter(|target| *target < sequence),
            mentions: text.mentions,
            expires_after: text.expires_after,
            expires_at,
            ..AboutRow::default()
        };
        let row = speech.row(line(text.body));
        rows::put(ctx.tx, key.clone(), &row);
        if let Some(preview) = &preview {
            settle::keep_preview(ctx.tx, convo.id, sequence, preview);
        }
        let settled = settle::arrive(ctx.tx, scene(convo, false), sequence, row.clone(), &about)?;
        self.keep_contested(convo, &settled);
        let row = rows::get(ctx.tx, &key)?.unwrap_or(row);
        if let Some(at) = expires_at {
            self.next_expiry = Some(self.next_expiry.map_or(at, |next| next.min(at)));
        }
        self.line_added(ctx, convo, sequence, &row, speech.live)?;
        if settled.pins {
            self.conversation_event(ctx, convo)?;
        }
        Ok(true)
    }

    /// A text of the past: what waited for it here, as that it was deleted, is decided as for any other.
    pub(crate) fn past_text(
        &self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        sequence: Sequence,
        row: HistoryRow,
    ) -> Result<(), StoreError> {
        rows::put(ctx.tx, rows::history_key(convo.id, sequence), &row);
        let settled = settle::arrive(ctx.tx, scene(convo, false), sequence, row, &AboutRow::default())?;
        self.keep_contested(convo, &settled);
        Ok(())
    }

    fn timer_came(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        speech: &Speech,
        seconds: Option<u32>,
    ) -> Result<bool, StoreError> {
        let seconds =
            seconds.map(|seconds| seconds.clamp(super::TIMER_SECONDS_MIN, super::TIMER_SECONDS_MAX));
        let row = speech.row(Line::Timer(seconds));
        let timer = WaitingTimer { row, sequence: speech.place.sequence, seconds, live: speech.live };
        self.timer(ctx, convo, timer, false)
    }

    fn timer(
        &self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        timer: WaitingTimer,
        roles_are_fresh: bool,
    ) -> Result<bool, StoreError> {
        let scene = scene(convo, roles_are_fresh);
        match authorise(Act::SetTimer, Aim::Conversation, scene.kind, scene.role(timer.row.account)) {
            Ok(()) => {}
            Err(Denied::NeedsRole(_)) if !roles_are_fresh => {
                if convo.kinds().waiting_timers.len() < CONTESTED_MAX {
                    convo.kinds_mut().waiting_timers.push(timer);
                    convo.flight.refresh_wanted = true;
                }
                return Ok(false);
            }
            Err(_) => return Ok(false),
        }
        let WaitingTimer { row, sequence, seconds, live } = timer;
        if convo.kinds().timer.is_none_or(|(known, _)| known < sequence) {
            convo.kinds_mut().timer = Some((sequence, seconds));
            self.conversation_event(ctx, convo)?;
        }
        self.add_line(ctx, convo, sequence, &row, live)?;
        Ok(true)
    }

    fn keep_contested(&self, convo: &mut Convo, settled: &Settled) {
        for contested in &settled.contested {
            if convo.kinds().contested.len() < CONTESTED_MAX {
                convo.kinds_mut().contested.push(contested.clone());
                convo.flight.refresh_wanted = true;
            }
        }
    }

    /// What a change of a text means for the conversation.
    fn settled(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
        target: Sequence,
        settled: Settled,
    ) -> Result<(), StoreError> {
        self.keep_contested(convo, &settled);
        // An edit that waits for its text may end before anything else.
        self.next_expiry = expiry::next(ctx.tx)?;
        if settled.deleted {
            self.recount(ctx, convo, target)?;
        }
        if settled.changed {
            ctx.event(Event::Changed { conversation: convo.id, sequence: target });
        }
        if settled.pins || settled.deleted {
            self.conversation_event(ctx, convo)?;
        }
        Ok(())
    }

    /// A text is gone: it is not unread any more.
    fn recount(&self, ctx: &Ctx<'_>, convo: &mut Convo, gone: Sequence) -> Result<(), StoreError> {
        let read_upto = convo.row().read_upto;
        if gone > read_upto && convo.row().unread > 0 {
            convo.row_mut().unread = rows::count_unread(ctx.tx, convo.id, read_upto, self.me.account())?;
        }
        Ok(())
    }

    /// The relay named the roles of now: what waited for them is decided.
    pub(crate) fn decide_contested(
        &mut self,
        ctx: &mut Ctx<'_>,
        convo: &mut Convo,
    ) -> Result<(), StoreError> {
        // Asked for again meanwhile: these roles may be older than what waits.
        let waiting = !convo.kinds().contested.is_empty() || !convo.kinds().waiting_timers.is_empty();
        if convo.flight.refresh_wanted || !waiting {
            return Ok(());
        }
        let contested = std::mem::take(&mut convo.kinds_mut().contested);
        let timers = std::mem::take(&mut convo.kinds_mut().waiting_timers);
        for act in contested {
            let (account, target) = (act.account, act.target);
            let settled = settle::take(ctx.tx, scene(convo, true), account, target, act.said, act.mark)?;
            self.settled(ctx, convo, target, settled)?;
        }
        for timer in timers {
            self.timer(ctx, convo, timer, true)?;
        }
        Ok(())
    }

    /// Erases texts whose time has come.
    pub(crate) fn expire(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        if self.next_expiry.is_none_or(|at| at > ctx.now) {
            return Ok(());
        }
        for (id, target) in expiry::take_due(ctx.tx, ctx.now)? {
            let gone = settle::expire(ctx.tx, id, target, ctx.now)?.is_some();
            if gone {
                self.with(id, |core, convo| {
                    core.recount(ctx, convo, target)?;
                    if convo.row().last_line == target {
                        convo.row_mut().last_line = rows::newest_line(ctx.tx, id)?;
                    }
                    ctx.event(Event::Changed { conversation: id, sequence: target });
                    core.conversation_event(ctx, convo)
                })?;
            }
        }
        self.next_expiry = expiry::next(ctx.tx)?;
        Ok(())
    }
}

pub(crate) fn scene(convo: &Convo, roles_are_fresh: bool) -> Scene<'_> {
    let row = convo.row();
    Scene { id: convo.id, kind: row.kind, roles: &row.roles, roles_are_fresh }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_one_grapheme_that_shows_something() {
        for good in ["👍", "❤️", "👩‍❤️‍💋‍👨", "👩🏽‍❤️‍💋‍👨🏿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "ß"]
        {
            assert!(is_reaction(good), "{good}");
        }
        let zalgo = format!("a{}", "\u{301}".repeat(40));
        for bad in ["", " ", "👍👍", "ok", "\n", "\u{1b}", zalgo.as_str()] {
            assert!(!is_reaction(bad), "{bad:?}");
        }
    }
}
