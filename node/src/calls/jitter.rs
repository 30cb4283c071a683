//! What is heard: packets go in as they come, out of order and in bursts; sound comes out at a steady pace.
//!
//! A little is kept in reserve, so that a packet that is late is still in time. When nothing is left the last sound is drawn out,
//! which makes the reserve longer; a reserve that was longer than needed for some seconds is cut. What was lost is taken from
//! the copy in the packet after it, where there is one, and made up otherwise. Nothing of what comes is trusted, and there is no clock in here.

use super::audio::{FRAME, RATE};
use bytes::Bytes;
use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder, packet};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// What is kept in reserve at least: two packets that come late together, and the one that is played.
const RESERVE: i64 = 3 * FRAME as i64;

/// Packets that wait: two seconds of the usual ones.
const WAITING_MAX: usize = 100;

/// A packet that is further off than this belongs to something that has begun anew.
const FAR: i64 = 2 * RATE as i64;

/// Frames that are made up in a row before it is quiet: nobody speaks on evenly for longer than a fifth of a second.
const MADE_UP_MAX: u32 = 10;

/// How many frames the reserve is watched for before it is cut: five seconds.
const WATCHED: u32 = 250;

/// The shortest sound that Opus knows: 2.5 ms.
const SHORTEST: i64 = 120;

/// Sequence numbers that jump by more have begun anew.
const SEQUENCE_JUMP: i64 = 3_000;

/// A packet of sound, as RTP has it.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) sequence: u16,
    /// In samples.
    pub(super) timestamp: u32,
    pub(super) payload: Bytes,
}

/// Sums since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Heard {
    /// Packets that were sent, by their numbers.
    pub(super) expected: u64,
    /// Packets that came.
    pub(super) came: u64,
    pub(super) bytes: u64,
    /// How unevenly they come (RFC 3550, section 6.4.1), in samples.
    pub(super) jitter: f64,
}

/// Numbers of few bits that go round, as one that goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unwrapped(pub(super) i64);

impl Unwrapped {
    pub(super) fn of_sequence(self, number: u16) -> i64 {
        let last = u16::try_from(self.0.rem_euclid(1 << 16)).unwrap_or(0);
        self.0 + i64::from(number.wrapping_sub(last).cast_signed())
    }

    fn of_timestamp(self, number: u32) -> i64 {
        let last = u32::try_from(self.0.rem_euclid(1 << 32)).unwrap_or(0);
        self.0 + i64::from(number.wrapping_sub(last).cast_signed())
    }
}

/// The counting of what comes.
#[derive(Debug, Default)]
struct Counting {
    highest: Option<i64>,
    /// When a packet came less when it was spoken, of the last one, in samples.
    transit: Option<i64>,
    sums: Heard,
}

impl Counting {
    fn count(&mut self, sequence: u16, timestamp: i64, bytes: usize, at: Duration) {
        self.sums.came += 1;
        self.sums.bytes += bytes as u64;
        match self.highest {
            Some(highest) => {
                let number = Unwrapped(highest).of_sequence(sequence);
                let ahead = number - highest;
                if ahead.abs() > SEQUENCE_JUMP {
                    self.highest = Some(i64::from(sequence));
                    self.sums.expected += 1;
                } else if ahead > 0 {
                    self.highest = Some(number);
                    self.sums.expected += ahead.unsigned_abs();
                }
            }
            None => {
                self.highest = Some(i64::from(sequence));
                self.sums.expected += 1;
            }
        }
        let came =
            i64::try_from(at.as_micros()).unwrap_or(i64::MAX / RATE as i64) * (RATE as i64 / 1_000) / 1_000;
        let transit = came.saturating_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = transit.saturating_sub(before).saturating_abs().min(FAR);
            #[expect(clippy::cast_precision_loss, reason = "at most two seconds of samples")]
            let difference = difference as f64;
            self.sums.jitter += (difference - self.sums.jitter) / 16.0;
        }
    }
}

struct Waiting {
    sequence: u16,
    samples: i64,
    payload: Bytes,
}

