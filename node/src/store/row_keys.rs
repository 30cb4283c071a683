//! A key of its own for each row, in a flat file that is overwritten in place: what makes deleting final.
//!
//! SQLite's `secure_delete` clears a deleted cell where it lies, but not the copies that balancing its tree
//! leaves in the gaps of other pages (measured: 1 of 500 deleted values was still there). So a value is sealed
//! under a key made of the store key *and* 32 random bytes, its row secret. To delete the value its secret is
//! overwritten with zeros: what SQLite may have left can then be opened by nobody, with any key.
//!
//! ```text
//! row-keys:  "sottorow" version (u32) zero (u32) | secret 0 | secret 1 | ...      32 bytes each, zeros: free
//! ```
//!
//! The order of a commit makes a crash harmless: new secrets are on disk before the rows that name them, and old
//! ones are cleared after the rows that named them are gone. What a crash leaves over is cleared at the next start.

use crate::profile::private_options;
use rand::Rng as _;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"sottorow\0\0\0\x01\0\0\0\0";

const SECRET_BYTES: usize = 32;

/// Places that the file grows by: 64 KiB. What overwrites a place that is there already is on disk without a change of
/// the file's length, which costs the file system a second write.
const GROWTH: usize = 2048;

/// A row's secret. All zeros: there is none.
type Secret = [u8; SECRET_BYTES];

/// Which secret a row uses.
pub(super) type Slot = u32;

pub(super) struct RowKeys {
    file: File,
    secrets: Zeroizing<Vec<Secret>>,
    free: Vec<Slot>,
    /// Secrets that nothing names any more and that could not be cleared yet.
    due: Vec<Slot>,
}

impl RowKeys {
    /// An empty file.
    pub(super) fn create(path: &Path) -> io::Result<()> {
        let mut file = private_options().write(true).create(true).truncate(true).open(path)?;
        file.write_all(MAGIC)?;
        file.sync_all()
    }

    /// Reads the file; `None` if it is not one.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = private_options().read(true).write(true).open(path)?;
        let mut magic = [0; MAGIC.len()];
        if file.metadata()?.len() < MAGIC.len() as u64 {
            return Ok(None);
        }
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Ok(None);
        }
        let mut bytes = Zeroizing::new(Vec::new());
        file.read_to_end(&mut bytes)?;
        // A crash while the file grew may have left a part of a secret at the end; nothing names it.
        let (whole, _) = bytes.as_chunks::<SECRET_BYTES>();
        Ok(Some(Self { file, secrets: Zeroizing::new(whole.to_vec()), free: Vec::new(), due: Vec::new() }))
    }

    /// Clears every secret that no row names: what a crash left over.
    pub(super) fn keep_only(&mut self, named: &HashSet<Slot>) -> io::Result<()> {
        self.free.clear();
        let mut left_over = Vec::new();
        for (slot, secret) in (0..).zip(self.secrets.iter()) {
            if named.contains(&slot) {
                continue;
            }
            if *secret == [0; SECRET_BYTES] { self.free.push(slot) } else { left_over.push(slot) }
        }
        // The lowest is taken first.
        self.free.reverse();
        self.clear(left_over)
    }

    /// The secret of a slot, if there is one.
    pub(super) fn secret(&self, slot: Slot) -> Option<&Secret> {
        self.secrets.get(usize::try_from(slot).ok()?).filter(|secret| **secret != [0; SECRET_BYTES])
    }

    /// Fresh secrets, on disk when this returns.
    pub(super) fn draw(&mut self, count: usize) -> io::Result<Vec<Slot>> {
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = match self.free.pop() {
                Some(slot) => slot,
                None => self.grow()?,
            };
            if let Some(secret) = self.secrets.get_mut(slot as usize) {
                rand::rng().fill_bytes(secret);
            }
            slots.push(slot);
        }
        self.write(&slots)?;
        Ok(slots)
    }

    /// Makes room for more; gives the first new place.
    fn grow(&mut self) -> io::Result<Slot> {
        let full = |_| io::Error::other("the store holds 2^32 rows");
        let first = Slot::try_from(self.secrets.len()).map_err(full)?;
        let end = Slot::try_from(self.secrets.len() + GROWTH).map_err(full)?;
        self.file.seek(SeekFrom::Start(place_of(first)))?;
        // Written and not only made longer: a hole would be filled, at the cost of growing, when it is used.
        self.file.write_all(&[0; GROWTH * SECRET_BYTES])?;
        self.secrets.resize(end as usize, [0; SECRET_BYTES]);
        self.free.extend((first + 1..end).rev());
        Ok(first)
    }

    /// Clears secrets, on disk when this returns. Those that cannot be cleared now are tried again the next time.
    pub(super) fn clear(&mut self, slots: Vec<Slot>) -> io::Result<()> {
        self.due.extend(slots);
        if self.due.is_empty() {
            return Ok(());
        }
        for slot in &self.due {
            if let Some(secret) = self.secrets.get_mut(*slot as usize) {
                *secret = [0; SECRET_BYTES];
            }
        }
        let due = std::mem::take(&mut self.due);
        if let Err(error) = self.write(&due) {
            self.due = due;
            return Err(error);
        }
        self.free.extend(due);
        Ok(())
    }

    fn write(&mut self, slots: &[Slot]) -> io::Result<()> {
        for slot in slots {
            if let Some(secret) = self.secrets.get(*slot as usize) {
                self.file.seek(SeekFrom::Start(place_of(*slot)))?;
                self.file.write_all(secret)?;
            }
        }
        self.file.sync_data()
    }
}

