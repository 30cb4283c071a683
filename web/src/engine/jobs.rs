//! The account's business over HTTP, one job at a time: a fresh token, the device, the vault, who we are.

use super::host::{FetchError, Host};
use super::{Engine, Inner, Status};
use bytes::Bytes;
use sotto_node_core::account::{Tokens, User, Vault, VaultPut};
use sotto_node_core::backoff::Backoff;
use sotto_node_core::command::{ArchiveKeys, Command};
use sotto_protocol::ids::UnixMillis;
use std::collections::VecDeque;

/// What is done over HTTP, one at a time and in this order.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Job {
    Refresh,
    RegisterDevice,
    PutVault(Bytes),
    /// Asks for the account's role.
    Me,
}

enum Done {
    Refreshed(Tokens),
    Registered,
    VaultPut(VaultPut),
    Me(User),
}

/// What is to be done.
#[derive(Default)]
pub(super) struct Jobs {
    queue: VecDeque<Job>,
    running: Option<Job>,
    not_before: Option<UnixMillis>,
    backoff: Backoff,
}

impl Jobs {
    pub(super) fn queue(&mut self, job: Job) {
        if self.queue.contains(&job) || self.running.as_ref() == Some(&job) {
            return;
        }
        // Everything else needs a token.
        if job == Job::Refresh { self.queue.push_front(job) } else { self.queue.push_back(job) }
    }

    /// Only the newest vault counts.
    pub(super) fn put_vault(&mut self, sealed: Bytes) {
        self.queue.retain(|job| !matches!(job, Job::PutVault(_)));
        self.queue.push_back(Job::PutVault(sealed));
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.not_before = None;
    }

    pub(super) const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn is_refreshing(&self) -> bool {
        self.running == Some(Job::Refresh) || self.queue.contains(&Job::Refresh)
    }

    pub(super) fn due(&self) -> Option<UnixMillis> {
        (!self.queue.is_empty() && self.running.is_none()).then(|| self.not_before.unwrap_or_default())
    }

    /// The next one, if its time has come.
    fn take(&mut self, now: UnixMillis) -> Option<Job> {
        if self.due()? > now {
            return None;
        }
        self.not_before = None;
        self.running = self.queue.pop_front();
        self.running.clone()
    }
}

impl<H: Host> Engine<H> {
    pub(super) fn start_jobs(&self, now: UnixMillis) {
        let (job, refresh, access, replaces, device, name, account) = {
            let inner = &mut *self.0.inner.borrow_mut();
            let Some(here) = &inner.here else { return };
            if inner.dial_at.is_some() && here.session.renew_at().is_some_and(|at| at <= now) {
                inner.jobs.queue(Job::Refresh);
            }
            let Some(job) = inner.jobs.take(now) else { return };
            let session = &here.session;
            let device = here.client.device();
            (
                job,
                session.refresh_token().unwrap_or_default().to_owned(),
                session.access(now).unwrap_or_default().to_owned(),
                session.vault_version,
                (device.device(), device.certificate_bytes()),
                session.device_name.clone(),
                session.account,
            )
        };
        let (engine, api) = (self.clone(), self.host().api());
        self.host().spawn(Box::pin(async move {
            let done = match &job {
                Job::Refresh => api.refresh(&refresh).await.map(Done::Refreshed),
                Job::RegisterDevice => {
                    api.add_device(&access, device.0, &name, &device.1).await.map(|()| Done::Registered)
                }
                Job::PutVault(sealed) => api.put_vault(&access, replaces, sealed).await.map(Done::VaultPut),
                Job::Me => api.me(&access).await.map(Done::Me),
            };
            engine.input(|inner, now| {
                inner.jobs.running = None;
                // Somebody else may have signed in meanwhile.
                if inner.here.as_ref().is_some_and(|here| here.session.account == account) {
                    inner.on_job(job, done, now);
                }
            });
        }));
    }
}

