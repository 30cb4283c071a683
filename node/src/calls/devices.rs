//! What is spoken into, and where the other one is heard: the machine's own, or files in their place. One that is spoken from, again and
//! again, and one that is written to. (Those in the place of a camera and of a recorder of pictures: `camera`, `film`.)

use super::audio::{FRAME, RATE};
use super::machine;
use super::rate::{Curve, rounded};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

/// What is read: telephones have the one, and most of everything else the other.
const SLOWEST: u32 = 8_000;
const FASTEST: u32 = 48_000;

/// Frames after which what was written is a whole file again: a second.
const WHOLE_EVERY: u32 = 50;

/// A WAV file counts its bytes in 32 bits; twelve hours fit.
const FRAMES_MAX: u32 = 12 * 3_600 * 50;

/// Why a file is no sound device.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// It cannot be read or written, or is no WAV file.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system, or the format, says about it.
        what: String,
    },
    /// There is no sound in it.
    #[error("{}: there is no sound in it", .0.display())]
    Empty(PathBuf),
    /// It is of a kind that is not read.
    #[error("{}: {what} is not read here. To convert it: sox {} -r 48000 -c 1 -b 16 other.wav", path.display(), path.display())]
    Kind {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// The machine's own devices cannot be used.
    #[error("{what} cannot be used: {0}", what = machine::WHAT)]
    Server(String),
    /// There is no device of this name.
    #[error("{what} has no device {name:?}; it has {there}", what = machine::WHAT)]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        there: String,
    },
    /// It is no picture of a kind that is read.
    #[error("{}: {what} is not read here. To convert it: ffmpeg -i {} -vf scale=640:-2 -r 15 -pix_fmt yuv420p other.y4m", path.display(), path.display())]
    Picture {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// There is no picture in it.
    #[error("{}: there is no whole picture in it", .0.display())]
    NoPicture(PathBuf),
}

fn failed(path: &Path) -> impl FnOnce(hound::Error) -> DeviceError {
    |error| DeviceError::File { path: path.to_owned(), what: error.to_string() }
}

/// What the other one hears.
pub struct Microphone(Mouth);

enum Mouth {
    Silent,
    Tape(Tape),
    Machine(machine::Microphone),
}

impl Microphone {
    /// Nobody speaks.
    #[must_use]
    pub const fn silent() -> Self {
        Self(Mouth::Silent)
    }

    /// That of the machine: the one of this name there, or the one that the person has chosen. It is looked for
    /// now and listened to when the two talk.
    ///
    /// # Errors
    /// If there is none.
    pub async fn of_the_machine(name: Option<&str>) -> Result<Self, DeviceError> {
        machine::Microphone::find(name).await.map(|found| Self(Mouth::Machine(found)))
    }

    /// A WAV file of one or two channels and 8 to 48 kHz, which begins anew at its end.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub fn file(path: &Path) -> Result<Self, DeviceError> {
        Tape::open(path).map(|tape| Self(Mouth::Tape(tape)))
    }

    /// The two talk from now on.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        match &mut self.0 {
            Mouth::Machine(microphone) => microphone.begin().await,
            Mouth::Silent | Mouth::Tape(_) => Ok(()),
        }
    }

    /// The next 20 ms.
    pub(super) fn frame(&mut self) -> Result<Vec<i16>, DeviceError> {
        match &mut self.0 {
            Mouth::Silent => Ok(vec![0; FRAME]),
            Mouth::Tape(tape) => (0..FRAME).map(|_| tape.sample()).collect(),
            Mouth::Machine(microphone) => microphone.take(FRAME),
        }
    }
}

/// A file that goes round, at the rate of calls.
struct Tape {
    path: PathBuf,
    reader: WavReader<BufReader<File>>,
    spec: WavSpec,
    curve: Curve,
}

impl Tape {
    fn open(path: &Path) -> Result<Self, DeviceError> {
        let reader = WavReader::open(path).map_err(failed(path))?;
        let spec = reader.spec();
        let kind = |what: String| Err(DeviceError::Kind { path: path.to_owned(), what });
        if !(1..=2).contains(&spec.channels) {
            return kind(format!("sound of {} channels", spec.channels));
        }
        if !(SLOWEST..=FASTEST).contains(&spec.sample_rate) {
            return kind(format!("sound of {} Hz", spec.sample_rate));
        }
        if reader.duration() == 0 {
            return Err(DeviceError::Empty(path.to_owned()));
        }
        let curve = Curve::new(spec.sample_rate, RATE.unsigned_abs());
        let mut tape = Self { path: path.to_owned(), reader, spec, curve };
        tape.wind()?;
        Ok(tape)
    }

