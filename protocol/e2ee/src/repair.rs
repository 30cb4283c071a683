//! What to do about an envelope that cannot be read, and counters of it.
//!
//! The order of repair: an archive copy whose key is at hand; else its sender, or another device of the own account,
//! is asked to send it again; else the device joins again by an external commit, which all members see, and reads
//! the archive. A commit that does not apply, and damaged state, go to the rejoin at once: nothing later could be read.

use crate::conversation::Reason;
use crate::store::{Scan, StoreError, Transaction, prefix};
use sotto_protocol::ordered::one_by_one;
use std::collections::BTreeMap;

/// How an envelope was made readable after all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repair {
    /// Its archive copy was read.
    Archive,
    /// It was sent again.
    Resent,
    /// The device joined the conversation again.
    Rejoined,
}

/// What is known about an envelope that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// Why it could not be read.
    pub reason: Reason,
    /// Whether there may be an archive copy that was not tried yet, and its key is at hand.
    pub archive: Source,
    /// Whether somebody was asked to send it again.
    pub resend: Source,
    /// Whether this device joined again since.
    pub rejoined: bool,
}

/// How far one source of repair was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It is there and was not tried.
    Untried,
    /// It was asked; the answer is not there.
    Asked,
    /// It was tried in vain, or cannot help here.
    Exhausted,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is missing: it was a repeat, or came from nobody who may speak.
    Ignore,
    /// Read the archive copy.
    ReadArchive,
    /// Ask for it again.
    AskResend,
    /// Wait for an answer.
    Wait,
    /// Join the conversation again by an external commit.
    Rejoin,
    /// Show that something is missing here.
    GiveUp,
}

/// The next step for an envelope that could not be read.
#[must_use]
pub fn next_step(situation: &Situation) -> Step {
    match situation.reason {
        // Whoever altered or moved these did not take anything away: the real one stands elsewhere, or never was.
        Reason::Replayed | Reason::NotMember | Reason::LeaveForged => return Step::Ignore,
        Reason::CommitInvalid | Reason::ForgedCertificate if !situation.rejoined => return Step::Rejoin,
        Reason::CommitInvalid | Reason::ForgedCertificate => return Step::GiveUp,
        _ => {}
    }
    match (situation.archive, situation.resend) {
        (Source::Untried, _) => Step::ReadArchive,
        (Source::Asked, _) => Step::Wait,
        (Source::Exhausted, Source::Untried) => Step::AskResend,
        (Source::Exhausted, Source::Asked) => Step::Wait,
        // Only a state of ours that lost its keys is mended by joining again.
        (Source::Exhausted, Source::Exhausted)
            if situation.reason == Reason::KeyGone && !situation.rejoined =>
        {
            Step::Rejoin
        }
        (Source::Exhausted, Source::Exhausted) => Step::GiveUp,
    }
}

/// Failures by reason and repairs by kind, since the store began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// By the name of the [`Reason`].
    pub failures: BTreeMap<String, u64>,
    /// By the name of the [`Repair`].
    pub repairs: BTreeMap<String, u64>,
}

const FAILURE: u8 = b'f';
const REPAIR: u8 = b'r';

/// Counts an envelope that could not be read.
///
/// # Errors
/// If the store fails.
pub fn count_failure(tx: &Transaction<'_>, reason: Reason) -> Result<(), StoreError> {
    count(tx, FAILURE, &format!("{reason:?}"))
}

/// Counts an envelope, or a conversation, that was repaired.
///
/// # Errors
/// If the store fails.
pub fn count_repair(tx: &Transaction<'_>, repair: Repair) -> Result<(), StoreError> {
    count(tx, REPAIR, &format!("{repair:?}"))
}

fn count(tx: &Transaction<'_>, kind: u8, name: &str) -> Result<(), StoreError> {
    let key = [&[prefix::COUNTER, kind], name.as_bytes()].concat();
    let value = tx.get(&key)?.and_then(|value| read(&value)).unwrap_or(0);
    tx.put(key, value.saturating_add(1).to_be_bytes());
    Ok(())
}

fn read(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// All counters that are not zero.
///
/// # Errors
/// If the store fails.
pub fn counters(tx: &Transaction<'_>) -> Result<Counters, StoreError> {
    let list = |kind| -> Result<_, StoreError> {
        let rows = tx.scan(&Scan::prefix([prefix::COUNTER, kind]))?;
        let named = |key: &[u8]| String::from_utf8_lossy(key.get(2..).unwrap_or_default()).into_owned();
        Ok(one_by_one(rows.iter().filter_map(|row| Some((named(&row.key), read(&row.value)?)))))
    };
    Ok(Counters { failures: list(FAILURE)?, repairs: list(REPAIR)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    /// P-038.
    #[test]
    fn each_envelope_is_repaired_in_order_and_never_for_ever() {
        use Source::{Asked, Exhausted, Untried};
        for (reason, archive, resend, rejoined, step) in [
            (Reason::Altered, Untried, Untried, false, Step::ReadArchive),
            (Reason::Altered, Asked, Untried, false, Step::Wait),
            (Reason::Altered, Exhausted, Untried, false, Step::AskResend),
            (Reason::Altered, Exhausted, Asked, false, Step::Wait),
            (Reason::Altered, Exhausted, Exhausted, false, Step::GiveUp),
            (Reason::KeyGone, Exhausted, Exhausted, false, Step::Rejoin),
            (Reason::KeyGone, Exhausted, Exhausted, true, Step::GiveUp),
            (Reason::CommitInvalid, Untried, Untried, false, Step::Rejoin),
            (Reason::CommitInvalid, Untried, Untried, true, Step::GiveUp),
            (Reason::Replayed, Untried, Untried, false, Step::Ignore),
            (Reason::NotMember, Untried, Untried, false, Step::Ignore),
        ] {
            let situation = Situation { reason, archive, resend, rejoined };
            assert_eq!(next_step(&situation), step, "{situation:?}");
        }
    }

    #[test]
    fn failures_and_repairs_are_counted_by_name() {
        let store = MemoryStore::new();
        let tx = Transaction::new(&store);
        assert_eq!(counters(&tx).expect("memory"), Counters::default());
        for _ in 0..3 {
            count_failure(&tx, Reason::Altered).expect("memory");
        }
        count_repair(&tx, Repair::Archive).expect("memory");
        let counters = counters(&tx).expect("memory");
        assert_eq!(counters.failures, BTreeMap::from([("Altered".to_owned(), 3)]));
        assert_eq!(counters.repairs, BTreeMap::from([("Archive".to_owned(), 1)]));
    }
}
