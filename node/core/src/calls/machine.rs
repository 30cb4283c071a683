//! The state of the one call that a device can be in. Inputs go in with the time; what is to be done comes out.

use super::group::{GroupCallView, Groups};
use super::guard::{Bucket, Window};
use super::pair::{News, Pair, REPEAT_MS, Stand, Step};
use super::record::UnderWay;
use super::{
    ALIVE_MS, CallCommand, CallId, CallOutcome, CallRecord, CallState, CallView, CallWarning, EndReason,
    MediaState, Negotiation, RING_MS,
};
use crate::event::{Failure, FailureCode};
use sotto_e2ee::content::call::{CallSignal, HangUp, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use std::collections::{BTreeMap, VecDeque};

/// How often an invite is said: a device that comes online while it rings hears it.
pub(super) const INVITE_EVERY_MS: u64 = 3_000;

/// A device that heard no invite for so long stops ringing: its caller is gone.
pub(super) const INVITE_SILENCE_MS: u64 = 10_000;

/// Devices of which signals count in one call: those of both accounts.
const SPEAKERS_MAX: usize = 2 * sotto_protocol::limits::DEVICES_PER_ACCOUNT_MAX;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Act {
    /// Say this in a conversation.
    Send(ConversationId, CallSignal),
    /// Tell the shell how the call stands.
    Tell(CallView),
    /// Have the shell do something about the media.
    Negotiate(CallId, Negotiation),
    /// Write this into the log.
    Record(ConversationId, CallRecord),
    /// Tell the shell how the call of a group stands.
    TellGroup(GroupCallView),
    /// Have the shell do something about the media between this device and another one in the call of a group.
    NegotiateIn { call: CallId, device: DeviceId, negotiation: Negotiation },
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Calling,
    Ringing,
    Incoming,
    /// Two devices talk, or try to: see its [`Pair`].
    Taken,
}

/// The call.
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) conversation: ConversationId,
    pub(super) peer: AccountId,
    pub(super) outgoing: bool,
    /// As the caller began it.
    pub(super) video: bool,
    /// As this person takes it.
    own_video: bool,
    pub(super) phase: Phase,
    /// The other device, once it is known which.
    pub(super) device: Option<DeviceId>,
    number: u32,
    pub(super) windows: BTreeMap<DeviceId, Window>,
    pub(super) bucket: Bucket,
    pub(super) began: UnixMillis,
    pub(super) connected: Option<UnixMillis>,
    pub(super) deadline: Option<UnixMillis>,
    pub(super) repeat: Option<UnixMillis>,
    alive: UnixMillis,
    /// The way to the other device, once it was taken.
    pub(super) pair: Option<Pair>,
    mine: MediaState,
    pub(super) theirs: MediaState,
    warning: Option<CallWarning>,
    replaces: Option<CallId>,
}

/// Everything about calls on one device.
pub(crate) struct Calls {
    pub(super) me: DeviceId,
    pub(super) account: AccountId,
    pub(super) call: Option<Call>,
    /// Calls of before, and the last word about each.
    pub(super) known: VecDeque<(CallId, Option<Signal>)>,
    /// New calls, and words about calls that are over.
    pub(super) arrivals: Bucket,
    pub(super) acts: Vec<Act>,
    /// The call that this device began, as its row has it.
    pub(super) kept: Option<UnderWay>,
    /// One that it began before it was stopped.
    pub(super) left_over: Option<UnderWay>,
    pub(super) groups: Groups,
}

pub(super) fn busy() -> Failure {
    Failure::new(FailureCode::Busy, "there is a call on this device already")
}

fn no_such_call() -> Failure {
    Failure::new(FailureCode::Invalid, "this call is over")
}

const fn after(now: UnixMillis, ms: u64) -> UnixMillis {
    UnixMillis(now.0.saturating_add(ms))
}

