//! What a program took of the machine until it ended.

use crate::process::{cpu_seconds, peak_kib};
use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

/// How often a program is looked at: what it takes in its last moment is not seen.
const LOOK: Duration = Duration::from_millis(5);

/// A program that ended well.
pub(super) struct Ran {
    pub(super) seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) peak_kib: u64,
    pub(super) stdout: Vec<u8>,
}

/// Runs a program to its good end and watches it; `more` is called with the time since it began.
pub(super) async fn run(mut command: Command, mut more: impl FnMut(Duration)) -> Result<Ran> {
    let began = Instant::now();
    let mut child =
        command.kill_on_drop(true).spawn().with_context(|| format!("cannot start {command:?}"))?;
    let pid = child.id().context("it ended at once")?;
    let mut output = child.stdout.take().context("its output is no pipe")?;
    let reading = tokio::spawn(async move {
        let mut stdout = Vec::new();
        output.read_to_end(&mut stdout).await.map(|_| stdout)
    });
    let (mut cpu, mut peak) = (0.0, 0);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        // It may end while it is looked at.
        cpu = cpu_seconds(pid).unwrap_or(cpu);
        peak = peak_kib(pid).unwrap_or(peak).max(peak);
        more(began.elapsed());
        tokio::time::sleep(LOOK).await;
    };
    let seconds = began.elapsed().as_secs_f64();
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(Ran { seconds, cpu_seconds: cpu, peak_kib: peak, stdout: reading.await?? })
}
