//! The files of a backup: batches and rows with a length before each, and a manifest with a hash of each file.
//!
//! ```text
//! NAME/manifest.json     what is in it, with SHA-256 and length of every other file
//! NAME/log/N.batches     "sotto batches 1\n", then for each batch of shard N: number 8 | length 4 | bytes
//! NAME/log/state.rows    the last checkpoint: "sotto rows 1\n", then for each row: key length 4 | value length 4 | key | value
//! NAME/accounts.rows     accounts, devices, key packages, invites, vaults, in the same form
//! NAME/files/...         certificate and keys of the data folder
//! ```
//! Numbers are little-endian. A backup has its name only when all of it is on the disk; until then it is `new-NAME`.

use super::BackupError;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What the manifest calls this format.
pub const FORMAT: &str = "sotto backup, format 2";

/// One that is read too: it lacks the rows of what each account has in the log, and the relay counts when it starts.
const FORMAT_1: &str = "sotto backup, format 1";

/// The manifest's name.
pub(super) const MANIFEST: &str = "manifest.json";

pub(super) const BATCHES: &[u8] = b"sotto batches 1\n";
pub(super) const ROWS: &[u8] = b"sotto rows 1\n";

/// A batch or a row larger than this is damage: a batch is at most 16 MiB and a row 64 MiB.
const PIECE_BYTES_MAX: usize = 128 * 1024 * 1024;

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: String,
    /// The program that made it.
    pub made_by: String,
    /// The last batch in it: everything that was acknowledged before the mark is in a batch up to this one.
    pub mark_batch: u64,
    /// When the mark was taken, in milliseconds since 1970.
    pub mark_ms: u64,
    /// The batch whose effects the rows of the log have; later ones are applied when it is restored.
    pub base_batch: u64,
    /// The length of time that one shard takes in.
    pub shard_span_ms: u64,
    /// Every other file.
    pub files: Vec<Listed>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its path inside the backup, with slashes.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a backup.
    ///
    /// # Errors
    /// If there is none, or it is of a newer program.
    pub fn read(backup: &Path) -> Result<Self, BackupError> {
        let path = backup.join(MANIFEST);
        let text = std::fs::read_to_string(&path).map_err(BackupError::io(&path))?;
        let damaged = |error: serde_json::Error| BackupError::damaged(&path, error.to_string());
        let manifest: Self = serde_json::from_str(&text).map_err(damaged)?;
        if ![FORMAT, FORMAT_1].contains(&manifest.format.as_str()) {
            return Err(BackupError::Format { path, found: manifest.format });
        }
        Ok(manifest)
    }

    /// Holds every file against its hash.
    ///
    /// # Errors
    /// At the first that is missing or different.
    pub fn check_files(&self, backup: &Path) -> Result<(), BackupError> {
        for listed in &self.files {
            let path = backup.join(&listed.path);
            let is_inside = Path::new(&listed.path)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !is_inside {
                return Err(BackupError::damaged(&path, "its path leads out of the backup"));
            }
            let mut file = File::open(&path).map_err(BackupError::io(&path))?;
            let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0_u64, vec![0; 256 * 1024]);
            loop {
                let read = file.read(&mut buffer).map_err(BackupError::io(&path))?;
                let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else { break };
                hash.update(chunk);
                bytes = bytes.saturating_add(read as u64);
            }
            if bytes != listed.bytes || HEXLOWER.encode(&hash.finalize()) != listed.sha256 {
                return Err(BackupError::damaged(&path, "its bytes are not those that were written"));
            }
        }
        Ok(())
    }
}

/// Writes one file of a backup, readable by its owner only.
pub(super) struct Writing {
    path: PathBuf,
    name: String,
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Writing {
    pub(super) fn new(backup: &Path, name: &str) -> Result<Self, BackupError> {
        let path = backup.join(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(BackupError::io(&path))?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(Self { path, name: name.to_owned(), file, hash: Sha256::new(), bytes: 0 })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.hash.update(bytes);
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.file.write_all(bytes).map_err(BackupError::io(&self.path))
    }

    pub(super) fn batch(&mut self, number: u64, batch: &[u8]) -> Result<(), BackupError> {
        self.write(&number.to_le_bytes())?;
        self.write(&length(batch))?;
        self.write(batch)
    }

    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), BackupError> {
        self.write(&length(key))?;
        self.write(&length(value))?;
        self.write(key)?;
        self.write(value)
    }

    /// Returns when it is on the disk.
    pub(super) fn finish(self) -> Result<Listed, BackupError> {
        let failed = BackupError::io(&self.path);
        let synced = self.file.into_inner().map_err(std::io::IntoInnerError::into_error);
        synced.and_then(|file| file.sync_all()).map_err(failed)?;
        Ok(Listed { path: self.name, bytes: self.bytes, sha256: HEXLOWER.encode(&self.hash.finalize()) })
    }
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("batches and rows are far below 4 GiB").to_le_bytes()
}

/// Reads one file of a backup.
pub(super) struct Reading {
    path: PathBuf,
    file: BufReader<File>,
}

impl Reading {
    pub(super) fn open(path: &Path, head: &[u8]) -> Result<Self, BackupError> {
        let file = File::open(path).map_err(BackupError::io(path))?;
        let mut reading = Self { path: path.to_owned(), file: BufReader::with_capacity(256 * 1024, file) };
        let is_ours = reading.bytes(head.len())?.as_ref() == head;
        if is_ours { Ok(reading) } else { Err(BackupError::damaged(path, "it is no file of this format")) }
    }

    fn bytes(&mut self, length: usize) -> Result<Bytes, BackupError> {
        if length > PIECE_BYTES_MAX {
            return Err(BackupError::damaged(&self.path, "a length in it is over every limit"));
        }
        let mut bytes = vec![0; length];
        self.file.read_exact(&mut bytes).map_err(BackupError::io(&self.path))?;
        Ok(bytes.into())
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], BackupError> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes).map_err(BackupError::io(&self.path))?;
        Ok(bytes)
    }

    fn is_at_end(&mut self) -> Result<bool, BackupError> {
        std::io::BufRead::fill_buf(&mut self.file).map(<[u8]>::is_empty).map_err(BackupError::io(&self.path))
    }

    pub(super) fn batch(&mut self) -> Result<Option<(u64, Bytes)>, BackupError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let number = u64::from_le_bytes(self.number()?);
        let length = u32::from_le_bytes(self.number()?) as usize;
        Ok(Some((number, self.bytes(length)?)))
    }

    pub(super) fn row(&mut self) -> Result<Option<(Bytes, Bytes)>, BackupError> {
        if self.is_at_end()? {
            return Ok(None);
        }
        let key = u32::from_le_bytes(self.number()?) as usize;
        let value = u32::from_le_bytes(self.number()?) as usize;
        Ok(Some((self.bytes(key)?, self.bytes(value)?)))
    }
}
