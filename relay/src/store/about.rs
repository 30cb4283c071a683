//! What is written down about a log when it is made: how it is cut into shards.
//!
//! ```text
//! shard_span_ms 604800000
//! ```
//!
//! The number of a shard means a stretch of time by this span alone. A relay that took another one from its
//! configuration would find the ends of its shards at other times, and retention could delete what is young.

use super::layout::sync_path;
use super::{SledOptions, StoreError};
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

const FILE: &str = "ABOUT";

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct About {
    pub(super) shard_span: Duration,
}

impl About {
    /// Writes it, with the span that is configured.
    pub(super) fn make(folder: &Path, options: &SledOptions) -> Result<(), StoreError> {
        let text = format!("shard_span_ms {}\n", options.shard_span.as_millis());
        let (path, new) = (folder.join(FILE), folder.join("ABOUT.new"));
        fs::write(&new, text).map_err(StoreError::io("cannot write", &new))?;
        sync_path(&*options.disk, &new)?;
        fs::rename(&new, &path).map_err(StoreError::io("cannot rename", &new))?;
        sync_path(&*options.disk, folder)
    }

    /// Whether there is one.
    pub(super) fn exists(folder: &Path) -> Result<bool, StoreError> {
        let path = folder.join(FILE);
        path.try_exists().map_err(StoreError::io("cannot read", &path))
    }

    /// Reads it; says so when the configuration wants another span than the log has.
    pub(super) fn read(folder: &Path, options: &SledOptions) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StoreError::damaged(folder, "its file ABOUT is missing"),
            _ => StoreError::io("cannot read", &path)(error),
        })?;
        let about =
            Self::parse(&text).ok_or_else(|| StoreError::damaged(folder, "its file ABOUT does not read"))?;
        if about.shard_span != options.shard_span {
            tracing::warn!(
                has = ?about.shard_span,
                configured = ?options.shard_span,
                "the log keeps the length of its shards that it was made with; `retention.shard` changes nothing any more"
            );
        }
        Ok(about)
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let span: u64 = value("shard_span_ms")?.parse().ok().filter(|span| *span > 0)?;
        Some(Self { shard_span: Duration::from_millis(span) })
    }
}
