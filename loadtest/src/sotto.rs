//! A Sotto relay under load: the real program with its default settings, in its own process.

use crate::drive::Link;
use crate::process::{Process, resident_kib};
use crate::raw::{Account, Device, Relay, SottoDialect, pair};
use crate::target::{Target, Totals};
use anyhow::{Context, Result};
use sotto_mls::suite::Suite;
use sotto_protocol::ids::{ConversationId, Epoch};
use sotto_protocol::limits::DEVICES_PER_ACCOUNT_MAX;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// What a relay writes into its data folder when it listens.
#[derive(serde::Deserialize)]
struct ReadyFile {
    link: String,
    http: Option<SocketAddr>,
    turn: Option<SocketAddr>,
}

/// Where TURN is, and by which right it is used.
pub(crate) struct Borrowed {
    pub(crate) port: u16,
    pub(crate) username: String,
    pub(crate) credential: String,
}

#[derive(serde::Deserialize)]
struct Ice {
    ice_servers: Vec<IceServer>,
}

#[derive(serde::Deserialize)]
struct IceServer {
    username: String,
    credential: String,
}

/// A relay in its own process.
pub(crate) struct Sotto {
    process: Process,
    link: String,
    relay: Relay,
    http: SocketAddr,
    turn: Option<SocketAddr>,
    accounts: usize,
    idle: Vec<Device>,
}

impl Sotto {
    /// Starts the relay's program with its data in `dir`.
    pub(crate) async fn start(dir: &Path, program: Option<&Path>) -> Result<Self> {
        Self::start_with(dir, program, &[]).await
    }

    /// The same, with settings beside the defaults.
    pub(crate) async fn start_with(
        dir: &Path,
        program: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let beside = std::env::current_exe()?.with_file_name("sotto-relay");
        let program: PathBuf = program.map_or(beside, Path::to_owned);
        anyhow::ensure!(
            program.is_file(),
            "{} is not there: `cargo build --release -p sotto-relay` builds it",
            program.display()
        );
        let data = dir.join("relay");
        let mut command = Command::new(program);
        command
            .arg("run")
            .env("SOTTO_RELAY_DATA_DIR", &data)
            .env("SOTTO_RELAY_LISTEN", "127.0.0.1:0")
            .env("SOTTO_RELAY_HTTP", "127.0.0.1:0")
            .env("SOTTO_RELAY_LOG_LEVEL", "warn")
            // All of a load's accounts are registered from one address within seconds.
            .env("SOTTO_RELAY_LIMITS_RATES", "false")
            .envs(settings.iter().copied());
        let process = Process::start(command)?;
        let ready = wait_until_ready(&data).await?;
        Ok(Self {
            process,
            relay: Relay::from_link(&ready.link)?,
            link: ready.link,
            http: ready.http.context("the relay serves no plain HTTP")?,
            turn: ready.turn,
            accounts: 0,
            idle: Vec::new(),
        })
    }

    /// The relay's link.
    pub(crate) fn link(&self) -> &str {
        &self.link
    }

    /// Its plain listener on this machine.
    pub(crate) const fn http(&self) -> SocketAddr {
        self.http
    }

    /// A counter of its metrics; one that never counted is not there.
    pub(crate) async fn counter(&self, name: &str) -> Result<f64> {
        let metrics = get(self.http, "/metrics", None).await?;
        Ok(metric(&metrics, name).unwrap_or(0.0))
    }

    /// What a new account is given for TURN.
    pub(crate) async fn borrow_turn(&mut self) -> Result<Borrowed> {
        let account = self.account().await?;
        let answer = get(self.http, "/api/v1/ice", Some(account.access_token())).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        let Ice { ice_servers } = serde_json::from_str(body)?;
        let server = ice_servers.into_iter().next().context("the relay lends nothing")?;
        let IceServer { username, credential } = server;
        let port = self.turn.context("the relay does not say where TURN is")?.port();
        Ok(Borrowed { port, username, credential })
    }

    async fn account(&mut self) -> Result<Account> {
        self.accounts += 1;
        self.relay.account(&format!("load-{}", self.accounts)).await
    }
}

async fn wait_until_ready(data: &Path) -> Result<ReadyFile> {
    for _ in 0..600 {
        if let Ok(text) = std::fs::read_to_string(data.join("ready.json")) {
            return Ok(serde_json::from_str(&text)?);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    anyhow::bail!("the relay was not ready within 30 s; its log is above")
}

impl Target for Sotto {
    type Dialect = SottoDialect;
    const NAME: &'static str = "Sotto relay";

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    async fn pairs(
        &mut self,
        endpoints: &[quinn::Endpoint],
        count: usize,
    ) -> Result<Vec<(Link<SottoDialect>, Link<SottoDialect>)>> {
        let mut pairs = Vec::new();
        for (_, endpoint) in (0..count).zip(endpoints.iter().cycle()) {
            let (mut one, mut other) = (self.account().await?, self.account().await?);
            let (one, other) = (self.relay.device(&mut one).await?, self.relay.device(&mut other).await?);
            let mut sender = self.relay.connect(endpoint, &one).await?;
            let mut receiver = self.relay.connect(endpoint, &other).await?;
            let (conversation, epoch) = pair((&mut sender, &one), &other, Suite::XWing).await?;
            let followed = receiver.follow(conversation).await?;
            anyhow::ensure!(followed.heads.len() == 1, "the receiver is no member of its conversation");
            pairs.push((sender.into_link(conversation, epoch), receiver.into_link(conversation, epoch)));
        }
        Ok(pairs)
    }

    async fn prepare_idle(&mut self, count: usize) -> Result<u64> {
        while self.idle.len() < count {
            let mut account = self.account().await?;
            for _ in 0..DEVICES_PER_ACCOUNT_MAX.min(count - self.idle.len()) {
                self.idle.push(self.relay.device(&mut account).await?);
            }
        }
        resident_kib(self.pid())
    }

    async fn idle(&mut self, endpoints: &[quinn::Endpoint], count: usize) -> Result<Vec<Link<SottoDialect>>> {
        let mut links = Vec::new();
        for (device, endpoint) in self.idle.iter().take(count).zip(endpoints.iter().cycle()) {
            let connection = self.relay.connect(endpoint, device).await?;
            // Idle links never write: the conversation does not matter.
            links.push(connection.into_link(ConversationId([0; 16]), Epoch(0)));
        }
        Ok(links)
    }

    async fn totals(&mut self) -> Result<Totals> {
        let metrics = get(self.http, "/metrics", None).await?;
        Ok(Totals { fsync_seconds: metric(&metrics, FSYNC_SECONDS)? })
    }

    async fn finish(self) -> Result<()> {
        self.process.terminate().await
    }
}

/// The counter of seconds in fsync among the relay's metrics.
const FSYNC_SECONDS: &str = "sotto_log_fsync_seconds_sum";

fn metric(text: &str, name: &str) -> Result<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    Ok(line.with_context(|| format!("the relay's metrics lack {name}"))?.trim().parse()?)
}

/// One plain HTTP/1.1 GET on loopback; the relay closes the connection after it.
async fn get(address: SocketAddr, path: &str, token: Option<&str>) -> Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let bearer = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{bearer}\r\n").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    anyhow::ensure!(text.contains(" 200 "), "GET {path}: {}", text.lines().next().unwrap_or_default());
    Ok(text)
}
