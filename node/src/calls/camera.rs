//! A file in the place of a camera: pictures as YUV4MPEG2 has them (`ffmpeg -i anything -pix_fmt yuv420p camera.y4m`), again and again.

use super::devices::DeviceError;
use super::image::Image;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Seek as _};
use std::path::{Path, PathBuf};

/// A line of the file, at most; ffmpeg's have 80 bytes.
const LINE_BYTES_MAX: u64 = 1_024;

/// The longer side of a picture that is read.
const SIDE_MAX: usize = 4_096;

/// What is sent, at most: each point more costs the processor of both ends.
const SENT: (usize, usize) = (640, 480);

/// Pictures in a second that are sent, at most.
const RATE_MAX: f64 = 15.0;

/// What the other one sees.
pub struct Camera {
    path: PathBuf,
    reader: BufReader<File>,
    size: (usize, usize),
    sent: (usize, usize),
    /// Pictures in a second of the file.
    rate: f64,
    /// How far the file is behind: so many pictures of it are the next one.
    behind: f64,
}

impl Camera {
    /// A Y4M file of 8 bits a sample with colours for each four points (4:2:0), which begins anew at its end. Larger pictures than
    /// 640x480 are sent smaller, and faster ones than 15 a second are left out.
    ///
    /// # Errors
    /// See [`DeviceError`].
    pub fn file(path: &Path) -> Result<Self, DeviceError> {
        let failed = |error: std::io::Error| failed(path, &error);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let head = line(&mut reader).map_err(failed)?;
        let kind = |what: &str| DeviceError::Picture { path: path.to_owned(), what: what.to_owned() };
        let words = head.strip_prefix("YUV4MPEG2 ").ok_or_else(|| kind("what is no Y4M file"))?;
        let (mut width, mut height, mut rate) = (None, None, None);
        for word in words.split_ascii_whitespace() {
            let (letter, value) = word.split_at_checked(1).unwrap_or_default();
            match letter {
                "W" => width = value.parse().ok(),
                "H" => height = value.parse().ok(),
                "F" => rate = value.split_once(':').and_then(ratio),
                "C" if !matches!(value, "420" | "420jpeg" | "420mpeg2" | "420paldv") => {
                    return Err(kind(&format!("a picture in the colours {value}")));
                }
                _ => {}
            }
        }
        let (Some(width), Some(height), Some(rate)) = (width, height, rate) else {
            return Err(kind("a picture without a size or a speed"));
        };
        if !(2..=SIDE_MAX).contains(&width) || !(2..=SIDE_MAX).contains(&height) {
            return Err(kind(&format!("a picture of {width}x{height}")));
        }
        let size = (width, height);
        let mut camera = Self { path: path.to_owned(), reader, size, sent: fitted(size), rate, behind: 0.0 };
        // Whatever else is wrong with it is said now.
        camera.read()?;
        camera.rewind()?;
        Ok(camera)
    }

    /// Pictures in a second.
    pub(super) fn rate(&self) -> f64 {
        self.rate.min(RATE_MAX)
    }

    /// The next picture.
    pub(super) fn picture(&mut self) -> Result<Image, DeviceError> {
        let mut image = self.read()?;
        self.behind += self.rate / self.rate() - 1.0;
        while self.behind >= 1.0 {
            self.behind -= 1.0;
            image = self.read()?;
        }
        Ok(if self.sent == self.size { image } else { image.shrunk(self.sent.0, self.sent.1) })
    }

    fn rewind(&mut self) -> Result<(), DeviceError> {
        self.reader.rewind().map_err(|error| failed(&self.path, &error))?;
        line(&mut self.reader).map(drop).map_err(|error| failed(&self.path, &error))
    }

    /// The next picture of the file; after the last whole one the first.
    fn read(&mut self) -> Result<Image, DeviceError> {
        if let Some(image) = self.try_read()? {
            return Ok(image);
        }
        self.rewind()?;
        self.try_read()?.ok_or_else(|| DeviceError::NoPicture(self.path.clone()))
    }

