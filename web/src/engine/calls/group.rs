//! Calls of groups: what the interface says about them, and what it is told.

use super::asked::Grouping;
use super::voice::{candidates, negotiation, report};
use super::{CallError, DeviceId, args, invalid};
use serde_json::{Value, json};
use sotto_node_core::calls::{
    CallId, GroupCallView, GroupCommand, GroupKey, GroupPerson, GroupWord, MediaState, Negotiation,
};
use sotto_node_core::command::Command;
use sotto_protocol::hex;

/// The command of a method about calls of groups; `None` for a method about something else.
pub(super) fn command(method: &str, given: &str) -> Result<Option<Command>, CallError> {
    let Some(method) = method.strip_prefix("group_call_") else { return Ok(None) };
    let command = read(method, args(given)?);
    command
        .map(|command| Some(Command::GroupCall(command)))
        .ok_or_else(|| invalid("this says nothing about the call of a group"))
}

fn read(method: &str, given: Grouping) -> Option<GroupCommand> {
    if method == "join" {
        return Some(GroupCommand::Join { conversation: given.conversation?, video: given.video? });
    }
    let Grouping { device, round, sdp, list, muted, camera, held, screen, .. } = given;
    let word = match method {
        "leave" => GroupWord::Leave,
        "decline" => GroupWord::Decline,
        "alive" => GroupWord::Alive,
        "state" => {
            let state = MediaState { muted: muted?, camera: camera?, held: held?, screen: screen? };
            GroupWord::State(state)
        }
        "description" => GroupWord::Description { device: device?, round: round?, sdp: sdp? },
        "candidates" => GroupWord::Candidates { device: device?, round: round?, list: candidates(list?) },
        "media" => GroupWord::Media { device: device?, report: report(&given.media?, given.fingerprint)? },
        _ => return None,
    };
    Some(GroupCommand::Of(given.call?.parse().ok()?, word))
}

/// How the call of a group stands.
pub(in super::super) fn view(view: &GroupCallView) -> Value {
    json!({
        "type": "group_call",
        "call": view.call.to_string(),
        "conversation": view.conversation,
        "account": view.by,
        "video": view.video,
        "state": view.state.name(),
        "reason": view.reason.map(|reason| reason.name()),
        "since_ms": view.since,
        "altered": view.altered,
        "replaces": view.replaces.map(|call| call.to_string()),
        "people": view.people.iter().map(person).collect::<Vec<_>>(),
    })
}

fn person(person: &GroupPerson) -> Value {
    json!({
        "account": person.account,
        "device": person.device,
        "own": person.own,
        "link": person.link.map(|link| link.name()),
        "muted": person.state.muted,
        "camera": person.state.camera,
        "held": person.state.held,
        "screen": person.state.screen,
        "tampered": person.tampered,
    })
}

/// What is to be done about the media between this device and another one.
pub(in super::super) fn media(call: CallId, device: DeviceId, what: &Negotiation) -> Value {
    let whose = json!({ "type": "group_call_negotiate", "call": call.to_string(), "device": device });
    negotiation(whose, what)
}

/// What seals the media from now on.
pub(in super::super) fn key(call: CallId, key: &GroupKey) -> Value {
    let sender = |(device, index): &(DeviceId, u32)| json!({ "device": device, "index": index });
    json!({
        "type": "group_call_key",
        "call": call.to_string(),
        "epoch": key.epoch,
        "base_key": hex::text(&*key.base_key),
        "context": key.context,
        "mine": key.mine,
        "senders": key.senders.iter().map(sender).collect::<Vec<_>>(),
    })
}
