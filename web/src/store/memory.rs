//! Files in memory: for private windows, whose browser keeps nothing, and for tests.

use redb::StorageBackend;
use sotto_node_core::sealed::Flat;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// A file in memory; clones are the same file.
#[derive(Clone, Default)]
pub struct MemoryFile(Arc<Mutex<Vec<u8>>>);

impl std::fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryFile")
    }
}

impl super::Medium {
    /// Two empty files in memory.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { pages: Box::new(MemoryFile::default()), secrets: Box::new(MemoryFile::default()) }
    }
}

impl MemoryFile {
    /// What is in it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.with(|bytes| bytes.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.with(|bytes| {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let end = at.checked_add(into.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.copy_from_slice(bytes.get(at..end).ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, at: u64, what: &[u8]) -> io::Result<()> {
        self.with(|bytes| {
            let at = usize::try_from(at).map_err(io::Error::other)?;
            let end = at.checked_add(what.len()).ok_or(io::ErrorKind::StorageFull)?;
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes.get_mut(at..end).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(what);
            Ok(())
        })
    }
}

impl StorageBackend for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|bytes| bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_at(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        self.with(|bytes| bytes.resize(len, 0));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_at(offset, data)
    }
}

impl Flat for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        StorageBackend::len(self)
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_at(at, into)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_at(at, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
