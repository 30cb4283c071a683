//! Who reads the past: the archive as the only source.

use super::super::*;
use crate::archive_keys::{self, OpenError};
use crate::content::Content;
use crate::seal::SealError;
use crate::test_people::{CONVERSATION, Person, Relay, conversation_of, now};
use sotto_protocol::body::log::ArchiveEntry;
use sotto_protocol::ids::{AccountId, MessageNumber};

/// The texts of the archive that a person can open, in the log's order.
fn readable(person: &Person, relay: &Relay) -> Vec<String> {
    let tx = Transaction::new(&person.store);
    let open = |entry| match archive_keys::open(&tx, CONVERSATION, entry) {
        Ok(verified) => match verified.content {
            Content::Text(text) => Some(text.body),
            _ => None,
        },
        Err(OpenError::Seal(SealError::NoKey)) => None,
        Err(error) => panic!("{error}"),
    };
    relay.archive.iter().filter_map(open).collect()
}

/// A person asks in the log, everybody else answers there, the person takes what comes.
fn exchange_keys(asker: &mut Person, answerer: &mut Person, relay: &mut Relay) -> Vec<Epoch> {
    let request = asker.act(|tx, rng, _, conversation| {
        conversation.as_ref().expect("a member").request_keys(tx, rng, Epoch(0), Epoch(u64::MAX))
    });
    asker.send(relay, &request);
    let heard = answerer.catch_up(relay);
    let Some(Outcome::Content(asked)) = heard.into_iter().last().map(|processed| processed.outcome) else {
        panic!("the request is heard")
    };
    let answer = answerer.act(|tx, _, me, conversation| {
        conversation.as_ref().expect("a member").answer_keys(tx, me, &asked.sender, &asked.content)
    });
    let Some(answer) = answer else { return Vec::new() };
    answerer.send(relay, &answer);
    let heard = asker.catch_up(relay);
    let Some(Outcome::Content(answered)) = heard.into_iter().last().map(|processed| processed.outcome) else {
        panic!("the answer is heard")
    };
    asker.act(|tx, _, me, conversation| {
        conversation.as_ref().expect("a member").take_keys(tx, me, &answered.sender, &answered.content)
    })
}

fn join(person: &mut Person, others: &mut [&mut Person], relay: &mut Relay, history: HistoryPolicy) {
    let staged = person.join_external(&relay.group(), history);
    let entry = relay.commit(&person.me, &staged);
    person.act(|tx, _, _, conversation| conversation.as_mut().expect("joining").confirm(tx, entry.sequence));
    for other in others {
        other.catch_up(relay);
    }
}

/// Issue 2 item 9: a second device of an account reads history from the archive.
#[test]
fn a_second_device_reads_all_that_its_account_may_read() {
    for history in [HistoryPolicy::SinceJoining, HistoryPolicy::All] {
        let mut bob = Person::new(2, 2);
        let (mut alice, mut relay) = conversation_of(Suite::XWing, history, &mut [&mut bob]);
        alice.say(&mut relay, "one");
        bob.catch_up(&relay);
        bob.change(&mut relay, Change::Update);
        bob.say(&mut relay, "two");
        alice.catch_up(&relay);
        let mut phone = Person::new(2, 9);
        join(&mut phone, &mut [&mut alice, &mut bob], &mut relay, history);
        assert!(readable(&phone, &relay).is_empty());
        assert_eq!(exchange_keys(&mut phone, &mut bob, &mut relay).len(), 2);
        assert_eq!(readable(&phone, &relay), ["one", "two"]);
    }
}

/// Issue 2 item 9: a joiner where the policy allows it reads history, one where it does not cannot.
#[test]
fn a_joiner_reads_the_past_only_where_the_policy_allows_it() {
    for (history, epochs, texts) in [
        (HistoryPolicy::All, 2, &["before"][..]),
        (HistoryPolicy::SinceJoining, 0, &[]),
        (HistoryPolicy::None, 0, &[]),
    ] {
        let mut bob = Person::new(2, 2);
        let (mut alice, mut relay) = conversation_of(Suite::X25519, history, &mut [&mut bob]);
        alice.say(&mut relay, "before");
        bob.catch_up(&relay);
        let mut carol = Person::new(3, 3);
        join(&mut carol, &mut [&mut alice, &mut bob], &mut relay, history);
        assert_eq!(exchange_keys(&mut carol, &mut alice, &mut relay).len(), epochs, "{history:?}");
        assert_eq!(readable(&carol, &relay), texts, "{history:?}");
        assert_eq!(relay.archive.is_empty(), history == HistoryPolicy::None);
    }
}

#[test]
fn a_member_that_lost_its_keys_gets_those_since_it_joined_and_no_earlier_ones() {
    let history = HistoryPolicy::SinceJoining;
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, history, &mut [&mut bob]);
    alice.say(&mut relay, "before carol");
    let mut carol = Person::new(3, 3);
    let package = carol.key_package(Suite::X25519);
    let staged = alice.change(&mut relay, Change::Add(vec![package]));
    bob.catch_up(&relay);
    carol.join_welcome_with(&relay, &staged, history).expect("carol joins");
    alice.say(&mut relay, "with carol");
    alice.change(&mut relay, Change::Update);
    bob.catch_up(&relay);
    // Carol's store is lost, her device's keys are not.
    let mut again = Person::of(crate::test_people::device(3, 3), 33);
    join(&mut again, &mut [&mut alice, &mut bob], &mut relay, history);
    assert_eq!(exchange_keys(&mut again, &mut alice, &mut relay).len(), 2);
    assert_eq!(readable(&again, &relay), ["with carol"]);
}

