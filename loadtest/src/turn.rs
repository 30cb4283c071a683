//! What relaying costs: coturn's client sends through coturn and through ours, in turn, to a peer that sends everything back.

use crate::process::cpu_seconds;
use crate::report::Turn;
use crate::sotto::{Borrowed, Sotto};
use crate::target::Target as _;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::process::{Child, Command};

/// What is sent in each round.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Allocations at a time.
    pub(crate) clients: u32,
    /// Packets of each, one in a millisecond.
    pub(crate) packets: u32,
    /// Bytes of each packet.
    pub(crate) bytes: u32,
}

/// What our relay is told: peers are on this machine, and nobody is held back.
const SETTINGS: [(&str, &str); 3] = [
    ("SOTTO_RELAY_TURN_PEERS", "loopback"),
    ("SOTTO_RELAY_TURN_BYTES_PER_SECOND", "0"),
    ("SOTTO_RELAY_TURN_BYTES_PER_DAY", "0"),
];

const COTURNS_USER: &str = "load";
const COTURNS_PASSWORD: &str = "load";

/// A Binding request of STUN: whoever listens answers it.
const BINDING: [u8; 20] = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];

/// One round of coturn, then one of ours, as often as is asked for.
pub(crate) async fn measure(dir: &Path, relay: Option<&Path>, load: Load, rounds: u32) -> Result<Vec<Turn>> {
    let peer = echo().await?;
    let (mut base, mut ours) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (coturn, at) = coturn(dir).await?;
        let borrowed = Borrowed {
            port: at.port(),
            username: COTURNS_USER.to_owned(),
            credential: COTURNS_PASSWORD.to_owned(),
        };
        let pid = coturn.id().context("coturn ended at once")?;
        base.push(round_of("coturn", pid, &borrowed, peer, load).await?);
        drop(coturn);
        let mut sotto = Sotto::start_with(&dir.join(round.to_string()), relay, &SETTINGS).await?;
        let borrowed = sotto.borrow_turn().await?;
        ours.push(round_of("Sotto relay", sotto.pid(), &borrowed, peer, load).await?);
        sotto.finish().await?;
    }
    Ok(Turn::median(&base).into_iter().chain(Turn::median(&ours)).collect())
}

/// Sends back whatever comes.
async fn echo() -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut packet = vec![0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            // Who asked is gone.
            let _ = socket.send_to(packet.get(..length).unwrap_or_default(), from).await;
        }
    });
    Ok(address)
}

/// Debian's coturn on a free port; it ends when this is dropped.
async fn coturn(dir: &Path) -> Result<(Child, SocketAddr)> {
    let at = std::net::UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
    let child = Command::new("turnserver")
        .args(["-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", &at.port().to_string()])
        .args(["--lt-cred-mech", "-u", &format!("{COTURNS_USER}:{COTURNS_PASSWORD}"), "-r", "sotto"])
        .args(["--allow-loopback-peers", "--no-cli", "--no-tls", "--no-dtls", "-l", "stdout", "--simple-log"])
        .arg("--pidfile")
        .arg(dir.join("coturn.pid"))
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("turnserver is needed: apt-get install coturn (cargo xtask setup does)")?;
    let asks = UdpSocket::bind("127.0.0.1:0").await?;
    asks.connect(at).await?;
    for _ in 0..100 {
        // Nobody listens yet.
        let _ = asks.send(&BINDING).await;
        let answer = tokio::time::timeout(Duration::from_millis(100), asks.recv(&mut [0; 512])).await;
        if matches!(answer, Ok(Ok(_))) {
            return Ok((child, at));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("coturn does not answer on {at}")
}

async fn round_of(server: &str, pid: u32, borrowed: &Borrowed, peer: SocketAddr, load: Load) -> Result<Turn> {
    eprintln!("{server}: {} clients send {} packets each …", load.clients, load.packets);
    let (before, began) = (cpu_seconds(pid)?, Instant::now());
    let output = Command::new("turnutils_uclient")
        .args(["-e", &peer.ip().to_string(), "-r", &peer.port().to_string(), "-c", "-z", "1"])
        .args(["-u", &borrowed.username, "-w", &borrowed.credential, "-p", &borrowed.port.to_string()])
        .args(["-n", &load.packets.to_string(), "-m", &load.clients.to_string()])
        .args(["-l", &load.bytes.to_string(), "127.0.0.1"])
        .kill_on_drop(true)
        .output()
        .await
        .context("turnutils_uclient is needed: apt-get install coturn (cargo xtask setup does)")?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = cpu_seconds(pid)? - before;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let sent = number(&text, "tot_send_msgs=").with_context(|| format!("{server} was not used: {text}"))?;
    let received = number(&text, "tot_recv_msgs=").context("nothing is said of what came back")?;
    let relayed = sent + received;
    Ok(Turn {
        server: server.to_owned(),
        relayed,
        lost: sent.saturating_sub(received),
        mib_per_second: (relayed * u64::from(load.bytes)) as f64 / f64::from(1 << 20) / seconds,
        packets_per_cpu_second: relayed as f64 / cpu,
        cpu_seconds_per_gib: cpu / ((relayed * u64::from(load.bytes)) as f64 / f64::from(1 << 30)),
    })
}

/// The last number of a name in what the client says.
fn number(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.rsplit_once(name)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
