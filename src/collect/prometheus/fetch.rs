//! Fetches the text of one endpoint over HTTP, with limits on time and size.

use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};

use crate::collect::OpenError;
use crate::collect::http::{self, Http};
use crate::plan::CollectorConfig;

/// Largest response body that is read.
const MOST_BYTES: usize = 16 << 20;

/// Prefers the text format, because every client library writes it.
const ACCEPTED: &str =
    "text/plain;version=0.0.4;q=1, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1";

const PATHS_HINT: &str = "is this the path of the metrics? usual ones are `/metrics`, \
                          `/actuator/prometheus` and `/q/metrics`";

/// Where a service exposes its metrics.
pub(super) struct Endpoint {
    http: Http,
    token: Option<String>,
    timeout: Duration,
}

/// Why there is no text. Contains no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// No complete response within the time limit.
    #[error("`{url}` did not answer completely within {seconds} s")]
    Timeout { url: String, seconds: f64 },
    /// The connection failed or broke.
    #[error("cannot get `{url}`: {why}")]
    Connection { url: String, why: String },
    /// A response whose status is not a success.
    #[error("`{url}` returned status {status}")]
    Status { url: String, status: u16 },
    /// A successful response with a page for humans.
    #[error("`{url}` returned an HTML page, not metrics")]
    Html { url: String },
    /// The response is too large to be metrics.
    #[error("`{url}` returned more than {} MiB", MOST_BYTES >> 20)]
    TooLarge { url: String },
}

impl Endpoint {
    /// Prepares to fetch the endpoint that `config` names; sends nothing yet. One fetch may take as
    /// long as `interval`, but at least one second and at most five.
    pub(super) fn open(config: &CollectorConfig, interval: Duration) -> Result<Self, OpenError> {
        let text = config.text("url").unwrap_or_default();
        let timeout = interval.clamp(Duration::from_secs(1), Duration::from_secs(5));
        let hint = "write `http://host:port/metrics`";
        let http = Http::open("the Prometheus `url`", text, config.text("ca_file"), timeout, hint)?;
        let token = config.text("bearer_token").map(str::to_owned);
        Ok(Self { http, token, timeout })
    }

    /// Fetches the text.
    pub(super) fn fetch(&self) -> Result<String, FetchError> {
        self.http.runtime.block_on(self.fetch_text())
    }

    async fn fetch_text(&self) -> Result<String, FetchError> {
        let mut request = self.http.client.get(self.http.url.clone()).header(ACCEPT, ACCEPTED);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| self.failure(error))?;
        let url = || self.http.shown.clone();
        if !response.status().is_success() {
            return Err(FetchError::Status { url: url(), status: response.status().as_u16() });
        }
        let kind = response.headers().get(CONTENT_TYPE);
        if kind.and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.contains("text/html")) {
            return Err(FetchError::Html { url: url() });
        }
        let body = http::body(response, MOST_BYTES).await.map_err(|error| self.failure(error))?;
        let body = body.ok_or_else(|| FetchError::TooLarge { url: url() })?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    fn failure(&self, error: reqwest::Error) -> FetchError {
        let url = self.http.shown.clone();
        if error.is_timeout() {
            return FetchError::Timeout { url, seconds: self.timeout.as_secs_f64() };
        }
        FetchError::Connection { url, why: http::cause(error) }
    }

    /// The same failure as a reason not to start, with what to do about it.
    pub(super) fn open_error(&self, error: &FetchError) -> OpenError {
        let hint = match error {
            FetchError::Timeout { .. } => "check host, port and firewall",
            FetchError::Connection { why, .. } if why.contains("certificate") => {
                "name the authority's certificate as `ca_file` in [collect.prometheus]"
            }
            FetchError::Connection { .. } => {
                "does the service run, and does it listen there? check `url` in \
                 [collect.prometheus]"
            }
            FetchError::Status { status: 401 | 403, .. } => {
                "give `bearer_token`, or user and password in `url`"
            }
            FetchError::Status { .. } | FetchError::Html { .. } | FetchError::TooLarge { .. } => {
                PATHS_HINT
            }
        };
        OpenError::new(error.to_string(), hint)
    }

    /// Says that `body` holds no metrics, and what it seems to hold instead.
    pub(super) fn no_metrics(&self, body: &str) -> OpenError {
        let shown = &self.http.shown;
        let what = match body.trim_start().chars().next() {
            None => format!("`{shown}` returned nothing"),
            Some('<') => FetchError::Html { url: shown.clone() }.to_string(),
            Some('[' | '{') => format!("`{shown}` returned JSON, not metrics"),
            Some(_) => format!("`{shown}` returned text without a single metric"),
        };
        OpenError::new(what, PATHS_HINT)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.http.shown)
    }
}
