//! The connection between the two devices: WebRTC, with what this program wants of it.
//!
//! Sound has a section of its own in every description, and so has the picture where there is a camera or somebody who looks. A picture that
//! the other one offers and nobody wants is answered as one that goes in neither direction: a browser's camera can then be switched on
//! without an error, and nothing of it is sent.

use super::audio::RATE;
use super::describe;
use super::jitter::{Ear, Packet};
use super::outlet::{Beam, Mouth};
use super::picture::Eye;
use super::requests::{self, Requests};
use super::ways::{Ways, without_origin};
use async_trait::async_trait;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::media_stream::MediaStreamTrack;
use rtc::peer_connection::configuration::interceptor_registry::{configure_nack, configure_rtcp_reports};
use rtc::peer_connection::configuration::media_engine::{MIME_TYPE_OPUS, MIME_TYPE_VP8};
use rtc::peer_connection::transport::RTCIceCandidateType;
use rtc::rtp_transceiver::rtp_sender::{
    RTCPFeedback, RTCRtpCodec, RTCRtpCodecParameters, RTCRtpCodingParameters, RTCRtpEncodingParameters,
    RtpCodecKind,
};
use rtc::rtp_transceiver::{RTCRtpTransceiverDirection, RTCRtpTransceiverInit};
use rtc::statistics::StatsSelector;
use rtc::statistics::report::RTCStatsReportEntry;
use sha2::{Digest as _, Sha256};
use sotto_node_core::calls::Candidate;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;
use webrtc::error::Result;
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

/// Who takes in what comes, and whether there is something to show.
#[derive(Clone)]
pub(super) struct Senses {
    pub(super) ear: SharedEar,
    /// `None` if nobody looks.
    pub(super) eye: Option<Eye>,
    pub(super) camera: bool,
}

/// A track that goes out.
struct Out {
    track: Arc<TrackLocalStaticRTP>,
    sender: Arc<dyn RtpSender>,
}

/// One connection, for a whole call.
pub(super) struct Connection {
    pc: Arc<dyn PeerConnection>,
    voice: Out,
    picture: Option<Out>,
    watched: bool,
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

fn vp8() -> RTCRtpCodec {
    // Beside what is asked for where packets are asked for again (`configure_nack`), which has its own.
    let whole = RTCPFeedback { typ: "ccm".to_owned(), parameter: "fir".to_owned() };
    RTCRtpCodec {
        mime_type: MIME_TYPE_VP8.to_owned(),
        clock_rate: 90_000,
        channels: 0,
        sdp_fmtp_line: String::new(),
        rtcp_feedback: vec![whole],
    }
}

fn media() -> Result<MediaEngine> {
    let mut media = MediaEngine::default();
    let sound = RTCRtpCodecParameters { rtp_codec: opus(), payload_type: 111 };
    media.register_codec(sound, RtpCodecKind::Audio)?;
    // Without any codec a section would be refused for good.
    let picture = RTCRtpCodecParameters { rtp_codec: vp8(), payload_type: 96 };
    media.register_codec(picture, RtpCodecKind::Video)?;
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
        senses: Senses,
        tell: UnboundedSender<Told>,
    ) -> Result<Self> {
        let settings = SettingEngineBuilder::new()
            // Nobody on the network is asked for anybody by name.
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            // Another attempt begins from nothing: the network may be another one, and the relay may have forgotten what it lent.
            .with_discard_local_candidates_during_ice_restart(true)
            .with_relay_acceptance_min_wait(Some(if hides { Duration::ZERO } else { PATIENCE_FOR_DIRECT }))
            .build();
        let mut media = media()?;
        let chain = configure_nack(configure_rtcp_reports(Registry::new()), &mut media);
        let chain = chain.with(requests::PLACE, Requests::default());
        let Senses { ear, eye, camera } = senses;
        let watched = eye.is_some();
        let pc: Arc<dyn PeerConnection> = Arc::new(
            PeerConnectionBuilder::new()
                .with_configuration(configuration(servers, hides))
                .with_media_engine(media)
                .with_interceptor_registry(chain)
                .with_setting_engine(settings)
                .with_handler(Arc::new(Handler {
                    tell,
                    ear,
                    eye,
                    began: Instant::now(),
                    hides,
                    ways: ways.clone(),
                }))
                .with_udp_addrs(vec![ways])
                .build()
                .await?,
        );
        let voice = Out::add(&pc, RtpCodecKind::Audio, opus()).await?;
        let picture = if camera { Some(Out::add(&pc, RtpCodecKind::Video, vp8()).await?) } else { None };
        Ok(Self { pc, voice, picture, watched, hides })
    }

    /// Other servers from the next attempt on.
    pub(super) async fn lend(&self, servers: Vec<RTCIceServer>) -> Result<()> {
        self.pc.set_configuration(configuration(servers, self.hides)).await
    }

