//! Writes batches into a store, says so, and waits to be killed: the process that dies in a power cut.

use anyhow::{Context as _, Result};
use sotto_protocol::ids::UnixMillis;
use sotto_relay::store::sled::open;
use sotto_relay::store::{BatchNumber, LogStore as _, SledOptions, SyncMode};
use std::io::{Read as _, Write as _};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("the store's folder")?;
    let sync = match arguments.next().as_deref() {
        Some("flush-and-fsync") => SyncMode::FlushAndFsync,
        Some("flush-only") => SyncMode::FlushOnly,
        _ => anyhow::bail!("flush-and-fsync or flush-only"),
    };
    let batches: u64 = arguments.next().context("how many batches")?.parse()?;
    let mut store = open(&SledOptions { sync, ..SledOptions::new(folder) })?;
    store.shard_at(UnixMillis(1))?;
    for number in 1..=batches {
        // Large enough that the file grows under them: bytes inside what was synced before survive anyway.
        store.append(BatchNumber(number), format!("batch {number} ").repeat(2_000).as_bytes())?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "written")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
