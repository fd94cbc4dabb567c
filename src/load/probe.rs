//! Single requests before and after the load. Each request of the plan is sent once before the
//! load, so that a wrong address or certificate costs one request and not thousands. Steps that a
//! plan wants done once are also sent here.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use httparse::Header;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};

use super::config::{FlowConfig, LoadConfig};
use super::connect::{Connector, Route};
use super::deadline::Deadline;
use super::error::LoadError;
use super::failure::{Failure, NoTunnel};
use super::mix::Mix;
use super::program::Todo;
use super::response::Observer;
use super::review::Review;
use super::session::Session;
use crate::plan;
use crate::timeline::ResponseClass;

/// The response to one request that was sent alone.
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
    /// What differs from the plan: checks that failed, values that were not found.
    pub missed: Vec<String>,
    /// From before the connection to the end of the response.
    pub elapsed: Duration,
}

/// Sends each request of each journey once, one after another, each over a new connection.
/// Probabilities, conditions and pauses are ignored.
///
/// # Errors
///
/// One error for each request without a response. A response counts whatever its status is.
pub fn probe(config: &LoadConfig, timeout: Duration) -> Result<Vec<ProbeReport>, Vec<LoadError>> {
    let (reports, errors) = probe_journeys(config, timeout, &|_| true)?;
    if errors.is_empty() { Ok(reports) } else { Err(errors) }
}

/// Responses, and requests without one.
pub type Probed = (Vec<ProbeReport>, Vec<LoadError>);

/// The same for the journeys that contain one of these requests, with the responses of those that
/// had one.
///
/// # Errors
///
/// If nothing could be sent.
pub fn probe_again(
    config: &LoadConfig,
    timeout: Duration,
    requests: &[&str],
) -> Result<Probed, Vec<LoadError>> {
    let is_meant = |journey: &plan::Journey| {
        journey.requests().into_iter().any(|(request, _)| {
            config.requests.get(request).is_some_and(|it| requests.contains(&it.name.as_str()))
        })
    };
    probe_journeys(config, timeout, &is_meant)
}

fn probe_journeys(
    config: &LoadConfig,
    timeout: Duration,
    is_meant: &dyn Fn(&plan::Journey) -> bool,
) -> Result<Probed, Vec<LoadError>> {
    let mut scout = Scout::new(config, timeout)?;
    let mut reports = Vec::new();
    let mut errors = Vec::new();
    for (index, journey) in config.journeys.iter().enumerate() {
        if !is_meant(journey) {
            continue;
        }
        let mut session = Session::default();
        scout.mix.begin_journey(index, &mut session);
        let mut asked = Vec::new();
        for (request, _) in journey.requests() {
            if asked.contains(&request) {
                continue;
            }
            asked.push(request);
            match scout.draw_and_ask(request, &mut session) {
                Ok(report) => reports.push(report),
                Err(error) => {
                    errors.push(error);
                    // Later requests may need a value that was to be captured here.
                    break;
                }
            }
        }
    }
    Ok((reports, errors))
}

/// What the steps done once have captured, and how each of them was answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Once {
    /// By name.
    pub captured: BTreeMap<String, String>,
    /// In order.
    pub reports: Vec<ProbeReport>,
}

/// Does `steps` once, as one user.
///
/// # Errors
///
/// The first request without a response. No request is sent after it.
pub fn once(
    config: &LoadConfig,
    steps: &[plan::Step],
    timeout: Duration,
) -> Result<Once, Vec<LoadError>> {
    let journey = plan::Journey {
        steps: steps.to_vec(),
        cookies: true,
        ..plan::Journey::of_one("once", 1.0, 0)
    };
    let config = LoadConfig {
        journeys: vec![journey],
        flows: vec![FlowConfig::open(plan::Arrivals::Even, 1)],
        ..config.clone()
    };
    let mut scout = Scout::new(&config, timeout)?;
    let mut session = Session::default();
    scout.mix.begin_journey(0, &mut session);
    let mut once = Once::default();
    while let Ok(todo) = scout.mix.next(&mut session) {
        match todo {
            Todo::Done => break,
            Todo::Think(pause) => std::thread::sleep(pause),
            Todo::Request(endpoint) => {
                once.reports.push(scout.ask(endpoint, &mut session).map_err(|error| vec![error])?);
            }
        }
    }
    for (slot, name) in scout.mix.captured_names().iter().enumerate() {
        if let Some(value) = session.captured(slot) {
            once.captured.insert(name.clone(), value.to_owned());
        }
    }
    Ok(once)
}

