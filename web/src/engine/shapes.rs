//! What the interface is shown: the objects of `sotto_node_core::json`, with what drawing needs besides. Every text for showing
//! is made harmless here, so that the interface cannot forget to.

use super::calls::{group, links, voice};
use super::host::{BrowserStore, Host};
use super::{Here, Inner};
use serde_json::{Map, Value, json};
use sotto_e2ee::store::StoreError;
use sotto_node_core::account::drafts;
use sotto_node_core::client::{Client, Contact};
use sotto_node_core::event::Event;
use sotto_node_core::format::{harmless, harmless_line, spans};
use sotto_node_core::json::{conversation_json, message_json, role_name};
use sotto_node_core::view::{ConversationView, Line, MemberView, Message, Queued};
use sotto_protocol::ids::ConversationId;

/// Accounts that are named as being here, at most.
const PRESENT_MAX: usize = 100;

pub(super) fn with(object: Value, more: Value) -> Value {
    match (object, more) {
        (Value::Object(mut whole), Value::Object(more)) => {
            whole.extend(more);
            Value::Object(whole)
        }
        (object, _) => object,
    }
}

/// Makes the named strings of an object harmless.
fn tame(object: &mut Value, names: &[&str]) {
    for name in names {
        if let Some(Value::String(text)) = object.get_mut(*name) {
            *text = harmless_line(text);
        }
    }
}

/// A line of a history.
pub(super) fn message(message: &Message) -> Value {
    let mut object = message_json(message, None);
    tame(&mut object, &["username", "name", "reason"]);
    if let Some(reply) = object.get_mut("reply") {
        tame(reply, &["username", "excerpt"]);
    }
    if let Some(reactions) = object.get_mut("reactions").and_then(Value::as_array_mut) {
        for reaction in reactions {
            tame(reaction, &["emoji"]);
        }
    }
    match &message.line {
        Line::Text(text) => with(object, json!({ "spans": pieces(text) })),
        // Everything that can be done to a text can be done to a file: it is one, with a file beside it. Its first span is
        // the file's, the others are the caption's; only that can be edited.
        Line::File { about, caption } => {
            let gap = if caption.is_empty() { "" } else { "\n" };
            let mut spans = vec![json!({ "text": format!("📎 {}{gap}", about.name) })];
            spans.extend(pieces(caption));
            with(object, json!({ "kind": "text", "text": caption, "spans": spans }))
        }
        _ => object,
    }
}

/// A text in pieces that are each shown in one way.
fn pieces(text: &str) -> Vec<Value> {
    let piece = |span: sotto_node_core::format::Span<'_>| {
        let mut piece = Map::new();
        piece.insert("text".to_owned(), harmless(text.get(span.range)?).into());
        let style = span.style;
        let marks = [
            ("bold", style.bold),
            ("italic", style.italic),
            ("strike", style.strike),
            ("code", style.code),
            ("code_block", style.code_block),
            ("quote", style.quote),
        ];
        piece.extend(marks.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name.to_owned(), true.into())));
        if let Some(link) = span.link {
            piece.insert("link".to_owned(), link.into());
        }
        Some(Value::Object(piece))
    };
    spans(text).into_iter().filter_map(piece).collect()
}

/// A conversation with its people.
pub(super) fn conversation(
    client: &Client<BrowserStore>,
    view: &ConversationView,
) -> Result<Value, StoreError> {
    let id = view.conversation;
    let mut object = conversation_json(view);
    tame(&mut object, &["title", "name"]);
    let mut present = client.present(id);
    present.truncate(PRESENT_MAX);
    let more = json!({
        "people": view.members.iter().map(member).collect::<Vec<_>>(),
        "last": view.last.as_ref().map(message),
        "draft": drafts::one(client.store(), id)?.unwrap_or_default(),
        "present": present,
        "present_count": client.present_count(id),
        "typing": client.typing(id),
    });
    Ok(with(object, more))
}

fn member(member: &MemberView) -> Value {
    json!({
        "account": member.account,
        "username": harmless_line(&member.username),
        "role": member.role.map(role_name),
        "devices": member.devices,
        "verified": member.verified,
    })
}

/// A text that waits.
pub(super) fn queued(queued: &Queued) -> Value {
    json!({
        "number": queued.number,
        "since_ms": queued.since,
        "text": queued.text.as_deref().map(harmless),
    })
}

