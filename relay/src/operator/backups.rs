//! Orders about backups.

use super::{Desk, Order, Refused};
use crate::backup::Made;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Makes a backup now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeBackup {
    /// Where to; `None` for `backup.folder` of the relay.
    pub folder: Option<PathBuf>,
    /// How many backups stay there, this one with them; `None` for all.
    pub keep: Option<usize>,
}

impl Order for MakeBackup {
    type Answer = Made;
    const NAME: &'static str = "backup";
    /// A terabyte at 12 MB/s.
    const PATIENCE: Duration = Duration::from_secs(24 * 3600);

    async fn carry_out(self, desk: &Desk) -> Result<Self::Answer, Refused> {
        desk.backups.make(self.folder, self.keep).await.map_err(|error| Refused(error.to_string()))
    }
}
