//! What written commands and actions do.

use super::super::input::{About, Effect, LinesPlace};
use super::super::keys::{ACTIONS, Action, Place};
use super::super::layout::Focus;
use super::super::slash::{COMMANDS, Slash};
use super::super::theme::{Theme, ThemeName};
use super::{App, Chooser, Entry, Overlay, Pick, Tone};
use sotto_e2ee::conversation::Suite;
use sotto_node_core::command::{Command, NewConversation, Who};
use sotto_node_core::format::harmless_line;
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::invite::Invite;

impl App {
    pub(super) fn create(
        &self,
        name: String,
        listed_name: Option<String>,
        history: HistoryPolicy,
        room: bool,
        members: Vec<String>,
    ) -> Effect {
        let suite = Suite::default();
        let new = NewConversation { name, room, listed_name, history, suite, members };
        Effect::Command { about: About::Enter, command: Command::CreateConversation(new) }
    }

    pub(super) fn slash(&mut self, slash: Slash) -> Vec<Effect> {
        let open = self.pane.as_ref().map(|pane| pane.id);
        let enter = |command| vec![Effect::Command { about: About::Enter, command }];
        match slash {
            Slash::Create { name, listed } => {
                let public = listed.then(|| name.clone());
                vec![self.create(name, public, HistoryPolicy::All, true, Vec::new())]
            }
            Slash::Group { name, users } => {
                vec![self.create(name, None, HistoryPolicy::SinceJoining, false, users)]
            }
            Slash::Write(username) => enter(Command::OpenDirect { username, suite: Suite::default() }),
            Slash::Join(what) if what.contains("://") => match what.parse::<Invite>() {
                Ok(link) if link.code.is_some() && !self.is_of_this_relay(&link) => {
                    self.say(
                        Tone::Bad,
                        "This invite is for another relay. Register there with another --profile.",
                    );
                    Vec::new()
                }
                Ok(link) if link.code.is_some() => vec![Effect::Redeem(link)],
                Ok(_) => {
                    self.say(Tone::Bad, "This link names a relay and holds no invite.");
                    Vec::new()
                }
                Err(error) => {
                    self.say(Tone::Bad, format!("This is no invite: {error}."));
                    Vec::new()
                }
            },
            Slash::Join(name) => enter(Command::JoinListed { name }),
            Slash::Rooms => vec![Effect::Command { about: About::Rooms, command: Command::ListRooms }],
            Slash::Register => self.invite(false),
            Slash::Members => self.act(Action::Members),
            Slash::Verify(username) => self.compare(username),
            Slash::AllMessages => self.filter(false),
            Slash::MyMessages => self.filter(true),
            Slash::Theme(name) => {
                match ThemeName::named(&name) {
                    Some(theme) => self.theme = Theme::new(theme),
                    None => self.say(Tone::Bad, "The themes are dark, light and mono."),
                }
                Vec::new()
            }
            Slash::Connection => vec![Effect::Connection],
            Slash::Login => {
                self.overlay = Some(Overlay::Login(super::Editor::line(320)));
                Vec::new()
            }
            Slash::Help => self.act(Action::Help),
            Slash::Quit => self.quit(),
            Slash::Invite(None) => self.invite(true),
            Slash::Reply(text) => self.reply(text),
            Slash::Edit(text) => self.edit(text),
            Slash::Delete => self.delete(),
            Slash::React(emoji) => self.react_or_choose(emoji),
            Slash::Pin(on) => self.pin(Some(on)),
            Slash::File(path) => self.send_file(&path),
            Slash::Get(to) => self.save_file(to.as_deref()),
            Slash::Stop => self.stop_files(),
            Slash::Search(words) => self.search(&words),
            Slash::Pins => open.map(Effect::Pins).into_iter().collect(),
            here @ (Slash::Invite(Some(_))
            | Slash::Remove(_)
            | Slash::Role(..)
            | Slash::Rename(_)
            | Slash::Timer(_)
            | Slash::Leave) => match open {
                Some(conversation) => self.change(conversation, here),
                None => {
                    self.say(Tone::Bad, "Open a conversation first.");
                    Vec::new()
                }
            },
        }
    }

    /// One certificate is one relay, whatever it is called; without fingerprints the address decides.
    fn is_of_this_relay(&self, link: &Invite) -> bool {
        let known = self.me.as_ref().and_then(|me| me.relay.parse::<Invite>().ok());
        known.is_some_and(|known| match (known.fingerprint, link.fingerprint) {
            (Some(known), Some(other)) => known == other,
            _ => known.relay == link.relay,
        })
    }

