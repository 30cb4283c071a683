//! Everything that the interface can ask: the table of `Calls` in `web/ui/src/engine/api.ts`, method by method.

use super::host::{BrowserStore, FetchError, Host};
use super::requests::{self, RequestId};
use super::{Engine, Got, Here, Inner, Ticket, jobs::Job, shapes};
use futures_channel::oneshot;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sotto_e2ee::store::StoreError;
use sotto_mls::suite::Suite;
use sotto_node_core::account::setup::{self, Ambient, Credentials, NewAccount, Place, SetupError, Start};
use sotto_node_core::account::{Method, alarms, api, drafts};
use sotto_node_core::command::{Command, NewConversation, Who};
use sotto_node_core::event::Failure;
use sotto_node_core::search::{SearchPlace, SearchQuery};
use sotto_node_core::view::Line;
use sotto_protocol::body::conversation::{HistoryPolicy, Role};
use sotto_protocol::ids::{AccountId, ConversationId, DeviceId, Sequence, UnixMillis};
use sotto_protocol::invite::Invite;

mod asked;
mod commands;
pub(super) mod group;
pub(super) mod links;
pub(super) mod voice;

use asked::*;
use commands::{came_of, command};

/// Lines or hits that one call gives, at most.
const LINES_MAX: usize = 500;

/// What a call fails with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CallError {
    /// Stable, for programs.
    pub code: String,
    /// One sentence for people.
    pub text: String,
    /// Come back after so many milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl CallError {
    pub(super) fn new(code: &str, text: impl Into<String>) -> Self {
        Self { code: code.to_owned(), text: text.into(), retry_after_ms: None }
    }

    /// As the interface takes it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "code": self.code, "text": self.text, "retry_after_ms": self.retry_after_ms })
    }
}

impl From<Failure> for CallError {
    fn from(failure: Failure) -> Self {
        Self::new(&failure.code.name(), sotto_node_core::format::harmless_line(&failure.text))
    }
}

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Failure::from(error).into()
    }
}

impl From<FetchError> for CallError {
    fn from(error: FetchError) -> Self {
        let text = error.to_string();
        match error {
            FetchError::Unreachable(_) => Self::new("unreachable", text),
            FetchError::Malformed(_) => Self::new("malformed_answer", text),
            FetchError::Refused(problem) => {
                let wait =
                    problem.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
                Self { code: problem.code, text, retry_after_ms: wait }
            }
        }
    }
}

impl From<SetupError<FetchError>> for CallError {
    fn from(error: SetupError<FetchError>) -> Self {
        let text = error.to_string();
        match error {
            SetupError::Http(error) => error.into(),
            SetupError::NeedsRecovery => Self::new("needs_recovery", text),
            SetupError::NoVault => Self::new("no_vault", text),
            SetupError::Words(_) => Self::new("wrong_words", text),
            SetupError::OtherAccount(_) => Self::new("other_account", text),
            _ => Self::new("store", text),
        }
    }
}

impl From<crate::store::OpenError> for CallError {
    fn from(error: crate::store::OpenError) -> Self {
        Self::new("store", error.to_string())
    }
}

fn nobody() -> CallError {
    CallError::new("signed_out", "nobody is signed in here")
}

fn invalid(what: impl Into<String>) -> CallError {
    CallError::new("invalid", what)
}

// From bytes, as everything else that is read here: a reader of text would be compiled beside it.
fn args<T: DeserializeOwned>(given: &str) -> Result<T, CallError> {
    serde_json::from_slice(given.as_bytes()).map_err(|error| invalid(error.to_string()))
}

type Answer = Result<Value, CallError>;

