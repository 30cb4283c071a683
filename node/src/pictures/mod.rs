//! Pictures: a preview of a file that goes out ([`preview`]), what a preview shows ([`look`]), and how a terminal draws it ([`blocks`]).
//!
//! A preview is a stranger's picture, so it is looked at with distrust: what it says of its own size was held against the limits
//! before ([`Preview`]), the decoder is given the same limits, and one that breaks down in spite of both has shown nothing and ended
//! nothing. One's own picture is read with limits too: that a file has no preview is never a reason not to send it.

pub mod blocks;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, Rgb, RgbImage};
use sotto_e2ee::file::{PREVIEW_BYTES_MAX, PREVIEW_EDGE_MAX, Preview};
use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes of an own file that is looked at: what cameras write without a loss.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Points of an own picture: 50 million, more than a telephone's camera has, are 150 MB while they are made smaller.
const POINTS_MAX: u64 = 50_000_000;

/// Bytes that reading an own picture may take.
const MEMORY_MAX: u64 = 256 * 1024 * 1024;

/// Bytes that looking at a preview may take: its points in four bytes, eight times over.
const LOOKING_MAX: u64 = 4 * 1024 * 1024;

/// The longer edge and the quality: what comes first and is small enough.
const TRIES: [(u16, u8); 9] = [
    (PREVIEW_EDGE_MAX, 80),
    (PREVIEW_EDGE_MAX, 60),
    (PREVIEW_EDGE_MAX, 45),
    (PREVIEW_EDGE_MAX, 30),
    (240, 45),
    (240, 25),
    (160, 40),
    (160, 20),
    (80, 40),
];

/// A small picture of a file, where it is a picture that can be read: the first one of those that move, turned as its camera
/// says, without anything else that its camera says.
#[must_use]
pub fn preview(path: &Path) -> Option<Preview> {
    shielded(|| {
        let file = File::open(path).ok()?;
        if file.metadata().ok()?.len() > FILE_BYTES_MAX {
            return None;
        }
        let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format().ok()?;
        let mut limits = Limits::default();
        limits.max_alloc = Some(MEMORY_MAX);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().ok()?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > POINTS_MAX {
            return None;
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut small = within(DynamicImage::from_decoder(decoder).ok()?, PREVIEW_EDGE_MAX);
        small.apply_orientation(orientation);
        let (width, height) = if lies_on_its_side(orientation) { (height, width) } else { (width, height) };
        let small = DynamicImage::from(on_white(&small));
        TRIES.iter().find_map(|(edge, quality)| {
            let mut jpeg = Vec::new();
            let smaller = within(small.clone(), *edge);
            smaller.write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, *quality)).ok()?;
            (jpeg.len() <= PREVIEW_BYTES_MAX).then(|| Preview::new(width, height, jpeg))?
        })
    })
}

const fn lies_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// No edge longer than that, and never larger than it was.
fn within(image: DynamicImage, edge: u16) -> DynamicImage {
    let edge = u32::from(edge);
    if image.width() <= edge && image.height() <= edge { image } else { image.thumbnail(edge, edge) }
}

/// What shows through is white, as paper.
fn on_white(image: &DynamicImage) -> RgbImage {
    let image = image.to_rgba8();
    let mut flat = RgbImage::new(image.width(), image.height());
    for (x, y, point) in image.enumerate_pixels() {
        let [red, green, blue, alpha] = point.0;
        let over = |colour: u8| {
            let mixed = u16::from(colour) * u16::from(alpha) + 255 * (255 - u16::from(alpha));
            u8::try_from(mixed / 255).unwrap_or(u8::MAX)
        };
        flat.put_pixel(x, y, Rgb([over(red), over(green), over(blue)]));
    }
    flat
}

/// A small picture, point by point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture(RgbImage);

impl Picture {
    /// Points in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        usize::try_from(self.0.width()).unwrap_or(0)
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        usize::try_from(self.0.height()).unwrap_or(0)
    }

    /// The colour of a point: red, green, blue. Beyond the edges it is black.
    #[must_use]
    pub fn colour(&self, x: usize, y: usize) -> [u8; 3] {
        let place = u32::try_from(x).ok().zip(u32::try_from(y).ok());
        place.and_then(|(x, y)| self.0.get_pixel_checked(x, y)).map_or([0; 3], |point| point.0)
    }
}

/// What a preview shows, made as large as it is fitted by `fit` into what there is: points in a row and rows in, and out. Nothing
/// where it cannot be read, or there is no room.
#[must_use]
pub fn look(
    preview: &Preview,
    fit: impl FnOnce((usize, usize)) -> Option<(usize, usize)>,
) -> Option<Picture> {
    shielded(|| {
        let mut decoder = JpegDecoder::new(Cursor::new(preview.jpeg())).ok()?;
        let edge = Some(u32::from(PREVIEW_EDGE_MAX));
        let mut limits = Limits::default();
        (limits.max_image_width, limits.max_image_height) = (edge, edge);
        limits.max_alloc = Some(LOOKING_MAX);
        decoder.set_limits(limits).ok()?;
        let image = DynamicImage::from_decoder(decoder).ok()?;
        let points = |edge: u32| usize::try_from(edge).ok();
        let (width, height) = fit((points(image.width())?, points(image.height())?))?;
        let to = |edge: usize| u32::try_from(edge).ok().filter(|edge| *edge <= u32::from(PREVIEW_EDGE_MAX));
        Some(Picture(image.thumbnail_exact(to(width)?, to(height)?).to_rgb8()))
    })
}

thread_local! {
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is looking at a picture: should it panic, nothing of the program is broken by it.
pub(crate) fn is_shielded() -> bool {
    SHIELDED.get()
}

/// What a decoder finds; nothing if it breaks down.
fn shielded<T>(look: impl FnOnce() -> Option<T>) -> Option<T> {
    SHIELDED.set(true);
    // What the closure holds is dropped with it: nothing is seen half done.
    let found = catch_unwind(AssertUnwindSafe(look));
    SHIELDED.set(false);
    found.unwrap_or_else(|_| {
        tracing::debug!("a picture that its decoder broke down at");
        None
    })
}

/// What a stranger sends as a preview: whatever is taken for one is looked at, and shows no more points than it may.
pub fn fuzz_preview(data: &[u8]) {
    let known = Preview::read(data).ok();
    // And as the picture itself, so that a decoder is reached by more than what was sent well.
    for preview in [known, Preview::new(1, 1, data.to_vec())].into_iter().flatten() {
        let mut size = (0, 0);
        let seen = look(&preview, |of| {
            size = of;
            blocks::fitted(of, (40, 24))
        });
        let edge = usize::from(PREVIEW_EDGE_MAX);
        assert!(size.0 <= edge && size.1 <= edge, "a preview of {}x{}", size.0, size.1);
        assert!(seen.is_none_or(|seen| seen.width() <= 40 && seen.height() <= 24));
    }
}

#[cfg(test)]
mod tests;
