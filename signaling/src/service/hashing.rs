//! Password hashing away from the event loop, a bounded number at once.

use crate::config::Config;
use crate::problem::Problem;
use sotto_signaling_core::names::Password;
use sotto_signaling_core::password::{PasswordCost, PasswordHash, find_match};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The threads that hash, as permits. Waiting is bounded too: each waiting sign-in holds memory.
pub(super) struct Hashing {
    cost: PasswordCost,
    dummy: PasswordHash,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Hashing {
    pub(super) fn new(config: &Config) -> Self {
        let at_once = config.hashes_at_once.max(1);
        let queue = at_once.saturating_add(config.hashes_waiting_max);
        Self {
            cost: config.password_cost,
            dummy: PasswordHash::dummy(config.password_cost, &mut rand::rng()),
            running: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            queue: Arc::new(Semaphore::new(queue.min(Semaphore::MAX_PERMITS))),
        }
    }

    pub(super) const fn cost(&self) -> PasswordCost {
        self.cost
    }

    /// Hashes a new password, under the salt of `like` where there is one.
    pub(super) async fn hash(
        &self,
        password: Password,
        like: Option<PasswordHash>,
    ) -> Result<PasswordHash, Problem> {
        let cost = self.cost;
        self.run(move || PasswordHash::beside(&password, cost, like.as_ref(), &mut rand::rng())).await
    }

    /// Which of the hashes the password has. The work is the same when there is none to compare with. Gives
    /// the password back, for a hash that is worth making again.
    pub(super) async fn find(
        &self,
        password: Password,
        candidates: Vec<PasswordHash>,
    ) -> Result<(Option<usize>, Password), Problem> {
        let dummy = self.dummy.clone();
        self.run(move || (find_match(&password, &candidates, &dummy), password)).await
    }

    /// Runs processor-bound work that is neither small nor the event loop's.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let busy = || Problem::unavailable("the relay has too many sign-ins to work through", 2);
        let _place = self.queue.clone().try_acquire_owned().map_err(|_| busy())?;
        let permit = self.running.clone().acquire_owned().await.map_err(|_| busy())?;
        let outcome = tokio::task::spawn_blocking(move || {
            // Held by the thread, not by the caller: one that gives up does not make room for another hash.
            let _permit = permit;
            work()
        });
        outcome.await.map_err(|error| {
            tracing::error!(%error, "a hashing thread failed");
            Problem::new(crate::problem::ProblemCode::Internal, "the relay failed to check the password")
        })
    }
}
