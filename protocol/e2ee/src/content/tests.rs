//! Every content there and back, golden bytes, hostile bytes.

use super::call::{
    CANDIDATE_BYTES_MAX, CANDIDATES_PER_SIGNAL_MAX, CallId, CallOutcome, Candidate, HangUp, Here, MediaState,
    SDP_BYTES_MAX, Signal,
};
use super::peer::{ADDRESSES_MAX, CHANNEL_SDP_BYTES_MAX, Carriers, PeerWord, Way};
use super::*;
use crate::file::jpeg;
use proptest::prelude::*;
use sotto_protocol::ids::{AskId, LinkId};

fn head() -> Head {
    Head {
        sent_at: UnixMillis(1_700_000_000_000),
        number: MessageNumber(7),
        seen: Sequence(9),
        chain: [3; 32],
        history: HistoryPolicy::SinceJoining,
    }
}

fn rich() -> Text {
    Text {
        body: "yes, @bob".into(),
        reply_to: Some(Sequence(8)),
        expires_after: Some(86_400),
        mentions: vec![AccountId([7; 16])],
    }
}

fn contents() -> Vec<Content> {
    let (to, request) = (DeviceId([1; 16]), RequestTag([2; 16]));
    vec![
        Content::text("grüezi"),
        Content::Info { name: "Sunday".into() },
        Content::KeyRequest { hpke_key: vec![4; 1216], from: Epoch(1), until: Epoch(5) },
        Content::KeyAnswer { to, request, sealed: vec![5; 100] },
        Content::ResendRequest { hpke_key: vec![4; 32], sequences: vec![Sequence(1), Sequence(300)] },
        Content::Resent { to, request, sequence: Sequence(300), sealed: vec![6; 10] },
        Content::Text(rich()),
        Content::Edit { target: Sequence(8), text: Text { reply_to: None, ..rich() } },
        Content::Edit { target: Sequence(8), text: Text::plain("better") },
        Content::Delete { target: Sequence(8) },
        Content::React { target: Sequence(300), emoji: "👍".into(), on: true },
        Content::React { target: Sequence(300), emoji: "👍".into(), on: false },
        Content::Pin { target: Sequence(8), on: true },
        Content::Pin { target: Sequence(8), on: false },
        Content::Timer { seconds: Some(3_600) },
        Content::Timer { seconds: None },
        file("holiday.jpg", Text::plain("")),
        file("holiday.jpg", rich()),
        Content::Call(CallRecord::new(CALL, true, UnixMillis(5), CallOutcome::Answered, 300)),
        Content::Call(CallRecord::new(CALL, false, UnixMillis(5), CallOutcome::Missed, 0)),
        seen(file("holiday.jpg", rich()), jpeg(320, 240, 50)),
        seen(file("holiday.jpg", Text::plain("")), jpeg(320, 240, 4_500)),
    ]
}

/// The same with a preview.
fn seen(content: Content, jpeg: Vec<u8>) -> Content {
    let Content::File { about, caption, .. } = content else { panic!("a file") };
    Content::File { about, caption, preview: Preview::new(4_000, 3_000, jpeg) }
}

fn file(name: &str, caption: Text) -> Content {
    let about = FileAbout {
        name: FileName::lossy(name),
        bytes: 70_000,
        media_type: "image/jpeg".to_owned(),
        root: BlobRoot([5; 32]),
        key: FileKey::of([6; 32]),
    };
    Content::File { about, caption, preview: None }
}

const CALL: CallId = CallId([8; 16]);

fn signal(signal: Signal) -> Ephemeral {
    Ephemeral::Call(CallSignal { call: CALL, to: Some(DeviceId([1; 16])), number: 300, signal })
}

fn candidate() -> Candidate {
    Candidate {
        line: "candidate:1 1 udp 1 192.0.2.1 9 typ host".into(),
        mid: Some("0".into()),
        section: Some(0),
    }
}

