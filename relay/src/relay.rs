//! Starting a relay, and ending it in good order.
//!
//! ```text
//! lock the folder -> certificate -> accounts -> log (recovers) -> bind -> serve -> ready.json
//! stop: not ready -> no new connections -> Goodbye to devices -> log drained -> HTTP ends -> ready.json gone
//! ```

use crate::accounts::{AccountsError, SledTable};
use crate::admission::Admission;
use crate::backup::Backups;
use crate::blobs::LocalBlobs;
use crate::config::Config;
use crate::engine::{Engine, EngineConfig, EngineThread, Fatal, OpenError, Quotas};
use crate::folder::{DataFolder, FolderError};
use crate::nearly_full::Watch as FullnessWatch;
use crate::operator::watch::Watch;
use crate::operator::{Desk, channel};
use crate::quic::{QuicError, ResetKey};
use crate::ready::ReadyFile;
use crate::session::registry::Registry;
use crate::session::{Counters, Sessions};
use crate::sockets::{ListenError, bind_both, bind_tcp};
use crate::store::{RealDisk, SledOptions};
use crate::tls::{Identity, TlsError};
use crate::turn::{Turn, TurnError};
use crate::webtransport::Door;
use crate::webtransport::certificate::ShortLived;
use crate::{acme, api, blobs, clock, host, metrics, operator, quic, ready, site, tls, web};
use rand::RngExt as _;
use sotto_protocol::invite::{Fingerprint, Invite, RelayAddress};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often expired rows and old shards are looked for.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(3600);

/// How often histograms are folded, so that a relay that nobody scrapes does not grow.
const METRICS_UPKEEP_EVERY: Duration = Duration::from_secs(10);

/// How often it is looked at what is nearly full.
const WATCH_EVERY: Duration = Duration::from_secs(60);

/// After a drain no device comes back before this: a relay that is restarted needs about as long, and who finds
/// nobody waits longer the next time.
const RECONNECT_AFTER_MS: u32 = 400;

/// So many devices come back in each millisecond then: what two cores sign handshakes for.
const RECONNECTS_PER_MS: usize = 3;

/// The last ones come back after this at most.
const RECONNECT_SPREAD_MS_MAX: u32 = 3_000;

/// How often a drain looks whether the last device has gone.
const DRAIN_POLL: Duration = Duration::from_millis(10);

/// Why a relay does not start. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The accounts.
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    /// The log.
    #[error("cannot open the log: {0}")]
    Engine(#[from] OpenError),
    /// An address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// STUN and TURN.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// The QUIC endpoint.
    #[error(transparent)]
    Quic(#[from] QuicError),
    /// The operating system.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Why a relay ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The log can promise nothing any more.
    #[error(transparent)]
    Engine(#[from] Fatal),
    /// The accounts can promise nothing any more.
    #[error(
        "the relay stops: the accounts cannot be written: {0}. Nothing was acknowledged that is not on disk; see to the disk, then start again"
    )]
    Accounts(String),
    /// A fault of this program.
    #[error("the relay stops: {0}")]
    Task(String),
}

/// The relay program, for whoever runs it: the binary, tests, load generators.
#[derive(Debug)]
pub struct Relay;

/// A running relay. Dropping it stops nothing; [`RelayHandle::stop`] does, in good order.
pub struct RelayHandle {
    ready: ReadyFile,
    identity: Arc<Identity>,
    config: Config,
    link: Invite,
    sessions: Arc<Sessions>,
    stop: watch::Sender<bool>,
    supervisor: tokio::task::JoinHandle<Result<(), RunError>>,
}

impl Relay {
    /// Starts a relay and returns when it listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(config: Config) -> Result<RelayHandle, StartError> {
        tls::install_provider();
        let recorder = metrics::install();
        ::metrics::gauge!(metrics::CERTIFICATE_EXPIRES).set(0.0);
        ::metrics::gauge!(metrics::TURN_ALLOCATIONS).increment(0.0);
        let opened = tokio::task::spawn_blocking({
            let config = config.clone();
            move || {
                let folder = DataFolder::open(&config.data_dir)?;
                folder.remove(ready::FILE);
                Opened::open(&config, folder)
            }
        });
        let opened = opened.await.map_err(|error| StartError::System(std::io::Error::other(error)))??;
        let Opened { folder, identity, reset_key, store, engine, engine_thread, broken } = opened;
        let blobs = open_blobs(&config, &folder, &engine).await?;

