use super::memory::MemoryFile;
use super::*;
use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng as _;
use zeroize::Zeroizing;

/// Two files that outlive the stores in them.
#[derive(Clone, Default)]
struct Files {
    pages: MemoryFile,
    secrets: MemoryFile,
}

impl Files {
    fn medium(&self) -> Medium {
        Medium { pages: Box::new(self.pages.clone()), secrets: Box::new(self.secrets.clone()) }
    }

    fn open_with(&self, key: u8) -> Result<TreeStore<ChaCha12Rng>, OpenError> {
        let key = StoreKey::new(Zeroizing::new([key; 32]));
        TreeStore::open(self.medium(), &key, ChaCha12Rng::seed_from_u64(7))
    }

    fn open(&self) -> TreeStore<ChaCha12Rng> {
        self.open_with(1).expect("it opens")
    }

    fn hold(&self, needle: &[u8]) -> bool {
        let holds = |file: &MemoryFile| file.bytes().windows(needle.len()).any(|window| window == needle);
        holds(&self.pages) || holds(&self.secrets)
    }
}

fn put(key: &[u8], value: &[u8]) -> Batch {
    Batch { changes: [(key.to_vec(), Some(Zeroizing::new(value.to_vec())))].into() }
}

#[test]
fn the_store_of_a_browser_keeps_the_contract() {
    let files = Files::default();
    sotto_e2ee::store::conformance(files.open(), |store| {
        drop(store);
        files.open()
    });
}

#[test]
fn nothing_that_is_stored_can_be_read_in_the_files() {
    let files = Files::default();
    let mut store = files.open();
    store.commit(put(b"a", b"meet me at the old mill")).expect("kept");
    drop(store);
    assert!(!files.hold(b"the old mill"));
    let value = files.open().get(b"a").expect("readable").expect("there");
    assert_eq!(value.as_slice(), b"meet me at the old mill");
}

#[test]
fn the_secret_of_a_value_that_went_is_gone_from_the_files() {
    let files = Files::default();
    let mut store = files.open();
    store.commit(put(b"a", b"one")).expect("kept");
    let sealed = store.read_value(b"a").expect("readable").expect("there");
    let slot = slot_of(&sealed).expect("it names its secret");
    let secret = *store.row_keys.secret(slot).expect("there");
    assert!(files.hold(&secret));
    store.commit(put(b"a", b"two")).expect("kept");
    assert!(!files.hold(&secret), "what free pages still hold of it opens by no key");
}

#[test]
fn another_key_opens_nothing_and_changes_nothing() {
    let files = Files::default();
    files.open().commit(put(b"a", b"one")).expect("kept");
    let before = (files.pages.bytes(), files.secrets.bytes());
    assert!(matches!(files.open_with(2), Err(OpenError::WrongKey)));
    assert_eq!(before.1, files.secrets.bytes());
    assert_eq!(files.open().get(b"a").expect("readable").expect("there").as_slice(), b"one");
}

#[test]
fn an_attached_row_goes_with_the_next_commit_or_is_taken_back() {
    let files = Files::default();
    let mut store = files.open();
    let row = || Row { key: b"r".to_vec(), value: Zeroizing::new(vec![1]) };
    store.attach(row());
    store.detach();
    store.commit(put(b"a", b"one")).expect("kept");
    assert!(store.get(b"r").expect("readable").is_none());
    store.attach(row());
    store.commit(put(b"a", b"two")).expect("kept");
    drop(store);
    assert!(files.open().get(b"r").expect("readable").is_some());
}
