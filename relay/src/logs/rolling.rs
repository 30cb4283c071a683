//! A file of log lines that is put aside when it is large or old enough, and of which only the last are kept.
//!
//! ```text
//! relay.log   relay.log.1   relay.log.2  ...        the higher the number the older
//! ```

use crate::config::LogFile;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// See the module.
pub(super) struct RollingFile {
    rotation: LogFile,
    file: File,
    bytes: u64,
    since: SystemTime,
}

impl RollingFile {
    /// Goes on with the file that is there.
    pub(super) fn open(rotation: LogFile) -> io::Result<Self> {
        let file = append(&rotation.path)?;
        let about = file.metadata()?;
        // Not every file system knows when a file was made.
        let since = about.created().unwrap_or_else(|_| SystemTime::now());
        Ok(Self { rotation, file, bytes: about.len(), since })
    }

    fn is_due(&self, more: usize, now: SystemTime) -> bool {
        let bytes = self.bytes.saturating_add(more as u64);
        let age = now.duration_since(self.since).unwrap_or_default();
        self.bytes > 0 && (bytes > self.rotation.bytes_max || age >= self.rotation.age_max)
    }

    /// Puts the file aside and begins another one.
    fn rotate(&mut self, now: SystemTime) -> io::Result<()> {
        let path = &self.rotation.path;
        gone(fs::remove_file(aside(path, self.rotation.kept)))?;
        for number in (1..self.rotation.kept).rev() {
            gone(fs::rename(aside(path, number), aside(path, number + 1)))?;
        }
        gone(fs::rename(path, aside(path, 1)))?;
        self.file = append(path)?;
        (self.bytes, self.since) = (0, now);
        Ok(())
    }
}

/// What is not there needs neither a new name nor deleting.
fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn aside(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

/// Each write is one line, whole.
impl Write for RollingFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let now = SystemTime::now();
        if self.is_due(line.len(), now) && self.rotate(now).is_err() {
            // Too large is better than lost: it is tried again when as much has come once more.
            (self.bytes, self.since) = (0, now);
        }
        self.file.write_all(line)?;
        self.bytes = self.bytes.saturating_add(line.len() as u64);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        names
    }

    fn rolling(folder: &Path, age_max: Duration) -> RollingFile {
        let path = folder.join("relay.log");
        RollingFile::open(LogFile { path, bytes_max: 100, age_max, kept: 2 }).unwrap()
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_are_deleted() {
        let home = tempfile::tempdir().unwrap();
        let mut file = rolling(home.path(), Duration::from_secs(3600));
        for number in 0..20 {
            file.write_all(format!("line {number:02} {}\n", "x".repeat(31)).as_bytes()).unwrap();
        }
        assert_eq!(names(home.path()), ["relay.log", "relay.log.1", "relay.log.2"]);
        let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
        assert!(read("relay.log.2").starts_with("line 14 ") && read("relay.log.1").starts_with("line 16 "));
        assert!(read("relay.log").starts_with("line 18 ") && read("relay.log").len() == 80);
        // Opened again it goes on, and counts what is there.
        drop(file);
        let mut file = rolling(home.path(), Duration::from_secs(3600));
        file.write_all(b"a line that does not fit any more\n").unwrap();
        assert!(read("relay.log.1").starts_with("line 18 "));
        assert_eq!(read("relay.log"), "a line that does not fit any more\n");
    }

    #[test]
    fn an_old_file_is_put_aside_and_an_empty_one_never() {
        let home = tempfile::tempdir().unwrap();
        let mut file = rolling(home.path(), Duration::ZERO);
        file.write_all(b"one\n").unwrap();
        assert_eq!(names(home.path()), ["relay.log"]);
        file.write_all(b"two\n").unwrap();
        assert_eq!(names(home.path()), ["relay.log", "relay.log.1"]);
        // A line is never cut, however large.
        file.write_all(&[b'x'; 1_000]).unwrap();
        assert_eq!(fs::metadata(home.path().join("relay.log")).unwrap().len(), 1_000);
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let mut file = rolling(home.path(), Duration::from_secs(3600));
        // Where the oldest should go lies a folder that is not empty.
        fs::create_dir_all(home.path().join("relay.log.2/x")).unwrap();
        for _ in 0..10 {
            file.write_all(&[b'x'; 60]).unwrap();
        }
        assert_eq!(fs::metadata(home.path().join("relay.log")).unwrap().len(), 600);
    }
}
