//! The application driven by inputs, and looked at on a screen in memory.

mod files;
mod marks;
mod presence;

use super::app::Pick;
use super::config::Config;
use super::testing::line;
use super::theme::ThemeName;
use super::*;
use crate::node::Status;
use crate::transport::Carrier;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use sotto_node_core::client::Contact;
use sotto_node_core::command::Command;
use sotto_node_core::event::{Event, Failure, FailureCode, Outcome};
use sotto_node_core::view::{ConversationView, MemberView, Queued, Standing};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};
use std::collections::BTreeMap;
use time::UtcOffset;

const ALICE: AccountId = AccountId([9; 16]);
const BOB: AccountId = AccountId([2; 16]);
const ROOM: ConversationId = ConversationId([1; 16]);
const DIRECT: ConversationId = ConversationId([7; 16]);

fn clock() -> Clock {
    Clock { now: UnixMillis(1_700_000_060_000), offset: UtcOffset::UTC }
}

fn member(account: AccountId, username: &str, role: Role) -> MemberView {
    MemberView {
        account,
        username: username.to_owned(),
        role: Some(role),
        devices: vec![DeviceId([3; 16])],
        verified: false,
    }
}

fn view(conversation: ConversationId, kind: Kind, title: &str) -> ConversationView {
    ConversationView {
        conversation,
        kind,
        history: HistoryPolicy::All,
        title: title.to_owned(),
        name: title.to_owned(),
        standing: Standing::Member,
        suite: None,
        epoch: None,
        cursor: Sequence(3),
        unread: 0,
        last: Some(line(3, "see you there")),
        queued: 0,
        timer: None,
        pins: Vec::new(),
        members: vec![member(ALICE, "alice", Role::Owner), member(BOB, "bob", Role::Member)],
    }
}

fn started() -> Started {
    Started {
        account: ALICE,
        username: "alice".to_owned(),
        relay: "sotto://relay.example:4433".to_owned(),
        qr_text: "sotto-verify:1:x".to_owned(),
        drafts: BTreeMap::from([(DIRECT, "half a sent".to_owned())]),
        changed: Vec::new(),
        words: None,
        holder: "a passphrase".to_owned(),
        invite: None,
    }
}

/// The interface with a room of three lines open.
struct Desk {
    app: App,
}

impl Desk {
    fn sized(columns: u16, rows: u16) -> Self {
        let options = Options {
            config: Config::default(),
            theme: ThemeName::Dark,
            colours: true,
            link: None,
            room: None,
            size: (columns, rows),
            clock: clock(),
        };
        let (app, effects) = App::new(options);
        assert!(matches!(effects.as_slice(), [Effect::Open(None)]));
        let mut desk = Self { app };
        desk.answer(Answer::Started(Box::new(started())));
        desk.give(Input::Status(Status::Synchronised(Carrier::Quic)));
        let views = vec![view(ROOM, Kind::Room, "garden"), view(DIRECT, Kind::Direct, "bob")];
        let effects = desk.answer(Answer::Conversations(views));
        let wanted = effects.iter().find_map(|effect| match effect {
            Effect::Lines(wanted) => Some(*wanted),
            _ => None,
        });
        let lines = vec![line(1, "hello"), line(2, "are you coming?"), line(3, "see you there")];
        desk.answer(Answer::Lines(wanted.expect("lines are asked for"), lines));
        desk
    }

    fn new() -> Self {
        Self::sized(110, 30)
    }

    fn give(&mut self, input: Input) -> Vec<Effect> {
        self.app.update(input, clock())
    }

    fn answer(&mut self, answer: Answer) -> Vec<Effect> {
        self.give(Input::Answer(answer))
    }

    fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.give(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn ctrl(&mut self, c: char) -> Vec<Effect> {
        self.give(Input::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL)))
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
    }

    fn enters(&mut self, text: &str) -> Vec<Effect> {
        self.types(text);
        self.press(KeyCode::Enter)
    }

    fn screen(&self) -> String {
        let size = self.app.size;
        let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).expect("memory");
        terminal.draw(|frame| draw(&self.app, frame)).expect("memory");
        let buffer = terminal.backend().buffer();
        let row = |y: u16| (0..size.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..size.height).map(|y| row(y).trim_end().to_owned() + "\n").collect()
    }

    fn shows(&self, texts: &[&str]) {
        let screen = self.screen();
        for text in texts {
            assert!(screen.contains(text), "{text} is not on the screen:\n{screen}");
        }
    }
}

fn commands(effects: &[Effect]) -> Vec<&Command> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Command { command, .. } => Some(command),
            _ => None,
        })
        .collect()
}

#[test]
fn a_conversation_shows_who_said_what_when_and_who_is_in_it() {
    let desk = Desk::new();
    desk.shows(&[
        "# garden",
        "2 members",
        "@ bob",
        "bob  22:13",
        "hello",
        "see you there",
        "alice you",
        "connected over QUIC",
        "Today",
        "F1 help",
    ]);
}

#[test]
fn what_was_said_last_and_what_is_unread_stand_in_the_list() {
    let mut desk = Desk::new();
    let mut message = line(8, "psst");
    message.conversation = DIRECT;
    let effects = desk.give(Input::Happened(Box::new(Event::Message(message))));
    assert!(matches!(effects.as_slice(), [Effect::Notify(text)] if text == "A message from bob"));
    desk.shows(&["psst", "1 unread"]);
    desk.give(Input::Key(KeyEvent::new(KeyCode::Char('u'), KeyModifiers::ALT)));
    desk.shows(&["@ bob  not verified yet", "half a sent"]);
}

#[test]
fn a_text_is_sent_shown_as_waiting_then_sent_then_read() {
    let mut desk = Desk::new();
    let effects = desk.enters("I am");
    assert_eq!(
        commands(&effects),
        [&Command::Send { conversation: ROOM, text: "I am".to_owned(), reply_to: None }]
    );
    let queued = Queued { number: MessageNumber(5), since: clock().now, text: Some("I am".to_owned()) };
    desk.answer(Answer::Outbox(ROOM, vec![queued]));
    desk.shows(&["I am", "waiting"]);
    let mut own = line(4, "I am");
    (own.own, own.account, own.username, own.number) = (true, ALICE, "alice".to_owned(), MessageNumber(5));
    desk.give(Input::Happened(Box::new(Event::Message(own.clone()))));
    let screen = desk.screen();
    assert!(screen.contains("sent") && !screen.contains("waiting"), "{screen}");
    let read = Event::Read { conversation: ROOM, account: BOB, device: DeviceId([3; 16]), upto: Sequence(4) };
    let effects = desk.give(Input::Happened(Box::new(read)));
    assert!(matches!(effects.as_slice(), [Effect::Refresh(ROOM, places)] if *places == [Sequence(4)]));
    own.delivered_to.push(BOB);
    desk.answer(Answer::Refreshed(ROOM, vec![(Sequence(4), Some(own.clone()))]));
    desk.shows(&["delivered"]);
    own.read_by.push(BOB);
    desk.answer(Answer::Refreshed(ROOM, vec![(Sequence(4), Some(own))]));
    assert!(
        desk.screen().lines().any(|row| row.contains("I am") && row.contains("  read")),
        "{}",
        desk.screen()
    );
}

#[test]
fn a_text_that_the_relay_refuses_comes_back() {
    let mut desk = Desk::new();
    desk.enters("forbidden");
    let about = About::Send(ROOM, "forbidden".to_owned());
    desk.answer(Answer::Command(about, Err(Failure::new(FailureCode::NotMember, "you are no member"))));
    desk.shows(&["› forbidden", "Not sent: you are no member"]);
}

