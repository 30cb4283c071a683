//! `sotto-relay stats`

use super::{CommandError, Printer, day};
use sotto_relay::config::Config;
use sotto_relay::operator::{AskStats, NearlyFull, NearlyFullAccount, Stats, give};

pub(crate) async fn run(config: &Config, printer: Printer) -> Result<(), CommandError> {
    let stats = give(config, AskStats {}).await?;
    printer.one("stats", &stats, &sentence(&stats))
}

/// A figure a line.
fn sentence(stats: &Stats) -> String {
    let newest =
        stats.newest_backup_ms.map_or_else(|| "none".to_owned(), |mark| format!("newest {}", day(mark)));
    let next = stats
        .retention_next_ms
        .map_or_else(|| "deletes nothing".to_owned(), |next| format!("deletes next {}", day(next)));
    let mut rows = vec![
        ("version", stats.version.clone()),
        ("accounts", format!("{} with {} devices", stats.accounts, stats.devices)),
        ("conversations", stats.conversations.to_string()),
        ("entries", format!("{} of {} bytes", stats.entries, stats.entry_bytes)),
        ("log on disk", format!("{} bytes", stats.log_disk_bytes)),
        ("accounts on disk", format!("{} bytes", stats.accounts_disk_bytes)),
        ("files", format!("{} of {} bytes", stats.files, stats.files_disk_bytes)),
        ("disk free", format!("{} bytes", stats.disk_free_bytes)),
        ("retention", next),
        ("backups", format!("{} ({newest})", stats.backups)),
        ("nearly full", format!("{} conversations", stats.nearly_full_count)),
    ];
    rows.extend(stats.nearly_full.iter().map(|full| {
        let NearlyFull { conversation, stored_bytes, quota_bytes } = full;
        ("", format!("{conversation} keeps {stored_bytes} of {quota_bytes} bytes"))
    }));
    rows.push(("", format!("{} accounts", stats.nearly_full_accounts_count)));
    rows.extend(stats.nearly_full_accounts.iter().map(|full| {
        let NearlyFullAccount { account, username, stored_bytes, quota_bytes } = full;
        let name = username.clone().unwrap_or_else(|| format!("the deleted account {account}"));
        ("", format!("{name} has {stored_bytes} of {quota_bytes} bytes"))
    }));
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<18}{value}")).collect();
    lines.join("\n")
}
