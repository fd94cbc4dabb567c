//! TLS to the watched systems: the one place that chooses the crypto provider, the trusted
//! certificates, and how much of a server's certificate is checked.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::OpenError;

/// How much of a server's certificate is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Encrypted, but the server's identity is not checked.
    Nothing,
    /// The certificate must come from a trusted authority.
    Authority,
    /// The same, and the certificate must be valid for the requested host.
    AuthorityAndHost,
}

/// A client configuration that trusts the certificates in the PEM file `ca_file`, or those of the
/// operating system if there is no such file.
///
/// # Errors
/// If `ca_file` cannot be read or holds no certificate, or if the system has no certificates.
pub(super) fn client_config(
    check: Check,
    ca_file: Option<&str>,
) -> Result<ClientConfig, OpenError> {
    client_config_as(check, ca_file, None)
}

/// The same, which shows the certificate of the first PEM file with the key of the second one.
///
/// # Errors
/// As above, and if the certificate or the key cannot be used.
pub(super) fn client_config_as(
    check: Check,
    ca_file: Option<&str>,
    identity: Option<(&str, &str)>,
) -> Result<ClientConfig, OpenError> {
    let provider = Arc::new(ring::default_provider());
    let mut trusted = Vec::new();
    let inner: Option<Arc<dyn ServerCertVerifier>> = match (check, ca_file) {
        (Check::Nothing, _) => None,
        (_, Some(path)) => {
            trusted = certificates_of(path)?;
            Some(verifier_of(path, &trusted, &provider)?)
        }
        (_, None) => Some(Arc::new(
            rustls_platform_verifier::Verifier::new(provider.clone())
                .map_err(|error| no_system_roots(&error))?,
        )),
    };
    let verifier = Arc::new(Verifier { inner, check, trusted, provider: provider.clone() });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring supports the cipher suites of every default protocol version")
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let Some((cert_file, key_file)) = identity else { return Ok(builder.with_no_client_auth()) };
    let fail = |why: String| {
        OpenError::new(
            format!(
                "cannot show the certificate in `{cert_file}` with the key in `{key_file}`: {why}"
            ),
            "both are PEM files; the key must be that of the certificate, and not be encrypted",
        )
    };
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| fail(error.to_string()))?;
    let certificates = certificates_of(cert_file)?;
    builder.with_client_auth_cert(certificates, key).map_err(|error| fail(error.to_string()))
}

fn unusable(path: &str, why: &impl std::fmt::Display) -> OpenError {
    OpenError::new(
        format!("cannot use the certificates in `{path}`: {why}"),
        "`ca_file` names a PEM file with the certificate of the server, or of the authority that \
         signed it",
    )
}

fn certificates_of(path: &str) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let pem = std::fs::read(path).map_err(|error| unusable(path, &error))?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let all = all.map_err(|error| unusable(path, &error))?;
    if all.is_empty() { Err(unusable(path, &"there is none in it")) } else { Ok(all) }
}

fn verifier_of(
    path: &str,
    trusted: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OpenError> {
    let mut roots = RootCertStore::empty();
    for certificate in trusted.iter().cloned() {
        roots.add(certificate).map_err(|error| unusable(path, &error))?;
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    Ok(verifier.map_err(|error| unusable(path, &error))?)
}

fn no_system_roots(error: &Error) -> OpenError {
    OpenError::new(
        format!("cannot read the certificates that this machine trusts: {error}"),
        "install the package `ca-certificates`, or name a PEM file as `ca_file`",
    )
}

/// Relaxes another verifier to the requested level.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    check: Check,
    /// The certificates of `ca_file`. A server may show one of them as its own, although it is
    /// marked as that of an authority.
    trusted: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        let verdict =
            inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // The name is checked last, so a certificate that fails there has a trusted chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if self.check == Check::Authority => Ok(ServerCertVerified::assertion()),
            // Its dates were checked before, and have errors of their own.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                if self.check == Check::AuthorityAndHost {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
