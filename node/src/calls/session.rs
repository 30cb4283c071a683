//! The media of one call. What is said to the other device, and when, the client core decides; this carries it out on a connection and
//! reports how it went.
//!
//! This task does one thing after the other. From the moment at which the core has compared the certificate at the other end with the
//! promised one there are others beside it: `sound`, which sends and plays 20 ms at a time, and those of `picture`.

use super::News;
use super::connection::{Connection, Senses, SharedEar, Told};
use super::found::{Found, at};
use super::jitter::Ear;
use super::lent;
use super::picture::{self, Eye, Going, Pictures, Seen, Shown};
use super::quality::{Counters, between};
use super::sound::{self, Playing, Sound};
use super::tunnel::{Load, Tunnel};
use super::ways::Ways;
use crate::node::Node;
use crate::transport::Carrier;
use sotto_e2ee::store::Store;
use sotto_node_core::calls::{CallCommand, CallId, CallState, MediaReport, MediaState, Negotiation};
use sotto_node_core::command::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval};
use webrtc::peer_connection::{RTCIceServer, RTCPeerConnectionState};

/// The core takes a call as over after four times this without a word ([`sotto_node_core::calls::ALIVE_MS`]).
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// How often the quality is told.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

/// What is to be done.
pub(super) enum Job {
    /// The call stands like this. It can become another one: then both had called.
    Stands(CallId, CallState),
    /// From the core.
    Negotiate(Negotiation),
}

/// The media of a call.
pub(super) struct Session<S: Store> {
    node: Node<S>,
    call: CallId,
    state: CallState,
    hides: bool,
    ways: Ways,
    servers: Vec<RTCIceServer>,
    tunnel: Option<Tunnel>,
    connection: Option<Connection>,
    /// How the connection stands, by its own word.
    connected: bool,
    /// Whether it has stood since this attempt began.
    stood: bool,
    round: u32,
    tell: UnboundedSender<Told>,
    told: UnboundedReceiver<Told>,
    found: Found,
    ear: SharedEar,
    sound: Option<Sound>,
    playing: Option<Playing>,
    eye: Option<Eye>,
    camera: bool,
    /// What the picture needs to begin.
    pictures: Option<(Pictures, Seen, Shown)>,
    /// The camera, once it shows something.
    showing: Option<Going>,
    watching: Option<Going>,
    began: Instant,
    before: Counters,
    news: UnboundedSender<News>,
}

