//! Who is here, and what was said some time.

use super::*;
use std::collections::BTreeSet;

#[test]
fn who_is_here_is_seen_as_the_relay_tells_it() {
    let mut desk = Desk::new();
    let event = Event::Presence { conversation: ROOM, account: BOB, here: true };
    let effects = desk.give(Input::Happened(Box::new(event)));
    assert!(matches!(effects.as_slice(), [Effect::Present(ROOM)]));
    let present = Present { accounts: BTreeSet::from([ALICE, BOB]), count: Some(2) };
    desk.answer(Answer::Present(ROOM, present));
    desk.shows(&["2 members, 2 here", "● bob"]);
    desk.answer(Answer::Present(ROOM, Present { accounts: BTreeSet::from([ALICE]), count: Some(1) }));
    desk.shows(&["2 members, 1 here"]);
    assert!(!desk.screen().contains("● bob"));
    desk.give(Input::Status(Status::Offline));
    assert!(!desk.screen().contains("1 here"), "without a connection nobody knows");
}

#[test]
fn messages_are_found_by_words_and_gone_to() {
    let mut desk = Desk::new();
    desk.ctrl('f');
    desk.shows(&["Find messages"]);
    desk.types("com");
    let effects = desk.press(KeyCode::Char('i'));
    assert!(matches!(effects.as_slice(), [Effect::Search(words)] if words == "comi"));
    desk.answer(Answer::Hits("co".to_owned(), vec![line(1, "an answer that comes too late")]));
    assert!(!desk.screen().contains("too late"));
    desk.answer(Answer::Hits("comi".to_owned(), vec![line(2, "are you coming?")]));
    desk.shows(&["bob: are you coming?", "garden"]);
    let effects = desk.press(KeyCode::Enter);
    assert!(effects.iter().any(
        |effect| matches!(effect, Effect::Lines(wanted) if wanted.place == LinesPlace::Around(Sequence(2)))
    ));
    desk.press(KeyCode::Esc);
    let effects = desk.enters("/search there you");
    assert!(matches!(effects.last(), Some(Effect::Search(words)) if words == "there you"));
}
