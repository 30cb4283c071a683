//! How everything looks. A view reads the application and changes nothing.

pub(crate) mod list;
mod members;
pub(crate) mod messages;
mod overlay;
pub(crate) mod rich;
mod setup;

use super::app::{App, Tone};
use super::keys::Action;
use super::layout::{self, Focus, PROMPT, Regions};
use super::measure::{exactly, fit, width, wrap};
use super::pane::Pane;
use crate::after::After;
use crate::node::Status;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::Line as Said;
use sotto_protocol::body::conversation::Kind;

/// Draws everything.
pub fn draw(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    // The terminal has got another size this moment, and the application is told next.
    if area.as_size() != app.size {
        return;
    }
    let Some(parts) = app.regions() else {
        too_small(app, area, frame.buffer_mut());
        return;
    };
    if let Some(setup) = &app.setup {
        if let Some(cursor) = setup::draw(app, setup, area, frame.buffer_mut()) {
            frame.set_cursor_position(cursor);
        }
        return;
    }
    let buffer = frame.buffer_mut();
    header(app, parts.header, buffer);
    let alone = parts.list.is_some_and(|list| list.width == area.width);
    if let Some(area) = parts.list {
        list::draw(app, area, buffer);
    }
    if !alone {
        title(app, parts.title, buffer);
        alarm(app, parts.alarm, buffer);
        messages::draw(app, parts.messages, buffer);
        rule(app, parts.rule, buffer);
        editor(app, parts.editor, buffer);
        if let Some(area) = parts.members {
            members::draw(app, area, buffer);
        }
        completion(app, &parts, buffer);
    }
    footer(app, parts.footer, buffer);
    let mut cursor = (app.focus == Focus::Writing && !alone).then(|| {
        let (row, column) = app.editor.place(layout::editor_cells(app.size, app.members));
        let row = row.saturating_sub(editor_first_row(app, parts.editor.height));
        let cell = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Position::new(parts.editor.x + PROMPT + cell(column), parts.editor.y + cell(row))
    });
    if let Some(over) = &app.overlay {
        cursor = overlay::draw(app, over, area, buffer);
    }
    if let Some(cursor) = cursor {
        frame.set_cursor_position(cursor);
    }
}

/// Writes a line of spans into a row.
fn put(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    if row < area.height {
        buffer.set_line(area.x, area.y + row, line, area.width);
    }
}

fn span(text: impl Into<String>, style: Style) -> Span<'static> {
    Span::styled(text.into(), style)
}

