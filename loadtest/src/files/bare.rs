//! The attainable limit: one stream of quinn from a file to a file, each end a process of its own. No conversation, no chunks, no
//! hashes, nothing sealed but by TLS.

use super::disk;
use crate::bare::{Ready, print_line};
use crate::target::{client_config, endpoint};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Instant;

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
            let mut pieces = disk::pieces_of(File::open(&path)?);
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

/// Takes the file of a giver that said where it is.
pub(crate) async fn take(ready: &str, to: &Path) -> Result<()> {
    let Ready { port, certificate } = serde_json::from_str(ready)?;
    let client = client_config(&certificate, ALPN)?;
    let endpoint = endpoint(None)?;
    let connection = endpoint.connect_with(client, ([127, 0, 0, 1], port).into(), "localhost")?.await?;
    let began = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[1]).await?;
    let total = disk::write_all(&mut receive, to).await?;
    let took = Took { seconds: began.elapsed().as_secs_f64(), bytes: total };
    connection.close(0_u32.into(), b"done");
    endpoint.wait_idle().await;
    print_line(&serde_json::to_string(&took).context("two numbers are JSON")?)
}
