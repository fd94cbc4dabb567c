//! `http.baseUrl(…)…`: what all requests of a scenario have in common.

use super::simulation::{Protocol, Simulation, flat};
use crate::convert::http;
use crate::convert::script::value::{Known, Link};
use crate::convert::template::Template;

/// Settings that change nothing that a plan knows.
const HARMLESS: [&str; 22] = [
    "disableFollowRedirect",
    "disableCaching",
    "disableAutoReferer",
    "disableAutoOrigin",
    "disableWarmUp",
    "warmUp",
    "shareConnections",
    "maxConnectionsPerHost",
    "silentResources",
    "disableUrlEncoding",
    "enableHttp2",
    "http2PriorKnowledge",
    "strict302Handling",
    "redirectNamingStrategy",
    "silentUri",
    "wsBaseUrl",
    "wsReconnect",
    "wsMaxReconnects",
    "nameInferredHtmlResources",
    "nameInferredHtmlResourcesAfterUrlTail",
    "useAllLocalAddresses",
    "shareDnsCache",
];

impl Simulation<'_, '_> {
    /// The protocol of a scenario: the one for HTTP of those that it is given.
    pub(super) fn protocol_of(&mut self, given: &[Known], line: usize) -> Option<Protocol> {
        for known in &flat(given) {
            match known.links() {
                [first, rest @ ..] if first.name == "http" => {
                    let mut protocol = Protocol::default();
                    rest.iter().for_each(|link| self.setting(link, &mut protocol));
                    return Some(protocol);
                }
                [first, ..] => {
                    let name = first.name.escape_debug();
                    self.lost(first.line, format!("the protocol `{name}`: a plan sends HTTP"));
                }
                [] => self.lost(line, "a protocol that this file does not define"),
            }
        }
        None
    }

    fn setting(&mut self, link: &Link, protocol: &mut Protocol) {
        let (line, arguments) = (link.line, link.arguments.as_slice());
        let first = arguments.first();
        match link.name.as_str() {
            "baseUrl" | "baseUrls" | "baseURL" => {
                let urls = match first {
                    Some(Known::List(items)) => items.to_vec(),
                    _ => arguments.to_vec(),
                };
                if urls.len() > 1 {
                    let text = format!("base URLs but the first of {}", urls.len());
                    self.lost(line, text);
                }
                if let Some(url) = urls.first() {
                    let url = self.text(url, line);
                    protocol.base = self.is_target(&url, line).then_some(url);
                }
            }
            "header" => {
                if let [name, value, ..] = arguments
                    && let Some(name) = name.fixed()
                {
                    protocol.headers.push((name, value.clone(), line));
                }
            }
            "headers" => {
                for (name, value) in first.map_or(&[][..], Known::entries) {
                    protocol.headers.push((name.clone(), value.clone(), line));
                }
            }
            "basicAuth" => protocol.is_basic = true,
            "check" => protocol.checks.extend(arguments.iter().map(|it| (it.clone(), line))),
            "inferHtmlResources" => {
                let text = "`inferHtmlResources`: the plan does not request what pages embed";
                self.lost(line, text);
            }
            name if HARMLESS.contains(&name) => {}
            name => match (header_of(name), first) {
                (Some(header), Some(value)) => {
                    protocol.headers.push((header, value.clone(), line));
                }
                _ => {
                    let text = format!("`{}` of the protocol", name.escape_debug());
                    self.lost(line, text);
                }
            },
        }
    }

    /// Whether a base URL is one. The first of a simulation is the target of the plan.
    fn is_target(&mut self, url: &Template, line: usize) -> bool {
        let Some(url) = url.fixed() else { return true };
        match http::address(&url) {
            Ok(address) => {
                if address.credentials {
                    http::note_credentials(&mut self.machine.artifact.notes, line);
                }
                self.machine.target.base.get_or_insert_with(|| address.before_paths());
                true
            }
            Err(why) => {
                self.lost(line, format!("the base URL: {why}"));
                false
            }
        }
    }
}

/// The header that a method such as `acceptLanguageHeader` sets.
fn header_of(method: &str) -> Option<String> {
    let name = method.strip_suffix("Header").filter(|name| !name.is_empty())?;
    if name == "doNotTrack" {
        return Some("dnt".to_owned());
    }
    let mut header = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !header.is_empty() {
            header.push('-');
        }
        header.push(c.to_ascii_lowercase());
    }
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorthands_name_their_headers() {
        for (method, header) in [
            ("acceptHeader", Some("accept")),
            ("acceptLanguageHeader", Some("accept-language")),
            ("userAgentHeader", Some("user-agent")),
            ("doNotTrackHeader", Some("dnt")),
            ("Header", None),
            ("proxy", None),
        ] {
            assert_eq!(header_of(method).as_deref(), header, "{method}");
        }
    }
}
