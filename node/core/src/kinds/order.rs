//! Whatever the order in which entries of one log come, what is shown is the same.

use super::expiry;
use super::marks::{self, Edited, Mark, Said, Toggle};
use super::settle::{self, AboutRow, Scene};
use crate::rows::{self, HistoryRow};
use crate::view::{Line, Origin};
use proptest::prelude::*;
use sotto_e2ee::content::Text;
use sotto_e2ee::store::{MemoryStore, Store as _, Transaction};
use sotto_protocol::body::conversation::{Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Epoch, MessageNumber, Sequence, UnixMillis};

const HERE: ConversationId = ConversationId([9; 16]);
const ACCOUNTS: u8 = 4;
const ROLES: [(AccountId, Role); 2] = [(account(0), Role::Owner), (account(1), Role::Member)];

const fn account(n: u8) -> AccountId {
    AccountId([n; 16])
}

#[derive(Debug, Clone)]
enum Entry {
    Text,
    About(u64, Mark),
}

/// A log: texts, and words about places in it, the ones to come and the ones that are no text among them.
fn log() -> impl Strategy<Value = Vec<(u8, Entry)>> {
    let mark = prop_oneof![
        "[a-z]{1,3}"
            .prop_map(|body| { Mark::Edit(Edited { text: Some(Text::plain(body)), expires_at: None }) }),
        Just(Mark::Delete),
        (0..3_u8, any::<bool>()).prop_map(|(n, on)| Mark::React(Toggle { emoji: n.to_string(), on })),
        any::<bool>().prop_map(Mark::Pin),
    ];
    let entry = prop_oneof![2 => Just(Entry::Text), 5 => (1..20_u64, mark).prop_map(|(at, mark)| Entry::About(at, mark))];
    proptest::collection::vec((0..ACCOUNTS, entry), 1..30)
}

fn said(sequence: u64, by: u8) -> Said {
    Said {
        sequence: Sequence(sequence),
        time: UnixMillis(sequence),
        sent_at: UnixMillis(sequence),
        device: DeviceId([by; 16]),
        number: MessageNumber(sequence),
        epoch: Epoch(1),
    }
}

fn text_row(sequence: u64, by: u8) -> HistoryRow {
    HistoryRow {
        time: UnixMillis(sequence),
        sent_at: UnixMillis(sequence),
        account: account(by),
        device: DeviceId([by; 16]),
        number: MessageNumber(sequence),
        epoch: Epoch(1),
        line: Line::Text(format!("text {sequence}")),
        origin: Origin::Message,
    }
}

/// Takes entries in an order; gives every row that is left, each commit by itself.
fn shown(kind: Kind, log: &[(u64, u8, Entry)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut store = MemoryStore::new();
    for (sequence, by, entry) in log {
        let tx = Transaction::new(&store);
        let scene = Scene { id: HERE, kind, roles: &ROLES, roles_are_fresh: true };
        match entry {
            Entry::Text => {
                let row = text_row(*sequence, *by);
                rows::put(&tx, rows::history_key(HERE, Sequence(*sequence)), &row);
                settle::arrive(&tx, scene, Sequence(*sequence), row, &AboutRow::default()).expect("memory");
            }
            Entry::About(target, mark) => {
                let said = said(*sequence, *by);
                settle::take(&tx, scene, account(*by), Sequence(*target), said, mark.clone())
                    .expect("memory");
            }
        }
        let batch = tx.into_batch();
        store.commit(batch).expect("memory");
    }
    store.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
}

fn numbered(log: Vec<(u8, Entry)>) -> Vec<(u64, u8, Entry)> {
    (1..).zip(log).map(|(sequence, (by, entry))| (sequence, by, entry)).collect()
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Direct), Just(Kind::Group), Just(Kind::Room)]
}

