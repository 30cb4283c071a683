//! Power cuts under load: what was acknowledged is on the disk, and the test would notice if it were not.

use anyhow::Result;
use rand::{RngExt as _, SeedableRng as _};
use sotto_loadtest::raw::Relay;
use sotto_relay::store::sled::open;
use sotto_relay::store::{BatchNumber, LogStore as _, SledOptions, SyncMode};
use sotto_tests::ledger::{Writer, all_get_on, all_write};
use sotto_tests::power::PowerCutDisk;
use sotto_tests::relay_process::{RelayProcess, free_address};
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

const CYCLES: usize = 20;
const WRITERS: usize = 4;
const DISK_MEBIBYTES: u64 = 1_024;

#[test]
#[ignore = "needs root: mounts a disk and cuts its power"]
fn a_relay_keeps_every_acknowledged_message_through_20_power_cuts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = PowerCutDisk::new(folder.path(), DISK_MEBIBYTES)?;
    let (data, log) = (disk.path().join("relay"), folder.path().join("log"));
    let address = free_address()?;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(0x706f_7765);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let relay = Relay::from_link(&process.ready.link)?;
        let endpoint = client()?;
        let mut writers = Vec::new();
        for index in 0..WRITERS {
            writers.push(Writer::new(&relay, &endpoint, &format!("writer{index}")).await?);
        }
        process.terminate()?;

        for _ in 0..CYCLES {
            let mut process = RelayProcess::start_on(&data, &log, &address, &[])?;
            let relay = Relay::from_link(&process.ready.link)?;
            let endpoint = client()?;
            let moment = Duration::from_micros(rng.random_range(50_000..400_000));
            let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
            let writing = all_write(writers, &relay, &endpoint);
            // All are at work when it happens, however long connecting took them: with nobody writing there is no batch that
            // would meet the dead disk.
            all_get_on(progress).await?;
            tokio::time::sleep(moment).await;
            disk.cut()?;
            // The relay finds that its disk is gone by itself, at its next batch, and says so.
            let status = process.ends_by_itself().await?;
            assert!(!status.success(), "the relay ended as if it had a disk");
            endpoint.close(0u32.into(), b"the power was cut");
            let mut back = Vec::new();
            for writer in writing {
                back.push(writer.await??);
            }
            writers = back;
            drop(process);
            disk.restore()?;
        }

        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let relay = Relay::from_link(&process.ready.link)?;
        let endpoint = client()?;
        let (mut acknowledged, mut stored) = (0, 0);
        for writer in &writers {
            let checked = writer.check(&relay, &endpoint).await?;
            acknowledged += checked.acknowledged;
            stored += checked.stored;
        }
        println!("{CYCLES} power cuts: {acknowledged} acknowledged, {stored} in the log, 0 lost, 0 doubled, 0 out of order");
        assert!(acknowledged > CYCLES * WRITERS, "the writers hardly wrote: {acknowledged}");
        process.terminate()
    })
}

/// The positive control: the same disk, the same cuts, the store alone with and without its fsync.
#[test]
#[ignore = "needs root: mounts a disk and cuts its power"]
fn the_store_without_its_fsync_loses_what_the_store_with_it_keeps() -> Result<()> {
    let kept = batches_kept(SyncMode::FlushAndFsync)?;
    let kept_without = batches_kept(SyncMode::FlushOnly)?;
    println!("of {BATCHES} batches per cut, kept with fsync {kept:?}, without {kept_without:?}");
    assert!(kept.iter().all(|kept| *kept == BATCHES), "a batch was lost in spite of its fsync: {kept:?}");
    assert!(
        kept_without.iter().all(|kept| *kept < BATCHES),
        "the store without fsync lost nothing, so this test cannot see a power cut: {kept_without:?}"
    );
    Ok(())
}

/// Batches that are written before each cut.
const BATCHES: u64 = 300;

/// Lets a process write [`BATCHES`] batches, cuts the power, and counts what is there; five times.
fn batches_kept(sync: SyncMode) -> Result<Vec<u64>> {
    let mut counts = Vec::new();
    for _ in 0..5 {
        let folder = tempfile::tempdir()?;
        let disk = PowerCutDisk::new(folder.path(), DISK_MEBIBYTES)?;
        let log = disk.path().join("log");
        let mut writer = Command::new(env!("CARGO_BIN_EXE_store-writer"))
            .arg(&log)
            .arg(if sync == SyncMode::FlushOnly { "flush-only" } else { "flush-and-fsync" })
            .arg(BATCHES.to_string())
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()?;
        let output = writer.stdout.take().expect("the writer's output is a pipe");
        let said = BufReader::new(output).lines().next().transpose()?;
        assert_eq!(said.as_deref(), Some("written"), "the writer did not write its batches");
        disk.cut()?;
        writer.kill()?;
        writer.wait()?;
        disk.restore()?;
        let mut count = 0;
        // What cannot be opened or read any more is lost, so an error only ends the count.
        let _ = open(&SledOptions::new(&log)).and_then(|store| {
            store.replay(BatchNumber(0), &mut |_, _, _| {
                count += 1;
                Ok(())
            })
        });
        counts.push(count);
    }
    Ok(counts)
}

fn client() -> Result<quinn::Endpoint> {
    Ok(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?)
}
