//! A download that is not through: a hidden file beside its target, which shows by itself how far it is.
//!
//! Sealing is a function of key and file, so each part that lies there is sealed and held against the chunk list. There is no
//! second place that could say something else, and what a crash left half written is simply fetched again.

use super::pieces::Pieces;
use super::{FileError, Stage, Step, Watch, disk};
use sotto_e2ee::file::{FileAbout, Sealer};
use sotto_protocol::blob::{ChunkList, Present};
use std::fs::{OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// See the module.
#[derive(Debug)]
pub(super) struct Partial {
    pieces: Pieces,
    path: PathBuf,
}

impl Partial {
    /// Opens or begins the download of a file to a folder. One process at a time has it.
    pub(super) fn open(folder: &Path, about: &FileAbout) -> Result<Self, FileError> {
        let root: String = about.root.to_string().chars().take(16).collect();
        let path = folder.join(format!(".{}.{root}.part", about.name));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        // For its owner until it is through, and never by way of a link that somebody else put there.
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
            let flags = rustix::fs::OFlags::NOFOLLOW.bits();
            options.custom_flags(i32::try_from(flags).unwrap_or_default());
        }
        let file = options.open(&path).map_err(disk(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { pieces: Pieces::of(file), path }),
            Err(TryLockError::WouldBlock) => Err(FileError::Busy(folder.join(about.name.as_str()))),
            Err(TryLockError::Error(error)) => Err(disk(&path)(error)),
        }
    }

    /// Which chunks lie there.
    pub(super) fn present(
        &self,
        sealer: &Sealer,
        list: &ChunkList,
        watch: &Watch,
    ) -> Result<Present, FileError> {
        let mut present = Present::none(list.size());
        let there = self.pieces.file().metadata().map_err(disk(&self.path))?.len();
        for chunk in 0..list.size().chunks() {
            let Some((start, bytes)) = sealer.part(chunk) else { break };
            let end = start.saturating_add(bytes as u64);
            if end > there {
                break;
            }
            let found = self.pieces.sealed(sealer, list, chunk).map_err(disk(&self.path))?;
            if found.is_some() {
                present.add(chunk);
            }
            watch(Step { stage: Stage::Checking, done: end, total: there }.into());
        }
        Ok(present)
    }

    /// Writes one part to its place.
    pub(super) fn write(&self, start: u64, part: &[u8]) -> Result<(), FileError> {
        self.pieces.write(start, part).map_err(disk(&self.path))
    }

    /// Its pieces, for others.
    pub(super) const fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    /// The first bytes.
    pub(super) fn head(&self, bytes: usize) -> Result<Vec<u8>, FileError> {
        self.pieces.read(0, bytes).map_err(disk(&self.path))
    }

    /// Brings to the disk what was written so far, so that little is left to wait for at the end.
    pub(super) fn settle(&self) -> Result<(), FileError> {
        self.pieces.file().sync_data().map_err(disk(&self.path))
    }

    /// It is whole: it gets its name. What has that name already stays, unless it is to be replaced.
    pub(super) fn finish(&self, bytes: u64, target: &Path, replace: bool) -> Result<(), FileError> {
        let file = self.pieces.file();
        file.set_len(bytes).and_then(|()| file.sync_all()).map_err(disk(&self.path))?;
        if replace {
            std::fs::rename(&self.path, target).map_err(disk(target))?;
        } else {
            match std::fs::hard_link(&self.path, target) {
                Ok(()) => std::fs::remove_file(&self.path).map_err(disk(&self.path))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(FileError::Exists(target.to_owned()));
                }
                // File systems without links: what is there is looked for a moment before.
                Err(_) if target.symlink_metadata().is_ok() => {
                    return Err(FileError::Exists(target.to_owned()));
                }
                Err(_) => std::fs::rename(&self.path, target).map_err(disk(target))?,
            }
        }
        #[cfg(unix)]
        if let Some(folder) = target.parent() {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(disk(folder))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::file::{FileKey, FileName, PART_BYTES};
    use std::sync::Arc;

    fn file(bytes: usize) -> (FileAbout, Sealer, ChunkList, Vec<u8>) {
        let content: Vec<u8> = (0..bytes).map(|place| u8::try_from(place % 241).unwrap()).collect();
        let key = FileKey::draw(&mut rand::rng());
        let sealer = Sealer::new(&key, bytes as u64).unwrap();
        let hashes = (0..sealer.size().chunks()).map(|chunk| {
            let (start, length) = sealer.part(chunk).unwrap();
            let start = usize::try_from(start).unwrap();
            let sealed = sealer.seal(chunk, &content[start..start + length]).unwrap();
            sealer.hash(chunk, &sealed).unwrap()
        });
        let list = sealer.list(hashes.collect()).unwrap();
        let about = FileAbout {
            name: FileName::lossy("a.bin"),
            bytes: bytes as u64,
            media_type: String::new(),
            root: list.root(),
            key,
        };
        (about, sealer, list, content)
    }

    #[test]
    fn what_lies_there_is_known_by_its_content_and_what_was_torn_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let part = usize::try_from(PART_BYTES).unwrap();
        let (about, sealer, list, content) = file(3 * part + 100);
        let watch: Watch = Arc::new(|_| {});
        let partial = Partial::open(folder.path(), &about).unwrap();
        assert!(matches!(Partial::open(folder.path(), &about), Err(FileError::Busy(_))));
        assert_eq!(partial.present(&sealer, &list, &watch).unwrap().missing().count(), 4);
        partial.write(2 * PART_BYTES, &content[2 * part..3 * part]).unwrap();
        partial.write(0, &content[..part - 5]).unwrap();
        drop(partial);
        let partial = Partial::open(folder.path(), &about).unwrap();
        let present = partial.present(&sealer, &list, &watch).unwrap();
        assert_eq!(
            present.missing().collect::<Vec<_>>(),
            [0, 1, 3],
            "one torn, one never there, one beyond the end"
        );
        partial.write(0, &content).unwrap();
        assert!(partial.present(&sealer, &list, &watch).unwrap().is_all());
        let target = folder.path().join("a.bin");
        std::fs::write(&target, "mine").unwrap();
        let error = partial.finish(about.bytes, &target, false).unwrap_err();
        assert!(matches!(error, FileError::Exists(_)));
        drop(partial);
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        Partial::open(folder.path(), &about).unwrap().finish(about.bytes, &target, true).unwrap();
        assert!(std::fs::read(&target).unwrap() == content);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
