//! A text that is being written: one line or several, with a cursor, the keys of every shell, and a limit.
//!
//! The text is the only state beside the cursor; where it breaks into lines of the screen is worked out from the
//! width when it is asked for. What is dropped is wiped: passwords and recovery words are written here too.

use super::measure::{after, before, place_at, width, wrap};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::ops::Range;
use unicode_segmentation::UnicodeSegmentation as _;
use zeroize::Zeroize as _;

/// Texts that were sent, for bringing them back.
const HISTORY_MAX: usize = 100;

/// A text in the making.
#[derive(Debug, Clone)]
pub(crate) struct Editor {
    text: String,
    /// A byte in the text, between graphemes.
    cursor: usize,
    bytes_max: usize,
    lines: bool,
    /// Going up and down keeps to this column.
    column: Option<usize>,
    history: Vec<String>,
    /// Which of the history is shown, and what was written before.
    recalled: Option<(usize, String)>,
}

/// A text that does not fit. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong {
    /// How long it was.
    pub(crate) bytes: usize,
    /// How long the whole may be.
    pub(crate) bytes_max: usize,
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Edited {
    /// It is no key of an editor.
    No,
    /// The cursor moved, or there was nowhere to go.
    Moved,
    /// The text is another.
    Changed,
    /// It does not fit.
    Refused(TooLong),
}

impl Drop for Editor {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

impl Editor {
    /// For one line.
    pub(crate) fn line(bytes_max: usize) -> Self {
        Self::new(bytes_max, false)
    }

    /// For several lines.
    pub(crate) fn lines(bytes_max: usize) -> Self {
        Self::new(bytes_max, true)
    }

    fn new(bytes_max: usize, lines: bool) -> Self {
        // Short texts may be secrets: with all their room from the start they leave no copies behind as they grow.
        let text = String::with_capacity(if lines { 0 } else { bytes_max });
        Self { text, cursor: 0, bytes_max, lines, column: None, history: Vec::new(), recalled: None }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts a text in the place of what is there, the cursor behind it.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.cursor = self.text.len();
        self.column = None;
        self.recalled = None;
    }

    /// Takes the text out, and remembers it.
    pub(crate) fn take(&mut self) -> String {
        let text = std::mem::take(&mut self.text);
        self.set("");
        if self.history.last() != Some(&text) && !text.trim().is_empty() {
            if self.history.len() >= HISTORY_MAX {
                self.history.remove(0);
            }
            self.history.push(text.clone());
        }
        text
    }

    /// Writes at the cursor what was typed or pasted, without what would command a terminal.
    pub(crate) fn insert(&mut self, text: &str) -> Result<(), TooLong> {
        let refused = |bytes| TooLong { bytes, bytes_max: self.bytes_max };
        // Before anything is copied: a paste may be megabytes.
        if text.len() > self.bytes_max.saturating_mul(2) {
            return Err(refused(text.len()));
        }
        let mut plain = String::with_capacity(text.len());
        let mut last = ' ';
        for c in text.chars() {
            match c {
                '\n' if last == '\r' => {}
                '\n' | '\r' => plain.push(if self.lines { '\n' } else { ' ' }),
                '\t' => plain.push_str("    "),
                c if sotto_node_core::format::is_dangerous(c) => {}
                c => plain.push(c),
            }
            last = c;
        }
        if self.text.len() + plain.len() > self.bytes_max {
            return Err(refused(self.text.len() + plain.len()));
        }
        self.text.insert_str(self.cursor, &plain);
        self.cursor += plain.len();
        self.column = None;
        Ok(())
    }

    /// Replaces a part before the cursor.
    pub(crate) fn replace(&mut self, part: Range<usize>, with: &str) {
        if self.text.get(part.clone()).is_some() && self.text.len() + with.len() <= self.bytes_max {
            self.text.replace_range(part.clone(), with);
            self.cursor = part.start + with.len();
            self.column = None;
        }
    }

