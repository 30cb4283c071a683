//! `kill -9` of the node at random moments: nothing lost, nothing sent twice, no conversation torn.
//!
//! Alice and Bob use the real program in homes of their own, through a real relay. In turn Alice's process is killed while it
//! writes, Bob's while it reads, and Alice's while it changes who is a member. Whatever a killed process had told of as sent
//! or queued must arrive; what it had not told of may arrive or not, but never twice, never out of order, and never with a
//! line before it missing. At the end both write once more, and neither has ever met a message that it could not decrypt.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use sotto_tests::programs::program;
use sotto_tests::relay_process::RelayProcess;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const CYCLES: usize = 100;

/// Lines that a process is given to write in one cycle: more than it gets through before it is killed.
const LINES: usize = 60;

/// The latest moment of a kill after the start: a start takes about a third of it, most of the rest is writing.
const KILL_MILLIS_MAX: u64 = 900;

const SEED: u64 = 0x5077_0001;

/// How long the program may take where it is not killed.
const PATIENCE: Duration = Duration::from_secs(60);

const GROUP: &str = "garden";

struct Person {
    name: &'static str,
    home: PathBuf,
}

impl Person {
    fn register(name: &'static str, folder: &Path, link: &str) -> Self {
        let home = folder.join(name);
        fs::create_dir(&home).expect("a home");
        let person = Self { name, home };
        let email = format!("{name}@kill.example");
        person.does(&["register", "--relay", link, "--username", name, "--email", &email]);
        person
    }

    fn start(&self, words: &[&str], input: &str) -> Child {
        let mut child = Command::new(program("sotto"))
            .arg("--json")
            .args(words)
            .env("SOTTO_HOME", &self.home)
            .env("SOTTO_PASSWORD", format!("the password of {}", self.name))
            .env("SOTTO_PASSPHRASE", "a passphrase")
            .env_remove("SOTTO_RELAY")
            .env_remove("SOTTO_PROFILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        stdin.write_all(input.as_bytes()).expect("the input fits into a pipe");
        child
    }

    /// Runs a command to its good end; the JSON objects that it printed.
    fn does(&self, words: &[&str]) -> Vec<Value> {
        let output = self.start(words, "").wait_with_output().expect("the program ends");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "`sotto {}` of {}: {errors}", words.join(" "), self.name);
        let text = String::from_utf8(output.stdout).expect("--json is text");
        text.lines().map(|line| serde_json::from_str(line).expect("--json prints JSON")).collect()
    }

    /// Starts a command, kills it after a while, and gives the lines it had printed until then.
    fn is_killed_at(&self, words: &[&str], input: &str, moment: Duration) -> Vec<String> {
        let mut child = self.start(words, input);
        sleep(moment);
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        // A line without its end was cut by the kill: nobody was told.
        let whole =
            stdout.split(b'\n').map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned());
        whole.filter(|line| line.ends_with('}')).collect()
    }

    fn texts(&self) -> Vec<String> {
        let lines = self.does(&["history", GROUP, "-n", "10000"]);
        let missing: Vec<_> = lines.iter().filter(|line| line["kind"] == "missing").collect();
        assert!(missing.is_empty(), "{} cannot read {missing:?}", self.name);
        let texts = lines.iter().filter(|line| line["kind"] == "text");
        texts.map(|line| line["text"].as_str().expect("a text has a text").to_owned()).collect()
    }

    fn empties_the_outbox(&self) {
        let start = Instant::now();
        while self
            .does(&["rooms"])
            .iter()
            .any(|room| room["queued"].as_u64().is_some_and(|queued| queued > 0))
        {
            assert!(start.elapsed() < PATIENCE, "the outbox of {} does not empty", self.name);
        }
    }

    fn never_failed_to_decrypt(&self) {
        let answers = self.does(&["whoami"]);
        let failures = answers[0]["decryption_failures"].as_object().expect("counters by name");
        assert!(failures.is_empty(), "{} met messages that it could not read: {failures:?}", self.name);
    }
}

#[test]
fn a_node_killed_100_times_loses_doubles_and_tears_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = RelayProcess::start(&folder.path().join("relay"), &folder.path().join("relay.log"), &[])
        .expect("the relay starts");
    let [alice, bob, _carol] =
        ["alice", "bob", "carol"].map(|name| Person::register(name, folder.path(), &relay.ready.link));
    alice.does(&["create", GROUP, "bob"]);
    bob.does(&["rooms"]);

    let mut rng = ChaCha20Rng::seed_from_u64(SEED);
    let mut told = Vec::new();
    for cycle in 0..CYCLES {
        let moment = Duration::from_millis(rng.random_range(0..KILL_MILLIS_MAX));
        match cycle % 5 {
            0 | 2 => {
                let input: String = (0..LINES).map(|line| format!("{cycle:03} {line:03}\n")).collect();
                let lines = alice.is_killed_at(&["send", GROUP, "--lines"], &input, moment);
                told.push((cycle, lines.len()));
            }
            // Killed while it does so, or refused because the last attempt had come through: both are fine.
            4 => {
                let change = if cycle % 10 == 4 { "invite" } else { "remove" };
                alice.is_killed_at(&[change, GROUP, "carol"], "", moment);
            }
            _ => {
                bob.is_killed_at(&["history", GROUP], "", moment);
            }
        }
    }

    alice.empties_the_outbox();
    let written: usize = told.iter().map(|(_, count)| count).sum();
    assert!(written > CYCLES, "the kills came too early: only {written} lines were told of (seed {SEED:#x})");
    let read = bob.texts();
    assert_eq!(read, alice.texts(), "Alice and Bob read the same (seed {SEED:#x})");
    let mut sorted = read.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(read, sorted, "each line once and in order (seed {SEED:#x})");
    for (cycle, count) in told {
        let of_cycle = read.iter().filter(|text| text.starts_with(&format!("{cycle:03} "))).count();
        assert!(
            of_cycle >= count,
            "cycle {cycle}: {count} lines were told of, {of_cycle} came (seed {SEED:#x})"
        );
        for line in 0..of_cycle {
            let text = format!("{cycle:03} {line:03}");
            assert!(read.contains(&text), "a line was lost before one that came: {text} (seed {SEED:#x})");
        }
    }
    alice.does(&["send", GROUP, "one more from Alice"]);
    bob.does(&["send", GROUP, "one more from Bob"]);
    for person in [&alice, &bob] {
        assert!(person.texts().ends_with(&["one more from Alice".into(), "one more from Bob".into()]));
        person.never_failed_to_decrypt();
    }
}
