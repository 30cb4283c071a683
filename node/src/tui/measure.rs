//! How wide text is on a terminal, and where it breaks.
//!
//! A terminal counts cells, not characters: most letters take one, East Asian ones and emoji two, combining marks
//! none. Everything that is placed on the screen is measured here, by grapheme clusters, as the screen itself
//! measures them.

use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// How many cells a text of one line takes.
pub(crate) fn width(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| grapheme.width()).sum()
}

/// The text if it fits into so many cells, else its start and an ellipsis.
pub(crate) fn fit(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme.width();
        if used + wide + 1 > cells {
            break;
        }
        out.push_str(grapheme);
        used += wide;
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// The text, cut or filled with spaces to exactly so many cells.
pub(crate) fn exactly(text: &str, cells: usize) -> String {
    let mut out = fit(text, cells);
    let missing = cells.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', missing));
    out
}

/// Where the lines of a text are when no line may be wider than so many cells: byte ranges that follow each other
/// without gaps, except for line feeds, which belong to no line. Lines break after spaces; a word that is wider than
/// a line breaks anywhere. There is always at least one line.
pub(crate) fn wrap(text: &str, cells: usize) -> Vec<Range<usize>> {
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut start = 0;
    for (place, _) in text.match_indices('\n').chain([(text.len(), "")]) {
        wrap_one(text, start..place, cells, &mut lines);
        start = place + 1;
    }
    lines
}

fn wrap_one(text: &str, line: Range<usize>, cells: usize, lines: &mut Vec<Range<usize>>) {
    let mut begin = line.start;
    let mut used = 0;
    // After the last space: where the line may break, and how much of it is used up to there.
    let mut breakable: Option<(usize, usize)> = None;
    let content = text.get(line.clone()).unwrap_or_default();
    for (offset, grapheme) in content.grapheme_indices(true) {
        let place = line.start + offset;
        let wide = grapheme.width();
        let space = grapheme.chars().all(char::is_whitespace);
        // A space may hang over the edge: nothing of it is seen. What is left after a break at a space may still be
        // too wide for what comes (a space that carries a mark is no place to break, and takes a cell).
        while used + wide > cells && !space && place > begin {
            let (next, before) = breakable.take().filter(|(at, _)| *at > begin).unwrap_or((place, used));
            lines.push(begin..next);
            begin = next;
            used -= before;
        }
        used += wide;
        if space {
            breakable = Some((place + grapheme.len(), used));
        }
    }
    lines.push(begin..line.end);
}

/// The start of the grapheme before a place in the text.
pub(crate) fn before(text: &str, place: usize) -> usize {
    let head = text.get(..place).unwrap_or_default();
    head.grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
}

/// The end of the grapheme at a place in the text.
pub(crate) fn after(text: &str, place: usize) -> usize {
    let tail = text.get(place..).unwrap_or_default();
    tail.graphemes(true).next().map_or(text.len(), |grapheme| place + grapheme.len())
}

/// The place in `text` within `line` that stands in a column of the screen, or the nearest before it.
pub(crate) fn place_at(text: &str, line: &Range<usize>, column: usize) -> usize {
    let mut used = 0;
    let content = text.get(line.clone()).unwrap_or_default();
    for (offset, grapheme) in content.grapheme_indices(true) {
        if used + grapheme.width() > column {
            return line.start + offset;
        }
        used += grapheme.width();
    }
    line.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrapped(text: &str, cells: usize) -> Vec<&str> {
        wrap(text, cells).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn width_is_counted_in_cells() {
        assert_eq!(width("plain"), 5);
        assert_eq!(width("你好"), 4);
        assert_eq!(width("e\u{301}"), 1, "a combining mark takes no cell");
        assert_eq!(width("🎉"), 2);
        assert_eq!(width("👩‍👩‍👧"), 2, "a joined emoji is one");
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis_and_never_cuts_a_wide_character() {
        assert_eq!(fit("garden", 6), "garden");
        assert_eq!(fit("garden", 5), "gard…");
        assert_eq!(fit("你好吗", 4), "你…");
        assert_eq!(exactly("你好吗", 4), "你… ");
        assert_eq!(exactly("ab", 4), "ab  ");
        assert_eq!(fit("abc", 0), "");
    }

    #[test]
    fn lines_break_after_spaces_and_long_words_anywhere() {
        assert_eq!(wrapped("one two three", 8), ["one two ", "three"]);
        assert_eq!(wrapped("one\n\ntwo", 8), ["one", "", "two"]);
        assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrapped("你好你好", 5), ["你好", "你好"]);
        assert_eq!(wrapped("", 4), [""]);
        assert_eq!(wrapped("  \u{1171f}豈", 2), [" ", " \u{1171f}", "豈"]);
        assert_eq!(wrapped("你好", 1), ["你", "好"]);
    }

    #[test]
    fn a_column_leads_to_a_place_in_the_text() {
        let text = "a你b";
        assert_eq!(place_at(text, &(0..text.len()), 0), 0);
        assert_eq!(place_at(text, &(0..text.len()), 2), 1, "the middle of a wide character is its start");
        assert_eq!(place_at(text, &(0..text.len()), 3), 4);
        assert_eq!(place_at(text, &(0..text.len()), 99), text.len());
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_it_may_be_and_nothing_is_lost(text in "(\\PC|\\n| ){0,80}", cells in 2..20_usize) {
            let lines = wrap(&text, cells);
            let joined: String = lines.iter().map(|range| &text[range.clone()]).collect();
            prop_assert_eq!(joined, text.replace('\n', ""));
            for range in lines {
                // Some marks take a cell of their own: what is one character to people may be three cells wide.
                let line = text[range].trim_end();
                prop_assert!(width(line) <= cells || line.graphemes(true).count() == 1);
            }
        }
    }
}
