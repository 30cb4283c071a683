//! Pictures into frames of VP8 (RFC 6386), and back.
//!
//! Those that are sent are made at a steady rate: when frames get too large they are made coarser, and none is made while those before
//! are still on their way. What is received is a stranger's: no picture is larger than [`POINTS_MAX`], which is looked at before
//! anything is decoded, and whoever decodes does so where a panic ends nothing else.

use super::image::Image;
use oxideav_vp8::encoder::{
    EncodeError, I420Frame, KeyframeParams, TrellisStrength, encode_keyframe_with_reconstruction,
    encode_p_frame_zero_mv,
};
use oxideav_vp8::frame::KeyframePlanes;
use oxideav_vp8::state::Vp8DecoderState;
use oxideav_vp8::{DecodeError, Vp8Frame};

/// Points of a picture that is received, at most: those of full HD, in whole blocks.
pub(super) const POINTS_MAX: u64 = 1_920 * 1_088;

/// Bytes of all frames in a second, about: what a voice call takes ten times, and a slow line still carries.
const BYTES_PER_SECOND: f64 = 75_000.0;

/// As many seconds of it may be on their way before a picture is left out.
const AHEAD: f64 = 0.4;

/// How coarse frames are made: at the start, and the finest and coarsest of the standard's 128 steps that are used.
const COARSENESS: u8 = 32;
const FINEST: u8 = 16;
const COARSEST: u8 = 112;

/// Makes frames of pictures of one size.
pub(super) struct Painter {
    /// Bytes that a frame may have.
    share: f64,
    coarseness: u8,
    /// Bytes that were made and are not sent yet, by the rate.
    under_way: f64,
    /// What the other one sees now.
    seen: Option<KeyframePlanes>,
}

impl Painter {
    /// For so many pictures a second.
    pub(super) fn new(rate: f64) -> Self {
        Self { share: BYTES_PER_SECOND / rate, coarseness: COARSENESS, under_way: 0.0, seen: None }
    }

    /// The frame of the next picture; one that depends on no other if that is asked for. `None` while there is no room for one.
    pub(super) fn paint(&mut self, image: &Image, whole: bool) -> Result<Option<Vec<u8>>, EncodeError> {
        self.under_way = (self.under_way - self.share).max(0.0);
        if self.under_way > AHEAD * BYTES_PER_SECOND {
            return Ok(None);
        }
        let size = |points: usize| u32::try_from(points).unwrap_or(u32::MAX);
        let picture =
            I420Frame::packed(size(image.width), size(image.height), &image.luma, &image.blue, &image.red);
        let before = self.seen.as_ref().filter(|_| !whole);
        let settings = KeyframeParams {
            y_ac_qi: self.coarseness,
            loop_filter_level: self.coarseness / 4,
            // The search for fewer bits doubles the time for a whole picture, and is nearly free for a change.
            trellis_strength: if before.is_some() { TrellisStrength::DEFAULT } else { TrellisStrength::OFF },
            ..KeyframeParams::default()
        };
        let (frame, seen) = match before {
            Some(before) => encode_p_frame_zero_mv(&picture, before, &settings)?,
            None => encode_keyframe_with_reconstruction(&picture, &settings)?,
        };
        #[expect(clippy::cast_precision_loss, reason = "the length of a frame")]
        let bytes = frame.len() as f64;
        self.under_way += bytes;
        // A whole picture is larger by its nature, and says nothing about those after it.
        if before.is_some() {
            if bytes > self.share {
                self.coarseness = (self.coarseness + 6).min(COARSEST);
            } else if bytes < 0.6 * self.share {
                self.coarseness = self.coarseness.saturating_sub(2).max(FINEST);
            }
        }
        self.seen = Some(seen);
        Ok(Some(frame))
    }
}

/// Width and height of a frame that depends on no other; `None` for all others, and for pictures that are too large.
pub(super) fn size_of_whole(frame: &[u8]) -> Option<(u16, u16)> {
    let [tag, _, _, 0x9d, 0x01, 0x2a, a, b, c, d] = *frame.first_chunk::<10>()? else { return None };
    let (width, height) = (u16::from_le_bytes([a, b]) & 0x3fff, u16::from_le_bytes([c, d]) & 0x3fff);
    let points = u64::from(width.next_multiple_of(16)) * u64::from(height.next_multiple_of(16));
    (tag & 1 == 0 && (1..=POINTS_MAX).contains(&points)).then_some((width, height))
}

