//! Networks of their own: two namespaces joined by a cable, with a firewall at one end; and homes behind routers. Needs root on Linux.

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

    /// Lets out over TCP no more than 1 MiB a second to each address, as a thin line does.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn is_slow_over_tcp(&self) -> Result<()> {
        let rules = "add table inet thin; \
                     add set inet thin each { type ipv4_addr; flags dynamic,timeout; timeout 5m; }; \
                     add chain inet thin output { type filter hook output priority 0; policy accept; }; \
                     add rule inet thin output meta l4proto tcp \
                     update @each { ip daddr limit rate over 1024 kbytes/second burst 256 kbytes } drop";
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

/// What a router does to UDP (RFC 4787 has the longer names).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// One port for all destinations, and everybody gets in by it.
    FullCone,
    /// One port for all destinations; in gets what comes from an address that something went out to.
    Restricted,
    /// One port for all destinations; in gets what comes from an address and port that something went out to.
    PortRestricted,
    /// Another port for each destination, by which only that one gets in.
    Symmetric,
    /// No UDP at all.
    NoUdp,
}

impl Nat {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::FullCone, Self::Restricted, Self::PortRestricted, Self::Symmetric, Self::NoUdp];

    /// Whether two devices behind these reach each other.
    #[must_use]
    pub fn lets_meet(self, other: Self) -> bool {
        let pair = [self, other];
        let narrow = pair.iter().filter(|nat| matches!(nat, Self::PortRestricted | Self::Symmetric)).count();
        let shut = pair.contains(&Self::Symmetric) && narrow == 2;
        !(shut || pair.contains(&Self::NoUdp))
    }

    /// The router's rules. Whatever was not asked for is dropped without an answer, and leaves no trace that would turn the port
    /// of a later connection.
    fn rules(self, host: &str) -> String {
        let source = match self {
            Self::Symmetric => "masquerade fully-random",
            _ => "masquerade",
        };
        let lets_in = match self {
            Self::FullCone => format!("add rule ip nat in iif wan meta l4proto udp dnat to {host};"),
            Self::Restricted => {
                format!("add rule ip nat in iif wan ip saddr @asked meta l4proto udp dnat to {host};")
            }
            _ => String::new(),
        };
        let forward = match self {
            Self::NoUdp => "add rule ip nat through meta l4proto udp drop;",
            Self::Restricted => {
                "add rule ip nat through oif wan meta l4proto udp update @asked { ip daddr };"
            }
            _ => "",
        };
        format!(
            "add table ip nat; \
             add set ip nat asked {{ type ipv4_addr; flags dynamic,timeout; timeout 5m; }}; \
             add chain ip nat in {{ type nat hook prerouting priority -100; }}; \
             add chain ip nat out {{ type nat hook postrouting priority 100; }}; \
             add chain ip nat through {{ type filter hook forward priority 0; policy accept; }}; \
             add chain ip nat here {{ type filter hook input priority 0; policy accept; }}; \
             add rule ip nat here iif wan meta l4proto udp drop; \
             add rule ip nat out oif wan {source}; {forward} {lets_in}"
        )
    }
}

/// A network without walls, to which routers are connected, and a host in it at [`Internet::SERVER`].
pub struct Internet {
    /// Where the relay runs.
    pub server: Namespace,
    homes: AtomicU32,
}

/// A host behind a router.
pub struct Home {
    /// The host.
    pub host: Namespace,
    // It lives as long as the host.
    _router: Namespace,
}

impl Internet {
    /// The address of the host in it.
    pub const SERVER: &str = "10.99.0.1";

    /// One without homes.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn new() -> Result<Self> {
        let server = Namespace::new("internet")?;
        server.ip(&["link", "add", "net", "type", "bridge"])?;
        server.ip(&["address", "add", &format!("{}/16", Self::SERVER), "dev", "net"])?;
        server.ip(&["link", "set", "net", "up"])?;
        Ok(Self { server, homes: AtomicU32::new(0) })
    }

    /// A host behind a router of this kind.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn home(&self, nat: Nat) -> Result<Home> {
        let number = self.homes.fetch_add(1, Ordering::Relaxed) + 1;
        let (router, host) = (Namespace::new("router")?, Namespace::new("host")?);
        let plug = format!("plug{number}");
        self.server.ip(&[
            "link",
            "add",
            &plug,
            "type",
            "veth",
            "peer",
            "name",
            "wan",
            "netns",
            &router.name,
        ])?;
        self.server.ip(&["link", "set", &plug, "master", "net", "up"])?;
        router.ip(&["address", "add", &format!("10.99.1.{number}/16"), "dev", "wan"])?;
        router.ip(&["link", "set", "wan", "up"])?;
        router.ip(&["link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", &host.name])?;
        let (inside, gateway) = (format!("192.168.{number}.2"), format!("192.168.{number}.1"));
        for (end, address) in [(&router, &gateway), (&host, &inside)] {
            end.ip(&["address", "add", &format!("{address}/24"), "dev", "lan"])?;
            end.ip(&["link", "set", "lan", "up"])?;
        }
        host.ip(&["route", "add", "default", "via", &gateway])?;
        run("procps", router.command("sysctl").args(["-q", "-w", "net.ipv4.ip_forward=1"]))?;
        run("nftables", router.command("nft").arg(nat.rules(&inside)))?;
        Ok(Home { host, _router: router })
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
