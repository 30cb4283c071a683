//! The two things the store asks of a disk that tests must be able to make fail.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

/// A disk. [`RealDisk`] is the operating system's; tests wrap it to inject faults.
pub trait Disk: Debug + Send + Sync {
    /// Returns when everything written to the file is on the disk and stays there when the power is cut.
    ///
    /// # Errors
    /// If the disk failed. What was written since the last success may be lost, even if a later call succeeds.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Bytes that may still be written to the file system of `folder`.
    ///
    /// # Errors
    /// If the file system does not say.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn free_bytes(&self, folder: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}
