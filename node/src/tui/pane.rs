//! The open conversation: a window on its lines, where one stands in it, who is typing.
//!
//! The window holds some hundred lines around what is on the screen, whatever the length of the history; scrolling
//! near one of its ends asks the store for more. What is on the screen hangs on its lowest line: which one, and how
//! many of its rows are below the edge. Rows are worked out from there upwards, so no more than a screenful is ever
//! laid out.

use super::input::{Lines, LinesPlace, Present};
use sotto_node_core::view::{Line, Message, Queued};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence, UnixMillis};
use std::collections::{BTreeMap, VecDeque};

/// How many lines are read at once: about two large screens.
pub(crate) const PAGE: usize = 200;

/// The window keeps five pages; beyond them the far end is let go.
const WINDOW_MAX: usize = 5 * PAGE;

/// So close to the oldest line of the window more is asked for.
const NEAR: usize = 50;

/// So many lines after one that is gone to are on the screen.
const AFTER: usize = 3;

/// A sign of typing counts for so long; the other side repeats it every three seconds.
const TYPING_MS: u64 = 6_000;

/// So many own lines are read again when somebody read: more are never on the screen.
const DOUBTFUL_MAX: usize = 100;

/// What lies before the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Older {
    /// The store may have more.
    Store,
    /// It was asked.
    Asked,
    /// The store has no more, the archive may: before this place, or before the first line.
    Archive(Option<Sequence>),
    /// Nothing, or nothing that one may read.
    Nothing,
}

/// The lowest line on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Anchor {
    line: Sequence,
    /// Rows of it that are below the edge.
    hidden: usize,
}

/// The open conversation.
pub(crate) struct Pane {
    pub(crate) id: ConversationId,
    pub(crate) lines: VecDeque<Message>,
    pub(crate) outbox: Vec<Queued>,
    pub(crate) older: Older,
    /// There are newer lines than those of the window.
    pub(crate) newer: bool,
    /// They were asked for.
    pub(crate) newer_asked: bool,
    /// Only one's own lines.
    pub(crate) own: bool,
    /// The first line that was unread when the conversation was opened.
    pub(crate) unread_from: Option<Sequence>,
    pub(crate) chosen: Option<Sequence>,
    /// Up to where the person has read.
    pub(crate) seen: Sequence,
    typing: BTreeMap<AccountId, UnixMillis>,
    /// Who is here.
    pub(crate) present: Present,
    /// `None`: the newest line is at the edge, and stays there.
    anchor: Option<Anchor>,
}

impl Pane {
    pub(crate) fn new(id: ConversationId) -> Self {
        Self {
            id,
            lines: VecDeque::new(),
            outbox: Vec::new(),
            older: Older::Asked,
            newer: false,
            newer_asked: false,
            own: false,
            unread_from: None,
            chosen: None,
            seen: Sequence(0),
            typing: BTreeMap::new(),
            present: Present::default(),
            anchor: None,
        }
    }

    /// What to ask the store for so that the pane has lines.
    pub(crate) const fn wanted(&self, place: LinesPlace) -> Lines {
        Lines { conversation: self.id, place, limit: PAGE, own: self.own }
    }

    /// Lines that were asked for.
    pub(crate) fn take(&mut self, wanted: Lines, found: Vec<Message>) {
        if wanted.own != self.own {
            return;
        }
        let short = found.len() < wanted.limit;
        if !matches!(wanted.place, LinesPlace::Before(_)) {
            self.newer_asked = false;
        }
        match wanted.place {
            LinesPlace::Newest | LinesPlace::Oldest => {
                let known = std::mem::replace(&mut self.lines, found.into());
                if wanted.place == LinesPlace::Newest && !self.newer {
                    // What came while the store was being read.
                    let last = self.lines.back().map(|line| line.sequence);
                    self.lines.extend(known.into_iter().filter(|line| Some(line.sequence) > last));
                }
                self.newer = wanted.place == LinesPlace::Oldest && !short;
                self.anchor = None;
                self.older = match wanted.place {
                    LinesPlace::Newest if !short => Older::Store,
                    LinesPlace::Oldest if self.own => Older::Nothing,
                    _ => Older::Archive(None),
                };
                if wanted.place == LinesPlace::Oldest {
                    self.anchor = self.lines.front().map(|line| Anchor { line: line.sequence, hidden: 0 });
                }
            }
            LinesPlace::Around(place) => {
                self.lines = found.into();
                self.newer = true;
                self.older = Older::Store;
                let at = self.place_of(place).unwrap_or(0).saturating_add(AFTER);
                let lowest = self.lines.get(at).or_else(|| self.lines.back());
                self.anchor = lowest.map(|line| Anchor { line: line.sequence, hidden: 0 });
            }
            LinesPlace::Before(place) => {
                let first = self.lines.front().map(|line| line.sequence);
                if first.is_some_and(|first| first > place) {
                    return;
                }
                for line in
                    found.into_iter().rev().filter(|line| first.is_none_or(|first| line.sequence < first))
                {
                    self.lines.push_front(line);
                }
                self.older = match (short, self.own) {
                    (false, _) => Older::Store,
                    (true, false) => Older::Archive(None),
                    (true, true) => Older::Nothing,
                };
                if self.anchor.is_some() && self.lines.len() > WINDOW_MAX {
                    self.lines.truncate(WINDOW_MAX);
                    self.newer = true;
                }
            }
            LinesPlace::After(_) => {
                let last = self.lines.back().map(|line| line.sequence);
                for line in found.into_iter().filter(|line| last.is_none_or(|last| line.sequence > last)) {
                    self.lines.push_back(line);
                }
                self.newer = !short;
                self.let_go_of_the_oldest();
            }
        }
    }

