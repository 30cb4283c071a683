//! Where orders are carried out: what a relay has open, without its sockets.

use super::watch::Watch;
use super::{OperatorError, Refused};
use crate::api::{Api, Parts};
use crate::backup::Backups;
use crate::config::Config;
use crate::engine::{Engine, EngineThread};
use crate::folder::DataFolder;
use crate::relay::{Opened, StartError, link};
use crate::session::registry::Registry;
use crate::site;
use sotto_signaling::Signaling;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// See the module.
pub struct Desk {
    /// What the relay was started with; what the command was given where it is stopped.
    pub config: Arc<Config>,
    /// Accounts, sessions, invites.
    pub signaling: Signaling,
    /// The log.
    pub engine: Engine,
    /// Makes backups of all of it.
    pub backups: Backups,
}

/// What has to end in good order after the last order at the desk of a stopped relay.
pub(super) struct Closing {
    _folder: DataFolder,
    engine_thread: EngineThread,
}

impl Desk {
    /// Opens everything that a relay keeps in its folder.
    pub(super) async fn open(config: &Config, folder: DataFolder) -> Result<(Self, Closing), StartError> {
        let opening = config.clone();
        let opened = tokio::task::spawn_blocking(move || Opened::open(&opening, folder)).await;
        let opened = opened.map_err(|error| StartError::System(std::io::Error::other(error)))??;
        let Opened { folder, identity, store, engine, engine_thread, .. } = opened;
        // Nobody is connected and nothing is served: the hooks of the API have nobody to tell.
        let api = Api::new(Parts {
            config,
            folder: &folder,
            store: store.clone(),
            engine: engine.clone(),
            registry: Registry::default(),
            watch: Arc::new(Watch::new(config.data_dir.clone())),
            relay: link(config, config.listen.port(), &identity),
            web: site::origin(config, config.http, config.listen.port()),
            door: None,
            turn: None,
            blobs: None,
            is_ready: Arc::new(AtomicBool::new(false)),
            recorder: crate::metrics::install(),
        })?;
        let backups = Backups::new(config, engine.clone(), store);
        let desk = Self { config: Arc::new(config.clone()), signaling: api.signaling(), engine, backups };
        Ok((desk, Closing { _folder: folder, engine_thread }))
    }
}

impl Closing {
    /// Writes what is to be written, and frees the folder.
    pub(super) async fn close(self, desk: Desk) -> Result<(), OperatorError> {
        desk.engine.drain().await;
        drop(desk);
        let ended = self.engine_thread.ended().await;
        ended.map_err(|fatal| OperatorError::Refused(Refused(fatal.to_string())))
    }
}
