//! The state of the one call that a device can be in. Inputs go in with the time; what is to be done comes out.

use super::guard::{Bucket, Window};
use super::record::UnderWay;
use super::{
    ALIVE_MS, CallCommand, CallId, CallOutcome, CallRecord, CallState, CallView, CallWarning, Candidate,
    EndReason, MediaReport, MediaState, Negotiation, RING_MS, sdp,
};
use crate::event::{Failure, FailureCode};
use sotto_e2ee::content::call::{CANDIDATES_PER_SIGNAL_MAX, CallSignal, HangUp, SDP_BYTES_MAX, Signal};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use std::collections::{BTreeMap, VecDeque};

/// How often an invite is said: a device that comes online while it rings hears it.
pub(super) const INVITE_EVERY_MS: u64 = 3_000;

/// A device that heard no invite for so long stops ringing: its caller is gone.
pub(super) const INVITE_SILENCE_MS: u64 = 10_000;

/// How often a step that nothing came of is said again.
pub(super) const REPEAT_MS: u64 = 2_000;

/// How long finding a connection may take; relayed ones need 4 to 7 s.
pub(super) const CONNECT_MS: u64 = 30_000;

/// How long a connection that is lost is tried for again.
pub(super) const RECONNECT_MS: u64 = 30_000;

/// A connection that only faltered comes back by itself within this.
pub(super) const FALTER_MS: u64 = 2_000;

/// An attempt has had its chance after so long.
pub(super) const ATTEMPT_MS: u64 = 8_000;

/// Candidates of one attempt, each way. A device with ten addresses has about sixty.
pub(crate) const CANDIDATES_MAX: usize = 128;