#[test]
fn drafts_are_kept_when_one_goes_elsewhere_or_leaves() {
    let mut desk = Desk::new();
    desk.types("not yet");
    let effects = desk.ctrl('n');
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::KeepDraft(of, text) if *of == ROOM && text == "not yet"))
    );
    desk.shows(&["half a sent"]);
    desk.ctrl('n');
    desk.shows(&["› not yet"]);
    desk.types("!");
    let effects = desk.ctrl('c');
    assert!(matches!(effects.as_slice(), [Effect::KeepDraft(_, text), Effect::Quit] if text == "not yet!"));
}

#[test]
fn a_terminal_that_is_too_small_gets_a_sentence_and_the_smallest_one_everything() {
    let mut desk = Desk::sized(60, 15);
    desk.shows(&["# garden", "see you there", "Write a message", "Ctrl-K commands"]);
    desk.give(Input::Resize { columns: 59, rows: 15 });
    desk.shows(&["59 x 15", "60 x 15", "nothing is lost"]);
    desk.give(Input::Resize { columns: 20, rows: 3 });
    desk.shows(&["This terminal has"]);
    desk.give(Input::Resize { columns: 1, rows: 1 });
    desk.screen();
}

#[test]
fn a_screen_that_has_another_size_than_was_told_breaks_nothing() {
    let desk = Desk::new();
    for (columns, rows) in [(30, 5), (60, 15), (200, 60)] {
        let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("memory");
        terminal.draw(|frame| draw(&desk.app, frame)).expect("memory");
    }
}

#[test]
fn no_size_and_no_key_breaks_anything() {
    for (columns, rows) in [(60, 15), (76, 16), (80, 24), (104, 40), (250, 70)] {
        let mut desk = Desk::sized(columns, rows);
        desk.enters("/help");
        desk.screen();
        desk.press(KeyCode::Esc);
        for key in [
            KeyCode::F(2),
            KeyCode::F(3),
            KeyCode::Esc,
            KeyCode::Tab,
            KeyCode::Tab,
            KeyCode::PageUp,
            KeyCode::Up,
        ] {
            desk.press(key);
            desk.screen();
        }
        desk.ctrl('k');
        desk.types("mem");
        desk.screen();
    }
}

#[test]
fn control_and_bidi_characters_of_others_are_shown_harmless() {
    let mut desk = Desk::new();
    let mut message = line(4, "a\u{1b}[2Jb \u{202e}exe.txt");
    message.username = "mal\u{1b}lory".to_owned();
    message.account = AccountId([5; 16]);
    desk.give(Input::Happened(Box::new(Event::Message(message))));
    let mut hostile = view(ROOM, Kind::Room, "gar\u{202e}den\n\u{7}");
    hostile.unread = 3;
    desk.give(Input::Happened(Box::new(Event::Conversation(hostile))));
    let screen = desk.screen();
    assert!(!screen.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{screen}");
    desk.shows(&["mal\u{fffd}lory", "a\u{fffd}[2Jb"]);
}

#[test]
fn the_palette_finds_commands_conversations_and_people() {
    let mut desk = Desk::new();
    desk.ctrl('k');
    desk.types("bob");
    desk.shows(&["› bob", "@ bob", "go there", "write to"]);
    let effects = desk.press(KeyCode::Enter);
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Lines(wanted) if wanted.conversation == DIRECT))
    );
    desk.ctrl('k');
    desk.types("rename");
    desk.press(KeyCode::Enter);
    desk.shows(&["› /rename "]);
}

#[test]
fn help_shows_every_key_and_every_command() {
    let mut desk = Desk::sized(110, 80);
    desk.press(KeyCode::F(1));
    let screen = desk.screen();
    for row in keys::ACTIONS {
        assert!(screen.contains(row.what), "{}", row.name);
    }
    for row in slash::COMMANDS {
        assert!(screen.contains(row.name), "{}", row.name);
    }
    desk.press(KeyCode::Esc);
    assert!(!desk.screen().contains("Everywhere"));
}

