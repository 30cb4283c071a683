//! Quotas, reported before they bite: with the real program, in its figures, its log and by its command.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::Writer;
use sotto_tests::person::Person;
use sotto_tests::programs::program;
use sotto_tests::relay_process::{RelayProcess, free_address};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The relay looks when it starts, and each minute after that.
const PATIENCE: Duration = Duration::from_secs(30);

const CONVERSATION: &str = "SOTTO_RELAY_QUOTA_CONVERSATION";
const ACCOUNT: &str = "SOTTO_RELAY_QUOTA_ACCOUNT";

fn ask(data: &Path, words: &[&str], (setting, quota): (&str, &str)) -> Result<Vec<Value>> {
    let mut command = Command::new(program("sotto-relay"));
    command.args(words).arg("--json").env("SOTTO_RELAY_DATA_DIR", data).stdin(Stdio::null());
    let output = command.env(setting, quota).output()?;
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
    let rooms = ask(&data, &["room", "list", "--all"], (CONVERSATION, "0"))?;
    let stored: Vec<u64> = rooms.iter().filter_map(|room| room["stored_bytes"].as_u64()).collect();
    let [most, least] = stored.as_slice() else { panic!("two conversations: {rooms:?}") };
    ensure!(least * 2 < *most, "one is much larger: {rooms:?}");

    // A tenth more than the larger one has.
    let quota = (most + most / 10).to_string();
    let stats = ask(&data, &["stats"], (CONVERSATION, &quota))?;
    let named = stats[0]["nearly_full"].as_array().context("a list")?;
    ensure!(named.len() == 1 && named[0]["conversation"] == rooms[0]["conversation"], "{stats:?}");
    ensure!(
        ask(&data, &["stats"], (CONVERSATION, "0"))?[0]["nearly_full_count"] == 0,
        "without a quota nothing is"
    );

    let settings = [(CONVERSATION, quota.as_str())];
    let process = RelayProcess::start_on(&data, &log, &address, &settings)?;
    one_is_near(&process, "sotto_conversations_near_quota", "sotto_conversation_fullest_ratio")?;
    process.terminate()?;
    is_named_once(&log, "a conversation is nearly full")
}

/// Waits until the figures say that one of a kind is near its quota, and looks at the share that they say.
fn one_is_near(process: &RelayProcess, near: &str, fullest: &str) -> Result<()> {
    let http = process.ready.http.context("it serves plain HTTP")?;
    let since = Instant::now();
    loop {
        let text = metrics(http)?;
        if text.lines().any(|line| line == format!("{near} 1")) {
            let share = text.lines().find_map(|line| line.strip_prefix(fullest));
            let share: f64 = share.context("its share")?.trim().parse()?;
            ensure!((0.8..1.0).contains(&share), "{share}");
            return Ok(());
        }
        ensure!(since.elapsed() < PATIENCE, "it is not in the figures: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_named_once(log: &Path, what: &str) -> Result<()> {
    let lines = std::fs::read_to_string(log)?;
    ensure!(lines.lines().filter(|line| line.contains(what)).count() == 1, "{lines}");
    Ok(())
}

/// What `sotto doctor` says about the account's room.
fn room(person: &Person<'_>) -> Value {
    let output = person.command(&["doctor"]).output().expect("the program starts");
    let text = String::from_utf8(output.stdout).expect("--json is text");
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("--json prints JSON"));
    lines.find(|line| line["check"] == "room").expect("it looks at it")
}

#[test]
fn an_account_near_its_quota_is_reported_to_its_person_and_to_the_operator_before_it_is_full() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let address = free_address()?;
    let process = RelayProcess::start_on(&data, &log, &address, &[])?;
    let alice = Person::register("alice", home.path(), &process.ready.link);
    let _bob = Person::register("bob", home.path(), &process.ready.link);
    let lines: String = (0..40).map(|n| format!("line {n}\n")).collect();
    alice.does_with(&["send", "@bob", "--lines"], &lines);
    ensure!(room(&alice)["verdict"] == "good", "without a quota there is room");
    process.terminate()?;
    let accounts = ask(&data, &["account", "list"], (ACCOUNT, "0"))?;
    let held = |name: &str| {
        let row = accounts.iter().find(|row| row["username"] == name).context("listed")?;
        row["stored_bytes"].as_u64().context("a figure")
    };
    let (hers, his) = (held("alice")?, held("bob")?);
    ensure!(hers > 40 * 100 && his * 2 < hers, "{accounts:?}");

    // A backup has the figures, and compacting changes none.
    let none = (ACCOUNT, "0");
    let (backups, restored) = (home.path().join("backups"), home.path().join("restored"));
    let text = |path: &Path| path.to_str().map(str::to_owned).context("a path of text");
    let (backups, to) = (text(&backups)?, text(&restored)?);
    ask(&data, &["backup", &backups], none)?;
    ask(&data, &["restore", &backups, "--to", &to], none)?;
    ask(&data, &["compact"], none)?;
    for folder in [&restored, &data] {
        ensure!(ask(folder, &["account", "list"], none)? == accounts, "in {}", folder.display());
    }

    let quota = (hers + hers / 10).to_string();
    let stats = ask(&data, &["stats"], (ACCOUNT, &quota))?;
    ensure!(stats[0]["nearly_full_accounts_count"] == 1, "{stats:?}");
    ensure!(stats[0]["nearly_full_accounts"][0]["username"] == "alice", "{stats:?}");
    let process = RelayProcess::start_on(&data, &log, &address, &[(ACCOUNT, quota.as_str())])?;
    one_is_near(&process, "sotto_accounts_near_quota", "sotto_account_fullest_ratio")?;
    let told = room(&alice);
    ensure!(told["verdict"] == "warning" && told["advice"].is_string(), "{told}");

    // Then it bites, in whatever conversation, and says so; what is there can be read.
    let (_, said) = alice.fails_to(&["send", "@bob", &"x".repeat(4_000)]);
    ensure!(said.contains("ask who runs the relay"), "{said}");
    let read = alice.does(&["history", "@bob", "-n", "100"]);
    ensure!(read.iter().filter(|line| line["text"].is_string()).count() == 40, "{read:?}");
    process.terminate()?;
    is_named_once(&log, "an account has nearly used up its quota")
}
