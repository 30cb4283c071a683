//! What people do with texts, seen by everybody else: by the other members, by a second device, by one that was away, by
//! one that repaired itself and by one that reads it all from the archive.

use super::world::net::Profile;
use super::world::{Who, World};
use super::{calm, direct, group, say};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sotto_e2ee::content::CAPTION_WITH_PREVIEW_BYTES_MAX;
use sotto_e2ee::file::{FileAbout, FileKey, FileName, Preview};
use sotto_e2ee::store::Store as _;
use sotto_node_core::command::{ArchiveKeys, Command};
use sotto_node_core::event::{Event, FailureCode, Outcome};
use sotto_node_core::search::SearchQuery;
use sotto_node_core::view::{Line, Message};
use sotto_protocol::blob::BlobRoot;
use sotto_protocol::body::conversation::{HistoryPolicy, Role};
use sotto_protocol::ids::{ConversationId, Sequence};

/// Does it and lets everybody hear of it.
fn does(world: &mut World, who: Who, command: Command) -> Sequence {
    let done = world.run(who, command);
    let Ok(Outcome::Sent { sequence, .. }) = done else { panic!("{done:?}\n{}", world.story()) };
    world.settle();
    sequence
}

fn says(world: &mut World, who: Who, conversation: ConversationId, text: &str) -> Sequence {
    does(world, who, Command::Send { conversation, text: text.into(), reply_to: None })
}

fn refused(world: &mut World, who: Who, command: Command) -> FailureCode {
    let outcome = world.run(who, command);
    outcome.expect_err("this must not be allowed").code
}

fn line(world: &World, who: Who, conversation: ConversationId, at: Sequence) -> Message {
    world.devices[who].client.line(conversation, at).expect("memory").expect("a line")
}

fn text(message: &Message) -> &str {
    let Line::Text(text) = &message.line else { panic!("no text: {message:?}") };
    text
}

/// What a line is to everybody: without what belongs to the device that shows it.
fn shown(world: &World, who: Who, conversation: ConversationId) -> Vec<String> {
    let lines = world.history(who, conversation).into_iter();
    // Who came, and the name that is said again for who comes.
    let kept = |line: &Message| !matches!(line.line, Line::Added(_) | Line::Rejoined(_) | Line::Named(_));
    let lines = lines.filter(kept);
    lines
        .map(|line| {
            let Message { sequence, line, reply, edited_at, reactions, pinned, mentions, expires_at, .. } = line;
            format!("{sequence} {line:?} {reply:?} {edited_at:?} {reactions:?} {pinned} {mentions:?} {expires_at:?}")
        })
        .collect()
}

fn react(conversation: ConversationId, target: Sequence, emoji: &str, on: bool) -> Command {
    Command::React { conversation, target, emoji: emoji.into(), on }
}

/// A conversation in which everything was done once; what it looks like then.
fn busy(world: &mut World, by: [Who; 2], id: ConversationId) -> Vec<String> {
    let [alice, bob] = by;
    let first = says(world, alice, id, "dinner at seven?");
    let answer = Command::Send { conversation: id, text: "yes, @alice".into(), reply_to: Some(first) };
    let answer = does(world, bob, answer);
    does(world, alice, Command::Edit { conversation: id, target: first, text: "dinner at eight?".into() });
    does(world, alice, react(id, answer, "👍", true));
    does(world, bob, react(id, answer, "🎉", true));
    does(world, bob, react(id, answer, "🎉", false));
    does(world, bob, Command::Pin { conversation: id, target: first, on: true });
    let slip = says(world, bob, id, "a slip of the tongue");
    does(world, bob, Command::Delete { conversation: id, target: slip });
    does(world, alice, Command::SetTimer { conversation: id, seconds: Some(86_400) });
    let fleeting = says(world, bob, id, "gone tomorrow");
    let seen = line(world, alice, id, first);
    assert_eq!((text(&seen), seen.pinned, seen.edited_at.is_some()), ("dinner at eight?", true, true));
    let seen = line(world, alice, id, answer);
    let quote = seen.reply.as_ref().expect("an answer");
    assert_eq!((quote.sequence, quote.excerpt.as_str()), (first, "dinner at eight?"));
    assert_eq!(seen.mentions, [world.devices[alice].account]);
    let reactions: Vec<_> =
        seen.reactions.iter().map(|of| (of.emoji.as_str(), of.accounts.clone())).collect();
    assert_eq!(reactions, [("👍", vec![world.devices[alice].account])]);
    assert_eq!(line(world, alice, id, slip).line, Line::Deleted { by: world.devices[bob].account });
    assert!(line(world, alice, id, fleeting).expires_at.is_some());
    let view = world.view(alice, id).expect("there");
    assert_eq!((view.timer, view.pins), (Some(86_400), vec![first]));
    shown(world, alice, id)
}

