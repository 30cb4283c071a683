//! Texts out: whom to, and in which order.

use super::super::exit::Failed;
use super::super::open::RunningNode;
use super::super::{name, verify};
use super::problem::Problem;
use axum::http::StatusCode;
use serde::Deserialize;
use sotto_e2ee::content::TEXT_BYTES_MAX;
use sotto_e2ee::conversation::Suite;
use sotto_node::node::Ticket;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::{FailureCode, Outcome};
use sotto_protocol::ids::{AccountId, ConversationId, Sequence};

/// The most that a text takes in JSON, where each of its bytes may stand as `\u0000`, and what stands around it.
pub(super) const BODY_BYTES_MAX: usize = 6 * TEXT_BYTES_MAX + 4096;

/// A text as programs write it.
#[derive(Deserialize)]
pub(super) struct Text {
    #[serde(flatten)]
    pub(super) to: To,
    pub(super) content: String,
    /// The place of the text that this one answers.
    pub(super) reply_to: Option<Sequence>,
    /// Also where the verified identity of a member has changed.
    #[serde(default)]
    pub(super) anyway: bool,
}

/// Where to: one of the two.
#[derive(Deserialize)]
pub(super) struct To {
    /// An account's id or a user name; the direct conversation is opened if there is none.
    recipient: Option<String>,
    /// The id or the name of a conversation, or @username.
    conversation: Option<String>,
}

impl To {
    /// A conversation by its name.
    pub(super) const fn conversation(name: String) -> Self {
        Self { recipient: None, conversation: Some(name) }
    }

    /// The conversation that is meant.
    pub(super) async fn find(&self, node: &RunningNode) -> Result<ConversationId, Problem> {
        match (&self.recipient, &self.conversation) {
            (Some(recipient), None) => Ok(direct(node, recipient).await?),
            (None, Some(name)) => match name.parse() {
                Ok(id) => Ok(id),
                Err(_) => Ok(name::conversation_or_open(node, name).await?.conversation),
            },
            _ => Err(Problem::invalid(
                "name either a recipient (an account's id or a user name) or a conversation (its id or name)",
            )),
        }
    }
}

/// Hands a text to the client. When this returns, it has its place behind the texts before it.
pub(super) async fn submit(node: &RunningNode, text: Text) -> Result<(ConversationId, Ticket), Problem> {
    if text.content.is_empty() {
        return Err(Problem::invalid("there is nothing to send: the content is empty"));
    }
    // Before a conversation is opened for it.
    if text.content.len() > TEXT_BYTES_MAX {
        let sentence = format!("a text is at most {TEXT_BYTES_MAX} bytes; send it in parts");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", sentence));
    }
    let conversation = text.to.find(node).await?;
    if !text.anyway && !node.changed_identities().await?.is_empty() {
        let view = name::by_id(node, conversation).await?;
        verify::refuse_if_changed(node, &view, false).await?;
    }
    let send = Command::Send { conversation, text: text.content, reply_to: text.reply_to };
    Ok((conversation, node.submit(send).await))
}

/// The direct conversation with an account.
async fn direct(node: &RunningNode, recipient: &str) -> Result<ConversationId, Failed> {
    // 32 hex digits are an id; a user name that looks like one is written with its @.
    let username = match recipient.parse::<AccountId>() {
        Ok(account) => username_of(node, account).await?,
        Err(_) => recipient.strip_prefix('@').unwrap_or(recipient).to_owned(),
    };
    if username == node.ask(|client| client.username().to_owned()).await? {
        return Err(Failed::usage("the recipient is this account itself; make a group to keep notes"));
    }
    match node.command(Command::OpenDirect { username: username.clone(), suite: Suite::default() }).await {
        Ok(Outcome::Conversation(id)) => Ok(id),
        Ok(other) => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
        // One that is on its way already takes texts without a connection.
        Err(failure) if failure.code == FailureCode::Offline => {
            Ok(name::conversation_or_open(node, &format!("@{username}")).await?.conversation)
        }
        Err(failure) => Err(failure.into()),
    }
}

async fn username_of(node: &RunningNode, account: AccountId) -> Result<String, Failed> {
    let known = node.ask(move |client| client.contact(&Who::Account(account))).await??;
    if let Some(contact) = known.filter(|contact| !contact.username.is_empty()) {
        return Ok(contact.username);
    }
    match node.command(Command::LookUp(Who::Account(account))).await? {
        Outcome::Account { username, .. } => Ok(username),
        other => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
    }
}
