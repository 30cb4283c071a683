//! A relay over maps: the rules of `sotto-relay-core` and the public group state of `sotto-mls`, without disks,
//! sockets and threads. Everything is "on disk" at once; it never forgets.

mod log;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;
use sotto_mls::certificate::DeviceCertificate;
use sotto_mls::key_package;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::{
    Authenticate, Challenge, ChannelBinding, Done, Hello, Ping, Pong, Ready, authentication_bytes,
};
use sotto_protocol::body::conversation::{
    Create, GetGroup, GetWelcomes, Group, Leave, List, Member, SetRole, State as StateBody, States, Welcome,
    WelcomeTaken, Welcomes, Which,
};
use sotto_protocol::body::directory::{
    AccountCard, ClaimKeyPackages, ClaimedKeyPackage, KeyPackageStock, KeyPackages, LookUp, LookUpBy,
    PublishKeyPackages,
};
use sotto_protocol::body::log::{Append, Commit, Entry, Fetch, FetchArchive, Follow, SendEphemeral};
use sotto_protocol::error::{ErrorCode, WireError};
use sotto_protocol::frame::{Body, Frame, FrameError, encode};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, RequestId, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;
use sotto_relay_core::authorise::{Action, Denied, authorise};
use sotto_relay_core::commit::{self, Asker, Identities, Roll};
use sotto_relay_core::conversation::Conversation;
use sotto_relay_core::record::Fact;
use sotto_relay_core::state::State;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// One connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// Frames with their receivers.
pub type Out = Vec<(ConnectionId, Bytes)>;

struct Connection {
    nonce: [u8; 32],
    who: Option<Asker>,
    followed: BTreeSet<ConversationId>,
}

#[derive(Default)]
struct Directory {
    accounts: BTreeMap<AccountId, Account>,
}

struct Account {
    username: String,
    identity_key: [u8; 32],
    devices: BTreeMap<DeviceId, DeviceRecord>,
}

struct DeviceRecord {
    certificate: Vec<u8>,
    device_key: [u8; 32],
    packages: VecDeque<(u16, Payload)>,
    last_resort: Option<(u16, Payload)>,
}

impl Identities for Directory {
    fn identity_key(&self, account: AccountId) -> Option<[u8; 32]> {
        self.accounts.get(&account).map(|account| account.identity_key)
    }

    fn device_is_registered(&self, account: AccountId, device: DeviceId, device_key: &[u8; 32]) -> bool {
        let record = self.accounts.get(&account).and_then(|account| account.devices.get(&device));
        record.is_some_and(|record| record.device_key == *device_key)
    }
}

struct Logged {
    entry: Entry,
    archive: Payload,
}

struct EpochBegun {
    sequence: Sequence,
    group_info: Payload,
    tree: Payload,
    welcome: Payload,
}

/// The relay.
#[derive(Default)]
pub struct Relay {
    state: State,
    directory: Directory,
    logs: HashMap<ConversationId, Vec<Logged>>,
    groups: HashMap<ConversationId, PublicState>,
    epochs: HashMap<(ConversationId, Epoch), EpochBegun>,
    connections: BTreeMap<ConnectionId, Connection>,
    last_connection: u64,
    /// So many appends are still refused because their account was too fast.
    pub too_fast: u32,
    /// It lies: a bit of every ephemeral is another one on its way.
    pub alters_ephemerals: bool,
    /// What it counts, for tests.
    pub counts: Counts,
}

/// What a relay counts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counts {
    /// Commits taken.
    pub commits: u64,
    /// Commits refused because another was first.
    pub races: u64,
    /// Appends taken.
    pub appends: u64,
    /// Appends that it had already.
    pub repeats: u64,
    /// Appends refused as stale.
    pub stale: u64,
    /// Ephemerals that it altered.
    pub altered: u64,
}

/// Why a frame is answered with an error, or ends the connection.
enum Refused {
    Wire(WireError),
    Broken,
}

impl From<FrameError> for Refused {
    fn from(_: FrameError) -> Self {
        Self::Broken
    }
}

impl From<WireError> for Refused {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Wire(WireError::new(denied.code(), denied.to_string()))
    }
}

fn refuse(code: ErrorCode, text: &str) -> Refused {
    Refused::Wire(WireError::new(code, text))
}

impl Relay {
    // What signaling does over HTTP.

    /// A new account.
    pub fn register_account(&mut self, account: AccountId, username: &str, identity_key: [u8; 32]) {
        let record = Account { username: username.to_owned(), identity_key, devices: BTreeMap::new() };
        self.directory.accounts.insert(account, record);
    }

