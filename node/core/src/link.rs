//! The connection: proving who we are, and requests with their answers and deadlines.
//!
//! Everything else is *level triggered*: rows and flags say what is wanted, `drive` asks for what is wanted
//! and not under way. So a lost answer needs no memory of its own: its deadline clears the flag, and the next
//! look asks again.

use crate::core::{Core, Ctx};
use crate::event::{Event, Failure, FailureCode};
use crate::settings::Settings;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::connection::{
    Authenticate, Challenge, ChannelBinding, Goodbye, Hello, Ping, Ready, authentication_bytes,
};
use sotto_protocol::body::conversation::{State, Welcome};
use sotto_protocol::body::push::{Behind, Delivered, Ephemeral, KeyPackagesLow, Presence, WelcomeWaiting};
use sotto_protocol::error::{Blame, ErrorCode, WireError};
use sotto_protocol::frame::{Body, Frame, FrameError, encode_into};
use sotto_protocol::hello::SPOKEN;
use sotto_protocol::ids::{AccountId, ConversationId, RequestId, Sequence, UnixMillis};
use std::collections::BTreeMap;

/// Where the connection stands.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    #[default]
    Offline,
    /// Our hello went out.
    Greeting(ChannelBinding),
    /// The relay's hello came.
    Greeted(ChannelBinding),
    /// We know the challenge, and wait for `Ready` or for a token.
    Proving {
        binding: ChannelBinding,
        nonce: [u8; 32],
    },
    Ready {
        binding: ChannelBinding,
        nonce: [u8; 32],
    },
}

/// What a request was for; its answer is handled with it.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Authenticate,
    Ping,
    Welcomes,
    Mine,
    Stock,
    Publish,
    /// With the cursors of then: a push may move one before the answer comes.
    Follow(BTreeMap<ConversationId, Sequence>),
    Fetch(ConversationId, Sequence),
    Append(ConversationId, u64),
    Commit(ConversationId),
    Create(ConversationId),
    /// Whose conversation with us is it that was created before ours?
    Taken(ConversationId),
    Group(ConversationId),
    WelcomeGroup(ConversationId),
    WelcomeState(ConversationId),
    WelcomeTaken(ConversationId),
    Claim(ConversationId, u64, AccountId),
    Leave(ConversationId),
    Refresh(ConversationId),
    Backfill(ConversationId),
    RepairCopy(ConversationId, u64),
    /// Which operation, and which of its questions.
    Operation(u64, usize),
}

pub(crate) struct Pending {
    ask: Ask,
    deadline: UnixMillis,
}

/// A Welcome that is being taken.
pub(crate) struct Arrival {
    pub(crate) welcome: Welcome,
    pub(crate) state: Option<State>,
    pub(crate) group: Option<sotto_protocol::body::conversation::Group>,
    pub(crate) asked_state: bool,
    pub(crate) asked_group: bool,
    pub(crate) asked_taken: bool,
    /// Joined, or can never be: only the relay has to be told.
    pub(crate) settled: bool,
}

/// The connection and what is under way on it.
#[derive(Default)]
pub(crate) struct Link {
    pub(crate) phase: Phase,
    last_id: u32,
    pending: BTreeMap<u32, Pending>,
    timeouts: u32,
    last_heard: UnixMillis,
    pinging: bool,
    pub(crate) want_welcomes: bool,
    pub(crate) asked_welcomes: bool,
    pub(crate) want_mine: bool,
    pub(crate) asked_mine: bool,
    pub(crate) want_stock: bool,
    pub(crate) asked_stock: bool,
    /// Publish whatever the stock is.
    pub(crate) want_publish: bool,
    pub(crate) publish_token: Option<crate::command::Token>,
    pub(crate) arrivals: BTreeMap<ConversationId, Arrival>,
    pub(crate) to_follow: BTreeMap<ConversationId, Sequence>,
    pub(crate) synchronised: bool,
    /// Nothing of the background is asked before this time: the relay asked for rest.
    pub(crate) hold: Option<UnixMillis>,
}

impl Link {
    pub(crate) const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    pub(crate) const fn is_offline(&self) -> bool {
        matches!(self.phase, Phase::Offline)
    }

