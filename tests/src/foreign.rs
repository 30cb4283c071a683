//! WebRTC that nobody of this project made: aiortc, in a process of Python of its own. A program with the real client (`foreign-voice`,
//! `foreign-link`) is somebody whose connections run there, and a test starts that program.
//!
//! ```text
//! test --Going--> foreign-voice, foreign-link --Foreign--> tests/python/voice.py, channel.py (both on end.py)
//! ```

use crate::person::{Going, Person};
use crate::programs::{program, repository, target};
use anyhow::{Context as _, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sotto_node_core::calls::{Candidate, Negotiation};
use std::process::{Command, Stdio};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

/// The one attempt to connect: aiortc knows no ICE restart.
pub const ROUND: u32 = 0;

/// aiortc, which takes orders and tells what happens by an object a line.
pub struct Foreign {
    _process: Child,
    orders: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
}

impl Foreign {
    /// Starts a script of `tests/python` with the Python that has aiortc.
    ///
    /// # Errors
    /// If it does not start.
    pub fn start(python: &str, script: &str) -> Result<Self> {
        let mut process = tokio::process::Command::new(python)
            // What it compiles of the repository's scripts is not left there.
            .arg("-B")
            .arg(repository().join("tests/python").join(script))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{python} does not start"))?;
        let orders = process.stdin.take().context("its input is a pipe")?;
        let stdout = process.stdout.take().context("its output is a pipe")?;
        Ok(Self { _process: process, orders, said: BufReader::new(stdout).lines() })
    }

    /// What it says next. May be given up and called again.
    ///
    /// # Errors
    /// If it has ended, or says something else.
    pub async fn says<Said: DeserializeOwned>(&mut self) -> Result<Said> {
        let line = self.said.next_line().await?.context("aiortc has ended")?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Has it do something.
    ///
    /// # Errors
    /// If it has ended.
    pub async fn does(&mut self, order: &Value) -> Result<()> {
        Ok(self.orders.write_all(format!("{order}\n").as_bytes()).await?)
    }

    /// Has it take what the other device says of itself.
    ///
    /// # Errors
    /// If it has ended, or that belongs to a further attempt.
    pub async fn takes(&mut self, negotiation: Negotiation) -> Result<()> {
        let order = match negotiation {
            Negotiation::Description { round: ROUND, offer, sdp } => {
                json!({ "do": if offer { "take_offer" } else { "take_answer" }, "sdp": sdp })
            }
            Negotiation::Candidates { round: ROUND, list } => {
                let way =
                    |one: &Candidate| json!({ "line": one.line, "mid": one.mid, "section": one.section });
                json!({ "do": "take_candidates", "list": list.iter().map(way).collect::<Vec<_>>() })
            }
            later => bail!("the first attempt led nowhere, and there is no other: {later:?}"),
        };
        self.does(&order).await
    }
}

/// Somebody in the program `foreign-voice` or `foreign-link`, ready. These words follow their home and the Python.
///
/// # Panics
/// If something of it is missing, with how to get it, or it does not become ready.
#[must_use]
pub fn begins(person: &Person<'_>, name: &str, words: &[&str]) -> Going {
    let python = target().join("tools/python-aiortc/bin/python");
    assert!(
        python.is_file(),
        "{} is missing: `cargo xtask setup` installs aiortc there, from PyPI",
        python.display()
    );
    let mut command = Command::new(program(name));
    command.arg(person.home()).arg(python).args(words).env("SOTTO_PASSPHRASE", "a passphrase");
    let going = Going::starts(&mut command);
    going.says(|object| object["type"] == "ready");
    going
}
