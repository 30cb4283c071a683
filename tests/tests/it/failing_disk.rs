//! The real relay on a disk that fails: an fsync that reports an error, and a file system that is full.

use anyhow::{Context, Result, ensure};
use sotto_loadtest::raw::Relay;
use sotto_tests::ledger::{Writer, all_get_on, all_write};
use sotto_tests::person::Person;
use sotto_tests::power::PowerCutDisk;
use sotto_tests::receiver::{Received, receiver};
use sotto_tests::relay_process::{RelayProcess, free_address, tail};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The exit code that `sotto-relay --help` promises for a disk that failed.
const DISK_FAILED: i32 = 6;

/// Where Debian has the libraries that make calls of the operating system fail on request.
const LIBFIU: &str = "/usr/lib/fiu/fiu_run_preload.so /usr/lib/fiu/fiu_posix_preload.so";

/// EIO, the error of a disk that did not write.
const EIO: i32 = 5;

const WRITERS: usize = 4;

#[test]
fn a_relay_whose_fsync_fails_acknowledges_nothing_more_and_ends_with_the_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("relay"), folder.path().join("log"));
    let address = free_address()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let control = folder.path().join("fiu");
        let settings =
            [("LD_PRELOAD", LIBFIU), ("FIU_CTRL_FIFO", control.to_str().context("a path of text")?)];
        let mut process = RelayProcess::start_on(&data, &log, &address, &settings)?;
        let relay = Relay::from_link(&process.ready.link)?;
        let endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
        let mut writers = Vec::new();
        for index in 0..WRITERS {
            let mut writer = Writer::new(&relay, &endpoint, &format!("writer{index}")).await?;
            writer.write(&relay, &endpoint, 50).await?;
            writers.push(writer);
        }
        let progress: Vec<_> = writers.iter().map(Writer::progress).collect();
        let writing = all_write(writers, &relay, &endpoint);
        all_get_on(progress).await?;
        every_fsync_fails(&control, process.ready.pid)?;
        let status = process.ends_by_itself().await?;
        assert_eq!(status.code(), Some(DISK_FAILED), "{}", tail(&log));
        let said = tail(&log);
        assert!(said.contains("did not confirm a write"), "the reason is not said: {said}");
        let mut back = Vec::new();
        for writer in writing {
            back.push(writer.await??);
        }

        // A disk that works again has everything that was acknowledged.
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let relay = Relay::from_link(&process.ready.link)?;
        let mut acknowledged = 0;
        for writer in &back {
            acknowledged += writer.check(&relay, &endpoint).await?.acknowledged;
        }
        assert!(acknowledged > WRITERS * 50, "nothing was under way when the fsync failed");
        process.terminate()
    })
}

#[test]
fn an_error_of_the_running_relay_reaches_whoever_speaks_sentrys_protocol() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, log) = (folder.path().join("relay"), folder.path().join("log"));
    let control = folder.path().join("fiu");
    let (address, told) = receiver("{}".to_owned());
    let sentry = format!("http://thekey@{address}/42");
    let settings = [
        ("LD_PRELOAD", LIBFIU),
        ("FIU_CTRL_FIFO", control.to_str().context("a path of text")?),
        ("SOTTO_RELAY_TELEMETRY_SENTRY", sentry.as_str()),
    ];
    let mut process = RelayProcess::start(&data, &log, &settings)?;
    let alice = Person::register("alice", folder.path(), &process.ready.link);
    let _bob = Person::register("bob", folder.path(), &process.ready.link);
    ensure!(told.try_recv().is_err(), "nothing has failed yet");
    every_fsync_fails(&control, process.ready.pid)?;
    let sending = alice.begins(&["send", "@bob", "into the void"]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = runtime.block_on(process.ends_by_itself())?;
    assert_eq!(status.code(), Some(DISK_FAILED), "{}", tail(&log));

    drop(sending);

    // It was sent before the process ended; the receiver may have to tell of it yet.
    let Received { head, body } = told.recv_timeout(Duration::from_secs(60)).context("nothing was sent")?;
    ensure!(head.starts_with("POST /api/42/envelope/ ") && head.contains("sentry_key=thekey"), "{head}");
    let text = String::from_utf8(body)?;
    for part in ["stopping", "did not confirm a write", "\"level\":\"error\"", sotto_relay::AGENT] {
        ensure!(text.contains(part), "{part} is missing: {text}");
    }
    ensure!(!text.contains("into the void") && !text.contains("alice"), "{text}");
    Ok(())
}

/// From now on each fsync of the process reports an error.
fn every_fsync_fails(control: &Path, pid: u32) -> Result<()> {
    let enable = format!("enable name=posix/io/sync/*,failinfo={EIO}");
    let status = Command::new("fiu-ctrl")
        .arg("-f")
        .arg(control)
        .args(["-c", &enable, &pid.to_string()])
        .status()
        .context("libfiu is needed: apt-get install fiu-utils (cargo xtask test does)")?;
    ensure!(status.success(), "fiu-ctrl ended with {status}");
    Ok(())
}

/// The disk, in MiB: room for what the relay keeps free and little more.
const SMALL_DISK: u64 = 600;

#[test]
#[ignore = "needs root: mounts a small disk and fills it"]
fn a_relay_on_a_full_disk_takes_nothing_new_serves_what_it_has_and_goes_on_when_there_is_space() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let disk = PowerCutDisk::new(folder.path(), SMALL_DISK)?;
    let (data, log) = (disk.path().join("relay"), folder.path().join("log"));
    let relay = RelayProcess::start(&data, &log, &[])?;
    let [alice, bob] = ["alice", "bob"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["send", "@bob", "before"]);

    let ballast = disk.path().join("ballast");
    fill(&ballast, &data)?;
    let (code, said) = alice.fails_to(&["send", "@bob", "while it is full"]);
    assert_eq!(code, Some(4), "kept in the outbox: {said}");
    assert_eq!(bob.texts("@alice"), ["before"]);

    std::fs::remove_file(&ballast)?;
    alice.empties_the_outbox();
    assert_eq!(bob.texts("@alice"), ["before", "while it is full"]);
    relay.terminate()
}

/// Takes all space but 64 MiB, which is less than the relay wants to be free.
fn fill(ballast: &Path, data: &Path) -> Result<()> {
    let output = Command::new("df").args(["--output=avail", "--block-size=1M"]).arg(data).output()?;
    let text = String::from_utf8(output.stdout)?;
    let free: u64 = text.lines().nth(1).context("df prints a second line")?.trim().parse()?;
    let size = format!("{}M", free.saturating_sub(64));
    let status = Command::new("fallocate").args(["--length", &size]).arg(ballast).status()?;
    ensure!(status.success(), "fallocate ended with {status}");
    Ok(())
}
