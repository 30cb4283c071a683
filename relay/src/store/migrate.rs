//! Formats of the log, and the way from an older one to this program's. There is no way back: a newer format is
//! refused and nothing of it is touched.
//!
//! Each step is done again from its start if it was interrupted, so each leaves a folder that it can be run on
//! once more; the number in `FORMAT` changes when the step is on the disk.

use super::about::About;
use super::layout::sync_path;
use super::{SledOptions, StoreError};
use std::fs;
use std::io;
use std::path::Path;

/// The format that this program writes.
pub(super) const FORMAT: u32 = 3;

const BEFORE_NUMBER: &str = "sotto relay log, format ";

/// What `FORMAT` says in a folder of this format.
pub(super) fn name(format: u32) -> String {
    format!("{BEFORE_NUMBER}{format}")
}

/// One step forward.
struct Step {
    /// The format that it starts from; it leads to the next number.
    from: u32,
    /// For the operator's log.
    what: &'static str,
    run: fn(&Path, &SledOptions) -> Result<(), StoreError>,
}

/// In order, without a gap. Steps of released formats stay as they are.
const STEPS: [Step; 2] = [
    Step {
        from: 1,
        what: "the log remembers the length of its shards; batches may hold the state of a group",
        // Batches of format 1 are batches of format 2 as they are.
        run: |folder, options| if About::exists(folder)? { Ok(()) } else { About::make(folder, options) },
    },
    Step {
        from: 2,
        what: "the checkpoint counts what each account has in the log",
        // A checkpoint of format 2 lacks the row that says so, and whoever opens it counts.
        run: |_, _| Ok(()),
    },
];

/// Makes a new folder one of this format, or brings an older one up to it.
pub(super) fn bring_up(folder: &Path, options: &SledOptions) -> Result<(), StoreError> {
    let path = folder.join("FORMAT");
    let is_new = !folder.join("checkpoint").exists();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => String::new(),
        Err(error) => return Err(StoreError::io("cannot read", &path)(error)),
    };
    // A power cut while the folder was made leaves an empty file and nothing else.
    if text.is_empty() && is_new {
        About::make(folder, options)?;
        write(folder, options, FORMAT)?;
        sync_path(&*options.disk, &folder.join("shards"))?;
        return folder.parent().map_or(Ok(()), |parent| sync_path(&*options.disk, parent));
    }
    let other = || StoreError::Format { folder: folder.to_owned(), found: text.trim_end().to_owned() };
    let found = text.trim_end().strip_prefix(BEFORE_NUMBER).and_then(|number| number.parse::<u32>().ok());
    let found = found.filter(|found| (1..=FORMAT).contains(found)).ok_or_else(other)?;
    for step in STEPS.iter().filter(|step| step.from >= found) {
        (step.run)(folder, options)?;
        write(folder, options, step.from.saturating_add(1))?;
        tracing::info!(from = step.from, what = step.what, "the format of the log was brought up");
    }
    Ok(())
}

fn write(folder: &Path, options: &SledOptions, format: u32) -> Result<(), StoreError> {
    let (path, new) = (folder.join("FORMAT"), folder.join("FORMAT.new"));
    fs::write(&new, name(format) + "\n").map_err(StoreError::io("cannot write", &new))?;
    sync_path(&*options.disk, &new)?;
    fs::rename(&new, &path).map_err(StoreError::io("cannot rename", &new))?;
    sync_path(&*options.disk, folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_from_the_first_format_to_this_one() {
        let from: Vec<u32> = STEPS.iter().map(|step| step.from).collect();
        assert_eq!(from, (1..FORMAT).collect::<Vec<_>>());
    }
}
