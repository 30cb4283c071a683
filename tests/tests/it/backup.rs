//! Backups of a relay under load: whole at their mark, whatever interrupts them.

use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use sotto_loadtest::raw::Relay;
use sotto_protocol::ids::UnixMillis;
use sotto_relay::backup::Made;
use sotto_tests::ledger::{Writer, all_write};
use sotto_tests::programs::program;
use sotto_tests::relay_process::{RelayProcess, free_address, no_error_was_logged};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const INTERRUPTIONS: usize = 20;
const WRITERS: usize = 3;

/// The program with its data folder.
fn sotto_relay(data: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program("sotto-relay"));
    command.args(words).env("SOTTO_RELAY_DATA_DIR", data).stdin(Stdio::null());
    command
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a temporary folder has a plain name")
}

/// What a command says when it succeeds; its last words when not.
fn say(mut command: Command) -> Result<String> {
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn back_up(data: &Path, folder: &Path) -> Result<Made> {
    Ok(serde_json::from_str(&say(sotto_relay(data, &["backup", path(folder), "--json"]))?)?)
}

fn verify(backup: &Path) -> Result<String> {
    say(sotto_relay(Path::new("nowhere"), &["verify", path(backup)]))
}

fn restore(backup: &Path, to: &Path) -> Result<String> {
    say(sotto_relay(Path::new("nowhere"), &["restore", path(backup), "--to", path(to)]))
}

async fn some_writers(relay: &Relay, endpoint: &quinn::Endpoint) -> Result<Vec<Writer>> {
    let mut writers = Vec::new();
    for index in 0..WRITERS {
        writers.push(Writer::new(relay, endpoint, &format!("writer{index}")).await?);
    }
    Ok(writers)
}

fn client() -> Result<quinn::Endpoint> {
    Ok(quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?)
}

/// Restores a backup, starts a relay on it and holds it against the ledgers; how many messages it has too few, all of
/// them acknowledged after the mark.
async fn restored_is_whole(made: &Made, home: &Path, address: &str, writers: &[Writer]) -> Result<usize> {
    verify(&made.backup)?;
    let name = format!("restored-{}", made.mark_batch);
    let (data, log) = (home.join(&name), home.join(name + ".log"));
    restore(&made.backup, &data)?;
    let process = RelayProcess::start_on(&data, &log, address, &[])?;
    let (relay, endpoint) = (Relay::from_link(&process.ready.link)?, client()?);
    let mut later = 0;
    for writer in writers {
        let checked = writer.check_until(&relay, &endpoint, UnixMillis(made.mark_ms)).await?;
        ensure!(checked.acknowledged > 0, "the mark is before the first message");
        later += writer.acknowledged().saturating_sub(checked.stored);
    }
    // It is a relay to go on with.
    let mut newcomer = Writer::new(&relay, &endpoint, "newcomer").await?;
    newcomer.write(&relay, &endpoint, 10).await?;
    newcomer.check(&relay, &endpoint).await?;
    process.terminate()?;
    no_error_was_logged(&log)?;
    Ok(later)
}

#[test]
fn a_backup_under_load_has_every_message_acknowledged_before_its_mark_in_order() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log, kept) = (home.path().join("relay"), home.path().join("log"), home.path().join("kept"));
    let address = free_address()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &[])?;
        let (relay, endpoint) = (Relay::from_link(&process.ready.link)?, client()?);
        let mut writers = some_writers(&relay, &endpoint).await?;
        for writer in &mut writers {
            writer.write(&relay, &endpoint, 50).await?;
        }
        let writing = all_write(writers, &relay, &endpoint);
        let backing_up = tokio::task::spawn_blocking({
            let (data, kept) = (data.clone(), kept.clone());
            move || -> Result<Vec<Made>> { (0..3).map(|_| back_up(&data, &kept)).collect() }
        });
        let made = backing_up.await??;
        process.kill()?;
        endpoint.close(0u32.into(), b"the relay was killed");
        let mut writers = Vec::new();
        for writer in writing {
            writers.push(writer.await??);
        }

        let refused = restore(&kept, &data).unwrap_err().to_string();
        assert!(refused.contains("nothing is ever written over data"), "{refused}");
        let (first, last) = (made.first().context("a backup")?, made.last().context("a backup")?);
        let later = restored_is_whole(first, home.path(), &address, &writers).await?;
        ensure!(later > 0, "nothing was written while the backups were made");
        restored_is_whole(last, home.path(), &address, &writers).await?;
        no_error_was_logged(&log)
    })
}

