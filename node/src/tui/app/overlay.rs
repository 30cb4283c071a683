//! What lies over the conversation for a moment.

use super::super::editor::Editor;
use super::super::input::About;
use super::super::keys::Action;
use sotto_node_core::client::Contact;
use sotto_node_core::command::Command;
use sotto_protocol::ids::{ConversationId, Sequence};

/// A search is short.
const QUERY_BYTES_MAX: usize = 200;

/// Something over the conversation.
pub(crate) enum Overlay {
    /// Keys and commands.
    Help { scroll: usize },
    /// Any command, conversation or person.
    Palette(Chooser),
    /// The relay's public rooms.
    Rooms(Chooser),
    /// An invite, once it is made.
    Invite { title: String, link: Option<Result<String, String>> },
    /// A safety number; `sure` asks once more.
    Verify { contact: Box<Contact>, sure: bool },
    /// The password, to sign in again.
    Login(Editor),
    /// How the connection stands.
    Connection(Vec<(String, String)>),
    /// Emoji for a reaction.
    Reactions(Chooser),
    /// Lines that have the words of the query.
    Search(Chooser),
    /// Lines to go to.
    Found { title: &'static str, chooser: Chooser },
    /// Yes or no.
    Sure { title: String, question: String, yes: &'static str, about: About, command: Command },
}

/// Entries to choose from, fewer with each letter.
pub(crate) struct Chooser {
    pub(crate) query: Editor,
    pub(crate) entries: Vec<Entry>,
    pub(crate) chosen: usize,
    /// Fewer with each letter; else the entries are what was found by it.
    narrows: bool,
}

/// One of them.
pub(crate) struct Entry {
    pub(crate) label: String,
    pub(crate) what: String,
    pub(crate) pick: Pick,
}

/// What choosing it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    Conversation(ConversationId),
    Action(Action),
    /// Runs at once, or is put into the editor if it lacks something.
    Command {
        text: String,
        whole: bool,
    },
    Write(String),
    Room(ConversationId),
    Reaction(Sequence, String),
    Line(ConversationId, Sequence),
}

impl Chooser {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self { query: Editor::line(QUERY_BYTES_MAX), entries, chosen: 0, narrows: true }
    }

    /// Whether letters make the entries fewer, of which none come later.
    pub(crate) const fn narrows(&self) -> bool {
        self.narrows
    }

    /// With entries that others find by the query.
    pub(crate) fn found_elsewhere(query: &str) -> Self {
        let mut chooser = Self { narrows: false, ..Self::new(Vec::new()) };
        chooser.query.set(query);
        chooser
    }

    /// Those in which every word of the query occurs.
    pub(crate) fn fitting(&self) -> Vec<&Entry> {
        if !self.narrows {
            return self.entries.iter().collect();
        }
        let query = self.query.text().to_lowercase();
        let fits = |entry: &&Entry| {
            let text = format!("{} {}", entry.label, entry.what).to_lowercase();
            query.split_whitespace().all(|word| text.contains(word))
        };
        let mut fitting: Vec<_> = self.entries.iter().filter(fits).collect();
        // What begins with it is meant more often than what mentions it.
        let begins = |entry: &Entry| {
            entry.label.to_lowercase().trim_start_matches(['/', '#', '@', '*', ' ']).starts_with(query.trim())
        };
        fitting.sort_by_key(|entry| !begins(entry));
        fitting
    }

    pub(crate) fn step(&mut self, down: bool) {
        let count = self.fitting().len().max(1);
        self.chosen =
            if down { (self.chosen + 1) % count } else { self.chosen.checked_sub(1).unwrap_or(count - 1) };
    }

    pub(crate) fn pick(&self) -> Option<Pick> {
        self.fitting().get(self.chosen).map(|entry| entry.pick.clone())
    }
}
