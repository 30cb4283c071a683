//! From one rate of samples to another: files and devices have rates of their own, calls have one.

/// A curve through samples that come at one rate, looked at by another one (Catmull-Rom). What is above half of the slower rate is not
/// filtered out: of what microphones hear, little is.
#[derive(Debug)]
pub(super) struct Curve {
    /// Samples that come for one that goes.
    step: f64,
    /// Where the next one to go is: so far from the second of these to the third.
    place: f64,
    around: [f64; 4],
}

impl Curve {
    pub(super) fn new(from: u32, to: u32) -> Self {
        // The first one is there when the third one has come.
        Self { step: f64::from(from) / f64::from(to), place: 3.0, around: [0.0; 4] }
    }

    /// Whether a sample has to come before the next one can go.
    pub(super) fn is_waiting(&self) -> bool {
        self.place >= 1.0
    }

    /// How many have to come so that so many can go.
    #[cfg(any(windows, target_os = "macos", test))]
    pub(super) fn wanted(&self, taken: usize) -> usize {
        let (mut place, mut wanted) = (self.place, 0);
        for _ in 0..taken {
            // Step by step as they will go: what is added up in another way is another number.
            while place >= 1.0 {
                place -= 1.0;
                wanted += 1;
            }
            place += self.step;
        }
        wanted
    }

    /// A sample comes, between -1 and 1.
    pub(super) fn put(&mut self, sample: f64) {
        let [_, first, second, third] = self.around;
        self.around = [first, second, third, if sample.is_finite() { sample } else { 0.0 }];
        self.place -= 1.0;
    }

    /// One goes, within the same bounds; only when it [waits](Self::is_waiting) for none.
    pub(super) fn take(&mut self) -> f64 {
        let ([a, b, c, d], t) = (self.around, self.place);
        self.place += self.step;
        let bend = t * ((2.0 * a - 5.0 * b + 4.0 * c - d) + t * (3.0 * (b - c) + d - a));
        (b + 0.5 * t * ((c - a) + bend)).clamp(-1.0, 1.0)
    }
}

/// A sample as it is in calls.
pub(super) fn rounded(sample: f64) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "it is within the range")]
    let sample = (sample * 32_767.0).clamp(-32_768.0, 32_767.0) as i16;
    sample
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_is_the_same_tone_at_every_rate() {
        for (from, to) in
            [(44_100, 48_000), (48_000, 44_100), (8_000, 48_000), (96_000, 48_000), (48_000, 48_000)]
        {
            let mut curve = Curve::new(from, to);
            let mut gone = Vec::new();
            for at in 0..from {
                curve.put(0.5 * (std::f64::consts::TAU * 440.0 * f64::from(at) / f64::from(from)).sin());
                while !curve.is_waiting() {
                    gone.push(curve.take());
                }
            }
            assert!(gone.len().abs_diff(to as usize) <= 16, "{from} to {to}: {}", gone.len());
            let turns =
                gone.windows(2).filter(|pair| matches!(pair, [a, b] if *a < 0.0 && *b >= 0.0)).count();
            assert!(turns.abs_diff(440) <= 1, "{from} to {to}: {turns}");
            let loudest = gone.iter().copied().fold(0.0, f64::max);
            assert!((0.49..0.51).contains(&loudest), "{from} to {to}: {loudest}");
        }
    }

    #[test]
    fn as_many_as_are_wanted_are_used() {
        let mut curve = Curve::new(48_000, 44_100);
        for taken in [0, 1, 441, 480, 7, 1_024, 44_100] {
            let wanted = curve.wanted(taken);
            let mut put = 0;
            for _ in 0..taken {
                while curve.is_waiting() {
                    curve.put(0.0);
                    put += 1;
                }
                curve.take();
            }
            assert_eq!(put, wanted, "{taken}");
        }
    }

    #[test]
    fn what_is_no_number_is_silence_and_what_is_too_loud_is_as_loud_as_can_be() {
        let mut curve = Curve::new(1, 1);
        for sample in [f64::NAN, f64::INFINITY, 7.0, -7.0, 7.0, -7.0, 7.0] {
            curve.put(sample);
            while !curve.is_waiting() {
                let sample = curve.take();
                assert!((-1.0..=1.0).contains(&sample), "{sample}");
            }
        }
        assert_eq!((rounded(1.0), rounded(-1.0), rounded(0.0)), (32_767, -32_767, 0));
    }
}
