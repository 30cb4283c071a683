//! What a relay keeps, in figures.

use super::{Desk, Order, Refused};
use crate::backup;
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
            let folder = &config.data_dir;
            let kept = config.backups();
            Stats {
                log_disk_bytes: bytes_in(&folder.join("log")),
                accounts_disk_bytes: bytes_in(&folder.join("accounts")),
                disk_free_bytes: RealDisk.free_bytes(folder).unwrap_or_default(),
                backups: backup::list(&kept).map_or(0, |all| all.len() as u64),
                newest_backup_ms: backup::newest(&kept).ok().flatten().map(|newest| newest.mark_ms),
                ..Stats::default()
            }
        });
        let on_disk = on_disk.await.map_err(|error| Refused(error.to_string()))?;
        let mut stats = Stats { version: env!("CARGO_PKG_VERSION").to_owned(), ..on_disk };
        let mut after = None;
        loop {
            let page = desk.signaling.accounts(after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.account.id);
            stats.accounts += page.len() as u64;
            stats.devices += page.iter().map(|row| row.devices as u64).sum::<u64>();
        }
        loop {
            let from = usize::try_from(stats.conversations).unwrap_or(usize::MAX);
            let page = desk.engine.survey(from, PAGE).await;
            if page.is_empty() {
                break;
            }
            stats.conversations += page.len() as u64;
            stats.entries += page.iter().map(|known| known.entries()).sum::<u64>();
            stats.entry_bytes += page.iter().map(|known| known.stored_bytes).sum::<u64>();
        }
        Ok(stats)
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
