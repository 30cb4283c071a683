//! The store key: held by the operating system's keyring, or made from a passphrase. Never on disk.
//!
//! A profile chooses once, when it is made: the keyring where one answers, else a passphrase through
//! Argon2id (RFC 9106). `key.json` says which, with the salt and cost of the passphrase; it holds no secret.

use crate::profile::{Profile, write_whole};
use crate::store::StoreKey;
use argon2::{Algorithm, Argon2, Params, Version};
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use zeroize::Zeroizing;

/// RFC 9106 section 4, second recommended option, with one lane so that a browser can do the same:
/// 64 MiB and 3 passes, about 0.1 s.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
const LANES: u32 = 1;

/// What a hostile `key.json` may make this program spend: 1 GiB and 16 passes.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

/// The name under which keyrings list our entries.
const KEYRING_SERVICE: &str = "sotto";

/// How long a keyring may take: it may be asking a person to unlock it.
const KEYRING_PATIENCE: Duration = Duration::from_secs(30);

/// Who holds the store key of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Holder {
    /// The operating system's keyring, under this entry.
    Keyring {
        /// The entry, drawn at random.
        entry: String,
    },
    /// A passphrase in a person's head.
    Passphrase {
        /// 16 bytes in hex.
        salt: String,
        /// Argon2id's memory.
        memory_kib: u32,
        /// Argon2id's passes.
        passes: u32,
        /// Argon2id's lanes.
        lanes: u32,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keyring { .. } => f.write_str("the operating system's keyring"),
            Self::Passphrase { .. } => f.write_str("a passphrase"),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    format: u32,
    holder: Holder,
}

/// Why there is no store key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// There is nothing to open.
    #[error("there is no account on this device yet; start with `sotto register` or `sotto login`")]
    Missing,
    /// The file that says who holds the key cannot be read or understood.
    #[error(
        "{path} is damaged or unreadable: {what}. It holds no secret; restore it from a backup of the profile"
    )]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The keyring that was chosen does not answer.
    #[error(
        "the operating system's keyring holds the key of this profile and does not answer: {0}; unlock it or sign in to the desktop session, then try again"
    )]
    KeyringSilent(String),
    /// The keyring answers and has forgotten.
    #[error(
        "the operating system's keyring no longer holds the key of this profile; restore the keyring, or move the profile away and run `sotto recover` with your recovery words"
    )]
    KeyringForgot,
    /// A passphrase is needed and there is nobody to ask.
    #[error(
        "this profile is opened by a passphrase: set SOTTO_PASSPHRASE, name a file with --passphrase-file, or run in a terminal"
    )]
    PassphraseNeeded,
    /// The passphrase cannot be had.
    #[error("the passphrase cannot be read: {0}")]
    Passphrase(String),
}

/// Why a passphrase is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The profile is new: ask twice.
    New,
    /// The profile is there: ask once.
    Existing,
}

/// Where keys may be kept; the operating system's own, or a test's.
pub trait Keyring {
    /// The key of an entry; `None` where the keyring answers that it has none.
    ///
    /// # Errors
    /// If it does not answer.
    fn get(&self, entry: &str) -> Result<Option<StoreKey>, String>;
    /// Keeps a key.
    ///
    /// # Errors
    /// If it does not answer or refuses.
    fn set(&self, entry: &str, key: &StoreKey) -> Result<(), String>;
}

/// Chooses a holder for a new profile and gives its fresh key.
///
/// `passphrase` is asked only where no keyring answers, or when `prefer_passphrase` says that the person
/// brought one.
///
/// # Errors
/// If there is neither a keyring nor a passphrase, or the choice cannot be written down.
pub fn create(
    profile: &Profile,
    keyring: &impl Keyring,
    prefer_passphrase: bool,
    passphrase: impl FnOnce(Ask) -> Result<Zeroizing<String>, SecretError>,
) -> Result<(StoreKey, Holder), SecretError> {
    let kept = if prefer_passphrase { None } else { keep_in(keyring) };
    let (key, holder) = match kept {
        Some(kept) => kept,
        None => {
            let mut salt = [0_u8; 16];
            rand::rng().fill_bytes(&mut salt);
            let holder = Holder::Passphrase {
                salt: data_encoding::HEXLOWER.encode(&salt),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
            };
            (derive(&passphrase(Ask::New)?, &salt, MEMORY_KIB, PASSES, LANES)?, holder)
        }
    };
    let path = profile.key_path();
    let text = serde_json::to_vec_pretty(&KeyFile { format: 1, holder: holder.clone() })
        .expect("strings and numbers are always JSON");
    write_whole(&path, &text).map_err(|error| SecretError::KeyFile {
        path: path.display().to_string(),
        what: error.to_string(),
    })?;
    Ok((key, holder))
}

