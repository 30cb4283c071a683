//! An independent implementation of MLS, mls-rs, takes part in a conversation with suite 0x0003.

#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod member;
mod through_relay;

use member::{Read, foreign_device};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{Change, Conversation, Outcome, Suite};
use sotto_e2ee::identity::{AccountIdentity, LocalDevice};
use sotto_e2ee::key_package;
use sotto_e2ee::store::{MemoryStore, Store, Transaction};
use sotto_loadtest::raw::now;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::body::log::{Entry, EntryKind};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence};
use sotto_protocol::payload::Payload;

const CONVERSATION: ConversationId = ConversationId([9; 16]);
const ALICE: (AccountId, DeviceId) = (AccountId([1; 16]), DeviceId([11; 16]));
const FRANK: (AccountId, DeviceId) = (AccountId([2; 16]), DeviceId([22; 16]));

/// Ours, with everything in memory, beside what a relay would keep.
struct Ours {
    me: LocalDevice,
    store: MemoryStore,
    rng: ChaCha20Rng,
    relay: PublicState,
    sequence: Sequence,
}

impl Ours {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let me = AccountIdentity::from_secret(&[1; 32]).issue_device(&mut rng, ALICE.0, ALICE.1, now());
        let mut store = MemoryStore::new();
        let tx = Transaction::new(&store);
        let (_, genesis) =
            Conversation::create(&tx, &mut rng, &me, CONVERSATION, Suite::X25519, HistoryPolicy::None, now())
                .unwrap();
        let batch = tx.into_batch();
        store.commit(batch).unwrap();
        let relay = PublicState::create(CONVERSATION, genesis.group_info.as_slice(), genesis.tree.as_slice())
            .unwrap();
        Self { me, store, rng, relay, sequence: Sequence(0) }
    }

    /// One operation with its commit to the store.
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&mut Conversation, &Transaction<'_>, &mut ChaCha20Rng, &LocalDevice) -> T,
    ) -> T {
        let tx = Transaction::new(&self.store);
        let mut conversation = Conversation::load(&tx, CONVERSATION).unwrap().unwrap();
        let result = operation(&mut conversation, &tx, &mut self.rng, &self.me);
        let batch = tx.into_batch();
        self.store.commit(batch).unwrap();
        result
    }

    /// Commits a change, the relay accepts it; gives the entry and the Welcome.
    fn change(&mut self, change: Change) -> (Entry, Option<Payload>) {
        let staged =
            self.run(|conversation, tx, rng, me| conversation.stage(tx, rng, me, change, now()).unwrap());
        self.relay_takes(staged.commit.as_slice(), staged.group_info.as_slice());
        let entry = self.entry(EntryKind::Commit, ALICE, MessageNumber(0), staged.commit);
        self.run(|conversation, tx, _, _| conversation.confirm(tx, entry.sequence).unwrap());
        (entry, staged.welcome)
    }

    fn relay_takes(&mut self, commit: &[u8], group_info: &[u8]) {
        let checked = self.relay.check_commit(commit).expect("the relay accepts the commit");
        checked.check_group_info(group_info).expect("the relay accepts the group info");
        self.relay = self.relay.apply(checked).unwrap();
    }

    fn entry(
        &mut self,
        kind: EntryKind,
        from: (AccountId, DeviceId),
        number: MessageNumber,
        message: Payload,
    ) -> Entry {
        self.sequence = self.sequence.next();
        let epoch = self.run(|conversation, _, _, _| conversation.epoch());
        let (account, device) = from;
        Entry { sequence: self.sequence, time: now(), kind, account, device, number, epoch, message }
    }

    fn says(&mut self, number: u64, text: &str) -> Entry {
        let (number, content) = (MessageNumber(number), Content::text(text));
        let encrypted = self.run(|conversation, tx, rng, me| {
            conversation.encrypt(tx, rng, me, number, &content, now()).unwrap()
        });
        let entry = self.entry(EntryKind::Application, ALICE, number, encrypted.message);
        self.run(|conversation, tx, _, _| conversation.appended(tx, number, entry.sequence).unwrap());
        entry
    }

    fn hears(&mut self, entry: &Entry) -> Outcome {
        let processed =
            self.run(|conversation, tx, _, me| conversation.process(tx, me, entry, now()).unwrap());
        assert_eq!(processed.alerts, [], "an honest foreign member raises no alarm");
        processed.outcome
    }

    fn hears_text(&mut self, entry: &Entry) -> String {
        match self.hears(entry) {
            Outcome::Content(said) => {
                assert_eq!((said.sender.account, said.sender.device), FRANK);
                match said.content {
                    Content::Text(text) => text.body,
                    other => panic!("no text: {other:?}"),
                }
            }
            other => panic!("no content: {other:?}"),
        }
    }
}

#[test]
fn mls_rs_joins_by_welcome_reads_writes_commits_and_is_removed() {
    let mut alice = Ours::new();
    let identity = AccountIdentity::from_secret(&[2; 32]);
    let frank = foreign_device(&identity.issue_device(&mut alice.rng, FRANK.0, FRANK.1, now()));
    let claimed =
        ClaimedKeyPackage { device: FRANK.1, package: frank.key_package().into(), last_resort: false };
    let package = key_package::verify(&claimed, FRANK.0, Suite::X25519, now()).expect("its package passes");

    let (added, welcome) = alice.change(Change::Add(vec![package]));
    let tree = alice.relay.export_tree();
    let mut frank =
        frank.join(CONVERSATION, welcome.unwrap().as_slice(), &tree, added.sequence, HistoryPolicy::None);
    let same_epoch = |alice: &mut Ours, authenticator: Vec<u8>| {
        alice.run(|conversation, _, _, _| conversation.epoch_authenticator().to_vec()) == authenticator
    };
    assert!(same_epoch(&mut alice, frank.authenticator()));
    let certificates = frank.certificates();
    assert_eq!(certificates.len(), 2);
    assert!(certificates.iter().any(|certificate| (certificate.account(), certificate.device()) == ALICE));

    let entry = alice.says(1, "grüezi mls-rs");
    let text = Read::Text { from: ALICE.0, number: MessageNumber(1), body: "grüezi mls-rs".into() };
    assert_eq!(frank.read(&entry).unwrap(), text);

    let (number, message) = frank.write("hello OpenMLS", now());
    let entry = alice.entry(EntryKind::Application, FRANK, number, message.clone().into());
    frank.appended(entry.sequence, number, &message);
    assert_eq!(alice.hears_text(&entry), "hello OpenMLS");

    // Its commit passes the relay, and begins an epoch for both.
    let fresh = frank.refresh();
    alice.relay_takes(&fresh.commit, &fresh.group_info);
    let entry = alice.entry(EntryKind::Commit, FRANK, MessageNumber(0), fresh.commit.into());
    assert!(matches!(alice.hears(&entry), Outcome::Commit(_)));
    frank.committed(entry.sequence);
    assert_eq!((frank.epoch(), alice.relay.epoch()), (Epoch(2), Epoch(2)));
    assert!(same_epoch(&mut alice, frank.authenticator()));
    let (number, message) = frank.write("after my commit", now());
    let entry = alice.entry(EntryKind::Application, FRANK, number, message.clone().into());
    frank.appended(entry.sequence, number, &message);
    assert_eq!(alice.hears_text(&entry), "after my commit");

    let (removal, _) = alice.change(Change::RemoveAccounts(vec![FRANK.0]));
    assert_eq!(frank.read(&removal).unwrap(), Read::Commit { still_member: false });
    let entry = alice.says(2, "now alone");
    assert!(frank.read(&entry).is_err(), "a removed member reads nothing after");
}
