//! What the store promises: the contract of `sotto_e2ee::store`, nothing readable on disk, nothing deleted on
//! disk, and a clear word about every kind of damage.

use super::*;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use zeroize::Zeroizing;

struct Home {
    folder: tempfile::TempDir,
    key: StoreKey,
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), key: StoreKey::random(&mut rand::rng()) }
    }

    fn profile(&self) -> Profile {
        Profile::new(self.folder.path(), "default").expect("a good name")
    }

    fn create(&self) -> SqliteStore {
        let profile = self.profile();
        SqliteStore::create(&profile, profile.lock().expect("free"), &self.key).expect("a new store")
    }

    fn open_with(&self, key: &StoreKey) -> Result<SqliteStore, OpenError> {
        let profile = self.profile();
        SqliteStore::open(&profile, profile.lock()?, key)
    }

    fn open(&self) -> Result<SqliteStore, OpenError> {
        self.open_with(&self.key)
    }

    /// Every byte of every file of the profile.
    fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.profile().folder()).expect("it is there") {
            all.extend(std::fs::read(entry.expect("an entry").path()).expect("readable"));
        }
        all
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn put(key: &[u8], value: &[u8]) -> Batch {
    Batch { changes: [(key.to_vec(), Some(Zeroizing::new(value.to_vec())))].into() }
}

fn delete(key: &[u8]) -> Batch {
    Batch { changes: [(key.to_vec(), None)].into() }
}

fn sealed_value(store: &SqliteStore, key: &[u8]) -> Vec<u8> {
    store
        .connection
        .query_row("SELECT value FROM rows WHERE key = ?1", [key], |row| row.get(0))
        .expect("the row is there")
}

#[test]
fn it_passes_the_conformance_suite_of_the_contract() {
    let home = Home::new();
    sotto_e2ee::store::conformance(home.create(), |store| {
        drop(store);
        home.open().expect("it was closed in good order")
    });
}

#[test]
fn a_scan_reads_nothing_beside_the_keys_it_asks_for() {
    let home = Home::new();
    let store = home.create();
    let middle = Scan::prefix(*b"h").after(*b"h1").before(*b"h2");
    for scan in [middle.clone(), middle.backwards(), Scan::prefix(*b"h"), Scan::prefix(*b"h").backwards()] {
        let (sql, [start, end]) = select("key, value", &scan).expect("there can be rows");
        let plan: String = store
            .connection
            .query_row(&format!("EXPLAIN QUERY PLAN {sql}"), params![start, end, 200], |row| {
                row.get("detail")
            })
            .expect("a plan");
        assert!(plan.contains("(key>? AND key<?)"), "{plan}");
    }
}

#[test]
fn nothing_that_is_stored_can_be_read_in_the_files() {
    let home = Home::new();
    let mut store = home.create();
    let plain = b"the quick brown fox jumps over the lazy dog";
    store.commit(put(b"k", plain)).expect("a commit");
    assert!(!contains(&home.bytes(), plain));
    assert!(!contains(&home.bytes(), home.key.as_bytes()));
    drop(store);
    assert!(!contains(&home.bytes(), plain));
}

#[test]
fn what_is_deleted_or_replaced_is_gone_from_every_file_when_the_commit_returns() {
    let home = Home::new();
    let mut store = home.create();
    let big = vec![7; 20_000];
    for value in [b"small".as_slice(), &big] {
        store.commit(put(b"k", value)).expect("a commit");
        let old = sealed_value(&store, b"k");
        // The tail of a big value lies in overflow pages, the head in the row's own page.
        let (head, tail) = (old.get(4..28).expect("a nonce"), old.get(old.len() - 21..).expect("an end"));
        assert!(
            contains(&home.bytes(), head) && contains(&home.bytes(), tail),
            "the search itself finds values"
        );
        store.commit(put(b"k", b"another")).expect("a commit");
        assert!(!contains(&home.bytes(), head) && !contains(&home.bytes(), tail), "replaced");

        let now = sealed_value(&store, b"k");
        store.commit(delete(b"k")).expect("a commit");
        assert!(!contains(&home.bytes(), &now), "deleted");
    }
}

/// Rows move between pages when the tree is balanced, and SQLite leaves copies of what moved. None of them may
/// ever be opened again: the secret that sealed it is in no file.
#[test]
fn no_deleted_value_can_be_opened_again_after_much_moving_about() {
    let home = Home::new();
    let mut store = home.create();
    let mut rng = rand::rngs::StdRng::seed_from_u64(11);
    let mut live: Vec<Vec<u8>> = Vec::new();
    let mut gone: HashSet<[u8; 32]> = HashSet::new();
    for _ in 0..150 {
        let mut changes = BTreeMap::new();
        for _ in 0..8 {
            if rng.random_bool(0.45) && !live.is_empty() {
                let key = live.swap_remove(rng.random_range(0..live.len()));
                // A key that this batch writes is not on the medium yet.
                if let std::collections::btree_map::Entry::Vacant(place) = changes.entry(key.clone()) {
                    let slot = slot_of(&sealed_value(&store, &key)).expect("a slot");
                    gone.insert(*store.row_keys.secret(slot).expect("it is live"));
                    place.insert(None);
                } else {
                    live.push(key);
                }
            } else {
                let mut key = vec![0; 12];
                rng.fill_bytes(&mut key);
                let mut value = vec![0; rng.random_range(1..1500)];
                rng.fill_bytes(&mut value);
                live.push(key.clone());
                changes.insert(key, Some(Zeroizing::new(value)));
            }
        }
        store.commit(Batch { changes }).expect("a commit");
    }
    assert!(gone.len() > 300);
    let found = |bytes: &[u8]| bytes.windows(32).filter(|window| gone.contains(*window)).count();
    assert_eq!(found(&home.bytes()), 0, "secrets of {} deleted values", gone.len());
    let one = slot_of(&sealed_value(&store, live.first().expect("many"))).expect("a slot");
    let secret = *store.row_keys.secret(one).expect("it is live");
    assert!(contains(&home.bytes(), &secret), "the search itself finds secrets");
    drop(store);
    let store = home.open().expect("closed in good order");
    for key in &live {
        assert!(store.get(key).expect("readable").is_some());
    }
}