    /// Sends a request and remembers what for.
    pub(crate) fn ask<B: Body>(&mut self, ctx: &mut Ctx<'_>, settings: &Settings, ask: Ask, body: &B) {
        // 0 is for pushes; an id that is still under way is skipped.
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.pending.contains_key(&self.last_id) {
                break;
            }
        }
        let deadline = UnixMillis(ctx.now.0.saturating_add(settings.request_timeout_ms));
        self.pending.insert(self.last_id, Pending { ask, deadline });
        encode_into(&mut ctx.frames, RequestId(self.last_id), body);
    }

    /// Sends what is not answered.
    pub(crate) fn tell<B: Body>(ctx: &mut Ctx<'_>, body: &B) {
        encode_into(&mut ctx.frames, RequestId::PUSH, body);
    }

    pub(crate) fn next_deadline(&self, settings: &Settings) -> Option<UnixMillis> {
        let requests = self.pending.values().map(|pending| pending.deadline).min();
        let alive =
            self.is_ready().then_some(UnixMillis(self.last_heard.0.saturating_add(settings.keep_alive_ms)));
        let alive = alive.filter(|_| !self.pinging);
        let hold = self.hold.filter(|_| self.is_ready());
        [requests, alive, hold].into_iter().flatten().min()
    }

    /// After the clock jumped back: no deadline is further away than it was meant to be.
    pub(crate) fn clamp(&mut self, now: UnixMillis, settings: &Settings) {
        let limit = UnixMillis(now.0.saturating_add(settings.request_timeout_ms));
        for pending in self.pending.values_mut() {
            pending.deadline = pending.deadline.min(limit);
        }
        self.last_heard = self.last_heard.min(now);
        self.hold = self.hold.map(|hold| hold.min(limit));
    }

    pub(crate) fn nothing_under_way(&self) -> bool {
        self.pending.values().all(|pending| matches!(pending.ask, Ask::Ping))
    }
}

impl Core {
    pub(crate) fn connected(&mut self, ctx: &mut Ctx<'_>, binding: ChannelBinding) {
        self.disconnected(ctx);
        self.link.phase = Phase::Greeting(binding);
        self.link.last_heard = ctx.now;
        let hello = Hello::new(self.settings.agent.clone());
        self.link.ask(ctx, &self.settings, Ask::Authenticate, &hello);
    }

    /// Forgets what belonged to the connection. Operations that somebody waits for fail.
    pub(crate) fn disconnected(&mut self, ctx: &mut Ctx<'_>) {
        self.link = Link::default();
        self.presence.clear();
        self.peers.network(None, ctx.now);
        for convo in self.convos.values_mut() {
            let damaged = convo.flight.damaged;
            convo.flight = crate::core::Flight { damaged, ..Default::default() };
            convo.wake = None;
        }
        let failure = Failure::new(FailureCode::Offline, "the connection to the relay was lost");
        for token in self.operations.take_tokens() {
            ctx.failed(Some(token), failure.clone());
        }
        for (_, token) in std::mem::take(&mut self.waiting.history) {
            ctx.failed(Some(token), failure.clone());
        }
        self.fail_wishes(ctx, None, &failure);
    }

    /// Signs and sends the proof, once there are a challenge and a token.
    pub(crate) fn prove(&mut self, ctx: &mut Ctx<'_>) {
        let (Phase::Proving { binding, nonce } | Phase::Ready { binding, nonce }) = self.link.phase else {
            return;
        };
        if self.token.is_empty() {
            let failure = Failure::new(FailureCode::Invalid, "there is no access token yet");
            ctx.event(Event::TokenRefused(failure));
            return;
        }
        let body = Authenticate {
            access_token: self.token.clone(),
            device: self.me.device(),
            signature: self.me.sign(&authentication_bytes(&nonce, &binding, self.me.device())),
            extensions: Default::default(),
        };
        self.link.ask(ctx, &self.settings, Ask::Authenticate, &body);
    }

    pub(crate) fn frame(&mut self, ctx: &mut Ctx<'_>, frame: &Frame) -> Result<(), StoreError> {
        if self.link.is_offline() {
            return Ok(());
        }
        self.link.last_heard = ctx.now;
        self.link.timeouts = 0;
        let handled =
            if self.link.is_ready() { self.ready_frame(ctx, frame) } else { self.opening_frame(ctx, frame) };
        match handled {
            Ok(()) => Ok(()),
            // A relay that breaks the protocol is left; what it said was not acted upon.
            Err(Trouble::Frame) => self.give_up(ctx),
            Err(Trouble::Store(error)) => Err(error),
        }
    }

    fn give_up(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        self.disconnected(ctx);
        ctx.disconnect = true;
        Ok(())
    }

    /// Before the proof was taken.
    fn opening_frame(&mut self, ctx: &mut Ctx<'_>, frame: &Frame) -> Result<(), Trouble> {
        match frame.header.kind {
            WireError::KIND => self.refused_opening(ctx, frame.decode()?)?,
            Hello::KIND => {
                let hello: Hello = frame.decode()?;
                if let Err(error) = SPOKEN.highest_in_common(hello.versions()) {
                    let code = FailureCode::Relay(ErrorCode::VersionTooOld);
                    ctx.event(Event::Refused(Failure::new(code, error.to_string())));
                    self.give_up(ctx)?;
                } else if let Phase::Greeting(binding) = self.link.phase {
                    self.link.phase = Phase::Greeted(binding);
                }
            }
            Challenge::KIND => {
                let challenge: Challenge = frame.decode()?;
                if let Phase::Greeted(binding) = self.link.phase {
                    self.link.pending.clear();
                    self.link.phase = Phase::Proving { binding, nonce: challenge.nonce };
                    self.prove(ctx);
                }
            }
            Ready::KIND => self.proved(ctx, &frame.decode()?)?,
            Goodbye::KIND => goodbye(ctx, frame.decode()?),
            _ => {}
        }
        Ok(())
    }

