//! The lines of the open conversation. Only those on the screen are laid out, from the lowest upwards.

use super::super::album::Room;
use super::super::app::App;
use super::super::layout::Focus;
use super::super::measure::{exactly, fit, width, wrap};
use super::super::pane::{Older, Pane};
use super::rich::{Rich, plain};
use super::{put, span};
use crate::after::After;
use crate::pictures::blocks::{self, Colour, HALF_BLOCK};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use ratatui::text::Line;
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{Line as Said, Message, Quote};
use sotto_protocol::ids::AccountId;

/// Texts of one person within five minutes stand under one name.
const TOGETHER_MS: u64 = 5 * 60 * 1000;

/// How far texts are moved in under the name.
const INDENT: usize = 2;

/// Room at the right for what became of one's own texts.
const STATE_CELLS: usize = 10;

/// On a screen with so many rows there is room for empty ones.
const AIRY_ROWS: u16 = 20;

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let Some(pane) = &app.pane else {
        welcome(app, area, buffer);
        return;
    };
    let cells = usize::from(area.width);
    let Some((bottom, hidden)) = pane.bottom() else {
        let text = if pane.older == Older::Asked { "" } else { "Nothing was said here yet. Say hello!" };
        put(buffer, area, area.height / 2, &Line::from(span(format!("  {text}"), app.theme.dim)));
        return;
    };
    let screen = usize::from(area.height);
    let mut hidden = hidden;
    // From the lowest row upwards.
    let mut rows: Vec<Line<'static>> = Vec::with_capacity(screen);
    for place in (0..=bottom).rev() {
        let mut lines = block(app, pane, place, cells);
        lines.truncate(lines.len().saturating_sub(std::mem::take(&mut hidden)));
        rows.extend(lines.into_iter().rev().take(screen - rows.len()));
        if rows.len() >= screen {
            break;
        }
    }
    // A short history begins at the top.
    for (row, line) in (0..area.height).zip(rows.iter().rev()) {
        put(buffer, area, row, line);
    }
}

fn welcome(app: &App, area: Rect, buffer: &mut Buffer) {
    let name = app.me.as_ref().map(|me| harmless_line(&me.username)).unwrap_or_default();
    put(buffer, area, 1, &Line::from(span(format!("  Welcome, {name}."), app.theme.strong)));
    let room = usize::from(area.width).saturating_sub(INDENT + FIRST_COMMAND_CELLS);
    let mut row = 3;
    for (command, what) in FIRST_COMMANDS {
        let mut command = command;
        for part in wrap(what, room) {
            let spans = vec![
                span(format!("  {}", exactly(command, FIRST_COMMAND_CELLS)), app.theme.accent),
                span(what.get(part).unwrap_or_default(), app.theme.text),
            ];
            put(buffer, area, row, &Line::from(spans));
            (row, command) = (row + 1, "");
        }
    }
}

/// What one begins with, and the cells of the commands.
const FIRST_COMMANDS: [(&str, &str); 4] = [
    ("/write NAME", "writes to somebody on this relay"),
    ("/create NAME", "makes a room; /invite brings people in"),
    ("/join LINK", "enters by an invite"),
    ("/welcome", "makes a link that lets a friend register"),
];
const FIRST_COMMAND_CELLS: usize = 15;

/// How many rows a thing takes.
pub(crate) fn height(app: &App, pane: &Pane, place: usize, cells: usize) -> usize {
    block(app, pane, place, cells).len()
}

/// The rows of one thing: a day, a name, a text, what became of it.
pub(crate) fn block(app: &App, pane: &Pane, place: usize, cells: usize) -> Vec<Line<'static>> {
    let Some(line) = pane.lines.get(place) else {
        return waiting(app, pane, place, cells);
    };
    let before = place.checked_sub(1).and_then(|before| pane.lines.get(before));
    let mut rows = Vec::new();
    let new_day = before.is_none_or(|before| app.clock.day(before.time) != app.clock.day(line.time));
    if new_day {
        rows.push(separator(cells, app.clock.day_name(line.time), app, false));
    }
    let first_new = pane.unread_from == Some(line.sequence);
    if first_new {
        rows.push(separator(cells, "new".to_owned(), app, true));
    }
    let chosen = pane.chosen == Some(line.sequence) && app.focus == Focus::Reading;
    match &line.line {
        said if said.is_said() => {
            let text = said.shown().unwrap_or_default();
            let together = !new_day
                && !first_new
                && !mentions_me(app, line)
                && before.is_some_and(|before| goes_together(before, line));
            if !together {
                let airy = app.size.height >= AIRY_ROWS && !new_day && !first_new;
                if airy {
                    rows.push(Line::default());
                }
                rows.push(header(app, line, cells));
            }
            if let Some(quote) = &line.reply {
                rows.push(quoted(app, quote, cells));
            }
            rows.extend(picture(app, line, cells));
            let state = line.own.then(|| state(pane, place)).flatten();
            body(app, &text, state.as_deref(), chosen, cells, &mut rows);
            rows.extend(marks(app, line, cells));
        }
        _ if pane.repeats(place) => {}
        _ => {
            let text = format!("  · {}  {}", event_text(app, line), app.clock.time(line.time));
            rows.push(Line::from(span(fit(&text, cells), app.theme.dim)));
        }
    }
    rows
}

