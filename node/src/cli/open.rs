//! From a profile to a running node, and back to a closed store.

use super::args::Global;
use super::exit::{Failed, of_status};
use super::output::Printer;
use super::prompt;
use sotto_e2ee::store::Store as _;
use sotto_node::node::{Node, Session, Start, Status, resume};
use sotto_node::profile::Profile;
use sotto_node::secret::{self, SystemKeyring};
use sotto_node::store::{OpenError, SqliteStore};
use sotto_node_core::command::Command;
use sotto_node_core::event::{Event, Outcome};
use sotto_node_core::settings::Settings;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

/// How long a command waits for the relay to answer at all.
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// How long a command waits until every conversation has caught up.
pub(crate) const CATCH_UP: Duration = Duration::from_secs(20);

/// How long a command that is done waits for what is left in the outbox.
const FLUSH: Duration = Duration::from_secs(10);

pub(crate) type RunningNode = Node<SqliteStore>;

/// The folder of all profiles.
pub(crate) fn home(global: &Global) -> Result<PathBuf, Failed> {
    match &global.home {
        Some(home) => Ok(home.clone()),
        None => Ok(Profile::default_home()?),
    }
}

/// The profile that the options name.
pub(crate) fn profile(global: &Global) -> Result<Profile, Failed> {
    Ok(Profile::new(&home(global)?, &global.profile)?)
}

pub(crate) fn settings(global: &Global) -> Settings {
    Settings {
        agent: concat!("sotto/", env!("CARGO_PKG_VERSION")).to_owned(),
        relay_only: global.relay_only,
        ..Settings::default()
    }
}

/// The store of a profile that has one.
pub(crate) async fn store(global: &Global) -> Result<SqliteStore, Failed> {
    let profile = profile(global)?;
    if !profile.exists() {
        return Err(OpenError::Missing.into());
    }
    let lock = profile.lock()?;
    let file = global.passphrase_file.clone();
    // Argon2id and a keyring take their time; neither may hold up a runtime.
    blocking(move || {
        let (key, _) =
            secret::open(&profile, &SystemKeyring, |ask| prompt::passphrase(file.as_deref(), ask))?;
        Ok(SqliteStore::open(&profile, lock, &key)?)
    })
    .await
}

/// A new store for a profile that has none, or one that an interrupted registration left.
pub(crate) async fn new_store(global: &Global, printer: &Printer) -> Result<NewStore, Failed> {
    let profile = profile(global)?;
    if profile.store_path().exists() {
        let store = store(global).await?;
        let used = sotto_node_core::client::Client::open(store, settings(global), now());
        return match used {
            Ok(client) => Err(Failed::usage(format!(
                "this profile belongs to {} already; use another --profile, or `sotto login` to sign in again",
                client.username()
            ))),
            // The store is gone with the failed client; it is opened again below.
            Err(sotto_node_core::client::OpenError::Empty) => {
                Ok(NewStore { store: Some(self::store(global).await?), profile, fresh: false })
            }
            Err(error) => Err(error.into()),
        };
    }
    let lock = profile.lock()?;
    let file = global.passphrase_file.clone();
    let given = prompt::passphrase_is_given(file.as_deref());
    let place = profile.clone();
    let (store, holder) = blocking(move || {
        let (key, holder) =
            secret::create(&place, &SystemKeyring, given, |ask| prompt::passphrase(file.as_deref(), ask))?;
        Ok((SqliteStore::create(&place, lock, &key)?, holder))
    })
    .await?;
    printer.remark(&format!("The local store is encrypted; its key is held by {holder}."));
    Ok(NewStore { store: Some(store), profile, fresh: true })
}

/// A store that was just made. Unless it is used, its files go again: a refused registration leaves nothing behind.
pub(crate) struct NewStore {
    store: Option<SqliteStore>,
    profile: Profile,
    fresh: bool,
}

impl NewStore {
    /// Takes the store out, for an attempt; [`Self::undo`] if it fails before anything is in the store.
    pub(crate) fn take(&mut self) -> SqliteStore {
        self.store.take().expect("a new store is used once")
    }

