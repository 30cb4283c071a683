//! What keys do: actions with names, their default keys, and where they count.
//!
//! Every action is one row of [`ACTIONS`]; help, command palette, configuration and documentation are made of it.
//! The keys that move and edit inside a text are those of every shell and are not configurable.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Help,
    Palette,
    Search,
    NextConversation,
    PreviousConversation,
    NextUnread,
    FocusNext,
    FocusPrevious,
    Conversations,
    Members,
    Invite,
    Verify,
    Connection,
    ScrollUp,
    ScrollDown,
    Oldest,
    Newest,
    Redraw,
    Quit,
    Send,
    NewLine,
    Messages,
    Reply,
    React,
    Edit,
    Delete,
    Pin,
    Quoted,
    Copy,
    Save,
}

/// Where a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Wherever one is.
    Everywhere,
    /// While writing.
    Writing,
    /// With a message chosen.
    Reading,
}

/// One action.
pub(crate) struct Row {
    pub(crate) action: Action,
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) keys: &'static [&'static str],
    pub(crate) what: &'static str,
}

const fn row(
    action: Action,
    name: &'static str,
    place: Place,
    keys: &'static [&'static str],
    what: &'static str,
) -> Row {
    Row { action, name, place, keys, what }
}

/// Every action, in the order in which help shows them.
pub(crate) const ACTIONS: &[Row] = &[
    row(
        Action::Palette,
        "palette",
        Place::Everywhere,
        &["ctrl-k"],
        "Find any command, conversation or person",
    ),
    row(Action::Search, "search", Place::Everywhere, &["ctrl-f"], "Find messages by words"),
    row(Action::Help, "help", Place::Everywhere, &["f1"], "Show this help"),
    row(
        Action::NextConversation,
        "next-conversation",
        Place::Everywhere,
        &["alt-down", "ctrl-n"],
        "Next conversation",
    ),
    row(
        Action::PreviousConversation,
        "previous-conversation",
        Place::Everywhere,
        &["alt-up", "ctrl-p"],
        "Previous conversation",
    ),
    row(
        Action::NextUnread,
        "next-unread",
        Place::Everywhere,
        &["alt-u"],
        "Next conversation with something unread",
    ),
    row(Action::FocusNext, "focus-next", Place::Everywhere, &["tab"], "Go to the next part of the screen"),
    row(Action::FocusPrevious, "focus-previous", Place::Everywhere, &["shift-tab"], "Go to the part before"),
    row(
        Action::Conversations,
        "conversations",
        Place::Everywhere,
        &["ctrl-l"],
        "Go to the list of conversations",
    ),
    row(Action::Members, "members", Place::Everywhere, &["f2"], "Show or hide the members"),
    row(Action::Invite, "invite", Place::Everywhere, &["f3"], "Make an invite: link and QR code"),
    row(Action::Verify, "verify", Place::Everywhere, &["f4"], "Compare safety numbers"),
    row(Action::Connection, "connection", Place::Everywhere, &["f6"], "Show how the connection stands"),
    row(Action::ScrollUp, "scroll-up", Place::Everywhere, &["pageup"], "Older messages"),
    row(Action::ScrollDown, "scroll-down", Place::Everywhere, &["pagedown"], "Newer messages"),
    row(Action::Oldest, "oldest", Place::Everywhere, &["ctrl-home"], "The oldest message on this device"),
    row(Action::Newest, "newest", Place::Everywhere, &["ctrl-end"], "The newest message"),
    row(Action::Redraw, "redraw", Place::Everywhere, &["f5"], "Draw the screen again"),
    row(Action::Quit, "quit", Place::Everywhere, &["ctrl-c", "ctrl-q"], "Leave; drafts are kept"),
    row(Action::Send, "send", Place::Writing, &["enter"], "Send"),
    row(
        Action::NewLine,
        "new-line",
        Place::Writing,
        &["alt-enter", "ctrl-j", "shift-enter"],
        "Begin a new line",
    ),
    row(
        Action::Messages,
        "messages",
        Place::Writing,
        &["ctrl-up", "esc"],
        "Choose a message, to do something with it",
    ),
    row(Action::Reply, "reply", Place::Reading, &["r", "enter"], "Answer the message"),
    row(Action::React, "react", Place::Reading, &[":", "+"], "React with an emoji, or take it off"),
    row(Action::Edit, "edit", Place::Reading, &["e"], "Edit your message"),
    row(Action::Delete, "delete", Place::Reading, &["d", "delete"], "Delete the message for everybody"),
    row(Action::Pin, "pin", Place::Reading, &["P"], "Pin the message, or unpin it"),
    row(Action::Quoted, "quoted", Place::Reading, &["g"], "Go to the message that it answers"),
    row(Action::Copy, "copy", Place::Reading, &["y", "c"], "Copy the text of the message"),
    row(Action::Save, "save", Place::Reading, &["s"], "Save the file of the message"),
];

