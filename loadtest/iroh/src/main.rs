//! One file over one stream of iroh, each end a process of its own, as `sotto-loadtest` measures it beside ours: straight between two
//! addresses on loopback, no relay, no discovery, everything else as iroh has it by default.
//!
//! ```text
//! beside-iroh give FILE           prints where it is, as JSON; gives the file until standard input is closed
//! beside-iroh take ADDRESS FILE   prints `{"seconds": ..., "bytes": ...}` when the file is on its disk
//! ```

#[path = "../../src/files/disk.rs"]
mod disk;

use anyhow::{Context as _, Result, bail};
use iroh::endpoint::{Builder, presets};
use iroh::{Endpoint, EndpointAddr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

const ALPN: &[u8] = b"bare-file";

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["give", file] => give(Path::new(file)).await,
        ["take", address, file] => take(address, Path::new(file)).await,
        _ => bail!("give FILE, or take ADDRESS FILE"),
    }
}

fn builder() -> Result<Builder> {
    Ok(Endpoint::builder(presets::Minimal).clear_ip_transports().bind_addr("127.0.0.1:0")?)
}

async fn give(path: &Path) -> Result<()> {
    let endpoint = builder()?.alpns(vec![ALPN.to_vec()]).bind().await?;
    let sockets = endpoint.bound_sockets();
    let address = EndpointAddr::from_parts(endpoint.id(), sockets.into_iter().map(iroh::TransportAddr::Ip));
    print_line(&serde_json::to_string(&address)?)?;
    let path: PathBuf = path.to_owned();
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

async fn take(address: &str, to: &Path) -> Result<()> {
    let address: EndpointAddr = serde_json::from_str(address).context("an address as `give` prints it")?;
    let endpoint = builder()?.bind().await?;
    let connection = endpoint.connect(address, ALPN).await?;
    let began = Instant::now();
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(&[1]).await?;
    let bytes = disk::write_all(&mut receive, to).await?;
    let seconds = began.elapsed().as_secs_f64();
    connection.close(0_u32.into(), b"done");
    endpoint.close().await;
    print_line(&serde_json::json!({ "seconds": seconds, "bytes": bytes }).to_string())
}

fn print_line(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}
