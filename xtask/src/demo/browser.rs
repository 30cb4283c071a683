//! A person with a real Chromium, whose hands are `browser.mjs`: what is said is typed into the page, what is read stands on it.

use super::person::Said;
use super::show::note;
use crate::step::root;
use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long one command may take: it waits itself for what it is to see, and says what did not come.
const PATIENCE: Duration = Duration::from_secs(240);

/// Somebody before a page. Dropping it ends the browser.
pub(super) struct Browser {
    pub(super) name: String,
    profile: PathBuf,
    errors: PathBuf,
    script: Child,
    hands: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Browser {
    /// Starts a browser with a profile of its own.
    pub(super) fn start(name: &str, folder: &Path) -> anyhow::Result<Self> {
        let (profile, errors) = (folder.join(name), folder.join(format!("{name}.log")));
        let mut script = Command::new("node")
            .arg(root().join("xtask/src/demo/browser.mjs"))
            .args([name.as_ref(), profile.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?)
            .spawn()
            .context("Node.js is missing; `cargo xtask setup` gets it")?;
        let hands = script.stdin.take();
        let stdout = BufReader::new(script.stdout.take().context("standard output is a pipe")?);
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            // Ends with the process, or when nobody listens any more.
            stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Ok(Self { name: name.to_owned(), profile, errors, script, hands, answers })
    }

    /// Opens a link, makes an account there, and waits to be one of so many members of the conversation that the link leads to.
    pub(super) fn register_in(&mut self, url: &str, members: usize) -> anyhow::Result<()> {
        let password = format!("the password of {}", self.name);
        let email = format!("{}@demo.example", self.name);
        self.does(&json!({ "command": "register", "url": url, "password": password, "email": email }))?;
        self.does(&json!({ "command": "enters", "members": members }))?;
        note(&format!("{} registered in a browser and is one of {members} members", self.name));
        Ok(())
    }

    /// Types each line; they are in the page's outbox when this returns, or further.
    pub(super) fn write(&mut self, lines: &[String]) -> anyhow::Result<()> {
        self.does(&json!({ "command": "say", "lines": lines }))?;
        Ok(())
    }

    /// Waits until the page shows so many texts with a clock beside them.
    pub(super) fn shows_waiting(&mut self, count: usize) -> anyhow::Result<()> {
        self.does(&json!({ "command": "waiting", "count": count }))?;
        Ok(())
    }

    /// Waits until the page says that the relay is away.
    pub(super) fn is_away(&mut self) -> anyhow::Result<()> {
        self.does(&json!({ "command": "away" }))?;
        Ok(())
    }

    /// Waits until the page says that it is connected and up to date.
    pub(super) fn is_connected(&mut self) -> anyhow::Result<()> {
        self.does(&json!({ "command": "connected" }))?;
        Ok(())
    }

    /// Every text on the page, in order, once it shows the last of them.
    pub(super) fn reads(&mut self, last: &str) -> anyhow::Result<Vec<Said>> {
        let lines = self.does(&json!({ "command": "read", "last": last }))?;
        let lines = lines.as_array().context("the page was read")?;
        let text = |line: &Value, name: &str| line.get(name)?.as_str().map(str::to_owned);
        lines
            .iter()
            .map(|line| {
                let said = text(line, "from").zip(text(line, "text"));
                said.map(|(from, text)| Said { from, text }).with_context(|| format!("nobody said {line}"))
            })
            .collect()
    }

    /// Closes the browser in good order; the folder of its profile.
    pub(super) fn close(mut self) -> anyhow::Result<PathBuf> {
        self.does(&json!({ "command": "close" }))?;
        self.hands = None;
        let start = Instant::now();
        while self.script.try_wait()?.is_none() {
            ensure!(start.elapsed() < PATIENCE, "the browser of {} does not end", self.name);
            sleep(Duration::from_millis(20));
        }
        Ok(self.profile.clone())
    }

    fn does(&mut self, command: &Value) -> anyhow::Result<Value> {
        let hands = self.hands.as_mut().context("the browser was closed")?;
        let asked = writeln!(hands, "{command}").and_then(|()| hands.flush());
        let answer = asked.ok().and_then(|()| self.answers.recv_timeout(PATIENCE).ok());
        let Some(answer) = answer else {
            let said = std::fs::read_to_string(&self.errors).unwrap_or_default();
            bail!("the browser of {} does not answer to {command}: {said}", self.name);
        };
        let answer: Value = serde_json::from_str(&answer).context("the script answers with JSON")?;
        match answer.get("failed") {
            Some(why) => bail!("the browser of {}: {why}", self.name),
            None => Ok(answer.get("done").cloned().unwrap_or_default()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script ends its browser when nobody tells it anything any more.
        self.hands = None;
        let _ = self.script.wait();
    }
}