/// Sends single requests.
struct Scout<'c> {
    config: &'c LoadConfig,
    mix: Mix,
    connector: Connector,
    address: String,
    runtime: LocalRuntime,
    timeout: Duration,
}

impl<'c> Scout<'c> {
    fn new(config: &'c LoadConfig, timeout: Duration) -> Result<Self, Vec<LoadError>> {
        let mix = Mix::compile(config, 0, 1)?;
        let route = Route::resolve(config).map_err(|error| vec![error])?;
        let address = route.to_string();
        let connector = Connector::new(route);
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build_local(LocalOptions::default())
            .map_err(|error| vec![LoadError::Thread(error)])?;
        Ok(Self { config, mix, connector, address, runtime, timeout })
    }

    fn draw_and_ask(
        &mut self,
        endpoint: usize,
        session: &mut Session,
    ) -> Result<ProbeReport, LoadError> {
        // A sequence of one value that may not start again: the load would have nothing to do.
        self.mix.draw(endpoint, session).map_err(|_| LoadError::NoRequests)?;
        self.ask(endpoint, session)
    }

    fn ask(&mut self, endpoint: usize, session: &mut Session) -> Result<ProbeReport, LoadError> {
        let Self { config, mix, connector, address, runtime, timeout } = self;
        let name = config.requests[endpoint].name.clone();
        let begun = Instant::now();
        let look = mix.look(endpoint, session.journey);
        let review = Review::new(&look.inspection, look.keeps_cookies);
        let mut seen = Seen { server: None, review };
        let request = mix.build(endpoint, session);
        let got = runtime.block_on(async {
            let mut deadline = Deadline::new();
            deadline.set(begun + *timeout);
            let mut link = connector.connect(&mut deadline).await?;
            let status = link.exchange(&request, Instant::now(), &mut deadline, &mut seen).await?;
            Ok::<_, Failure>((link.peer, status))
        });
        match got {
            Ok((peer, status)) => {
                let is_https = config.target.url.https;
                let missed = session.take_in(&mut seen.review, &request.target(), is_https);
                let checks = missed.checks.iter().map(|check| look.inspection.text_of(*check));
                let captures = missed.captures.iter().map(|slot| &mix.captured_names()[*slot]);
                Ok(ProbeReport {
                    missed: checks
                        .map(|check| format!("failed check: {check}"))
                        .chain(captures.map(|capture| format!("{name}: `{capture}` was not found")))
                        .collect(),
                    endpoint: name,
                    peer: connector.name(peer),
                    status,
                    server: seen.server,
                    elapsed: begun.elapsed(),
                })
            }
            Err(failure) => Err(LoadError::NoResponse {
                endpoint: name,
                address: address.clone(),
                class: failure.class(),
                reason: failure.to_string(),
                hint: hint(&failure, config.target.proxy.is_some()),
            }),
        }
    }
}

/// Keeps the `Server` header, and what the plan inspects.
struct Seen<'s> {
    server: Option<String>,
    review: Review<'s>,
}

impl Observer for Seen<'_> {
    fn head(&mut self, status: u16, headers: &[Header<'_>]) {
        let named = |header: &&Header<'_>| header.name.eq_ignore_ascii_case("server");
        let value = headers.iter().find(named).map(|header| header.value);
        self.server = value.map(|value| String::from_utf8_lossy(value).into_owned());
        self.review.head(status, headers);
    }

    fn body(&mut self, bytes: &[u8]) {
        self.review.body(bytes);
    }
}

/// What to do about it.
fn hint(failure: &Failure, has_proxy: bool) -> &'static str {
    match (failure.class(), failure) {
        (ResponseClass::Connect, Failure::Connect(error)) => match error.kind() {
            _ if has_proxy => "the proxy cannot be reached: check `proxy` in [target]",
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