        let (udp, tcp) = bind_both(config.listen)?;
        let plain = config.http.map(bind_tcp).transpose()?;
        let https = tcp.local_addr()?;
        let http = plain.as_ref().map(std::net::TcpListener::local_addr).transpose()?;
        let link = link(&config, https.port(), &identity);
        let browsers = site::origin(&config, http, https.port());
        let (folder, identity) = (Arc::new(folder), Arc::new(identity));
        let short_lived = Arc::new(ShortLived::load(&folder, certificate_names(&config), clock::now())?);
        let door =
            Door { port: link.relay.port, identity: identity.clone(), certificates: short_lived.clone() };

        let registry = Registry::default();
        let is_ready = Arc::new(AtomicBool::new(false));
        let (stop_web, web_stops) = watch::channel(false);
        let lend = |turn| Turn::bind(turn, &link.relay, is_ready.clone(), web_stops.clone());
        let (turn, turn_listeners) = config.turn.as_ref().map(lend).transpose()?.unzip();
        let turn = turn.map(Arc::new);
        let watched = Arc::new(Watch::new(config.data_dir.clone()));
        let api = api::Api::new(api::Parts {
            config: &config,
            folder: &folder,
            store: store.clone(),
            engine: engine.clone(),
            registry: registry.clone(),
            watch: watched.clone(),
            relay: link.clone(),
            web: browsers.clone(),
            door: Some(door),
            turn: turn.clone(),
            blobs: blobs.clone(),
            is_ready: is_ready.clone(),
            recorder,
        })?;
        let sessions = Arc::new(Sessions {
            gate: api.gate(),
            engine: engine.clone(),
            registry,
            clock: clock::now,
            authentication_timeout: config.authentication_timeout,
            counters: Counters::new(),
        });

        let endpoint = quic::endpoint(udp, &identity, short_lived.clone(), &reset_key, config.idle_timeout)?;
        let acceptor = tokio_rustls::TlsAcceptor::from(identity.for_https()?);
        let admission = Admission::new(config.connections_max, config.connections_per_address_max);
        let (stop_quic, quic_stops) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let routers = api.routers(sessions.clone());
        tasks.spawn(quic::accept(endpoint.clone(), sessions.clone(), admission.clone(), quic_stops));
        tasks.spawn(web::serve(
            tokio::net::TcpListener::from_std(tcp)?,
            Some(acceptor),
            routers.public,
            admission.clone(),
            web_stops.clone(),
        ));
        if let Some(listeners) = turn_listeners {
            let tls = tokio_rustls::TlsAcceptor::from(identity.for_turn()?);
            listeners.spawn(&mut tasks, tls, &admission)?;
        }
        let control = channel::listen(folder.path())
            .map_err(|source| FolderError::Io { path: folder.join(operator::SOCKET), source })?;
        let backups = Backups::new(&config, engine.clone(), store.clone());
        let desk = Desk {
            config: Arc::new(config.clone()),
            signaling: api.signaling(),
            engine: engine.clone(),
            backups: backups.clone(),
        };
        tasks.spawn(channel::serve(control, folder.path().to_owned(), Arc::new(desk), web_stops.clone()));
        if let Some(plain) = plain {
            let listener = tokio::net::TcpListener::from_std(plain)?;
            let local = host::guard(routers.local, host::Names::of(&config, listener.local_addr()?));
            tasks.spawn(web::serve(listener, None, local, admission, web_stops));
        }

        let ready = ReadyFile {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            quic: endpoint.local_addr()?,
            https,
            http,
            turn: turn.as_ref().map(|turn| turn.listen()),
            turns: turn.as_ref().and_then(|turn| turn.tls()),
            fingerprint: identity.fingerprint().to_string(),
            link: link.to_string(),
            web: browsers,
        };
        is_ready.store(true, Ordering::Release);
        ready.write(&folder)?;
        let recovered = engine.recovered();
        tracing::info!(quic = %ready.quic, https = %ready.https, ?recovered, "ready");

