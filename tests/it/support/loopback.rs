//! What servers on loopback are made of: a listener, and a certificate of the company's own CA. The injector's unit
//! tests read this file, too.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// A server's certificate and key, and the CA that has signed it.
pub(crate) struct Issued {
    /// The CA's certificate, as PEM.
    pub(crate) ca: String,
    /// The server's.
    pub(crate) certificate: Certificate,
    /// The server's key.
    pub(crate) key: KeyPair,
}

/// A certificate of a new CA.
pub(crate) fn issued(server: &CertificateParams) -> Issued {
    let key = || KeyPair::generate().expect("randomness");
    let ca_key = key();
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "the company's own CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let pem = ca.self_signed(&ca_key).expect("a certificate").pem();
    let issuer = Issuer::new(ca, ca_key);
    let key = key();
    let certificate = server.signed_by(&key, &issuer).expect("a certificate");
    Issued { ca: pem, certificate, key }
}

/// A new CA, as PEM, and the server that has this certificate of it.
pub(crate) fn signed(server: &CertificateParams) -> (String, Arc<ServerConfig>) {
    let Issued { ca, certificate, key } = issued(server);
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("a key that fits");
    (ca, Arc::new(config))
}

/// Serves each connection in a thread of its own.
pub(crate) fn listen(
    address: &str,
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("a free port");
    let address = listener.local_addr().expect("a bound port");
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            // A client that goes away is no error of ours.
            thread::spawn(move || serve(stream));
        }
    });
    address
}
