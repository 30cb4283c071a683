//! How much of TURN one account may use: allocations at a time, bytes a second, bytes a day. 0 means no limit.
//!
//! Bytes are those that are relayed, in both directions. What is over the rate is dropped, as a full link would drop it: who
//! sends media or files over it notices and slows down. Who used up the day gets no new allocation and no refresh.

use sotto_protocol::ids::UnixMillis;

/// The limits of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Allocations at a time.
    pub allocations: u32,
    /// Bytes each second, on average.
    pub bytes_per_second: u64,
    /// Bytes each day (UTC).
    pub bytes_per_day: u64,
}

/// Seconds of the rate that may be saved up: a key frame, or a window of a file.
const BURST_SECONDS: u64 = 2;

const DAY_MS: u64 = 24 * 3600 * 1000;

/// Why an allocation is not given, or not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuotaReached {
    /// It has as many as it may.
    #[error("this account has all allocations that it may have")]
    Allocations,
    /// It has used up its day.
    #[error("this account has relayed all that it may on one day")]
    Day,
}

/// Why bytes are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverQuota {
    /// Too many in this second.
    Rate,
    /// Too many on this day.
    Day,
}

/// What an account uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    allocations: u32,
    /// Thousandths of a byte that may go at once.
    saved: u64,
    at: UnixMillis,
    day: u64,
    today: u64,
}

impl Usage {
    /// Of an account that used nothing so far.
    #[must_use]
    pub const fn new(limits: &Limits, now: UnixMillis) -> Self {
        Self { allocations: 0, saved: capacity(limits), at: now, day: now.0 / DAY_MS, today: 0 }
    }

    /// One more allocation.
    ///
    /// # Errors
    /// If it may not have one.
    pub const fn allocate(&mut self, limits: &Limits, now: UnixMillis) -> Result<(), QuotaReached> {
        if limits.allocations > 0 && self.allocations >= limits.allocations {
            return Err(QuotaReached::Allocations);
        }
        if let Err(reached) = self.may_keep(limits, now) {
            return Err(reached);
        }
        self.allocations += 1;
        Ok(())
    }

    /// Whether an allocation may be refreshed.
    ///
    /// # Errors
    /// If its account used up the day.
    pub const fn may_keep(&mut self, limits: &Limits, now: UnixMillis) -> Result<(), QuotaReached> {
        self.turn_page(now);
        if limits.bytes_per_day > 0 && self.today >= limits.bytes_per_day {
            return Err(QuotaReached::Day);
        }
        Ok(())
    }

    /// One allocation less.
    pub const fn release(&mut self) {
        self.allocations = self.allocations.saturating_sub(1);
    }

    /// Bytes that are to be relayed.
    ///
    /// # Errors
    /// If they are to be dropped; they do not count then.
    pub fn take(&mut self, limits: &Limits, bytes: usize, now: UnixMillis) -> Result<(), OverQuota> {
        let bytes = bytes as u64;
        self.turn_page(now);
        let today = self.today.saturating_add(bytes);
        if limits.bytes_per_day > 0 && today > limits.bytes_per_day {
            // Used up, though a shorter packet might fit: it is over when it is over.
            self.today = limits.bytes_per_day;
            return Err(OverQuota::Day);
        }
        if limits.bytes_per_second > 0 {
            // A clock that goes backwards refills nothing; it never takes away.
            let passed = now.0.saturating_sub(self.at.0);
            self.at = UnixMillis(self.at.0.max(now.0));
            let refilled = passed.saturating_mul(limits.bytes_per_second);
            self.saved = self.saved.saturating_add(refilled).min(capacity(limits));
            self.saved = self.saved.checked_sub(bytes.saturating_mul(1000)).ok_or(OverQuota::Rate)?;
        }
        self.today = today;
        Ok(())
    }

    /// Whether it may be forgotten: nothing is lent, and nothing of today counts.
    #[must_use]
    pub const fn is_over(&self, now: UnixMillis) -> bool {
        self.allocations == 0 && (self.today == 0 || self.day != now.0 / DAY_MS)
    }

