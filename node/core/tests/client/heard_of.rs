//! What a client shows without being asked: roles, names, who is verified, and what it was let into.

use super::*;
use sotto_node_core::command::Who as Named;
use sotto_protocol::body::conversation::Role;

fn named(name: &str) -> Named {
    Named::Username(name.to_owned())
}

/// The role of an account as somebody's view has it.
fn role(world: &World, who: Who, conversation: ConversationId, of: &str) -> Option<Role> {
    let view = world.view(who, conversation).expect("a member");
    view.members.iter().find(|member| member.username == of).expect("in it").role
}

/// Events that drew the conversation again since there were so many events.
fn drawn(world: &World, who: Who, since: usize) -> usize {
    let events = world.devices[who].events.iter().skip(since);
    events.filter(|event| matches!(event, Event::Conversation(_))).count()
}

#[test]
fn a_new_role_is_seen_by_everybody_who_is_there_and_by_the_others_when_they_come_back() {
    let mut world = calm(300);
    let people = ["alice", "bob", "carol", "dave"].map(|name| world.person(name));
    let [alice, bob, carol, dave] = people;
    world.settle();
    let id = group(&mut world, alice, "band", &["bob", "carol", "dave"], HistoryPolicy::SinceJoining);
    for who in people {
        assert_eq!(role(&world, who, id, "bob"), Some(Role::Member), "{}", world.story());
    }
    world.switch_off(dave);
    let seen = people.map(|who| world.devices[who].events.len());
    let set = Command::SetRole { conversation: id, who: named("bob"), role: Role::Moderator };
    assert_eq!(world.run(alice, set), Ok(Outcome::Nothing));
    // The others ask within two seconds, not all at once.
    world.pass(3_000);
    world.settle();
    for who in [alice, bob, carol] {
        assert_eq!(role(&world, who, id, "bob"), Some(Role::Moderator), "{who}\n{}", world.story());
        assert!(drawn(&world, who, seen[who]) > 0, "{who} is told to draw it again");
    }
    world.switch_on(dave);
    world.settle();
    assert_eq!(role(&world, dave, id, "bob"), Some(Role::Moderator));
}

#[test]
fn who_joins_by_an_invite_learns_the_name_that_was_given_before() {
    for away in [false, true] {
        let mut world = calm(310);
        let people = ["alice", "bob", "dave"].map(|name| world.person(name));
        let [alice, bob, dave] = people;
        world.settle();
        let id = group(&mut world, alice, "the band", &["bob"], HistoryPolicy::SinceJoining);
        let account = world.devices[dave].account;
        world.relay.admit(id, account);
        if away {
            world.switch_off(alice);
            world.switch_off(bob);
        }
        assert_eq!(world.run(dave, Command::Join { conversation: id }), Ok(Outcome::Conversation(id)));
        world.settle();
        let before = world.relay.log(id).len();
        world.switch_on(alice);
        world.switch_on(bob);
        world.settle();
        let view = world.view(dave, id).expect("he is in");
        assert_eq!((view.name.as_str(), view.title.as_str()), ("the band", "the band"), "{}", world.story());
        let said = world.relay.log(id).len() - if away { before } else { before - 1 };
        assert_eq!(said, 1, "one of the members says it\n{}", world.story());
        assert_eq!(texts(&world, dave, id), Vec::<String>::new());
    }
}

#[test]
fn who_was_let_in_goes_in_by_itself_and_a_program_that_asks_for_it_too_loses_nothing() {
    for asks in [false, true] {
        let mut world = calm(320);
        let (alice, dave) = (world.person("alice"), world.person("dave"));
        world.settle();
        let id = group(&mut world, alice, "club", &[], HistoryPolicy::All);
        say(&mut world, alice, id, "come in");
        // The invite is redeemed, and the program ends before it joins.
        world.switch_off(dave);
        let account = world.devices[dave].account;
        world.relay.admit(id, account);
        world.switch_on(dave);
        if asks {
            let admitted = |event: &Event| matches!(event, Event::Admitted { .. });
            for _ in 0..10_000 {
                if world.devices[dave].events.iter().any(admitted) {
                    break;
                }
                world.pass(1);
            }
            assert_eq!(world.run(dave, Command::Join { conversation: id }), Ok(Outcome::Conversation(id)));
        }
        world.settle();
        assert_eq!(world.view(dave, id).expect("in").standing, Standing::Member, "{}", world.story());
        assert_eq!(texts(&world, dave, id), ["come in"]);
        say(&mut world, dave, id, "thanks");
        world.settle();
        assert_eq!(texts(&world, alice, id), ["come in", "thanks"]);
        assert_eq!(world.view(alice, id).expect("hers").members.len(), 2);
    }
}

#[test]
fn a_person_who_was_compared_is_drawn_as_verified_at_once() {
    let mut world = calm(330);
    let alice = world.person("alice");
    world.person("bob");
    world.settle();
    let id = direct(&mut world, alice, "bob");
    let contact = world.devices[alice].client.contact(&named("bob")).expect("memory").expect("known");
    let since = world.devices[alice].events.len();
    let verify = Command::Verify { who: named("bob"), identity_key: contact.identity_key.expect("met") };
    assert_eq!(world.run(alice, verify), Ok(Outcome::Nothing));
    let told = world.devices[alice].events.iter().skip(since).find_map(|event| match event {
        Event::Conversation(view) if view.conversation == id => Some(view.clone()),
        _ => None,
    });
    let members = told.expect("the conversation is drawn again").members;
    assert!(members.iter().any(|member| member.username == "bob" && member.verified), "{members:?}");
}

#[test]
fn what_was_written_too_fast_is_sent_when_the_relay_says_so_and_nothing_of_it_is_lost() {
    let mut world = calm(340);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let id = direct(&mut world, alice, "bob");
    world.relay.too_fast = 7;
    let wanted: Vec<String> = (0..5).map(|n| format!("quick {n}")).collect();
    let tokens: Vec<Token> = wanted
        .iter()
        .map(|text| {
            world.command(alice, Command::Send { conversation: id, text: text.clone(), reply_to: None })
        })
        .collect();
    world.settle();
    assert_eq!(world.relay.too_fast, 0, "it was refused at first");
    assert_eq!(texts(&world, bob, id), wanted, "{}", world.story());
    for token in tokens {
        assert!(matches!(world.result(alice, token), Some(Ok(Outcome::Sent { .. }))));
    }
}
