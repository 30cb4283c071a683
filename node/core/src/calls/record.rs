//! What stays of a call: its record in the log. Its caller's device writes it when the call is over, of a call of a group the last one
//! that leaves; until then it keeps a row from which it does so later, should it be stopped in the middle: so a call that rang
//! somewhere is always in the history.

use super::machine::{Act, Call, Calls, Phase};
use super::{CallId, CallOutcome, CallRecord, CallState, EndReason};
use crate::core::{Core, Ctx};
use crate::rows::{self, Kept};
use bincode::{Decode, Encode};
use sotto_e2ee::content::call::{HangUp, Signal};
use sotto_e2ee::store::{StoreError, Transaction};
use sotto_protocol::ids::{ConversationId, UnixMillis};

/// Calls that are remembered so that nothing old makes it ring again.
const KNOWN_MAX: usize = 64;

/// The row of the call that goes on.
const UNDER_WAY: u8 = 0x5f;

/// A call that this device began, or one of a group that it is alone in, with the record of it as it would be now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub(crate) struct UnderWay {
    pub(super) conversation: ConversationId,
    pub(super) record: CallRecord,
}

fn record(call: &Call, outcome: CallOutcome, seconds: u64) -> CallRecord {
    CallRecord::new(call.id, call.video, call.began, outcome, u32::try_from(seconds).unwrap_or(u32::MAX))
}

impl Calls {
    /// Takes over what was under way when the device was stopped.
    pub(crate) fn load(mut self, tx: &Transaction<'_>) -> Result<Self, StoreError> {
        self.left_over = rows::get(tx, &[UNDER_WAY])?;
        self.kept = self.left_over;
        Ok(self)
    }

    pub(super) fn hang_up(&mut self, now: UnixMillis) {
        let Some(call) = &self.call else { return };
        let (why, device) = match call.phase {
            // Every device that rings has to hear it.
            Phase::Calling | Phase::Ringing => (HangUp::Ended, None),
            _ => (HangUp::Ended, call.device),
        };
        let outcome = self.outcome();
        self.say(device, Signal::HangUp { why });
        self.end(EndReason::Ended, outcome, now);
    }

    /// How it went so far, for the record.
    pub(super) fn outcome(&self) -> Option<CallOutcome> {
        let call = self.call.as_ref()?;
        Some(if call.connected.is_some() {
            CallOutcome::Answered
        } else if call.device.is_none() {
            CallOutcome::Missed
        } else {
            CallOutcome::Failed
        })
    }

    /// The call is over: it is remembered with the last word about it, and its caller writes the record.
    pub(super) fn end(&mut self, reason: EndReason, outcome: Option<CallOutcome>, now: UnixMillis) {
        let Some(call) = self.call.take() else { return };
        let last_word = self.acts.iter().rev().find_map(|act| match act {
            Act::Send(_, said) if said.call == call.id => match &said.signal {
                word @ (Signal::HangUp { .. } | Signal::Decline | Signal::Busy) => Some(word.clone()),
                _ => None,
            },
            _ => None,
        });
        self.remember(call.id, last_word);
        self.acts.push(Act::Tell(call.view(CallState::Ended(reason))));
        if let Some(outcome) = outcome.filter(|_| call.outgoing) {
            let seconds = call.connected.map_or(0, |at| now.0.saturating_sub(at.0) / 1_000);
            let record = record(&call, outcome, seconds);
            self.acts.push(Act::Record(call.conversation, record));
        }
    }

    pub(super) fn remember(&mut self, call: CallId, last_word: Option<Signal>) {
        if self.known.len() >= KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back((call, last_word));
    }

    fn under_way(&self) -> Option<UnderWay> {
        let Some(call) = self.call.as_ref().filter(|call| call.outgoing) else {
            return self.group_under_way();
        };
        let record = record(call, self.outcome()?, 0);
        Some(UnderWay { conversation: call.conversation, record })
    }
}

impl Core {
    /// Keeps the row of the call that goes on.
    pub(super) fn keep_call(&mut self, ctx: &Ctx<'_>) {
        let under_way = self.calls.under_way();
        if under_way == self.calls.kept {
            return;
        }
        self.calls.kept = under_way;
        match &under_way {
            Some(row) => rows::put(ctx.tx, vec![UNDER_WAY], row),
            None => ctx.tx.delete(vec![UNDER_WAY]),
        }
    }

    /// Writes the record of a call in which this device was stopped.
    pub(super) fn record_left_over(&mut self, ctx: &Ctx<'_>) -> Result<(), StoreError> {
        let Some(UnderWay { conversation, record }) = self.calls.left_over.take() else { return Ok(()) };
        self.write_record(ctx, conversation, record)?;
        self.keep_call(ctx);
        Ok(())
    }

    pub(super) fn write_record(
        &mut self,
        ctx: &Ctx<'_>,
        conversation: ConversationId,
        record: CallRecord,
    ) -> Result<(), StoreError> {
        self.with(conversation, |core, convo| {
            if convo.row().standing == crate::view::Standing::Member {
                core.queue(ctx, convo, Kept::Call(record));
            }
            Ok(())
        })?;
        Ok(())
    }
}
