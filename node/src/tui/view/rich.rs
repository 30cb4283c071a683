//! A text as it is shown: without its marks, harmless, with a style for each part.

use super::super::theme::Theme;
use super::span;
use ratatui::style::Style;
use ratatui::text::Span;
use sotto_node_core::format::{self, harmless, harmless_line};
use std::ops::Range;

/// Stands before each quoted line.
const QUOTED: &str = "▏ ";

/// What is shown, and how. The parts follow each other and leave nothing out.
pub(super) struct Rich {
    pub(super) text: String,
    parts: Vec<(Range<usize>, Style)>,
}

/// A text on one line: without its marks, harmless.
pub(crate) fn plain(text: &str) -> String {
    let pieces = format::spans(text).into_iter();
    harmless_line(&pieces.filter_map(|piece| text.get(piece.range)).collect::<String>())
}

impl Rich {
    /// Reads the marks of a text.
    pub(super) fn new(text: &str, theme: &Theme) -> Self {
        let mut rich = Self { text: String::with_capacity(text.len()), parts: Vec::new() };
        // A link whose words are other than itself is followed by where it leads.
        let mut link: Option<(&str, usize)> = None;
        for piece in format::spans(text) {
            if link.is_some_and(|(to, _)| piece.link != Some(to)) {
                rich.end_link(link.take(), theme);
            }
            if let Some(to) = piece.link.filter(|_| link.is_none()) {
                link = Some((to, rich.text.len()));
            }
            if piece.style.quote && (rich.text.is_empty() || rich.text.ends_with('\n')) {
                rich.push(QUOTED, theme.border);
            }
            rich.push(
                &harmless(text.get(piece.range).unwrap_or_default()),
                theme.rich(piece.style, piece.link.is_some()),
            );
        }
        rich.end_link(link, theme);
        rich.take_feed();
        rich
    }

    fn push(&mut self, text: &str, style: Style) {
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push((start..self.text.len(), style));
    }

    /// Takes a line feed at the end away; whether there was one.
    fn take_feed(&mut self) -> bool {
        let feed = self.text.ends_with('\n');
        if feed {
            self.text.pop();
            if let Some((range, _)) = self.parts.last_mut() {
                range.end = self.text.len();
            }
        }
        feed
    }

    fn end_link(&mut self, link: Option<(&str, usize)>, theme: &Theme) {
        if let Some((to, start)) = link
            && self.text.get(start..).is_some_and(|words| words.trim_end() != to)
        {
            let feed = self.take_feed();
            self.push(&format!(" <{}>", harmless(to)), theme.dim);
            if feed {
                self.push("\n", theme.text);
            }
        }
    }

    /// A part of it, each style patched.
    pub(super) fn line(&self, part: &Range<usize>, over: Style) -> Vec<Span<'static>> {
        let first = self.parts.partition_point(|(range, _)| range.end <= part.start);
        let parts = self.parts.iter().skip(first).take_while(|(range, _)| range.start < part.end);
        parts
            .filter_map(|(range, style)| {
                let text = self.text.get(range.start.max(part.start)..range.end.min(part.end))?;
                Some(span(text, style.patch(over)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::theme::ThemeName;
    use super::*;
    use proptest::prelude::*;
    use ratatui::style::Modifier;

    fn rich(text: &str) -> Rich {
        Rich::new(text, &Theme::new(ThemeName::Dark))
    }

    #[test]
    fn marks_become_styles_and_links_say_where_they_lead() {
        let shown = rich("**so** it is, [here](https://example.org)\n> quoted");
        assert_eq!(shown.text, "so it is, here <https://example.org>\n▏ quoted");
        let bold = shown.line(&(0..2), Style::new());
        assert!(bold[0].style.add_modifier.contains(Modifier::BOLD));
        assert_eq!(rich("see https://example.org").text, "see https://example.org");
    }

    proptest! {
        #[test]
        fn nothing_commands_the_terminal_and_every_part_can_be_shown(text in "(\\PC|\\n|[*_~`>\\[\\]() \\x1b\u{202e}]){0,60}") {
            let shown = rich(&text);
            prop_assert!(shown.text.chars().all(|c| c == '\n' || !format::is_dangerous(c)));
            let all: String = shown.line(&(0..shown.text.len()), Style::new()).iter().map(|span| span.content.as_ref()).collect();
            prop_assert_eq!(all, shown.text);
        }
    }
}
