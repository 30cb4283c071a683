//! What people do with texts that are there.

use super::*;
use sotto_node_core::view::{Line, Message, Quote, Reaction};

fn changed(desk: &mut Desk, line: Message) {
    let (place, sequence) = (line.conversation, line.sequence);
    let event = Event::Changed { conversation: place, sequence };
    let effects = desk.give(Input::Happened(Box::new(event)));
    assert!(
        matches!(effects.as_slice(), [Effect::Refresh(of, places)] if *of == place && *places == [sequence])
    );
    desk.answer(Answer::Refreshed(place, vec![(sequence, Some(line))]));
}

fn own(desk: &mut Desk, sequence: u64, text: &str) -> Message {
    let mut own = line(sequence, text);
    (own.own, own.account, own.username) = (true, ALICE, "alice".to_owned());
    desk.give(Input::Happened(Box::new(Event::Message(own.clone()))));
    own
}

#[test]
fn the_chosen_text_is_answered_and_the_quote_is_seen() {
    let mut desk = Desk::new();
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Up);
    desk.shows(&["▸ are you coming?", "14 November 2023, 22:13", "r answer"]);
    desk.press(KeyCode::Char('r'));
    desk.shows(&["answering bob: are you coming? · Esc stops"]);
    let effects = desk.enters("yes");
    let reply_to = Some(Sequence(2));
    assert_eq!(commands(&effects), [&Command::Send { conversation: ROOM, text: "yes".to_owned(), reply_to }]);
    assert!(!desk.screen().contains("answering"), "the next text is not an answer");
    let mut answer = line(4, "yes");
    (answer.own, answer.account) = (true, ALICE);
    let excerpt = "are you coming?".to_owned();
    answer.reply =
        Some(Quote { sequence: Sequence(2), account: Some(BOB), username: "bob".to_owned(), excerpt });
    desk.give(Input::Happened(Box::new(Event::Message(answer))));
    desk.shows(&["┌ bob: are you coming?"]);
    desk.press(KeyCode::Esc);
    let effects = desk.press(KeyCode::Char('g'));
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::Lines(wanted) if wanted.place == LinesPlace::Around(Sequence(2)))
    ));
}

#[test]
fn an_own_text_is_edited_and_what_was_written_before_comes_back() {
    let mut desk = Desk::new();
    let mut mine = own(&mut desk, 4, "helo");
    desk.types("later");
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Char('e'));
    desk.shows(&["editing: helo", "› helo"]);
    let effects = desk.enters("!");
    let text = "helo!".to_owned();
    assert_eq!(commands(&effects), [&Command::Edit { conversation: ROOM, target: Sequence(4), text }]);
    desk.shows(&["› later"]);
    (mine.line, mine.edited_at) = (Line::Text("hello!".to_owned()), Some(clock().now));
    changed(&mut desk, mine);
    desk.shows(&["hello!", "edited"]);
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Up);
    assert!(desk.press(KeyCode::Char('e')).is_empty());
    desk.shows(&["Only a text of your own can be edited."]);
}

#[test]
fn esc_leaves_an_edit_and_a_draft_is_never_the_edited_text() {
    let mut desk = Desk::new();
    own(&mut desk, 4, "said");
    desk.types("draft");
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Char('e'));
    desk.types(" more");
    let later = Clock { now: UnixMillis(clock().now.0 + 2_000), ..clock() };
    let effects = desk.app.update(Input::Tick, later);
    assert!(matches!(effects.as_slice(), [Effect::KeepDraft(_, text)] if text == "draft"));
    desk.press(KeyCode::Esc);
    desk.shows(&["› draft"]);
}

#[test]
fn deleting_asks_first_and_leaves_a_line_that_says_so() {
    let mut desk = Desk::new();
    let mut mine = own(&mut desk, 4, "oops");
    desk.enters("/delete");
    desk.shows(&["Delete \"oops\" for everybody?", "y deletes"]);
    assert!(desk.press(KeyCode::Esc).is_empty());
    desk.enters("/delete");
    let effects = desk.press(KeyCode::Char('y'));
    assert_eq!(commands(&effects), [&Command::Delete { conversation: ROOM, target: Sequence(4) }]);
    mine.line = Line::Deleted { by: ALICE };
    changed(&mut desk, mine);
    desk.shows(&["alice deleted a message"]);
    assert!(!desk.screen().contains("oops"));
    let effects = desk.answer(Answer::Refreshed(ROOM, vec![(Sequence(4), None)]));
    assert!(matches!(effects.as_slice(), [Effect::Conversations]));
    desk.answer(Answer::Conversations(vec![view(ROOM, Kind::Room, "garden")]));
    assert!(!desk.screen().contains("deleted a message"), "it has disappeared");
}

