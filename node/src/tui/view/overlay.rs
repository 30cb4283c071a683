//! What lies over the conversation: help, palette, invites, safety numbers.

use super::super::app::{App, Chooser, Overlay};
use super::super::keys::{ACTIONS, Place};
use super::super::measure::{exactly, fit, width, wrap};
use super::super::slash::COMMANDS;
use super::{clear, put, span};
use qrcode::{Color as Module, EcLevel, QrCode};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use sotto_node_core::client::Contact;
use sotto_node_core::format::harmless_line;

/// Light modules around a QR code; half of what the standard asks for is enough for phones.
const QUIET: usize = 2;

/// Help has keys, and commands with what they take, in so many cells.
const KEYS_CELLS: usize = 34;
const COMMAND_CELLS: usize = 30;

/// Draws it; gives where the cursor is.
pub(super) fn draw(app: &App, overlay: &Overlay, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    match overlay {
        Overlay::Help { scroll } => help(app, *scroll, area, buffer),
        Overlay::Palette(chooser) => {
            return Some(choose(app, chooser, "Commands, conversations, people", area, buffer));
        }
        Overlay::Rooms(chooser) => {
            return Some(choose(app, chooser, "Public rooms of this relay", area, buffer));
        }
        Overlay::Invite { title, link } => invite(app, title, link.as_ref(), area, buffer),
        Overlay::Verify { contact, sure } => verify(app, contact, *sure, area, buffer),
        Overlay::Login(password) => {
            let inner = frame(app, "Sign in again", 50, 4, area, buffer);
            let user = app.me.as_ref().map(|me| harmless_line(&me.username)).unwrap_or_default();
            put(buffer, inner, 0, &Line::from(span(format!("The password of {user}:"), app.theme.text)));
            let dots = "•".repeat(password.text().chars().count().min(usize::from(inner.width) - 1));
            put(buffer, inner, 1, &Line::from(span(dots.clone(), app.theme.accent)));
            put(buffer, inner, 3, &Line::from(span("Enter signs in · Esc leaves", app.theme.dim)));
            return Some(Position::new(inner.x + u16::try_from(width(&dots)).unwrap_or(0), inner.y + 1));
        }
        Overlay::Connection(facts) => connection(app, facts, area, buffer),
        Overlay::Reactions(chooser) => return Some(choose(app, chooser, "React with", area, buffer)),
        Overlay::Search(chooser) => {
            return Some(choose(app, chooser, "Find messages: words, or how they begin", area, buffer));
        }
        Overlay::Found { title, chooser } => return Some(choose(app, chooser, title, area, buffer)),
        Overlay::Sure { title, question, yes, .. } => {
            let inner = frame(app, title, 54, 5, area, buffer);
            let hint = format!("{yes} · any other key does not");
            paragraphs(
                &[(question, app.theme.text), ("", app.theme.text), (&hint, app.theme.dim)],
                inner,
                buffer,
            );
        }
    }
    None
}

/// An empty box in the middle; gives its inside.
fn frame(app: &App, title: &str, columns: u16, rows: u16, area: Rect, buffer: &mut Buffer) -> Rect {
    let width_all = (columns + 4).min(area.width);
    let height = (rows + 2).min(area.height);
    let outer = Rect::new((area.width - width_all) / 2, (area.height - height) / 2, width_all, height);
    clear(buffer, outer);
    let across = usize::from(width_all).saturating_sub(2);
    let label = fit(title, across.saturating_sub(4));
    let rest = across.saturating_sub(width(&label) + 3);
    let top = Line::from(vec![
        span("╭─ ", app.theme.border),
        span(label, app.theme.strong),
        span(format!(" {}╮", "─".repeat(rest)), app.theme.border),
    ]);
    put(buffer, outer, 0, &top);
    for row in 1..height.saturating_sub(1) {
        buffer.set_string(outer.x, outer.y + row, "│", app.theme.border);
        buffer.set_string(outer.right() - 1, outer.y + row, "│", app.theme.border);
    }
    let bottom = format!("╰{}╯", "─".repeat(across));
    put(buffer, outer, height - 1, &Line::from(span(bottom, app.theme.border)));
    Rect::new(outer.x + 2, outer.y + 1, width_all.saturating_sub(4), height.saturating_sub(2))
}

