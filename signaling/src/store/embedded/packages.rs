//! The key-package directory on a table.

use super::{Embedded, SWEEP_ROWS, Swept, decode, devices, encode, keys, load_all};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{Answer, KeyPackages, StoreError};
use sotto_protocol::ids::{AccountId, DeviceId, UnixMillis};
use sotto_protocol::limits::KEY_PACKAGES_PER_DEVICE_MAX;
use sotto_signaling_core::directory::{Claimed, PublishRefused, StoredPackage, Use, choose};

impl<T: Table> KeyPackages for Embedded<T> {
    fn publish(
        &self,
        account: AccountId,
        device: DeviceId,
        packages: Vec<StoredPackage>,
        last_resort: Option<StoredPackage>,
        now: UnixMillis,
    ) -> Answer<'_, Result<usize, PublishRefused>> {
        self.write(move |rows| publish(rows, (account, device), packages, last_resort, now))
    }

    fn claim(&self, account: AccountId, suites: Vec<u16>, now: UnixMillis) -> Answer<'_, Vec<Claimed>> {
        self.write(move |rows| {
            let mut claimed = Vec::new();
            for device in devices::all(rows, account)? {
                claimed.extend(claim_one(rows, (account, device.id), &suites, now)?);
            }
            Ok(claimed)
        })
    }

    fn stock(&self, account: AccountId, device: DeviceId, now: UnixMillis) -> Answer<'_, usize> {
        self.read(move |rows| Ok(live(rows, (account, device), now)?.len()))
    }
}

type Whose = (AccountId, DeviceId);

fn publish(
    rows: &mut Overlay<'_>,
    (account, device): Whose,
    packages: Vec<StoredPackage>,
    last_resort: Option<StoredPackage>,
    now: UnixMillis,
) -> Result<Result<usize, PublishRefused>, StoreError> {
    if devices::load(rows, account, device)?.is_none() {
        return Ok(Err(PublishRefused::UnknownDevice));
    }
    let mut fresh = Vec::new();
    for package in packages {
        let there = rows.get(&keys::package(account, device, &package.hash))?.is_some();
        let spent = rows.get(&keys::spent(account, device, &package.hash))?.is_some();
        if !there && !spent {
            fresh.push(package);
        }
    }
    // What has expired makes room at once, without waiting for a sweep.
    for expired in all(rows, (account, device))?.into_iter().filter(|package| package.expires <= now) {
        rows.remove(keys::package(account, device, &expired.hash));
    }
    for package in &fresh {
        rows.put(keys::package(account, device, &package.hash), encode(package));
    }
    // Counted after, because a publication may hold the same package twice.
    let stock = all(rows, (account, device))?.len();
    if stock > KEY_PACKAGES_PER_DEVICE_MAX {
        for package in &fresh {
            rows.remove(keys::package(account, device, &package.hash));
        }
        return Ok(Err(PublishRefused::TooMany));
    }
    if let Some(package) = last_resort {
        rows.put(keys::last_resort(account, device, package.suite), encode(&package));
    }
    Ok(Ok(stock))
}

fn claim_one(
    rows: &mut Overlay<'_>,
    (account, device): Whose,
    suites: &[u16],
    now: UnixMillis,
) -> Result<Option<Claimed>, StoreError> {
    let once = live(rows, (account, device), now)?;
    // One for each suite that there is.
    let last: Vec<StoredPackage> =
        load_all(rows, &keys::of_device(keys::LAST_RESORTS, account, device), usize::from(u16::MAX))?;
    let Some((package, purpose)) = choose(suites, &once, &last, now) else {
        return Ok(None);
    };
    let last_resort = purpose == Use::LastResort;
    let left = once.len().saturating_sub(usize::from(!last_resort));
    if !last_resort {
        rows.remove(keys::package(account, device, &package.hash));
        rows.put(keys::spent(account, device, &package.hash), encode(&package.expires));
    }
    Ok(Some(Claimed { device, package: package.clone(), last_resort, left }))
}

/// Everything in stock. One over the limit can be there while a publication is judged, so it is asked for
/// twice the limit, which no publication reaches.
fn all(rows: &(impl Reader + ?Sized), (account, device): Whose) -> Result<Vec<StoredPackage>, StoreError> {
    load_all(rows, &keys::of_device(keys::PACKAGES, account, device), 2 * KEY_PACKAGES_PER_DEVICE_MAX)
}

fn live(
    rows: &(impl Reader + ?Sized),
    whose: Whose,
    now: UnixMillis,
) -> Result<Vec<StoredPackage>, StoreError> {
    let mut packages = all(rows, whose)?;
    packages.retain(|package| package.expires > now);
    Ok(packages)
}

/// Stock and last resort; what was spent stays remembered until it expires, in case the device comes back.
pub(super) fn remove_all(
    rows: &mut Overlay<'_>,
    account: AccountId,
    device: DeviceId,
) -> Result<(), StoreError> {
    for kind in [keys::PACKAGES, keys::LAST_RESORTS] {
        for (key, _) in rows.scan(&keys::of_device(kind, account, device), None, usize::from(u16::MAX))? {
            rows.remove(key);
        }
    }
    Ok(())
}

/// What was spent, too: nobody comes back under a deleted account.
pub(super) fn forget_all(
    rows: &mut Overlay<'_>,
    account: AccountId,
    device: DeviceId,
) -> Result<(), StoreError> {
    remove_all(rows, account, device)?;
    let mut after = None;
    loop {
        let spent =
            rows.scan(&keys::of_device(keys::SPENT, account, device), after.as_deref(), SWEEP_ROWS)?;
        for (key, _) in &spent {
            rows.remove(key.clone());
        }
        after = super::next_key(spent);
        if after.is_none() {
            return Ok(());
        }
    }
}

pub(super) fn sweep_some(
    rows: &mut Overlay<'_>,
    after: Option<Vec<u8>>,
    now: UnixMillis,
) -> Result<Swept, StoreError> {
    // Three kinds, one after the other; the first byte of the key says which one the sweep is in.
    let kinds = [keys::PACKAGES, keys::LAST_RESORTS, keys::SPENT];
    let at =
        after.as_deref().and_then(|key| kinds.iter().position(|kind| key.starts_with(kind))).unwrap_or(0);
    let kind = kinds.get(at).copied().unwrap_or(keys::SPENT);
    let seen = rows.scan(kind, after.as_deref(), SWEEP_ROWS)?;
    let mut dropped: usize = 0;
    for (key, bytes) in &seen {
        let expires: UnixMillis =
            if kind == keys::SPENT { decode(bytes)? } else { decode::<StoredPackage>(bytes)?.expires };
        if expires <= now {
            rows.remove(key.clone());
            dropped = dropped.saturating_add(1);
        }
    }
    let next = super::next_key(seen).or_else(|| kinds.get(at.saturating_add(1)).map(|kind| kind.to_vec()));
    Ok(Swept { dropped, next })
}
