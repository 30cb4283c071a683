//! The engine: one client, its account's business over HTTP and its connection, driven by promises.
//!
//! ```text
//!   calls (interface) --+                     +--> frames to the link
//!   bytes (link) -------+--> Client --> out --+--> events, answers, state
//!   wake (time), HTTP --+      \--> store     +--> jobs: refresh, register device, put vault
//! ```
//!
//! Everything runs on one thread. An input locks `Inner`, changes it, takes every output and unlocks it; whatever waits (a
//! request, a connection that is being made, the next bytes) is a future of its own that comes back as an input.

pub mod host;

mod calls;
mod connection;
mod jobs;
mod requests;
mod shapes;

pub use calls::CallError;
pub use requests::RequestId;

use crate::store::OpenError;
use bytes::BytesMut;
use host::{BrowserStore, FetchError, Host, Link as _, Shared, Waiting};
use jobs::Jobs;
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};
use sotto_node_core::account::session::Session;
use sotto_node_core::account::setup::{self, Start};
use sotto_node_core::account::{Malformed, alarms};
use sotto_node_core::backoff::Backoff;
use sotto_node_core::client::Client;
use sotto_node_core::command::{Command, Token};
use sotto_node_core::event::{Event, Failure, FailureCode, Outcome, Output};
use sotto_node_core::settings::Settings;
use sotto_protocol::ids::{ConversationId, MessageNumber, UnixMillis};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The longest that a timer is set for; then the engine looks again.
const LATER_MS: u64 = 60_000;

/// A handle to the engine of one browser. Clones are the same engine.
pub struct Engine<H: Host>(Rc<Machine<H>>);

impl<H: Host> Clone for Engine<H> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Machine<H: Host> {
    host: Shared<H>,
    inner: RefCell<Inner<H>>,
}

/// An account on this browser.
struct Here {
    client: Client<BrowserStore>,
    session: Session,
}

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Status {
    word: &'static str,
    text: Option<String>,
    carrier: Option<&'static str>,
}

impl Status {
    const fn word(word: &'static str) -> Self {
        Self { word, text: None, carrier: None }
    }

    fn said(word: &'static str, text: impl Into<String>) -> Self {
        Self { word, text: Some(text.into()), carrier: None }
    }
}

/// What a command's first answer was.
enum Got {
    Queued(MessageNumber),
    Done(Outcome),
}

struct Ticket {
    /// Enough is when it is safe here.
    until_queued: bool,
    tell: Waiting<Result<Got, Failure>>,
}

struct Inner<H: Host> {
    rng: ChaCha20Rng,
    here: Option<Here>,
    status: Status,
    role: Option<String>,
    clock_offset_ms: i64,
    /// The connection that stands, and which one it is: what comes from an older one is not listened to.
    link: Option<Rc<H::Link>>,
    generation: u64,
    received: BytesMut,
    dialling: bool,
    dial_at: Option<UnixMillis>,
    backoff: Backoff,
    jobs: Jobs,
    tickets: HashMap<Token, Ticket>,
    next_token: u64,
    waiting_for_access: Vec<Waiting<Result<String, FetchError>>>,
    /// Conversations of which the interface hears when this input is done.
    touched: BTreeSet<ConversationId>,
    state_changed: bool,
    /// The store failed: open it anew before anything else.
    reopen: bool,
    /// Somebody is signing in, on a store of that attempt's own.
    setting_up: bool,
}

impl<H: Host> Engine<H> {
    /// Goes on with what the browser has stored, or waits for somebody to sign in.
    ///
    /// # Errors
    /// If the store does not open.
    pub fn start(host: H, rng: ChaCha20Rng) -> Result<Self, OpenError> {
        let engine = Self(Rc::new(Machine {
            host: Rc::new(host),
            inner: RefCell::new(Inner {
                rng,
                here: None,
                status: Status::word("offline"),
                role: None,
                clock_offset_ms: 0,
                link: None,
                generation: 0,
                received: BytesMut::new(),
                dialling: false,
                dial_at: None,
                backoff: Backoff::default(),
                jobs: Jobs::default(),
                tickets: HashMap::new(),
                next_token: 0,
                waiting_for_access: Vec::new(),
                touched: BTreeSet::new(),
                state_changed: true,
                reopen: false,
                setting_up: false,
            }),
        }));
        engine.resume()?;
        engine.settle();
        Ok(engine)
    }

    /// The time that was asked for has come.
    pub fn wake(&self) {
        self.input(|inner, now| inner.timeout(now));
    }

