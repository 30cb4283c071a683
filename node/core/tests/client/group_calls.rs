//! Calls of groups between real clients: sealed signals, the key of the media in each epoch, and a record in the log.

use super::*;
use sotto_node_core::calls::{
    CallId, CallOutcome, GroupCallView, GroupCommand, GroupKey, GroupState, GroupWord, Negotiation,
};

fn join(world: &mut World, who: Who, conversation: ConversationId) -> CallId {
    let joined = world.run(who, Command::GroupCall(GroupCommand::Join { conversation, video: false }));
    let Ok(Outcome::Call(call)) = joined else { panic!("no call: {joined:?}\n{}", world.story()) };
    world.settle();
    call
}

fn word(world: &mut World, who: Who, call: CallId, word: GroupWord) {
    let done = world.run(who, Command::GroupCall(GroupCommand::Of(call, word)));
    assert_eq!(done, Ok(Outcome::Nothing), "{}", world.story());
    world.settle();
}

fn view(world: &World, who: Who) -> Option<&GroupCallView> {
    world.devices[who].events.iter().rev().find_map(|event| match event {
        Event::GroupCall(view) => Some(view),
        _ => None,
    })
}

fn state(world: &World, who: Who) -> Option<GroupState> {
    view(world, who).map(|view| view.state)
}

fn keys(world: &World, who: Who) -> Vec<&GroupKey> {
    let keys = world.devices[who].events.iter().filter_map(|event| match event {
        Event::GroupKey { key, .. } => Some(key),
        _ => None,
    });
    keys.collect()
}

/// P-044, P-045.
#[test]
fn a_group_is_called_with_one_key_for_all_and_another_one_without_whom_it_removes() {
    let mut world = calm(410);
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.person(name));
    world.settle();
    let id = group(&mut world, alice, "the band", &["bob", "carol"], HistoryPolicy::SinceJoining);
    let call = join(&mut world, alice, id);
    assert_eq!(
        [bob, carol].map(|who| state(&world, who)),
        [Some(GroupState::Ringing); 2],
        "{}",
        world.story()
    );
    assert!(keys(&world, bob).is_empty(), "who is not in the call gets no key of it");
    assert_eq!([join(&mut world, bob, id), join(&mut world, carol, id)], [call; 2]);
    for who in [alice, bob, carol] {
        assert_eq!(view(&world, who).map(|view| view.people.len()), Some(3), "{}", world.story());
        assert_eq!(world.devices[who].client.group_calls().len(), 1);
    }
    // Of each two, one is asked for an offer; what it says reaches the other one.
    let asked = |world: &World, who: Who| {
        let asked = world.devices[who].events.iter().filter_map(|event| match event {
            Event::NegotiateIn { device, negotiation, .. } => Some((*device, negotiation.clone())),
            _ => None,
        });
        asked.collect::<Vec<_>>()
    };
    let offers: Vec<_> = [alice, bob, carol].map(|who| asked(&world, who)).concat();
    assert_eq!(offers.len(), 3);
    let who =
        [alice, bob, carol].into_iter().find(|who| asked(&world, *who).len() == 2).expect("the smallest");
    let sdp = format!("v=0\r\na=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
    let device = asked(&world, who)[0].0;
    word(&mut world, who, call, GroupWord::Description { device, round: 0, sdp: sdp.clone() });
    let taken = [alice, bob, carol].map(|who| asked(&world, who)).concat();
    let took = Negotiation::Description { round: 0, offer: true, sdp };
    assert_eq!(taken.iter().filter(|(_, one)| *one == took).count(), 1, "{}", world.story());
    // One key for all, in which each has a leaf and a context of its own.
    let first: Vec<GroupKey> = [alice, bob, carol].map(|who| keys(&world, who)[0].clone()).to_vec();
    for key in &first {
        assert_eq!(
            (key.epoch, &key.base_key, &key.senders),
            (first[0].epoch, &first[0].base_key, &first[0].senders)
        );
        assert!(key.senders.iter().any(|(_, leaf)| *leaf == key.mine) && key.senders.len() == 3);
        assert!((1 << 24..1 << 31).contains(&key.context));
    }
    assert!(first[0].context != first[1].context && first[1].context != first[2].context);
    // Who is removed is out of the call, and the media of the others have another key.
    let who = sotto_node_core::command::Who::Username("carol".into());
    assert_eq!(world.run(alice, Command::RemoveMember { conversation: id, who }), Ok(Outcome::Nothing));
    world.settle();
    assert_eq!(state(&world, carol), Some(GroupState::Ended), "{}", world.story());
    assert_eq!(keys(&world, carol).len(), 1);
    for who in [alice, bob] {
        assert_eq!(view(&world, who).map(|view| view.people.len()), Some(2));
        let [before, now] = keys(&world, who)[..] else { panic!("{}", world.story()) };
        assert!(now.epoch > before.epoch && now.base_key != before.base_key && now.context == before.context);
        assert_eq!(now.senders.len(), 2);
    }
    // A further stay has a context of its own; the last one writes the record.
    word(&mut world, bob, call, GroupWord::Leave);
    assert_eq!(join(&mut world, bob, id), call);
    let contexts: Vec<u32> = keys(&world, bob).iter().map(|key| key.context).collect();
    assert!(contexts.len() == 3 && contexts[2] != contexts[1]);
    word(&mut world, bob, call, GroupWord::Leave);
    word(&mut world, alice, call, GroupWord::Leave);
    for who in [alice, bob] {
        assert_eq!(state(&world, who), Some(GroupState::Ended));
        let records = world.history(who, id).into_iter().filter_map(|message| match message.line {
            Line::Call(record) => record.outcome(),
            _ => None,
        });
        assert_eq!(records.collect::<Vec<_>>(), [CallOutcome::Answered], "{}", world.story());
    }
}

#[test]
fn a_room_and_two_people_are_not_called_as_a_group_and_a_group_not_as_one_person() {
    let mut world = calm(411);
    let (alice, bob) = (world.person("alice"), world.person("bob"));
    world.settle();
    let two = direct(&mut world, alice, "bob");
    let band = group(&mut world, alice, "the band", &["bob"], HistoryPolicy::SinceJoining);
    let new = NewConversation {
        name: "Lounge".into(),
        room: true,
        listed_name: None,
        history: HistoryPolicy::All,
        suite: SUITE,
        members: Vec::new(),
    };
    let Ok(Outcome::Conversation(room)) = world.run(alice, Command::CreateConversation(new)) else {
        panic!("no room\n{}", world.story())
    };
    for conversation in [two, room] {
        let join = GroupCommand::Join { conversation, video: false };
        assert!(world.run(alice, Command::GroupCall(join)).is_err());
    }
    let start = sotto_node_core::calls::CallCommand::Start { conversation: band, video: false };
    let refused = world.run(alice, Command::Call(start)).expect_err("a group");
    assert!(refused.text.contains("a group is called from a browser"), "{}", refused.text);
    assert!(world.devices[bob].events.iter().all(|event| !matches!(event, Event::GroupCall(_))));
}
