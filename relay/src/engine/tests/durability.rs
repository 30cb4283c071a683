//! What is on the disk, whatever happens.

use super::*;
use proptest::prelude::*;
use sotto_mls::public_state::PublicState;
use sotto_protocol::body::conversation::{GetWelcomes, Group, States, Welcomes};
use std::collections::BTreeMap;

#[tokio::test]
async fn a_drain_answers_what_is_queued_and_everything_is_there_at_the_next_start() {
    let mut world = World::new();
    let mut alice = alone(&world).await;
    for number in 1..=100 {
        alice.send(&append(C, 0, number, &format!("m{number}"))).await;
    }
    world.close().await;
    for _ in 0..100 {
        assert_eq!(alice.next().await.header.kind, Appended::KIND);
    }
    world.open();
    let recovered = world.engine().recovered().clone();
    assert_eq!((recovered.conversations, recovered.replayed_batches, recovered.after_crash), (1, 0, false));
    let mut alice = world.session(1, 1);
    let entries = alice.fetch(0).await.unwrap().entries;
    assert_eq!(texts(&entries), (1..=100).map(|number| format!("m{number}")).collect::<Vec<_>>());
    let again = alice.append(100, "m100").await.unwrap();
    assert_eq!(again.sequence, Sequence(100), "numbers are remembered");
    assert_eq!(alice.append(101, "next").await.unwrap().sequence, Sequence(101));
}

/// P-020.
#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_at_any_moment() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let mut acknowledged = 0;
    for cycle in 0..12 {
        for _ in 0..7 {
            acknowledged += 1;
            alice.append(acknowledged, &format!("m{acknowledged}")).await.unwrap();
        }
        if cycle % 4 == 3 {
            // Some kills come after a checkpoint.
            tokio::time::sleep(Duration::from_millis(1_100)).await;
        }
        let killed = world.copy();
        let mut reader = killed.session(1, 1);
        let entries = reader.fetch(0).await.unwrap().entries;
        assert_eq!(
            texts(&entries),
            (1..=acknowledged).map(|number| format!("m{number}")).collect::<Vec<_>>()
        );
        assert_eq!(reader.append(acknowledged, "x").await.unwrap().sequence.0, acknowledged);
        let next = reader.append(acknowledged + 1, "x").await.unwrap();
        assert_eq!(next.sequence.0, acknowledged + 1);
    }
}

