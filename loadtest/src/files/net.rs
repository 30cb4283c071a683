//! Lines as people have them: each member in a network namespace, on a bridge with the relay, sending at a limited rate. Needs root.

use anyhow::{Context as _, Result, ensure};
use std::process::Command;

/// Deleted when dropped.
pub(super) struct Lines {
    bridge: String,
    namespaces: Vec<String>,
}

impl Lines {
    /// Where the relay listens.
    pub(super) const RELAY: &str = "10.77.0.1:0";

    /// So many, each with so many Mbit/s outwards.
    pub(super) fn lay(count: usize, mbit: u32) -> Result<Self> {
        // Names of interfaces have at most 15 characters.
        let id = std::process::id() % 100_000;
        let mut lines = Self { bridge: format!("sl{id}"), namespaces: Vec::new() };
        let bridge = lines.bridge.clone();
        run("ip", &format!("link add {bridge} type bridge"))?;
        run("ip", &format!("addr add 10.77.0.1/24 dev {bridge}"))?;
        run("ip", &format!("link set {bridge} up"))?;
        for number in 0..count {
            let name = format!("{bridge}-{number}");
            run("ip", &format!("netns add {name}"))?;
            lines.namespaces.push(name.clone());
            run("ip", &format!("link add {name} type veth peer name eth0 netns {name}"))?;
            run("ip", &format!("link set {name} master {bridge} up"))?;
            run("ip", &format!("-n {name} addr add 10.77.0.{}/24 dev eth0", number + 2))?;
            run("ip", &format!("-n {name} link set lo up"))?;
            run("ip", &format!("-n {name} link set eth0 up"))?;
            let rate = format!("rate {mbit}mbit burst 256kb latency 100ms");
            run("tc", &format!("-n {name} qdisc add dev eth0 root tbf {rate}"))?;
        }
        Ok(lines)
    }

    /// The namespace of one member.
    pub(super) fn of(&self, number: usize) -> Option<String> {
        self.namespaces.get(number).cloned()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // What cannot be deleted now is not in the way of anything else.
        for name in &self.namespaces {
            let _ = run("ip", &format!("netns delete {name}"));
        }
        let _ = run("ip", &format!("link delete {}", self.bridge));
    }
}

fn run(program: &str, words: &str) -> Result<()> {
    let output = Command::new(program)
        .args(words.split(' '))
        .output()
        .with_context(|| format!("{program} is needed: apt-get install iproute2"))?;
    let why = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {words}: {why} (networks of their own need root)");
    Ok(())
}
