//! The one visible loop: it owns the client, and everything that happens to a client happens here, in order.
//!
//! ```text
//!   requests (handle) --+                        +--> writer task --> link
//!   frames (reader) ----+--> Client --> outputs -+--> events, tickets, status
//!   time, dialler, jobs-+        \--> store      +--> jobs: refresh, register device, put vault
//! ```
//!
//! Reading, writing, dialling and HTTP have tasks of their own, so that none of them stops another; they meet
//! in the `select!` below and nowhere else.

mod io;
mod jobs;

use super::{Progress, Request, Session, Start, Status, WeakNode, wall_clock as now};
use crate::http::{AccountApi, HttpError};
use crate::peers::{Hub, is_there};
use crate::tls::Trust;
use crate::transport::{Backoff, Carrier, DialError, Dialled, Link, LinkError, Target, dial};
use bytes::Bytes;
use io::{Reading, WRITE_BEHIND, Writing, finished, read, reserve};
use jobs::{Job, JobDone};
use sotto_e2ee::store::{Store, StoreError};
use sotto_node_core::account::{alarms, shared};
use sotto_node_core::client::Client;
use sotto_node_core::command::{Command, Token};
use sotto_node_core::event::{Event, Output};
use sotto_node_core::peers::{Asked, PeerCommand, PeerEvent, Reach};
use sotto_protocol::blob::BlobPlace;
use sotto_protocol::frame::Frame;
use sotto_protocol::invite::RelayAddress;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// How long the writer may take to finish at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the job that runs may take to finish at the end.
const LAST_JOB: Duration = Duration::from_secs(5);

/// Commands or frames that go into one commit of the store, at most: what one input may hold up the others by, about
/// 0.1 ms of cryptography each.
const TOGETHER_MAX: usize = 64;

/// When nothing is due.
const LATER: Duration = Duration::from_secs(3600);

pub(super) struct Runner<S: Store> {
    client: Client<S>,
    session: Session,
    /// For what this loop sets going and does not wait for.
    node: WeakNode<S>,
    hub: Hub,
    api: AccountApi,
    relay: RelayAddress,
    trust: Trust,
    requests: mpsc::Receiver<Request<S>>,
    events: broadcast::Sender<Event>,
    status: watch::Sender<Status>,
    /// Who waits for which command.
    tickets: HashMap<Token, mpsc::UnboundedSender<Progress>>,
    next_token: u64,
    /// Who waits for an access token.
    waiting_for_access: Vec<oneshot::Sender<Result<String, HttpError>>>,
    /// The connection that stands, in three parts: the loop waits for both directions at once.
    carrier: Option<Carrier>,
    writing: Option<Writing>,
    reading: Option<Reading>,
    /// What the writer has not taken yet.
    outgoing: VecDeque<Bytes>,
    dialling: Option<JoinHandle<Result<Dialled, DialError>>>,
    dial_at: Option<Instant>,
    backoff: Backoff,
    job: Option<JoinHandle<JobDone>>,
    /// The job that runs is a refresh.
    refreshing: bool,
    jobs: VecDeque<Job>,
    job_at: Option<Instant>,
    job_backoff: Backoff,
    store_failures: u32,
}

enum Turn {
    GoOn,
    Stop(oneshot::Sender<()>),
}

