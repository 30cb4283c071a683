//! A key of its own for each row, in a flat file that is overwritten in place: what makes deleting final.
//!
//! SQLite's `secure_delete`, for one, clears a deleted cell where it lies, but not the copies that balancing its tree
//! leaves in the gaps of other pages (measured: 1 of 500 deleted values was still there). So a value is sealed
//! under a key made of the store key *and* 32 random bytes, its row secret. To delete the value its secret is
//! overwritten with zeros: what the medium may have left can then be opened by nobody, with any key.
//!
//! ```text
//! row-keys:  "sottorow" version (u32) zero (u32) | secret 0 | secret 1 | ...      32 bytes each, zeros: free
//! ```
//!
//! The order of a commit makes a crash harmless: new secrets are on disk before the rows that name them, and old
//! ones are cleared after the rows that named them are gone. What a crash leaves over is cleared at the next start.

use rand_core::CryptoRng;
use std::collections::HashSet;
use std::io;
use zeroize::Zeroizing;

const MAGIC: &[u8; 16] = b"sottorow\0\0\0\x01\0\0\0\0";

const SECRET_BYTES: usize = 32;

/// Places that the file grows by: 64 KiB. What overwrites a place that is there already is on disk without a change of
/// the file's length, which costs the file system a second write.
const GROWTH: usize = 2048;

/// Secrets that lie between two changed ones and are written along with them, at most: 2 KiB. A call costs more than bytes do (in a
/// browser's private files 0.3 ms, however little is written), and no page of a disk is written that holds no change.
const BETWEEN_MAX: u32 = 64;

/// A row's secret. All zeros: there is none.
type Secret = [u8; SECRET_BYTES];

/// Which secret a row uses.
pub type Slot = u32;

/// A file that is read and written in place.
pub trait Flat {
    /// How many bytes it has.
    ///
    /// # Errors
    /// If the medium fails.
    fn len(&self) -> io::Result<u64>;

    /// Whether it has none.
    ///
    /// # Errors
    /// If the medium fails.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Reads exactly so many bytes.
    ///
    /// # Errors
    /// If the medium fails or ends before.
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()>;

    /// Writes over what is there, and past the end.
    ///
    /// # Errors
    /// If the medium fails or is full.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;

    /// What was written survives a power cut when this returns.
    ///
    /// # Errors
    /// If the medium fails.
    fn sync(&mut self) -> io::Result<()>;
}

impl<F: Flat + ?Sized> Flat for Box<F> {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        (**self).read(at, into)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        (**self).sync()
    }
}

/// The secrets of a store's rows, in a file of their own. See the top of this file.
pub struct RowKeys<F> {
    file: F,
    secrets: Zeroizing<Vec<Secret>>,
    free: Vec<Slot>,
    /// Secrets that nothing names any more and that could not be cleared yet.
    due: Vec<Slot>,
}

impl<F: Flat> RowKeys<F> {
    /// Begins an empty file.
    ///
    /// # Errors
    /// If the medium fails or is full.
    pub fn create(file: &mut F) -> io::Result<()> {
        file.write(0, MAGIC)?;
        file.sync()
    }

