//! The index against what it is an index of.

use super::*;
use crate::client::{Client, Setup};
use crate::settings::Settings;
use crate::view::{Line, Origin};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::identity::AccountIdentity;
use sotto_e2ee::identity::recovery::RecoveryKey;
use sotto_e2ee::store::{Batch, MemoryStore, Store as _};
use sotto_protocol::ids::{AccountId, DeviceId, Epoch, MessageNumber};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

struct Home {
    client: Client<MemoryStore>,
    rng: ChaCha20Rng,
    now: UnixMillis,
}

fn conversation(number: u8) -> ConversationId {
    ConversationId([number; 16])
}

fn line(time: u64, text: &str) -> HistoryRow {
    HistoryRow {
        time: UnixMillis(time),
        sent_at: UnixMillis(time),
        account: AccountId([1; 16]),
        device: DeviceId([1; 16]),
        number: MessageNumber(1),
        epoch: Epoch(1),
        line: Line::Text(text.to_owned()),
        origin: Origin::Message,
    }
}

impl Home {
    fn new() -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(7);
        let identity = AccountIdentity::generate(&mut rng);
        let device = identity.issue_device(&mut rng, AccountId([1; 16]), DeviceId([1; 16]), NOW);
        let setup = Setup {
            username: "alice".to_owned(),
            device,
            identity,
            recovery: RecoveryKey::generate(&mut rng),
            archive_keys: Default::default(),
        };
        let client = Client::create(MemoryStore::new(), setup, Settings::default(), NOW).unwrap();
        Self { client, rng, now: NOW }
    }

    /// One input that writes (or deletes) history rows.
    fn write(&mut self, rows: &[(u8, u64, Option<HistoryRow>)]) {
        let done = self.client.input(self.now, &mut self.rng, |_, ctx| {
            for (number, sequence, row) in rows {
                let key = rows::history_key(conversation(*number), Sequence(*sequence));
                match row {
                    Some(row) => rows::put(ctx.tx, key, row),
                    None => ctx.tx.delete(key),
                }
            }
            Ok(())
        });
        assert!(done);
    }

    /// Lets time pass until nothing of the index is due any more.
    fn settle(&mut self) {
        while let Some(due) = self.client.poll_timeout().filter(|due| due.0 <= NOW.0 + 1_000_000) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now, &mut self.rng);
            while self.client.poll_output().is_some() {}
        }
        assert!(self.client.search_is_complete());
    }

    fn reopen(self) -> Self {
        let client = Client::open(self.client.into_store(), Settings::default(), self.now).unwrap();
        Self { client, ..self }
    }

    fn finds(&self, words: &str) -> Vec<(u8, u64)> {
        self.finds_in(words, None, None, 1_000)
    }

    fn finds_in(
        &self,
        words: &str,
        only: Option<u8>,
        before: Option<SearchPlace>,
        limit: usize,
    ) -> Vec<(u8, u64)> {
        let query =
            SearchQuery { words: words.to_owned(), conversation: only.map(conversation), before, limit };
        let hits = self.client.search(&query).unwrap();
        hits.iter().map(|hit| (hit.conversation.0[0], hit.sequence.0)).collect()
    }

    fn packs(&self) -> Vec<Vec<u8>> {
        self.client.store().keys(&[PACK]).unwrap()
    }
}

#[test]
fn a_line_is_found_at_once_and_after_it_went_into_its_pack_and_after_a_restart() {
    let mut home = Home::new();
    home.settle();
    home.write(&[(1, 5, Some(line(10, "the quick brown fox"))), (2, 9, Some(line(20, "a quick answer")))]);
    assert_eq!(home.finds("quick"), [(2, 9), (1, 5)], "the newest first");
    assert!(home.packs().is_empty(), "it waits for more");
    let mut home = home.reopen();
    assert!(!home.client.search_is_complete(), "and is not forgotten");
    home.settle();
    assert_eq!(home.packs().len(), 2);
    assert_eq!(home.finds("QUI"), [(2, 9), (1, 5)]);
    assert_eq!(home.finds("quick fox"), [(1, 5)]);
    assert_eq!(home.finds_in("quick", Some(2), None, 9), [(2, 9)]);
    assert_eq!(home.reopen().finds("quick"), [(2, 9), (1, 5)]);
}

#[test]
fn a_line_that_was_edited_or_deleted_is_out_of_its_pack_in_the_same_commit() {
    let mut home = Home::new();
    home.write(&[
        (1, 1, Some(line(1, "secret one"))),
        (1, 2, Some(line(2, "secret two"))),
        (1, 3, Some(line(3, "x"))),
    ]);
    home.settle();
    home.write(&[(1, 1, None), (1, 2, Some(line(2, "harmless")))]);
    assert_eq!(home.finds("secret"), []);
    let key = home.packs().remove(0);
    let pack = home.client.store().get(&key).unwrap().unwrap();
    assert!(!String::from_utf8_lossy(&pack).contains("secret"), "the words are gone from the store");
    assert_eq!(home.finds("harmless"), [(1, 2)]);
    home.settle();
    assert_eq!(home.finds("harmless"), [(1, 2)]);
    home.write(&[(1, 2, None), (1, 3, None)]);
    assert!(home.packs().is_empty());
}