    /// A new device of it.
    ///
    /// # Panics
    /// If the certificate does not verify.
    pub fn register_device(&mut self, account: AccountId, device: DeviceId, certificate: &[u8]) {
        let verified = DeviceCertificate::from_bytes(certificate).expect("the world certifies its devices");
        let record = DeviceRecord {
            certificate: certificate.to_vec(),
            device_key: *verified.device_key(),
            packages: VecDeque::new(),
            last_resort: None,
        };
        let account = self.directory.accounts.get_mut(&account).expect("the account was registered");
        account.devices.insert(device, record);
    }

    /// Admits an account, as redeeming an invite does.
    pub fn admit(&mut self, conversation: ConversationId, account: AccountId) {
        self.state.apply(&Fact::Admitted { conversation, account });
    }

    // Connections.

    /// Somebody connects.
    pub fn connect(&mut self, rng: &mut ChaCha20Rng) -> ConnectionId {
        self.last_connection += 1;
        let mut nonce = [0; 32];
        rng.fill_bytes(&mut nonce);
        let id = ConnectionId(self.last_connection);
        self.connections.insert(id, Connection { nonce, who: None, followed: BTreeSet::new() });
        id
    }

    /// A connection is gone.
    pub fn disconnect(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
    }

    /// Bytes of a conversation's log, for tests that search it.
    #[must_use]
    pub fn log(&self, conversation: ConversationId) -> Vec<Entry> {
        let log = self.logs.get(&conversation).into_iter().flatten();
        log.map(|logged| logged.entry.clone()).collect()
    }

    /// Changes an entry as a lying relay would.
    pub fn tamper(
        &mut self,
        conversation: ConversationId,
        sequence: Sequence,
        change: impl FnOnce(&mut Entry),
    ) {
        let log = self.logs.get_mut(&conversation).into_iter().flatten();
        if let Some(logged) = log.into_iter().find(|logged| logged.entry.sequence == sequence) {
            change(&mut logged.entry);
        }
    }

    /// Handles one frame; gives all that goes out because of it.
    pub fn handle(&mut self, from: ConnectionId, frame: &Frame, now: UnixMillis) -> Out {
        let mut out = Out::new();
        let id = frame.header.id;
        match self.answer(from, frame, now, &mut out) {
            Ok(()) => {}
            Err(Refused::Wire(error)) => out.push((from, encode(id, &error))),
            Err(Refused::Broken) => {
                let error = WireError::new(ErrorCode::Malformed, "malformed");
                out.push((from, encode(id, &error)));
            }
        }
        out
    }

    fn answer(
        &mut self,
        from: ConnectionId,
        frame: &Frame,
        now: UnixMillis,
        out: &mut Out,
    ) -> Result<(), Refused> {
        let id = frame.header.id;
        let Some(connection) = self.connections.get_mut(&from) else { return Ok(()) };
        let kind = frame.header.kind;
        if kind == Hello::KIND {
            let challenge = Challenge { nonce: connection.nonce, extensions: Extensions::default() };
            out.push((from, encode(id, &Hello::new("world"))));
            out.push((from, encode(RequestId::PUSH, &challenge)));
            return Ok(());
        }
        if kind == Authenticate::KIND {
            let body: Authenticate = frame.decode()?;
            let ready = self.authenticate(from, &body, now)?;
            out.push((from, encode(id, &ready)));
            return Ok(());
        }
        let Some(who) = connection.who else {
            return Err(refuse(ErrorCode::Unexpected, "not authenticated"));
        };
        let mut reply = Reply { from, id, out };
        match kind {
            Ping::KIND => reply.send(&Pong::default()),
            PublishKeyPackages::KIND => reply.send(&self.publish(who, frame.decode()?, now)?),
            ClaimKeyPackages::KIND => reply.send(&self.claim(&frame.decode()?)),
            LookUp::KIND => reply.send(&self.look_up(&frame.decode()?)?),
            Create::KIND => reply.send(&self.create(who, &frame.decode()?)?),
            List::KIND => reply.send(&self.list(who, &frame.decode()?)),
            GetGroup::KIND => reply.send(&self.group(who, &frame.decode()?)?),
            Leave::KIND => {
                let appended = self.leave(who, &frame.decode()?, now, reply.out)?;
                reply.send(&appended);
            }
            SetRole::KIND => reply.send(&self.set_role(who, &frame.decode()?)?),
            GetWelcomes::KIND => reply.send(&self.welcomes(who)),
            WelcomeTaken::KIND => {
                let body: WelcomeTaken = frame.decode()?;
                self.state.apply(&Fact::WelcomeTaken {
                    conversation: body.conversation,
                    epoch: body.epoch,
                    device: who.device,
                });
                reply.send(&Done::default());
            }
            Append::KIND => {
                let appended = self.append(who, &frame.decode()?, now, reply.out)?;
                reply.send(&appended);
            }
            Commit::KIND => {
                let appended = self.commit(who, &frame.decode()?, now, reply.out)?;
                reply.send(&appended);
            }
            Fetch::KIND => reply.send(&self.fetch(who, &frame.decode()?)?),
            FetchArchive::KIND => reply.send(&self.fetch_archive(who, &frame.decode()?)?),
            Follow::KIND => reply.send(&self.follow(from, who, &frame.decode()?)),
            SendEphemeral::KIND => self.ephemeral(who, frame.decode()?, reply.out),
            // It does not tell who is here, as a relay of before that existed.
            _ if id == RequestId::PUSH => {}
            _ => return Err(refuse(ErrorCode::Unsupported, "unsupported")),
        }
        Ok(())
    }

