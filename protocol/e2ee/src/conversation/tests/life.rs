//! The ordinary life of a conversation.

use super::super::*;
use crate::content::Content;
use crate::key_package;
use crate::store::{MemoryStore, Store as _};
use crate::test_people::{CONVERSATION, Person, conversation_of, now, text};
use sotto_protocol::ids::{AccountId, DeviceId, MessageNumber};

#[test]
fn three_people_talk_in_both_suites() {
    for suite in Suite::ALL {
        let (mut bob, mut carol) = (Person::new(2, 2), Person::new(3, 3));
        let (mut alice, mut relay) =
            conversation_of(suite, HistoryPolicy::SinceJoining, &mut [&mut bob, &mut carol]);
        alice.say(&mut relay, "hello");
        bob.catch_up(&relay);
        bob.say(&mut relay, "hi");
        bob.say(&mut relay, "how are you?");
        let heard = carol.catch_up(&relay);
        assert_eq!(heard.iter().filter_map(text).collect::<Vec<_>>(), ["hello", "hi", "how are you?"]);
        assert!(heard.iter().all(|processed| processed.alerts.is_empty()));
        let sender = match &heard[1].outcome {
            Outcome::Content(verified) => verified.sender,
            other => panic!("{other:?}"),
        };
        assert_eq!(sender, Sender::from(bob.me.certificate()));
        alice.catch_up(&relay);
        assert_eq!(alice.conversation().members().len(), 3);
        assert_eq!(alice.conversation().suite(), suite);
        assert_eq!(*alice.conversation().epoch_authenticator(), *carol.conversation().epoch_authenticator());
    }
}

/// P-045.
#[test]
fn the_key_of_media_is_the_same_for_all_members_and_another_one_in_each_epoch() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let mut before = None;
    for _ in 0..2 {
        let (one, other) = [&alice, &bob].map(|who| who.conversation().media_key().expect("a member")).into();
        assert_eq!((one.epoch, &one.base_key, &one.senders), (other.epoch, &other.base_key, &other.senders));
        for (who, key) in [(&alice, &one), (&bob, &other)] {
            assert!(key.senders.contains(&(who.me.device(), key.mine)));
        }
        assert_ne!(before.replace(one.base_key.clone()), Some(one.base_key));
        alice.change(&mut relay, Change::Update);
        bob.catch_up(&relay);
    }
}

#[test]
fn a_conversation_goes_on_after_a_restart_at_any_point() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::XWing, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    for word in ["one", "two"] {
        alice.reload();
        alice.say(&mut relay, word);
        bob.reload();
        let heard = bob.catch_up(&relay);
        assert_eq!(heard.iter().filter_map(text).collect::<Vec<_>>(), [word]);
    }
    alice.stage(Change::Update);
    alice.reload();
    assert!(alice.conversation().has_staged());
}

#[test]
fn own_entries_are_counted_whether_they_come_back_or_not() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::None, &mut [&mut bob]);
    bob.say(&mut relay, "first");
    // Alice's entry is placed at 3 before she has seen 2; it is never delivered back to her.
    let own = alice.say(&mut relay, "second");
    assert_eq!((own.sequence, alice.conversation().cursor()), (Sequence(3), Sequence(1)));
    let heard = alice.process(&relay.entries[1].clone());
    assert_eq!(text(&heard), Some("first"));
    assert_eq!(alice.conversation().cursor(), Sequence(3));
    assert_eq!(alice.process(&own).outcome, Outcome::Known);

    // The log delivers it before the relay's answer: the answer changes nothing then.
    let encrypted = alice.encrypt(2, &Content::text("third"));
    let entry = relay.append(&alice.me, MessageNumber(2), &encrypted);
    assert_eq!(alice.process(&entry).outcome, Outcome::Own { number: MessageNumber(2) });
    alice.act(|tx, _, _, conversation| {
        conversation.as_mut().expect("a member").appended(tx, MessageNumber(2), entry.sequence)
    });
    assert_eq!(alice.conversation().cursor(), Sequence(4));
    bob.catch_up(&relay);
    alice.say(&mut relay, "no alert follows");
    assert!(bob.catch_up(&relay).iter().all(|processed| processed.alerts.is_empty()));
    let due = Sequence(6);
    let mut later = entry;
    later.sequence = Sequence(9);
    assert!(matches!(bob.try_process(&later), Err(ConversationError::Gap { due: d, .. }) if d == due));
}