#[test]
fn a_store_of_before_is_indexed_in_steps_and_a_damaged_pack_is_made_again() {
    let mut home = Home::new();
    let lines: Vec<_> = (0..3_000).map(|at| (1, at, Some(line(at, &format!("word{at} common"))))).collect();
    home.write(&lines);
    assert!(!home.client.search_is_complete());
    home.client.handle_timeout(home.now, &mut home.rng);
    assert_eq!(home.packs().len(), 0, "the first step only says what is to do");
    home.client.handle_timeout(home.now, &mut home.rng);
    assert_eq!(home.packs().len(), 1);
    home.settle();
    assert_eq!(home.packs().len(), 3);
    assert_eq!(home.finds("word2999"), [(1, 2_999)]);
    assert_eq!(home.finds("common").len(), 1_000);

    let key = home.packs().remove(1);
    let mut batch = Batch::default();
    batch.changes.insert(key, Some(vec![9; 40].into()));
    home.client.store_mut().commit(batch).unwrap();
    let mut home = home.reopen();
    assert_eq!(home.finds("word1500"), [(1, 1_500)], "the history itself is read instead");
    home.settle();
    let key = home.packs().remove(1);
    assert!(home.client.store().get(&key).unwrap().unwrap().len() > 40);
    assert_eq!(home.finds("word1500"), [(1, 1_500)]);

    let mut batch = Batch::default();
    home.packs().into_iter().chain([vec![STATE]]).for_each(|key| drop(batch.changes.insert(key, None)));
    home.client.store_mut().commit(batch).unwrap();
    let mut home = home.reopen();
    home.settle();
    assert_eq!(home.finds("word1500"), [(1, 1_500)]);
}

#[test]
fn a_line_with_very_many_words_is_found_by_each_of_them() {
    let mut home = Home::new();
    let text: String = (0..5_000).map(|at| format!("w{at}x ")).collect();
    home.write(&[(1, 1, Some(line(1, &text)))]);
    home.settle();
    assert_eq!(home.finds("w4999x"), [(1, 1)]);
    assert_eq!(home.finds("w5000x"), []);
}

#[test]
fn what_a_question_has_opened_is_opened_again_after_it_changed() {
    let mut home = Home::new();
    home.write(&[
        (1, 1, Some(line(1, "apple"))),
        (1, 2_000, Some(line(2, "apple"))),
        (2, 5, Some(line(3, "apple"))),
    ]);
    home.settle();
    assert_eq!(home.finds("apple"), [(2, 5), (1, 2_000), (1, 1)]);
    home.write(&[(1, 2_000, Some(line(2, "pear"))), (2, 5, None)]);
    assert_eq!(home.finds("apple"), [(1, 1)]);
    home.settle();
    assert_eq!(home.finds("apple"), [(1, 1)]);
    assert_eq!(home.finds("pear"), [(1, 2_000)]);
    assert_eq!(home.finds_in("apple", Some(2), None, 9), []);
}

const VOCABULARY: [&str; 7] = ["apple", "Apples", "pear", "plum pear", "", "äpfel!", "42"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_search_finds_what_reading_everything_finds(
        inputs in proptest::collection::vec(
            (proptest::collection::vec((1u8..4, 0u64..2_500, 0u64..50, proptest::option::weighted(0.8, 0usize..49)), 0..12), 0u8..6),
            0..30,
        ),
        question in proptest::sample::select(vec!["app", "apple", "pear plum", "äpfel", "4", "nothing", "p"]),
        only in proptest::option::of(1u8..4),
        limit in 1usize..20,
    ) {
        let mut home = Home::new();
        let mut model: BTreeMap<(u8, u64), (u64, String)> = BTreeMap::new();
        for (changes, then) in inputs {
            let mut rows = Vec::new();
            for (number, sequence, time, text) in changes {
                let text = text.map(|text| format!("{} {}", VOCABULARY[text % 7], VOCABULARY[text / 7]));
                match &text {
                    Some(text) => drop(model.insert((number, sequence), (time, text.clone()))),
                    None => drop(model.remove(&(number, sequence))),
                }
                rows.push((number, sequence, text.map(|text| line(time, &text))));
            }
            home.write(&rows);
            match then {
                0 => home = home.reopen(),
                1 | 2 => home.settle(),
                _ => {}
            }
        }
        // Whatever is left of a restart is done first; new lines may still wait.
        while !home.client.search_is_complete() {
            home.client.handle_timeout(home.now, &mut home.rng);
        }
        let wanted = Wanted::new(question);
        let mut expected: Vec<(u64, u8, u64)> = model
            .iter()
            .filter(|((number, _), (_, text))| only.is_none_or(|only| only == *number) && wanted.marks(text).is_some())
            .map(|((number, sequence), (time, _))| (*time, *number, *sequence))
            .collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        let mut pages = Vec::new();
        let mut before = None;
        loop {
            let page = home.finds_in(question, only, before, limit);
            let Some((number, sequence)) = page.last().copied() else { break };
            let time = UnixMillis(model[&(number, sequence)].0);
            before = Some(SearchPlace { time, conversation: conversation(number), sequence: Sequence(sequence) });
            pages.extend(page);
        }
        let expected: Vec<_> = expected.into_iter().map(|(_, number, sequence)| (number, sequence)).collect();
        prop_assert_eq!(pages, expected);
    }
}