fn mentions_me(app: &App, line: &Message) -> bool {
    line.mentions.iter().any(|account| app.is_me(*account))
}

fn goes_together(before: &Message, line: &Message) -> bool {
    before.line.is_said()
        && before.account == line.account
        && line.time.0.saturating_sub(before.time.0) < TOGETHER_MS
}

fn separator(cells: usize, text: String, app: &App, loud: bool) -> Line<'static> {
    let style = if loud { app.theme.warn } else { app.theme.dim };
    let side = cells.saturating_sub(width(&text) + 4) / 2;
    Line::from(vec![
        span(format!(" {}", "─".repeat(side)), app.theme.border),
        span(format!(" {text} "), style),
        span("─".repeat(cells.saturating_sub(side + width(&text) + 4)), app.theme.border),
    ])
}

fn header(app: &App, line: &Message, cells: usize) -> Line<'static> {
    let name = if line.own { "you".to_owned() } else { shown_name(app, line) };
    let mut spans = vec![
        span(format!(" {}", fit(&name, cells.saturating_sub(24))), app.theme.person(line.account)),
        span(format!("  {}", app.clock.time(line.time)), app.theme.dim),
    ];
    if mentions_me(app, line) {
        spans.push(span("  mentions you", app.theme.warn));
    }
    Line::from(spans)
}

fn shown_name(app: &App, line: &Message) -> String {
    if line.username.is_empty() { app.name(line.account) } else { harmless_line(&line.username) }
}

fn body(
    app: &App,
    text: &str,
    state: Option<&str>,
    chosen: bool,
    cells: usize,
    rows: &mut Vec<Line<'static>>,
) {
    let rich = Rich::new(text, &app.theme);
    let room = cells.saturating_sub(INDENT + STATE_CELLS);
    let parts = wrap(&rich.text, room);
    let last = parts.len().saturating_sub(1);
    let over = if chosen { app.theme.selected } else { Style::new() };
    let sign = if chosen { "▸ " } else { "  " };
    for (number, part) in parts.into_iter().enumerate() {
        let shown = rich.text.get(part.clone()).unwrap_or_default().trim_end();
        let mut spans = vec![span(sign, app.theme.accent)];
        let used = width(shown);
        spans.extend(rich.line(&(part.start..part.start + shown.len()), over));
        if let Some(state) = state.filter(|_| number == last) {
            let gap = (room + STATE_CELLS).saturating_sub(used + width(state) + 1);
            spans.push(span(format!("{}{state}", " ".repeat(gap)), app.theme.dim));
        }
        rows.push(Line::from(spans));
    }
}

/// What a file looks like, small, above what it is called.
fn picture(app: &App, line: &Message, cells: usize) -> Vec<Line<'static>> {
    let (Some(album), Some(preview)) = (app.album(), &line.preview) else { return Vec::new() };
    let room = Room::of(cells.saturating_sub(INDENT + 1), app.size.height);
    let Some(seen) = room.and_then(|room| album.picture(line.conversation, line.sequence, preview, room))
    else {
        return Vec::new();
    };
    let drawn = blocks::lines((seen.width(), seen.height()), |x, y| seen.colour(x, y));
    let colour = |[red, green, blue]: Colour| Color::Rgb(red, green, blue);
    let row = |cells: Vec<((Colour, Colour), usize)>| {
        let blocks = cells.into_iter().map(|((upper, lower), count)| {
            span(HALF_BLOCK.to_string().repeat(count), Style::new().fg(colour(upper)).bg(colour(lower)))
        });
        Line::from_iter(std::iter::once(span(" ".repeat(INDENT), app.theme.text)).chain(blocks))
    };
    drawn.map(row).collect()
}

/// What a text answers, on one row above it.
fn quoted(app: &App, quote: &Quote, cells: usize) -> Line<'static> {
    let text = match quote.account {
        Some(_) if quote.excerpt.is_empty() => "a message that was deleted".to_owned(),
        Some(account) => format!("{}: {}", app.name(account), plain(&quote.excerpt)),
        None => "a message that is not on this device".to_owned(),
    };
    Line::from(vec![
        span("  ┌ ", app.theme.border),
        span(fit(&text, cells.saturating_sub(INDENT + STATE_CELLS + 2)), app.theme.dim),
    ])
}