    /// Nothing came of it. Only files that this run made, and that hold nothing, are removed.
    pub(crate) async fn undo(self, global: &Global) {
        if !self.fresh {
            return;
        }
        let empty = match store(global).await {
            Ok(store) => store
                .scan(&sotto_e2ee::store::Scan::prefix(Vec::new()).limit(1))
                .is_ok_and(|rows| rows.is_empty()),
            Err(_) => false,
        };
        if empty {
            for path in [self.profile.store_path(), self.profile.row_keys_path(), self.profile.key_path()] {
                if let Err(error) = std::fs::remove_file(&path) {
                    tracing::warn!(%error, path = %path.display(), "a new file could not be removed");
                }
            }
        }
    }
}

/// Opens the profile and starts its node.
pub(crate) async fn node(global: &Global, printer: &Printer, online: bool) -> Result<RunningNode, Failed> {
    let mut start = resume(store(global).await?, settings(global), online)?;
    take_link(global, printer, &mut start)?;
    begin(start, printer)
}

/// Opens the profile for a node that connects.
pub(crate) async fn start(global: &Global, printer: &Printer) -> Result<Start<SqliteStore>, Failed> {
    let mut start = resume(store(global).await?, settings(global), true)?;
    take_link(global, printer, &mut start)?;
    Ok(start)
}

/// Another link for a known profile: somebody confirmed a new fingerprint or address.
fn take_link(global: &Global, printer: &Printer, start: &mut Start<SqliteStore>) -> Result<(), Failed> {
    let Some(link) = &global.relay else { return Ok(()) };
    let known = start.session.link().map_err(|error| Failed::usage(error.to_string()))?;
    if known.relay != link.relay || known.fingerprint != link.fingerprint {
        start.session.set_link(link);
        printer.remark(&format!("(using {}; kept once the relay answers there)", shown_link(&start.session)));
    }
    Ok(())
}

fn shown_link(session: &Session) -> String {
    session.link().map(|link| link.to_string()).unwrap_or_default()
}

/// Starts a node and says aloud what nobody may overlook.
pub(crate) fn begin(start: Start<SqliteStore>, printer: &Printer) -> Result<RunningNode, Failed> {
    Ok(begin_with_events(start, printer)?.0)
}