#[test]
fn sixty_kills_of_relay_and_command_at_random_moments_leave_the_last_good_backup_usable() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log) = (home.path().join("relay"), home.path().join("log"));
    let (on_schedule, by_hand) = (home.path().join("on-schedule"), home.path().join("by-hand"));
    // As fast as they are made, of which two are kept.
    let settings = [
        ("SOTTO_RELAY_BACKUP_EVERY", "50ms"),
        ("SOTTO_RELAY_BACKUP_KEEP", "2"),
        ("SOTTO_RELAY_BACKUP_FOLDER", path(&on_schedule)),
    ];
    let address = free_address()?;
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(0x6261_636b);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let process = RelayProcess::start_on(&data, &log, &address, &settings)?;
        let (relay, endpoint) = (Relay::from_link(&process.ready.link)?, client()?);
        let mut writers = some_writers(&relay, &endpoint).await?;
        for writer in &mut writers {
            writer.write(&relay, &endpoint, 10).await?;
        }
        back_up(&data, &by_hand)?;
        process.kill()?;

        let (mut unfinished, mut interrupted) = (0, 0);
        for _ in 0..INTERRUPTIONS {
            let process = RelayProcess::start_on(&data, &log, &address, &settings)?;
            let (relay, endpoint) = (Relay::from_link(&process.ready.link)?, client()?);
            let writing = all_write(writers, &relay, &endpoint);
            let mut command = sotto_relay(&data, &["backup", path(&by_hand)]).spawn()?;
            tokio::time::sleep(Duration::from_micros(rng.random_range(5_000..200_000))).await;
            command.kill()?;
            command.wait()?;
            tokio::time::sleep(Duration::from_micros(rng.random_range(1_000..100_000))).await;
            process.kill()?;
            endpoint.close(0u32.into(), b"the relay was killed");
            writers = Vec::new();
            for writer in writing {
                writers.push(writer.await??);
            }
            unfinished += usize::from(on_schedule.join("new-backup").exists());
            verify(&on_schedule).or_else(|error| none_yet(&on_schedule, error))?;
            verify(&by_hand)?;

            // The stopped relay's folder, by the command alone.
            let mut command = sotto_relay(&data, &["backup", path(&by_hand)]).spawn()?;
            tokio::time::sleep(Duration::from_micros(rng.random_range(20_000..150_000))).await;
            command.kill()?;
            interrupted += usize::from(!command.wait()?.success());
            verify(&by_hand)?;
        }
        assert!(unfinished > 0, "no kill of the relay came while a backup was made");
        assert!(interrupted > 0, "no kill of the command came while it was at work");

        // One that nobody interrupts has everything: nobody writes any more.
        let made = back_up(&data, &by_hand)?;
        assert_eq!(restored_is_whole(&made, home.path(), &address, &writers).await?, 0);
        no_error_was_logged(&log)
    })
}

/// Before its first backup was whole a folder has none.
fn none_yet(folder: &Path, error: anyhow::Error) -> Result<String> {
    let whole: Vec<PathBuf> = sotto_relay::backup::list(folder).unwrap_or_default();
    if whole.is_empty() { Ok(String::new()) } else { Err(error) }
}

#[test]
fn a_damaged_backup_is_named_and_only_as_many_are_kept_as_were_asked_for() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log, kept) = (home.path().join("relay"), home.path().join("log"), home.path().join("kept"));
    RelayProcess::start(&data, &log, &[])?.terminate()?;
    let error = verify(&kept).unwrap_err().to_string();
    assert!(error.contains("there is no backup in"), "{error}");
    let made = (0..3).map(|_| back_up(&data, &kept)).collect::<Result<Vec<_>>>()?;
    assert_eq!(sotto_relay::backup::list(&kept)?.len(), 3);
    say(sotto_relay(&data, &["backup", path(&kept), "--keep", "2"]))?;
    let left = sotto_relay::backup::list(&kept)?;
    assert_eq!(left.first(), made.last().map(|made| &made.backup), "the oldest are deleted");
    assert_eq!(left.len(), 2);

    let accounts = left.last().context("a backup")?.join("accounts.rows");
    let mut bytes = std::fs::read(&accounts)?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    std::fs::write(&accounts, bytes)?;
    for error in [verify(&kept), restore(&kept, &home.path().join("elsewhere"))] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("accounts.rows") && error.contains("use another one"), "{error}");
    }
    assert!(!home.path().join("elsewhere").exists());
    verify(left.first().context("a backup")?)?;
    Ok(())
}

#[test]
fn a_relay_is_restored_to_the_newest_backup_that_is_not_after_a_moment() -> Result<()> {
    let home = tempfile::tempdir()?;
    let (data, log, kept) = (home.path().join("relay"), home.path().join("log"), home.path().join("kept"));
    RelayProcess::start(&data, &log, &[])?.terminate()?;
    let made = (0..3).map(|_| back_up(&data, &kept)).collect::<Result<Vec<_>>>()?;
    let listed = say(sotto_relay(&data, &["backups", path(&kept)]))?;
    let moments: Vec<&str> =
        listed.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    let [first, second, _] = moments.as_slice() else { panic!("{listed}") };

    let until = |moment: &str, to: &Path| {
        say(sotto_relay(&data, &["restore", path(&kept), "--until", moment, "--to", path(to), "--json"]))
    };
    let restored: serde_json::Value = serde_json::from_str(&until(second, &home.path().join("second"))?)?;
    assert_eq!(restored["mark_ms"], made[1].mark_ms);
    let refused = until("2000-01-01T00:00:00Z", &home.path().join("none")).unwrap_err().to_string();
    assert!(refused.contains("no backup in") && refused.contains("as old as that"), "{refused}");
    let refused = until("yesterday", &home.path().join("none")).unwrap_err().to_string();
    assert!(refused.contains("2026-11-21T20:15:00Z"), "{refused}");
    // One that is named counts only if it is old enough.
    let named = [&made[2].backup, &made[0].backup].map(|backup| {
        let to = home.path().join(format!("named-{}", backup.display().to_string().len()));
        say(sotto_relay(&data, &["restore", path(backup), "--until", first, "--to", path(&to)])).is_ok()
    });
    assert_eq!(named, [false, true]);
    Ok(())
}
