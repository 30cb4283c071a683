//! A disk that loses power: an ext4 file system in a file, shut down without flushing its log.
//!
//! `EXT4_IOC_SHUTDOWN` with NOLOGFLUSH (by `xfs_io`, the usual tool for it) drops everything that was not forced to
//! the disk, as a power cut does, which `kill -9` never shows: a killed process leaves its writes to the kernel.

use crate::tool::run;
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system of its own, unmounted when dropped. Needs root on Linux.
pub struct PowerCutDisk {
    image: PathBuf,
    mounted: PathBuf,
}

impl PowerCutDisk {
    /// Makes and mounts an empty one of `mebibytes`.
    ///
    /// # Errors
    /// If a tool is missing (with how to get it) or the system refuses.
    pub fn new(folder: &Path, mebibytes: u64) -> Result<Self> {
        let disk = Self { image: folder.join("disk.image"), mounted: folder.join("disk") };
        std::fs::create_dir_all(&disk.mounted)?;
        std::fs::File::create(&disk.image)?.set_len(mebibytes * 1024 * 1024)?;
        run("e2fsprogs", Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk.image))?;
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mounted
    }

    /// Cuts the power: from now on every access fails, and what was not synced is gone.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn cut(&self) -> Result<()> {
        run("xfsprogs", Command::new("xfs_io").args(["-x", "-c", "shutdown"]).arg(&self.mounted))?;
        let probe = self.mounted.join("after-the-cut");
        ensure!(std::fs::write(&probe, b"x").is_err(), "the disk still takes writes after the cut");
        Ok(())
    }

    /// Brings the power back. All that used the disk must have ended.
    ///
    /// # Errors
    /// If the file system does not mount again.
    pub fn restore(&self) -> Result<()> {
        self.unmount()?;
        self.mount()
    }

    fn mount(&self) -> Result<()> {
        run("mount", Command::new("mount").args(["-o", "loop"]).arg(&self.image).arg(&self.mounted))
    }

    fn unmount(&self) -> Result<()> {
        run("mount", Command::new("umount").arg(&self.mounted))
    }
}

impl Drop for PowerCutDisk {
    fn drop(&mut self) {
        // A failed test may leave it in use; a lazy unmount still takes it out of the tree.
        let _ = Command::new("umount").arg("--lazy").arg(&self.mounted).status();
    }
}
