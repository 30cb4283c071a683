//! Networks of their own: two namespaces joined by a cable, with a firewall at one end. Needs root on Linux.

use crate::tool::run;
use anyhow::Result;
use std::ffi::OsStr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Namespaces made by this process, so that their names differ.
static MADE: AtomicU32 = AtomicU32::new(0);

/// One network namespace; deleted, with what runs in it cut off, when dropped.
pub struct Namespace {
    name: String,
}

/// Two hosts that reach each other and nothing else.
pub struct Cable {
    /// Where the relay runs, at [`Cable::SERVER`].
    pub server: Namespace,
    /// Where the clients run, at [`Cable::CLIENT`].
    pub client: Namespace,
}

impl Namespace {
    fn new(role: &str) -> Result<Self> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let namespace = Self { name: format!("sotto-{}-{number}-{role}", std::process::id()) };
        run("iproute2", Command::new("ip").args(["netns", "add", &namespace.name]))?;
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// A program to run within. `ip` becomes the program, so the child's process id is the program's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn ip(&self, words: &[&str]) -> Result<()> {
        run("iproute2", Command::new("ip").args(["-n", &self.name]).args(words))
    }

    /// Drops every UDP packet that comes in, without a word, as firewalls do.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn drops_udp(&self) -> Result<()> {
        let rules = "add table inet wall; \
                     add chain inet wall input { type filter hook input priority 0; policy accept; }; \
                     add rule inet wall input meta l4proto udp drop";
        run("nftables", self.command("nft").arg(rules))
    }

    /// Lets UDP in again.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn takes_udp(&self) -> Result<()> {
        run("nftables", self.command("nft").arg("delete table inet wall"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // What was not made cannot be deleted, and a test that failed has said why.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).stderr(Stdio::null()).status();
    }
}

impl Cable {
    /// The server's address.
    pub const SERVER: &str = "10.77.0.1";
    /// The client's address.
    pub const CLIENT: &str = "10.77.0.2";

    /// Two namespaces and the cable between them.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn new() -> Result<Self> {
        let (server, client) = (Namespace::new("server")?, Namespace::new("client")?);
        let ends = ["link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", &client.name];
        server.ip(&ends)?;
        for (end, address) in [(&server, Self::SERVER), (&client, Self::CLIENT)] {
            end.ip(&["address", "add", &format!("{address}/24"), "dev", "wire"])?;
            end.ip(&["link", "set", "wire", "up"])?;
        }
        Ok(Self { server, client })
    }
}
