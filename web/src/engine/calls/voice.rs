//! Calls between people: what the interface says about them, and what it is told.

use super::asked::{Calling, Described, Found, OneCall, Reported, Sending, Taking, Way};
use super::{CallError, args, invalid};
use crate::engine::shapes::with;
use serde_json::{Value, json};
use sotto_node_core::calls::{
    CallCommand, CallId, CallState, CallView, Candidate, MediaReport, MediaState, Negotiation,
};
use sotto_node_core::command::Command;

fn id(text: &str) -> Result<CallId, CallError> {
    text.parse().map_err(|_| invalid("a call is named by 32 hex digits"))
}

/// The command of a method about calls; `None` for a method about something else.
pub(super) fn command(method: &str, given: &str) -> Result<Option<Command>, CallError> {
    Ok(Some(Command::Call(match method {
        "call_start" => {
            let Calling { conversation, video } = args(given)?;
            CallCommand::Start { conversation, video }
        }
        "call_answer" => {
            let Taking { call, video } = args(given)?;
            CallCommand::Answer { call: id(&call)?, video }
        }
        "call_decline" => CallCommand::Decline { call: id(&args::<OneCall>(given)?.call)? },
        "call_hang_up" => CallCommand::HangUp { call: id(&args::<OneCall>(given)?.call)? },
        "call_description" => {
            let Described { call, round, sdp } = args(given)?;
            CallCommand::Description { call: id(&call)?, round, sdp }
        }
        "call_candidates" => {
            let Found { call, round, list } = args(given)?;
            CallCommand::Candidates { call: id(&call)?, round, list: candidates(list) }
        }
        "call_media" => {
            let Reported { call, media, fingerprint } = args(given)?;
            let report =
                report(&media, fingerprint).ok_or_else(|| invalid("this says nothing about media"))?;
            CallCommand::Media { call: id(&call)?, report }
        }
        "call_state" => {
            let Sending { call, muted, camera, held, screen } = args(given)?;
            CallCommand::State { call: id(&call)?, state: MediaState { muted, camera, held, screen } }
        }
        _ => return Ok(None),
    })))
}

/// How the media do, as a page says it.
pub(super) fn report(media: &str, fingerprint: Option<String>) -> Option<MediaReport> {
    Some(match (media, fingerprint) {
        ("connected", Some(fingerprint)) => MediaReport::Connected { fingerprint },
        ("alive", None) => MediaReport::Alive,
        ("disconnected", None) => MediaReport::Disconnected,
        ("failed", None) => MediaReport::Failed,
        _ => return None,
    })
}

/// How a call stands.
pub(in super::super) fn view(view: &CallView) -> Value {
    let reason = match view.state {
        CallState::Ended(reason) => Some(reason.name()),
        _ => None,
    };
    json!({
        "type": "call",
        "call": view.call.to_string(),
        "conversation": view.conversation,
        "account": view.peer,
        "outgoing": view.outgoing,
        "video": view.video,
        "state": view.state.name(),
        "reason": reason,
        "since_ms": view.since,
        "theirs": {
            "muted": view.theirs.muted,
            "camera": view.theirs.camera,
            "held": view.theirs.held,
            "screen": view.theirs.screen,
        },
        "altered": view.warning.is_some(),
        "replaces": view.replaces.map(|call| call.to_string()),
    })
}

/// Ways that a page found.
pub(super) fn candidates(list: Vec<Way>) -> Vec<Candidate> {
    list.into_iter().map(|Way { line, mid, section }| Candidate { line, mid, section }).collect()
}

/// What is to be done about the media of a call.
pub(in super::super) fn media(call: CallId, what: &Negotiation) -> Value {
    negotiation(json!({ "type": "call_negotiate", "call": call.to_string() }), what)
}

/// What is to be done about a connection, beside whose it is.
pub(super) fn negotiation(whose: Value, negotiation: &Negotiation) -> Value {
    let (what, round, more) = match negotiation {
        Negotiation::Offer { round } => ("offer", round, Value::Null),
        Negotiation::Description { round, offer, sdp } => {
            (if *offer { "take_offer" } else { "take_answer" }, round, sdp.as_str().into())
        }
        Negotiation::Candidates { round, list } => ("take_candidates", round, list.iter().map(way).collect()),
    };
    with(whose, json!({ "what": what, "round": round, "given": more }))
}

fn way(one: &Candidate) -> Value {
    json!({ "line": one.line, "mid": one.mid, "section": one.section })
}
