//! The real relay program in its own process, started, killed and started again on one data folder.

use crate::network::Namespace;
use crate::programs::program;
use anyhow::{Context, Result, bail, ensure};
use rand::RngExt as _;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A running relay. Dropping it kills it.
pub struct RelayProcess {
    child: Child,
    /// What it wrote into `ready.json`.
    pub ready: Ready,
    /// How it was started.
    program: Command,
    data: PathBuf,
    log: PathBuf,
}

/// The part of `ready.json` that tests use.
#[derive(serde::Deserialize, Debug, Clone)]
pub struct Ready {
    /// Its process.
    pub pid: u32,
    /// The link that a node registers with.
    pub link: String,
    /// Plain HTTP.
    pub http: Option<std::net::SocketAddr>,
}

impl RelayProcess {
    /// Starts the relay on `data` with ports of the system's choice and waits until it listens. Its log is
    /// appended to the file `log`.
    ///
    /// # Errors
    /// If it ends or is not ready within half a minute; the error has the end of its log.
    pub fn start(data: &Path, log: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_on(data, log, "127.0.0.1:0", settings)
    }

    /// The same on a given port, for clients that are to find the relay again.
    ///
    /// # Errors
    /// See [`RelayProcess::start`].
    pub fn start_on(data: &Path, log: &Path, listen: &str, settings: &[(&str, &str)]) -> Result<Self> {
        Self::start_by(Command::new(program("sotto-relay")), data, log, listen, settings)
    }

    /// The same within a network of its own.
    ///
    /// # Errors
    /// See [`RelayProcess::start`].
    pub fn start_in(
        namespace: &Namespace,
        data: &Path,
        log: &Path,
        listen: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_by(namespace.command(program("sotto-relay")), data, log, listen, settings)
    }

    fn start_by(
        mut relay: Command,
        data: &Path,
        log: &Path,
        listen: &str,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let output: File = OpenOptions::new().create(true).append(true).open(log)?;
        relay
            .arg("run")
            .env("SOTTO_RELAY_DATA_DIR", data)
            .env("SOTTO_RELAY_LISTEN", listen)
            .env("SOTTO_RELAY_HTTP", "127.0.0.1:0")
            .env("SOTTO_RELAY_LIMITS_RATES", "false")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let (child, ready) = spawn(&mut relay, data, log)?;
        Ok(Self { child, ready, program: relay, data: data.to_owned(), log: log.to_owned() })
    }

    /// SIGKILL, and the same relay again, on the same data with the same settings. Clients find it if it was given a port.
    ///
    /// # Errors
    /// See [`RelayProcess::start`].
    pub fn restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.ready) = spawn(&mut self.program, &self.data, &self.log)?;
        Ok(())
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    ///
    /// # Errors
    /// If the process cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits for the drain.
    ///
    /// # Errors
    /// If it does not end in good order.
    pub fn terminate(mut self) -> Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "kill failed");
        let status = self.child.wait()?;
        ensure!(status.success(), "the relay ended with {status}:\n{}", tail(&self.log));
        Ok(())
    }

    /// Waits until it has ended without being told to.
    ///
    /// # Errors
    /// If it goes on for a minute.
    pub async fn ends_by_itself(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "the relay goes on:\n{}", tail(&self.log));
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// How it ended, if it did.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts it, and waits until it listens.
fn spawn(relay: &mut Command, data: &Path, log: &Path) -> Result<(Child, Ready)> {
    let mut child = relay.spawn()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        // A file of a relay that was killed may lie there: only this process's counts.
        if let Some(ready) = read_ready(data).filter(|ready| ready.pid == child.id()) {
            return Ok((child, ready));
        }
        if let Some(status) = child.try_wait()? {
            bail!("the relay ended with {status}:\n{}", tail(log));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            bail!("the relay was not ready within 30 s:\n{}", tail(log));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_ready(data: &Path) -> Option<Ready> {
    serde_json::from_str(&std::fs::read_to_string(data.join("ready.json")).ok()?).ok()
}

/// Ports that no system hands out by itself (Linux begins at 32,768): one that is free stays so while nobody listens on it yet.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Those that were given to tests of this process: a relay that was killed comes back to the port of its own.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// An address of loopback that nobody listens on now, for a relay that is to come back on the same one, whose tokens
/// and links name it, or for what takes no port 0.
///
/// # Errors
/// If the system has no free port.
pub fn free_address() -> Result<String> {
    let mut rng = rand::rng();
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..100 {
        let port = rng.random_range(PORTS);
        let address = format!("127.0.0.1:{port}");
        let tcp = std::net::TcpListener::bind(&address);
        if tcp.is_ok() && std::net::UdpSocket::bind(&address).is_ok() && given.insert(port) {
            return Ok(address);
        }
    }
    anyhow::bail!("none of 100 ports of loopback was free")
}

/// The last lines of a log, for a failure's message.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Fails if the relay logged an ERROR: the policy is that one means the relay is broken.
///
/// # Errors
/// If there is one, with it.
pub fn no_error_was_logged(log: &Path) -> Result<()> {
    let text = std::fs::read_to_string(log).context("the relay's log")?;
    match text.lines().find(|line| line.contains("ERROR") || line.contains("panicked")) {
        Some(line) => bail!("the relay logged: {line}"),
        None => Ok(()),
    }
}