impl<H: Host> Engine<H> {
    /// Carries a call out; `given` is the JSON of its arguments. `request` is the id of one that changes something and may come again.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, method: &str, given: &str, request: Option<RequestId>) -> Answer {
        match method {
            "state" => Ok(self.0.inner.borrow().state(self.host().keeps())),
            "about" => self.open_call("/about").await,
            "register" | "sign_in" | "recover" => self.set_up(method, given).await,
            "sign_out" => self.sign_out().await,
            "access" => Ok(json!({ "access": self.access_token().await? })),
            "http" => self.http(args(given)?).await,
            "invite" => self.invite(args(given)?).await,
            "redeem" => self.redeem(args(given)?).await,
            "devices" => self.devices().await,
            "sessions" => self.sessions().await,
            "end_session" => {
                let OneSession { id } = args(given)?;
                self.account_call(Method::Delete, &format!("/sessions/{id}"), None).await?;
                Ok(json!({}))
            }
            "qr" => qr(&args::<OneText>(given)?.text),
            "remove_device" => self.remove_device(args::<OneDevice>(given)?.device, request).await,
            "keep_draft" | "verify" => self.change(method, given).await,
            _ => match self.question(method, given) {
                Some(answer) => answer,
                None => {
                    let (command, until_queued) = command(method, given)?;
                    self.command(command, until_queued, request).await
                }
            },
        }
    }

    /// What the store answers by itself.
    fn question(&self, method: &str, given: &str) -> Option<Answer> {
        let inner = self.0.inner.borrow();
        let Some(Here { client, .. }) = &inner.here else {
            return Some(Err(nobody()));
        };
        let answer = || -> Result<Option<Value>, CallError> {
            Ok(Some(match method {
                "recovery_words" => {
                    let words = client.recovery_key().to_words();
                    json!({ "words": words.split_whitespace().collect::<Vec<_>>() })
                }
                "conversations" => {
                    let views = client.conversations()?;
                    let all = views.iter().map(|view| shapes::conversation(client, view));
                    Value::Array(all.collect::<Result<_, _>>()?)
                }
                "conversation" => {
                    let One { conversation } = args(given)?;
                    let view = client.conversation(conversation)?;
                    view.map(|view| shapes::conversation(client, &view)).transpose()?.unwrap_or_default()
                }
                "history" => {
                    let asked: History = args(given)?;
                    let lines =
                        client.history(asked.conversation, asked.before, asked.limit.min(LINES_MAX))?;
                    lines.iter().map(shapes::message).collect()
                }
                "history_after" => {
                    let asked: HistoryAfter = args(given)?;
                    let limit = asked.limit.min(LINES_MAX);
                    let lines = client.history_after(asked.conversation, asked.after, limit)?;
                    lines.iter().map(shapes::message).collect()
                }
                "line" => {
                    let asked: LineAt = args(given)?;
                    let line = client.line(asked.conversation, asked.sequence)?;
                    line.as_ref().map(shapes::message).unwrap_or_default()
                }
                // What opens it goes to the worker that does, and nowhere else.
                "file" => {
                    let asked: LineAt = args(given)?;
                    let line = client.line(asked.conversation, asked.sequence)?.map(|line| line.line);
                    let about = match line {
                        Some(Line::File { about, .. }) => Some(sotto_protocol::hex::text(&about.to_bytes())),
                        _ => None,
                    };
                    json!({ "file": about })
                }
                // A stranger's picture: only the browser's own decoder looks at it.
                "preview" => {
                    let asked: LineAt = args(given)?;
                    let preview =
                        client.line(asked.conversation, asked.sequence)?.and_then(|line| line.preview);
                    json!({ "jpeg": preview.map(|preview| sotto_protocol::hex::text(preview.jpeg())) })
                }
                "pins" => {
                    let One { conversation } = args(given)?;
                    client.pins(conversation)?.iter().map(shapes::message).collect()
                }
                "outbox" => {
                    let One { conversation } = args(given)?;
                    client.outbox(conversation)?.iter().map(shapes::queued).collect()
                }
                "search" => search(client, args(given)?)?,
                "contact" => {
                    let OneAccount { account } = args(given)?;
                    let contact = client.contact(&Who::Account(account))?;
                    contact.as_ref().map(shapes::contact).unwrap_or_default()
                }
                "group_calls" => client.group_calls().iter().map(group::view).collect(),
                "call" => client.call().as_ref().map(voice::view).unwrap_or_default(),
                "stats" => {
                    let stats = client.stats()?;
                    json!({ "failures": stats.failures, "repairs": stats.repairs })
                }
                _ => return Ok(None),
            }))
        };
        answer().transpose()
    }

    /// What changes only rows of this shell, or checks before it asks the client.
    async fn change(&self, method: &str, given: &str) -> Answer {
        if method == "keep_draft" {
            let Draft { conversation, text } = args(given)?;
            return self.input(|inner, _| {
                let here = inner.here.as_mut().ok_or_else(nobody)?;
                drafts::keep(here.client.store_mut(), conversation, &text)?;
                inner.touched.insert(conversation);
                Ok(json!({}))
            });
        }
        let Compared { account, identity_key } = args(given)?;
        let identity_key = sotto_protocol::hex::read(&identity_key)
            .ok_or_else(|| invalid("an identity key is 64 hex digits"))?;
        self.command(Command::Verify { who: Who::Account(account), identity_key }, false, None).await?;
        self.input(|inner, _| {
            let here = inner.here.as_mut().ok_or_else(nobody)?;
            alarms::clear(here.client.store_mut(), account)?;
            Ok(json!({}))
        })
    }

    async fn command(&self, command: Command, until_queued: bool, request: Option<RequestId>) -> Answer {
        let (tell, told) = oneshot::channel();
        let known = self.input(|inner, now| inner.submit(command, until_queued, request, tell, now))?;
        if known {
            return Ok(json!({}));
        }
        match told.await {
            Ok(Ok(Got::Queued(number))) => Ok(json!({ "number": number })),
            Ok(Ok(Got::Done(outcome))) => Ok(came_of(outcome)),
            Ok(Err(failure)) => Err(failure.into()),
            Err(_) => Err(CallError::new("offline", "the engine has ended")),
        }
    }

    /// From nothing to an account on this browser, or back into the one that is here. One at a time: each opens the store.
    async fn set_up(&self, method: &str, given: &str) -> Answer {
        let again = self.input(|inner, _| inner.begin_setup(method == "sign_in"))?;
        let start = self.started(method, given, again).await;
        self.0.inner.borrow_mut().setting_up = false;
        match start {
            Ok(start) => {
                let words = start.client.recovery_key().to_words();
                self.input(|inner, now| inner.begin(start, now));
                Ok(json!({ "words": words.split_whitespace().collect::<Vec<_>>() }))
            }
            Err(error) => {
                // Whatever went with the attempt is in the store as it was.
                self.resume()?;
                self.settle();
                Err(error)
            }
        }
    }

    async fn started(
        &self,
        method: &str,
        given: &str,
        again: Option<Here>,
    ) -> Result<Start<BrowserStore>, CallError> {
        let (host, now) = (self.host().clone(), self.host().now());
        let link = Invite { relay: host.relay(), fingerprint: None, code: None };
        let mut place = Place { link, device_name: host.device_name(), settings: super::settings() };
        let mut rng = self.0.inner.borrow_mut().fork();
        let ambient = Ambient { now, rng: &mut rng };
        let api = host.api();
        if method == "register" {
            let asked: Registration = args(given)?;
            place.link.code = asked.invite.as_deref().map(code_of).transpose()?;
            let Registration { username, email, password, .. } = &asked;
            let account = NewAccount { username, email, password };
            return Ok(setup::register(&api, host.open_store()?, &place, account, ambient).await?);
        }
        let asked: SignIn = args(given)?;
        let who = Credentials { name: &asked.name, password: &asked.password };
        Ok(match (again, &asked.words) {
            (Some(Here { client, session }), _) => {
                setup::sign_in_again(&api, Start { client, session }, who, now).await?
            }
            (None, Some(words)) => {
                setup::recover(&api, host.open_store()?, &place, who, words, ambient).await?
            }
            (None, None) => setup::sign_in(&api, host.open_store()?, &place, who, ambient).await?,
        })
    }

    /// Ends the session. What was stored is the browser's to delete: see `Engine::close`.
    async fn sign_out(&self) -> Answer {
        let access = self.access_token().await;
        self.input(|inner, _| inner.leave());
        if let Ok(access) = access {
            // A session that the relay cannot be told of ends by itself.
            let _untold = self.host().api().logout(&access).await;
        }
        Ok(json!({}))
    }

    async fn access_token(&self) -> Result<String, CallError> {
        let waiting = self.input(|inner, now| {
            let here = inner.here.as_ref().ok_or_else(nobody)?;
            if let Some(access) = here.session.access(now) {
                return Ok(Err(access.to_owned()));
            }
            if !here.session.is_signed_in() {
                return Err(nobody());
            }
            let (tell, told) = oneshot::channel();
            inner.waiting_for_access.push(tell);
            inner.jobs.queue(Job::Refresh);
            Ok(Ok(told))
        })?;
        match waiting {
            Err(access) => Ok(access),
            Ok(told) => Ok(told.await.map_err(|_| nobody())??),
        }
    }

    async fn open_call(&self, path: &str) -> Answer {
        let body = self.host().api().call(Method::Get, path, None, None).await?;
        Ok(api::read(&body).map_err(FetchError::from)?)
    }

    async fn account_call(&self, method: Method, path: &str, body: Option<Vec<u8>>) -> Answer {
        let access = self.access_token().await?;
        let body = self.host().api().call(method, path, Some(&access), body).await?;
        if body.is_empty() {
            return Ok(json!({}));
        }
        Ok(api::read(&body).map_err(FetchError::from)?)
    }

    async fn http(&self, asked: Http) -> Answer {
        let method = match asked.method.as_str() {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            other => return Err(invalid(format!("{other} is no method"))),
        };
        self.account_call(method, &asked.path, asked.body.map(|body| body.to_string().into_bytes())).await
    }

    async fn invite(&self, asked: Inviting) -> Answer {
        let access = self.access_token().await?;
        let api = self.host().api();
        let made = api.invite(&access, asked.conversation, asked.uses, asked.expires_in).await?;
        let web = made.web.unwrap_or_else(|| made.link.clone());
        Ok(json!({ "code": made.code, "link": made.link, "web": web }))
    }

    async fn redeem(&self, asked: Redeeming) -> Answer {
        let code = code_of(&asked.code)?;
        let access = self.access_token().await?;
        let redeemed = self.host().api().redeem(&access, code.as_str()).await?;
        Ok(json!({ "conversation": redeemed.conversation }))
    }

    async fn devices(&self) -> Answer {
        let access = self.access_token().await?;
        let own = self.0.inner.borrow().here.as_ref().map(|here| here.client.device().device());
        let devices = self.host().api().devices(&access).await?;
        let shape = |device: &sotto_node_core::account::Device| {
            json!({
                "device": device.device_id,
                "name": sotto_node_core::format::harmless_line(&device.name),
                "created_at": device.created_at,
                "own": own == Some(device.device_id),
            })
        };
        Ok(devices.iter().map(shape).collect())
    }

    /// First out of every conversation, while the account's list still shows whose it is; then off the list.
    async fn remove_device(&self, device: DeviceId, request: Option<RequestId>) -> Answer {
        self.command(Command::RemoveDevice(device), false, request).await?;
        match self.account_call(Method::Delete, &format!("/devices/{device}"), None).await {
            // An earlier try took it off, and its answer was lost.
            Err(gone) if gone.code == "not_found" => Ok(json!({})),
            answer => answer,
        }
    }

    async fn sessions(&self) -> Answer {
        let answer = self.account_call(Method::Get, "/sessions", None).await?;
        let sessions = answer.get("sessions").and_then(Value::as_array).cloned().unwrap_or_default();
        let shape = |session: &Value| {
            json!({
                "id": session.get("id"),
                "created_at": session.get("created_at"),
                "last_used_at": session.get("used_at"),
                "device": session.get("device_id"),
                "agent": session.get("agent"),
                "current": session.get("current"),
            })
        };
        Ok(sessions.iter().map(shape).collect())
    }
}

