//! Who is here: asked over HTTP, told on the WebSocket as it changes.
//!
//! It is the relay's word, given while the connection to it lasts. Of a crowd it says only how many.

use super::super::conversations::member_json;
use super::super::exit::Failed;
use super::super::open::RunningNode;
use super::super::presence::here;
use serde_json::{Value, json};
use sotto_node_core::client::{Client, Contact};
use sotto_node_core::command::Who;
use sotto_node_core::json::conversation_json;
use sotto_node_core::view::ConversationView;
use sotto_protocol::ids::{AccountId, ConversationId};

/// Conversations, each with how many are here where that is known.
pub(super) async fn conversations(
    node: &RunningNode,
    views: &[ConversationView],
) -> Result<Vec<Value>, Failed> {
    let ids: Vec<ConversationId> = views.iter().map(|view| view.conversation).collect();
    let count = move |client: &Client<_>| ids.iter().map(|id| client.present_count(*id)).collect::<Vec<_>>();
    let counts = node.ask(count).await?;
    let object = |(view, count): (&ConversationView, Option<u32>)| {
        let mut object = conversation_json(view);
        object["present"] = json!(count);
        object
    };
    Ok(views.iter().zip(counts).map(object).collect())
}

/// The members of a conversation, each with whether it is here.
pub(super) async fn members(node: &RunningNode, view: &ConversationView) -> Result<Vec<Value>, Failed> {
    let present = here(node, view.conversation).await?;
    let object = |member| {
        let mut object = member_json(member);
        object["here"] = json!(present.is_here(member.account));
        object
    };
    Ok(view.members.iter().map(object).collect())
}

/// Who is here.
pub(super) async fn of(node: &RunningNode, view: &ConversationView) -> Result<Value, Failed> {
    let present = here(node, view.conversation).await?;
    let member = |account: &AccountId| {
        let member = view.members.iter().find(|member| member.account == *account);
        json!({ "account": account, "username": member.map(|member| &member.username) })
    };
    Ok(json!({
        "type": "presence",
        "conversation": view.conversation,
        "count": present.count,
        "accounts": present.named.map(|named| named.iter().map(member).collect::<Vec<_>>()),
    }))
}

/// Somebody came or went.
pub(super) async fn changed(
    node: &RunningNode,
    conversation: ConversationId,
    account: AccountId,
    here: bool,
) -> Result<Value, Failed> {
    let who = Who::Account(account);
    let read = move |client: &Client<_>| (client.contact(&who), client.present_count(conversation));
    let (contact, count) = node.ask(read).await?;
    let username = contact?.map(|contact: Contact| contact.username);
    Ok(json!({
        "type": "presence",
        "conversation": conversation,
        "account": account,
        "username": username,
        "here": here,
        "count": count,
    }))
}