#[test]
fn secrets_that_a_crash_left_over_are_cleared_at_the_next_start() {
    let home = Home::new();
    let mut store = home.create();
    store.commit(put(b"k", b"value")).expect("a commit");
    // A crash after the secret was drawn and before the row was written.
    let slot = *store.row_keys.draw(1, &mut rand::rng()).expect("drawn").first().expect("one");
    let secret = *store.row_keys.secret(slot).expect("drawn");
    drop(store);
    assert!(contains(&home.bytes(), &secret));
    let store = home.open().expect("a crash is no damage");
    assert!(!contains(&home.bytes(), &secret));
    assert_eq!(store.get(b"k").expect("readable").as_deref(), Some(&b"value".to_vec()));
}

#[test]
fn without_its_row_keys_a_store_is_damaged_and_stays_as_it_is() {
    for damage in [None, Some(b"garbage that is no key file".to_vec())] {
        let home = Home::new();
        let mut store = home.create();
        store.commit(put(b"k", b"value")).expect("a commit");
        drop(store);
        let path = home.profile().row_keys_path();
        match damage {
            None => std::fs::remove_file(&path).expect("removed"),
            Some(bytes) => std::fs::write(&path, bytes).expect("written"),
        }
        let Err(error) = home.open() else { panic!("it opened") };
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    }
}

#[test]
fn a_wrong_key_is_told_apart_from_damage() {
    let home = Home::new();
    drop(home.create());
    assert!(matches!(home.open_with(&StoreKey::random(&mut rand::rng())), Err(OpenError::WrongKey)));
    home.open().expect("the right key still opens it");
}

#[test]
fn a_value_moved_to_another_row_does_not_open() {
    let home = Home::new();
    let mut store = home.create();
    store.commit(put(b"a", b"one")).expect("a commit");
    store.connection.execute("UPDATE rows SET key = x'62'", []).expect("an intruder's change");
    let refused = store.get(b"b").expect_err("it was sealed for another row");
    assert!(matches!(&refused, StoreError::Damaged(text) if text.contains("sotto recover")), "{refused}");
    assert!(matches!(store.scan(&Scan::prefix(b"".as_slice())), Err(StoreError::Damaged(_))));
}

#[test]
fn each_kind_of_damage_is_named_and_nothing_is_overwritten() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 4] = [
        ("emptied", Vec::clear),
        ("garbage at the start", |bytes| bytes.iter_mut().take(64).for_each(|b| *b = 0x5a)),
        ("truncated", |bytes| bytes.truncate(bytes.len() / 2)),
        ("a page of zeros", |bytes| bytes.iter_mut().skip(4096).take(4096).for_each(|b| *b = 0)),
    ];
    for (name, damage) in damages {
        let home = Home::new();
        let mut store = home.create();
        for number in 0..100_u8 {
            store.commit(put(&[number], &[number; 500])).expect("a commit");
        }
        drop(store);
        let path = home.profile().store_path();
        let mut bytes = std::fs::read(&path).expect("readable");
        damage(&mut bytes);
        std::fs::write(&path, &bytes).expect("writable");
        let Err(error) = home.open() else { panic!("{name}: it opened") };
        assert!(matches!(error, OpenError::Damaged { .. }), "{name}: {error}");
        assert!(error.to_string().contains("sotto recover"), "{name}: {error}");
        assert!(std::fs::read(&path).expect("readable") == bytes, "{name}: the file was touched");
    }
}

#[test]
fn a_flipped_bit_in_any_value_is_found_when_it_is_read() {
    let home = Home::new();
    let mut store = home.create();
    store.commit(put(b"k", &[9; 300])).expect("a commit");
    let sealed = sealed_value(&store, b"k");
    drop(store);
    let path = home.profile().store_path();
    let mut bytes = std::fs::read(&path).expect("readable");
    let place = bytes.windows(sealed.len()).position(|w| w == sealed).expect("it lies there");
    *bytes.get_mut(place + 100).expect("inside") ^= 1;
    std::fs::write(&path, &bytes).expect("writable");
    let store = home.open().expect("the tree itself is whole");
    assert!(matches!(store.get(b"k"), Err(StoreError::Damaged(_))));
}

#[test]
fn a_newer_format_is_refused_with_its_number() {
    let home = Home::new();
    let store = home.create();
    store.connection.execute("UPDATE header SET format = 2", []).expect("a newer program's work");
    drop(store);
    assert!(matches!(home.open(), Err(OpenError::NewerFormat { found: 2 })));
}

#[test]
fn a_store_is_never_made_over_another() {
    let home = Home::new();
    drop(home.create());
    let profile = home.profile();
    let again = SqliteStore::create(&profile, profile.lock().expect("free"), &home.key);
    assert!(matches!(again, Err(OpenError::Exists(_))));
}

#[test]
fn a_second_process_is_refused_while_one_has_the_store() {
    let home = Home::new();
    let _store = home.create();
    assert!(matches!(home.open(), Err(OpenError::Profile(ProfileError::InUse { .. }))));
}
