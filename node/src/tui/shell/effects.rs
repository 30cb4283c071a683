//! Carrying out what the application asks for.

use super::super::input::{Answer, Effect, Input, Lines, LinesPlace, NotYet, Present, Started};
use super::account;
use super::files::Files;
use crate::files::Outgoing;
use crate::node::{Node, Status};
use crate::profile::Profile;
use crate::store::{SqliteStore, StoreKey};
use sotto_e2ee::store::{Store, StoreError};
use sotto_node_core::client::Client;
use sotto_node_core::search::SearchQuery;
use sotto_node_core::view::Message;
use sotto_protocol::ids::{ConversationId, Sequence};
use sotto_protocol::invite::Invite;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

pub(super) type RunningNode = Node<SqliteStore>;

/// How far back one's own lines are looked for at once: 40 pages of 500.
const PAGES_MAX: usize = 40;
const PAGE: usize = 500;

/// So many lines are found at once: a few screens.
const HITS_MAX: usize = 100;

/// A client that runs, and the key that opens its store again.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) node: RunningNode,
    pub(super) key: StoreKey,
}

/// What carries out effects.
pub(super) struct Shell {
    profile: Profile,
    passphrase: Option<Zeroizing<String>>,
    /// Members may have this device's files from it while it runs.
    serves: bool,
    tell: mpsc::Sender<Input>,
    /// Put there by the task that started it.
    live: Arc<Mutex<Option<Live>>>,
    files: Files,
}

impl Shell {
    pub(super) fn new(
        profile: Profile,
        passphrase: Option<Zeroizing<String>>,
        serves: bool,
        tell: mpsc::Sender<Input>,
    ) -> Self {
        let files = Files::new(tell.clone());
        Self { profile, passphrase, serves, tell, live: Arc::default(), files }
    }

    fn live(&self) -> Option<Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Begins what takes time, and does at once what must happen in order.
    pub(super) async fn carry_out(&self, effect: Effect) {
        let (profile, tell) = (self.profile.clone(), self.tell.clone());
        match effect {
            Effect::Open(given) => {
                let passphrase = given.map(|given| given.0).or_else(|| self.passphrase.clone());
                self.start(async move { account::open(profile, passphrase, &tell).await });
            }
            Effect::SetUp(mut wanted) => {
                if wanted.passphrase.is_none() {
                    wanted.passphrase = self.passphrase.clone().map(super::super::Secret);
                }
                self.start(async move { account::set_up(profile, *wanted, &tell).await });
            }
            Effect::SignIn(password) => {
                let Some(live) = self.live() else { return };
                self.start(async move {
                    live.node.stop().await;
                    account::sign_in_anew(profile, live.key, password.0, &tell).await
                });
            }
            other => {
                if let Some(Live { node, .. }) = self.live() {
                    self.with_node(node, other).await;
                }
            }
        }
    }

    /// Starts a client beside the loop.
    fn start(&self, starting: impl Future<Output = Result<(Live, Started), NotYet>> + Send + 'static) {
        let (tell, place, serves) = (self.tell.clone(), self.live.clone(), self.serves);
        tokio::spawn(async move {
            let answer = match starting.await {
                Ok((live, started)) => {
                    if serves {
                        live.node.serve_files().await;
                    }
                    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(live);
                    Answer::Started(Box::new(started))
                }
                Err(why) => Answer::NotYet(why),
            };
            // If nobody listens any more the person has left.
            let _ = tell.send(Input::Answer(answer)).await;
        });
    }

    async fn with_node(&self, node: RunningNode, effect: Effect) {
        let tell = self.tell.clone();
        match effect {
            // Commands are handed over here, in their order; only their ends are waited for beside the loop.
            Effect::Command { about, command } => {
                let ticket = node.submit(command).await;
                tokio::spawn(async move {
                    let ended = ticket.outcome().await;
                    let _ = tell.send(Input::Answer(Answer::Command(about, ended))).await;
                });
            }
            Effect::KeepDraft(conversation, text) => {
                if let Err(error) = node.keep_draft(conversation, text).await {
                    let _ = tell.send(Input::Answer(Answer::Failed(error.text))).await;
                }
            }
            Effect::SendFile { number, conversation, path, reply_to } => {
                let outgoing = Outgoing { conversation, path: path.into(), caption: String::new(), reply_to };
                self.files.send(node, number, outgoing);
            }
            Effect::SaveFile { number, conversation, about, to } => {
                self.files.save(node, number, conversation, *about, to);
            }
            Effect::StopFiles => self.files.stop(),
            other => {
                tokio::spawn(async move {
                    if let Some(answer) = ask(&node, other).await {
                        let _ = tell.send(Input::Answer(answer)).await;
                    }
                });
            }
        }
    }

    /// Lets what is on its way go out, and closes the store.
    pub(super) async fn end(self, patience: Duration) {
        if let Some(Live { node, .. }) = self.live() {
            if node.status().is_ready() {
                node.wait_idle(patience).await;
            }
            node.stop().await;
        }
    }
}

