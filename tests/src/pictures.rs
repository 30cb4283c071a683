//! Pictures that tests can recognise: one colour in a Y4M file, and which colour the pictures of an IVF file have.

use oxideav_vp8::ivf::{IVF_FRAME_HEADER_LEN, IVF_HEADER_LEN, parse_frame_header, parse_header};
use oxideav_vp8::state::Vp8DecoderState;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Red, green, blue.
pub type Colour = [u8; 3];

/// The size of what is written.
const WIDTH: usize = 320;
const HEIGHT: usize = 240;

/// How far two colours may be from each other in each part: what coding makes of them, and the rounding of whoever looks.
const NEAR: u8 = 24;

/// Pictures that have to be in a recording before it is judged: a second's.
const ENOUGH: usize = 15;

/// How long a busy machine may take to show something.
const PATIENCE: Duration = Duration::from_secs(60);

/// Writes a second of a colour, by the equations of BT.601.
///
/// # Panics
/// If the file cannot be written.
pub fn write(path: &Path, [red, green, blue]: Colour) {
    let [red, green, blue] = [red, green, blue].map(f64::from);
    let planes = [
        (WIDTH * HEIGHT, 16.0 + 0.257 * red + 0.504 * green + 0.098 * blue),
        (WIDTH * HEIGHT / 4, 128.0 - 0.148 * red - 0.291 * green + 0.439 * blue),
        (WIDTH * HEIGHT / 4, 128.0 + 0.439 * red - 0.368 * green - 0.071 * blue),
    ];
    let mut file = fs::File::create(path).expect("a file for the picture");
    writeln!(file, "YUV4MPEG2 W{WIDTH} H{HEIGHT} F15:1 Ip A1:1 C420jpeg").expect("it is written");
    for _ in 0..15 {
        file.write_all(b"FRAME\n").expect("it is written");
        for (length, value) in planes {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the range of bytes"
            )]
            let value = value.round() as u8;
            file.write_all(&vec![value; length]).expect("it is written");
        }
    }
}

/// Whether two colours are nearly the same.
#[must_use]
pub fn are_like(one: Colour, other: Colour) -> bool {
    one.iter().zip(other).all(|(one, other)| one.abs_diff(other) <= NEAR)
}

/// What is in a recording: how many pictures it says it has, how many there are, and the colour in the middle of the last one. A frame that was
/// not written to its end is none.
///
/// # Panics
/// If it is no recording, or a frame in it cannot be decoded.
#[must_use]
pub fn recorded(path: &Path) -> (u32, usize, Option<Colour>) {
    let bytes = fs::read(path).expect("a recording");
    let head = parse_header(&bytes).expect("an IVF file");
    let (mut decoder, mut frames, mut last) = (Vp8DecoderState::new(), 0, None);
    let mut at = IVF_HEADER_LEN;
    while let Some(Ok(frame)) = bytes.get(at..).map(parse_frame_header) {
        let begin = at + IVF_FRAME_HEADER_LEN;
        at = begin + usize::try_from(frame.size).expect("a length");
        let Some(data) = bytes.get(begin..at) else { break };
        let picture = decoder.decode_frame(data).expect("a frame that can be decoded");
        let (width, height) = (picture.width / 2, picture.height / 2);
        let place = |width: u32, x: u32, y: u32| usize::try_from(y * width + x).expect("a place");
        let half = place(picture.width.div_ceil(2), width / 2, height / 2);
        let part = |plane: &[u8], at: usize| f64::from(plane.get(at).copied().unwrap_or_default());
        let light = 1.164 * (part(&picture.y, place(picture.width, width, height)) - 16.0);
        let (blue, red) = (part(&picture.u, half) - 128.0, part(&picture.v, half) - 128.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped")]
        let byte = |value: f64| value.round().clamp(0.0, 255.0) as u8;
        last = Some([
            byte(light + 1.596 * red),
            byte(light - 0.392 * blue - 0.813 * red),
            byte(light + 2.017 * blue),
        ]);
        frames += 1;
    }
    (head.frame_count, frames, last)
}

/// Waits until a recording has enough pictures, and the last one has this colour.
///
/// # Panics
/// If it never is so.
pub fn shows(path: &Path, colour: Colour) {
    let start = Instant::now();
    loop {
        let (_, frames, last) = recorded(path);
        if frames >= ENOUGH && last.is_some_and(|last| are_like(last, colour)) {
            return;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{}: {frames} pictures, the last one is {last:?}",
            path.display()
        );
        sleep(Duration::from_millis(50));
    }
}
