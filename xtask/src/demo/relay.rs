//! A real relay as a process of its own, to be killed and started again.

use crate::step::program;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a start or an end may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A relay that runs. Dropping it kills it.
pub(super) struct Relay {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    child: Child,
    /// The link that people register with.
    pub(super) link: String,
    /// Where it listens, so that it can be started there again.
    address: String,
    /// Where browsers find it, on this machine.
    pub(super) http: String,
}

impl Relay {
    /// Starts a relay on a free port of this machine.
    pub(super) fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let data = folder.join("relay");
        let log = folder.join("relay.log");
        let child = spawn(program, &data, &log, "127.0.0.1:0", "127.0.0.1:0")?;
        let mut relay = Self {
            program: program.to_owned(),
            data,
            log,
            child,
            link: String::new(),
            address: String::new(),
            http: String::new(),
        };
        relay.wait_until_ready()?;
        Ok(relay)
    }

    /// Its data folder.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("cannot kill the relay")?;
        self.child.wait().context("cannot wait for the relay")?;
        Ok(())
    }

    /// A new process on the same data and addresses.
    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.program, &self.data, &self.log, &self.address, &self.http)?;
        self.wait_until_ready()
    }

    /// Asks it to end in good order and waits for it.
    pub(super) fn stop(&mut self) -> anyhow::Result<()> {
        if !program("kill", ["-TERM", &self.child.id().to_string()]).succeeds() {
            bail!("cannot send SIGTERM to the relay");
        }
        let start = Instant::now();
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the relay ended with {status}; its log is {}", self.log.display()),
                None if start.elapsed() > PATIENCE => bail!("the relay does not end after SIGTERM"),
                None => sleep(Duration::from_millis(20)),
            }
        }
    }

    /// The relay writes `ready.json` when it listens; an older one may be of a process that was killed.
    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let start = Instant::now();
        let file = self.data.join("ready.json");
        loop {
            let ready: Option<Value> =
                fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok());
            let field = |name: &str| ready.as_ref().and_then(|ready| ready.get(name)).cloned();
            if field("pid").and_then(|pid| pid.as_u64()) == Some(u64::from(self.child.id())) {
                let text = |name| field(name).and_then(|value| value.as_str().map(str::to_owned));
                self.link = text("link").context("ready.json has the link")?;
                self.address = text("quic").context("ready.json has the address")?;
                self.http = text("http").context("ready.json has the address for browsers")?;
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the relay ended at its start ({status}); its log is {}", self.log.display());
            }
            if start.elapsed() > PATIENCE {
                bail!(
                    "the relay is not ready after {} s; its log is {}",
                    PATIENCE.as_secs(),
                    self.log.display()
                );
            }
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, data: &Path, log: &Path, address: &str, http: &str) -> anyhow::Result<Child> {
    let log = File::options().create(true).append(true).open(log)?;
    Command::new(program)
        .arg("--data-dir")
        .arg(data)
        .args(["--listen", address, "--http", http])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))
}
