//! The operator's own commands: whoever can read the data folder may give them.
//!
//! ```text
//! command --order--> [the folder is free]  Desk::open: accounts and log, without sockets --.
//!                \-> [a relay has its lock] channel: a Unix socket in the folder -> its Desk +--> Order::carry_out
//! ```
//!
//! An [`Order`] is a small value with its answer. It is carried out by the same code either way, at a [`Desk`]: the
//! running relay's, or one that is opened for it in the folder of a stopped relay. So a command works while the
//! relay runs and while it is stopped, and there is one place that says what it does.

mod accounts;
mod backups;
#[cfg_attr(not(unix), path = "no_channel.rs")]
pub(crate) mod channel;
mod desk;
mod invites;
mod rooms;
mod stats;
pub mod watch;

pub use accounts::{
    AccountRow, CreateAccount, CreatedAccount, DeleteAccount, DisableAccount, ListAccounts, SetRole,
};
pub use backups::MakeBackup;
pub use channel::SOCKET;
pub use desk::Desk;
pub use invites::{CreateInvite, CreatedInvite, InviteRow, InviteRows, ListInvites, RevokeInvite};
pub use rooms::{ListRooms, RoomRow, RoomRows};
pub use stats::{AskStats, NearlyFull, NearlyFullAccount, Stats};

use crate::config::Config;
use crate::folder::{DataFolder, FolderError};
use crate::relay::StartError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

/// One thing that an operator asks for.
pub trait Order: Serialize + DeserializeOwned + Send + 'static {
    /// What it is answered with.
    type Answer: Serialize + DeserializeOwned + Send;

    /// Names it on the channel.
    const NAME: &'static str;

    /// How long a running relay may take.
    const PATIENCE: Duration = Duration::from_secs(30);

    /// Whether it makes sense in a folder that no relay was started in yet.
    const IN_AN_EMPTY_FOLDER: bool = false;

    /// Does it.
    fn carry_out(self, desk: &Desk) -> impl Future<Output = Result<Self::Answer, Refused>> + Send;
}

/// Why an order was not carried out, as a sentence for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

impl From<sotto_signaling::problem::Problem> for Refused {
    fn from(problem: sotto_signaling::problem::Problem) -> Self {
        Self(problem.detail)
    }
}

/// Carries out the order of a name: every order that a running relay takes stands here.
pub(crate) async fn dispatch(desk: &Desk, name: &str, asked: &[u8]) -> Result<Value, Refused> {
    match name {
        ListAccounts::NAME => answer::<ListAccounts>(desk, asked).await,
        CreateAccount::NAME => answer::<CreateAccount>(desk, asked).await,
        DisableAccount::NAME => answer::<DisableAccount>(desk, asked).await,
        SetRole::NAME => answer::<SetRole>(desk, asked).await,
        DeleteAccount::NAME => answer::<DeleteAccount>(desk, asked).await,
        CreateInvite::NAME => answer::<CreateInvite>(desk, asked).await,
        ListInvites::NAME => answer::<ListInvites>(desk, asked).await,
        RevokeInvite::NAME => answer::<RevokeInvite>(desk, asked).await,
        MakeBackup::NAME => answer::<MakeBackup>(desk, asked).await,
        AskStats::NAME => answer::<AskStats>(desk, asked).await,
        ListRooms::NAME => answer::<ListRooms>(desk, asked).await,
        unknown => Err(Refused(format!(
            "the running relay is version {} and does not know the order {unknown:?}; restart it with this program",
            env!("CARGO_PKG_VERSION")
        ))),
    }
}

async fn answer<O: Order>(desk: &Desk, asked: &[u8]) -> Result<Value, Refused> {
    let answer = channel::read::<O>(asked)?.carry_out(desk).await?;
    serde_json::to_value(answer).map_err(|error| Refused(format!("the answer is no JSON: {error}")))
}

/// Why a command could not be given or was not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// The folder of a stopped relay does not open.
    #[error(transparent)]
    Open(#[from] StartError),
    /// No relay was ever started in the folder.
    #[error("there is no relay's data in {}; name its folder with --data-dir or --config", .0.display())]
    Empty(PathBuf),
    /// The folder of a stopped relay is somebody else's: what is written into it would be too.
    #[error(
        "{} belongs to another user, and no relay runs there; run this as that user, as with `sudo -u sotto`",
        .0.display()
    )]
    NotYours(PathBuf),
    /// The order was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The running relay does not answer as it should.
    #[error("the relay that uses {} did not answer: {reason}", folder.display())]
    NoAnswer {
        /// Its folder.
        folder: PathBuf,
        /// What happened.
        reason: String,
    },
}

impl From<FolderError> for OperatorError {
    fn from(error: FolderError) -> Self {
        Self::Open(error.into())
    }
}

/// Gives orders to the relay of a data folder.
pub struct Operator {
    folder: PathBuf,
    /// The opened folder of a stopped relay; `None` where one runs.
    desk: Option<(Desk, desk::Closing)>,
}

impl Operator {
    /// Finds out whether a relay runs, and opens the folder if none does.
    ///
    /// # Errors
    /// If the folder does not open, or holds nothing and `O` needs something.
    pub async fn of<O: Order>(config: &Config) -> Result<Self, OperatorError> {
        let folder = config.data_dir.clone();
        if !O::IN_AN_EMPTY_FOLDER && !folder.join("accounts").exists() {
            // An unreadable folder is not an empty one.
            return match std::fs::read_dir(&folder) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    Err(FolderError::Io { path: folder, source }.into())
                }
                _ => Err(OperatorError::Empty(folder)),
            };
        }
        if folder.exists() && !channel::is_mine(&folder) {
            let answers = channel::answers(&folder).await;
            return if answers {
                Ok(Self { folder, desk: None })
            } else {
                Err(OperatorError::NotYours(folder))
            };
        }
        match DataFolder::open(&folder) {
            Ok(opened) => Ok(Self { folder, desk: Some(Desk::open(config, opened).await?) }),
            Err(FolderError::InUse { .. }) => Ok(Self { folder, desk: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives one order.
    ///
    /// # Errors
    /// See [`OperatorError`].
    pub async fn give<O: Order>(&self, order: O) -> Result<O::Answer, OperatorError> {
        match &self.desk {
            Some((desk, _)) => Ok(order.carry_out(desk).await?),
            None => channel::ask(&self.folder, order).await,
        }
    }

    /// Closes the folder of a stopped relay in good order.
    ///
    /// # Errors
    /// If its last writes failed.
    pub async fn close(self) -> Result<(), OperatorError> {
        match self.desk {
            Some((desk, closing)) => closing.close(desk).await,
            None => Ok(()),
        }
    }
}

/// Gives one order, and closes after it.
///
/// # Errors
/// See [`OperatorError`].
pub async fn give<O: Order>(config: &Config, order: O) -> Result<O::Answer, OperatorError> {
    let operator = Operator::of::<O>(config).await?;
    let answer = operator.give(order).await;
    operator.close().await?;
    answer
}
