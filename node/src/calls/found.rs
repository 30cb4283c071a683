//! Candidates of this device on their way out: those that are found within a moment go out together.

use sotto_node_core::calls::{CANDIDATES_PER_SIGNAL_MAX, Candidate};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// How long one waits for others.
const GATHER: Duration = Duration::from_millis(40);

/// Candidates that wait for others, and until when.
#[derive(Default)]
pub(crate) struct Found {
    list: Vec<Candidate>,
    until: Option<Instant>,
}

impl Found {
    /// Adds one that is found now; true if no other has room beside it, so that all go out at once.
    #[must_use]
    pub(crate) fn add(&mut self, candidate: Candidate, now: Instant) -> bool {
        self.list.push(candidate);
        self.until.get_or_insert(now + GATHER);
        self.list.len() >= CANDIDATES_PER_SIGNAL_MAX
    }

    /// When those that wait are to go out.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Those that go out now; `None` if nothing waits.
    pub(crate) fn take(&mut self) -> Option<Vec<Candidate>> {
        self.until = None;
        Some(std::mem::take(&mut self.list)).filter(|list| !list.is_empty())
    }
}

/// Waits until then; for ever without a time.
pub(crate) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(number: usize) -> Candidate {
        Candidate { line: format!("candidate:{number}"), mid: None, section: Some(0) }
    }

    #[test]
    fn candidates_wait_for_others_since_the_first_of_them_was_found_and_go_out_together() {
        let (mut found, start) = (Found::default(), Instant::now());
        assert_eq!((found.until(), found.take()), (None, None));
        assert!(!found.add(candidate(0), start));
        assert!(!found.add(candidate(1), start + GATHER / 2));
        assert_eq!(found.until(), Some(start + GATHER));
        assert_eq!(found.take(), Some(vec![candidate(0), candidate(1)]));
        assert_eq!((found.until(), found.take()), (None, None));
        // One that is found later waits from then on.
        assert!(!found.add(candidate(2), start + 3 * GATHER));
        assert_eq!(found.until(), Some(start + 4 * GATHER));
    }

    #[test]
    fn as_many_as_one_signal_holds_wait_for_nothing() {
        let (mut found, now) = (Found::default(), Instant::now());
        for round in 0..2 {
            let full = (0..CANDIDATES_PER_SIGNAL_MAX).map(|one| found.add(candidate(one), now));
            let full: Vec<bool> = full.collect();
            assert_eq!(full.iter().position(|full| *full), Some(CANDIDATES_PER_SIGNAL_MAX - 1), "{round}");
            assert_eq!(found.take().map(|list| list.len()), Some(CANDIDATES_PER_SIGNAL_MAX));
        }
    }
}
