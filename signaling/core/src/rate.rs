//! How often somebody may ask: a token bucket for each key, in a table of bounded size.
//!
//! A bucket is one number, the time at which it will be full again (the generic cell rate algorithm). The table
//! keeps two generations: keys in use move to the young one, and when that is full the old one is dropped. So
//! memory is bounded, each question costs one or two look-ups, and a key is forgotten only after as many others
//! as the table holds came along. A stranger with that many addresses is not stopped by a limit per address
//! anyway; what he cannot do is make the relay grow.

use sotto_protocol::ids::UnixMillis;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// How often: `burst` at once, and one more each `every` after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    burst: u32,
    every_us: u64,
}

impl Quota {
    /// A quota. A burst of 0 is taken as 1: a limit that refuses everything is a closed door, not a rate.
    #[must_use]
    pub fn new(burst: u32, every: Duration) -> Self {
        Self { burst: burst.max(1), every_us: u64::try_from(every.as_micros()).unwrap_or(u64::MAX) }
    }

    const fn full_us(self) -> u64 {
        self.every_us.saturating_mul(self.burst as u64)
    }
}

/// Too often: how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {} s", seconds_up(*retry_after))]
pub struct TooOften {
    /// When one more will be allowed.
    pub retry_after: Duration,
}

impl TooOften {
    /// Whole seconds, rounded up, as `Retry-After` wants them.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        seconds_up(self.retry_after)
    }
}

fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// One quota for many keys.
#[derive(Debug)]
pub struct RateTable<K> {
    quota: Quota,
    keys_max: usize,
    young: HashMap<K, u64>,
    old: HashMap<K, u64>,
}

impl<K: Eq + Hash + Clone> RateTable<K> {
    /// A table that remembers between `keys_max` and twice as many keys.
    #[must_use]
    pub fn new(quota: Quota, keys_max: usize) -> Self {
        Self { quota, keys_max: keys_max.max(1), young: HashMap::new(), old: HashMap::new() }
    }

    /// Takes one token from the bucket of `key`.
    ///
    /// # Errors
    /// If the bucket is empty; it stays as it is.
    pub fn take(&mut self, key: &K, now: UnixMillis) -> Result<(), TooOften> {
        let now_us = now.0.saturating_mul(1_000);
        let full_at = self.young.get(key).or_else(|| self.old.get(key)).copied().unwrap_or(0);
        // A clock that was set back would lock keys out for as long: no bucket is emptier than empty.
        let full_at = full_at.clamp(now_us, now_us.saturating_add(self.quota.full_us()));
        let after = full_at.saturating_add(self.quota.every_us);
        let most = now_us.saturating_add(self.quota.full_us());
        if after > most {
            return Err(TooOften { retry_after: Duration::from_micros(after.saturating_sub(most)) });
        }
        self.remember(key, after);
        Ok(())
    }

    /// How many keys are in memory now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len().saturating_add(self.old.len())
    }

    /// Whether no key is in memory.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn remember(&mut self, key: &K, full_at: u64) {
        if self.young.len() >= self.keys_max && !self.young.contains_key(key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key.clone(), full_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(burst: u32, every_ms: u64, keys: usize) -> RateTable<u32> {
        RateTable::new(Quota::new(burst, Duration::from_millis(every_ms)), keys)
    }

    #[test]
    fn a_burst_is_allowed_and_then_one_each_interval() {
        let mut table = table(3, 1_000, 8);
        let at = |ms: u64| UnixMillis(1_000_000 + ms);
        for _ in 0..3 {
            assert_eq!(table.take(&1, at(0)), Ok(()));
        }
        let refused = table.take(&1, at(0)).expect_err("the fourth");
        assert_eq!(refused.retry_after, Duration::from_secs(1));
        assert_eq!(table.take(&2, at(0)), Ok(()), "another key has its own bucket");
        assert!(table.take(&1, at(999)).is_err());
        assert_eq!(table.take(&1, at(1_000)), Ok(()));
        assert!(table.take(&1, at(1_000)).is_err());
        assert_eq!(table.take(&1, at(60_000)), Ok(()), "full again");
    }

    #[test]
    fn a_clock_that_goes_back_locks_nobody_out_for_long() {
        let mut table = table(1, 1_000, 8);
        assert_eq!(table.take(&1, UnixMillis(10_000_000)), Ok(()));
        let refused = table.take(&1, UnixMillis(5_000)).expect_err("still empty");
        assert!(refused.retry_after <= Duration::from_secs(1));
    }

    #[test]
    fn waiting_times_are_rounded_up_to_whole_seconds() {
        assert_eq!(TooOften { retry_after: Duration::from_millis(1) }.seconds(), 1);
        assert_eq!(TooOften { retry_after: Duration::from_millis(1_001) }.seconds(), 2);
    }

    proptest! {
        #[test]
        fn memory_is_bounded_and_no_key_gets_more_than_its_quota(
            asks in prop::collection::vec((0u32..40, 0u64..50), 1..400),
        ) {
            let (mut table, mut now) = (table(2, 100, 64), 1_000_000);
            let mut allowed: HashMap<u32, Vec<u64>> = HashMap::new();
            for (key, later) in asks {
                now += later;
                if table.take(&key, UnixMillis(now)).is_ok() {
                    allowed.entry(key).or_default().push(now);
                }
                prop_assert!(table.len() <= 128);
            }
            for times in allowed.values() {
                for window in times.windows(3) {
                    prop_assert!(window[2] - window[0] >= 100, "three within one interval at a burst of two");
                }
            }
        }
    }

    #[test]
    fn a_flood_of_keys_does_not_grow_the_table() {
        let mut table = table(2, 100, 64);
        for key in 0..10_000 {
            let _ = table.take(&key, UnixMillis(1));
        }
        assert!(table.len() <= 128);
    }
}
