//! What programs are shown of a client: the objects of `sotto --json`, of the daemon and of the browser's engine.

use crate::calls::outcome_name;
use crate::view::{ConversationView, Line, Message, Origin, Standing};
use serde_json::{Value, json};
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_protocol::body::conversation::{HistoryPolicy, Kind, Role};

/// A line of a history, for programs.
#[must_use]
pub fn message_json(message: &Message, title: Option<&str>) -> Value {
    let (kind, detail) = match &message.line {
        Line::Text(text) => ("text", json!({ "text": text })),
        Line::Named(name) => ("named", json!({ "name": name })),
        Line::Added(accounts) => ("added", json!({ "accounts": accounts })),
        Line::Removed(accounts) => ("removed", json!({ "accounts": accounts })),
        Line::Rejoined(account) => ("rejoined", json!({ "accounts": [account] })),
        Line::Left(account) => ("left", json!({ "accounts": [account] })),
        Line::Missing(why) => ("missing", json!({ "reason": why })),
        Line::Deleted { by } => ("deleted", json!({ "by": by })),
        Line::Timer(seconds) => ("timer", json!({ "seconds": seconds })),
        Line::Call(record) => (
            "call",
            json!({
                "call": record.call.to_string(),
                "outcome": outcome_name(record),
                "video": record.video,
                "seconds": record.seconds,
            }),
        ),
        Line::File { about, caption } => {
            let edges = |preview: &Preview| json!({ "width": preview.width(), "height": preview.height() });
            let preview = message.preview.as_ref().map(edges);
            ("file", json!({ "caption": caption, "file": file_json(about), "preview": preview }))
        }
        _ => ("unknown", json!({})),
    };
    let mut object = json!({
        "type": "message",
        "conversation": message.conversation,
        "sequence": message.sequence,
        "time_ms": message.time,
        "sent_at_ms": message.sent_at,
        "account": message.account,
        "username": message.username,
        "device": message.device,
        "own": message.own,
        "origin": origin_name(message.origin),
        "kind": kind,
        "reply": message.reply.as_ref().map(|quote| json!({
            "sequence": quote.sequence,
            "account": quote.account,
            "username": quote.username,
            "excerpt": quote.excerpt,
        })),
        "edited_at_ms": message.edited_at,
        "reactions": message.reactions.iter().map(|reaction| json!({
            "emoji": reaction.emoji,
            "accounts": reaction.accounts,
        })).collect::<Vec<_>>(),
        "pinned": message.pinned,
        "mentions": message.mentions,
        "expires_at_ms": message.expires_at,
        "read_by": message.read_by,
        "delivered_to": message.delivered_to,
    });
    if let (Value::Object(whole), Value::Object(detail)) = (&mut object, detail) {
        whole.extend(detail);
        if let Some(title) = title {
            whole.insert("title".to_owned(), title.into());
        }
    }
    object
}

/// A file, for programs. What opens it stays here.
#[must_use]
pub fn file_json(about: &FileAbout) -> Value {
    json!({
        "name": about.name.as_str(),
        "bytes": about.bytes,
        "media_type": about.media_type,
        "root": about.root,
    })
}

/// A conversation, for lists.
#[must_use]
pub fn conversation_json(view: &ConversationView) -> Value {
    json!({
        "type": "conversation",
        "conversation": view.conversation,
        "kind": kind_name(view.kind),
        "title": view.title,
        "name": view.name,
        "history": history_name(view.history),
        "standing": standing_name(view.standing),
        "suite": view.suite.map(|suite| suite.name()),
        "epoch": view.epoch,
        "cursor": view.cursor,
        "unread": view.unread,
        "queued": view.queued,
        "members": view.members.len(),
        "timer": view.timer,
        "pins": view.pins,
    })
}

/// What a kind of conversation is called.
#[must_use]
pub const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "direct",
        Kind::Group => "group",
        Kind::Room => "room",
    }
}

/// What a history policy is called.
#[must_use]
pub const fn history_name(history: HistoryPolicy) -> &'static str {
    match history {
        HistoryPolicy::None => "none",
        HistoryPolicy::SinceJoining => "since-joining",
        HistoryPolicy::All => "all",
    }
}

/// What a role is called.
#[must_use]
pub const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Member => "member",
        Role::Moderator => "moderator",
        Role::Owner => "owner",
    }
}

/// What a standing is called.
#[must_use]
pub const fn standing_name(standing: Standing) -> &'static str {
    match standing {
        Standing::Joining => "joining",
        Standing::Member => "member",
        Standing::Leaving => "leaving",
        Standing::Gone => "gone",
    }
}

const fn origin_name(origin: Origin) -> &'static str {
    match origin {
        Origin::Message => "message",
        Origin::Archive => "archive",
        Origin::Resent => "resent",
        Origin::Own => "own",
        Origin::Imported => "imported",
    }
}