fn help(app: &App, scroll: usize, area: Rect, buffer: &mut Buffer) {
    let inner = frame(app, "Help", 90, area.height.saturating_sub(4), area, buffer);
    let cells = usize::from(inner.width);
    let mut lines: Vec<Line<'static>> = Vec::new();
    for (place, title) in [
        (Place::Writing, "While writing"),
        (Place::Reading, "With a message chosen"),
        (Place::Everywhere, "Everywhere"),
    ] {
        lines.push(Line::from(span(title, app.theme.strong)));
        for row in ACTIONS.iter().filter(|row| row.place == place) {
            let keys = app.config.keys.all_shown(row.action);
            lines.push(Line::from(vec![
                span(exactly(&format!("  {keys}"), KEYS_CELLS), app.theme.accent),
                span(fit(row.what, cells.saturating_sub(KEYS_CELLS)), app.theme.text),
            ]));
        }
        lines.push(Line::default());
    }
    lines.push(Line::from(span("Commands", app.theme.strong)));
    for row in COMMANDS {
        lines.push(Line::from(vec![
            span(exactly(&format!("  {} {}", row.name, row.takes), COMMAND_CELLS), app.theme.accent),
            span(fit(row.what, cells.saturating_sub(COMMAND_CELLS)), app.theme.text),
        ]));
    }
    lines.push(Line::default());
    for text in [
        "While writing, :smi offers emoji, @bo members, /cr commands; Tab takes one.",
        "A text that begins with two slashes is sent with one.",
        "Keys, theme and notifications are set in tui.toml in the profile's folder.",
    ] {
        for part in wrap(text, cells) {
            lines.push(Line::from(span(text.get(part).unwrap_or_default(), app.theme.dim)));
        }
    }
    let rows = usize::from(inner.height).saturating_sub(1);
    let first = scroll.min(lines.len().saturating_sub(rows));
    for (row, line) in (0..inner.height.saturating_sub(1)).zip(lines.iter().skip(first)) {
        put(buffer, inner, row, line);
    }
    let hint = "Up/Down and PgUp/PgDn move · any other key closes";
    put(buffer, inner, inner.height.saturating_sub(1), &Line::from(span(hint, app.theme.dim)));
}

fn choose(app: &App, chooser: &Chooser, title: &str, area: Rect, buffer: &mut Buffer) -> Position {
    let entries = u16::try_from(chooser.entries.len()).unwrap_or(u16::MAX);
    // It neither jumps while letters are typed nor is larger than all that it may hold.
    let rows = if chooser.narrows() { entries.max(1).saturating_add(2) } else { u16::MAX };
    let inner = frame(app, title, 70, rows.min(20).min(area.height.saturating_sub(6)), area, buffer);
    let cells = usize::from(inner.width);
    let query = chooser.query.text();
    put(
        buffer,
        inner,
        0,
        &Line::from(vec![span("› ", app.theme.accent), span(query.to_owned(), app.theme.text)]),
    );
    let fitting = chooser.fitting();
    let rows = usize::from(inner.height).saturating_sub(2).max(1);
    let first = (chooser.chosen + 1).saturating_sub(rows);
    if fitting.is_empty() && !query.is_empty() {
        put(buffer, inner, 2, &Line::from(span("Nothing fits.", app.theme.dim)));
    }
    for (row, (place, entry)) in (2_u16..inner.height).zip(fitting.iter().enumerate().skip(first)) {
        let over = if place == chooser.chosen { app.theme.selected } else { Style::new() };
        let sign = if place == chooser.chosen { "› " } else { "  " };
        let what = fit(&entry.what, cells / 2);
        let room = cells.saturating_sub(width(&what) + 3);
        put(
            buffer,
            inner,
            row,
            &Line::from(vec![
                span(sign, app.theme.accent.patch(over)),
                span(exactly(&entry.label, room), app.theme.text.patch(over)),
                span(format!(" {what}"), app.theme.dim.patch(over)),
            ]),
        );
    }
    Position::new(inner.x + 2 + u16::try_from(width(query)).unwrap_or(0).min(inner.width - 3), inner.y)
}

/// The rows of a QR code, two modules in each; `None` if the text is too long for one.
pub(super) fn qr_rows(text: &str, inverted: bool) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let side = code.width();
    let colors = code.to_colors();
    let dark = |x: usize, y: usize| {
        let inside = (QUIET..side + QUIET).contains(&x) && (QUIET..side + QUIET).contains(&y);
        let module = inside.then(|| colors.get((y - QUIET) * side + (x - QUIET))).flatten();
        (module == Some(&Module::Dark)) != inverted
    };
    let all = side + 2 * QUIET;
    let cell = |x: usize, y: usize| match (dark(x, y), y + 1 < all && dark(x, y + 1)) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    Some((0..all).step_by(2).map(|y| (0..all).map(|x| cell(x, y)).collect()).collect())
}

/// A box with texts, and a QR code at their left where there is room for both; it is as large as they are. `texts` are
/// told whether the code is there.
fn beside_qr(
    app: &App,
    (title, columns): (&str, u16),
    code: &str,
    texts: impl Fn(bool) -> Vec<(String, Style)>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let columns = columns.min(area.width.saturating_sub(4));
    let most = area.height.saturating_sub(2);
    // Without colour, the terminal's own light on its own dark: inverted, as most terminals are dark.
    let plain = app.theme.qr() == Style::new();
    let mut code = qr_rows(code, plain).unwrap_or_default();
    let code_cells = code.first().map_or(0, |row| row.chars().count()) + 2;
    if code.len() > usize::from(most) || code_cells + 24 > usize::from(columns) {
        code.clear();
    }
    let left = if code.is_empty() { 0 } else { u16::try_from(code_cells).unwrap_or(u16::MAX) };
    let texts = texts(!code.is_empty());
    let room = columns.saturating_sub(left);
    let lines: usize = texts.iter().map(|(text, _)| wrap(text, usize::from(room)).len()).sum();
    let rows = u16::try_from(lines.max(code.len())).unwrap_or(u16::MAX).min(most);
    let inner = frame(app, title, columns, rows, area, buffer);
    for (row, text) in (0..inner.height).zip(code) {
        put(buffer, inner, row, &Line::from(span(text, app.theme.qr())));
    }
    let texts: Vec<(&str, Style)> = texts.iter().map(|(text, style)| (text.as_str(), *style)).collect();
    paragraphs(&texts, Rect { x: inner.x + left, width: inner.width.saturating_sub(left), ..inner }, buffer);
}