/// What is known of an account.
pub(super) fn contact(contact: &Contact) -> Value {
    json!({
        "account": contact.account,
        "username": harmless_line(&contact.username),
        "verified": contact.verified,
        "identity_key": contact.identity_key.map(|key| sotto_protocol::hex::text(&key)),
        "safety_number": contact.safety_number,
        "qr_text": contact.qr_text,
    })
}

/// The conversation about which something else is true after an event: its object is shown again.
pub(super) fn touches(event: &Event) -> Option<ConversationId> {
    match event {
        Event::Message(message) => Some(message.conversation),
        Event::Conversation(view) => Some(view.conversation),
        Event::Changed { conversation, .. }
        | Event::Typing { conversation, .. }
        | Event::Read { conversation, .. }
        | Event::Presence { conversation, .. }
        | Event::PresentCount { conversation, .. }
        | Event::HistoryAdded { conversation, .. } => Some(*conversation),
        _ => None,
    }
}

/// What the interface is told of an event beside that.
pub(super) fn event(event: &Event) -> Option<Value> {
    Some(match event {
        Event::Message(line) => message(line),
        Event::Changed { conversation, sequence } => {
            json!({ "type": "changed", "conversation": conversation, "sequence": sequence })
        }
        Event::HistoryAdded { conversation, lines } => {
            json!({ "type": "history_added", "conversation": conversation, "lines": lines })
        }
        Event::NotAdded { conversation, accounts } => {
            json!({ "type": "not_added", "conversation": conversation, "accounts": accounts })
        }
        Event::Admitted { conversation } => json!({ "type": "admitted", "conversation": conversation }),
        Event::IdentityChanged { account, username, was_verified } => json!({
            "type": "identity_changed",
            "account": account,
            "username": harmless_line(username),
            "was_verified": was_verified,
        }),
        Event::LogTampered { conversation, what } => {
            json!({ "type": "log_tampered", "conversation": conversation, "text": harmless_line(what) })
        }
        Event::Undecryptable { conversation, sequence, reason } => json!({
            "type": "undecryptable",
            "conversation": conversation,
            "sequence": sequence,
            "reason": format!("{reason:?}"),
        }),
        Event::Repaired { conversation, by } => {
            json!({ "type": "repaired", "conversation": conversation, "by": format!("{by:?}") })
        }
        Event::Call(view) => voice::view(view),
        Event::Negotiate { call, negotiation } => voice::media(*call, negotiation),
        Event::GroupCall(view) => group::view(view),
        Event::NegotiateIn { call, device, negotiation } => group::media(*call, *device, negotiation),
        Event::GroupKey { call, key } => group::key(*call, key),
        Event::Peer(event) => links::event(event)?,
        Event::StoreFailed(text) => {
            json!({ "type": "store_failed", "text": text, "full": text == &StoreError::Full.to_string() })
        }
        _ => return None,
    })
}

impl<H: Host> Inner<H> {
    /// The object of one conversation; nothing where there is none, or the store fails (which is told by itself).
    pub(super) fn conversation(&self, id: ConversationId) -> Option<Value> {
        let client = &self.here.as_ref()?.client;
        let view = client.conversation(id).ok()??;
        conversation(client, &view).ok()
    }

    /// How this browser stands.
    pub(super) fn state(&self, keeps: bool) -> Value {
        let status = &self.status;
        let mut stands = json!({ "status": status.word });
        if let Some(text) = &status.text {
            stands = with(stands, json!({ "text": harmless_line(text) }));
        }
        if let Some(carrier) = status.carrier {
            stands = with(stands, json!({ "carrier": carrier }));
        }
        let common = json!({
            "phase": if self.here.is_some() { "here" } else { "empty" },
            "status": stands,
            "storage": if keeps { "kept" } else { "memory" },
            "invisible": self.here.as_ref().is_some_and(|here| here.client.is_invisible()),
            "clock_offset_ms": self.clock_offset_ms,
        });
        let Some(Here { client, session }) = &self.here else { return common };
        let account = json!({
            "account": session.account,
            "username": harmless_line(&session.username),
            "email": harmless_line(&session.email),
            "device": client.device().device(),
        });
        let role = self.role.as_ref().map_or_else(|| json!({}), |role| json!({ "role": role }));
        with(with(common, account), role)
    }
}