impl<H: Host> Inner<H> {
    /// Gives a command to the client. True if it was taken before, under the same id.
    fn submit(
        &mut self,
        command: Command,
        until_queued: bool,
        request: Option<RequestId>,
        tell: super::Waiting<Result<Got, Failure>>,
        now: UnixMillis,
    ) -> Result<bool, CallError> {
        let token = self.token();
        let Self { here, rng, tickets, .. } = self;
        let Here { client, .. } = here.as_mut().ok_or_else(nobody)?;
        if let Some(id) = request {
            if requests::is_known(client.store_mut(), id, now)? {
                return Ok(true);
            }
            client.store_mut().attach(requests::row(id, now));
        }
        tickets.insert(token, Ticket { until_queued, tell });
        client.handle_command(token, command, now, rng);
        client.store_mut().detach();
        self.state_changed |= true;
        Ok(false)
    }

    /// A generator of its own, for what waits in between.
    fn fork(&mut self) -> rand_chacha::ChaCha20Rng {
        use rand_core::SeedableRng as _;
        rand_chacha::ChaCha20Rng::from_rng(&mut self.rng)
    }

    /// Somebody begins to sign in; gives the account that is here and signed out, if that is to be signed in again.
    fn begin_setup(&mut self, into_what_is_here: bool) -> Result<Option<Here>, CallError> {
        if self.setting_up {
            return Err(invalid("signing in is under way already"));
        }
        match &self.here {
            Some(here) if here.session.is_signed_in() => {
                return Err(invalid("somebody is signed in here; sign out first"));
            }
            Some(here) if !into_what_is_here => {
                let text = format!(
                    "this browser holds what {} wrote and read; sign in as {0}, or sign out, which deletes it",
                    here.session.username
                );
                return Err(CallError::new("other_account", text));
            }
            _ => {}
        }
        self.setting_up = true;
        self.hang_up();
        Ok(self.here.take())
    }
}