/// A key with what is held down with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chord {
    code: KeyCode,
    modifiers: KeyModifiers,
}

impl Chord {
    /// What was pressed, in one form: terminals report Shift with letters, and Ctrl with either case, as they like.
    pub(crate) fn of(key: KeyEvent) -> Self {
        let held = KeyModifiers::CONTROL | KeyModifiers::ALT | KeyModifiers::SHIFT;
        let mut modifiers = key.modifiers & held;
        let code = match key.code {
            KeyCode::Char(c) => {
                modifiers -= KeyModifiers::SHIFT;
                let plain = !modifiers.contains(KeyModifiers::CONTROL);
                KeyCode::Char(if plain { c } else { c.to_ascii_lowercase() })
            }
            KeyCode::BackTab => {
                modifiers |= KeyModifiers::SHIFT;
                KeyCode::Tab
            }
            code => code,
        };
        Self { code, modifiers }
    }

    /// Whether it writes a character: such keys are never taken away from a text.
    pub(crate) fn writes(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && self.modifiers.is_empty()
    }
}

const NAMED: &[(&str, &str, KeyCode)] = &[
    ("enter", "Enter", KeyCode::Enter),
    ("esc", "Esc", KeyCode::Esc),
    ("tab", "Tab", KeyCode::Tab),
    ("space", "Space", KeyCode::Char(' ')),
    ("backspace", "Backspace", KeyCode::Backspace),
    ("delete", "Del", KeyCode::Delete),
    ("insert", "Ins", KeyCode::Insert),
    ("up", "Up", KeyCode::Up),
    ("down", "Down", KeyCode::Down),
    ("left", "Left", KeyCode::Left),
    ("right", "Right", KeyCode::Right),
    ("home", "Home", KeyCode::Home),
    ("end", "End", KeyCode::End),
    ("pageup", "PgUp", KeyCode::PageUp),
    ("pagedown", "PgDn", KeyCode::PageDown),
];

const HELD: &[(&str, &str, KeyModifiers)] = &[
    ("ctrl-", "Ctrl-", KeyModifiers::CONTROL),
    ("alt-", "Alt-", KeyModifiers::ALT),
    ("shift-", "Shift-", KeyModifiers::SHIFT),
];

impl FromStr for Chord {
    type Err = ();

    /// As `ctrl-k`, `alt-enter`, `f1`, `+`.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut rest = text;
        let mut modifiers = KeyModifiers::NONE;
        while let Some((after, held)) =
            HELD.iter().find_map(|(name, _, held)| Some((rest.strip_prefix(name)?, *held)))
        {
            modifiers |= held;
            rest = after;
        }
        let named = NAMED.iter().find(|(name, _, _)| *name == rest).map(|(_, _, code)| *code);
        let function = || {
            let number = rest.strip_prefix('f')?.parse().ok()?;
            (1..=12).contains(&number).then_some(KeyCode::F(number))
        };
        let single = || {
            let mut chars = rest.chars();
            chars.next().filter(|c| chars.next().is_none() && !c.is_control()).map(KeyCode::Char)
        };
        let code = named.or_else(function).or_else(single).ok_or(())?;
        Ok(Self::of(KeyEvent::new(code, modifiers)))
    }
}

impl fmt::Display for Chord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (_, shown, held) in HELD {
            if self.modifiers.contains(*held) {
                f.write_str(shown)?;
            }
        }
        match self.code {
            KeyCode::F(number) => write!(f, "F{number}"),
            KeyCode::Char(c) if c != ' ' && !self.modifiers.is_empty() => {
                write!(f, "{}", c.to_ascii_uppercase())
            }
            KeyCode::Char(c) if c != ' ' => write!(f, "{c}"),
            code => {
                let named = NAMED.iter().find(|(_, _, named)| *named == code);
                f.write_str(named.map_or("?", |(_, shown, _)| shown))
            }
        }
    }
}

