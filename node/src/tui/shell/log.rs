//! Logs go to a file in the folder of the profile, never to the screen, and never grow beyond two files of a size.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// When the file has this size it becomes `sotto.log.1`, and a new one begins: together at most 2 MiB.
const BYTES_MAX: u64 = 1024 * 1024;

/// The file.
pub(crate) const FILE: &str = "sotto.log";

/// Logs from now on. What is logged never holds content or keys; by default it is what goes wrong.
pub(super) fn start(folder: &Path, filter: Option<&str>) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter.unwrap_or("warn"))
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let writer = Mutex::new(Bounded::new(folder.join(FILE), BYTES_MAX));
    // A second interface in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer).try_init();
}

/// A file that begins again when it is full.
struct Bounded {
    path: PathBuf,
    bytes_max: u64,
    open: Option<(File, u64)>,
}

impl Bounded {
    const fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, open: None }
    }

    fn file(&mut self, more: u64) -> io::Result<&mut (File, u64)> {
        if self.open.as_ref().is_some_and(|(_, bytes)| bytes + more > self.bytes_max) {
            self.open = None;
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            std::fs::rename(&self.path, old)?;
        }
        if self.open.is_none() {
            let mut options = OpenOptions::new();
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let file = options.append(true).create(true).open(&self.path)?;
            let bytes = file.metadata()?.len();
            self.open = Some((file, bytes));
        }
        self.open.as_mut().ok_or_else(|| io::Error::other("the log is not open"))
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        // Before the profile has a folder there is nowhere to log to, and nothing that has gone wrong.
        if let Ok((file, size)) = self.file(more) {
            file.write_all(bytes)?;
            *size += more;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_two_files_of_a_size_at_most() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Bounded::new(folder.path().join(FILE), 100);
        for number in 0..50 {
            writeln!(log, "line {number:04}").expect("it never fails");
        }
        let files: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").flatten().collect();
        assert_eq!(files.len(), 2);
        assert!(files.iter().all(|file| file.metadata().is_ok_and(|data| data.len() <= 100)));
        let newest = std::fs::read_to_string(folder.path().join(FILE)).expect("readable");
        assert!(newest.ends_with("line 0049\n"), "{newest}");
    }

    #[test]
    fn without_a_folder_nothing_is_logged_and_nothing_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut log = Bounded::new(folder.path().join("none").join(FILE), 100);
        writeln!(log, "line").expect("it never fails");
    }
}