fn search(client: &sotto_node_core::client::Client<BrowserStore>, asked: Search) -> Result<Value, CallError> {
    let before = asked.before.as_deref().map(place_of).transpose()?;
    let limit = asked.limit.min(LINES_MAX);
    let query = SearchQuery { words: asked.words, conversation: asked.conversation, before, limit };
    let hits = client.search(&query)?;
    let shape = |hit: &sotto_node_core::search::SearchHit| {
        let place = hit.place();
        json!({
            "conversation": hit.conversation,
            "sequence": hit.sequence,
            "message": shapes::message(&hit.message),
            "place": format!("{}.{}.{}", place.time.0, place.conversation, place.sequence.0),
        })
    };
    let hits: Vec<Value> = hits.iter().map(shape).collect();
    Ok(json!({ "hits": hits, "complete": client.search_is_complete() }))
}

/// The place of a hit, as it was handed out.
fn place_of(text: &str) -> Result<SearchPlace, CallError> {
    let parsed = || {
        let (time, rest) = text.split_once('.')?;
        let (conversation, sequence) = rest.split_once('.')?;
        Some(SearchPlace {
            time: UnixMillis(time.parse().ok()?),
            conversation: conversation.parse().ok()?,
            sequence: Sequence(sequence.parse().ok()?),
        })
    };
    parsed().ok_or_else(|| invalid("this is no place of a hit"))
}

/// The code of an invite, from itself or from a whole link, for nodes or for browsers.
fn code_of(text: &str) -> Result<sotto_protocol::invite::InviteCode, CallError> {
    let text = text.trim();
    let code = match text.rsplit_once("/i/") {
        Some((_, rest)) => rest.split(['#', '?', '/']).next().unwrap_or(rest),
        None => text,
    };
    code.parse()
        .map_err(|_| invalid("this is no invite: it is a code, or a link with /i/ and the code in it"))
}

fn qr(text: &str) -> Answer {
    let code = qrcode::QrCode::new(text).map_err(|error| invalid(error.to_string()))?;
    let dark: Vec<bool> = code.into_colors().into_iter().map(|color| color == qrcode::Color::Dark).collect();
    let width = dark.len().isqrt().max(1);
    Ok(dark.chunks(width).map(|row| json!(row)).collect())
}
