//! People and a small relay for the tests of this crate.

use crate::content::Content;
use crate::conversation::{
    Alert, Change, Conversation, ConversationError, Encrypted, Outcome, Processed, Staged, Suite,
};
use crate::identity::{AccountIdentity, LocalDevice};
use crate::key_package::{self, VerifiedKeyPackage};
use crate::store::{MemoryStore, Store as _, Transaction};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{Group, HistoryPolicy, Welcome, leave_bytes};
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::body::log::{ArchiveEntry, Entry, EntryKind};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};
use sotto_protocol::payload::Payload;
use std::time::SystemTime;

/// A generator that every test begins with.
pub(crate) fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

/// The system's clock: the library looks at it too when it checks key packages.
#[allow(clippy::disallowed_methods)] // Not the crate, its test, gives this time as an argument.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is after 1970");
    UnixMillis(u64::try_from(since.as_millis()).expect("the clock is before the year 500 million"))
}

/// The identity of the account of this number.
pub(crate) fn identity(account: u8) -> AccountIdentity {
    AccountIdentity::from_secret(&[account; 32])
}

/// The device of this number of the account of this number.
pub(crate) fn device(account: u8, device: u8) -> LocalDevice {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(device));
    identity(account).issue_device(&mut rng, AccountId([account; 16]), DeviceId([device; 16]), UnixMillis(1))
}

/// The conversation that tests talk in.
pub(crate) const CONVERSATION: ConversationId = ConversationId([7; 16]);

/// A device with its store, its conversation and its count of messages.
pub(crate) struct Person {
    pub(crate) me: LocalDevice,
    pub(crate) store: MemoryStore,
    pub(crate) conversation: Option<Conversation>,
    rng: ChaCha20Rng,
    number: u64,
}

/// A relay that does what it should; tests take its entries and change them.
pub(crate) struct Relay {
    pub(crate) state: PublicState,
    group_info: Payload,
    epoch_start: Sequence,
    pub(crate) entries: Vec<Entry>,
    pub(crate) archive: Vec<ArchiveEntry>,
}

impl Person {
    pub(crate) fn new(account: u8, number: u8) -> Self {
        Self::of(device(account, number), number)
    }

    pub(crate) fn of(me: LocalDevice, seed: u8) -> Self {
        let rng = ChaCha20Rng::seed_from_u64(u64::from(seed) + 100);
        Self { me, store: MemoryStore::new(), conversation: None, rng, number: 0 }
    }

    /// One operation: its transaction is committed if it succeeds; if not, the conversation is loaded again.
    pub(crate) fn try_act<T, E>(
        &mut self,
        operation: impl FnOnce(
            &Transaction<'_>,
            &mut ChaCha20Rng,
            &LocalDevice,
            &mut Option<Conversation>,
        ) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = Transaction::new(&self.store);
        let result = operation(&tx, &mut self.rng, &self.me, &mut self.conversation);
        match result {
            Ok(_) => {
                let batch = tx.into_batch();
                self.store.commit(batch).expect("memory");
            }
            Err(_) => {
                drop(tx);
                self.reload();
            }
        }
        result
    }

    pub(crate) fn act<T, E: std::fmt::Debug>(
        &mut self,
        operation: impl FnOnce(
            &Transaction<'_>,
            &mut ChaCha20Rng,
            &LocalDevice,
            &mut Option<Conversation>,
        ) -> Result<T, E>,
    ) -> T {
        self.try_act(operation).expect("the operation succeeds")
    }

    /// As after a restart.
    pub(crate) fn reload(&mut self) {
        let tx = Transaction::new(&self.store);
        self.conversation = Conversation::load(&tx, CONVERSATION).expect("the stored state is whole");
    }

    pub(crate) fn conversation(&self) -> &Conversation {
        self.conversation.as_ref().expect("the person is in the conversation")
    }

