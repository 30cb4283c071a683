//! TURN on a stream, TCP or TLS: its bytes cut into the messages that datagrams would be.

use bytes::{Bytes, BytesMut};

/// The header of STUN, and what begins its second half (RFC 8489, 5).
const STUN_HEADER_BYTES: usize = 20;
const STUN_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Bytes that are no STUN and no channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client sent what is neither STUN nor a channel's data")]
pub struct NotTurn;

/// Takes the first message of a stream, if it is there whole. None is longer than 64 KiB: its length has 16 bits. Who borrows
/// nothing has no channels; much that is no TURN would look like one. Channel data loses its padding (RFC 8656, 12.5).
///
/// # Errors
/// If what comes next is no message: the connection is to be ended.
pub fn take_message(stream: &mut BytesMut, borrows: bool) -> Result<Option<Bytes>, NotTurn> {
    let Some(&[first, _, high, low]) = stream.first_chunk::<4>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (whole, padded) = match first {
        0x40..0x80 if borrows => (4 + length, (4 + length).next_multiple_of(4)),
        0..4 if length.is_multiple_of(4) => {
            let cookie = stream.get(4..8);
            if cookie.is_some_and(|cookie| cookie != STUN_COOKIE) {
                return Err(NotTurn);
            }
            (STUN_HEADER_BYTES + length, STUN_HEADER_BYTES + length)
        }
        _ => return Err(NotTurn),
    };
    if stream.len() < padded {
        stream.reserve(padded - stream.len());
        return Ok(None);
    }
    let mut message = stream.split_to(padded);
    message.truncate(whole);
    Ok(Some(message.freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_stream_is_cut_into_messages_and_channel_data_loses_its_padding() {
        let stun = [&[0, 1, 0, 0], &STUN_COOKIE[..], &[7; 12]].concat();
        let channel = [0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0];
        let all = [&stun[..], &channel, &stun].concat();
        let mut stream = BytesMut::new();
        let mut taken = Vec::new();
        for byte in all {
            stream.extend_from_slice(&[byte]);
            taken.extend(take_message(&mut stream, true).unwrap());
        }
        assert_eq!(taken, [&stun[..], &channel[..9], &stun]);
        assert!(stream.is_empty());
    }

    #[test]
    fn what_is_no_turn_ends_the_connection() {
        for bytes in [&b"GET / HTTP/1.1"[..], &[0x16, 3, 1, 0], &[0, 1, 0, 3], &[0, 1, 0, 0, 1, 2, 3, 4]] {
            assert_eq!(take_message(&mut BytesMut::from(bytes), false), Err(NotTurn), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_cut_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut stream = BytesMut::from(&bytes[..]);
            while let Ok(Some(message)) = take_message(&mut stream, true) {
                prop_assert!(message.len() >= 4);
            }
        }
    }
}
