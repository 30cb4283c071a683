//! Texts that disappear: when, and what is due.
//!
//! A text says itself after how many seconds it disappears; it got the number from the conversation's timer when it was
//! sent. They count from the relay's time of it, which is the same for every device, but never from later than this
//! device received it, so that a relay which names a time to come cannot keep a text alive. Being read plays no part: a
//! device that was away for longer than the timer never shows the text.
//!
//! What is due is found by one row for each text that disappears, in the order of the times. It is looked for when a
//! client is opened and whenever [`Client::poll_timeout`](crate::client::Client::poll_timeout) says so, with or
//! without a connection.

use crate::rows;
use sotto_e2ee::store::{Scan, StoreError, Transaction};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};

/// Shorter than a person takes to read a line.
pub const TIMER_SECONDS_MIN: u32 = 5;

/// A year. What is to be gone later is better deleted by hand.
pub const TIMER_SECONDS_MAX: u32 = 366 * 24 * 3600;

/// Texts that are erased in one commit, each with a handful of rows.
pub(crate) const EXPIRED_AT_ONCE: usize = 256;

const EXPIRY: u8 = 0x53;

/// The end of a text that came at `time`, by the relay, and is read at `now`.
pub(crate) fn end(time: UnixMillis, now: UnixMillis, seconds: u32) -> UnixMillis {
    // Who names a longer time than there is gets the longest.
    let seconds = u64::from(seconds.min(TIMER_SECONDS_MAX));
    UnixMillis(time.min(now).0.saturating_add(seconds.saturating_mul(1_000)))
}

/// The seconds from `now` until an end, rounded up.
pub(crate) fn seconds_left(end: UnixMillis, now: UnixMillis) -> u32 {
    let seconds = end.0.saturating_sub(now.0).div_ceil(1_000);
    u32::try_from(seconds).unwrap_or(TIMER_SECONDS_MAX).min(TIMER_SECONDS_MAX)
}

/// Something ends at a time.
pub(crate) fn watch(tx: &Transaction<'_>, at: UnixMillis, conversation: ConversationId, target: Sequence) {
    let mut key = vec![EXPIRY];
    key.extend_from_slice(&at.0.to_be_bytes());
    key.extend_from_slice(conversation.as_bytes());
    key.extend_from_slice(&target.0.to_be_bytes());
    tx.put(key, Vec::new());
}

/// When the next thing ends.
pub(crate) fn next(tx: &Transaction<'_>) -> Result<Option<UnixMillis>, StoreError> {
    let first = tx.scan(&Scan::prefix([EXPIRY]).limit(1))?;
    first.first().map(|row| time_of(&row.key)).transpose()
}

/// Takes what has ended from the list, at most [`EXPIRED_AT_ONCE`].
pub(crate) fn take_due(
    tx: &Transaction<'_>,
    now: UnixMillis,
) -> Result<Vec<(ConversationId, Sequence)>, StoreError> {
    let mut due = Vec::new();
    for row in tx.scan(&Scan::prefix([EXPIRY]).limit(EXPIRED_AT_ONCE))? {
        if time_of(&row.key)? > now {
            break;
        }
        let conversation = row.key.get(9..25).and_then(|id| id.try_into().ok()).map(ConversationId);
        let conversation = conversation.ok_or_else(|| rows::damaged("a key is too short"))?;
        due.push((conversation, Sequence(rows::number_of(&row.key)?)));
        tx.delete(row.key);
    }
    Ok(due)
}

fn time_of(key: &[u8]) -> Result<UnixMillis, StoreError> {
    let time = key.get(1..9).map(rows::number_of).transpose()?;
    time.map(UnixMillis).ok_or_else(|| rows::damaged("a key is too short"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_e2ee::store::{MemoryStore, Store as _};

    const HERE: ConversationId = ConversationId([7; 16]);

    #[test]
    fn a_text_ends_by_the_relays_time_and_never_later_than_by_its_coming() {
        let (sent, now) = (UnixMillis(1_000_000), UnixMillis(1_060_000));
        assert_eq!(end(sent, now, 30), UnixMillis(1_030_000), "it was over before it came");
        assert_eq!(
            end(UnixMillis(u64::MAX), now, 30),
            UnixMillis(1_090_000),
            "a relay that lies about the time"
        );
        assert_eq!(end(sent, now, u32::MAX), end(sent, now, TIMER_SECONDS_MAX));
        assert_eq!(seconds_left(UnixMillis(1_090_000), now), 30);
        assert_eq!(seconds_left(sent, now), 0);
    }

    #[test]
    fn what_is_due_comes_in_the_order_of_the_times_and_once() {
        let mut store = MemoryStore::new();
        let tx = Transaction::new(&store);
        for (at, target) in [(300, 1), (100, 2), (200, 3)] {
            watch(&tx, UnixMillis(at), HERE, Sequence(target));
        }
        let batch = tx.into_batch();
        store.commit(batch).expect("memory");
        let tx = Transaction::new(&store);
        assert_eq!(next(&tx), Ok(Some(UnixMillis(100))));
        assert_eq!(take_due(&tx, UnixMillis(200)), Ok(vec![(HERE, Sequence(2)), (HERE, Sequence(3))]));
        assert_eq!(next(&tx), Ok(Some(UnixMillis(300))));
        assert_eq!(take_due(&tx, UnixMillis(200)), Ok(vec![]));
    }
}