fn signals() -> Vec<Signal> {
    let sdp = || "v=0".to_owned();
    vec![
        Signal::Invite { video: true },
        Signal::Ringing,
        Signal::Accept { video: false },
        Signal::Taken { device: DeviceId([2; 16]) },
        Signal::Decline,
        Signal::Busy,
        Signal::HangUp { why: HangUp::Ended },
        Signal::HangUp { why: HangUp::Tampered },
        Signal::Offer { round: 0, sdp: sdp() },
        Signal::Answer { round: 1, sdp: sdp() },
        Signal::Candidates { round: 1, list: vec![candidate()] },
        Signal::Restart,
        Signal::State(MediaState { muted: true, ..MediaState::default() }),
    ]
}

fn ephemerals() -> Vec<Ephemeral> {
    let upto = Sequence(70_000);
    let mut all = vec![
        Ephemeral::Typing,
        Ephemeral::Receipt { upto },
        Ephemeral::Delivered { upto },
        Ephemeral::ReceiptsWanted,
        Ephemeral::RolesChanged,
    ];
    all.push(Ephemeral::Call(CallSignal {
        call: CALL,
        to: None,
        number: 1,
        signal: Signal::Invite { video: false },
    }));
    all.extend(signals().into_iter().map(signal));
    all.extend(peer_words());
    all.push(Ephemeral::Call(CallSignal { call: CALL, to: None, number: 300, signal: here() }));
    all
}

fn here() -> Signal {
    Signal::Here(Here {
        joined: UnixMillis(70_000),
        started: UnixMillis(5),
        by: AccountId([4; 16]),
        video: true,
        state: MediaState { camera: true, ..MediaState::default() },
    })
}

fn way(addresses: usize) -> Way {
    let all = ["192.0.2.1:50000", "[2001:db8::1]:443"].map(|text| text.parse().expect("an address"));
    Way { fingerprint: [9; 32], addresses: all.into_iter().cycle().take(addresses).collect() }
}

fn peer_words() -> Vec<Ephemeral> {
    let (ask, link, root) = (AskId([2; 16]), LinkId([3; 16]), BlobRoot([5; 32]));
    let to = Some(DeviceId([1; 16]));
    [
        (None, PeerWord::Wanted { ask, root }),
        (to, PeerWord::Have { ask, link, way: way(2) }),
        (to, PeerWord::Meet { link, way: way(0) }),
        (None, PeerWord::Sought { ask, root, carriers: Carriers::CHANNEL }),
        (to, PeerWord::Offer { ask, link, round: 0, sdp: "v=0".to_owned() }),
        (to, PeerWord::Answer { link, round: 1, sdp: "v=0".to_owned() }),
        (to, PeerWord::Candidates { link, round: 1, list: vec![candidate()] }),
    ]
    .map(|(to, word)| Ephemeral::Peer(PeerSignal { to, word }))
    .into()
}

#[test]
fn every_content_is_read_as_it_was_written() {
    for content in contents() {
        let padded = encode(&head(), &content).expect("small");
        assert_eq!(decode(&padded), Ok((head(), content)));
    }
    for ephemeral in ephemerals() {
        let padded = encode_ephemeral(UnixMillis(5), ephemeral.clone()).expect("small");
        assert_eq!(decode_ephemeral(&padded), Ok((UnixMillis(5), ephemeral)));
    }
}

#[test]
fn a_content_of_a_later_kind_is_kept_as_unknown() {
    let wire = |kind| Wire {
        sent_at: head().sent_at,
        number: head().number,
        seen: head().seen,
        chain: head().chain,
        history: head().history,
        kind,
        body: b"from the future".to_vec(),
        extensions: vec![(1, vec![2])],
    };
    let padded = padding::pad(&versioned(&wire(999))).expect("small");
    assert_eq!(decode(&padded), Ok((head(), Content::Unknown { kind: 999 })));
    let padded = padding::pad(&versioned(&wire(3))).expect("small");
    assert_eq!(decode(&padded), Err(Malformed));
}

/// Golden, by hand.
#[test]
fn a_text_has_the_bytes_of_version_1() {
    let padded = encode(&head(), &Content::text("hi")).expect("small");
    let plain = padding::unpad(&padded).expect("padded");
    let mut golden = vec![1, 0xfd, 0x00, 0x68, 0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00, 7, 9];
    golden.extend([3; 32]);
    golden.extend([1, 1, 3, 2, b'h', b'i', 0]);
    assert_eq!(plain, golden);
}

