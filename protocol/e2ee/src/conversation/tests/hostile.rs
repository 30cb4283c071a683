//! Issue 2 item 5: hostile logs and hostile members, each refused or detected for the stated reason.

use super::super::*;
use crate::content::Content;
use crate::identity::LocalDevice;
use crate::mls::Provider;
use crate::test_people::{CONVERSATION, Person, Relay, conversation_of, device, identity, now, rng, text};
use openmls::prelude::{BasicCredential, CredentialWithKey, KeyPackage, LeafNodeParameters};
use openmls_traits::OpenMlsProvider as _;
use sotto_mls::certificate::DeviceCertificate;
use sotto_protocol::body::log::Entry;
use sotto_protocol::ids::{AccountId, DeviceId, MessageNumber, UnixMillis};

const SUITE: Suite = Suite::X25519;

/// What a person makes of an entry at its next place; nothing of it is kept.
fn peek(person: &mut Person, entry: &Entry) -> Processed {
    let mut entry = entry.clone();
    entry.sequence = person.conversation().cursor().next();
    let mut seen = None;
    let dropped: Result<(), ()> = person.try_act(|tx, _, me, conversation| {
        seen =
            Some(conversation.as_mut().expect("a member").process(tx, me, &entry, now()).expect("processed"));
        Err(())
    });
    assert_eq!(dropped, Err(()));
    seen.expect("the operation ran")
}

fn changed(entry: &Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entry.clone();
    change(&mut entry);
    entry
}

fn with_bytes(entry: &Entry, change: impl FnOnce(&mut Vec<u8>)) -> Entry {
    changed(entry, |entry| {
        let mut bytes = entry.message.as_slice().to_vec();
        change(&mut bytes);
        entry.message = bytes.into();
    })
}

fn trio() -> (Person, Person, Person, Relay) {
    let (mut bob, mut carol) = (Person::new(2, 2), Person::new(3, 3));
    let (alice, relay) = conversation_of(SUITE, HistoryPolicy::SinceJoining, &mut [&mut bob, &mut carol]);
    (alice, bob, carol, relay)
}

/// P-032.
#[test]
fn every_hostile_application_entry_is_refused_for_its_reason() {
    let (mut alice, mut bob, carol, mut relay) = trio();
    let first = alice.say(&mut relay, "first");
    assert_eq!(text(&bob.process(&first)), Some("first"));
    let good = alice.say(&mut relay, "second");

    let other_conversation = {
        let mut eve = Person::new(1, 1);
        let created = eve.act(|tx, rng, me, _| {
            let id = ConversationId([8; 16]);
            let (mut other, _) = Conversation::create(tx, rng, me, id, SUITE, HistoryPolicy::None, now())?;
            let content = Content::text("said elsewhere");
            other.encrypt(tx, rng, me, MessageNumber(2), &content, now())
        });
        changed(&good, |entry| entry.message = created.message)
    };
    let outsider = {
        // Somebody who is no member makes a group of the same name and reaches the same epoch.
        let (mut friend, mut mallory) = (Person::new(2, 2), Person::new(9, 9));
        let mut fake = mallory.create(SUITE, HistoryPolicy::SinceJoining);
        let package = friend.key_package(SUITE);
        mallory.change(&mut fake, Change::Add(vec![package]));
        let encrypted = mallory.encrypt(2, &Content::text("let me in"));
        changed(&good, |entry| entry.message = encrypted.message)
    };
    let table = [
        ("replayed", first.clone(), Reason::Replayed),
        ("replayed as a new number", changed(&first, |e| e.number = MessageNumber(2)), Reason::Replayed),
        ("truncated", with_bytes(&good, |bytes| bytes.truncate(bytes.len() - 1)), Reason::Malformed),
        ("cut to its header", with_bytes(&good, |bytes| bytes.truncate(30)), Reason::Malformed),
        ("empty", with_bytes(&good, Vec::clear), Reason::Malformed),
        ("extended", with_bytes(&good, |bytes| bytes.push(0)), Reason::Malformed),
        ("over the limit", with_bytes(&good, |bytes| bytes.resize(70_000, 0)), Reason::Malformed),
        ("of another conversation", other_conversation.clone(), Reason::WrongConversation),
        (
            "of another conversation with our id written over it",
            with_bytes(&other_conversation, |bytes| {
                bytes[5..21].copy_from_slice(&CONVERSATION.0);
                bytes[28] = 1;
            }),
            Reason::Altered,
        ),
        ("labelled with another epoch", changed(&good, |e| e.epoch = Epoch(0)), Reason::WrongEpoch),
        ("with another epoch written into it", with_bytes(&good, |bytes| bytes[28] = 2), Reason::WrongEpoch),
        ("under another device's name", changed(&good, |e| e.device = carol.me.device()), Reason::Spoofed),
        ("under another account's name", changed(&good, |e| e.account = carol.me.account()), Reason::Spoofed),
        ("under the reader's own name", changed(&good, |e| e.device = bob.me.device()), Reason::Spoofed),
        ("under another number", changed(&good, |e| e.number = MessageNumber(3)), Reason::Spoofed),
        ("by an outsider", outsider, Reason::Altered),
        (
            "with a commit's bytes",
            changed(&good, |e| e.message = relay.entries[0].message.clone()),
            Reason::Malformed,
        ),
    ];
    for (name, entry, reason) in table {
        let processed = peek(&mut bob, &entry);
        assert_eq!(processed.outcome, Outcome::Undecryptable(reason), "{name}");
    }
    for byte in (0..good.message.len()).step_by(3) {
        let outcome = peek(&mut bob, &with_bytes(&good, |bytes| bytes[byte] ^= 4)).outcome;
        assert!(matches!(outcome, Outcome::Undecryptable(_)), "byte {byte}: {outcome:?}");
    }
    assert_eq!(text(&bob.process(&good)), Some("second"), "nothing of it did harm");
}

