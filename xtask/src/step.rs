//! One step of a command: announced, run, timed, and named when it fails.

use anyhow::{Context as _, bail};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// A program to run at the root of the repository.
pub(crate) struct Step {
    command: Command,
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the repository")
}

/// Says something about what is going on.
pub(crate) fn say(text: &str) {
    println!("xtask: {text}");
}

/// A program with its arguments.
pub(crate) fn program<I, S>(name: impl AsRef<OsStr>, arguments: I) -> Step
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let mut command = Command::new(name);
    command.args(arguments).current_dir(root());
    Step { command }
}

/// The cargo that runs this.
pub(crate) fn cargo<I, S>(arguments: I) -> Step
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), arguments)
}

impl Step {
    /// With one more argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// With more arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// With a variable in its environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    fn line(&self) -> String {
        let mut line = self.command.get_program().to_string_lossy().into_owned();
        if line.ends_with("/cargo") {
            line = "cargo".into();
        }
        for argument in self.command.get_args() {
            line.push(' ');
            line.push_str(&argument.to_string_lossy());
        }
        line
    }

    /// Runs it with its output shown, and fails if it fails.
    pub(crate) fn announced(self, what: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        self.announced_to_the_end(what)?;
        say(&format!("{what}: done in {:.1} s", start.elapsed().as_secs_f64()));
        Ok(())
    }

    /// The same, with the program's own last line as the last.
    pub(crate) fn announced_to_the_end(mut self, what: &str) -> anyhow::Result<()> {
        say(&format!("{what}: {}", self.line()));
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.line()))?;
        if !status.success() {
            bail!("{what} failed ({status}): {}", self.line());
        }
        Ok(())
    }

    /// Runs it without showing anything; whether it succeeded (a program that is not there did not).
    pub(crate) fn succeeds(mut self) -> bool {
        let quiet = self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// What it writes to its standard output.
    pub(crate) fn output(mut self) -> anyhow::Result<String> {
        let output = self
            .command
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", self.line()))?;
        if !output.status.success() {
            bail!("`{}` failed ({})", self.line(), output.status);
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Becomes the program: its signals, its terminal and its exit code are this process's from here on.
    #[cfg(unix)]
    pub(crate) fn become_it(mut self) -> anyhow::Result<()> {
        use std::os::unix::process::CommandExt as _;
        let error = self.command.exec();
        Err(error).with_context(|| format!("cannot start `{}`", self.line()))
    }

    /// Runs the program and ends with its exit code.
    #[cfg(not(unix))]
    pub(crate) fn become_it(mut self) -> anyhow::Result<()> {
        let status = self.command.status().with_context(|| format!("cannot start `{}`", self.line()))?;
        std::process::exit(status.code().unwrap_or(1));
    }
}

/// Where cargo builds to.
pub(crate) fn target() -> std::path::PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}
