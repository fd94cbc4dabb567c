//! The `[target]` table.

use std::ops::Range;

use url::Host;

use super::client::{read_retries, read_reuse, read_storm};
use super::walk::{Section, Value, Walk, optional};
use crate::plan::units::{parse_duration, parse_proxy, parse_target_url};
use crate::plan::{Connections, Dns, HttpVersion, Identity, Proxy, Target, Tls, Trust, nearest};

pub(super) fn read(root: &mut Section<'_, '_>) -> Option<Target> {
    let walk = root.walk;
    let Some(value) = root.take("target") else {
        root.missing("target", "add a table `[target]` with `url = \"http://127.0.0.1:8080\"`");
        return None;
    };
    let mut section = walk.section(value, "a table `[target]`")?;
    let url = section.require("url", "url = \"http://127.0.0.1:8080\"").and_then(|value| {
        if value.get_ref().as_str().is_some_and(|url| url.contains('@')) {
            walk.hide(value.span());
        }
        walk.parsed(value, "a URL such as `http://127.0.0.1:8080`", parse_target_url)
    });
    let timeout = section.take("timeout").and_then(|value| walk.duration(value));
    let connections = section.take("connections").and_then(|value| {
        let choices =
            [("keep-alive", Connections::KeepAlive), ("per-request", Connections::PerRequest)];
        walk.choice(value, &choices)
    });
    let most = section.take("max_connections");
    let max_connections = most.map(|value| read_max_connections(walk, value));
    let reuse = section.take("reuse").map(|value| read_reuse(walk, value));
    let retries = section.take("retries").map(|value| read_retries(walk, value));
    let drop = section.take("drop");
    let storm = read_storm(walk, drop, section.take("backoff"));
    let tls = section.take("tls").and_then(|value| read_tls(walk, value));
    let unix_socket = section.take("unix_socket").map(|value| read_socket(walk, value));
    let has_socket = unix_socket.is_some();
    let dns = section.take("dns").map(|value| read_dns(walk, value, has_socket));
    let proxy = section.take("proxy").map(|value| read_proxy(walk, value, has_socket));
    let version = section.take("version").map(|value| (read_version(walk, value), value.span()));
    let streams = section.take("streams").map(|value| read_streams(walk, value, &version));
    if let Some(most) = most {
        check_http1(walk, ("max_connections", most), &version);
    }
    if let Some(drop) = drop {
        check_http1(walk, ("drop", drop), &version);
        check_kept(walk, drop, connections);
    }
    section.finish();
    let url = url?;
    if let Some((Some(HttpVersion::Http2), span)) = &version
        && proxy.is_some()
        && !url.https
    {
        walk.wrong_with_help(
            span.clone(),
            "a proxy cannot carry HTTP/2 to an `http` target",
            "remove `version` or `proxy`, or use an `https` URL",
        );
    }
    let usual = Target::usual(url);
    Some(Target {
        timeout: timeout.unwrap_or(usual.timeout),
        connections: connections.unwrap_or(usual.connections),
        max_connections: optional(max_connections)?,
        reuse: optional(reuse)?.unwrap_or(usual.reuse),
        dns: optional(dns)?.unwrap_or(usual.dns),
        retries: optional(retries)?,
        storm: storm?,
        tls: tls.unwrap_or(usual.tls),
        unix_socket: match unix_socket {
            Some(path) => Some(path?),
            None => None,
        },
        proxy: optional(proxy)?,
        version: match version {
            Some((version, _)) => version?,
            None => usual.version,
        },
        streams: optional(streams)?.unwrap_or(usual.streams),
        url: usual.url,
    })
}

/// A URL that may contain a user name and a password.
fn read_proxy(walk: &Walk<'_>, value: &Value<'_>, has_socket: bool) -> Option<Proxy> {
    if value.get_ref().as_str().is_some_and(|url| url.contains('@')) {
        walk.hide(value.span());
    }
    if has_socket {
        walk.wrong_with_help(
            value.span(),
            "`proxy` and `unix_socket` cannot be used together",
            "keep the one that reaches the target",
        );
    }
    walk.parsed(value, "a URL such as `http://127.0.0.1:3128`", parse_proxy)
}

/// The `version` of `[target]`, if it has a valid one, and its place.
type Version = Option<(Option<HttpVersion>, Range<usize>)>;

/// Notes a key that works only with HTTP/1.1 in a plan that may use HTTP/2.
fn check_http1(walk: &Walk<'_>, (key, value): (&str, &Value<'_>), version: &Version) {
    if let Some((Some(HttpVersion::Http2 | HttpVersion::Auto), _)) = version {
        walk.wrong_with_help(
            value.span(),
            format!("`{key}` works only with HTTP/1.1: HTTP/2 requests share connections"),
            format!("remove `version` or `{key}`"),
        );
    }
}

/// Notes `drop` in a plan that keeps no connections.
fn check_kept(walk: &Walk<'_>, drop: &Value<'_>, connections: Option<Connections>) {
    if connections == Some(Connections::PerRequest) {
        walk.wrong_with_help(
            drop.span(),
            "`drop` works only with connections that are kept open",
            "remove `connections` or `drop`",
        );
    }
}

/// Connections at most.
fn read_max_connections(walk: &Walk<'_>, value: &Value<'_>) -> Option<usize> {
    let most = walk.integer(value, "a number of connections such as `50`")?;
    if most == 0 {
        walk.wrong(value.span(), "`max_connections` must be at least 1");
    }
    usize::try_from(most).ok().filter(|most| *most > 0)
}

