//! Files on this device's disk that members of their conversation may have from it: where each lies, and the hashes of its chunks.
//!
//! A row is only where to look. What is given is read, sealed and held against the hashes at that moment, so a file that was
//! changed, or another one in its place, does not leave this device.

use crate::client::SHELL_PREFIX;
use crate::rows;
use bincode::{Decode, Encode};
use sotto_e2ee::file::FileAbout;
use sotto_e2ee::store::{Batch, Scan, Store, StoreError};
use sotto_protocol::blob::{BlobRoot, ChunkList};
use sotto_protocol::ids::{ConversationId, UnixMillis};
use zeroize::Zeroizing;

const PREFIX: [u8; 2] = [SHELL_PREFIX, b'f'];
const LISTS: [u8; 2] = [SHELL_PREFIX, b'h'];

/// Files that are remembered, the newest. A list has 32 bytes for each MiB of its file.
const SHARED_MAX: usize = 512;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Shared {
    /// Where it lies, as the shell finds it again.
    pub path: String,
    /// What it is, and what seals it.
    pub about: FileAbout,
    /// Since when it is remembered.
    pub since: UnixMillis,
}

/// Where one is kept.
pub(crate) fn key(of: ConversationId, root: BlobRoot) -> Vec<u8> {
    [PREFIX.as_slice(), of.as_bytes(), &root.0].concat()
}

fn list_key(of: ConversationId, root: BlobRoot) -> Vec<u8> {
    [LISTS.as_slice(), of.as_bytes(), &root.0].concat()
}

/// Remembers one.
///
/// # Errors
/// If the store fails.
pub fn keep(
    store: &mut impl Store,
    of: ConversationId,
    shared: &Shared,
    list: &ChunkList,
) -> Result<(), StoreError> {
    let own = key(of, shared.about.root);
    let mut known = Vec::new();
    for row in store.scan(&Scan::prefix(PREFIX.to_vec()))? {
        let one: Shared = rows::decode(&row.value)?;
        if row.key != own {
            known.push((one.since, row.key));
        }
    }
    known.sort_by_key(|(since, _)| std::cmp::Reverse(*since));
    let older = known.into_iter().skip(SHARED_MAX - 1).flat_map(|(_, key)| {
        let list = LISTS.iter().chain(key.iter().skip(PREFIX.len())).copied().collect();
        [(key, None), (list, None)]
    });
    let new = [
        (own, Some(Zeroizing::new(rows::encode(shared)))),
        (list_key(of, shared.about.root), Some(Zeroizing::new(list.to_bytes()))),
    ];
    store.commit(Batch { changes: older.chain(new).collect() })
}

/// One of them with the hashes of its chunks; `None` if it is not remembered, or its list is not its own.
///
/// # Errors
/// If the store fails, or a row is damaged.
pub fn find(
    store: &impl Store,
    of: ConversationId,
    root: BlobRoot,
) -> Result<Option<(Shared, ChunkList)>, StoreError> {
    let (Some(row), Some(list)) = (store.get(&key(of, root))?, store.get(&list_key(of, root))?) else {
        return Ok(None);
    };
    let shared: Shared = rows::decode(&row)?;
    let list = shared.about.blob_size().and_then(|size| ChunkList::read(root, size, &list).ok());
    Ok(list.map(|list| (shared, list)))
}

/// Forgets one that is not there any more.
///
/// # Errors
/// If the store fails.
pub fn forget(store: &mut impl Store, of: ConversationId, root: BlobRoot) -> Result<(), StoreError> {
    store.commit(Batch { changes: [(key(of, root), None), (list_key(of, root), None)].into() })
}

/// How many there are.
///
/// # Errors
/// If the store fails.
pub fn count(store: &impl Store) -> Result<usize, StoreError> {
    Ok(store.scan(&Scan::prefix(PREFIX.to_vec()))?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;
    use sotto_e2ee::file::{FileKey, FileName, Sealer};
    use sotto_e2ee::store::MemoryStore;

    #[test]
    fn of_many_files_the_newest_are_remembered_each_with_its_hashes() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let mut store = MemoryStore::new();
        let place = ConversationId([1; 16]);
        let mut file = |since| {
            let key = FileKey::draw(&mut rng);
            let sealer = Sealer::new(&key, 5).expect("small");
            let sealed = sealer.seal(0, b"12345").expect("its part");
            let list = sealer.list(vec![sealer.hash(0, &sealed).expect("its chunk")]).expect("one");
            let name = FileName::lossy("a.txt");
            let about = FileAbout { name, bytes: 5, media_type: String::new(), root: list.root(), key };
            (Shared { path: "/a.txt".to_owned(), about, since: UnixMillis(since) }, list)
        };
        let files: Vec<_> = (0..520).map(&mut file).collect();
        for (shared, list) in &files {
            keep(&mut store, place, shared, list).expect("kept");
        }
        assert_eq!(count(&store), Ok(SHARED_MAX));
        let found =
            |store: &MemoryStore, at: usize| find(store, place, files[at].0.about.root).expect("readable");
        assert_eq!((found(&store, 0), found(&store, 519)), (None, Some(files[519].clone())));
        assert_eq!(find(&store, ConversationId([2; 16]), files[519].0.about.root), Ok(None));
        let lists = store.scan(&Scan::prefix(LISTS.to_vec())).expect("readable");
        assert_eq!(lists.len(), SHARED_MAX, "a list goes with its file");
        forget(&mut store, place, files[519].0.about.root).expect("forgotten");
        assert_eq!(found(&store, 519), None);
    }
}
