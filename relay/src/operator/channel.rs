//! The way to a running relay: a Unix socket in its data folder, for its owner only.
//!
//! One connection, one order. The command writes `{"order": NAME, "with": {...}}` and ends its half; the relay
//! writes `{"answer": ...}` or `{"refused": "..."}` and closes. Whoever may open the socket may give orders: it lies in
//! a folder of mode 0700, has mode 0600 itself, and the relay looks at who connected.

use super::{Desk, OperatorError, Order, Refused, dispatch};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use zeroize::Zeroizing;

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";

/// Bytes of an order at most: a name, an address and a password.
const ORDER_BYTES_MAX: usize = 64 * 1024;

/// What holds an order of that length and the byte that makes it too long, without growing: reading wants 32 to spare.
const ORDER_BUFFER: usize = ORDER_BYTES_MAX + 64;

/// Bytes of an answer at most: a page of 500 rows of less than 2 KiB.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Orders at a time: an operator, a cron job and a monitor, twice.
const ORDERS_AT_ONCE: usize = 6;

/// How long a command may take to say what it wants.
const ORDER_PATIENCE: Duration = Duration::from_secs(5);

/// What a command writes.
#[derive(Serialize)]
struct Asked<'a, O> {
    order: &'a str,
    with: &'a O,
}

/// Its name alone. What comes with it is read as what the name says, and copied nowhere else: it may be a password.
#[derive(Deserialize)]
struct Named {
    order: String,
}

/// What comes with the name.
#[derive(Deserialize)]
struct With<O> {
    with: O,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answered<A> {
    Answer(A),
    Refused(String),
}

/// Reads the order out of what a command wrote.
pub(super) fn read<O: Order>(asked: &[u8]) -> Result<O, Refused> {
    let read = serde_json::from_slice::<With<O>>(asked).map(|asked| asked.with);
    read.map_err(|error| Refused(format!("the running relay does not understand the order: {error}")))
}

/// The socket of a relay that is about to run. The caller holds the folder's lock.
pub(crate) fn listen(folder: &Path) -> io::Result<UnixListener> {
    let (path, _open) = short(folder)?;
    // A killed relay leaves its socket behind.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&path, mode)?;
    Ok(listener)
}

/// Carries out orders until `stop` turns true, then ends those that are under way.
pub(crate) async fn serve(
    listener: UnixListener,
    folder: PathBuf,
    desk: Arc<Desk>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(ORDERS_AT_ONCE));
    let open = tokio_util::task::TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = crate::web::told(&mut stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an order");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if !is_owner(&stream, &folder) {
            tracing::warn!("somebody else than the relay's user came to its control socket");
            continue;
        }
        // Further ones wait in the socket's queue.
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let desk = desk.clone();
        open.spawn(async move {
            if let Err(error) = one(stream, &desk).await {
                tracing::debug!(%error, "a command went away");
            }
            drop(place);
        });
    }
    open.close();
    open.wait().await;
}

/// The relay's user, or root, who may everything anyway.
fn is_owner(stream: &UnixStream, folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let (Ok(peer), Ok(folder)) = (stream.peer_cred(), std::fs::metadata(folder)) else { return false };
    peer.uid() == folder.uid() || peer.uid() == 0
}

async fn one(mut stream: UnixStream, desk: &Desk) -> io::Result<()> {
    // As large as it may become: growing would leave copies of a password behind.
    let mut asked = Zeroizing::new(Vec::with_capacity(ORDER_BUFFER));
    let (reader, mut writer) = stream.split();
    let mut bounded = reader.take(ORDER_BYTES_MAX as u64 + 1);
    tokio::time::timeout(ORDER_PATIENCE, bounded.read_to_end(&mut asked)).await??;
    let answered = match serde_json::from_slice::<Named>(&asked) {
        _ if asked.len() > ORDER_BYTES_MAX => Err(Refused("the order is too long".to_owned())),
        Err(error) => Err(Refused(format!("the order is not one: {error}"))),
        Ok(Named { order }) => dispatch(desk, &order, &asked).await,
    };
    let answered = answered.map_or_else(|refused| Answered::Refused(refused.0), Answered::Answer);
    let bytes = Zeroizing::new(serde_json::to_vec::<Answered<Value>>(&answered).map_err(io::Error::other)?);
    writer.write_all(&bytes).await?;
    writer.shutdown().await
}

/// Whether what this process makes in a folder has the same owner as the folder.
pub(super) fn is_mine(folder: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let me = UnixStream::pair().and_then(|(one, _other)| one.peer_cred()).map(|me| me.uid());
    matches!((me, std::fs::metadata(folder)), (Ok(me), Ok(folder)) if me == folder.uid())
}

/// Whether a relay takes orders there from this user.
pub(super) async fn answers(folder: &Path) -> bool {
    let Ok((path, _open)) = short(folder) else { return false };
    UnixStream::connect(path).await.is_ok()
}

/// Gives an order to the relay that uses a folder.
pub(super) async fn ask<O: Order>(folder: &Path, order: O) -> Result<O::Answer, OperatorError> {
    let failed = |reason: String| OperatorError::NoAnswer { folder: folder.to_owned(), reason };
    let patience = O::PATIENCE;
    let talk = async {
        let (path, _open) = short(folder)?;
        let mut stream = UnixStream::connect(path).await?;
        let asked = Zeroizing::new(serde_json::to_vec(&Asked { order: O::NAME, with: &order })?);
        stream.write_all(&asked).await?;
        stream.shutdown().await?;
        let mut answered = Zeroizing::new(Vec::new());
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answered).await?;
        Ok::<_, io::Error>(answered)
    };
    let answered = match tokio::time::timeout(patience, talk).await {
        Ok(Ok(answered)) => answered,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(failed(
                "it is starting or ending, or a command is at work there; try again".to_owned(),
            ));
        }
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed(format!("no answer in {} s", patience.as_secs()))),
    };
    match serde_json::from_slice(&answered).map_err(|error| failed(error.to_string()))? {
        Answered::Refused(sentence) => Err(Refused(sentence).into()),
        Answered::Answer(answer) => Ok(answer),
    }
}

/// Bytes of a path that every Unix takes for a socket.
const SOCKET_PATH_BYTES_MAX: usize = 100;

/// The socket's path; where that is too long for a socket, by way of the opened folder, which has to stay open.
fn short(folder: &Path) -> io::Result<(PathBuf, Option<std::fs::File>)> {
    let path = folder.join(SOCKET);
    if cfg!(target_os = "linux") && path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let open = std::fs::File::open(folder)?;
        let number = std::os::fd::AsRawFd::as_raw_fd(&open);
        return Ok((PathBuf::from(format!("/proc/self/fd/{number}/{SOCKET}")), Some(open)));
    }
    Ok((path, None))
}
