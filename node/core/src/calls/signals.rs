//! What the other devices say. Who sent it was checked; whether it may, is decided here.

use super::machine::{Act, Call, Calls, INVITE_SILENCE_MS, Phase};
use super::pair::Pair;
use super::{CallId, CallOutcome, EndReason, RING_MS};
use sotto_e2ee::content::call::{CallSignal, HangUp, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};

/// An invite that is further off by both clocks is of another time. Clocks of people's devices differ by minutes.
pub(super) const FRESH_MS: u64 = 10 * 60 * 1_000;

/// A signal with what was checked about it.
pub(crate) struct Heard {
    pub(crate) conversation: ConversationId,
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    pub(crate) sent_at: UnixMillis,
    pub(crate) signal: CallSignal,
}

impl Calls {
    /// A member said something about a call in a direct conversation.
    pub(crate) fn heard(&mut self, heard: Heard, now: UnixMillis) {
        let Heard { conversation, account, device, sent_at, signal } = heard;
        let CallSignal { call: id, to, number, signal } = signal;
        if device == self.me || matches!(signal, Signal::Unknown { .. }) {
            return;
        }
        let current = self.call.as_ref().filter(|call| call.id == id);
        if current.is_some_and(|call| call.conversation != conversation) {
            return;
        }
        let is_current = current.is_some();
        if account == self.account {
            if is_current && self.counts(device, number, now) {
                self.own_device(&signal, now);
            }
            return;
        }
        if to.is_some_and(|to| to != self.me) {
            return;
        }
        if !is_current {
            return self.another_call((id, conversation, account), device, (number, sent_at), &signal, now);
        }
        if self.call.as_ref().is_some_and(|call| call.peer != account) || !self.counts(device, number, now) {
            return;
        }
        let bound = self.call.as_ref().and_then(|call| call.device);
        match signal {
            // The caller may hear of any device of the account until it talks to one of them.
            Signal::Ringing | Signal::Accept { .. } | Signal::Decline | Signal::Busy => {
                self.callee(device, &signal, now);
            }
            signal if bound == Some(device) => self.other_end(device, signal, now),
            _ => {}
        }
    }

    /// Another device of this account took or declined what rings here.
    fn own_device(&mut self, signal: &Signal, now: UnixMillis) {
        if !self.call.as_ref().is_some_and(|call| call.phase == Phase::Incoming) {
            return;
        }
        match signal {
            Signal::Accept { .. } => self.end(EndReason::AnsweredElsewhere, None, now),
            Signal::Decline => self.end(EndReason::DeclinedElsewhere, None, now),
            _ => {}
        }
    }

    /// About a call that is not the one that this device is in.
    fn another_call(
        &mut self,
        (id, conversation, account): (CallId, ConversationId, AccountId),
        device: DeviceId,
        (number, sent_at): (u32, UnixMillis),
        signal: &Signal,
        now: UnixMillis,
    ) {
        let Signal::Invite { video } = *signal else {
            // Whoever still talks about a call that is over is told so; a word that ends one needs no answer.
            let ends = matches!(signal, Signal::HangUp { .. } | Signal::Decline | Signal::Busy);
            if !ends && self.arrivals.take(now) {
                self.last_word(id, conversation, device);
            }
            return;
        };
        if now.0.abs_diff(sent_at.0) > FRESH_MS || !self.arrivals.take(now) {
            return;
        }
        if self.known.iter().any(|(known, _)| *known == id) {
            return self.last_word(id, conversation, device);
        }
        if self.call.as_ref().is_some_and(|call| call.device == Some(device)) {
            // A device is in one call: what it was in with this one is over, and its last word was lost.
            let outcome = self.outcome();
            let rings = self.call.as_ref().is_some_and(|call| call.phase == Phase::Incoming);
            self.end(if rings { EndReason::Unanswered } else { EndReason::Lost }, outcome, now);
        }
        let mut call = Call::new((id, conversation, account), false, video, now);
        call.device = Some(device);
        call.windows.entry(device).or_default().first(number);
        call.repeat = None;
        call.deadline = Some(silent(now));
        if self.groups.is_busy() {
            self.remember(id, Some(Signal::Busy));
            return self.last_word(id, conversation, device);
        }
        let Some(own) = &self.call else {
            self.silence_groups();
            self.call = Some(call);
            self.say(Some(device), Signal::Ringing);
            return self.tell();
        };
        let both_call = own.outgoing
            && matches!(own.phase, Phase::Calling | Phase::Ringing)
            && (own.conversation, own.peer) == (conversation, account);
        if !both_call {
            self.remember(id, Some(Signal::Busy));
            self.last_word(id, conversation, device);
        } else if device < self.me {
            // Both devices compare the same two ids, so both keep the same call.
            let own_id = own.id;
            self.say(None, Signal::HangUp { why: HangUp::Glare });
            self.remember(own_id, Some(Signal::HangUp { why: HangUp::Glare }));
            self.replace(call, now);
        } else {
            self.remember(id, None);
        }
    }