        let authority = config
            .acme
            .clone()
            .map(|wanted| tokio::spawn(acme::keep(wanted, folder.clone(), identity.clone())).abort_handle());
        let (stop, stopped) = watch::channel(false);
        let running = Running {
            folder: folder.clone(),
            engine,
            engine_thread,
            broken,
            endpoint,
            sessions: sessions.clone(),
            is_ready,
            stop_web,
            stop_quic,
            tasks,
            drain: config.drain,
            housekeeping: tokio::spawn(housekeeping(
                FullnessWatch::new(&config),
                sessions.clone(),
                store,
                blobs,
                (folder.clone(), short_lived),
                watched,
                recorder,
            )),
            schedule: tokio::spawn(backups.clone().keep()),
            authority,
            backups,
        };
        let supervisor = tokio::spawn(running.supervise(stopped));
        Ok(RelayHandle { ready, identity, config, link, sessions, stop, supervisor })
    }
}

/// What a data folder holds, opened.
pub(crate) struct Opened {
    pub(crate) folder: DataFolder,
    pub(crate) identity: Identity,
    pub(crate) reset_key: ResetKey,
    pub(crate) store: Arc<api::Accounts>,
    pub(crate) engine: Engine,
    pub(crate) engine_thread: EngineThread,
    broken: watch::Receiver<Option<String>>,
}

impl Opened {
    pub(crate) fn open(config: &Config, folder: DataFolder) -> Result<Self, StartError> {
        let names = certificate_names(config);
        let identity = Identity::load(&folder, config.certificate_origin(), names)?;
        let reset_key = ResetKey::load(&folder)?;
        let (table, broken) = open_accounts(config, &folder)?;
        let store = Arc::new(api::Accounts::open(table));
        let directory = Arc::new(crate::directory::CachedDirectory::new(store.clone()));
        let (engine, engine_thread) = Engine::open(engine_config(config, &folder), clock::now, directory)?;
        Ok(Self { folder, identity, reset_key, store, engine, engine_thread, broken })
    }
}

/// The files of a data folder, if the relay keeps any.
async fn open_blobs(
    config: &Config,
    folder: &DataFolder,
    engine: &Engine,
) -> Result<Option<Arc<LocalBlobs>>, StartError> {
    let Some(rules) = config.files else { return Ok(None) };
    let (path, reserve, engine) = (folder.join(blobs::FOLDER), config.disk_free_min, engine.clone());
    let opened =
        tokio::task::spawn_blocking(move || LocalBlobs::open(path, rules, reserve, engine, clock::now));
    let opened = opened.await.map_err(|error| StartError::System(std::io::Error::other(error)))??;
    Ok(Some(Arc::new(opened)))
}

/// The accounts of a data folder.
pub(crate) fn open_accounts(
    config: &Config,
    folder: &DataFolder,
) -> Result<(SledTable, watch::Receiver<Option<String>>), AccountsError> {
    SledTable::open(&folder.join("accounts"), Arc::new(RealDisk), config.disk_free_min)
}

/// An account may save up this many seconds of its rate.
const BURST_SECONDS: u32 = 10;

fn engine_config(config: &Config, folder: &DataFolder) -> EngineConfig {
    let changes = config.changes_per_second.unwrap_or(0);
    let quotas = Quotas {
        conversation_bytes: config.quota_conversation.unwrap_or(0),
        account_bytes: config.quota_account.unwrap_or(0),
        account_changes_per_second: changes,
        account_changes_burst: changes.saturating_mul(BURST_SECONDS),
    };
    EngineConfig { quotas, ..EngineConfig::new(log_options(config, folder)) }
}

/// How the log of a data folder is kept.
pub(crate) fn log_options(config: &Config, folder: &DataFolder) -> SledOptions {
    SledOptions {
        shard_span: config.retention_shard,
        retention: config.retention_age,
        cache_bytes: config.storage_cache,
        reserve_bytes: config.disk_free_min,
        ..SledOptions::new(folder.join("log"))
    }
}

