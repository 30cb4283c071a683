//! A conversation in four steps: somebody offers a key package, a host makes a group and says something, the newcomer joins,
//! reads and answers, the host reads the answer. Between the steps everything is bytes.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::Deserialize;
use serde_json::{Value, json};
use sotto_e2ee::content::Content;
use sotto_e2ee::conversation::{Change, Conversation, Encrypted, Outcome, Processed};
use sotto_e2ee::identity::{AccountIdentity, LocalDevice};
use sotto_e2ee::key_package;
use sotto_e2ee::store::{Batch, MemoryStore, Store as _, Transaction};
use sotto_mls::public_state::PublicState;
use sotto_mls::suite::Suite;
use sotto_protocol::body::Extensions;
use sotto_protocol::body::conversation::{Group, HistoryPolicy, Welcome};
use sotto_protocol::body::directory::ClaimedKeyPackage;
use sotto_protocol::body::log::{Entry, EntryKind};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};
use zeroize::Zeroizing;

const CONVERSATION: ConversationId = ConversationId([7; 16]);

type Step = Result<Value, String>;

/// Any error of a step, in words.
fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn input<'a, T: Deserialize<'a>>(value: &'a Value) -> Result<T, String> {
    T::deserialize(value).map_err(words)
}

fn suite(name: &str) -> Result<Suite, String> {
    Suite::ALL.into_iter().find(|suite| suite.name() == name).ok_or_else(|| format!("{name} is no suite"))
}

fn device(account: u8) -> LocalDevice {
    let mut rng = ChaCha20Rng::seed_from_u64(u64::from(account));
    let identity = AccountIdentity::from_secret(&[account; 32]);
    identity.issue_device(&mut rng, AccountId([account; 16]), DeviceId([account; 16]), UnixMillis(1))
}

/// Rows of a store as text.
fn rows(store: &MemoryStore) -> Value {
    store.rows().map(|(key, value)| json!([HEXLOWER.encode(key), HEXLOWER.encode(value)])).collect()
}

fn store(rows: &[(String, String)]) -> Result<MemoryStore, String> {
    let mut store = MemoryStore::new();
    let mut batch = Batch::default();
    for (key, value) in rows {
        let value = Zeroizing::new(bytes(value)?);
        batch.changes.insert(bytes(key)?, Some(value));
    }
    store.commit(batch).map_err(words)?;
    Ok(store)
}

fn bytes(hex: &str) -> Result<Vec<u8>, String> {
    HEXLOWER.decode(hex.as_bytes()).map_err(words)
}

fn encoded(body: &impl bincode::Encode) -> Result<String, String> {
    let bytes = bincode::encode_to_vec(body, bincode::config::standard()).map_err(words)?;
    Ok(HEXLOWER.encode(&bytes))
}

fn decoded<T: bincode::Decode<Bytes>>(hex: &str) -> Result<T, String> {
    let limited = bincode::config::standard().with_limit::<{ 4 * 1024 * 1024 }>();
    let bytes = Bytes::from(bytes(hex)?);
    let decoded = bincode::decode_from_slice_with_context::<Bytes, T, _>(&bytes, limited, bytes.clone());
    decoded.map(|(body, _)| body).map_err(words)
}

/// One operation on a store: all of it, or nothing.
fn act<T, E: std::fmt::Display>(
    store: &mut MemoryStore,
    operation: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
) -> Result<T, String> {
    let tx = Transaction::new(store);
    let done = operation(&tx).map_err(words)?;
    let batch = tx.into_batch();
    store.commit(batch).map_err(words)?;
    Ok(done)
}

fn said(processed: &Processed) -> Result<&str, String> {
    match &processed.outcome {
        Outcome::Content(verified) => match &verified.content {
            Content::Text(text) => Ok(&text.body),
            other => Err(format!("this is no text: {other:?}")),
        },
        other => Err(format!("this is no content: {other:?}")),
    }
}

fn entry(sequence: u64, sender: &LocalDevice, number: u64, encrypted: &Encrypted, now: u64) -> Entry {
    Entry {
        sequence: Sequence(sequence),
        time: UnixMillis(now),
        kind: EntryKind::Application,
        account: sender.account(),
        device: sender.device(),
        number: MessageNumber(number),
        epoch: encrypted.epoch,
        message: encrypted.message.clone(),
    }
}

#[derive(Deserialize)]
struct Newcomer {
    suite: String,
    now: u64,
}

/// `{suite, now}` to `{rows, package}`.
pub(crate) fn newcomer(given: &Value) -> Step {
    let given: Newcomer = input(given)?;
    let suite = suite(&given.suite)?;
    let (bob, mut store) = (device(2), MemoryStore::new());
    let mut rng = ChaCha20Rng::seed_from_u64(given.now);
    let packages =
        act(&mut store, |tx| key_package::generate(tx, &mut rng, &bob, suite, 1, UnixMillis(given.now)))?;
    let package = packages.into_iter().next().ok_or("no key package was made")?;
    let package = ClaimedKeyPackage { device: bob.device(), package, last_resort: false };
    Ok(json!({ "rows": rows(&store), "package": encoded(&package)? }))
}

