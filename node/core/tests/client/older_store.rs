//! Stores that another version of this program wrote. The bytes are written by hand: they lie on people's disks.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_e2ee::store::{Batch, MemoryStore, Store as _};
use sotto_node_core::client::{Client, OpenError, Setup};
use sotto_node_core::command::ArchiveKeys;
use sotto_node_core::settings::Settings;
use sotto_node_core::view::{Line, Origin, Standing};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const ME: [u8; 16] = [7; 16];
const BOB: [u8; 16] = [8; 16];
const HERE: [u8; 16] = [9; 16];

/// `NOW` as the rows have it: 253, then eight bytes.
const NOW_BYTES: [u8; 9] = [0xfd, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00];

/// A store in which nothing has happened yet.
fn new_store() -> MemoryStore {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let identity = AccountIdentity::generate(&mut rng);
    let device = identity.issue_device(&mut rng, AccountId(ME), DeviceId([1; 16]), NOW);
    let recovery = RecoveryKey::generate(&mut rng);
    let archive_keys = ArchiveKeys::default();
    let setup = Setup { username: "me".into(), device, identity, recovery, archive_keys };
    let client = Client::create(MemoryStore::new(), setup, Settings::default(), NOW).expect("an empty store");
    client.into_store()
}

fn put(store: &mut MemoryStore, key: Vec<u8>, value: Vec<u8>) {
    let mut batch = Batch::default();
    batch.changes.insert(key, Some(value.into()));
    store.commit(batch).expect("memory");
}

fn format(store: &MemoryStore) -> u8 {
    store
        .rows()
        .find(|(key, _)| *key == [0x40])
        .and_then(|(_, value)| value.first().copied())
        .expect("a first row")
}

fn set_format(store: &mut MemoryStore, format: u8) {
    let mut meta = store.get(&[0x40]).expect("memory").expect("a first row").to_vec();
    meta[0] = format;
    put(store, vec![0x40], meta);
}

fn key(prefix: u8, number: u64) -> Vec<u8> {
    [&[prefix][..], &HERE, &number.to_be_bytes()].concat()
}

/// A line as format 1 wrote it: time, sent at, account, device, number, epoch, what, origin.
fn line(account: [u8; 16], number: u8, what: &[u8], origin: u8) -> Vec<u8> {
    [&NOW_BYTES[..], &NOW_BYTES, &account, &[2; 16], &[number, 3], what, &[origin]].concat()
}

fn format_1() -> MemoryStore {
    let mut store = new_store();
    set_format(&mut store, 1);
    let conversation = [
        &[1, 1, 0, 8][..], // a group, history since joining, not listed, a name of eight bytes
        b"the band",
        &[0, 1, 1, 1], // no peer, a member; it joins, and waits
        &NOW_BYTES,    // until then
        &[3, 2],       // queued up to 3, acknowledged up to 2
        &[2],
        &ME,
        &[2],
        &BOB,
        &[0],          // two roles: owner, member
        &[4, 6, 1],    // read up to 4, the last line is 6, one unread
        &[0, 0, 0, 0], // nothing staged, nobody leaving, nothing to read back, no keys asked
        &NOW_BYTES,
    ]
    .concat();
    put(&mut store, [&[0x41][..], &HERE].concat(), conversation);
    let lines = [
        (1, line(ME, 1, b"\x01\x08the band", 3)),
        (2, line(ME, 0, &[&[2, 1][..], &BOB].concat(), 0)),
        (3, line(BOB, 1, b"\x00\x05hello", 0)),
        (4, line(ME, 2, b"\x00\x08hi, @bob", 3)),
        (5, line(BOB, 2, b"\x06\x03why", 0)),
        (6, line(BOB, 3, b"\x07", 1)),
    ];
    for (sequence, row) in lines {
        put(&mut store, key(0x44, sequence), row);
    }
    // A text that waits: queued then, never encrypted.
    let waiting = [&b"\x00\x07waiting"[..], &NOW_BYTES, &[0, 0]].concat();
    put(&mut store, key(0x42, 3), waiting);
    store
}

#[test]
fn a_store_of_format_1_is_brought_up_and_has_all_that_it_had() {
    let client = Client::open(format_1(), Settings::default(), NOW).expect("an older store");
    let id = ConversationId(HERE);
    let view = client.conversation(id).expect("memory").expect("it was there");
    assert_eq!((view.name.as_str(), view.standing, view.unread), ("the band", Standing::Member, 1));
    assert_eq!((view.timer, view.pins), (None, vec![]));
    let lines = client.history(id, None, 100).expect("memory");
    let what: Vec<(Sequence, Line)> = lines.iter().map(|line| (line.sequence, line.line.clone())).collect();
    let expected = [
        Line::Named("the band".into()),
        Line::Added(vec![AccountId(BOB)]),
        Line::Text("hello".into()),
        Line::Text("hi, @bob".into()),
        Line::Missing("why".into()),
        Line::Unknown,
    ];
    assert_eq!(what, (1..).map(Sequence).zip(expected).collect::<Vec<_>>());
    assert_eq!((lines[3].own, lines[3].origin, lines[3].time), (true, Origin::Own, NOW));
    assert!(lines[3].reply.is_none() && lines[3].reactions.is_empty() && lines[3].expires_at.is_none());
    let queued = client.outbox(id).expect("memory");
    assert_eq!(queued.len(), 1);
    assert_eq!((queued[0].number, queued[0].text.as_deref()), (MessageNumber(3), Some("waiting")));
    let store = client.into_store();
    assert_eq!(format(&store), format(&new_store()), "it is a store of this version now");
    Client::open(store, Settings::default(), NOW).expect("and opens again");
}

#[test]
fn a_store_of_a_newer_format_is_refused_and_not_touched() {
    let mut store = new_store();
    let newer = format(&store) + 1;
    set_format(&mut store, newer);
    let refused = Client::open(store.clone(), Settings::default(), NOW).err();
    assert!(matches!(refused, Some(OpenError::Newer(found)) if found == u32::from(newer)));
    assert_eq!(format(&store), newer);
}
