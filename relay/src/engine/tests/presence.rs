//! Who is here, as followers are told.

use super::*;
use sotto_protocol::body::log::SetPresence;
use sotto_protocol::body::push::{Presence, WhoIsHere};
use sotto_protocol::limits::{PRESENCE_EVERY_MS, RECEIVER_QUEUE_BYTES_MAX};
use std::collections::BTreeSet;
use std::time::Instant;

/// A conversation of accounts 1 to 4, each with one device that is not connected.
async fn four(world: &World) {
    let alice = TestDevice::new(1, 1);
    let mut session = world.session(1, 1);
    let mut group = session.create(&alice, C).await;
    let packages: Vec<_> =
        (2..=4).map(|number| TestDevice::new(number, number).key_package(Suite::X25519)).collect();
    let made = alice.commit(&mut group, &packages, &[]);
    let _: Appended = session.ask(&commit_frame(made)).await.unwrap();
}

fn account(number: u8) -> AccountId {
    TestDevice::new(number, number).certificate.account()
}

impl Session {
    async fn set_presence(&self, invisible: bool) {
        let body = SetPresence { invisible, extensions: Extensions::default() };
        self.handle.submit(vec![to_frame(RequestId::PUSH, &body)]).await.unwrap();
    }

    /// Reads until it knows that exactly these are here.
    async fn sees(&mut self, here: &mut BTreeSet<AccountId>, expected: &[u8]) {
        let expected: BTreeSet<_> = expected.iter().map(|number| account(*number)).collect();
        while *here != expected {
            let Ok(told) = self.next().await.decode::<Presence>() else { continue };
            match told.who {
                WhoIsHere::These(accounts) => *here = accounts.into_iter().collect(),
                WhoIsHere::Changed { came, went } => {
                    here.extend(came);
                    here.retain(|account| !went.contains(account));
                }
                WhoIsHere::Unnamed => panic!("few are here"),
            }
            assert_eq!(told.count as usize, here.len());
        }
    }
}

/// A device comes and follows; nobody told the relay that it wants to know who is here.
async fn comes(world: &World, number: u8) -> Session {
    let mut session = world.session(number, number);
    session.follow().await;
    session
}

/// A device comes that wants to know who is here, and whom it knows to be here: nobody yet.
async fn watches(world: &World, number: u8) -> (Session, BTreeSet<AccountId>) {
    let mut session = world.session(number, number);
    session.set_presence(false).await;
    session.follow().await;
    (session, BTreeSet::new())
}

/// P-060.
#[tokio::test]
async fn followers_are_told_who_is_here_and_who_came_and_went() {
    let world = World::new();
    four(&world).await;
    let bob = comes(&world, 2).await;
    let (mut alice, mut here) = watches(&world, 1).await;
    alice.sees(&mut here, &[1, 2]).await;
    let carol = comes(&world, 3).await;
    alice.sees(&mut here, &[1, 2, 3]).await;
    drop(bob);
    alice.sees(&mut here, &[1, 3]).await;
    drop(carol);
    alice.sees(&mut here, &[1]).await;
}

/// P-060.
#[tokio::test]
async fn who_is_invisible_is_never_shown_and_still_sees_the_others() {
    let world = World::new();
    four(&world).await;
    let (mut alice, mut here) = watches(&world, 1).await;
    let (mut bob, mut seen) = (world.session(2, 2), BTreeSet::new());
    bob.set_presence(true).await;
    bob.follow().await;
    bob.sees(&mut seen, &[1]).await;
    let _carol = comes(&world, 3).await;
    // Whatever came before Carol would be seen here.
    alice.sees(&mut here, &[1, 3]).await;
    bob.set_presence(false).await;
    alice.sees(&mut here, &[1, 2, 3]).await;
    bob.set_presence(true).await;
    alice.sees(&mut here, &[1, 3]).await;
}

/// P-061.
#[tokio::test]
async fn many_who_come_and_go_at_once_are_one_frame_for_each_follower() {
    let world = World::new();
    four(&world).await;
    let (mut alice, mut here) = watches(&world, 1).await;
    alice.sees(&mut here, &[1]).await;
    let began = Instant::now();
    let mut sessions = Vec::new();
    for _ in 0..100 {
        sessions.clear();
        for number in 2..=4 {
            let mut session = world.session(number, number);
            session.follow().await;
            sessions.push(session);
        }
    }
    let mut frames = 0;
    while here.len() < 4 {
        let Ok(told) = alice.next().await.decode::<Presence>() else { continue };
        frames += 1;
        match told.who {
            WhoIsHere::Changed { came, went } => {
                here.extend(came);
                here.retain(|account| !went.contains(account));
            }
            other => panic!("a follower is told changes: {other:?}"),
        }
    }
    let rounds = 2 + began.elapsed().as_millis() / u128::from(PRESENCE_EVERY_MS);
    assert!(frames <= rounds, "{frames} frames for 600 changes in {:?}", began.elapsed());
}

/// P-062.
#[tokio::test]
async fn a_follower_whose_queue_was_full_is_told_everybody_when_there_is_room() {
    let world = World::new();
    four(&world).await;
    let (mut alice, mut here) = watches(&world, 1).await;
    alice.sees(&mut here, &[1]).await;
    // Alice takes nothing: more than half of her queue fills with answers of her own connection.
    alice.handle.reply(vec![0; RECEIVER_QUEUE_BYTES_MAX / 2 + 1].into());
    let mut bob = world.session(2, 2);
    bob.set_presence(false).await;
    bob.follow().await;
    let mut seen = BTreeSet::new();
    // When Bob has been told of himself in a round, Alice was passed over in the same one.
    let carol = comes(&world, 3).await;
    bob.sees(&mut seen, &[1, 2, 3]).await;
    drop(carol);
    bob.sees(&mut seen, &[1, 2]).await;
    let mut filler = Vec::new();
    alice.out.recv(&mut filler).await.unwrap();
    let bytes: usize = filler.iter().map(Bytes::len).sum();
    assert_eq!(bytes, RECEIVER_QUEUE_BYTES_MAX / 2 + 1, "nothing was queued behind it");
    let mut told: Presence = alice.push().await;
    // Read with the first frame, before all this: the news of her own coming.
    if told.who == (WhoIsHere::Changed { came: vec![account(1)], went: vec![] }) {
        told = alice.push().await;
    }
    assert_eq!(told.who, WhoIsHere::These(vec![account(1), account(2)]));
}

#[tokio::test]
async fn who_never_asked_is_told_nothing() {
    let world = World::new();
    four(&world).await;
    let mut alice = comes(&world, 1).await;
    let (mut bob, mut seen) = watches(&world, 2).await;
    bob.sees(&mut seen, &[1, 2]).await;
    let _carol = comes(&world, 3).await;
    bob.sees(&mut seen, &[1, 2, 3]).await;
    // The next frame is the answer to this, and nothing came before it.
    let id = alice.send(&fetch(C, 0, 1)).await;
    assert_eq!(alice.next().await.header.id, id);
}