#[test]
fn an_answer_is_readable_by_the_asking_device_only() {
    let history = HistoryPolicy::All;
    let (mut bob, mut carol) = (Person::new(2, 2), Person::new(3, 3));
    let (mut alice, mut relay) = conversation_of(Suite::X25519, history, &mut [&mut bob, &mut carol]);
    let request = bob.act(|tx, rng, _, conversation| {
        conversation.as_ref().expect("a member").request_keys(tx, rng, Epoch(0), Epoch(9))
    });
    bob.send(&mut relay, &request);
    alice.catch_up(&relay);
    let sender = |person: &Person| Sender::from(person.me.certificate());
    let answer = alice.act(|tx, _, me, conversation| {
        conversation.as_ref().expect("a member").answer_keys(tx, me, &sender(&bob), &request)
    });
    let answer = answer.expect("alice has a key");
    let take = |person: &mut Person, from: Sender, answer: &Content| {
        person.act(|tx, _, me, conversation| {
            conversation.as_ref().expect("a member").take_keys(tx, me, &from, answer)
        })
    };
    assert!(take(&mut carol, sender(&alice), &answer).is_empty(), "carol is not asked");
    assert!(take(&mut bob, sender(&carol), &answer).is_empty(), "carol did not seal it");
    let Content::KeyAnswer { to, request, mut sealed } = answer.clone() else { panic!("an answer") };
    sealed[100] ^= 1;
    assert!(take(&mut bob, sender(&alice), &Content::KeyAnswer { to, request, sealed }).is_empty());
    assert_eq!(take(&mut bob, sender(&alice), &answer), [Epoch(0)], "epoch 1 bob has from the group itself");
}

/// P-034.
#[test]
fn the_archive_refuses_what_was_moved_altered_or_relabelled() {
    let mut bob = Person::new(2, 2);
    let (mut alice, mut relay) = conversation_of(Suite::X25519, HistoryPolicy::All, &mut [&mut bob]);
    alice.say(&mut relay, "in the archive");
    let good = relay.archive[0].clone();
    let open = |entry: &ArchiveEntry| {
        let tx = Transaction::new(&bob.store);
        match archive_keys::open(&tx, CONVERSATION, entry) {
            Err(OpenError::Seal(error)) => Err(error),
            other => Ok(other.expect("memory")),
        }
    };
    let opened = open(&good).expect("nothing was changed");
    assert_eq!(opened.content, Content::text("in the archive"));
    assert!(!opened.identity_differs);
    for (change, refusal) in [
        (
            {
                let mut e = good.clone();
                e.number = MessageNumber(2);
                e
            },
            SealError::Altered,
        ),
        (
            {
                let mut e = good.clone();
                e.device = bob.me.device();
                e
            },
            SealError::Altered,
        ),
        (
            {
                let mut e = good.clone();
                e.account = bob.me.account();
                e
            },
            SealError::SpoofedSender,
        ),
        (
            {
                let mut e = good.clone();
                e.epoch = Epoch(7);
                e
            },
            SealError::NoKey,
        ),
        (
            {
                let mut e = good.clone();
                e.sealed = vec![0; 10].into();
                e
            },
            SealError::Altered,
        ),
    ] {
        assert_eq!(open(&change).err(), Some(refusal));
    }
    let tx = Transaction::new(&bob.store);
    let elsewhere = archive_keys::open(&tx, ConversationId([8; 16]), &good);
    assert!(matches!(elsewhere, Err(OpenError::Seal(SealError::NoKey))));
    crate::pins::observe(&tx, AccountId([1; 16]), &[9; 32], now()).expect("memory");
    assert!(archive_keys::open(&tx, CONVERSATION, &good).expect("opens").identity_differs);
}

#[test]
fn a_content_that_was_missed_is_sent_again_to_whom_may_have_it() {
    let (mut bob, mut carol) = (Person::new(2, 2), Person::new(3, 3));
    let (mut alice, mut relay) =
        conversation_of(Suite::X25519, HistoryPolicy::None, &mut [&mut bob, &mut carol]);
    let missed = alice.say(&mut relay, "say again");
    let sender = |person: &Person| Sender::from(person.me.certificate());
    let resent = ResentContent {
        sequence: missed.sequence,
        account: missed.account,
        device: missed.device,
        number: missed.number,
        sent_at: now(),
        content: Content::text("say again"),
    };
    let request = bob.act(|tx, rng, _, conversation| {
        conversation.as_ref().expect("a member").request_resend(tx, rng, vec![missed.sequence])
    });
    let answer = |person: &mut Person, asker: Sender, epoch: u64| {
        person.act(|tx, _, me, conversation| {
            let conversation = conversation.as_ref().expect("a member");
            conversation.answer_resend(tx, me, &asker, &request, Epoch(epoch), &resent)
        })
    };
    let take = |person: &mut Person, from: Sender, answer: &Content| {
        person.act(|tx, _, me, conversation| {
            conversation.as_ref().expect("a member").take_resent(tx, me, &from, answer)
        })
    };
    let answered = answer(&mut alice, sender(&bob), 1).expect("alice said it, bob was there");
    assert_eq!(take(&mut bob, sender(&alice), &answered), Some(resent.clone()));
    assert_eq!(take(&mut carol, sender(&alice), &answered), None, "it is sealed to bob");
    assert_eq!(answer(&mut alice, sender(&bob), 0), None, "bob was no member in epoch 0");
    assert_eq!(answer(&mut carol, sender(&bob), 1), None, "carol did not say it");
}
