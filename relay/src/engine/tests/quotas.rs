//! What a conversation and an account may keep, and how fast an account may be.

use super::*;
use crate::store::{Checkpoint, LogStore as _, Row};

const DAY_MS: u64 = 24 * 3600 * 1000;
const OTHER: ConversationId = ConversationId([10; 16]);

/// Both have device 1.
const ALICE: u8 = 1;
const BOB: u8 = 2;

fn id(who: u8) -> AccountId {
    TestDevice::new(who, 1).certificate.account()
}

async fn held(world: &World, who: u8) -> u64 {
    world.engine().held(vec![id(who)]).await[0]
}

/// A world in which an account may have 2,000 bytes in the log, kept for 30 days in shards of one.
fn narrow() -> World {
    World::with(|config| {
        config.quotas.account_bytes = 2_000;
        config.store.retention = Some(Duration::from_millis(30 * DAY_MS));
        config.store.shard_span = Duration::from_millis(DAY_MS);
    })
}

/// Alice, who has used all of it up, and what she has.
async fn full(world: &World) -> u64 {
    let mut alice = alone(world).await;
    alice.append(1, &"x".repeat(300)).await.unwrap();
    alice.create(&TestDevice::new(ALICE, 1), OTHER).await;
    let _: Appended = alice.ask(&append(OTHER, 0, 1, &"x".repeat(300))).await.unwrap();
    let has = held(world, ALICE).await;
    assert!((1_200..1_400).contains(&has), "both conversations, archive copies too: {has}");
    is_refused(&mut alice).await;
    has
}

/// 300 letters of Alice's are refused, in the smaller of her conversations too, and take nothing.
async fn is_refused(alice: &mut Session) {
    for (conversation, letters) in [(C, 400), (OTHER, 400)] {
        let refused = alice.ask::<_, Appended>(&append(conversation, 0, 2, &"x".repeat(letters))).await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::QuotaExceeded));
        assert!(
            error.text.contains("this account") && error.text.contains("ask who runs the relay"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_account_over_its_rate_and_a_conversation_over_its_bytes_are_told() {
    let world = World::with(|config| {
        config.quotas.account_changes_per_second = 1;
        config.quotas.account_changes_burst = 4;
    });
    let mut alice = alone(&world).await;
    for number in 1..=3 {
        alice.append(number, "x").await.unwrap();
    }
    let error = alice.append(4, "x").await.unwrap_err();
    assert_eq!((error.code(), error.retry_after_ms), (Some(ErrorCode::QuotaExceeded), 1000));
    world.time.fetch_add(1000, Ordering::SeqCst);
    alice.append(4, "x").await.unwrap();

    let world = World::with(|config| config.quotas.conversation_bytes = 1_000);
    let mut alice = alone(&world).await;
    alice.append(1, &"x".repeat(300)).await.unwrap();
    let error = alice.append(2, &"x".repeat(300)).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::QuotaExceeded));
    assert!(error.text.contains("this conversation"), "{error}");
}

#[tokio::test]
async fn an_account_over_its_bytes_is_told_whatever_conversation_it_writes_in_and_nobody_else_is() {
    let world = narrow();
    let has = full(&world).await;
    let mut bob = world.session(BOB, 1);
    let conversation = ConversationId([11; 16]);
    bob.create(&TestDevice::new(BOB, 1), conversation).await;
    let _: Appended = bob.ask(&append(conversation, 0, 1, "y")).await.unwrap();
    let bobs = held(&world, BOB).await;
    assert!((1..100).contains(&bobs), "{bobs}");
    let holders = world.engine().holders(1_000).await;
    assert_eq!((holders.most_bytes, holders.accounts), (has, vec![(id(ALICE), has)]));
}

#[tokio::test]
async fn what_an_account_has_is_known_after_a_kill_and_a_restart_and_retention_gives_it_back() {
    let mut world = narrow();
    let has = full(&world).await;
    let killed = world.copy();
    assert_eq!(held(&killed, ALICE).await, has);
    is_refused(&mut killed.session(ALICE, 1)).await;
    world.close().await;
    world.open();
    assert_eq!(held(&world, ALICE).await, has);

    // A month later her first entries are gone, and with them what they took.
    world.time.fetch_add(40 * DAY_MS, Ordering::SeqCst);
    let mut bob = world.session(BOB, 1);
    let conversation = ConversationId([11; 16]);
    bob.create(&TestDevice::new(BOB, 1), conversation).await;
    let _: Appended = bob.ask(&append(conversation, 0, 1, "y")).await.unwrap();
    assert_eq!(world.engine().retain().await.shards, 1);
    assert_eq!(held(&world, ALICE).await, 0);
    world.close().await;
    world.open();
    assert_eq!(held(&world, ALICE).await, 0);
    let mut alice = world.session(ALICE, 1);
    alice.append(2, &"x".repeat(400)).await.unwrap();
    assert!(held(&world, ALICE).await > 800);
}

#[tokio::test]
async fn a_log_in_which_nobody_counted_is_counted_when_it_is_opened() {
    let mut world = narrow();
    let has = full(&world).await;
    world.close().await;
    let store = store::sled::open(&world.config.store).unwrap();
    let mut rows: Vec<Row> = Vec::new();
    let each = &mut |row, _| {
        rows.push(row);
        std::ops::ControlFlow::Continue(())
    };
    store.export().rows(each).unwrap();
    let counts = |row: &Row| matches!(row, Row::Holding(_) | Row::Counted);
    let rows: Vec<_> = rows.into_iter().filter(counts).map(|row| (row, None)).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    store.checkpointer().save(&Checkpoint { rows, ..Checkpoint::default() }).unwrap();
    drop(store);
    // The second opening reads what the first has counted.
    for _ in 0..2 {
        world.open();
        assert_eq!(held(&world, ALICE).await, has);
        world.close().await;
    }
}
