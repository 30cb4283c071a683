//! Appending, following, fetching.

use super::*;
use sotto_protocol::body::log::{ArchiveEntries, FetchArchive, SendEphemeral};
use sotto_protocol::body::push::{Behind, Ephemeral};
use sotto_protocol::frame::{FrameKind, Header};
use sotto_protocol::limits::RECEIVER_QUEUE_BYTES_MAX;

/// P-021.
#[tokio::test]
async fn an_append_is_acknowledged_in_order_and_a_repeat_answered_with_its_entry() {
    let world = World::new();
    let mut alice = alone(&world).await;
    for number in 1..=5 {
        let appended = alice.append(number, "x").await.unwrap();
        assert_eq!((appended.number.0, appended.sequence.0), (number, number));
    }
    let again = alice.append(3, "something else").await.unwrap();
    assert_eq!((again.number.0, again.sequence.0), (3, 3));
    assert_eq!(again.time.0, 1_763_000_000_000);
    assert_eq!(alice.fetch(0).await.unwrap().entries.len(), 5, "the repeat is not in the log");
}

#[tokio::test]
async fn a_repeat_in_the_same_batch_is_answered_too() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let body = append(C, 0, 1, "once");
    let frames = [7, 8].map(|id| to_frame(RequestId(id), &body)).to_vec();
    alice.handle.submit(frames).await.unwrap();
    let mut answers = [alice.next().await, alice.next().await];
    answers.sort_by_key(|frame| frame.header.id);
    for (frame, id) in answers.iter().zip([7, 8]) {
        assert_eq!(frame.header.id, RequestId(id));
        assert_eq!(frame.decode::<Appended>().unwrap().sequence, Sequence(1));
    }
}

/// P-021, P-022.
#[tokio::test]
async fn each_wrong_append_is_refused_for_its_reason_and_nothing_is_stored() {
    let world = World::new();
    let mut alice = alone(&world).await;
    alice.append(1, "first").await.unwrap();
    let gap = alice.append(3, "x").await.unwrap_err();
    assert_eq!((gap.code(), gap.context), (Some(ErrorCode::NumberGap), 2));
    let stale: Result<Appended, _> = alice.ask(&append(C, 1, 2, "x")).await;
    let stale = stale.unwrap_err();
    assert_eq!((stale.code(), stale.context), (Some(ErrorCode::Stale), 0));
    let mut foreign = append(C, 0, 2, "x");
    foreign.message = append(ConversationId([8; 16]), 0, 2, "x").message;
    assert_eq!(alice.code(&foreign).await, ErrorCode::Malformed, "another conversation's message");
    let mut junk = append(C, 0, 2, "x");
    junk.message = vec![0; 10].into();
    assert_eq!(alice.code(&junk).await, ErrorCode::Malformed);
    assert_eq!(alice.code(&append(C, 0, 0, "x")).await, ErrorCode::Malformed, "numbers begin with 1");
    let mut large = append(C, 0, 2, "x");
    large.message = vec![0; 70_000].into();
    assert_eq!(alice.code(&large).await, ErrorCode::TooLarge);
    let mut mallory = world.session(4, 1);
    assert_eq!(mallory.code(&append(C, 0, 1, "x")).await, ErrorCode::NotMember);
    let unknown = append(ConversationId([7; 16]), 0, 1, "x");
    assert_eq!(mallory.code(&unknown).await, ErrorCode::NotMember, "not told apart");
    assert_eq!(alice.fetch(0).await.unwrap().head, Sequence(1));
    let refused: u64 = world.engine().metrics().refusals().map(|(_, count)| count).sum();
    assert_eq!(refused, 8);
}

#[tokio::test]
async fn frames_that_are_no_request_are_answered_and_do_no_harm() {
    let world = World::new();
    let mut alice = alone(&world).await;
    for (kind, code) in
        [(0x21, ErrorCode::Unexpected), (0x2f, ErrorCode::Unsupported), (0x30, ErrorCode::Malformed)]
    {
        let body = Bytes::from_static(&[0xff; 40]);
        let header = Header { version: 1, kind: FrameKind(kind), id: RequestId(99), length: 40 };
        alice.handle.submit(vec![Frame { header, body }]).await.unwrap();
        let frame = alice.next().await;
        assert_eq!(frame.header.id, RequestId(99));
        assert_eq!(frame.decode::<WireError>().unwrap().code(), Some(code));
    }
    alice.append(1, "still here").await.unwrap();
}

#[tokio::test]
async fn followers_get_each_entry_once_in_order_and_the_sender_not_its_own() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let mut second = world.session(1, 2);
    alice.append(1, "before").await.unwrap();
    assert_eq!(second.follow().await, [(C, Sequence(1))]);
    assert_eq!(alice.follow().await, [(C, Sequence(1))]);
    for number in 2..=50u64 {
        alice.send(&append(C, 0, number, &format!("m{number}"))).await;
    }
    let mut got = Vec::new();
    while got.len() < 49 {
        let run: Delivered = second.push().await;
        assert_eq!(run.conversation, C);
        got.extend(run.entries);
    }
    let sequences: Vec<u64> = got.iter().map(|entry| entry.sequence.0).collect();
    assert_eq!(sequences, (2..=50).collect::<Vec<_>>());
    assert_eq!(text(&got[48]), "m50");
    for _ in 2..=50 {
        assert_eq!(alice.next().await.header.kind, Appended::KIND, "no push of its own");
    }
}

