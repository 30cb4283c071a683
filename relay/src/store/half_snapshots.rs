//! What sled 0.34.7 leaves behind when it is killed while it opens or closes, and then cannot read.
//!
//! It writes a snapshot of its page table into `snap.N.generating` and renames the file when it is whole, but at the
//! next opening takes half-written ones for snapshots too, and calls the database corrupt. The log below it is whole:
//! without the file sled reads the snapshot before, or everything.

use std::fs;
use std::io;
use std::path::Path;

/// Deletes them. Call it before a database is opened; nobody else may have it open.
pub(crate) fn forget(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(%name, "the rest of an opening or closing that was interrupted");
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
