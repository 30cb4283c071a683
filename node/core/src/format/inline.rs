//! The marks within one line.

use super::{Spans, Style};
use std::ops::Range;

/// What may stand for emphasis: at most one of each is open at a time, so the list of what is open stays short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Emphasis {
    Bold,
    Star,
    Underscore,
    Strike,
}

/// A piece of a line.
enum Piece<'a> {
    Text(Range<usize>),
    Code(Range<usize>),
    Link(Range<usize>, &'a str),
    /// A mark that opens or closes emphasis if it finds its other half, and is text if not.
    Mark {
        range: Range<usize>,
        emphasis: Emphasis,
        role: Role,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Text,
    Opens,
    Closes,
}

/// Adds the pieces of a line.
pub(super) fn line<'a>(out: &mut Spans<'a>, range: Range<usize>, base: Style) {
    let mut pieces = pieces(out.text, range);
    pair(out.text, &mut pieces);
    let mut style = base;
    for piece in pieces {
        match piece {
            Piece::Text(range) => out.push(range, style, None),
            Piece::Code(range) => out.push(range, Style { code: true, ..style }, None),
            Piece::Link(range, link) => out.push(range, style, Some(link)),
            Piece::Mark { range, role: Role::Text, .. } => out.push(range, style, None),
            Piece::Mark { emphasis, role, .. } => {
                let on = role == Role::Opens;
                match emphasis {
                    Emphasis::Bold => style.bold = on,
                    Emphasis::Star | Emphasis::Underscore => style.italic = on,
                    Emphasis::Strike => style.strike = on,
                }
            }
        }
    }
}

/// Cuts a line at everything that may be a mark.
fn pieces(text: &str, range: Range<usize>) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let end = range.end;
    let rest = |at: usize| text.get(at..end).unwrap_or_default();
    let code = code_ends(text, range.clone());
    let mut at = range.start;
    // Where the text since the last piece, and the last bracket, began.
    let (mut plain, mut bracket) = (at, None);
    let mut code = code.into_iter().peekable();
    while let Some(c) = rest(at).chars().next() {
        let (piece, next) = if c == '`' {
            while code.next_if(|(open, _)| open.start < at).is_some() {}
            match code.peek() {
                Some((open, close)) if open.start == at => {
                    (Some(Piece::Code(open.end..close.start)), close.end)
                }
                _ => (None, at.saturating_add(run(rest(at), '`'))),
            }
        } else if c == '[' {
            bracket = Some(at);
            (None, at.saturating_add(1))
        } else if c == ']' {
            match bracket.take().and_then(|open| labelled(text, open, at, end)) {
                Some((open, piece, next)) if open >= plain => {
                    push_text(&mut pieces, plain..open);
                    plain = at;
                    (Some(piece), next)
                }
                _ => (None, at.saturating_add(1)),
            }
        } else if c == 'h' && !after_word(text, at) && is_address(rest(at)) {
            let length = address_length(rest(at));
            let link = text.get(at..at.saturating_add(length)).unwrap_or_default();
            (Some(Piece::Link(at..at.saturating_add(length), link)), at.saturating_add(length))
        } else if let Some((emphasis, length)) = emphasis(rest(at)) {
            let range = at..at.saturating_add(length);
            // The words of a link are shown as they are.
            bracket = None;
            (Some(Piece::Mark { range: range.clone(), emphasis, role: Role::Text }), range.end)
        } else {
            (None, at.saturating_add(c.len_utf8()))
        };
        if let Some(piece) = piece {
            push_text(&mut pieces, plain..at);
            pieces.push(piece);
            plain = next;
        }
        at = next;
    }
    push_text(&mut pieces, plain..end);
    pieces
}

fn push_text(pieces: &mut Vec<Piece<'_>>, range: Range<usize>) {
    if !range.is_empty() {
        pieces.push(Piece::Text(range));
    }
}

/// The pairs of single or double backquotes, as what opens and what closes. One look at the line finds all of them.
fn code_ends(text: &str, range: Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    let line = text.get(range.clone()).unwrap_or_default();
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (offset, _) in line.match_indices('`') {
        let at = range.start.saturating_add(offset);
        match runs.last_mut() {
            Some(last) if last.end == at => last.end = at.saturating_add(1),
            _ => runs.push(at..at.saturating_add(1)),
        }
    }
    let mut pairs = Vec::new();
    let mut open: [Option<Range<usize>>; 2] = [None, None];
    for run in runs {
        let Some(slot) = run.len().checked_sub(1).and_then(|length| open.get_mut(length)) else { continue };
        match slot.take() {
            Some(begin) if begin.end < run.start => {
                pairs.push((begin, run));
                // What was open inside is inside.
                open = [None, None];
            }
            _ => *slot = Some(run),
        }
    }
    pairs.sort_by_key(|(open, _)| open.start);
    pairs
}