impl Call {
    pub(super) fn new(
        (id, conversation, peer): (CallId, ConversationId, AccountId),
        outgoing: bool,
        video: bool,
        now: UnixMillis,
    ) -> Self {
        Self {
            id,
            conversation,
            peer,
            outgoing,
            video,
            own_video: video,
            phase: if outgoing { Phase::Calling } else { Phase::Incoming },
            device: None,
            number: 0,
            windows: BTreeMap::new(),
            bucket: Bucket::new(100, 20, now),
            began: now,
            connected: None,
            deadline: Some(after(now, RING_MS)),
            repeat: None,
            alive: now,
            pair: None,
            mine: MediaState { camera: video, ..MediaState::default() },
            theirs: MediaState { camera: video && !outgoing, ..MediaState::default() },
            warning: None,
            replaces: None,
        }
    }

    pub(super) fn view(&self, state: CallState) -> CallView {
        CallView {
            call: self.id,
            conversation: self.conversation,
            peer: self.peer,
            outgoing: self.outgoing,
            video: self.video,
            state,
            since: self.connected,
            theirs: self.theirs,
            warning: self.warning,
            replaces: self.replaces,
        }
    }

    fn state(&self) -> CallState {
        match (self.phase, self.stand()) {
            (Phase::Calling, _) => CallState::Calling,
            (Phase::Ringing, _) => CallState::Ringing,
            (Phase::Incoming, _) => CallState::Incoming,
            (Phase::Taken, Stand::Connecting) => CallState::Connecting,
            (Phase::Taken, Stand::Connected) => CallState::Connected,
            (Phase::Taken, Stand::Reconnecting) => CallState::Reconnecting,
        }
    }

    fn stand(&self) -> Stand {
        self.pair.as_ref().map_or(Stand::Connecting, |pair| pair.stand)
    }

    /// Taken here, and the caller has not offered yet.
    pub(super) fn waits_for_offer(&self) -> bool {
        self.pair.as_ref().is_some_and(Pair::is_fresh)
    }

    /// Nobody's media run in this shell yet.
    const fn rings_here(&self) -> bool {
        matches!(self.phase, Phase::Incoming)
    }
}

impl Calls {
    pub(crate) fn new(me: DeviceId, account: AccountId, now: UnixMillis) -> Self {
        Self {
            me,
            account,
            call: None,
            known: VecDeque::new(),
            arrivals: Bucket::new(10, 1, now),
            acts: Vec::new(),
            kept: None,
            left_over: None,
            groups: Groups::new(now),
        }
    }

    /// What is to be done now.
    pub(crate) fn take_acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// How the call stands, if there is one.
    pub(crate) fn view(&self) -> Option<CallView> {
        self.call.as_ref().map(|call| call.view(call.state()))
    }

    /// The conversation of the call, and the device at its other end.
    pub(crate) fn place(&self) -> Option<(ConversationId, Option<DeviceId>)> {
        self.call.as_ref().map(|call| (call.conversation, call.device))
    }

    /// Begins a call.
    pub(crate) fn start(
        &mut self,
        id: CallId,
        conversation: ConversationId,
        peer: AccountId,
        video: bool,
        now: UnixMillis,
    ) -> Result<(), Failure> {
        if self.call.is_some() || self.groups.is_busy() {
            return Err(busy());
        }
        self.silence_groups();
        let mut call = Call::new((id, conversation, peer), true, video, now);
        call.repeat = Some(after(now, INVITE_EVERY_MS));
        self.call = Some(call);
        self.say(None, Signal::Invite { video });
        self.tell();
        Ok(())
    }

