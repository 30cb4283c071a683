//! How much an account and a conversation may use. 0 means no limit.

use sotto_protocol::ids::UnixMillis;

/// The limits of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quotas {
    /// Bytes of entries that one conversation may keep; appends beyond are refused until retention makes room.
    pub conversation_bytes: u64,
    /// Bytes of entries that one account may keep in all conversations together; its appends beyond are refused until
    /// retention makes room.
    pub account_bytes: u64,
    /// Requests that change something, per second and account, on average.
    pub account_changes_per_second: u32,
    /// How many of them an account may make at once after a pause.
    pub account_changes_burst: u32,
}

impl Quotas {
    /// No limits.
    pub const NONE: Self = Self {
        conversation_bytes: 0,
        account_bytes: 0,
        account_changes_per_second: 0,
        account_changes_burst: 0,
    };

    /// Whether a conversation that keeps `stored` bytes may take `more`.
    #[must_use]
    pub const fn conversation_takes(&self, stored: u64, more: u64) -> bool {
        self.conversation_bytes == 0 || stored.saturating_add(more) <= self.conversation_bytes
    }

    /// Whether an account that keeps `stored` bytes may add `more`.
    #[must_use]
    pub const fn account_takes(&self, stored: u64, more: u64) -> bool {
        self.account_bytes == 0 || stored.saturating_add(more) <= self.account_bytes
    }
}

/// What an account has left of its rate: a token bucket in thousandths, refilled by the milliseconds that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    thousandths: u64,
    at: UnixMillis,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub const fn full(quotas: &Quotas, now: UnixMillis) -> Self {
        Self { thousandths: capacity(quotas), at: now }
    }

    /// Takes one change; `Err` says in how many milliseconds the next may come.
    ///
    /// # Errors
    /// If the account has been too fast.
    pub fn take(&mut self, quotas: &Quotas, now: UnixMillis) -> Result<(), u32> {
        let rate = u64::from(quotas.account_changes_per_second);
        if rate == 0 {
            return Ok(());
        }
        // A clock that goes backwards refills nothing; it never takes away.
        let passed = now.0.saturating_sub(self.at.0);
        self.at = UnixMillis(self.at.0.max(now.0));
        self.thousandths = self.thousandths.saturating_add(passed.saturating_mul(rate)).min(capacity(quotas));
        if let Some(left) = self.thousandths.checked_sub(1000) {
            self.thousandths = left;
            return Ok(());
        }
        let missing = 1000 - self.thousandths;
        Err(u32::try_from(missing.div_ceil(rate)).unwrap_or(1000))
    }

    /// Whether it is as if it had never been used, so that it may be forgotten.
    #[must_use]
    pub const fn is_full(&self, quotas: &Quotas, now: UnixMillis) -> bool {
        let passed = now.0.saturating_sub(self.at.0);
        let refilled = passed.saturating_mul(quotas.account_changes_per_second as u64);
        self.thousandths.saturating_add(refilled) >= capacity(quotas)
    }
}

const fn capacity(quotas: &Quotas) -> u64 {
    let burst = quotas.account_changes_burst as u64;
    (if burst == 0 { 1 } else { burst }).saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_account_gets_its_burst_then_its_rate_and_is_told_when_to_come_back() {
        let quotas = Quotas { account_changes_per_second: 10, account_changes_burst: 3, ..Quotas::NONE };
        let mut bucket = Bucket::full(&quotas, UnixMillis(1_000));
        for _ in 0..3 {
            assert_eq!(bucket.take(&quotas, UnixMillis(1_000)), Ok(()));
        }
        assert_eq!(bucket.take(&quotas, UnixMillis(1_000)), Err(100));
        assert_eq!(bucket.take(&quotas, UnixMillis(1_099)), Err(1));
        assert_eq!(bucket.take(&quotas, UnixMillis(1_100)), Ok(()));
        assert_eq!(
            bucket.take(&quotas, UnixMillis(0)),
            Err(100),
            "a clock that goes backwards gives nothing"
        );
    }

    proptest! {
        #[test]
        fn over_any_time_no_more_than_burst_and_rate_allow(gaps in prop::collection::vec(0u64..300, 1..200)) {
            let quotas = Quotas { account_changes_per_second: 7, account_changes_burst: 5, ..Quotas::NONE };
            let mut bucket = Bucket::full(&quotas, UnixMillis(0));
            let mut now = 0;
            let mut taken = 0u64;
            for gap in gaps {
                now += gap;
                taken += u64::from(bucket.take(&quotas, UnixMillis(now)).is_ok());
            }
            prop_assert!(taken * 1000 <= 5_000 + now * 7);
        }
    }
}