proptest! {
    #[test]
    fn any_order_of_the_same_entries_shows_the_same(
        kind in kinds(),
        log in log(),
        salt in any::<u64>(),
    ) {
        let log = numbered(log);
        let expected = shown(kind, &log);
        let backwards: Vec<_> = log.iter().rev().cloned().collect();
        prop_assert_eq!(&shown(kind, &backwards), &expected);
        let mut mixed = log.clone();
        mixed.sort_by_key(|(sequence, ..)| sequence.wrapping_mul(salt | 1).rotate_left(23));
        prop_assert_eq!(&shown(kind, &mixed), &expected);
        // Read a second time from the archive, a word changes nothing.
        let mut twice = mixed;
        twice.extend(log.into_iter().filter(|(.., entry)| matches!(entry, Entry::About(..))));
        prop_assert_eq!(&shown(kind, &twice), &expected);
    }

    #[test]
    fn nobody_without_the_right_changes_the_text_of_another(log in log(), kind in kinds()) {
        let log = numbered(log);
        let rows = shown(kind, &log);
        for (sequence, by, _) in log.iter().filter(|(.., entry)| matches!(entry, Entry::Text)) {
            let key = rows::history_key(HERE, Sequence(*sequence));
            let value = rows.iter().find(|(known, _)| *known == key).map(|(_, value)| value).expect("a line");
            let line: HistoryRow = rows::decode(value).expect("a row");
            let may = |other: u8| other == *by || (kind != Kind::Direct && other == 0);
            let about = |wanted: fn(&Mark) -> bool, who: &dyn Fn(u8) -> bool| {
                log.iter().any(|(_, other, entry)| match entry {
                    Entry::About(target, mark) => target == sequence && wanted(mark) && who(*other),
                    Entry::Text => false,
                })
            };
            let deleted = about(|mark| matches!(mark, Mark::Delete), &may);
            let edited = about(|mark| matches!(mark, Mark::Edit(_)), &|other| other == *by);
            prop_assert_eq!(matches!(line.line, Line::Deleted { .. }), deleted);
            if !deleted && !edited {
                prop_assert_eq!(line.line, Line::Text(format!("text {sequence}")));
            }
        }
    }
}

/// Every byte that the store holds.
fn bytes(store: &MemoryStore) -> Vec<u8> {
    store.rows().flat_map(|(key, value)| [key.to_vec(), value.to_vec()].concat()).collect()
}

#[test]
fn nothing_is_left_of_a_text_that_was_deleted_or_has_expired() {
    for expires in [false, true] {
        let mut store = MemoryStore::new();
        let scene = Scene { id: HERE, kind: Kind::Direct, roles: &[], roles_are_fresh: true };
        let tx = Transaction::new(&store);
        let mut row = text_row(1, 1);
        row.line = Line::Text("first secret".to_owned());
        let about = AboutRow { expires_at: expires.then_some(UnixMillis(500)), ..AboutRow::default() };
        rows::put(&tx, rows::history_key(HERE, Sequence(1)), &row);
        settle::arrive(&tx, scene, Sequence(1), row, &about).expect("memory");
        let text = Some(Text::plain("second secret"));
        let edit = Mark::Edit(Edited { text, expires_at: about.expires_at });
        settle::take(&tx, scene, account(1), Sequence(1), said(2, 1), edit).expect("memory");
        let pin = Mark::Pin(true);
        settle::take(&tx, scene, account(2), Sequence(1), said(3, 2), pin).expect("memory");
        let batch = tx.into_batch();
        store.commit(batch).expect("memory");
        let holds =
            |store: &MemoryStore, word: &str| bytes(store).windows(word.len()).any(|w| w == word.as_bytes());
        assert!(!holds(&store, "first secret") && holds(&store, "second secret"), "an edit replaces");
        let tx = Transaction::new(&store);
        if expires {
            let due = expiry::take_due(&tx, UnixMillis(500)).expect("memory");
            assert_eq!(due, [(HERE, Sequence(1))]);
            assert!(settle::expire(&tx, HERE, Sequence(1), UnixMillis(500)).expect("memory").is_some());
        } else {
            settle::take(&tx, scene, account(1), Sequence(1), said(4, 1), Mark::Delete).expect("memory");
        }
        assert_eq!(settle::pins(&tx, HERE, 9), Ok(vec![]));
        assert_eq!(marks::all(&tx, HERE, Sequence(1)).expect("memory").len(), usize::from(!expires));
        let batch = tx.into_batch();
        store.commit(batch).expect("memory");
        assert!(!holds(&store, "secret"));
    }
}
