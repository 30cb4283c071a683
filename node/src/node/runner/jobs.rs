//! The account's business over HTTP, one job at a time: a fresh token, the device, the vault.

use super::{Runner, Turn};
use crate::http::HttpError;
use crate::node::{Status, wall_clock as now};
use bytes::Bytes;
use sotto_e2ee::store::Store;
use sotto_node_core::account::{Tokens, Vault, VaultPut};
use sotto_node_core::command::{ArchiveKeys, Command};
use sotto_node_core::event::{Failure, FailureCode};
use sotto_protocol::error::ErrorCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What is done over HTTP, one at a time and in this order.
#[derive(PartialEq, Eq)]
pub(super) enum Job {
    Refresh,
    RegisterDevice,
    PutVault(Bytes),
}

pub(super) enum JobDone {
    Refreshed(Result<Tokens, HttpError>),
    Registered(Result<(), HttpError>),
    VaultPut(Bytes, Result<VaultPut, HttpError>),
}

impl<S: Store + Send + 'static> Runner<S> {
    pub(super) fn sign_out(&mut self, tell: oneshot::Sender<Result<(), HttpError>>) {
        let access = self.session.access(now()).map(str::to_owned);
        self.session.forget_tokens();
        if let Err(error) = self.save() {
            tracing::error!(%error, "the tokens could not be forgotten");
        }
        self.give_up(Status::SignedOut("this device is signed out; run `sotto login`".to_owned()));
        let api = self.api.clone();
        tokio::spawn(async move {
            let result = match access {
                Some(access) => api.logout(&access).await,
                // An expired session ends by itself.
                None => Ok(()),
            };
            let _ = tell.send(result);
        });
    }

    pub(super) fn queue(&mut self, job: Job) {
        let running = job == Job::Refresh && self.refreshing;
        if !self.jobs.contains(&job) && !running {
            // Everything else needs a token.
            if job == Job::Refresh { self.jobs.push_front(job) } else { self.jobs.push_back(job) }
        }
    }

    pub(super) fn start_job(&self, job: Job) -> JoinHandle<JobDone> {
        let api = self.api.clone();
        let access = self.session.access(now()).unwrap_or_default().to_owned();
        match job {
            Job::Refresh => {
                let refresh = self.session.refresh_token().unwrap_or_default().to_owned();
                tokio::spawn(async move { JobDone::Refreshed(api.refresh(&refresh).await) })
            }
            Job::RegisterDevice => {
                let device = self.client.device().device();
                let certificate = self.client.device().certificate_bytes();
                let name = self.session.device_name.clone();
                tokio::spawn(async move {
                    JobDone::Registered(api.add_device(&access, device, &name, &certificate).await)
                })
            }
            Job::PutVault(sealed) => {
                let replaces = self.session.vault_version;
                tokio::spawn(async move {
                    let put = api.put_vault(&access, replaces, &sealed).await;
                    JobDone::VaultPut(sealed, put)
                })
            }
        }
    }

    pub(super) fn on_job(&mut self, done: JobDone) -> Turn {
        self.refreshing = false;
        match done {
            JobDone::Refreshed(Ok(tokens)) => {
                self.job_backoff.reset();
                self.session.set_tokens(&tokens, now());
                // The old refresh token is worth nothing now: the new one is on disk before anything uses it.
                if let Err(error) = self.save() {
                    self.give_up(Status::Ended(error.to_string()));
                    return Turn::GoOn;
                }
                for waiting in self.waiting_for_access.drain(..) {
                    let _ = waiting.send(Ok(tokens.access_token.clone()));
                }
                self.use_access(tokens.access_token.clone());
            }
            JobDone::Registered(Ok(())) => {
                self.job_backoff.reset();
                self.session.device_registered = true;
                if let Err(error) = self.save() {
                    self.give_up(Status::Ended(error.to_string()));
                }
            }
            JobDone::VaultPut(_, Ok(VaultPut::Done(version))) => {
                self.job_backoff.reset();
                self.session.vault_version = version;
                if let Err(error) = self.save() {
                    tracing::warn!(%error, "the vault's version is not kept");
                }
            }
            JobDone::VaultPut(_, Ok(VaultPut::Conflict(vault))) => self.merge_vault(&vault),
            JobDone::Refreshed(Err(error)) => self.on_job_failed(Job::Refresh, error),
            JobDone::Registered(Err(error)) => self.on_job_failed(Job::RegisterDevice, error),
            JobDone::VaultPut(sealed, Err(error)) => self.on_job_failed(Job::PutVault(sealed), error),
        }
        Turn::GoOn
    }

    /// Another device of the account has put a vault: take over its keys, then put both.
    pub(super) fn merge_vault(&mut self, vault: &Vault) {
        match self.client.recovery_key().open_vault(self.session.account, &vault.data) {
            Ok(open) => {
                self.session.vault_version = vault.version;
                self.own_command(Command::ImportArchiveKeys(ArchiveKeys(open.archive_keys)));
                self.own_command(Command::SealVault);
            }
            Err(error) => {
                tracing::error!(%error, "the vault on the relay does not open and is left as it is")
            }
        }
    }

    pub(super) fn on_job_failed(&mut self, job: Job, error: HttpError) {
        tracing::debug!(%error, "an account request failed");
        let again = match (&job, &error) {
            (_, HttpError::WrongFingerprint(wrong)) => {
                let wrong = *wrong;
                self.give_up(Status::WrongFingerprint(wrong));
                false
            }
            (Job::Refresh, HttpError::Refused(problem)) if matches!(problem.status, 400 | 401 | 403) => {
                let sentence = "the session of this device has ended (expired, revoked or used twice); run `sotto login`";
                self.session.forget_tokens();
                if let Err(error) = self.save() {
                    tracing::error!(%error, "the tokens could not be forgotten");
                }
                self.give_up(Status::SignedOut(sentence.to_owned()));
                false
            }
            (_, HttpError::Refused(problem)) if problem.status == 401 => {
                self.session.access_was_refused();
                true
            }
            (Job::RegisterDevice, HttpError::Refused(problem))
                if problem.status < 500 && problem.status != 429 =>
            {
                let code = FailureCode::Relay(ErrorCode::DeviceRefused);
                let failure = Failure::new(code, problem.detail.clone());
                self.give_up(Status::Refused(failure));
                false
            }
            (Job::PutVault(_), HttpError::Refused(problem))
                if problem.status < 500 && problem.status != 429 =>
            {
                tracing::error!(%problem, "the vault was refused; a new device would miss the newest archive keys");
                false
            }
            _ => true,
        };
        if again {
            self.job_at = Some(Instant::now() + self.job_backoff.next_wait(&mut rand::rng()));
            let newer_vault =
                matches!(job, Job::PutVault(_)) && self.jobs.iter().any(|j| matches!(j, Job::PutVault(_)));
            if !newer_vault && !self.jobs.contains(&job) {
                self.jobs.push_front(job);
            }
            if self.carrier.is_none() {
                self.status.send_if_modified(|status| {
                    let first = matches!(status, Status::Connecting);
                    if first {
                        *status = Status::Unreachable(error.to_string());
                    }
                    first
                });
            }
        }
        for waiting in self.waiting_for_access.drain(..) {
            let sentence = error.to_string();
            let _ = waiting.send(Err(match &error {
                HttpError::WrongFingerprint(wrong) => HttpError::WrongFingerprint(*wrong),
                HttpError::Refused(problem) => HttpError::Refused(problem.clone()),
                _ => HttpError::Unreachable { relay: self.relay.to_string(), what: sentence },
            }));
        }
    }
}
