//! A file that the other one's picture is written into, as it comes: IVF, which players read, with the frames of VP8 that were sent.
//!
//! Nothing is decoded for it. It begins with a frame that depends on no other, and none that depends on one that was lost is in it.

use super::devices::DeviceError;
use super::frames::Frame;
use oxideav_vp8::ivf::{IvfHeader, write_frame, write_header};
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The clock of the frames, in a second.
const CLOCK: u32 = 90_000;

/// After a pause that is longer the film goes on at once.
const PAUSE_MAX: u32 = 60 * CLOCK;

/// A frame's time, where it says none that can be.
const USUAL: u32 = CLOCK / 15;

/// Frames after which the file says how many there are.
const WHOLE_EVERY: u32 = 15;

/// What the file may have at most: as much as one of sound.
const BYTES_MAX: u64 = 4 << 30;

/// Where the other one's picture goes.
pub struct Film {
    path: PathBuf,
    file: File,
    /// Of the first picture; a later one may have another.
    size: Option<(u16, u16)>,
    frames: u32,
    bytes: u64,
    /// When the last frame is shown, and what its own clock says.
    last: Option<(u64, u32)>,
}

impl Film {
    /// An IVF file. One that is there is replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn file(path: &Path) -> Result<Self, DeviceError> {
        let file = File::create(path).map_err(|error| failed(path, &error))?;
        let mut film = Self { path: path.to_owned(), file, size: None, frames: 0, bytes: 0, last: None };
        film.make_whole()?;
        Ok(film)
    }

    /// Writes a frame; a file that is full takes no more.
    pub(super) fn write(&mut self, frame: &Frame) -> Result<(), DeviceError> {
        if self.bytes >= BYTES_MAX {
            return Ok(());
        }
        if self.size.is_none() {
            self.size = frame.whole;
        }
        let shown = self.last.map_or(0, |(shown, clock)| {
            let later = frame.timestamp.wrapping_sub(clock);
            shown + u64::from(if (1..PAUSE_MAX).contains(&later) { later } else { USUAL })
        });
        self.last = Some((shown, frame.timestamp));
        let mut record = Vec::with_capacity(frame.bytes.len() + 12);
        write_frame(&mut record, shown, &frame.bytes);
        // In one piece: a file that ends in the middle of a frame is read up to the one before.
        self.file.write_all(&record).map_err(|error| failed(&self.path, &error))?;
        self.frames += 1;
        self.bytes += record.len() as u64;
        if self.frames == 1 || self.frames.is_multiple_of(WHOLE_EVERY) { self.make_whole() } else { Ok(()) }
    }

    /// The file is whole, and stays as it is.
    pub(super) fn end(mut self) -> Result<(), DeviceError> {
        self.make_whole()
    }

    /// Writes what the file begins with anew: how large the picture is, and how many there are.
    fn make_whole(&mut self) -> Result<(), DeviceError> {
        let (width, height) = self.size.unwrap_or_default();
        let mut head = IvfHeader::vp8(u32::from(width), u32::from(height), CLOCK, 1);
        head.frame_count = self.frames;
        let written = self
            .file
            .rewind()
            .and_then(|()| self.file.write_all(&write_header(&head)))
            .and_then(|()| self.file.seek(SeekFrom::End(0)).map(drop));
        written.map_err(|error| failed(&self.path, &error))
    }
}

fn failed(path: &Path, error: &std::io::Error) -> DeviceError {
    DeviceError::File { path: path.to_owned(), what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxideav_vp8::ivf::{parse_frame_header, parse_header};

    /// What stands in a file: its size, how many frames it says it has, and when each is shown.
    fn read(path: &Path) -> ((u32, u32), u32, Vec<u64>) {
        let bytes = std::fs::read(path).expect("a file");
        let head = parse_header(&bytes).expect("an IVF file");
        let (mut at, mut shown) = (32, Vec::new());
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let frame = parse_frame_header(rest).expect("a frame");
            shown.push(frame.pts);
            at += 12 + usize::try_from(frame.size).expect("it is short");
        }
        ((head.width, head.height), head.frame_count, shown)
    }

    #[test]
    fn a_film_is_a_whole_file_at_any_moment_and_its_time_goes_on_whatever_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("seen.ivf");
        let mut film = Film::file(&path).expect("a film");
        assert_eq!(read(&path), ((0, 0), 0, vec![]));
        let mut write = |whole, timestamp| {
            film.write(&Frame { whole, timestamp, bytes: vec![1, 2, 3] }).expect("it is written");
        };
        write(Some((320, 240)), u32::MAX - 1_000);
        assert_eq!(read(&path), ((320, 240), 1, vec![0]));
        for timestamp in [4_999, 4_999, 2_000_000_000] {
            write(None, timestamp);
        }
        assert_eq!(read(&path), ((320, 240), 1, vec![0, 6_000, 12_000, 18_000]));
        write(Some((640, 480)), 2_000_003_000);
        film.end().expect("it ends");
        assert_eq!(read(&path), ((320, 240), 5, vec![0, 6_000, 12_000, 18_000, 21_000]));
        assert!(Film::file(&folder.path().join("nowhere/seen.ivf")).is_err());
    }
}
