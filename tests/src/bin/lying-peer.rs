//! A device of a member that gives files which are not the files: the real client, and other bytes where it reads its disk.
//!
//! Started with the home of somebody who has got the file, and how to lie. Says `ready` when members can ask, ends with its
//! standard input.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sotto_node::peers::Gives;
use sotto_protocol::ids::ConversationId;
use sotto_protocol::peer::Question;
use sotto_tests::own_node::{begin, input_ends, synchronised};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

const CHUNK: usize = 1024 * 1024;

/// How it lies about chunks.
#[derive(Clone, Copy)]
enum Lie {
    /// As long as a chunk, and something else.
    Corrupt,
    /// Less than a chunk.
    Short,
    /// More than a chunk, and more.
    Endless,
}

impl Gives for Lie {
    fn give(&self, _: ConversationId, _: Question) -> BoxFuture<'static, Option<Bytes>> {
        let bytes = match self {
            Self::Corrupt => CHUNK,
            Self::Short => CHUNK / 3,
            Self::Endless => 3 * CHUNK,
        };
        std::future::ready(Some(Bytes::from(vec![7; bytes]))).boxed()
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let home = arguments.next().context("the home")?;
    let lie = match arguments.next().as_deref() {
        Some("corrupt") => Lie::Corrupt,
        Some("short") => Lie::Short,
        Some("endless") => Lie::Endless,
        _ => bail!("corrupt, short or endless"),
    };
    let (node, _) = begin(Path::new(&home))?;
    node.serve_files_from(Arc::new(lie)).await;
    synchronised(&node).await;
    writeln!(std::io::stdout(), "ready")?;
    input_ends().await?;
    node.stop().await;
    Ok(())
}
