//! What messages look like to a program: the objects of `--json`, with the four fields that chat servers have.

use serde_json::{Value, json};
use sotto_node::node::Status;
use sotto_node_core::json::message_json;
use sotto_node_core::view::{Line, Message};
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};

/// What names an entry of a log: a sequence counts within its conversation only.
pub(super) fn message_id(conversation: ConversationId, sequence: Sequence) -> String {
    format!("{conversation}:{sequence}")
}

/// A line. What somebody said is a `message`; what happened (joined, left, renamed) is a `notice`.
pub(super) fn message(message: &Message, title: Option<&str>) -> Value {
    let mut object = message_json(message, title);
    if let Some(object) = object.as_object_mut() {
        object.insert("id".to_owned(), message_id(message.conversation, message.sequence).into());
        object.insert("sender".to_owned(), json!(message.account));
        object.insert("timestamp".to_owned(), timestamp(message.time).into());
        match &message.line {
            Line::Text(text) | Line::File { caption: text, .. } => {
                object.insert("content".to_owned(), text.as_str().into())
            }
            _ => object.insert("type".to_owned(), "notice".into()),
        };
    }
    object
}

/// A moment as RFC 3339 writes it, in UTC with milliseconds.
pub(super) fn timestamp(at: UnixMillis) -> String {
    let format = time::macros::format_description!(
        "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
    );
    let nanos = i128::from(at.0).saturating_mul(1_000_000);
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos)
        .ok()
        .and_then(|moment| moment.format(format).ok())
        .unwrap_or_default()
}

/// How the connection to the relay stands, in a word and, where there is more to say, a sentence.
pub(super) fn status(status: &Status) -> Value {
    let (word, sentence) = match status {
        Status::Offline => ("offline", None),
        Status::Connecting => ("connecting", None),
        Status::Unreachable(why) => ("unreachable", Some(why.clone())),
        Status::Ready(_) => ("ready", None),
        Status::Synchronised(_) => ("synchronised", None),
        Status::SignedOut(why) => ("signed_out", Some(why.clone())),
        Status::WrongFingerprint(wrong) => ("wrong_fingerprint", Some(wrong.to_string())),
        Status::Refused(failure) => ("refused", Some(failure.text.clone())),
        Status::Ended(why) => ("ended", Some(why.clone())),
    };
    match sentence {
        Some(sentence) => json!({ "type": "status", "status": word, "text": sentence }),
        None => json!({ "type": "status", "status": word }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_rfc_3339() {
        assert_eq!(timestamp(UnixMillis(1_700_000_000_123)), "2023-11-14T22:13:20.123Z");
        assert_eq!(timestamp(UnixMillis(u64::MAX)), "");
    }
}
