//! What the tests of the interface share.

use sotto_node_core::view::{Line, Message, Origin};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, MessageNumber, Sequence, UnixMillis};

/// A line that somebody else said.
pub(crate) fn line(sequence: u64, text: &str) -> Message {
    let time = UnixMillis(1_700_000_000_000 + sequence * 1_000);
    Message {
        conversation: ConversationId([1; 16]),
        sequence: Sequence(sequence),
        time,
        sent_at: time,
        account: AccountId([2; 16]),
        username: "bob".to_owned(),
        device: DeviceId([3; 16]),
        number: MessageNumber(sequence),
        own: false,
        line: Line::Text(text.to_owned()),
        preview: None,
        origin: Origin::Message,
        reply: None,
        edited_at: None,
        reactions: Vec::new(),
        pinned: false,
        mentions: Vec::new(),
        expires_at: None,
        read_by: Vec::new(),
        delivered_to: Vec::new(),
    }
}