/// Makes pictures of frames.
pub(super) struct Viewer(Vp8DecoderState);

impl Viewer {
    pub(super) fn new() -> Self {
        Self(Vp8DecoderState::new().with_max_pixels_per_frame(POINTS_MAX))
    }

    /// The picture after this frame; `None` if it is one that is not to be shown.
    pub(super) fn view(&mut self, frame: &[u8]) -> Result<Option<Image>, DecodeError> {
        let Vp8Frame { width, height, y, u, v } = self.0.decode_frame(frame)?;
        let (Ok(width), Ok(height)) = (usize::try_from(width), usize::try_from(height)) else {
            return Ok(None);
        };
        let image = Image { width, height, luma: y, blue: u, red: v };
        Ok((self.0.last_frame_shown() == Some(true)).then_some(image))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with something in it that moves; with `noise` nothing of it can be foretold.
    fn image(at: usize, noise: bool) -> Image {
        let (width, height) = (160, 120);
        let mut drawn = 1_u32;
        let luma = (0..width * height).map(|point| {
            drawn =
                drawn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223 ^ u32::try_from(at).unwrap_or(0));
            let value =
                if noise { drawn >> 24 } else { u32::try_from((point % width + at) % 64 + 60).unwrap_or(0) };
            u8::try_from(value).unwrap_or(0)
        });
        let quarter = width * height / 4;
        Image { width, height, luma: luma.collect(), blue: vec![90; quarter], red: vec![200; quarter] }
    }

    #[test]
    fn what_is_painted_is_viewed_and_depends_on_no_other_when_asked() {
        let (mut painter, mut viewer) = (Painter::new(15.0), Viewer::new());
        for at in 0..8 {
            let image = image(at, false);
            let frame = painter.paint(&image, at == 5).expect("it can be painted").expect("there is room");
            assert_eq!(size_of_whole(&frame), (at == 0 || at == 5).then_some((160, 120)), "{at}");
            let seen = viewer.view(&frame).expect("it can be viewed").expect("it is shown");
            let far = seen.luma.iter().zip(&image.luma).map(|(one, other)| u64::from(one.abs_diff(*other)));
            assert!(far.sum::<u64>() / (160 * 120) < 8, "{at}");
            let (seen, due) = (seen.colour(80, 60), image.colour(80, 60));
            assert!(seen.iter().zip(due).all(|(one, other)| one.abs_diff(other) < 30), "{seen:?} {due:?}");
        }
    }

    #[test]
    fn no_more_is_made_than_the_rate_allows_whatever_is_in_the_pictures() {
        let mut painter = Painter::new(15.0);
        let frames = (0..90).map(|at| painter.paint(&image(at, true), false).expect("it can be painted"));
        let bytes: usize = frames.map(|frame| frame.map_or(0, |frame| frame.len())).sum();
        // Six seconds, with what may be ahead and the frame that went over it.
        assert!(bytes < 75_000 * 7, "{bytes}");
        assert_eq!(painter.coarseness, COARSEST);
    }

    #[test]
    fn pictures_that_are_too_large_are_none_before_they_are_looked_at() {
        let head = |width: u16, height: u16| {
            let ([a, b], [c, d]) = (width.to_le_bytes(), height.to_le_bytes());
            [0x10, 0, 0, 0x9d, 0x01, 0x2a, a, b, c, d]
        };
        assert_eq!(size_of_whole(&head(1_920, 1_080)), Some((1_920, 1_080)));
        for (width, height) in [(16_383, 16_383), (1_921, 1_081), (0, 240), (320, 0)] {
            assert_eq!(size_of_whole(&head(width, height)), None);
            assert!(Viewer::new().view(&head(width, height)).is_err());
        }
        assert_eq!(size_of_whole(&[0x10, 0, 0]), None);
    }
}
