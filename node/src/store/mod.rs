//! The encrypted local store: SQLite for atomicity and durability, XChaCha20-Poly1305 for everything in it.
//!
//! *Keys that are gone are gone from disk* (forward secrecy is worth nothing if the file system remembers).
//! Three layers see to it: each value has a secret of its own that is overwritten when the value goes
//! (`sotto_node_core::sealed`), `secure_delete` overwrites what is deleted or replaced, and each commit ends with a
//! checkpoint that empties the write-ahead log, so no older image of a page stays in either file.
//! Row keys are stored as they are (SQLite must order them); they hold ids and counters, never content.

mod flat;

pub use sotto_node_core::sealed::StoreKey;

use crate::profile::{Profile, ProfileError, ProfileLock, sync_folder};
use flat::FlatFile;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use sotto_e2ee::store::{Batch, Row, Scan, Store, StoreError, Value};
use sotto_node_core::sealed::{RowKeys, Sealer, Slot};
use std::collections::{BTreeMap, HashSet};
use std::io::Read as _;
use std::ops::Bound;
use std::path::{Path, PathBuf};

/// The layout this program reads and writes.
pub const FORMAT: i64 = 1;

/// "Sott": tells our files from other people's SQLite files.
const APPLICATION_ID: i32 = 0x536f_7474;

/// The header's own secret is no secret: the header is never deleted.
const HEADER_SECRET: [u8; 32] = [0; 32];

/// Bytes before a sealed value that say which secret it uses.
const SLOT_BYTES: usize = size_of::<Slot>();

/// The row key (of the header, not a row) and the text that show whether a key is the right one.
const KEY_CHECK_NAME: &[u8] = b"sotto store key check";
const KEY_CHECK_TEXT: &[u8] = b"this key opens this store";

/// A profile's store. It holds the profile's lock as long as it lives.
pub struct SqliteStore {
    connection: Connection,
    sealer: Sealer,
    row_keys: RowKeys<FlatFile>,
    path: PathBuf,
    _lock: ProfileLock,
}

/// Why a store does not open. In no case was anything written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The profile is held by another process, or its folder is not usable.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// There is no store.
    #[error("there is no account on this device yet; start with `sotto register` or `sotto login`")]
    Missing,
    /// There is one already, where one was to be made.
    #[error("{0} exists already; it is not overwritten")]
    Exists(String),
    /// The key is not the one that sealed it.
    #[error("the passphrase does not open this store; nothing is damaged, try again")]
    WrongKey,
    /// A newer program wrote it.
    #[error("the store has format {found} and this program reads up to {FORMAT}; install a newer sotto")]
    NewerFormat {
        /// What the file says.
        found: i64,
    },
    /// The file is not what was written.
    #[error("the local store is damaged: {what}. {}", recovery(path))]
    Damaged {
        /// What is wrong.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("the local store {path} cannot be opened: {what}", path = path.display())]
    Failed {
        /// What the system said.
        what: String,
        /// The file.
        path: PathBuf,
    },
}

/// What a person does about a damaged store: nothing here is deleted or repaired behind their back.
#[must_use]
pub fn recovery(store: &Path) -> String {
    let folder = store.parent().unwrap_or(store).display();
    format!(
        "Nothing was changed. Restore {folder} from a backup of the whole folder that no other device has \
         continued from; or move it away (mv '{folder}' '{folder}.damaged') and run `sotto recover` with your \
         recovery words: it registers this machine as a new device, and the history comes back from the archive"
    )
}

