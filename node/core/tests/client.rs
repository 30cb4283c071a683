//! Clients among themselves, over the relay's real rules, in the virtual world of the `tests` crate.

#[path = "../../../tests/src/world/mod.rs"]
// The world serves other tests too, and begins with the date of today because key packages carry real dates.
#[allow(dead_code, unreachable_pub, clippy::disallowed_methods)]
mod world;

#[path = "client/calls.rs"]
mod calls;
#[path = "client/group_calls.rs"]
mod group_calls;
#[path = "client/heard_of.rs"]
mod heard_of;
#[path = "client/kinds.rs"]
mod kinds;
#[path = "client/older_store.rs"]
mod older_store;
#[path = "client/vault.rs"]
mod vault;

use sotto_mls::suite::Suite;
use sotto_node_core::command::{ArchiveKeys, Command, NewConversation, Token};
use sotto_node_core::event::{Event, FailureCode, Outcome, Output};
use sotto_node_core::view::{Line, Origin, Standing};
use sotto_protocol::body::conversation::HistoryPolicy;
use sotto_protocol::ids::ConversationId;
use world::device::Ending;
use world::net::Profile;
use world::{Who, World};

const SUITE: Suite = Suite::X25519;

fn calm(seed: u64) -> World {
    World::new(seed, SUITE, Profile::CALM)
}

fn group(world: &mut World, by: Who, name: &str, members: &[&str], history: HistoryPolicy) -> ConversationId {
    let new = NewConversation {
        name: name.to_owned(),
        room: false,
        listed_name: None,
        history,
        suite: SUITE,
        members: members.iter().map(|name| (*name).to_owned()).collect(),
    };
    let outcome = world.run(by, Command::CreateConversation(new));
    let Ok(Outcome::Conversation(id)) = outcome else { panic!("no group: {outcome:?}\n{}", world.story()) };
    world.settle();
    id
}

fn direct(world: &mut World, by: Who, with: &str) -> ConversationId {
    let outcome = world.run(by, Command::OpenDirect { username: with.to_owned(), suite: SUITE });
    let Ok(Outcome::Conversation(id)) = outcome else { panic!("no direct: {outcome:?}\n{}", world.story()) };
    world.settle();
    id
}

fn say(world: &mut World, who: Who, conversation: ConversationId, text: &str) {
    let sent = world.run(who, Command::Send { conversation, text: text.to_owned(), reply_to: None });
    assert!(matches!(sent, Ok(Outcome::Sent { .. })), "{text}: {sent:?}\n{}", world.story());
}