    /// One sample of the file, of all its channels together.
    fn read(&mut self) -> Result<Option<f64>, hound::Error> {
        let channels = usize::from(self.spec.channels);
        let mut sum = 0.0;
        for _ in 0..channels {
            let sample = match self.spec.sample_format {
                SampleFormat::Float => {
                    self.reader.samples::<f32>().next().map(|sample| sample.map(f64::from))
                }
                SampleFormat::Int => {
                    let loudest = 2_f64.powi(i32::from(self.spec.bits_per_sample) - 1);
                    let sample = self.reader.samples::<i32>().next();
                    sample.map(|sample| sample.map(|sample| f64::from(sample) / loudest))
                }
            };
            match sample {
                Some(sample) => sum += sample?,
                None => return Ok(None),
            }
        }
        Ok(Some(sum / f64::from(self.spec.channels)))
    }

    /// Goes on to where the next sample of the call is.
    fn wind(&mut self) -> Result<(), DeviceError> {
        let path = self.path.clone();
        while self.curve.is_waiting() {
            let sample = match self.read().map_err(failed(&path))? {
                Some(sample) => sample,
                None => {
                    self.reader.seek(0).map_err(|error| failed(&path)(error.into()))?;
                    let first = self.read().map_err(failed(&path))?;
                    first.ok_or_else(|| DeviceError::Empty(path.clone()))?
                }
            };
            self.curve.put(sample);
        }
        Ok(())
    }

    /// One sample for the call.
    fn sample(&mut self) -> Result<i16, DeviceError> {
        self.wind()?;
        Ok(rounded(self.curve.take()))
    }
}

/// Where the other one is heard.
pub struct Speaker(Ears);

enum Ears {
    None,
    Recording(Recording),
    Machine(machine::Speaker),
}

struct Recording {
    path: PathBuf,
    writer: WavWriter<BufWriter<File>>,
    frames: u32,
}

impl Speaker {
    /// Nobody listens.
    #[must_use]
    pub const fn none() -> Self {
        Self(Ears::None)
    }

    /// That of the machine, found and used as [`Microphone::of_the_machine`] is.
    ///
    /// # Errors
    /// If there is none.
    pub async fn of_the_machine(name: Option<&str>) -> Result<Self, DeviceError> {
        machine::Speaker::find(name).await.map(|found| Self(Ears::Machine(found)))
    }

    /// A WAV file of one channel, 48 kHz and 16 bits. One that is there is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn file(path: &Path) -> Result<Self, DeviceError> {
        let spec = WavSpec {
            channels: 1,
            sample_rate: RATE.unsigned_abs(),
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        let writer = WavWriter::create(path, spec).map_err(failed(path))?;
        let mut recording = Recording { path: path.to_owned(), writer, frames: 0 };
        recording.make_whole()?;
        Ok(Self(Ears::Recording(recording)))
    }

    /// The two talk from now on.
    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        match &mut self.0 {
            Ears::Machine(speaker) => speaker.begin().await,
            Ears::None | Ears::Recording(_) => Ok(()),
        }
    }

    /// Plays or writes a frame; a file that is full takes no more.
    pub(super) fn play(&mut self, frame: &[i16]) -> Result<(), DeviceError> {
        match &mut self.0 {
            Ears::Recording(recording) if recording.frames < FRAMES_MAX => recording.write(frame),
            Ears::None | Ears::Recording(_) => Ok(()),
            Ears::Machine(speaker) => speaker.put(frame),
        }
    }

    /// The file is whole, and stays as it is.
    pub(super) fn end(self) -> Result<(), DeviceError> {
        let Ears::Recording(Recording { path, writer, .. }) = self.0 else { return Ok(()) };
        writer.finalize().map_err(failed(&path))
    }
}

impl Recording {
    fn write(&mut self, frame: &[i16]) -> Result<(), DeviceError> {
        for sample in frame {
            self.writer.write_sample(*sample).map_err(failed(&self.path))?;
        }
        self.frames += 1;
        if self.frames.is_multiple_of(WHOLE_EVERY) { self.make_whole() } else { Ok(()) }
    }