    /// What the person or the shell wants; `Start` is [`Self::start`].
    pub(crate) fn command(&mut self, command: CallCommand, now: UnixMillis) -> Result<(), Failure> {
        let (CallCommand::Answer { call: id, .. }
        | CallCommand::Decline { call: id }
        | CallCommand::HangUp { call: id }
        | CallCommand::Description { call: id, .. }
        | CallCommand::Candidates { call: id, .. }
        | CallCommand::Media { call: id, .. }
        | CallCommand::State { call: id, .. }) = command
        else {
            return Err(no_such_call());
        };
        let call = self.call.as_mut().filter(|call| call.id == id).ok_or_else(no_such_call)?;
        if !call.rings_here() {
            call.alive = now;
        }
        match command {
            CallCommand::Answer { video, .. } => self.answer(video, now)?,
            CallCommand::Decline { .. } | CallCommand::HangUp { .. } if call.rings_here() => {
                let caller = call.device;
                self.say(caller, Signal::Decline);
                self.end(EndReason::Ended, None, now);
            }
            CallCommand::Decline { .. } | CallCommand::HangUp { .. } => self.hang_up(now),
            CallCommand::Description { round, sdp, .. } => {
                let step = call.pair.as_mut().map(|pair| pair.described(round, sdp, now));
                self.step(step.transpose()?, now);
            }
            CallCommand::Candidates { round, list, .. } => {
                let step = call.pair.as_mut().map(|pair| pair.found(round, list));
                self.step(step.transpose()?, now);
            }
            CallCommand::Media { report, .. } => {
                let step = call.pair.as_mut().map(|pair| pair.reported(&report, now));
                self.step(step, now);
            }
            CallCommand::State { state, .. } => {
                let news = call.mine != state;
                call.mine = state;
                let device = call.device;
                if news && call.stand() != Stand::Connecting {
                    self.say(device, Signal::State(state));
                }
            }
            CallCommand::Start { .. } => {}
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, video: bool, now: UnixMillis) -> Result<(), Failure> {
        let call = self.call.as_mut().filter(|call| call.rings_here()).ok_or_else(no_such_call)?;
        call.phase = Phase::Taken;
        call.pair = Some(Pair::new(false, 0, now).0);
        call.own_video = video;
        call.mine.camera = video;
        call.alive = now;
        call.deadline = None;
        call.repeat = Some(after(now, REPEAT_MS));
        let caller = call.device;
        self.say(caller, Signal::Accept { video });
        self.tell();
        Ok(())
    }

    /// What came of an input for the way between the two.
    pub(super) fn step(&mut self, step: Option<Step>, now: UnixMillis) {
        let (Some(step), Some(call)) = (step, self.call.as_mut()) else { return };
        let (id, device, mine) = (call.id, call.device, call.mine);
        if !call.waits_for_offer() {
            call.repeat = None;
        }
        if step.news == Some(News::Connected) {
            call.connected.get_or_insert(now);
        }
        self.acts.extend(step.ask.into_iter().map(|negotiation| Act::Negotiate(id, negotiation)));
        for signal in step.say {
            self.say(device, signal);
        }
        match step.news {
            None => {}
            Some(News::Connected) => {
                self.say(device, Signal::State(mine));
                self.tell();
            }
            Some(News::Lost) => self.tell(),
            Some(News::Tampered) => {
                self.say(device, Signal::HangUp { why: HangUp::Tampered });
                let outcome = self.outcome();
                self.end(EndReason::Tampered, outcome, now);
            }
        }
    }

    /// When [`Self::on_time`] is due.
    pub(crate) fn deadline(&self) -> Option<UnixMillis> {
        [self.own_deadline(), self.groups.deadline()].into_iter().flatten().min()
    }

    fn own_deadline(&self) -> Option<UnixMillis> {
        let call = self.call.as_ref()?;
        let alive = (!call.rings_here()).then(|| after(call.alive, ALIVE_MS));
        let (late, repeat) = call.pair.as_ref().map(|pair| (pair.late_at, pair.repeat)).unwrap_or_default();
        [call.deadline, call.repeat, late, repeat, alive].into_iter().flatten().min()
    }

    /// A clock that jumped back: what was due far ahead is due within its usual time.
    pub(crate) fn clamp(&mut self, now: UnixMillis) {
        self.groups.clamp(now);
        if let Some(call) = &mut self.call {
            call.alive = now;
            call.deadline = call.deadline.map(|at| at.min(after(now, RING_MS)));
            call.repeat = call.repeat.map(|_| now);
            if let Some(pair) = &mut call.pair {
                pair.clamp(now);
            }
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: UnixMillis) {
        self.groups_on_time(now);
        let Some(call) = self.call.as_mut() else { return };
        let due = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
        if !call.rings_here() && after(call.alive, ALIVE_MS) <= now {
            return self.hang_up(now);
        }
        let late = call.pair.as_ref().and_then(|pair| pair.late_at);
        if due(call.deadline) || due(late) {
            return self.too_late(now);
        }
        let again = due(call.repeat);
        let step = call.pair.as_mut().map(|pair| pair.on_time(now));
        self.step(step, now);
        if again {
            self.again(now);
        }
    }

    fn too_late(&mut self, now: UnixMillis) {
        let Some(call) = &self.call else { return };
        let (device, lost) = (call.device, call.stand() == Stand::Reconnecting);
        match call.phase {
            Phase::Calling | Phase::Ringing => {
                self.say(None, Signal::HangUp { why: HangUp::Unanswered });
                self.end(EndReason::Unanswered, Some(CallOutcome::Missed), now);
            }
            Phase::Incoming => self.end(EndReason::Unanswered, None, now),
            Phase::Taken => {
                self.say(device, Signal::HangUp { why: HangUp::Failed });
                let outcome = self.outcome();
                self.end(if lost { EndReason::Lost } else { EndReason::Failed }, outcome, now);
            }
        }
    }

    /// Says again that this device calls, or takes the call.
    fn again(&mut self, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        let (device, video, own_video) = (call.device, call.video, call.own_video);
        match call.phase {
            Phase::Calling | Phase::Ringing => {
                call.repeat = Some(after(now, INVITE_EVERY_MS));
                self.say(None, Signal::Invite { video });
            }
            Phase::Taken if call.waits_for_offer() => {
                call.repeat = Some(after(now, REPEAT_MS));
                self.say(device, Signal::Accept { video: own_video });
            }
            Phase::Incoming | Phase::Taken => call.repeat = None,
        }
    }

    /// The other device is not in the conversation any more.
    pub(crate) fn removed(&mut self, now: UnixMillis) {
        let outcome = self.outcome();
        self.end(EndReason::Removed, outcome, now);
    }

    /// Something came in the conversation of the call that did not open.
    pub(crate) fn altered(&mut self) {
        let Some(call) = self.call.as_mut() else { return };
        if call.warning.is_none() {
            call.warning = Some(CallWarning::Altered);
            self.tell();
        }
    }

    pub(super) fn tell(&mut self) {
        self.acts.extend(self.view().map(Act::Tell));
    }

    pub(super) fn say(&mut self, to: Option<DeviceId>, signal: Signal) {
        let Some(call) = self.call.as_mut() else { return };
        call.number = call.number.saturating_add(1);
        let signal = CallSignal { call: call.id, to, number: call.number, signal };
        self.acts.push(Act::Send(call.conversation, signal));
    }

    /// Whether a signal of this device counts: a number that is new, and not one of a flood.
    pub(super) fn counts(&mut self, device: DeviceId, number: u32, now: UnixMillis) -> bool {
        let Some(call) = self.call.as_mut() else { return false };
        if !call.windows.contains_key(&device) && call.windows.len() >= SPEAKERS_MAX {
            return false;
        }
        call.windows.entry(device).or_default().first(number) && call.bucket.take(now)
    }

    /// The call that rings here goes on in the place of the own one, and was wanted by both.
    pub(super) fn replace(&mut self, by: Call, now: UnixMillis) {
        let Some(own) = self.call.take() else { return };
        self.call = Some(by);
        if let Some(call) = self.call.as_mut() {
            call.replaces = Some(own.id);
        }
        let _rings = self.answer(own.own_video, now);
    }
}
