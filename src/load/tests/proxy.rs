//! Through a proxy, with and without credentials, and with errors from proxies.

use super::*;
use crate::plan::{Proxy, Secret};

/// `me:hunter2@`, in the form that a proxy expects.
const CREDENTIALS: &str = "proxy-authorization: Basic bWU6aHVudGVyMkA=\r\n";

/// A proxy that opens tunnels and forwards requests with full URLs. If it wants credentials, it
/// refuses both to clients without them. Also returns the first lines of the requests it got.
fn proxy(wants_credentials: bool) -> (Proxy, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let (address, _) = server::raw(move |client| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if !matches!(client.read(&mut byte), Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let line = head.lines().next().unwrap().to_owned();
        log.lock().unwrap().push(line.clone());
        if wants_credentials && !head.contains(CREDENTIALS) {
            let answer = "HTTP/1.1 407 Who\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            return drop(client.write_all(answer.as_bytes()));
        }
        let to = line.split(' ').nth(1).unwrap();
        let (host, first) = match to.strip_prefix("http://") {
            None => (to.to_owned(), String::new()),
            Some(rest) => {
                let (host, path) = rest.split_once('/').unwrap();
                (host.to_owned(), head.replacen(to, &format!("/{path}"), 1))
            }
        };
        let Ok(mut target) = std::net::TcpStream::connect(host) else {
            return drop(client.write_all(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n"));
        };
        if first.is_empty() {
            client.write_all(b"HTTP/1.1 200 Connected\r\nvia: test\r\n\r\n").unwrap();
        }
        target.write_all(first.as_bytes()).unwrap();
        let (mut from, mut back) = (client.try_clone().unwrap(), target.try_clone().unwrap());
        let to = thread::spawn(move || drop(std::io::copy(&mut from, &mut target)));
        drop(std::io::copy(&mut back, client));
        drop(client.shutdown(std::net::Shutdown::Both));
        to.join().unwrap();
    });
    let host = address.ip().to_string();
    (Proxy { host, port: address.port(), credentials: None }, asked)
}

fn error_of(config: &LoadConfig) -> String {
    probe(config, Duration::from_secs(5)).unwrap_err().remove(0).to_string()
}

#[test]
fn https_goes_through_a_tunnel() {
    let (address, pem) = server::https(|seen| {
        assert_eq!(seen.path, "/");
        server::status(200)
    });
    let (proxy, asked) = proxy(true);
    let mut config = config(address);
    config.target.url.https = true;
    config.target.tls.trust = Trust::CaFile("ca.pem".into());
    config.target.tls.server_name = Some("localhost".into());
    config.pem.ca = Some(pem.into_bytes());
    config.target.proxy = Some(proxy.clone());
    let error = error_of(&config);
    assert!(error.contains("CONNECT with 407") && error.contains("credentials"), "{error}");
    assert_eq!(how_twenty_end(config.clone()), BTreeMap::from([(ResponseClass::Proxy, 20)]));

    let credentials = Some(Secret::new("me:hunter2@"));
    config.target.proxy = Some(Proxy { credentials, ..proxy });
    let ended = how_twenty_end(config.clone());
    assert_eq!(ended, BTreeMap::from([(ResponseClass::Status(200), 20)]));
    assert_eq!(asked.lock().unwrap()[0], format!("CONNECT {address} HTTP/1.1"));

    let (_bound, refusing) = server::refusing();
    config.target.url.port = refusing.port();
    let error = error_of(&config);
    assert!(error.contains("CONNECT with 502") && error.contains("may reach"), "{error}");
}

#[test]
fn http_asks_the_proxy_for_whole_addresses() {
    let address = server::http(|seen| {
        assert_eq!(seen.path, "/base/a?b=c");
        server::status(200)
    });
    let (proxy, asked) = proxy(true);
    let mut config = config(address);
    config.requests = vec![get("a", text("/a?b=c"))];
    config.target.url.base_path = "/base".into();
    config.target.proxy = Some(proxy.clone());
    assert_eq!(how_twenty_end(config.clone()), BTreeMap::from([(ResponseClass::Status(407), 20)]));
    let credentials = Some(Secret::new("me:hunter2@"));
    config.target.proxy = Some(Proxy { credentials, ..proxy });
    assert_eq!(how_twenty_end(config), BTreeMap::from([(ResponseClass::Status(200), 20)]));
    let line = format!("GET http://{address}/base/a?b=c HTTP/1.1");
    assert_eq!(asked.lock().unwrap()[0], line);
}

#[test]
fn what_is_no_proxy_is_told() {
    for (answer, says) in [
        ("SSH-2.0\r\n", "not a valid HTTP response"),
        ("", "without answering CONNECT"),
        ("HTTP/1.1 200 OK\r\n\r\nhello", "not a valid HTTP response"),
    ] {
        let (address, _) = server::raw(server::once(answer));
        let mut config = config(address);
        config.target.url.https = true;
        config.target.tls.trust = Trust::Insecure;
        let (host, port) = (address.ip().to_string(), address.port());
        config.target.proxy = Some(Proxy { host, port, credentials: None });
        let error = error_of(&config);
        assert!(error.contains(says) && error.contains("`proxy` in [target]"), "{error}");
    }
}
