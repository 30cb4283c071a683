//! What a relay keeps, in figures.

use super::{Desk, Order, Refused};
use crate::backup;
use crate::nearly_full::Standing;
use crate::store::{Disk as _, RealDisk};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::ConversationId;
use std::path::Path;
use std::time::Duration;

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
    /// Conversations that keep at least 80 % of `quota.conversation`, the fullest first: a hundred at most.
    #[serde(default)]
    pub nearly_full: Vec<NearlyFull>,
    /// How many they are.
    #[serde(default)]
    pub nearly_full_count: u64,
    /// When retention deletes something the next time; `None` if it never does.
    pub retention_next_ms: Option<u64>,
    /// Backups in the folder of the schedule.
    pub backups: u64,
    /// The mark of the newest; `None` if there is none, or it does not read.
    pub newest_backup_ms: Option<u64>,
}

/// A conversation that will take no new messages soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearlyFull {
    /// Its id.
    pub conversation: ConversationId,
    /// What it keeps.
    pub stored_bytes: u64,
    /// What it may keep.
    pub quota_bytes: u64,
}

/// Conversations that are named as nearly full.
const NAMED: usize = 100;

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
        let quota_bytes = desk.config.quota_conversation.unwrap_or(0);
        let (mut standing, mut after) = (Standing::default(), None);
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
            standing.add(quota_bytes, &page);
        }
        stats.nearly_full_count = standing.near.len() as u64;
        standing.near.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let named = standing.near.into_iter().take(NAMED);
        stats.nearly_full = named
            .map(|(conversation, stored_bytes)| NearlyFull { conversation, stored_bytes, quota_bytes })
            .collect();
        stats.retention_next_ms = retention_next(desk).await;
        Ok(stats)
    }
}

/// When the oldest stretch of the log is older than the retention as a whole.
async fn retention_next(desk: &Desk) -> Option<u64> {
    let age = desk.config.retention_age?;
    let export = desk.engine.export().await?;
    let oldest = tokio::task::spawn_blocking(move || {
        let shards = export.log().shards().ok()?;
        Some((shards.first()?.0, export.log().shard_span()))
    });
    let (oldest, span) = oldest.await.ok()??;
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Some(oldest.saturating_add(1).saturating_mul(millis(span)).saturating_add(millis(age)))
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
