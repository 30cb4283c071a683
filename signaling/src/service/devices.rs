//! Registering and removing devices.

use super::{Authenticated, Signaling};
use crate::http::bodies::DeviceRequest;
use crate::problem::{Problem, ProblemCode};
use crate::store::{NewDevice, Registered};
use sotto_mls::certificate::UnverifiedCertificate;
use sotto_protocol::ids::{AccountId, DeviceId};
use sotto_signaling_core::device::{Device, DeviceRefused};

impl From<DeviceRefused> for Problem {
    fn from(refused: DeviceRefused) -> Self {
        let code = match refused {
            DeviceRefused::IdTaken => ProblemCode::Taken,
            DeviceRefused::TooMany => ProblemCode::LimitReached,
            _ => ProblemCode::DeviceRefused,
        };
        Self::new(code, refused.to_string())
    }
}

impl Signaling {
    /// Registers a device of the asking account; the same one again changes its name.
    ///
    /// # Errors
    /// If its certificate does not count for the account, or there are too many.
    pub async fn register_device(
        &self,
        who: Authenticated,
        request: DeviceRequest,
    ) -> Result<Registered, Problem> {
        let refused = |sentence: String| Problem {
            field: Some("certificate".to_owned()),
            ..Problem::new(ProblemCode::DeviceRefused, sentence)
        };
        let certificate = UnverifiedCertificate::decode(&request.certificate)
            .and_then(UnverifiedCertificate::verify)
            .map_err(|error| refused(error.to_string()))?;
        if certificate.device() != request.device {
            return Err(DeviceRefused::OtherDevice.into());
        }
        let new = NewDevice {
            account: who.account,
            certificate,
            name: request.name,
            session: who.session,
            now: self.now(),
        };
        let registered = self.0.store.register_device(new).await?;
        let gone = || Problem::new(ProblemCode::TokenRefused, "this account no longer exists");
        let registered = registered.ok_or_else(gone)??;
        if !registered.again {
            tracing::info!(account = %who.account, device = %registered.device.id, "device registered");
        }
        Ok(registered)
    }

    /// The devices of an account, the oldest first.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn devices(&self, account: AccountId) -> Result<Vec<Device>, Problem> {
        Ok(self.0.store.devices(account).await?)
    }

    /// A device of an account, for the proof of a connection.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn device(&self, account: AccountId, id: DeviceId) -> Result<Option<Device>, Problem> {
        Ok(self.0.store.device(account, id).await?)
    }

    /// Removes a device of the asking account, with its key packages, sessions and connections.
    ///
    /// # Errors
    /// If the account has no such device.
    pub async fn remove_device(&self, who: Authenticated, id: DeviceId) -> Result<(), Problem> {
        let ended = self.0.store.remove_device(who.account, id).await?;
        let ended = ended.ok_or_else(|| Problem::new(ProblemCode::NotFound, "you have no such device"))?;
        tracing::info!(account = %who.account, device = %id, "device removed");
        self.0.hooks.device_removed(who.account, id);
        self.ended(&ended);
        Ok(())
    }
}
