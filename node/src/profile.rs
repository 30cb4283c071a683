//! The folder of one profile: one device of one account, and everything it knows.
//!
//! ```text
//! HOME/PROFILE/
//!   key.json     who holds the store key (keyring entry, or salt and cost of the passphrase); no secret
//!   store.db     the encrypted store (SQLite)
//!   row-keys     a random secret for each of its rows, worth nothing without the store key
//!   store.db-wal what was committed and is not yet in store.db; empty when nothing runs
//!   lock         held while a process uses the profile
//!   lock-holder  which process that is, for people
//!   daemon-token what programs show to `sotto daemon`
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The name of the profile when none is given.
pub const DEFAULT_PROFILE: &str = "default";

/// How often a held lock is tried again, and after how long each time.
const LOCK_TRIES: u32 = 5;
const LOCK_WAIT: Duration = Duration::from_millis(20);

/// Where a profile lies. Nothing is created until it is needed.
#[derive(Debug, Clone)]
pub struct Profile {
    folder: PathBuf,
}

/// The one process that may use a profile. Dropping it lets the next one in.
#[derive(Debug)]
pub struct ProfileLock {
    // Held for the operating system's lock on it, which ends with the process however it ends.
    file: File,
}

impl Drop for ProfileLock {
    fn drop(&mut self) {
        // Not by closing: a program that another thread starts at this moment has a copy of the descriptor until it runs,
        // and the lock would last as long.
        let _ = self.file.unlock();
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProfileError {
    /// The name would leave the folder.
    #[error("a profile name is 1 to 64 letters, digits, '-', '_' or '.', and does not start with '.': {0:?}")]
    BadName(String),
    /// There is no place for data on this system.
    #[error("no folder for application data was found; name one with --home DIR or SOTTO_HOME")]
    NoHome,
    /// Another process has it.
    #[error("the profile in {folder} is in use by {holder}; end that program, or use another --profile")]
    InUse {
        /// The folder.
        folder: String,
        /// What the other process wrote about itself.
        holder: String,
    },
    /// The system refused.
    #[error("the profile folder {folder} cannot be used: {source}")]
    Io {
        /// The folder.
        folder: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Profile {
    /// The profile of a name under a home folder.
    ///
    /// # Errors
    /// If the name is not one that a folder may have.
    pub fn new(home: &Path, name: &str) -> Result<Self, ProfileError> {
        let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !plain || name.is_empty() || name.len() > 64 || name.starts_with('.') {
            return Err(ProfileError::BadName(name.to_owned()));
        }
        Ok(Self { folder: home.join(name) })
    }

    /// Every profile of a home that somebody has registered or signed in with, by name. A home that is not there has none.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn all(home: &Path) -> Result<Vec<Self>, ProfileError> {
        let failed = |source| ProfileError::Io { folder: home.display().to_string(), source };
        let entries = match std::fs::read_dir(home) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            found.extend(name.to_str().and_then(|name| Self::new(home, name).ok()).filter(Self::exists));
        }
        found.sort_by(|one, other| one.folder.cmp(&other.folder));
        Ok(found)
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Who uses it at this moment, as that process says of itself.
    #[must_use]
    pub fn in_use_by(&self) -> Option<String> {
        let file = File::open(self.folder.join("lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(self.holder()),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    fn holder(&self) -> String {
        let holder = std::fs::read_to_string(self.folder.join("lock-holder"));
        sotto_node_core::format::harmless_line(&holder.unwrap_or_else(|_| "another process".to_owned()))
    }

    /// The platform's folder for this program's data.
    ///
    /// # Errors
    /// If the environment names no home.
    pub fn default_home() -> Result<PathBuf, ProfileError> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        let found = if cfg!(windows) {
            variable("APPDATA").map(|data| data.join("sotto"))
        } else if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Application Support/sotto"))
        } else {
            // XDG Base Directory Specification 0.8: relative paths in the variable are ignored.
            variable("XDG_DATA_HOME")
                .filter(|data| data.is_absolute())
                .or_else(|| home().map(|home| home.join(".local/share")))
                .map(|data| data.join("sotto"))
        };
        found.ok_or(ProfileError::NoHome)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The store.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.folder.join("store.db")
    }

    /// The secrets of the store's rows.
    #[must_use]
    pub fn row_keys_path(&self) -> PathBuf {
        self.folder.join("row-keys")
    }

    /// Who holds the store key.
    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.folder.join("key.json")
    }

    /// Whether somebody has registered or signed in here (in whatever state the files are).
    #[must_use]
    pub fn exists(&self) -> bool {
        self.key_path().exists() || self.store_path().exists()
    }

    /// Makes the folder, readable by its owner only, and takes the lock. Who only looks whether it is held
    /// ([`Profile::in_use_by`]) holds it for that moment, so it is tried a few times.
    ///
    /// # Errors
    /// If another process holds it, or the system refuses.
    pub fn lock(&self) -> Result<ProfileLock, ProfileError> {
        let failed = |source| ProfileError::Io { folder: self.folder.display().to_string(), source };
        create_private_folder(&self.folder).map_err(failed)?;
        let path = self.folder.join("lock");
        let file = private_options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        let holder = self.folder.join("lock-holder");
        let mut tried = file.try_lock();
        for _ in 0..LOCK_TRIES {
            if !matches!(tried, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(LOCK_WAIT);
            tried = file.try_lock();
        }
        match tried {
            Ok(()) => {
                // Only a courtesy for the sentence above: losing it harms nothing.
                let program = std::env::args().next().unwrap_or_else(|| "sotto".to_owned());
                let program = Path::new(&program)
                    .file_name()
                    .map_or_else(|| program.clone(), |n| n.to_string_lossy().into_owned());
                let _ = std::fs::write(&holder, format!("process {} ({program})", std::process::id()));
                Ok(ProfileLock { file })
            }
            Err(TryLockError::WouldBlock) => {
                let folder = self.folder.display().to_string();
                Err(ProfileError::InUse { folder, holder: self.holder() })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Options that make files only their owner can read.
#[must_use]
pub fn private_options() -> OpenOptions {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn create_private_folder(folder: &Path) -> io::Result<()> {
    #[cfg_attr(not(unix), allow(unused_mut))]
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes a small file so that after a crash either the old or the new one is there, whole.
///
/// # Errors
/// If the system refuses; then the old one is there.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = private_options().write(true).create(true).truncate(true).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Makes a rename durable: a folder is a file too.
///
/// # Errors
/// If the system refuses.
pub fn sync_folder(of: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = of.parent() {
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = of;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_name_never_leaves_the_home_folder() {
        for bad in ["", "..", ".hidden", "a/b", "a\\b", "a b", &"x".repeat(65)] {
            assert!(matches!(Profile::new(Path::new("/h"), bad), Err(ProfileError::BadName(_))), "{bad}");
        }
        let good = Profile::new(Path::new("/h"), "work-2").expect("a good name");
        assert_eq!(good.folder(), Path::new("/h/work-2"));
    }

    #[test]
    fn a_second_user_of_a_profile_is_told_who_has_it() {
        let home = tempfile::tempdir().expect("a folder");
        let profile = Profile::new(home.path(), "default").expect("a good name");
        let held = profile.lock().expect("nobody else");
        let refused = profile.lock().expect_err("it is held");
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        profile.lock().expect("free again");
    }

    #[test]
    fn a_lock_ends_though_a_program_that_is_being_started_has_a_copy_of_its_descriptor() {
        let home = tempfile::tempdir().expect("a folder");
        let profile = Profile::new(home.path(), "default").expect("a good name");
        let held = profile.lock().expect("nobody else");
        let _copy = held.file.try_clone().expect("a descriptor");
        drop(held);
        profile.lock().expect("free again");
    }

    #[test]
    fn profiles_are_listed_by_name_with_who_uses_them() {
        let home = tempfile::tempdir().expect("a folder");
        assert!(Profile::all(&home.path().join("none")).expect("a home that is not there").is_empty());
        for name in ["work", "default"] {
            let profile = Profile::new(home.path(), name).expect("a good name");
            drop(profile.lock().expect("nobody else"));
            std::fs::write(profile.key_path(), "{}").expect("writable");
        }
        std::fs::create_dir(home.path().join("empty")).expect("a folder");
        std::fs::write(home.path().join("a file"), "").expect("writable");
        let all = Profile::all(home.path()).expect("readable");
        assert_eq!(all.iter().map(Profile::name).collect::<Vec<_>>(), ["default", "work"]);
        let held = all[1].lock().expect("nobody else");
        assert_eq!(all[0].in_use_by(), None);
        assert!(all[1].in_use_by().is_some_and(|who| who.contains("process")));
        drop(held);
        assert_eq!(all[1].in_use_by(), None);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_a_profile() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("a folder");
        let profile = Profile::new(home.path(), "default").expect("a good name");
        let _held = profile.lock().expect("nobody else");
        let mode = std::fs::metadata(profile.folder()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
