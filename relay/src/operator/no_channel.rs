//! Where there are no Unix sockets, orders are carried out while the relay is stopped.

use super::{Desk, OperatorError, Order, Refused};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// The name that the socket has elsewhere.
pub const SOCKET: &str = "control.sock";

/// Nothing to listen on.
pub(crate) struct Listener;

/// Nothing to do.
pub(crate) fn listen(_folder: &Path) -> io::Result<Listener> {
    Ok(Listener)
}

/// Waits for the end.
pub(crate) async fn serve(_: Listener, _: PathBuf, _: Arc<Desk>, mut stop: watch::Receiver<bool>) {
    crate::web::told(&mut stop).await;
}

/// Nothing comes in.
pub(super) fn read<O: Order>(_asked: &[u8]) -> Result<O, Refused> {
    Err(Refused("on this system a relay takes no orders".to_owned()))
}

/// Owners of files are not compared here.
pub(super) fn is_mine(_folder: &Path) -> bool {
    true
}

/// None does.
pub(super) async fn answers(_folder: &Path) -> bool {
    std::future::ready(false).await
}

/// Says what to do instead.
pub(super) async fn ask<O: Order>(folder: &Path, _order: O) -> Result<O::Answer, OperatorError> {
    let reason = "on this system a running relay takes no commands; stop it first".to_owned();
    std::future::ready(Err(OperatorError::NoAnswer { folder: folder.to_owned(), reason })).await
}