    pub(crate) fn create(&mut self, suite: Suite, history: HistoryPolicy) -> Relay {
        let genesis = self.act(|tx, rng, me, conversation| {
            let (created, genesis) = Conversation::create(tx, rng, me, CONVERSATION, suite, history, now())?;
            *conversation = Some(created);
            Ok::<_, ConversationError>(genesis)
        });
        let state = PublicState::create(CONVERSATION, genesis.group_info.as_slice(), genesis.tree.as_slice());
        Relay {
            state: state.expect("the relay takes the group"),
            group_info: genesis.group_info,
            epoch_start: Sequence(0),
            entries: Vec::new(),
            archive: Vec::new(),
        }
    }

    pub(crate) fn key_package(&mut self, suite: Suite) -> VerifiedKeyPackage {
        let (account, device) = (self.me.account(), self.me.device());
        let package =
            self.act(|tx, rng, me, _| key_package::generate(tx, rng, me, suite, 1, now())).remove(0);
        let claimed = ClaimedKeyPackage { device, package, last_resort: false };
        key_package::verify(&claimed, account, suite, now()).expect("a fresh package verifies")
    }

    pub(crate) fn stage(&mut self, change: Change) -> Staged {
        self.act(|tx, rng, me, conversation| {
            conversation.as_mut().expect("a member").stage(tx, rng, me, change, now())
        })
    }

    /// Stages a change and has the relay accept it.
    pub(crate) fn change(&mut self, relay: &mut Relay, change: Change) -> Staged {
        let staged = self.stage(change);
        let entry = relay.commit(&self.me, &staged);
        self.process(&entry);
        staged
    }

    pub(crate) fn join_welcome(
        &mut self,
        relay: &Relay,
        staged: &Staged,
    ) -> Result<Vec<Alert>, ConversationError> {
        let history = HistoryPolicy::SinceJoining;
        self.join_welcome_with(relay, staged, history)
    }

    pub(crate) fn join_welcome_with(
        &mut self,
        relay: &Relay,
        staged: &Staged,
        history: HistoryPolicy,
    ) -> Result<Vec<Alert>, ConversationError> {
        let group = relay.group();
        let welcome = Welcome {
            conversation: CONVERSATION,
            epoch: group.epoch,
            sequence: group.sequence,
            welcome: staged.welcome.clone().expect("somebody was added"),
        };
        self.try_act(|tx, _, me, conversation| {
            let (joined, alerts) = Conversation::join_welcome(tx, me, history, &welcome, &group, now())?;
            *conversation = Some(joined);
            Ok(alerts)
        })
    }

    pub(crate) fn join_external(&mut self, group: &Group, history: HistoryPolicy) -> Staged {
        self.act(|tx, rng, me, conversation| {
            let joining = Conversation::join_external(tx, rng, me, CONVERSATION, history, group, now());
            let (joined, staged) = joining?;
            *conversation = Some(joined);
            Ok::<_, ConversationError>(staged)
        })
    }

    pub(crate) fn encrypt(&mut self, number: u64, content: &Content) -> Encrypted {
        self.act(|tx, rng, me, conversation| {
            let conversation = conversation.as_mut().expect("a member");
            conversation.encrypt(tx, rng, me, MessageNumber(number), content, now())
        })
    }

    /// Says something: the relay has it, the others may process it.
    pub(crate) fn send(&mut self, relay: &mut Relay, content: &Content) -> Entry {
        self.number += 1;
        let number = self.number;
        let encrypted = self.encrypt(number, content);
        let entry = relay.append(&self.me, MessageNumber(number), &encrypted);
        let sequence = entry.sequence;
        self.act(|tx, _, _, conversation| {
            conversation.as_mut().expect("a member").appended(tx, MessageNumber(number), sequence)
        });
        entry
    }

    pub(crate) fn say(&mut self, relay: &mut Relay, text: &str) -> Entry {
        self.send(relay, &Content::text(text))
    }

    pub(crate) fn process(&mut self, entry: &Entry) -> Processed {
        self.try_process(entry).expect("the entry is processed")
    }

