//! The node's certificate and key.

use std::path::{Path, PathBuf};

use rustls::{
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};

/// Certificate or key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The certificate file is not there or not PEM.
    #[error("{} has no certificate in PEM: {source}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The certificate file holds none.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The key file is not there or not PEM.
    #[error("{} has no private key in PEM: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that is not spoken here.
    #[error("certificate and key cannot be used together: {source}")]
    Pair {
        /// What is wrong with them.
        source: rustls::Error,
    },
}

impl TlsError {
    /// The configuration key at fault.
    pub fn key(&self) -> &'static str {
        match self {
            TlsError::Certificate { .. } | TlsError::NoCertificate { .. } => "tls_cert",
            TlsError::Key { .. } | TlsError::Pair { .. } => "tls_key",
        }
    }
}

/// Reads the certificate chain and its key, and checks that they belong together.
///
/// # Errors
/// A file is missing or not PEM, or the key is not the certificate's.
pub fn read_identity(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let bad_certificate = |source| TlsError::Certificate { path: certificate.to_owned(), source };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .map_err(bad_certificate)?
        .collect::<Result<_, _>>()
        .map_err(bad_certificate)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate { path: certificate.to_owned() });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| TlsError::Pair { source })
}