#[test]
fn what_is_done_to_texts_is_the_same_on_every_device_however_it_came_there() {
    let mut world = calm(900);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    let second = world.further_device(bob, ArchiveKeys::default());
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::All);
    world.switch_off(carol);
    let expected = busy(&mut world, [alice, bob], id);
    assert_eq!(shown(&world, bob, id), expected, "the other one");
    assert_eq!(shown(&world, second, id), expected, "a second device\n{}", world.story());
    world.switch_on(carol);
    world.settle();
    assert_eq!(shown(&world, carol, id), expected, "who was away");
    world.person("dave");
    let dave = 4;
    world.settle();
    let added = world.run(alice, Command::AddMembers { conversation: id, usernames: vec!["dave".into()] });
    assert!(matches!(added, Ok(Outcome::Added { .. })), "{added:?}");
    world.settle();
    let all = Command::FetchHistory { conversation: id, before: None, limit: 100 };
    assert!(matches!(world.run(dave, all), Ok(Outcome::History { .. })));
    world.settle();
    assert_eq!(shown(&world, dave, id), expected, "who reads it from the archive\n{}", world.story());
    for who in [alice, bob, carol, second, dave] {
        assert_eq!(world.failures(who), 0, "{}", world.story());
    }
}

#[test]
fn what_was_done_to_texts_is_there_after_a_repair() {
    let mut world = calm(901);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    say(&mut world, carol, id, "before");
    world.settle();
    world.switch_off(carol);
    let expected = busy(&mut world, [alice, bob], id);
    assert!(super::damage(&world, carol, None, super::Damage::Unreadable));
    world.crash(carol);
    world.switch_on(carol);
    world.settle();
    assert_eq!(shown(&world, carol, id), expected, "{}", world.story());
}

/// The smallest that is taken for a JPEG: its head, and a scan of nothing.
fn small_picture() -> Preview {
    let jpeg =
        b"\xff\xd8\xff\xc0\0\x0b\x08\0\xf0\x01\x40\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0".to_vec();
    Preview::new(4_000, 3_000, [jpeg, vec![0x2a; 5_000]].concat()).expect("a head of 320 by 240")
}

/// P-076.
#[test]
fn a_preview_comes_with_its_file_to_everybody_and_goes_with_it() {
    let mut world = calm(907);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob"], HistoryPolicy::All);
    let about = FileAbout {
        name: FileName::lossy("hills.jpg"),
        bytes: 70_000,
        media_type: "image/jpeg".to_owned(),
        root: BlobRoot([5; 32]),
        key: FileKey::draw(&mut ChaCha20Rng::seed_from_u64(5)),
    };
    let send = |caption: String| Command::SendFile {
        conversation: id,
        about: about.clone(),
        caption,
        reply_to: None,
        preview: Some(small_picture()),
    };
    let place = does(&mut world, alice, send("from Sunday".to_owned()));
    let long = does(&mut world, alice, send("x".repeat(CAPTION_WITH_PREVIEW_BYTES_MAX + 1)));
    does(&mut world, alice, Command::Edit { conversation: id, target: place, text: "from Monday".into() });
    let added = world.run(alice, Command::AddMembers { conversation: id, usernames: vec!["carol".into()] });
    assert!(matches!(added, Ok(Outcome::Added { .. })), "{added:?}");
    world.settle();
    let all = Command::FetchHistory { conversation: id, before: None, limit: 100 };
    assert!(matches!(world.run(carol, all), Ok(Outcome::History { .. })));
    world.settle();
    for who in [alice, bob, carol] {
        assert_eq!(line(&world, who, id, place).preview, Some(small_picture()), "{}", world.story());
        assert_eq!(line(&world, who, id, long).preview, None, "the words go before the picture");
    }
    does(&mut world, alice, Command::Delete { conversation: id, target: place });
    for who in [alice, bob, carol] {
        assert_eq!(line(&world, who, id, place).preview, None, "{}", world.story());
        let key = [&[0x56][..], id.as_bytes(), &place.0.to_be_bytes()].concat();
        assert!(
            world.devices[who].client.store().get(&key).expect("memory").is_none(),
            "nothing is left of it"
        );
    }
}

