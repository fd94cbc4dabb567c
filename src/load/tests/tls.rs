//! Certificates of both sides, names and sessions, against a server that checks them.

use rustls::RootCertStore;

use super::*;
use crate::plan::Identity;

fn config_for(address: SocketAddr, pem: &str) -> LoadConfig {
    let mut config = config(address);
    config.target.url.https = true;
    config.target.url.host = "localhost".into();
    config.target.tls.trust = Trust::CaFile("ca.pem".into());
    config.pem.ca = Some(pem.as_bytes().to_vec());
    config
}

fn refusal(config: &LoadConfig) -> String {
    check_tls(&config.target, &config.pem).err().unwrap().to_string()
}

#[test]
fn a_client_certificate_is_shown_where_there_is_one() {
    let client = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(client.cert.der().clone()).unwrap();
    let (address, pem, _) = server::https_for(Some(roots), |_| server::status(200));
    let mut config = config_for(address, &pem);
    assert_eq!(how_twenty_end(config.clone()), BTreeMap::from([(ResponseClass::Tls, 20)]));

    let files = ["client.pem", "client.key"].map(String::from);
    let [cert_file, key_file] = files;
    config.target.tls.identity = Some(Identity { cert_file, key_file });
    config.pem.cert = Some(client.cert.pem().into_bytes());
    config.pem.key = Some(client.signing_key.serialize_pem().into_bytes());
    let ended = how_twenty_end(config.clone());
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    assert!(!format!("{config:?}").contains("PRIVATE"), "{config:?}");

    let other = rcgen::generate_simple_self_signed(["other".to_owned()]).unwrap();
    let good = config.pem.clone();
    config.pem.key = Some(other.signing_key.serialize_pem().into_bytes());
    assert!(refusal(&config).contains("`client.key` is not the key"), "{}", refusal(&config));
    config.pem.key = good.cert.clone();
    assert!(refusal(&config).contains("`client.key` has no PEM private key"));
    config.pem = PemFiles { cert: good.key.clone(), ..good };
    assert!(refusal(&config).contains("`client.pem` has no PEM certificate"));
}

#[test]
fn sessions_are_resumed_only_where_the_plan_says_so() {
    let (address, pem, resumed) = server::https_for(None, |_| server::status(200));
    let mut config = config_for(address, &pem);
    config.target.connections = Connections::PerRequest;
    config.workers = Some(1);
    let ended = how_twenty_end(config.clone());
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    assert_eq!(resumed.load(Ordering::SeqCst), 0);
    config.target.tls.resumption = true;
    let ended = how_twenty_end(config);
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    let resumed = resumed.load(Ordering::SeqCst);
    assert!(resumed >= 15, "{resumed} of 20");
}

#[test]
fn the_name_of_the_server_can_be_another_than_its_address() {
    let (address, pem, _) = server::https_for(None, |_| server::status(200));
    let mut config = config_for(address, &pem);
    config.target.url.host = address.ip().to_string();
    assert_eq!(how_twenty_end(config.clone()), BTreeMap::from([(ResponseClass::Tls, 20)]));
    config.target.tls.server_name = Some("localhost".into());
    let ended = how_twenty_end(config.clone());
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    config.target.tls.server_name = Some("no name".into());
    assert!(refusal(&config).contains("certificates for `no name`"), "{}", refusal(&config));
}

/// A certificate that is marked as an authority's, as `openssl req -x509` makes them.
fn authority(year: i32) -> (String, server::Certified) {
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = rcgen::date_time_ymd(year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    (cert.pem(), (cert.der().clone(), key.serialize_der()))
}

#[test]
fn the_servers_own_certificate_is_trusted_where_the_plan_names_it() {
    let (pem, certified) = authority(4000);
    let address = server::https_with(certified, |_| server::status(200));
    let mut config = config_for(address, &pem);
    let good = BTreeMap::from([(ResponseClass::Status(200), 20)]);
    let refused = BTreeMap::from([(ResponseClass::Tls, 20)]);
    assert_eq!(how_twenty_end(config.clone()), good);

    config.target.tls.server_name = Some("elsewhere".into());
    assert_eq!(how_twenty_end(config.clone()), refused, "it is not its name");
    config.target.tls.server_name = None;
    config.pem.ca = Some(authority(4000).0.into_bytes());
    assert_eq!(how_twenty_end(config), refused, "it is another certificate");

    let (pem, certified) = authority(2001);
    let address = server::https_with(certified, |_| server::status(200));
    assert_eq!(how_twenty_end(config_for(address, &pem)), refused, "it is out of date");
}