impl SqliteStore {
    /// Makes an empty store for a profile that has none.
    ///
    /// # Errors
    /// If there is one, the profile is in use, or the system refuses.
    pub fn create(profile: &Profile, lock: ProfileLock, key: &StoreKey) -> Result<Self, OpenError> {
        let path = profile.store_path();
        if path.exists() {
            return Err(OpenError::Exists(path.display().to_string()));
        }
        // Made beside its place and renamed when it is whole, so that a crash leaves no half store.
        let beside = path.with_extension("db.new");
        let failed = |what: String| OpenError::Failed { what, path: path.clone() };
        for leftover in [&beside, &beside.with_extension("new-wal")] {
            match std::fs::remove_file(leftover) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(failed(error.to_string()));
                }
                _ => {}
            }
        }
        // SQLite takes over the mode of a file that is there, for its write-ahead log too.
        crate::profile::private_options()
            .write(true)
            .create_new(true)
            .open(&beside)
            .map_err(|error| failed(error.to_string()))?;
        let sealer = Sealer::new(key);
        make(&beside, &sealer).map_err(|error| failed(error.to_string()))?;
        FlatFile::create(&profile.row_keys_path())
            .and_then(|mut file| RowKeys::create(&mut file))
            .map_err(|error| failed(error.to_string()))?;
        std::fs::rename(&beside, &path)
            .and_then(|()| sync_folder(&path))
            .map_err(|error| failed(error.to_string()))?;
        Self::open(profile, lock, key)
    }

    /// Opens the store of a profile.
    ///
    /// # Errors
    /// If there is none, the key is wrong, or the file is damaged or of a newer format.
    pub fn open(profile: &Profile, lock: ProfileLock, key: &StoreKey) -> Result<Self, OpenError> {
        let path = profile.store_path();
        if !path.exists() {
            return Err(OpenError::Missing);
        }
        let judge = |error: rusqlite::Error| match kind_of(&error) {
            Fault::Corrupted => OpenError::Damaged { what: error.to_string(), path: path.clone() },
            _ => OpenError::Failed { what: error.to_string(), path: path.clone() },
        };
        let damaged = |what: &str| OpenError::Damaged { what: what.to_owned(), path: path.clone() };
        // Before SQLite sees it: it would make a new database of an empty file.
        let ours = starts_like_ours(&path)
            .map_err(|error| OpenError::Failed { what: error.to_string(), path: path.clone() })?;
        if !ours {
            return Err(damaged("the file is empty or is not a store of this program"));
        }
        let connection = connect(&path).map_err(judge)?;
        let header = connection
            .query_row("SELECT format, key_check, key_check_sum FROM header WHERE id = 1", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?))
            })
            .optional()
            .map_err(judge)?;
        let (format, key_check, sum) = header.ok_or_else(|| damaged("its header is missing"))?;
        if format > FORMAT {
            return Err(OpenError::NewerFormat { found: format });
        }
        // The sum tells a header that was changed from a key that is wrong.
        if Sha256::digest(&key_check).as_slice() != sum {
            return Err(damaged("its header does not match its checksum"));
        }
        let sealer = Sealer::new(key);
        match sealer.open(&HEADER_SECRET, KEY_CHECK_NAME, &key_check) {
            Some(text) if text.as_slice() == KEY_CHECK_TEXT => {}
            _ => return Err(OpenError::WrongKey),
        }
        let verdict: String =
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(judge)?;
        if verdict != "ok" {
            return Err(OpenError::Damaged { what: verdict, path: path.clone() });
        }
        let io_failed =
            |error: std::io::Error| OpenError::Failed { what: error.to_string(), path: path.clone() };
        let mut row_keys = match FlatFile::open(&profile.row_keys_path()).and_then(RowKeys::open) {
            Ok(Some(row_keys)) => row_keys,
            Ok(None) => return Err(damaged("its file row-keys is not what was written")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("its file row-keys is missing"));
            }
            Err(error) => return Err(io_failed(error)),
        };
        // A process that was killed may have left secrets that nothing names, and older images in the
        // write-ahead log.
        let named = slots_in_use(&connection).map_err(judge)?;
        if named.iter().any(|slot| row_keys.secret(*slot).is_none()) {
            return Err(damaged("its file row-keys lacks keys that rows name"));
        }
        row_keys.keep_only(&named).map_err(io_failed)?;
        let store = Self { connection, sealer, row_keys, path: path.clone(), _lock: lock };
        store.forget_old_images();
        Ok(store)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes values that are gone unreadable for good.
    fn clear_secrets(&mut self, slots: Vec<Slot>) {
        // The commit itself stands; what could not be cleared is tried again with the next one.
        if let Err(error) = self.row_keys.clear(slots) {
            tracing::warn!(%error, "keys of deleted values are cleared later");
        }
    }

    /// Moves what was committed into the main file and empties the write-ahead log.
    fn forget_old_images(&self) {
        let done =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        // The commit itself is durable in the log; the next commit checkpoints again.
        match done {
            Ok(0) => {}
            Ok(_) => tracing::warn!("the store's write-ahead log was busy and is emptied later"),
            Err(error) => tracing::warn!(%error, "the store's write-ahead log is emptied later"),
        }
    }

    fn unseal(&self, key: &[u8], sealed: &[u8]) -> Result<Value, StoreError> {
        let opened = sealed.split_first_chunk::<SLOT_BYTES>().and_then(|(slot, sealed)| {
            let secret = self.row_keys.secret(Slot::from_be_bytes(*slot))?;
            self.sealer.open(secret, key, sealed)
        });
        opened.ok_or_else(|| {
            StoreError::Damaged(format!("a value fails its authentication. {}", recovery(&self.path)))
        })
    }

    /// The batch as one transaction; gives the secrets that nothing names afterwards.
    fn apply(
        &mut self,
        changes: &BTreeMap<Vec<u8>, Option<Value>>,
        fresh: &[Slot],
    ) -> rusqlite::Result<Vec<Slot>> {
        let transaction = self.connection.transaction()?;
        let mut old = Vec::new();
        {
            let mut find =
                transaction.prepare_cached("SELECT substr(value, 1, 4) FROM rows WHERE key = ?1")?;
            let mut put = transaction.prepare_cached(
                "INSERT INTO rows (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?;
            let mut delete = transaction.prepare_cached("DELETE FROM rows WHERE key = ?1")?;
            let mut fresh = fresh.iter();
            for (key, value) in changes {
                let slot: Option<Vec<u8>> = find.query_row([key], |row| row.get(0)).optional()?;
                old.extend(slot.as_deref().and_then(slot_of));
                match value {
                    Some(value) => {
                        let slot = *fresh.next().expect("a secret was drawn for each value");
                        let secret = self.row_keys.secret(slot).expect("it was just drawn");
                        let mut sealed = slot.to_be_bytes().to_vec();
                        sealed.extend_from_slice(&self.sealer.seal(secret, key, value, &mut rand::rng()));
                        put.execute(params![key, sealed])?;
                    }
                    None => drop(delete.execute([key])?),
                }
            }
        }
        transaction.commit()?;
        Ok(old)
    }

    fn judge(&self, error: &rusqlite::Error) -> StoreError {
        match kind_of(error) {
            Fault::Corrupted => StoreError::Damaged(format!("{error}. {}", recovery(&self.path))),
            Fault::Full => StoreError::Full,
            Fault::Other => StoreError::Failed(error.to_string()),
        }
    }
}

