//! Keys, clicks and pastes.

use super::super::editor::Edited;
use super::super::input::{About, Effect, Secret};
use super::super::keys::{Chord, Place};
use super::super::layout::{self, Focus, PROMPT};
use super::super::pane::Pane;
use super::super::view::messages;
use super::{App, Overlay, Purpose, Tone};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;
use sotto_node_core::command::Command;

/// Rows that one turn of the wheel moves.
const WHEEL: isize = 3;

impl App {
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        let chord = Chord::of(key);
        let quits =
            self.config.keys.action(chord, Place::Everywhere) == Some(super::super::keys::Action::Quit);
        if quits {
            return self.quit();
        }
        if let Some(setup) = &mut self.setup {
            // Which words are asked for is different for every account, and nothing else hangs on it.
            let id = self.me.as_ref().map(|me| me.account.0).unwrap_or_default();
            let effects = setup.key(key, [id[0], id[1], id[2]]);
            self.leave_setup_if_done();
            return effects;
        }
        if self.overlay.is_some() {
            return self.overlay_key(key);
        }
        match self.focus {
            Focus::Writing => self.writing_key(key, chord),
            Focus::Reading => self.reading_key(key, chord),
            Focus::Conversations => self.list_key(key, chord),
        }
    }

    fn writing_key(&mut self, key: KeyEvent, chord: Chord) -> Vec<Effect> {
        if let Some(completion) = &mut self.completion {
            match key.code {
                KeyCode::Up | KeyCode::Down => {
                    completion.choose(key.code == KeyCode::Down);
                    return Vec::new();
                }
                KeyCode::Tab | KeyCode::Enter if key.modifiers.is_empty() => {
                    completion.accept(&mut self.editor);
                    return self.edited();
                }
                KeyCode::Esc => {
                    self.completion = None;
                    return Vec::new();
                }
                _ => {}
            }
        }
        if key.code == KeyCode::Esc && self.leave_something() {
            return Vec::new();
        }
        if key.code == KeyCode::Esc && self.purpose != Purpose::Say {
            return self.stop_purpose();
        }
        if key.code == KeyCode::Esc && self.pane.as_ref().is_some_and(|pane| pane.own) {
            return self.unfilter();
        }
        if !chord.writes()
            && let Some(action) = self.config.keys.action(chord, Place::Writing)
        {
            return self.act(action);
        }
        match self.editor.key(key, layout::editor_cells(self.size, self.members)) {
            Edited::Changed => self.edited(),
            Edited::Moved => {
                self.completion = None;
                Vec::new()
            }
            Edited::Refused(refused) => {
                self.refuse(refused);
                Vec::new()
            }
            Edited::No => Vec::new(),
        }
    }

    /// Esc takes away what is in the way first.
    fn leave_something(&mut self) -> bool {
        if self.notice.take().is_some() {
            return true;
        }
        if !self.alarms.is_empty() {
            self.alarms.remove(0);
            return true;
        }
        false
    }

    fn reading_key(&mut self, key: KeyEvent, chord: Chord) -> Vec<Effect> {
        match key.code {
            KeyCode::Up | KeyCode::Char('k') if key.modifiers.is_empty() => self.choose(true),
            KeyCode::Down | KeyCode::Char('j') if key.modifiers.is_empty() => self.choose(false),
            KeyCode::Esc => {
                self.focus = Focus::Writing;
                self.focus_changed();
                return Vec::new();
            }
            KeyCode::Char('?') => return self.act(super::super::keys::Action::Help),
            _ => {
                let action = self.config.keys.action(chord, Place::Reading);
                return action.map(|action| self.act(action)).unwrap_or_default();
            }
        }
        self.read_what_is_seen()
    }

    fn list_key(&mut self, key: KeyEvent, chord: Chord) -> Vec<Effect> {
        use super::super::keys::Action;
        match key.code {
            KeyCode::Up | KeyCode::Char('k') if key.modifiers.is_empty() => {
                self.act(Action::PreviousConversation)
            }
            KeyCode::Down | KeyCode::Char('j') if key.modifiers.is_empty() => {
                self.act(Action::NextConversation)
            }
            KeyCode::Enter | KeyCode::Esc => {
                self.focus = Focus::Writing;
                self.read_what_is_seen()
            }
            KeyCode::Char('?') => self.act(Action::Help),
            _ => {
                let action = self.config.keys.action(chord, Place::Everywhere);
                action.map(|action| self.act(action)).unwrap_or_default()
            }
        }
    }

    pub(super) fn focus_changed(&mut self) {
        self.completion = None;
        if let Some(pane) = &mut self.pane {
            pane.chosen = None;
        }
        if self.focus == Focus::Reading {
            self.choose(true);
        }
    }

    fn choose(&mut self, up: bool) {
        let Some(parts) = self.regions() else { return };
        let Some(mut pane) = self.pane.take() else { return };
        let cells = usize::from(parts.messages.width);
        if let Some(place) = pane.choose(up) {
            pane.show(place, usize::from(parts.messages.height), |pane, at| {
                messages::height(self, pane, at, cells)
            });
        }
        self.pane = Some(pane);
    }

    /// Scrolls the messages: upwards, or downwards if negative.
    pub(super) fn scroll(&mut self, rows: isize) {
        let Some(parts) = self.regions() else { return };
        let Some(mut pane) = self.pane.take() else { return };
        let cells = usize::from(parts.messages.width);
        pane.scroll(rows, usize::from(parts.messages.height), |pane, at| {
            messages::height(self, pane, at, cells)
        });
        self.pane = Some(pane);
    }

    pub(super) fn copy_chosen(&mut self) -> Vec<Effect> {
        let chosen = self.pane.as_ref().and_then(Pane::chosen_line);
        let Some(text) = chosen.and_then(|line| line.line.words()) else { return Vec::new() };
        let text = sotto_node_core::format::harmless(&text);
        self.say(Tone::Calm, "Copied, if your terminal lets programs use the clipboard.");
        vec![Effect::CopyText(text)]
    }

    fn overlay_key(&mut self, key: KeyEvent) -> Vec<Effect> {
        let Some(overlay) = &mut self.overlay else { return Vec::new() };
        if key.code == KeyCode::Esc {
            self.overlay = None;
            return Vec::new();
        }
        match overlay {
            Overlay::Help { scroll } => match key.code {
                KeyCode::Up | KeyCode::Char('k') => *scroll = scroll.saturating_sub(1),
                KeyCode::Down | KeyCode::Char('j') => *scroll += 1,
                KeyCode::PageUp => *scroll = scroll.saturating_sub(10),
                KeyCode::PageDown | KeyCode::Char(' ') => *scroll += 10,
                _ => self.overlay = None,
            },
            Overlay::Palette(chooser)
            | Overlay::Rooms(chooser)
            | Overlay::Reactions(chooser)
            | Overlay::Search(chooser)
            | Overlay::Found { chooser, .. } => match key.code {
                KeyCode::Up => chooser.step(false),
                KeyCode::Down | KeyCode::Tab => chooser.step(true),
                KeyCode::Enter => {
                    let pick = chooser.pick();
                    return pick.map(|pick| self.pick(pick)).unwrap_or_default();
                }
                _ => {
                    if chooser.query.key(key, usize::MAX) == Edited::Changed {
                        chooser.chosen = 0;
                        return self.search_if_wanted();
                    }
                }
            },
            Overlay::Invite { link, .. } => match (key.code, link) {
                (KeyCode::Char('c' | 'y'), Some(Ok(link))) => return vec![Effect::CopyText(link.clone())],
                (KeyCode::Enter, _) => self.overlay = None,
                _ => {}
            },
            Overlay::Verify { contact, sure } => match key.code {
                KeyCode::Char('v') => *sure = true,
                KeyCode::Char('y') if *sure => {
                    let (account, identity) = (contact.account, contact.identity_key);
                    let name = sotto_node_core::format::harmless_line(&contact.username);
                    self.overlay = None;
                    let Some(identity_key) = identity else { return Vec::new() };
                    let who = sotto_node_core::command::Who::Account(account);
                    let about = About::Told(format!(
                        "{name} is verified: you are told loudly if that identity changes."
                    ));
                    let command = Command::Verify { who, identity_key };
                    return vec![Effect::Command { about, command }, Effect::Verified(account)];
                }
                KeyCode::Char('n') => *sure = false,
                KeyCode::Enter => self.overlay = None,
                _ => {}
            },
            Overlay::Login(password) => {
                if key.code == KeyCode::Enter {
                    let given = Secret::new(password.text());
                    self.overlay = None;
                    return vec![Effect::SignIn(given)];
                }
                password.key(key, usize::MAX);
            }
            Overlay::Connection(_) => {
                if key.code == KeyCode::Enter {
                    self.overlay = None;
                }
            }
            Overlay::Sure { about, command, .. } => {
                let wanted = (about.clone(), command.clone());
                self.overlay = None;
                if key.code == KeyCode::Char('y') {
                    let (about, command) = wanted;
                    return vec![Effect::Command { about, command }];
                }
            }
        }
        Vec::new()
    }

    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        if let Some(setup) = &mut self.setup {
            setup.paste(text);
            return Vec::new();
        }
        let inserted = match &mut self.overlay {
            Some(
                Overlay::Palette(chooser)
                | Overlay::Rooms(chooser)
                | Overlay::Reactions(chooser)
                | Overlay::Search(chooser)
                | Overlay::Found { chooser, .. },
            ) => chooser.query.insert(text),
            Some(Overlay::Login(password)) => password.insert(text.trim_end_matches('\n')),
            Some(_) => Ok(()),
            None => {
                self.focus = Focus::Writing;
                self.editor.insert(text)
            }
        };
        match inserted {
            Ok(()) if self.overlay.is_none() => self.edited(),
            Ok(()) => self.search_if_wanted(),
            Err(refused) => {
                self.refuse(refused);
                Vec::new()
            }
        }
    }

    pub(super) fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        if self.setup.is_some() || self.overlay.is_some() {
            return Vec::new();
        }
        let Some(parts) = self.regions() else { return Vec::new() };
        let at = Position::new(mouse.column, mouse.row);
        match mouse.kind {
            MouseEventKind::ScrollUp => self.scroll(WHEEL),
            MouseEventKind::ScrollDown => self.scroll(-WHEEL),
            MouseEventKind::Down(MouseButton::Left) => {
                if let Some(list) = parts.list.filter(|list| list.contains(at)) {
                    let first = super::super::view::list::first_shown(self, list);
                    let place = first + usize::from(mouse.row - list.y) / super::super::view::list::ROWS;
                    let id = self.conversations.get(place).map(|view| view.conversation);
                    return id.map(|id| self.open(id)).unwrap_or_default();
                }
                if parts.editor.contains(at) {
                    self.focus = Focus::Writing;
                    self.focus_changed();
                    let cells = layout::editor_cells(self.size, self.members);
                    let column = usize::from((mouse.column - parts.editor.x).saturating_sub(PROMPT));
                    let first = super::super::view::editor_first_row(self, parts.editor.height);
                    self.editor.click(cells, first + usize::from(mouse.row - parts.editor.y), column);
                    return Vec::new();
                }
                if parts.header.contains(at) {
                    return vec![Effect::Connection];
                }
            }
            _ => return Vec::new(),
        }
        self.read_what_is_seen()
    }
}
