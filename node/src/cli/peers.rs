//! `peers`, `seed`.

use super::args::Global;
use super::exit::Failed;
use super::open;
use super::output::Printer;
use super::talk::{for_good, interrupted};
use clap::ValueEnum;
use serde_json::json;
use sotto_node_core::command::Command;
use sotto_node_core::peers::PeerCommand;

/// What `peers` takes.
#[derive(clap::Args)]
pub(crate) struct Peers {
    /// Kept on this device
    #[arg(value_enum)]
    pub(crate) wish: Option<Wish>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Wish {
    /// Files come and go directly between devices where that works; members learn each other's addresses
    Direct,
    /// Everything goes by the relay, and only it learns this device's address
    RelayOnly,
}

pub(crate) async fn peers(global: &Global, printer: &Printer, args: Peers) -> Result<(), Failed> {
    let node = open::node(global, printer, false).await?;
    open::finishing(node, async |node| {
        if let Some(wish) = args.wish {
            let hide = wish == Wish::RelayOnly;
            node.command(Command::Peer(PeerCommand::SetRelayOnly(hide))).await?;
        }
        let hidden = node.ask(|client| client.is_relay_only()).await?;
        let lines = if hidden {
            "Relay only: this device makes no direct links, and nobody but the relay learns its address."
        } else {
            "Direct: files come and go directly between devices where that works, so members of your conversations may \
             learn this device's address."
        };
        printer.result(&json!({ "type": "peers", "relay_only": hidden }), lines)
    })
    .await
}

pub(crate) async fn seed(global: &Global, printer: &Printer) -> Result<(), Failed> {
    let node = open::node(global, printer, true).await?;
    open::finishing(node, async |node| {
        node.serve_files().await;
        open::caught_up(node).await?;
        let (files, hidden) = (node.shared_files().await?, node.ask(|client| client.is_relay_only()).await?);
        if hidden {
            let sentence = "this device makes no direct links (sotto peers, --relay-only), so nobody can get files from it";
            return Err(Failed::usage(sentence));
        }
        let lines = format!("Members can get what you sent or got here, where it lies now (files: {files}). Ctrl-C ends.");
        printer.result(&json!({ "type": "seeding", "files": files }), &lines)?;
        tokio::select! {
            () = interrupted() => Ok(()),
            failed = for_good(node) => Err(failed),
        }
    })
    .await
}
