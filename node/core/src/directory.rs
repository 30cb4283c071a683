//! This device's stock of key packages on the relay.

use crate::core::{Core, Ctx};
use crate::event::{Failure, FailureCode, Outcome};
use crate::link::Ask;
use sotto_e2ee::key_package;
use sotto_e2ee::store::StoreError;
use sotto_protocol::body::directory::{KeyPackageStock, PublishKeyPackages};
use sotto_protocol::ids::UnixMillis;
use sotto_protocol::limits::{KEY_PACKAGE_LIFETIME_SECONDS, KEY_PACKAGES_LOW, KEY_PACKAGES_PER_DEVICE_MAX};
use sotto_protocol::payload::Payload;

impl Core {
    /// Asks how large the stock is, or fills it right away when that is wanted anyway.
    pub(crate) fn ask_stock(&mut self, ctx: &mut Ctx<'_>) -> Result<(), StoreError> {
        key_package::expire(ctx.tx, ctx.now)?;
        if self.upkeep.published == UnixMillis(0) {
            return self.publish(ctx, 0);
        }
        let nothing =
            PublishKeyPackages { packages: Vec::new(), last_resort: None, extensions: Default::default() };
        self.link.ask(ctx, &self.settings, Ask::Stock, &nothing);
        Ok(())
    }

    /// The relay says how many one-time packages it has.
    pub(crate) fn stock(&mut self, ctx: &mut Ctx<'_>, answer: &KeyPackageStock) -> Result<(), StoreError> {
        let count = usize::try_from(answer.count).unwrap_or(usize::MAX);
        let wanted: usize = self.settings.key_packages.iter().map(|(_, count)| *count).sum();
        let low = count < KEY_PACKAGES_LOW.min(wanted.div_ceil(2));
        // Half of the lifetime leaves as long again for the relay to hand them out.
        let half_life_ms = KEY_PACKAGE_LIFETIME_SECONDS.saturating_mul(500);
        let old = self.upkeep.published.0.saturating_add(half_life_ms) <= ctx.now.0;
        let due = key_package::last_resort_is_due(ctx.tx, ctx.now)?;
        if low || old || due || self.link.want_publish {
            self.link.want_publish = false;
            return self.publish(ctx, if low || old { count } else { KEY_PACKAGES_PER_DEVICE_MAX });
        }
        self.link.asked_stock = false;
        self.link.want_stock = false;
        Ok(())
    }

    /// Publishes new packages beside the `count` that are there, and a new last-resort one.
    fn publish(&mut self, ctx: &mut Ctx<'_>, count: usize) -> Result<(), StoreError> {
        let mut room = KEY_PACKAGES_PER_DEVICE_MAX.saturating_sub(count);
        let mut packages: Vec<Payload> = Vec::new();
        let mut failed = None;
        for (suite, wanted) in self.settings.key_packages.clone() {
            let some = wanted.min(room);
            room -= some;
            match key_package::generate(ctx.tx, &mut ctx.rng, &self.me, suite, some, ctx.now) {
                Ok(new) => packages.extend(new),
                Err(key_package::KeyPackageError::Store(error)) => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        let first = self.settings.key_packages.first().map(|(suite, _)| *suite).unwrap_or_default();
        let last_resort =
            match key_package::generate_last_resort(ctx.tx, &mut ctx.rng, &self.me, first, ctx.now) {
                Ok(package) => Some(package),
                Err(key_package::KeyPackageError::Store(error)) => return Err(error),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            };
        if let Some(error) = failed {
            let token = self.link.publish_token.take();
            ctx.failed(token, Failure::new(FailureCode::Encryption, error.to_string()));
        }
        let body = PublishKeyPackages { packages, last_resort, extensions: Default::default() };
        self.link.ask(ctx, &self.settings, Ask::Publish, &body);
        Ok(())
    }

    pub(crate) fn published(&mut self, ctx: &mut Ctx<'_>, _answer: &KeyPackageStock) {
        self.link.asked_stock = false;
        self.link.want_stock = false;
        self.upkeep.published = ctx.now;
        self.save_upkeep(ctx);
        let token = self.link.publish_token.take();
        ctx.done(token, Outcome::Nothing);
    }
}