fn texts(world: &World, who: Who, conversation: ConversationId) -> Vec<String> {
    world.texts(who, conversation).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn two_people_write_to_each_other() {
    let mut world = calm(1);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    say(&mut world, alice, id, "hello");
    say(&mut world, bob, id, "hello yourself");
    say(&mut world, alice, id, "good");
    world.settle();
    for who in [alice, bob] {
        assert_eq!(texts(&world, who, id), ["hello", "hello yourself", "good"]);
        assert_eq!(world.failures(who), 0);
    }
    let view = world.view(bob, id).expect("bob has it");
    assert_eq!((view.title.as_str(), view.unread), ("alice", 2));
    assert_eq!(direct(&mut world, bob, "alice"), id, "it is the same from the other side");
}

#[test]
fn both_open_the_direct_conversation_at_once_and_get_one() {
    for seed in 0..10 {
        let mut world = calm(100 + seed);
        let (alice, bob) = (world.person("alice"), world.person("bob"));
        world.settle();
        let from_alice = world.command(alice, Command::OpenDirect { username: "bob".into(), suite: SUITE });
        let from_bob = world.command(bob, Command::OpenDirect { username: "alice".into(), suite: SUITE });
        world.settle();
        let one = world.result(alice, from_alice);
        let other = world.result(bob, from_bob);
        let Some(Ok(Outcome::Conversation(id))) = one else { panic!("{one:?}\n{}", world.story()) };
        assert_eq!(other, Some(Ok(Outcome::Conversation(id))), "seed {seed}\n{}", world.story());
        say(&mut world, alice, id, "one");
        say(&mut world, bob, id, "two");
        world.settle();
        assert_eq!(texts(&world, alice, id), ["one", "two"]);
        assert_eq!(texts(&world, bob, id), ["one", "two"]);
    }
}

#[test]
fn a_group_adds_and_removes() {
    let mut world = calm(2);
    let people = ["alice", "bob", "carol", "dave"].map(|name| world.person(name));
    let [alice, bob, carol, dave] = people;
    world.settle();
    let id = group(&mut world, alice, "the band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    say(&mut world, bob, id, "one");
    let added = world.run(bob, Command::AddMembers { conversation: id, usernames: vec!["dave".into()] });
    assert!(matches!(added, Ok(Outcome::Added { .. })), "{added:?}");
    world.settle();
    say(&mut world, carol, id, "two");
    world.settle();
    assert_eq!(texts(&world, dave, id), ["two"], "since joining");
    assert_eq!(world.view(dave, id).expect("he is in").name, "the band");
    let who = sotto_node_core::command::Who::Username("bob".into());
    let refused = world.run(carol, Command::RemoveMember { conversation: id, who: who.clone() });
    assert!(refused.is_err(), "a member removes nobody: {refused:?}");
    let removed = world.run(alice, Command::RemoveMember { conversation: id, who });
    assert_eq!(removed, Ok(Outcome::Nothing));
    world.settle();
    say(&mut world, alice, id, "three");
    world.settle();
    assert_eq!(world.view(bob, id).expect("the history stays").standing, Standing::Gone);
    assert_eq!(texts(&world, bob, id), ["one", "two"], "a removed member reads nothing after");
    let refused = world.run(bob, Command::Send { conversation: id, text: "late".into(), reply_to: None });
    assert_eq!(refused.expect_err("he is out").code, FailureCode::NotMember);
    assert_eq!(texts(&world, carol, id), ["one", "two", "three"]);
    for who in people {
        assert_eq!(world.failures(who), 0, "{}", world.story());
    }
}

#[test]
fn who_leaves_is_removed_by_whoever_sees_it() {
    let mut world = calm(3);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "", &["bob", "carol"], HistoryPolicy::SinceJoining);
    assert_eq!(world.run(carol, Command::Leave { conversation: id }), Ok(Outcome::Nothing));
    world.settle();
    assert_eq!(world.view(carol, id).expect("kept").standing, Standing::Gone, "{}", world.story());
    assert_eq!(world.view(alice, id).expect("there").members.len(), 2);
    say(&mut world, bob, id, "still here");
    world.settle();
    assert_eq!(texts(&world, alice, id), ["still here"]);
    assert_eq!(texts(&world, carol, id), Vec::<String>::new());
}

#[test]
fn what_is_said_while_away_arrives_in_order_both_ways() {
    let mut world = calm(4);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    world.switch_off(bob);
    for n in 0..100 {
        say(&mut world, alice, id, &format!("a{n}"));
    }
    let mut tokens = Vec::new();
    for n in 0..100 {
        let token =
            world.command(bob, Command::Send { conversation: id, text: format!("b{n}"), reply_to: None });
        tokens.push(token);
    }
    let offline = |event: &Event| matches!(event, Event::Queued { offline: true, .. });
    assert_eq!(world.devices[bob].events.iter().filter(|event| offline(event)).count(), 100);
    world.switch_on(bob);
    world.settle();
    for token in tokens {
        assert!(matches!(world.result(bob, token), Some(Ok(Outcome::Sent { .. }))));
    }
    let expected: Vec<String> =
        (0..100).map(|n| format!("a{n}")).chain((0..100).map(|n| format!("b{n}"))).collect();
    assert_eq!(texts(&world, alice, id), expected);
    assert_eq!(texts(&world, bob, id), expected);
}

/// P-024.
#[test]
fn a_wild_network_loses_doubles_and_mixes_up_nothing() {
    for seed in 0..30 {
        let mut world = calm(1_000 + seed);
        let (alice, bob) = (world.person("alice"), world.person("bob"));
        world.settle();
        let id = direct(&mut world, alice, "bob");
        world.net.set_profile(Profile::WILD);
        for n in 0..40 {
            let who = if world.chance(500) { alice } else { bob };
            world
                .command(who, Command::Send { conversation: id, text: format!("{who} {n}"), reply_to: None });
            let pause = world.below(200);
            world.pass(pause as u64);
        }
        world.settle();
        let (one, other) = (texts(&world, alice, id), texts(&world, bob, id));
        assert_eq!(one, other, "seed {seed}\n{}", world.story());
        assert_eq!(one.len(), 40, "seed {seed}: {one:?}\n{}", world.story());
        for who in [alice, bob] {
            let own: Vec<_> = one.iter().filter(|text| text.starts_with(&format!("{who} "))).collect();
            let number = |text: &String| text.split(' ').nth(1).map(|n| n.parse::<u32>().expect("a number"));
            assert!(own.is_sorted_by_key(|text| number(text)), "seed {seed}: {own:?}");
            assert_eq!(world.failures(who), 0, "seed {seed}\n{}", world.story());
        }
    }
}

/// One script in which bob's process ends at his n-th commit, for every n until the script needs no more.
#[test]
fn a_process_that_ends_at_any_commit_loses_and_doubles_nothing() {
    for ending in [Ending::Before, Ending::After] {
        for step in 1.. {
            let mut world = calm(7);
            let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
            world.settle();
            let at = world.devices[bob].medium.commits() + step;
            world.devices[bob].medium.end_at(at, ending);
            let id = group(&mut world, alice, "band", &["bob"], HistoryPolicy::SinceJoining);
            // A text whose command did not reach the store was never promised: it is given again.
            let mut expected = Vec::new();
            for n in 0..3 {
                for (who, name) in [(alice, "alice"), (bob, "bob")] {
                    let text = format!("{name} {n}");
                    let before = world.devices[who].client.outbox(id).expect("memory").len();
                    world
                        .command(who, Command::Send { conversation: id, text: text.clone(), reply_to: None });
                    let kept = world.devices[who].client.outbox(id).expect("memory").len() > before;
                    if kept || who == alice {
                        expected.push(text);
                    }
                    world.pass(15);
                }
            }
            world.command(bob, Command::AddMembers { conversation: id, usernames: vec!["carol".into()] });
            world.settle();
            say(&mut world, alice, id, "end");
            world.settle();
            expected.push("end".into());
            let mut seen = texts(&world, alice, id);
            assert_eq!(texts(&world, bob, id), seen, "{ending:?} {step}\n{}", world.story());
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected, "{ending:?} {step}\n{}", world.story());
            for who in [alice, bob, carol] {
                assert_eq!(world.failures(who), 0, "{ending:?} {step}\n{}", world.story());
            }
            if world.devices[bob].medium.commits() < at {
                break;
            }
            assert!(step < 500, "the script never ends");
        }
    }
}

