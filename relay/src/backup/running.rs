//! Backups beside an open log: by schedule, and when the operator asks for one.

use super::{BackupError, Made, Source, due_in, make, newest};
use crate::api::Accounts;
use crate::clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::metrics::{BACKUP_TIME, BACKUPS};
use sotto_protocol::ids::UnixMillis;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// After a backup that failed the next one is tried when this has passed, however long the schedule is.
const AFTER_A_FAILURE: Duration = Duration::from_secs(300);

/// Makes backups of what is open here. Cheap to clone.
#[derive(Clone)]
pub struct Backups {
    config: Arc<Config>,
    engine: Engine,
    accounts: Arc<Accounts>,
    stop: Arc<AtomicBool>,
}

impl Backups {
    /// Of this log and these accounts.
    #[must_use]
    pub fn new(config: &Config, engine: Engine, accounts: Arc<Accounts>) -> Self {
        let newest = newest(&config.backups()).ok().flatten();
        tell(newest.map_or(UnixMillis(0), |newest| UnixMillis(newest.mark_ms)));
        Self { config: Arc::new(config.clone()), engine, accounts, stop: Arc::default() }
    }

    /// Ends the one that is being made, before it is whole.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Makes one in `folder`, or where the configuration says, and deletes the oldest there, so that `keep` are
    /// left; `None` keeps all.
    ///
    /// # Errors
    /// See [`BackupError`]; the backups before it are then as they were.
    pub async fn make(&self, folder: Option<PathBuf>, keep: Option<usize>) -> Result<Made, BackupError> {
        let export = self.engine.export().await.ok_or(BackupError::Stopped)?;
        let (config, accounts, stop) = (self.config.clone(), self.accounts.clone(), self.stop.clone());
        let folder = folder.unwrap_or_else(|| config.backups());
        let made = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let source = Source {
                export: &export,
                accounts: accounts.table(),
                data_dir: &config.data_dir,
                reserve_bytes: config.disk_free_min,
                stop: &stop,
            };
            make(&source, &folder, keep).map(|made| (made, began.elapsed()))
        });
        let outcome = match made.await {
            Ok(outcome) => outcome,
            // It panicked, which its own log line says.
            Err(_) => Err(BackupError::Stopped),
        };
        match outcome {
            Ok((made, took)) => {
                metrics::counter!(BACKUPS, "outcome" => "made").increment(1);
                tell(UnixMillis(made.mark_ms));
                tracing::info!(backup = %made.backup.display(), ?took, "a backup was made");
                Ok(made)
            }
            Err(error) => {
                metrics::counter!(BACKUPS, "outcome" => "failed").increment(1);
                tracing::warn!(%error, "no backup was made");
                Err(error)
            }
        }
    }

    /// Makes backups as the configuration says, for ever.
    pub(crate) async fn keep(self) {
        let Some(every) = self.config.backup_every else { return std::future::pending().await };
        loop {
            // A newest one that does not read is no reason to wait for the next.
            let wait = due_in(&self.config.backups(), every, clock::now()).unwrap_or_default();
            tokio::time::sleep(wait).await;
            match self.make(None, Some(self.config.backup_keep)).await {
                Ok(_) => {}
                Err(BackupError::Stopped) => return std::future::pending().await,
                Err(_) => tokio::time::sleep(AFTER_A_FAILURE.min(every)).await,
            }
        }
    }
}

/// For whoever watches.
fn tell(mark: UnixMillis) {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are below 2^53")]
    metrics::gauge!(BACKUP_TIME).set(mark.0 as f64 / 1000.0);
}