#[test]
fn an_emoji_is_completed_while_writing() {
    let mut desk = Desk::new();
    desk.types("well done :tad");
    desk.shows(&["🎉", ":tada:"]);
    desk.press(KeyCode::Tab);
    let effects = desk.press(KeyCode::Enter);
    assert_eq!(
        commands(&effects),
        [&Command::Send { conversation: ROOM, text: "well done 🎉".to_owned(), reply_to: None }]
    );
}

#[test]
fn pasted_megabytes_are_refused_with_a_sentence_and_nothing_is_lost() {
    let mut desk = Desk::new();
    desk.types("draft");
    desk.give(Input::Paste("x".repeat(3_000_000)));
    desk.shows(&["› draft", "That would be 3000 kB", "Nothing was changed"]);
}

#[test]
fn who_types_is_seen_for_a_while() {
    let mut desk = Desk::new();
    desk.give(Input::Happened(Box::new(Event::Typing { conversation: ROOM, account: BOB, on: true })));
    desk.shows(&["bob is typing"]);
    let later = Clock { now: UnixMillis(clock().now.0 + 7_000), ..clock() };
    desk.app.update(Input::Tick, later);
    assert!(!desk.screen().contains("typing"));
}

#[test]
fn a_changed_identity_is_loud_until_it_is_acknowledged() {
    let mut desk = Desk::new();
    let event = Event::IdentityChanged { account: BOB, username: "bob".to_owned(), was_verified: true };
    desk.give(Input::Happened(Box::new(event)));
    desk.shows(&["THE IDENTITY OF bob, which you had verified, HAS CHANGED"]);
    desk.press(KeyCode::Esc);
    assert!(!desk.screen().contains("THE IDENTITY"));
}

#[test]
fn safety_numbers_are_compared_and_marked_only_after_a_second_yes() {
    let mut desk = Desk::new();
    let effects = desk.enters("/verify @bob");
    assert!(matches!(effects.last(), Some(Effect::Contact(_))));
    desk.answer(Answer::Contact(Some(Contact {
        account: BOB,
        username: "bob".to_owned(),
        identity_key: Some([4; 32]),
        verified: false,
        safety_number: Some(["12345"; 12].join(" ")),
        qr_text: None,
    })));
    desk.shows(&["Is it really bob?", "12345 12345 12345 12345", "not verified this identity yet"]);
    assert!(desk.press(KeyCode::Char('y')).is_empty(), "not before it was asked");
    desk.press(KeyCode::Char('v'));
    desk.shows(&["Are all digits the same?"]);
    let effects = desk.press(KeyCode::Char('y'));
    assert!(
        matches!(commands(&effects).as_slice(), [Command::Verify { identity_key, .. }] if *identity_key == [4; 32])
    );
    assert!(matches!(effects.last(), Some(Effect::Verified(account)) if *account == BOB));
}

#[test]
fn an_invite_is_a_link_and_a_code_where_there_is_room() {
    let mut desk = Desk::sized(110, 40);
    let effects = desk.press(KeyCode::F(3));
    assert!(matches!(effects.as_slice(), [Effect::Invite(Some(conversation))] if *conversation == ROOM));
    let link = format!("sotto://relay.example:4433/i/ABCDEFGH#{}", "ab".repeat(32));
    desk.answer(Answer::Invite(Ok(link.clone())));
    desk.shows(&["An invite to garden", "▀", "sotto://relay.example:4433"]);
    assert!(matches!(desk.press(KeyCode::Char('c')).as_slice(), [Effect::CopyText(text)] if *text == link));
    desk.give(Input::Resize { columns: 60, rows: 15 });
    desk.shows(&["A larger window shows a QR code here"]);
}

#[test]
fn the_classic_commands_show_all_messages_or_ones_own() {
    let mut desk = Desk::new();
    let effects = desk.enters("#my_messages");
    let wanted = effects.iter().find_map(|effect| match effect {
        Effect::Lines(wanted) => Some(*wanted),
        _ => None,
    });
    let wanted = wanted.expect("lines are asked for");
    assert!(wanted.own);
    let mut own = line(2, "mine alone");
    (own.own, own.account) = (true, ALICE);
    desk.answer(Answer::Lines(wanted, vec![own]));
    desk.shows(&["mine alone", "only what you said"]);
    let effects = desk.enters("#all_messages");
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::Lines(wanted) if wanted.place == LinesPlace::Oldest && !wanted.own)
    ));
}