    /// The browser is back on a network, or awake again: tries at once what would be tried later.
    pub fn hurry(&self) {
        self.input(|inner, now| {
            if inner.dial_at.is_some() {
                inner.dial_at = Some(now);
                inner.backoff.reset();
            }
            inner.timeout(now);
        });
    }

    /// Ends it: what was sent is sent, the store is closed.
    pub fn close(&self) {
        let mut inner = self.0.inner.borrow_mut();
        inner.give_up(Status::said("ended", "this tab has ended its work"));
        inner.here = None;
    }

    fn host(&self) -> &Shared<H> {
        &self.0.host
    }

    /// One input: changes what is here, then hands out everything that came of it.
    fn input<T>(&self, work: impl FnOnce(&mut Inner<H>, UnixMillis) -> T) -> T {
        let now = self.host().now();
        let result = work(&mut self.0.inner.borrow_mut(), now);
        self.settle();
        result
    }

    /// Takes the outputs, starts what is due, tells the interface.
    fn settle(&self) {
        let now = self.host().now();
        let mut events = Vec::new();
        let reopen = {
            let inner = &mut *self.0.inner.borrow_mut();
            inner.drain(now, &mut events);
            std::mem::take(&mut inner.reopen)
        };
        if reopen {
            self.reopen();
        }
        self.start_jobs(now);
        self.start_dialling(now);
        {
            let inner = &mut *self.0.inner.borrow_mut();
            for conversation in std::mem::take(&mut inner.touched) {
                events.extend(inner.conversation(conversation));
            }
            if std::mem::take(&mut inner.state_changed) {
                events.push(json!({ "type": "state", "state": inner.state(self.host().keeps()) }));
            }
            let wait = inner.next_moment().map_or(LATER_MS, |at| at.0.saturating_sub(now.0).min(LATER_MS));
            self.host().wake_in(wait);
        }
        for event in events {
            self.host().emit(event);
        }
    }

    /// Opens the store; with a client in it, that is here from now on.
    fn resume(&self) -> Result<(), OpenError> {
        let store = self.host().open_store()?;
        let now = self.host().now();
        match Session::load(&store) {
            Ok(None) => return Ok(()),
            Ok(Some(_)) => {}
            Err(error) => return Err(OpenError::Damaged(error.to_string())),
        }
        match setup::resume::<_, FetchError>(store, settings(), now) {
            Ok(start) => self.0.inner.borrow_mut().begin(start, now),
            // Registering was interrupted before there was a client; it begins again.
            Err(setup::SetupError::Client(sotto_node_core::client::OpenError::Empty)) => {}
            Err(error) => return Err(OpenError::Damaged(error.to_string())),
        }
        Ok(())
    }

    /// After a failure nothing in memory counts, and a tree of pages that failed once takes nothing more.
    fn reopen(&self) {
        self.0.inner.borrow_mut().leave();
        if let Err(error) = self.resume() {
            self.0.inner.borrow_mut().set_status(Status::said("ended", error.to_string()));
        }
    }
}

/// How the client behaves in a browser.
fn settings() -> Settings {
    Settings { agent: concat!("sotto-web/", env!("CARGO_PKG_VERSION")).to_owned(), ..Settings::default() }
}

impl<H: Host> Inner<H> {
    /// There is an account here from now on.
    fn begin(&mut self, start: Start<BrowserStore>, now: UnixMillis) {
        let Start { client, session } = start;
        let (signed_in, registered) = (session.is_signed_in(), session.device_registered);
        let (access, vault) = (session.access(now).map(str::to_owned), session.vault_version);
        self.here = Some(Here { client, session });
        self.state_changed = true;
        if !signed_in {
            self.set_status(Status::said(
                "signed_out",
                "the session of this browser has ended; sign in again",
            ));
            return;
        }
        self.set_status(Status::word("connecting"));
        self.dial_at = Some(now);
        match access {
            Some(access) => self.use_access(access, now),
            None => self.jobs.queue(jobs::Job::Refresh),
        }
        if !registered {
            self.jobs.queue(jobs::Job::RegisterDevice);
        }
        if vault == 0 {
            self.own_command(Command::SealVault, now);
        }
    }

    /// Forgets the account that is here, as far as memory goes.
    fn leave(&mut self) {
        self.give_up(Status::word("offline"));
        self.here = None;
        self.role = None;
        self.state_changed = true;
        let failure = Failure::new(FailureCode::Store, "the local store failed");
        for ticket in std::mem::take(&mut self.tickets).into_values() {
            let _nobody_waits = ticket.tell.send(Err(failure.clone()));
        }
    }

