//! A stranger's bytes: never a panic, never memory out of proportion, always an error that blames the sender.

use crate::samples;
use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sotto_protocol::body::connection::{Authenticate, Hello};
use sotto_protocol::body::directory::PublishKeyPackages;
use sotto_protocol::body::log::{Entries, Follow};
use sotto_protocol::frame::{Body, Frame, FrameError, HEADER_BYTES, Header, decode_body};
use sotto_protocol::limits::{FRAME_BODY_BEFORE_AUTH_BYTES_MAX, FRAME_BODY_BYTES_MAX};
use sotto_protocol::mls_header;

/// The bincode marker of a 64-bit length, then 2^60.
const CLAIM_OF_2_TO_THE_60: [u8; 9] = [253, 0, 0, 0, 0, 0, 0, 0, 0x10];

/// P-011: without the decoder's limit these bytes ask for more memory than there is and end the process.
#[test]
fn a_few_bytes_that_claim_2_to_the_60_elements_are_refused() {
    fn refused<B: Body + std::fmt::Debug + PartialEq>(head: &[u8]) {
        let mut body = head.to_vec();
        body.extend_from_slice(&CLAIM_OF_2_TO_THE_60);
        body.resize(25.max(body.len()), 0);
        assert_eq!(decode_body::<B>(&Bytes::from(body)), Err(FrameError::Malformed { kind: B::KIND.0 }));
    }
    refused::<Hello>(&[1, 1]); // the agent's length
    refused::<Hello>(&[1, 1, 0]); // the number of extensions
    refused::<Authenticate>(&[]); // the token's length
    refused::<PublishKeyPackages>(&[]); // a list of payloads
    refused::<PublishKeyPackages>(&[1]); // a payload's length
    refused::<Follow>(&[]); // a list of ids
    refused::<Entries>(&[7; 17]); // a list of structures
}

/// P-010: a length over what the connection may send is refused before a byte of the body is awaited.
#[test]
fn a_header_that_announces_too_much_is_refused_at_once() {
    let announce = |length: usize| {
        let mut header = [1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0];
        header[8..].copy_from_slice(&u32::try_from(length).expect("fits").to_be_bytes());
        BytesMut::from(&header[..])
    };
    for limit in [FRAME_BODY_BEFORE_AUTH_BYTES_MAX, FRAME_BODY_BYTES_MAX] {
        assert_eq!(Frame::take(&mut announce(limit), limit), Ok(None), "exactly the limit may come");
        let refused = Frame::take(&mut announce(limit + 1), limit);
        assert!(matches!(refused, Err(FrameError::TooLarge { .. })), "{refused:?}");
    }
    assert!(Header::decode(&announce(u32::MAX as usize), FRAME_BODY_BYTES_MAX).is_err());
}

/// P-009: the reserved byte.
#[test]
fn a_reserved_byte_that_is_not_zero_is_refused() {
    let mut bytes = BytesMut::from(&samples::all()[0].bytes[..]);
    bytes[1] = 1;
    assert_eq!(Frame::take(&mut bytes, FRAME_BODY_BYTES_MAX), Err(FrameError::Reserved));
}

/// P-011: to the last byte, and no byte more.
#[test]
fn every_truncated_or_extended_body_is_refused() {
    for sample in samples::all() {
        let whole = samples::frame(&sample.bytes);
        for length in 0..whole.body.len() {
            let cut = Frame { header: whole.header, body: whole.body.slice(..length) };
            assert!((sample.decodes_to_it)(&cut).is_err(), "{} cut to {length} bytes", sample.name);
        }
        let mut longer = BytesMut::from(&whole.body[..]);
        longer.extend_from_slice(&[0]);
        let longer = Frame { header: whole.header, body: longer.freeze() };
        assert!((sample.decodes_to_it)(&longer).is_err(), "{} with a byte after it", sample.name);
    }
}

/// P-014: a frame of a kind that this version does not know is taken off whole, so the next one is found.
#[test]
fn an_unknown_kind_is_skipped_by_its_length() {
    let known = samples::all().remove(0);
    let mut stream = BytesMut::new();
    stream.extend_from_slice(&[1, 0, 0x7f, 0xff, 0, 0, 0, 9, 0, 0, 0, 3, 0xff, 0xff, 0xff]);
    stream.extend_from_slice(&known.bytes);
    let unknown = Frame::take(&mut stream, FRAME_BODY_BYTES_MAX).expect("a header").expect("whole");
    assert_eq!(sotto_protocol::body::kind_name(unknown.header.kind), "unknown");
    let next = Frame::take(&mut stream, FRAME_BODY_BYTES_MAX).expect("a header").expect("whole");
    assert_eq!((known.decodes_to_it)(&next), Ok(true));
}

#[test]
fn a_frame_asked_for_as_another_kind_says_which_came() {
    let hello = samples::frame(&samples::all()[0].bytes);
    assert_eq!(
        hello.decode::<Follow>(),
        Err(FrameError::UnexpectedKind { expected: Follow::KIND.0, got: Hello::KIND.0 })
    );
}

/// Decodes a body as every kind there is.
fn decode_as_each(body: &Bytes) {
    for sample in samples::all() {
        let header = samples::frame(&sample.bytes).header;
        let _ = (sample.decodes_to_it)(&Frame { header, body: body.clone() });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic_as_any_kind(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        decode_as_each(&Bytes::from(body));
    }

    #[test]
    fn no_damage_to_a_good_frame_panics(
        which in any::<prop::sample::Index>(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let samples = samples::all();
        let sample = which.get(&samples);
        let mut bytes = sample.bytes.to_vec();
        for (place, value) in places {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        let mut buffer = BytesMut::from(&bytes[..]);
        if let Ok(Some(frame)) = Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX) {
            let _ = (sample.decodes_to_it)(&frame);
            decode_as_each(&frame.body);
        }
    }

    /// P-008: what arrives in pieces is the same as what arrives at once.
    #[test]
    fn frames_are_found_wherever_the_stream_is_cut(cuts in proptest::collection::vec(1_usize..40, 1..60)) {
        let samples = samples::all();
        let stream: Vec<u8> = samples.iter().flat_map(|sample| sample.bytes.to_vec()).collect();
        let mut buffer = BytesMut::new();
        let mut found = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.into_iter().cycle() {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            buffer.extend_from_slice(piece);
            rest = after;
            while let Some(frame) = Frame::take(&mut buffer, FRAME_BODY_BYTES_MAX).expect("good frames") {
                found.push(frame);
            }
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(found.len(), samples.len());
        for (frame, sample) in found.iter().zip(&samples) {
            prop_assert_eq!((sample.decodes_to_it)(frame), Ok(true));
        }
    }

    #[test]
    fn no_header_panics(bytes in proptest::collection::vec(any::<u8>(), 0..HEADER_BYTES + 4), limit in any::<usize>()) {
        let _ = Header::decode(&bytes, limit);
    }

    #[test]
    fn no_mls_message_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = mls_header::peek(&bytes);
    }
}