    /// An offer; of a further attempt with other ICE credentials.
    pub(super) async fn offer(&self, again: bool) -> Result<String> {
        if self.watched && self.picture.is_none() && self.pc.get_transceivers().await.len() < 2 {
            let init = RTCRtpTransceiverInit {
                direction: RTCRtpTransceiverDirection::Recvonly,
                ..RTCRtpTransceiverInit::default()
            };
            self.pc.add_transceiver_from_kind(RtpCodecKind::Video, Some(init)).await?;
        }
        self.direct().await?;
        describe::offer(&*self.pc, again).await
    }

    /// The answer to an offer.
    pub(super) async fn answer(&self, sdp: String) -> Result<String> {
        describe::offered(&*self.pc, sdp).await?;
        self.direct().await?;
        describe::answer(&*self.pc).await
    }

    /// Nothing is taken in that nobody looks at, and no more than one picture.
    async fn direct(&self) -> Result<()> {
        let set = RTCRtpTransceiverDirection::from_send_recv;
        let (mut own, mut others) = (None, Vec::new());
        for transceiver in self.pc.get_transceivers().await {
            match transceiver.sender().await? {
                None => others.push(transceiver),
                Some(sender) if sender.id() == self.voice.sender.id() => {}
                Some(_) => own = Some(transceiver),
            }
        }
        let mut watched = self.watched;
        if let Some(own) = own {
            let direction = own.direction().await?;
            if !watched {
                own.set_direction(set(direction.has_send(), false)).await?;
            } else if own.mid().await?.is_some() || others.is_empty() {
                watched = !direction.has_recv();
            }
        }
        for other in others {
            let receives = other.direction().await?.has_recv() && std::mem::take(&mut watched);
            other.set_direction(set(false, receives)).await?;
        }
        Ok(())
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
        let dtls = self.voice.sender.transport().await.ok()??;
        let certificates = dtls.get_remote_certificates().await.ok()?;
        certificates.first().map(|certificate| fingerprint_of(certificate))
    }

    /// How it stands now.
    pub(super) async fn standing(&self) -> Option<Standing> {
        let dtls = self.voice.sender.transport().await.ok()??;
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
        Mouth::new(&self.voice.track, &self.voice.sender).await
    }

    /// What a picture is sent by; `None` if there is no camera, or the other one takes no picture.
    pub(super) async fn beam(&self) -> Result<Option<Beam>> {
        let Some(Out { track, sender }) = &self.picture else { return Ok(None) };
        for transceiver in self.pc.get_transceivers().await {
            let own = transceiver.sender().await?.is_some_and(|one| one.id() == sender.id());
            if own && transceiver.current_direction().await?.has_send() {
                return Beam::new(track, sender).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Nothing goes either way any more.
    pub(super) async fn close(&self) {
        if let Err(error) = self.pc.close().await {
            tracing::debug!(%error, "a connection that does not close");
        }
    }
}

impl Out {
    async fn add(pc: &Arc<dyn PeerConnection>, kind: RtpCodecKind, codec: RTCRtpCodec) -> Result<Self> {
        let coding = RTCRtpEncodingParameters {
            rtp_coding_parameters: RTCRtpCodingParameters {
                ssrc: Some(rand::random()),
                ..RTCRtpCodingParameters::default()
            },
            active: true,
            codec,
            ..RTCRtpEncodingParameters::default()
        };
        let name = if kind == RtpCodecKind::Audio { "voice" } else { "picture" };
        // Of two tracks of one name, one at each end, the crate takes what is said about the own one as said about the other one's: a
        // picture that is asked for anew would never come.
        let id = format!("{name}-{:016x}", rand::random::<u64>());
        let track = MediaStreamTrack::new("sotto".to_owned(), id, name.to_owned(), kind, vec![coding]);
        let track = Arc::new(TrackLocalStaticRTP::new(track));
        let sender = pc.add_track(Arc::clone(&track) as Arc<dyn TrackLocal>).await?;
        Ok(Self { track, sender })
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
    eye: Option<Eye>,
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
        let (ear, eye, began) = (Arc::clone(&self.ear), self.eye.clone(), self.began);
        tokio::spawn(async move {
            match (track.kind().await, eye) {
                (RtpCodecKind::Audio, _) => listen(track, ear, began).await,
                (RtpCodecKind::Video, Some(eye)) => eye.look(track, began).await,
                _ => while track.poll().await.is_some() {},
            }
        });
    }
}

/// Takes in what comes on a track of sound until it ends.
async fn listen(track: Arc<dyn TrackRemote>, ear: SharedEar, began: Instant) {
    while let Some(event) = track.poll().await {
        if let TrackRemoteEvent::OnRtpPacket(packet) = event {
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
