//! What the operator's page watches while the relay runs: figures that are asked for again and again.

use super::rooms;
use super::stats::{Logs, OnDisk};
use crate::engine::Engine;
use crate::session::registry::Registry;
use sotto_protocol::body::conversation::Kind;
use sotto_signaling::hooks::{Figures, Room, RoomPage};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What counts files and conversations is asked for at most this often, however many pages watch.
const COUNTED_EVERY: Duration = Duration::from_secs(10);

/// A rate is taken over at least this.
const RATE_OVER: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Watch {
    data_dir: PathBuf,
    started: Instant,
    counted: tokio::sync::Mutex<Option<(Instant, Counted)>>,
    rate: Mutex<Rate>,
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    logs: Logs,
    on_disk: OnDisk,
}

impl Watch {
    /// From now on.
    #[must_use]
    pub fn new(data_dir: PathBuf) -> Self {
        let started = Instant::now();
        let rate = Mutex::new(Rate { since: started, count: 0, per_second: 0.0 });
        Self { data_dir, started, counted: tokio::sync::Mutex::default(), rate }
    }

    /// To be called every few seconds, so that a rate is one of late.
    pub(crate) fn tick(&self, engine: &Engine) {
        let mut rate = self.rate.lock().unwrap_or_else(PoisonError::into_inner);
        rate.update(engine.metrics().messages.get(), Instant::now());
    }

    /// The figures of this moment, or of some seconds ago where counting takes work.
    pub(crate) async fn figures(&self, engine: &Engine, registry: &Registry) -> Option<Figures> {
        let Counted { logs, on_disk } = self.counted(engine).await?;
        let messages_per_second = self.rate.lock().unwrap_or_else(PoisonError::into_inner).per_second;
        Some(Figures {
            connections: registry.count() as u64,
            conversations: logs.conversations,
            messages: logs.entries,
            storage_bytes: on_disk
                .log_bytes
                .saturating_add(on_disk.accounts_bytes)
                .saturating_add(on_disk.file_bytes),
            disk_free_bytes: on_disk.free_bytes,
            uptime: self.started.elapsed(),
            messages_per_second,
        })
    }

    async fn counted(&self, engine: &Engine) -> Option<Counted> {
        let mut kept = self.counted.lock().await;
        if let Some((_, counted)) = kept.filter(|(at, _)| at.elapsed() < COUNTED_EVERY) {
            return Some(counted);
        }
        let folder = self.data_dir.clone();
        let on_disk = tokio::task::spawn_blocking(move || OnDisk::of(&folder)).await.ok()?;
        let counted = Counted { logs: Logs::of(engine, 0).await.0, on_disk };
        *kept = Some((Instant::now(), counted));
        Some(counted)
    }
}

/// Some rooms, `from` one on.
pub(crate) async fn rooms(engine: &Engine, from: usize) -> RoomPage {
    let seen = engine.survey(from, rooms::PAGE).await;
    let next = (seen.len() == rooms::PAGE).then(|| from.saturating_add(rooms::PAGE));
    let rooms = seen.into_iter().filter(|known| known.kind == Kind::Room).map(|known| Room {
        conversation: known.conversation,
        members: known.members,
        entries: known.entries(),
        name: known.listed_name,
    });
    RoomPage { rooms: rooms.collect(), next }
}

/// How fast a number grows.
#[derive(Debug)]
struct Rate {
    since: Instant,
    count: u64,
    per_second: f64,
}

impl Rate {
    fn update(&mut self, count: u64, now: Instant) {
        let over = now.saturating_duration_since(self.since);
        if over >= RATE_OVER {
            self.per_second = count.saturating_sub(self.count) as f64 / over.as_secs_f64();
            (self.since, self.count) = (now, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_growth_over_the_last_ten_seconds_or_more() {
        let start = Instant::now();
        let mut rate = Rate { since: start, count: 0, per_second: 0.0 };
        for (after, count, expected) in
            [(5, 100, 0.0), (10, 200, 20.0), (15, 900, 20.0), (30, 200, 0.0), (50, 260, 3.0)]
        {
            rate.update(count, start + Duration::from_secs(after));
            assert!((rate.per_second - expected).abs() < 1e-9, "{rate:?}");
        }
    }
}