/// What others did to a text: reactions, own ones in brackets; that it was edited, is pinned, will disappear.
fn marks(app: &App, line: &Message, cells: usize) -> Option<Line<'static>> {
    let mut spans = vec![span("  ", app.theme.dim)];
    for reaction in &line.reactions {
        let (emoji, count) = (harmless_line(&reaction.emoji), reaction.accounts.len());
        let mine = reaction.accounts.iter().any(|account| app.is_me(*account));
        let (text, style) = if mine {
            (format!("[{emoji} {count}] "), app.theme.accent)
        } else {
            (format!("{emoji} {count}  "), app.theme.dim)
        };
        let used: usize = spans.iter().map(|span| width(&span.content)).sum();
        if used + width(&text) + 1 > cells {
            spans.push(span("…", app.theme.dim));
            break;
        }
        spans.push(span(text, style));
    }
    let disappears = line.expires_at.map(|at| format!("disappears {}", app.clock.soon(at)));
    let notes: Vec<String> =
        [line.edited_at.map(|_| "edited".to_owned()), line.pinned.then(|| "pinned".to_owned()), disappears]
            .into_iter()
            .flatten()
            .collect();
    if !notes.is_empty() {
        spans.push(span(notes.join(" · "), app.theme.dim));
    }
    (spans.len() > 1).then(|| Line::from(spans))
}

/// What became of one's own text, said where it changes: the last text that was read, the last that was sent.
fn state(pane: &Pane, place: usize) -> Option<String> {
    let standing = |line: &Message| match (line.read_by.len(), line.delivered_to.len()) {
        (0, 0) => "sent".to_owned(),
        (0, _) => "delivered".to_owned(),
        (1, _) => "read".to_owned(),
        (many, _) => format!("read by {many}"),
    };
    let line = standing(pane.lines.get(place)?);
    let next = pane.lines.iter().skip(place + 1).find(|next| next.own && next.line.is_said());
    next.is_none_or(|next| standing(next) != line).then_some(line)
}

/// What the person knows of the chosen line: when it was said, and who has read it.
pub(super) fn details(app: &App, line: &Message) -> String {
    let mut text = app.clock.whole(line.time);
    let names = |accounts: &[AccountId]| {
        accounts.iter().map(|account| app.name(*account)).collect::<Vec<_>>().join(", ")
    };
    if let Some(at) = line.edited_at {
        text += &format!(" · edited {}", app.clock.whole(at));
    }
    if !line.read_by.is_empty() {
        text += &format!(" · read by {}", names(&line.read_by));
    }
    for reaction in &line.reactions {
        text += &format!(" · {} {}", harmless_line(&reaction.emoji), names(&reaction.accounts));
    }
    text
}

/// A text that waits for the relay.
fn waiting(app: &App, pane: &Pane, place: usize, cells: usize) -> Vec<Line<'static>> {
    let mut rows = Vec::new();
    let number = place.saturating_sub(pane.lines.len());
    if let Some(text) = pane.outbox.get(number).and_then(|queued| queued.text.as_deref()) {
        let mine = |line: &Message| line.own && line.line.is_said();
        if number == 0 && !pane.lines.back().is_some_and(mine) {
            let me = app.me.as_ref().map_or(AccountId([0; 16]), |me| me.account);
            rows.push(Line::from(span(" you", app.theme.person(me))));
        }
        body(app, text, Some("waiting"), false, cells, &mut rows);
    }
    rows
}

/// What happened to a conversation, in a sentence.
pub(super) fn event_text(app: &App, line: &Message) -> String {
    let names = |accounts: &[AccountId]| {
        accounts.iter().map(|account| app.name(*account)).collect::<Vec<_>>().join(", ")
    };
    match &line.line {
        said if said.is_said() => harmless_line(&said.shown().unwrap_or_default()),
        Said::Named(name) => format!("this is called {} now", harmless_line(name)),
        Said::Added(accounts) => format!("{} came in", names(accounts)),
        Said::Removed(accounts) => format!("{} went out", names(accounts)),
        Said::Rejoined(account) => format!("{} joined again with repaired keys", app.name(*account)),
        Said::Left(account) => format!("{} left", app.name(*account)),
        Said::Deleted { by } if *by == line.account => format!("{} deleted a message", app.name(*by)),
        Said::Deleted { by } => format!("{} deleted a message of {}", app.name(*by), app.name(line.account)),
        Said::Timer(None) => "messages stay from now on".to_owned(),
        Said::Timer(seconds) => format!("messages disappear after {} from now on", After(*seconds)),
        Said::Missing(why) => format!("a message cannot be read: {}", harmless_line(why)),
        _ => "a message of a kind that this version does not know; update sotto".to_owned(),
    }
}
