//! A running client: the async interface that the program `sotto`, the load generator and tests use.
//!
//! [`Node::start`] puts a [`Client`] into the one visible loop of the `runner` module and gives a cheap handle to it. Commands
//! are sent with [`Node::submit`] (and awaited with [`Ticket`]), questions are asked of the client itself with
//! [`Node::ask`], events come from [`Node::events`], and [`Node::status`] says how the connection stands.

mod runner;
mod setup;

pub use setup::{
    Credentials, NewAccount, Place, SetupError, recover, register, resume, sign_in, sign_in_again,
};
pub use sotto_node_core::account::drafts;
pub use sotto_node_core::account::session::{Session, SessionError};

use crate::http::{AccountApi, HttpError};
use crate::peers::{Disk, Gives, Hub};
use crate::tls::{Trust, WrongFingerprint};
use crate::transport::Carrier;
use sotto_e2ee::store::{Store, StoreError};
use sotto_node_core::account::shared::{self, Shared};
use sotto_node_core::account::uploads::{self, Upload};
use sotto_node_core::account::{Malformed, alarms};
use sotto_node_core::client::Client;
use sotto_node_core::command::Command;
use sotto_node_core::event::{Event, Failure, FailureCode, Outcome};
use sotto_node_core::peers::PeerCommand;
use sotto_protocol::blob::{BlobRoot, ChunkList};
use sotto_protocol::ids::{AccountId, ConversationId, MessageNumber, UnixMillis};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Commands that wait for the loop. More wait at the caller.
const REQUESTS_WAITING_MAX: usize = 256;

/// Events that a slow listener may be behind; then it is told so and reads the store.
const EVENTS_WAITING_MAX: usize = 4096;

/// How the connection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Told not to connect.
    Offline,
    /// On the way for the first time, or again.
    Connecting,
    /// The last attempt failed; the next follows by itself.
    Unreachable(String),
    /// Proved and ready for requests.
    Ready(Carrier),
    /// Every conversation has caught up.
    Synchronised(Carrier),
    /// The session has ended: somebody has to sign in again.
    SignedOut(String),
    /// Somebody else answers at the relay's address. Not tried again.
    WrongFingerprint(WrongFingerprint),
    /// The relay does not have this device or this version of the program. Not tried again.
    Refused(Failure),
    /// The local store failed twice in a row, or the loop has ended.
    Ended(String),
}

impl Status {
    /// Whether requests are answered now.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_) | Self::Synchronised(_))
    }

    /// What carries the connection, if it stands.
    #[must_use]
    pub const fn carrier(&self) -> Option<Carrier> {
        match self {
            Self::Ready(carrier) | Self::Synchronised(carrier) => Some(*carrier),
            _ => None,
        }
    }

    /// Whether waiting longer can help.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Offline
                | Self::SignedOut(_)
                | Self::WrongFingerprint(_)
                | Self::Refused(_)
                | Self::Ended(_)
        )
    }
}

/// How a command gets on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A text is safe in the outbox of this device.
    Queued {
        /// Where to.
        conversation: ConversationId,
        /// Its number.
        number: MessageNumber,
    },
    /// Carried out.
    Done(Outcome),
    /// Failed, for good.
    Failed(Failure),
}

/// A command under way.
pub struct Ticket(mpsc::UnboundedReceiver<Progress>);

impl Ticket {
    /// The next progress; after the last one, or when the node has ended, a failure.
    pub async fn progress(&mut self) -> Progress {
        self.0.recv().await.unwrap_or_else(|| Progress::Failed(ended()))
    }

    /// What came of it.
    ///
    /// # Errors
    /// If it failed.
    pub async fn outcome(mut self) -> Result<Outcome, Failure> {
        loop {
            match self.progress().await {
                Progress::Queued { .. } => {}
                Progress::Done(outcome) => return Ok(outcome),
                Progress::Failed(failure) => return Err(failure),
            }
        }
    }
}

fn ended() -> Failure {
    Failure::new(FailureCode::Offline, "the client has ended")
}

/// Work for the loop between two inputs.
type Question<S> = Box<dyn FnOnce(&mut Client<S>) + Send>;

/// What the handle asks of the loop.
enum Request<S: Store> {
    Submit(Command, mpsc::UnboundedSender<Progress>),
    Ask(Question<S>),
    AccessToken(oneshot::Sender<Result<String, HttpError>>),
    Idle(oneshot::Sender<bool>),
    SignOut(oneshot::Sender<Result<(), HttpError>>),
    Stop(oneshot::Sender<()>),
}

/// A handle to a running client.
pub struct Node<S: Store> {
    requests: mpsc::Sender<Request<S>>,
    events: broadcast::Sender<Event>,
    status: watch::Receiver<Status>,
    api: AccountApi,
    hub: Hub,
}

impl<S: Store> Clone for Node<S> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            events: self.events.clone(),
            status: self.status.clone(),
            api: self.api.clone(),
            hub: self.hub.clone(),
        }
    }
}

