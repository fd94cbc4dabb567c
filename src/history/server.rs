//! Asks a server over Prometheus' HTTP API. What fails for a moment is asked again.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;

use super::answer::{self, Refusal};
use super::error::HistoryError;
use crate::collect::http::{self, Http};
use crate::plan::Secret;

/// Longest time for one answer. Servers end a query after 2 minutes by default.
const TIMEOUT: Duration = Duration::from_secs(130);
/// Largest answer that is read. A larger one is asked for in parts.
const MOST_BYTES: usize = 64 << 20;
/// Longest query of a URL that is sent as one: proxies allow 8 kB for the whole line. A longer one
/// is sent as a form.
const LONGEST_QUERY: usize = 4000;
/// How long to wait before a request that failed is sent again.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_millis(800), Duration::from_secs(2)];

const URL_HINT: &str = "write `http://host:9090`, or what stands before `/api/v1` in the server's \
                        addresses, such as `https://host/prometheus`";

const CERTIFICATE_HINT: &str = "the server asks for a certificate: give one that it knows with \
                                `--cert-file client.pem --key-file client.key`";

/// Where the server is, and who asks.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Its URL; may hold user and password.
    pub url: String,
    /// Token for the header `Authorization: Bearer`.
    pub bearer: Option<Secret>,
    /// Further headers, such as `X-Scope-OrgID`.
    pub headers: Vec<(String, Secret)>,
    /// PEM file of the authority that signed the server's certificate.
    pub ca_file: Option<String>,
    /// PEM files of the certificate that the server asks for, and of its key.
    pub identity: Option<(String, String)>,
}

/// A server that stores metrics.
pub(super) struct Server {
    http: Http,
    headers: HeaderMap,
}

/// Why an answer is missing.
pub(super) enum AskError {
    /// It asks for more than the server allows at a time; with what the server said.
    TooMuch(HistoryError),
    /// The server does not allow this question; another one may do.
    Refused(HistoryError),
    /// There is no use in asking anything.
    Fatal(HistoryError),
}

impl From<AskError> for HistoryError {
    fn from(error: AskError) -> Self {
        let (AskError::TooMuch(error) | AskError::Refused(error) | AskError::Fatal(error)) = error;
        error
    }
}

impl Server {
    /// Prepares to ask; sends nothing yet.
    pub(super) fn open(access: &Access) -> Result<Self, HistoryError> {
        let ca_file = access.ca_file.as_deref();
        let identity = access.identity.as_ref().map(|(cert, key)| (cert.as_str(), key.as_str()));
        let (what, trust) = ("the Prometheus `--url`", (ca_file, identity));
        let http = Http::open_as(what, &access.url, trust, TIMEOUT, URL_HINT)
            .map_err(|error| HistoryError::Unusable { what: error.what, hint: error.hint })?;
        let mut headers = HeaderMap::new();
        for (name, value) in &access.headers {
            let (name, value) = header(name, value.reveal())?;
            headers.append(name, value);
        }
        if let Some(token) = &access.bearer {
            let (_, value) = header("authorization", &format!("Bearer {}", token.reveal()))?;
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self { http, headers })
    }

    /// The address without its secrets.
    pub(super) fn shown(&self) -> &str {
        self.http.shown.trim_end_matches('/')
    }

    /// The data that the server answers to a question about `path`, such as `query`.
    pub(super) fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<T, AskError> {
        let mut pauses = PAUSES.iter();
        loop {
            let refusal = match self.http.runtime.block_on(self.fetch(path, parameters)) {
                Ok((status, Some(body))) => match answer::data(status, &body) {
                    Ok(data) => return Ok(data),
                    Err(refusal) => (status, refusal),
                },
                Ok((status, None)) => {
                    let more = format!("sends more than {} MiB at a time", MOST_BYTES >> 20);
                    (status, Refusal::TooMuch(more))
                }
                Err(error) if error.is_timeout() => {
                    (0, Refusal::TooMuch(format!("did not answer within {} s", TIMEOUT.as_secs())))
                }
                Err(error) => {
                    (0, Refusal::Failed(format!("cannot be read: {}", http::cause(error))))
                }
            };
            match (pauses.next(), refusal) {
                (Some(pause), (_, Refusal::Failed(_))) => std::thread::sleep(*pause),
                (_, (status, refusal)) => return Err(self.error(status, refusal)),
            }
        }
    }