/// Whether a file has SQLite's magic and our application id (<https://www.sqlite.org/fileformat.html> section 1.3).
fn starts_like_ours(path: &Path) -> std::io::Result<bool> {
    let mut header = Vec::new();
    std::fs::File::open(path)?.take(100).read_to_end(&mut header)?;
    Ok(header.starts_with(b"SQLite format 3\0") && header.get(68..72) == Some(&APPLICATION_ID.to_be_bytes()))
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // One process owns the file (the profile lock), so the index of the write-ahead log stays in memory.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cell_size_check", "ON")?;
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    debug_assert_eq!(mode, "wal");
    // We checkpoint ourselves, after each commit.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn make(path: &Path, sealer: &Sealer) -> rusqlite::Result<()> {
    let connection = connect(path)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.execute_batch(
        "CREATE TABLE header (
             id INTEGER PRIMARY KEY CHECK (id = 1),
             format INTEGER NOT NULL,
             key_check BLOB NOT NULL,
             key_check_sum BLOB NOT NULL
         ) STRICT;
         CREATE TABLE rows (
             key BLOB NOT NULL PRIMARY KEY,
             value BLOB NOT NULL
         ) STRICT, WITHOUT ROWID;",
    )?;
    let key_check = sealer.seal(&HEADER_SECRET, KEY_CHECK_NAME, KEY_CHECK_TEXT, &mut rand::rng());
    connection.execute(
        "INSERT INTO header (id, format, key_check, key_check_sum) VALUES (1, ?1, ?2, ?3)",
        params![FORMAT, key_check, Sha256::digest(&key_check).as_slice()],
    )?;
    // Closing the only connection checkpoints and removes the write-ahead log.
    connection.close().map_err(|(_, error)| error)
}

enum Fault {
    Corrupted,
    Full,
    Other,
}

