//! What the relay tells other systems of itself, where the configuration says so: traces by OpenTelemetry (OTLP over
//! HTTP), errors by Sentry's protocol.
//!
//! Both are made from what the log is made of, so what may not stand in a log line is in neither: they carry ids of
//! accounts, devices and conversations, never contents, passwords, tokens or keys. A receiver that does not answer costs
//! what was to be sent, and nothing else: nobody waits for one.

mod sentry;
mod traces;

use crate::config::Config;
use crate::outgoing::{self, Lost};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

/// How long the last things may take at the end of the process.
const GOODBYE: Duration = Duration::from_secs(3);

/// One request.
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer says yes or no.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TelemetryError(String);

/// What is told as long as this is there. [`Telemetry::finish`] sends the last of it.
#[derive(Default)]
pub struct Telemetry {
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
    sentry: Option<Arc<sentry_core::Client>>,
}

/// A layer of the log that tells others.
type Told<S> = Box<dyn Layer<S> + Send + Sync>;

impl Telemetry {
    /// What the configuration asks for, with the layers that it is made by. Call it on a runtime, which does the sending.
    pub(crate) fn start<S>(config: &Config) -> Result<(Self, Vec<Told<S>>), TelemetryError>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let (mut telemetry, mut layers) = (Self::default(), Vec::new());
        if config.otlp.is_none() && config.sentry.is_none() {
            return Ok((telemetry, layers));
        }
        let tls = outgoing::trusting_the_machine().map_err(|error| TelemetryError(error.to_string()))?;
        let sender = Sender { tls: Arc::new(tls), runtime: Handle::current() };
        if let Some(otlp) = &config.otlp {
            let (provider, layer) = traces::start(otlp, sender.clone())?;
            telemetry.traces = Some(provider);
            layers.push(layer);
        }
        if let Some(dsn) = &config.sentry {
            telemetry.sentry = Some(sentry::start(dsn, sender));
            layers.extend(sentry::layers());
        }
        Ok((telemetry, layers))
    }

    /// Sends what is left. It waits for the receivers, but not long.
    pub fn finish(self) {
        if let Some(traces) = self.traces {
            // Whoever receives them is away: there is nothing to do about it.
            let _ = traces.shutdown_with_timeout(GOODBYE);
        }
        if let Some(sentry) = self.sentry {
            sentry.close(Some(GOODBYE));
        }
    }
}

/// Sends requests on the relay's runtime, from whatever thread.
#[derive(Clone)]
struct Sender {
    tls: Arc<ClientConfig>,
    runtime: Handle,
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

impl Sender {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Lost> {
        let tls = self.tls.clone();
        let asked = self.runtime.spawn(async move {
            let answer = outgoing::ask(tls, request.map(Full::new)).await?;
            outgoing::whole(answer, ANSWER_BYTES_MAX).await
        });
        let end = asked.abort_handle();
        // The timer belongs to the runtime, whoever waits.
        let late = self.runtime.spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            end.abort();
        });
        let answer = asked.await;
        late.abort();
        answer.map_err(|_| "no answer in time")?
    }
}
