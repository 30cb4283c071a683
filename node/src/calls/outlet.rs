//! What leaves the connection: packets of sound and of a picture, numbered.

use super::audio::FRAME_TICKS;
use super::requests;
use bytes::Bytes;
use rtc::rtp::codec::vp8::Vp8Payloader;
use rtc::rtp::packetizer::Payloader as _;
use std::sync::Arc;
use std::time::Duration;
use webrtc::error::Result;
use webrtc::media_stream::Track as _;
use webrtc::media_stream::track_local::static_rtp::TrackLocalStaticRTP;
use webrtc::media_stream::track_local::{TrackLocal as _, TrackLocalEvent};
use webrtc::rtp_transceiver::RtpSender;

/// Bytes of a frame in one packet: with all that is put around it, it passes where a packet may have 1,280.
const PAYLOAD_BYTES: usize = 1_100;

/// Numbers the packets of a track.
struct Outlet {
    track: Arc<TrackLocalStaticRTP>,
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
}

impl Outlet {
    async fn new(track: &Arc<TrackLocalStaticRTP>, sender: &Arc<dyn RtpSender>, usual: u8) -> Result<Self> {
        let parameters = sender.get_parameters().await?;
        let payload_type = parameters.rtp_parameters.codecs.first().map_or(usual, |codec| codec.payload_type);
        let ssrc = track.ssrcs().await.first().copied().unwrap_or_default();
        Ok(Self { track: Arc::clone(track), payload_type, ssrc, sequence: rand::random() })
    }

    async fn send(&mut self, timestamp: u32, marker: bool, payload: Bytes) -> Result<()> {
        let header = rtc::rtp::Header {
            version: 2,
            marker,
            payload_type: self.payload_type,
            sequence_number: self.sequence,
            timestamp,
            ssrc: self.ssrc,
            ..rtc::rtp::Header::default()
        };
        self.sequence = self.sequence.wrapping_add(1);
        self.track.write_rtp(rtc::rtp::Packet { header, payload }).await
    }
}

/// What sound leaves by.
pub(super) struct Mouth {
    outlet: Outlet,
    timestamp: u32,
}

impl Mouth {
    pub(super) async fn new(track: &Arc<TrackLocalStaticRTP>, sender: &Arc<dyn RtpSender>) -> Result<Self> {
        Ok(Self { outlet: Outlet::new(track, sender, 111).await?, timestamp: rand::random() })
    }

    /// Sends the packet of a frame.
    pub(super) async fn say(&mut self, payload: Bytes) -> Result<()> {
        self.outlet.send(self.timestamp, false, payload).await?;
        self.timestamp = self.timestamp.wrapping_add(FRAME_TICKS);
        Ok(())
    }
}

/// What a picture leaves by.
pub(super) struct Beam {
    outlet: Outlet,
    /// What its clock began with.
    timestamp: u32,
    cutter: Vp8Payloader,
}

impl Beam {
    pub(super) async fn new(track: &Arc<TrackLocalStaticRTP>, sender: &Arc<dyn RtpSender>) -> Result<Self> {
        let outlet = Outlet::new(track, sender, 96).await?;
        let mut cutter = Vp8Payloader::default();
        cutter.enable_picture_id = true;
        Ok(Self { outlet, timestamp: rand::random(), cutter })
    }

    /// Sends a frame of this moment.
    pub(super) async fn show(&mut self, frame: Vec<u8>, at: Duration) -> Result<()> {
        // 90,000 a second, in a number that goes round.
        let ticks = u32::try_from(at.as_micros() * 9 / 100 % (1 << 32)).unwrap_or_default();
        let parts = self.cutter.payload(PAYLOAD_BYTES, &Bytes::from(frame))?;
        let count = parts.len();
        for (part, payload) in parts.into_iter().enumerate() {
            self.outlet.send(self.timestamp.wrapping_add(ticks), part + 1 == count, payload).await?;
        }
        Ok(())
    }

    /// The other one asks for a whole picture. To be dropped and asked anew at any time.
    pub(super) async fn asked(&self) {
        while let Some(TrackLocalEvent::OnRtcpPacket(messages)) = self.outlet.track.poll().await {
            if messages.iter().any(|message| requests::is_one(message.as_ref())) {
                return;
            }
        }
        std::future::pending().await
    }
}