    /// What a key of the editor's own does, in lines of the screen of so many cells.
    pub(crate) fn key(&mut self, key: KeyEvent, cells: usize) -> Edited {
        let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        let alt = key.modifiers.contains(KeyModifiers::ALT);
        let column = self.column.take();
        match key.code {
            KeyCode::Char('a') if ctrl => self.move_to(self.line_start()),
            KeyCode::Char('e') if ctrl => self.move_to(self.line_end()),
            KeyCode::Char('b') if ctrl => self.move_to(before(&self.text, self.cursor)),
            KeyCode::Char('w') if ctrl => self.delete(self.word_left()..self.cursor),
            KeyCode::Char('u') if ctrl => self.delete(self.line_start()..self.cursor),
            KeyCode::Char('d') if ctrl => self.delete(self.cursor..after(&self.text, self.cursor)),
            KeyCode::Char('h') if ctrl => self.delete(before(&self.text, self.cursor)..self.cursor),
            KeyCode::Char('b') if alt => self.move_to(self.word_left()),
            KeyCode::Char('f') if alt => self.move_to(self.word_right()),
            KeyCode::Char('d') if alt => self.delete(self.cursor..self.word_right()),
            KeyCode::Char(c) if !ctrl && !alt => match self.insert(c.encode_utf8(&mut [0; 4])) {
                Ok(()) => Edited::Changed,
                Err(refused) => Edited::Refused(refused),
            },
            KeyCode::Backspace if ctrl || alt => self.delete(self.word_left()..self.cursor),
            KeyCode::Backspace => self.delete(before(&self.text, self.cursor)..self.cursor),
            KeyCode::Delete => self.delete(self.cursor..after(&self.text, self.cursor)),
            KeyCode::Left if ctrl || alt => self.move_to(self.word_left()),
            KeyCode::Right if ctrl || alt => self.move_to(self.word_right()),
            KeyCode::Left => self.move_to(before(&self.text, self.cursor)),
            KeyCode::Right => self.move_to(after(&self.text, self.cursor)),
            KeyCode::Home if !ctrl => self.move_to(self.line_start()),
            KeyCode::End if !ctrl => self.move_to(self.line_end()),
            KeyCode::Up if self.lines && !ctrl && !alt => self.up(cells, column),
            KeyCode::Down if self.lines && !ctrl && !alt => self.down(cells, column),
            _ => Edited::No,
        }
    }

    /// Puts the cursor where somebody clicked.
    pub(crate) fn click(&mut self, cells: usize, row: usize, column: usize) {
        let lines = wrap(&self.text, cells);
        if let Some(line) = lines.get(row.min(lines.len().saturating_sub(1))) {
            self.cursor = place_at(&self.text, line, column);
        }
    }

    /// The row and column of the cursor.
    pub(crate) fn place(&self, cells: usize) -> (usize, usize) {
        let lines = wrap(&self.text, cells);
        // A place between two lines of the screen belongs to the later one.
        let row = lines.iter().rposition(|line| line.start <= self.cursor).unwrap_or(0);
        let start = lines.get(row).map_or(0, |line| line.start);
        let column = width(self.text.get(start..self.cursor).unwrap_or_default());
        (row, column.min(cells))
    }

    const fn move_to(&mut self, place: usize) -> Edited {
        self.cursor = place;
        Edited::Moved
    }

    fn delete(&mut self, part: Range<usize>) -> Edited {
        if part.is_empty() {
            return Edited::Moved;
        }
        self.cursor = part.start;
        self.text.replace_range(part, "");
        Edited::Changed
    }

    fn line_start(&self) -> usize {
        self.text.get(..self.cursor).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        tail.find('\n').map_or(self.text.len(), |at| self.cursor + at)
    }

    fn word_left(&self) -> usize {
        let head = self.text.get(..self.cursor).unwrap_or_default();
        let word = |(_, word): &(usize, &str)| word.chars().any(char::is_alphanumeric);
        head.split_word_bound_indices().rev().find(word).map_or(0, |(at, _)| at)
    }

    fn word_right(&self) -> usize {
        let tail = self.text.get(self.cursor..).unwrap_or_default();
        let word = |(_, word): &(usize, &str)| word.chars().any(char::is_alphanumeric);
        let found = tail.split_word_bound_indices().find(word);
        found.map_or(self.text.len(), |(at, word)| self.cursor + at + word.len())
    }

    fn up(&mut self, cells: usize, column: Option<usize>) -> Edited {
        let (row, at) = self.place(cells);
        match row.checked_sub(1) {
            Some(above) => self.move_to_row(cells, above, column.unwrap_or(at)),
            None => self.recall_older(),
        }
    }

    fn down(&mut self, cells: usize, column: Option<usize>) -> Edited {
        let (row, at) = self.place(cells);
        if row + 1 < wrap(&self.text, cells).len() {
            self.move_to_row(cells, row + 1, column.unwrap_or(at))
        } else {
            self.recall_newer()
        }
    }

    fn move_to_row(&mut self, cells: usize, row: usize, column: usize) -> Edited {
        let lines = wrap(&self.text, cells);
        if let Some(line) = lines.get(row) {
            self.cursor = place_at(&self.text, line, column);
            // The end of a line that goes on is the start of the next one.
            if self.cursor == line.end && lines.get(row + 1).is_some_and(|next| next.start == line.end) {
                self.cursor = before(&self.text, self.cursor);
            }
        }
        self.column = Some(column);
        Edited::Moved
    }

    fn recall_older(&mut self) -> Edited {
        let place = self.recalled.as_ref().map_or(self.history.len(), |(place, _)| *place);
        let Some(place) = place.checked_sub(1) else { return Edited::Moved };
        let Some(text) = self.history.get(place).cloned() else { return Edited::Moved };
        let written = self.recalled.take().map_or_else(|| self.text.clone(), |(_, written)| written);
        self.set(&text);
        self.recalled = Some((place, written));
        Edited::Changed
    }

