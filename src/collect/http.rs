//! Fetches from a watched service over HTTP, with limits on time and size. No message shows a secret
//! of the URL.

use std::error::Error as _;
use std::time::Duration;

use reqwest::{Client, Response, Url};
use tokio::runtime::Runtime;

use super::OpenError;
use super::tls::{Check, client_config_as};
use crate::plan::redact_url;

/// The innermost cause, which is the clearest; the outer ones repeat the URL with its password.
pub(crate) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut why = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        why = inner.to_string();
        cause = inner.source();
    }
    why
}

/// What is asked, and how.
pub(crate) struct Http {
    pub client: Client,
    /// Requests run on it, each in its collector's thread.
    pub runtime: Runtime,
    pub url: Url,
    /// The URL without its secrets, for messages.
    pub shown: String,
}

impl Http {
    /// Prepares to ask the URL in `text`, which messages call `what`; sends nothing yet. `hint` says
    /// what to write instead of a URL that cannot be used.
    pub fn open(
        what: &str,
        text: &str,
        ca_file: Option<&str>,
        timeout: Duration,
        hint: &str,
    ) -> Result<Self, OpenError> {
        Self::open_as(what, text, (ca_file, None), timeout, hint)
    }

    /// The same, for a server that asks for a certificate: beside the file of the trusted authority,
    /// those of the own certificate and its key.
    ///
    /// # Errors
    /// If the URL or a file cannot be used.
    pub fn open_as(
        what: &str,
        text: &str,
        (ca_file, identity): (Option<&str>, Option<(&str, &str)>),
        timeout: Duration,
        hint: &str,
    ) -> Result<Self, OpenError> {
        // The text may hold a password. The parser's messages do not quote the text.
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::RelativeUrlWithoutBase => {
                OpenError::new(format!("{what} is not a full URL"), hint)
            }
            error => OpenError::new(format!("{what} cannot be read: {error}"), hint),
        })?;
        let shown = redact_url(text);
        if !matches!(url.scheme(), "http" | "https") {
            return Err(OpenError::new(format!("{what} is not HTTP: `{shown}`"), hint));
        }
        // Reading the machine's certificates takes time, so it is done only if they are needed.
        let check = match url.scheme() {
            "https" => Check::AuthorityAndHost,
            _ => Check::Nothing,
        };
        let client = Client::builder()
            .tls_backend_preconfigured(client_config_as(check, ca_file, identity)?)
            .timeout(timeout)
            .no_proxy()
            .user_agent(concat!("kneepoint/", env!("CARGO_PKG_VERSION")))
            .build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let fail = |why: String| {
            let hint = "raise the limit of open files (`ulimit -n`)";
            OpenError::new(format!("cannot prepare to get `{shown}`: {why}"), hint)
        };
        Ok(Self {
            client: client.map_err(|error| fail(error.to_string()))?,
            runtime: runtime.map_err(|error| fail(error.to_string()))?,
            shown: shown.clone(),
            url,
        })
    }
}

/// The body of a response; `None` if it has more than `most` bytes.
pub(crate) async fn body(
    mut response: Response,
    most: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}
