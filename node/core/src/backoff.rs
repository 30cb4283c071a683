//! How long to wait before dialling again: longer each time, and never the same as everybody else.

use core::time::Duration;
use rand_core::Rng;

/// The first wait. A relay that restarts is back within a second or two.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait: what a person would think is broken if it were longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Growing waits with jitter: after a relay's restart its 5,000 devices must not all come in the same second.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait: between half of and all of 0.5 s, 1 s, 2 s, ... 30 s.
    pub fn next_wait(&mut self, rng: &mut impl Rng) -> Duration {
        let whole = FIRST.saturating_mul(2_u32.saturating_pow(self.attempts)).min(LONGEST);
        self.attempts = self.attempts.saturating_add(1);
        let part = f64::from(rng.next_u32()) / f64::from(u32::MAX);
        whole.mul_f64(f64::midpoint(1.0, part))
    }

    /// A connection stood: begin from the start next time.
    pub const fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_core::SeedableRng as _;

    #[test]
    fn waits_grow_to_a_limit_and_start_again_after_a_connection() {
        let mut backoff = Backoff::default();
        let rng = &mut rand_chacha::ChaCha12Rng::seed_from_u64(3);
        for expected in [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            let wait = backoff.next_wait(rng).as_millis();
            assert!((expected / 2..=expected).contains(&wait), "{wait} for {expected}");
        }
        for _ in 0..100 {
            assert!(backoff.next_wait(rng) <= LONGEST);
        }
        backoff.reset();
        assert!(backoff.next_wait(rng) <= FIRST);
    }
}