#[tokio::test]
async fn a_commit_is_applied_again_when_the_key_package_in_it_has_expired_since() {
    let second = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let mut world = World::new();
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let mut a = world.session(1, 1);
    let mut group = a.create(&alice, C).await;
    let before = PublicState::create(C, &alice.group_info(&group), &tree(&group)).unwrap();
    // So that the commit is not in a checkpoint when the relay is killed.
    world.close().await;
    world.open();
    let mut a = world.session(1, 1);
    let expires = second() + 4;
    let made = alice.commit(&mut group, &[bob.key_package_until(Suite::X25519, expires)], &[]);
    let commit = made.commit.clone();
    let appended: Appended = a.ask(&commit_frame(made)).await.unwrap();
    let home = tempfile::tempdir().unwrap();
    copy_folder(&world.home.path().join("log"), &home.path().join("log"));
    while second() < expires {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(before.check_commit(&commit).is_err(), "the commit itself cannot be checked any more");

    let mut config = world.config.clone();
    config.store.folder = home.path().join("log");
    let mut killed = World { home, disk: world.disk.clone(), time: world.time.clone(), config, engine: None };
    killed.open();
    assert!(killed.engine().recovered().replayed_batches > 0, "nothing had to be applied again");
    let mut b = killed.session(2, 2);
    let welcomes: Welcomes = b.ask(&GetWelcomes::default()).await.unwrap();
    assert_eq!(welcomes.welcomes[0].sequence, appended.sequence);
    // The state that was kept is the state that the members have: it takes their next commit.
    alice.merge(&mut group);
    let mut a = killed.session(1, 1);
    let _: Appended = a.ask(&commit_frame(alice.commit(&mut group, &[], &[]))).await.unwrap();
}

#[tokio::test]
async fn members_welcomes_and_groups_survive_a_kill_without_a_checkpoint() {
    let world = World::new();
    let (alice, bob) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
    let mut a = world.session(1, 1);
    let mut group = a.create(&alice, C).await;
    let made = alice.commit(&mut group, &[bob.key_package(Suite::X25519)], &[]);
    let _: Appended = a.ask(&commit_frame(made)).await.unwrap();
    alice.merge(&mut group);
    world.engine().admit(C, AccountId([3; 16])).await.unwrap();
    let killed = world.copy();
    let mut killed_again = killed.copy();
    for world in [&killed, &killed_again] {
        let mut b = world.session(2, 2);
        let welcomes: Welcomes = b.ask(&GetWelcomes::default()).await.unwrap();
        assert_eq!(welcomes.welcomes.len(), 1);
        let joining = sotto_protocol::body::conversation::GetGroup {
            conversation: C,
            epoch: None,
            extensions: Extensions::default(),
        };
        let joined: Group = b.ask(&joining).await.unwrap();
        assert_eq!(joined.epoch.0, 1);
        let _: Group = world.session(3, 3).ask(&joining).await.unwrap();
    }
    // The state that was computed again is the one that the next commit is checked against.
    let mut a = killed_again.session(1, 1);
    let made = alice.commit(&mut group, &[], &[]);
    let appended: Appended = a.ask(&commit_frame(made)).await.unwrap();
    assert_eq!(appended.sequence, Sequence(2));
    killed_again.close().await;
    killed_again.open();
    let mut a = killed_again.session(1, 1);
    let which = sotto_protocol::body::conversation::Which::Mine;
    let states: States = a
        .ask(&sotto_protocol::body::conversation::List { which, extensions: Extensions::default() })
        .await
        .unwrap();
    assert_eq!((states.conversations[0].epoch.0, states.conversations[0].members.len()), (2, 2));
}

/// P-028.
#[tokio::test]
async fn a_failed_fsync_acknowledges_nothing_any_more_and_ends_the_engine() {
    let mut world = World::new();
    let mut alice = alone(&world).await;
    alice.append(1, "kept").await.unwrap();
    world.disk.sync_fails.store(true, Ordering::SeqCst);
    alice.send(&append(C, 0, 2, "lost?")).await;
    let mut chunks = Vec::new();
    let end = tokio::time::timeout(PATIENCE, alice.out.recv(&mut chunks)).await.unwrap();
    assert_eq!(end, Err(Closed), "no answer of any kind");
    let (engine, thread) = world.engine.take().unwrap();
    let fatal = tokio::time::timeout(PATIENCE, thread.ended()).await.unwrap().unwrap_err().to_string();
    assert!(fatal.contains("did not confirm a write"), "{fatal}");
    assert!(alice.handle.submit(vec![to_frame(RequestId(9), &append(C, 0, 3, "x"))]).await.is_err());
    drop((engine, alice));
    world.disk.sync_fails.store(false, Ordering::SeqCst);
    let world = world.copy();
    let mut alice = world.session(1, 1);
    let entries = alice.fetch(0).await.unwrap().entries;
    assert_eq!(text(&entries[0]), "kept");
}

/// P-029.
#[tokio::test]
async fn a_full_disk_refuses_appends_serves_reads_and_recovers() {
    let world = World::new();
    let mut alice = alone(&world).await;
    alice.append(1, "kept").await.unwrap();
    world.disk.free_bytes.store(1, Ordering::SeqCst);
    let error = alice.append(2, "no").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::StorageFull));
    assert!(error.retry_after_ms > 0);
    assert_eq!(alice.append(1, "repeat").await.unwrap().sequence, Sequence(1), "a repeat needs no space");
    assert_eq!(alice.fetch(0).await.unwrap().entries.len(), 1);
    assert_eq!(world.engine().metrics().storage_full.get(), 1);
    world.disk.free_bytes.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(alice.append(2, "yes").await.unwrap().sequence, Sequence(2));
}

#[tokio::test]
async fn retention_deletes_whole_shards_and_moves_the_first_entry() {
    let day = 24 * 3600 * 1000;
    let mut world = World::with(|config| {
        config.store.shard_span = Duration::from_millis(day);
        config.store.retention = Some(Duration::from_millis(2 * day));
    });
    let mut alice = alone(&world).await;
    for number in 1..=6 {
        alice.append(number, &format!("day {number}")).await.unwrap();
        world.time.fetch_add(day, Ordering::SeqCst);
    }
    let shards = |world: &World| std::fs::read_dir(world.home.path().join("log/shards")).unwrap().count();
    assert_eq!(alice.fetch(0).await.unwrap().entries.len(), 6);
    assert_eq!(shards(&world), 7, "one for each day");
    let retained = world.engine().retain().await;
    assert_eq!(retained.conversations, 1);
    assert!(retained.shards >= 3, "{retained:?}");
    assert_eq!(shards(&world), 7 - retained.shards);
    let kept = alice.fetch(0).await.unwrap();
    let first = kept.entries[0].sequence.0;
    assert!(first > 1 && kept.entries.last().unwrap().sequence.0 == 6);
    world.close().await;
    world.open();
    let mut alice = world.session(1, 1);
    assert_eq!(alice.fetch(0).await.unwrap().entries[0].sequence.0, first);
    assert_eq!(alice.append(7, "goes on").await.unwrap().sequence, Sequence(7));
}