    /// Writes what the file begins with anew: whatever happens to this process, what was heard until now can be played.
    fn make_whole(&mut self) -> Result<(), DeviceError> {
        self.writer.flush().map_err(failed(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with a tone of 1,000 Hz in it, or as many channels of it.
    fn tone(path: &Path, spec: WavSpec, seconds: f64) {
        let mut writer = WavWriter::create(path, spec).expect("a file");
        let mut at = 0.0;
        while at < seconds * f64::from(spec.sample_rate) {
            let sample = 0.5 * (std::f64::consts::TAU * 1_000.0 * at / f64::from(spec.sample_rate)).sin();
            for _ in 0..spec.channels {
                #[expect(clippy::cast_possible_truncation, reason = "half of what fits")]
                match spec.sample_format {
                    SampleFormat::Float => writer.write_sample(sample as f32).expect("a sample"),
                    SampleFormat::Int => {
                        let loudest = 2_f64.powi(i32::from(spec.bits_per_sample) - 1);
                        writer.write_sample((sample * loudest) as i32).expect("a sample");
                    }
                }
            }
            at += 1.0;
        }
        writer.finalize().expect("a whole file");
    }

    const fn spec(
        channels: u16,
        sample_rate: u32,
        bits_per_sample: u16,
        sample_format: SampleFormat,
    ) -> WavSpec {
        WavSpec { channels, sample_rate, bits_per_sample, sample_format }
    }

    /// How often the sound goes from below to above: once in each turn of a tone.
    fn turns(sound: &[i16]) -> usize {
        sound.windows(2).filter(|pair| matches!(pair, [a, b] if *a < 0 && *b >= 0)).count()
    }

    #[test]
    fn files_of_every_usual_kind_are_read_as_what_they_sound_like_and_go_round() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tone.wav");
        for (channels, rate, bits, format) in [
            (1, 48_000, 16, SampleFormat::Int),
            (2, 44_100, 24, SampleFormat::Int),
            (1, 8_000, 8, SampleFormat::Int),
            (2, 16_000, 32, SampleFormat::Float),
            (1, 11_025, 32, SampleFormat::Int),
        ] {
            // A whole number of turns: at the seam there is no step.
            tone(&path, spec(channels, rate, bits, format), 0.2);
            let mut microphone = Microphone::file(&path).expect("a microphone");
            let sound: Vec<i16> = (0..50).flat_map(|_| microphone.frame().expect("a frame")).collect();
            assert_eq!(sound.len(), 48_000);
            assert!(turns(&sound).abs_diff(1_000) <= 2, "{rate}: {}", turns(&sound));
            let loudest = sound.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
            assert!((15_000..18_500).contains(&loudest), "{rate}: {loudest}");
        }
    }

    #[test]
    fn what_is_no_microphone_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tone.wav");
        let said =
            |path: &Path| Microphone::file(path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said(&path).contains("tone.wav"), "it is not there");
        std::fs::write(&path, "no sound").expect("a file");
        assert!(said(&path).contains("tone.wav"));
        tone(&path, spec(1, 96_000, 16, SampleFormat::Int), 0.1);
        assert!(said(&path).contains("96000 Hz") && said(&path).contains("sox"));
        tone(&path, spec(6, 48_000, 16, SampleFormat::Int), 0.1);
        assert!(said(&path).contains("6 channels"));
        tone(&path, spec(1, 48_000, 16, SampleFormat::Int), 0.0);
        assert!(said(&path).contains("no sound"));
    }

    #[test]
    fn what_is_heard_is_a_whole_file_at_any_moment() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("heard.wav");
        let length = || WavReader::open(&path).expect("a WAV file").duration();
        let mut speaker = Speaker::file(&path).expect("a speaker");
        assert_eq!(length(), 0);
        for _ in 0..WHOLE_EVERY + 10 {
            speaker.play(&[1_000; FRAME]).expect("it is written");
        }
        assert_eq!(length(), 48_000, "as far as it was written for good");
        speaker.end().expect("it ends");
        assert_eq!(length(), 60 * 960);
        assert!(Speaker::file(&folder.path().join("nowhere/heard.wav")).is_err());
    }
}