/// Attempts to connect in one call: one a minute for an hour and a half on a train.
pub(super) const ROUNDS_MAX: u32 = 100;

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
}

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Calling,
    Ringing,
    Incoming,
    /// Taken here; the caller is to offer.
    Accepted,
    /// Descriptions are exchanged.
    Connecting,
    Connected,
    Reconnecting,
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
    pub(super) round: u32,
    pub(super) round_began: UnixMillis,
    /// The shell gave this attempt up.
    stale: bool,
    pub(super) local: Option<String>,
    pub(super) local_candidates: Vec<Candidate>,
    /// The fingerprints that the other one's description of this round promises.
    pub(super) promised: Option<Vec<String>>,
    pub(super) remote_candidates: Vec<Candidate>,
    /// Of those, how many the shell has.
    pub(super) given: usize,
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
            round: 0,
            round_began: now,
            stale: false,
            local: None,
            local_candidates: Vec::new(),
            promised: None,
            remote_candidates: Vec::new(),
            given: 0,
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

    const fn state(&self) -> CallState {
        match self.phase {
            Phase::Calling => CallState::Calling,
            Phase::Ringing => CallState::Ringing,
            Phase::Incoming => CallState::Incoming,
            Phase::Accepted | Phase::Connecting => CallState::Connecting,
            Phase::Connected => CallState::Connected,
            Phase::Reconnecting => CallState::Reconnecting,
        }
    }

    /// A fresh attempt to connect.
    pub(super) fn begin_round(&mut self, round: u32, now: UnixMillis) {
        self.round = round;
        self.round_began = now;
        self.stale = false;
        self.local = None;
        self.local_candidates.clear();
        self.promised = None;
        self.remote_candidates.clear();
        self.given = 0;
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
        if self.call.is_some() {
            return Err(Failure::new(FailureCode::Invalid, "there is a call on this device already"));
        }
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
            CallCommand::Description { round, sdp, .. } => self.described(round, sdp, now)?,
            CallCommand::Candidates { round, list, .. } => self.found(round, list)?,
            CallCommand::Media { report, .. } => self.reported(report, now),
            CallCommand::State { state, .. } => {
                let news = call.mine != state;
                call.mine = state;
                let device = call.device;
                if news && matches!(call.phase, Phase::Connected | Phase::Reconnecting) {
                    self.say(device, Signal::State(state));
                }
            }
            CallCommand::Start { .. } => {}
        }
        Ok(())
    }

    pub(super) fn answer(&mut self, video: bool, now: UnixMillis) -> Result<(), Failure> {
        let call = self.call.as_mut().filter(|call| call.rings_here()).ok_or_else(no_such_call)?;
        call.phase = Phase::Accepted;
        call.own_video = video;
        call.mine.camera = video;
        call.alive = now;
        call.deadline = Some(after(now, CONNECT_MS));
        call.repeat = Some(after(now, REPEAT_MS));
        let caller = call.device;
        self.say(caller, Signal::Accept { video });
        self.tell();
        Ok(())
    }

    fn described(&mut self, round: u32, sdp: String, now: UnixMillis) -> Result<(), Failure> {
        let Some(call) = self.call.as_mut() else { return Ok(()) };
        if round != call.round || call.device.is_none() || call.phase == Phase::Accepted {
            return Ok(()); // It was overtaken by a newer attempt.
        }
        if sdp.len() > SDP_BYTES_MAX || sdp::fingerprints(&sdp).is_none() {
            let text = "this is no session description that can be sent";
            return Err(Failure::new(FailureCode::Invalid, text));
        }
        if !call.outgoing && call.promised.is_none() {
            return Ok(()); // There is no offer to answer.
        }
        call.local = Some(sdp);
        call.repeat = call.outgoing.then(|| after(now, REPEAT_MS));
        self.say_description();
        Ok(())
    }

    /// The description of this round and every way that is known, to the other device.
    pub(super) fn say_description(&mut self) {
        let Some(call) = self.call.as_ref() else { return };
        let (device, round, outgoing) = (call.device, call.round, call.outgoing);
        let Some(sdp) = call.local.clone() else { return };
        let lists: Vec<Vec<Candidate>> =
            call.local_candidates.chunks(CANDIDATES_PER_SIGNAL_MAX).map(<[_]>::to_vec).collect();
        self.say(device, if outgoing { Signal::Offer { round, sdp } } else { Signal::Answer { round, sdp } });
        for list in lists {
            self.say(device, Signal::Candidates { round, list });
        }
    }

    fn found(&mut self, round: u32, list: Vec<Candidate>) -> Result<(), Failure> {
        let Some(call) = self.call.as_mut().filter(|call| call.round == round) else { return Ok(()) };
        if !list.iter().all(Candidate::is_sound) {
            return Err(Failure::new(FailureCode::Invalid, "this is no candidate that can be sent"));
        }
        let mut new = Vec::new();
        for candidate in list {
            if call.local_candidates.len() < CANDIDATES_MAX && !call.local_candidates.contains(&candidate) {
                call.local_candidates.push(candidate.clone());
                new.push(candidate);
            }
        }
        let (device, described) = (call.device, call.local.is_some());
        if described {
            for list in new.chunks(CANDIDATES_PER_SIGNAL_MAX) {
                self.say(device, Signal::Candidates { round, list: list.to_vec() });
            }
        }
        Ok(())
    }

    fn reported(&mut self, report: MediaReport, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        match report {
            MediaReport::Alive => {}
            MediaReport::Connected { fingerprint } => {
                let Some(promised) = &call.promised else { return };
                if !sdp::is_promised(&fingerprint, promised) {
                    let device = call.device;
                    self.say(device, Signal::HangUp { why: HangUp::Tampered });
                    let outcome = self.outcome();
                    return self.end(EndReason::Tampered, outcome, now);
                }
                if call.phase == Phase::Connected {
                    return;
                }
                call.phase = Phase::Connected;
                call.connected.get_or_insert(now);
                (call.deadline, call.repeat) = (None, None);
                let (device, mine) = (call.device, call.mine);
                self.say(device, Signal::State(mine));
                self.tell();
            }
            MediaReport::Disconnected | MediaReport::Failed => {
                let wait = if report == MediaReport::Failed { 0 } else { FALTER_MS };
                if call.phase == Phase::Connected {
                    self.reconnect(wait, now);
                } else if matches!(call.phase, Phase::Connecting | Phase::Reconnecting)
                    && report == MediaReport::Failed
                {
                    call.stale = true;
                    call.repeat = Some(now);
                }
            }
        }
    }

    /// The way is lost: a new one is looked for, after a moment in which the old one may come back.
    pub(super) fn reconnect(&mut self, wait_ms: u64, now: UnixMillis) {
        if let Some(call) = self.call.as_mut() {
            call.phase = Phase::Reconnecting;
            call.stale = true;
            call.deadline = Some(after(now, RECONNECT_MS));
            call.repeat = Some(after(now, wait_ms));
            self.tell();
        }
    }

    /// When [`Self::on_time`] is due.
    pub(crate) fn deadline(&self) -> Option<UnixMillis> {
        let call = self.call.as_ref()?;
        let alive = (!call.rings_here()).then(|| after(call.alive, ALIVE_MS));
        [call.deadline, call.repeat, alive].into_iter().flatten().min()
    }

    /// A clock that jumped back: what was due far ahead is due within its usual time.
    pub(crate) fn clamp(&mut self, now: UnixMillis) {
        if let Some(call) = &mut self.call {
            call.alive = now;
            call.deadline = call.deadline.map(|at| at.min(after(now, RING_MS)));
            call.repeat = call.repeat.map(|_| now);
            call.round_began = call.round_began.min(now);
        }
    }

    /// Time has passed.
    pub(crate) fn on_time(&mut self, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        let due = |at: Option<UnixMillis>| at.is_some_and(|at| at <= now);
        if !call.rings_here() && after(call.alive, ALIVE_MS) <= now {
            return self.hang_up(now);
        }
        if due(call.deadline) {
            return self.too_late(now);
        }
        if due(call.repeat) {
            self.again(now);
        }
    }

    fn too_late(&mut self, now: UnixMillis) {
        let Some(call) = &self.call else { return };
        let (phase, device) = (call.phase, call.device);
        match phase {
            Phase::Calling | Phase::Ringing => {
                self.say(None, Signal::HangUp { why: HangUp::Unanswered });
                self.end(EndReason::Unanswered, Some(CallOutcome::Missed), now);
            }
            Phase::Incoming => self.end(EndReason::Unanswered, None, now),
            _ => {
                self.say(device, Signal::HangUp { why: HangUp::Failed });
                let (outcome, lost) = (self.outcome(), phase == Phase::Reconnecting);
                self.end(if lost { EndReason::Lost } else { EndReason::Failed }, outcome, now);
            }
        }
    }

    /// Says again what nothing came of.
    fn again(&mut self, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        let (device, video, own_video) = (call.device, call.video, call.own_video);
        call.repeat = Some(after(now, REPEAT_MS));
        match call.phase {
            Phase::Calling | Phase::Ringing => {
                call.repeat = Some(after(now, INVITE_EVERY_MS));
                self.say(None, Signal::Invite { video });
            }
            Phase::Accepted => self.say(device, Signal::Accept { video: own_video }),
            Phase::Connecting | Phase::Reconnecting if !call.outgoing => self.say(device, Signal::Restart),
            Phase::Connecting | Phase::Reconnecting => {
                // An attempt that led nowhere is followed by another one; an offer that was lost, or its answer, is repeated.
                let old = after(call.round_began, ATTEMPT_MS) <= now;
                if call.stale || old {
                    self.offer_again(now);
                } else if call.promised.is_none() {
                    self.say_description();
                }
            }
            Phase::Incoming | Phase::Connected => call.repeat = None,
        }
    }

    /// The caller begins a further attempt.
    pub(super) fn offer_again(&mut self, now: UnixMillis) {
        let Some(call) = self.call.as_mut() else { return };
        let waiting = call.local.is_none() && call.round_began.0.saturating_add(REPEAT_MS) > now.0;
        if waiting || call.round >= ROUNDS_MAX {
            return;
        }
        call.begin_round(call.round.saturating_add(1), now);
        call.repeat = Some(after(now, REPEAT_MS));
        let (id, round) = (call.id, call.round);
        self.acts.push(Act::Negotiate(id, Negotiation::Offer { round }));
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