/// The other one's sound.
pub(super) struct Ear {
    decoder: OpusDecoder,
    /// By when they were spoken, in samples.
    waiting: BTreeMap<i64, Waiting>,
    /// What was spoken last of all that came.
    newest: Option<Unwrapped>,
    /// What is to be played next, once enough is there to begin.
    next: Option<i64>,
    /// The number of the packet that was played last.
    played: Option<u16>,
    ready: VecDeque<i16>,
    made_up: u32,
    /// Frames since something came while nothing is played.
    held_back: u32,
    /// The least that was in reserve, and for how many frames that was watched.
    least: i64,
    watched: u32,
    counting: Counting,
    room: Vec<i16>,
}

impl Ear {
    pub(super) fn new() -> Result<Self, opus_pure::Error> {
        Ok(Self {
            decoder: OpusDecoder::new(RATE, 1)?,
            waiting: BTreeMap::new(),
            newest: None,
            next: None,
            played: None,
            ready: VecDeque::new(),
            made_up: 0,
            held_back: 0,
            least: i64::MAX,
            watched: 0,
            counting: Counting::default(),
            room: vec![0; MAX_PACKET_SAMPLES],
        })
    }

    pub(super) const fn heard(&self) -> Heard {
        self.counting.sums
    }

    /// Takes a packet that came at this moment of the call.
    pub(super) fn take(&mut self, packet: Packet, at: Duration) {
        let Packet { sequence, timestamp, payload } = packet;
        let Some(samples) =
            packet::samples_48k(&payload).ok().and_then(|samples| i64::try_from(samples).ok())
        else {
            return; // No sound of this kind.
        };
        let newest = self.newest.unwrap_or_else(|| Unwrapped(i64::from(timestamp)));
        let time = newest.of_timestamp(timestamp);
        self.counting.count(sequence, time, payload.len(), at);
        let reference = self.next.unwrap_or(newest.0);
        if (time - reference).abs() > FAR || self.waiting.len() >= WAITING_MAX {
            self.begin_anew();
        } else if self.next.is_some_and(|next| time + samples <= next) {
            return; // Too late.
        }
        if self.newest.is_none_or(|newest| newest.0 < time) || self.waiting.is_empty() {
            self.newest = Some(Unwrapped(time));
        }
        self.waiting.insert(time, Waiting { sequence, samples, payload });
    }

    fn begin_anew(&mut self) {
        self.waiting.clear();
        (self.next, self.newest, self.played) = (None, None, None);
        self.held_back = 0;
    }

    /// The next 20 ms.
    pub(super) fn frame(&mut self) -> Vec<i16> {
        // Each step either makes sound, uses a packet up or is the last.
        while self.ready.len() < FRAME && self.step() {}
        self.cut();
        let there = self.ready.len().min(FRAME);
        let mut frame: Vec<i16> = self.ready.drain(..there).collect();
        frame.resize(FRAME, 0);
        frame
    }

    /// Samples from what is played now to the end of what came.
    fn reserve(&self) -> i64 {
        let end = self.waiting.last_key_value().map(|(time, last)| time + last.samples);
        let next = self.next.or_else(|| self.waiting.first_key_value().map(|(time, _)| *time));
        let waiting = end.zip(next).map_or(0, |(end, next)| end - next);
        waiting + i64::try_from(self.ready.len()).unwrap_or(0)
    }

    fn step(&mut self) -> bool {
        let Some(next) = self.next else { return self.begin() };
        let Some(first) = self.waiting.first_entry() else { return self.draw_out() };
        let (time, missing) = (*first.key(), *first.key() - next);
        if missing < SHORTEST {
            let packet = first.remove();
            self.next = Some(time + packet.samples);
            self.played = Some(packet.sequence);
            self.made_up = 0;
            self.decode(|decoder, room| decoder.decode_s16(&packet.payload, MAX_PACKET_SAMPLES, room));
            return true;
        }
        // What is between was lost, or nothing was said.
        let samples = (missing / SHORTEST * SHORTEST).min(FRAME as i64);
        let follows = self.played.is_some_and(|played| first.get().sequence == played.wrapping_add(2));
        let payload = (follows && missing == samples).then(|| first.get().payload.clone());
        self.next = Some(next + samples);
        let samples = usize::try_from(samples).unwrap_or(FRAME);
        match payload {
            Some(payload) => self.decode(|decoder, room| decoder.decode_fec_s16(&payload, samples, room)),
            None => self.decode(|decoder, room| decoder.decode_s16(&[], samples, room)),
        }
        true
    }

