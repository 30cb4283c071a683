//! A person wants something done to a text: checked by the rules that the others will apply to it.

use super::authorise::{Act, Aim, Denied, authorise};
use super::heard::{is_reaction, scene};
use super::{
    CONTESTED_MAX, EMOJI_BYTES_MAX, PINS_MAX, TIMER_SECONDS_MAX, TIMER_SECONDS_MIN, expiry, mention, settle,
};
use crate::account::uploads;
use crate::command::Token;
use crate::core::{Convo, Core, Ctx};
use crate::event::{Failure, FailureCode};
use crate::rows::{self, HistoryRow, Kept};
use sotto_e2ee::content::{CAPTION_BYTES_MAX, CAPTION_WITH_PREVIEW_BYTES_MAX, TEXT_BYTES_MAX, Text};
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::conversation::Role;
use sotto_protocol::ids::{ConversationId, Sequence};

/// What is wanted.
pub(crate) enum Wish {
    Say { text: String, reply_to: Option<Sequence> },
    SendFile { about: FileAbout, caption: String, reply_to: Option<Sequence>, preview: Option<Preview> },
    Edit { target: Sequence, text: String },
    Delete { target: Sequence },
    React { target: Sequence, emoji: String, on: bool },
    Pin { target: Sequence, on: bool },
    SetTimer { seconds: Option<u32> },
}

impl Wish {
    /// What it does, and to which text.
    const fn act(&self) -> (Act, Option<Sequence>) {
        match self {
            // Whoever may react to a text may answer it.
            Self::Say { reply_to, .. } | Self::SendFile { reply_to, .. } => (Act::React, *reply_to),
            Self::Edit { target, .. } => (Act::Edit, Some(*target)),
            Self::Delete { target } => (Act::Delete, Some(*target)),
            Self::React { target, .. } => (Act::React, Some(*target)),
            Self::Pin { target, .. } => (Act::Pin, Some(*target)),
            Self::SetTimer { .. } => (Act::SetTimer, None),
        }
    }

    /// Why nobody may, whoever it is.
    fn unfit(&self) -> Option<Failure> {
        match self {
            Self::Say { text, .. } | Self::Edit { text, .. } if text.len() > TEXT_BYTES_MAX => {
                let sentence = format!("a text is at most {TEXT_BYTES_MAX} bytes");
                Some(Failure::new(FailureCode::TooLarge, sentence))
            }
            Self::SendFile { caption, .. } if caption.len() > CAPTION_BYTES_MAX => {
                let sentence = format!("a caption is at most {CAPTION_BYTES_MAX} bytes");
                Some(Failure::new(FailureCode::TooLarge, sentence))
            }
            Self::React { emoji, .. } if !is_reaction(emoji) => {
                Some(invalid(format!("a reaction is one emoji of at most {EMOJI_BYTES_MAX} bytes")))
            }
            Self::SetTimer { seconds: Some(seconds) }
                if !(TIMER_SECONDS_MIN..=TIMER_SECONDS_MAX).contains(seconds) =>
            {
                Some(invalid(format!(
                    "texts disappear after {TIMER_SECONDS_MIN} seconds at least and {TIMER_SECONDS_MAX} at most"
                )))
            }
            _ => None,
        }
    }
}

/// A wish that waits for the relay to name the roles of now.
pub(crate) struct HeldWish {
    conversation: ConversationId,
    token: Token,
    wish: Wish,
}

/// What comes of a wish.
enum Checked {
    Queue(Kept),
    Refuse(Failure),
    Hold(Wish),
}

impl Core {
    /// Queues it, or says why not. A role that does not suffice is asked for once more first.
    pub(crate) fn wished(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        id: ConversationId,
        wish: Wish,
    ) -> Result<(), StoreError> {
        let may_hold = self.link.is_ready() && self.waiting.wishes.len() < CONTESTED_MAX;
        self.decide(ctx, token, id, wish, may_hold)
    }

    fn decide(
        &mut self,
        ctx: &mut Ctx<'_>,
        token: Token,
        id: ConversationId,
        wish: Wish,
        may_hold: bool,
    ) -> Result<(), StoreError> {
        let checked = self.with(id, |core, convo| core.check(ctx, convo, wish, may_hold))?;
        match checked {
            Some(Checked::Queue(kept)) => self.send(ctx, token, id, kept)?,
            Some(Checked::Refuse(failure)) => ctx.failed(Some(token), failure),
            Some(Checked::Hold(wish)) => {
                self.waiting.wishes.push(HeldWish { conversation: id, token, wish });
            }
            None => ctx.failed(Some(token), crate::outbox::unknown_conversation()),
        }
        Ok(())
    }

    /// The relay named the roles of now: what waited for them is decided.
    pub(crate) fn decide_wishes(&mut self, ctx: &mut Ctx<'_>, id: ConversationId) -> Result<(), StoreError> {
        // Asked for again meanwhile: these roles may be older than what waits.
        if self.convos.get(&id).is_some_and(|convo| convo.flight.refresh_wanted) {
            return Ok(());
        }
        for HeldWish { conversation, token, wish } in self.take_wishes(Some(id)) {
            self.decide(ctx, token, conversation, wish, false)?;
        }
        Ok(())
    }

