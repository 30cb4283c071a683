//! The certificates that browsers take by their hash alone (`serverCertificateHashes`): ECDSA P-256, valid for less than 14
//! days. The relay makes them itself and changes them in time, so a self-signed relay works in a browser.
//!
//! ```text
//! day 0: A is made    6: B is made, both are published    9: B is served, A is forgotten    15: C is made ...
//! ```
//! So whoever asked for the hashes (`/api/v1/about`) can use the answer for three days at least, whenever it was.

use crate::folder::{DataFolder, FolderError};
use crate::tls::{self, Shown, TlsError};
use rustls::sign::CertifiedKey;
use sotto_protocol::ids::UnixMillis;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// The one that is served, with its key.
const SERVED_FILE: &str = "webtransport.pem";
/// The one that will be.
const NEXT_FILE: &str = "webtransport-next.pem";

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Before it is made, for clocks that are slow.
const BACKDATED: Duration = DAY;
/// After it is made. With the day before: less than the 14 days that browsers allow.
const LASTS: Duration = Duration::from_secs(12 * 24 * 3600);
/// Its successor is made at this age,
const NEXT_AFTER: Duration = Duration::from_secs(6 * 24 * 3600);
/// and takes over at this one.
const SWITCH_AFTER: Duration = Duration::from_secs(9 * 24 * 3600);

/// The certificates of this relay for browsers.
#[derive(Debug)]
pub struct ShortLived {
    names: Vec<String>,
    held: RwLock<Held>,
}

#[derive(Debug, Clone)]
struct Held {
    served: Short,
    next: Option<Short>,
}

#[derive(Debug, Clone)]
struct Short {
    shown: Shown,
    made: UnixMillis,
}

/// What is to be done about the certificate that is served.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    MakeNext,
    Switch,
    /// It has ended, or bears a date in the future: a relay that slept, or whose clock was wrong.
    Replace,
}

