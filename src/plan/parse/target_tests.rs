//! What `[target]` says, and the mistakes in it.

use super::super::*;
use super::tests::read;

/// Keys of `[target]`, the message, and the help.
const TARGET_MISTAKES: &[(&str, &str, &str)] = &[
    ("tls = { ca_file = \"a\", insecure = true }", "cannot be used together", "remove `insecure`"),
    ("tls = { cert_file = \"a\" }", "`cert_file` needs `key_file`", "client.key"),
    ("tls = { key_file = \"a\" }", "`key_file` needs `cert_file`", "client.pem"),
    ("tls = { server_name = \"a b\" }", "`a b` is not a valid host name", ""),
    ("unix_socket = \"http://a\"", "expected a file path, found a URL", "/run/app.sock"),
    ("unix_socket = \"\"", "the path is empty", "/run/app.sock"),
    ("proxy = \"socks5://a:1\"", "`socks5` proxies are not supported", ""),
    ("proxy = \"http://u:hunter2@a:0\"", "has no port", ""),
    ("proxy = \"http://u:hunter2@a/b\"", "a path or a query", ""),
    ("proxy = \"u:hunter2@a\"", "are not supported", ""),
    ("unix_socket = \"/a\"\nproxy = \"http://a\"", "cannot be used together", "keep the one"),
    ("version = \"http/3\"", "`http/3` is not one of", ""),
    ("streams = 5", "`streams` works only with HTTP/2", "add `version"),
    ("version = \"auto\"\nstreams = 0", "must be above zero", ""),
    ("tls = { resumption = 1 }", "expected `true` or `false`", ""),
    ("drop = { share = 2, at = \"1s\" }", "expected a share", ""),
    ("drop = { share = 1 }", "`at` is missing", "add `at"),
    ("drop = { share = 1, at = \"1s\", every = \"9ms\" }", "at most once a second", ""),
    ("drop = { share = 1, at = \"1s\", evry = \"9s\" }", "unknown key `evry`", "`every`"),
    ("backoff = { to = \"1s\" }", "no effect without `drop`", "add `drop"),
    ("drop = { share = 1, at = \"1s\" }\nbackoff = { from = \"0.1ms\" }", "at least 1 ms", ""),
    (
        "drop = { share = 1, at = \"1s\" }\nconnections = \"per-request\"",
        "`drop` works only with connections that are kept open",
        "remove `connections` or `drop`",
    ),
    (
        "drop = { share = 1, at = \"1s\" }\nversion = \"auto\"",
        "`drop` works only with HTTP/1.1",
        "remove `version` or `drop`",
    ),
    ("dns = \"per-conection\"", "is not `once`, `per-connection` or a duration", "per-connection"),
    ("dns = \"0s\"", "is not `once`, `per-connection` or a duration", "30s"),
    ("unix_socket = \"/a\"\ndns = \"once\"", "no name to resolve", "remove `dns`"),
    ("max_connections = 0", "at least 1", ""),
    ("max_connections = \"5\"", "expected a number of connections", ""),
    (
        "max_connections = 5\nversion = \"http/2\"",
        "`max_connections` works only with HTTP/1.1",
        "remove `version` or `max_connections`",
    ),
    (
        "max_connections = 5\n[load]\nexecutor = \"constant-vus\"\nvus = 9\nduration = \"9s\"",
        "virtual users have one connection each",
        "remove `max_connections`",
    ),
];

#[test]
fn mistakes_of_the_target_are_told() {
    let mut missed = Vec::new();
    for (keys, message, help) in TARGET_MISTAKES {
        let text = format!("[target]\nurl = \"https://a\"\n{keys}\n[[request]]\npath = \"/\"");
        let errors = read(&text).expect_err(keys);
        let found = errors.iter().any(|mistake| {
            mistake.line >= 3
                && mistake.message.contains(message)
                && mistake.help.as_deref().unwrap_or_default().contains(help)
        });
        if !found || errors.iter().count() != 1 {
            missed.push(format!("{keys}\n{message}\n{errors}"));
        }
        assert!(!errors.to_string().contains("hunter2"), "{errors}");
    }
    assert!(missed.is_empty(), "{}", missed.join("\n\n"));
}

#[test]
fn a_target_has_certificates_of_its_own_and_ours() {
    let text = "[target]\nurl = \"https://a\"\ntls = { ca_file = \"ca\", cert_file = \"c\", \
                key_file = \"k\", resumption = true, server_name = \"b\" }\n\
                [[request]]\npath = \"/\"";
    let tls = read(text).unwrap_or_else(|errors| panic!("{errors}")).target.tls;
    let identity = Identity { cert_file: "c".to_owned(), key_file: "k".to_owned() };
    let server_name = Some("b".to_owned());
    let trust = Trust::CaFile("ca".to_owned());
    assert_eq!(tls, Tls { trust, identity: Some(identity), resumption: true, server_name });
}

#[test]
fn a_proxy_has_credentials_that_no_one_prints() {
    let text = "[target]\nurl = \"https://a\"\nproxy = \"http://me:hunter2%40@p:3128\"\n\
                [[request]]\npath = \"/\"";
    let plan = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let proxy = plan.target.proxy.clone().unwrap();
    assert_eq!((proxy.host.as_str(), proxy.port), ("p", 3128));
    assert_eq!(proxy.credentials.unwrap().reveal(), "me:hunter2@");
    assert!(!format!("{plan:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&plan).unwrap().contains("hunter2"));
}
