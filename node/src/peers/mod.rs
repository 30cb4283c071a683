//! Direct links to other devices, and files over them.
//!
//! The client core decides who meets whom (`sotto_node_core::peers`); here are the sockets. A link is a QUIC connection on the
//! [`Socket`] of the relay's connection, both ends of which show the certificate that MLS promised.
//!
//! ```text
//! core: Meet --> meet (punch, dial, let in) --> give (this device has the file, or some of it): questions in, pieces out
//!                                           `-> take (this device wants it): for `files::get`
//! ```

mod give;
mod meet;
mod take;
#[cfg(test)]
mod tests;
mod tls;

pub use give::Gives;
pub(crate) use give::{Disk, is_there};
pub(crate) use take::{News, TakeError, Taker};

use crate::files::Arriving;
use crate::transport::Socket;
use meet::Meetings;
use sotto_node_core::peers::{AskId, Meeting, Way, to_tell};
use sotto_protocol::blob::BlobPlace;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tls::Identity;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Links at a time, those that are on their way included.
const LINKS_MAX: usize = 32;

/// Pieces that are read and sealed at a time, of all links: 2 MiB of memory each.
const GIVING_MAX: usize = 16;

/// News of one question that wait for who asked.
const NEWS_MAX: usize = 16;

/// All links of one node. A cheap handle.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Inner>);

struct Inner {
    /// `None` if none could be drawn: then there are no links.
    identity: Option<Identity>,
    meetings: Arc<Meetings>,
    room: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    socket: Option<Listening>,
    gives: Option<Arc<dyn Gives>>,
    /// Files that are on their way here.
    arriving: HashMap<BlobPlace, Arc<Arriving>>,
    asking: HashMap<AskId, mpsc::Sender<News>>,
    links: JoinSet<()>,
}

/// A socket on which links are let in; not any more once it is dropped. Links that stand, stay.
struct Listening {
    socket: Socket,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.socket.endpoint().set_server_config(None);
        self.task.abort();
    }
}

/// While this is, a file that is on its way is given.
pub(crate) struct Giving {
    hub: Hub,
    place: BlobPlace,
}

impl Drop for Giving {
    fn drop(&mut self) {
        self.hub.state().arriving.remove(&self.place);
    }
}

impl Hub {
    pub(crate) fn new() -> Self {
        let identity = Identity::draw();
        if let Err(error) = &identity {
            tracing::warn!(error, "no certificate for links could be made");
        }
        Self(Arc::new(Inner {
            identity: identity.ok(),
            meetings: Arc::default(),
            room: Arc::new(Semaphore::new(GIVING_MAX)),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The relay is reached on another socket, or by none that links could share.
    pub(crate) fn attach(&self, socket: Option<Socket>) {
        let listening = socket.zip(self.0.identity.as_ref()).and_then(|(socket, identity)| {
            match identity.server(self.0.meetings.clone()) {
                Ok(config) => socket.endpoint().set_server_config(Some(config)),
                Err(error) => {
                    tracing::warn!(error, "links cannot be let in");
                    return None;
                }
            }
            let task = tokio::spawn(meet::let_in(socket.endpoint().clone(), self.0.meetings.clone()));
            Some(Listening { socket, task })
        });
        self.state().socket = listening;
    }

    /// Where this device may be reached, and what it shows.
    pub(crate) fn way(&self, observed: &str) -> Option<Way> {
        let fingerprint = self.0.identity.as_ref()?.fingerprint();
        let local = self.state().socket.as_ref()?.socket.local_addresses();
        let observed: Option<SocketAddr> = observed.parse().ok();
        Some(Way { fingerprint, addresses: to_tell(&local, observed) })
    }

    /// Whether links can come about at all.
    pub(crate) fn is_listening(&self) -> bool {
        self.state().socket.is_some()
    }

    /// What gives the pieces of files from now on.
    pub(crate) fn give_from(&self, gives: Arc<dyn Gives>) {
        self.state().gives = Some(gives);
    }

    /// A file is on its way here: what is there of it is given, until what this returns is dropped.
    pub(crate) fn arrives(&self, place: BlobPlace, file: Arc<Arriving>) -> Giving {
        self.state().arriving.insert(place, file);
        Giving { hub: self.clone(), place }
    }

    /// A file that is on its way here.
    pub(crate) fn arriving(&self, place: BlobPlace) -> Option<Arc<Arriving>> {
        self.state().arriving.get(&place).cloned()
    }

    /// What comes of a question of this device.
    pub(crate) fn asking(&self, ask: AskId) -> mpsc::Receiver<News> {
        let (tell, told) = mpsc::channel(NEWS_MAX);
        self.state().asking.insert(ask, tell);
        told
    }

    /// Nobody waits for it any more.
    pub(crate) fn end_asking(&self, ask: AskId) {
        self.state().asking.remove(&ask);
    }

    /// Connects to a device, which connects to this one.
    pub(crate) fn meet(&self, meeting: Meeting) {
        let mut state = self.state();
        while state.links.try_join_next().is_some() {}
        let Some(socket) = state.socket.as_ref().map(|listening| listening.socket.clone()) else { return };
        if state.links.len() >= LINKS_MAX {
            tracing::debug!("there are as many links as there may be");
            return;
        }
        match meeting.ask {
            Some(ask) => {
                let Some(tell) = state.asking.get(&ask).cloned() else { return };
                state.links.spawn(meet::take(self.clone(), socket, meeting, tell));
            }
            None => {
                let gives = state.gives.clone();
                if gives.is_none() && state.arriving.is_empty() {
                    return;
                }
                state.links.spawn(meet::give(self.clone(), socket, meeting, gives));
            }
        }
    }

    /// The node ends: nobody is let in, every link that gives is closed.
    pub(crate) fn close(&self) {
        let ended = std::mem::take(&mut *self.state());
        drop(ended);
    }
}
