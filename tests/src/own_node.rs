//! A real client inside a test's own program, on the home of somebody whom the program `sotto` registered; and how such a program speaks.

use anyhow::{Context as _, Result};
use serde_json::Value;
use sotto_node::node::{Node, Status, resume};
use sotto_node::profile::{DEFAULT_PROFILE, Profile};
use sotto_node::secret::{self, SystemKeyring};
use sotto_node::store::SqliteStore;
use sotto_node_core::event::Event;
use sotto_node_core::settings::Settings;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::oneshot;

/// Starts it, with every event from the first on.
///
/// # Errors
/// If the home is nobody's, or `SOTTO_PASSPHRASE` does not open it.
pub fn begin(home: &Path) -> Result<(Node<SqliteStore>, Receiver<Event>)> {
    let profile = Profile::new(home, DEFAULT_PROFILE)?;
    let lock = profile.lock()?;
    let passphrase = std::env::var("SOTTO_PASSPHRASE").context("the passphrase")?;
    let (key, _) = secret::open(&profile, &SystemKeyring, |_| Ok(passphrase.into()))?;
    let store = SqliteStore::open(&profile, lock, &key)?;
    let (node, running) = Node::prepare(resume(store, Settings::default(), true)?)?;
    let events = node.events();
    tokio::spawn(running);
    Ok((node, events))
}

/// Waits until every conversation has caught up.
pub async fn synchronised(node: &Node<SqliteStore>) {
    node.wait(Duration::from_secs(60), |status| matches!(status, Status::Synchronised(_))).await;
}

/// Says what happens, by an object a line.
///
/// # Errors
/// If nobody listens any more.
pub fn say(object: &Value) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{object}")?)
}

/// Resolves when standard input ends: then the program is to end too.
#[must_use]
pub fn input_ends() -> oneshot::Receiver<()> {
    let (ended, input) = oneshot::channel();
    std::thread::spawn(move || {
        // However it ends, it has ended; and nobody may wait for it any more.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    input
}
