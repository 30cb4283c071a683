//! Keys that are gone are gone: shown on everything that the store holds.

use super::super::*;
use crate::content::Content;
use crate::store::{MemoryStore, Scan, Store};
use crate::test_people::{CONVERSATION, Person, conversation_of, now, text};
use sotto_protocol::body::log::Entry;
use sotto_protocol::ids::MessageNumber;

/// A thief with a copy of the store: every row of it, at the moment it was taken.
fn steal(person: &Person) -> MemoryStore {
    person.store.clone()
}

/// What the thief can make of an entry, put at the place that the stolen state expects.
fn read_with(store: &MemoryStore, person: &Person, entry: &Entry) -> Outcome {
    let tx = Transaction::new(store);
    let mut conversation = Conversation::load(&tx, CONVERSATION).expect("whole").expect("there");
    let number = prefix::key(prefix::NUMBER, CONVERSATION, entry.device.as_bytes());
    tx.delete(number); // The thief is not held up by our own count of what was read.
    let mut entry = entry.clone();
    entry.sequence = conversation.cursor().next();
    entry.epoch = conversation.epoch();
    conversation.process(&tx, &person.me, &entry, now()).expect("processed").outcome
}

#[test]
fn a_stolen_store_does_not_read_what_was_read_before() {
    for suite in Suite::ALL {
        let mut bob = Person::new(2, 2);
        let (mut alice, mut relay) = conversation_of(suite, HistoryPolicy::None, &mut [&mut bob]);
        let fresh = steal(&bob);
        let entry = alice.say(&mut relay, "for your eyes only");
        // Positive control: before it is read, the store holds the key.
        assert!(matches!(read_with(&fresh, &bob, &entry), Outcome::Content(_)));
        assert_eq!(text(&bob.process(&entry)), Some("for your eyes only"));
        assert_eq!(read_with(&steal(&bob), &bob, &entry), Outcome::Undecryptable(Reason::Replayed));
        // The sender cannot read it either.
        assert!(!matches!(read_with(&steal(&alice), &alice, &entry), Outcome::Content(_)));
    }
}

#[test]
fn keys_of_an_ended_epoch_are_nowhere_in_the_store() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::None, &mut [&mut bob]);
    // An entry that Bob never gets to read in its epoch: its key is unused when the epoch ends.
    let unread = alice.encrypt(1, &Content::text("missed"));
    let old = steal(&bob);
    alice.change(&mut relay, Change::Update);
    bob.catch_up(&relay);
    let entry = relay.append(&alice.me, MessageNumber(1), &unread);
    assert!(matches!(read_with(&old, &bob, &entry), Outcome::Content(_)), "positive control");
    assert_eq!(read_with(&steal(&bob), &bob, &entry), Outcome::Undecryptable(Reason::WrongEpoch));

    // Byte for byte: every secret that the old epoch's rows held is gone from every row of the new store.
    let secrets = secrets_of(&old);
    assert!(secrets.len() >= 8, "positive control: {} secrets found", secrets.len());
    for secret in &secrets {
        let found =
            bob.store.rows().find(|(_, value)| value.windows(secret.len()).any(|window| window == secret));
        assert!(
            found.is_none(),
            "a secret of the ended epoch is still in row {:?}",
            found.map(|(key, _)| key)
        );
    }
}

/// The 32-byte strings in the rows that hold epoch and message secrets. They are found by their shape in MessagePack
/// (an array of 32 numbers), without knowing the library's types.
fn secrets_of(store: &MemoryStore) -> Vec<Vec<u8>> {
    let mut secrets = Vec::new();
    for kind in [10u8, 13] {
        for row in store.scan(&Scan::prefix([prefix::MLS, kind])).expect("memory") {
            let value = row.value.as_slice();
            for start in 0..value.len() {
                if let Some(secret) = array_of_32(&value[start..]) {
                    secrets.push(secret);
                }
            }
        }
    }
    secrets
}

/// The MessagePack of an array of exactly 32 bytes that look random, as it lies in the row.
fn array_of_32(value: &[u8]) -> Option<Vec<u8>> {
    let rest = value.strip_prefix(&[0xdc, 0, 32])?;
    let (mut place, mut large) = (0, 0);
    for _ in 0..32 {
        match rest.get(place)? {
            0..=0x7f => place += 1,
            0xcc => {
                place += 2;
                large += 1;
            }
            _ => return None,
        }
    }
    // A zeroed or public structure is no secret: half of the bytes of a random string are over 127.
    (8..=24).contains(&large).then(|| rest[..place].to_vec())
}

#[test]
fn a_removed_member_reads_nothing_after_and_keeps_no_group_secret() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let before = steal(&bob);
    alice.change(&mut relay, Change::RemoveAccounts(vec![bob.me.account()]));
    let entry = alice.say(&mut relay, "without bob");
    assert_eq!(read_with(&before, &bob, &entry), Outcome::Undecryptable(Reason::WrongEpoch));
    let sealed = relay.archive.last().expect("the policy keeps an archive").clone();
    let opened = crate::archive_keys::open(&Transaction::new(&before), CONVERSATION, &sealed);
    assert!(opened.is_err());
    bob.catch_up(&relay);
    let rows: Vec<_> = bob.store.rows().map(|(key, _)| key[0]).collect();
    assert!(rows.iter().all(|kind| [prefix::PIN, prefix::ARCHIVE_KEY].contains(kind)), "{rows:?}");
}

/// Facts: an old snapshot reuses a generation and receivers refuse it.
#[test]
fn a_device_that_was_put_back_to_an_old_state_is_refused() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let old = alice.store.clone();
    let entry = alice.say(&mut relay, "first");
    bob.process(&entry);
    alice.store = old;
    alice.reload();
    // The same generation again, under the next number.
    let encrypted = alice.encrypt(2, &Content::text("reuses a key"));
    let entry = relay.append(&alice.me, MessageNumber(2), &encrypted);
    assert_eq!(bob.process(&entry).outcome, Outcome::Undecryptable(Reason::Replayed));
}