/// Asks the holder of an existing profile for its key.
///
/// # Errors
/// If the holder does not give it.
pub fn open(
    profile: &Profile,
    keyring: &impl Keyring,
    passphrase: impl FnOnce(Ask) -> Result<Zeroizing<String>, SecretError>,
) -> Result<(StoreKey, Holder), SecretError> {
    let holder = read_holder(profile)?;
    let key = match &holder {
        Holder::Keyring { entry } => {
            keyring.get(entry).map_err(SecretError::KeyringSilent)?.ok_or(SecretError::KeyringForgot)?
        }
        Holder::Passphrase { salt, memory_kib, passes, lanes } => {
            let bad = |what: &str| SecretError::KeyFile {
                path: profile.key_path().display().to_string(),
                what: what.to_owned(),
            };
            let salt = data_encoding::HEXLOWER_PERMISSIVE
                .decode(salt.as_bytes())
                .ok()
                .filter(|salt| salt.len() >= 16)
                .ok_or_else(|| bad("the salt is not 16 bytes in hex"))?;
            if *memory_kib > MEMORY_KIB_MAX || *passes > PASSES_MAX {
                return Err(bad("the cost of the passphrase is over what this program spends"));
            }
            derive(&passphrase(Ask::Existing)?, &salt, *memory_kib, *passes, *lanes)?
        }
    };
    Ok((key, holder))
}

/// Who holds the key of an existing profile.
///
/// # Errors
/// If nothing is there or it cannot be understood.
pub fn read_holder(profile: &Profile) -> Result<Holder, SecretError> {
    let path = profile.key_path();
    let bad = |what: String| SecretError::KeyFile { path: path.display().to_string(), what };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !profile.store_path().exists() => {
            return Err(SecretError::Missing);
        }
        Err(error) => return Err(bad(error.to_string())),
    };
    let file: KeyFile = serde_json::from_slice(&text).map_err(|error| bad(error.to_string()))?;
    if file.format != 1 {
        return Err(bad(format!("it has format {} and this program reads 1", file.format)));
    }
    Ok(file.holder)
}

/// A key kept by the keyring, if one answers and gives back what it was given.
fn keep_in(keyring: &impl Keyring) -> Option<(StoreKey, Holder)> {
    let mut name = [0_u8; 16];
    rand::rng().fill_bytes(&mut name);
    let entry = data_encoding::HEXLOWER.encode(&name);
    let key = StoreKey::random(&mut rand::rng());
    match keyring.set(&entry, &key).and_then(|()| keyring.get(&entry)) {
        Ok(Some(kept)) if kept == key => Some((key, Holder::Keyring { entry })),
        Ok(_) => {
            tracing::info!("the keyring does not give back what it is given; a passphrase is used");
            None
        }
        Err(what) => {
            tracing::info!(what, "no keyring answers; a passphrase is used");
            None
        }
    }
}