    fn timeout(&mut self, now: UnixMillis) {
        let Self { here, rng, .. } = self;
        if let Some(Here { client, .. }) = here
            && client.poll_timeout().is_some_and(|at| at <= now)
        {
            client.handle_timeout(now, rng);
        }
    }

    /// When something is due by itself.
    fn next_moment(&self) -> Option<UnixMillis> {
        let here = self.here.as_ref()?;
        let renew = here.session.renew_at().filter(|_| self.dial_at.is_some() && !self.jobs.is_running());
        let dial = self.dial_at.filter(|_| self.link.is_none() && !self.dialling && self.may_dial(here));
        [renew, here.client.poll_timeout(), dial, self.jobs.due()].into_iter().flatten().min()
    }

    fn drain(&mut self, now: UnixMillis, events: &mut Vec<Value>) {
        loop {
            let Some(output) = self.here.as_mut().and_then(|here| here.client.poll_output()) else { return };
            match output {
                Output::Send(frames) => {
                    if let Some(link) = &self.link {
                        link.send(&frames);
                    }
                }
                Output::Disconnect => self.disconnect("the client gave the connection up", now),
                Output::Event(event) => self.on_event(&event, now, events),
                _ => {}
            }
        }
    }

    fn on_event(&mut self, event: &Event, now: UnixMillis, events: &mut Vec<Value>) {
        self.touched.extend(shapes::touches(event));
        events.extend(shapes::event(event));
        match event {
            Event::Done { token, outcome } => {
                if let Outcome::Sent { conversation, .. } = outcome {
                    events.push(json!({ "type": "outbox", "conversation": conversation }));
                }
                self.tell(*token, Ok(Got::Done(outcome.clone())));
            }
            Event::Failed { token, failure } => self.tell(*token, Err(failure.clone())),
            Event::Queued { token, conversation, number, .. } => {
                events.push(json!({ "type": "outbox", "conversation": conversation }));
                if self.tickets.get(token).is_some_and(|ticket| ticket.until_queued) {
                    self.tell(*token, Ok(Got::Queued(*number)));
                }
            }
            Event::Ready { clock_offset_ms, .. } => {
                self.backoff.reset();
                self.clock_offset_ms = *clock_offset_ms;
                self.connection_is("ready");
                self.jobs.queue(jobs::Job::Me);
            }
            Event::Synchronised => self.connection_is("synchronised"),
            Event::TokenRefused(_) => {
                if let Some(here) = &mut self.here {
                    here.session.access_was_refused();
                }
                self.jobs.queue(jobs::Job::Refresh);
            }
            Event::Refused(failure) => self.give_up(Status::said("refused", failure.text.clone())),
            Event::Goodbye { reconnect_after_ms, .. } if self.dial_at.is_some() => {
                self.dial_at = Some(UnixMillis(now.0.saturating_add(u64::from(*reconnect_after_ms))));
            }
            Event::VaultChanged(sealed) => self.jobs.put_vault(sealed.clone()),
            Event::IdentityChanged { account, was_verified: true, .. } => {
                // A store that fails says so by itself with the next input.
                if let Some(here) = &mut self.here {
                    let _failed = alarms::raise(here.client.store_mut(), *account);
                }
            }
            Event::StoreFailed(_) => self.reopen = true,
            _ => {}
        }
    }

    fn tell(&mut self, token: Token, got: Result<Got, Failure>) {
        if let Some(ticket) = self.tickets.remove(&token) {
            let _nobody_waits = ticket.tell.send(got);
        }
    }

    fn set_status(&mut self, status: Status) {
        if self.status != status {
            self.status = status;
            self.state_changed = true;
        }
    }

    fn token(&mut self) -> Token {
        self.next_token = self.next_token.saturating_add(1);
        Token(self.next_token)
    }

    /// A command of the engine's own, that nobody waits for.
    fn own_command(&mut self, command: Command, now: UnixMillis) {
        let token = self.token();
        let Self { here, rng, .. } = self;
        if let Some(here) = here {
            here.client.handle_command(token, command, now, rng);
        }
    }

    fn use_access(&mut self, access: String, now: UnixMillis) {
        self.own_command(Command::SetAccessToken(access), now);
    }

    /// Trying again does not help: a person has to do something.
    fn give_up(&mut self, status: Status) {
        self.dial_at = None;
        self.jobs.clear();
        for waiting in self.waiting_for_access.drain(..) {
            let ended = Malformed(status.text.clone().unwrap_or_else(|| status.word.to_owned()));
            let _nobody_waits = waiting.send(Err(ended.into()));
        }
        self.set_status(status);
        self.hang_up();
    }
}