    /// A command about the open conversation.
    fn change(&mut self, conversation: sotto_protocol::ids::ConversationId, slash: Slash) -> Vec<Effect> {
        let title = self.view().map(|view| harmless_line(&view.title)).unwrap_or_default();
        let (command, sentence) = match slash {
            // The line that says so, and the greeting of a room, are enough.
            Slash::Invite(Some(user)) => {
                let command = Command::AddMembers { conversation, usernames: vec![user] };
                return vec![Effect::Command { about: About::Done, command }];
            }
            Slash::Remove(user) => {
                let sentence =
                    format!("{} is out of {title} and reads nothing from now on.", harmless_line(&user));
                (Command::RemoveMember { conversation, who: Who::Username(user) }, sentence)
            }
            Slash::Role(user, role) => {
                let role = match role.as_str() {
                    "member" => Role::Member,
                    "moderator" => Role::Moderator,
                    "owner" => Role::Owner,
                    _ => {
                        self.say(Tone::Bad, "A role is member, moderator or owner.");
                        return Vec::new();
                    }
                };
                let sentence = format!("{} has another role now.", harmless_line(&user));
                (Command::SetRole { conversation, who: Who::Username(user), role }, sentence)
            }
            Slash::Rename(name) => {
                let sentence = format!("This is {} now.", harmless_line(&name));
                (Command::Rename { conversation, name }, sentence)
            }
            Slash::Timer(after) => return vec![self.timer(conversation, after)],
            _ => {
                self.overlay = Some(Overlay::Sure {
                    title: "Leave?".to_owned(),
                    question: format!("Leave {title}? Its history stays on this device."),
                    yes: "y leaves",
                    about: About::Told(format!("You left {title}. Its history stays on this device.")),
                    command: Command::Leave { conversation },
                });
                return Vec::new();
            }
        };
        vec![Effect::Command { about: About::Told(sentence), command }]
    }

    fn invite(&mut self, into: bool) -> Vec<Effect> {
        let view = self.view().filter(|view| into && view.kind != Kind::Direct);
        let (conversation, title) = match view {
            Some(view) => (Some(view.conversation), format!("An invite to {}", harmless_line(&view.title))),
            None => (None, "An invite to this relay".to_owned()),
        };
        self.overlay = Some(Overlay::Invite { title, link: None });
        vec![Effect::Invite(conversation)]
    }

    /// The classic two: everything from the beginning, or only one's own.
    fn filter(&mut self, own: bool) -> Vec<Effect> {
        let Some(pane) = &mut self.pane else { return Vec::new() };
        pane.own = own;
        pane.lines.clear();
        pane.older = super::super::pane::Older::Asked;
        pane.newer = false;
        pane.stand_at_the_end();
        let place = if own { LinesPlace::Newest } else { LinesPlace::Oldest };
        vec![Effect::Lines(pane.wanted(place))]
    }

    /// Leaves the view of one's own messages.
    pub(super) fn unfilter(&mut self) -> Vec<Effect> {
        let Some(pane) = &mut self.pane else { return Vec::new() };
        pane.own = false;
        pane.lines.clear();
        pane.older = super::super::pane::Older::Asked;
        pane.stand_at_the_end();
        vec![Effect::Lines(pane.wanted(LinesPlace::Newest))]
    }

    pub(super) fn act(&mut self, action: Action) -> Vec<Effect> {
        match action {
            Action::Help => self.overlay = Some(Overlay::Help { scroll: 0 }),
            Action::Palette => self.overlay = Some(Overlay::Palette(self.palette())),
            Action::NextConversation => return self.step_conversation(true),
            Action::PreviousConversation => return self.step_conversation(false),
            Action::NextUnread => {
                let unread =
                    self.conversations.iter().find(|view| view.unread > 0).map(|view| view.conversation);
                return unread.map(|id| self.open(id)).unwrap_or_default();
            }
            Action::FocusNext | Action::FocusPrevious => {
                self.focus = match (self.focus, action == Action::FocusNext) {
                    (Focus::Writing, true) | (Focus::Reading, false) => Focus::Conversations,
                    (Focus::Conversations, true) | (Focus::Writing, false) => Focus::Reading,
                    (Focus::Reading, true) | (Focus::Conversations, false) => Focus::Writing,
                };
                self.focus_changed();
                return self.read_what_is_seen();
            }
            Action::Conversations => {
                self.focus = Focus::Conversations;
                self.focus_changed();
            }
            Action::Search => return self.search(""),
            Action::Members => self.members = !self.members,
            Action::Invite => return self.invite(true),
            Action::Verify => return self.compare(None),
            Action::Connection => return vec![Effect::Connection],
            Action::ScrollUp => return self.page(true),
            Action::ScrollDown => return self.page(false),
            Action::Oldest => {
                let Some(pane) = &mut self.pane else { return Vec::new() };
                pane.older = super::super::pane::Older::Asked;
                return vec![Effect::Lines(pane.wanted(LinesPlace::Oldest))];
            }
            Action::Newest => return self.go_to_the_newest(),
            Action::Redraw => return vec![Effect::Redraw],
            Action::Quit => return self.quit(),
            Action::Send => return self.send(),
            Action::NewLine => {
                return match self.editor.insert("\n") {
                    Ok(()) => self.edited(),
                    Err(refused) => {
                        self.refuse(refused);
                        Vec::new()
                    }
                };
            }
            Action::Messages => {
                self.focus = Focus::Reading;
                self.focus_changed();
            }
            Action::Copy => return self.copy_chosen(),
            Action::Reply => return self.reply(None),
            Action::Edit => return self.edit(None),
            Action::Delete => return self.delete(),
            Action::React => return self.react_or_choose(None),
            Action::Pin => return self.pin(None),
            Action::Quoted => return self.go_to_quoted(),
            Action::Save => return self.save_file(None),
        }
        Vec::new()
    }