fn certificate_names(config: &Config) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.extend(config.public_address.as_ref().map(|address| address.host.clone()));
    let near = near(config, 0).host;
    if !names.contains(&near) {
        names.push(near);
    }
    names
}

/// Where the relay is reached from the machine that it runs on: at the address that it listens on, or at loopback if
/// that is every address.
pub(crate) fn near(config: &Config, port: u16) -> RelayAddress {
    let ip = config.listen.ip();
    let host = if ip.is_unspecified() { Ipv4Addr::LOCALHOST.to_string() } else { ip.to_string() };
    RelayAddress { host, port }
}

/// Over how long so many devices come back.
fn reconnect_spread_ms(devices: usize) -> u32 {
    let due = devices.div_ceil(RECONNECTS_PER_MS);
    u32::try_from(due).map_or(RECONNECT_SPREAD_MS_MAX, |due| due.min(RECONNECT_SPREAD_MS_MAX))
}

/// What devices are told to connect to. A certificate that the operator brought is pinned too, unless he says
/// otherwise: it works whether or not an authority vouches for it.
pub(crate) fn link(config: &Config, port: u16, identity: &Identity) -> Invite {
    let domain = || config.acme.as_ref().map(|acme| RelayAddress { host: acme.domain.clone(), port });
    let relay = config.public_address.clone().or_else(domain).unwrap_or_else(|| near(config, port));
    Invite { relay, fingerprint: identity.pinned(), code: None }
}

async fn housekeeping(
    mut watch: FullnessWatch,
    sessions: Arc<Sessions>,
    store: Arc<api::Accounts>,
    blobs: Option<Arc<LocalBlobs>>,
    (folder, short_lived): (Arc<DataFolder>, Arc<ShortLived>),
    watched: Arc<Watch>,
    recorder: &'static metrics_exporter_prometheus::PrometheusHandle,
) {
    let mut upkeep = tokio::time::interval(METRICS_UPKEEP_EVERY);
    let mut hourly = tokio::time::interval(HOUSEKEEPING_EVERY);
    let mut minutely = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            _ = upkeep.tick() => {
                recorder.run_upkeep();
                watched.tick(&sessions.engine);
            }
            _ = minutely.tick() => watch.look(&sessions.engine).await,
            _ = hourly.tick() => {
                if let Err(error) = short_lived.keep(&folder, clock::now()) {
                    tracing::warn!(%error, "no new certificate for browsers");
                }
                if let Some(blobs) = &blobs {
                    let files = blobs.sweep().await;
                    tracing::info!(files, "files whose time is over");
                }
                let retained = sessions.engine.retain().await;
                match sotto_signaling::store::Housekeeping::sweep(&*store, clock::now()).await {
                    Ok(swept) => tracing::info!(swept, ?retained, "housekeeping"),
                    Err(error) => tracing::warn!(%error, "housekeeping of the accounts failed"),
                }
            }
        }
    }
}

impl RelayHandle {
    /// Where the relay is found.
    #[must_use]
    pub const fn addresses(&self) -> &ReadyFile {
        &self.ready
    }

    /// SHA-256 of its certificate.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Reads the operator's certificate again. Connections that stand stay as they are.
    pub fn reload_certificate(&self) {
        match self.identity.reload() {
            Ok(true) => {
                tracing::info!(fingerprint = %self.fingerprint(), "another certificate is served from now on");
            }
            Ok(false) => tracing::info!("the certificate is the same as before"),
            Err(error) => {
                tracing::warn!(%error, "the certificate was not replaced; the one before goes on being served");
            }
        }
    }

    /// The link that a node registers with, at the public address.
    #[must_use]
    pub const fn link(&self) -> &Invite {
        &self.link
    }

    /// Its configuration.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How many devices are connected.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.sessions.registry.count()
    }

    /// Waits for an end that nobody asked for.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> Result<(), RunError> {
        (&mut self.supervisor).await.unwrap_or_else(|error| Err(RunError::Task(error.to_string())))
    }

    /// Ends it in good order, within the configured drain time.
    ///
    /// # Errors
    /// If it had ended by itself, or its last writes failed.
    pub async fn stop(mut self) -> Result<(), RunError> {
        self.stop.send_replace(true);
        self.ended().await
    }
}

