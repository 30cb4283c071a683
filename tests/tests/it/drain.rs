//! SIGTERM under load: nothing is lost, and devices are back on the next process by themselves.

use anyhow::{Context as _, Result, ensure};
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::{Writer, all_write};
use sotto_tests::person::Person;
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use std::time::{Duration, Instant};

const RESTARTS: usize = 5;
const WRITERS: usize = 3;

/// How long devices may be away after the next process listens. On a machine with nothing else to do it is 0.2 s; here
/// other tests run beside.
const AWAY_MAX: Duration = Duration::from_secs(10);

#[test]
fn a_relay_terminated_under_load_loses_nothing_and_its_devices_are_back_on_the_next_process() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let address = free_address()?;
    let mut process = RelayProcess::start_on(&data, &log, &address, &[])?;
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, home.path(), &process.ready.link));
    alice.does(&["send", "@bob", "hello"]);
    let (mut writing, reading) = (alice.begins(&["chat", "@bob"]), bob.begins(&["tail"]));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let relay = Relay::from_link(&process.ready.link)?;
    let client = || -> Result<quinn::Endpoint> {
        let _inside = runtime.enter();
        Ok(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?)
    };
    let endpoint = client()?;
    let mut writers = Vec::new();
    for index in 0..WRITERS {
        let name = format!("writer{index}");
        writers.push(runtime.block_on(Writer::new(&relay, &endpoint, &name))?);
    }

    let mut said = Vec::new();
    let mut says = |line: String| {
        writing.is_told(&line);
        said.push(line.clone());
        reading.says(|object| object["text"] == line.as_str()).0
    };
    let mut away = Vec::new();
    for restart in 0..RESTARTS {
        let endpoint = client()?;
        let load = {
            let _inside = runtime.enter();
            all_write(writers, &relay, &endpoint)
        };
        says(format!("before restart {restart}"));
        let asked = Instant::now();
        process.terminate()?;
        let drained = asked.elapsed();
        process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let listens = Instant::now();
        let back = says(format!("after restart {restart}"));
        away.push((drained, back.saturating_duration_since(listens), back.duration_since(asked)));
        endpoint.close(0u32.into(), b"the relay has ended");
        writers = Vec::new();
        for writer in load {
            writers.push(runtime.block_on(writer)??);
        }
    }
    println!("drained in, back after the next process listened, back after SIGTERM: {away:?}");
    let longest = away.iter().map(|(_, back, _)| *back).max().context("a restart")?;
    ensure!(longest < AWAY_MAX, "devices were away for {longest:?}");

    for writer in &writers {
        let checked = runtime.block_on(writer.check(&relay, &endpoint))?;
        ensure!(checked.acknowledged > RESTARTS, "a writer hardly wrote");
    }
    writing.ends();
    drop(reading);
    let read = bob.texts("@alice");
    ensure!(read.iter().skip(1).eq(&said), "bob read {read:?}");
    alice.never_failed_to_decrypt();
    bob.never_failed_to_decrypt();
    process.terminate()?;
    no_error_was_logged(&log)
}
