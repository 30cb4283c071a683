//! The vault of the asking account.

use super::{Authenticated, Signaling};
use crate::problem::{Problem, ProblemCode};
use sotto_signaling_core::vault::{PutRefused, Vault};

impl From<PutRefused> for Problem {
    fn from(refused: PutRefused) -> Self {
        let detail = refused.to_string();
        match refused {
            PutRefused::Conflict { current } => {
                Self { current: Some(current), ..Self::new(ProblemCode::Conflict, detail) }
            }
            PutRefused::Size => {
                Self { field: Some("data".to_owned()), ..Self::new(ProblemCode::TooLarge, detail) }
            }
        }
    }
}

impl Signaling {
    /// What is there.
    ///
    /// # Errors
    /// If nothing is.
    pub async fn vault(&self, who: Authenticated) -> Result<Vault, Problem> {
        let none = || Problem::new(ProblemCode::NotFound, "you have put nothing into your vault yet");
        self.0.store.vault(who.account).await?.ok_or_else(none)
    }

    /// Replaces what is there, if it still has the version that the caller says. The new version.
    ///
    /// # Errors
    /// If it has another version, or the data is empty or too large.
    pub async fn put_vault(&self, who: Authenticated, replaces: u64, data: Vec<u8>) -> Result<u64, Problem> {
        Ok(self.0.store.put_vault(who.account, replaces, data, self.now()).await??)
    }
}
