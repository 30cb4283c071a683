//! magic-wormhole from PyPI, in an environment of its own in the scratch folder, with its own mailbox server on loopback: no public
//! server is asked, and the two ends reach each other directly.

use super::usage;
use crate::process::{cpu_seconds, peak_kib};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

const PACKAGES: [&str; 2] = ["magic-wormhole", "magic-wormhole-mailbox-server"];

const CODE: &str = "7-load-test";

/// Installed, with a server that runs; it ends when this is dropped.
pub(super) struct Wormhole {
    folder: PathBuf,
    url: String,
    _server: Child,
}

impl Wormhole {
    pub(super) async fn install(dir: &Path) -> Result<Self> {
        let folder = dir.join("wormhole");
        eprintln!("installing {} from PyPI into {} …", PACKAGES.join(" and "), folder.display());
        let venv = Command::new("python3").args(["-m", "venv"]).arg(&folder).status().await?;
        ensure!(venv.success(), "python3 makes no environment: apt-get install python3-venv");
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES)
            .status()
            .await?;
        ensure!(pip.success(), "pip did not install {}", PACKAGES.join(" and "));
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Command::new(folder.join("bin/twist"))
            .args(["wormhole-mailbox", "--port"])
            .arg(format!("tcp:{port}:interface=127.0.0.1"))
            .current_dir(&folder)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { folder, url: format!("ws://127.0.0.1:{port}/v1"), _server: server });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the mailbox server does not listen")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.folder.join("bin/wormhole"));
        command
            .args(["--relay-url", &self.url, "--transit-helper", "tcp:127.0.0.1:9"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// One file; the seconds from its first byte at the taker's, and what both took.
    pub(super) async fn passes(&self, file: &Path, to: &Path) -> Result<super::Pass> {
        let mut send = self.command();
        send.args(["send", "--hide-progress", "--no-qr", "--code", CODE]).arg(file);
        let mut giver = send.spawn()?;
        let pid = giver.id().context("the sender ended at once")?;
        let mut receive = self.command();
        receive.args(["receive", "--accept-file", "--hide-progress", "-o"]).arg(to).arg(CODE);
        let half = to.with_file_name(format!("{}.tmp", to.file_name().context("a name")?.to_string_lossy()));
        let (mut first, mut cpu, mut peak) = (None, 0.0, 0);
        let ran = usage::run(receive, |since| {
            if first.is_none() && (half.exists() || to.exists()) {
                first = Some(since);
            }
            cpu = cpu_seconds(pid).unwrap_or(cpu);
            peak = peak_kib(pid).unwrap_or(peak).max(peak);
        })
        .await?;
        giver.wait().await?;
        Ok(super::Pass {
            moving_seconds: ran.seconds - first.unwrap_or_default().as_secs_f64(),
            seconds: ran.seconds,
            giver_cpu: cpu,
            taker_cpu: ran.cpu_seconds,
            giver_peak_kib: peak,
            taker_peak_kib: ran.peak_kib,
        })
    }
}
