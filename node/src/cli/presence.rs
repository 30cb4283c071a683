//! `presence`, and who is here for the other commands.

use super::args::Global;
use super::exit::Failed;
use super::open::{self, RunningNode};
use super::output::Printer;
use clap::ValueEnum;
use serde_json::json;
use sotto_node_core::client::Client;
use sotto_node_core::command::Command;
use sotto_protocol::ids::{AccountId, ConversationId};
use std::collections::BTreeSet;
use std::time::Duration;

/// The relay tells who is here right after it confirms that a conversation is followed; one that never will is of
/// before this existed.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is looked whether it has told.
const LOOK: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PresenceArg {
    /// The members of your conversations see when this device is connected
    Visible,
    /// They do not; you still see them
    Invisible,
}

/// What `presence` takes.
#[derive(clap::Args)]
pub(crate) struct Presence {
    /// Kept on this device, from the next connection on
    #[arg(value_enum)]
    pub(crate) presence: Option<PresenceArg>,
}

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

/// Who of a conversation is here, as far as the relay says so.
pub(crate) struct Here {
    /// How many; `None` while it is not known.
    pub(crate) count: Option<u32>,
    /// Who; `None` while it is not known, and of a crowd, of which the relay names nobody.
    pub(crate) named: Option<BTreeSet<AccountId>>,
}

impl Here {
    /// Whether a member is, where it is known.
    pub(crate) fn is_here(&self, account: AccountId) -> Option<bool> {
        self.named.as_ref().map(|named| named.contains(&account))
    }
}

/// Waits for the relay's word on who is here.
pub(crate) async fn here(node: &RunningNode, conversation: ConversationId) -> Result<Here, Failed> {
    if count(node, conversation).await?.is_none() {
        return Ok(Here { count: None, named: None });
    }
    let told = move |client: &Client<_>| (client.present_count(conversation), client.present(conversation));
    let (count, named) = node.ask(told).await?;
    let all_are_named = count.is_some_and(|count| usize::try_from(count) == Ok(named.len()));
    Ok(Here { count, named: all_are_named.then(|| named.into_iter().collect()) })
}

/// Waits for the relay's word on how many are here.
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
