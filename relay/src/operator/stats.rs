//! What a relay keeps, in figures.

use super::{Desk, Order, Refused};
use crate::backup;
use crate::engine::Engine;
use crate::store::{Disk as _, RealDisk};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Conversations that are looked at in one go.
const PAGE: usize = 500;

/// Asks for all of them.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct AskStats {}

/// Figures of this moment. Rates and times are on `/metrics`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// The version of the program that keeps them.
    pub version: String,
    /// Accounts, disabled ones too.
    pub accounts: u64,
    /// Devices of them.
    pub devices: u64,
    /// Rooms, groups and direct conversations.
    pub conversations: u64,
    /// Entries of their logs that are kept.
    pub entries: u64,
    /// Bytes of them.
    pub entry_bytes: u64,
    /// Bytes that the log takes on the disk.
    pub log_disk_bytes: u64,
    /// Bytes that the accounts take there.
    pub accounts_disk_bytes: u64,
    /// Bytes that are free there.
    pub disk_free_bytes: u64,
    /// Backups in the folder of the schedule.
    pub backups: u64,
    /// The mark of the newest; `None` if there is none, or it does not read.
    pub newest_backup_ms: Option<u64>,
}

impl Order for AskStats {
    type Answer = Stats;
    const NAME: &'static str = "stats";

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        let config = desk.config.clone();
        let on_disk = tokio::task::spawn_blocking(move || {
            let kept = config.backups();
            let on_disk = OnDisk::of(&config.data_dir);
            Stats {
                log_disk_bytes: on_disk.log_bytes,
                accounts_disk_bytes: on_disk.accounts_bytes,
                disk_free_bytes: on_disk.free_bytes,
                backups: backup::list(&kept).map_or(0, |all| all.len() as u64),
                newest_backup_ms: backup::newest(&kept).ok().flatten().map(|newest| newest.mark_ms),
                ..Stats::default()
            }
        });
        let on_disk = on_disk.await.map_err(|error| Refused(error.to_string()))?;
        let mut stats = Stats { version: env!("CARGO_PKG_VERSION").to_owned(), ..on_disk };
        let census = desk.signaling.census().await?;
        let logs = Logs::of(&desk.engine).await;
        stats.accounts = census.accounts;
        stats.devices = census.devices;
        stats.conversations = logs.conversations;
        stats.entries = logs.entries;
        stats.entry_bytes = logs.bytes;
        Ok(stats)
    }
}

/// What the logs of all conversations hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logs {
    pub(crate) conversations: u64,
    pub(crate) entries: u64,
    bytes: u64,
}

impl Logs {
    pub(crate) async fn of(engine: &Engine) -> Self {
        let mut sum = Self::default();
        loop {
            let from = usize::try_from(sum.conversations).unwrap_or(usize::MAX);
            let page = engine.survey(from, PAGE).await;
            if page.is_empty() {
                return sum;
            }
            sum.conversations += page.len() as u64;
            sum.entries += page.iter().map(|known| known.entries()).sum::<u64>();
            sum.bytes += page.iter().map(|known| known.stored_bytes).sum::<u64>();
        }
    }
}

/// What a data folder takes of its disk. Asking takes a moment: it looks at every file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnDisk {
    pub(crate) log_bytes: u64,
    pub(crate) accounts_bytes: u64,
    pub(crate) free_bytes: u64,
}

impl OnDisk {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            log_bytes: bytes_in(&folder.join("log")),
            accounts_bytes: bytes_in(&folder.join("accounts")),
            free_bytes: RealDisk.free_bytes(folder).unwrap_or_default(),
        }
    }
}

/// What the files below a folder take. What vanishes meanwhile counts for nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let bytes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_in(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