pub(crate) fn derive(
    passphrase: &str,
    salt: &[u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
) -> Result<StoreKey, SecretError> {
    if passphrase.is_empty() {
        return Err(SecretError::Passphrase("it is empty".to_owned()));
    }
    let failed = |error: argon2::Error| SecretError::Passphrase(error.to_string());
    let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(failed)?;
    let mut key = Zeroizing::new([0_u8; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(failed)?;
    Ok(StoreKey::new(key))
}

/// The operating system's keyring: Secret Service on Linux and BSD, Keychain, or Credential Manager.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemKeyring;

impl SystemKeyring {
    /// Asks on a thread of its own: the answer may wait for a person, and the library may block on an executor.
    fn ask<T: Send + 'static>(
        entry: &str,
        question: impl FnOnce(keyring::Entry) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let entry = entry.to_owned();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::Builder::new()
            .name("keyring".to_owned())
            .spawn(move || {
                let answer = keyring::Entry::new(KEYRING_SERVICE, &entry)
                    .map_err(|e| e.to_string())
                    .and_then(question);
                // Nobody listens any more when patience has ended.
                let _ = tell.send(answer);
            })
            .map_err(|error| error.to_string())?;
        told.recv_timeout(KEYRING_PATIENCE)
            .unwrap_or_else(|_| Err(format!("no answer within {} s", KEYRING_PATIENCE.as_secs())))
    }
}

impl Keyring for SystemKeyring {
    fn get(&self, entry: &str) -> Result<Option<StoreKey>, String> {
        Self::ask(entry, |entry| match entry.get_secret().map(Zeroizing::new) {
            Ok(secret) => match <[u8; 32]>::try_from(secret.as_slice()) {
                Ok(bytes) => Ok(Some(StoreKey::new(Zeroizing::new(bytes)))),
                Err(_) => Err("its entry is not a store key".to_owned()),
            },
            Err(keyring::Error::NoEntry) => Ok(None),
            Err(error) => Err(error.to_string()),
        })
    }

    fn set(&self, entry: &str, key: &StoreKey) -> Result<(), String> {
        let key = key.clone();
        Self::ask(entry, move |entry| entry.set_secret(key.as_bytes()).map_err(|error| error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Fake {
        silent: bool,
        kept: RefCell<HashMap<String, StoreKey>>,
    }

    impl Keyring for Fake {
        fn get(&self, entry: &str) -> Result<Option<StoreKey>, String> {
            if self.silent { Err("no bus".to_owned()) } else { Ok(self.kept.borrow().get(entry).cloned()) }
        }
        fn set(&self, entry: &str, key: &StoreKey) -> Result<(), String> {
            if self.silent {
                return Err("no bus".to_owned());
            }
            self.kept.borrow_mut().insert(entry.to_owned(), key.clone());
            Ok(())
        }
    }

    fn home() -> (tempfile::TempDir, Profile) {
        let folder = tempfile::tempdir().expect("a folder");
        let profile = Profile::new(folder.path(), "default").expect("a good name");
        std::fs::create_dir(profile.folder()).expect("a new folder");
        (folder, profile)
    }

    fn say(text: &'static str) -> impl Fn(Ask) -> Result<Zeroizing<String>, SecretError> {
        move |_| Ok(Zeroizing::new(text.to_owned()))
    }

    fn nobody(_: Ask) -> Result<Zeroizing<String>, SecretError> {
        Err(SecretError::PassphraseNeeded)
    }

    #[test]
    fn a_keyring_that_answers_is_used_and_nobody_is_asked() {
        let (_folder, profile) = home();
        let keyring = Fake::default();
        let (key, holder) = create(&profile, &keyring, false, nobody).expect("the keyring answers");
        assert!(matches!(holder, Holder::Keyring { .. }));
        let (again, _) = open(&profile, &keyring, nobody).expect("the keyring still answers");
        assert!(key == again);
    }

    #[test]
    fn without_a_keyring_a_passphrase_makes_the_key() {
        let (_folder, profile) = home();
        let keyring = Fake { silent: true, ..Fake::default() };
        assert!(matches!(create(&profile, &keyring, false, nobody), Err(SecretError::PassphraseNeeded)));
        let (key, holder) = create(&profile, &keyring, false, say("correct horse")).expect("a passphrase");
        assert_eq!(holder.to_string(), "a passphrase");
        let (same, _) = open(&profile, &keyring, say("correct horse")).expect("a passphrase");
        assert!(key == same);
        let (other, _) = open(&profile, &keyring, say("correct hose")).expect("a passphrase");
        assert!(key != other);
    }

    #[test]
    fn a_passphrase_that_was_brought_wins_over_the_keyring() {
        let (_folder, profile) = home();
        let (_, holder) =
            create(&profile, &Fake::default(), true, say("brought along")).expect("a passphrase");
        assert!(matches!(holder, Holder::Passphrase { .. }));
    }

    #[test]
    fn the_key_file_holds_neither_key_nor_passphrase() {
        let (_folder, profile) = home();
        let (key, _) = create(&profile, &Fake::default(), true, say("correct horse")).expect("a passphrase");
        let text = std::fs::read_to_string(profile.key_path()).expect("readable");
        assert!(!text.contains("horse"));
        assert!(!text.contains(&data_encoding::HEXLOWER.encode(key.as_bytes())));
    }

    #[test]
    fn a_keyring_that_forgot_or_is_silent_is_told_apart() {
        let (_folder, profile) = home();
        create(&profile, &Fake::default(), false, nobody).expect("the keyring answers");
        assert!(matches!(open(&profile, &Fake::default(), nobody), Err(SecretError::KeyringForgot)));
        let silent = Fake { silent: true, ..Fake::default() };
        assert!(matches!(open(&profile, &silent, nobody), Err(SecretError::KeyringSilent(_))));
    }

    #[test]
    fn a_damaged_key_file_is_named_and_not_replaced() {
        let (_folder, profile) = home();
        assert!(matches!(open(&profile, &Fake::default(), nobody), Err(SecretError::Missing)));
        for damage in [
            "",
            "{",
            r#"{"format":2,"holder":{"keyring":{"entry":"x"}}}"#,
            r#"{"format":1,"holder":{"passphrase":{"salt":"00","memory_kib":8,"passes":1,"lanes":1}}}"#,
            r#"{"format":1,"holder":{"passphrase":{"salt":"00112233445566778899aabbccddeeff","memory_kib":4000000000,"passes":1,"lanes":1}}}"#,
        ] {
            std::fs::write(profile.key_path(), damage).expect("writable");
            assert!(
                matches!(open(&profile, &Fake::default(), say("x")), Err(SecretError::KeyFile { .. })),
                "{damage}"
            );
            assert_eq!(std::fs::read_to_string(profile.key_path()).expect("readable"), damage);
        }
    }

    #[test]
    fn a_system_without_a_keyring_gives_an_answer_and_does_not_hang() {
        // Whatever this machine has: an answer, within the patience.
        let _ = SystemKeyring.get("an entry that no keyring has");
    }
}
