//! The data folder: made at first start, readable by its owner only, used by one relay at a time.
//!
//! ```text
//! data_dir/
//!   lock               held while a relay (or a command that writes) uses the folder
//!   ready.json         while a relay runs: its addresses, for scripts
//!   control.sock       while a relay runs: takes the orders of commands, from its own user only
//!   certificate.pem    the self-signed certificate, certificate.key its key
//!   acme.pem           with `domain`: the authority's certificate with its key; acme-account.json the account there
//!   webtransport.pem   what browsers are shown on QUIC, made anew every nine days; webtransport-next.pem follows it
//!   token.key          signs access tokens
//!   quic-reset.key     lets devices know at once that the relay was restarted
//!   backups/           where backups go if nobody says otherwise
//!   accounts/          accounts, sessions, devices, key packages, invites, vaults
//!   log/               the conversations
//!   blobs/             encrypted files of conversations
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A data folder that this process holds the lock of.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: Lock,
}

/// A lock that ends when this is dropped, and with a killed process too.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Takes it, without waiting for whoever has it.
    pub(crate) fn take(file: File) -> Result<Self, TryLockError> {
        file.try_lock().map(|()| Self(file))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not by closing: a program that another thread starts at this moment has a copy of the descriptor until it runs,
        // and the lock would last as long.
        let _ = self.0.unlock();
    }
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// It, or a file in it, cannot be made, read or written.
    #[error(
        "cannot use {}: {source}; check that the folder exists or can be made, and that this user may write there",
        path.display()
    )]
    Io {
        /// What was touched.
        path: PathBuf,
        /// The operating system's words.
        source: io::Error,
    },
    /// Another process holds the lock.
    #[error("another relay is using the data folder {}; stop it first, or give this one a folder of its own (--data-dir)", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file holds something else than it should.
    #[error("{} is damaged: {what}; restore it from a backup, or move it away to start with a new one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl FolderError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl DataFolder {
    /// Makes the folder if it is missing, and takes its lock.
    ///
    /// # Errors
    /// If it cannot be made or written, or another process uses it.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        make_private_folder(path).map_err(FolderError::io(path))?;
        let lock_path = path.join("lock");
        let lock = private_options()
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(FolderError::io(&lock_path))?;
        match Lock::take(lock) {
            Ok(lock) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => Err(FolderError::Io { path: lock_path, source }),
        }
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place of a file or folder inside.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads a text file; `None` if there is none.
    ///
    /// # Errors
    /// If it is there and cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, FolderError> {
        let path = self.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io { path, source }),
        }
    }

    /// Writes a file that only the owner may read, whole or not at all: into a new file, to the disk, renamed.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Result<(), FolderError> {
        let path = self.join(name);
        let next = self.join(&format!("{name}.new"));
        let write = || {
            let mut file = private_options().create(true).truncate(true).open(&next)?;
            file.write_all(bytes.as_ref())?;
            file.sync_all()?;
            std::fs::rename(&next, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(FolderError::io(&path))
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) {
        // What remains is overwritten at the next start; nothing depends on its absence.
        let _ = std::fs::remove_file(self.join(name));
    }

    /// Reads 32 secret bytes kept as hex digits; draws and keeps them if the file is not there.
    ///
    /// # Errors
    /// If the file is damaged or cannot be written.
    pub fn secret(&self, name: &str, draw: impl FnOnce() -> [u8; 32]) -> Result<[u8; 32], FolderError> {
        let hex = data_encoding::HEXLOWER_PERMISSIVE;
        if let Some(text) = self.read(name)? {
            let bytes = hex.decode(text.trim().as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
            return bytes.ok_or_else(|| FolderError::Damaged {
                path: self.join(name),
                what: "expected 64 hex digits".to_owned(),
            });
        }
        let bytes = draw();
        self.write(name, format!("{}\n", data_encoding::HEXLOWER.encode(&bytes)))?;
        Ok(bytes)
    }
}

#[cfg(unix)]
fn make_private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(not(unix))]
fn make_private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Opens for writing; a file that is made is readable by its owner only.
fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_uses_a_folder_and_the_next_may_when_it_ended() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a/b");
        let folder = DataFolder::open(&path).unwrap();
        assert!(matches!(DataFolder::open(&path), Err(FolderError::InUse { .. })));
        drop(folder);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_lock_ends_though_a_program_that_is_being_started_has_a_copy_of_its_descriptor() {
        let home = tempfile::tempdir().unwrap();
        let open = || private_options().create(true).truncate(false).open(home.path().join("lock")).unwrap();
        let held = Lock::take(open()).unwrap();
        let _copy = held.0.try_clone().unwrap();
        assert!(Lock::take(open()).is_err());
        drop(held);
        Lock::take(open()).unwrap();
    }

    #[test]
    fn a_secret_is_drawn_once_private_and_never_overwritten_when_damaged() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(home.path()).unwrap();
        assert_eq!(folder.secret("token.key", || [7; 32]).unwrap(), [7; 32]);
        assert_eq!(folder.secret("token.key", || [8; 32]).unwrap(), [7; 32]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.join("token.key")).unwrap().permissions().mode();
            assert_eq!(mode & 0o077, 0);
        }
        std::fs::write(folder.join("token.key"), "abc").unwrap();
        let error = folder.secret("token.key", || [8; 32]).unwrap_err().to_string();
        assert!(error.contains("token.key is damaged"), "{error}");
        assert_eq!(folder.read("token.key").unwrap().unwrap(), "abc");
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_which() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = DataFolder::open(&file.join("data")).unwrap_err().to_string();
        assert!(error.contains("file/data"), "{error}");
    }
}
