//! On systems whose sound is not used yet: no microphone and no loudspeaker is ever found.

use super::devices::DeviceError;

/// There is none.
pub(super) enum Microphone {}

/// There is none.
pub(super) enum Speaker {}

fn none<T>() -> Result<T, DeviceError> {
    Err(DeviceError::Server("it is not used on this system yet".to_owned()))
}

#[expect(clippy::unused_async, reason = "as where there are some")]
impl Microphone {
    pub(super) async fn find(_: Option<&str>) -> Result<Self, DeviceError> {
        none()
    }

    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        match *self {}
    }

    pub(super) fn take(&self, _: usize) -> Result<Vec<i16>, DeviceError> {
        match *self {}
    }
}

#[expect(clippy::unused_async, reason = "as where there are some")]
impl Speaker {
    pub(super) async fn find(_: Option<&str>) -> Result<Self, DeviceError> {
        none()
    }

    pub(super) async fn begin(&mut self) -> Result<(), DeviceError> {
        match *self {}
    }

    pub(super) fn put(&self, _: &[i16]) -> Result<(), DeviceError> {
        match *self {}
    }
}
