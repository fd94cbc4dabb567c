//! One of each request before any load, so that a wrong address or certificate is met by one
//! request and not by thousands.

use std::io;
use std::time::{Duration, Instant};

use httparse::Header;
use tokio::runtime::{Builder, LocalOptions};

use super::connect::{Connector, Route};
use super::exchange::{Deadline, Failure};
use super::mix::{Draft, Mix};
use super::proxy::NoTunnel;
use super::response::Witness;
use super::{LoadConfig, LoadError};
use crate::timeline::ResponseClass;

/// The response to one request that was sent before any load.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeReport {
    /// Name of the request in the plan.
    pub endpoint: String,
    /// The address that answered, or the path of its socket.
    pub peer: String,
    /// HTTP status.
    pub status: u16,
    /// The `Server` header, if there is one.
    pub server: Option<String>,
    /// From before connecting to the end of the response.
    pub elapsed: Duration,
}

/// Sends one of each request, one after the other, each over a connection of its own.
///
/// # Errors
///
/// One error for each request that got no response. A response is one whatever its status.
pub fn probe(config: &LoadConfig, timeout: Duration) -> Result<Vec<ProbeReport>, Vec<LoadError>> {
    let mut mix = Mix::compile(config, 0, 1)?;
    let route = Route::resolve(config).map_err(|error| vec![error])?;
    let address = route.to_string();
    let connector = Connector::new(route);
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build_local(LocalOptions::default())
        .map_err(|error| vec![LoadError::Thread(error)])?;
    let mut reports = Vec::new();
    let mut errors = Vec::new();
    for (index, request) in config.requests.iter().enumerate() {
        let mut draft = Draft::default();
        mix.draw_for(index, &mut draft);
        let begun = Instant::now();
        let got = runtime.block_on(async {
            let mut deadline = Deadline::new();
            deadline.set(begun + timeout);
            let mut link = connector.connect(&mut deadline).await?;
            let mut server = ServerName(None);
            let status = link.exchange(&mix.build(&draft), &mut deadline, &mut server).await?;
            Ok::<_, Failure>((link.peer, status, server.0))
        });
        let endpoint = request.name.clone();
        match got {
            Ok((peer, status, server)) => {
                let elapsed = begun.elapsed();
                let peer = connector.name(peer);
                reports.push(ProbeReport { endpoint, peer, status, server, elapsed });
            }
            Err(failure) => errors.push(LoadError::NoResponse {
                endpoint,
                address: address.clone(),
                class: failure.class(),
                reason: failure.to_string(),
                hint: hint(&failure, config.target.proxy.is_some()),
            }),
        }
    }
    if errors.is_empty() { Ok(reports) } else { Err(errors) }
}

/// Keeps the `Server` header.
struct ServerName(Option<String>);

impl Witness for ServerName {
    fn head(&mut self, _status: u16, headers: &[Header<'_>]) {
        let named = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("server");
        let value = headers.iter().find(named).map(|header| header.value);
        self.0 = value.map(|value| String::from_utf8_lossy(value).into_owned());
    }
}

/// What to do about it.
fn hint(failure: &Failure, has_proxy: bool) -> &'static str {
    match (failure.class(), failure) {
        (ResponseClass::Connect, Failure::Connect(error)) => match error.kind() {
            _ if has_proxy => "check `proxy` in [target]: it is the proxy that cannot be reached",
            io::ErrorKind::ConnectionRefused => {
                "start the target, or check host and port of `url` in [target]"
            }
            io::ErrorKind::NotFound => "start the target, or check `unix_socket` in [target]",
            io::ErrorKind::PermissionDenied => {
                "run kneepoint as a user who may write to the target's socket"
            }
            io::ErrorKind::TimedOut => {
                "check that no firewall drops the connection, and `timeout` in [target]"
            }
            _ => "check `url` in [target] and the route to it",
        },
        (ResponseClass::Proxy, Failure::Proxy(NoTunnel::Refused(407))) => {
            "give the proxy its credentials: `proxy = \"http://user:password@host:port\"` in \
             [target]"
        }
        (ResponseClass::Proxy, _) => {
            "check `proxy` in [target], whether it may reach the host of `url`, and its own log"
        }
        (ResponseClass::Tls, _) => {
            "check `tls` in [target] (`ca_file`, `server_name`, and `cert_file` if the target wants \
             one), and whether the port speaks TLS"
        }
        (ResponseClass::Timeout, _) => {
            "check whether the target answers by itself, or raise `timeout` in [target]"
        }
        (ResponseClass::Protocol, _) => {
            "check whether the port speaks the `version` of [target] (HTTP/1.1 unless the plan says \
             so), and `http` against `https` in `url`"
        }
        _ => "check the target's own log for why it closed the connection",
    }
}
