//! `sotto daemon` in its own process, and programs of Node.js that speak to it.

use crate::person::Person;
use crate::programs::repository;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

/// A running daemon. Dropping it kills it.
pub struct DaemonProcess {
    child: Child,
    /// The WebSocket's address with the token.
    pub url: String,
    /// The token.
    pub token: String,
    /// The account that it speaks for.
    pub account: String,
    /// Where it listens.
    pub port: u16,
    // Closed, it would end the daemon's next line.
    _stdout: BufReader<ChildStdout>,
}

impl DaemonProcess {
    /// Starts a person's daemon and waits until it says where it listens; port 0 is any free one.
    ///
    /// # Errors
    /// If it does not.
    pub fn start(person: &Person<'_>, port: u16) -> Result<Self> {
        let mut child = person
            .command(&["daemon", "--port", &port.to_string()])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()?;
        let mut stdout = BufReader::new(child.stdout.take().context("standard output is a pipe")?);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("the daemon said {line:?}"))?;
        let text = |name: &str| Ok::<_, anyhow::Error>(said[name].as_str().context("a text")?.to_owned());
        Ok(Self {
            child,
            url: text("websocket")?,
            token: text("token")?,
            account: text("account")?,
            port: u16::try_from(said["port"].as_u64().context("a port")?)?,
            _stdout: stdout,
        })
    }

    /// An HTTP request; gives the status and the JSON of the answer.
    ///
    /// # Errors
    /// If there is no answer, or it is no JSON.
    pub fn http(&self, head: &str, body: &str) -> Result<(u16, Value)> {
        let authorised =
            format!("{head}\r\nHost: 127.0.0.1:{}\r\nAuthorization: Bearer {}", self.port, self.token);
        self.raw(&authorised, body)
    }

    /// The same with no header but those that are given.
    ///
    /// # Errors
    /// If there is no answer, or it is no JSON.
    pub fn raw(&self, head: &str, body: &str) -> Result<(u16, Value)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let request = head.replacen("\r\n", " HTTP/1.1\r\n", 1);
        write!(
            stream,
            "{request}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("a head and a body")?;
        let status = head.split(' ').nth(1).context("a status")?.parse()?;
        Ok((status, serde_json::from_str(body).with_context(|| answer.clone())?))
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// If it does not end in good order.
    pub fn terminate(mut self) -> Result<()> {
        let sent = Command::new("kill").arg(self.child.id().to_string()).status()?;
        ensure!(sent.success(), "kill failed");
        let status = self.child.wait()?;
        ensure!(status.success(), "the daemon ended with {status}");
        Ok(())
    }
}

impl Drop for DaemonProcess {
    fn drop(&mut self) {
        // It may have ended already; either way it is not left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program of Node.js in a folder of the repository.
///
/// # Panics
/// If its packages are not installed; the message says how. A test never passes without its real part.
#[must_use]
pub fn node(folder: &str, script: &str) -> Command {
    let folder = repository().join(folder);
    assert!(
        folder.join("node_modules/ws").is_dir(),
        "the packages of {} are not installed. `cargo xtask test` installs them; by hand: `npm ci` there",
        folder.display()
    );
    let mut command = Command::new("node");
    command.arg(folder.join(script)).stdin(Stdio::null());
    command
}

/// What a program wrote, after it ended well.
///
/// # Panics
/// If it did not.
#[must_use]
pub fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
