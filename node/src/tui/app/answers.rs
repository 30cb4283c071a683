//! What the client tells and what came of effects.

use super::super::input::{About, Answer, Effect, Lines, LinesPlace, NotYet, Started};
use super::super::pane::Older;
use super::{App, Entry, Overlay, Pick, Tone};
use crate::node::Status;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{Event, Failure, FailureCode, Outcome};
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{ConversationView, Line, Message, Standing};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence};

/// The bell rings at most so often.
const NOTIFY_EVERY_MS: u64 = 3_000;

impl App {
    pub(super) fn happened(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Message(message) => self.arrived(message),
            Event::Conversation(view) => {
                self.learn(view);
                self.place_by_time();
                if let Some((id, accounts)) = self.joined.take() {
                    self.greet(id, accounts);
                }
                if self.pane.is_none() && self.room.is_none() { self.open_first() } else { Vec::new() }
            }
            Event::HistoryAdded { conversation, .. } => {
                // The archive's answer reads what is older by itself; this is for repairs in between.
                let pane = self.pane.as_ref().filter(|pane| pane.id == conversation && pane.is_at_the_end());
                pane.map(|pane| Effect::Lines(pane.wanted(LinesPlace::Newest))).into_iter().collect()
            }
            Event::Queued { conversation, .. } => vec![Effect::Outbox(conversation)],
            Event::Admitted { conversation } => {
                vec![Effect::Command { about: About::Enter, command: Command::Join { conversation } }]
            }
            Event::Typing { conversation, account, on } => {
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == conversation) {
                    pane.types(account, on, self.clock.now);
                }
                Vec::new()
            }
            Event::Presence { conversation, .. } | Event::PresentCount { conversation, .. } => {
                let open = self.pane.as_ref().is_some_and(|pane| pane.id == conversation);
                if open { vec![Effect::Present(conversation)] } else { Vec::new() }
            }
            Event::Changed { conversation, sequence } => {
                vec![Effect::Refresh(conversation, vec![sequence])]
            }
            Event::Delivered { conversation, account, upto } => {
                self.receipt(conversation, account, upto, false)
            }
            Event::Read { conversation, account, upto, .. } => {
                self.receipt(conversation, account, upto, true)
            }
            Event::NotAdded { accounts, .. } => {
                let names: Vec<_> = accounts.iter().map(|account| self.name(*account)).collect();
                self.say(
                    Tone::Bad,
                    format!("{} has not signed in on any device yet; invite again later.", names.join(", ")),
                );
                Vec::new()
            }
            Event::IdentityChanged { username, was_verified, .. } => {
                let name = harmless_line(&username);
                let before = if was_verified { ", which you had verified," } else { "" };
                self.alarm(format!(
                    "THE IDENTITY OF {name}{before} HAS CHANGED. {name} began again from nothing, or somebody poses as \
                     {name}. Compare: /verify {name}"
                ));
                Vec::new()
            }
            Event::LogTampered { what, .. } => {
                self.alarm(format!("THE RELAY'S LOG WAS TAMPERED WITH: {}", harmless_line(&what)));
                Vec::new()
            }
            Event::StoreFailed(what) => {
                self.alarm(format!("The store of this device failed: {}", harmless_line(&what)));
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Somebody has, or has read, what was said up to a place.
    fn receipt(&self, id: ConversationId, account: AccountId, upto: Sequence, read: bool) -> Vec<Effect> {
        let pane = self.pane.as_ref().filter(|pane| pane.id == id && !self.is_me(account));
        let doubtful = pane.map(|pane| pane.doubtful(account, upto, read)).unwrap_or_default();
        if doubtful.is_empty() { Vec::new() } else { vec![Effect::Refresh(id, doubtful)] }
    }

    /// Lines that are others now.
    fn refreshed(&mut self, id: ConversationId, lines: Vec<(Sequence, Option<Message>)>) -> Vec<Effect> {
        let mut gone = false;
        for (sequence, line) in lines {
            let view = self.conversations.iter_mut().find(|view| view.conversation == id);
            if let Some(last) =
                view.and_then(|view| view.last.as_mut()).filter(|last| last.sequence == sequence)
            {
                match &line {
                    Some(line) => *last = line.clone(),
                    None => gone = true,
                }
            }
            if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
                pane.replace(sequence, line);
            }
        }
        // What was said last is another line now.
        if gone { vec![Effect::Conversations] } else { Vec::new() }
    }

    /// What was missed while one was away is told by the unread counts, and a burst rings once.
    fn may_notify(&self) -> bool {
        let due = self.notified_at.0.saturating_add(NOTIFY_EVERY_MS) <= self.clock.now.0;
        due && matches!(self.status, Status::Synchronised(_))
    }

