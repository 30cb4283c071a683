//! The first start, one step at a time in the middle of the screen.

use super::super::app::App;
use super::super::measure::{fit, width, wrap};
use super::super::setup::{Form, Setup, Step, Way};
use super::{put, span};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;

const COLUMNS: u16 = 58;

/// Rows of a step as they come, with the place of the cursor.
struct Page {
    lines: Vec<Line<'static>>,
    cursor: Option<(usize, usize)>,
}

impl Page {
    fn text(&mut self, text: &str, style: Style) {
        for part in wrap(text, usize::from(COLUMNS)) {
            self.lines.push(Line::from(span(text.get(part).unwrap_or_default().trim_end(), style)));
        }
    }

    fn space(&mut self, app: &App) {
        // On the smallest terminals every row counts.
        if app.size.height >= 20 {
            self.lines.push(Line::default());
        }
    }

    fn form(&mut self, app: &App, form: &Form) {
        for (number, field) in form.fields.iter().enumerate() {
            let here = number == form.focus;
            let label = if here { app.theme.accent } else { app.theme.dim };
            let hint = if field.hint.is_empty() { String::new() } else { format!("  {}", field.hint) };
            let hint = fit(&hint, usize::from(COLUMNS).saturating_sub(width(field.label)));
            self.lines.push(Line::from(vec![span(field.label, label), span(hint, app.theme.dim)]));
            let (shown, before) = shown(field.editor.text(), field.editor.cursor(), field.secret);
            if here {
                self.cursor = Some((self.lines.len(), before + 2));
            }
            let sign = if here { "› " } else { "  " };
            self.lines.push(Line::from(vec![span(sign, app.theme.accent), span(shown, app.theme.text)]));
            self.space(app);
        }
        if let Some(error) = &form.error {
            self.text(error, app.theme.alert);
        }
    }
}

/// What of a text is seen, and how many cells are before the cursor: the end of a long one, dots for a secret one.
fn shown(text: &str, cursor: usize, secret: bool) -> (String, usize) {
    let room = usize::from(COLUMNS) - 3;
    let dots = |text: &str| "•".repeat(text.chars().count());
    let head = text.get(..cursor).unwrap_or_default();
    let (mut head, tail) = if secret {
        (dots(head), dots(text.get(cursor..).unwrap_or_default()))
    } else {
        (head.to_owned(), text.get(cursor..).unwrap_or_default().to_owned())
    };
    while width(&head) > room {
        head.remove(0);
    }
    let before = width(&head);
    (fit(&format!("{head}{tail}"), room), before)
}

pub(super) fn draw(app: &App, setup: &Setup, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let mut page = Page { lines: Vec::new(), cursor: None };
    let theme = &app.theme;
    page.lines.push(Line::from(vec![span("sotto", theme.strong), span("  private messaging", theme.dim)]));
    page.lines.push(Line::default());
    let hint = match &setup.step {
        Step::Working(what) => {
            page.text(what, theme.text);
            "Ctrl-C leaves"
        }
        Step::Done => "",
        Step::Stuck(why) => {
            page.text(why, theme.alert);
            "Enter leaves"
        }
        Step::Unlock(form) => {
            page.form(app, form);
            "Enter opens · Ctrl-C leaves"
        }
        Step::Relay { form, way, note } => {
            if let Some(note) = note {
                page.text(note, theme.warn);
            }
            page.form(app, form);
            for (number, choice) in Way::ALL.into_iter().enumerate() {
                let chosen = number == *way;
                let (sign, style) = if chosen { ("› ", theme.strong) } else { ("  ", theme.text) };
                page.lines.push(Line::from(vec![
                    span(sign, theme.accent),
                    span(format!("{:29}", choice.name()), style),
                    span(choice.what(), theme.dim),
                ]));
            }
            "Up/Down choose · Enter goes on · Ctrl-C leaves"
        }
        Step::Who { way, form, .. } => {
            page.lines.push(Line::from(span(way.name(), theme.strong)));
            page.space(app);
            page.form(app, form);
            "Enter goes on · Esc goes back"
        }
        Step::Passphrase { form, .. } => {
            page.text(
                "No keyring answers on this machine. Choose a passphrase: it encrypts what is stored here.",
                theme.text,
            );
            page.space(app);
            page.form(app, form);
            "Enter goes on · Esc goes back"
        }
        Step::Words => {
            page.text("Your 24 recovery words, shown this once. Write them down and keep them away from this machine: they bring your account and your history to another device, and nobody can give them to you again.", theme.text);
            page.space(app);
            let words: Vec<&str> = setup.words().collect();
            for row in 0..6 {
                let cell = |column: usize| {
                    let place = column * 6 + row;
                    words.get(place).map_or_else(String::new, |word| format!("{:>2} {word:<11}", place + 1))
                };
                let text = (0..4).map(cell).collect::<String>();
                page.lines.push(Line::from(span(text.trim_end().to_owned(), theme.accent)));
            }
            page.space(app);
            "Enter goes on, and asks for three of them"
        }
        Step::Again { form, .. } => {
            page.text("Three of your recovery words again:", theme.text);
            page.space(app);
            page.form(app, form);
            "Enter goes on · Esc shows the words again"
        }
        Step::Safety => {
            page.text("You are ready.", theme.good);
            page.space(app);
            page.text("One more thing. Nobody can read along, but somebody could pose as a friend. With every person you share a safety number of 60 digits: F4 in a conversation shows it. Compare it once, face to face or in a call, and Sotto tells you loudly should it ever change.", theme.text);
            page.space(app);
            "Enter begins"
        }
    };
    page.lines.push(Line::from(span(hint, theme.dim)));
    let rows = u16::try_from(page.lines.len()).unwrap_or(u16::MAX).min(area.height);
    let place = Rect::new((area.width - COLUMNS) / 2, (area.height - rows) / 2, COLUMNS, rows);
    for (row, line) in (0..rows).zip(&page.lines) {
        put(buffer, place, row, line);
    }
    page.cursor.map(|(row, column)| {
        let cell = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        Position::new(place.x + cell(column), place.y + cell(row))
    })
}