impl<S: Store + Send + 'static> Session<S> {
    pub(super) fn new(
        node: Node<S>,
        call: CallId,
        (sound, pictures): (Sound, Pictures),
        hides: bool,
        news: UnboundedSender<News>,
        shown: Shown,
    ) -> Result<Self, opus_pure::Error> {
        let (tell, told) = unbounded_channel();
        let (eye, seen) = Eye::new();
        Ok(Self {
            node,
            call,
            state: CallState::Calling,
            hides,
            ways: Ways::new(hides),
            servers: Vec::new(),
            tunnel: None,
            connection: None,
            connected: false,
            stood: false,
            round: 0,
            tell,
            told,
            found: Found::default(),
            ear: Arc::new(Mutex::new(Ear::new()?)),
            sound: Some(sound),
            playing: None,
            eye: pictures.is_watched().then_some(eye),
            camera: pictures.camera.is_some(),
            pictures: Some((pictures, seen, shown)),
            showing: None,
            watching: None,
            began: Instant::now(),
            before: Counters::default(),
            news,
        })
    }

    /// Works until nobody has jobs any more, then closes everything.
    pub(super) async fn run(mut self, mut jobs: UnboundedReceiver<Job>) {
        let mut alive = interval(ALIVE_EVERY);
        let mut measure = interval(MEASURE_EVERY);
        for clock in [&mut alive, &mut measure] {
            clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => self.job(job).await,
                    None => break,
                },
                Some(told) = self.told.recv() => self.heard(told).await,
                () = at(self.found.until()) => self.send_found().await,
                _ = alive.tick() => self.report(MediaReport::Alive).await,
                _ = measure.tick() => self.measured().await,
            }
        }
        if let Some(playing) = self.playing.take() {
            playing.end().await;
        }
        for going in [self.showing.take(), self.watching.take()].into_iter().flatten() {
            going.end().await;
        }
        if let Some(connection) = self.connection.take() {
            connection.close().await;
        }
    }

    async fn job(&mut self, job: Job) {
        match job {
            Job::Stands(call, state) => {
                (self.call, self.state) = (call, state);
                if state == CallState::Connected && self.playing.is_none() {
                    self.begin_to_talk().await;
                }
            }
            Job::Negotiate(negotiation) => {
                if let Err(error) = self.negotiate(negotiation).await {
                    // The core tries again by itself, and gives the call up when its time is over.
                    tracing::warn!(%error, "a step of the connection failed");
                }
            }
        }
    }

    async fn negotiate(&mut self, negotiation: Negotiation) -> webrtc::error::Result<()> {
        match negotiation {
            Negotiation::Offer { round } => {
                let connection = self.prepared(round).await?;
                let sdp = connection.offer(round > 0).await?;
                self.command(CallCommand::Description { call: self.call, round, sdp }).await;
            }
            Negotiation::Description { round, offer: true, sdp } => {
                let connection = self.prepared(round).await?;
                let sdp = connection.answer(sdp).await?;
                self.command(CallCommand::Description { call: self.call, round, sdp }).await;
            }
            Negotiation::Description { round, offer: false, sdp } => {
                if let Some(connection) = self.connection.as_ref().filter(|_| round == self.round) {
                    connection.answered(sdp).await?;
                }
            }
            Negotiation::Candidates { round, list } => {
                if let Some(connection) = self.connection.as_ref().filter(|_| round == self.round) {
                    for candidate in list {
                        connection.try_way(candidate).await;
                    }
                }
            }
        }
        Ok(())
    }

    /// The connection, ready for this attempt.
    async fn prepared(&mut self, round: u32) -> webrtc::error::Result<&Connection> {
        self.send_found().await;
        self.round = round;
        if self.connection.is_none() || round > 0 {
            // A relay that was started again lends others. Without an answer, those of before stay.
            if let Some(servers) = lent::servers(&self.node).await {
                self.servers = servers;
            }
            self.tunnel =
                if self.is_udp_doubtful(round) { lent::tunnel(&self.node, Load::Media).await } else { None };
            self.stood = false;
            let relay = self.node.api().0.relay();
            let tunnel = self.tunnel.as_ref().map(Tunnel::address);
            self.ways.lead(&self.servers, (relay.host.as_str(), relay.port), tunnel).await;
            if let Some(connection) = &self.connection {
                connection.lend(lent::named(&self.servers, self.tunnel.as_ref())).await?;
            }
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let (servers, ways) = (lent::named(&self.servers, self.tunnel.as_ref()), self.ways.clone());
                let (ear, eye) = (Arc::clone(&self.ear), self.eye.clone());
                let senses = Senses { ear, eye, camera: self.camera };
                Connection::open(servers, ways, self.hides, senses, self.tell.clone()).await?
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Whether this network may let no UDP out: none comes to the relay, or the attempt before this one found no way.
    fn is_udp_doubtful(&self, round: u32) -> bool {
        let is_blocked = match self.node.status().carrier() {
            Some(carrier) => carrier == Carrier::WebSocket,
            None => self.tunnel.is_some(),
        };
        is_blocked || (round > 0 && !self.stood)
    }

    async fn heard(&mut self, told: Told) {
        match told {
            Told::Found(candidate) => {
                if self.found.add(candidate, Instant::now()) {
                    self.send_found().await;
                }
            }
            Told::State(state) => {
                self.connected = state == RTCPeerConnectionState::Connected;
                self.stood |= self.connected;
                match state {
                    RTCPeerConnectionState::Connected => self.stands().await,
                    RTCPeerConnectionState::Disconnected => self.report(MediaReport::Disconnected).await,
                    RTCPeerConnectionState::Failed => self.report(MediaReport::Failed).await,
                    _ => {}
                }
            }
        }
    }

    async fn send_found(&mut self) {
        if let Some(list) = self.found.take() {
            self.command(CallCommand::Candidates { call: self.call, round: self.round, list }).await;
        }
    }

    /// There is a connection: the core compares the certificate at its other end with the promised one.
    async fn stands(&self) {
        let Some(connection) = &self.connection else { return };
        if let Some(fingerprint) = connection.fingerprint().await {
            self.report(MediaReport::Connected { fingerprint }).await;
        }
    }

    async fn report(&self, report: MediaReport) {
        self.command(CallCommand::Media { call: self.call, report }).await;
    }

    async fn command(&self, command: CallCommand) {
        if let Err(failure) = self.node.command(Command::Call(command)).await {
            tracing::debug!(%failure, "the call has ended, or nearly");
        }
    }

    async fn begin_to_talk(&mut self) {
        let (Some(connection), Some(sound)) = (&self.connection, self.sound.take()) else { return };
        match connection.mouth().await {
            Ok(mouth) => {
                self.playing = Some(sound::play(sound, mouth, Arc::clone(&self.ear), self.news.clone()));
                self.begin_to_show().await;
            }
            Err(error) => {
                tracing::warn!(%error, "the connection takes no sound");
                self.sound = Some(sound);
            }
        }
    }

    /// The picture begins with the sound: before, nobody knows who is at the other end.
    async fn begin_to_show(&mut self) {
        let (Some(connection), Some((pictures, seen, shown))) = (&self.connection, self.pictures.take())
        else {
            return;
        };
        let Pictures { camera, film, shown: is_shown } = pictures;
        if let Some(camera) = camera {
            match connection.beam().await {
                Ok(Some(beam)) => self.showing = Some(picture::show(camera, beam, self.news.clone())),
                Ok(None) => tracing::debug!("the other one takes no picture"),
                Err(error) => tracing::warn!(%error, "the connection takes no picture"),
            }
        }
        if film.is_some() || is_shown {
            self.watching = Some(picture::watch(seen, film, is_shown.then_some(shown), self.news.clone()));
        }
    }

    async fn measured(&mut self) {
        if !self.connected {
            return;
        }
        if self.state != CallState::Connected {
            // After a new attempt on a connection that never went, nothing else says that it stands.
            return self.stands().await;
        }
        if self.playing.is_none() {
            self.begin_to_talk().await;
        }
        if self.showing.take_if(|showing| showing.is_over()).is_some() {
            let state = MediaState::default();
            self.command(CallCommand::State { call: self.call, state }).await;
        }
        let (Some(connection), Some(playing)) = (&self.connection, &self.playing) else { return };
        let Some(standing) = connection.standing().await else { return };
        let (sent_packets, sent_bytes) = playing.sent();
        let heard = self.ear.lock().unwrap_or_else(PoisonError::into_inner).heard();
        let now = Counters { at: self.began.elapsed(), sent_packets, sent_bytes, heard };
        let quality = between(&self.before, &now, standing.relayed, standing.round_trip);
        self.before = now;
        // Whoever does not listen any more ends this soon.
        let _ = self.news.send(News::Quality(quality));
    }
}
