//! The connection of one link: WebRTC with a data channel and nothing else.

use super::roomy::runtime;
use crate::calls::{Ways, describe};
use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::peer_connection::transport::RTCIceCandidateType;
use rtc::statistics::StatsSelector;
use rtc::statistics::report::RTCStatsReportEntry;
use sotto_node_core::calls::Candidate;
use sotto_protocol::peer::CHANNEL;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use webrtc::data_channel::DataChannel;
use webrtc::error::{Error, Result};
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCConfigurationBuilder, RTCIceServer,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, SettingEngineBuilder,
};

/// What is handed over before the line has taken what it has, as a browser does.
const BUFFERED_MAX: usize = 1024 * 1024;

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
    /// Where no UDP goes out, there is nothing better than a way over the relay to wait for.
    pub(super) async fn open(
        servers: Vec<RTCIceServer>,
        ways: Ways,
        is_blocked: bool,
        tell: UnboundedSender<Told>,
    ) -> Result<Self> {
        let settings = SettingEngineBuilder::new()
            // Nobody on the network is asked for anybody by name.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // The way to a browser is mostly one that only its packets showed: it calls itself by a name. A better one is not waited for.
            .with_srflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_prflx_acceptance_min_wait(Some(Duration::ZERO))
            .with_relay_acceptance_min_wait(is_blocked.then_some(Duration::ZERO))
            // Another attempt begins from nothing: the network may be another one.
            .with_discard_local_candidates_during_ice_restart(true)
            .build();
        let pc = PeerConnectionBuilder::new()
            .with_configuration(RTCConfigurationBuilder::new().with_ice_servers(servers).build())
            .with_setting_engine(settings)
            .with_runtime(runtime().ok_or_else(|| Error::Other("there is no runtime".to_owned()))?)
            .with_handler(Arc::new(Handler { tell, ways: ways.clone() }))
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

    /// The other end's address at a server may have shown itself by a packet before its candidate came.
    async fn leads_over_server(&self) -> bool {
        let Some(sctp) = self.pc.sctp().await else { return false };
        let pair = sctp.transport().ice_transport().get_selected_candidate_pair().await;
        let leads_over = [RTCIceCandidateType::Relay, RTCIceCandidateType::Prflx];
        pair.ok()
            .flatten()
            .is_some_and(|pair| [pair.local(), pair.remote()].iter().any(|end| leads_over.contains(&end.typ)))
    }

    /// How it stands, as the check of the way found it.
    pub(super) async fn standing(&self) -> Standing {
        let report = self.pc.get_stats(Instant::now(), StatsSelector::None).await;
        let chosen = report.transport().map(|transport| transport.selected_candidate_pair_id.clone());
        let pair = report.iter().find_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if Some(&pair.stats.id) == chosen.as_ref() => {
                Some(pair)
            }
            _ => None,
        });
        let Some(pair) = pair else { return Standing::default() };
        let seconds = Some(pair.current_round_trip_time).filter(|seconds| *seconds > 0.0);
        let round_trip = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Standing { round_trip, over_server: self.leads_over_server().await }
    }
}

/// How a connection stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// There and back, once that was measured.
    pub(super) round_trip: Option<Duration>,
    /// Where it was given servers that carry: by one of them.
    pub(super) over_server: bool,
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
struct Handler {
    tell: UnboundedSender<Told>,
    ways: Ways,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if !self.ways.may_tell(&event.candidate.address) {
            return;
        }
        let Ok(init) = event.candidate.to_json() else { return };
        let _ = self.tell.send(Told::Found(Candidate { line: init.candidate, mid: None, section: Some(0) }));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.tell.send(Told::State(state));
    }

    async fn on_data_channel(&self, channel: Arc<dyn DataChannel>) {
        let _ = self.tell.send(Told::Channel(channel));
    }
}
