//! Calls that become a command of the client, and what the interface is told of what came of it.

use super::asked::*;
use super::{CallError, LINES_MAX, args, group, invalid, links, voice};
use serde_json::{Value, json};
use sotto_e2ee::file::{FileAbout, Preview};
use sotto_mls::suite::Suite;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{Failure, FailureCode, Outcome};
use zeroize::Zeroizing;

/// What the interface is told of what came of a command.
pub(super) fn came_of(outcome: Outcome) -> Value {
    match outcome {
        Outcome::Call(call) => json!({ "call": call.to_string() }),
        Outcome::Conversation(conversation) => json!({ "conversation": conversation }),
        Outcome::Added { added, without_device } => {
            json!({ "added": added, "without_device": without_device })
        }
        Outcome::Rooms(rooms) => rooms
            .iter()
            .map(|room| {
                let name = sotto_node_core::format::harmless_line(&room.name);
                json!({ "conversation": room.conversation, "name": name, "members": room.members })
            })
            .collect(),
        Outcome::History { added, next, .. } => json!({ "added": added, "next": next }),
        _ => json!({}),
    }
}

/// The command of a method, and whether it is enough that its text is safe here.
pub(super) fn command(method: &str, given: &str) -> Result<(Command, bool), CallError> {
    let command = match method {
        "send" => {
            let Texting { conversation, text, reply_to } = args(given)?;
            return Ok((Command::Send { conversation, text, reply_to }, true));
        }
        "send_file" => {
            let FileSending { conversation, file, caption, reply_to, preview } = args(given)?;
            let about = sotto_protocol::hex::read_all(&file);
            let about = about.and_then(|about| FileAbout::read(&Zeroizing::new(about)).ok());
            let about = about.ok_or_else(|| invalid("this is no file"))?;
            // One that is too large, or none, is no reason not to send.
            let preview = preview.and_then(|SmallPicture { width, height, jpeg }| {
                Preview::new(width, height, sotto_protocol::hex::read_all(&jpeg)?)
            });
            return Ok((Command::SendFile { conversation, about, caption, reply_to, preview }, true));
        }
        "edit" => {
            let Editing { conversation, target, text } = args(given)?;
            Command::Edit { conversation, target, text }
        }
        "delete" => {
            let At { conversation, target } = args(given)?;
            Command::Delete { conversation, target }
        }
        "react" => {
            let Reacting { conversation, target, emoji, on } = args(given)?;
            Command::React { conversation, target, emoji, on }
        }
        "pin" => {
            let Pinning { conversation, target, on } = args(given)?;
            Command::Pin { conversation, target, on }
        }
        "set_timer" => {
            let Timing { conversation, seconds } = args(given)?;
            Command::SetTimer { conversation, seconds }
        }
        "mark_read" => {
            let Reading { conversation, upto } = args(given)?;
            Command::MarkRead { conversation, upto }
        }
        "typing" => Command::Typing { conversation: args::<One>(given)?.conversation },
        "open_direct" => {
            Command::OpenDirect { username: args::<OneName>(given)?.username, suite: Suite::XWing }
        }
        "create" => Command::CreateConversation(args::<Creating>(given)?.command()?),
        "rooms" => Command::ListRooms,
        "join" => Command::Join { conversation: args::<One>(given)?.conversation },
        "join_listed" => Command::JoinListed { name: args::<Named>(given)?.name },
        "leave" => Command::Leave { conversation: args::<One>(given)?.conversation },
        "rename" => {
            let Renaming { conversation, name } = args(given)?;
            Command::Rename { conversation, name }
        }
        "add_members" => {
            let Adding { conversation, usernames } = args(given)?;
            Command::AddMembers { conversation, usernames }
        }
        "remove_member" => {
            let Member { conversation, account } = args(given)?;
            Command::RemoveMember { conversation, who: Who::Account(account) }
        }
        "set_role" => {
            let Roles { conversation, account, role } = args(given)?;
            Command::SetRole { conversation, who: Who::Account(account), role: role_of(&role)? }
        }
        "fetch_history" => {
            let History { conversation, before, limit } = args(given)?;
            let limit = u32::try_from(limit.min(LINES_MAX)).unwrap_or(u32::MAX);
            Command::FetchHistory { conversation, before, limit }
        }
        "set_invisible" => Command::SetInvisible(args::<Switch>(given)?.on),
        other => {
            if let Some(command) = voice::command(other, given)? {
                return Ok((command, false));
            }
            if let Some(command) = group::command(other, given)? {
                return Ok((command, false));
            }
            if let Some(command) = links::command(other, given)? {
                return Ok((command, false));
            }
            let text = format!("{other} is no call of this version");
            return Err(Failure::new(FailureCode::Invalid, text).into());
        }
    };
    Ok((command, false))
}