fn paragraphs(texts: &[(&str, Style)], area: Rect, buffer: &mut Buffer) {
    let mut row = 0;
    for (text, style) in texts {
        for part in wrap(text, usize::from(area.width)) {
            put(buffer, area, row, &Line::from(span(text.get(part).unwrap_or_default(), *style)));
            row += 1;
        }
    }
}

fn invite(app: &App, title: &str, link: Option<&Result<String, String>>, area: Rect, buffer: &mut Buffer) {
    let link = match link {
        Some(Ok(link)) => harmless_line(link),
        other => {
            let (text, style) = match other {
                Some(Err(why)) => (why.as_str(), app.theme.alert),
                _ => ("Asking the relay …", app.theme.dim),
            };
            let columns = 70.min(area.width.saturating_sub(4));
            let rows = u16::try_from(wrap(text, usize::from(columns)).len()).unwrap_or(u16::MAX);
            let inner = frame(app, title, columns, rows, area, buffer);
            return paragraphs(&[(text, style)], inner, buffer);
        }
    };
    let texts = |has_code| {
        let hint =
            if has_code { "Or let them scan the code." } else { "A larger window shows a QR code here." };
        [
            ("Whoever has this link may enter:", app.theme.text),
            ("", app.theme.text),
            (&link, app.theme.accent),
            ("", app.theme.text),
            (hint, app.theme.dim),
            ("", app.theme.text),
            ("c copies · Esc closes", app.theme.dim),
        ]
        .map(|(text, style)| (text.to_owned(), style))
        .to_vec()
    };
    beside_qr(app, (title, 110), &link, texts, area, buffer);
}

fn verify(app: &App, contact: &Contact, sure: bool, area: Rect, buffer: &mut Buffer) {
    let name = harmless_line(&contact.username);
    let title = format!("Is it really {name}?");
    let own = app.me.as_ref().map(|me| me.qr_text.clone()).unwrap_or_default();
    let digits: Vec<&str> = contact.safety_number.as_deref().unwrap_or_default().split_whitespace().collect();
    let (standing, tone) = if contact.verified {
        ("You have verified this identity.", app.theme.good)
    } else {
        ("You have not verified this identity yet.", app.theme.warn)
    };
    let (ask, urgency) = if sure {
        ("Are all digits the same? y: yes, it is verified · n: no", app.theme.alert)
    } else {
        ("v: they are the same · Esc closes", app.theme.dim)
    };
    let texts = |has_code| {
        let compare = format!("Compare these digits with {name}, face to face or in a call:");
        let mut texts = vec![(compare, app.theme.text), (String::new(), app.theme.text)];
        texts.extend(digits.chunks(4).map(|row| (row.join(" "), app.theme.strong)));
        let scan = if has_code { "The code is yours, for the other one to scan." } else { "" };
        let rest = [
            ("", app.theme.text),
            (standing, tone),
            (scan, app.theme.dim),
            ("", app.theme.text),
            (ask, urgency),
        ];
        texts.extend(rest.map(|(text, style)| (text.to_owned(), style)));
        texts
    };
    beside_qr(app, (&title, 100), &own, texts, area, buffer);
}

fn connection(app: &App, facts: &[(String, String)], area: Rect, buffer: &mut Buffer) {
    let rows = u16::try_from(facts.len()).unwrap_or(u16::MAX).saturating_add(2);
    let inner = frame(app, "Connection", area.width.saturating_sub(8).min(90), rows, area, buffer);
    let cells = usize::from(inner.width);
    for (row, (name, value)) in (0_u16..).zip(facts) {
        let line = Line::from(vec![
            span(exactly(name, 12), app.theme.dim),
            span(fit(&harmless_line(value), cells.saturating_sub(12)), app.theme.text),
        ]);
        put(buffer, inner, row, &line);
    }
    put(buffer, inner, rows - 1, &Line::from(span("Esc closes", app.theme.dim)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qr_code_is_square_and_has_a_quiet_edge() {
        let rows = qr_rows("sotto://localhost:4433/i/ABCDEFGH", false).expect("it fits");
        let columns = rows[0].chars().count();
        assert!(rows.iter().all(|row| row.chars().count() == columns));
        assert_eq!(rows.len(), columns.div_ceil(2));
        assert_eq!(rows[0].trim(), "", "light around it");
        assert!(qr_rows(&"x".repeat(5000), false).is_none());
    }
}