#[test]
fn a_reaction_is_chosen_shown_and_taken_off_again() {
    let mut desk = Desk::new();
    desk.press(KeyCode::Esc);
    desk.press(KeyCode::Char('+'));
    desk.types("tada");
    let effects = desk.press(KeyCode::Enter);
    let (conversation, target, emoji) = (ROOM, Sequence(3), "🎉".to_owned());
    assert_eq!(
        commands(&effects),
        [&Command::React { conversation, target, emoji: emoji.clone(), on: true }]
    );
    let mut line = line(3, "see you there");
    line.reactions = vec![
        Reaction { emoji: "👍".to_owned(), accounts: vec![BOB] },
        Reaction { emoji: emoji.clone(), accounts: vec![BOB, ALICE] },
    ];
    changed(&mut desk, line);
    desk.shows(&["👍", "[🎉", "2]"]);
    desk.press(KeyCode::Esc);
    desk.enters("/react :tada:");
    desk.shows(&["› /react 🎉"]);
    let effects = desk.press(KeyCode::Enter);
    assert_eq!(commands(&effects), [&Command::React { conversation, target, emoji, on: false }]);
}

#[test]
fn texts_are_pinned_listed_and_gone_to() {
    let mut desk = Desk::new();
    let effects = desk.enters("/pin");
    let (conversation, target) = (ROOM, Sequence(3));
    assert_eq!(commands(&effects), [&Command::Pin { conversation, target, on: true }]);
    let mut pinned = line(3, "see you there");
    pinned.pinned = true;
    changed(&mut desk, pinned.clone());
    let mut with_pin = view(ROOM, Kind::Room, "garden");
    with_pin.pins = vec![Sequence(3)];
    desk.give(Input::Happened(Box::new(Event::Conversation(with_pin))));
    desk.shows(&["1 pinned", "pinned"]);
    let effects = desk.enters("/pins");
    assert!(matches!(effects.as_slice(), [.., Effect::Pins(ROOM)]));
    desk.answer(Answer::Pins(vec![pinned]));
    desk.shows(&["Pinned here", "bob: see you there"]);
    let effects = desk.press(KeyCode::Enter);
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::Lines(wanted) if wanted.place == LinesPlace::Around(Sequence(3)))
    ));
}

#[test]
fn disappearing_texts_are_announced_where_they_are_written() {
    let mut desk = Desk::new();
    let effects = desk.enters("/timer 8h");
    assert_eq!(commands(&effects), [&Command::SetTimer { conversation: ROOM, seconds: Some(28_800) }]);
    let mut timed = view(ROOM, Kind::Room, "garden");
    timed.timer = Some(28_800);
    desk.give(Input::Happened(Box::new(Event::Conversation(timed))));
    desk.shows(&["disappearing after 8 hours"]);
    desk.enters("/timer soon");
    desk.shows(&["/timer: say 30s, 5m, 8h, 7d or off"]);
}

#[test]
fn a_mention_is_told_as_one() {
    let mut desk = Desk::new();
    let mut message = line(8, "@alice come");
    (message.conversation, message.mentions) = (DIRECT, vec![ALICE]);
    let effects = desk.give(Input::Happened(Box::new(Event::Message(message))));
    assert!(matches!(effects.as_slice(), [Effect::Notify(text)] if text == "You were mentioned by bob"));
    let mut here = line(4, "@alice look");
    here.mentions = vec![ALICE];
    desk.give(Input::Happened(Box::new(Event::Message(here))));
    desk.shows(&["mentions you"]);
}

#[test]
fn formatting_is_shown_and_its_marks_are_not() {
    let mut desk = Desk::new();
    let text = "**now** or `never`\n> said you";
    desk.give(Input::Happened(Box::new(Event::Message(line(4, text)))));
    desk.shows(&["now or never", "▏ said you"]);
    assert!(!desk.screen().contains("**"));
}