impl<S: Store + Send + 'static> Runner<S> {
    pub(super) fn new(
        start: Start<S>,
        node: WeakNode<S>,
        relay: RelayAddress,
        trust: Trust,
        requests: mpsc::Receiver<Request<S>>,
        status: watch::Sender<Status>,
    ) -> Self {
        Self {
            client: start.client,
            session: start.session,
            hub: node.hub.clone(),
            api: node.api.clone(),
            events: node.events.clone(),
            node,
            relay,
            trust,
            requests,
            status,
            tickets: HashMap::new(),
            next_token: 0,
            waiting_for_access: Vec::new(),
            carrier: None,
            writing: None,
            reading: None,
            outgoing: VecDeque::new(),
            dialling: None,
            dial_at: start.online.then(Instant::now),
            backoff: Backoff::default(),
            job: None,
            refreshing: false,
            jobs: VecDeque::new(),
            job_at: None,
            job_backoff: Backoff::default(),
            store_failures: 0,
        }
    }

    pub(super) async fn run(mut self) {
        self.begin();
        loop {
            self.drain();
            self.start_what_is_due();
            let deadline = self.deadline();
            let room = self.outgoing.len() < WRITE_BEHIND;
            let turn = tokio::select! {
                // What was decided goes out before more is decided.
                Some(permit) = reserve(&self.writing), if !self.outgoing.is_empty() => {
                    if let Some(frames) = self.outgoing.pop_front() {
                        permit.send(frames);
                    }
                    Turn::GoOn
                }
                Some(read) = read(&mut self.reading) => self.on_read(read),
                result = finished(&mut self.dialling) => {
                    self.dialling = None;
                    self.on_dialled(result)
                }
                Some(done) = finished(&mut self.job) => {
                    self.job = None;
                    self.on_job(done)
                }
                request = self.requests.recv(), if room => match request {
                    Some(request) => self.on_request(request),
                    // Every handle is gone.
                    None => break self.end(None).await,
                },
                () = sleep_until(deadline) => {
                    self.client.handle_timeout(now(), &mut rand::rng());
                    Turn::GoOn
                }
            };
            if let Turn::Stop(tell) = turn {
                self.drain();
                break self.end(Some(tell)).await;
            }
        }
    }

    /// What is due before the first turn.
    fn begin(&mut self) {
        if self.dial_at.is_none() {
            return;
        }
        if !self.session.is_signed_in() {
            self.give_up(Status::SignedOut("this device is signed out; run `sotto login`".to_owned()));
            return;
        }
        match self.session.access(now()).map(str::to_owned) {
            Some(access) => self.use_access(access),
            None => self.queue(Job::Refresh),
        }
        if !self.session.device_registered {
            self.queue(Job::RegisterDevice);
        }
        if self.session.vault_version == 0 {
            self.own_command(Command::SealVault);
        }
    }

    /// Starts the next job and the next attempt to connect, if their time has come.
    fn start_what_is_due(&mut self) {
        let time = Instant::now();
        if self.dial_at.is_some() && self.session.renew_at().is_some_and(|at| at <= now()) {
            self.queue(Job::Refresh);
        }
        let may_start = self.job.is_none() && self.job_at.is_none_or(|at| at <= time);
        if let Some(job) = self.jobs.pop_front_if(|_| may_start) {
            self.job_at = None;
            self.refreshing = job == Job::Refresh;
            self.job = Some(self.start_job(job));
        }
        // Without a token the relay does not listen; without a registered device it does not know us.
        let allowed = self.session.access(now()).is_some() && self.session.device_registered;
        let free = self.carrier.is_none() && self.dialling.is_none();
        if allowed && free && self.dial_at.is_some_and(|at| at <= time) {
            let target = Target {
                relay: self.relay.clone(),
                trust: self.trust.clone(),
                udp_doubtful: self.session.udp_doubtful,
            };
            self.dialling = Some(tokio::spawn(async move { dial(&target).await }));
        }
    }

    /// The next moment at which something is due by itself.
    fn deadline(&self) -> Instant {
        let time = Instant::now();
        let wall = now();
        let in_ms =
            |at: sotto_protocol::ids::UnixMillis| time + Duration::from_millis(at.0.saturating_sub(wall.0));
        let renew =
            self.session.renew_at().filter(|_| self.dial_at.is_some() && self.job.is_none()).map(in_ms);
        let client = self.client.poll_timeout().map(in_ms);
        let waiting_to_dial = self.carrier.is_none() && self.dialling.is_none();
        let dial = self.dial_at.filter(|at| waiting_to_dial && *at > time);
        let job = self.job_at.filter(|_| !self.jobs.is_empty());
        [renew, client, dial, job].into_iter().flatten().min().unwrap_or(time + LATER).min(time + LATER)
    }

    /// Takes every output of the last input.
    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Send(frames) if self.carrier.is_some() => self.outgoing.push_back(frames),
                Output::Send(_) => {}
                Output::Disconnect => self.disconnect("the client gave the connection up"),
                Output::Event(event) => self.on_event(event),
                // A newer core may say more than this shell knows what to do with.
                other => tracing::debug!(?other, "an output of an unknown kind"),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match &event {
            Event::Done { token, outcome } => self.tell(*token, Progress::Done(outcome.clone()), true),
            Event::Failed { token, failure } => self.tell(*token, Progress::Failed(failure.clone()), true),
            Event::Queued { token, conversation, number, .. } => {
                let progress = Progress::Queued { conversation: *conversation, number: *number };
                self.tell(*token, progress, false);
            }
            Event::Ready { observed_address, .. } => {
                let reach = match self.hub.way(observed_address) {
                    Some(way) => Some(Reach::Both(way)),
                    None => (self.carrier == Some(Carrier::WebSocket)).then_some(Reach::Routed),
                };
                if reach.is_some() {
                    self.own_command(Command::Peer(PeerCommand::Network(reach)));
                }
                self.backoff.reset();
                self.store_failures = 0;
                if self.session.link_is_new {
                    self.session.link_is_new = false;
                    if let Err(error) = self.save() {
                        tracing::warn!(%error, "the relay's new link is not kept");
                    }
                }
                if let Some(carrier) = self.carrier {
                    self.status.send_replace(Status::Ready(carrier));
                }
            }
            Event::Synchronised => {
                if let Some(carrier) = self.carrier {
                    self.status.send_replace(Status::Synchronised(carrier));
                }
            }
            Event::TokenRefused(failure) => {
                tracing::debug!(%failure, "the relay wants a fresh access token");
                self.session.access_was_refused();
                self.queue(Job::Refresh);
            }
            Event::Refused(failure) => {
                let failure = failure.clone();
                self.give_up(Status::Refused(failure));
            }
            Event::Goodbye { reason, reconnect_after_ms } => {
                tracing::debug!(reason, reconnect_after_ms, "the relay says goodbye");
                let wait = Duration::from_millis(u64::from(*reconnect_after_ms));
                if self.dial_at.is_some() {
                    self.dial_at = Some(Instant::now() + wait);
                }
            }
            Event::Peer(PeerEvent::Asked(asked)) => self.asked_for_file(*asked),
            Event::Peer(PeerEvent::Meet(meeting)) => self.hub.meet((**meeting).clone()),
            Event::Peer(PeerEvent::Channel(news)) => self.hub.negotiate(&self.node, (**news).clone()),
            Event::VaultChanged(sealed) => {
                // Only the newest counts.
                self.jobs.retain(|job| !matches!(job, Job::PutVault(_)));
                self.jobs.push_back(Job::PutVault(sealed.clone()));
            }
            Event::IdentityChanged { account, was_verified: true, .. } => {
                if let Err(error) = alarms::raise(self.client.store_mut(), *account) {
                    tracing::error!(%error, "a changed identity could not be noted");
                }
            }
            Event::StoreFailed(what) => {
                tracing::error!(what, "the local store failed");
                self.store_failures = self.store_failures.saturating_add(1);
                let what = what.clone();
                if self.store_failures > 1 {
                    self.give_up(Status::Ended(what));
                } else {
                    self.disconnect("the local store failed");
                }
            }
            _ => {}
        }
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn tell(&mut self, token: Token, progress: Progress, last: bool) {
        let told = if last { self.tickets.remove(&token) } else { self.tickets.get(&token).cloned() };
        if let Some(told) = told {
            // Who submitted it may have stopped waiting.
            let _ = told.send(progress);
        }
    }

    fn on_request(&mut self, request: Request<S>) -> Turn {
        match request {
            Request::Submit(command, tell) => return self.on_commands(command, tell),
            Request::Ask(question) => question(&mut self.client),
            Request::AccessToken(tell) => match self.session.access(now()) {
                Some(access) => drop(tell.send(Ok(access.to_owned()))),
                None => {
                    self.waiting_for_access.push(tell);
                    self.queue(Job::Refresh);
                }
            },
            Request::Idle(tell) => {
                let business = self.job.is_some() || !self.jobs.is_empty();
                let _ = tell.send(self.client.is_ready() && self.client.is_idle() && !business);
            }
            Request::SignOut(tell) => self.sign_out(tell),
            Request::Stop(tell) => return Turn::Stop(tell),
        }
        Turn::GoOn
    }

    /// A command, and with it those that wait behind it already: one commit costs as much as many do.
    fn on_commands(&mut self, command: Command, tell: mpsc::UnboundedSender<Progress>) -> Turn {
        let mut commands = vec![self.accept(command, tell)];
        let mut other = None;
        while commands.len() < TOGETHER_MAX && other.is_none() {
            match self.requests.try_recv() {
                Ok(Request::Submit(command, tell)) => commands.push(self.accept(command, tell)),
                Ok(request) => other = Some(request),
                // If every handle is gone, the loop sees it next.
                Err(_) => break,
            }
        }
        self.client.handle_commands(commands, now(), &mut rand::rng());
        match other {
            Some(request) => {
                self.drain();
                self.on_request(request)
            }
            None => Turn::GoOn,
        }
    }

    fn accept(&mut self, command: Command, tell: mpsc::UnboundedSender<Progress>) -> (Token, Command) {
        let token = self.token();
        self.tickets.insert(token, tell);
        (token, command)
    }

    fn on_read(&mut self, read: Result<Vec<Frame>, LinkError>) -> Turn {
        match read {
            Ok(frames) => {
                let mut frames = frames.into_iter().peekable();
                while self.carrier.is_some() && frames.peek().is_some() {
                    let together = frames.by_ref().take(TOGETHER_MAX);
                    self.client.handle_frames(together, now(), &mut rand::rng());
                    self.drain();
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the connection ended");
                self.disconnect(&error.to_string());
            }
        }
        Turn::GoOn
    }

    fn on_dialled(&mut self, result: Option<Result<Dialled, DialError>>) -> Turn {
        match result {
            Some(Ok(dialled)) => {
                if self.session.udp_doubtful != dialled.udp_doubtful {
                    self.session.udp_doubtful = dialled.udp_doubtful;
                    if let Err(error) = self.save() {
                        tracing::warn!(%error, "what was learned about the network is not kept");
                    }
                }
                let Link { sender, receiver, binding, carrier, socket } = dialled.link;
                tracing::debug!(%carrier, "connected");
                self.carrier = Some(carrier);
                self.hub.attach(socket);
                self.writing = Some(Writing::start(sender));
                self.reading = Some(Reading::start(receiver));
                self.client.handle_connected(binding, now(), &mut rand::rng());
            }
            Some(Err(DialError::WrongFingerprint(wrong))) => self.give_up(Status::WrongFingerprint(wrong)),
            Some(Err(error)) => self.try_later(Status::Unreachable(error.to_string())),
            None => self.try_later(Status::Unreachable("dialling was interrupted".to_owned())),
        }
        Turn::GoOn
    }

    fn disconnect(&mut self, why: &str) {
        if self.carrier.take().is_some() {
            if let Some(writing) = self.writing.take() {
                writing.task.abort();
            }
            if let Some(reading) = self.reading.take() {
                reading.task.abort();
            }
            self.outgoing.clear();
            self.client.handle_disconnected(now(), &mut rand::rng());
            // A goodbye has said when to come back already.
            let said = self.dial_at.is_some_and(|at| at > Instant::now());
            // A fresh token is on its way, and the connection that wanted it was closed: not an outage.
            let refreshing = self.refreshing || self.jobs.contains(&Job::Refresh);
            if refreshing && !self.status.borrow().is_final() {
                self.status.send_replace(Status::Connecting);
            } else if !self.status.borrow().is_final() {
                if said {
                    self.status.send_replace(Status::Unreachable(why.to_owned()));
                } else {
                    self.try_later(Status::Unreachable(why.to_owned()));
                }
            }
        }
    }

    fn try_later(&mut self, status: Status) {
        if self.dial_at.is_some() {
            self.dial_at = Some(Instant::now() + self.backoff.next_wait(&mut rand::rng()));
            self.status.send_replace(status);
        }
    }

    /// Trying again does not help: a person has to do something.
    fn give_up(&mut self, status: Status) {
        self.dial_at = None;
        self.jobs.clear();
        if let Some(dialling) = self.dialling.take() {
            dialling.abort();
        }
        self.status.send_replace(status);
        self.disconnect("given up");
    }

    /// A member asks for a file that was kept here: it is offered if it lies there still.
    fn asked_for_file(&mut self, asked: Asked) {
        let Asked { conversation, root, .. } = asked;
        if !asked.channel && self.hub.arriving(BlobPlace { conversation, root }).is_some() {
            return self.own_command(Command::Peer(PeerCommand::Offer(asked)));
        }
        let found = shared::find(self.client.store(), conversation, root);
        let (Ok(Some((file, _))), node) = (found, self.node.clone()) else { return };
        tokio::spawn(async move {
            let is_there = tokio::task::spawn_blocking(move || is_there(&file)).await.unwrap_or(false);
            if !is_there {
                return;
            }
            if asked.channel {
                node.hub.offer_channel(node.clone(), asked);
            } else if let Some(node) = node.upgrade() {
                drop(node.submit(Command::Peer(PeerCommand::Offer(asked))).await);
            }
        });
    }

    fn token(&mut self) -> Token {
        self.next_token = self.next_token.saturating_add(1);
        Token(self.next_token)
    }

    /// A command of this loop's own, that nobody waits for.
    fn own_command(&mut self, command: Command) {
        let token = self.token();
        self.client.handle_command(token, command, now(), &mut rand::rng());
    }

    fn use_access(&mut self, access: String) {
        self.own_command(Command::SetAccessToken(access));
    }

    fn save(&mut self) -> Result<(), StoreError> {
        if self.session.link_is_new {
            // Tokens must be kept in any case, a link that nobody answered under must not.
            let kept = Session::load(self.client.store()).ok().flatten();
            return match kept.and_then(|kept| kept.link().ok()) {
                Some(known) => {
                    let mut session = self.session.clone();
                    session.set_link(&known);
                    session.save(self.client.store_mut())
                }
                None => self.session.save(self.client.store_mut()),
            };
        }
        self.session.save(self.client.store_mut())
    }

    async fn end(mut self, tell: Option<oneshot::Sender<()>>) {
        self.hub.close();
        if let Some(dialling) = self.dialling.take() {
            dialling.abort();
        }
        if let Some(writing) = self.writing.take() {
            for frames in self.outgoing.drain(..) {
                if writing.frames.send(frames).await.is_err() {
                    break;
                }
            }
            // The writer finishes what it has, then closes.
            drop(writing.frames);
            let _ = tokio::time::timeout(GOODBYE, writing.task).await;
        }
        if let Some(reading) = self.reading.take() {
            reading.task.abort();
        }
        // A vault that waits is sealed again at the next start; tokens that are on their way must not be lost.
        if let Some(job) = self.job.take()
            && let Ok(Ok(done)) = tokio::time::timeout(LAST_JOB, job).await
        {
            self.on_job(done);
        }
        self.status.send_replace(Status::Ended("the client has ended".to_owned()));
        // The store is closed before anybody is told.
        drop(self.client);
        if let Some(tell) = tell {
            let _ = tell.send(());
        }
    }
}