    /// A new line came.
    pub(crate) fn add(&mut self, line: Message) {
        self.typing.remove(&line.account);
        self.outbox.retain(|queued| !(line.own && queued.number == line.number));
        if self.newer || (self.own && !line.own) {
            return;
        }
        // A repaired line belongs between others.
        let place = self.lines.partition_point(|other| other.sequence < line.sequence);
        if self.lines.get(place).is_some_and(|other| other.sequence == line.sequence) {
            return;
        }
        self.lines.insert(place, line);
        if self.anchor.is_none() {
            self.let_go_of_the_oldest();
        }
    }

    fn let_go_of_the_oldest(&mut self) {
        while self.lines.len() > WINDOW_MAX {
            self.lines.pop_front();
            self.older = Older::Store;
        }
    }

    /// How many things can be shown: the lines, then what waits to be sent.
    pub(crate) fn count(&self) -> usize {
        self.lines.len() + if self.newer { 0 } else { self.outbox.len() }
    }

    fn place_of(&self, line: Sequence) -> Option<usize> {
        self.lines.binary_search_by_key(&line, |line| line.sequence).ok()
    }

    /// The lowest thing on the screen and how many of its rows are below the edge.
    pub(crate) fn bottom(&self) -> Option<(usize, usize)> {
        let last = self.count().checked_sub(1)?;
        let anchored = self.anchor.and_then(|anchor| Some((self.place_of(anchor.line)?, anchor.hidden)));
        Some(anchored.unwrap_or((last, 0)))
    }

    /// Whether the newest line is on the screen.
    pub(crate) const fn is_at_the_end(&self) -> bool {
        self.anchor.is_none() && !self.newer
    }

    /// Back to the newest line of the window.
    pub(crate) const fn stand_at_the_end(&mut self) {
        self.anchor = None;
    }

    /// Moves the window on the screen: `rows` upwards, or downwards if negative. `height` tells how many rows a thing
    /// takes, `screen` how many there are.
    pub(crate) fn scroll(&mut self, rows: isize, screen: usize, height: impl Fn(&Self, usize) -> usize) {
        let Some((mut place, mut hidden)) = self.bottom() else { return };
        if rows >= 0 {
            hidden += rows.unsigned_abs();
        } else {
            let mut down = rows.unsigned_abs();
            while down > hidden {
                down -= hidden;
                if place + 1 >= self.count() {
                    // With newer lines to come, the edge stays where they follow.
                    let last = self.lines.back().filter(|_| self.newer);
                    self.anchor = last.map(|line| Anchor { line: line.sequence, hidden: 0 });
                    return;
                }
                place += 1;
                hidden = height(self, place);
            }
            hidden -= down;
        }
        // Into the thing that the edge lies in.
        while place > 0 && hidden >= height(self, place) {
            hidden -= height(self, place);
            place -= 1;
        }
        self.settle(place, hidden, screen, height);
    }

    /// Makes `place` the lowest thing, or as low as it can be with the screen full.
    fn settle(
        &mut self,
        mut place: usize,
        mut hidden: usize,
        screen: usize,
        height: impl Fn(&Self, usize) -> usize,
    ) {
        let mut above = 0_usize;
        for at in (0..=place).rev() {
            above += height(self, at);
            if above >= screen + hidden {
                break;
            }
        }
        let mut missing = (screen + hidden).saturating_sub(above);
        while missing > 0 {
            let step = missing.min(hidden);
            hidden -= step;
            missing -= step;
            if missing > 0 {
                if place + 1 >= self.count() {
                    break;
                }
                place += 1;
                hidden = height(self, place);
            }
        }
        let at_the_end = place + 1 >= self.count() && hidden == 0 && !self.newer;
        self.anchor = match self.lines.get(place) {
            Some(line) if !at_the_end => Some(Anchor { line: line.sequence, hidden }),
            _ => None,
        };
    }

