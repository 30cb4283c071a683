//! What a relay keeps, in figures.

use super::{Desk, Order, Refused};
use crate::engine::Engine;
use crate::nearly_full::Standing;
use crate::store::{Disk as _, RealDisk};
use crate::{backup, blobs};
use serde::{Deserialize, Serialize};
use sotto_protocol::ids::{AccountId, ConversationId};
use std::path::{Path, PathBuf};
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
    /// Files that are kept, half uploads included.
    #[serde(default)]
    pub files: u64,
    /// Bytes that they take there.
    #[serde(default)]
    pub files_disk_bytes: u64,
    /// Bytes that are free there.
    pub disk_free_bytes: u64,
    /// Conversations that keep at least 80 % of `quota.conversation`, the fullest first: a hundred at most.
    #[serde(default)]
    pub nearly_full: Vec<NearlyFull>,
    /// How many they are.
    #[serde(default)]
    pub nearly_full_count: u64,
    /// Accounts that have at least 80 % of `quota.account` in the log, those with the most first: a hundred at most.
    #[serde(default)]
    pub nearly_full_accounts: Vec<NearlyFullAccount>,
    /// How many they are.
    #[serde(default)]
    pub nearly_full_accounts_count: u64,
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

/// An account of which nothing more will be taken soon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NearlyFullAccount {
    /// Its id.
    pub account: AccountId,
    /// Its name; `None` if it was deleted and what it wrote is still there.
    pub username: Option<String>,
    /// What it has in the log.
    pub stored_bytes: u64,
    /// What it may have.
    pub quota_bytes: u64,
}

/// Of a kind that are named as nearly full.
const NAMED: usize = 100;

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
                files: on_disk.files,
                files_disk_bytes: on_disk.file_bytes,
                disk_free_bytes: on_disk.free_bytes,
                backups: backup::list(&kept).map_or(0, |all| all.len() as u64),
                newest_backup_ms: backup::newest(&kept).ok().flatten().map(|newest| newest.mark_ms),
                ..Stats::default()
            }
        });
        let on_disk = on_disk.await.map_err(|error| Refused(error.to_string()))?;
        let mut stats = Stats { version: env!("CARGO_PKG_VERSION").to_owned(), ..on_disk };
        let quota_bytes = desk.engine.quotas().conversation_bytes;
        let census = desk.signaling.census().await?;
        let (logs, standing) = Logs::of(&desk.engine, quota_bytes).await;
        stats.accounts = census.accounts;
        stats.devices = census.devices;
        stats.conversations = logs.conversations;
        stats.entries = logs.entries;
        stats.entry_bytes = logs.bytes;
        stats.nearly_full_count = standing.near.len() as u64;
        stats.nearly_full = fullest(standing)
            .map(|(conversation, stored_bytes)| NearlyFull { conversation, stored_bytes, quota_bytes })
            .collect();
        let quota_bytes = desk.engine.quotas().account_bytes;
        let standing = Standing::of_accounts(&desk.engine, quota_bytes).await;
        stats.nearly_full_accounts_count = standing.near.len() as u64;
        for (account, stored_bytes) in fullest(standing) {
            let username = desk.signaling.username(account).await?;
            stats.nearly_full_accounts.push(NearlyFullAccount {
                account,
                username,
                stored_bytes,
                quota_bytes,
            });
        }
        stats.retention_next_ms = retention_next(desk).await;
        Ok(stats)
    }
}

/// The fullest of those that are nearly full.
fn fullest<I>(Standing { mut near, .. }: Standing<I>) -> impl Iterator<Item = (I, u64)> {
    near.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    near.into_iter().take(NAMED)
}

/// What the logs of all conversations hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logs {
    pub(crate) conversations: u64,
    pub(crate) entries: u64,
    bytes: u64,
}

impl Logs {
    /// Of all conversations, with those that are near their quota.
    pub(crate) async fn of(engine: &Engine, quota_bytes: u64) -> (Self, Standing<ConversationId>) {
        let (mut sum, mut standing) = (Self::default(), Standing::default());
        loop {
            let from = usize::try_from(sum.conversations).unwrap_or(usize::MAX);
            let page = engine.survey(from, PAGE).await;
            if page.is_empty() {
                return (sum, standing);
            }
            standing.add(quota_bytes, &page);
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
    pub(crate) files: u64,
    pub(crate) file_bytes: u64,
    pub(crate) free_bytes: u64,
}

impl OnDisk {
    pub(crate) fn of(folder: &Path) -> Self {
        Self {
            log_bytes: bytes_in(&folder.join("log")),
            accounts_bytes: bytes_in(&folder.join("accounts")),
            files: folders_in(&folder.join(blobs::FOLDER)).map(|of| folders_in(&of).count() as u64).sum(),
            file_bytes: bytes_in(&folder.join(blobs::FOLDER)),
            free_bytes: RealDisk.free_bytes(folder).unwrap_or_default(),
        }
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

/// The folders in a folder.
fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.is_dir())
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
