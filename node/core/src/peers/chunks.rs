//! Who is asked for which chunk of a file that comes from several at once.
//!
//! Every source has a few chunks under way; whoever is done with one takes the next that is missing, so the fastest gives most. A device
//! that is still getting the file itself gives what it has; whoever has all of it is asked first for what no such device has, so that
//! of many who get a file at once each brings another part of it in, and they have the rest from each other. The
//! relay is the last one to give: while devices bring chunks it rests, so that what it sends of a file does not grow with the
//! number of those who get it; where they are slow or gone it fills in. When nothing is left to hand out, a chunk that is on its way
//! from one source for a while is asked of another one too, so that nobody who went silent holds the rest up.
//!
//! Times are milliseconds of any clock that does not jump.

use sotto_protocol::blob::Present;
use std::collections::{BTreeMap, VecDeque};

/// The relay rests until no device has brought anything for so long: below 0.5 MiB/s it helps.
pub const REST_MS: u64 = 2_000;

/// A chunk that is on its way for so long is asked of another source too, when there is nothing else to ask for.
pub const LATE_MS: u64 = 1_000;

/// A device begins with so many chunks under way. One that takes less than [`FAST_MS`] earns it another, one that takes more than
/// [`SLOW_MS`] costs it one: a slow line has a chunk or two on it, which come in time, and not six, which do not.
const WINDOW_BEGIN: usize = 2;
const FAST_MS: u64 = 1_500;
const SLOW_MS: u64 = 4_000;

/// One of those who have the file; numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

struct Source {
    is_relay: bool,
    window: usize,
    window_max: usize,
    /// Which chunks it has; `None` for all.
    has: Option<Present>,
}

/// Which chunks of one file are missing, and from whom they are on their way.
pub struct Chunks {
    missing: VecDeque<u32>,
    under_way: BTreeMap<u32, Vec<(SourceId, u64)>>,
    sources: BTreeMap<SourceId, Source>,
    /// When a device brought a chunk last, or came.
    brought: Option<u64>,
    /// The relay waits so long for devices.
    hold: u64,
}

impl Chunks {
    /// Of a file of which these are missing, in this order. The relay is not asked before `hold`.
    #[must_use]
    pub fn new(missing: impl IntoIterator<Item = u32>, hold: u64) -> Self {
        Self {
            missing: missing.into_iter().collect(),
            under_way: BTreeMap::new(),
            sources: BTreeMap::new(),
            brought: None,
            hold,
        }
    }