    /// A day begins with nothing used.
    const fn turn_page(&mut self, now: UnixMillis) {
        let day = now.0 / DAY_MS;
        if day > self.day {
            self.day = day;
            self.today = 0;
        }
    }
}

const fn capacity(limits: &Limits) -> u64 {
    limits.bytes_per_second.saturating_mul(1000 * BURST_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: UnixMillis = UnixMillis(20_000 * DAY_MS + DAY_MS / 2);

    fn after(ms: u64) -> UnixMillis {
        UnixMillis(NOON.0 + ms)
    }

    #[test]
    fn allocations_are_counted_and_given_back() {
        let limits = Limits { allocations: 2, ..Limits::default() };
        let mut usage = Usage::new(&limits, NOON);
        assert_eq!(usage.allocate(&limits, NOON), Ok(()));
        assert_eq!(usage.allocate(&limits, NOON), Ok(()));
        assert_eq!(usage.allocate(&limits, NOON), Err(QuotaReached::Allocations));
        usage.release();
        assert_eq!(usage.allocate(&limits, NOON), Ok(()));
        assert!(!usage.is_over(NOON));
    }

    #[test]
    fn a_used_up_day_refuses_until_the_next_begins() {
        let limits = Limits { bytes_per_day: 1_000, ..Limits::default() };
        let mut usage = Usage::new(&limits, NOON);
        assert_eq!(usage.take(&limits, 999, NOON), Ok(()));
        assert_eq!(usage.may_keep(&limits, NOON), Ok(()));
        assert_eq!(usage.take(&limits, 2, NOON), Err(OverQuota::Day));
        assert_eq!(usage.take(&limits, 1, NOON), Err(OverQuota::Day));
        assert_eq!(usage.may_keep(&limits, NOON), Err(QuotaReached::Day));
        assert_eq!(usage.allocate(&limits, NOON), Err(QuotaReached::Day));
        assert!(!usage.is_over(NOON));
        let tomorrow = after(DAY_MS / 2);
        assert!(usage.is_over(tomorrow));
        assert_eq!(usage.allocate(&limits, tomorrow), Ok(()));
        assert_eq!(usage.take(&limits, 1_000, tomorrow), Ok(()));
        assert_eq!(usage.take(&limits, 1, NOON), Err(OverQuota::Day), "a clock that goes back gives nothing");
    }

    #[test]
    fn what_is_over_the_rate_is_dropped_and_not_counted() {
        let limits = Limits { bytes_per_second: 1_000, bytes_per_day: 10_000, ..Limits::default() };
        let mut usage = Usage::new(&limits, NOON);
        assert_eq!(usage.take(&limits, 2_000, NOON), Ok(()));
        assert_eq!(usage.take(&limits, 1, NOON), Err(OverQuota::Rate));
        assert_eq!(usage.take(&limits, 100, after(100)), Ok(()));
        assert_eq!(usage.take(&limits, 1, after(100)), Err(OverQuota::Rate));
        assert_eq!(usage.today, 2_100);
    }

    #[test]
    fn without_limits_everything_goes() {
        let limits = Limits::default();
        let mut usage = Usage::new(&limits, NOON);
        for _ in 0..1_000 {
            assert_eq!(usage.allocate(&limits, NOON), Ok(()));
            assert_eq!(usage.take(&limits, usize::MAX, NOON), Ok(()));
        }
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_than_burst_and_rate_goes(
            gaps in prop::collection::vec((0u64..300, 1usize..1_500), 1..200),
        ) {
            let limits = Limits { bytes_per_second: 5_000, ..Limits::default() };
            let mut usage = Usage::new(&limits, NOON);
            let (mut passed, mut taken) = (0, 0);
            for (gap, bytes) in gaps {
                passed += gap;
                if usage.take(&limits, bytes, after(passed)).is_ok() {
                    taken += bytes as u64;
                }
            }
            prop_assert!(taken * 1000 <= 5_000 * (2_000 + passed));
        }
    }
}
