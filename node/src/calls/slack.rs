//! A little sound between two who take their time from clocks of their own: the call, and the sound server of the machine.

use super::audio::FRAME;
use std::collections::VecDeque;

/// So much lies there before the first of it is taken, and after there was too little or too much: 40 ms.
const ENOUGH: usize = 2 * FRAME;

/// More than this is sound that nobody waits for any more: 120 ms.
const MOST: usize = 6 * FRAME;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slack {
    samples: VecDeque<i16>,
    is_flowing: bool,
}

impl Slack {
    /// Sound comes. What has waited for too long is left out.
    pub(super) fn put(&mut self, samples: impl Iterator<Item = i16>) {
        self.samples.extend(samples);
        if self.samples.len() > MOST {
            self.samples.drain(..self.samples.len().saturating_sub(ENOUGH));
        }
    }

    /// The next so many samples; quiet ones where there are none.
    pub(super) fn take(&mut self, samples: usize) -> impl Iterator<Item = i16> + '_ {
        self.is_flowing |= self.samples.len() >= ENOUGH.max(samples);
        let there = if self.is_flowing { self.samples.len().min(samples) } else { 0 };
        // Who came to the end waits until there is enough again: one gap in the place of many.
        self.is_flowing &= there == samples;
        self.samples.drain(..there).chain(std::iter::repeat_n(0, samples.saturating_sub(there)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(slack: &mut Slack, samples: usize) -> Vec<i16> {
        slack.take(samples).collect()
    }

    #[test]
    fn sound_begins_when_there_is_enough_and_comes_in_its_order() {
        let mut slack = Slack::default();
        slack.put(std::iter::repeat_n(1, FRAME));
        assert_eq!(taken(&mut slack, FRAME), [0; FRAME]);
        slack.put(std::iter::repeat_n(2, FRAME));
        assert_eq!(taken(&mut slack, FRAME), [1; FRAME]);
        slack.put(std::iter::repeat_n(3, 100));
        assert_eq!(taken(&mut slack, FRAME), [2; FRAME]);
        let last = taken(&mut slack, FRAME);
        assert_eq!(last.get(..101), Some(&[[3; 100].as_slice(), &[0]].concat()[..]));
        slack.put(std::iter::repeat_n(4, FRAME));
        assert_eq!(taken(&mut slack, FRAME), [0; FRAME], "after a gap it waits again");
    }

    #[test]
    fn what_nobody_took_in_time_is_left_out_and_the_newest_stays() {
        let mut slack = Slack::default();
        for sample in 0..100 {
            slack.put(std::iter::repeat_n(sample, FRAME));
        }
        assert!(slack.samples.len() <= MOST);
        let all = taken(&mut slack, MOST - FRAME);
        assert!(all.contains(&99) && !all.contains(&90), "{:?}", all.first());
    }

    #[test]
    fn who_takes_a_little_faster_or_slower_hears_nearly_everything() {
        for (put, take) in [(FRAME, FRAME - 1), (FRAME - 1, FRAME), (FRAME, FRAME)] {
            let mut slack = Slack::default();
            let mut quiet = 0;
            for _ in 0..2_000 {
                slack.put(std::iter::repeat_n(7, put));
                quiet += slack.take(take).filter(|sample| *sample == 0).count();
            }
            assert!(quiet < 2_000 * FRAME / 100, "{put} and {take}: {quiet}");
        }
    }
}
