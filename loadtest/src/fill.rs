//! A long history without the hours of sending it: written into a device's store by the path that every line takes.

use anyhow::{Result, ensure};
use rand::CryptoRng;
use sotto_node::store::SqliteStore;
use sotto_node_core::client::Client;
use sotto_protocol::ids::{ConversationId, Sequence, UnixMillis};

/// Lines of one commit, as many as one fetch brings.
const LINES_PER_COMMIT: usize = 512;

/// How long lines wait at most until they go into the index of searches.
const WAIT_MS: u64 = 60_000;

/// Adds texts to a conversation and indexes them as far as is due.
pub(crate) fn add(
    client: &mut Client<SqliteStore>,
    conversation: ConversationId,
    texts: impl Iterator<Item = (Sequence, UnixMillis, String)>,
    now: UnixMillis,
    rng: &mut impl CryptoRng,
) -> Result<()> {
    let mut texts = texts.peekable();
    while texts.peek().is_some() {
        let some: Vec<_> = texts.by_ref().take(LINES_PER_COMMIT).collect();
        ensure!(client.fill(conversation, some, now, rng), "the store failed");
        settle(client, now, rng);
    }
    Ok(())
}

/// Carries out all that is left of the index.
pub(crate) fn finish(
    client: &mut Client<SqliteStore>,
    now: UnixMillis,
    rng: &mut impl CryptoRng,
) -> Result<()> {
    settle(client, UnixMillis(now.0 + WAIT_MS), rng);
    ensure!(client.search_is_complete(), "the index is not complete");
    Ok(())
}

fn settle(client: &mut Client<SqliteStore>, now: UnixMillis, rng: &mut impl CryptoRng) {
    while client.poll_timeout().is_some_and(|due| due <= now) {
        client.handle_timeout(now, rng);
        while client.poll_output().is_some() {}
    }
}
