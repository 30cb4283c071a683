//! The application: what it knows, and what an input changes. No terminal, no clock, no store: those are the shell's.

mod answers;
mod commands;
mod files;
mod keys;
mod marks;
mod overlay;

pub(crate) use marks::Purpose;
pub(crate) use overlay::{Chooser, Entry, Overlay, Pick};

use super::album::Album;
use super::clock::Clock;
use super::complete::Completion;
use super::config::Config;
use super::editor::{Editor, TooLong};
use super::input::{About, Effect, Input, Lines, LinesPlace, Present, Started};
use super::layout::{self, Focus, Regions};
use super::pane::Pane;
use super::setup::Setup;
use super::theme::{Theme, ThemeName};
use crate::node::Status;
use ratatui::layout::Size;
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_node_core::command::Command;
use sotto_node_core::format::harmless_line;
use sotto_node_core::view::{ConversationView, MemberView};
use sotto_protocol::body::conversation::Kind;
use sotto_protocol::ids::{AccountId, ConversationId, UnixMillis};
use sotto_protocol::invite::Invite;
use std::collections::BTreeMap;

/// How long a sentence about something that was done stays.
const NOTICE_MS: u64 = 8_000;

/// The other side is told so often that one is typing.
const TYPING_EVERY_MS: u64 = 3_000;

/// A draft is kept so long after the last key.
const DRAFT_AFTER_MS: u64 = 1_000;

/// What the application starts with.
pub struct Options {
    /// What the person configured.
    pub(crate) config: Config,
    /// The theme that fits the terminal.
    pub(crate) theme: ThemeName,
    /// Whether the terminal has colours for pictures.
    pub(crate) colours: bool,
    /// The relay, where it is known already.
    pub(crate) link: Option<Invite>,
    /// The room to begin in.
    pub(crate) room: Option<String>,
    /// Cells across and down.
    pub(crate) size: (u16, u16),
    /// The time.
    pub(crate) clock: Clock,
}

/// How loud a sentence is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Calm,
    Good,
    Bad,
}

/// A sentence about what was just done.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) tone: Tone,
    until: UnixMillis,
}

/// Everything that is shown.
pub struct App {
    pub(crate) size: Size,
    pub(crate) theme: Theme,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    /// The first start, while it lasts.
    pub(crate) setup: Option<Setup>,
    /// The client, once it runs.
    pub(crate) me: Option<Started>,
    pub(crate) status: Status,
    pub(crate) conversations: Vec<ConversationView>,
    pub(crate) names: BTreeMap<AccountId, String>,
    pub(crate) pane: Option<Pane>,
    pub(crate) editor: Editor,
    pub(crate) purpose: Purpose,
    pub(crate) completion: Option<Completion>,
    pub(crate) focus: Focus,
    pub(crate) members: bool,
    pub(crate) overlay: Option<Overlay>,
    pub(crate) notice: Option<Notice>,
    /// What nobody may overlook; stays until it is acknowledged.
    pub(crate) alarms: Vec<String>,
    drafts: BTreeMap<ConversationId, String>,
    /// When to keep the draft of the open conversation.
    draft_at: Option<UnixMillis>,
    typing_at: UnixMillis,
    room: Option<String>,
    attended: bool,
    notified_at: UnixMillis,
    /// Who came into a room and is greeted once the names are known.
    joined: Option<(ConversationId, Vec<AccountId>)>,
    transfers: files::Transfers,
    /// The person wants previews of files, and the terminal has colours.
    pictures: bool,
    album: Album,
}

impl App {
    /// The application and what it asks for first.
    #[must_use]
    pub fn new(options: Options) -> (Self, Vec<Effect>) {
        let pictures = options.config.pictures && options.colours;
        let app = Self {
            size: Size::new(options.size.0, options.size.1),
            theme: Theme::new(options.config.theme.unwrap_or(options.theme)),
            config: options.config,
            clock: options.clock,
            setup: Some(Setup::new(options.link.as_ref())),
            me: None,
            status: Status::Connecting,
            conversations: Vec::new(),
            names: BTreeMap::new(),
            pane: None,
            editor: Editor::lines(TEXT_BYTES_MAX),
            purpose: Purpose::Say,
            completion: None,
            focus: Focus::Writing,
            members: options.size.0 >= layout::WIDE,
            overlay: None,
            notice: None,
            alarms: Vec::new(),
            drafts: BTreeMap::new(),
            draft_at: None,
            typing_at: UnixMillis(0),
            room: options.room,
            attended: true,
            notified_at: UnixMillis(0),
            joined: None,
            transfers: files::Transfers::default(),
            pictures,
            album: Album::default(),
        };
        (app, vec![Effect::Open(None)])
    }

