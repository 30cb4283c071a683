//! What becomes of a push when its receiver is slow.
//!
//! A receiver has one bounded queue. Entries that do not fit are not lost, because they are in the log: the
//! conversation stops being pushed, one [`Behind`](sotto_protocol::body::push::Behind) says so, and the
//! receiver fetches from its cursor. Ephemerals that come late are worth nothing: they are dropped first.

/// How full one receiver's queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    /// What waits in it.
    pub queued_bytes: usize,
    /// What it may hold.
    pub limit_bytes: usize,
}

/// What to do with a run of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Queue it.
    Deliver,
    /// Queue a `Behind` instead, and stop pushing the conversation to this receiver.
    FallBehind,
}

impl Lane {
    /// Decides about a run of entries of so many bytes. An empty queue takes a run of any size, because a
    /// single entry may be larger than the limit is in tests and later versions.
    #[must_use]
    pub const fn entries(self, bytes: usize) -> Push {
        if self.queued_bytes == 0 || self.queued_bytes.saturating_add(bytes) <= self.limit_bytes {
            Push::Deliver
        } else {
            Push::FallBehind
        }
    }

    /// Whether an ephemeral of so many bytes is queued; otherwise it is dropped.
    #[must_use]
    pub const fn takes_ephemeral(self, bytes: usize) -> bool {
        self.queued_bytes.saturating_add(bytes) <= self.limit_bytes / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lane(queued_bytes: usize) -> Lane {
        Lane { queued_bytes, limit_bytes: 100 }
    }

    /// P-027.
    #[test]
    fn a_full_queue_falls_behind_and_an_empty_one_takes_anything() {
        assert_eq!(lane(60).entries(40), Push::Deliver);
        assert_eq!(lane(60).entries(41), Push::FallBehind);
        assert_eq!(lane(0).entries(1_000), Push::Deliver);
        assert_eq!(lane(1).entries(usize::MAX), Push::FallBehind);
    }

    #[test]
    fn ephemerals_stop_at_half() {
        assert!(lane(40).takes_ephemeral(10));
        assert!(!lane(41).takes_ephemeral(10));
    }
}
