//! Packets of a picture (RFC 7741) into whole frames, in their order.
//!
//! A frame comes in many packets. What is missing is waited for, as it may be on its way or be sent again; then it is given up, and nothing
//! is usable until a frame comes that depends on no other. Nothing of what comes is trusted, and there is no clock in here.

use super::jitter::Unwrapped;
use super::vp8::size_of_whole;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long what is missing is waited for: two round trips of a slow connection.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often a whole picture is asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Packets that wait: those of the largest frame, a few times.
const WAITING_MAX: usize = 2_048;

/// Bytes of a frame; one of full HD that nobody made small.
const FRAME_BYTES_MAX: usize = 1 << 20;

/// What a packet has of a frame.
struct Piece {
    timestamp: u32,
    /// A frame begins here.
    begins: bool,
    /// A frame ends here.
    ends: bool,
    data: Bytes,
}

/// All of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Width and height, if it depends on no other.
    pub(super) whole: Option<(u16, u16)>,
    /// Of its clock, 90,000 a second.
    pub(super) timestamp: u32,
    pub(super) bytes: Vec<u8>,
}

/// What comes first in what waits.
enum First {
    /// A frame, and the number after it.
    Frame(Frame, i64),
    /// Nothing that can be used before this number.
    Nothing(i64),
    /// Something is missing, and what has this number came after it.
    Gap(i64),
    /// It is not all there yet.
    Begun,
}

/// The other one's picture.
#[derive(Default)]
pub(super) struct Frames {
    /// By their numbers; one without anything of a frame in it only fills its place.
    waiting: BTreeMap<i64, Option<Piece>>,
    /// The number that is to be used next.
    due: Option<i64>,
    newest: i64,
    /// Since when something is missing.
    gap: Option<Duration>,
    /// Whether what comes can be used: there was a whole picture, and nothing is missing since.
    sound: bool,
    /// Somebody needs a whole picture, whether or not something is missing.
    needed: bool,
    /// When a whole picture was asked for.
    asked: Option<Duration>,
}

impl Frames {
    /// Takes a packet that came at this moment of the call.
    pub(super) fn take(&mut self, sequence: u16, timestamp: u32, ends: bool, payload: &Bytes, at: Duration) {
        let (due, newest) = match self.due {
            Some(due) => (due, self.newest),
            None => {
                // The first frame may just be on its way.
                self.asked = Some(at);
                self.newest = i64::from(sequence);
                (i64::from(sequence), i64::from(sequence))
            }
        };
        let number = Unwrapped(newest).of_sequence(sequence);
        if self.due.is_some() && number < due {
            return; // Too late, or there was one like it.
        }
        if self.waiting.len() >= WAITING_MAX {
            self.sound = false;
            self.waiting.clear();
            (self.due, self.gap, self.newest) = (Some(number), None, number);
        }
        self.due.get_or_insert(due);
        self.newest = self.newest.max(number);
        let piece = head(payload).map(|(begins, length)| Piece {
            timestamp,
            begins,
            ends,
            data: payload.slice(length..),
        });
        self.waiting.insert(number, piece);
    }

    /// The next frame that can be used.
    pub(super) fn next(&mut self, at: Duration) -> Option<Frame> {
        loop {
            match self.first(self.due?) {
                First::Frame(frame, after) => {
                    self.forget(after);
                    self.sound |= frame.whole.is_some();
                    self.needed &= frame.whole.is_none();
                    if self.sound {
                        return Some(frame);
                    }
                }
                First::Nothing(after) => {
                    self.sound = false;
                    self.forget(after);
                }
                First::Gap(there) => {
                    if at.saturating_sub(*self.gap.get_or_insert(at)) < PATIENCE {
                        return None;
                    }
                    let begins = |(number, piece): (&i64, &Option<Piece>)| {
                        piece.as_ref().filter(|piece| piece.begins).map(|_| *number)
                    };
                    let after = self.waiting.range(there..).find_map(begins).unwrap_or(self.newest + 1);
                    self.sound = false;
                    self.forget(after);
                }
                First::Begun => return None,
            }
        }
    }

    /// Nothing can be used until a whole picture comes.
    pub(super) const fn lose(&mut self) {
        self.sound = false;
    }

    /// A whole picture is needed.
    pub(super) const fn ask(&mut self) {
        self.needed = true;
    }

    /// Whether the other one is to be asked for a whole picture now.
    pub(super) fn wants_whole(&mut self, at: Duration) -> bool {
        let since = self.asked.map(|asked| at.saturating_sub(asked));
        let wants = self.due.is_some()
            && (self.needed || !self.sound)
            && since.is_none_or(|since| since >= ASK_EVERY);
        if wants {
            self.asked = Some(at);
        }
        wants
    }

    fn forget(&mut self, before: i64) {
        self.due = Some(before);
        self.gap = None;
        self.waiting = self.waiting.split_off(&before);
    }

    fn first(&self, due: i64) -> First {
        let mut frame: Option<Frame> = None;
        let mut next = due;
        for (number, piece) in &self.waiting {
            if *number != next {
                return First::Gap(*number);
            }
            next += 1;
            let Some(piece) = piece else { continue };
            let frame = match &mut frame {
                Some(frame) if frame.timestamp == piece.timestamp => frame,
                // Its end never comes.
                Some(_) => return First::Nothing(*number),
                None if piece.begins => {
                    frame.insert(Frame { whole: None, timestamp: piece.timestamp, bytes: Vec::new() })
                }
                None => return First::Nothing(next),
            };
            if frame.bytes.len() + piece.data.len() > FRAME_BYTES_MAX {
                return First::Nothing(next);
            }
            frame.bytes.extend_from_slice(&piece.data);
            if piece.ends {
                let (whole, timestamp, bytes) =
                    (size_of_whole(&frame.bytes), frame.timestamp, std::mem::take(&mut frame.bytes));
                // One that calls itself whole and is not of a size that is read is none.
                if whole.is_none() && bytes.first().is_none_or(|tag| tag & 1 == 0) {
                    return First::Nothing(next);
                }
                return First::Frame(Frame { whole, timestamp, bytes }, next);
            }
        }
        First::Begun
    }
}