    /// Whether to ask for older lines.
    pub(crate) fn is_near_the_top(&self) -> bool {
        self.bottom().is_none_or(|(place, _)| place < NEAR)
    }

    /// Whether to ask for newer ones.
    pub(crate) fn is_near_the_end(&self) -> bool {
        self.newer
            && !self.newer_asked
            && self.bottom().is_none_or(|(place, _)| place + NEAR >= self.lines.len())
    }

    /// Whether a line says once more how the conversation is called: the members tell it to each newcomer, and nobody
    /// else needs to see that.
    pub(crate) fn repeats(&self, place: usize) -> bool {
        let name = |line: &Message| match &line.line {
            Line::Named(name) => Some(name.clone()),
            _ => None,
        };
        let Some(now) = self.lines.get(place).and_then(name) else { return false };
        self.lines.iter().take(place).rev().find_map(name) == Some(now)
    }

    /// Chooses the line before the chosen one, or after it; the newest one first. Gives its place.
    pub(crate) fn choose(&mut self, up: bool) -> Option<usize> {
        let last = self.lines.len().checked_sub(1)?;
        let shown = |place: &usize| !self.repeats(*place);
        let place = match self.chosen.and_then(|line| self.place_of(line)) {
            None => {
                let bottom = self.bottom().map_or(last, |(place, _)| place.min(last));
                (0..=bottom).rev().find(shown)?
            }
            Some(place) if up => (0..place).rev().find(shown).unwrap_or(place),
            Some(place) => (place + 1..=last).find(shown).unwrap_or(place),
        };
        self.chosen = self.lines.get(place).map(|line| line.sequence);
        Some(place)
    }

    /// The chosen line.
    pub(crate) fn chosen_line(&self) -> Option<&Message> {
        self.lines.get(self.place_of(self.chosen?)?)
    }

    /// Scrolls until a thing is on the screen as a whole.
    pub(crate) fn show(&mut self, place: usize, screen: usize, height: impl Fn(&Self, usize) -> usize) {
        let Some((bottom, hidden)) = self.bottom() else { return };
        if place > bottom || (place == bottom && hidden > 0) {
            self.settle(place, 0, screen, height);
            return;
        }
        let rows: usize = (place..=bottom).map(|at| height(self, at)).sum::<usize>().saturating_sub(hidden);
        if rows > screen {
            let up = isize::try_from(rows - screen).unwrap_or(isize::MAX);
            self.scroll(up, screen, height);
        }
    }

    /// Somebody types, or does not any more.
    pub(crate) fn types(&mut self, account: AccountId, on: bool, now: UnixMillis) {
        if on {
            self.typing.insert(account, UnixMillis(now.0.saturating_add(TYPING_MS)));
        } else {
            self.typing.remove(&account);
        }
    }

    /// A line is another one now, or gone.
    pub(crate) fn replace(&mut self, sequence: Sequence, line: Option<Message>) {
        let Some(place) = self.place_of(sequence) else { return };
        match (self.lines.get_mut(place), line) {
            (Some(known), Some(line)) => *known = line,
            _ => {
                self.lines.remove(place);
                let near =
                    place.checked_sub(1).and_then(|near| self.lines.get(near)).map(|line| line.sequence);
                if self.anchor.is_some_and(|anchor| anchor.line == sequence) {
                    self.anchor = near.map(|line| Anchor { line, hidden: 0 });
                }
                if self.chosen == Some(sequence) {
                    self.chosen = near;
                }
            }
        }
    }

    /// Own lines up to a place that somebody is not known to have, or to have read: those to read again.
    pub(crate) fn doubtful(&self, account: AccountId, upto: Sequence, read: bool) -> Vec<Sequence> {
        let lines = self.lines.iter().rev().filter(|line| line.own && line.sequence <= upto);
        let known = |line: &&Message| {
            let list = if read { &line.read_by } else { &line.delivered_to };
            !list.contains(&account)
        };
        lines.take_while(known).take(DOUBTFUL_MAX).map(|line| line.sequence).collect()
    }

