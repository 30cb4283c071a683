//! Previews of pictures of every kind, and what strangers send as one.

use super::*;
use image::{ImageFormat, Rgba, RgbaImage};
use proptest::prelude::*;

/// A picture of two colours, left and right, as a file.
fn file(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
    let picture = RgbaImage::from_fn(width, height, |x, _| {
        if x < width / 2 { Rgba([200, 30, 30, 255]) } else { Rgba([30, 30, 200, 255]) }
    });
    let mut bytes = Cursor::new(Vec::new());
    let picture = DynamicImage::from(picture);
    let picture = if format == ImageFormat::Jpeg { DynamicImage::from(picture.to_rgb8()) } else { picture };
    picture.write_to(&mut bytes, format).expect("it can be written");
    bytes.into_inner()
}

fn preview_of(bytes: &[u8]) -> Option<Preview> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), bytes).expect("writable");
    preview(file.path())
}

fn seen(preview: &Preview) -> Picture {
    look(preview, Some).expect("it can be looked at")
}

fn is_like(seen: [u8; 3], colour: [u8; 3]) -> bool {
    seen.iter().zip(colour).all(|(one, other)| one.abs_diff(other) < 24)
}

#[test]
fn every_kind_of_picture_has_a_preview_of_its_colours_and_its_size() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
        let preview = preview_of(&file(format, 800, 400)).expect("a picture");
        assert_eq!((preview.width(), preview.height()), (800, 400), "{format:?}");
        let seen = seen(&preview);
        assert_eq!((seen.width(), seen.height()), (320, 160), "{format:?}");
        assert!(is_like(seen.colour(20, 80), [200, 30, 30]), "{format:?}");
        assert!(is_like(seen.colour(300, 80), [30, 30, 200]), "{format:?}");
        assert_eq!(seen.colour(320, 0), [0; 3]);
    }
    let small = preview_of(&file(ImageFormat::Png, 40, 30)).expect("a picture");
    assert_eq!((seen(&small).width(), seen(&small).height()), (40, 30), "none is made larger");
}

#[test]
fn what_is_no_picture_has_none_and_noise_is_made_small_enough() {
    assert_eq!(preview_of(b""), None);
    assert_eq!(preview_of(b"hello"), None);
    assert_eq!(preview_of(&file(ImageFormat::Png, 800, 400)[..200]), None, "cut off");
    let mut state = 7_u32;
    let noise = RgbImage::from_fn(400, 400, |_, _| {
        Rgb([(); 3].map(|()| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        }))
    });
    let mut bytes = Cursor::new(Vec::new());
    noise.write_to(&mut bytes, ImageFormat::Png).expect("it can be written");
    let preview = preview_of(&bytes.into_inner()).expect("a picture");
    assert!(preview.jpeg().len() <= PREVIEW_BYTES_MAX);
}

#[test]
fn a_picture_is_turned_as_its_camera_says_and_what_shows_through_is_white() {
    // EXIF of one entry: orientation 6, to be turned to the right.
    let mut exif =
        b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0".to_vec();
    exif.extend([0; 4]);
    let plain = file(ImageFormat::Jpeg, 400, 200);
    let turned = [&plain[..2], &exif, &plain[2..]].concat();
    let preview = preview_of(&turned).expect("a picture");
    assert_eq!((preview.width(), preview.height()), (200, 400));
    assert!(is_like(seen(&preview).colour(80, 20), [200, 30, 30]), "left is above now");
    assert!(is_like(seen(&preview).colour(80, 300), [30, 30, 200]));
    assert!(!preview.jpeg().windows(4).any(|part| part == b"Exif"), "nothing else of it is told");

    let mut bytes = Cursor::new(Vec::new());
    RgbaImage::new(20, 20).write_to(&mut bytes, ImageFormat::Png).expect("it can be written");
    let clear = preview_of(&bytes.into_inner()).expect("a picture");
    assert!(is_like(seen(&clear).colour(10, 10), [255; 3]));
}

#[test]
fn a_decoder_that_breaks_down_has_shown_nothing() {
    assert_eq!(shielded(|| -> Option<()> { panic!("at a stranger's bytes") }), None);
    assert!(!is_shielded());
    assert_eq!(shielded(|| is_shielded().then_some(1)), Some(1));
}

proptest! {
    #[test]
    fn whatever_a_stranger_sends_as_a_preview_breaks_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = preview_of(&file(ImageFormat::Png, 64, 48)).expect("a picture").to_bytes();
        for (place, byte) in changes {
            *place.get_mut(&mut bytes) = byte;
        }
        fuzz_preview(&bytes);
        fuzz_preview(&bytes[..cut.index(bytes.len())]);
    }
}