    /// Takes an input in; gives what has to be done about it.
    pub fn update(&mut self, input: Input, clock: Clock) -> Vec<Effect> {
        self.clock = clock;
        if self.notice.as_ref().is_some_and(|notice| notice.until <= clock.now) {
            self.notice = None;
        }
        let mut effects = match input {
            Input::Resize { columns, rows } => {
                // In a narrow window the members lie over what is said, so only who asks for them has them there.
                if (self.size.width >= layout::WIDE) != (columns >= layout::WIDE) {
                    self.members = columns >= layout::WIDE;
                }
                self.size = Size::new(columns, rows);
                Vec::new()
            }
            Input::Focus(attended) => {
                self.attended = attended;
                self.read_what_is_seen()
            }
            Input::Tick => self.keep_draft_if_due(),
            Input::End => self.quit(),
            Input::Status(status) => {
                self.status = status;
                if self.status.is_ready() {
                    self.connected()
                } else {
                    // Nobody is known to be here without a connection.
                    self.pane.iter_mut().for_each(|pane| pane.present = Present::default());
                    Vec::new()
                }
            }
            Input::Happened(event) => self.happened(*event),
            Input::Missed => {
                let mut effects = vec![Effect::Conversations];
                effects.extend(self.reload());
                effects
            }
            Input::Answer(answer) => self.answer(answer),
            Input::Key(key) => self.key(key),
            Input::Mouse(mouse) => self.mouse(mouse),
            Input::Paste(text) => self.paste(&text),
        };
        effects.extend(self.ask_for_lines());
        effects
    }

    /// Previews of files, where they are shown.
    pub(crate) fn album(&self) -> Option<&Album> {
        (self.pictures && self.theme.name != ThemeName::Mono).then_some(&self.album)
    }

    /// When something changes by itself; the shell gives a tick then.
    #[must_use]
    pub fn next_tick(&self) -> Option<UnixMillis> {
        let notice = self.notice.as_ref().map(|notice| notice.until);
        let typing = self.pane.as_ref().is_some_and(|pane| pane.typing(self.clock.now).next().is_some());
        let soon = UnixMillis(self.clock.now.0.saturating_add(1_000));
        [notice, self.draft_at, typing.then_some(soon)].into_iter().flatten().min()
    }

    /// The parts of the screen; `None` if it is too small for them.
    pub(crate) fn regions(&self) -> Option<Regions> {
        let rows = layout::editor_rows(&self.editor, self.size, self.focus, self.members);
        let alarm = layout::alarm_rows(self.alarms.first(), self.size, self.members);
        layout::regions(self.size, self.focus, self.members, rows, alarm)
    }

    /// The open conversation.
    pub(crate) fn view(&self) -> Option<&ConversationView> {
        let id = self.pane.as_ref()?.id;
        self.conversations.iter().find(|view| view.conversation == id)
    }

    /// What somebody is called.
    pub(crate) fn name(&self, account: AccountId) -> String {
        let known = self.names.get(&account).map(|name| harmless_line(name));
        known.unwrap_or_else(|| account.to_string().chars().take(8).collect())
    }

    /// Whether this is the person's own account.
    pub(crate) fn is_me(&self, account: AccountId) -> bool {
        self.me.as_ref().is_some_and(|me| me.account == account)
    }