    /// Begins to play once enough is there, or has waited for long enough. What is more than enough is too old to be heard.
    fn begin(&mut self) -> bool {
        let enough = self.reserve() >= RESERVE || i64::from(self.held_back) * (FRAME as i64) >= RESERVE;
        if self.waiting.is_empty() || !enough {
            self.held_back += u32::from(!self.waiting.is_empty());
            return false;
        }
        while self.waiting.len() > 1 && self.reserve() > RESERVE + FRAME as i64 {
            self.waiting.pop_first();
        }
        let Some((first, _)) = self.waiting.first_key_value() else { return false };
        (self.next, self.held_back) = (Some(*first), 0);
        (self.least, self.watched) = (i64::MAX, 0);
        true
    }

    /// Nothing is there: what was last heard goes on for a moment, and whatever comes is played later by as much.
    fn draw_out(&mut self) -> bool {
        self.made_up += 1;
        if self.made_up > MADE_UP_MAX {
            (self.next, self.made_up) = (None, 0);
            return false;
        }
        self.decode(|decoder, room| decoder.decode_s16(&[], FRAME, room));
        true
    }

    fn decode(
        &mut self,
        decode: impl FnOnce(&mut OpusDecoder, &mut [i16]) -> Result<usize, opus_pure::Error>,
    ) {
        match decode(&mut self.decoder, &mut self.room) {
            Ok(samples) => self.ready.extend(self.room.iter().take(samples)),
            // A packet that is none: as long as a frame, nothing is heard.
            Err(error) => {
                tracing::debug!(%error, "a packet of sound that is none");
                self.ready.extend([0; FRAME]);
            }
        }
    }

