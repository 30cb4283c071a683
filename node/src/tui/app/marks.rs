//! What people do with a text that is there: answer it, edit, delete, react, pin, go to it.
//!
//! Each counts for the chosen message, or, when none is chosen, for the last one that it can count for.

use super::super::complete;
use super::super::input::{About, Effect, Lines, LinesPlace};
use super::super::layout::Focus;
use super::super::pane::{Older, PAGE, Pane};
use super::super::view::rich::plain;
use super::{App, Chooser, Entry, Overlay, Pick, Tone};
use crate::after::After;
use sotto_node_core::command::Command;
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{Line, Message};
use sotto_protocol::ids::{ConversationId, Sequence};

/// What the text is for that is being written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be said.
    #[default]
    Say,
    /// To answer a text.
    Reply(Sequence),
    /// To stand in the place of a text; and what was being written before.
    Edit(Sequence, String),
}

fn is_text(line: &Message) -> bool {
    line.line.is_said()
}

impl App {
    /// The chosen text, or the last one that fits.
    pub(super) fn target(&self, fits: impl Fn(&Message) -> bool) -> Option<&Message> {
        let pane = self.pane.as_ref()?;
        let chosen = pane.chosen_line().filter(|_| self.focus == Focus::Reading);
        match chosen {
            Some(chosen) => Some(chosen).filter(|line| is_text(line) && fits(line)),
            None => pane.lines.iter().rev().find(|line| is_text(line) && fits(line)),
        }
    }

    fn nothing(&mut self, sentence: &str) -> Vec<Effect> {
        self.say(Tone::Bad, sentence);
        Vec::new()
    }

    /// What is written next answers a text.
    pub(super) fn reply(&mut self, text: Option<String>) -> Vec<Effect> {
        let Some(target) = self.target(|line| text.is_none() || !line.own).map(|line| line.sequence) else {
            return self.nothing("There is no text to answer here.");
        };
        let mut effects = self.stop_purpose();
        self.focus = Focus::Writing;
        self.focus_changed();
        self.purpose = Purpose::Reply(target);
        if let Some(text) = text {
            effects.extend(self.say_text(text));
        }
        effects
    }

    /// An own text is written anew.
    pub(super) fn edit(&mut self, text: Option<String>) -> Vec<Effect> {
        let Some(line) = self.target(|line| line.own) else {
            return self.nothing("Only a text of your own can be edited.");
        };
        let (Line::Text(old) | Line::File { caption: old, .. }) = line.line.clone() else {
            return Vec::new();
        };
        let target = line.sequence;
        let effects = self.stop_purpose();
        self.focus = Focus::Writing;
        self.focus_changed();
        let before = self.editor.text().to_owned();
        self.purpose = Purpose::Edit(target, before);
        match text {
            Some(text) => self.say_text(text),
            None => {
                self.editor.set(&old);
                effects
            }
        }
    }

    /// Back to saying; what was written before an edit is there again.
    pub(super) fn stop_purpose(&mut self) -> Vec<Effect> {
        if let Purpose::Edit(_, before) = std::mem::take(&mut self.purpose) {
            self.editor.set(&before);
        }
        Vec::new()
    }

    /// The text is ready: it is said, answers, or replaces.
    pub(super) fn say_text(&mut self, text: String) -> Vec<Effect> {
        let Some(pane) = &mut self.pane else {
            return self.nothing("There is nobody to send it to yet: /write USER or /create NAME begins.");
        };
        let conversation = pane.id;
        let mut effects = Vec::new();
        let command = match std::mem::take(&mut self.purpose) {
            Purpose::Edit(target, before) => {
                self.editor.set(&before);
                Command::Edit { conversation, target, text: text.clone() }
            }
            purpose => {
                pane.unread_from = None;
                effects = if pane.own { self.unfilter() } else { self.go_to_the_newest() };
                let reply_to = if let Purpose::Reply(target) = purpose { Some(target) } else { None };
                Command::Send { conversation, text: text.clone(), reply_to }
            }
        };
        effects.push(Effect::Command { about: About::Send(conversation, text), command });
        effects
    }

    /// Deleting asks first.
    pub(super) fn delete(&mut self) -> Vec<Effect> {
        let none = self.focus != Focus::Reading;
        let Some((line, pane)) = self.target(|line| line.own || !none).zip(self.pane.as_ref()) else {
            return self.nothing("There is no text of yours to delete here; choose one with Ctrl-Up.");
        };
        let Some(text) = line.line.words() else { return Vec::new() };
        let command = Command::Delete { conversation: pane.id, target: line.sequence };
        self.overlay = Some(Overlay::Sure {
            title: "Delete?".to_owned(),
            question: format!("Delete \"{}\" for everybody?", super::super::measure::fit(&plain(&text), 60)),
            yes: "y deletes",
            about: About::Told("Deleted here, and on every device that hears of it.".to_owned()),
            command,
        });
        Vec::new()
    }

    /// Puts a reaction on, or takes an own one off.
    pub(super) fn react(&self, target: Sequence, emoji: &str) -> Vec<Effect> {
        let me = self.me.as_ref().map(|me| me.account);
        let Some(pane) = &self.pane else { return Vec::new() };
        let line = pane.lines.iter().find(|line| line.sequence == target);
        let mine = line
            .into_iter()
            .flat_map(|line| &line.reactions)
            .any(|reaction| reaction.emoji == emoji && me.is_some_and(|me| reaction.accounts.contains(&me)));
        let conversation = pane.id;
        let command = Command::React { conversation, target, emoji: emoji.to_owned(), on: !mine };
        vec![Effect::Command { about: About::Done, command }]
    }

