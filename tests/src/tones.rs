//! Sound that tests can recognise: one tone in a WAV file, and which tone a WAV file holds.

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::f64::consts::TAU;
use std::path::Path;

/// Samples a second of what is written; calls sound like this too.
const RATE: u32 = 48_000;

/// What a tone is looked for among, and how finely: voices, not whistles.
const LOWEST: u32 = 100;
const HIGHEST: u32 = 2_000;
const STEP: usize = 2;

/// Each so many samples are looked at as one, which leaves enough of them for the highest tone.
const TOGETHER: usize = 8;

/// Parts of a second that are looked at by themselves: long enough to tell steps apart, short enough that what is no exact multiple of a
/// step is still found.
const PARTS: u32 = 5;

/// Quieter than this, as a part of what is loudest, is silence.
const SILENCE: f64 = 0.001;

/// Writes so many seconds of a tone, at half of what is loudest.
///
/// # Panics
/// If the file cannot be written.
pub fn write(path: &Path, hertz: f64, seconds: f64) {
    let spec =
        WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 32, sample_format: SampleFormat::Float };
    let mut file = WavWriter::create(path, spec).expect("a file for the tone");
    let mut at = 0.0;
    while at < seconds * f64::from(RATE) {
        #[expect(clippy::cast_possible_truncation, reason = "a sample of 32 bits is exact enough")]
        let sample = (0.5 * (TAU * hertz * at / f64::from(RATE)).sin()) as f32;
        file.write_sample(sample).expect("a sample is written");
        at += 1.0;
    }
    file.finalize().expect("the tone is written");
}

/// The tone that is the loudest in the last two thirds of a file, in hertz; 0 where these are silent.
///
/// # Panics
/// If the file is no whole WAV file of one channel with samples of 16 bits, as `sotto` writes them.
#[must_use]
pub fn heard(path: &Path) -> f64 {
    let mut file = WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let spec = file.spec();
    assert_eq!((spec.channels, spec.bits_per_sample), (1, 16), "{}", path.display());
    let samples = file.samples::<i16>().map(|sample| f64::from(sample.expect("a whole sample")) / 32_768.0);
    let samples: Vec<f64> = samples.collect();
    let samples = &samples[samples.len() / 3..];
    #[expect(clippy::cast_precision_loss, reason = "so few samples are exact")]
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let coarse: Vec<f64> = samples.chunks_exact(TOGETHER).map(mean).collect();
    let squares: Vec<f64> = coarse.iter().map(|sample| sample * sample).collect();
    if squares.is_empty() || mean(&squares).sqrt() < SILENCE {
        return 0.0;
    }
    let rate = f64::from(spec.sample_rate) / 8.0;
    let part = usize::try_from(spec.sample_rate / 8 / PARTS).expect("small");
    let loudness = |hertz: u32| -> f64 {
        coarse.chunks_exact(part).map(|part| power(part, f64::from(hertz) / rate)).sum()
    };
    let tones = (LOWEST..HIGHEST).step_by(STEP).map(|hertz| (hertz, loudness(hertz)));
    let loudest = tones.max_by(|one, other| one.1.total_cmp(&other.1));
    loudest.map_or(0.0, |(hertz, _)| f64::from(hertz))
}

/// How much of a tone there is (Goertzel's way); the tone in turns a sample.
fn power(samples: &[f64], turns: f64) -> f64 {
    let twice = 2.0 * (TAU * turns).cos();
    let (last, before) =
        samples.iter().fold((0.0, 0.0), |(last, before), sample| (sample + twice * last - before, last));
    last * last + before * before - twice * last * before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sounds(path: &Path, tone: impl Fn(f64) -> f64) {
        let spec =
            WavSpec { channels: 1, sample_rate: RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut file = WavWriter::create(path, spec).expect("a file");
        for at in 0..3 * RATE {
            #[expect(clippy::cast_possible_truncation, reason = "half of what is loudest")]
            let sample = (16_384.0 * tone(f64::from(at) / f64::from(RATE))) as i16;
            file.write_sample(sample).expect("a sample");
        }
        file.finalize().expect("a file");
    }

    #[test]
    fn a_tone_is_recognised_whatever_was_heard_before_it_and_silence_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("sound.wav");
        for hertz in [440.0, 661.0, 1_000.5] {
            sounds(&path, |at| if at < 1.0 { (TAU * 300.0 * at).sin() } else { (TAU * hertz * at).sin() });
            assert!((heard(&path) - hertz).abs() <= 2.0, "{hertz}: {}", heard(&path));
        }
        sounds(&path, |_| 0.0);
        assert!(heard(&path) < f64::EPSILON);
    }
}
