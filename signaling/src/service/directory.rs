//! The key directory, as the relay's frames ask for it.

use super::Signaling;
use crate::problem::{Problem, ProblemCode};
use sotto_protocol::body::Extensions;
use sotto_protocol::body::directory::{
    AccountCard, ClaimKeyPackages, ClaimedKeyPackage, KeyPackageStock, KeyPackages, LookUp, LookUpBy,
    PublishKeyPackages,
};
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_signaling_core::account::Account;
use sotto_signaling_core::directory::{PublishRefused, check};
use sotto_signaling_core::limits::SUITES_PER_CLAIM_MAX;
use sotto_signaling_core::names::Username;

impl From<PublishRefused> for Problem {
    fn from(refused: PublishRefused) -> Self {
        let code = match refused {
            PublishRefused::TooMany => ProblemCode::LimitReached,
            _ => ProblemCode::DeviceRefused,
        };
        Self::new(code, refused.to_string())
    }
}

impl Signaling {
    /// Takes in what a device publishes, all of it or nothing, durably. The stock after it.
    ///
    /// # Errors
    /// If the device is unknown, a package does not verify as the device's own, or the stock would be too large.
    pub async fn publish_key_packages(
        &self,
        account: AccountId,
        device: DeviceId,
        publication: PublishKeyPackages,
    ) -> Result<KeyPackageStock, Problem> {
        let now = self.now();
        let known = self.0.store.device(account, device).await?.ok_or(PublishRefused::UnknownDevice)?;
        // Up to a hundred signatures: milliseconds that the event loop does not have.
        let checked = self.0.hashing.run(move || {
            let packages: Vec<&[u8]> =
                publication.packages.iter().map(|package| package.as_slice()).collect();
            let last_resort = publication.last_resort.as_ref().map(|package| package.as_slice());
            check(&known, &packages, last_resort, now)
        });
        let (packages, last_resort) = checked.await??.into_parts();
        let stock = self.0.store.publish(account, device, packages, last_resort, now).await??;
        Ok(stock_of(stock))
    }

    /// How many one-time packages a device has here.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn key_package_stock(
        &self,
        account: AccountId,
        device: DeviceId,
    ) -> Result<KeyPackageStock, Problem> {
        Ok(stock_of(self.0.store.stock(account, device, self.now()).await?))
    }

    /// Hands out one package for each device of an account that has one. Each leaves the directory, durably,
    /// before it is answered.
    ///
    /// # Errors
    /// If there is no such account, the list of suites is out of bounds, or `caller` takes too many.
    pub async fn claim_key_packages(
        &self,
        caller: AccountId,
        claim: ClaimKeyPackages,
    ) -> Result<KeyPackages, Problem> {
        let now = self.now();
        self.0.rates.claim_by(caller, now)?;
        let ClaimKeyPackages { account, suites, extensions: _ } = claim;
        if suites.is_empty() || suites.len() > SUITES_PER_CLAIM_MAX {
            let sentence = format!("a claim names 1 to {SUITES_PER_CLAIM_MAX} suites");
            return Err(Problem::new(ProblemCode::Malformed, sentence));
        }
        if self.0.store.account(account).await?.is_none() {
            return Err(no_such_account());
        }
        let claimed = self.0.store.claim(account, suites, now).await?;
        for low in claimed.iter().filter(|claimed| claimed.is_low()) {
            self.0.hooks.key_packages_low(account, low.device, count(low.left));
        }
        let packages = claimed.into_iter().map(|claimed| ClaimedKeyPackage {
            device: claimed.device,
            package: claimed.package.bytes.into(),
            last_resort: claimed.last_resort,
        });
        Ok(KeyPackages { packages: packages.collect(), extensions: Extensions::default() })
    }

    /// What any signed-in account may know of another.
    ///
    /// # Errors
    /// If there is no such account. Names are public, so this answer may tell.
    pub async fn look_up(&self, look_up: LookUp) -> Result<AccountCard, Problem> {
        let found = match look_up.by {
            LookUpBy::Account(id) => self.0.store.account(id).await?,
            LookUpBy::Username(name) => match name.parse::<Username>() {
                Ok(name) => self.0.store.account_by_username(name).await?,
                Err(_) => None,
            },
        };
        let Account { id, username, identity_key, .. } = found.ok_or_else(no_such_account)?;
        let devices = self.0.store.devices(id).await?;
        Ok(AccountCard {
            account: id,
            username: username.as_str().to_owned(),
            identity_key,
            devices: devices.into_iter().map(|device| device.certificate.into()).collect(),
            extensions: Extensions::default(),
        })
    }
}

fn no_such_account() -> Problem {
    Problem::new(ProblemCode::NotFound, "there is no such account on this relay")
}

fn stock_of(stock: usize) -> KeyPackageStock {
    KeyPackageStock { count: count(stock), extensions: Extensions::default() }
}

fn count(packages: usize) -> u32 {
    u32::try_from(packages).unwrap_or(u32::MAX)
}