    /// Who is typing now.
    pub(crate) fn typing(&self, now: UnixMillis) -> impl Iterator<Item = AccountId> {
        self.typing.iter().filter(move |(_, until)| **until > now).map(|(account, _)| *account)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::line;
    use super::*;

    const SCREEN: usize = 10;

    fn pane(count: u64) -> Pane {
        let mut pane = Pane::new(ConversationId([1; 16]));
        let lines = (1..=count).map(|number| line(number, "text")).collect();
        pane.take(pane.wanted(LinesPlace::Newest), lines);
        pane
    }

    fn two(_: &Pane, _: usize) -> usize {
        2
    }

    #[test]
    fn scrolling_up_and_down_comes_back_to_the_same_rows() {
        let mut pane = pane(100);
        assert!(pane.is_at_the_end());
        pane.scroll(7, SCREEN, two);
        assert_eq!(pane.bottom(), Some((96, 1)));
        pane.scroll(-3, SCREEN, two);
        assert_eq!(pane.bottom(), Some((97, 0)));
        pane.scroll(-4, SCREEN, two);
        assert!(pane.is_at_the_end());
    }

    #[test]
    fn the_top_ends_with_a_full_screen_and_a_short_history_does_not_scroll() {
        let mut long = pane(100);
        long.scroll(100_000, SCREEN, two);
        assert_eq!(long.bottom(), Some((4, 0)), "five things of two rows");
        let mut short = pane(3);
        short.scroll(5, SCREEN, two);
        assert!(short.is_at_the_end());
    }

    #[test]
    fn what_comes_while_one_reads_does_not_move_the_screen() {
        let mut pane = pane(100);
        pane.scroll(20, SCREEN, two);
        let before = pane.bottom();
        pane.add(line(101, "new"));
        assert_eq!(pane.bottom(), before);
        pane.take(pane.wanted(LinesPlace::Before(Sequence(1))), Vec::new());
        assert_eq!(pane.older, Older::Archive(None));
    }

    #[test]
    fn the_window_never_grows_beyond_its_limit_and_goes_on_at_both_ends() {
        let mut pane = Pane::new(ConversationId([1; 16]));
        let page = |from: u64| (from..from + 200).map(|number| line(number, "text")).collect::<Vec<_>>();
        pane.take(pane.wanted(LinesPlace::Newest), page(99_801));
        for from in (0..20).map(|number| 99_601 - number * 200) {
            pane.scroll(100_000, SCREEN, two);
            assert!(pane.is_near_the_top());
            pane.take(pane.wanted(LinesPlace::Before(Sequence(from + 200))), page(from));
            assert!(pane.lines.len() <= WINDOW_MAX);
        }
        assert!(pane.newer, "the newest lines were let go");
        pane.scroll(-100_000, SCREEN, two);
        assert!(pane.is_near_the_end());
        let last = pane.lines.back().map(|line| line.sequence.0).expect("lines");
        pane.take(pane.wanted(LinesPlace::After(Sequence(last))), page(last + 1));
        assert_eq!(pane.lines.back().map(|line| line.sequence.0), Some(last + 200));
        assert!(pane.lines.len() <= WINDOW_MAX);
    }

    #[test]
    fn what_comes_while_the_store_is_read_is_not_lost() {
        let mut pane = pane(3);
        pane.add(line(4, "just now"));
        let found = (1..=3).map(|number| line(number, "text")).collect();
        pane.take(pane.wanted(LinesPlace::Newest), found);
        assert_eq!(pane.lines.back().map(|line| line.sequence.0), Some(4));
    }

    #[test]
    fn a_repaired_line_finds_its_place_and_none_is_there_twice() {
        let mut pane = pane(3);
        pane.lines.remove(1);
        pane.add(line(2, "repaired"));
        pane.add(line(3, "again"));
        assert_eq!(pane.lines.iter().map(|line| line.sequence.0).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn a_chosen_line_is_brought_onto_the_screen() {
        let mut pane = pane(100);
        let mut place = 0;
        for _ in 0..20 {
            place = pane.choose(true).expect("there are lines");
            pane.show(place, SCREEN, two);
        }
        assert_eq!(place, 80);
        assert_eq!(pane.bottom(), Some((84, 0)), "it is the highest of the screen");
    }

    #[test]
    fn a_sign_of_typing_passes() {
        let mut pane = pane(1);
        pane.types(AccountId([2; 16]), true, UnixMillis(1_000));
        assert_eq!(pane.typing(UnixMillis(6_999)).count(), 1);
        assert_eq!(pane.typing(UnixMillis(7_000)).count(), 0);
    }
}