    /// The members of the open conversation, owners first, then by name.
    pub(crate) fn sorted_members(&self) -> Vec<&MemberView> {
        let mut members: Vec<_> = self.view().map(|view| view.members.iter().collect()).unwrap_or_default();
        let rank = |member: &MemberView| std::cmp::Reverse(member.role.map(|role| role as u8));
        members.sort_by(|one, other| {
            rank(one).cmp(&rank(other)).then_with(|| one.username.cmp(&other.username))
        });
        members
    }

    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let until = UnixMillis(self.clock.now.0.saturating_add(NOTICE_MS));
        self.notice = Some(Notice { text: text.into(), tone, until });
    }

    fn refuse(&mut self, refused: TooLong) {
        let kilobytes = |bytes: usize| bytes.div_ceil(1_000);
        self.say(
            Tone::Bad,
            format!(
                "That would be {} kB; a message holds at most {} kB. Nothing was changed.",
                kilobytes(refused.bytes),
                kilobytes(refused.bytes_max)
            ),
        );
    }

    /// Shows a conversation and keeps the draft of the one before.
    pub(crate) fn open(&mut self, id: ConversationId) -> Vec<Effect> {
        self.focus = Focus::Writing;
        if self.pane.as_ref().is_some_and(|pane| pane.id == id) {
            return Vec::new();
        }
        let mut effects = self.keep_draft();
        self.purpose = Purpose::Say;
        let mut pane = Pane::new(id);
        let view = self.conversations.iter().find(|view| view.conversation == id);
        if let Some(last) = view.filter(|view| view.unread > 0).and_then(|view| view.last.as_ref()) {
            // The exact place is known once the lines are here.
            pane.unread_from = Some(last.sequence);
        }
        effects.push(Effect::Lines(pane.wanted(LinesPlace::Newest)));
        effects.push(Effect::Outbox(id));
        effects.push(Effect::Present(id));
        self.pane = Some(pane);
        self.editor.set(self.drafts.get(&id).map(String::as_str).unwrap_or_default());
        self.completion = None;
        effects
    }

    fn reload(&mut self) -> Vec<Effect> {
        let Some(pane) = &mut self.pane else { return Vec::new() };
        pane.older = super::pane::Older::Asked;
        vec![Effect::Lines(pane.wanted(LinesPlace::Newest)), Effect::Outbox(pane.id)]
    }

    /// What is being written has changed.
    fn edited(&mut self) -> Vec<Effect> {
        let members: Vec<&str> = self
            .view()
            .map(|view| view.members.iter().map(|member| member.username.as_str()).collect())
            .unwrap_or_default();
        self.completion = Completion::at(&self.editor, &members);
        self.draft_at = Some(UnixMillis(self.clock.now.0.saturating_add(DRAFT_AFTER_MS)));
        let Some(pane) = &self.pane else { return Vec::new() };
        let due = self.typing_at.0.saturating_add(TYPING_EVERY_MS) <= self.clock.now.0;
        // A command is nobody's business.
        if !due || self.editor.is_empty() || self.editor.text().starts_with('/') || !self.status.is_ready() {
            return Vec::new();
        }
        self.typing_at = self.clock.now;
        let conversation = pane.id;
        vec![Effect::Command { about: About::Quietly, command: Command::Typing { conversation } }]
    }

    fn keep_draft_if_due(&mut self) -> Vec<Effect> {
        if self.draft_at.is_some_and(|at| at <= self.clock.now) { self.keep_draft() } else { Vec::new() }
    }

    fn keep_draft(&mut self) -> Vec<Effect> {
        self.draft_at = None;
        let Some(pane) = &self.pane else { return Vec::new() };
        let text = match &self.purpose {
            Purpose::Edit(_, before) => before,
            _ => self.editor.text(),
        };
        if self.drafts.get(&pane.id).map_or("", String::as_str) == text {
            return Vec::new();
        }
        self.drafts.insert(pane.id, text.to_owned());
        vec![Effect::KeepDraft(pane.id, text.to_owned())]
    }

    fn quit(&mut self) -> Vec<Effect> {
        let mut effects = self.keep_draft();
        effects.push(Effect::Quit);
        effects
    }

    /// Whether the open conversation is being read: not while one only passes it in the list.
    fn looks_at_it(&self) -> bool {
        self.attended && self.focus != Focus::Conversations
    }

    /// Shows the newest lines.
    fn go_to_the_newest(&mut self) -> Vec<Effect> {
        let Some(pane) = &mut self.pane else { return Vec::new() };
        pane.stand_at_the_end();
        if !pane.newer {
            return self.read_what_is_seen();
        }
        pane.older = super::pane::Older::Asked;
        pane.newer_asked = true;
        vec![Effect::Lines(pane.wanted(LinesPlace::Newest))]
    }

    /// Tells that what is on the screen was read, if somebody looks at it.
    fn read_what_is_seen(&mut self) -> Vec<Effect> {
        let looks = self.looks_at_it();
        let Some(pane) = &mut self.pane else { return Vec::new() };
        let last = pane.lines.back().map(|line| line.sequence);
        let Some(upto) = last.filter(|last| *last > pane.seen && pane.is_at_the_end() && looks) else {
            return Vec::new();
        };
        pane.seen = upto;
        let conversation = pane.id;
        if let Some(view) = self.conversations.iter_mut().find(|view| view.conversation == conversation) {
            view.unread = 0;
        }
        vec![Effect::Command { about: About::Quietly, command: Command::MarkRead { conversation, upto } }]
    }

    /// Asks for lines that scrolling comes near to.
    fn ask_for_lines(&mut self) -> Option<Effect> {
        use super::pane::Older;
        let ready = self.status.is_ready();
        let pane = self.pane.as_mut()?;
        if pane.is_near_the_end() {
            let last = pane.lines.back()?.sequence;
            pane.newer_asked = true;
            return Some(Effect::Lines(pane.wanted(LinesPlace::After(last))));
        }
        if !pane.is_near_the_top() {
            return None;
        }
        let first = pane.lines.front().map(|line| line.sequence);
        match pane.older {
            Older::Store => {
                pane.older = Older::Asked;
                let place = first.map_or(LinesPlace::Newest, LinesPlace::Before);
                Some(Effect::Lines(Lines { place, ..pane.wanted(place) }))
            }
            Older::Archive(before) if ready && !pane.own => {
                pane.older = Older::Asked;
                let conversation = pane.id;
                let limit = u32::try_from(super::pane::PAGE).unwrap_or(u32::MAX);
                let before = before.or(first);
                let command = Command::FetchHistory { conversation, before, limit };
                Some(Effect::Command { about: About::Archive(conversation), command })
            }
            _ => None,
        }
    }

    /// How a conversation's kind is called, for its title.
    pub(crate) const fn sign(kind: Kind) -> &'static str {
        match kind {
            Kind::Direct => "@",
            Kind::Group => "*",
            Kind::Room => "#",
        }
    }
}
