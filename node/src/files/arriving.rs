//! A file on its way here: what is there of it is given to others already.
//!
//! Chunks come in any order and on any thread. Each is held against its hash, opened where it lies, and written to its place, once;
//! from then on it counts as there. What is given to others is read again, and sealed and held against the list like anything that
//! leaves this device.

use super::FileError;
use super::partial::Partial;
use bytes::Bytes;
use sotto_e2ee::file::Sealer;
use sotto_protocol::blob::{ChunkList, Present};
use sotto_protocol::peer::Wanted as Asked;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The file as the sender named it.
pub(super) struct Wanted {
    pub(super) sealer: Sealer,
    pub(super) list: ChunkList,
}

/// See the module.
pub(crate) struct Arriving {
    wanted: Wanted,
    partial: Partial,
    state: Mutex<State>,
}

struct State {
    /// Somebody writes it, or has.
    taken: Present,
    there: Present,
}

impl Arriving {
    pub(super) fn new(wanted: Wanted, partial: Partial, there: Present) -> Self {
        let state = Mutex::new(State { taken: there.clone(), there });
        Self { wanted, partial, state }
    }

    pub(super) const fn list(&self) -> &ChunkList {
        &self.wanted.list
    }

    pub(super) const fn partial(&self) -> &Partial {
        &self.partial
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which chunks are there.
    pub(super) fn there(&self) -> Present {
        self.state().there.clone()
    }

    /// Bytes of the file in one chunk.
    pub(super) fn part_bytes(&self, chunk: u32) -> u64 {
        self.wanted.sealer.part(chunk).map_or(0, |(_, bytes)| bytes as u64)
    }

    /// A chunk came. One that is there already, or about to be, changes nothing.
    pub(super) fn take_in(&self, chunk: u32, mut sealed: Vec<u8>) -> Result<(), FileError> {
        let Wanted { sealer, list } = &self.wanted;
        let bad = || FileError::BadChunk { chunk: chunk.saturating_add(1), chunks: list.size().chunks() };
        if !list.is_chunk(chunk, &sealed) {
            return Err(bad());
        }
        // What the file's own reader will find on the disk needs no wiping in memory.
        sealer.open_in_place(chunk, &mut sealed).map_err(|_| bad())?;
        let (start, _) = sealer.part(chunk).ok_or_else(bad)?;
        {
            let mut state = self.state();
            if state.taken.has(chunk) {
                return Ok(());
            }
            state.taken.add(chunk);
        }
        self.partial.write(start, &sealed)?;
        self.state().there.add(chunk);
        Ok(())
    }

    /// What a member is answered; `None` for what is not there yet.
    pub(crate) fn give(&self, asked: Asked) -> Option<Bytes> {
        let Wanted { sealer, list } = &self.wanted;
        match asked {
            Asked::List => Some(list.to_bytes().into()),
            Asked::Present => Some(self.there().as_bytes().to_vec().into()),
            Asked::Chunk(chunk) if self.state().there.has(chunk) => {
                self.partial.pieces().sealed(sealer, list, chunk).ok()?.map(Bytes::from)
            }
            Asked::Chunk(_) => None,
        }
    }
}