/// The same, with every event from the first on.
pub(crate) fn begin_with_events(
    start: Start<SqliteStore>,
    printer: &Printer,
) -> Result<(RunningNode, Receiver<Event>), Failed> {
    let (node, running) = Node::prepare(start)?;
    let (mut events, all) = (node.events(), node.events());
    tokio::spawn(running);
    let printer = Printer::new(printer.is_json(), false);
    tokio::spawn(async move {
        loop {
            match events.recv().await {
                Ok(event) => warn(&printer, &event),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    });
    Ok((node, all))
}

fn warn(printer: &Printer, event: &Event) {
    if let Some((code, sentence)) = alarm(event) {
        printer.alarm(code, &sentence);
    }
}

/// What nobody may overlook: its code and its sentence.
pub(crate) fn alarm(event: &Event) -> Option<(&'static str, String)> {
    match event {
        Event::IdentityChanged { username, was_verified, .. } => {
            let name = sotto_node_core::format::harmless_line(username);
            let before = if *was_verified { ", which you had verified" } else { "" };
            let sentence = format!(
                "THE IDENTITY OF {name}{before} HAS CHANGED. Either {name} started again from nothing, or \
                 somebody poses as {name}. Compare: sotto verify {name}"
            );
            Some(("identity_changed", sentence))
        }
        Event::LogTampered { what, .. } => {
            let what = sotto_node_core::format::harmless_line(what);
            Some(("log_tampered", format!("THE RELAY'S LOG WAS TAMPERED WITH: {what}")))
        }
        Event::StoreFailed(what) => Some(("store_failed", what.clone())),
        _ => None,
    }
}

/// Waits until the relay answers requests.
pub(crate) async fn ready(node: &RunningNode) -> Result<(), Failed> {
    let status = node.wait(CONNECT, |now| now.is_ready() || matches!(now, Status::Unreachable(_))).await;
    of_status(&status).map_or(Ok(()), Err)
}

/// Waits until every conversation has caught up.
pub(crate) async fn caught_up(node: &RunningNode) -> Result<(), Failed> {
    ready(node).await?;
    let enough = |now: &Status| matches!(now, Status::Synchronised(_) | Status::Unreachable(_));
    let status = node.wait(CATCH_UP, enough).await;
    of_status(&status).map_or(Ok(()), Err)
}

/// Catches up where the relay can be reached; says so where not, and goes on with what is here.
pub(crate) async fn caught_up_if_reachable(node: &RunningNode, printer: &Printer) -> Result<(), Failed> {
    match caught_up(node).await {
        Err(failed) if failed.exit == super::exit::Exit::Unreachable => {
            printer.remark(&format!("(offline, showing what is on this device: {})", failed.sentence));
            Ok(())
        }
        other => other,
    }
}

/// What a command came to that only the relay can carry out. It goes on when a lost connection is back; a relay that stays away is not
/// waited for without end.
pub(crate) async fn answered(node: &RunningNode, command: Command) -> Result<Outcome, Failed> {
    match unless_away(node.statuses(), CONNECT, node.command(command)).await {
        Ok(outcome) => Ok(outcome?),
        Err(status) => {
            let failed = of_status(&status).unwrap_or_else(|| Failed::internal("the relay went away"));
            let sentence = format!(
                "the relay went away before it answered, so it may or may not have been done; `sotto rooms` shows it \
                 when the relay is back: {}",
                failed.sentence
            );
            Err(Failed { sentence, ..failed })
        }
    }
}

/// What comes of the work, or the status at which the connection stayed away for so long that it is given up.
async fn unless_away<T>(
    mut statuses: watch::Receiver<Status>,
    patience: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    let away = async {
        loop {
            if statuses.wait_for(|now| !now.is_ready()).await.is_err() {
                // The node has ended, and whoever waits for it hears so.
                return std::future::pending().await;
            }
            let back = statuses.wait_for(|now| now.is_ready() || now.is_final());
            let has_ended = matches!(tokio::time::timeout(patience, back).await, Ok(Err(_)));
            if has_ended {
                return std::future::pending().await;
            }
            let now = statuses.borrow().clone();
            if !now.is_ready() {
                return now;
            }
        }
    };
    tokio::select! {
        biased;
        done = work => Ok(done),
        status = away => Err(status),
    }
}

/// Lets the outbox empty itself if the relay is there, then closes everything.
pub(crate) async fn finish(node: &RunningNode) {
    if node.status().is_ready() {
        node.wait_idle(FLUSH).await;
    }
    node.stop().await;
}

/// Runs a command on a node and closes the node however it ends.
pub(crate) async fn finishing<T>(
    node: RunningNode,
    command: impl AsyncFnOnce(&RunningNode) -> Result<T, Failed>,
) -> Result<T, Failed> {
    let result = command(&node).await;
    finish(&node).await;
    result
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Failed::internal(format!("a thread ended badly: {error}"))))
}

/// The wall clock.
pub(crate) fn now() -> sotto_protocol::ids::UnixMillis {
    sotto_node::node::wall_clock()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sotto_node::transport::Carrier;
    use tokio::task::yield_now;

    fn away() -> Status {
        Status::Unreachable("nobody answers".into())
    }

    #[tokio::test]
    async fn a_relay_that_comes_back_in_time_is_waited_for_and_one_that_stays_away_is_not() {
        let (tell, statuses) = watch::channel(Status::Ready(Carrier::Quic));
        let work = async {
            for _ in 0..5 {
                tell.send_replace(away());
                yield_now().await;
                tell.send_replace(Status::Ready(Carrier::Quic));
                yield_now().await;
            }
            "done"
        };
        assert_eq!(unless_away(statuses.clone(), CONNECT, work).await, Ok("done"));
        tell.send_replace(away());
        let never = std::future::pending::<()>();
        assert_eq!(unless_away(statuses.clone(), Duration::from_millis(10), never).await, Err(away()));
        tell.send_replace(Status::Ended("the disk is full".into()));
        let never = std::future::pending::<()>();
        let ended = Err(Status::Ended("the disk is full".into()));
        assert_eq!(unless_away(statuses, CONNECT, never).await, ended, "waiting longer cannot help");
    }
}
