//! Somebody with a home of their own who uses the real program `sotto`.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Opens the stores of all persons.
pub(crate) const PASSPHRASE: &str = "a passphrase of the load";

/// See the module.
pub(crate) struct Person {
    program: PathBuf,
    home: PathBuf,
    /// The network namespace in which their programs run; on the machine itself without one.
    namespace: Option<String>,
}

impl Person {
    /// Registers at a relay.
    pub(crate) async fn register(
        name: &str,
        home: PathBuf,
        link: &str,
        namespace: Option<String>,
    ) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("sotto");
        ensure!(
            program.is_file(),
            "{} is not there: `cargo build --release -p sotto-node` builds it",
            program.display()
        );
        let person = Self { program, home, namespace };
        let email = format!("{name}@example.org");
        person.does(&["register", "--relay", link, "--username", name, "--email", &email]).await?;
        Ok(person)
    }

    /// The program.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Where everything is that this person has.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// The program in this home, to be started; its input is closed, its output a pipe.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = match &self.namespace {
            None => Command::new(&self.program),
            Some(namespace) => {
                // `ip` becomes the program, so the process id is the program's.
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
        };
        command
            .arg("--json")
            .args(words)
            .env("SOTTO_HOME", &self.home)
            .env("SOTTO_PASSWORD", "a password of the load")
            .env("SOTTO_PASSPHRASE", PASSPHRASE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its good end; the last object that it printed.
    pub(crate) async fn does(&self, words: &[&str]) -> Result<Value> {
        let output = self.command(words).output().await?;
        ensure!(
            output.status.success(),
            "sotto {} ended with {}: {}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        last_object(&output.stdout)
    }
}

/// What a program says at its end.
pub(crate) fn last_object(stdout: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(stdout).context("--json is text")?;
    let last = text.lines().last().map(serde_json::from_str).transpose()?;
    Ok(last.unwrap_or_default())
}
