//! Files that are on their way to the relay: what it takes to go on after an interruption with the same key, so with the same
//! blob. A row goes in the commit that puts the file into
//! the outbox.

use crate::client::SHELL_PREFIX;
use crate::rows;
use bincode::{Decode, Encode};
use sotto_e2ee::file::FileAbout;
use sotto_e2ee::store::{Batch, Scan, Store, StoreError};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::ids::{ConversationId, UnixMillis};
use zeroize::Zeroizing;

const PREFIX: [u8; 2] = [SHELL_PREFIX, b'u'];

/// Uploads that are remembered in one conversation, the newest; whoever interrupts more begins the oldest anew.
const UPLOADS_MAX: usize = 64;

/// One that is not through.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Upload {
    /// The file, as the shell finds it again.
    pub path: String,
    /// When the file was changed last, as the shell saw it.
    pub modified: UnixMillis,
    /// What it is, and what opens it.
    pub about: FileAbout,
    /// When it was begun.
    pub begun: UnixMillis,
}

/// Where one is kept.
pub(crate) fn key(of: ConversationId, root: BlobRoot) -> Vec<u8> {
    [PREFIX.as_slice(), of.as_bytes(), &root.0].concat()
}

/// Remembers one.
///
/// # Errors
/// If the store fails.
pub fn keep(store: &mut impl Store, of: ConversationId, upload: &Upload) -> Result<(), StoreError> {
    let mut known = all(store, of)?;
    known.sort_by_key(|known| std::cmp::Reverse(known.begun));
    let older = known.iter().skip(UPLOADS_MAX - 1).map(|old| (key(of, old.about.root), None));
    let new = (key(of, upload.about.root), Some(Zeroizing::new(rows::encode(upload))));
    store.commit(Batch { changes: older.chain([new]).collect() })
}

/// Those of one conversation.
///
/// # Errors
/// If the store fails, or a row is damaged.
pub fn all(store: &impl Store, of: ConversationId) -> Result<Vec<Upload>, StoreError> {
    let rows = store.scan(&Scan::prefix([PREFIX.as_slice(), of.as_bytes()].concat()))?;
    rows.iter().map(|row| rows::decode(&row.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::SeedableRng as _;
    use sotto_e2ee::file::{FileKey, FileName};
    use sotto_e2ee::store::MemoryStore;

    #[test]
    fn of_many_uploads_the_newest_are_remembered() {
        let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
        let mut upload = |number: u8| Upload {
            path: format!("/photos/{number}.jpg"),
            modified: UnixMillis(5),
            about: FileAbout {
                name: FileName::lossy("a.jpg"),
                bytes: 5,
                media_type: "image/jpeg".to_owned(),
                root: BlobRoot([number; 32]),
                key: FileKey::draw(&mut rng),
            },
            begun: UnixMillis(number.into()),
        };
        let mut store = MemoryStore::new();
        let (first, other) = (ConversationId([1; 16]), ConversationId([2; 16]));
        let one = upload(200);
        keep(&mut store, other, &one).expect("kept");
        assert_eq!(all(&store, other), Ok(vec![one]));
        for number in 0..70 {
            keep(&mut store, first, &upload(number)).expect("kept");
        }
        let kept = all(&store, first).expect("kept");
        assert_eq!(kept.len(), UPLOADS_MAX);
        assert!(kept.iter().all(|upload| upload.begun >= UnixMillis(6)));
    }
}