/// A line across a part, with something written into it.
fn ruled(cells: usize, label: Vec<Span<'static>>, border: Style) -> Line<'static> {
    let used: usize = label.iter().map(|span| width(&span.content)).sum();
    if used == 0 {
        return Line::from(span("─".repeat(cells), border));
    }
    let mut spans = vec![span("── ", border)];
    spans.extend(label);
    spans.push(span(format!(" {}", "─".repeat(cells.saturating_sub(used + 4))), border));
    Line::from(spans)
}

/// Clears a part, so that nothing of what is under it is seen.
fn clear(buffer: &mut Buffer, area: Rect) {
    for position in area.positions() {
        if let Some(cell) = buffer.cell_mut(position) {
            cell.reset();
        }
    }
}

fn too_small(app: &App, area: Rect, buffer: &mut Buffer) {
    let sentence = format!(
        "This terminal has {} x {} cells and Sotto needs {} x {}. Make it larger; nothing is lost.",
        area.width,
        area.height,
        layout::COLUMNS_MIN,
        layout::ROWS_MIN
    );
    for (row, part) in (0..).zip(wrap(&sentence, usize::from(area.width))) {
        put(buffer, area, row, &Line::from(span(sentence.get(part).unwrap_or_default(), app.theme.text)));
    }
}

fn header(app: &App, area: Rect, buffer: &mut Buffer) {
    let name = app.me.as_ref().map(|me| harmless_line(&me.username)).unwrap_or_default();
    let unread: u32 = app.conversations.iter().map(|view| view.unread).sum();
    let mut left = vec![span(" sotto ", app.theme.strong), span(format!("· {name}"), app.theme.dim)];
    if unread > 0 {
        left.push(span(format!("  {unread} unread"), app.theme.warn));
    }
    put(buffer, area, 0, &Line::from(left));
    let (sign, text, style) = match &app.status {
        Status::Synchronised(path) => ("●", format!("connected over {path}"), app.theme.good),
        Status::Ready(path) => ("●", format!("catching up over {path}"), app.theme.good),
        Status::Connecting => ("○", "connecting …".to_owned(), app.theme.warn),
        Status::Unreachable(_) => ("○", "offline, trying again".to_owned(), app.theme.warn),
        Status::Offline => ("○", "offline".to_owned(), app.theme.dim),
        Status::SignedOut(_) => ("!", "signed out: /login".to_owned(), app.theme.alert),
        Status::WrongFingerprint(_) => {
            ("!", "WRONG FINGERPRINT, nothing was sent".to_owned(), app.theme.alert)
        }
        Status::Refused(_) => ("!", "refused by the relay".to_owned(), app.theme.alert),
        Status::Ended(_) => ("!", "the client has ended".to_owned(), app.theme.alert),
    };
    let text = format!("{sign} {text} ");
    let at = area.right().saturating_sub(u16::try_from(width(&text)).unwrap_or(u16::MAX));
    buffer.set_string(at, area.y, text, style);
}

fn title(app: &App, area: Rect, buffer: &mut Buffer) {
    let mut line = Vec::new();
    if let Some(view) = app.view() {
        line.push(span(format!(" {} ", App::sign(view.kind)), app.theme.dim));
        line.push(span(fit(&harmless_line(&view.title), usize::from(area.width) / 2), app.theme.strong));
        let count = view.members.len();
        let verified =
            |member: &&sotto_node_core::view::MemberView| member.verified && !app.is_me(member.account);
        let note = match view.kind {
            Kind::Direct if view.members.iter().any(|member| verified(&member)) => "  ✓ verified".to_owned(),
            Kind::Direct => "  not verified yet".to_owned(),
            _ if count == 1 => "  only you are here".to_owned(),
            _ => format!("  {count} members"),
        };
        let note = match app.pane.as_ref().and_then(|pane| pane.present.count) {
            Some(here) if view.kind != Kind::Direct && count > 1 => format!("{note}, {here} here"),
            Some(here) if view.kind == Kind::Direct && here > 1 => format!("{note} · here now"),
            _ => note,
        };
        line.push(span(note, app.theme.dim));
        if !view.pins.is_empty() {
            line.push(span(format!(" · {} pinned", view.pins.len()), app.theme.dim));
        }
        if view.timer.is_some() {
            line.push(span(format!(" · disappearing after {}", After(view.timer)), app.theme.warn));
        }
        if app.pane.as_ref().is_some_and(|pane| pane.own) {
            line.push(span("  only what you said · Esc shows all", app.theme.accent));
        }
    }
    put(buffer, area, 0, &Line::from(line));
    put(buffer, area, 1, &ruled(usize::from(area.width), Vec::new(), app.theme.border));
}

fn alarm(app: &App, area: Rect, buffer: &mut Buffer) {
    let Some(alarm) = app.alarms.first() else { return };
    let cells = usize::from(area.width);
    for (row, part) in (0..area.height).zip(wrap(alarm, cells.saturating_sub(2))) {
        let text = exactly(&format!(" {}", alarm.get(part).unwrap_or_default().trim_end()), cells);
        put(buffer, area, row, &Line::from(span(text, app.theme.alert)));
    }
}

/// The line above the editor: who is typing, or what was just done.
fn rule(app: &App, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let room = cells.saturating_sub(6);
    let typing: Vec<String> = app
        .pane
        .iter()
        .flat_map(|pane| pane.typing(app.clock.now))
        .map(|account| app.name(account))
        .collect();
    let label = if let Some(notice) = &app.notice {
        let style = match notice.tone {
            Tone::Calm => app.theme.accent,
            Tone::Good => app.theme.good,
            Tone::Bad => app.theme.alert,
        };
        if width(&notice.text) <= room {
            vec![span(notice.text.clone(), style)]
        } else {
            above(app, &notice.text, style, area, buffer);
            Vec::new()
        }
    } else if let Some(line) =
        app.pane.as_ref().filter(|_| app.focus == Focus::Reading).and_then(Pane::chosen_line)
    {
        let saves = matches!(line.line, Said::File { .. })
            .then(|| format!(" · {} saves the file", app.config.keys.shown(Action::Save)));
        let hint = saves.unwrap_or_default();
        vec![
            span(fit(&messages::details(app, line), room.saturating_sub(width(&hint))), app.theme.dim),
            span(hint, app.theme.accent),
        ]
    } else if let Some(purpose) = app.purpose_shown() {
        let hint = " · Esc stops";
        vec![
            span(fit(&purpose, room.saturating_sub(hint.len())), app.theme.accent),
            span(hint, app.theme.dim),
        ]
    } else if let Some(files) = app.files_shown() {
        let hint = " · /stop";
        vec![span(fit(&files, room.saturating_sub(width(hint))), app.theme.accent), span(hint, app.theme.dim)]
    } else if let [one] = typing.as_slice() {
        vec![span(fit(&format!("{one} is typing …"), room), app.theme.accent)]
    } else if !typing.is_empty() {
        vec![span(fit(&format!("{} are typing …", typing.join(", ")), room), app.theme.accent)]
    } else if app.pane.as_ref().is_some_and(|pane| !pane.is_at_the_end()) {
        let key = app.config.keys.shown(Action::Newest);
        vec![span(format!("older messages · {key} goes to the newest"), app.theme.dim)]
    } else {
        Vec::new()
    };
    put(buffer, area, 0, &ruled(cells, label, app.theme.border));
}

/// A sentence that is longer than the line stands over the messages, whole.
fn above(app: &App, text: &str, style: Style, area: Rect, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let parts = wrap(text, cells.saturating_sub(2));
    let rows = u16::try_from(parts.len()).unwrap_or(u16::MAX).saturating_add(1).min(area.y.saturating_sub(3));
    let over = Rect { y: area.y - rows, height: rows, ..area };
    clear(buffer, over);
    put(buffer, over, 0, &ruled(cells, Vec::new(), app.theme.border));
    for (row, part) in (1..rows).zip(parts) {
        put(buffer, over, row, &Line::from(span(format!(" {}", text.get(part).unwrap_or_default()), style)));
    }
}

/// The first row of what is written that is shown: the cursor is always on the screen.
pub(crate) fn editor_first_row(app: &App, height: u16) -> usize {
    let (row, _) = app.editor.place(layout::editor_cells(app.size, app.members));
    row.saturating_sub(usize::from(height).saturating_sub(1))
}

fn editor(app: &App, area: Rect, buffer: &mut Buffer) {
    let prompt = if app.focus == Focus::Writing { app.theme.accent } else { app.theme.dim };
    put(buffer, area, 0, &Line::from(span("› ", prompt)));
    let inner = Rect { x: area.x + PROMPT, width: area.width.saturating_sub(PROMPT), ..area };
    if app.editor.is_empty() {
        let hint = if app.pane.is_some() {
            "Write a message"
        } else {
            "/write USER, /create NAME or /join LINK begins"
        };
        put(buffer, inner, 0, &Line::from(span(hint, app.theme.dim)));
        return;
    }
    let text = app.editor.text();
    let lines = wrap(text, layout::editor_cells(app.size, app.members));
    let first = editor_first_row(app, area.height);
    for (row, part) in (0..area.height).zip(lines.into_iter().skip(first)) {
        put(buffer, inner, row, &Line::from(span(text.get(part).unwrap_or_default(), app.theme.text)));
    }
}

fn completion(app: &App, parts: &Regions, buffer: &mut Buffer) {
    let Some(completion) = &app.completion else { return };
    let rows = u16::try_from(completion.offers.len()).unwrap_or(u16::MAX).min(parts.messages.height);
    let label = completion.offers.iter().map(|offer| width(&offer.label)).max().unwrap_or(0);
    let what = completion.offers.iter().map(|offer| width(&offer.what)).max().unwrap_or(0);
    let cells = (label + what + 4).min(usize::from(parts.messages.width));
    let area = Rect {
        x: parts.editor.x,
        y: parts.rule.y.saturating_sub(rows),
        width: u16::try_from(cells).unwrap_or(u16::MAX),
        height: rows,
    };
    clear(buffer, area);
    for (row, (place, offer)) in (0..rows).zip(completion.offers.iter().enumerate()) {
        let chosen = place == completion.chosen;
        let style = if chosen { app.theme.selected } else { Style::new() };
        let sign = if chosen { "›" } else { " " };
        let text = format!("{sign}{}  {}", exactly(&offer.label, label), offer.what);
        put(buffer, area, row, &Line::from(span(exactly(&text, cells), style)));
    }
}

fn footer(app: &App, area: Rect, buffer: &mut Buffer) {
    let keys = &app.config.keys;
    let hints: &[(Action, &str)] = match app.focus {
        Focus::Writing => &[
            (Action::Send, "send"),
            (Action::NewLine, "new line"),
            (Action::Palette, "commands"),
            (Action::Help, "help"),
            (Action::Messages, "choose"),
            (Action::Members, "members"),
            (Action::NextConversation, "next"),
        ],
        Focus::Reading => &[
            (Action::Reply, "answer"),
            (Action::React, "react"),
            (Action::Edit, "edit"),
            (Action::Delete, "delete"),
            (Action::Pin, "pin"),
            (Action::Copy, "copy"),
            (Action::Help, "help"),
        ],
        Focus::Conversations => {
            &[(Action::FocusNext, "messages"), (Action::Palette, "commands"), (Action::Help, "help")]
        }
    };
    let mut spans = vec![span(" ", app.theme.dim)];
    match app.focus {
        Focus::Reading => {
            spans.extend([span("Up/Down", app.theme.accent), span(" choose   ", app.theme.dim)]);
            spans.extend([span("Esc", app.theme.accent), span(" write   ", app.theme.dim)]);
        }
        Focus::Conversations => {
            spans.extend([span("Up/Down", app.theme.accent), span(" choose   ", app.theme.dim)]);
            spans.extend([span("Enter", app.theme.accent), span(" open   ", app.theme.dim)]);
        }
        Focus::Writing => {}
    }
    for (action, what) in hints {
        let key = keys.shown(*action);
        let used: usize = spans.iter().map(|span| width(&span.content)).sum();
        // Half a hint is none; help has all of them.
        if key.is_empty() || used + width(&key) + what.len() + 1 > usize::from(area.width) {
            continue;
        }
        spans.extend([span(key, app.theme.accent), span(format!(" {what}   "), app.theme.dim)]);
    }
    put(buffer, area, 0, &Line::from(spans));
}