impl<H: Host> Inner<H> {
    fn on_job(&mut self, job: Job, done: Result<Done, FetchError>, now: UnixMillis) {
        match done {
            Ok(done) => {
                self.jobs.backoff.reset();
                self.on_done(done, now);
            }
            Err(error) => self.on_job_failed(job, error, now),
        }
    }

    fn on_done(&mut self, done: Done, now: UnixMillis) {
        let Some(here) = &mut self.here else { return };
        match done {
            Done::Refreshed(tokens) => {
                here.session.set_tokens(&tokens, now);
                // The old refresh token is worth nothing now: the new one is stored before anything uses it.
                if !self.save() {
                    return;
                }
                for waiting in self.waiting_for_access.drain(..) {
                    let _nobody_waits = waiting.send(Ok(tokens.access_token.clone()));
                }
                self.use_access(tokens.access_token.clone(), now);
            }
            Done::Registered => {
                here.session.device_registered = true;
                self.save();
            }
            Done::VaultPut(VaultPut::Done(version)) => {
                here.session.vault_version = version;
                self.save();
            }
            Done::VaultPut(VaultPut::Conflict(vault)) => self.merge_vault(&vault, now),
            Done::Me(user) => {
                self.role = Some(user.role);
                self.state_changed = true;
            }
        }
    }

    /// Another device of the account has put a vault: take over its keys, then put both.
    fn merge_vault(&mut self, vault: &Vault, now: UnixMillis) {
        let Some(here) = &mut self.here else { return };
        // One that does not open is left as it is.
        if let Ok(open) = here.client.recovery_key().open_vault(here.session.account, &vault.data) {
            here.session.vault_version = vault.version;
            self.own_command(Command::ImportArchiveKeys(ArchiveKeys(open.archive_keys)), now);
            self.own_command(Command::SealVault, now);
        }
    }

    fn on_job_failed(&mut self, job: Job, error: FetchError, now: UnixMillis) {
        let status = error.refusal().map(|problem| problem.status);
        let refused = status.is_some_and(|status| status < 500 && status != 429 && status != 401);
        let again = match (&job, status) {
            (Job::Refresh, Some(400 | 401 | 403)) => {
                if let Some(here) = &mut self.here {
                    here.session.forget_tokens();
                }
                self.save();
                self.give_up(Status::said(
                    "signed_out",
                    "the session of this browser has ended; sign in again",
                ));
                false
            }
            (_, Some(401)) => {
                if let Some(here) = &mut self.here {
                    here.session.access_was_refused();
                }
                true
            }
            (Job::RegisterDevice, _) if refused => {
                self.give_up(Status::said("refused", error.to_string()));
                false
            }
            (Job::PutVault(_) | Job::Me, _) if refused => false,
            _ => true,
        };
        if again {
            let wait =
                u64::try_from(self.jobs.backoff.next_wait(&mut self.rng).as_millis()).unwrap_or(u64::MAX);
            self.jobs.not_before = Some(UnixMillis(now.0.saturating_add(wait)));
            let newer = matches!(job, Job::PutVault(_))
                && self.jobs.queue.iter().any(|job| matches!(job, Job::PutVault(_)));
            if !newer && !self.jobs.queue.contains(&job) {
                self.jobs.queue.push_front(job);
            }
            if self.link.is_none() && self.status.word == "connecting" {
                self.set_status(Status::said("unreachable", error.to_string()));
            }
        }
        for waiting in self.waiting_for_access.drain(..) {
            let _nobody_waits = waiting.send(Err(error.clone()));
        }
    }

    /// Keeps the session. A store that fails ends the engine's work until it is opened anew.
    pub(super) fn save(&mut self) -> bool {
        let Some(here) = &mut self.here else { return false };
        let saved = here.session.save(here.client.store_mut()).is_ok();
        self.reopen |= !saved;
        saved
    }
}
