//! A person with a home of their own, who types commands of the real `sotto`.

use super::show::note;
use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long any command may take, a restart of the relay in its middle included.
const PATIENCE: Duration = Duration::from_secs(120);

/// `sotto`: relay unreachable, texts are queued. See `sotto --help`.
const EXIT_UNREACHABLE: i32 = 4;

/// `sotto`: refused by the relay.
const EXIT_REFUSED: i32 = 5;

/// `sotto`: no such account, conversation or device.
const EXIT_NOT_FOUND: i32 = 6;

/// Somebody at a prompt.
pub(super) struct Person {
    pub(super) name: String,
    sotto: PathBuf,
    home: PathBuf,
}

/// One thing that was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) from: String,
    pub(super) text: String,
}

/// A command that runs. Dropping it kills it.
pub(super) struct Running {
    who: String,
    child: Child,
    errors: PathBuf,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Person {
    /// Makes a home and an account.
    pub(super) fn register(name: &str, sotto: &Path, folder: &Path, link: &str) -> anyhow::Result<Self> {
        let home = folder.join(name);
        fs::create_dir(&home)?;
        let person = Self { name: name.to_owned(), sotto: sotto.to_owned(), home };
        let email = format!("{name}@demo.example");
        person.does(&["register", "--relay", link, "--username", name, "--email", &email], &[])?;
        note(&format!("{name} registered"));
        Ok(person)
    }

    /// Sends each line as a message; returns when the relay has all of them on disk.
    pub(super) fn write(&self, to: &str, lines: &[String]) -> anyhow::Result<()> {
        self.start_writing(to, lines)?.finish()
    }

    /// The same, without waiting.
    pub(super) fn start_writing(&self, to: &str, lines: &[String]) -> anyhow::Result<Running> {
        self.start(&["send", to, "--lines"], lines)
    }

    /// Waits until nothing is left in the outbox of this device: each command that reaches the relay goes on with it.
    pub(super) fn empty_the_outbox(&self) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let rooms = self.does(&["rooms"], &[])?;
            let queued = |room: &Value| room.get("queued").and_then(Value::as_u64).unwrap_or_default();
            if rooms.iter().map(queued).all(|count| count == 0) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "the outbox of {} does not empty", self.name);
        }
    }

    /// Checks that writing is refused.
    pub(super) fn cannot_write(&self, to: &str, line: &str) -> anyhow::Result<()> {
        let status = self.start(&["send", to], &[line.to_owned()])?.end()?;
        let refused = [Some(EXIT_REFUSED), Some(EXIT_NOT_FOUND)].contains(&status.code());
        ensure!(refused, "{} could still write to {to} ({status})", self.name);
        Ok(())
    }

    pub(super) fn create_group(&self, name: &str, members: &[&str]) -> anyhow::Result<()> {
        let mut words = vec!["create", name, "--history", "all"];
        words.extend(members);
        self.does(&words, &[])?;
        note(&format!("{} made the group {name} with {}", self.name, members.join(" and ")));
        Ok(())
    }

    /// Makes an invite into a conversation; its code.
    pub(super) fn invite(&self, conversation: &str) -> anyhow::Result<String> {
        let answers = self.does(&["invite", conversation], &[])?;
        let link = answers.iter().find_map(|answer| answer.get("link")?.as_str());
        let code = link.and_then(|link| link.split_once("/i/")?.1.split('#').next());
        code.map(str::to_owned).with_context(|| format!("`sotto invite` tells no link: {answers:?}"))
    }

    pub(super) fn remove(&self, conversation: &str, member: &str) -> anyhow::Result<()> {
        self.does(&["remove", conversation, member], &[])?;
        note(&format!("{} removed {member} from {conversation}", self.name));
        Ok(())
    }

    /// What both sides of a pair of people see, if nobody stands between them.
    pub(super) fn safety_number(&self, other: &str) -> anyhow::Result<String> {
        let answers = self.does(&["verify", other], &[])?;
        let number = answers.iter().find_map(|answer| answer.get("safety_number")?.as_str());
        number
            .map(str::to_owned)
            .with_context(|| format!("`sotto verify` tells no safety number: {answers:?}"))
    }

    /// Every text that the person can read in a conversation, in order.
    pub(super) fn history(&self, conversation: &str) -> anyhow::Result<Vec<Said>> {
        let answers = self.does(&["history", conversation, "-n", "10000"], &[])?;
        let texts = answers.iter().filter(|answer| answer.get("kind").is_some_and(|kind| kind == "text"));
        texts
            .map(|answer| {
                let field = |name| answer.get(name).and_then(Value::as_str).map(str::to_owned);
                Ok(Said {
                    from: field("username").context("a message has a sender")?,
                    text: field("text").context("a text has a text")?,
                })
            })
            .collect()
    }

    /// Runs a command to its end; the JSON objects that it printed.
    fn does(&self, words: &[&str], input: &[String]) -> anyhow::Result<Vec<Value>> {
        let mut running = self.start(words, input)?;
        let status = running.end()?;
        if !status.success() {
            bail!(
                "`sotto {}` of {} ended with {status}: {}",
                words.join(" "),
                self.name,
                running.what_it_said()
            );
        }
        running.seen.iter().map(|line| serde_json::from_str(line).context("--json prints JSON")).collect()
    }

    fn start(&self, words: &[&str], input: &[String]) -> anyhow::Result<Running> {
        let errors = self.home.join("stderr.log");
        let mut child = Command::new(&self.sotto)
            .arg("--json")
            .args(words)
            .env("SOTTO_HOME", &self.home)
            .env("SOTTO_PASSWORD", format!("the password of {}", self.name))
            .env("SOTTO_PASSPHRASE", format!("the passphrase of {}", self.name))
            .env_remove("SOTTO_RELAY")
            .env_remove("SOTTO_PROFILE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::options().create(true).append(true).open(&errors)?)
            .spawn()
            .with_context(|| format!("cannot start {}", self.sotto.display()))?;
        let mut stdin = child.stdin.take().context("standard input is a pipe")?;
        for line in input {
            writeln!(stdin, "{line}")?;
        }
        drop(stdin);
        let stdout = BufReader::new(child.stdout.take().context("standard output is a pipe")?);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // Ends with the process, or when nobody listens any more.
            stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Ok(Running { who: self.name.clone(), child, errors, lines, seen: Vec::new() })
    }
}