    /// Takes off what was in reserve for some seconds and was not needed.
    fn cut(&mut self) {
        if self.next.is_none() {
            return;
        }
        self.least = self.least.min(self.reserve());
        self.watched += 1;
        if self.watched < WATCHED {
            return;
        }
        let frames = (self.least - RESERVE) / FRAME as i64;
        (self.least, self.watched) = (i64::MAX, 0);
        for _ in 0..frames {
            while self.ready.len() < FRAME && !self.waiting.is_empty() && self.step() {}
            self.ready.drain(..self.ready.len().min(FRAME));
        }
        while self.ready.len() < FRAME && self.step() {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::audio::Voice;
    use super::*;
    use proptest::prelude::*;

    /// What somebody says: a tone, a packet every 20 ms.
    fn said(frames: u16) -> Vec<Packet> {
        let mut voice = Voice::new().expect("an encoder");
        let packet = |number: u16| {
            let sample = |at: usize| {
                let turns = 440.0 * (usize::from(number) * FRAME + at) as f64 / f64::from(RATE);
                #[expect(clippy::cast_possible_truncation, reason = "a quarter of what fits")]
                let sample = (8_000.0 * (std::f64::consts::TAU * turns).sin()) as i16;
                sample
            };
            let frame: Vec<i16> = (0..FRAME).map(sample).collect();
            Packet {
                sequence: number.wrapping_add(65_500),
                timestamp: (u32::from(number) * 960).wrapping_add(u32::MAX - 5_000),
                payload: voice.encode(&frame).expect("a packet"),
            }
        };
        (0..frames).map(packet).collect()
    }

    const fn at(frame: u64) -> Duration {
        Duration::from_millis(20 * frame)
    }

    fn loud(frame: &[i16]) -> bool {
        frame.iter().any(|sample| sample.unsigned_abs() > 2_000)
    }

    /// Frames that are heard when packets come as the test says: by the frame in which each comes, `None` for a lost one.
    fn heard(
        ear: &mut Ear,
        packets: &[Packet],
        comes: impl Fn(usize) -> Option<u64>,
        frames: u64,
    ) -> Vec<bool> {
        let hears = |frame| {
            for (place, packet) in packets.iter().enumerate() {
                if comes(place) == Some(frame) {
                    ear.take(packet.clone(), at(frame));
                }
            }
            loud(&ear.frame())
        };
        (0..frames).map(hears).collect()
    }

    #[test]
    fn what_comes_evenly_is_heard_whole_after_the_reserve_is_there() {
        let mut ear = Ear::new().expect("a decoder");
        let heard = heard(&mut ear, &said(100), |place| Some(place as u64), 100);
        assert!(heard.iter().skip(5).all(|loud| *loud), "{heard:?}");
        assert_eq!(heard.first(), Some(&false));
        let sums = ear.heard();
        assert_eq!((sums.expected, sums.came), (100, 100));
        assert!(sums.jitter < 1.0, "{sums:?}");
    }

    #[test]
    fn packets_in_disorder_or_some_frames_late_are_all_heard() {
        let mut ear = Ear::new().expect("a decoder");
        let comes = |place: usize| Some(if place % 10 == 3 { place + 2 } else { place } as u64);
        let heard = heard(&mut ear, &said(100), comes, 100);
        assert!(heard.iter().skip(5).all(|loud| *loud), "{heard:?}");
        let sums = ear.heard();
        assert_eq!((sums.expected, sums.came), (100, 100));
        assert!(sums.jitter > 10.0, "{sums:?}");
    }

    #[test]
    fn what_was_lost_is_counted_and_leaves_no_hole() {
        let mut ear = Ear::new().expect("a decoder");
        let comes = |place: usize| (place % 10 != 5).then_some(place as u64);
        let heard = heard(&mut ear, &said(100), comes, 100);
        assert!(heard.iter().skip(5).all(|loud| *loud), "{heard:?}");
        let sums = ear.heard();
        assert_eq!((sums.expected, sums.came), (100, 90));
    }

    #[test]
    fn after_a_pause_of_the_network_it_goes_on_and_in_the_end_not_later_than_before() {
        let mut ear = Ear::new().expect("a decoder");
        // For half a second nothing comes; then what is late and what is due come together.
        let comes = |place: usize| Some(if (50..75).contains(&place) { 75 } else { place } as u64);
        let heard = heard(&mut ear, &said(900), comes, 890);
        assert!(heard.iter().skip(80).all(|loud| *loud));
        assert!(ear.reserve() <= RESERVE + 2 * FRAME as i64, "{}", ear.reserve());
    }

    #[test]
    fn who_ends_is_not_heard_any_more() {
        let mut ear = Ear::new().expect("a decoder");
        let heard = heard(&mut ear, &said(50), |place| Some(place as u64), 200);
        assert!(heard.iter().skip(75).all(|loud| !loud), "{heard:?}");
    }

    #[test]
    fn who_begins_anew_with_other_numbers_is_heard_again() {
        let mut ear = Ear::new().expect("a decoder");
        let mut packets = said(100);
        for packet in packets.iter_mut().skip(50) {
            packet.timestamp = packet.timestamp.wrapping_add(3_000_000_000);
            packet.sequence = packet.sequence.wrapping_add(30_000);
        }
        let heard = heard(&mut ear, &packets, |place| Some(place as u64), 100);
        assert!(heard.iter().skip(60).all(|loud| *loud), "{heard:?}");
        assert_eq!((ear.heard().expected, ear.heard().came), (100, 100));
    }

    proptest! {
        #[test]
        fn whatever_comes_a_frame_is_a_frame(
            packets in proptest::collection::vec((any::<u16>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..200), any::<bool>()), 0..120),
        ) {
            let mut ear = Ear::new().expect("a decoder");
            for (place, (sequence, timestamp, payload, near)) in packets.into_iter().enumerate() {
                // Half of them are near each other, else everything would begin anew.
                let timestamp = if near { timestamp % 20_000 } else { timestamp };
                ear.take(Packet { sequence, timestamp, payload: payload.into() }, at(place as u64));
                prop_assert_eq!(ear.frame().len(), FRAME);
                prop_assert!(ear.waiting.len() <= WAITING_MAX);
            }
        }
    }
}
