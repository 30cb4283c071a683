//! From texts to folded words, and whether a text has those that are wanted.

use sotto_protocol::ordered::one_by_one;
use std::collections::BTreeSet;
use std::ops::Range;
use unicode_normalization::UnicodeNormalization as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// Of longer words only so much counts, in texts as in questions; nobody types more of one to find it.
const WORD_BYTES_MAX: usize = 64;

/// Words of one question.
const WANTED_MAX: usize = 16;

/// The words of a text with where they stand.
fn words(text: &str) -> impl Iterator<Item = (Range<usize>, String)> {
    text.unicode_word_indices()
        .map(|(start, word)| (start..start.saturating_add(word.len()), fold(word)))
        .filter(|(_, word)| !word.is_empty())
}

fn fold(word: &str) -> String {
    let mut folded = String::new();
    for c in word.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()) {
        // The one letter whose lower case depends on where it stands.
        let c = if c == 'ς' { 'σ' } else { c };
        if folded.len().saturating_add(c.len_utf8()) > WORD_BYTES_MAX {
            break;
        }
        folded.push(c);
    }
    folded
}

/// Every different word of a text, each after a space.
pub(super) fn folded(text: &str) -> String {
    let words: BTreeSet<String> = one_by_one(words(text).map(|(_, word)| word));
    words.iter().flat_map(|word| [" ", word.as_str()]).collect()
}

/// What a question asks for.
pub(super) struct Wanted {
    beginnings: Vec<String>,
    /// Each beginning after the space that begins a word.
    needles: Vec<memchr::memmem::Finder<'static>>,
}

impl Wanted {
    pub(super) fn new(question: &str) -> Self {
        let different: BTreeSet<String> = one_by_one(words(question).map(|(_, word)| word).take(WANTED_MAX));
        let mut beginnings: Vec<String> = different.into_iter().collect();
        // The longest is the rarest, most likely.
        beginnings.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let finder = |word: &String| memchr::memmem::Finder::new(&format!(" {word}")).into_owned();
        let needles = beginnings.iter().map(finder).collect();
        Self { beginnings, needles }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.beginnings.is_empty()
    }

    /// Where the one that is the rarest, most likely, stands first in what [`folded`] made, of one line or of many.
    pub(super) fn rarest_in(&self, folded: &[u8]) -> Option<usize> {
        self.needles.first()?.find(folded)
    }

    /// Whether what [`folded`] made has them all.
    pub(super) fn are_in(&self, folded: &str) -> bool {
        self.needles.iter().all(|needle| needle.find(folded.as_bytes()).is_some())
    }

    /// Where they are in a text; `None` if one is missing.
    pub(super) fn marks(&self, text: &str) -> Option<Vec<Range<usize>>> {
        let mut missing: BTreeSet<&str> = one_by_one(self.beginnings.iter().map(String::as_str));
        let mut marks = Vec::new();
        for (range, word) in words(text) {
            let mut is_one = false;
            for beginning in self.beginnings.iter().filter(|beginning| word.starts_with(beginning.as_str())) {
                missing.remove(beginning.as_str());
                is_one = true;
            }
            if is_one {
                marks.push(range);
            }
        }
        missing.is_empty().then_some(marks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(question: &str, text: &str) -> bool {
        let wanted = Wanted::new(question);
        let found = wanted.are_in(&folded(text));
        assert_eq!(found, wanted.marks(text).is_some(), "{question:?} in {text:?}");
        found
    }

    #[test]
    fn words_are_found_by_their_beginnings_in_any_case_and_form() {
        for (question, text) in [
            ("hello", "Hello, world!"),
            ("WORL", "hello world"),
            ("world hel", "Hello, world!"),
            ("straße", "Die STRASSE heißt Straße"),
            ("οδος", "ΟΔΟΣ"),
            ("file", "the ﬁle"),
            ("привет", "ПРИВЕТ, мир"),
            ("東京", "私は東京に住む"),
            ("e\u{301}te\u{301}", "l'\u{e9}t\u{e9} ou \u{c9}T\u{c9}"),
            ("3.5", "it grew by 3.5 percent"),
            ("don't", "Don't panic"),
        ] {
            assert!(finds(question, text), "{question:?} in {text:?}");
        }
        for (question, text) in [("ello", "hello"), ("hello moon", "hello world"), ("wörld", "world")] {
            assert!(!finds(question, text), "{question:?} in {text:?}");
        }
    }

    #[test]
    fn marks_are_where_the_words_stand() {
        let text = "Ein ﬁnales Wort, ein Ende";
        let marks = Wanted::new("fin ein").marks(text).unwrap();
        let marked: Vec<&str> = marks.into_iter().map(|range| &text[range]).collect();
        assert_eq!(marked, ["Ein", "ﬁnales", "ein"]);
    }

    #[test]
    fn punctuation_alone_asks_for_nothing() {
        for question in ["", "  ", "?! -", "\u{1f600}\u{200d}"] {
            assert!(Wanted::new(question).is_empty(), "{question:?}");
        }
    }

    #[test]
    fn of_a_word_without_an_end_the_beginning_counts() {
        assert!(finds(&"x".repeat(5_000), &"X".repeat(100_000)));
    }
}