fn due(made: UnixMillis, has_next: bool, now: UnixMillis) -> Due {
    let is_valid = now.0 >= made.0.saturating_sub(millis(BACKDATED));
    let age = now.0.saturating_sub(made.0);
    if !is_valid || age >= millis(LASTS) {
        Due::Replace
    } else if age >= millis(SWITCH_AFTER) && has_next {
        Due::Switch
    } else if age >= millis(NEXT_AFTER) && !has_next {
        Due::MakeNext
    } else {
        Due::Nothing
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl ShortLived {
    /// The certificates of a data folder, as they are to be now.
    ///
    /// # Errors
    /// If one cannot be made or kept.
    pub fn load(folder: &DataFolder, names: Vec<String>, now: UnixMillis) -> Result<Self, TlsError> {
        let served = match read(folder, SERVED_FILE) {
            Some(served) => served,
            None => make(folder, SERVED_FILE, &names, now)?,
        };
        // The same one twice: the relay was killed while they changed places.
        let next = read(folder, NEXT_FILE).filter(|next| next.shown.fingerprint != served.shown.fingerprint);
        let held = RwLock::new(Held { served, next });
        let loaded = Self { names, held };
        loaded.keep(folder, now)?;
        Ok(loaded)
    }

    /// Makes the next one, or lets it take over, when it is time to. To be called every hour or so.
    ///
    /// # Errors
    /// If a certificate cannot be made or kept; the one before goes on being served.
    pub fn keep(&self, folder: &DataFolder, now: UnixMillis) -> Result<(), TlsError> {
        let Held { served, next } = self.held();
        let (served, next) = match (due(served.made, next.is_some(), now), next) {
            (Due::Nothing, _) => return Ok(()),
            (Due::MakeNext, _) => (served, Some(make(folder, NEXT_FILE, &self.names, now)?)),
            (Due::Switch, Some(next)) => (promote(folder, next)?, None),
            (Due::Replace, Some(next)) if due(next.made, false, now) != Due::Replace => {
                (promote(folder, next)?, None)
            }
            (Due::Switch | Due::Replace, _) => {
                folder.remove(NEXT_FILE);
                (make(folder, SERVED_FILE, &self.names, now)?, None)
            }
        };
        tracing::info!(served = %served.shown.fingerprint, has_next = next.is_some(), "certificates for browsers changed");
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { served, next };
        Ok(())
    }

    /// What a browser is shown.
    pub(crate) fn served(&self) -> Arc<CertifiedKey> {
        self.held().served.shown.key
    }

    /// The SHA-256 of the certificate that is served, and of the next one if it is made already.
    #[must_use]
    pub fn hashes(&self) -> Vec<[u8; 32]> {
        let Held { served, next } = self.held();
        std::iter::once(served).chain(next).map(|short| short.shown.fingerprint.0).collect()
    }

    fn held(&self) -> Held {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The next one takes the place of the one that is served.
fn promote(folder: &DataFolder, next: Short) -> Result<Short, FolderError> {
    if let Some(pem) = folder.read(NEXT_FILE)?.map(Zeroizing::new) {
        folder.write(SERVED_FILE, pem.as_bytes())?;
    }
    folder.remove(NEXT_FILE);
    Ok(next)
}

/// Reads one; `None` if there is none, or it is damaged: a new one does as well.
fn read(folder: &DataFolder, name: &str) -> Option<Short> {
    let file = folder.join(name);
    if !file.exists() {
        return None;
    }
    let shown = match tls::read_one_file(&file) {
        Ok(shown) => shown,
        Err(error) => {
            tracing::warn!(%error, "a new certificate for browsers is made");
            return None;
        }
    };
    let (_, parsed) = x509_parser::parse_x509_certificate(shown.key.cert.first()?).ok()?;
    let begins = u64::try_from(parsed.validity().not_before.timestamp()).ok()?;
    let made = begins.saturating_add(BACKDATED.as_secs()).saturating_mul(1000);
    Some(Short { shown, made: UnixMillis(made) })
}

fn make(folder: &DataFolder, name: &str, names: &[String], now: UnixMillis) -> Result<Short, TlsError> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.0).saturating_mul(1_000_000))
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (chain, key) = tls::generate(names.to_vec(), at - BACKDATED, at + LASTS)?;
    let key = Zeroizing::new(key);
    let both = Zeroizing::new(chain + key.as_str());
    folder.write(name, both.as_bytes())?;
    Ok(Short { shown: tls::read_one_file(&folder.join(name))?, made: now })
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::oid_registry::OID_SIG_ECDSA_WITH_SHA256;

    const START: u64 = 1_800_000_000_000;

    fn day(days: u64) -> UnixMillis {
        UnixMillis(START + days * millis(DAY))
    }

    fn load(home: &std::path::Path, at: UnixMillis) -> ShortLived {
        let folder = DataFolder::open(home).unwrap();
        ShortLived::load(&folder, vec!["localhost".to_owned()], at).unwrap()
    }

    #[test]
    fn whoever_asked_for_the_hashes_can_use_them_for_three_days_whenever_it_was() {
        let home = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(home.path()).unwrap();
        let kept = ShortLived::load(&folder, vec!["localhost".to_owned()], day(0)).unwrap();
        let mut published = Vec::new();
        let mut changes = 0;
        for today in 0..60 {
            kept.keep(&folder, day(today)).unwrap();
            let hashes = kept.hashes();
            let served = tls::sha256(kept.served().cert.first().unwrap());
            assert_eq!(hashes.first(), Some(&served));
            assert!(hashes.len() <= 2);
            published.push(hashes);
            let three_days_ago = usize::try_from(today).unwrap().saturating_sub(3);
            assert!(published[three_days_ago].contains(&served), "day {today}");
            let certificate = kept.served().cert.first().unwrap().clone();
            let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).unwrap();
            let validity = parsed.validity();
            let lasts = validity.not_after.timestamp() - validity.not_before.timestamp();
            assert!(lasts <= 14 * 24 * 3600, "browsers refuse {lasts} s");
            let now = i64::try_from(day(today).0 / 1000).unwrap();
            assert!(
                (validity.not_before.timestamp()..validity.not_after.timestamp()).contains(&now),
                "day {today}"
            );
            assert_eq!(parsed.signature_algorithm.algorithm, OID_SIG_ECDSA_WITH_SHA256);
            changes += usize::from(published.len() > 1 && !published[published.len() - 2].contains(&served));
        }
        assert_eq!(changes, 0, "one is published before it is served");
        assert_ne!(published[0][0], published[59][0]);
    }

    #[test]
    fn a_restart_changes_nothing_and_a_long_sleep_or_a_wrong_clock_makes_a_new_one() {
        let home = tempfile::tempdir().unwrap();
        let at_first = load(home.path(), day(0)).hashes();
        assert_eq!(load(home.path(), day(1)).hashes(), at_first);
        let with_next = load(home.path(), day(7)).hashes();
        assert_eq!((with_next.len(), with_next[0]), (2, at_first[0]));
        assert_eq!(load(home.path(), day(10)).hashes(), [with_next[1]], "the next one has taken over");
        assert_eq!(load(home.path(), day(10)).hashes(), [with_next[1]], "and stays");
        let after_sleep = load(home.path(), day(100)).hashes();
        assert!(!with_next.contains(&after_sleep[0]));
        assert_ne!(load(home.path(), day(20)).hashes(), after_sleep, "it is of the future");
        std::fs::write(home.path().join(SERVED_FILE), "half a fi").unwrap();
        assert_eq!(load(home.path(), day(20)).hashes().len(), 1, "a damaged one is replaced");
    }

    #[test]
    fn each_age_has_what_is_due() {
        for (age, has_next, expected) in [
            (0, false, Due::Nothing),
            (5, false, Due::Nothing),
            (6, false, Due::MakeNext),
            (6, true, Due::Nothing),
            (9, true, Due::Switch),
            (9, false, Due::MakeNext),
            (12, true, Due::Replace),
        ] {
            assert_eq!(due(day(0), has_next, day(age)), expected, "{age} days, {has_next}");
        }
        assert_eq!(due(day(2), false, day(0)), Due::Replace);
        assert_eq!(due(day(1), false, day(0)), Due::Nothing, "valid already");
    }
}
