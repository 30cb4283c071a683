//! Against repeats and floods.

use sotto_protocol::ids::UnixMillis;

/// Which numbers of one sender were seen: the highest, and the 64 below it. What is older counts as seen.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Window {
    highest: u32,
    seen: u64,
}

impl Window {
    /// True for a number that comes for the first time.
    pub(super) fn first(&mut self, number: u32) -> bool {
        if number > self.highest {
            let moved = number - self.highest;
            self.seen = self.seen.checked_shl(moved).unwrap_or(0) | 1;
            self.highest = number;
            return true;
        }
        let Some(mask) = 1_u64.checked_shl(self.highest - number) else { return false };
        let first = number > 0 && self.seen & mask == 0;
        self.seen |= mask;
        first
    }
}

/// So many at once, and so many a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    burst: u64,
    per_second: u64,
    /// In thousandths.
    left: u64,
    at: UnixMillis,
}

impl Bucket {
    pub(crate) const fn new(burst: u64, per_second: u64, now: UnixMillis) -> Self {
        Self { burst, per_second, left: burst.saturating_mul(1_000), at: now }
    }

    /// Whether one more may pass.
    pub(crate) fn take(&mut self, now: UnixMillis) -> bool {
        let passed = now.0.saturating_sub(self.at.0);
        self.at = now;
        let refill = passed.saturating_mul(self.per_second);
        self.left = self.left.saturating_add(refill).min(self.burst.saturating_mul(1_000));
        let may = self.left >= 1_000;
        if may {
            self.left -= 1_000;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_counts_once_and_an_old_one_not_at_all() {
        let mut window = Window::default();
        let came = [1, 3, 2, 2, 3, 70, 6, 5, 7, 7, 70, u32::MAX, 71, 0];
        let first = came.map(|number| window.first(number));
        let due =
            [true, true, true, false, false, true, false, false, true, false, false, true, false, false];
        assert_eq!(first, due);
    }

    proptest! {
        #[test]
        fn no_number_ever_counts_twice(numbers in proptest::collection::vec(0u32..200, 0..300)) {
            let mut window = Window::default();
            let mut taken = BTreeSet::new();
            for number in numbers {
                if window.first(number) {
                    prop_assert!(taken.insert(number));
                }
            }
        }
    }

    #[test]
    fn a_flood_is_cut_to_the_rate_and_quiet_time_gives_the_burst_back() {
        let mut bucket = Bucket::new(10, 5, UnixMillis(0));
        let passed = |bucket: &mut Bucket, now| (0..100).filter(|_| bucket.take(UnixMillis(now))).count();
        assert_eq!(passed(&mut bucket, 0), 10);
        assert_eq!(passed(&mut bucket, 1_000), 5);
        assert_eq!(passed(&mut bucket, 100_000), 10);
        // A clock that jumps back gives nothing away.
        assert_eq!(passed(&mut bucket, 50_000), 0);
    }
}