/// Design section 5: a client merges its own commit only after the relay accepted it; the loser rebases.
/// P-031.
#[test]
fn the_loser_of_a_race_follows_the_winner_and_stages_again() {
    let (mut bob, mut carol) = (Person::new(2, 2), Person::new(3, 3));
    let (mut alice, mut relay) =
        conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob, &mut carol]);
    let won = alice.stage(Change::Update);
    bob.stage(Change::RemoveAccounts(vec![carol.me.account()]));
    let entry = relay.commit(&alice.me, &won);
    let summary = match bob.process(&entry).outcome {
        Outcome::Commit(summary) => summary,
        other => panic!("{other:?}"),
    };
    assert!(summary.staged_was_cleared);
    assert_eq!(summary.committer, Some(Sender::from(alice.me.certificate())));
    assert!(!bob.conversation().has_staged());
    assert!(matches!(alice.process(&entry).outcome, Outcome::OwnCommit(_)));
    let again = bob.change(&mut relay, Change::RemoveAccounts(vec![carol.me.account()]));
    assert_eq!(again.epoch, bob.conversation().epoch());
    let outcome = alice.process(&relay.entries[2].clone()).outcome;
    assert!(
        matches!(outcome, Outcome::Commit(summary) if summary.removed == [Sender::from(carol.me.certificate())])
    );
    carol.process(&entry);
    let outcome = carol.process(&relay.entries[2].clone()).outcome;
    assert!(matches!(outcome, Outcome::Removed(_)));
    assert_eq!(*alice.conversation().epoch_authenticator(), *bob.conversation().epoch_authenticator());
}

#[test]
fn a_commit_is_confirmed_only_where_the_log_is_read_up_to_it() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    bob.say(&mut relay, "before the commit");
    let staged = alice.stage(Change::Update);
    let entry = relay.commit(&alice.me, &staged);
    let confirm = |person: &mut Person| {
        person.try_act(|tx, _, _, conversation| {
            conversation.as_mut().expect("a member").confirm(tx, entry.sequence)
        })
    };
    assert!(matches!(confirm(&mut alice), Err(ConversationError::Gap { due: Sequence(2), .. })));
    alice.process(&relay.entries[1].clone());
    assert!(matches!(confirm(&mut alice).expect("next").outcome, Outcome::OwnCommit(_)));
    assert!(matches!(confirm(&mut alice), Err(ConversationError::NothingStaged)));
    bob.catch_up(&relay);
    bob.say(&mut relay, "after");
    assert_eq!(alice.catch_up(&relay).iter().filter_map(text).collect::<Vec<_>>(), ["after"]);
}

#[test]
fn an_abandoned_commit_leaves_no_trace_and_impossible_changes_are_refused() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    alice.stage(Change::Update);
    let stage = |person: &mut Person, change| {
        person.try_act(|tx, rng, me, conversation| {
            conversation.as_mut().expect("a member").stage(tx, rng, me, change, now())
        })
    };
    assert!(matches!(stage(&mut alice, Change::Update), Err(ConversationError::CommitPending)));
    alice.act(|tx, _, _, conversation| conversation.as_mut().expect("a member").abandon(tx));
    for change in [
        Change::Add(Vec::new()),
        Change::RemoveAccounts(vec![AccountId([9; 16])]),
        Change::RemoveAccounts(vec![alice.me.account()]),
        Change::RemoveDevices(vec![DeviceId([9; 16])]),
        Change::Add(vec![bob.key_package(Suite::X25519)]),
        Change::Add(vec![Person::new(4, 4).key_package(Suite::XWing)]),
    ] {
        assert!(matches!(stage(&mut alice, change), Err(ConversationError::BadChange(_))));
    }
    alice.say(&mut relay, "still here");
    assert_eq!(bob.catch_up(&relay).iter().filter_map(text).collect::<Vec<_>>(), ["still here"]);
}

