//! A certificate authority for one run, the identities that clients show, and the key that signs tokens.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    PKCS_ED25519, SanType, SigningKey,
};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};

use super::failed;

/// What the certificate of a client holds: URI SANs, DNS SANs, common name.
pub(super) struct Identity {
    uris: &'static [&'static str],
    dns: &'static [&'static str],
    common_name: Option<&'static str>,
}

const fn spiffe(uris: &'static [&'static str]) -> Identity {
    Identity { uris, dns: &[], common_name: None }
}

/// The first ones differ from each other in one part each, the later ones are odd: a segment too many, two URIs, no
/// SPIFFE ID at all.
pub(super) const IDENTITIES: [Identity; 12] = [
    spiffe(&["spiffe://cluster.local/ns/foo/sa/web"]),
    spiffe(&["spiffe://cluster.local/ns/foo/sa/webs"]),
    spiffe(&["spiffe://cluster.local/ns/food/sa/web"]),
    spiffe(&["spiffe://cluster.local/ns/istio-system/sa/web"]),
    spiffe(&["spiffe://old.mesh/ns/foo/sa/web"]),
    spiffe(&["spiffe://cluster.local.mesh/ns/foo/sa/web"]),
    spiffe(&["spiffe://cluster.local/ns/foo/sa/web/more"]),
    spiffe(&["spiffe://cluster.local/ns/far/ns/foo/sa/web"]),
    spiffe(&["spiffe://old.mesh/ns/far/sa/db", "spiffe://cluster.local/ns/foo/sa/web"]),
    spiffe(&["https://cluster.local/ns/foo/sa/web"]),
    Identity { uris: &[], dns: &["web.foo.example"], common_name: Some("web") },
    Identity { uris: &[], dns: &[], common_name: Some("web") },
];

impl Identity {
    /// The form of the vectors.
    pub(super) fn written(&self) -> Value {
        let subject = self.common_name.map(|name| format!("CN={name}")).unwrap_or_default();
        json!({ "uris": self.uris, "dns": self.dns, "subject": subject })
    }
}

/// Everything that proves something in one run.
pub(super) struct Certificates {
    clients: BTreeMap<String, Pair>,
    token_key: KeyPair,
    provider: Arc<CryptoProvider>,
}

struct Pair {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Certificates {
    /// Makes all of them; `ca.pem`, `server.pem` and `server.key` are left in the folder for Envoy.
    pub(super) fn new(folder: &Path) -> io::Result<Certificates> {
        let mut root = CertificateParams::default();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name = named(Some("envoy-diff"));
        let root =
            CertifiedIssuer::self_signed(root, KeyPair::generate().map_err(failed)?).map_err(failed)?;
        fs::write(folder.join("ca.pem"), root.pem())?;
        let issue = |identity: &Identity| -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
            let mut params = CertificateParams::default();
            params.distinguished_name = named(identity.common_name);
            for uri in identity.uris {
                params.subject_alt_names.push(SanType::URI(Ia5String::try_from(*uri)?));
            }
            for name in identity.dns {
                params.subject_alt_names.push(SanType::DnsName(Ia5String::try_from(*name)?));
            }
            let key = KeyPair::generate()?;
            Ok((params.signed_by(&key, &root)?, key))
        };
        let (server, key) = issue(&spiffe(&["spiffe://cluster.local/ns/foo/sa/server"])).map_err(failed)?;
        fs::write(folder.join("server.pem"), server.pem())?;
        fs::write(folder.join("server.key"), key.serialize_pem())?;
        let mut clients = BTreeMap::new();
        for identity in &IDENTITIES {
            let (certificate, key) = issue(identity).map_err(failed)?;
            let pair = Pair { certificate: certificate.der().clone(), key: key.serialize_der() };
            clients.insert(identity.written().to_string(), pair);
        }
        let token_key = KeyPair::generate_for(&PKCS_ED25519).map_err(failed)?;
        Ok(Certificates { clients, token_key, provider: Arc::new(ring::default_provider()) })
    }

    /// The key set that verifies [`Certificates::token`].
    pub(super) fn key_set(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.token_key.public_key_raw());
        json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "run", "x": x }] })
            .to_string()
    }

    /// A signed token with these claims.
    pub(super) fn token(&self, claims: &Value) -> io::Result<String> {
        let head = json!({ "alg": "EdDSA", "kid": "run", "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(claims));
        let signature = self.token_key.sign(signed.as_bytes()).map_err(failed)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// How a client speaks TLS that shows this certificate (an identity as in the vectors), or none.
    pub(super) fn client(&self, identity: Option<&Value>, sends_name: bool) -> io::Result<ClientConfig> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(Arc::clone(&self.provider))));
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let pair = self
                    .clients
                    .get(&identity.to_string())
                    .ok_or_else(|| failed(format!("no client has the certificate {identity}")))?;
                let key = PrivateKeyDer::try_from(pair.key.clone()).map_err(failed)?;
                builder.with_client_auth_cert(vec![pair.certificate.clone()], key).map_err(failed)?
            }
        };
        config.enable_sni = sends_name;
        Ok(config)
    }
}

fn named(common_name: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    if let Some(common_name) = common_name {
        name.push(DnType::CommonName, common_name);
    }
    name
}

/// Takes every server: clients ask for names that no certificate could hold, and the server is our own child on the
/// loopback interface.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
