//! The same through a relay: the real program, real QUIC, key packages by its directory, the Welcome and the
//! tree as it serves them, messages and commits by its log.

use super::member::{ForeignMember, Read, foreign_device};
use anyhow::{Context, Result};
use mls_rs::client_builder::MlsConfig;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{Change, Conversation, Outcome, Suite};
use sotto_e2ee::key_package;
use sotto_e2ee::store::{MemoryStore, Store, Transaction};
use sotto_loadtest::raw::{Device, RawConnection, Relay, now};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::connection::Done;
use sotto_protocol::body::conversation::{
    Create, GetGroup, GetWelcomes, Group, HistoryPolicy, Kind, List, State, States, WelcomeTaken, Welcomes,
    Which,
};
use sotto_protocol::body::directory::{ClaimKeyPackages, KeyPackageStock, KeyPackages, PublishKeyPackages};
use sotto_protocol::body::log::{Append, Appended, Commit};
use sotto_protocol::ids::{ConversationId, Epoch, MessageNumber, Sequence};
use sotto_protocol::payload::Payload;
use sotto_tests::relay_process::{RelayProcess, no_error_was_logged};

/// Our device: e2ee over a store in memory, and a connection.
struct Ours {
    id: ConversationId,
    device: Device,
    connection: RawConnection,
    store: MemoryStore,
    rng: ChaCha20Rng,
    number: MessageNumber,
}

impl Ours {
    fn run<T>(
        &mut self,
        operation: impl FnOnce(&mut Conversation, &Transaction<'_>, &mut ChaCha20Rng, &Device) -> Result<T>,
    ) -> Result<T> {
        let tx = Transaction::new(&self.store);
        let mut conversation = Conversation::load(&tx, self.id)?.context("the conversation is there")?;
        let result = operation(&mut conversation, &tx, &mut self.rng, &self.device)?;
        let batch = tx.into_batch();
        self.store.commit(batch)?;
        Ok(result)
    }

    async fn create(&mut self) -> Result<()> {
        let tx = Transaction::new(&self.store);
        let (me, history) = (self.device.local(), HistoryPolicy::SinceJoining);
        let (_, genesis) =
            Conversation::create(&tx, &mut self.rng, me, self.id, Suite::X25519, history, now())?;
        let batch = tx.into_batch();
        self.store.commit(batch)?;
        let create = Create {
            conversation: self.id,
            kind: Kind::Group,
            history,
            peer: None,
            listed_name: None,
            group_info: genesis.group_info,
            tree: genesis.tree,
            extensions: Extensions::default(),
        };
        let _: State = self.connection.ask(&create).await?;
        Ok(())
    }

    async fn change(&mut self, change: Change) -> Result<()> {
        let staged = self
            .run(|conversation, tx, rng, me| Ok(conversation.stage(tx, rng, me.local(), change, now())?))?;
        let (commit, group_info, welcome) = (staged.commit, staged.group_info, staged.welcome);
        let commit =
            Commit { conversation: self.id, commit, group_info, welcome, extensions: Extensions::default() };
        let accepted: Appended = self.connection.ask(&commit).await?;
        self.run(|conversation, tx, _, _| Ok(conversation.confirm(tx, accepted.sequence)?))?;
        Ok(())
    }

    async fn say(&mut self, text: &str) -> Result<()> {
        self.number = self.number.next();
        let (number, content) = (self.number, Content::text(text));
        let encrypted = self.run(|conversation, tx, rng, me| {
            Ok(conversation.encrypt(tx, rng, me.local(), number, &content, now())?)
        })?;
        let (message, archive) = (encrypted.message, encrypted.archive);
        let append =
            Append { conversation: self.id, number, message, archive, extensions: Extensions::default() };
        let appended: Appended = self.connection.ask(&append).await?;
        self.run(|conversation, tx, _, _| Ok(conversation.appended(tx, number, appended.sequence)?))
    }

    /// The texts that came since the last look.
    async fn hear(&mut self) -> Result<Vec<String>> {
        let cursor = self.run(|conversation, _, _, _| Ok(conversation.cursor()))?;
        let mut texts = Vec::new();
        for entry in self.connection.fetch_all(self.id, cursor).await? {
            let processed = self
                .run(|conversation, tx, _, me| Ok(conversation.process(tx, me.local(), &entry, now())?))?;
            assert_eq!(processed.alerts, []);
            match processed.outcome {
                Outcome::Content(said) => match said.content {
                    Content::Text(text) => texts.push(text.body),
                    other => panic!("no text: {other:?}"),
                },
                Outcome::Commit(_) | Outcome::Own { .. } | Outcome::Known => {}
                other => panic!("entry {}: {other:?}", entry.sequence),
            }
        }
        Ok(texts)
    }
}

/// The foreign device's connection.
struct Theirs<C: MlsConfig> {
    id: ConversationId,
    connection: RawConnection,
    member: ForeignMember<C>,
}

impl<C: MlsConfig> Theirs<C> {
    async fn say(&mut self, text: &str) -> Result<()> {
        let (number, message) = self.member.write(text, now());
        let append = Append {
            conversation: self.id,
            number,
            message: message.clone().into(),
            archive: Payload::default(),
            extensions: Extensions::default(),
        };
        let appended: Appended = self.connection.ask(&append).await?;
        self.member.appended(appended.sequence, number, &message);
        Ok(())
    }

