//! A virtual world: real clients, the relay's real rules, and between them a clock and a network out of one seed.
//!
//! [`relay`] answers frames with the decisions of `sotto-relay-core` over maps instead of disks. [`net`] carries
//! frames with delays, breaks connections, repeats and overtakes. [`device`] holds a client over a store that
//! survives its crashes. [`World`] lets time pass from one happening to the next, so that a run with the same
//! seed and the same script is the same run.

pub mod device;
pub mod net;
pub mod relay;

use bytes::Bytes;
use device::Device;
use net::{Happening, Network, Profile};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use relay::Relay;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_mls::suite::Suite;
use sotto_node_core::command::{ArchiveKeys, Command, Token};
use sotto_node_core::event::{Event, Failure, Outcome, Output};
use sotto_node_core::settings::Settings;
use sotto_node_core::view::{ConversationView, Line, Message};
use sotto_protocol::body::connection::ChannelBinding;
use sotto_protocol::frame::Frame;
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, UnixMillis};
use sotto_protocol::limits::FRAME_BODY_BYTES_MAX;
use std::collections::BTreeMap;

/// The place of a device in [`World::devices`].
pub type Who = usize;

/// Everything there is.
pub struct World {
    /// The clock.
    pub now: UnixMillis,
    /// Where all chance comes from.
    pub rng: ChaCha20Rng,
    /// The relay.
    pub relay: Relay,
    /// The network.
    pub net: Network,
    /// The devices, in the order in which they were made.
    pub devices: Vec<Device>,
    identities: BTreeMap<AccountId, ([u8; 32], [u8; 32], String)>,
    settings: Settings,
    last_token: u64,
    /// What happened, for the message of a failing test.
    pub trace: Vec<String>,
}

impl World {
    /// An empty world. Key packages carry real dates that a library compares with the machine's clock, so the
    /// clock of the world begins with that one; nothing else of the run depends on it.
    #[must_use]
    pub fn new(seed: u64, suite: Suite, profile: Profile) -> Self {
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = since_1970.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(0));
        let settings = Settings {
            key_packages: vec![(suite, 6)],
            request_timeout_ms: 2_000,
            jitter_ms: 100,
            welcome_wait_ms: 1_000,
            ..Settings::default()
        };
        Self {
            now: UnixMillis(now),
            rng: ChaCha20Rng::seed_from_u64(seed),
            relay: Relay::default(),
            net: Network::new(profile),
            devices: Vec::new(),
            identities: BTreeMap::new(),
            settings,
            last_token: 0,
            trace: Vec::new(),
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(self.rng.next_u64() % bound).unwrap_or(0)
    }

    /// True in so many of a thousand cases.
    pub fn chance(&mut self, per_thousand: usize) -> bool {
        self.below(1_000) < per_thousand
    }

    fn id(&mut self) -> [u8; 16] {
        let mut id = [0; 16];
        self.rng.fill_bytes(&mut id);
        id
    }

    /// A new account with its first device, which begins to connect at once.
    pub fn person(&mut self, username: &str) -> Who {
        let account = AccountId(self.id());
        let identity = AccountIdentity::generate(&mut self.rng);
        let recovery = RecoveryKey::generate(&mut self.rng);
        self.relay.register_account(account, username, identity.public_key());
        let kept = (*identity.secret(), *recovery.secret(), username.to_owned());
        self.identities.insert(account, kept);
        self.device_of(account, ArchiveKeys::default())
    }

    /// A further device of somebody's account, with what the account's vault gave it.
    pub fn further_device(&mut self, of: Who, archive_keys: ArchiveKeys) -> Who {
        self.device_of(self.devices[of].account, archive_keys)
    }

    fn device_of(&mut self, account: AccountId, archive_keys: ArchiveKeys) -> Who {
        let (identity, recovery, username) = self.identities[&account].clone();
        let identity = AccountIdentity::from_secret(&identity);
        let recovery = RecoveryKey::from_secret(&recovery);
        let id = DeviceId(self.id());
        let local = identity.issue_device(&mut self.rng, account, id, self.now);
        self.relay.register_device(account, id, &local.certificate_bytes());
        let setup =
            sotto_node_core::client::Setup { username, device: local, identity, recovery, archive_keys };
        let mut device = Device::create(account, id, setup, self.settings.clone(), self.now);
        device.set_token(self.now, &mut self.rng);
        self.devices.push(device);
        let who = self.devices.len() - 1;
        self.dial_later(who, 0);
        self.drain(who);
        who
    }

    // Driving.