    async fn fetch(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(u16, Option<Vec<u8>>), reqwest::Error> {
        let mut url = self.http.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}/api/v1/{path}"));
        let form = form(parameters);
        let request = match form.len() > LONGEST_QUERY {
            true => self
                .http
                .client
                .post(url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form),
            false => {
                add_query(&mut url, parameters);
                self.http.client.get(url)
            }
        };
        let response = request.headers(self.headers.clone()).send().await?;
        let status = response.status().as_u16();
        Ok((status, http::body(response, MOST_BYTES).await?))
    }

    fn error(&self, status: u16, refusal: Refusal) -> AskError {
        let error = |what: String, hint: &str| HistoryError::Answer {
            url: self.shown().to_owned(),
            what,
            hint: hint.to_owned(),
        };
        match refusal {
            Refusal::TooMuch(what) => AskError::TooMuch(error(
                what,
                "read a shorter time (`--from`, `--to`), or fewer series (`--match`)",
            )),
            Refusal::Refused(what) => match status {
                401 | 403 => AskError::Fatal(error(
                    what,
                    "give `--bearer '${TOKEN}'`, `--header 'NAME: VALUE'`, or user and password \
                     in `--url`",
                )),
                404 => AskError::Fatal(error(what, URL_HINT)),
                400 if what.contains("HTTPS") => AskError::Fatal(error(what, "write `https://`")),
                // nginx answers with a page where the client's is missing or not a known one.
                400 | 495 | 496 if what.contains("certificate") => {
                    AskError::Fatal(error(what, CERTIFICATE_HINT))
                }
                _ => AskError::Refused(error(what, "the server does not allow this question")),
            },
            Refusal::Failed(what) if status == 0 => {
                let hint = unreachable_hint(&what);
                AskError::Fatal(error(what, hint))
            }
            Refusal::Failed(what) => AskError::Fatal(error(
                what,
                "it was asked four times; look at the server's own log, or ask again later",
            )),
            Refusal::Foreign(what) => AskError::Fatal(error(what, URL_HINT)),
        }
    }
}

/// What to do about a server that could not be asked, by what the connection came to.
fn unreachable_hint(what: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| what.contains(word));
    if says(&["invalid peer certificate", "UnknownIssuer"]) {
        "the server's certificate is not from a known authority, or for another name: give the \
         authority with `--ca-file ca.pem`, and the name that is in the certificate in `--url`"
    } else if says(&["CertificateRequired", "BadCertificate", "HandshakeFailure", "UnknownCA"]) {
        CERTIFICATE_HINT
    } else if says(&["InvalidContentType"]) {
        "it does not speak TLS there: write `http://`, or the port of its TLS"
    } else {
        "does the server run, and does it listen there? check host, port and firewall"
    }
}

/// Adds parameters, behind those that the address has itself.
fn add_query(url: &mut Url, parameters: &[(&str, &str)]) {
    let mut pairs = url.query_pairs_mut();
    for (name, value) in parameters {
        pairs.append_pair(name, value);
    }
}

fn form(parameters: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters {
        form.append_pair(name, value);
    }
    form.finish()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), HistoryError> {
    let parsed = HeaderName::try_from(name.trim()).ok().zip(HeaderValue::try_from(value).ok());
    let Some((name, mut value)) = parsed else {
        return Err(HistoryError::Unusable {
            what: format!("the header `{}` has a character that is not allowed", name.trim()),
            hint: "write `NAME: VALUE`, such as `X-Scope-OrgID: team-a`".to_owned(),
        });
    };
    value.set_sensitive(true);
    Ok((name, value))
}