    fn refused_opening(&mut self, ctx: &mut Ctx<'_>, error: WireError) -> Result<(), StoreError> {
        self.link.pending.clear();
        match error.code() {
            Some(ErrorCode::TokenRefused) => {
                self.token.clear();
                ctx.event(Event::TokenRefused(error.into()));
            }
            Some(code) if code.blame() == Blame::Relay => self.give_up(ctx)?,
            _ => {
                ctx.event(Event::Refused(error.into()));
                self.give_up(ctx)?;
            }
        }
        Ok(())
    }

    fn proved(&mut self, ctx: &mut Ctx<'_>, ready: &Ready) -> Result<(), StoreError> {
        let Phase::Proving { binding, nonce } = self.link.phase else { return Ok(()) };
        self.link.pending.clear();
        if ready.account != self.me.account() {
            let text = "the access token is of another account than this device";
            ctx.event(Event::Refused(Failure::new(FailureCode::Identity, text)));
            return self.give_up(ctx);
        }
        self.link.phase = Phase::Ready { binding, nonce };
        self.link.want_welcomes = true;
        self.link.want_mine = true;
        self.link.want_stock = true;
        self.announce(ctx);
        let clock_offset_ms = ready.time.0.cast_signed().wrapping_sub(ctx.now.0.cast_signed());
        ctx.event(Event::Ready { clock_offset_ms, observed_address: ready.observed_address.clone() });
        self.dirty.extend(self.convos.keys().copied());
        Ok(())
    }

    /// On a connection that is ready: answers and pushes. Unknown kinds are skipped, as the protocol asks.
    fn ready_frame(&mut self, ctx: &mut Ctx<'_>, frame: &Frame) -> Result<(), Trouble> {
        let id = frame.header.id;
        if id != RequestId::PUSH {
            // An answer that comes after its deadline is not needed any more: it was asked for again.
            let Some(pending) = self.link.pending.remove(&id.0) else { return Ok(()) };
            return self.answer(ctx, pending.ask, frame);
        }
        match frame.header.kind {
            Delivered::KIND => self.delivered(ctx, &frame.decode()?)?,
            Behind::KIND => self.behind(&frame.decode()?),
            WelcomeWaiting::KIND => self.link.want_welcomes = true,
            Ephemeral::KIND => self.ephemeral(ctx, &frame.decode()?)?,
            KeyPackagesLow::KIND => self.link.want_stock = true,
            Presence::KIND => self.told_presence(ctx, frame.decode()?),
            Goodbye::KIND => goodbye(ctx, frame.decode()?),
            WireError::KIND => self.told_off(ctx, frame.decode()?),
            _ => {}
        }
        Ok(())
    }

    /// An error that answers no request: the session ended on the relay's side.
    fn told_off(&mut self, ctx: &mut Ctx<'_>, error: WireError) {
        match error.code() {
            Some(ErrorCode::TokenRefused) => self.proved_again(ctx, Some(error)),
            Some(ErrorCode::DeviceRefused | ErrorCode::VersionTooOld) => {
                ctx.event(Event::Refused(error.into()));
            }
            _ => {}
        }
    }

    /// An answer to the re-authentication of a ready connection.
    pub(crate) fn proved_again(&mut self, ctx: &mut Ctx<'_>, error: Option<WireError>) {
        if let Some(error) = error {
            self.token.clear();
            ctx.event(Event::TokenRefused(error.into()));
        }
    }

    /// The relay is alive.
    pub(crate) fn ponged(&mut self) {
        self.link.pinging = false;
    }

    /// Deadlines of requests, and the sign of life.
    pub(crate) fn link_timeout(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        let due: Vec<u32> = self
            .link
            .pending
            .iter()
            .filter(|(_, pending)| pending.deadline <= ctx.now)
            .map(|(id, _)| *id)
            .collect();
        if !due.is_empty() {
            self.link.timeouts = self.link.timeouts.saturating_add(1);
            if !self.link.is_ready() || self.link.timeouts >= self.settings.timeouts_max {
                return self.give_up(ctx);
            }
            for id in due {
                if let Some(pending) = self.link.pending.remove(&id) {
                    self.timed_out(ctx, pending.ask);
                }
            }
        }
        let quiet = ctx.now.0.saturating_sub(self.link.last_heard.0) >= self.settings.keep_alive_ms;
        if self.link.is_ready() && quiet && !self.link.pinging {
            self.link.pinging = true;
            self.link.ask(ctx, &self.settings, Ask::Ping, &Ping::default());
        }
        if self.link.hold.is_some_and(|hold| hold <= ctx.now) {
            self.link.hold = None;
        }
        Ok(())
    }
}

fn goodbye(ctx: &mut Ctx<'_>, goodbye: Goodbye) {
    let Goodbye { reason, reconnect_after_ms, .. } = goodbye;
    ctx.event(Event::Goodbye { reason, reconnect_after_ms });
}

/// Why a frame could not be handled.
pub(crate) enum Trouble {
    /// The relay breaks the protocol.
    Frame,
    Store(StoreError),
}

impl From<FrameError> for Trouble {
    fn from(_: FrameError) -> Self {
        Self::Frame
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
