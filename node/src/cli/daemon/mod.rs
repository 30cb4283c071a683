//! `daemon`: plain JSON on loopback for bots and scripts; everything beyond it is end-to-end encrypted.
//!
//! ```text
//!   bots, scripts --HTTP--+                                +--> relay (encrypted)
//!                         +--> gate --> api, socket --> node
//!   bots, scripts --WS----+   (host, origin, token)        +--> local store
//! ```
//!
//! Whoever has the token is the account, so the gate is narrow: loopback addresses only, a `Host` that names
//! loopback (a page whose name was rebound to 127.0.0.1 cannot say that), no `Origin` (browsers always send one
//! with what a page asks for), and the token, compared in constant time. `docs/daemon.md` describes what is said.
//!
//! Read in this order: [`token`], [`listen`] (sockets and connections), [`gate`] (who may ask), [`problem`] (how
//! no is said), [`shapes`] (what messages look like), [`send`] (texts out), [`presence`], [`api`] (HTTP), [`follow`] (who was told what), [`socket`] (WebSocket).

mod api;
mod files;
mod follow;
mod gate;
mod listen;
mod presence;
mod problem;
mod send;
mod shapes;
mod socket;
mod token;

use super::args::Global;
use super::exit::{Failed, of_status};
use super::open::{self, RunningNode};
use super::output::Printer;
use super::talk::interrupted;
use serde_json::json;
use sotto_node::node::{Session, Status};
use sotto_protocol::ids::AccountId;
use std::sync::Arc;
use std::time::Duration;
use token::Token;
use tokio::sync::{Semaphore, watch};

/// WebSockets at once: each may be [`socket::UNDER_WAY_MAX`] texts ahead of the relay.
const SOCKETS_MAX: usize = 64;

/// How long what is open may take to end.
const GOODBYE: Duration = Duration::from_secs(3);

/// The port where it is not said: not one that IANA has given to anybody.
const PORT: u16 = 8643;

/// What `daemon` takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where programs find it; 0 is any free port
    #[arg(long, default_value_t = PORT)]
    pub(crate) port: u16,
    /// A loopback address to listen on [default: 127.0.0.1 and ::1]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<std::net::IpAddr>,
    /// Draw a new token; programs with the old one are shut out
    #[arg(long)]
    pub(crate) new_token: bool,
}

/// What every request and every socket shares.
#[derive(Clone)]
struct Daemon(Arc<Shared>);

struct Shared {
    node: RunningNode,
    token: Token,
    account: AccountId,
    username: String,
    /// The account's session as it was at the start, for the relay's link.
    relay: Session,
    /// Room for further sockets.
    sockets: Arc<Semaphore>,
    /// Turns true when the daemon ends.
    closing: watch::Receiver<bool>,
}

impl std::ops::Deref for Daemon {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

pub(crate) async fn daemon(global: &Global, printer: &Printer, args: Args) -> Result<(), Failed> {
    // Before the store is opened: a port that is taken is said at once.
    let listeners = listen::bind(args.bind, args.port).await?;
    let start = open::start(global, printer).await?;
    let relay = start.session.clone();
    let node = open::begin(start, printer)?;
    let profile = open::profile(global)?;
    open::finishing(node, async |node| {
        node.serve_files().await;
        let token = Token::of(&profile, args.new_token)?;
        let (tell_closing, closing) = watch::channel(false);
        let (account, username) =
            node.ask(|client| (client.device().account(), client.username().to_owned())).await?;
        let daemon = Daemon(Arc::new(Shared {
            node: node.clone(),
            token,
            account,
            username,
            relay,
            sockets: Arc::new(Semaphore::new(SOCKETS_MAX)),
            closing: closing.clone(),
        }));
        greet(printer, &daemon, &listeners, &token::path(&profile))?;
        let gate = gate::Gate::new(&listeners, daemon.clone());
        let serving = listen::serve(listeners, api::router(daemon.clone(), gate), closing);
        let serving = tokio::spawn(serving);
        let ended = tokio::select! {
            () = interrupted() => Ok(()),
            failed = ended_for_good(node) => Err(failed),
        };
        tell_closing.send_replace(true);
        let all = u32::try_from(SOCKETS_MAX).unwrap_or(u32::MAX);
        let everything_ended = async { (serving.await, daemon.sockets.acquire_many(all).await.map(drop)) };
        if tokio::time::timeout(GOODBYE, everything_ended).await.is_err() {
            tracing::debug!("a program did not let go of its connection in time");
        }
        ended
    })
    .await
}

fn greet(
    printer: &Printer,
    daemon: &Daemon,
    listeners: &listen::Listeners,
    token_file: &std::path::Path,
) -> Result<(), Failed> {
    let port = listeners.port;
    let host = listeners.host();
    let token = daemon.token.text();
    let object = json!({
        "type": "daemon",
        "http": format!("http://{host}:{port}"),
        "websocket": format!("ws://{host}:{port}/ws?token={token}"),
        "port": port,
        "token": token,
        "token_file": token_file.display().to_string(),
        "username": daemon.username,
        "account": daemon.account,
    });
    let name = sotto_node_core::format::harmless_line(&daemon.username);
    let lines = format!(
        "Programs on this machine speak for {name} now, with the token (keep it secret; it is in {file}):\n\
         \x20 WebSocket  ws://{host}:{port}/ws?token={token}\n\
         \x20 HTTP       curl -H 'Authorization: Bearer {token}' http://{host}:{port}/status\n\
         Say {{\"recipient\": \"USER\", \"content\": \"Hello!\"}} on the WebSocket. More: docs/daemon.md. Ctrl-C ends.",
        file = token_file.display(),
    );
    printer.result(&object, &lines)
}

/// Why there will be no connection any more. While one may come, the daemon serves what is on this device.
async fn ended_for_good(node: &RunningNode) -> Failed {
    loop {
        let status = node.wait(Duration::from_secs(3600), Status::is_final).await;
        if status.is_final() {
            return of_status(&status).unwrap_or_else(|| Failed::internal("the connection ended"));
        }
    }
}