/// A refused entry takes its place in the log, and costs nobody else theirs.
#[test]
fn what_follows_a_refused_entry_is_read() {
    let (mut alice, mut bob, _, mut relay) = trio();
    let first = alice.say(&mut relay, "first");
    bob.process(&first);
    let second = alice.say(&mut relay, "second");
    let broken = with_bytes(&second, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    assert_eq!(bob.process(&broken).outcome, Outcome::Undecryptable(Reason::Altered));
    let third = alice.say(&mut relay, "third");
    let processed = bob.process(&third);
    assert_eq!(text(&processed), Some("third"));
    // The log that the relay showed to Alice held the unbroken entry: that is a fork, and it is told.
    assert!(
        processed.alerts.iter().all(|alert| matches!(alert, Alert::LogForked { .. })),
        "{:?}",
        processed.alerts
    );
    assert_eq!(processed.alerts.len(), 1, "the refused entry explains the missing number");
}

#[test]
fn reordered_and_withheld_contents_are_noticed() {
    let (mut alice, mut bob, _, mut relay) = trio();
    let entries: Vec<_> = ["one", "two", "three"].map(|word| alice.say(&mut relay, word)).to_vec();
    bob.process(&entries[0]);
    let skipped = bob.process(&changed(&entries[2], |entry| entry.sequence = Sequence(3)));
    assert_eq!(text(&skipped), Some("three"));
    let withheld =
        Alert::Withheld { device: alice.me.device(), due: MessageNumber(2), got: MessageNumber(3) };
    assert!(skipped.alerts.contains(&withheld), "{:?}", skipped.alerts);
    let late = bob.process(&changed(&entries[1], |entry| entry.sequence = Sequence(4)));
    assert_eq!(late.outcome, Outcome::Undecryptable(Reason::Replayed));
}

/// Decision 11: the history of a log is compared by what its readers say to each other.
/// P-035.
#[test]
fn a_forked_log_is_told_by_the_next_content() {
    let (mut alice, mut bob, mut carol, mut relay) = trio();
    let real = carol.say(&mut relay, "only alice is shown this");
    alice.process(&real);
    // The relay shows bob nothing of it, and moves what follows up by one.
    let after = alice.say(&mut relay, "as carol said");
    let processed = bob.process(&changed(&after, |entry| entry.sequence = Sequence(2)));
    assert_eq!(text(&processed), Some("as carol said"));
    let by = Sender::from(alice.me.certificate());
    assert_eq!(processed.alerts, [Alert::LogForked { by, at: Sequence(2) }]);

    // The relay puts something else at the place.
    let (mut alice, mut bob, mut carol, mut relay) = trio();
    let real = carol.say(&mut relay, "only alice is shown this");
    alice.process(&real);
    let after = alice.say(&mut relay, "as carol said");
    let filler = with_bytes(&real, |bytes| {
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
    });
    assert_eq!(bob.process(&filler).outcome, Outcome::Undecryptable(Reason::Altered));
    let processed = bob.process(&after);
    assert_eq!(text(&processed), Some("as carol said"));
    assert_eq!(processed.alerts, [Alert::LogForked { by, at: Sequence(2) }]);
}

#[test]
fn an_honest_log_raises_no_alert_however_its_readers_lag() {
    let (mut alice, mut bob, mut carol, mut relay) = trio();
    for round in 0..3 {
        alice.say(&mut relay, "a");
        bob.say(&mut relay, "b");
        if round == 1 {
            carol.catch_up(&relay);
            carol.change(&mut relay, Change::Update);
        }
        for person in [&mut alice, &mut bob, &mut carol] {
            let processed = person.catch_up(&relay);
            assert!(processed.iter().all(|entry| entry.alerts.is_empty()), "{processed:?}");
            assert!(!processed.iter().any(|entry| matches!(entry.outcome, Outcome::Undecryptable(_))));
        }
    }
}

/// P-035.
#[test]
fn a_rewritten_and_a_rewound_log_are_told() {
    let (mut alice, mut bob, _, mut relay) = trio();
    let entry = alice.say(&mut relay, "written once");
    bob.process(&entry);
    assert_eq!(bob.process(&entry), Processed { outcome: Outcome::Known, alerts: Vec::new() });
    let other = with_bytes(&entry, |bytes| bytes[40] ^= 1);
    let rewritten =
        Processed { outcome: Outcome::Known, alerts: vec![Alert::LogRewritten { at: Sequence(2) }] };
    assert_eq!(bob.process(&other), rewritten);
    assert_eq!(check_head(bob.conversation().cursor(), Sequence(2)), None);
    let rewound = Alert::LogRewound { cursor: Sequence(2), head: Sequence(1) };
    assert_eq!(check_head(bob.conversation().cursor(), Sequence(1)), Some(rewound));
}

#[test]
fn every_hostile_commit_entry_is_refused_for_its_reason() {
    let (mut alice, mut bob, carol, mut relay) = trio();
    let old = relay.entries[0].clone();
    let staged = alice.stage(Change::RemoveAccounts(vec![carol.me.account()]));
    let good = relay.commit(&alice.me, &staged);
    let table = [
        ("of an ended epoch", changed(&old, |e| e.epoch = Epoch(1)), Reason::WrongEpoch),
        ("under another name", changed(&good, |e| e.device = carol.me.device()), Reason::Spoofed),
        ("truncated", with_bytes(&good, |bytes| bytes.truncate(bytes.len() - 1)), Reason::Malformed),
        ("of another conversation", with_bytes(&good, |bytes| bytes[5] ^= 1), Reason::WrongConversation),
        (
            "with another tag",
            with_bytes(&good, |bytes| {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }),
            Reason::CommitInvalid,
        ),
    ];
    for (name, entry, reason) in table {
        assert_eq!(peek(&mut bob, &entry).outcome, Outcome::Undecryptable(reason), "{name}");
    }
    for byte in (0..good.message.len()).step_by(61) {
        let outcome = peek(&mut bob, &with_bytes(&good, |bytes| bytes[byte] ^= 4)).outcome;
        assert!(matches!(outcome, Outcome::Undecryptable(_)), "byte {byte}: {outcome:?}");
    }
    assert!(matches!(bob.process(&good).outcome, Outcome::Commit(_)));
}

#[test]
fn a_removed_member_is_refused_whatever_it_writes() {
    let (mut alice, mut bob, mut mallory, mut relay) = trio();
    alice.change(&mut relay, Change::RemoveAccounts(vec![mallory.me.account()]));
    bob.catch_up(&relay);
    // Mallory does not process her removal and goes on writing.
    let entry = mallory.say(&mut relay, "still here?");
    assert_eq!(peek(&mut bob, &entry).outcome, Outcome::Undecryptable(Reason::WrongEpoch));
    let patched = changed(&with_bytes(&entry, |bytes| bytes[28] = 2), |entry| entry.epoch = Epoch(2));
    assert_eq!(peek(&mut bob, &patched).outcome, Outcome::Undecryptable(Reason::Altered));
    let wish = relay.leave(&mallory.me);
    assert_eq!(peek(&mut bob, &wish).outcome, Outcome::Undecryptable(Reason::NotMember));
}

#[test]
fn a_wish_to_leave_that_its_device_did_not_sign_is_refused() {
    let (alice, mut bob, carol, mut relay) = trio();
    let wish = relay.leave(&carol.me);
    let forged = with_bytes(&wish, |bytes| bytes[0] ^= 1);
    assert_eq!(peek(&mut bob, &forged).outcome, Outcome::Undecryptable(Reason::LeaveForged));
    let relabelled = changed(&wish, |entry| {
        entry.account = alice.me.account();
        entry.device = alice.me.device();
    });
    assert_eq!(peek(&mut bob, &relabelled).outcome, Outcome::Undecryptable(Reason::LeaveForged));
    let short = with_bytes(&wish, |bytes| bytes.truncate(10));
    assert_eq!(peek(&mut bob, &short).outcome, Outcome::Undecryptable(Reason::LeaveForged));
}

/// A commit made with the bare library: what a member with a changed program could send.
fn raw_commit(
    mallory: &mut Person,
    credential: Option<CredentialWithKey>,
    add: Option<KeyPackage>,
) -> Vec<u8> {
    mallory.act(|tx, rng, me, conversation| {
        let group = &mut conversation.as_mut().expect("a member").group;
        let provider = Provider::new(MlsStorage(tx), rng);
        let mut parameters = LeafNodeParameters::builder();
        if let Some(credential) = credential {
            parameters = parameters.with_credential_with_key(credential);
        }
        let bundle = group
            .commit_builder()
            .propose_adds(add)
            .force_self_update(true)
            .leaf_node_parameters(parameters.build())
            .load_psks(provider.storage())
            .expect("no pre-shared keys")
            .build(provider.rand(), provider.crypto(), me, |_| true)
            .expect("the library builds it")
            .stage_commit(&provider)
            .expect("the library stages it");
        join::bytes(bundle.commit())
    })
}

fn commit_entry(relay: &Relay, sender: &Person, message: Vec<u8>) -> Entry {
    changed(&relay.entries[0], |entry| {
        entry.account = sender.me.account();
        entry.device = sender.me.device();
        entry.epoch = relay.state.epoch();
        entry.message = message.into();
    })
}

/// A package of a device whose certificate is `certificate`, signed by the key of `me`.
fn package_showing(me: &LocalDevice, certificate: Vec<u8>) -> KeyPackage {
    let store = crate::store::MemoryStore::new();
    let tx = Transaction::new(&store);
    let provider = Provider::new(MlsStorage(&tx), &mut rng());
    let credential = CredentialWithKey {
        credential: BasicCredential::new(certificate).into(),
        signature_key: me.device_key().to_vec().into(),
    };
    let bundle = KeyPackage::builder().build(SUITE.ciphersuite(), &provider, me, credential);
    bundle.expect("the library builds it").into_key_package()
}

/// P-030.
#[test]
fn forged_certificates_are_refused_wherever_they_come_in() {
    let (alice, mut bob, mut mallory, relay) = trio();
    let dave = device(4, 4);
    let refused = |bob: &mut Person, mallory: &Person, message| {
        peek(bob, &commit_entry(&relay, mallory, message)).outcome
    };

    // Mallory adds a device that claims to be of Alice's account, by an identity key that she made up.
    let own_identity = crate::identity::AccountIdentity::generate(&mut rng());
    let fake = own_identity.issue_device(&mut rng(), alice.me.account(), DeviceId([66; 16]), UnixMillis(1));
    let add = package_showing(&fake, fake.certificate_bytes());
    let message = raw_commit(&mut mallory, None, Some(add));
    let outcome = refused(&mut bob, &mallory, message);
    assert_eq!(outcome, Outcome::Undecryptable(Reason::ForgedCertificate), "two identities for one account");

    // She adds a device with a certificate that nobody signed.
    mallory.act(|tx, _, _, conversation| {
        conversation.as_mut().expect("a member").group.clear_pending_commit(&MlsStorage(tx))
    });
    let mut unsigned = dave.certificate_bytes();
    let last = unsigned.len() - 1;
    unsigned[last] ^= 1;
    let message = raw_commit(&mut mallory, None, Some(package_showing(&dave, unsigned)));
    assert_eq!(refused(&mut bob, &mallory, message), Outcome::Undecryptable(Reason::ForgedCertificate));

    // She shows Alice's certificate in her own leaf.
    mallory.act(|tx, _, _, conversation| {
        conversation.as_mut().expect("a member").group.clear_pending_commit(&MlsStorage(tx))
    });
    let credential = CredentialWithKey {
        credential: BasicCredential::new(alice.me.certificate_bytes()).into(),
        signature_key: mallory.me.device_key().to_vec().into(),
    };
    let message = raw_commit(&mut mallory, Some(credential), None);
    assert_eq!(refused(&mut bob, &mallory, message), Outcome::Undecryptable(Reason::ForgedCertificate));

    // She certifies herself as another device of her own account: a device does not change its certificate.
    mallory.act(|tx, _, _, conversation| {
        conversation.as_mut().expect("a member").group.clear_pending_commit(&MlsStorage(tx))
    });
    let key = ed25519_dalek::SigningKey::from_bytes(identity(3).secret());
    let (account, device_key) = (AccountId([3; 16]), mallory.me.device_key());
    let renamed = DeviceCertificate::issue(&key, account, DeviceId([77; 16]), device_key, UnixMillis(1));
    let credential = sotto_mls::credential::credential_with_key(&renamed);
    let message = raw_commit(&mut mallory, Some(credential), None);
    assert_eq!(refused(&mut bob, &mallory, message), Outcome::Undecryptable(Reason::ForgedCertificate));
}

/// P-036.
#[test]
fn a_changed_identity_key_is_told_loudly_when_it_joins() {
    let (mut alice, mut bob, carol, mut relay) = trio();
    let old = carol.me.identity_key();
    bob.act(|tx, _, _, _| crate::pins::verify(tx, carol.me.account(), &old));
    alice.change(&mut relay, Change::RemoveAccounts(vec![carol.me.account()]));
    bob.catch_up(&relay);
    // Somebody registers as Carol with another identity key and is let in.
    let stranger = crate::identity::AccountIdentity::generate(&mut rng());
    let me = stranger.issue_device(&mut rng(), carol.me.account(), DeviceId([9; 16]), UnixMillis(1));
    let mut stranger = Person::of(me, 9);
    let new = stranger.me.identity_key();
    let changed =
        |was_verified| vec![Alert::IdentityChanged { account: carol.me.account(), old, new, was_verified }];
    let package = stranger.key_package(SUITE);
    let staged = alice.stage(Change::Add(vec![package]));
    assert_eq!(staged.alerts, changed(false), "the one who adds is told before the commit is sent");
    let entry = relay.commit(&alice.me, &staged);
    assert_eq!(bob.process(&entry).alerts, changed(true));
}

#[test]
fn a_relay_that_lies_about_the_group_to_join_is_refused() {
    let (mut alice, _, _, relay) = trio();
    let mut dave = Person::new(4, 4);
    let join = |dave: &mut Person, group: &sotto_protocol::body::conversation::Group| {
        dave.try_act(|tx, rng, me, _| {
            let history = HistoryPolicy::SinceJoining;
            Conversation::join_external(tx, rng, me, CONVERSATION, history, group, now()).map(drop)
        })
    };
    let group = relay.group();
    assert!(join(&mut dave, &group).is_ok());
    dave = Person::new(4, 4);
    let mut other_epoch = group.clone();
    other_epoch.epoch = Epoch(0);
    assert!(matches!(join(&mut dave, &other_epoch), Err(ConversationError::GroupInvalid(_))));
    let mut altered = group.clone();
    let mut bytes = altered.tree.as_slice().to_vec();
    bytes[200] ^= 1;
    altered.tree = bytes.into();
    assert!(matches!(join(&mut dave, &altered), Err(ConversationError::GroupInvalid(_))));
    let mut cut = group.clone();
    cut.group_info = cut.group_info.0.slice(..20).into();
    assert!(matches!(join(&mut dave, &cut), Err(ConversationError::GroupInvalid(_))));

    // A Welcome for somebody else, or with the tree of another epoch.
    let package = dave.key_package(SUITE);
    let mut relay = relay;
    let staged = alice.change(&mut relay, Change::Add(vec![package]));
    let mut eve = Person::new(5, 5);
    assert!(matches!(eve.join_welcome(&relay, &staged), Err(ConversationError::NoKeyPackage)));
    let before = dave.store.rows().count();
    alice.change(&mut relay, Change::Update);
    assert!(matches!(dave.join_welcome(&relay, &staged), Err(ConversationError::GroupInvalid(_))));
    assert_eq!(dave.store.rows().count(), before, "a failed join uses nothing up");
}

#[test]
fn a_member_that_was_told_another_history_policy_is_told_of() {
    let mut bob = Person::new(2, 2);
    let mut alice = Person::new(1, 1);
    let mut relay = alice.create(SUITE, HistoryPolicy::None);
    let package = bob.key_package(SUITE);
    let staged = alice.change(&mut relay, Change::Add(vec![package]));
    bob.join_welcome_with(&relay, &staged, HistoryPolicy::All).expect("bob joins");
    bob.say(&mut relay, "is this kept?");
    let alerts = alice.catch_up(&relay).remove(0).alerts;
    let by = Sender::from(bob.me.certificate());
    let (theirs, ours) = (HistoryPolicy::All, HistoryPolicy::None);
    assert_eq!(alerts, [Alert::HistoryDiffers { by, theirs, ours }]);
}