    /// Reads the file; `None` if it is not one.
    ///
    /// # Errors
    /// If the medium fails.
    pub fn open(mut file: F) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        let length = file.len()?;
        let Some(rest) = length.checked_sub(MAGIC.len() as u64) else { return Ok(None) };
        file.read(0, &mut magic)?;
        if magic != *MAGIC {
            return Ok(None);
        }
        let rest = usize::try_from(rest).map_err(io::Error::other)?;
        let mut bytes = Zeroizing::new(vec![0; rest]);
        file.read(MAGIC.len() as u64, &mut bytes)?;
        // A crash while the file grew may have left a part of a secret at the end; nothing names it.
        let (whole, _) = bytes.as_chunks::<SECRET_BYTES>();
        Ok(Some(Self { file, secrets: Zeroizing::new(whole.to_vec()), free: Vec::new(), due: Vec::new() }))
    }

    /// Clears every secret that no row names: what a crash left over.
    ///
    /// # Errors
    /// If the medium fails.
    pub fn keep_only(&mut self, named: &HashSet<Slot>) -> io::Result<()> {
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
    #[must_use]
    pub fn secret(&self, slot: Slot) -> Option<&Secret> {
        self.secrets.get(usize::try_from(slot).ok()?).filter(|secret| **secret != [0; SECRET_BYTES])
    }

    /// Fresh secrets, on disk when this returns.
    ///
    /// # Errors
    /// If the medium fails.
    pub fn draw(&mut self, count: usize, rng: &mut impl CryptoRng) -> io::Result<Vec<Slot>> {
        let mut slots = Vec::with_capacity(count);
        for _ in 0..count {
            let slot = match self.free.pop() {
                Some(slot) => slot,
                None => self.grow()?,
            };
            if let Some(secret) = self.secrets.get_mut(slot as usize) {
                rng.fill_bytes(secret);
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
        // Written and not only made longer: a hole would be filled, at the cost of growing, when it is used.
        self.file.write(place_of(first), &[0; GROWTH * SECRET_BYTES])?;
        self.secrets.resize(end as usize, [0; SECRET_BYTES]);
        self.free.extend((first + 1..end).rev());
        Ok(first)
    }

    /// Clears secrets, on disk when this returns. Those that cannot be cleared now are tried again the next time.
    ///
    /// # Errors
    /// If the medium fails.
    pub fn clear(&mut self, slots: Vec<Slot>) -> io::Result<()> {
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
        let mut slots = slots.to_vec();
        slots.sort_unstable();
        for near in slots.chunk_by(|slot, next| next - slot <= BETWEEN_MAX) {
            let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
            if let Some(secrets) = self.secrets.get(*first as usize..=*last as usize) {
                self.file.write(place_of(*first), secrets.as_flattened())?;
            }
        }
        self.file.sync()
    }
}

fn place_of(slot: Slot) -> u64 {
    MAGIC.len() as u64 + u64::from(slot) * SECRET_BYTES as u64
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rand_core::SeedableRng as _;
    use std::cell::RefCell;
    use std::rc::Rc;

    /// A file in memory; clones are the same file.
    #[derive(Clone, Default)]
    pub(crate) struct Memory(pub(crate) Rc<RefCell<Vec<u8>>>);

    impl Flat for Memory {
        fn len(&self) -> io::Result<u64> {
            Ok(self.0.borrow().len() as u64)
        }

        fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
            let at = usize::try_from(at).expect("small");
            let bytes = self.0.borrow();
            into.copy_from_slice(bytes.get(at..at + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            let at = usize::try_from(at).expect("small");
            let mut file = self.0.borrow_mut();
            if file.len() < at + bytes.len() {
                file.resize(at + bytes.len(), 0);
            }
            file.get_mut(at..at + bytes.len()).expect("just made").copy_from_slice(bytes);
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn fresh() -> (Memory, RowKeys<Memory>, rand_chacha::ChaCha12Rng) {
        let mut file = Memory::default();
        RowKeys::create(&mut file).expect("made");
        let keys = RowKeys::open(file.clone()).expect("readable").expect("ours");
        (file, keys, rand_chacha::ChaCha12Rng::seed_from_u64(1))
    }

    #[test]
    fn secrets_survive_a_restart_and_cleared_ones_are_zeros_on_the_medium() {
        let (file, mut keys, mut rng) = fresh();
        let slots = keys.draw(3, &mut rng).expect("drawn");
        let secrets: Vec<Secret> = slots.iter().map(|slot| *keys.secret(*slot).expect("drawn")).collect();
        keys.clear(vec![1]).expect("cleared");
        let mut again = RowKeys::open(file.clone()).expect("readable").expect("ours");
        assert_eq!(again.secret(0), secrets.first());
        assert_eq!(again.secret(1), None);
        assert_eq!(again.secret(9), None);
        let gone = secrets.get(1).map(Secret::as_slice);
        assert!(!file.0.borrow().windows(32).any(|window| Some(window) == gone));
        again.keep_only(&HashSet::from([0])).expect("cleared");
        assert_eq!(again.secret(2), None, "nothing names it");
        let reused = again.draw(1, &mut rng).expect("drawn");
        assert!(reused == [1] || reused == [2], "free places are used again: {reused:?}");
    }

    #[test]
    fn the_file_grows_in_blocks_and_a_block_is_used_before_the_next() {
        let (file, mut keys, mut rng) = fresh();
        assert_eq!(keys.draw(3, &mut rng).expect("drawn"), [0, 1, 2]);
        let first = file.len().expect("there");
        let named: HashSet<Slot> =
            keys.draw(GROWTH - 3, &mut rng).expect("drawn").into_iter().chain([0, 1, 2]).collect();
        assert_eq!((named.len(), file.len().expect("there")), (GROWTH, first));
        let mut again = RowKeys::open(file.clone()).expect("readable").expect("ours");
        again.keep_only(&named).expect("nothing to clear");
        let next = Slot::try_from(GROWTH).expect("a block is small");
        assert_eq!(again.draw(2, &mut rng).expect("drawn"), [next, next + 1]);
        assert_eq!(file.len().expect("there"), first + (GROWTH * SECRET_BYTES) as u64);
    }

    /// Counts what it is asked to write.
    struct Counting(Memory, Rc<RefCell<usize>>);

    impl Flat for Counting {
        fn len(&self) -> io::Result<u64> {
            self.0.len()
        }

        fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
            self.0.read(at, into)
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            *self.1.borrow_mut() += 1;
            self.0.write(at, bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.0.sync()
        }
    }

    #[test]
    fn secrets_that_lie_near_each_other_are_written_at_once() {
        let (mut file, writes) = (Memory::default(), Rc::new(RefCell::new(0)));
        RowKeys::create(&mut file).expect("made");
        let counting = Counting(file.clone(), writes.clone());
        let mut keys = RowKeys::open(counting).expect("readable").expect("ours");
        let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
        let slots = keys.draw(1_000, &mut rng).expect("drawn");
        assert_eq!(writes.take(), 2, "one that makes the file longer, and one with all secrets");
        let every_tenth: Vec<Slot> = slots.iter().rev().copied().step_by(10).collect();
        keys.clear(every_tenth.clone()).expect("cleared");
        assert_eq!(writes.take(), 1, "what lies between is written as it is");
        keys.clear(vec![500, 100]).expect("cleared");
        assert_eq!(writes.take(), 2, "they are far from each other");
        let again = RowKeys::open(file).expect("readable").expect("ours");
        for slot in slots {
            let cleared = every_tenth.contains(&slot) || [100, 500].contains(&slot);
            assert_eq!(again.secret(slot).is_none(), cleared, "{slot}");
            assert_eq!(again.secret(slot), keys.secret(slot), "{slot}");
        }
    }

    #[test]
    fn a_file_that_is_not_ours_is_told_apart() {
        for bytes in [b"".as_slice(), b"sottorow", &[7; 100]] {
            let file = Memory(Rc::new(RefCell::new(bytes.to_vec())));
            assert!(RowKeys::open(file).expect("readable").is_none());
        }
    }
}
