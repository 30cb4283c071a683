//! The connection between the two devices: WebRTC, with what this program wants of it.
//!
//! Sound has a section of its own in every description. A picture that the other one offers is answered as one that goes in neither
//! direction: a browser's camera can then be switched on without an error, and nothing of it is sent.

use super::audio::{FRAME_TICKS, RATE};
use super::describe;
use super::jitter::{Ear, Packet};
use super::ways::{Ways, without_origin};
use async_trait::async_trait;
use bytes::Bytes;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::configure_rtcp_reports;
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8};
use rtc::peer_connection::transport::RTCIceCandidateType;
use rtc::rtp_transceiver::RTCRtpTransceiverDirection;
use rtc::rtp_transceiver::rtp_sender::{
    RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters, RtpCodecKind,
};
use rtc::statistics::StatsSelector;
use rtc::statistics::report::RTCStatsReportEntry;
use sha2::{Digest as _, Sha256};
use sotto_node_core::calls::Candidate;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use webrtc::error::Result;
use webrtc::media_stream::Track as _;
use webrtc::media_stream::track_local::TrackLocal;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};
use webrtc::peer_connection::{
    MediaEngine, PeerConnection, PeerConnectionBuilder, PeerConnectionEventHandler, RTCBundlePolicy,
    RTCConfiguration, RTCConfigurationBuilder, RTCIceServer, RTCIceTransportPolicy,
    RTCPeerConnectionIceEvent, RTCPeerConnectionState, Registry, SettingEngineBuilder,
};
use webrtc::rtp_transceiver::RtpSender;

/// A way over a server is taken at once if no other may be; else a direct one has this long to be found.
const PATIENCE_FOR_DIRECT: Duration = Duration::from_secs(2);

/// What the connection says by itself.
pub(super) enum Told {
    /// A way to this device.
    Found(Candidate),
    /// It stands, falters or is given up.
    State(RTCPeerConnectionState),
}

/// What is shared with those who take the packets in.
pub(super) type SharedEar = Arc<Mutex<Ear>>;

/// One connection, for a whole call.
pub(super) struct Connection {
    pc: Arc<dyn PeerConnection>,
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
    hides: bool,
}

/// How it stands, from the transport.
pub(super) struct Standing {
    pub(super) relayed: bool,
    pub(super) round_trip: Option<Duration>,
}

fn opus() -> RTCRtpCodec {
    RTCRtpCodec {
        mime_type: MIME_TYPE_OPUS.to_owned(),
        clock_rate: RATE.unsigned_abs(),
        channels: 2, // Always said so, whatever is in it (RFC 7587, section 7).
        sdp_fmtp_line: "minptime=10;useinbandfec=1".to_owned(),
        rtcp_feedback: vec![],
    }
}

fn media() -> Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let sound = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: 111 };
    media.register_codec(sound, RtpCodecKind::Audio)?;
    // Without any codec a section would be refused for good.
    let picture = RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![],
    };
    media.register_codec(
        RTCRtpCodecParameters { rtp_codec: picture, payload_type: 96 },
        RtpCodecKind::Video,
    )?;
    Ok(media)
}

fn configuration(servers: Vec<RTCIceServer>, hides: bool) -> RTCConfiguration {
    let policy = if hides { RTCIceTransportPolicy::Relay } else { RTCIceTransportPolicy::All };
    RTCConfigurationBuilder::new()
        .with_ice_servers(servers)
        .with_ice_transport_policy(policy)
        .with_bundle_policy(RTCBundlePolicy::MaxBundle)
        .build()
}

