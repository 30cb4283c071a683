//! A relay in a process of its own, so that its CPU and memory are told apart from the load generator's.

use anyhow::{Context, Result};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A child process whose standard input keeps it alive.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    pid: u32,
}

impl Process {
    /// Starts `command`; it is killed if this is dropped.
    pub(crate) fn start(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child.stdout.take().context("the child has no output")?;
        Ok(Self {
            stdin: child.stdin.take(),
            pid: child.id().context("the child ended at once")?,
            lines: BufReader::new(stdout).lines(),
            child,
        })
    }

    /// The next line that it prints.
    pub(crate) async fn line(&mut self) -> Result<String> {
        self.lines.next_line().await?.context("the relay ended early; its messages are above")
    }

    /// Its process id.
    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    /// Writes a line to its input.
    pub(crate) async fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.stdin.as_mut().context("the child's input is closed")?;
        Ok(input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Writes an empty line to its input and gives the line that it answers.
    pub(crate) async fn ask(&mut self) -> Result<String> {
        self.tell("").await?;
        self.line().await
    }

    /// Asks it to end by closing its input, and waits.
    pub(crate) async fn finish(mut self) -> Result<()> {
        drop(self.stdin.take());
        self.child.wait().await?;
        Ok(())
    }

    /// Ends it by SIGTERM and waits.
    pub(crate) async fn terminate(mut self) -> Result<()> {
        Command::new("kill").arg(self.pid.to_string()).status().await?;
        while self.lines.next_line().await?.is_some() {}
        self.child.wait().await?;
        Ok(())
    }
}

/// User and system CPU seconds of a process so far, from `/proc/PID/stat` (fields 14 and 15, proc(5)).
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit_once(')').context("/proc/PID/stat has no name")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> {
        Ok(fields.get(index).context("/proc/PID/stat is short")?.parse::<f64>()?)
    };
    // The kernel's USER_HZ is 100 on every Linux that this runs on.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// Resident memory of a process in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    memory_kib(pid, "VmRSS:")
}

/// The most resident memory that a process ever had, in KiB.
pub(crate) fn peak_kib(pid: u32) -> Result<u64> {
    memory_kib(pid, "VmHWM:")
}

/// A figure of `/proc/PID/status`.
fn memory_kib(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let line = line.with_context(|| format!("/proc/PID/status has no {name}"))?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
