//! The operator's subcommands: what they take, whom they ask, how they print.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod invite;
mod print;
pub(crate) mod room;
pub(crate) mod stats;

use crate::{Exit, Failure, runtime};
use sotto_relay::StartError;
use sotto_relay::backup::BackupError;
use sotto_relay::compact::CompactError;
use sotto_relay::operator::OperatorError;
use std::future::Future;

pub(crate) use print::{Printer, day};

/// Runs what a command does, on threads of its own.
pub(crate) fn run(what: impl Future<Output = Result<(), CommandError>>) -> Result<(), Failure> {
    runtime()?.block_on(what).map_err(Failure::from)
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The relay, or its folder.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A backup.
    #[error(transparent)]
    Backup(#[from] BackupError),
    /// Giving back disk space.
    #[error(transparent)]
    Compact(#[from] CompactError),
    /// A file that the command was given.
    #[error("cannot read {path}: {source}")]
    File { path: String, source: std::io::Error },
    /// Standard output.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    /// Something was asked that needs a yes.
    #[error("{0}")]
    Unsure(String),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Self {
        let exit = match &error {
            CommandError::Operator(error) | CommandError::Compact(CompactError::Folder(error)) => {
                exit_of(error)
            }
            CommandError::Compact(_) => Exit::Data,
            CommandError::Backup(
                BackupError::Folder(_)
                | BackupError::Store(_)
                | BackupError::Accounts(_)
                | BackupError::NotEmpty(_),
            ) => Exit::Data,
            _ => Exit::Failed,
        };
        (exit, error.to_string())
    }
}

fn exit_of(error: &OperatorError) -> Exit {
    match error {
        OperatorError::Open(start) => Exit::from(start),
        OperatorError::Empty(_) | OperatorError::NotYours(_) => Exit::Data,
        _ => Exit::Failed,
    }
}

impl From<StartError> for CommandError {
    fn from(error: StartError) -> Self {
        Self::Operator(error.into())
    }
}
