//! What users did, from the lines of access logs.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::bursts::{Bursts, Rates};
use super::kinds::Kinds;
use super::sessions::Sessions;
use crate::access_log::{Line, Rewriter, asked};
use crate::plan::METHODS;

/// Requests of a log. Lines come in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub(super) kinds: Kinds,
    pub(super) bursts: Bursts,
    pub(super) sessions: Sessions,
    rewriter: Rewriter,
    lines: u64,
    unread: u64,
    /// Requests that were answered with 4xx.
    pub(super) rejected: Kinds,
    pub(super) unsendable: u64,
}

impl Traffic {
    /// Adds a line of a log: in the common or the combined format, or of Caddy, Traefik, HAProxy, AWS'
    /// load balancer, CloudFront or IIS.
    pub fn line(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.lines += 1;
        if let Some(request) = asked(text) {
            return self.request(text, request);
        }
        let rewritten = self.rewriter.line(text);
        match rewritten.as_deref().and_then(|text| Some((text, asked(text)?))) {
            Some((text, request)) => self.request(text, request),
            // The names of the columns and the like.
            None if text.starts_with('#') => self.lines -= 1,
            None => self.unread += 1,
        }
    }

    fn request(&mut self, text: &str, (line, method, target): (Line<'_>, &str, &str)) {
        self.bursts.count(line.second);
        if !METHODS.contains(&method) {
            self.unsendable += 1;
            return;
        }
        // Scanners ask for what does not exist, and a plan that is made of a log leaves it out too.
        // What is refused for its rate (429) comes from real users.
        if (400..500).contains(&line.status) && line.status != 429 {
            self.unsendable += u64::from(self.rejected.count(method, target).is_none());
            return;
        }
        let Some(counted) = self.kinds.count(method, target) else {
            self.unsendable += 1;
            return;
        };
        let has_failed = line.status >= 500 || line.status == 429;
        self.sessions.add(client(text, line.rest), line.second, counted, has_failed);
    }

    /// Lines that were read, and how many of them are not requests.
    pub fn lines(&self) -> (u64, u64) {
        (self.lines, self.unread)
    }

    /// Requests that a plan could send.
    pub fn requests(&self) -> u64 {
        self.kinds.total
    }

    pub(super) fn rates(&self) -> Rates {
        self.bursts.clone().rates()
    }
}

/// Who asked: the address and the browser. `vhost_combined` has the server before the address.
fn client(text: &str, rest: &str) -> u64 {
    let mut words = text.split(' ');
    let first = words.next().unwrap_or_default();
    let address = match first.rsplit_once(':') {
        // A name with a port, and not an address of IPv6.
        Some((name, port)) if !name.contains(':') && port.bytes().all(|it| it.is_ascii_digit()) => {
            words.next().unwrap_or_default()
        }
        _ => first,
    };
    let browser = rest.split('"').nth(3).unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    (address, browser).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_by_address_and_browser() {
        let of = |begin: &str, browser: &str| {
            client(&format!("{begin} - - [x]"), &format!(" \"http://a\" \"{browser}\" 0.01"))
        };
        assert_eq!(of("10.0.0.1", "a"), of("10.0.0.1", "a"));
        assert_ne!(of("10.0.0.1", "a"), of("10.0.0.1", "b"));
        assert_ne!(of("10.0.0.1", "a"), of("10.0.0.2", "a"));
        assert_eq!(of("shop:443 10.0.0.1", "a"), of("10.0.0.1", "a"));
        assert_ne!(of("::1", "a"), of("::2", "a"));
    }

    #[test]
    fn logs_of_other_servers_have_the_same_clients() {
        macro_rules! sample {
            ($name:literal) => {
                include_str!(concat!("../../tests/data/formats/accesslog-", $name, ".sample.log"))
            };
        }
        for (name, sample) in [
            ("caddy", sample!("caddy")),
            ("traefik", sample!("traefik-json")),
            ("haproxy", sample!("haproxy")),
            ("alb", sample!("alb")),
            ("cloudfront", sample!("cloudfront")),
            ("iis", sample!("iis")),
        ] {
            let mut traffic = Traffic::default();
            let mut clients = std::collections::BTreeSet::new();
            for line in sample.lines() {
                traffic.line(line);
                let line = traffic.rewriter.line(line);
                clients.extend(line.map(|it| it.split(' ').next().unwrap_or_default().to_owned()));
            }
            let ((lines, unread), requests) = (traffic.lines(), traffic.requests());
            assert!(
                (12..=20).contains(&requests),
                "{name}: {requests} of {lines}, {unread} unread"
            );
            let is_address =
                |it: &String| it.contains('.') && !it.contains(':') || it.contains("::");
            assert!(!clients.is_empty() && clients.iter().all(is_address), "{name}: {clients:?}");
        }
    }

    #[test]
    fn what_a_plan_cannot_send_is_counted_apart() {
        let mut traffic = Traffic::default();
        let line = |request: &str, status: u16| {
            format!(r#"10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] "{request}" {status} 5 "-" "x""#)
        };
        traffic.line(&line("GET /a HTTP/1.1", 200));
        traffic.line(&line("GET /a HTTP/1.1", 429));
        traffic.line(&line("GET /wp-login.php HTTP/1.1", 404));
        traffic.line(&line("PROPFIND / HTTP/1.1", 207));
        traffic.line("no request at all");
        traffic.line("");
        assert_eq!((traffic.lines(), traffic.requests()), ((5, 1), 2));
        assert_eq!((traffic.rejected.total, traffic.unsendable), (1, 1));
    }
}