fn run(text: &str, of: char) -> usize {
    text.len().saturating_sub(text.trim_start_matches(of).len())
}

fn emphasis(rest: &str) -> Option<(Emphasis, usize)> {
    let marks = [
        ("**", Emphasis::Bold),
        ("~~", Emphasis::Strike),
        ("*", Emphasis::Star),
        ("_", Emphasis::Underscore),
    ];
    marks.into_iter().find(|(mark, _)| rest.starts_with(mark)).map(|(mark, emphasis)| (emphasis, mark.len()))
}

fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at).and_then(|before| before.chars().next_back())
}

fn after_word(text: &str, at: usize) -> bool {
    before(text, at).is_some_and(char::is_alphanumeric)
}

/// Finds the other half of each mark.
fn pair(text: &str, pieces: &mut [Piece<'_>]) {
    let mut open: Vec<(Emphasis, usize)> = Vec::new();
    for n in 0..pieces.len() {
        let Some(Piece::Mark { range, emphasis, .. }) = pieces.get(n) else { continue };
        let emphasis = *emphasis;
        let left = before(text, range.start);
        let right = text.get(range.end..).and_then(|rest| rest.chars().next());
        let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let dense = |c: Option<char>| c.is_some_and(|c| !c.is_whitespace());
        // 2*3*4 and snake_case_names are no emphasis.
        let closes = dense(left) && !word(right);
        let opens = dense(right) && !word(left);
        let partner = open.iter().rposition(|(known, _)| *known == emphasis);
        if let Some(place) = partner.filter(|_| closes) {
            let begin = open.get(place).map_or(0, |(_, begin)| *begin);
            open.truncate(place);
            // **** is text.
            if begin.saturating_add(1) < n {
                set_role(pieces, begin, Role::Opens);
                set_role(pieces, n, Role::Closes);
            }
        } else if opens && partner.is_none() {
            open.push((emphasis, n));
        }
    }
}

fn set_role(pieces: &mut [Piece<'_>], n: usize, new: Role) {
    if let Some(Piece::Mark { role, .. }) = pieces.get_mut(n) {
        *role = new;
    }
}

/// `[words](address)`, given where its brackets are: where it begins, what it is, where it ends.
fn labelled(text: &str, open: usize, close: usize, end: usize) -> Option<(usize, Piece<'_>, usize)> {
    let words = open.saturating_add(1)..close;
    let label = text.get(words.clone())?;
    if label.trim().is_empty() || label.contains("://") || label.contains("www.") {
        return None;
    }
    let rest = text.get(close.saturating_add(1)..end)?.strip_prefix('(')?;
    if !is_address(rest) {
        return None;
    }
    // It ends at the first thing that no address has, so that no two attempts look at the same bytes.
    let length = rest.find(|c| !in_address(c) || "()[]".contains(c))?;
    let link = rest.get(..length)?;
    let start = close.saturating_add(2);
    rest.get(length..)?
        .starts_with(')')
        .then(|| (open, Piece::Link(words, link), start.saturating_add(length).saturating_add(1)))
}

fn is_address(rest: &str) -> bool {
    let host = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://"));
    host.and_then(|host| host.chars().next()).is_some_and(|c| c.is_alphanumeric() || c == '[')
}

/// What may stand in an address: no space, no mark of direction, nothing that commands a terminal.
fn in_address(c: char) -> bool {
    !c.is_whitespace() && !super::harmless::is_dangerous(c) && !"<>\"`{}|\\^".contains(c)
}

/// How far an address goes: without what ends a sentence, or closes a bracket that it did not open.
fn address_length(rest: &str) -> usize {
    let all = rest.find(|c| !in_address(c)).and_then(|length| rest.get(..length)).unwrap_or(rest);
    let mut link = all;
    let mut excess = all.matches(')').count().saturating_sub(all.matches('(').count());
    while let Some(last) = link.chars().next_back() {
        match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | ']' => {}
            ')' if excess > 0 => excess = excess.saturating_sub(1),
            _ => break,
        }
        link = link.get(..link.len().saturating_sub(last.len_utf8())).unwrap_or_default();
    }
    link.len()
}
