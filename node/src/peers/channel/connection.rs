//! The connection of one link: WebRTC with a data channel and nothing else.

use crate::calls::{Ways, describe};
use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::statistics::StatsSelector;
use rtc::statistics::report::RTCStatsReportEntry;
use socket2::SockRef;
use sotto_node_core::calls::Candidate;
use sotto_protocol::peer::CHANNEL;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use webrtc::data_channel::DataChannel;
use webrtc::error::{Error, Result};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceServer,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngineBuilder,
};
use webrtc::runtime::{
    AsyncInterval, AsyncTcpListener, AsyncTcpStream, AsyncUdpSocket, JoinHandle, Runtime, default_runtime,
};

/// What is handed over before the line has taken what it has, as a browser does.
const BUFFERED_MAX: usize = 1024 * 1024;

/// What the system keeps of packets each way. With what it keeps by itself a channel is eight times slower: a burst of a window
/// overflows it, and what is lost is waited for.
const SOCKET_BYTES: usize = 4 * 1024 * 1024;

/// What the connection says by itself.
pub(super) enum Told {
    /// A way to this device.
    Found(Candidate),
    /// It stands, falters or is given up.
    State(RTCPeerConnectionState),
    /// The other end has made a channel.
    Channel(Arc<dyn DataChannel>),
}

/// A connection; closed when it is dropped.
pub(super) struct Connection {
    pc: Arc<dyn PeerConnection>,
}

impl Connection {
    pub(super) async fn open(
        servers: Vec<RTCIceServer>,
        ways: Ways,
        tell: UnboundedSender<Told>,
    ) -> Result<Self> {
        let settings = SettingEngineBuilder::new()
            // Nobody on the network is asked for anybody by name.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // Another attempt begins from nothing: the network may be another one.
            .with_discard_local_candidates_during_ice_restart(true)
            .build();
        let runtime = default_runtime().ok_or_else(|| Error::Other("there is no runtime".to_owned()))?;
        let pc = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
            .with_setting_engine(settings)
            .with_runtime(Arc::new(Roomy(runtime)))
            .with_handler(Arc::new(Handler(tell)))
            .with_udp_addrs(vec![ways])
            .with_data_channel_send_buffer_limit(BUFFERED_MAX)
            .build()
            .await?;
        Ok(Self { pc: Arc::new(pc) })
    }

    /// This end makes the channel, for the first offer.
    pub(super) async fn channel(&self) -> Result<Arc<dyn DataChannel>> {
        self.pc.create_data_channel(CHANNEL, None).await
    }

    pub(super) async fn offer(&self, again: bool) -> Result<String> {
        describe::offer(&*self.pc, again).await
    }

    pub(super) async fn answer(&self, sdp: String) -> Result<String> {
        describe::offered(&*self.pc, sdp).await?;
        describe::answer(&*self.pc).await
    }

    pub(super) async fn answered(&self, sdp: String) -> Result<()> {
        describe::answered(&*self.pc, sdp).await
    }

    pub(super) async fn try_way(&self, candidate: Candidate) {
        describe::try_way(&*self.pc, candidate).await;
    }

    /// How long it takes there and back, as the check of the way found it.
    pub(super) async fn round_trip(&self) -> Option<Duration> {
        let report = self.pc.get_stats(Instant::now(), StatsSelector::None).await;
        let chosen = report.transport().map(|transport| transport.selected_candidate_pair_id.clone());
        let seconds = report.iter().find_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if Some(&pair.stats.id) == chosen.as_ref() => {
                Some(pair.current_round_trip_time)
            }
            _ => None,
        });
        Duration::try_from_secs_f64(seconds.filter(|seconds| *seconds > 0.0)?).ok()
    }
}

impl Drop for Connection {
    /// A connection that is only let go of works on for ever.
    fn drop(&mut self) {
        let pc = Arc::clone(&self.pc);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = pc.close().await {
                tracing::debug!(%error, "a link's connection does not close");
            }
        });
    }
}

/// What the connection calls. It does so from its own task, which must not wait in here.
struct Handler(UnboundedSender<Told>);

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        let Ok(init) = event.candidate.to_json() else { return };
        let _ = self.0.send(Told::Found(Candidate { line: init.candidate, mid: None, section: Some(0) }));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.0.send(Told::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.0.send(Told::Channel(channel));
    }
}

/// The usual runtime, whose sockets keep more.
#[derive(Debug)]
struct Roomy(Arc<dyn Runtime>);

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Runtime for Roomy {
    fn spawn(&self, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn(future)
    }

    fn spawn_reactor(&self, pool: usize, future: Later<'static, ()>) -> Box<dyn JoinHandle> {
        self.0.spawn_reactor(pool, future)
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        {
            let socket = SockRef::from(&socket);
            // What the system does not allow is no reason to have no link.
            let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
            let _ = socket.set_send_buffer_size(SOCKET_BYTES);
        }
        self.0.wrap_udp_socket(socket)
    }

    fn wrap_tcp_listener(&self, listener: TcpListener) -> io::Result<Arc<dyn AsyncTcpListener>> {
        self.0.wrap_tcp_listener(listener)
    }

    fn connect_tcp<'a>(&'a self, to: SocketAddr) -> Later<'a, io::Result<Arc<dyn AsyncTcpStream>>> {
        self.0.connect_tcp(to)
    }

    fn resolve_host<'a>(&'a self, host: &'a str) -> Later<'a, io::Result<Vec<SocketAddr>>> {
        self.0.resolve_host(host)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Later<'static, ()> {
        self.0.sleep(duration)
    }

    fn interval(&self, period: Duration) -> Box<dyn AsyncInterval> {
        self.0.interval(period)
    }

    fn block_on(&self, future: Pin<Box<dyn Future<Output = ()> + '_>>) {
        self.0.block_on(future);
    }

    fn yield_now(&self) -> Later<'static, ()> {
        self.0.yield_now()
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}
