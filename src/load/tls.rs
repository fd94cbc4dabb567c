//! Who the target has to be, and who we are: the certificates of both sides.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::error::LoadError;
use crate::plan::{HttpVersion, Identity, Target, Trust};

/// The name of HTTP/2 over TLS (RFC 9113, section 3.1).
pub(super) const H2: &[u8] = b"h2";

/// The contents of the files that [`plan::Tls`](crate::plan::Tls) names.
#[derive(Clone, Default)]
pub struct PemFiles {
    /// Of [`Trust::CaFile`].
    pub ca: Option<Vec<u8>>,
    /// Of [`Identity::cert_file`].
    pub cert: Option<Vec<u8>>,
    /// Of [`Identity::key_file`].
    pub key: Option<Vec<u8>>,
}

/// Shows only which files are there: a key must not be printed.
impl fmt::Debug for PemFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(Vec::len);
        f.debug_struct("PemFiles")
            .field("ca", &size(&self.ca))
            .field("cert", &size(&self.cert))
            .field("key", &size(&self.key))
            .finish()
    }
}

/// How a connection to the target is secured.
#[derive(Clone)]
pub(super) struct Security {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Checks that the files are valid for a TLS client, without connecting.
///
/// # Errors
///
/// Which file is wrong, and why.
pub fn check_tls(target: &Target, files: &PemFiles) -> Result<(), LoadError> {
    security(target, files).map(drop)
}

/// The TLS settings of an `https` target. `None` for an `http` target.
pub(super) fn security(target: &Target, files: &PemFiles) -> Result<Option<Security>, LoadError> {
    if !target.url.https {
        return Ok(None);
    }
    let host = target.tls.server_name.as_ref().unwrap_or(&target.url.host);
    let unusable = |reason: String| LoadError::Certificates { host: host.clone(), reason };
    let name = ServerName::try_from(host.clone()).map_err(|error| unusable(error.to_string()))?;
    let config = Arc::new(client_config(target, files).map_err(unusable)?);
    Ok(Some(Security { config, name }))
}

fn client_config(target: &Target, files: &PemFiles) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match &target.tls.trust {
        Trust::SystemRoots => {
            builder.with_platform_verifier().map_err(|error| error.to_string())?
        }
        Trust::CaFile(path) => {
            let trusted = certificates(path, files.ca.as_deref())?;
            let mut roots = RootCertStore::empty();
            for certificate in trusted.iter().cloned() {
                roots.add(certificate).map_err(|error| format!("`{path}`: {error}"))?;
            }
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| format!("`{path}`: {error}"))?;
            let verifier = Arc::new(Verifier { authorities: Some(inner), trusted, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        Trust::Insecure => {
            let verifier = Verifier { authorities: None, trusted: Vec::new(), provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
    };
    let mut config = match &target.tls.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { cert_file, key_file }) => {
            let chain = certificates(cert_file, files.cert.as_deref())?;
            let key = private_key(key_file, files.key.as_deref())?;
            builder.with_client_auth_cert(chain, key).map_err(|error| match error {
                Error::InconsistentKeys(_) => {
                    format!("`{key_file}` is not the key of the first certificate in `{cert_file}`")
                }
                error => format!("`{cert_file}` with `{key_file}`: {error}"),
            })?
        }
    };
    config.alpn_protocols = match target.version {
        HttpVersion::Http1 => vec![b"http/1.1".to_vec()],
        HttpVersion::Http2 => vec![H2.to_vec()],
        HttpVersion::Auto => vec![H2.to_vec(), b"http/1.1".to_vec()],
    };
    // A new connection usually stands for a new client, which pays for a full handshake. If the
    // plan says otherwise, each worker gets its own cache.
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn certificates(path: &str, pem: Option<&[u8]>) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = pem.ok_or_else(|| format!("`{path}` was not read"))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|error| format!("`{path}`: {error}"))?;
    if found.is_empty() {
        return Err(format!("`{path}` has no PEM certificate in it"));
    }
    Ok(found)
}

fn private_key(path: &str, pem: Option<&[u8]>) -> Result<PrivateKeyDer<'static>, String> {
    let pem = pem.ok_or_else(|| format!("`{path}` was not read"))?;
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => format!(
            "`{path}` has no PEM private key in it that can be read (one with a passphrase cannot: \
             take it off with `openssl pkey`)"
        ),
        error => format!("`{path}`: {error}"),
    })
}

/// Trusts authorities, and a server whose own certificate is among theirs.
#[derive(Debug)]
struct Verifier {
    /// Without them it accepts any certificate, as the plan asked for. Signatures are still checked.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates of the authorities. That of a server is often marked as that of an
    /// authority, which a server may not show otherwise.
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // Its dates were checked before, and have errors of their own. What remains is its name.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.trusted.iter().any(|trusted| trusted == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
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
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
