//! The certificate inside an MLS leaf.
//!
//! A leaf's credential is an MLS basic credential whose identity is the serialised device certificate, and
//! the leaf's signature key is the certified device key. Both are checked for every leaf that anybody ever
//! takes into a group: by each client, and by the relay.

use crate::certificate::{CertificateError, DeviceCertificate};
use openmls::prelude::{BasicCredential, Credential, CredentialType, CredentialWithKey, LeafNode};

/// Why a leaf does not show which device it is. Whoever made the leaf is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The credential is of another type than basic.
    #[error("the leaf's credential is not a basic credential")]
    NotBasic,
    /// The identity in it is no certificate that may be trusted.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The leaf signs with another key than the certified one: somebody shows a certificate that is not theirs.
    #[error("the leaf's signature key is not the certified device key")]
    AnotherKey,
}

/// The credential and signature key of a device's leaves.
#[must_use]
pub fn credential_with_key(certificate: &DeviceCertificate) -> CredentialWithKey {
    CredentialWithKey {
        credential: BasicCredential::new(certificate.to_bytes()).into(),
        signature_key: certificate.device_key().to_vec().into(),
    }
}

/// The certificate of a leaf with this credential and signature key.
///
/// # Errors
/// See [`CredentialError`].
pub fn check_leaf(
    credential: &Credential,
    signature_key: &[u8],
) -> Result<DeviceCertificate, CredentialError> {
    if credential.credential_type() != CredentialType::Basic {
        return Err(CredentialError::NotBasic);
    }
    // For a basic credential the serialised content is the identity itself.
    let certificate = DeviceCertificate::from_bytes(credential.serialized_content())?;
    if certificate.device_key() == signature_key { Ok(certificate) } else { Err(CredentialError::AnotherKey) }
}

/// [`check_leaf`] for a leaf node.
///
/// # Errors
/// See [`CredentialError`].
pub fn check_leaf_node(leaf: &LeafNode) -> Result<DeviceCertificate, CredentialError> {
    check_leaf(leaf.credential(), leaf.signature_key().as_slice())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_group::TestDevice;

    #[test]
    fn a_certificate_is_found_again_in_its_credential() {
        let device = TestDevice::new(1, 1);
        let leaf = credential_with_key(&device.certificate);
        assert_eq!(check_leaf(&leaf.credential, leaf.signature_key.as_slice()), Ok(device.certificate));
    }

    #[test]
    fn the_certificate_of_somebody_else_is_refused() {
        let (alice, mallory) = (TestDevice::new(1, 1), TestDevice::new(2, 2));
        let leaf = credential_with_key(&alice.certificate);
        let refusal = check_leaf(&leaf.credential, mallory.certificate.device_key());
        assert_eq!(refusal, Err(CredentialError::AnotherKey));
    }

    #[test]
    fn other_types_and_other_bytes_are_refused() {
        let key = [0; 32];
        let x509 = Credential::new(CredentialType::X509, Vec::new());
        assert_eq!(check_leaf(&x509, &key), Err(CredentialError::NotBasic));
        let empty = BasicCredential::new(Vec::new()).into();
        assert_eq!(check_leaf(&empty, &key), Err(CredentialError::Certificate(CertificateError::Malformed)));
    }
}