/// Which keys do what.
#[derive(Debug, Clone)]
pub(crate) struct Keymap(BTreeMap<Action, Vec<Chord>>);

impl Default for Keymap {
    fn default() -> Self {
        let chords = |row: &Row| row.keys.iter().filter_map(|key| key.parse().ok()).collect();
        Self(ACTIONS.iter().map(|row| (row.action, chords(row))).collect())
    }
}

impl Keymap {
    /// Gives an action other keys.
    pub(crate) fn set(&mut self, action: Action, chords: Vec<Chord>) {
        self.0.insert(action, chords);
    }

    /// What a key does in a place.
    pub(crate) fn action(&self, chord: Chord, place: Place) -> Option<Action> {
        let here = ACTIONS.iter().filter(|row| row.place == place);
        let everywhere = ACTIONS.iter().filter(|row| row.place == Place::Everywhere);
        let has = |row: &&Row| self.0.get(&row.action).is_some_and(|chords| chords.contains(&chord));
        here.chain(everywhere).find(has).map(|row| row.action)
    }

    /// The first key of an action, as people write it; empty if it has none.
    pub(crate) fn shown(&self, action: Action) -> String {
        self.0.get(&action).and_then(|chords| chords.first()).map(ToString::to_string).unwrap_or_default()
    }

    /// All keys of an action.
    pub(crate) fn all_shown(&self, action: Action) -> String {
        let chords = self.0.get(&action).map(Vec::as_slice).unwrap_or_default();
        chords.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    /// Two actions that count in one place and have one key, if there are such.
    pub(crate) fn clash(&self) -> Option<(&'static str, &'static str, Chord)> {
        let together =
            |one: Place, other: Place| one == other || one == Place::Everywhere || other == Place::Everywhere;
        for (number, row) in ACTIONS.iter().enumerate() {
            for other in ACTIONS.iter().skip(number + 1).filter(|other| together(row.place, other.place)) {
                let (Some(mine), Some(theirs)) = (self.0.get(&row.action), self.0.get(&other.action)) else {
                    continue;
                };
                if let Some(chord) = mine.iter().find(|chord| theirs.contains(chord)) {
                    return Some((row.name, other.name, *chord));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str) -> Chord {
        text.parse().unwrap_or_else(|()| panic!("{text} is a key"))
    }

    #[test]
    fn keys_are_read_and_shown() {
        for (text, shown) in [
            ("ctrl-k", "Ctrl-K"),
            ("alt-enter", "Alt-Enter"),
            ("f12", "F12"),
            ("+", "+"),
            ("shift-tab", "Shift-Tab"),
            ("pageup", "PgUp"),
            ("ctrl-alt-delete", "Ctrl-Alt-Del"),
            ("f", "f"),
        ] {
            assert_eq!(chord(text).to_string(), shown);
        }
        for bad in ["", "ctrl-", "f13", "hyper-x", "enterr", "\u{1b}"] {
            assert!(bad.parse::<Chord>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn terminals_may_report_shift_and_case_as_they_like() {
        let pressed = |code, modifiers| Chord::of(KeyEvent::new(code, modifiers));
        assert_eq!(pressed(KeyCode::Char('K'), KeyModifiers::CONTROL), chord("ctrl-k"));
        assert_eq!(pressed(KeyCode::Char('+'), KeyModifiers::SHIFT), chord("+"));
        assert_eq!(pressed(KeyCode::BackTab, KeyModifiers::SHIFT), chord("shift-tab"));
        assert_eq!(pressed(KeyCode::BackTab, KeyModifiers::NONE), chord("shift-tab"));
    }

    #[test]
    fn every_default_key_is_one_and_does_one_thing() {
        let keys = Keymap::default();
        assert_eq!(keys.clash(), None);
        for row in ACTIONS {
            for key in row.keys {
                assert_eq!(keys.action(chord(key), row.place), Some(row.action), "{}", row.name);
            }
        }
    }

    #[test]
    fn no_default_key_takes_a_character_away_from_a_text() {
        for row in ACTIONS.iter().filter(|row| row.place != Place::Reading) {
            assert!(row.keys.iter().all(|key| !chord(key).writes()), "{}", row.name);
        }
    }

    #[test]
    fn the_same_key_for_two_things_is_found() {
        let mut keys = Keymap::default();
        keys.set(Action::Redraw, vec![chord("ctrl-k")]);
        assert_eq!(keys.clash(), Some(("palette", "redraw", chord("ctrl-k"))));
    }
}