/// What a packet says before its data: whether a frame begins with it, and where the data do. `None` if there are none.
fn head(payload: &[u8]) -> Option<(bool, usize)> {
    const MORE: u8 = 0x80;
    let first = *payload.first()?;
    let begins = first & 0x17 == 0x10;
    let mut length = 1;
    if first & MORE != 0 {
        let more = *payload.get(1)?;
        length = 2;
        if more & 0x80 != 0 {
            length += if payload.get(length)? & MORE != 0 { 2 } else { 1 };
        }
        length += usize::from(more & 0x40 != 0) + usize::from(more & 0x30 != 0);
    }
    (payload.len() > length).then_some((begins, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);
    const LATER: Duration = Duration::from_secs(6);

    /// Frames of three packets each; the first and each fourth is a whole one.
    fn packets(count: u8) -> Vec<(u16, u32, bool, Bytes)> {
        let mut packets = Vec::new();
        for at in 0..count {
            let mut frame =
                if at % 4 == 0 { vec![0x10, 0, 0, 0x9d, 0x01, 0x2a, 64, 0, 48, 0] } else { vec![0x11] };
            frame.resize(30, at);
            for (part, data) in frame.chunks(10).enumerate() {
                let head: &[u8] = match part {
                    0 => &[0x90, 0x80, at],
                    1 => &[0x80, 0xe0, 0x80, at, 7, 0x20],
                    _ => &[0x00],
                };
                let sequence = 65_530_u16.wrapping_add(u16::from(at) * 3 + u16::try_from(part).unwrap_or(0));
                let payload = Bytes::from([head, data].concat());
                packets.push((sequence, u32::from(at) * 6_000, part == 2, payload));
            }
        }
        packets
    }

    fn took(frames: &mut Frames, packets: &[(u16, u32, bool, Bytes)], at: Duration) -> Vec<u32> {
        let mut came = Vec::new();
        for (sequence, timestamp, ends, payload) in packets {
            frames.take(*sequence, *timestamp, *ends, payload, at);
            came.extend(std::iter::from_fn(|| frames.next(at)).map(|frame| frame.timestamp / 6_000));
        }
        came
    }

    #[test]
    fn packets_in_any_order_and_twice_are_frames_in_order_over_the_end_of_the_numbers() {
        let mut packets = packets(5);
        let mut frames = Frames::default();
        assert_eq!(took(&mut frames, &packets, NOW), [0, 1, 2, 3, 4]);
        let mut frames = Frames::default();
        packets.swap(1, 7);
        packets.swap(3, 9);
        packets.extend(packets.clone());
        assert_eq!(took(&mut frames, &packets, NOW), [0, 1, 2, 3, 4]);
        assert!(!frames.wants_whole(LATER));
        frames.ask();
        assert!(frames.wants_whole(LATER));
    }

    #[test]
    fn what_does_not_come_is_given_up_and_a_whole_picture_asked_for_now_and_then() {
        let mut packets = packets(9);
        packets.remove(4);
        let mut frames = Frames::default();
        assert_eq!(took(&mut frames, &packets[..11], NOW), [0], "it is waited for");
        assert!(!frames.wants_whole(NOW));
        assert_eq!(took(&mut frames, &packets[11..], LATER), [4, 5, 6, 7, 8]);
        assert_eq!(took(&mut frames, &packets[..11], LATER), [0_u32; 0], "what is late is left out");

        let mut frames = Frames::default();
        assert_eq!(took(&mut frames, &packets[3..11], NOW), [0_u32; 0]);
        assert!(!frames.wants_whole(NOW));
        assert!(frames.wants_whole(LATER));
        assert!(!frames.wants_whole(LATER), "it is on its way");
        assert!(frames.wants_whole(LATER + ASK_EVERY));
    }

    #[test]
    fn what_fills_its_place_only_is_stepped_over_and_what_has_no_end_is_left_out() {
        let mut frames = Frames::default();
        let mut packets = packets(4);
        for later in &mut packets[3..] {
            later.0 = later.0.wrapping_add(1);
        }
        packets.insert(3, (65_533, 0, false, Bytes::new()));
        assert_eq!(took(&mut frames, &packets, NOW), [0, 1, 2, 3]);
        let mut frames = Frames::default();
        packets[6].2 = false;
        assert_eq!(took(&mut frames, &packets, NOW), [0], "those after it depend on it");
        assert!(frames.wants_whole(LATER));
    }

    #[test]
    fn the_start_of_a_packet_is_read_in_all_its_forms() {
        assert_eq!(head(&[0x10, 1]), Some((true, 1)));
        assert_eq!(head(&[0x00, 1]), Some((false, 1)));
        assert_eq!(head(&[0x11, 1]), Some((false, 1)), "of another part of the frame");
        assert_eq!(head(&[0x90, 0x80, 0x7f, 1]), Some((true, 3)));
        assert_eq!(head(&[0x90, 0x80, 0xff, 1, 1]), Some((true, 4)));
        assert_eq!(head(&[0x90, 0xf0, 0x80, 1, 2, 3, 1]), Some((true, 6)));
        for short in [&[][..], &[0x10], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x80], &[0x90, 0xf0, 1, 2, 3]] {
            assert_eq!(head(short), None, "{short:?}");
        }
    }
}
