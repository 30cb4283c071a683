//! The little that a relay reads of an MLS message: what it is, whose group, which epoch.
//!
//! A relay checks each application message against the epoch of its conversation, so this reads the fixed
//! start of an `MLSMessage` (RFC 9420 section 6) in place, without allocating and without an MLS library.

/// The wire formats of RFC 9420 section 17.2 that travel through a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireFormat {
    /// A handshake message that the relay can check.
    PublicMessage,
    /// An encrypted message.
    PrivateMessage,
}

/// What a private or public message says before anything encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MlsHeader<'a> {
    /// Public or private.
    pub wire_format: WireFormat,
    /// The MLS group id: the bytes of the [`ConversationId`](crate::ids::ConversationId).
    pub group_id: &'a [u8],
    /// The epoch that the message was made for.
    pub epoch: u64,
    /// RFC 9420 section 6: 1 application, 2 proposal, 3 commit. A public message has its sender before it,
    /// so it is read from private messages only.
    pub content_type: Option<u8>,
}

/// Reads the start of an MLS message; `None` if it is not a public or private message of MLS 1.0.
#[must_use]
pub fn peek(message: &[u8]) -> Option<MlsHeader<'_>> {
    let (version, rest) = split_u16(message)?;
    let (wire_format, rest) = split_u16(rest)?;
    let wire_format = match (version, wire_format) {
        (1, 1) => WireFormat::PublicMessage,
        (1, 2) => WireFormat::PrivateMessage,
        _ => return None,
    };
    let (length, rest) = split_varint(rest)?;
    let (group_id, rest) = rest.split_at_checked(length)?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let content_type = match wire_format {
        WireFormat::PrivateMessage => Some(*rest.first()?),
        WireFormat::PublicMessage => None,
    };
    Some(MlsHeader { wire_format, group_id, epoch: u64::from_be_bytes(*epoch), content_type })
}

/// Writes the start of a private application message: what load generators and tests put before filler.
#[must_use]
pub fn private_application_prefix(group_id: &[u8; 16], epoch: u64) -> [u8; 30] {
    let mut prefix = [0; 30];
    let head = [0, 1, 0, 2, 16];
    let parts = head.iter().chain(group_id).copied().chain(epoch.to_be_bytes()).chain([1]);
    for (place, byte) in prefix.iter_mut().zip(parts) {
        *place = byte;
    }
    prefix
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// A variable-size length of RFC 9420 section 2.1.2; group ids need one or two bytes of it.
fn split_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first >> 6 {
        0 => Some((usize::from(first), rest)),
        1 => {
            let (&second, rest) = rest.split_first()?;
            Some((usize::from(u16::from_be_bytes([first & 0x3f, second])), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_read_back() {
        let prefix = private_application_prefix(&[7; 16], 42);
        let header = peek(&prefix).expect("the prefix is a header");
        assert_eq!(header.group_id, [7; 16]);
        assert_eq!(header.epoch, 42);
        assert_eq!(header.content_type, Some(1));
    }

    #[test]
    fn every_truncation_is_none() {
        let prefix = private_application_prefix(&[7; 16], 42);
        for length in 0..prefix.len() {
            assert_eq!(peek(&prefix[..length]), None, "{length} bytes");
        }
    }
}
