//! Other people's text, made harmless for a terminal.
//!
//! A message may hold escape sequences that move the cursor, change the title or answer as if typed, and
//! characters that turn the direction of writing so that a line reads as something else. What is shown
//! keeps its letters and loses all of that; what is stored and what `--json` prints (escaped) is unchanged.

/// Text of several lines: line feeds stay, tabs become spaces, everything else that commands a terminal goes.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c if is_dangerous(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Text of one line, such as a name: a line feed is dangerous here, since what follows could pose as output of ours.
#[must_use]
pub fn harmless_line(text: &str) -> String {
    harmless(text.trim_end_matches(['\n', '\r'])).replace('\n', " ")
}

/// Whether a character does something to a terminal or to the direction of a line instead of standing for itself.
#[must_use]
pub fn is_dangerous(c: char) -> bool {
    c.is_control() // C0, DEL and C1: U+009B starts an escape sequence without ESC on some terminals
        || matches!(c,
            '\u{061c}'                  // Arabic letter mark
            | '\u{200e}' | '\u{200f}'   // left-to-right and right-to-left mark
            | '\u{2028}' | '\u{2029}'   // line and paragraph separator
            | '\u{202a}'..='\u{202e}'   // embeddings and overrides (CVE-2021-42574)
            | '\u{2066}'..='\u{2069}'   // isolates
            | '\u{206a}'..='\u{206f}'   // deprecated format characters
            | '\u{feff}'                // byte order mark inside text
            | '\u{fff9}'..='\u{fffb}'   // interlinear annotation
            | '\u{e0000}'..='\u{e007f}' // tags: invisible text
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escape_sequences_lose_what_makes_them_work() {
        assert_eq!(harmless("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(harmless("\u{1b}]0;title\u{7}"), "\u{fffd}]0;title\u{fffd}");
        assert_eq!(harmless("\u{9b}31m"), "\u{fffd}31m");
        assert_eq!(harmless("over\rwritten"), "over\u{fffd}written");
    }

    #[test]
    fn text_cannot_turn_the_direction_of_a_line() {
        assert_eq!(harmless("safe\u{202e}exe.txt\u{2066}"), "safe\u{fffd}exe.txt\u{fffd}");
    }

    #[test]
    fn languages_and_emoji_stay_as_they_are() {
        for text in ["שלום", "مرحبا", "здравствуй", "你好", "👩‍👩‍👧", "e\u{301}", "a\nb"]
        {
            assert_eq!(harmless(text), text);
        }
    }

    #[test]
    fn a_name_is_one_line() {
        assert_eq!(harmless_line("alice\nroot logged in\n"), "alice root logged in");
    }

    proptest! {
        #[test]
        fn nothing_that_commands_a_terminal_is_left(text in "\\PC*|[\\x00-\\u{a0}]*|.*") {
            let shown = harmless(&text);
            prop_assert!(shown.chars().all(|c| c == '\n' || !is_dangerous(c)));
            prop_assert!(harmless_line(&text).chars().all(|c| !is_dangerous(c)));
        }
    }
}