    fn authenticate(
        &mut self,
        from: ConnectionId,
        body: &Authenticate,
        now: UnixMillis,
    ) -> Result<Ready, Refused> {
        let refused = || refuse(ErrorCode::TokenRefused, "the token is refused");
        let account: AccountId = body.access_token.parse().map_err(|_| refused())?;
        let record = self.directory.accounts.get(&account).ok_or_else(refused)?;
        let device = record
            .devices
            .get(&body.device)
            .ok_or_else(|| refuse(ErrorCode::DeviceRefused, "unknown device"))?;
        let connection = self.connections.get_mut(&from).ok_or(Refused::Broken)?;
        let signed = authentication_bytes(&connection.nonce, &ChannelBinding::NonceOnly, body.device);
        let key = ed25519_dalek::VerifyingKey::from_bytes(&device.device_key).map_err(|_| refused())?;
        let signature = ed25519_dalek::Signature::from_bytes(&body.signature);
        if key.verify_strict(&signed, &signature).is_err() {
            return Err(refuse(ErrorCode::DeviceRefused, "the signature does not verify"));
        }
        connection.who = Some(Asker { account, device: body.device });
        // A newer connection of the same device ends the older one.
        let older: Vec<ConnectionId> = self
            .connections
            .iter()
            .filter(|(id, other)| **id != from && other.who.is_some_and(|other| other.device == body.device))
            .map(|(id, _)| *id)
            .collect();
        for id in older {
            self.connections.remove(&id);
        }
        Ok(Ready { account, time: now, observed_address: String::new(), extensions: Extensions::default() })
    }

    // The directory.

    fn publish(
        &mut self,
        who: Asker,
        body: PublishKeyPackages,
        now: UnixMillis,
    ) -> Result<KeyPackageStock, Refused> {
        let suite = |package: &Payload| {
            let verified = key_package::verify(package.as_slice(), now);
            verified
                .map(|verified| verified.suite.code_point())
                .map_err(|error| refuse(ErrorCode::Malformed, &error.to_string()))
        };
        let account = self.directory.accounts.get_mut(&who.account).ok_or(Refused::Broken)?;
        let device = account.devices.get_mut(&who.device).ok_or(Refused::Broken)?;
        for package in body.packages {
            device.packages.push_back((suite(&package)?, package));
        }
        if let Some(package) = body.last_resort {
            device.last_resort = Some((suite(&package)?, package));
        }
        let count = u32::try_from(device.packages.len()).unwrap_or(u32::MAX);
        Ok(KeyPackageStock { count, extensions: Extensions::default() })
    }

    fn claim(&mut self, body: &ClaimKeyPackages) -> KeyPackages {
        let mut packages = Vec::new();
        let account = self.directory.accounts.get_mut(&body.account);
        for (id, device) in account.map(|account| &mut account.devices).into_iter().flatten() {
            let fits = |(suite, _): &(u16, Payload)| body.suites.contains(suite);
            let place = device.packages.iter().position(fits);
            let once = place.and_then(|place| device.packages.remove(place));
            let (package, last_resort) = match once {
                Some((_, package)) => (Some(package), false),
                None => (device.last_resort.clone().filter(fits).map(|(_, package)| package), true),
            };
            packages.extend(package.map(|package| ClaimedKeyPackage { device: *id, package, last_resort }));
        }
        KeyPackages { packages, extensions: Extensions::default() }
    }

    fn look_up(&self, body: &LookUp) -> Result<AccountCard, Refused> {
        let found = match &body.by {
            LookUpBy::Account(account) => self.directory.accounts.get_key_value(account),
            LookUpBy::Username(name) => {
                self.directory.accounts.iter().find(|(_, account)| account.username == *name)
            }
        };
        let (id, account) = found.ok_or_else(|| refuse(ErrorCode::NotFound, "no such account"))?;
        Ok(AccountCard {
            account: *id,
            username: account.username.clone(),
            identity_key: Some(account.identity_key),
            devices: account.devices.values().map(|device| device.certificate.clone().into()).collect(),
            extensions: Extensions::default(),
        })
    }

    // Conversations.