#[test]
fn in_a_wild_network_all_devices_end_with_the_same() {
    for seed in 0..10 {
        let mut world = calm(2_000 + seed);
        let (alice, bob) = (world.person("alice"), world.person("bob"));
        let second = world.further_device(alice, ArchiveKeys::default());
        world.settle();
        let id = direct(&mut world, alice, "bob");
        let places: Vec<_> =
            (0..4).map(|n| says(&mut world, [alice, bob][n % 2], id, &format!("{n}"))).collect();
        world.net.set_profile(Profile::WILD);
        for n in 0..60 {
            let who = [alice, bob, second][world.below(3)];
            let target = places[world.below(4)];
            let on = world.chance(600);
            let command = match world.below(5) {
                0 | 1 => react(id, target, ["👍", "🎉", "❤️"][world.below(3)], on),
                2 => Command::Pin { conversation: id, target, on },
                3 => Command::Edit { conversation: id, target, text: format!("edit {n}") },
                _ if world.chance(100) => Command::Delete { conversation: id, target },
                _ => Command::Send { conversation: id, text: format!("more {n}"), reply_to: Some(target) },
            };
            // Some are refused: a text of somebody else cannot be edited, a deleted one not pinned.
            world.command(who, command);
            let pause = world.below(200);
            world.pass(pause as u64);
        }
        world.settle();
        let expected = shown(&world, alice, id);
        assert_eq!(shown(&world, bob, id), expected, "seed {seed}\n{}", world.story());
        assert_eq!(shown(&world, second, id), expected, "seed {seed}\n{}", world.story());
    }
}

#[test]
fn nobody_does_to_texts_of_others_what_is_not_theirs_to_do() {
    let mut world = calm(902);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    let hers = says(&mut world, alice, id, "hers");
    let his = says(&mut world, bob, id, "his");
    let (edit, delete) = (
        |target| Command::Edit { conversation: id, target, text: "words in a mouth".into() },
        |target| Command::Delete { conversation: id, target },
    );
    for (who, command) in [(bob, edit(hers)), (alice, edit(his)), (bob, delete(hers))] {
        assert_eq!(refused(&mut world, who, command), FailureCode::NotAllowed);
    }
    for command in [
        delete(Sequence(4_000)),
        react(id, hers, "no emoji", true),
        Command::SetTimer { conversation: id, seconds: Some(1) },
        Command::Send { conversation: id, text: "to what?".into(), reply_to: Some(Sequence(4_000)) },
    ] {
        assert_eq!(refused(&mut world, bob, command), FailureCode::Invalid);
    }
    // An owner deletes what others wrote; a member does once she is a moderator.
    does(&mut world, alice, delete(his));
    let again = says(&mut world, bob, id, "again");
    assert_eq!(refused(&mut world, carol, delete(again)), FailureCode::NotAllowed);
    let who = sotto_node_core::command::Who::Username("carol".into());
    let role = Command::SetRole { conversation: id, who, role: Role::Moderator };
    assert_eq!(world.run(alice, role), Ok(Outcome::Nothing));
    world.settle();
    does(&mut world, carol, delete(again));
    for who in [alice, bob, carol] {
        assert_eq!(line(&world, who, id, again).line, Line::Deleted { by: world.devices[carol].account });
        assert_eq!(text(&line(&world, who, id, hers)), "hers");
    }
    assert_eq!(refused(&mut world, bob, edit(again)), FailureCode::Invalid, "it is deleted");
}

#[test]
fn a_text_disappears_everywhere_at_its_time_and_never_comes_to_who_was_away() {
    let mut world = calm(903);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    does(&mut world, alice, Command::SetTimer { conversation: id, seconds: Some(60) });
    world.switch_off(carol);
    let at = says(&mut world, alice, id, "gone in a minute");
    does(&mut world, bob, react(id, at, "👍", true));
    does(
        &mut world,
        alice,
        Command::Edit { conversation: id, target: at, text: "still gone in a minute".into() },
    );
    does(&mut world, alice, Command::SetTimer { conversation: id, seconds: None });
    let stays = says(&mut world, alice, id, "this stays");
    assert_eq!(world.view(bob, id).expect("there").unread, 2);
    world.pass(60_000);
    for who in [alice, bob] {
        assert_eq!(world.devices[who].client.line(id, at), Ok(None), "{}", world.story());
        let told = |event: &Event| matches!(event, Event::Changed { sequence, .. } if *sequence == at);
        assert!(told(world.devices[who].events.iter().rfind(|event| told(event)).expect("it is told")));
        assert_eq!(text(&line(&world, who, id, stays)), "this stays");
    }
    assert_eq!(world.view(bob, id).expect("there").unread, 1);
    world.switch_on(carol);
    world.settle();
    assert_eq!(world.devices[carol].client.line(id, at), Ok(None));
    assert_eq!(text(&line(&world, carol, id, stays)), "this stays");
    assert_eq!(world.failures(carol), 0);
}

