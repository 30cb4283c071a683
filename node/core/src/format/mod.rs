//! What is in a text for people: emphasis, code, quotes, links; and how other people's text is made harmless.
//!
//! [`spans`] knows a small part of Markdown, the part that people type in messages, and nothing that could surprise:
//!
//! | written | shown as |
//! |---|---|
//! | `**bold**`, `*italic*`, `_italic_`, `~~struck~~` | so |
//! | `` `code` ``, and lines between two lines of three backquotes | code, with nothing interpreted inside |
//! | a line that begins with `> ` | a quote |
//! | `https://example.org`, `[words](https://example.org)` | a link; other schemes are text |
//!
//! Everything else stays as it was typed, above all what is not closed. (The usual Markdown crates cannot be held to
//! this: they cannot be kept from headings, lists, HTML and link definitions, which swallow text, and they do not know
//! plain addresses.) The time is linear in the length of the text, whatever is in it: every byte is looked at a fixed
//! number of times, and nothing is searched for ahead without being remembered.

mod harmless;
mod inline;

pub use harmless::{harmless, harmless_line, is_dangerous};

use std::ops::Range;

/// How a piece of text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Style {
    /// Strongly emphasised.
    pub bold: bool,
    /// Emphasised.
    pub italic: bool,
    /// Struck through.
    pub strike: bool,
    /// Code within a line.
    pub code: bool,
    /// Lines of code.
    pub code_block: bool,
    /// A quoted line.
    pub quote: bool,
}

/// A piece of text that is shown in one way. The pieces follow each other; what lies between them are marks that are
/// not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// Which bytes of the text.
    pub range: Range<usize>,
    /// How.
    pub style: Style,
    /// Where it leads: `http://` or `https://` and no character that could hide anything. When the words of a link look
    /// like an address themselves it is no link but shown as typed, so that nobody is led elsewhere than they read.
    pub link: Option<&'a str>,
}

/// The pieces of a text, in order. It never fails: what is no mark is text.
#[must_use]
pub fn spans(text: &str) -> Vec<Span<'_>> {
    let mut out = Spans { text, list: Vec::new() };
    let lines = lines(text);
    let fences: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| is_fence(text, line)).map(|(n, _)| n).collect();
    // Two fences are a block; a last one without its end is text.
    let mut blocks =
        fences.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).peekable();
    for (n, line) in lines.iter().enumerate() {
        while blocks.next_if(|(_, end)| *end < n).is_some() {}
        match blocks.peek() {
            Some((begin, end)) if n == *begin || n == *end => {}
            Some((begin, end)) if (*begin..*end).contains(&n) => {
                out.push(line.clone(), Style { code_block: true, ..Style::default() }, None);
            }
            _ => {
                let quoted = text.get(line.clone()).and_then(|line| line.strip_prefix('>'));
                let style = Style { quote: quoted.is_some(), ..Style::default() };
                let start = match quoted {
                    Some(rest) if rest.starts_with(' ') => line.start.saturating_add(2),
                    Some(_) => line.start.saturating_add(1),
                    None => line.start,
                };
                inline::line(&mut out, start..line.end, style);
            }
        }
    }
    out.list
}

/// Pieces under way.
struct Spans<'a> {
    text: &'a str,
    list: Vec<Span<'a>>,
}

impl<'a> Spans<'a> {
    /// Adds a piece; one that goes on from the last in the same way becomes part of it.
    fn push(&mut self, range: Range<usize>, style: Style, link: Option<&'a str>) {
        if range.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some(last) if last.range.end == range.start && last.style == style && last.link == link => {
                last.range.end = range.end;
            }
            _ => self.list.push(Span { range, style, link }),
        }
    }
}

/// The lines of a text, each with its line feed.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0_usize;
    let line = |line: &str| {
        let range = start..start.saturating_add(line.len());
        start = range.end;
        range
    };
    text.split_inclusive('\n').map(line).collect()
}

/// Three backquotes and at most the name of a language.
fn is_fence(text: &str, line: &Range<usize>) -> bool {
    let rest = text.get(line.clone()).and_then(|line| line.strip_prefix("```"));
    rest.is_some_and(|rest| rest.trim_end().chars().all(|c| c.is_ascii_alphanumeric() || "+-#_.".contains(c)))
}

#[cfg(test)]
mod tests;