    /// Says once more how a call ended.
    fn last_word(&mut self, call: CallId, conversation: ConversationId, device: DeviceId) {
        let known = self.known.iter().find(|(known, _)| *known == call);
        let word = match known {
            Some((_, word)) => word.clone(),
            None => Some(Signal::HangUp { why: HangUp::Unknown }),
        };
        let Some(signal) = word else { return };
        // Of a call that is over no number is kept; a random one would do, the highest always counts once.
        let signal = CallSignal { call, to: Some(device), number: u32::MAX, signal };
        self.acts.push(Act::Send(conversation, signal));
    }

    /// A device of the account that this one calls.
    fn callee(&mut self, device: DeviceId, signal: &Signal, now: UnixMillis) {
        let Some(call) = self.call.as_mut().filter(|call| call.outgoing) else { return };
        let rings = matches!(call.phase, Phase::Calling | Phase::Ringing);
        match signal {
            Signal::Ringing if call.phase == Phase::Calling => {
                call.phase = Phase::Ringing;
                self.tell();
            }
            Signal::Accept { video } if rings => {
                call.device = Some(device);
                call.theirs.camera = *video;
                call.phase = Phase::Taken;
                (call.deadline, call.repeat) = (None, None);
                let (pair, step) = Pair::new(true, 0, now);
                call.pair = Some(pair);
                self.say(None, Signal::Taken { device });
                self.step(Some(step), now);
                self.tell();
            }
            Signal::Accept { .. } => {
                if let Some(taken) = call.device {
                    self.say(None, Signal::Taken { device: taken });
                }
            }
            Signal::Decline if rings => {
                self.say(None, Signal::HangUp { why: HangUp::Declined });
                self.end(EndReason::Declined, Some(CallOutcome::Declined), now);
            }
            Signal::Busy if rings => {
                self.say(None, Signal::HangUp { why: HangUp::Busy });
                self.end(EndReason::Busy, Some(CallOutcome::Busy), now);
            }
            _ => {}
        }
    }

    /// The device at the other end of this call.
    fn other_end(&mut self, device: DeviceId, signal: Signal, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        match signal {
            Signal::Invite { .. } if call.phase == Phase::Incoming => {
                let latest = UnixMillis(call.began.0.saturating_add(RING_MS + INVITE_SILENCE_MS));
                call.deadline = Some(silent(now).min(latest));
                self.say(Some(device), Signal::Ringing);
            }
            Signal::Taken { device: taken } if !call.outgoing && taken != self.me => {
                if call.phase == Phase::Incoming || call.waits_for_offer() {
                    self.end(EndReason::AnsweredElsewhere, None, now);
                }
            }
            Signal::HangUp { why } => self.hung_up(why, now),
            Signal::State(state) if call.theirs != state => {
                call.theirs = state;
                self.tell();
            }
            signal => {
                let step = call.pair.as_mut().map(|pair| pair.heard(signal, now));
                self.step(step, now);
            }
        }
    }

    fn hung_up(&mut self, why: HangUp, now: UnixMillis) {
        let Some(call) = &self.call else { return };
        let talked = self.outcome() == Some(CallOutcome::Answered);
        let reason = match why {
            HangUp::Tampered => EndReason::Tampered,
            HangUp::Failed if talked => EndReason::Lost,
            HangUp::Failed => EndReason::Failed,
            HangUp::Declined if call.phase == Phase::Incoming => EndReason::DeclinedElsewhere,
            _ if call.phase == Phase::Incoming => EndReason::Unanswered,
            _ => EndReason::HungUp,
        };
        let outcome = self.outcome();
        self.end(reason, outcome, now);
    }
}

/// Until then the next invite has to be heard.
const fn silent(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0.saturating_add(INVITE_SILENCE_MS))
}
