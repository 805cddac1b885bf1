//! Certificates for the length of a test.

use std::{path::Path, process::Command};

use rustls::pki_types::{CertificateDer, pem::PemObject as _};

/// A certificate for 127.0.0.1 that signs itself, and its key.
pub(crate) fn certificate(directory: &Path) -> CertificateDer<'static> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    CertificateDer::from_pem_file(directory.join("certificate.pem")).unwrap()
}
