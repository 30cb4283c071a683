//! What is said: 20 ms of sound into one packet.

use bytes::Bytes;
use opus_pure::{Application, MAX_PACKET_BYTES, OpusEncoder};

/// Samples a second; what Opus calls fullband, and the clock of its RTP (RFC 7587).
pub(super) const RATE: i32 = 48_000;

/// Samples of 20 ms: what everybody sends, and half of what a person notices.
pub(super) const FRAME: usize = 960;

/// The same by RTP's clock.
pub(super) const FRAME_TICKS: u32 = 960;

/// In bits a second: speech with its full range, of one channel (RFC 6716, section 2.1.1).
const BITS: i32 = 32_000;

/// What the encoder is to reckon with: then each packet also has a rough copy of the one before.
const LOSS_PERCENT: i32 = 10;

/// An encoder.
pub(super) struct Voice {
    encoder: OpusEncoder,
    room: Vec<u8>,
}

impl Voice {
    pub(super) fn new() -> Result<Self, opus_pure::Error> {
        let mut encoder = OpusEncoder::new(RATE, 1, Application::Voip)?;
        encoder.bitrate_bps = BITS;
        encoder.use_inband_fec = true;
        encoder.packet_loss_perc = LOSS_PERCENT;
        Ok(Self { encoder, room: vec![0; MAX_PACKET_BYTES] })
    }

    /// One frame as a packet.
    pub(super) fn encode(&mut self, frame: &[i16]) -> Result<Bytes, opus_pure::Error> {
        let bytes = self.encoder.encode_s16(frame, FRAME, &mut self.room)?;
        Ok(Bytes::copy_from_slice(self.room.get(..bytes).unwrap_or_default()))
    }
}