impl Connection {
    /// Makes one. What it hears goes into the ear.
    pub(super) async fn open(
        servers: Vec<RTCIceServer>,
        ways: Ways,
        hides: bool,
        ear: SharedEar,
        tell: UnboundedSender<Told>,
    ) -> Result<Self> {
        let settings = SettingEngineBuilder::new()
            // Nobody on the network is asked for anybody by name.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // Another attempt begins from nothing: the network may be another one, and the relay may have forgotten what it lent.
            .with_discard_local_candidates_during_ice_restart(true)
            .with_relay_acceptance_min_wait(Some(if hides { Duration::ZERO } else { PATIENCE_FOR_DIRECT }))
            .build();
        let pc: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(configuration(servers, hides))
                .with_media_engine(media()?)
                .with_interceptor_registry(configure_rtcp_reports(Registry::new()))
                .with_setting_engine(settings)
                .with_handler(Arc::new(Handler {
                    tell,
                    ear,
                    began: Instant::now(),
                    hides,
                    ways: ways.clone(),
                }))
                .with_udp_addrs(vec![ways])
                .build()
                .await?,
        );
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(rand::random()),
                ..RTCRtpCodingParameters::default()
            },
            active: true,
            codec: opus(),
            ..RTCRtpEncodingParameters::default()
        };
        let track = Arc::new(TrackLocalStaticRTP::new(MediaStreamTrack::new(
            "sotto".to_owned(),
            "voice".to_owned(),
            "voice".to_owned(),
            RtpCodecKind::Audio,
            vec![coding],
        )));
        let sender = pc.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
        Ok(Self { pc, track, sender, hides })
    }

    /// Other servers from the next attempt on.
    pub(super) async fn lend(&self, servers: Vec<RTCIceServer>) -> Result<()> {
        self.pc.set_configuration(configuration(servers, self.hides)).await
    }

    /// An offer; of a further attempt with other ICE credentials.
    pub(super) async fn offer(&self, again: bool) -> Result<String> {
        describe::offer(&*self.pc, again).await
    }

    /// The answer to an offer.
    pub(super) async fn answer(&self, sdp: String) -> Result<String> {
        describe::offered(&*self.pc, sdp).await?;
        for transceiver in self.pc.get_transceivers().await {
            if transceiver.sender().await?.is_none() {
                transceiver.set_direction(RTCRtpTransceiverDirection::Inactive).await?;
            }
        }
        describe::answer(&*self.pc).await
    }

    /// The other one's answer.
    pub(super) async fn answered(&self, sdp: String) -> Result<()> {
        describe::answered(&*self.pc, sdp).await
    }

    /// A way to the other one. One that cannot be used is no loss.
    pub(super) async fn try_way(&self, candidate: Candidate) {
        describe::try_way(&*self.pc, candidate).await;
    }

    /// The fingerprint of the certificate at the other end, from the transport itself.
    pub(super) async fn fingerprint(&self) -> Option<String> {
        let dtls = self.sender.transport().await.ok()??;
        let certificates = dtls.get_remote_certificates().await.ok()?;
        certificates.first().map(|certificate| fingerprint_of(certificate))
    }

    /// How it stands now.
    pub(super) async fn standing(&self) -> Option<Standing> {
        let dtls = self.sender.transport().await.ok()??;
        let pair = dtls.ice_transport().get_selected_candidate_pair().await.ok()??;
        let relayed = [pair.local(), pair.remote()].iter().any(|end| end.typ == RTCIceCandidateType::Relay);
        let report = self.pc.get_stats(Instant::now(), StatsSelector::None).await;
        let chosen = report.transport().map(|transport| transport.selected_candidate_pair_id.clone());
        let measured = report.iter().filter_map(|entry| match entry {
            RTCStatsReportEntry::IceCandidatePair(pair) if Some(&pair.stats.id) == chosen.as_ref() => {
                Some(pair.current_round_trip_time)
            }
            RTCStatsReportEntry::RemoteInboundRtp(heard) => Some(heard.round_trip_time),
            _ => None,
        });
        let seconds = measured.filter(|seconds| *seconds > 0.0).fold(f64::INFINITY, f64::min);
        Some(Standing { relayed, round_trip: Duration::try_from_secs_f64(seconds).ok() })
    }

    /// What sound is sent by.
    pub(super) async fn mouth(&self) -> Result<Mouth> {
        let parameters = self.sender.get_parameters().await?;
        let payload_type = parameters.rtp_parameters.codecs.first().map_or(111, |codec| codec.payload_type);
        let ssrc = self.track.ssrcs().await.first().copied().unwrap_or_default();
        let (sequence, timestamp) = (rand::random(), rand::random());
        Ok(Mouth { track: Arc::clone(&self.track), payload_type, ssrc, sequence, timestamp })
    }

    /// Nothing goes either way any more.
    pub(super) async fn close(&self) {
        if let Err(error) = self.pc.close().await {
            tracing::debug!(%error, "a connection that does not close");
        }
    }
}

/// Numbers packets and sends them.
pub(super) struct Mouth {
    track: Arc<TrackLocalStaticRTP>,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Mouth {
    /// Sends the packet of a frame.
    pub(super) async fn say(&mut self, payload: Bytes) -> Result<()> {
        let header = rtc::rtp::Header {
            version: 2,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            ..rtc::rtp::Header::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
        self.track.write_rtp(rtc::rtp::Packet { header, payload }).await
    }
}

/// As descriptions write it (RFC 8122).
fn fingerprint_of(certificate: &[u8]) -> String {
    let bytes: Vec<String> = Sha256::digest(certificate).iter().map(|byte| format!("{byte:02X}")).collect();
    format!("sha-256 {}", bytes.join(":"))
}

/// What the connection calls. It does so from its own task, which must not wait in here.
struct Handler {
    tell: UnboundedSender<Told>,
    ear: SharedEar,
    began: Instant,
    hides: bool,
    ways: Ways,
}

#[async_trait]
impl PeerConnectionEventHandler for Handler {
    async fn on_ice_candidate(&self, event: RTCPeerConnectionIceEvent) {
        if !self.ways.may_tell(&event.candidate.address) {
            return;
        }
        let Ok(init) = event.candidate.to_json() else { return };
        let line = if self.hides { without_origin(&init.candidate) } else { init.candidate };
        // All sections share the way of the first.
        let _ = self.tell.send(Told::Found(Candidate { line, mid: None, section: Some(0) }));
    }

    async fn on_connection_state_change(&self, state: RTCPeerConnectionState) {
        let _ = self.tell.send(Told::State(state));
    }

    async fn on_track(&self, track: Arc<dyn TrackRemote>) {
        tokio::spawn(listen(track, Arc::clone(&self.ear), self.began));
    }
}

/// Takes in what comes on a track until it ends.
async fn listen(track: Arc<dyn TrackRemote>, ear: SharedEar, began: Instant) {
    let is_sound = track.kind().await == RtpCodecKind::Audio;
    while let Some(event) = track.poll().await {
        if let TrackRemoteEvent::OnRtpPacket(packet) = event
            && is_sound
        {
            let rtc::rtp::Packet { header, payload } = packet;
            let packet = Packet { sequence: header.sequence_number, timestamp: header.timestamp, payload };
            ear.lock().unwrap_or_else(PoisonError::into_inner).take(packet, began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_written_as_descriptions_write_it() {
        let fingerprint = fingerprint_of(b"abc");
        assert!(fingerprint.starts_with("sha-256 BA:78:16:BF:8F:01:CF:EA:"), "{fingerprint}");
        assert_eq!(fingerprint.len(), 8 + 32 * 3 - 1);
    }
}
