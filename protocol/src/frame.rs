//! Frames: a fixed 12-byte header, then a body in the bincode 2 standard format.
//!
//! ```text
//!  0        1        2        3        4                 8                 12
//!  +--------+--------+--------+--------+--------+--------+--------+--------+---- ...
//!  | version| zero   | kind (big end.) | request id      | body length     | body
//!  +--------+--------+--------+--------+--------+--------+--------+--------+---- ...
//! ```
//!
//! The header never changes between versions, so that a receiver can skip a frame whose kind it does not
//! know and, when it is a request, answer it with [`ErrorCode::Unsupported`](crate::error::ErrorCode).
//! On QUIC the frames follow each other on one bidirectional stream; a WebSocket message is one frame or several.

use crate::ids::RequestId;
use crate::limits::FRAME_BODY_BYTES_MAX;
use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};
use bytes::{BufMut, Bytes, BytesMut};

/// The version of the protocol that this crate describes.
pub const VERSION: u8 = 1;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 12;

/// What a frame is; see [`crate::body`] for the kinds. Unknown kinds are legal and are skipped.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FrameKind(pub u16);

/// The outer header of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// The version that the body is written in.
    pub version: u8,
    /// What the body is.
    pub kind: FrameKind,
    /// Which request this asks or answers; [`RequestId::PUSH`] for neither.
    pub id: RequestId,
    /// Bytes of body that follow.
    pub length: u32,
}

/// A whole frame as it arrived: the body is not decoded yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The outer header.
    pub header: Header,
    /// The body, `header.length` bytes.
    pub body: Bytes,
}

/// Why bytes are not a frame. The sender is to blame for each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The length in the header is over what this connection may send now.
    #[error("a frame body of {length} bytes is over the limit of {limit}")]
    TooLarge {
        /// What the header says.
        length: u32,
        /// What is allowed.
        limit: usize,
    },
    /// The byte after the version is not zero.
    #[error("the reserved byte of the header is not zero")]
    Reserved,
    /// The body does not decode as its kind, or bytes are left after it.
    #[error("the body of frame kind {kind:#06x} is malformed")]
    Malformed {
        /// The kind that was expected.
        kind: u16,
    },
    /// A list, a text or an extension in the body is over its limit.
    #[error("the body of frame kind {kind:#06x} holds more than it may")]
    OverLimit {
        /// The kind of the frame.
        kind: u16,
    },
    /// A frame of another kind stood where this kind was due.
    #[error("frame kind {got:#06x} where {expected:#06x} was due")]
    UnexpectedKind {
        /// The kind that was due.
        expected: u16,
        /// The kind that came.
        got: u16,
    },
}

/// A type that travels as the body of one kind of frame.
///
/// The encoding is frozen per version: fields are never added, enums grow only at the end, and whatever
/// comes later goes into the extension list that closes each body.
pub trait Body: Encode + Decode<Bytes> {
    /// The kind of frame that carries it.
    const KIND: FrameKind;

    /// Whether every list, text and extension is within the limits of [`crate::limits`]. Asked after decoding.
    fn within_limits(&self) -> bool;
}

type BodyConfig = Configuration<LittleEndian, Varint, Limit<{ FRAME_BODY_BYTES_MAX }>>;

/// bincode 2 standard, with the limit without which 25 hostile bytes could ask for 2^60 elements.
const fn body_config() -> BodyConfig {
    bincode::config::standard().with_limit::<{ FRAME_BODY_BYTES_MAX }>()
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` while fewer than [`HEADER_BYTES`] are there.
    ///
    /// # Errors
    /// If the reserved byte is not zero or the length is over `body_limit`.
    pub fn decode(bytes: &[u8], body_limit: usize) -> Result<Option<Self>, FrameError> {
        let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [version, reserved, k0, k1, i0, i1, i2, i3, l0, l1, l2, l3] = *header;
        if reserved != 0 {
            return Err(FrameError::Reserved);
        }
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length as usize > body_limit {
            return Err(FrameError::TooLarge { length, limit: body_limit });
        }
        Ok(Some(Self {
            version,
            kind: FrameKind(u16::from_be_bytes([k0, k1])),
            id: RequestId(u32::from_be_bytes([i0, i1, i2, i3])),
            length,
        }))
    }

    /// The header as bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let [k0, k1] = self.kind.0.to_be_bytes();
        let [i0, i1, i2, i3] = self.id.0.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        [self.version, 0, k0, k1, i0, i1, i2, i3, l0, l1, l2, l3]
    }
}

impl Frame {
    /// Takes the next whole frame off the front of `buffer`, without copying its body; `None` while it is
    /// not all there.
    ///
    /// # Errors
    /// If the header is not one that may stand here. Nothing after it can be trusted then.
    pub fn take(buffer: &mut BytesMut, body_limit: usize) -> Result<Option<Self>, FrameError> {
        let Some(header) = Header::decode(buffer, body_limit)? else {
            return Ok(None);
        };
        let whole = HEADER_BYTES.saturating_add(header.length as usize);
        if buffer.len() < whole {
            return Ok(None);
        }
        let body = buffer.split_to(whole).freeze().slice(HEADER_BYTES..);
        Ok(Some(Self { header, body }))
    }

    /// Decodes the body as `B`.
    ///
    /// # Errors
    /// If the frame is of another kind, does not decode, or has bytes left over.
    pub fn decode<B: Body>(&self) -> Result<B, FrameError> {
        if self.header.kind != B::KIND {
            return Err(FrameError::UnexpectedKind { expected: B::KIND.0, got: self.header.kind.0 });
        }
        decode_body(&self.body)
    }
}

/// Decodes one body, to the last byte, and checks its lists and texts against their limits.
///
/// # Errors
/// If the bytes are not exactly one `B` (P-011), or it holds more than it may (P-012).
pub fn decode_body<B: Body>(body: &Bytes) -> Result<B, FrameError> {
    let malformed = FrameError::Malformed { kind: B::KIND.0 };
    let (value, read) =
        bincode::decode_from_slice_with_context::<Bytes, B, _>(body, body_config(), body.clone())
            .map_err(|_| malformed)?;
    if read != body.len() {
        return Err(malformed);
    }
    if value.within_limits() { Ok(value) } else { Err(FrameError::OverLimit { kind: B::KIND.0 }) }
}

/// Appends one whole frame to `out`.
///
/// # Panics
/// If the body is larger than any frame may be: whoever builds a body checks its parts against [`crate::limits`].
pub fn encode_into<B: Body>(out: &mut BytesMut, id: RequestId, body: &B) {
    let start = out.len();
    out.put_bytes(0, HEADER_BYTES);
    bincode::encode_into_std_write(body, &mut out.writer(), bincode::config::standard())
        .expect("writing to memory does not fail, and no body has a type that cannot be encoded");
    let length = out.len().saturating_sub(start).saturating_sub(HEADER_BYTES);
    assert!(length <= FRAME_BODY_BYTES_MAX, "a body of {length} bytes was built past the limits");
    let length = u32::try_from(length).expect("FRAME_BODY_BYTES_MAX fits in 32 bits");
    let header = Header { version: VERSION, kind: B::KIND, id, length }.encode();
    if let Some(place) = out.get_mut(start..start.saturating_add(HEADER_BYTES)) {
        place.copy_from_slice(&header);
    }
}

/// One whole frame.
#[must_use]
pub fn encode<B: Body>(id: RequestId, body: &B) -> Bytes {
    let mut out = BytesMut::new();
    encode_into(&mut out, id, body);
    out.freeze()
}
