//! Carrying out what the application asks for with files: beside its loop, with news as they come.

use super::super::input::{Answer, FileNews, Input};
use super::effects::RunningNode;
use crate::files::{self, FileError, Got, Outgoing, Report, Target, Watch};
use crate::node::Progress;
use sotto_e2ee::file::FileAbout;
use sotto_protocol::ids::ConversationId;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};

/// News of one file come so often at most: each draws the screen.
const NEWS_EVERY: Duration = Duration::from_millis(200);

/// Files on their way.
#[derive(Clone)]
pub(super) struct Files {
    tell: mpsc::Sender<Input>,
    stop: Arc<Notify>,
}

impl Files {
    pub(super) fn new(tell: mpsc::Sender<Input>) -> Self {
        Self { tell, stop: Arc::default() }
    }

    /// Those that are on their way now end; what is there of them stays for another time.
    pub(super) fn stop(&self) {
        self.stop.notify_waiters();
    }

    pub(super) fn send(&self, node: RunningNode, number: u64, outgoing: Outgoing) {
        let outgoing = Outgoing { path: resolved(&outgoing.path.to_string_lossy()), ..outgoing };
        let watch = self.watch(number);
        self.run(number, async move {
            let (_, mut ticket) = files::send(&node, outgoing, watch).await?;
            // From the outbox it goes by itself, also after a restart.
            match ticket.progress().await {
                Progress::Failed(failure) => Err(failure.into()),
                Progress::Queued { .. } | Progress::Done(_) => Ok(FileNews::Sent),
            }
        });
    }

    pub(super) fn save(
        &self,
        node: RunningNode,
        number: u64,
        conversation: ConversationId,
        about: FileAbout,
        to: Option<String>,
    ) {
        let path = to.map_or_else(downloads, |to| resolved(&to));
        let watch = self.watch(number);
        self.run(number, async move {
            let called = about.media_type.clone();
            let target = Target { path, replace: false };
            let Got { path, media_type, dropped, .. } =
                files::get(&node, conversation, about, target, watch).await?;
            let mut remarks: Vec<String> =
                dropped.into_iter().map(|one| format!("one who gave it was dropped: {}", one.why)).collect();
            if called != media_type {
                remarks.push(format!("{media_type} by its content, the sender called it {called}"));
            }
            Ok(FileNews::Saved { path, remarks })
        });
    }

    /// The work, until it is done or stopped, and what came of it.
    fn run(&self, number: u64, work: impl Future<Output = Result<FileNews, FileError>> + Send + 'static) {
        let Self { tell, stop } = self.clone();
        tokio::spawn(async move {
            let news = tokio::select! {
                ended = work => ended.unwrap_or_else(|error| FileNews::Failed(sentence(&error))),
                () = stop.notified() => return,
            };
            let _ = tell.send(Input::Answer(Answer::File(number, news))).await;
        });
    }

    /// Tells how far it is. News that the loop has no room for are left out: others follow.
    fn watch(&self, number: u64) -> Watch {
        let tell = self.tell.clone();
        let last: Mutex<Option<(files::Stage, Instant)>> = Mutex::default();
        Arc::new(move |report: Report| {
            let Report::Step(step) = report else { return };
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_some_and(|(stage, at)| stage == step.stage && at.elapsed() < NEWS_EVERY) {
                return;
            }
            *last = Some((step.stage, Instant::now()));
            let _ = tell.try_send(Input::Answer(Answer::File(number, FileNews::Step(step))));
        })
    }
}

/// In the words of this interface.
fn sentence(error: &FileError) -> String {
    match error {
        FileError::Exists(path) => {
            format!("{} is there already; /get FOLDER saves it elsewhere", path.display())
        }
        other => other.to_string(),
    }
}

/// A path, with `~` for the person's home.
fn resolved(written: &str) -> PathBuf {
    let home = || std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    match written.strip_prefix('~').map(|rest| (rest, home())) {
        Some(("", Some(home))) => home,
        Some((rest, Some(home))) if rest.starts_with(['/', std::path::MAIN_SEPARATOR]) => {
            home.join(rest.trim_start_matches(['/', std::path::MAIN_SEPARATOR]))
        }
        _ => PathBuf::from(written),
    }
}

/// Where files go that nobody named a place for.
fn downloads() -> PathBuf {
    let folder = resolved("~/Downloads");
    if folder.is_dir() { folder } else { PathBuf::from(".") }
}