#[derive(Deserialize)]
struct Host {
    suite: String,
    now: u64,
    package: String,
    text: String,
}

/// `{suite, now, package, text}` to `{rows, group, welcome, entry}`.
pub(crate) fn host(given: &Value) -> Step {
    let given: Host = input(given)?;
    let (suite, now) = (suite(&given.suite)?, UnixMillis(given.now));
    let (alice, mut store) = (device(1), MemoryStore::new());
    let mut rng = ChaCha20Rng::seed_from_u64(given.now.wrapping_add(1));
    let claimed: ClaimedKeyPackage = decoded(&given.package)?;
    let package = key_package::verify(&claimed, AccountId([2; 16]), suite, now).map_err(words)?;
    let history = HistoryPolicy::SinceJoining;
    let (mut conversation, genesis) =
        act(&mut store, |tx| Conversation::create(tx, &mut rng, &alice, CONVERSATION, suite, history, now))?;
    let state = PublicState::create(CONVERSATION, genesis.group_info.as_slice(), genesis.tree.as_slice())
        .map_err(words)?;
    let staged =
        act(&mut store, |tx| conversation.stage(tx, &mut rng, &alice, Change::Add(vec![package]), now))?;
    let checked = state.check_commit(staged.commit.as_slice()).map_err(words)?;
    let commit = Entry {
        sequence: Sequence(1),
        time: now,
        kind: EntryKind::Commit,
        account: alice.account(),
        device: alice.device(),
        number: MessageNumber(0),
        epoch: state.epoch(),
        message: staged.commit.clone(),
    };
    let state = state.apply(checked).map_err(words)?;
    act(&mut store, |tx| conversation.process(tx, &alice, &commit, now))?;
    let group = Group {
        epoch: state.epoch(),
        sequence: Sequence(1),
        group_info: staged.group_info.clone(),
        tree: state.export_tree().into(),
        extensions: Extensions::default(),
    };
    let welcome = Welcome {
        conversation: CONVERSATION,
        epoch: group.epoch,
        sequence: group.sequence,
        welcome: staged.welcome.ok_or("nobody was welcomed")?,
    };
    let number = MessageNumber(1);
    let content = Content::text(&given.text);
    let encrypted = act(&mut store, |tx| conversation.encrypt(tx, &mut rng, &alice, number, &content, now))?;
    act(&mut store, |tx| conversation.appended(tx, number, Sequence(2)))?;
    Ok(json!({
        "rows": rows(&store),
        "group": encoded(&group)?,
        "welcome": encoded(&welcome)?,
        "entry": encoded(&entry(2, &alice, 1, &encrypted, given.now))?,
    }))
}

#[derive(Deserialize)]
struct Join {
    now: u64,
    rows: Vec<(String, String)>,
    group: String,
    welcome: String,
    entry: String,
    text: String,
}

/// `{now, rows, group, welcome, entry, text}` to `{read, entry}`.
pub(crate) fn join(given: &Value) -> Step {
    let given: Join = input(given)?;
    let now = UnixMillis(given.now);
    let (bob, mut store) = (device(2), store(&given.rows)?);
    let (group, welcome): (Group, Welcome) = (decoded(&given.group)?, decoded(&given.welcome)?);
    let (mut conversation, _) = act(&mut store, |tx| {
        Conversation::join_welcome(tx, &bob, HistoryPolicy::SinceJoining, &welcome, &group, now)
    })?;
    let heard: Entry = decoded(&given.entry)?;
    let processed = act(&mut store, |tx| conversation.process(tx, &bob, &heard, now))?;
    let read = said(&processed)?.to_owned();
    let mut rng = ChaCha20Rng::seed_from_u64(given.now.wrapping_add(2));
    let (number, content) = (MessageNumber(1), Content::text(&given.text));
    let encrypted = act(&mut store, |tx| conversation.encrypt(tx, &mut rng, &bob, number, &content, now))?;
    Ok(json!({ "read": read, "entry": encoded(&entry(3, &bob, 1, &encrypted, given.now))? }))
}

#[derive(Deserialize)]
struct Hear {
    now: u64,
    rows: Vec<(String, String)>,
    entry: String,
}

/// `{now, rows, entry}` to `{read}`.
pub(crate) fn hear(given: &Value) -> Step {
    let given: Hear = input(given)?;
    let (alice, mut store) = (device(1), store(&given.rows)?);
    let mut conversation = Conversation::load(&Transaction::new(&store), CONVERSATION)
        .map_err(words)?
        .ok_or("the conversation is not in the rows")?;
    let entry: Entry = decoded(&given.entry)?;
    let processed = act(&mut store, |tx| conversation.process(tx, &alice, &entry, UnixMillis(given.now)))?;
    Ok(json!({ "read": said(&processed)? }))
}