/// What takes a question to the client or a request to the relay.
async fn ask(node: &RunningNode, effect: Effect) -> Option<Answer> {
    let failed = |error: StoreError| Answer::Failed(error.to_string());
    Some(match effect {
        Effect::Conversations => match node.ask(Client::conversations).await.ok()? {
            Ok(views) => Answer::Conversations(views),
            Err(error) => failed(error),
        },
        Effect::Lines(wanted) => match node.ask(move |client| lines(client, wanted)).await.ok()? {
            Ok(found) => Answer::Lines(wanted, found),
            Err(error) => failed(error),
        },
        Effect::Refresh(id, places) => {
            let read = move |client: &Client<SqliteStore>| {
                let line = |place: Sequence| Ok((place, client.line(id, place)?));
                places.into_iter().map(line).collect::<Result<_, StoreError>>()
            };
            match node.ask(read).await.ok()? {
                Ok(lines) => Answer::Refreshed(id, lines),
                Err(error) => failed(error),
            }
        }
        Effect::Pins(id) => match node.ask(move |client| client.pins(id)).await.ok()? {
            Ok(lines) => Answer::Pins(lines),
            Err(error) => failed(error),
        },
        Effect::Present(id) => {
            let read = move |client: &Client<SqliteStore>| Present {
                accounts: client.present(id).into_iter().collect(),
                count: client.present_count(id),
            };
            Answer::Present(id, node.ask(read).await.ok()?)
        }
        Effect::Search(words) => {
            let query =
                SearchQuery { words: words.clone(), conversation: None, before: None, limit: HITS_MAX };
            match node.ask(move |client| client.search(&query)).await.ok()? {
                Ok(hits) => Answer::Hits(words, hits.into_iter().map(|hit| hit.message).collect()),
                Err(error) => failed(error),
            }
        }
        Effect::Outbox(id) => match node.ask(move |client| client.outbox(id)).await.ok()? {
            Ok(queued) => Answer::Outbox(id, queued),
            Err(error) => failed(error),
        },
        Effect::Contact(who) => match node.ask(move |client| client.contact(&who)).await.ok()? {
            Ok(contact) => Answer::Contact(contact),
            Err(error) => failed(error),
        },
        Effect::Verified(account) => match node.identity_was_verified(account).await {
            Ok(()) => return None,
            Err(error) => Answer::Failed(error.text),
        },
        Effect::Invite(conversation) => Answer::Invite(invite(node, conversation).await),
        Effect::Redeem(link) => Answer::Redeemed(redeem(node, &link).await),
        Effect::Connection => Answer::Connection(connection(node).await),
        _ => return None,
    })
}

/// Reads lines of a conversation where they are wanted.
pub(crate) fn lines<S: Store>(client: &Client<S>, wanted: Lines) -> Result<Vec<Message>, StoreError> {
    let id = wanted.conversation;
    match wanted.place {
        LinesPlace::Newest | LinesPlace::Before(_) if wanted.own => {
            let mut before = match wanted.place {
                LinesPlace::Before(place) => Some(place),
                _ => None,
            };
            let mut found = Vec::new();
            for _ in 0..PAGES_MAX {
                let page = client.history(id, before, PAGE)?;
                before = page.first().map(|line| line.sequence);
                let last_page = page.len() < PAGE;
                let own = page.into_iter().rev().filter(|line| line.own && line.line.is_said());
                found.extend(own.take(wanted.limit - found.len()));
                if last_page || found.len() >= wanted.limit {
                    break;
                }
            }
            found.reverse();
            Ok(found)
        }
        LinesPlace::Newest => client.history(id, None, wanted.limit),
        LinesPlace::Before(place) => client.history(id, Some(place), wanted.limit),
        LinesPlace::Oldest => client.history_after(id, Sequence(0), wanted.limit),
        LinesPlace::After(place) => client.history_after(id, place, wanted.limit),
        LinesPlace::Around(place) => {
            let half = wanted.limit / 2;
            let mut found = client.history(id, Some(Sequence(place.0.saturating_add(1))), half)?;
            found.extend(client.history_after(id, place, half)?);
            Ok(found)
        }
    }
}

async fn invite(node: &RunningNode, conversation: Option<ConversationId>) -> Result<String, String> {
    let access = node.access_token().await.map_err(|error| error.to_string())?;
    let made =
        node.api().invite(&access, conversation, None, None).await.map_err(|error| error.to_string())?;
    Ok(made.link)
}

async fn redeem(node: &RunningNode, link: &Invite) -> Result<ConversationId, String> {
    let code = link.code.as_ref().ok_or("This link names a relay and holds no invite.")?;
    let access = node.access_token().await.map_err(|error| error.to_string())?;
    let redeemed = node.api().redeem(&access, code.as_str()).await.map_err(|error| error.to_string())?;
    redeemed
        .conversation
        .ok_or_else(|| "This invite is for registering; there is nothing to enter.".to_owned())
}

async fn connection(node: &RunningNode) -> Vec<(String, String)> {
    let status = match node.status() {
        Status::Synchronised(path) => format!("connected over {path}"),
        Status::Ready(path) => format!("connected over {path}, catching up"),
        Status::Connecting => "connecting".to_owned(),
        Status::Unreachable(why) => format!("offline, trying again: {why}"),
        Status::Offline => "offline".to_owned(),
        Status::SignedOut(why) => format!("signed out: {why}"),
        Status::WrongFingerprint(wrong) => wrong.to_string(),
        Status::Refused(failure) => failure.text,
        Status::Ended(why) => why,
    };
    let mut facts = vec![("status".to_owned(), status)];
    let known = node
        .ask(|client| {
            let device = client.device();
            (client.username().to_owned(), device.account(), device.device(), client.stats())
        })
        .await;
    if let Ok((username, account, device, stats)) = known {
        facts.push(("account".to_owned(), format!("{username} ({account})")));
        facts.push(("device".to_owned(), device.to_string()));
        if let Ok(stats) = stats {
            let sum = |counters: &std::collections::BTreeMap<String, u64>| counters.values().sum::<u64>();
            let (failures, repairs) = (sum(&stats.failures), sum(&stats.repairs));
            facts.push((
                "health".to_owned(),
                format!("{failures} messages were not readable at once, {repairs} repaired"),
            ));
        }
    }
    facts.push(("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    facts
}
