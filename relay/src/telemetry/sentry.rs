//! Errors, to whatever speaks Sentry's protocol. An error in the log means that the relay is broken; the warnings before it
//! go along.

use super::{PATIENCE, Sender, Told};
use bytes::Bytes;
use http::{Request, header};
use sentry_core::types::{Dsn, protocol::v7::Envelope};
use sentry_core::{Client, ClientOptions, Hub, Transport, TransportFactory, TransportOptions};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::registry::LookupSpan;

/// Errors that wait to be sent; more are dropped. There are seldom two.
const WAITING_MAX: usize = 64;

/// Warnings that go along with an error.
const BEFORE_MAX: usize = 30;

/// Starts telling errors, on every thread of the process.
pub(super) fn start(dsn: &Dsn, sender: Sender) -> Arc<Client> {
    let mut options = ClientOptions::default();
    options.dsn = Some(dsn.clone());
    options.release = Some(crate::AGENT.into());
    options.max_breadcrumbs = BEFORE_MAX;
    options.transport = Some(Arc::new(Factory(sender)));
    let client = Arc::new(Client::with_options(options));
    Hub::main().bind_client(Some(client.clone()));
    client
}

/// What makes errors of log lines.
pub(super) fn layers<S>() -> [Told<S>; 2]
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let before = sentry_tracing::BreadcrumbLayer::new().with_filter(LevelFilter::WARN);
    let errors = sentry_tracing::ErrorLayer::new().with_filter(LevelFilter::ERROR);
    [before.boxed(), errors.boxed()]
}

struct Factory(Sender);

impl TransportFactory for Factory {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        let (tell, told) = sync_channel(WAITING_MAX);
        let sender = self.0.clone();
        let sending = std::thread::Builder::new()
            .name("sentry".to_owned())
            .spawn(move || send_all(&told, &options.dsn, &sender));
        if let Err(error) = sending {
            tracing::warn!(%error, "errors are not told: a thread cannot be started");
        }
        Arc::new(Queue(tell))
    }
}

enum Item {
    Envelope(Box<Envelope>),
    /// Everything before it was sent, or will not be.
    Flushed(SyncSender<()>),
}

struct Queue(SyncSender<Item>);

impl Transport for Queue {
    fn send_envelope(&self, envelope: Envelope) {
        // Too many errors at once: the first ones say what is wrong.
        let _ = self.0.try_send(Item::Envelope(Box::new(envelope)));
    }

    fn flush(&self, timeout: Duration) -> bool {
        let (tell, told) = sync_channel(1);
        self.0.try_send(Item::Flushed(tell)).is_ok() && told.recv_timeout(timeout).is_ok()
    }
}

fn send_all(told: &Receiver<Item>, dsn: &Dsn, sender: &Sender) {
    let (address, auth) = (dsn.envelope_api_url().to_string(), dsn.to_auth(Some(crate::AGENT)).to_string());
    for item in told {
        let envelope = match item {
            Item::Envelope(envelope) => envelope,
            Item::Flushed(tell) => {
                // Whoever asked may not wait any more.
                let _ = tell.try_send(());
                continue;
            }
        };
        let mut body = Vec::new();
        if envelope.to_writer(&mut body).is_err() {
            continue;
        }
        let request = Request::post(&address)
            .header(header::CONTENT_TYPE, "application/x-sentry-envelope")
            .header("x-sentry-auth", &auth)
            .body(Bytes::from(body));
        let Ok(request) = request else { continue };
        // Not as an error: it would be told in turn.
        match sender.runtime.block_on(sender.post(request)) {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => tracing::warn!(status = %answer.status(), "an error was not taken by its receiver"),
            Err(error) => tracing::warn!(%error, patience = ?PATIENCE, "an error could not be told"),
        }
    }
}
