//! Whether what a step made is as new as what it was made from.

use crate::step::target;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What steps write themselves, or never read.
const NOT_READ: [&str; 6] = ["node_modules", "dist", "target", "tests", "test-results", "playwright-report"];

/// One step with its inputs. Its mark bears the time at which it began, so that what is edited meanwhile counts as newer.
pub(super) struct Made {
    mark: PathBuf,
    inputs: Vec<PathBuf>,
    began: SystemTime,
}

impl Made {
    /// Files, and folders with all that is in them.
    pub(super) fn from(step: &str, inputs: Vec<PathBuf>) -> Self {
        let mark = target().join("web").join(format!("{step}.made"));
        Self { mark, inputs, began: SystemTime::now() }
    }

    /// Whether the step was done after the last change, and its result is still there.
    pub(super) fn is_fresh(&self, result: &Path) -> bool {
        let marked = self.mark.metadata().and_then(|mark| mark.modified()).ok();
        let newest = self.inputs.iter().filter_map(|input| newest(input)).max();
        result.is_file() && newest.is_some() && newest <= marked
    }

    /// It was done.
    pub(super) fn done(self) -> anyhow::Result<()> {
        if let Some(folder) = self.mark.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(File::create(&self.mark)?.set_modified(self.began)?)
    }
}

/// When something was last changed there. A folder inside counts too, by which deleted files are noticed; the named one does not,
/// because tools leave files there for a moment.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return path.metadata().and_then(|file| file.modified()).ok();
    }
    let entries = fs::read_dir(path).ok()?.filter_map(Result::ok);
    let read = entries.filter(|entry| !NOT_READ.iter().any(|name| entry.file_name() == *name));
    let times = read.filter_map(|entry| {
        let itself = entry.metadata().and_then(|entry| entry.modified()).ok();
        if entry.path().is_dir() { newest(&entry.path()).max(itself) } else { itself }
    });
    times.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn touch(path: &Path, at: SystemTime) {
        File::create(path).expect("the folder is writable").set_modified(at).expect("a time");
    }

    #[test]
    fn a_step_is_done_again_when_an_input_is_newer_or_its_result_is_gone() {
        let home = tempfile::tempdir().expect("a folder");
        let (input, result) = (home.path().join("sources"), home.path().join("result"));
        fs::create_dir_all(input.join("deep/node_modules")).expect("a folder");
        let start = SystemTime::now();
        let second = Duration::from_secs(1);
        touch(&input.join("deep/a.ts"), start);
        touch(&result, start);
        let mark = home.path().join("step.made");
        let made = |began| Made { mark: mark.clone(), inputs: vec![input.clone()], began };
        assert!(!made(start).is_fresh(&result), "it was never done");
        // Folders bear the time at which they were made, a moment after `start`.
        made(start + 60 * second).done().expect("a mark");
        assert!(made(start).is_fresh(&result));
        touch(&input.join("deep/node_modules/b.js"), start + 90 * second);
        assert!(made(start).is_fresh(&result), "what is not read does not count");
        touch(&input.join("deep/a.ts"), start + 61 * second);
        assert!(!made(start).is_fresh(&result), "an input is newer");
        made(start + 62 * second).done().expect("a mark");
        fs::remove_file(&result).expect("it is there");
        assert!(!made(start).is_fresh(&result), "the result is gone");
    }
}
