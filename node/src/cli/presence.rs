//! `presence`, and who is here for the other commands.

use super::args::{Global, Presence, PresenceArg};
use super::exit::Failed;
use super::open::{self, RunningNode};
use super::output::Printer;
use serde_json::json;
use sotto_node_core::command::Command;
use sotto_protocol::ids::ConversationId;
use std::time::Duration;

/// The relay tells who is here right after it confirms that a conversation is followed; one that never will is of
/// before this existed.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether it has told.
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn presence(global: &Global, printer: &Printer, args: Presence) -> Result<(), Failed> {
    let node = open::node(global, printer, false).await?;
    open::finishing(node, async |node| {
        if let Some(wish) = args.presence {
            node.command(Command::SetInvisible(wish == PresenceArg::Invisible)).await?;
        }
        let invisible = node.ask(|client| client.is_invisible()).await?;
        let lines = if invisible {
            "Invisible: the others are not told when this device is connected."
        } else {
            "Visible: the members of your conversations see when this device is connected."
        };
        printer.result(&json!({ "type": "presence", "invisible": invisible }), lines)
    })
    .await
}

/// Waits for the relay's word on who is here; how many are, where it is known.
pub(crate) async fn count(node: &RunningNode, conversation: ConversationId) -> Result<Option<u32>, Failed> {
    let told = async {
        while node.status().is_ready() {
            let count = node.ask(move |client| client.present_count(conversation)).await?;
            if count.is_some() {
                return Ok(count);
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Failed>(None)
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap_or(Ok(None))
}