/// Everything that has to end.
struct Running {
    folder: Arc<DataFolder>,
    engine: Engine,
    engine_thread: EngineThread,
    broken: watch::Receiver<Option<String>>,
    endpoint: quinn::Endpoint,
    sessions: Arc<Sessions>,
    is_ready: Arc<AtomicBool>,
    stop_web: watch::Sender<bool>,
    stop_quic: watch::Sender<bool>,
    tasks: JoinSet<()>,
    drain: Duration,
    housekeeping: tokio::task::JoinHandle<()>,
    schedule: tokio::task::JoinHandle<()>,
    authority: Option<tokio::task::AbortHandle>,
    backups: Backups,
}

impl Running {
    async fn supervise(mut self, mut stop: watch::Receiver<bool>) -> Result<(), RunError> {
        let engine_thread = self.engine_thread;
        let mut engine_end = std::pin::pin!(engine_thread.ended());
        let asked = tokio::select! {
            ended = &mut engine_end => Err(ended.err().map_or_else(
                || RunError::Task("the log ended without being asked".to_owned()),
                RunError::Engine,
            )),
            broken = accounts_broken(&mut self.broken) => Err(RunError::Accounts(broken)),
            () = web::told(&mut stop) => Ok(()),
        };
        self.is_ready.store(false, Ordering::Release);
        self.housekeeping.abort();
        self.schedule.abort();
        self.authority.iter().for_each(tokio::task::AbortHandle::abort);
        self.backups.stop();
        if let Err(error) = asked {
            // Nothing more may be acknowledged: no farewell, the process ends.
            tracing::error!(%error, "stopping");
            self.tasks.abort_all();
            self.endpoint.close(quic::close_code::DONE, b"");
            // The accounts lie in sled too, which panics when it is dropped on a disk that failed. Whoever else
            // holds them, they are not dropped while this is kept.
            std::mem::forget(self.sessions);
            return Err(error);
        }

        let deadline = Instant::now() + self.drain;
        self.stop_quic.send_replace(true);
        let left = self.sessions.registry.count();
        let spread = reconnect_spread_ms(left);
        self.sessions.registry.drain(|| RECONNECT_AFTER_MS + rand::rng().random_range(0..=spread));
        tracing::info!(connections = left, "draining");
        while self.sessions.registry.count() > 0 && Instant::now() < deadline {
            tokio::time::sleep(DRAIN_POLL).await;
        }
        let left = self.sessions.registry.count();
        if left > 0 {
            tracing::warn!(connections = left, "not all connections ended in time");
        }
        // What was taken is committed whatever the time says: it may have been promised.
        self.engine.drain().await;
        let ended = engine_end.await;
        self.stop_web.send_replace(true);
        let rest = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let finished =
            tokio::time::timeout(rest, async { while self.tasks.join_next().await.is_some() {} }).await;
        if finished.is_err() {
            tracing::warn!("not all HTTP requests ended in time");
            self.tasks.abort_all();
        }
        self.endpoint.close(quic::close_code::DONE, b"");
        // Lets the closing packets out; a device that is gone is not waited for.
        let _ = tokio::time::timeout(Duration::from_millis(200), self.endpoint.wait_idle()).await;
        self.folder.remove(operator::SOCKET);
        self.folder.remove(ready::FILE);
        tracing::info!("ended");
        ended.map_err(RunError::Engine)
    }
}

async fn accounts_broken(broken: &mut watch::Receiver<Option<String>>) -> String {
    let reason = broken.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
    match reason {
        Some(reason) => reason,
        // The table is gone, which happens only after the end of everything else.
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_devices_come_back_at_once_and_many_spread_over_three_seconds() {
        for (devices, spread) in
            [(0, 0), (1, 1), (300, 100), (9_000, 3_000), (1_000_000, 3_000), (usize::MAX, 3_000)]
        {
            assert_eq!(reconnect_spread_ms(devices), spread, "{devices} devices");
        }
    }
}