#[test]
fn a_search_finds_a_text_as_it_is_now_and_nothing_of_what_it_was() {
    let mut world = calm(906);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let found = |world: &World, words: &str| {
        let query = SearchQuery { words: words.into(), conversation: None, before: None, limit: 9 };
        let hits = world.devices[bob].client.search(&query).expect("memory");
        hits.iter().map(|hit| hit.sequence).collect::<Vec<_>>()
    };
    let edited = says(&mut world, alice, id, "dinner at seven");
    let deleted = says(&mut world, alice, id, "the address of the dinner");
    // Indexed, or not yet: both are searched.
    for pause in [0, 60_000] {
        world.pass(pause);
        assert_eq!(found(&world, "dinner"), [deleted, edited]);
    }
    does(
        &mut world,
        alice,
        Command::Edit { conversation: id, target: edited, text: "supper at eight".into() },
    );
    does(&mut world, alice, Command::Delete { conversation: id, target: deleted });
    does(&mut world, alice, Command::SetTimer { conversation: id, seconds: Some(120) });
    let fleeting = says(&mut world, alice, id, "supper was good");
    assert_eq!(found(&world, "supper"), [fleeting, edited]);
    assert!(found(&world, "dinner").is_empty() && found(&world, "address").is_empty());
    world.pass(60_000);
    assert_eq!(found(&world, "supper"), [fleeting, edited]);
    world.pass(61_000);
    assert_eq!(found(&world, "supper"), [edited]);
}

#[test]
fn a_sender_learns_who_has_a_text_and_who_has_read_it_even_after_being_away() {
    let mut world = calm(904);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    world.switch_off(carol);
    let at = says(&mut world, alice, id, "read me");
    world.pass(5_000);
    let accounts = [bob, carol].map(|who| world.devices[who].account);
    let seen = line(&world, alice, id, at);
    assert_eq!((seen.delivered_to, seen.read_by), (vec![accounts[0]], vec![]));
    world.switch_off(alice);
    assert_eq!(world.run(bob, Command::MarkRead { conversation: id, upto: at }), Ok(Outcome::Nothing));
    world.pass(5_000);
    world.switch_on(alice);
    world.settle();
    world.pass(5_000);
    assert_eq!(line(&world, alice, id, at).read_by, [accounts[0]], "she asks\n{}", world.story());
    world.switch_on(carol);
    world.settle();
    world.pass(5_000);
    let mut delivered = line(&world, alice, id, at).delivered_to;
    delivered.sort();
    let mut both = accounts.to_vec();
    both.sort();
    assert_eq!(delivered, both, "{}", world.story());
    let own = line(&world, bob, id, at);
    assert!(own.read_by.is_empty() && own.delivered_to.is_empty(), "only of own texts");
}

#[test]
fn who_types_is_shown_until_the_text_comes_or_for_some_seconds() {
    let mut world = calm(905);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let hers = world.devices[alice].account;
    let typing = |world: &World| world.devices[bob].client.typing(id);
    assert_eq!(world.run(alice, Command::Typing { conversation: id }), Ok(Outcome::Nothing));
    world.pass(1_000);
    assert_eq!(typing(&world), [hers]);
    says(&mut world, alice, id, "here it is");
    assert_eq!(typing(&world), []);
    world.pass(10_000);
    assert_eq!(world.run(alice, Command::Typing { conversation: id }), Ok(Outcome::Nothing));
    world.pass(1_000);
    assert_eq!(typing(&world), [hers]);
    world.pass(10_000);
    assert_eq!(typing(&world), [], "she thought better of it");
    let changes: Vec<bool> = world.devices[bob]
        .events
        .iter()
        .filter_map(|event| if let Event::Typing { on, .. } = event { Some(*on) } else { None })
        .collect();
    assert_eq!(changes, [true, false, true, false]);
}