    pub(crate) fn try_process(&mut self, entry: &Entry) -> Result<Processed, ConversationError> {
        let processed = self.try_act(|tx, _, me, conversation| {
            conversation.as_mut().expect("in the conversation").process(tx, me, entry, now())
        })?;
        if matches!(processed.outcome, Outcome::Removed(_)) {
            self.conversation = None;
        }
        Ok(processed)
    }

    /// Processes everything that the relay has after the cursor.
    pub(crate) fn catch_up(&mut self, relay: &Relay) -> Vec<Processed> {
        let mut processed = Vec::new();
        while let Some(conversation) = &self.conversation {
            let cursor = conversation.cursor();
            let Some(entry) = relay.entries.iter().find(|entry| entry.sequence > cursor) else { break };
            processed.push(self.process(entry));
        }
        processed
    }
}

impl Relay {
    fn next(&self) -> Sequence {
        Sequence(self.entries.len() as u64 + 1)
    }

    pub(crate) fn group(&self) -> Group {
        Group {
            epoch: self.state.epoch(),
            sequence: self.epoch_start,
            group_info: self.group_info.clone(),
            tree: self.state.export_tree().into(),
            extensions: Extensions::default(),
        }
    }

    pub(crate) fn append(
        &mut self,
        sender: &LocalDevice,
        number: MessageNumber,
        encrypted: &Encrypted,
    ) -> Entry {
        let entry = Entry {
            sequence: self.next(),
            time: now(),
            kind: EntryKind::Application,
            account: sender.account(),
            device: sender.device(),
            number,
            epoch: encrypted.epoch,
            message: encrypted.message.clone(),
        };
        if !encrypted.archive.is_empty() {
            self.archive.push(ArchiveEntry {
                sequence: entry.sequence,
                time: entry.time,
                account: entry.account,
                device: entry.device,
                number,
                epoch: entry.epoch,
                sealed: encrypted.archive.clone(),
            });
        }
        self.entries.push(entry.clone());
        entry
    }

    /// Accepts a commit, after the checks that a real relay makes.
    pub(crate) fn commit(&mut self, sender: &LocalDevice, staged: &Staged) -> Entry {
        let checked =
            self.state.check_commit(staged.commit.as_slice()).expect("the relay accepts the commit");
        checked.check_group_info(staged.group_info.as_slice()).expect("the relay accepts the group info");
        let entry = Entry {
            sequence: self.next(),
            time: now(),
            kind: EntryKind::Commit,
            account: sender.account(),
            device: sender.device(),
            number: MessageNumber(0),
            epoch: self.state.epoch(),
            message: staged.commit.clone(),
        };
        self.state = self.state.apply(checked).expect("nothing came between");
        self.group_info = staged.group_info.clone();
        self.epoch_start = entry.sequence;
        self.entries.push(entry.clone());
        entry
    }

    pub(crate) fn leave(&mut self, sender: &LocalDevice) -> Entry {
        let signature = sender.sign(&leave_bytes(CONVERSATION, sender.account()));
        let entry = Entry {
            sequence: self.next(),
            time: now(),
            kind: EntryKind::Leave,
            account: sender.account(),
            device: sender.device(),
            number: MessageNumber(0),
            epoch: self.state.epoch(),
            message: signature.to_vec().into(),
        };
        self.entries.push(entry.clone());
        entry
    }
}

/// Alice makes a conversation and adds the others.
pub(crate) fn conversation_of(
    suite: Suite,
    history: HistoryPolicy,
    others: &mut [&mut Person],
) -> (Person, Relay) {
    let mut alice = Person::new(1, 1);
    let mut relay = alice.create(suite, history);
    let packages = others.iter_mut().map(|person| person.key_package(suite)).collect();
    let staged = alice.change(&mut relay, Change::Add(packages));
    for person in others {
        person.join_welcome_with(&relay, &staged, history).expect("the person joins");
    }
    (alice, relay)
}

/// What was said, if it was a text.
pub(crate) fn text(processed: &Processed) -> Option<&str> {
    match &processed.outcome {
        Outcome::Content(verified) => match &verified.content {
            Content::Text(text) => Some(&text.body),
            _ => None,
        },
        _ => None,
    }
}