    /// Whether everything is there.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.missing.is_empty() && self.under_way.is_empty()
    }

    /// Another hold for the relay: earlier when nobody else is there, later when somebody is on the way.
    pub const fn hold_until(&mut self, hold: u64) {
        self.hold = hold;
    }

    /// The relay, or a device, has the file. It may have so many chunks under way; a device has to show first that it is fast.
    pub fn add(&mut self, source: SourceId, is_relay: bool, window: usize, now: u64) {
        if !is_relay {
            self.brought = Some(now);
        }
        let window_max = window;
        let window = if is_relay { window } else { WINDOW_BEGIN.min(window_max) };
        self.sources.insert(source, Source { is_relay, window, window_max, has: None });
    }

    /// Whether a source was added and not dropped.
    #[must_use]
    pub fn knows(&self, source: SourceId) -> bool {
        self.sources.contains_key(&source)
    }

    /// What a source has by now; `None` for all of the file, as is taken for granted until something else is said.
    pub fn has(&mut self, source: SourceId, present: Option<Present>) {
        if let Some(source) = self.sources.get_mut(&source) {
            source.has = present;
        }
    }

    /// The next chunk to ask this source for.
    pub fn next(&mut self, source: SourceId, now: u64) -> Option<u32> {
        let Source { is_relay, window, .. } = *self.sources.get(&source)?;
        let busy = self.under_way.values().flatten().filter(|(other, _)| *other == source).count();
        if busy >= window || (is_relay && self.rests_until(now).is_some()) {
            return None;
        }
        let chunk = match self.pick(source) {
            Some(place) => self.missing.remove(place)?,
            None => self.late(source, now)?,
        };
        self.under_way.entry(chunk).or_default().push((source, now));
        Some(chunk)
    }

    /// The place among the missing ones of the next that a source has.
    fn pick(&self, source: SourceId) -> Option<usize> {
        if let Some(has) = &self.sources.get(&source)?.has {
            return self.missing.iter().position(|chunk| has.has(*chunk));
        }
        let some: Vec<&Present> = self.sources.values().filter_map(|other| other.has.as_ref()).collect();
        let rare = |chunk: &u32| !some.iter().any(|has| has.has(*chunk));
        let rare = if some.is_empty() { None } else { self.missing.iter().position(rare) };
        rare.or_else(|| (!self.missing.is_empty()).then_some(0))
    }

    /// What is on its way from one other source for long, when nothing else is missing.
    fn late(&self, source: SourceId, now: u64) -> Option<u32> {
        if !self.missing.is_empty() {
            return None;
        }
        let has = self.sources.get(&source)?.has.as_ref();
        let is_late = |asked: &[(SourceId, u64)]| match asked {
            [(other, since)] => *other != source && now.saturating_sub(*since) >= LATE_MS,
            _ => false,
        };
        let mut under_way = self.under_way.iter().filter(|(chunk, _)| has.is_none_or(|has| has.has(**chunk)));
        under_way.find(|(_, asked)| is_late(asked)).map(|(chunk, _)| *chunk)
    }

    /// Until when the relay is not asked, if it is not. Devices that have some of the file do not spare it.
    fn rests_until(&self, now: u64) -> Option<u64> {
        let devices = self.sources.values().any(|source| !source.is_relay && source.has.is_none());
        let rest = self.brought.filter(|_| devices).map(|at| at.saturating_add(REST_MS));
        Some(rest.map_or(self.hold, |rest| rest.max(self.hold))).filter(|until| *until > now)
    }

    /// When to look again although nothing happened.
    #[must_use]
    pub fn look_again(&self, now: u64) -> Option<u64> {
        let relay = self.sources.values().any(|source| source.is_relay);
        let rest = self.rests_until(now).filter(|_| relay && !self.missing.is_empty());
        let late = self.under_way.values().flatten().map(|(_, since)| since.saturating_add(LATE_MS));
        let late = late.filter(|late| *late > now && self.missing.is_empty()).min();
        [rest, late].into_iter().flatten().min()
    }

    /// A chunk came and is the file's; false if it was there already.
    pub fn came(&mut self, source: SourceId, chunk: u32, now: u64) -> bool {
        let asked = self.under_way.remove(&chunk);
        if let Some(device) = self.sources.get_mut(&source).filter(|source| !source.is_relay) {
            self.brought = Some(now);
            let since = asked.iter().flatten().find(|(other, _)| *other == source);
            match since.map(|(_, since)| now.saturating_sub(*since)) {
                Some(..FAST_MS) => device.window = device.window.saturating_add(1).min(device.window_max),
                Some(SLOW_MS..) => device.window = device.window.saturating_sub(1).max(1),
                _ => {}
            }
        }
        asked.is_some()
    }

    /// A source is not asked any more; what was on its way from it is missing again.
    pub fn drop_source(&mut self, source: SourceId) {
        self.sources.remove(&source);
        let chunks: Vec<u32> = self.under_way.keys().copied().collect();
        for chunk in chunks {
            self.give_back(source, chunk);
        }
    }

    fn give_back(&mut self, source: SourceId, chunk: u32) {
        let Some(asked) = self.under_way.get_mut(&chunk) else { return };
        let before = asked.len();
        asked.retain(|(other, _)| *other != source);
        if before > 0 && asked.is_empty() {
            self.under_way.remove(&chunk);
            self.missing.push_front(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sotto_protocol::blob::BlobSize;
    use sotto_protocol::limits::BLOB_CHUNK_BYTES;
    use std::collections::BTreeSet;

    const RELAY: SourceId = SourceId(0);
    const ALICE: SourceId = SourceId(1);
    const BOB: SourceId = SourceId(2);

    fn all(chunks: &mut Chunks, source: SourceId, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| chunks.next(source, now)).collect()
    }

    #[test]
    fn the_relay_rests_while_devices_bring_chunks_and_fills_in_when_they_do_not() {
        let mut chunks = Chunks::new(0..10, 300);
        chunks.add(RELAY, true, 2, 0);
        assert_eq!(chunks.next(RELAY, 0), None, "it waits for devices a moment");
        assert_eq!(chunks.look_again(0), Some(300));
        assert_eq!(all(&mut chunks, RELAY, 300), [0, 1]);
        chunks.add(ALICE, false, 3, 300);
        assert_eq!(all(&mut chunks, ALICE, 300), [2, 3]);
        assert!(chunks.came(RELAY, 0, 310));
        assert_eq!(chunks.next(RELAY, 310), None);
        assert!(chunks.came(ALICE, 2, 700));
        assert_eq!(chunks.next(RELAY, 2_600), None);
        assert_eq!(chunks.next(RELAY, 2_700), Some(4), "for two seconds nothing came");
    }

    #[test]
    fn a_fast_device_gets_more_under_way_and_a_slow_one_less_but_never_nothing() {
        let mut chunks = Chunks::new(0..100, 0);
        chunks.add(ALICE, false, 6, 0);
        let mut under_way = all(&mut chunks, ALICE, 0);
        assert_eq!(under_way.len(), 2);
        for now in 1..=10 {
            let first = under_way.remove(0);
            assert!(chunks.came(ALICE, first, now));
            under_way.extend(all(&mut chunks, ALICE, now));
        }
        assert_eq!(under_way.len(), 6);
        for now in (1..=10).map(|round| round * 10_000) {
            let first = under_way.remove(0);
            assert!(chunks.came(ALICE, first, now));
            under_way.extend(all(&mut chunks, ALICE, now));
        }
        assert_eq!(under_way.len(), 1);
    }

    #[test]
    fn who_has_all_gives_first_what_nobody_else_has_and_who_has_some_is_asked_for_that_alone() {
        let size = BlobSize::new(6 * BLOB_CHUNK_BYTES).expect("a size");
        let some = |there: &[u32]| {
            let mut some = Present::none(size);
            there.iter().for_each(|chunk| some.add(*chunk));
            Some(some)
        };
        let mut chunks = Chunks::new(0..6, 0);
        chunks.add(RELAY, true, 1, 0);
        chunks.add(ALICE, false, 2, 0);
        chunks.add(BOB, false, 2, 0);
        chunks.has(BOB, some(&[]));
        assert_eq!(chunks.next(BOB, 0), None);
        chunks.has(BOB, some(&[0, 1, 3]));
        assert_eq!(all(&mut chunks, ALICE, 0), [2, 4], "what Bob does not have");
        assert_eq!(all(&mut chunks, BOB, 0), [0, 1]);
        assert_eq!(chunks.next(RELAY, 0), None, "Alice has all of it");
        chunks.drop_source(ALICE);
        assert_eq!(chunks.next(RELAY, 0), Some(4), "Bob alone does not spare the relay");
        for (source, chunk) in [(BOB, 0), (BOB, 1), (RELAY, 4)] {
            assert!(chunks.came(source, chunk, 1));
        }
        assert_eq!(all(&mut chunks, BOB, 1), [3]);
        assert_eq!(chunks.next(RELAY, 1), Some(2));
        assert!(chunks.came(BOB, 3, 2) && chunks.came(RELAY, 2, 2));
        assert_eq!(chunks.next(RELAY, 3), Some(5));
        assert_eq!(chunks.next(BOB, 3 + LATE_MS), None, "late, and Bob does not have it");
        chunks.has(BOB, None);
        assert_eq!(chunks.next(BOB, 3 + LATE_MS), Some(5));
    }

    #[test]
    fn what_a_source_had_under_way_is_handed_to_others_when_it_goes_and_late_when_it_is_silent() {
        let mut chunks = Chunks::new(0..4, 0);
        chunks.add(ALICE, false, 2, 0);
        chunks.add(BOB, false, 2, 0);
        assert_eq!((all(&mut chunks, ALICE, 0), all(&mut chunks, BOB, 0)), (vec![0, 1], vec![2, 3]));
        assert!(chunks.came(BOB, 2, 10));
        assert_eq!(chunks.next(BOB, 10), None);
        assert_eq!(chunks.look_again(10), Some(LATE_MS));
        assert_eq!(chunks.next(BOB, LATE_MS), Some(0), "it may be that nothing comes of it");
        assert!(chunks.came(ALICE, 0, LATE_MS + 1));
        assert!(!chunks.came(BOB, 0, LATE_MS + 2), "it counts once");
        chunks.drop_source(ALICE);
        assert!(chunks.came(BOB, 3, LATE_MS + 3));
        assert_eq!(chunks.next(BOB, LATE_MS + 3), Some(1));
        assert!(chunks.came(BOB, 1, LATE_MS + 4));
        assert!(chunks.is_done());
    }

    proptest! {
        /// Whatever sources do, as long as one goes on giving, every chunk comes and counts once.
        #[test]
        fn every_chunk_comes_once_whoever_fails(count in 0u32..40, doings in proptest::collection::vec((0u32..4, 0u8..4), 0..300)) {
            let mut chunks = Chunks::new(0..count, 0);
            let mut now = 0;
            for id in 0..4 {
                chunks.add(SourceId(id), id == 0, 3, now);
            }
            let (mut came, mut under_way) = (BTreeSet::new(), Vec::new());
            for (id, doing) in doings {
                now += 200;
                let source = SourceId(id);
                if let Some(chunk) = chunks.next(source, now) {
                    under_way.push((source, chunk));
                }
                let place = under_way.iter().position(|(of, _)| *of == source);
                let Some(place) = place else { continue };
                match doing {
                    0 | 1 => {
                        let (_, chunk) = under_way.swap_remove(place);
                        if chunks.came(source, chunk, now) {
                            prop_assert!(came.insert(chunk));
                        }
                    }
                    2 if id > 0 => {
                        under_way.retain(|(of, _)| *of != source);
                        chunks.drop_source(source);
                    }
                    _ => {}
                }
            }
            let last = SourceId(9);
            chunks.add(last, false, 3, now);
            for _ in 0..200 {
                now += 1_000;
                for chunk in all(&mut chunks, last, now) {
                    if chunks.came(last, chunk, now) {
                        prop_assert!(came.insert(chunk));
                    }
                }
                // What two were asked for and neither brings is over with the first that goes.
                if let Some((source, _)) = under_way.pop() {
                    chunks.drop_source(source);
                }
            }
            prop_assert!(chunks.is_done());
            prop_assert_eq!(came.len(), count as usize);
        }
    }
}
