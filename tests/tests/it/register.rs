//! Registering again after the answer was lost: the account that the first try made is the one that the second one gets.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sotto_tests::person::Person;
use sotto_tests::programs::program;
use sotto_tests::relay_process::RelayProcess;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const EMAIL: &str = "alice@people.example";
const PASSWORD: &str = "the password of alice";

/// Asks for an account, and does not read the answer.
fn asks_for_an_account(http: SocketAddr, invite: Option<&str>) -> Result<TcpStream> {
    let mut body = json!({ "email": EMAIL, "username": "alice", "password": PASSWORD });
    if let Some(code) = invite {
        body["invite"] = code.into();
    }
    let body = body.to_string();
    let mut stream = TcpStream::connect(http)?;
    write!(
        stream,
        "POST /api/v1/auth/register HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    Ok(stream)
}

fn operator(data: &Path, words: &[&str]) -> Result<Vec<Value>> {
    let mut command = Command::new(program("sotto-relay"));
    let output =
        command.args(words).args(["--json", "--data-dir"]).arg(data).stdin(Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Waits until the relay has the account.
fn is_there(data: &Path) -> Result<()> {
    let since = Instant::now();
    while operator(data, &["account", "list"])?.is_empty() {
        ensure!(since.elapsed() < PATIENCE, "the account was not made");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Somebody who registers as alice and is refused; what the program says.
fn is_refused(home: &Path, link: &str, email: &str, password: &str) -> Result<String> {
    let mut command = Command::new(program("sotto"));
    command.args(["--json", "register", "--relay", link, "--username", "alice", "--email", email]);
    command.env("SOTTO_HOME", home).env("SOTTO_PASSWORD", password).env("SOTTO_PASSPHRASE", "a passphrase");
    let output =
        command.env_remove("SOTTO_RELAY").env_remove("SOTTO_PROFILE").stdin(Stdio::null()).output()?;
    ensure!(!output.status.success(), "somebody got in with {email} and {password}");
    Ok(String::from_utf8(output.stderr)?)
}

#[test]
fn who_registers_again_after_the_answer_was_lost_gets_the_account_and_nobody_else_does() -> Result<()> {
    for invited in [false, true] {
        let home = tempfile::tempdir()?;
        let (data, log) = (home.path().join("relay"), home.path().join("log"));
        let policy = if invited { "invite" } else { "open" };
        let relay = RelayProcess::start(&data, &log, &[("SOTTO_RELAY_REGISTRATION", policy)])?;
        let mut link = relay.ready.link.clone();
        let mut code = None;
        if invited {
            let made = operator(&data, &["invite", "create", "--uses", "1"])?;
            link = made[0]["link"].as_str().context("a link")?.to_owned();
            let path = link.split(['#', '?']).next().unwrap_or_default();
            code = path.rsplit('/').next().map(str::to_owned);
        }
        let unread = asks_for_an_account(relay.ready.http.context("plain HTTP")?, code.as_deref())?;
        is_there(&data)?;
        drop(unread);

        for (place, email, password) in [
            ("wrong-password", EMAIL, "the password of eve"),
            ("other-address", "eve@people.example", PASSWORD),
        ] {
            let said = is_refused(&home.path().join(place), &link, email, password)?;
            ensure!(said.contains("taken"), "{said}");
        }
        let alice = Person::register("alice", home.path(), &link);
        ensure!(alice.does(&["whoami"])[0]["username"] == "alice");
        ensure!(operator(&data, &["account", "list"])?[0]["devices"] == 1);

        // Now a device has the account, and whoever wants another one needs its words.
        let said = is_refused(&home.path().join("again"), &link, EMAIL, PASSWORD)?;
        ensure!(said.contains("taken"), "{said}");
        ensure!(operator(&data, &["account", "list"])?[0]["devices"] == 1);
        relay.terminate()?;
    }
    Ok(())
}
