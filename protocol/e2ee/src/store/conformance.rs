//! What every store must pass.

use super::{Scan, Store, Transaction};

/// Checks the [contract](super) as far as it can be checked without a crash. `reopen` closes the store and
/// opens it again on the same medium.
///
/// # Panics
/// If the store breaks the contract; the message says where.
pub fn conformance<S: Store>(store: S, mut reopen: impl FnMut(S) -> S) {
    let mut store = store;
    empty_answers(&store);
    store = reopen(commits_are_kept(store));
    check_rows(&store);
    store = scans_are_ordered_and_bounded(store);
    store = reopen(deletions_and_overwrites(store));
    check_deleted(&store);
    values_of_any_size(store, reopen);
}

fn commit<S: Store>(store: &mut S, changes: &[(&[u8], Option<&[u8]>)]) {
    let transaction = Transaction::new(store);
    for (key, value) in changes {
        match value {
            Some(value) => transaction.put(*key, *value),
            None => transaction.delete(*key),
        }
    }
    let batch = transaction.into_batch();
    store.commit(batch).expect("a commit on a healthy medium succeeds");
}

fn read<S: Store>(store: &S, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key).expect("a healthy medium answers").map(|value| value.to_vec())
}

fn keys<S: Store>(store: &S, scan: &Scan) -> Vec<Vec<u8>> {
    store.scan(scan).expect("a healthy medium answers").into_iter().map(|row| row.key).collect()
}

fn empty_answers<S: Store>(store: &S) {
    assert_eq!(read(store, b"nothing"), None, "a key that was never written has no value");
    assert!(keys(store, &Scan::prefix(Vec::new())).is_empty(), "a new store has no rows");
}

fn commits_are_kept<S: Store>(mut store: S) -> S {
    commit(&mut store, &[]);
    commit(&mut store, &[(b"k\x00", Some(b"zero")), (b"k\xff", Some(b"")), (b"k", Some(b"short"))]);
    check_rows(&store);
    store
}

fn check_rows<S: Store>(store: &S) {
    assert_eq!(read(store, b"k").as_deref(), Some(&b"short"[..]), "a committed value is read back");
    assert_eq!(read(store, b"k\xff").as_deref(), Some(&b""[..]), "an empty value is a value");
    assert_eq!(read(store, b"k\x00").as_deref(), Some(&b"zero"[..]), "keys may hold zero bytes");
}

fn scans_are_ordered_and_bounded<S: Store>(mut store: S) -> S {
    commit(
        &mut store,
        &[
            (b"s\x02", Some(b"2")),
            (b"s\x00\xff", Some(b"0")),
            (b"s\xff", Some(b"4")),
            (b"s\x01", Some(b"1")),
            (b"s\xff\xff", Some(b"5")),
            (b"t", Some(b"of another prefix")),
        ],
    );
    let all: [&[u8]; 5] = [b"s\x00\xff", b"s\x01", b"s\x02", b"s\xff", b"s\xff\xff"];
    let scan = || Scan::prefix(*b"s");
    assert_eq!(keys(&store, &scan()), all, "rows come in the order of their keys' bytes");
    let reversed: Vec<_> = all.iter().rev().map(|key| key.to_vec()).collect();
    assert_eq!(keys(&store, &scan().backwards()), reversed, "backwards is the reverse");
    assert_eq!(keys(&store, &scan().after(*b"s\x01").limit(2)), [b"s\x02".to_vec(), b"s\xff".to_vec()]);
    assert_eq!(
        keys(&store, &scan().before(*b"s\xff").backwards().limit(2)),
        [b"s\x02".to_vec(), b"s\x01".to_vec()],
        "the limit counts from the end when backwards"
    );
    assert_eq!(keys(&store, &scan().after(*b"s\x00").before(*b"s\x01")), [b"s\x00\xff".to_vec()]);
    assert!(keys(&store, &scan().after(*b"t")).is_empty(), "a bound beyond the prefix gives nothing");
    assert_eq!(keys(&store, &scan().after(*b"a")), all, "a bound before the prefix changes nothing");
    assert!(keys(&store, &scan().limit(0)).is_empty());
    assert_eq!(keys(&store, &Scan::prefix(*b"s\xff")), [b"s\xff".to_vec(), b"s\xff\xff".to_vec()]);
    store
}

fn deletions_and_overwrites<S: Store>(mut store: S) -> S {
    commit(&mut store, &[(b"k", Some(b"second")), (b"k\x00", None), (b"never there", None)]);
    check_deleted(&store);
    store
}

fn check_deleted<S: Store>(store: &S) {
    assert_eq!(read(store, b"k").as_deref(), Some(&b"second"[..]), "the last value of a key counts");
    assert_eq!(read(store, b"k\x00"), None, "a deleted key has no value");
    assert_eq!(read(store, b"k\xff").as_deref(), Some(&b""[..]), "other keys are untouched");
}

fn values_of_any_size<S: Store>(mut store: S, mut reopen: impl FnMut(S) -> S) {
    let sizes = [1usize, 4_095, 4_096, 65_537, 3 * 1024 * 1024];
    let value = |size: usize| (0..size).map(|place| place.to_le_bytes()[0]).collect::<Vec<u8>>();
    for size in sizes {
        commit(&mut store, &[(&size.to_be_bytes(), Some(&value(size)))]);
    }
    store = reopen(store);
    for size in sizes {
        assert!(read(&store, &size.to_be_bytes()) == Some(value(size)), "a value of {size} bytes is kept");
    }
}
