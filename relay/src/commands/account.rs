//! `sotto-relay account ...`

use super::{CommandError, Printer, day};
use clap::{Subcommand, ValueEnum};
use sotto_relay::config::Config;
use sotto_relay::operator::{
    AccountRow, CreateAccount, DeleteAccount, DisableAccount, ListAccounts, Operator, SetRole, give,
};
use sotto_signaling_core::account::Role;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// List all accounts.
    List,
    /// Make an account, whatever `registration` says. Without a password one is drawn and shown once.
    Create {
        /// Its name, as alice.
        username: String,
        /// Its address; nothing is sent there.
        #[arg(long)]
        email: String,
        /// A file with the password.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// What it may on the relay.
        #[arg(long, value_enum, default_value = "user")]
        role: RoleName,
    },
    /// Keep an account out: its sessions end, its connections close, nobody signs in to it.
    Disable {
        /// Whose.
        username: String,
        /// Let it in again.
        #[arg(long)]
        undo: bool,
    },
    /// Give an account a role on the relay.
    Role {
        /// Whose.
        username: String,
        /// Which.
        role: RoleName,
    },
    /// Delete an account with its devices, sessions, key packages, invites and vault. Its name stays taken; what
    /// it wrote stays with the conversations.
    Delete {
        /// Whose.
        username: String,
        /// It cannot be undone.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleName {
    /// Talks.
    User,
    /// Runs the relay: makes invites where `invites = "operators"`.
    Operator,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::User => Self::User,
            RoleName::Operator => Self::Operator,
        }
    }
}

pub(crate) async fn run(
    config: &Config,
    printer: Printer,
    command: AccountCommand,
) -> Result<(), CommandError> {
    match command {
        AccountCommand::List => list(config, printer).await,
        AccountCommand::Create { username, email, password_file, role } => {
            let password = password_file.map(read_password).transpose()?;
            let order = CreateAccount { username, email, password, role: role.into() };
            let made = give(config, order).await?;
            let name = &made.account.username;
            let sentence = match &made.password {
                Some(password) => format!("made {name}; its password, shown this once: {password}"),
                None => format!("made {name}"),
            };
            printer.one("account_created", &made, &sentence)
        }
        AccountCommand::Disable { username, undo } => {
            let row = give(config, DisableAccount { username, disabled: !undo }).await?;
            let sentence = match row.disabled_ms {
                Some(_) => format!("{} is disabled; its sessions have ended", row.username),
                None => format!("{} may sign in again", row.username),
            };
            printer.one("account", &row, &sentence)
        }
        AccountCommand::Role { username, role } => {
            let row = give(config, SetRole { username, role: role.into() }).await?;
            printer.one("account", &row, &format!("{} is {} now", row.username, role_of(&row)))
        }
        AccountCommand::Delete { username, yes } => {
            if !yes {
                return Err(CommandError::Unsure(format!(
                    "deleting {username} cannot be undone, and nobody gets that name again; to keep the account out use \
                     `account disable`, to delete it add --yes"
                )));
            }
            let row = give(config, DeleteAccount { username }).await?;
            printer.one(
                "account_deleted",
                &row,
                &format!("{} is deleted; its name stays taken", row.username),
            )
        }
    }
}

async fn list(config: &Config, printer: Printer) -> Result<(), CommandError> {
    let operator = Operator::of::<ListAccounts>(config).await?;
    let mut rows: Vec<AccountRow> = Vec::new();
    loop {
        let after = rows.last().map(|row| row.account);
        let page = operator.give(ListAccounts { after }).await?;
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    operator.close().await?;
    rows.sort_by(|one, other| one.username.cmp(&other.username));
    let head = ["name", "role", "standing", "devices", "sessions", "kept bytes", "since", "e-mail", "id"];
    printer.many("account", &rows, head, |row| {
        [
            row.username.clone(),
            role_of(row).to_owned(),
            row.disabled_ms.map_or_else(|| "good".to_owned(), |since| format!("disabled {}", day(since))),
            row.devices.to_string(),
            row.sessions.to_string(),
            row.stored_bytes.to_string(),
            day(row.created_ms),
            row.email.clone(),
            row.account.to_string(),
        ]
    })
}

const fn role_of(row: &AccountRow) -> &'static str {
    match row.role {
        Role::User => "user",
        Role::Operator => "operator",
    }
}

fn read_password(path: PathBuf) -> Result<String, CommandError> {
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(source) => Err(CommandError::File { path: path.display().to_string(), source }),
    }
}
