//! `edit`, `delete`, `react`, `pin`, `unpin`, `timer`, `role`.

use super::args::{Edit, Global, React, RoleArgs, Target, Timer};
use super::conversations::plain_username;
use super::exit::Failed;
use super::output::Printer;
use super::{name, open};
use serde_json::json;
use sotto_node_core::command::{Command, Who};
use sotto_node_core::event::Outcome;
use sotto_node_core::format::harmless_line;
use sotto_node_core::json::role_name;
use sotto_protocol::body::conversation::Role;
use sotto_protocol::ids::{ConversationId, Sequence};

pub(crate) async fn edit(global: &Global, printer: &Printer, args: Edit) -> Result<(), Failed> {
    let Edit { name, seq, text } = args;
    does(global, printer, &name, "Edited.", |conversation| Command::Edit {
        conversation,
        target: Sequence(seq),
        text,
    })
    .await
}

pub(crate) async fn delete(global: &Global, printer: &Printer, args: Target) -> Result<(), Failed> {
    let target = Sequence(args.seq);
    let done = "Deleted here, and on every device that hears of it.";
    does(global, printer, &args.name, done, |conversation| Command::Delete { conversation, target }).await
}

pub(crate) async fn react(global: &Global, printer: &Printer, args: React) -> Result<(), Failed> {
    let React { name, seq, emoji, off } = args;
    does(global, printer, &name, "Done.", |conversation| Command::React {
        conversation,
        target: Sequence(seq),
        emoji,
        on: !off,
    })
    .await
}

pub(crate) async fn pin(global: &Global, printer: &Printer, args: Target, on: bool) -> Result<(), Failed> {
    let target = Sequence(args.seq);
    let done = if on { "Pinned." } else { "Unpinned." };
    does(global, printer, &args.name, done, |conversation| Command::Pin { conversation, target, on }).await
}

pub(crate) async fn timer(global: &Global, printer: &Printer, args: Timer) -> Result<(), Failed> {
    let seconds = args.time.0;
    let done = match seconds {
        Some(seconds) => format!("Texts from now on disappear after {seconds} seconds."),
        None => "Texts from now on stay.".to_owned(),
    };
    does(global, printer, &args.name, &done, |conversation| Command::SetTimer { conversation, seconds }).await
}

/// Carries out a command that ends as an entry of the log.
async fn does(
    global: &Global,
    printer: &Printer,
    name: &str,
    done: &str,
    command: impl FnOnce(ConversationId) -> Command,
) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let view = name::conversation(node, name).await?;
        match node.command(command(view.conversation)).await? {
            Outcome::Sent { conversation, number, sequence, time } => {
                let object = json!({
                    "type": "sent",
                    "conversation": conversation,
                    "number": number,
                    "sequence": sequence,
                    "time_ms": time,
                });
                printer.result(&object, done)
            }
            other => Err(Failed::internal(format!("an unexpected outcome: {other:?}"))),
        }
    })
    .await
}

pub(crate) async fn role(global: &Global, printer: &Printer, args: RoleArgs) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        open::caught_up(node).await?;
        let conversation = name::conversation(node, &args.name).await?.conversation;
        let username = plain_username(&args.user);
        let role = Role::from(args.role);
        open::answered(node, Command::SetRole { conversation, who: Who::Username(username.clone()), role })
            .await?;
        let role = role_name(role);
        let object =
            json!({ "type": "role", "conversation": conversation, "username": username, "role": role });
        printer.result(&object, &format!("{} is {role} now.", harmless_line(&username)))
    })
    .await
}
