//! Who is in the open conversation.

use super::super::app::App;
use super::super::measure::{fit, width};
use super::{clear, put, span};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use sotto_node_core::format::harmless_line;
use sotto_protocol::body::conversation::Role;

pub(super) fn draw(app: &App, area: Rect, buffer: &mut Buffer) {
    clear(buffer, area);
    for row in 0..area.height {
        buffer.set_string(area.x, area.y + row, "│", app.theme.border);
    }
    let inner = Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area };
    let members = app.sorted_members();
    let present = app.pane.as_ref().map(|pane| &pane.present);
    let title = match (members.len(), present.and_then(|present| present.count)) {
        (0, _) => String::new(),
        (1, _) => "1 member".to_owned(),
        (count, Some(here)) => format!("{count} members, {here} here"),
        (count, None) => format!("{count} members"),
    };
    put(buffer, inner, 0, &Line::from(span(title, app.theme.strong)));
    let cells = usize::from(inner.width);
    let room = usize::from(area.height).saturating_sub(2);
    for (row, member) in (2_u16..).zip(members.iter().take(room)) {
        let me = app.is_me(member.account);
        let name = if member.username.is_empty() {
            app.name(member.account)
        } else {
            harmless_line(&member.username)
        };
        let here = present.is_some_and(|present| present.accounts.contains(&member.account));
        let (sign, style) = if here { ("● ", app.theme.good) } else { ("  ", app.theme.dim) };
        let role = match member.role {
            Some(Role::Owner) => " owner",
            Some(Role::Moderator) => " mod",
            _ => "",
        };
        let note = if me { format!(" you{role}") } else { role.to_owned() };
        let beside = width(sign) + width(&note).max(width(" owner ✓"));
        let mut spans = vec![
            span(sign, style),
            span(fit(&name, cells.saturating_sub(beside)), app.theme.person(member.account)),
        ];
        spans.push(span(note, app.theme.dim));
        if member.verified && !me {
            spans.push(span(" ✓", app.theme.good));
        }
        put(buffer, inner, row, &Line::from(spans));
    }
    if members.len() > room {
        let more = format!("and {} more", members.len() - room);
        put(buffer, inner, area.height.saturating_sub(1), &Line::from(span(more, app.theme.dim)));
    }
}