#[tokio::test]
async fn large_entries_are_shared_by_the_receivers_and_arrive_whole() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let mut others: Vec<Session> = (2..5).map(|device| world.session(1, device)).collect();
    for other in &mut others {
        other.follow().await;
    }
    let long = "long ".repeat(10_000);
    alice.append(1, &long).await.unwrap();
    for other in &mut others {
        let run: Delivered = other.push().await;
        assert_eq!(texts(&run.entries), std::slice::from_ref(&long));
    }
}

/// P-027.
#[tokio::test]
async fn a_slow_receiver_falls_behind_with_one_word_and_slows_nobody() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let mut slow = world.session(1, 2);
    let mut quick = world.session(1, 3);
    slow.follow().await;
    quick.follow().await;
    let long = "x".repeat(60_000);
    let count = RECEIVER_QUEUE_BYTES_MAX as u64 / 60_000 + 20;
    for number in 1..=count {
        alice.append(number, &long).await.unwrap();
        let run: Delivered = quick.push().await;
        assert_eq!(run.entries[0].sequence.0, number);
    }
    let (mut last, mut behind) = (0, None);
    while behind.is_none() {
        let frame = slow.next().await;
        match frame.decode::<Delivered>() {
            Ok(run) => {
                assert_eq!(run.entries[0].sequence.0, last + 1, "what was pushed has no gap");
                last = run.entries.last().unwrap().sequence.0;
            }
            Err(_) => behind = Some(frame.decode::<Behind>().unwrap()),
        }
    }
    assert_eq!(behind.unwrap().head, Sequence(last + 1));
    assert!(last < count);
    assert_eq!(world.engine().metrics().behind.get(), 1);
    // From the cursor on, everything is there.
    let mut cursor = last;
    while cursor < count {
        let page = slow.fetch(cursor).await.unwrap();
        assert_eq!(page.entries[0].sequence.0, cursor + 1);
        cursor = page.entries.last().unwrap().sequence.0;
    }
    assert_eq!(slow.follow().await, [(C, Sequence(count))]);
}

#[tokio::test]
async fn ephemerals_reach_followers_and_are_not_kept() {
    let world = World::new();
    let mut alice = alone(&world).await;
    let mut second = world.session(1, 2);
    second.follow().await;
    alice.follow().await;
    let body =
        SendEphemeral { conversation: C, sealed: vec![5; 100].into(), extensions: Extensions::default() };
    alice.send(&body).await;
    let got: Ephemeral = second.push().await;
    assert_eq!((got.conversation, got.sealed.len(), got.device), (C, 100, DeviceId([1; 16])));
    assert_eq!(alice.fetch(0).await.unwrap().entries, []);
    let mut mallory = world.session(4, 1);
    assert_eq!(mallory.code(&body).await, ErrorCode::NotMember);
}

#[tokio::test]
async fn pages_go_on_from_each_other_in_both_columns_and_directions() {
    let world = World::new();
    let mut alice = alone(&world).await;
    for number in 1..=30 {
        alice.append(number, &format!("m{number}")).await.unwrap();
    }
    for round in 0..2 {
        let (mut cursor, mut all) = (0, Vec::new());
        while all.len() < 30 {
            let page: Entries = alice.ask(&fetch(C, cursor, 7)).await.unwrap();
            assert!(page.entries.len() <= 7 && page.head == Sequence(30));
            cursor = page.entries.last().unwrap().sequence.0;
            all.extend(texts(&page.entries));
        }
        assert_eq!(all, (1..=30).map(|number| format!("m{number}")).collect::<Vec<_>>());
        assert_eq!(alice.fetch(30).await.unwrap().entries, []);
        let (mut from, mut all) = (31, Vec::new());
        loop {
            let body = FetchArchive {
                conversation: C,
                from: Sequence(from),
                backwards: true,
                limit: 4,
                extensions: Extensions::default(),
            };
            let page: ArchiveEntries = alice.ask(&body).await.unwrap();
            all.extend(page.entries.iter().map(|entry| String::from_utf8(entry.sealed.0.to_vec()).unwrap()));
            from = page.next.0;
            if from == 0 {
                break;
            }
        }
        assert_eq!(all, (1..=30).rev().map(|number| format!("archive of m{number}")).collect::<Vec<_>>());
        let body = FetchArchive {
            conversation: C,
            from: Sequence(20),
            backwards: false,
            limit: 100,
            extensions: Extensions::default(),
        };
        let page: ArchiveEntries = alice.ask(&body).await.unwrap();
        assert_eq!((page.entries.len(), page.next), (10, Sequence(0)));
        assert_eq!(page.entries[0].number, MessageNumber(21));
        if round == 0 {
            // The second round reads through the index of a checkpoint, not the places in memory.
            let begin = std::time::Instant::now();
            while world.engine().metrics().checkpoints.get() == 0 {
                assert!(begin.elapsed() < PATIENCE);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