fn read_version(walk: &Walk<'_>, value: &Value<'_>) -> Option<HttpVersion> {
    let choices = [
        ("http/1.1", HttpVersion::Http1),
        ("http/2", HttpVersion::Http2),
        ("auto", HttpVersion::Auto),
    ];
    walk.choice(value, &choices)
}

/// Requests in flight on one HTTP/2 connection.
fn read_streams(walk: &Walk<'_>, value: &Value<'_>, version: &Version) -> Option<usize> {
    let streams = walk.integer(value, "a number of requests such as `100`")?;
    if matches!(version, None | Some((Some(HttpVersion::Http1), _))) {
        walk.wrong_with_help(
            value.span(),
            "`streams` works only with HTTP/2: an HTTP/1.1 connection has one request at a time",
            "add `version = \"http/2\"`, or remove `streams`",
        );
    }
    match usize::try_from(streams) {
        Ok(streams) if streams > 0 => Some(streams),
        _ => {
            walk.wrong(value.span(), "the number of requests must be above zero, such as `100`");
            None
        }
    }
}

/// `once`, `per-connection`, or how long an answer is used.
fn read_dns(walk: &Walk<'_>, value: &Value<'_>, has_socket: bool) -> Option<Dns> {
    const WORDS: [(&str, Dns); 2] = [("once", Dns::Once), ("per-connection", Dns::PerConnection)];
    const WHAT: &str = "`once`, `per-connection` or a duration such as `30s`";
    if has_socket {
        walk.wrong_with_help(
            value.span(),
            "`dns` does not work with `unix_socket`: there is no name to resolve",
            "remove `dns` or `unix_socket`",
        );
    }
    let text = walk.text(value, WHAT)?;
    if let Some((_, dns)) = WORDS.iter().find(|(word, _)| *word == text.value) {
        return Some(*dns);
    }
    match parse_duration(&text.value) {
        Ok(time) if !time.is_zero() => Some(Dns::Every(time)),
        _ => {
            let near = nearest(&text.raw, WORDS.map(|(word, _)| word));
            let help = near.unwrap_or_else(|| "write `dns = \"30s\"`".to_owned());
            walk.wrong_with_help(text.span, format!("`{}` is not {WHAT}", text.raw), help);
            None
        }
    }
}

/// The path of a socket in the file system.
fn read_socket(walk: &Walk<'_>, value: &Value<'_>) -> Option<String> {
    /// Bytes of `sun_path` in `struct sockaddr_un`, without the ending zero (unix(7)).
    const MOST: usize = 107;
    let path = walk.text(value, "the path of a socket such as `/run/app.sock`")?;
    let wrong = match path.value.len() {
        _ if path.value.contains("://") => "expected a file path, found a URL",
        0 => "the path is empty",
        length if length > MOST => "a socket path has at most 107 bytes",
        _ if path.value.contains('\0') => "the path contains a zero byte",
        _ => return Some(path.value),
    };
    walk.wrong_with_help(path.span, wrong, "write `unix_socket = \"/run/app.sock\"`");
    None
}

fn read_tls<'t>(walk: &Walk<'t>, value: &Value<'t>) -> Option<Tls> {
    const FILE: &str = "the path of a PEM file";
    let mut section = walk.section(value, "a table such as `{ ca_file = \"ca.pem\" }`")?;
    let path = |value: &Value<'_>| walk.text(value, FILE).map(|text| text.value);
    let ca_file = section.take("ca_file").map(path);
    let insecure = section.take("insecure").and_then(|value| walk.switch(value)) == Some(true);
    let cert_file = section.take("cert_file").map(path);
    let key_file = section.take("key_file").map(path);
    let resumption = section.take("resumption").and_then(|value| walk.switch(value)) == Some(true);
    let server_name = section.take("server_name").map(|value| {
        walk.parsed(value, "a host name such as `shop.example`", |text| match Host::parse(text) {
            Ok(_) => Ok(text.to_owned()),
            Err(why) => {
                Err(format!("`{text}` is not a valid host name: {why}; write `shop.example`"))
            }
        })
    });
    section.finish();
    let trust = match (ca_file, insecure) {
        (Some(_), true) => {
            walk.wrong_with_help(
                value.span(),
                "`ca_file` and `insecure` cannot be used together",
                "remove `insecure` to have certificates checked",
            );
            None
        }
        (Some(file), false) => file.map(Trust::CaFile),
        (None, true) => Some(Trust::Insecure),
        (None, false) => Some(Trust::SystemRoots),
    };
    let identity = match (cert_file, key_file) {
        (None, None) => None,
        (Some(cert_file), Some(key_file)) => {
            Some(Identity { cert_file: cert_file?, key_file: key_file? })
        }
        (cert_file, _) => {
            let (has, lacks) = match cert_file {
                Some(_) => ("cert_file", "key_file"),
                None => ("key_file", "cert_file"),
            };
            walk.wrong_with_help(
                value.span(),
                format!("`{has}` needs `{lacks}`"),
                format!(
                    "add `{lacks} = \"client.{}\"`",
                    if has == "cert_file" { "key" } else { "pem" }
                ),
            );
            return None;
        }
    };
    let server_name = match server_name {
        Some(name) => Some(name?),
        None => None,
    };
    Some(Tls { trust: trust?, identity, resumption, server_name })
}
