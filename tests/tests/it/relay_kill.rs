//! `kill -9` of the relay at random moments under load: nothing that was acknowledged is lost, doubled or moved.

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::{Writer, all_write};
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use std::time::Duration;

const CYCLES: usize = 100;
const WRITERS: usize = 6;

#[test]
fn a_relay_killed_100_times_under_load_keeps_every_acknowledged_message() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("relay"), folder.path().join("log"));
    let address = free_address()?;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(0x6b69_6c6c);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let endpoint = client()?;
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let relay = Relay::from_link(&process.ready.link)?;
        let mut writers = Vec::new();
        for index in 0..WRITERS {
            writers.push(Writer::new(&relay, &endpoint, &format!("writer{index}")).await?);
        }
        process.kill()?;

        for _ in 0..CYCLES {
            let process = RelayProcess::start_on(&data, &log, &address, &[])?;
            let relay = Relay::from_link(&process.ready.link)?;
            let endpoint = client()?;
            // Long enough to get under way, short enough to hit every stage of a batch.
            let moment = Duration::from_micros(rng.random_range(20_000..250_000));
            let writing = all_write(writers, &relay, &endpoint);
            tokio::time::sleep(moment).await;
            process.kill()?;
            // A dead relay says nothing: the writers' connections end here instead of after an idle timeout.
            endpoint.close(0u32.into(), b"the relay was killed");
            let mut back = Vec::new();
            for writer in writing {
                back.push(writer.await??);
            }
            writers = back;
        }

        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let relay = Relay::from_link(&process.ready.link)?;
        let (mut acknowledged, mut stored) = (0, 0);
        for writer in &writers {
            let checked = writer.check(&relay, &endpoint).await?;
            acknowledged += checked.acknowledged;
            stored += checked.stored;
        }
        println!("{CYCLES} kills: {acknowledged} acknowledged, {stored} in the log, 0 lost, 0 doubled, 0 out of order");
        assert!(acknowledged > CYCLES * WRITERS, "the writers hardly wrote: {acknowledged}");
        process.terminate()?;
        no_error_was_logged(&log)
    })
}

fn client() -> Result<quinn::Endpoint> {
    Ok(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?)
}