    fn arrived(&mut self, message: Message) -> Vec<Effect> {
        let (id, own) = (message.conversation, message.own);
        let open = self.pane.as_ref().is_some_and(|pane| pane.id == id);
        if !message.username.is_empty() {
            self.names.insert(message.account, message.username.clone());
        }
        let seen = open && self.looks_at_it() && self.pane.as_ref().is_some_and(super::Pane::is_at_the_end);
        let mut effects = Vec::new();
        let is_text = message.line.is_said();
        let may_notify = self.may_notify();
        if let Some(view) = self.conversations.iter_mut().find(|view| view.conversation == id) {
            if view.last.as_ref().is_none_or(|last| last.sequence < message.sequence) {
                view.last = Some(message.clone());
            }
            if !own && !seen && is_text {
                view.unread = view.unread.saturating_add(1);
            }
            if !own && is_text && !(open && self.attended) && may_notify {
                self.notified_at = self.clock.now;
                let who = harmless_line(&message.username);
                let place = if view.kind == Kind::Direct {
                    String::new()
                } else {
                    format!(" in {}", harmless_line(&view.title))
                };
                let mentioned = message
                    .mentions
                    .iter()
                    .any(|account| self.me.as_ref().is_some_and(|me| me.account == *account));
                let what = if mentioned { "You were mentioned by" } else { "A message from" };
                effects.push(Effect::Notify(format!("{what} {who}{place}")));
            }
        }
        self.place_by_time();
        if let Line::Added(accounts) = &message.line {
            self.greet(id, accounts.clone());
        }
        if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
            pane.add(message);
            effects.extend(self.read_what_is_seen());
        }
        effects
    }

    /// What nobody may overlook.
    fn alarm(&mut self, sentence: String) {
        self.alarms.push(sentence + "  (Esc: seen)");
    }

    /// A room greets who joins.
    fn greet(&mut self, id: ConversationId, accounts: Vec<AccountId>) {
        let Some(view) = self.conversations.iter().find(|view| view.conversation == id) else { return };
        if view.kind != Kind::Room || self.pane.as_ref().is_none_or(|pane| pane.id != id) {
            return;
        }
        let is_known = |account: &AccountId| {
            view.members.iter().any(|member| member.account == *account && !member.username.is_empty())
        };
        if !accounts.iter().all(is_known) {
            // The conversation as it is now comes after the line that says who came.
            self.joined = Some((id, accounts));
            return;
        }
        let title = harmless_line(&view.title);
        let count = view.members.len();
        let names: Vec<_> = accounts.iter().map(|account| self.name(*account)).collect();
        let text = format!("Welcome to {title}, {}! {count} members now.", names.join(", "));
        self.say(Tone::Good, text);
    }

    pub(super) fn answer(&mut self, answer: Answer) -> Vec<Effect> {
        match answer {
            Answer::Started(started) => self.started(*started),
            Answer::NotYet(why) => {
                match (&mut self.setup, why) {
                    (Some(setup), why) => setup.not_yet(why),
                    (None, NotYet::Failed(why)) => self.say(Tone::Bad, why),
                    // Without its first start it is signing in anew; the reasons that ask for something end in it.
                    (None, _) => {}
                }
                Vec::new()
            }
            Answer::Command(about, Ok(outcome)) => self.done(about, outcome),
            Answer::Command(about, Err(failure)) => self.failed(about, &failure),
            Answer::Conversations(views) => self.conversations_read(views),
            Answer::Lines(wanted, lines) => self.lines_read(wanted, lines),
            Answer::Outbox(id, queued) => {
                if let Some(view) = self.conversations.iter_mut().find(|view| view.conversation == id) {
                    view.queued = queued.len();
                }
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
                    pane.outbox = queued.into_iter().filter(|queued| queued.text.is_some()).collect();
                }
                Vec::new()
            }
            Answer::File(number, news) => {
                self.file_news(number, news);
                Vec::new()
            }
            Answer::Refreshed(id, lines) => self.refreshed(id, lines),
            Answer::Present(id, present) => {
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
                    pane.present = present;
                }
                Vec::new()
            }
            Answer::Hits(words, lines) => {
                self.hits(&words, &lines);
                Vec::new()
            }
            Answer::Pins(lines) => {
                if lines.is_empty() {
                    self.say(
                        Tone::Calm,
                        "Nothing is pinned here. /pin pins the last text, P the chosen one.",
                    );
                } else {
                    let chooser = super::Chooser::new(self.found(&lines));
                    self.overlay = Some(Overlay::Found { title: "Pinned here", chooser });
                }
                Vec::new()
            }
            Answer::Contact(Some(contact)) if contact.safety_number.is_some() => {
                self.overlay = Some(Overlay::Verify { contact: Box::new(contact), sure: false });
                Vec::new()
            }
            Answer::Contact(_) => {
                self.say(
                    Tone::Bad,
                    "This device has not met that account yet: write to it first, then compare.",
                );
                Vec::new()
            }
            Answer::Invite(made) => {
                if let Some(Overlay::Invite { link, .. }) = &mut self.overlay {
                    *link = Some(made);
                }
                Vec::new()
            }
            Answer::Redeemed(Ok(conversation)) => {
                vec![Effect::Command { about: About::Enter, command: Command::Join { conversation } }]
            }
            Answer::Redeemed(Err(why)) | Answer::Failed(why) => {
                self.say(Tone::Bad, why);
                Vec::new()
            }
            Answer::Connection(facts) => {
                self.overlay = Some(Overlay::Connection(facts));
                Vec::new()
            }
        }
    }

    fn started(&mut self, mut started: Started) -> Vec<Effect> {
        if let Some(setup) = &mut self.setup {
            setup.started(&mut started);
        }
        self.leave_setup_if_done();
        self.drafts = std::mem::take(&mut started.drafts);
        self.names.insert(started.account, started.username.clone());
        for account in &started.changed {
            self.alarm(format!(
                "The identity of an account ({}) changed after you had verified it. Compare: F4",
                self.name(*account)
            ));
        }
        let invite = started.invite.take();
        self.me = Some(started);
        if self.overlay.as_ref().is_some_and(|overlay| matches!(overlay, Overlay::Login(_))) {
            self.overlay = None;
        }
        let mut effects = vec![Effect::Conversations];
        effects.extend(invite.map(Effect::Redeem));
        effects
    }

    pub(super) fn leave_setup_if_done(&mut self) {
        if self.setup.as_ref().is_some_and(super::Setup::is_done) {
            self.setup = None;
        }
    }

    fn conversations_read(&mut self, views: Vec<ConversationView>) -> Vec<Effect> {
        self.conversations.clear();
        for view in views {
            self.learn(view);
        }
        self.place_by_time();
        match self.room.take() {
            Some(room) => self.enter_room(room),
            None if self.pane.is_none() => self.open_first(),
            None => Vec::new(),
        }
    }

    /// `--room NAME`: the conversation of that name, else the public room, else a new one.
    fn enter_room(&mut self, room: String) -> Vec<Effect> {
        let known = self.conversations.iter().find(|view| {
            view.kind == Kind::Room
                && view.standing != Standing::Gone
                && (view.title == room || view.name == room)
        });
        match known.map(|view| view.conversation) {
            Some(id) => self.open(id),
            None if self.status.is_ready() => {
                let command = Command::JoinListed { name: room.clone() };
                vec![Effect::Command { about: About::EnterOrMake(room), command }]
            }
            None => {
                // Tried again when the relay answers.
                self.room = Some(room);
                self.open_first()
            }
        }
    }

    /// The connection stands now: what waited for it goes on.
    pub(super) fn connected(&mut self) -> Vec<Effect> {
        let mut effects: Vec<_> = self.pane.iter().map(|pane| Effect::Present(pane.id)).collect();
        match self.room.take() {
            Some(room) if self.me.is_some() => effects.extend(self.enter_room(room)),
            room => self.room = room,
        }
        effects
    }

    fn open_first(&mut self) -> Vec<Effect> {
        let first = self.conversations.first().map(|view| view.conversation);
        first.map(|id| self.open(id)).unwrap_or_default()
    }

    /// Remembers what a conversation is now.
    fn learn(&mut self, view: ConversationView) {
        for member in &view.members {
            if !member.username.is_empty() {
                self.names.insert(member.account, member.username.clone());
            }
        }
        match self.conversations.iter_mut().find(|known| known.conversation == view.conversation) {
            Some(known) => {
                // What is on the screen was read, whatever the relay has been told so far.
                let seen = known.unread == 0;
                *known = view;
                if seen && self.pane.as_ref().is_some_and(|pane| pane.id == known.conversation) {
                    known.unread = 0;
                }
            }
            None => self.conversations.push(view),
        }
    }

    fn place_by_time(&mut self) {
        self.conversations.sort_by_key(|view| std::cmp::Reverse(view.last.as_ref().map(|last| last.time)));
    }

    fn lines_read(&mut self, wanted: Lines, lines: Vec<Message>) -> Vec<Effect> {
        for line in &lines {
            if !line.username.is_empty() {
                self.names.insert(line.account, line.username.clone());
            }
        }
        let unread = self
            .conversations
            .iter()
            .find(|view| view.conversation == wanted.conversation)
            .map_or(0, |view| usize::try_from(view.unread).unwrap_or(usize::MAX));
        let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == wanted.conversation) else {
            return Vec::new();
        };
        let first_read = pane.lines.is_empty() && wanted.place == LinesPlace::Newest;
        pane.take(wanted, lines);
        if first_read && pane.unread_from.is_some() {
            let others = pane.lines.iter().rev().filter(|line| !line.own);
            pane.unread_from = others.take(unread).last().map(|line| line.sequence);
        }
        if wanted.place == LinesPlace::Oldest {
            self.scroll(isize::MAX / 2);
        }
        self.read_what_is_seen()
    }

    fn done(&mut self, about: About, outcome: Outcome) -> Vec<Effect> {
        match (about, outcome) {
            (About::Enter | About::EnterOrMake(_), Outcome::Conversation(id)) => {
                let mut effects = self.open(id);
                effects.push(Effect::Conversations);
                effects
            }
            (About::Rooms, Outcome::Rooms(rooms)) => {
                let entry = |room: sotto_node_core::event::Room| Entry {
                    label: format!("# {}", harmless_line(&room.name)),
                    what: format!("{} members", room.members),
                    pick: Pick::Room(room.conversation),
                };
                let entries: Vec<_> = rooms.into_iter().map(entry).collect();
                if entries.is_empty() {
                    self.say(Tone::Calm, "There are no public rooms on this relay. /publish NAME makes one.");
                } else {
                    self.overlay = Some(Overlay::Rooms(super::Chooser::new(entries)));
                }
                Vec::new()
            }
            (About::Archive(id), Outcome::History { added, next, .. }) => {
                let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) else { return Vec::new() };
                if added == 0 {
                    // A stretch of the log without a line of ours; what is before it may have some.
                    pane.older = next.map_or(Older::Nothing, |next| Older::Archive(Some(next)));
                    return Vec::new();
                }
                let first = pane.lines.front().map(|line| line.sequence);
                vec![Effect::Lines(pane.wanted(first.map_or(LinesPlace::Newest, LinesPlace::Before)))]
            }
            (About::Told(sentence), _) => {
                self.say(Tone::Good, sentence);
                vec![Effect::Conversations]
            }
            (About::Send(conversation, _), _) => vec![Effect::Outbox(conversation)],
            _ => Vec::new(),
        }
    }

    fn failed(&mut self, about: About, failure: &Failure) -> Vec<Effect> {
        let sentence = harmless_line(&failure.text);
        match about {
            About::Quietly => {}
            About::Archive(id) => {
                if let Some(pane) = self.pane.as_mut().filter(|pane| pane.id == id) {
                    pane.older = Older::Nothing;
                }
            }
            About::EnterOrMake(name) if is_unknown(failure) => {
                self.say(
                    Tone::Calm,
                    format!("There was no room {}; you have made it.", harmless_line(&name)),
                );
                return vec![self.create(name.clone(), Some(name), HistoryPolicy::All, true, Vec::new())];
            }
            About::Send(conversation, text) => {
                if self.pane.as_ref().is_some_and(|pane| pane.id == conversation) && self.editor.is_empty() {
                    self.editor.set(&text);
                }
                self.say(Tone::Bad, format!("Not sent: {sentence}"));
            }
            About::Enter | About::EnterOrMake(_) | About::Told(_) | About::Rooms | About::Done => {
                self.say(Tone::Bad, sentence);
            }
        }
        Vec::new()
    }

    /// Asks what is known of somebody in order to compare.
    pub(super) fn compare(&mut self, username: Option<String>) -> Vec<Effect> {
        let who = username.map(Who::Username).or_else(|| {
            let view = self.view().filter(|view| view.kind == Kind::Direct)?;
            let other = view.members.iter().find(|member| !self.is_me(member.account))?;
            Some(Who::Account(other.account))
        });
        match who {
            Some(who) => vec![Effect::Contact(who)],
            None => {
                self.editor.set("/verify @");
                self.say(Tone::Calm, "With whom? Write the name and press Enter.");
                self.edited()
            }
        }
    }
}

fn is_unknown(failure: &Failure) -> bool {
    use sotto_protocol::error::ErrorCode;
    matches!(failure.code, FailureCode::UnknownConversation | FailureCode::Relay(ErrorCode::NotFound))
}