    /// Reacts with an emoji that was written, or lets one be chosen.
    pub(super) fn react_or_choose(&mut self, emoji: Option<String>) -> Vec<Effect> {
        let Some(target) = self.target(|_| true).map(|line| line.sequence) else {
            return self.nothing("There is no text to react to here.");
        };
        match emoji {
            Some(written) => {
                let named = written.strip_prefix(':').and_then(|name| name.strip_suffix(':'));
                let emoji = named.and_then(emojis::get_by_shortcode).map(|emoji| emoji.as_str().to_owned());
                self.react(target, &emoji.unwrap_or(written))
            }
            None => {
                let entry = |(emoji, name): (&str, &str)| Entry {
                    label: format!("{emoji} :{name}:"),
                    what: String::new(),
                    pick: Pick::Reaction(target, emoji.to_owned()),
                };
                let entries = complete::reactions().map(entry).collect();
                self.overlay = Some(Overlay::Reactions(Chooser::new(entries)));
                Vec::new()
            }
        }
    }

    /// Pins a text, or unpins it; `None` does what it is not yet.
    pub(super) fn pin(&mut self, on: Option<bool>) -> Vec<Effect> {
        let fits = |line: &Message| on != Some(false) || line.pinned;
        let Some((line, pane)) = self.target(fits).zip(self.pane.as_ref()) else {
            return self.nothing("There is no text for that here.");
        };
        let on = on.unwrap_or(!line.pinned);
        let command = Command::Pin { conversation: pane.id, target: line.sequence, on };
        let told = if on { "Pinned; /pins shows what is." } else { "Unpinned." };
        vec![Effect::Command { about: About::Told(told.to_owned()), command }]
    }

    /// Lets texts from now on disappear.
    pub(super) fn timer(&self, conversation: ConversationId, after: After) -> Effect {
        let told = match after.0 {
            Some(_) => format!("Texts from now on disappear after {after}."),
            None => "Texts from now on stay.".to_owned(),
        };
        Effect::Command {
            about: About::Told(told),
            command: Command::SetTimer { conversation, seconds: after.0 },
        }
    }

    /// The text that the chosen one answers.
    pub(super) fn go_to_quoted(&mut self) -> Vec<Effect> {
        let chosen = self.pane.as_ref().and_then(Pane::chosen_line);
        let place = chosen.and_then(|line| Some((line.conversation, line.reply.as_ref()?.sequence)));
        place.map(|(conversation, sequence)| self.go_to(conversation, sequence)).unwrap_or_default()
    }

    /// Shows a line with what is around it, and chooses it.
    pub(super) fn go_to(&mut self, conversation: ConversationId, sequence: Sequence) -> Vec<Effect> {
        let mut effects = self.open(conversation);
        if let Some(pane) = &mut self.pane {
            pane.own = false;
            pane.older = Older::Asked;
            pane.chosen = Some(sequence);
            let place = LinesPlace::Around(sequence);
            effects.push(Effect::Lines(Lines { conversation, place, limit: PAGE, own: false }));
            self.focus = Focus::Reading;
            self.completion = None;
        }
        effects
    }

    /// Looks for words in everything that was said.
    pub(super) fn search(&mut self, words: &str) -> Vec<Effect> {
        self.overlay = Some(Overlay::Search(Chooser::found_elsewhere(words)));
        self.search_if_wanted()
    }

    /// The words that are looked for are others now.
    pub(super) fn search_if_wanted(&mut self) -> Vec<Effect> {
        let Some(Overlay::Search(chooser)) = &mut self.overlay else { return Vec::new() };
        let words = chooser.query.text().trim().to_owned();
        if words.is_empty() {
            chooser.entries.clear();
            return Vec::new();
        }
        vec![Effect::Search(words)]
    }

    /// Lines that were found; only those for the words of now.
    pub(super) fn hits(&mut self, words: &str, lines: &[Message]) {
        let entries = self.found(lines);
        if let Some(Overlay::Search(chooser)) = &mut self.overlay
            && chooser.query.text().trim() == words
        {
            chooser.entries = entries;
        }
    }

    /// Lines to choose from, each to go to.
    pub(super) fn found(&self, lines: &[Message]) -> Vec<Entry> {
        let entry = |line: &Message| {
            let text = line.line.shown()?;
            let view = self.conversations.iter().find(|view| view.conversation == line.conversation);
            let place = view.map(|view| harmless_line(&view.title)).unwrap_or_default();
            Some(Entry {
                label: format!("{}: {}", self.name(line.account), plain(&text)),
                what: format!("{place}  {}", self.clock.short(line.time)),
                pick: Pick::Line(line.conversation, line.sequence),
            })
        };
        lines.iter().filter_map(entry).collect()
    }

    /// What the text that is written is for, in a sentence.
    pub(crate) fn purpose_shown(&self) -> Option<String> {
        let line = |target: Sequence| self.pane.as_ref()?.lines.iter().find(|line| line.sequence == target);
        let excerpt = |line: &Message| line.line.words().map(|words| plain(&words)).unwrap_or_default();
        match &self.purpose {
            Purpose::Say => None,
            Purpose::Reply(target) => Some(match line(*target) {
                Some(line) => format!("answering {}: {}", self.name(line.account), excerpt(line)),
                None => "answering".to_owned(),
            }),
            Purpose::Edit(target, _) => {
                Some(format!("editing: {}", line(*target).map(excerpt).unwrap_or_default()))
            }
        }
    }
}
