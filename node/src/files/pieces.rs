//! Pieces of files where they lie: read at their place and sealed, or written there. Several threads at a time may.

use sotto_e2ee::file::Sealer;
use sotto_protocol::blob::ChunkList;
use std::fs::File;
use std::io;

/// What sealing adds: room is made for it when a part is read, so that it is sealed where it lies.
const TAG_BYTES: usize = 16;

/// An open file.
#[derive(Debug)]
pub(crate) struct Pieces {
    file: File,
    /// Elsewhere reading at a place moves where others read.
    #[cfg(not(unix))]
    turn: std::sync::Mutex<()>,
}

impl Pieces {
    pub(crate) fn of(file: File) -> Self {
        Self {
            file,
            #[cfg(not(unix))]
            turn: std::sync::Mutex::default(),
        }
    }

    /// The file itself.
    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    /// So many bytes from a place on.
    pub(crate) fn read(&self, start: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut part = Vec::with_capacity(bytes.saturating_add(TAG_BYTES));
        part.resize(bytes, 0);
        self.read_exact_at(&mut part, start)?;
        Ok(part)
    }

    /// Writes to a place.
    pub(crate) fn write(&self, start: u64, part: &[u8]) -> io::Result<()> {
        self.write_all_at(part, start)
    }

    /// Reads a part and seals it; `None` if what lies there is not the chunk of the list.
    pub(crate) fn sealed(
        &self,
        sealer: &Sealer,
        list: &ChunkList,
        chunk: u32,
    ) -> io::Result<Option<Vec<u8>>> {
        let Some((start, bytes)) = sealer.part(chunk) else { return Ok(None) };
        let mut part = self.read(start, bytes)?;
        let is_sealed = sealer.seal_in_place(chunk, &mut part).is_ok();
        Ok(Some(part).filter(|sealed| is_sealed && list.is_chunk(chunk, sealed)))
    }

    #[cfg(unix)]
    fn read_exact_at(&self, part: &mut [u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, part, start)
    }

    #[cfg(unix)]
    fn write_all_at(&self, part: &[u8], start: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, part, start)
    }

    #[cfg(not(unix))]
    fn read_exact_at(&self, part: &mut [u8], start: u64) -> io::Result<()> {
        use std::io::{Read as _, Seek as _};
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(io::SeekFrom::Start(start))?;
        file.read_exact(part)
    }

    #[cfg(not(unix))]
    fn write_all_at(&self, part: &[u8], start: u64) -> io::Result<()> {
        use std::io::{Seek as _, Write as _};
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut file = &self.file;
        file.seek(io::SeekFrom::Start(start))?;
        file.write_all(part)
    }
}