    /// The roles will not come.
    pub(crate) fn fail_wishes(&mut self, ctx: &mut Ctx<'_>, of: Option<ConversationId>, failure: &Failure) {
        for held in self.take_wishes(of) {
            ctx.failed(Some(held.token), failure.clone());
        }
    }

    fn take_wishes(&mut self, of: Option<ConversationId>) -> Vec<HeldWish> {
        let held = std::mem::take(&mut self.waiting.wishes);
        let (taken, kept) =
            held.into_iter().partition(|held| of.is_none_or(|only| only == held.conversation));
        self.waiting.wishes = kept;
        taken
    }

    fn check(
        &self,
        ctx: &Ctx<'_>,
        convo: &mut Convo,
        wish: Wish,
        may_hold: bool,
    ) -> Result<Checked, StoreError> {
        if let Some(failure) = wish.unfit() {
            return Ok(Checked::Refuse(failure));
        }
        let (act, target) = wish.act();
        match self.denied(ctx, convo, act, target)? {
            None => {}
            Some(Denied::NeedsRole(_)) if may_hold => {
                convo.flight.refresh_wanted = true;
                return Ok(Checked::Hold(wish));
            }
            Some(denied @ (Denied::NotAuthor | Denied::NeedsRole(_))) => {
                return Ok(Checked::Refuse(Failure::new(FailureCode::NotAllowed, denied.to_string())));
            }
            Some(denied) => return Ok(Checked::Refuse(invalid(denied.to_string()))),
        }
        let kept = match wish {
            Wish::Say { text, reply_to } => {
                let mut text = self.text(convo, text);
                text.reply_to = reply_to;
                text.expires_after = timer(convo);
                if text == Text::plain(text.body.as_str()) { Kept::Text(text.body) } else { Kept::Said(text) }
            }
            Wish::SendFile { about, caption, reply_to, preview } => {
                let mut caption = self.text(convo, caption);
                caption.reply_to = reply_to;
                caption.expires_after = timer(convo);
                // In the same commit, so that what was uploaded is sent once, whatever ends this process.
                ctx.tx.delete(uploads::key(convo.id, about.root));
                // The words of a person go before the picture that a program made.
                let preview = preview.filter(|_| caption.body.len() <= CAPTION_WITH_PREVIEW_BYTES_MAX);
                Kept::file(about, caption, preview)
            }
            Wish::Edit { target, text } => {
                let mut text = self.text(convo, text);
                let end = settle::about(ctx.tx, convo.id, target)?.expires_at;
                text.expires_after = end.map(|end| expiry::seconds_left(end, ctx.now));
                Kept::Edit { target, text }
            }
            Wish::Delete { target } => Kept::Delete { target },
            Wish::React { target, emoji, on } => Kept::React { target, emoji, on },
            Wish::Pin { target, on } => {
                if on && settle::pins(ctx.tx, convo.id, PINS_MAX)?.len() >= PINS_MAX {
                    let sentence = format!("{PINS_MAX} texts are pinned already: unpin one first");
                    return Ok(Checked::Refuse(invalid(sentence)));
                }
                Kept::Pin { target, on }
            }
            Wish::SetTimer { seconds } => Kept::Timer { seconds },
        };
        Ok(Checked::Queue(kept))
    }

    /// Why it may not be done, by the rules and the roles that are known here.
    fn denied(
        &self,
        ctx: &Ctx<'_>,
        convo: &Convo,
        act: Act,
        target: Option<Sequence>,
    ) -> Result<Option<Denied>, StoreError> {
        let me = self.me.account();
        let aim = match target {
            Some(target) => {
                let line: Option<HistoryRow> = rows::get(ctx.tx, &rows::history_key(convo.id, target))?;
                settle::aim(line.as_ref(), me)
            }
            None if act == Act::SetTimer => Aim::Conversation,
            None => return Ok(None),
        };
        let scene = scene(convo, true);
        // A role that is not known yet is not held against the person: the members will decide.
        let known = scene.roles.iter().any(|(account, _)| *account == me);
        let role = if known { scene.role(me) } else { Role::Owner };
        Ok(match authorise(act, aim, scene.kind, role) {
            // Twice deleted is deleted.
            Ok(()) if matches!(aim, Aim::Deleted { .. }) => Some(Denied::Deleted),
            Ok(()) => None,
            Err(denied) => Some(denied),
        })
    }

    fn text(&self, convo: &Convo, body: String) -> Text {
        let me = self.me.account();
        let mut members: Vec<_> = convo.members().iter().map(|member| member.account).collect();
        members.dedup();
        let others = members.into_iter().filter(|account| *account != me);
        let names: Vec<_> = others.map(|account| (account, self.name_of(account))).collect();
        let mentions = mention::find(&body, &names);
        Text { body, mentions, ..Text::default() }
    }
}

fn invalid(sentence: String) -> Failure {
    Failure::new(FailureCode::Invalid, sentence)
}

/// The timer as it will be when what waits in the outbox is sent.
fn timer(convo: &Convo) -> Option<u32> {
    let waiting = convo.outbox.values().rev().find_map(|row| match row.content {
        Kept::Timer { seconds } => Some(seconds),
        _ => None,
    });
    waiting.unwrap_or_else(|| convo.kinds().timer.and_then(|(_, seconds)| seconds))
}
