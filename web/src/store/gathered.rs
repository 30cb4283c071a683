//! Writes of pages, gathered until they must be on the medium: neighbours go as one.
//!
//! The tree writes page by page and then asks for all of it to be on the medium. In a browser's private file a call costs a
//! fraction of a millisecond, however little it writes, so a commit of forty pages waited for forty calls. Between two syncs
//! the order of writes promises nothing, so they may be sorted and joined.

use redb::StorageBackend;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes that wait, at most; then they are written, and what follows waits anew.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A file whose writes wait for the next sync, or for a read of what they change.
pub(super) struct Gathered {
    file: Box<dyn StorageBackend>,
    waiting: Mutex<Waiting>,
}

/// What is to be written, by place. No two overlap.
#[derive(Default)]
struct Waiting {
    pieces: BTreeMap<u64, Vec<u8>>,
    bytes: usize,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Gathered").field(&self.file).finish()
    }
}

impl Waiting {
    fn overlap(&self, at: u64, length: usize) -> bool {
        let end = at.saturating_add(length as u64);
        let before = self.pieces.range(..end).next_back();
        before.is_some_and(|(place, piece)| place.saturating_add(piece.len() as u64) > at)
    }

    /// Writes all of it, neighbours as one. What failed does not wait any more: the tree takes nothing after a failure.
    fn flush(&mut self, file: &dyn StorageBackend) -> io::Result<()> {
        let Self { pieces, .. } = std::mem::take(self);
        let mut pieces = pieces.into_iter();
        let Some((mut at, mut run)) = pieces.next() else { return Ok(()) };
        for (place, piece) in pieces {
            if at.saturating_add(run.len() as u64) == place {
                run.extend_from_slice(&piece);
            } else {
                file.write(at, &run)?;
                (at, run) = (place, piece);
            }
        }
        file.write(at, &run)
    }
}

impl Gathered {
    pub(super) fn new(file: Box<dyn StorageBackend>) -> Self {
        Self { file, waiting: Mutex::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Gathered {
    fn len(&self) -> io::Result<u64> {
        self.waiting().flush(&*self.file)?;
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut waiting = self.waiting();
        if !waiting.overlap(offset, out.len()) && self.file.read(offset, out).is_ok() {
            return Ok(());
        }
        // What waits may be what is asked for, or lie behind it and make the file long enough.
        waiting.flush(&*self.file)?;
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.waiting().flush(&*self.file)?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.waiting().flush(&*self.file)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut waiting = self.waiting();
        if waiting.overlap(offset, data.len()) || waiting.bytes + data.len() > WAITING_BYTES_MAX {
            waiting.flush(&*self.file)?;
        }
        waiting.bytes += data.len();
        waiting.pieces.insert(offset, data.to_vec());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::MemoryFile;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Counts the writes that reach the file.
    #[derive(Debug, Clone, Default)]
    struct Counted(MemoryFile, Arc<AtomicUsize>);

    impl StorageBackend for Counted {
        fn len(&self) -> io::Result<u64> {
            StorageBackend::len(&self.0)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            StorageBackend::read(&self.0, offset, out)
        }

        fn set_len(&self, len: u64) -> io::Result<()> {
            self.0.set_len(len)
        }

        fn sync_data(&self) -> io::Result<()> {
            self.0.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            StorageBackend::write(&self.0, offset, data)
        }
    }

    #[test]
    fn neighbours_are_written_as_one_when_they_must_be_there() {
        let counted = Counted::default();
        let gathered = Gathered::new(Box::new(counted.clone()));
        for page in [3, 1, 2, 9, 0, 8] {
            gathered.write(page * 16, &[u8::try_from(page).expect("small"); 16]).expect("taken");
        }
        assert_eq!(counted.1.load(Ordering::Relaxed), 0, "nothing has to be there yet");
        gathered.sync_data().expect("written");
        assert_eq!(counted.1.load(Ordering::Relaxed), 2, "pages 0 to 3, and 8 and 9");
        assert_eq!(counted.0.bytes().get(128..160), Some([[8; 16], [9; 16]].as_flattened()));
    }

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        Read(u64, usize),
        Sync,
        SetLen(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..200_u64, prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, what)| Step::Write(at, what)),
            3 => (0..200_u64, 1..40_usize).prop_map(|(at, length)| Step::Read(at, length)),
            1 => Just(Step::Sync),
            1 => (1..300_u64).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn whoever_reads_sees_what_a_plain_file_would_show(steps in prop::collection::vec(step(), 1..60)) {
            let (plain, under) = (MemoryFile::default(), MemoryFile::default());
            let gathered = Gathered::new(Box::new(under.clone()));
            for step in steps {
                match step {
                    Step::Write(at, what) => {
                        StorageBackend::write(&plain, at, &what).expect("memory");
                        gathered.write(at, &what).expect("memory");
                    }
                    Step::Read(at, length) => {
                        let (mut one, mut other) = (vec![0; length], vec![0; length]);
                        let expected = StorageBackend::read(&plain, at, &mut one).is_ok();
                        prop_assert_eq!(gathered.read(at, &mut other).is_ok(), expected);
                        if expected {
                            prop_assert_eq!(one, other);
                        }
                    }
                    Step::Sync => {
                        gathered.sync_data().expect("memory");
                        prop_assert_eq!(plain.bytes(), under.bytes());
                    }
                    Step::SetLen(length) => {
                        plain.set_len(length).expect("memory");
                        gathered.set_len(length).expect("memory");
                    }
                }
            }
            gathered.sync_data().expect("memory");
            prop_assert_eq!(plain.bytes(), under.bytes());
        }
    }
}
