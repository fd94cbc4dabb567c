//! A Prometheus behind a real proxy that asks for the client's certificate.

use std::thread::sleep;
use std::time::Duration;

use super::nginx::{Nginx, Site};
use super::prometheus::Prometheus;
use super::service::Service;
use super::{completed, kneepoint, now, read, told};

#[test]
fn a_server_that_asks_for_a_certificate_gets_it_and_its_lack_is_told() {
    let service = Service::start();
    let Some(prometheus) = Prometheus::start(service.port) else { return };
    let server = format!(
        "ssl_verify_client on; ssl_client_certificate me.pem; location / {{ proxy_pass {}; }}",
        prometheus.url()
    );
    let identity = |name: &str| {
        let name = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        [name.cert.pem(), name.signing_key.serialize_pem()]
    };
    let (me, other) = (identity("me"), identity("other"));
    let files = ["me.pem", "me.key", "other.pem", "other.key"].into_iter();
    let files: Vec<_> = files.zip(me.iter().chain(&other).map(String::as_str)).collect();
    let site = Site { listen: "ssl", server: &server, ..Site::default() };
    let nginx = Nginx::with_files(site, &files);
    sleep(Duration::from_secs(12));
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("night");
    let (from, to) = (format!("{:.3}", now() - 12.0), format!("{:.3}", now()));
    let path = |name: &str| nginx.directory().join(name).display().to_string();
    let import = |ca: bool, identity: Option<&str>| {
        let mut arguments: Vec<String> =
            ["import", "prometheus", "--match", "{job=\"shop\"}"].map(str::to_owned).to_vec();
        let mut option = |name: &str, value: &str| {
            arguments.extend([name.to_owned(), value.to_owned()]);
        };
        option("--url", &nginx.https_url());
        option("--from", &from);
        option("--to", &to);
        option("--out", out.to_str().unwrap());
        if ca {
            option("--ca-file", &path("cert.pem"));
        }
        if let Some(name) = identity {
            option("--cert-file", &path(&format!("{name}.pem")));
            option("--key-file", &path(&format!("{name}.key")));
        }
        kneepoint(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let imported = import(true, Some("me"));
    assert!(imported.status.success(), "{}", told(&imported));
    assert!(completed(&read(&out)) > 0, "{}", told(&imported));
    assert!(nginx.log().iter().all(|entry| entry.client == "SUCCESS"));
    for (identity, said) in
        [(None, "No required SSL certificate"), (Some("other"), "The SSL certificate error")]
    {
        let refused = import(true, identity);
        let text = told(&refused);
        assert!(!refused.status.success() && text.contains(said), "{text}");
        assert!(text.contains("--cert-file"), "{text}");
    }
    let plain = |url: &str| {
        let arguments = ["import", "prometheus", "--match", "{job=\"shop\"}", "--url", url];
        let rest = ["--from", &from, "--to", &to, "--out", out.to_str().unwrap()];
        told(&kneepoint(&[&arguments[..], &rest].concat()))
    };
    let not_tls = plain(&nginx.url());
    assert!(not_tls.contains("write `https://`"), "{not_tls}");
    let no_tls = plain(&prometheus.url().replace("http", "https"));
    assert!(no_tls.contains("write `http://`"), "{no_tls}");
    let unknown = told(&import(false, Some("me")));
    assert!(unknown.contains("--ca-file"), "{unknown}");
}