fn place_of(slot: Slot) -> u64 {
    MAGIC.len() as u64 + u64::from(slot) * SECRET_BYTES as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_survive_a_restart_and_cleared_ones_are_zeros_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("row-keys");
        RowKeys::create(&path).expect("made");
        let mut keys = RowKeys::open(&path).expect("readable").expect("ours");
        let slots = keys.draw(3).expect("drawn");
        let secrets: Vec<Secret> = slots.iter().map(|slot| *keys.secret(*slot).expect("drawn")).collect();
        keys.clear(vec![1]).expect("cleared");
        let mut again = RowKeys::open(&path).expect("readable").expect("ours");
        assert_eq!(again.secret(0), secrets.first());
        assert_eq!(again.secret(1), None);
        assert_eq!(again.secret(9), None);
        let bytes = std::fs::read(&path).expect("readable");
        assert!(!bytes.windows(32).any(|window| Some(window) == secrets.get(1).map(Secret::as_slice)));
        again.keep_only(&HashSet::from([0])).expect("cleared");
        assert_eq!(again.secret(2), None, "nothing names it");
        let reused = again.draw(1).expect("drawn");
        assert!(reused == [1] || reused == [2], "free places are used again: {reused:?}");
    }

    #[test]
    fn the_file_grows_in_blocks_and_a_block_is_used_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("row-keys");
        let length = || std::fs::metadata(&path).expect("there").len();
        RowKeys::create(&path).expect("made");
        let mut keys = RowKeys::open(&path).expect("readable").expect("ours");
        assert_eq!(keys.draw(3).expect("drawn"), [0, 1, 2]);
        let first = length();
        let named: HashSet<Slot> =
            keys.draw(GROWTH - 3).expect("drawn").into_iter().chain([0, 1, 2]).collect();
        assert_eq!((named.len(), length()), (GROWTH, first));
        let mut again = RowKeys::open(&path).expect("readable").expect("ours");
        again.keep_only(&named).expect("nothing to clear");
        let next = Slot::try_from(GROWTH).expect("a block is small");
        assert_eq!(again.draw(2).expect("drawn"), [next, next + 1]);
        assert_eq!(length(), first + (GROWTH * SECRET_BYTES) as u64);
    }

    #[test]
    fn a_file_that_is_not_ours_is_told_apart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("row-keys");
        for bytes in [b"".as_slice(), b"sottorow", &[7; 100]] {
            std::fs::write(&path, bytes).expect("writable");
            assert!(RowKeys::open(&path).expect("readable").is_none());
        }
    }
}