#[test]
fn a_room_greets_who_joins_and_tells_how_many_there_are() {
    let mut desk = Desk::new();
    let carol = AccountId([6; 16]);
    let mut came = line(4, "");
    came.line = sotto_node_core::view::Line::Added(vec![carol]);
    desk.give(Input::Happened(Box::new(Event::Message(came))));
    let mut larger = view(ROOM, Kind::Room, "garden");
    larger.members.push(member(carol, "carol", Role::Member));
    desk.give(Input::Happened(Box::new(Event::Conversation(larger))));
    desk.shows(&["carol came in", "Welcome to garden, carol! 3 members now.", "3 members"]);
}

#[test]
fn a_room_that_does_not_exist_is_made_by_its_first_visitor() {
    let mut desk = Desk::new();
    let failure = Failure::new(FailureCode::UnknownConversation, "no such room");
    let effects = desk.answer(Answer::Command(About::EnterOrMake("pub".to_owned()), Err(failure)));
    let commands = commands(&effects);
    let [Command::CreateConversation(new)] = commands.as_slice() else { panic!("a room is made") };
    assert_eq!((new.room, new.listed_name.as_deref()), (true, Some("pub")));
    desk.answer(Answer::Command(About::Enter, Ok(Outcome::Conversation(DIRECT))));
    desk.shows(&["@ bob  not verified yet"]);
}

#[test]
fn the_wheel_scrolls_and_a_click_opens() {
    let mut desk = Desk::new();
    let mouse =
        |kind, column, row| Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE });
    let many = (4..150).map(|number| line(number, "and another line"));
    for message in many {
        desk.give(Input::Happened(Box::new(Event::Message(message))));
    }
    desk.give(mouse(MouseEventKind::ScrollUp, 50, 10));
    desk.shows(&["Ctrl-End goes to the newest"]);
    desk.give(mouse(MouseEventKind::ScrollDown, 50, 10));
    assert!(!desk.screen().contains("goes to the newest"));
    let click = MouseEventKind::Down(ratatui::crossterm::event::MouseButton::Left);
    desk.give(mouse(click, 5, 3));
    desk.shows(&["half a sent"]);
}

#[test]
fn without_colour_nothing_on_the_screen_has_any() {
    let mut desk = Desk::new();
    desk.enters("/theme mono");
    desk.ctrl('k');
    let mut terminal = Terminal::new(TestBackend::new(110, 30)).expect("memory");
    terminal.draw(|frame| draw(&desk.app, frame)).expect("memory");
    let cells = &terminal.backend().buffer().content;
    use ratatui::style::Color;
    assert!(cells.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset));
}

#[test]
fn choosing_in_the_palette_does_what_it_says() {
    let mut desk = Desk::new();
    desk.ctrl('k');
    desk.types("Compare safety");
    let Some(app::Overlay::Palette(chooser)) = &desk.app.overlay else { panic!("the palette is open") };
    assert_eq!(chooser.pick(), Some(Pick::Action(keys::Action::Verify)));
}

#[test]
fn the_documentation_has_every_key_setting_and_command() {
    let page = include_str!("../../../../docs/tui.md");
    for row in keys::ACTIONS {
        assert!(page.contains(&format!("`{}`", row.name)), "docs/tui.md lacks {}", row.name);
    }
    for (setting, _) in config::SETTINGS {
        assert!(
            page.contains(&format!("\n{setting} = ")) || page.contains(&format!("[{setting}]")),
            "{setting}"
        );
    }
    for row in slash::COMMANDS {
        assert!(page.contains(&format!("`{}", row.name)), "docs/tui.md lacks {}", row.name);
    }
    let sample = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
    Config::parse(sample).expect("the sample is a configuration");
}
