//! The HTTP side of the relay: signaling's router, the browser client and the metrics.

use crate::accounts::SledTable;
use crate::blobs::LocalBlobs;
use crate::config::{Config, Origins};
use crate::engine::Engine;
use crate::folder::{DataFolder, FolderError};
use crate::gate::Gate;
use crate::gateway::WebSocketGateway;
use crate::hooks::RelayHooks;
use crate::operator::watch::Watch;
use crate::session::Sessions;
use crate::session::registry::Registry;
use crate::site::Site;
use crate::turn::Turn;
use crate::webtransport::Door;
use crate::{clock, exporter};
use axum::Router;
use axum::routing::get;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use metrics_exporter_prometheus::PrometheusHandle;
use sotto_protocol::invite::Invite;
use sotto_signaling::Signaling;
use sotto_signaling::blobs::Blobs;
use sotto_signaling::config::{Config as SignalingConfig, Rates};
use sotto_signaling::store::Embedded;
use sotto_signaling::tokens::TokenKeys;
use sotto_signaling_core::account::RegistrationRules;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use zeroize::Zeroizing;

/// The accounts of a relay on its own disk.
pub type Accounts = Embedded<SledTable>;

const TOKEN_KEY_FILE: &str = "token.key";

/// What the API is made from.
pub struct Parts<'a> {
    /// What the operator chose.
    pub config: &'a Config,
    /// Where keys are kept.
    pub folder: &'a DataFolder,
    /// The accounts.
    pub store: Arc<Accounts>,
    /// The log.
    pub engine: Engine,
    /// Who is connected.
    pub registry: Registry,
    /// What the operator's page watches.
    pub watch: Arc<Watch>,
    /// The relay's own link.
    pub relay: Invite,
    /// What browsers open.
    pub web: String,
    /// How they reach the UDP port; `None` while nothing listens.
    pub door: Option<Door>,
    /// What lends STUN and TURN; `None` if nothing does.
    pub turn: Option<Arc<Turn>>,
    /// Who keeps files; `None` if nobody does.
    pub blobs: Option<Arc<LocalBlobs>>,
    /// Whether the relay has started and does not drain.
    pub is_ready: Arc<AtomicBool>,
    /// Renders the metrics.
    pub recorder: &'static PrometheusHandle,
}

/// See the module.
pub struct Api {
    signaling: Signaling,
    store: Arc<Accounts>,
    engine: Engine,
    recorder: &'static PrometheusHandle,
    metrics_public: bool,
    origins: Origins,
    site: Site,
    blobs: Option<Arc<LocalBlobs>>,
}

/// One router for each kind of listener.
pub struct Routers {
    /// For everybody, over TLS.
    pub public: Router,
    /// For this machine.
    pub local: Router,
}

impl Api {
    /// Reads or draws the keys, and starts signaling.
    ///
    /// # Errors
    /// If a key cannot be read or kept.
    pub fn new(parts: Parts<'_>) -> Result<Self, FolderError> {
        let Parts {
            config,
            folder,
            store,
            engine,
            registry,
            watch,
            relay,
            web,
            door,
            turn,
            blobs,
            is_ready,
            recorder,
        } = parts;
        let seed = Zeroizing::new(folder.secret(TOKEN_KEY_FILE, rand::random)?);
        let site = Site::new(door.as_ref().map(|door| door.port));
        let hooks = Arc::new(RelayHooks { engine: engine.clone(), registry, is_ready, watch, door, turn });
        let signaling = Signaling::new(
            SignalingConfig { web, ..signaling_config(config, relay) },
            store.clone(),
            TokenKeys::from_seed(&seed),
            Arc::new(clock::now),
            hooks,
        );
        let (metrics_public, origins) = (config.metrics_public, config.web.origins.clone());
        Ok(Self { signaling, store, engine, recorder, metrics_public, origins, site, blobs })
    }

    /// Accounts, sessions, invites.
    #[must_use]
    pub fn signaling(&self) -> Signaling {
        self.signaling.clone()
    }

    /// What connections are let in by.
    #[must_use]
    pub fn gate(&self) -> Gate {
        Gate::new(self.signaling.clone(), self.store.clone())
    }

    /// The routers of both listeners.
    #[must_use]
    pub fn routers(&self, sessions: Arc<Sessions>) -> Routers {
        let blobs = self.blobs.clone().map(|blobs| blobs as Arc<dyn Blobs>);
        let api =
            sotto_signaling::router(self.signaling.clone(), Arc::new(WebSocketGateway(sessions)), blobs);
        let metrics = || Router::new().route("/metrics", get(metrics(self.recorder, self.engine.clone())));
        let public = shared(api.clone(), &self.origins, true);
        let public = if self.metrics_public { public.merge(metrics()) } else { public };
        let local = shared(api, &self.origins, false).merge(metrics());
        Routers { public: self.site.clone().beside(public), local: self.site.clone().beside(local) }
    }
}

/// How long a browser may remember what a page from elsewhere may ask.
const PREFLIGHT_AGE: Duration = Duration::from_secs(2 * 3600);

/// Lets web pages from elsewhere call the API in somebody's browser.
///
/// Who asks is known by a token that the page itself holds; browsers add nothing of their own (no cookies, no credentials), so a
/// page gets no more than its server could by asking itself. That is not so for what only this machine reaches: there, a page must
/// be named, or any that somebody looks at could try things on a relay that nobody else can reach.
fn shared(api: Router, origins: &Origins, is_public: bool) -> Router {
    let origin = match origins {
        Origins::Any if is_public => AllowOrigin::any(),
        Origins::Any => return api,
        Origins::Only(listed) if listed.is_empty() => return api,
        Origins::Only(listed) => AllowOrigin::list(listed.iter().cloned()),
    };
    let exposed: [HeaderName; 3] = [RETRY_AFTER, WWW_AUTHENTICATE, HeaderName::from_static("x-trace-id")];
    let layer = CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE])
        .expose_headers(exposed)
        .max_age(PREFLIGHT_AGE);
    api.layer(layer)
}

/// What signaling is told. The address and fingerprint of the relay go into every invite.
pub(crate) fn signaling_config(config: &Config, relay: Invite) -> SignalingConfig {
    SignalingConfig {
        fingerprint: relay.fingerprint,
        registration: RegistrationRules {
            policy: config.registration,
            first_account_is_operator: config.first_account_is_operator,
        },
        invite_makers: config.invites,
        rates: if config.rates { Rates::default() } else { Rates::NONE },
        trusted_proxies: config.trusted_proxies,
        ..SignalingConfig::new(relay.relay)
    }
}

/// The handler of `/metrics`.
fn metrics(
    recorder: &'static PrometheusHandle,
    engine: Engine,
) -> impl Fn() -> std::future::Ready<([(HeaderName, &'static str); 1], String)> + Clone + Send + 'static {
    move || {
        let mut text = recorder.render();
        exporter::render(engine.metrics(), &mut text);
        std::future::ready(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text))
    }
}
