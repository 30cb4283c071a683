//! From a file to a stream and from a stream to a file, for the programs that ours is measured beside: reading and writing have threads
//! of their own, and what was written is on the disk at the end.

use anyhow::{Result, ensure};
use bytes::Bytes;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::mpsc::{Receiver, channel as queue_of};

/// Read, written and handed on at once.
const PIECE_BYTES: usize = 1 << 20;

/// Pieces that wait for the other thread.
const WAITING_MAX: usize = 4;

/// A file, piece by piece.
pub(crate) fn pieces_of(mut file: File) -> Receiver<Result<Bytes>> {
    let (pieces, queue) = queue_of(WAITING_MAX);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = file.read(&mut piece);
            let is_end = !matches!(read, Ok(1..));
            let piece = read.map(|bytes| {
                piece.truncate(bytes);
                Bytes::from(piece)
            });
            if pieces.blocking_send(piece.map_err(Into::into)).is_err() || is_end {
                return;
            }
        }
    });
    queue
}

/// Writes all of a stream to a new file; how many bytes that were.
pub(crate) async fn write_all(mut receive: impl AsyncRead + Unpin, to: &Path) -> Result<u64> {
    let (full, queue) = sync_channel::<(Vec<u8>, usize)>(WAITING_MAX);
    let (empty, back) = channel();
    let mut file = File::create(to)?;
    let writer = std::thread::spawn(move || {
        while let Ok((piece, bytes)) = queue.recv() {
            file.write_all(piece.get(..bytes).unwrap_or_default())?;
            // The other end is gone when all has come.
            let _ = empty.send(piece);
        }
        file.sync_all()
    });
    let mut total = 0_u64;
    loop {
        let mut piece = back.try_recv().unwrap_or_else(|_| vec![0; PIECE_BYTES]);
        let mut filled = 0;
        while let Some(room) = piece.get_mut(filled..).filter(|room| !room.is_empty()) {
            let bytes = receive.read(room).await?;
            if bytes == 0 {
                break;
            }
            filled += bytes;
        }
        total += filled as u64;
        let is_end = filled < PIECE_BYTES;
        ensure!(full.send((piece, filled)).is_ok(), "the disk took no more");
        if is_end {
            break;
        }
    }
    drop(full);
    let written = tokio::task::spawn_blocking(move || writer.join()).await?;
    written.map_err(|_| anyhow::anyhow!("the writer ended early"))??;
    Ok(total)
}