/// The store's contract: state and frame are one write, so a transaction that is dropped never happened.
#[test]
fn a_dropped_transaction_leaves_the_group_as_it_was() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let before: Vec<_> = alice.store.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    let dropped: Result<(), ()> = alice.try_act(|tx, rng, me, conversation| {
        let conversation = conversation.as_mut().expect("a member");
        let content = Content::text("never sent");
        conversation.encrypt(tx, rng, me, MessageNumber(1), &content, now()).expect("encrypts");
        conversation.stage(tx, rng, me, Change::Update, now()).expect("stages");
        Err(())
    });
    assert_eq!(dropped, Err(()));
    let after: Vec<_> = alice.store.rows().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
    assert_eq!(before, after);
    alice.say(&mut relay, "sent");
    assert_eq!(bob.catch_up(&relay).iter().filter_map(text).collect::<Vec<_>>(), ["sent"]);

    let entry = alice.say(&mut relay, "read twice");
    let dropped: Result<(), ()> = bob.try_act(|tx, _, me, conversation| {
        let processed = conversation.as_mut().expect("a member").process(tx, me, &entry, now());
        assert_eq!(text(&processed.expect("reads")), Some("read twice"));
        Err(())
    });
    assert_eq!(dropped, Err(()));
    assert_eq!(text(&bob.process(&entry)), Some("read twice"));
}

#[test]
fn a_device_joins_by_external_commit_and_one_that_lost_its_state_joins_again() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::XWing, HistoryPolicy::All, &mut [&mut bob]);
    let mut phone = Person::new(1, 9);
    let staged = phone.join_external(&relay.group(), HistoryPolicy::All);
    assert!(!phone.conversation().is_member());
    let entry = relay.commit(&phone.me, &staged);
    assert!(matches!(phone.process(&entry).outcome, Outcome::OwnCommit(_)));
    assert!(phone.conversation().is_member());
    for person in [&mut alice, &mut bob] {
        let outcome = person.process(&entry).outcome;
        assert!(
            matches!(outcome, Outcome::Commit(summary) if summary.added == [Sender::from(phone.me.certificate())])
        );
    }

    // Bob's store is damaged: loading says so, and he joins again with the same keys.
    bob.store = damaged(&bob.store);
    let tx = Transaction::new(&bob.store);
    assert!(matches!(Conversation::load(&tx, CONVERSATION), Err(ConversationError::Damaged(_))));
    bob.conversation = None;
    let staged = bob.join_external(&relay.group(), HistoryPolicy::All);
    let entry = relay.commit(&bob.me, &staged);
    let confirmed =
        bob.act(|tx, _, _, conversation| conversation.as_mut().expect("joining").confirm(tx, entry.sequence));
    assert!(matches!(confirmed.outcome, Outcome::OwnCommit(_)));
    let outcome = alice.process(&entry).outcome;
    assert!(
        matches!(outcome, Outcome::Commit(summary) if summary.rejoined == [Sender::from(bob.me.certificate())]
        && summary.added.is_empty() && summary.removed.is_empty())
    );
    assert_eq!(alice.conversation().members().len(), 3);
    alice.say(&mut relay, "welcome back");
    assert_eq!(bob.catch_up(&relay).iter().filter_map(text).collect::<Vec<_>>(), ["welcome back"]);
}

fn damaged(store: &MemoryStore) -> MemoryStore {
    let mut copy = MemoryStore::new();
    let tx = Transaction::new(store);
    for (key, value) in store.rows() {
        let cut = if key.starts_with(&[prefix::MLS]) { value.len() / 2 } else { value.len() };
        tx.put(key, &value[..cut]);
    }
    let batch = tx.into_batch();
    copy.commit(batch).expect("memory");
    copy
}

#[test]
fn a_join_that_lost_the_race_is_told_and_tried_again() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::All, &mut [&mut bob]);
    let mut phone = Person::new(2, 9);
    phone.join_external(&relay.group(), HistoryPolicy::All);
    alice.say(&mut relay, "in the old epoch");
    alice.change(&mut relay, Change::Update);
    let outcomes: Vec<_> = phone.catch_up(&relay).into_iter().map(|processed| processed.outcome).collect();
    assert_eq!(outcomes, [Outcome::BeforeJoining, Outcome::JoinLost]);
    let staged = phone.join_external(&relay.group(), HistoryPolicy::All);
    let entry = relay.commit(&phone.me, &staged);
    assert!(
        matches!(phone.process(&entry).outcome, Outcome::OwnCommit(summary) if summary.rejoined.is_empty())
    );
    alice.process(&entry);
    alice.say(&mut relay, "now");
    assert_eq!(phone.catch_up(&relay).iter().filter_map(text).collect::<Vec<_>>(), ["now"]);
}