#[tokio::test]
async fn a_second_engine_in_the_same_folder_is_refused_in_a_sentence() {
    let world = World::new();
    let error = world.try_open(&world.config).map(drop).unwrap_err().to_string();
    assert!(error.contains("in use by another process"), "{error}");
}

#[derive(Debug, Clone)]
enum Action {
    /// A device appends its next number to a conversation.
    Append { device: u8, conversation: u8 },
    /// It sends a number again that was acknowledged.
    Repeat { device: u8, conversation: u8 },
    /// It skips one.
    Skip { device: u8, conversation: u8 },
    /// The process is killed and started again.
    Kill,
}

fn action() -> impl Strategy<Value = Action> {
    let who = || (1u8..4, 40u8..43);
    prop_oneof![
        8 => who().prop_map(|(device, conversation)| Action::Append { device, conversation }),
        2 => who().prop_map(|(device, conversation)| Action::Repeat { device, conversation }),
        1 => who().prop_map(|(device, conversation)| Action::Skip { device, conversation }),
        1 => Just(Action::Kill),
    ]
}

/// The simplest relay that could be: a list for each conversation.
#[derive(Default)]
struct Model {
    logs: BTreeMap<u8, Vec<(u8, u64)>>,
}

impl Model {
    fn last(&self, device: u8, conversation: u8) -> u64 {
        let log = self.logs.get(&conversation).into_iter().flatten();
        log.filter(|(known, _)| *known == device).count() as u64
    }
}

async fn play(actions: Vec<Action>) {
    let mut world = World::new();
    let mut model = Model::default();
    let device = TestDevice::new(1, 1);
    let mut creator = world.session(1, 1);
    for conversation in 40..43 {
        creator.create(&device, ConversationId([conversation; 16])).await;
    }
    drop(creator);
    let mut sessions: BTreeMap<u8, Session> =
        (1..4).map(|device| (device, world.session(1, device))).collect();
    for action in actions {
        match action {
            Action::Append { device, conversation } => {
                let number = model.last(device, conversation) + 1;
                let body = append(ConversationId([conversation; 16]), 0, number, "x");
                let appended: Appended = sessions.get_mut(&device).unwrap().ask(&body).await.unwrap();
                let log = model.logs.entry(conversation).or_default();
                log.push((device, number));
                assert_eq!(appended.sequence.0, log.len() as u64);
            }
            Action::Repeat { device, conversation } => {
                let number = model.last(device, conversation).div_ceil(2);
                if number == 0 {
                    continue;
                }
                let body = append(ConversationId([conversation; 16]), 0, number, "y");
                let appended: Appended = sessions.get_mut(&device).unwrap().ask(&body).await.unwrap();
                let place =
                    model.logs[&conversation].iter().position(|known| *known == (device, number)).unwrap();
                assert_eq!(appended.sequence.0, place as u64 + 1);
            }
            Action::Skip { device, conversation } => {
                let due = model.last(device, conversation) + 1;
                let body = append(ConversationId([conversation; 16]), 0, due + 1, "z");
                let error: Result<Appended, _> = sessions.get_mut(&device).unwrap().ask(&body).await;
                let error = error.unwrap_err();
                assert_eq!((error.code(), error.context), (Some(ErrorCode::NumberGap), due));
            }
            Action::Kill => {
                world = world.copy();
                sessions = (1..4).map(|device| (device, world.session(1, device))).collect();
            }
        }
    }
    for (conversation, log) in &model.logs {
        let body = fetch(ConversationId([*conversation; 16]), 0, 512);
        let entries: Entries = sessions.get_mut(&1).unwrap().ask(&body).await.unwrap();
        let got: Vec<_> = entries.entries.iter().map(|entry| (entry.device.0[0], entry.number.0)).collect();
        assert_eq!(got, *log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Random lists of actions, kills among them, against a reference model.
    #[test]
    fn the_log_is_what_a_list_would_be(actions in prop::collection::vec(action(), 1..60)) {
        tokio::runtime::Runtime::new().unwrap().block_on(play(actions));
    }
}