    fn recall_newer(&mut self) -> Edited {
        let Some((place, written)) = self.recalled.take() else { return Edited::Moved };
        match self.history.get(place + 1).cloned() {
            Some(text) => {
                self.set(&text);
                self.recalled = Some((place + 1, written));
            }
            None => self.set(&written),
        }
        Edited::Changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CELLS: usize = 20;

    fn press(editor: &mut Editor, keys: &[(KeyCode, KeyModifiers)]) {
        for (code, modifiers) in keys {
            editor.key(KeyEvent::new(*code, *modifiers), CELLS);
        }
    }

    fn plain(code: KeyCode) -> (KeyCode, KeyModifiers) {
        (code, KeyModifiers::NONE)
    }

    fn ctrl(c: char) -> (KeyCode, KeyModifiers) {
        (KeyCode::Char(c), KeyModifiers::CONTROL)
    }

    #[test]
    fn a_cluster_of_characters_is_one_for_the_cursor_and_for_backspace() {
        let mut editor = Editor::lines(1000);
        editor.insert("a👩‍👩‍👧e\u{301}").expect("it fits");
        press(&mut editor, &[plain(KeyCode::Backspace)]);
        assert_eq!(editor.text(), "a👩‍👩‍👧");
        press(&mut editor, &[plain(KeyCode::Left), plain(KeyCode::Char('b'))]);
        assert_eq!(editor.text(), "ab👩‍👩‍👧");
        assert_eq!(editor.place(CELLS), (0, 2));
    }

    #[test]
    fn words_and_lines_are_deleted_as_in_a_shell() {
        let mut editor = Editor::lines(1000);
        editor.insert("one two  ").expect("it fits");
        press(&mut editor, &[ctrl('w')]);
        assert_eq!(editor.text(), "one ");
        editor.insert("\nsecond line").expect("it fits");
        press(&mut editor, &[ctrl('u')]);
        assert_eq!(editor.text(), "one \n");
        press(&mut editor, &[ctrl('a'), ctrl('u'), ctrl('h')]);
        assert_eq!(editor.text(), "one ");
    }

    #[test]
    fn up_and_down_keep_the_column_and_then_bring_back_what_was_sent() {
        let mut editor = Editor::lines(1000);
        for text in ["first", "second"] {
            editor.insert(text).expect("it fits");
            assert_eq!(editor.take(), text);
        }
        editor.insert("long line here\nx\nanother line").expect("it fits");
        press(&mut editor, &[plain(KeyCode::Up)]);
        assert_eq!(editor.place(CELLS), (1, 1));
        press(&mut editor, &[plain(KeyCode::Up)]);
        assert_eq!(editor.place(CELLS), (0, 12), "the column is remembered");
        press(&mut editor, &[plain(KeyCode::Up)]);
        assert_eq!(editor.text(), "second");
        press(&mut editor, &[plain(KeyCode::Up), plain(KeyCode::Up)]);
        assert_eq!(editor.text(), "first");
        press(&mut editor, &[plain(KeyCode::Down), plain(KeyCode::Down)]);
        assert_eq!(editor.text(), "long line here\nx\nanother line", "nothing written is lost");
    }

    #[test]
    fn a_paste_of_megabytes_changes_nothing() {
        let mut editor = Editor::lines(1000);
        editor.insert("draft").expect("it fits");
        let refused = editor.insert(&"x".repeat(3_000_000)).expect_err("it does not fit");
        assert_eq!(refused, TooLong { bytes: 3_000_000, bytes_max: 1000 });
        assert_eq!(editor.text(), "draft");
        let refused = editor.insert(&"x".repeat(996)).expect_err("together they do not fit");
        assert_eq!(refused.bytes, 1001);
        assert_eq!(editor.text(), "draft");
    }

    #[test]
    fn what_commands_a_terminal_cannot_be_written() {
        let mut editor = Editor::lines(1000);
        editor.insert("a\u{1b}[2Jb\r\nc\u{202e}\td").expect("it fits");
        assert_eq!(editor.text(), "a[2Jb\nc    d");
        let mut editor = Editor::line(100);
        editor.insert("one\nline").expect("it fits");
        assert_eq!(editor.text(), "one line");
    }

    proptest! {
        #[test]
        fn no_keys_put_the_cursor_where_no_character_begins(
            text in "(\\PC|\\n){0,30}",
            keys in prop::collection::vec(0..14_usize, 0..40),
        ) {
            let mut editor = Editor::lines(500);
            editor.insert(&text).expect("it fits");
            let all = [
                plain(KeyCode::Left), plain(KeyCode::Right), plain(KeyCode::Up), plain(KeyCode::Down),
                plain(KeyCode::Home), plain(KeyCode::End), plain(KeyCode::Backspace), plain(KeyCode::Delete),
                ctrl('w'), ctrl('u'), ctrl('d'), plain(KeyCode::Char('é')),
                (KeyCode::Left, KeyModifiers::CONTROL), (KeyCode::Right, KeyModifiers::CONTROL),
            ];
            for key in keys {
                press(&mut editor, &[all[key]]);
                prop_assert!(editor.text().is_char_boundary(editor.cursor()));
                let (row, column) = editor.place(CELLS);
                prop_assert!(row < wrap(editor.text(), CELLS).len() && column <= CELLS);
            }
        }
    }
}
