//! The attainable limit: one stream of quinn from a file to a file, each end a process of its own. No conversation, no chunks, no
//! hashes, nothing sealed but by TLS; reading and writing have threads of their own, and what was written is on the disk at the end.

use crate::bare::{Ready, print_line};
use crate::target::{client_config, endpoint};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{channel, sync_channel};
use std::time::Instant;

/// Read, written and handed on at once.
const PIECE_BYTES: usize = 1 << 20;

/// Pieces that wait for the other thread.
const WAITING_MAX: usize = 4;

const ALPN: &[u8] = b"bare-file";

/// What the taker prints when the file is on its disk.
#[derive(Serialize, Deserialize)]
pub(super) struct Took {
    /// From the connection on.
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// Gives one file to whoever connects, as often as somebody does, until standard input is closed.
pub(crate) async fn give(path: &Path) -> Result<()> {
    let (config, certificate) = crate::bare::server_config(ALPN)?;
    let endpoint = endpoint(Some(config))?;
    let ready = Ready { port: endpoint.local_addr()?.port(), certificate: certificate.to_vec() };
    print_line(&serde_json::to_string(&ready)?)?;
    let path = path.to_owned();
    let accepting = tokio::spawn(async move {
        while let Some(incoming) = endpoint.accept().await {
            let connection = incoming.await?;
            let (mut send, _receive) = connection.accept_bi().await?;
            let mut pieces = pieces_of(File::open(&path)?);
            while let Some(piece) = pieces.recv().await {
                send.write_chunk(piece?).await?;
            }
            send.finish()?;
            connection.closed().await;
        }
        anyhow::Ok(())
    });
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    accepting.abort();
    Ok(())
}

fn pieces_of(mut file: File) -> tokio::sync::mpsc::Receiver<Result<Bytes>> {
    let (pieces, queue) = tokio::sync::mpsc::channel(WAITING_MAX);
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

/// Takes the file of a giver that said where it is.
pub(crate) async fn take(ready: &str, to: &Path) -> Result<()> {
    let Ready { port, certificate } = serde_json::from_str(ready)?;
    let client = client_config(&certificate, ALPN)?;
    let endpoint = endpoint(None)?;
    let connection = endpoint.connect_with(client, ([127, 0, 0, 1], port).into(), "localhost")?.await?;
    let began = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[1]).await?;
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
            let Some(bytes) = receive.read(room).await? else { break };
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
    written.map_err(|_| anyhow::anyhow!("the writer ended early")).and_then(|written| Ok(written?))?;
    let took = Took { seconds: began.elapsed().as_secs_f64(), bytes: total };
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    print_line(&serde_json::to_string(&took).context("two numbers are JSON")?)
}
