//! What the engine counts. Plain atomics, written by few threads, read by whoever exports them.

use sotto_protocol::error::ErrorCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that others may read at any time.
#[derive(Debug, Default)]
pub struct Number(AtomicU64);

impl Number {
    /// Its value now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// A histogram with one bucket for each power of two, from 1 up; cheap enough for the committer.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Number; Self::BUCKETS],
    sum: Number,
    count: Number,
}

impl Histogram {
    /// How many buckets; the last one takes everything above.
    pub const BUCKETS: usize = 32;

    pub(crate) fn record(&self, value: u64) {
        let bucket = (u64::BITS - value.saturating_sub(1).leading_zeros()) as usize;
        if let Some(bucket) = self.buckets.get(bucket.min(Self::BUCKETS - 1)) {
            bucket.add(1);
        }
        self.sum.add(value);
        self.count.add(1);
    }

    /// Pairs of an upper bound (inclusive) and how many values were at most that (cumulative), as Prometheus has it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.buckets.iter().enumerate().scan(0u64, |total, (power, bucket)| {
            *total = total.saturating_add(bucket.get());
            Some((1u64 << power, *total))
        })
    }

    /// The sum of all values.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.get()
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.get()
    }
}

/// Everything the engine counts, since it was opened. Each field is a metric; the comment is its meaning.
#[derive(Debug, Default)]
pub struct EngineMetrics {
    /// Application messages made durable.
    pub messages: Number,
    /// Commits accepted.
    pub commits: Number,
    /// Bytes of messages and archive copies made durable.
    pub message_bytes: Number,
    /// Batches written: each is one flush and one fsync for all that arrived meanwhile.
    pub batches: Number,
    /// Entries in one batch.
    pub batch_entries: Histogram,
    /// Microseconds from the start of writing a batch until its fsync returned.
    pub batch_write_us: Histogram,
    /// Microseconds of the fsync alone.
    pub fsync_us: Histogram,
    /// Microseconds the committer has spent deciding, encoding and fanning out.
    pub busy_us: Number,
    /// Microseconds the committer has spent writing batches and waiting for their fsync.
    pub writing_us: Number,
    /// Microseconds the committer has waited for work.
    pub idle_us: Number,
    /// Checkpoints written.
    pub checkpoints: Number,
    /// Microseconds of one checkpoint.
    pub checkpoint_us: Histogram,
    /// Runs of entries pushed to followers.
    pub pushes: Number,
    /// Conversations that stopped being pushed to a receiver because its queue was full.
    pub behind: Number,
    /// Ephemerals routed to a receiver.
    pub ephemerals: Number,
    /// Ephemerals dropped because a receiver's queue was over half.
    pub ephemerals_dropped: Number,
    /// Fetches answered.
    pub fetches: Number,
    /// Microseconds of one fetch.
    pub fetch_us: Histogram,
    /// Microseconds to verify one commit.
    pub verify_us: Histogram,
    /// Appends answered again because their number was taken already.
    pub repeats: Number,
    /// Sessions attached now.
    pub sessions: Number,
    /// Conversations known.
    pub conversations: Number,
    /// Bytes of entries kept, before the store's own overhead.
    pub stored_bytes: Number,
    /// Free bytes on the disk of the data folder when last looked at.
    pub disk_free_bytes: Number,
    /// 1 while appends are refused because the disk is full.
    pub storage_full: Number,
    refusals: [Number; ErrorCode::ALL.len()],
}

impl EngineMetrics {
    pub(crate) fn refused(&self, code: ErrorCode) {
        let place = ErrorCode::ALL.iter().position(|known| *known == code);
        if let Some(number) = place.and_then(|place| self.refusals.get(place)) {
            number.add(1);
        }
    }

    /// Requests refused, by code.
    pub fn refusals(&self) -> impl Iterator<Item = (ErrorCode, u64)> + '_ {
        ErrorCode::ALL.iter().copied().zip(self.refusals.iter().map(Number::get))
    }
}

pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_bucket_that_bounds_it() {
        let histogram = Histogram::default();
        for value in [0, 1, 2, 3, 4, 5, u64::MAX] {
            histogram.record(value);
        }
        let counts: Vec<_> = histogram.cumulative().collect();
        assert_eq!(counts[..4], [(1, 2), (2, 3), (4, 5), (8, 6)]);
        assert_eq!(counts.last(), Some(&(1 << 31, 7)));
    }
}
