//! The program itself: exit codes, sentences, signals.

use crate::world::{ask, registration};
use serde_json::json;
use sotto_relay::ready::ReadyFile;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sotto-relay"));
    command.arg("--data-dir").arg(folder).args(["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SOTTO_")) {
        command.env_remove(name);
    }
    command
}

pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(folder: &Path, extra: &[&str]) -> (Self, ReadyFile) {
        let child = program(folder).args(extra).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let running = Self(child);
        let pid = running.0.id();
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(ready) = ReadyFile::read(folder).filter(|ready| ready.pid == pid) {
                return (running, ready);
            }
            assert!(Instant::now() < deadline, "the relay did not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        let status = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(status.success());
        let status = self.0.wait().unwrap();
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (status.code(), text)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn says(output: &Output, code: i32, sentence: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(sentence), "{text}");
}

#[test]
fn a_relay_greets_with_the_next_command_and_ends_in_good_order_on_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let (running, ready) = Running::start(home.path(), &[]);
    let (code, text) = running.terminate();
    assert_eq!(code, Some(0));
    let next = format!(
        "sotto register --relay 'sotto://127.0.0.1:{}#{}' --username alice",
        ready.quic.port(),
        ready.fingerprint
    );
    assert!(text.contains(&next), "{text}");
    assert!(!home.path().join("ready.json").exists());
}

#[test]
fn a_relay_on_the_ipv6_loopback_prints_a_link_with_that_address() {
    let home = tempfile::tempdir().unwrap();
    let (running, ready) = Running::start(home.path(), &["--set", "listen=[::1]:0"]);
    assert!(ready.link.starts_with(&format!("sotto://[::1]:{}#", ready.quic.port())), "{}", ready.link);
    let (code, text) = running.terminate();
    assert_eq!(code, Some(0));
    assert!(text.contains(&format!("sotto register --relay '{}'", ready.link)), "{text}");
}

#[test]
fn each_way_not_to_start_has_its_code_and_its_sentence() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let (running, ready) = Running::start(&data, &[]);

    says(&program(&data).output().unwrap(), 5, "another relay is using the data folder");
    let other = home.path().join("other");
    let taken = format!("http={}", ready.http.unwrap());
    says(&program(&other).args(["--set", &taken]).output().unwrap(), 4, "another program has this port");
    says(&program(&other).args(["--set", "lisen=x"]).output().unwrap(), 3, "did you mean `listen`?");
    says(&program(&other).env("SOTTO_RELAY_DRAIN", "soon").output().unwrap(), 3, "expected a time");
    says(&program(&other).args(["--config", "/nowhere.toml"]).output().unwrap(), 3, "/nowhere.toml");
    says(&program(&other).args(["--set", "http=0.0.0.0:0"]).output().unwrap(), 3, "beyond loopback");
    says(&program(&other).arg("--nonsense").output().unwrap(), 2, "--nonsense");
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    says(&program(&file.join("data")).output().unwrap(), 5, "cannot use");
    let broken = home.path().join("broken.toml");
    std::fs::write(&broken, "listen = [").unwrap();
    says(
        &program(&other).arg("--config").arg(&broken).output().unwrap(),
        3,
        "broken.toml is not a TOML file",
    );
    let damaged = home.path().join("damaged");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("token.key"), "abc").unwrap();
    says(&program(&damaged).output().unwrap(), 5, "token.key is damaged");
    running.terminate();
}

#[test]
fn the_printed_configuration_is_one_that_the_program_takes() {
    let home = tempfile::tempdir().unwrap();
    let printed = program(home.path()).args(["config", "print"]).output().unwrap();
    let file = home.path().join("relay.toml");
    std::fs::write(&file, printed.stdout).unwrap();
    let checked = program(home.path()).arg("--config").arg(&file).args(["config", "check"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&checked.stdout), "the configuration is good\n");
}

#[test]
fn invites_are_made_while_the_relay_runs_and_while_it_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let invite = || {
        let made = program(home.path())
            .args(["invite", "create", "--public-address", "relay.example.org"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let link = String::from_utf8(made.stdout).unwrap();
        link.trim().parse::<sotto_protocol::invite::Invite>().unwrap().code.unwrap()
    };
    let stopped = invite();
    let (running, ready) = Running::start(home.path(), &["--registration", "invite"]);
    let while_running = invite();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let register = |name: &str, code: Option<&str>| {
        let mut body = registration(name);
        body["invite"] = json!(code);
        runtime.block_on(ask(ready.http.unwrap(), "POST", "/api/v1/auth/register", None, Some(body)))
    };
    assert_eq!(register("mallory", None).0, 403);
    assert_eq!(register("anna", Some(stopped.as_str())).0, 201);
    assert_eq!(register("bert", Some(while_running.as_str())).0, 201);
    assert_eq!(register("carl", Some(while_running.as_str())).0, 403);
    assert_eq!(running.terminate().0, Some(0));
}