    /// Gives a command; its result comes by [`World::result`].
    pub fn command(&mut self, who: Who, command: Command) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.trace.push(format!("{who} {token:?} {command:?}"));
        let (now, device) = (self.now, &mut self.devices[who]);
        device.client.handle_command(token, command, now, &mut self.rng);
        self.drain(who);
        token
    }

    /// Gives a command and lets time pass until it is done.
    ///
    /// # Panics
    /// If it is not done within ten minutes of the world.
    pub fn run(&mut self, who: Who, command: Command) -> Result<Outcome, Failure> {
        let token = self.command(who, command);
        let until = UnixMillis(self.now.0 + 600_000);
        loop {
            if let Some(result) = self.result(who, token) {
                return result;
            }
            assert!(self.step(until), "device {who} never answered {token:?}\n{}", self.story());
        }
    }

    /// What came of a command, if anything yet.
    pub fn result(&mut self, who: Who, token: Token) -> Option<Result<Outcome, Failure>> {
        self.devices[who].results.remove(&token)
    }

    /// Lets time pass until nobody has anything to do any more.
    ///
    /// # Panics
    /// If that is not so within an hour of the world.
    pub fn settle(&mut self) {
        let until = UnixMillis(self.now.0 + 3_600_000);
        while !self.is_quiet() {
            assert!(self.step(until), "the world does not come to rest\n{}", self.story());
        }
    }

    /// Whether all devices that are not switched off are connected, have caught up and have nothing to do.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.net.is_quiet()
            && self.devices.iter().all(|device| device.is_off || (device.is_up() && device.client.is_idle()))
    }

    /// Lets so much time pass.
    pub fn pass(&mut self, milliseconds: u64) {
        let until = UnixMillis(self.now.0 + milliseconds);
        while self.step(until) {}
        self.now = until;
    }

    /// The next happening, or the next deadline of a client, before `until`. False if there is none.
    pub fn step(&mut self, until: UnixMillis) -> bool {
        let happening = self.net.next_time();
        let timer = self
            .devices
            .iter()
            .enumerate()
            .filter(|(_, device)| !device.is_off)
            .filter_map(|(who, device)| Some((device.client.poll_timeout()?, who)))
            .min();
        match (happening, timer) {
            (Some(at), timer) if at <= until && timer.is_none_or(|(due, _)| at <= due) => {
                self.now = self.now.max(at);
                if let Some(happening) = self.net.pop() {
                    self.happen(happening);
                }
                true
            }
            (_, Some((due, who))) if due <= until => {
                self.now = self.now.max(due);
                let (now, device) = (self.now, &mut self.devices[who]);
                device.client.handle_timeout(now, &mut self.rng);
                self.drain(who);
                true
            }
            _ => false,
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Dial(who) => self.dial(who),
            Happening::ToRelay(connection, bytes) => {
                for (to, bytes) in self.relay.handle(connection, &frame(bytes), self.now) {
                    self.net.carry_down(&mut self.rng, self.now, to, bytes);
                }
            }
            Happening::ToDevice(connection, bytes) => {
                let at = self.devices.iter().position(|device| device.connection == Some(connection));
                let Some(who) = at else { return };
                let mut frames = vec![frame(bytes)];
                // Sometimes a device looks late, and finds several at once.
                let until = UnixMillis(self.now.0 + u64::try_from(self.below(20)).unwrap_or(0));
                while let Some((at, bytes)) = self.net.pop_frame(connection, until) {
                    self.now = self.now.max(at);
                    frames.push(frame(bytes));
                }
                let device = &mut self.devices[who];
                device.client.handle_frames(frames, self.now, &mut self.rng);
                self.drain(who);
            }
            Happening::Break(connection) => {
                let at = self.devices.iter().position(|device| device.connection == Some(connection));
                if let Some(who) = at {
                    self.hang_up(who);
                    let pause = u64::try_from(self.below(2_000)).unwrap_or(0);
                    self.dial_later(who, pause);
                }
            }
        }
    }

    fn dial_later(&mut self, who: Who, pause: u64) {
        self.net.push(UnixMillis(self.now.0 + pause), Happening::Dial(who));
    }

    fn dial(&mut self, who: Who) {
        let device = &mut self.devices[who];
        if device.is_off || device.is_up() {
            return;
        }
        let connection = self.relay.connect(&mut self.rng);
        device.connection = Some(connection);
        device.set_token(self.now, &mut self.rng);
        device.client.handle_connected(ChannelBinding::NonceOnly, self.now, &mut self.rng);
        self.net.open(&mut self.rng, self.now, connection);
        self.drain(who);
    }

    /// Ends the connection of a device; everything under way on it is lost.
    pub fn hang_up(&mut self, who: Who) {
        let device = &mut self.devices[who];
        if let Some(connection) = device.connection.take() {
            self.net.forget(connection);
            self.relay.disconnect(connection);
            device.client.handle_disconnected(self.now, &mut self.rng);
            self.drain(who);
        }
    }

    /// Switches a device off: it neither connects nor counts time.
    pub fn switch_off(&mut self, who: Who) {
        self.hang_up(who);
        self.devices[who].is_off = true;
    }

    /// Switches it on again.
    pub fn switch_on(&mut self, who: Who) {
        self.devices[who].is_off = false;
        self.dial_later(who, 1);
    }

    /// The process ends here and begins again from its store.
    pub fn crash(&mut self, who: Who) {
        self.trace.push(format!("{who} crashes"));
        let device = &mut self.devices[who];
        if let Some(connection) = device.connection.take() {
            self.net.forget(connection);
            self.relay.disconnect(connection);
        }
        device.reopen(self.settings.clone(), self.now);
        device.set_token(self.now, &mut self.rng);
        self.dial_later(who, 1);
    }

    /// Hands on what a client put out; a device whose time has come crashes before anything goes out.
    pub fn drain(&mut self, who: Who) {
        if self.devices[who].crash_is_due() {
            return self.crash(who);
        }
        while let Some(output) = self.devices[who].client.poll_output() {
            match output {
                Output::Send(bytes) => self.send(who, bytes),
                Output::Disconnect => {
                    self.hang_up(who);
                    let pause = 100 + u64::try_from(self.below(1_000)).unwrap_or(0);
                    self.dial_later(who, pause);
                }
                Output::Event(event) => self.note(who, event),
                other => self.trace.push(format!("{who} {other:?}")),
            }
        }
    }

    fn send(&mut self, who: Who, bytes: Bytes) {
        let Some(connection) = self.devices[who].connection else { return };
        let mut buffer = bytes.into();
        while let Ok(Some(frame)) = Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX) {
            let mut whole = frame.header.encode().to_vec();
            whole.extend_from_slice(&frame.body);
            self.net.carry_up(&mut self.rng, self.now, connection, whole.into());
        }
    }

    fn note(&mut self, who: Who, event: Event) {
        let device = &mut self.devices[who];
        match event {
            Event::Done { token, outcome } => {
                device.results.insert(token, Ok(outcome));
            }
            Event::Failed { token, failure } => {
                self.trace.push(format!("{who} {token:?} failed: {failure:?}"));
                device.results.insert(token, Err(failure));
            }
            event => {
                if !matches!(event, Event::Message(_) | Event::Conversation(_) | Event::VaultChanged(_)) {
                    self.trace.push(format!("{who} {event:?}"));
                }
                device.events.push(event);
            }
        }
    }

    // Looking.

    /// The log of a conversation in brief, for the message of a failing test.
    #[must_use]
    pub fn log(&self, conversation: ConversationId) -> String {
        let line = |entry: sotto_protocol::body::log::Entry| {
            let who = self.devices.iter().position(|device| device.id == entry.device);
            let (sequence, kind, number, epoch) = (entry.sequence, entry.kind, entry.number, entry.epoch);
            format!("{sequence} {kind:?} by {who:?} number {number} epoch {epoch}")
        };
        self.relay.log(conversation).into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The last happenings, for the message of a failing test.
    #[must_use]
    pub fn story(&self) -> String {
        let from = self.trace.len().saturating_sub(60);
        let mut story = self.trace[from..].join("\n");
        for (who, device) in self.devices.iter().enumerate() {
            let state = device.client.conversations().map(|views| {
                let brief = |view: &ConversationView| {
                    let (standing, epoch, queued) = (view.standing, view.epoch, view.queued);
                    format!("{standing:?} epoch {epoch:?} cursor {} queued {queued}", view.cursor)
                };
                views.iter().map(brief).collect::<Vec<_>>()
            });
            story.push_str(&format!(
                "\n{who}: off {} up {} ready {} idle {} {state:?}",
                device.is_off,
                device.is_up(),
                device.client.is_ready(),
                device.client.is_idle()
            ));
        }
        story
    }

    /// All that a device has of a conversation.
    #[must_use]
    pub fn history(&self, who: Who, conversation: ConversationId) -> Vec<Message> {
        self.devices[who].client.history(conversation, None, usize::MAX).expect("the store is memory")
    }

    /// The texts of it, each with its sender.
    #[must_use]
    pub fn texts(&self, who: Who, conversation: ConversationId) -> Vec<(AccountId, String)> {
        let text = |message: Message| match message.line {
            Line::Text(text) => Some((message.account, text)),
            _ => None,
        };
        self.history(who, conversation).into_iter().filter_map(text).collect()
    }

    /// How a device sees a conversation.
    #[must_use]
    pub fn view(&self, who: Who, conversation: ConversationId) -> Option<ConversationView> {
        self.devices[who].client.conversation(conversation).expect("the store is memory")
    }

    /// Envelopes that a device could not decrypt.
    #[must_use]
    pub fn failures(&self, who: Who) -> u64 {
        self.devices[who].client.stats().expect("the store is memory").failures.values().sum()
    }
}

fn frame(bytes: Bytes) -> Frame {
    let mut buffer = bytes.into();
    Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX)
        .ok()
        .flatten()
        .expect("the world carries whole frames only")
}