    fn create(&mut self, who: Asker, body: &Create) -> Result<StateBody, Refused> {
        let pair = body.peer.and_then(|peer| self.state.direct(who.account, peer));
        let taken = pair.is_some()
            || self.state.find(body.conversation).is_some()
            || body.listed_name.as_ref().is_some_and(|name| self.state.listed(name).is_some());
        if taken {
            return Err(refuse(ErrorCode::Taken, "taken"));
        }
        let group = commit::verify_create(body, who, &self.directory)
            .map_err(|error| refuse(error.code(), &error.to_string()))?;
        self.state.apply(&Fact::Created {
            conversation: body.conversation,
            kind: body.kind,
            history: body.history,
            creator: who.account,
            peer: body.peer,
            listed_name: body.listed_name.clone(),
            group_info: body.group_info.clone(),
            tree: body.tree.clone(),
        });
        let begun = EpochBegun {
            sequence: Sequence(0),
            group_info: body.group_info.clone(),
            tree: body.tree.clone(),
            welcome: Payload::default(),
        };
        self.epochs.insert((body.conversation, Epoch(0)), begun);
        self.groups.insert(body.conversation, group);
        let conversation = self.state.find(body.conversation).ok_or(Refused::Broken)?;
        Ok(self.state_body(conversation))
    }

    fn state_body(&self, conversation: &Conversation) -> StateBody {
        let username = |account: AccountId| {
            self.directory.accounts.get(&account).map(|known| known.username.clone()).unwrap_or_default()
        };
        StateBody {
            conversation: conversation.id,
            kind: conversation.kind,
            history: conversation.history,
            listed_name: conversation.listed_name.clone(),
            head: conversation.head,
            first: conversation.first(),
            epoch: conversation.epoch,
            members: conversation
                .members()
                .map(|(account, membership)| Member {
                    account,
                    username: username(account),
                    role: membership.role,
                    since: membership.since().unwrap_or_default(),
                })
                .collect(),
            extensions: Extensions::default(),
        }
    }

    fn list(&self, who: Asker, body: &List) -> States {
        let may_know = |conversation: &&Conversation| {
            conversation.member(who.account).is_some() || conversation.is_admitted(who.account)
        };
        let found: Vec<&Conversation> = match &body.which {
            Which::Mine => self.state.of_account(who.account).collect(),
            Which::One(id) => self.state.find(*id).into_iter().collect(),
            Which::DirectWith(peer) => self.state.direct(who.account, *peer).into_iter().collect(),
            Which::ListedName(name) => self.state.listed(name).into_iter().collect(),
            Which::Listed => self.state.all_listed().collect(),
        };
        let conversations =
            found.into_iter().filter(may_know).map(|conversation| self.state_body(conversation)).collect();
        States { conversations, extensions: Extensions::default() }
    }

    fn known(&self, id: ConversationId) -> Result<&Conversation, Refused> {
        self.state.find(id).ok_or_else(|| Denied::NotMember.into())
    }

    fn group(&self, who: Asker, body: &GetGroup) -> Result<Group, Refused> {
        let conversation = self.known(body.conversation)?;
        authorise(Action::SeeGroup, conversation.standing(who.account), conversation.kind)?;
        let epoch = body.epoch.unwrap_or(conversation.epoch);
        let begun = self
            .epochs
            .get(&(body.conversation, epoch))
            .ok_or_else(|| refuse(ErrorCode::NotFound, "that epoch is not kept"))?;
        Ok(Group {
            epoch,
            sequence: begun.sequence,
            group_info: begun.group_info.clone(),
            tree: begun.tree.clone(),
            extensions: Extensions::default(),
        })
    }

    fn welcomes(&self, who: Asker) -> Welcomes {
        let welcomes = self.state.waiting(who.device).iter().filter_map(|waiting| {
            let begun = self.epochs.get(&(waiting.conversation, waiting.epoch))?;
            Some(Welcome {
                conversation: waiting.conversation,
                epoch: waiting.epoch,
                sequence: waiting.sequence,
                welcome: begun.welcome.clone(),
            })
        });
        Welcomes { welcomes: welcomes.collect(), extensions: Extensions::default() }
    }

    fn set_role(&mut self, who: Asker, body: &SetRole) -> Result<Done, Refused> {
        let conversation = self.known(body.conversation)?;
        let action = Action::SetRole { no_owner_left: false };
        authorise(action, conversation.standing(who.account), conversation.kind)?;
        let (conversation, account, role) = (body.conversation, body.account, body.role);
        self.state.apply(&Fact::RoleSet { conversation, account, role });
        Ok(Done::default())
    }
}

struct Reply<'a> {
    from: ConnectionId,
    id: RequestId,
    out: &'a mut Out,
}

impl Reply<'_> {
    fn send<B: Body>(&mut self, body: &B) {
        self.out.push((self.from, encode(self.id, body)));
    }
}
