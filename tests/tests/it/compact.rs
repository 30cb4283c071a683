//! Giving back disk space: wherever it is interrupted, everything that the relay acknowledged is there.

use anyhow::{Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::Writer;
use sotto_tests::programs::program;
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const INTERRUPTIONS: usize = 20;

fn compact(data: &Path) -> Command {
    let mut command = Command::new(program("sotto-relay"));
    command.args(["compact", "--json"]).env("SOTTO_RELAY_DATA_DIR", data).stdin(Stdio::null());
    command
}

fn compacted(data: &Path) -> Result<Value> {
    let output = compact(data).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[test]
fn a_relay_is_compacted_and_twenty_kills_in_the_middle_lose_nothing() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let address = free_address()?;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(0x636f_6d70);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let writers = runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let (relay, endpoint) =
            (Relay::from_link(&process.ready.link)?, quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?);
        let mut writers = Vec::new();
        for index in 0..3 {
            let mut writer = Writer::new(&relay, &endpoint, &format!("writer{index}")).await?;
            writer.write(&relay, &endpoint, 300).await?;
            writers.push(writer);
        }
        let refused = compact(&data).output()?;
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        ensure!(refused.status.code() == Some(5) && said.contains("stop it first"), "{said}");
        process.terminate()?;
        anyhow::Ok(writers)
    })?;

    let began = Instant::now();
    let first = compacted(&data)?;
    let took = began.elapsed();
    ensure!(first["databases"].as_u64() == Some(3), "a shard, the checkpoint, the accounts: {first}");
    let mut interrupted = 0;
    for _ in 0..INTERRUPTIONS {
        let mut command = compact(&data).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        std::thread::sleep(Duration::from_micros(rng.random_range(0..=took.as_micros().try_into()?)));
        command.kill()?;
        interrupted += usize::from(!command.wait()?.success());
    }
    ensure!(interrupted > 0, "no kill came while it was at work");
    let last = compacted(&data)?;
    ensure!(last["after_bytes"].as_u64() <= first["before_bytes"].as_u64(), "{first} then {last}");
    ensure!(!data.join("log/shards/gone-compact").exists(), "what was interrupted is cleared away");

    runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let (relay, endpoint) =
            (Relay::from_link(&process.ready.link)?, quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?);
        for mut writer in writers {
            let checked = writer.check(&relay, &endpoint).await?;
            ensure!(checked.acknowledged > 0, "nothing was written");
            writer.write(&relay, &endpoint, 10).await?;
            writer.check(&relay, &endpoint).await?;
        }
        process.terminate()?;
        no_error_was_logged(&log)
    })
}