/// What happens to a row on a bad medium.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Unreadable,
    Gone,
}

/// Damages the n-th row (or all) of the encryption layer's state of a conversation; false if there are fewer.
fn damage(world: &World, who: Who, n: Option<usize>, damage: Damage) -> bool {
    // 0x01 is the group, 0x02 its record.
    let state = |key: &Vec<u8>| matches!(key.first(), Some(1..=2));
    let medium = &world.devices[who].medium;
    let rows: Vec<Vec<u8>> = medium.keys().into_iter().filter(state).collect();
    let chosen = match n {
        None => rows.as_slice(),
        Some(n) => rows.get(n..=n).unwrap_or_default(),
    };
    for key in chosen {
        match damage {
            Damage::Unreadable => medium.damage(key),
            Damage::Gone => medium.lose(key),
        }
    }
    !chosen.is_empty()
}

/// Bob's state is damaged while he is away, texts and a new epoch come meanwhile; back, he has to have it all.
fn repairs(seed: u64, n: Option<usize>, how: Damage) -> Option<World> {
    let mut world = calm(seed);
    let (alice, bob, carol) = (world.person("alice"), world.person("bob"), world.person("carol"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    say(&mut world, alice, id, "before");
    say(&mut world, bob, id, "mine");
    world.settle();
    world.switch_off(bob);
    say(&mut world, alice, id, "missed one");
    assert_eq!(world.run(carol, Command::RenewKeys { conversation: id }), Ok(Outcome::Nothing));
    say(&mut world, carol, id, "missed two");
    if !damage(&world, bob, n, how) {
        return None;
    }
    world.crash(bob);
    world.switch_on(bob);
    world.settle();
    let expected = ["before", "mine", "missed one", "missed two"];
    assert_eq!(texts(&world, bob, id), expected, "{how:?} {n:?}\n{}", world.story());
    say(&mut world, bob, id, "back");
    world.settle();
    for who in [alice, bob, carol] {
        let last = texts(&world, who, id).pop();
        assert_eq!(last.as_deref(), Some("back"), "{how:?} {n:?} {who}\n{}", world.story());
    }
    assert_eq!(world.view(alice, id).expect("there").members.len(), 3, "no leaf is left behind");
    Some(world)
}

#[test]
fn a_damaged_conversation_repairs_itself_and_reads_what_it_missed() {
    let world = repairs(5, None, Damage::Unreadable).expect("there is state to damage");
    let (alice, bob) = (0, 1);
    let id = world.devices[bob].client.conversations().expect("memory")[0].conversation;
    let from_archive = world.history(bob, id).into_iter().filter(|line| line.origin == Origin::Archive);
    assert_eq!(from_archive.count(), 2);
    let told = |event: &Event| matches!(event, Event::Repaired { .. });
    assert!(world.devices[bob].events.iter().any(told), "the repair is told");
    let stats = world.devices[bob].client.stats().expect("memory");
    assert_eq!(stats.repairs.get("Rejoined"), Some(&1));
    assert!(stats.failures.values().sum::<u64>() > 0, "and counted");
    let rejoined = world.history(alice, id).into_iter().any(|line| matches!(line.line, Line::Rejoined(_)));
    assert!(rejoined, "the members see it\n{}", world.story());
}

#[test]
fn whichever_single_row_is_damaged_nothing_stays_unreadable() {
    for how in [Damage::Unreadable, Damage::Gone] {
        let mut n = 0;
        while repairs(50, Some(n), how).is_some() {
            n += 1;
        }
        assert!(n > 10, "there are rows to damage");
    }
}

#[test]
fn a_second_device_reads_the_history_and_writes() {
    let mut world = calm(6);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    say(&mut world, alice, id, "one");
    say(&mut world, bob, id, "two");
    world.settle();
    let laptop = world.further_device(bob, ArchiveKeys::default());
    world.settle();
    assert_eq!(texts(&world, laptop, id), ["one", "two"], "{}", world.story());
    say(&mut world, laptop, id, "three");
    world.settle();
    for who in [alice, bob, laptop] {
        assert_eq!(texts(&world, who, id), ["one", "two", "three"], "{}", world.story());
        assert_eq!(world.failures(who), 0);
    }
    assert_eq!(world.view(alice, id).expect("there").members.len(), 2, "two accounts, three devices");
}

#[test]
fn a_joiner_reads_the_past_only_where_the_policy_allows() {
    for (history, expected) in [
        (HistoryPolicy::All, vec!["past", "now"]),
        (HistoryPolicy::SinceJoining, vec!["now"]),
        (HistoryPolicy::None, vec!["now"]),
    ] {
        let mut world = calm(8);
        let (alice, bob) = (world.person("alice"), world.person("bob"));
        world.settle();
        let id = group(&mut world, alice, "club", &[], history);
        say(&mut world, alice, id, "past");
        let added = world.run(alice, Command::AddMembers { conversation: id, usernames: vec!["bob".into()] });
        assert!(added.is_ok(), "{added:?}");
        say(&mut world, alice, id, "now");
        world.settle();
        assert_eq!(texts(&world, bob, id), expected, "{history:?}\n{}", world.story());
        let asked = world.run(bob, Command::FetchHistory { conversation: id, before: None, limit: 100 });
        assert!(asked.is_ok(), "{asked:?}");
        assert_eq!(texts(&world, bob, id), expected, "{history:?}, asked for more");
    }
}

#[test]
fn a_listed_room_is_joined_by_its_name() {
    let mut world = calm(9);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let new = NewConversation {
        name: "Lounge".into(),
        room: true,
        listed_name: Some("lounge".into()),
        history: HistoryPolicy::All,
        suite: SUITE,
        members: Vec::new(),
    };
    let Ok(Outcome::Conversation(id)) = world.run(alice, Command::CreateConversation(new)) else {
        panic!("no room\n{}", world.story())
    };
    say(&mut world, alice, id, "welcome all");
    let Ok(Outcome::Rooms(rooms)) = world.run(bob, Command::ListRooms) else { panic!("no rooms") };
    assert_eq!(rooms.len(), 1);
    let joined = world.run(bob, Command::JoinListed { name: "lounge".into() });
    assert_eq!(joined, Ok(Outcome::Conversation(id)), "{}", world.story());
    world.settle();
    say(&mut world, bob, id, "thanks");
    world.settle();
    assert_eq!(texts(&world, bob, id), ["welcome all", "thanks"], "{}", world.story());
    assert_eq!(texts(&world, alice, id), ["welcome all", "thanks"]);
    assert_eq!(world.view(bob, id).expect("in").name, "Lounge");
}

/// Runs a wild script; gives the log and what happened.
fn wild_story(seed: u64) -> (String, Vec<String>) {
    let mut world = calm(seed);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = group(&mut world, alice, "band", &["bob"], HistoryPolicy::SinceJoining);
    world.net.set_profile(Profile::WILD);
    for n in 0..60 {
        let who = if world.chance(500) { alice } else { bob };
        let command = if world.chance(300) {
            Command::RenewKeys { conversation: id }
        } else {
            Command::Send { conversation: id, text: format!("{n}"), reply_to: None }
        };
        world.command(who, command);
        world.pass(40);
    }
    world.settle();
    (world.log(id), world.trace)
}

#[test]
fn the_same_seed_is_the_same_world() {
    assert_eq!(wild_story(77), wild_story(77));
    assert_ne!(wild_story(77).1, wild_story(78).1);
}

#[test]
fn a_lost_store_commit_sends_nothing_and_says_so() {
    let mut world = calm(12);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let at = world.devices[alice].medium.commits() + 1;
    world.devices[alice].medium.end_at(at, Ending::Before);
    let command = Command::Send { conversation: id, text: "lost".to_owned(), reply_to: None };
    let (now, device) = (world.now, &mut world.devices[alice]);
    device.client.handle_command(Token(9_999), command, now, &mut world.rng);
    let outputs: Vec<Output> = std::iter::from_fn(|| device.client.poll_output()).collect();
    assert!(!outputs.iter().any(|output| matches!(output, Output::Send(_))), "{outputs:?}");
    let failed = |output: &Output| match output {
        Output::Event(Event::Failed { token, failure }) => {
            *token == Token(9_999) && failure.code == FailureCode::Store
        }
        _ => false,
    };
    assert!(outputs.iter().any(failed), "{outputs:?}");
    world.crash(alice);
    world.settle();
    say(&mut world, alice, id, "kept");
    world.settle();
    assert_eq!(texts(&world, bob, id), ["kept"]);
}

#[test]
fn typing_and_receipts_reach_who_is_there() {
    let mut world = calm(13);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    say(&mut world, alice, id, "read this");
    world.settle();
    let upto = world.view(bob, id).expect("there").last.expect("a line").sequence;
    assert_eq!(world.run(bob, Command::Typing { conversation: id }), Ok(Outcome::Nothing));
    assert_eq!(world.run(bob, Command::MarkRead { conversation: id, upto }), Ok(Outcome::Nothing));
    world.settle();
    let events = &world.devices[alice].events;
    assert!(events.iter().any(|event| matches!(event, Event::Typing { .. })));
    assert!(events.iter().any(|event| matches!(event, Event::Read { upto: read, .. } if *read == upto)));
    assert_eq!(world.view(bob, id).expect("there").unread, 0);
}

#[test]
fn a_relay_that_alters_rewinds_or_forks_is_noticed() {
    let mut world = calm(15);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    say(&mut world, alice, id, "one");
    world.settle();
    world.switch_off(bob);
    say(&mut world, alice, id, "two");
    let last = world.relay.log(id).last().expect("an entry").sequence;
    world.relay.tamper(id, last, |entry| {
        let mut bytes = entry.message.0.to_vec();
        let end = bytes.len() - 1;
        bytes[end] ^= 1;
        entry.message = bytes.into();
    });
    world.switch_on(bob);
    world.settle();
    let undecryptable = |event: &Event| matches!(event, Event::Undecryptable { .. });
    assert!(world.devices[bob].events.iter().any(undecryptable), "the bit flip is noticed");
    assert_eq!(texts(&world, bob, id), ["one", "two"], "and the archive has the text");
    // What alice wrote does not match what bob was shown: his next words say so to her.
    say(&mut world, bob, id, "three");
    world.settle();
    let forked = |event: &Event| matches!(event, Event::LogTampered { .. });
    assert!(world.devices[alice].events.iter().any(forked), "{}", world.story());
}

#[test]
fn an_unknown_name_fails_and_creates_nothing() {
    let mut world = calm(10);
    let alice = world.person("alice");
    world.settle();
    let failed = world.run(alice, Command::OpenDirect { username: "nobody".into(), suite: SUITE });
    assert_eq!(failed.expect_err("nobody is there").code, FailureCode::UnknownAccount);
    assert!(world.devices[alice].client.conversations().expect("memory").is_empty());
}

#[test]
fn the_post_quantum_suite_works_the_same() {
    let mut world = World::new(11, Suite::XWing, Profile::CALM);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let opened = world.run(alice, Command::OpenDirect { username: "bob".into(), suite: Suite::XWing });
    let Ok(Outcome::Conversation(id)) = opened else { panic!("{opened:?}\n{}", world.story()) };
    say(&mut world, alice, id, "hybrid");
    world.settle();
    assert_eq!(texts(&world, bob, id), ["hybrid"]);
    assert_eq!(world.view(bob, id).expect("there").suite, Some(Suite::XWing));
}

#[test]
fn commands_that_come_together_are_one_commit_and_keep_their_order() {
    let mut world = calm(21);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let before = world.devices[alice].medium.commits();
    let wanted: Vec<String> = (0..40).map(|i| format!("line {i}")).collect();
    let commands = wanted.iter().zip(1_000..).map(|(text, token)| {
        (Token(token), Command::Send { conversation: id, text: text.clone(), reply_to: None })
    });
    let (now, device) = (world.now, &mut world.devices[alice]);
    device.client.handle_commands(commands, now, &mut world.rng);
    assert_eq!(world.devices[alice].medium.commits(), before + 1);
    world.drain(alice);
    world.settle();
    assert_eq!(texts(&world, bob, id), wanted);
}

#[test]
fn commands_that_come_together_fail_together_when_the_store_does() {
    let mut world = calm(22);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let at = world.devices[alice].medium.commits() + 1;
    world.devices[alice].medium.end_at(at, Ending::Before);
    let commands = [7_001, 7_002].map(|token| {
        (Token(token), Command::Send { conversation: id, text: "lost".to_owned(), reply_to: None })
    });
    let (now, device) = (world.now, &mut world.devices[alice]);
    device.client.handle_commands(commands, now, &mut world.rng);
    let failed: Vec<Token> = std::iter::from_fn(|| device.client.poll_output())
        .filter_map(|output| match output {
            Output::Event(Event::Failed { token, failure }) if failure.code == FailureCode::Store => {
                Some(token)
            }
            _ => None,
        })
        .collect();
    assert_eq!(failed, [Token(7_001), Token(7_002)]);
    world.crash(alice);
    world.settle();
    assert_eq!(texts(&world, bob, id), Vec::<String>::new());
}