/// A handle that does not keep the client running: for what the client itself holds.
pub(crate) struct WeakNode<S: Store> {
    requests: mpsc::WeakSender<Request<S>>,
    events: broadcast::Sender<Event>,
    status: watch::Receiver<Status>,
    api: AccountApi,
    hub: Hub,
}

impl<S: Store> Clone for WeakNode<S> {
    fn clone(&self) -> Self {
        Self {
            requests: self.requests.clone(),
            events: self.events.clone(),
            status: self.status.clone(),
            api: self.api.clone(),
            hub: self.hub.clone(),
        }
    }
}

impl<S: Store> WeakNode<S> {
    /// The handle; `None` if the client has ended, or nobody has one any more.
    pub(crate) fn upgrade(&self) -> Option<Node<S>> {
        Some(Node {
            requests: self.requests.upgrade()?,
            events: self.events.clone(),
            status: self.status.clone(),
            api: self.api.clone(),
            hub: self.hub.clone(),
        })
    }
}

/// What a node needs to start.
pub struct Start<S: Store> {
    /// The client, opened on its store.
    pub client: Client<S>,
    /// The account's session, kept in the same store.
    pub session: Session,
    /// Whether to connect. Without, commands that can wait are queued and the others fail.
    pub online: bool,
}

impl<S: Store + Send + 'static> Node<S> {
    /// Starts the loop on the current runtime.
    ///
    /// # Errors
    /// If the session's link is not one, or this machine's authorities cannot be read.
    pub fn start(start: Start<S>) -> Result<Self, SessionError> {
        let (node, running) = Self::prepare(start)?;
        tokio::spawn(running);
        Ok(node)
    }

    /// The handle and the loop, which does nothing until it is polled: for listeners that must not miss the
    /// first event.
    ///
    /// # Errors
    /// See [`Self::start`].
    pub fn prepare(
        start: Start<S>,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), SessionError> {
        let link = start.session.link()?;
        let trust = Trust::new(link.fingerprint).map_err(|error| SessionError::Trust(error.to_string()))?;
        let api = crate::http::api(link.relay.clone(), trust.clone());
        let (requests, waiting) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (events, _) = broadcast::channel(EVENTS_WAITING_MAX);
        let first = if start.online { Status::Connecting } else { Status::Offline };
        let (tell_status, status) = watch::channel(first);
        let node = Self { requests, events, status, api, hub: Hub::new() };
        let running = runner::Runner::new(start, node.downgrade(), link.relay, trust, waiting, tell_status);
        Ok((node, running.run()))
    }

    /// Gives a command to the client.
    pub async fn submit(&self, command: Command) -> Ticket {
        let (tell, told) = mpsc::unbounded_channel();
        // If the loop has ended the ticket says so.
        let _ = self.requests.send(Request::Submit(command, tell)).await;
        Ticket(told)
    }

    /// Gives a command and waits for what comes of it.
    ///
    /// # Errors
    /// If it fails.
    pub async fn command(&self, command: Command) -> Result<Outcome, Failure> {
        self.submit(command).await.outcome().await
    }

    /// Asks the client a question, such as for a history. It runs between two inputs.
    ///
    /// # Errors
    /// If the node has ended.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Client<S>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (tell, told) = oneshot::channel();
        let question: Question<S> = Box::new(move |client| {
            let _ = tell.send(question(client));
        });
        let _ = self.requests.send(Request::Ask(question)).await;
        told.await.map_err(|_| ended())
    }

    /// Accounts whose identity key changed after a person had verified it, and was not verified again.
    ///
    /// # Errors
    /// If the node has ended or the store fails.
    pub async fn changed_identities(&self) -> Result<Vec<AccountId>, Failure> {
        self.ask(|client| alarms::all(client.store())).await?.map_err(Failure::from)
    }

    /// Changes rows of the shell in the store, between two inputs.
    async fn change(
        &self,
        change: impl FnOnce(&mut S) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), Failure> {
        let (tell, told) = oneshot::channel();
        let work: Question<S> = Box::new(move |client| {
            let _ = tell.send(change(client.store_mut()));
        });
        let _ = self.requests.send(Request::Ask(work)).await;
        told.await.map_err(|_| ended())?.map_err(Failure::from)
    }

    /// A person verified an account again.
    ///
    /// # Errors
    /// If the node has ended or the store fails.
    pub async fn identity_was_verified(&self, account: AccountId) -> Result<(), Failure> {
        self.change(move |store| alarms::clear(store, account)).await
    }

    /// Keeps what a person is writing in a conversation; an empty text removes it.
    ///
    /// # Errors
    /// If the node has ended or the store fails.
    pub async fn keep_draft(&self, conversation: ConversationId, text: String) -> Result<(), Failure> {
        self.change(move |store| drafts::keep(store, conversation, &text)).await
    }

    /// Remembers an upload, so that it goes on after an interruption.
    ///
    /// # Errors
    /// If the node has ended or the store fails.
    pub async fn keep_upload(&self, conversation: ConversationId, upload: Upload) -> Result<(), Failure> {
        self.change(move |store| uploads::keep(store, conversation, &upload)).await
    }

    /// From now on members of a conversation may have its files from this device, if those are where they were when they were
    /// sent or got. For programs that go on running.
    pub async fn serve_files(&self) {
        self.serve_files_from(Arc::new(Disk::new(self.downgrade()))).await;
    }

    /// The same from elsewhere than this device's disk.
    pub async fn serve_files_from(&self, gives: Arc<dyn Gives>) {
        self.hub.give_from(gives);
        // Without a client there is nobody to give anything to.
        let _ = self.command(Command::Peer(PeerCommand::Serve)).await;
    }

    /// How many files members may have from this device.
    ///
    /// # Errors
    /// If the node has ended or the store fails.
    pub async fn shared_files(&self) -> Result<usize, Failure> {
        self.ask(|client| shared::count(client.store())).await?.map_err(Failure::from)
    }

    pub(crate) async fn shared(
        &self,
        conversation: ConversationId,
        root: BlobRoot,
    ) -> Result<Option<(Shared, ChunkList)>, Failure> {
        self.ask(move |client| shared::find(client.store(), conversation, root)).await?.map_err(Failure::from)
    }

    /// Remembers where a file lies that members may have from this device.
    pub(crate) async fn keep_shared(
        &self,
        conversation: ConversationId,
        file: Shared,
        list: ChunkList,
    ) -> Result<(), Failure> {
        self.change(move |store| shared::keep(store, conversation, &file, &list)).await
    }

    pub(crate) async fn forget_shared(
        &self,
        conversation: ConversationId,
        root: BlobRoot,
    ) -> Result<(), Failure> {
        self.change(move |store| shared::forget(store, conversation, root)).await
    }

    pub(crate) const fn hub(&self) -> &Hub {
        &self.hub
    }

    pub(crate) fn downgrade(&self) -> WeakNode<S> {
        WeakNode {
            requests: self.requests.downgrade(),
            events: self.events.clone(),
            status: self.status.clone(),
            api: self.api.clone(),
            hub: self.hub.clone(),
        }
    }

    /// What happens from now on. A listener that is too far behind is told how many it missed.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// How the connection stands now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// How the connection stands, now and whenever it changes.
    #[must_use]
    pub fn statuses(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Waits until the status is one that `enough` takes, is final, or time is up; gives the status.
    pub async fn wait(&self, patience: Duration, enough: impl Fn(&Status) -> bool) -> Status {
        let mut status = self.status.clone();
        let waited =
            tokio::time::timeout(patience, status.wait_for(|now| enough(now) || now.is_final())).await;
        match waited {
            Ok(Ok(status)) => status.clone(),
            _ => self.status(),
        }
    }

    /// Waits until nothing waits to be sent, every conversation has caught up and the account's business (device,
    /// vault) is done; `false` if time is up before.
    pub async fn wait_idle(&self, patience: Duration) -> bool {
        let idle = async {
            loop {
                let (tell, told) = oneshot::channel();
                let _ = self.requests.send(Request::Idle(tell)).await;
                match told.await {
                    Ok(true) => return true,
                    Ok(false) if self.status().is_final() => return false,
                    Ok(false) => tokio::time::sleep(Duration::from_millis(20)).await,
                    Err(_) => return false,
                }
            }
        };
        tokio::time::timeout(patience, idle).await.unwrap_or(false)
    }

    /// The account API of the relay.
    #[must_use]
    pub const fn api(&self) -> &AccountApi {
        &self.api
    }

    /// An access token that is good for a while, for the account API.
    ///
    /// # Errors
    /// If the session has ended or the relay cannot be reached.
    pub async fn access_token(&self) -> Result<String, HttpError> {
        let (tell, told) = oneshot::channel();
        let _ = self.requests.send(Request::AccessToken(tell)).await;
        told.await.unwrap_or_else(|_| Err(Malformed("the client has ended".to_owned()).into()))
    }

    /// Ends the session at the relay and forgets its tokens. Keys and history stay on this device.
    ///
    /// # Errors
    /// If the relay cannot be told; the tokens are forgotten in any case.
    pub async fn sign_out(&self) -> Result<(), HttpError> {
        let (tell, told) = oneshot::channel();
        let _ = self.requests.send(Request::SignOut(tell)).await;
        told.await.unwrap_or(Ok(()))
    }

    /// Ends the loop: what was sent still arrives, the store is closed.
    pub async fn stop(&self) {
        let (tell, told) = oneshot::channel();
        let _ = self.requests.send(Request::Stop(tell)).await;
        let _ = told.await;
    }
}

/// The wall clock.
pub fn wall_clock() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
