//! The list of conversations: what they are called, when and what was said last, what is unread.

use super::super::app::App;
use super::super::layout::Focus;
use super::super::measure::{exactly, fit, width};
use super::rich::plain;
use super::{put, span};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{ConversationView, Standing};
use sotto_protocol::body::conversation::Kind;

/// Rows of one conversation.
pub(crate) const ROWS: usize = 2;

/// The first conversation that is shown: the open one is always on the screen.
pub(crate) fn first_shown(app: &App, area: Rect) -> usize {
    let fit = (usize::from(area.height) / ROWS).max(1);
    let open = app.pane.as_ref().map(|pane| pane.id);
    let place = app.conversations.iter().position(|view| Some(view.conversation) == open).unwrap_or(0);
    (place + 1).saturating_sub(fit)
}

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    let inner = Rect { width: area.width.saturating_sub(1), ..area };
    for row in 0..area.height {
        buffer.set_string(inner.right(), area.y + row, "│", app.theme.border);
    }
    if app.conversations.is_empty() {
        for (row, text) in
            ["No conversations yet.", "", "Ctrl-K finds what you", "can do; F1 is help."].iter().enumerate()
        {
            let row = u16::try_from(row).unwrap_or(u16::MAX);
            put(buffer, inner, row + 1, &Line::from(span(format!(" {text}"), app.theme.dim)));
        }
        return;
    }
    let open = app.pane.as_ref().map(|pane| pane.id);
    let first = first_shown(app, area);
    for (place, view) in app.conversations.iter().enumerate().skip(first) {
        let Ok(row) = u16::try_from((place - first) * ROWS) else { return };
        if row >= inner.height {
            return;
        }
        entry(app, view, Some(view.conversation) == open, inner, row, buffer);
    }
}

fn entry(app: &App, view: &ConversationView, open: bool, area: Rect, row: u16, buffer: &mut Buffer) {
    let cells = usize::from(area.width);
    let focused = open && app.focus == Focus::Conversations;
    let over = if focused { app.theme.selected } else { Style::new() };
    let sign = if open { "▌" } else { " " };
    let when = view.last.as_ref().map(|last| app.clock.short(last.time)).unwrap_or_default();
    let unread = match view.unread {
        0 => String::new(),
        many @ 1..=999 => many.to_string(),
        _ => "999+".to_owned(),
    };
    let name_style = if open || view.unread > 0 { app.theme.strong } else { app.theme.text };
    let room = cells.saturating_sub(width(&when) + 5);
    let name = format!("{} {}", App::sign(view.kind), harmless_line(&view.title));
    put(
        buffer,
        area,
        row,
        &Line::from(vec![
            span(sign, app.theme.accent),
            span(exactly(&name, room + 2), name_style.patch(over)),
            span(format!(" {when} "), app.theme.dim.patch(over)),
        ]),
    );
    let room = cells.saturating_sub(width(&unread) + 5);
    put(
        buffer,
        area,
        row + 1,
        &Line::from(vec![
            span(sign, app.theme.accent),
            span(
                exactly(&format!("  {}", fit(&last_words(app, view), room)), room + 2),
                app.theme.dim.patch(over),
            ),
            span(format!(" {unread} "), app.theme.warn.patch(over)),
        ]),
    );
}

fn last_words(app: &App, view: &ConversationView) -> String {
    match view.standing {
        Standing::Joining => return "entering …".to_owned(),
        Standing::Leaving => return "leaving …".to_owned(),
        Standing::Gone => return "you left".to_owned(),
        Standing::Member => {}
    }
    let Some(last) = &view.last else { return String::new() };
    let Some(text) = last.line.shown() else { return super::messages::event_text(app, last) };
    let text = plain(&text);
    match (last.own, view.kind) {
        (true, _) => format!("you: {text}"),
        (false, Kind::Direct) => text,
        (false, _) => format!("{}: {text}", app.name(last.account)),
    }
}