fn kind_of(error: &rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Fault::Corrupted,
        Some(ErrorCode::DiskFull) => Fault::Full,
        // A table that was there when the file was made.
        None | Some(ErrorCode::Unknown) if error.to_string().contains("no such table") => Fault::Corrupted,
        Some(_) => Fault::Other,
        None => match error {
            // The file answers with other types than were written.
            rusqlite::Error::InvalidColumnType(..) | rusqlite::Error::FromSqlConversionFailure(..) => {
                Fault::Corrupted
            }
            _ => Fault::Other,
        },
    }
}

impl Store for SqliteStore {
    fn get(&self, key: &[u8]) -> Result<Option<Value>, StoreError> {
        let sealed = self
            .connection
            .prepare_cached("SELECT value FROM rows WHERE key = ?1")
            .and_then(|mut select| select.query_row([key], |row| row.get::<_, Vec<u8>>(0)).optional())
            .map_err(|error| self.judge(&error))?;
        sealed.map(|sealed| self.unseal(key, &sealed)).transpose()
    }

    fn scan(&self, scan: &Scan) -> Result<Vec<Row>, StoreError> {
        let Some((sql, [start, end])) = select("key, value", scan) else { return Ok(Vec::new()) };
        let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX);
        let sealed: Vec<(Vec<u8>, Vec<u8>)> = self
            .connection
            .prepare_cached(&sql)
            .and_then(|mut select| {
                select.query_map(params![start, end, limit], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })
            .map_err(|error| self.judge(&error))?;
        sealed
            .into_iter()
            .map(|(key, sealed)| {
                let value = self.unseal(&key, &sealed)?;
                Ok(Row { key, value })
            })
            .collect()
    }

    fn keys(&self, prefix: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let Some((sql, [start, end])) = select("key", &Scan::prefix(prefix)) else { return Ok(Vec::new()) };
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut select| select.query_map(params![start, end, -1], |row| row.get(0))?.collect())
            .map_err(|error| self.judge(&error))
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        // In this order: see `row_keys` for what a crash between two of the steps leaves.
        let values = batch.changes.values().filter(|value| value.is_some()).count();
        let fresh = self.row_keys.draw(values, &mut rand::rng()).map_err(|error| io_fault(&error))?;
        let old = match self.apply(&batch.changes, &fresh) {
            Ok(old) => old,
            Err(error) => {
                let error = self.judge(&error);
                self.clear_secrets(fresh);
                return Err(error);
            }
        };
        self.clear_secrets(old);
        self.forget_old_images();
        Ok(())
    }
}

/// How SQL asks for the rows of a scan, with the keys at both ends; its third argument is the limit, negative for none.
/// `None` where there can be no rows.
fn select(columns: &str, scan: &Scan) -> Option<(String, [Option<Vec<u8>>; 2])> {
    let (start, end) = scan.range()?;
    // Plain comparisons alone: a bound behind an OR is a filter, and all rows on its far side would be read.
    let condition = |end, [inclusive, exclusive]: [&'static str; 2]| match end {
        Bound::Included(key) => (inclusive, Some(key)),
        Bound::Excluded(key) => (exclusive, Some(key)),
        Bound::Unbounded => ("TRUE", None),
    };
    let (from, start) = condition(start, ["key >= ?1", "key > ?1"]);
    let (to, end) = condition(end, ["key <= ?2", "key < ?2"]);
    let direction = if scan.backwards { "DESC" } else { "ASC" };
    let sql = format!("SELECT {columns} FROM rows WHERE {from} AND {to} ORDER BY key {direction} LIMIT ?3");
    Some((sql, [start, end]))
}

/// Every secret that a row names.
fn slots_in_use(connection: &Connection) -> rusqlite::Result<HashSet<Slot>> {
    let mut select = connection.prepare("SELECT substr(value, 1, 4) FROM rows")?;
    let slots = select.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
    slots.map(|slot| slot.map(|slot| slot_of(&slot))).filter_map(Result::transpose).collect()
}

fn slot_of(bytes: &[u8]) -> Option<Slot> {
    bytes.first_chunk().map(|slot| Slot::from_be_bytes(*slot))
}

fn io_fault(error: &std::io::Error) -> StoreError {
    if error.kind() == std::io::ErrorKind::StorageFull {
        StoreError::Full
    } else {
        StoreError::Failed(error.to_string())
    }
}

#[cfg(test)]
mod tests;
