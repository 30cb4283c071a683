//! Opaque bytes inside a frame: ciphertext that is never copied while it is decoded.
//!
//! bincode decodes with a context here: the [`Bytes`] that the body lies in. A [`Payload`] takes a slice of
//! it (a reference count, not a copy). Decoding from any other slice copies.

use bincode::de::read::Reader;
use bincode::de::{BorrowDecoder, Decoder};
use bincode::enc::Encoder;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{BorrowDecode, Decode, Encode};
use bytes::Bytes;
use core::fmt;

/// Opaque bytes, shared with the frame they arrived in.
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Payload(pub Bytes);

impl Payload {
    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Encode for Payload {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        encoder.writer().write(&self.0)
    }
}

impl Decode<Bytes> for Payload {
    fn decode<D: Decoder<Context = Bytes>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let length = usize::decode(decoder)?;
        decoder.claim_bytes_read(length)?;
        let whole = decoder.context().clone();
        let reader = decoder.reader();
        let Some(slice) = reader.peek_read(length) else {
            return Err(DecodeError::UnexpectedEnd { additional: length });
        };
        let start = slice.as_ptr() as usize;
        let base = whole.as_ptr() as usize;
        // The slice lies inside the context when the frame is decoded by this crate; elsewhere it is copied.
        let inside = start >= base && start.saturating_add(length) <= base.saturating_add(whole.len());
        let bytes = if inside { whole.slice_ref(slice) } else { Bytes::copy_from_slice(slice) };
        reader.consume(length);
        Ok(Self(bytes))
    }
}

impl<'de> BorrowDecode<'de, Bytes> for Payload {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Bytes>>(decoder: &mut D) -> Result<Self, DecodeError> {
        Self::decode(decoder)
    }
}
