//! A plan from only a URL, and the defaults of every plan.

use std::collections::BTreeMap;
use std::time::Duration;

use super::model::DEFAULT_SEED;
use super::units::parse_target_url;
use super::{
    Arrivals, Breakpoint, Capacity, CollectorConfig, Connections, Dns, Executor, Gate, HttpVersion,
    Journey, Limits, Plan, Request, Reuse, Scenario, Segment, Soak, Target, TargetUrl, Template,
    Tls,
};

/// Timeout of a request, unless the plan sets one.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl Breakpoint {
    /// The default search: from 10 to 2000 journeys per second, 1.5 times more in each stage, 5 s a
    /// stage.
    pub fn usual() -> Self {
        Self {
            start_rate: 10.0,
            max_rate: 2000.0,
            factor: 1.5,
            hold: Duration::from_secs(5),
            recovery: Duration::from_secs(5),
            probe: true,
        }
    }
}

impl Capacity {
    /// Finest precision. A finer answer would be noise.
    pub const FINEST: f64 = 0.01;

    /// The default search: from 10 to 2000 journeys per second, 10 s a stage, to within 5 %.
    pub fn usual() -> Self {
        Self { start_rate: 10.0, max_rate: 2000.0, hold: Duration::from_secs(10), precision: 0.05 }
    }
}

impl Soak {
    /// The default soak at this rate: for the whole duration, then 10 s of recovery.
    pub fn usual(rate: f64, duration: Duration) -> Self {
        Self { rate, duration, until_settled: false, recovery: Duration::from_secs(10) }
    }

    /// How long it takes at most.
    pub fn length(&self) -> Duration {
        self.duration.saturating_add(self.recovery)
    }
}

impl Limits {
    /// The default limits: 5000 requests per second, 2000 in flight, 30 minutes. There is no error
    /// budget: a search for the breakpoint has to go beyond it, where an overload or a rate limiter
    /// can fail most requests.
    pub fn usual() -> Self {
        Self {
            max_rate: 5000.0,
            max_in_flight: 2000,
            max_duration: Duration::from_secs(30 * 60),
            error_budget: 1.0,
            hosts: Vec::new(),
            kill_switch: None,
        }
    }
}

impl Plan {
    /// The plan of `kneepoint run URL`: `GET` of that URL's path and query, a search for the
    /// breakpoint, and these collectors.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL, and what to write instead.
    ///
    /// ```
    /// use kneepoint::plan::Plan;
    ///
    /// let plan = Plan::for_url("http://127.0.0.1:8080/search?q=shoes", Vec::new())?;
    /// assert_eq!(plan.requests[0].name, "GET /search?q=shoes");
    /// assert_eq!(plan.scenarios[0].executor.name(), "breakpoint");
    /// # Ok::<(), String>(())
    /// ```
    pub fn for_url(url: &str, collectors: Vec<CollectorConfig>) -> Result<Plan, String> {
        let (base, path) = split_path(url);
        let target_url = parse_target_url(&base)?;
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let name = target_url.authority();
        let path = Template(vec![Segment::Text(path)]).with_secret_query_hidden();
        let request = Request::get(format!("GET {}", String::from(path.clone())), path);
        let journeys = vec![Journey::of_one(request.name.clone(), 1.0, 0)];
        let search = Executor::Breakpoint(Breakpoint::usual());
        Ok(Plan {
            name,
            target: Target::usual(target_url),
            requests: vec![request],
            data: BTreeMap::new(),
            journeys,
            setup: Vec::new(),
            teardown: Vec::new(),
            scenarios: vec![Scenario::only(search, Arrivals::Even, 1)],
            objectives: Vec::new(),
            gate: Gate::default(),
            limits: Limits::usual(),
            canaries: Vec::new(),
            websockets: Vec::new(),
            collectors,
            agents: Vec::new(),
            seed: DEFAULT_SEED,
        })
    }
}

impl Plan {
    /// The text of the plan of `kneepoint run URL`: its target, its request and the highest rate,
    /// for a generator on another machine.
    ///
    /// ```
    /// use kneepoint::plan::{Plan, parse};
    ///
    /// let url = "http://127.0.0.1:8080/search?q=shoes&filter={a}${b}";
    /// let plan = parse(&Plan::text_for_url(url, 50.0), "plan", &[], &|_| None)?;
    /// assert_eq!(plan.requests, Plan::for_url(url, Vec::new())?.requests);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn text_for_url(url: &str, max_rate: f64) -> String {
        let (base, path) = split_path(url);
        let path = if path.is_empty() { "/".to_owned() } else { path };
        let path = path.replace('{', "{{").replace('}', "}}").replace("${", "$${");
        let text = |text: String| toml::Value::String(text);
        format!(
            "[target]\nurl = {}\n[[request]]\npath = {}\n[limits]\nmax_rate = {max_rate:?}\n",
            text(base),
            text(path)
        )
    }
}

impl Target {
    /// Requests in flight on one HTTP/2 connection, unless the plan sets a number. Most servers
    /// allow this many.
    pub const USUAL_STREAMS: usize = 100;

    /// A target with only a URL, and defaults for the rest.
    pub fn usual(url: TargetUrl) -> Self {
        Self {
            url,
            connections: Connections::KeepAlive,
            max_connections: None,
            reuse: Reuse::default(),
            dns: Dns::Once,
            retries: None,
            storm: None,
            timeout: DEFAULT_TIMEOUT,
            tls: Tls::usual(),
            unix_socket: None,
            version: HttpVersion::Http1,
            streams: Self::USUAL_STREAMS,
            proxy: None,
        }
    }
}

/// Splits a URL into `scheme://authority` and the path with its query. Like a browser, it drops a
/// fragment.
fn split_path(url: &str) -> (String, String) {
    let url = url.split('#').next().unwrap_or_default();
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    match url[after_scheme..].find(['/', '?']) {
        None => (url.to_owned(), String::new()),
        Some(at) => {
            let (base, path) = url.split_at(after_scheme + at);
            let slash = if path.starts_with('/') { "" } else { "/" };
            (base.to_owned(), format!("{slash}{path}"))
        }
    }
}