impl Running {
    /// Waits until so many lines were answered: the rest is on its way.
    pub(super) fn wait_until_underway(&mut self, lines: usize) -> anyhow::Result<()> {
        while self.seen.len() < lines {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.seen.push(line),
                Err(_) => bail!(
                    "{} got only {} answers of {lines}: {}",
                    self.who,
                    self.seen.len(),
                    self.what_it_said()
                ),
            }
        }
        Ok(())
    }

    /// Waits for the end; how many of the texts wait in the outbox because the relay went away.
    pub(super) fn finish_or_queue(mut self) -> anyhow::Result<usize> {
        let status = self.end()?;
        let queued = self.seen.iter().filter(|line| line.contains("\"type\":\"queued\"")).count();
        match (status.code(), queued) {
            (Some(0), 0) => Ok(0),
            (Some(EXIT_UNREACHABLE), queued) if queued > 0 => Ok(queued),
            _ => bail!("a command of {} ended with {status}: {}", self.who, self.what_it_said()),
        }
    }

    /// Waits for the end, which must be a good one.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let status = self.end()?;
        ensure!(status.success(), "a command of {} ended with {status}: {}", self.who, self.what_it_said());
        Ok(())
    }

    fn end(&mut self) -> anyhow::Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.seen.extend(self.lines.iter());
                return Ok(status);
            }
            ensure!(start.elapsed() < PATIENCE, "a command of {} does not end", self.who);
            sleep(Duration::from_millis(5));
        }
    }

    fn what_it_said(&self) -> String {
        fs::read_to_string(&self.errors)
            .unwrap_or_default()
            .lines()
            .next_back()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended by itself; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