/// Golden: these bytes lie in logs and archives, so a line of the file never changes.
#[test]
fn every_content_has_the_bytes_of_version_1() {
    let golden: Vec<&str> = include_str!("../../../../tests/vectors/contents-v1.txt").lines().collect();
    let plain = |padded: &[u8]| {
        let plain = padding::unpad(padded).expect("padded");
        plain.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let mut written = Vec::new();
    for content in contents() {
        let name = format!("{content:?}");
        let name = name.split([' ', '(', '{']).next().unwrap_or_default().to_owned();
        written.push(format!("{name} {}", plain(&encode(&head(), &content).expect("small"))));
    }
    for ephemeral in ephemerals() {
        let bytes = encode_ephemeral(head().sent_at, ephemeral.clone()).expect("small");
        let name = format!("{ephemeral:?}");
        let name = name.split([' ', '{', '(']).next().unwrap_or_default().to_owned();
        written.push(format!("ephemeral {name} {}", plain(&bytes)));
    }
    assert_eq!(written, golden);
}

#[test]
fn a_text_that_answers_is_a_text_for_who_does_not_know_answers() {
    let padded = encode(&head(), &Content::Text(rich())).expect("small");
    let wire: Wire = read_versioned(&padded).expect("a content");
    assert_eq!(wire.kind, 1);
    assert_eq!(Content::from_body(wire.kind, &wire.body, &[]), Ok(Content::text("yes, @bob")));
}

#[test]
fn an_extension_that_is_not_known_is_passed_over_and_a_wrong_one_refused() {
    let body = write(&"hi".to_owned());
    let later = [(4_000, b"from the future".to_vec())];
    assert_eq!(Content::from_body(1, &body, &later), Ok(Content::text("hi")));
    for number in [REPLY_TO, EXPIRES_AFTER, MENTIONS] {
        assert_eq!(Content::from_body(1, &body, &[(number, vec![0xfd, 1])]), Err(Malformed));
    }
    let crowd: Vec<AccountId> = vec![AccountId([1; 16]); MENTIONS_MAX + 1];
    let Ok(Content::Text(text)) = Content::from_body(1, &body, &[(MENTIONS, write(&crowd).to_vec())]) else {
        panic!("a text")
    };
    assert_eq!(text.mentions.len(), MENTIONS_MAX);
}

#[test]
fn an_unknown_kind_is_shown_unless_it_is_for_devices() {
    assert!(!Content::Unknown { kind: 99 }.is_control());
    assert!(Content::Unknown { kind: CONTROL_KINDS_FROM }.is_control());
    assert!(!Content::text("hi").is_control());
    assert!(Content::Info { name: String::new() }.is_control());
}

#[test]
fn the_longest_text_fits_and_a_longer_one_is_refused() {
    let text = |length| Content::text("x".repeat(length));
    let mut longest = Text { body: "x".repeat(TEXT_BYTES_MAX), ..rich() };
    longest.mentions = vec![AccountId([7; 16]); MENTIONS_MAX];
    assert!(encode(&head(), &Content::Text(longest.clone())).is_ok());
    assert!(encode(&head(), &Content::Edit { target: Sequence(u64::MAX), text: longest }).is_ok());
    assert_eq!(encode(&head(), &text(CONTENT_BYTES_MAX)), Err(ContentError::TooLarge));
}

/// P-073.
#[test]
fn the_name_of_a_file_is_safe_whoever_wrote_it_and_its_size_and_type_keep_their_limits() {
    let body = |name: &str, bytes: u64, media_type: &str| {
        let root = BlobRoot([5; 32]);
        write(&(name, bytes, media_type, &root, &FileKey::of([6; 32]), ""))
    };
    let Ok(Content::File { about, .. }) =
        Content::from_body(12, &body("../../.ssh/\u{202e}keys", 1, "text/plain"), &[])
    else {
        panic!("a file")
    };
    assert_eq!(about.name.as_str(), "keys");
    for (bytes, media_type) in [
        (crate::file::FILE_BYTES_MAX + 1, "text/plain"),
        (u64::MAX, ""),
        (1, "text/\u{1b}[2J"),
        (1, &"x".repeat(128)),
    ] {
        assert_eq!(Content::from_body(12, &body("a", bytes, media_type), &[]), Err(Malformed));
    }
    let caption =
        Text { body: "x".repeat(CAPTION_BYTES_MAX), mentions: vec![AccountId([7; 16]); 32], ..rich() };
    let name = "n".repeat(199);
    assert!(encode(&head(), &file(&name, caption)).is_ok(), "the longest");
}

/// P-076.
#[test]
fn a_preview_that_is_none_leaves_the_file_and_shows_nothing() {
    let content = seen(file("a.jpg", rich()), jpeg(320, 240, 4_500));
    let extensions = content.extensions();
    assert_eq!(extensions.iter().filter(|(number, _)| *number == PREVIEW).count(), 2);
    let (kind, body) = content.to_body().expect("a file");
    let without = file("a.jpg", rich());
    let read = |extensions: &[(u16, Vec<u8>)]| Content::from_body(kind, &body, extensions);
    assert_eq!(read(&extensions), Ok(content));
    let (last, cut) = extensions.split_last().expect("parts");
    let swapped = [&cut[..3], std::slice::from_ref(last), &cut[3..]].concat();
    let doubled = [&extensions[..], std::slice::from_ref(last)].concat();
    for (parts, why) in [(cut.to_vec(), "cut off"), (swapped, "in another order"), (doubled, "longer")] {
        assert_eq!(read(&parts), Ok(without.clone()), "{why}");
    }
    for (width, picture, why) in [
        (1, vec![0x89, b'P', b'N', b'G'], "another format"),
        (1, jpeg(40_000, 40_000, 9), "of a size that nobody could hold"),
        (u32::MAX, jpeg(320, 240, 9), "of more than anybody has"),
        (1, jpeg(320, 240, 3 * PREVIEW_BYTES_MAX), "too long"),
    ] {
        let joined = write(&(width, 1_u32, picture));
        let parts = joined.chunks(EXTENSION_BYTES_MAX).map(|part| (PREVIEW, part.to_vec()));
        let parts: Vec<_> = cut[..3].iter().cloned().chain(parts).collect();
        assert_eq!(read(&parts), Ok(without.clone()), "{why}");
    }
}

/// P-076.
#[test]
fn a_file_with_a_preview_is_a_file_for_who_does_not_know_previews_and_fills_8_kib_at_most() {
    let largest = jpeg(320, 320, PREVIEW_BYTES_MAX - jpeg(1, 1, 0).len());
    let name = "n".repeat(199);
    let content = seen(file(&name, Text { body: "x".repeat(300), ..Text::default() }), largest.clone());
    let padded = encode(&head(), &content).expect("small");
    assert_eq!(padded.len(), 8_192);
    let wire: Wire = read_versioned(&padded).expect("a content");
    assert!(check_extensions(&wire.extensions).is_ok());
    let known: Vec<_> = wire.extensions.iter().filter(|(number, _)| *number < PREVIEW).cloned().collect();
    let Ok(Content::File { preview: None, .. }) = Content::from_body(wire.kind, &wire.body, &known) else {
        panic!("a file")
    };
    let body = "x".repeat(CAPTION_WITH_PREVIEW_BYTES_MAX);
    let caption = Text { body, mentions: vec![AccountId([7; 16]); 32], ..rich() };
    assert!(encode(&head(), &seen(file(&name, caption), largest)).is_ok(), "the longest");
}

#[test]
fn a_signal_beyond_its_limits_is_neither_written_nor_read() {
    let sdp = |length| Signal::Offer { round: 0, sdp: "x".repeat(length) };
    let crowd = |count| Signal::Candidates { round: 0, list: vec![candidate(); count] };
    let long = Candidate { line: "x".repeat(CANDIDATE_BYTES_MAX + 1), ..candidate() };
    let broken = Candidate { line: "candidate:1\r\na=evil".into(), ..candidate() };
    for (signal_of, fits) in [
        (sdp(SDP_BYTES_MAX), true),
        (sdp(SDP_BYTES_MAX + 1), false),
        (crowd(CANDIDATES_PER_SIGNAL_MAX), true),
        (crowd(CANDIDATES_PER_SIGNAL_MAX + 1), false),
        (Signal::Candidates { round: 0, list: vec![long] }, false),
        (Signal::Candidates { round: 0, list: vec![broken] }, false),
    ] {
        let written = encode_ephemeral(UnixMillis(5), signal(signal_of));
        assert_eq!(written.is_ok(), fits);
        if let Ok(padded) = written {
            assert!(padded.len() <= 16 * 1024, "with its seal it fits into a frame");
        }
    }
    let bytes = write(&(0_u32, "x".repeat(SDP_BYTES_MAX + 1))).to_vec();
    let body = write(&(CALL, None::<DeviceId>, 1_u32, 8_u16, bytes));
    assert_eq!(Ephemeral::from_body(6, &body), Err(Malformed));
}

#[test]
fn a_signal_of_a_later_version_is_passed_over() {
    let body = write(&(CALL, None::<DeviceId>, 1_u32, 900_u16, vec![1_u8, 2]));
    let Ok(Ephemeral::Call(read)) = Ephemeral::from_body(6, &body) else { panic!("a signal") };
    assert_eq!(read.signal, Signal::Unknown { signal: 900 });
}

#[test]
fn a_word_about_a_link_names_few_addresses_and_one_of_a_later_version_is_passed_over() {
    let meet = |addresses| {
        let word = PeerWord::Meet { link: LinkId([3; 16]), way: way(addresses) };
        Ephemeral::Peer(PeerSignal { to: None, word })
    };
    assert!(encode_ephemeral(UnixMillis(5), meet(ADDRESSES_MAX)).is_ok());
    assert!(encode_ephemeral(UnixMillis(5), meet(ADDRESSES_MAX + 1)).is_err());
    let bytes = write(&(LinkId([3; 16]), way(ADDRESSES_MAX + 1))).to_vec();
    assert_eq!(Ephemeral::from_body(7, &write(&(None::<DeviceId>, 3_u16, bytes))), Err(Malformed));
    let offer = |length| {
        let word = PeerWord::Answer { link: LinkId([3; 16]), round: 0, sdp: "x".repeat(length) };
        Ephemeral::Peer(PeerSignal { to: None, word })
    };
    assert!(encode_ephemeral(UnixMillis(5), offer(CHANNEL_SDP_BYTES_MAX)).is_ok());
    assert!(encode_ephemeral(UnixMillis(5), offer(CHANNEL_SDP_BYTES_MAX + 1)).is_err());
    let crowd = vec![candidate(); CANDIDATES_PER_SIGNAL_MAX + 1];
    let bytes = write(&(LinkId([3; 16]), 0_u32, crowd)).to_vec();
    assert_eq!(Ephemeral::from_body(7, &write(&(None::<DeviceId>, 7_u16, bytes))), Err(Malformed));
    let later = write(&(None::<DeviceId>, 900_u16, vec![1_u8, 2]));
    let Ok(Ephemeral::Peer(read)) = Ephemeral::from_body(7, &later) else { panic!("a word") };
    assert_eq!(read.word, PeerWord::Unknown { word: 900 });
}

#[test]
fn a_record_of_a_later_outcome_is_kept() {
    let record: CallRecord = read(&write(&(CALL, true, UnixMillis(5), 9_u8, 0_u32))).expect("a record");
    assert_eq!(record.outcome(), None);
}

proptest! {
    #[test]
    fn hostile_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256), kind in 0u16..15) {
        let _ = decode(&bytes);
        let _ = Content::from_body(kind, &bytes, &[(kind, bytes.clone())]);
        let _ = Ephemeral::from_body(kind, &bytes);
        if let Some(padded) = padding::pad(&bytes) {
            let _ = decode(&padded);
            let _ = decode_ephemeral(&padded);
        }
    }
}
