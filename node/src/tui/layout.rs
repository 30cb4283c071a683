//! Where the parts of the screen are, for drawing and for the mouse alike.

use super::editor::Editor;
use super::measure::wrap;
use ratatui::layout::{Rect, Size};

/// The smallest terminal on which everything has its place.
pub(crate) const COLUMNS_MIN: u16 = 60;
/// See [`COLUMNS_MIN`].
pub(crate) const ROWS_MIN: u16 = 15;

/// From here on the list of conversations stands beside the open one.
const BESIDE: u16 = 76;

/// From here on the members do too, and are shown from the start.
pub(crate) const WIDE: u16 = 104;

const MEMBERS: u16 = 24;

/// What stands before the text that is written.
pub(crate) const PROMPT: u16 = 2;

/// The part that keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    Conversations,
    Reading,
    Writing,
}

/// The parts of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Regions {
    pub(crate) header: Rect,
    /// Beside the conversation, or in its place.
    pub(crate) list: Option<Rect>,
    /// What the conversation is called, with a line under it.
    pub(crate) title: Rect,
    pub(crate) alarm: Rect,
    pub(crate) messages: Rect,
    /// The line above the editor.
    pub(crate) rule: Rect,
    pub(crate) editor: Rect,
    /// Beside the conversation, or over its right side.
    pub(crate) members: Option<Rect>,
    pub(crate) footer: Rect,
}

/// How wide the conversation is.
fn columns(size: Size, members: bool) -> (u16, u16, u16) {
    let list = if size.width >= BESIDE { (size.width / 4).clamp(22, 34) } else { 0 };
    let beside = if members && size.width >= WIDE { MEMBERS } else { 0 };
    (list, size.width.saturating_sub(list + beside), beside)
}

/// How many cells a line of what is written has.
pub(crate) fn editor_cells(size: Size, members: bool) -> usize {
    // The cursor needs a cell behind the last character.
    usize::from(columns(size, members).1.saturating_sub(PROMPT + 2))
}

/// How many rows what is written takes: at most a third of the screen.
pub(crate) fn editor_rows(editor: &Editor, size: Size, focus: Focus, members: bool) -> u16 {
    if focus == Focus::Conversations && size.width < BESIDE {
        return 1;
    }
    let rows = wrap(editor.text(), editor_cells(size, members)).len();
    u16::try_from(rows).unwrap_or(u16::MAX).clamp(1, (size.height / 3).max(1))
}

/// How many rows an alarm takes: all that it says, up to a fifth of the screen.
pub(crate) fn alarm_rows(alarm: Option<&String>, size: Size, members: bool) -> u16 {
    let cells = usize::from(columns(size, members).1.saturating_sub(2));
    let rows = alarm.map_or(0, |alarm| wrap(alarm, cells).len());
    u16::try_from(rows).unwrap_or(u16::MAX).min((size.height / 5).max(1))
}

/// The parts; `None` if the terminal is too small.
pub(crate) fn regions(
    size: Size,
    focus: Focus,
    members: bool,
    editor_rows: u16,
    alarm: u16,
) -> Option<Regions> {
    if size.width < COLUMNS_MIN || size.height < ROWS_MIN {
        return None;
    }
    let (list, middle, beside) = columns(size, members);
    let height = size.height - 2;
    let alone = list == 0 && focus == Focus::Conversations;
    let rule = 1 + height - editor_rows - 1;
    let over = members && beside == 0 && !alone;
    let members = if over {
        Some(Rect::new(size.width - MEMBERS, 3, MEMBERS, rule.saturating_sub(3)))
    } else {
        (beside > 0).then(|| Rect::new(list + middle, 1, beside, height))
    };
    let list_width = if alone { size.width } else { list };
    Some(Regions {
        header: Rect::new(0, 0, size.width, 1),
        list: (list_width > 0).then(|| Rect::new(0, 1, list_width, height)),
        title: Rect::new(list, 1, middle, 2),
        alarm: Rect::new(list, 3, middle, alarm),
        messages: Rect::new(list, 3 + alarm, middle, rule.saturating_sub(3 + alarm)),
        rule: Rect::new(list, rule, middle, 1),
        editor: Rect::new(list, rule + 1, middle, editor_rows),
        members,
        footer: Rect::new(0, size.height - 1, size.width, 1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_fill_every_terminal_that_is_large_enough_and_no_other() {
        for (width, height) in [(60, 15), (75, 20), (80, 24), (104, 30), (300, 100)] {
            for members in [false, true] {
                for focus in [Focus::Conversations, Focus::Writing] {
                    let size = Size::new(width, height);
                    let parts = regions(size, focus, members, 3, 1).expect("it is large enough");
                    let screen = Rect::new(0, 0, width, height);
                    for part in
                        [parts.title, parts.alarm, parts.messages, parts.rule, parts.editor, parts.footer]
                    {
                        assert_eq!(part.intersection(screen), part, "{size:?}");
                    }
                    assert!(parts.messages.height >= 5);
                    assert_eq!(parts.editor.bottom(), parts.footer.top());
                }
            }
        }
        assert_eq!(regions(Size::new(59, 40), Focus::Writing, false, 1, 0), None);
        assert_eq!(regions(Size::new(100, 14), Focus::Writing, false, 1, 0), None);
    }
}
