//! Quotas, reported before they bite: with the real program, in its figures, its log and by its command.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::Writer;
use sotto_tests::programs::program;
use sotto_tests::relay_process::{RelayProcess, free_address};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The relay looks when it starts, and each minute after that.
const PATIENCE: Duration = Duration::from_secs(30);

fn ask(data: &Path, words: &[&str], quota: &str) -> Result<Vec<Value>> {
    let mut command = Command::new(program("sotto-relay"));
    command.args(words).arg("--json").env("SOTTO_RELAY_DATA_DIR", data).stdin(Stdio::null());
    let output = command.env("SOTTO_RELAY_QUOTA_CONVERSATION", quota).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

fn metrics(http: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_conversation_near_its_quota_is_reported_before_it_is_full() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let address = free_address()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let (relay, endpoint) =
            (Relay::from_link(&process.ready.link)?, quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?);
        for (name, messages) in [("little", 5), ("much", 200)] {
            let mut writer = Writer::new(&relay, &endpoint, name).await?;
            writer.write(&relay, &endpoint, messages).await?;
        }
        process.terminate()
    })?;
    let rooms = ask(&data, &["room", "list", "--all"], "0")?;
    let stored: Vec<u64> = rooms.iter().filter_map(|room| room["stored_bytes"].as_u64()).collect();
    let [most, least] = stored.as_slice() else { panic!("two conversations: {rooms:?}") };
    ensure!(least * 2 < *most, "one is much larger: {rooms:?}");

    // A tenth more than the larger one has.
    let quota = (most + most / 10).to_string();
    let stats = ask(&data, &["stats"], &quota)?;
    let named = stats[0]["nearly_full"].as_array().context("a list")?;
    ensure!(named.len() == 1 && named[0]["conversation"] == rooms[0]["conversation"], "{stats:?}");
    ensure!(ask(&data, &["stats"], "0")?[0]["nearly_full_count"] == 0, "without a quota nothing is");

    let settings = [("SOTTO_RELAY_QUOTA_CONVERSATION", quota.as_str())];
    let process = RelayProcess::start_on(&data, &log, &address, &settings)?;
    let http = process.ready.http.context("it serves plain HTTP")?;
    let since = Instant::now();
    loop {
        let text = metrics(http)?;
        if text.lines().any(|line| line == "sotto_conversations_near_quota 1") {
            let ratio = text.lines().find_map(|line| line.strip_prefix("sotto_conversation_fullest_ratio "));
            let ratio: f64 = ratio.context("its share")?.parse()?;
            ensure!((0.8..1.0).contains(&ratio), "{ratio}");
            break;
        }
        ensure!(since.elapsed() < PATIENCE, "it is not in the figures: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
    process.terminate()?;
    let lines = std::fs::read_to_string(&log)?;
    let warnings = lines.lines().filter(|line| line.contains("a conversation is nearly full"));
    ensure!(warnings.count() == 1, "{lines}");
    Ok(())
}