    fn page(&mut self, up: bool) -> Vec<Effect> {
        let rows = self.regions().map_or(1, |parts| isize::try_from(parts.messages.height).unwrap_or(1));
        let rows = (rows - 2).max(1);
        self.scroll(if up { rows } else { -rows });
        self.read_what_is_seen()
    }

    fn step_conversation(&mut self, down: bool) -> Vec<Effect> {
        let open = self.pane.as_ref().map(|pane| pane.id);
        let place = self.conversations.iter().position(|view| Some(view.conversation) == open);
        let count = self.conversations.len();
        let next = match (place, down) {
            (None, _) => 0,
            (Some(place), true) => (place + 1).checked_rem(count).unwrap_or(0),
            (Some(place), false) => place.checked_sub(1).unwrap_or_else(|| count.saturating_sub(1)),
        };
        let focus = self.focus;
        let effects = self.conversations.get(next).map(|view| view.conversation);
        let effects = effects.map(|id| self.open(id)).unwrap_or_default();
        self.focus = focus;
        effects
    }

    fn send(&mut self) -> Vec<Effect> {
        let text = self.editor.text();
        if text.trim().is_empty() {
            return Vec::new();
        }
        match super::super::slash::parse(text) {
            Some(Ok(slash)) => {
                self.editor.take();
                self.completion = None;
                let mut effects = self.keep_draft();
                effects.extend(self.slash(slash));
                effects
            }
            Some(Err(sentence)) => {
                self.say(Tone::Bad, sentence);
                Vec::new()
            }
            None => {
                if self.pane.is_none() {
                    return self.say_text(String::new());
                }
                let text = self.editor.take();
                self.completion = None;
                // Two slashes send a text that begins with one.
                let said = if text.starts_with("//") { text.get(1..).unwrap_or(&text) } else { &text };
                let said = said.trim_end().to_owned();
                let sent = self.say_text(said);
                let mut effects = self.keep_draft();
                effects.extend(sent);
                effects
            }
        }
    }

    /// Everything that can be done, and everywhere one can go.
    fn palette(&self) -> Chooser {
        let mut entries = Vec::new();
        for view in &self.conversations {
            entries.push(Entry {
                label: format!("{} {}", Self::sign(view.kind), harmless_line(&view.title)),
                what: "go there".to_owned(),
                pick: Pick::Conversation(view.conversation),
            });
        }
        for row in
            ACTIONS.iter().filter(|row| row.place == Place::Everywhere && row.action != Action::Palette)
        {
            let key = self.config.keys.shown(row.action);
            entries.push(Entry { label: row.what.to_owned(), what: key, pick: Pick::Action(row.action) });
        }
        for row in COMMANDS {
            let whole = row.takes.is_empty() || row.takes.starts_with('[');
            let text = if whole { row.name.to_owned() } else { format!("{} ", row.name) };
            let label = format!("{} {}", row.name, row.takes).trim_end().to_owned();
            entries.push(Entry { label, what: row.what.to_owned(), pick: Pick::Command { text, whole } });
        }
        let others = self.names.iter().filter(|(account, _)| !self.is_me(**account));
        for name in others.map(|(_, name)| name) {
            let label = format!("@{}", harmless_line(name));
            entries.push(Entry { label, what: "write to".to_owned(), pick: Pick::Write(name.clone()) });
        }
        Chooser::new(entries)
    }

    pub(super) fn pick(&mut self, pick: Pick) -> Vec<Effect> {
        self.overlay = None;
        match pick {
            Pick::Conversation(id) => self.open(id),
            Pick::Action(action) => self.act(action),
            Pick::Write(username) => self.slash(Slash::Write(username)),
            Pick::Reaction(target, emoji) => self.react(target, &emoji),
            Pick::Line(conversation, sequence) => self.go_to(conversation, sequence),
            Pick::Room(conversation) => {
                vec![Effect::Command { about: About::Enter, command: Command::Join { conversation } }]
            }
            Pick::Command { text, whole: true } => match super::super::slash::parse(&text) {
                Some(Ok(slash)) => self.slash(slash),
                _ => Vec::new(),
            },
            Pick::Command { text, .. } => {
                let mut effects = self.keep_draft();
                self.editor.set(&text);
                self.focus = Focus::Writing;
                effects.extend(self.edited());
                effects
            }
        }
    }
}