    fn try_read(&mut self) -> Result<Option<Image>, DeviceError> {
        let (width, height) = self.size;
        let quarter = width.div_ceil(2) * height.div_ceil(2);
        let read = line(&mut self.reader).and_then(|head| {
            if !head.starts_with("FRAME") {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let mut planes = [vec![0; width * height], vec![0; quarter], vec![0; quarter]];
            for plane in &mut planes {
                self.reader.read_exact(plane)?;
            }
            let [luma, blue, red] = planes;
            Ok(Image { width, height, luma, blue, red })
        });
        match read {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }
}

fn failed(path: &Path, error: &std::io::Error) -> DeviceError {
    DeviceError::File { path: path.to_owned(), what: error.to_string() }
}

/// A line; of what is none, its beginning.
fn line(reader: &mut BufReader<File>) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn ratio((over, under): (&str, &str)) -> Option<f64> {
    let (over, under): (u32, u32) = (over.parse().ok()?, under.parse().ok()?);
    let ratio = f64::from(over) / f64::from(under);
    (0.1..=1_000.0).contains(&ratio).then_some(ratio)
}

/// The size that is sent, of the same form.
fn fitted((width, height): (usize, usize)) -> (usize, usize) {
    let (widest, highest) = SENT;
    if width <= widest && height <= highest {
        (width, height)
    } else if width * highest >= height * widest {
        (widest, (height * widest / width).max(2))
    } else {
        ((width * highest / height).max(2), highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    /// A file with pictures of one brightness each.
    fn file(path: &Path, head: &str, (width, height): (usize, usize), brightness: &[u8]) {
        let mut file = File::create(path).expect("a file");
        writeln!(file, "{head}").expect("it is written");
        for luma in brightness {
            file.write_all(b"FRAME\n").expect("it is written");
            file.write_all(&vec![*luma; width * height]).expect("it is written");
            file.write_all(&vec![128; 2 * width.div_ceil(2) * height.div_ceil(2)]).expect("it is written");
        }
    }

    fn seen(camera: &mut Camera, count: usize) -> Vec<u8> {
        let pictures = (0..count).map(|_| camera.picture().expect("a picture"));
        pictures.filter_map(|image| image.luma.first().copied()).collect()
    }

    #[test]
    fn a_file_goes_round_at_a_rate_that_can_be_sent_and_in_a_size_that_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("camera.y4m");
        file(&path, "YUV4MPEG2 W5 H3 F10:1 Ip A1:1 C420jpeg", (5, 3), &[20, 40, 60]);
        let mut camera = Camera::file(&path).expect("a camera");
        assert!((camera.rate() - 10.0).abs() < 0.01);
        assert_eq!(seen(&mut camera, 5), [20, 40, 60, 20, 40]);
        file(&path, "YUV4MPEG2 W4 H4 F30000:1000", (4, 4), &[20, 40, 60, 80, 100]);
        let mut camera = Camera::file(&path).expect("a camera");
        assert!((camera.rate() - 15.0).abs() < 0.01);
        assert_eq!(seen(&mut camera, 3), [40, 80, 20], "every second one");
        file(&path, "YUV4MPEG2 W1280 H720 F25:1 C420", (1_280, 720), &[50]);
        let mut camera = Camera::file(&path).expect("a camera");
        let image = camera.picture().expect("a picture");
        assert_eq!((image.width, image.height, image.luma.len()), (640, 360, 640 * 360));
        assert_eq!(fitted((480, 640)), (360, 480));
        assert_eq!(fitted((4_096, 2)), (640, 2));
    }

    #[test]
    fn what_is_no_camera_is_refused_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("camera.y4m");
        let said = || Camera::file(&path).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said().contains("camera.y4m"), "it is not there");
        for (head, why) in [
            ("RIFF", "no Y4M"),
            ("YUV4MPEG2 W4 H4", "without a size or a speed"),
            ("YUV4MPEG2 W4 H4 F0:0", "without a size or a speed"),
            ("YUV4MPEG2 W4 H4 F25:1 C444", "colours 444"),
            ("YUV4MPEG2 W4 H4 F25:1 C420p10", "colours 420p10"),
            ("YUV4MPEG2 W99999999999 H4 F25:1", "99999999999x4"),
        ] {
            file(&path, head, (4, 4), &[20]);
            assert!(said().contains(why) && said().contains("ffmpeg"), "{head}: {}", said());
        }
        file(&path, "YUV4MPEG2 W4 H4 F25:1", (4, 2), &[20]);
        assert!(said().contains("no whole picture"), "{}", said());
    }
}