#[test]
fn a_stale_content_is_encrypted_again_under_its_number() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let content = Content::text("late");
    let stale = bob.encrypt(1, &content);
    alice.change(&mut relay, Change::Update);
    bob.catch_up(&relay);
    let again = bob.encrypt(1, &content);
    assert_ne!(stale.epoch, again.epoch);
    let entry = relay.append(&bob.me, MessageNumber(1), &again);
    assert_eq!(bob.process(&entry).outcome, Outcome::Own { number: MessageNumber(1) });
    assert_eq!(text(&alice.process(&entry)), Some("late"));
}

#[test]
fn a_member_leaves_by_a_signed_wish_and_another_commits_the_removal() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::SinceJoining, &mut [&mut bob]);
    let entry = relay.leave(&bob.me);
    let account = bob.me.account();
    assert_eq!(alice.process(&entry).outcome, Outcome::Left(account));
    assert_eq!(bob.process(&entry).outcome, Outcome::Left(account));
    alice.change(&mut relay, Change::RemoveAccounts(vec![account]));
    assert!(matches!(bob.catch_up(&relay).remove(0).outcome, Outcome::Removed(_)));
    let tx = Transaction::new(&bob.store);
    assert!(Conversation::load(&tx, CONVERSATION).expect("nothing is damaged").is_none());
}

#[test]
fn a_last_resort_package_serves_several_welcomes_and_is_due_after_the_first() {
    let mut alice = Person::new(1, 1);
    let mut relay = alice.create(Suite::X25519, HistoryPolicy::SinceJoining);
    let mut bob = Person::new(2, 2);
    let package =
        bob.act(|tx, rng, me, _| key_package::generate_last_resort(tx, rng, me, Suite::X25519, now()));
    let claimed = sotto_protocol::body::directory::ClaimedKeyPackage {
        device: bob.me.device(),
        package,
        last_resort: true,
    };
    let verify = || key_package::verify(&claimed, AccountId([2; 16]), Suite::X25519, now()).expect("fresh");
    let due = |person: &Person| {
        key_package::last_resort_is_due(&Transaction::new(&person.store), now()).expect("memory")
    };
    assert!(!due(&bob));
    for _ in 0..2 {
        let staged = alice.change(&mut relay, Change::Add(vec![verify()]));
        bob.join_welcome(&relay, &staged).expect("the package is still good");
        assert!(due(&bob));
        alice.change(&mut relay, Change::RemoveAccounts(vec![bob.me.account()]));
        bob.catch_up(&relay);
    }
}

#[test]
fn ephemerals_reach_members_of_the_epoch_only() {
    use crate::content::Ephemeral;
    use crate::seal::SealError;
    use sotto_protocol::body::{Extensions, push};
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::None, &mut [&mut bob]);
    let sealed = alice.act(|_, rng, me, conversation| {
        conversation.as_ref().expect("a member").seal_ephemeral(rng, me, Ephemeral::Typing, now())
    });
    let pushed = push::Ephemeral {
        conversation: CONVERSATION,
        account: alice.me.account(),
        device: alice.me.device(),
        sealed,
        extensions: Extensions::default(),
    };
    let (sender, _, ephemeral) = bob.conversation().open_ephemeral(&pushed).expect("of this epoch");
    assert_eq!((sender, ephemeral), (Sender::from(alice.me.certificate()), Ephemeral::Typing));
    let spoofed = push::Ephemeral { account: bob.me.account(), device: bob.me.device(), ..pushed.clone() };
    assert_eq!(bob.conversation().open_ephemeral(&spoofed).err(), Some(SealError::Altered));
    let unknown = push::Ephemeral { device: DeviceId([9; 16]), ..pushed.clone() };
    assert_eq!(bob.conversation().open_ephemeral(&unknown).err(), Some(SealError::SpoofedSender));
    alice.change(&mut relay, Change::Update);
    bob.catch_up(&relay);
    assert_eq!(bob.conversation().open_ephemeral(&pushed).err(), Some(SealError::NoKey));
}
