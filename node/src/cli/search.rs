//! `search`.

use super::args::Global;
use super::exit::Failed;
use super::open::{self, RunningNode};
use super::output::{Names, Printer};
use super::{name, talk};
use sotto_node_core::search::SearchQuery;
use std::collections::HashMap;
use std::time::Duration;

/// A store that was not searched before is indexed first: some seconds for a million messages.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked whether that is done.
const LOOK: Duration = Duration::from_millis(10);

/// What `search` takes.
#[derive(clap::Args)]
pub(crate) struct Search {
    /// Words, or how they begin, in any case; a message has to have all of them
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    /// Only in this conversation
    #[arg(long = "in", value_name = "NAME")]
    pub(crate) conversation: Option<String>,
    /// How many messages at most, the newest ones
    #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) n: u32,
}

/// Nothing is asked of the relay: it could not read a question about what it cannot read.
pub(crate) async fn search(global: &Global, printer: &Printer, args: Search) -> Result<(), Failed> {
    let node = open::node(global, printer, false).await?;
    open::finishing(node, async |node| {
        let only = match &args.conversation {
            Some(name) => Some(name::conversation(node, name).await?.conversation),
            None => None,
        };
        if !is_complete(node).await? {
            printer.remark("(the index is not complete yet: some messages may be missing)");
        }
        let query = SearchQuery {
            words: args.words.join(" "),
            conversation: only,
            before: None,
            limit: usize::try_from(args.n).unwrap_or(usize::MAX),
        };
        let hits = node.ask(move |client| client.search(&query)).await??;
        let (mut names, mut titles) = (Names::default(), HashMap::new());
        for view in name::views(node).await? {
            names.add(&view);
            titles.insert(view.conversation, view.title);
        }
        for hit in &hits {
            talk::learn_names(node, &hit.message, &mut names).await?;
            printer.message(&hit.message, titles.get(&hit.conversation).map(String::as_str), &names)?;
        }
        if hits.is_empty() {
            printer.remark("(no message on this device has these words; `sotto history` reads older ones from the archive)");
        }
        Ok(())
    })
    .await
}

async fn is_complete(node: &RunningNode) -> Result<bool, Failed> {
    let waiting = async {
        while !node.ask(|client| client.search_is_complete()).await? {
            tokio::time::sleep(LOOK).await;
        }
        Ok::<_, Failed>(true)
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or(Ok(false))
}