    async fn hear(&mut self) -> Result<Vec<Read>> {
        let entries = self.connection.fetch_all(self.id, self.member.last()).await?;
        entries.iter().map(|entry| Ok(self.member.read(entry)?)).collect()
    }

    async fn refresh(&mut self) -> Result<()> {
        let fresh = self.member.refresh();
        let commit = Commit {
            conversation: self.id,
            commit: fresh.commit.into(),
            group_info: fresh.group_info.into(),
            welcome: None,
            extensions: Extensions::default(),
        };
        let accepted: Appended = self.connection.ask(&commit).await?;
        self.member.committed(accepted.sequence);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mls_rs_takes_part_through_the_relay() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("log");
    let process = RelayProcess::start(&folder.path().join("relay"), &log, &[])?;
    let relay = Relay::from_link(&process.ready.link)?;
    let endpoint = quinn::Endpoint::client((std::net::Ipv4Addr::LOCALHOST, 0).into())?;
    let (mut alice, mut frank) = (relay.account("alice").await?, relay.account("frank").await?);
    let (alice, frank) = (relay.device(&mut alice).await?, relay.device(&mut frank).await?);
    let mut franks = relay.connect(&endpoint, &frank).await?;

    // mls-rs publishes a key package, and we add it.
    let foreign = foreign_device(frank.local());
    let publish = PublishKeyPackages {
        packages: vec![foreign.key_package().into()],
        last_resort: None,
        extensions: Extensions::default(),
    };
    let stock: KeyPackageStock = franks.ask(&publish).await?;
    assert_eq!(stock.count, 1);
    let id = ConversationId([0x42; 16]);
    let connection = relay.connect(&endpoint, &alice).await?;
    let (store, rng) = (MemoryStore::new(), ChaCha20Rng::seed_from_u64(1));
    let mut alice = Ours { id, device: alice, connection, store, rng, number: MessageNumber(0) };
    alice.create().await?;
    let (account, suites) = (frank.local().account(), vec![Suite::X25519.code_point()]);
    let claim = ClaimKeyPackages { account, suites, extensions: Extensions::default() };
    let claimed: KeyPackages = alice.connection.ask(&claim).await?;
    let [claimed] = claimed.packages.as_slice() else { panic!("one device has one package") };
    let package = key_package::verify(claimed, account, Suite::X25519, now())?;
    alice.change(Change::Add(vec![package])).await?;
    alice.say("grüezi mls-rs").await?;

    // It joins with what the relay keeps for it.
    let waiting: Welcomes = franks.ask(&GetWelcomes::default()).await?;
    let [welcome] = waiting.welcomes.as_slice() else { panic!("one Welcome waits") };
    let get = GetGroup { conversation: id, epoch: Some(welcome.epoch), extensions: Extensions::default() };
    let group: Group = franks.ask(&get).await?;
    assert_eq!((group.epoch, group.sequence), (Epoch(1), Sequence(1)));
    let list = List { which: Which::One(id), extensions: Extensions::default() };
    let states: States = franks.ask(&list).await?;
    let history = states.conversations.first().context("a member sees its conversation")?.history;
    let (welcome_bytes, tree) = (welcome.welcome.as_slice(), group.tree.as_slice());
    let member = foreign.join(id, welcome_bytes, tree, welcome.sequence, history);
    let taken = WelcomeTaken { conversation: id, epoch: welcome.epoch, extensions: Extensions::default() };
    let _: Done = franks.ask(&taken).await?;
    let mut frank = Theirs { id, connection: franks, member };

    let from = alice.device.local().account();
    let text = |number, body: &str| Read::Text { from, number: MessageNumber(number), body: body.into() };
    assert_eq!(frank.hear().await?, [text(1, "grüezi mls-rs")]);
    frank.say("hello OpenMLS").await?;
    assert_eq!(alice.hear().await?, ["hello OpenMLS"]);

    // The relay accepts its commit, and both go on in the new epoch.
    frank.refresh().await?;
    frank.say("with fresh keys").await?;
    assert_eq!(alice.hear().await?, ["with fresh keys"]);
    alice.say("heard").await?;
    assert_eq!(frank.hear().await?, [text(2, "heard")]);

    // Removed, it gets the removal and nothing after.
    alice.change(Change::RemoveAccounts(vec![account])).await?;
    alice.say("alone").await?;
    assert_eq!(frank.hear().await?, [Read::Commit { still_member: false }]);
    assert_eq!(frank.hear().await?, []);
    drop((alice, frank));
    process.terminate()?;
    no_error_was_logged(&log)
}
