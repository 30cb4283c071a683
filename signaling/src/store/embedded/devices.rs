//! Devices on a table.

use super::{Embedded, accounts, encode, keys, packages, sessions};
use crate::store::table::{Overlay, Reader, Table};
use crate::store::{Answer, Devices, NewDevice, Registered, StoreError};
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_protocol::limits::DEVICES_PER_ACCOUNT_MAX;
use sotto_signaling_core::account::Account;
use sotto_signaling_core::device::{Device, DeviceFacts, DeviceRefused, register};
use sotto_signaling_core::session::Session;

impl<T: Table> Devices for Embedded<T> {
    fn register_device(&self, new: NewDevice) -> Answer<'_, Option<Result<Registered, DeviceRefused>>> {
        self.write(move |rows| put(rows, new))
    }

    fn devices(&self, account: AccountId) -> Answer<'_, Vec<Device>> {
        self.read(move |rows| all(rows, account))
    }

    fn device(&self, account: AccountId, id: DeviceId) -> Answer<'_, Option<Device>> {
        self.read(move |rows| load(rows, account, id))
    }

    fn remove_device(&self, account: AccountId, id: DeviceId) -> Answer<'_, Option<Vec<Session>>> {
        self.write(move |rows| remove(rows, account, id))
    }
}

fn put(
    rows: &mut Overlay<'_>,
    new: NewDevice,
) -> Result<Option<Result<Registered, DeviceRefused>>, StoreError> {
    let NewDevice { account, certificate, name, session, now } = new;
    let Some(account) = accounts::load(rows, account)? else {
        return Ok(None);
    };
    let same_id = match super::load::<AccountId>(rows, &keys::device_owner(certificate.device()))? {
        Some(owner) => load(rows, owner, certificate.device())?,
        None => None,
    };
    let devices = all(rows, account.id)?.len();
    let facts = DeviceFacts { account: &account, same_id: same_id.as_ref(), devices };
    let registration = match register(facts, &certificate, name, now) {
        Ok(registration) => registration,
        Err(refused) => return Ok(Some(Err(refused))),
    };
    let device = registration.device;
    rows.put(keys::device(account.id, device.id), encode(&device));
    rows.put(keys::device_owner(device.id), encode(&account.id));
    if registration.sets_identity.is_some() {
        accounts::save(rows, &Account { identity_key: registration.sets_identity, ..account });
    }
    sessions::bind(rows, session, device.id)?;
    Ok(Some(Ok(Registered { device, again: registration.again })))
}

fn remove(
    rows: &mut Overlay<'_>,
    account: AccountId,
    id: DeviceId,
) -> Result<Option<Vec<Session>>, StoreError> {
    if load(rows, account, id)?.is_none() {
        return Ok(None);
    }
    rows.remove(keys::device(account, id));
    rows.remove(keys::device_owner(id));
    packages::remove_all(rows, account, id)?;
    let mut ended = sessions::all(rows, account)?;
    ended.retain(|session| session.device == Some(id));
    for session in &ended {
        sessions::remove(rows, session);
    }
    Ok(Some(ended))
}

pub(super) fn load(
    rows: &(impl Reader + ?Sized),
    account: AccountId,
    id: DeviceId,
) -> Result<Option<Device>, StoreError> {
    super::load(rows, &keys::device(account, id))
}

pub(super) fn all(rows: &(impl Reader + ?Sized), account: AccountId) -> Result<Vec<Device>, StoreError> {
    let mut devices: Vec<Device> =
        super::load_all(rows, &keys::devices_of(account), DEVICES_PER_ACCOUNT_MAX)?;
    devices.sort_by_key(|device| (device.created, device.id));
    Ok(devices)
}
