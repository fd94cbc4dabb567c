//! Calls to the payments service over persistent connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;

use super::blocking_call;
use super::metrics::Metrics;
use crate::demo::system::ChargeTraits;

/// Why a payment was not made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChargeError {
    /// It took too long.
    #[error("payments did not answer in time")]
    Late,
    /// It was refused.
    #[error("payments answered {0}")]
    Status(StatusCode),
    /// The call got no response.
    #[error("payments cannot be asked: {0}")]
    Call(String),
}

/// The shop's client of the payments service.
pub(super) struct PaymentsClient {
    client: Client<HttpConnector, Full<Bytes>>,
    charge: Uri,
    traits: &'static ChargeTraits,
    calls: Option<Semaphore>,
    /// One of this many payments leaves a separate connection half closed.
    kept_every: Option<u64>,
    payments: AtomicU64,
    kept: Mutex<Vec<std::net::TcpStream>>,
}

impl PaymentsClient {
    /// A client of the service at this base address.
    pub fn new(
        base_url: &str,
        traits: &'static ChargeTraits,
        kept_every: Option<u64>,
    ) -> Result<Self, hyper::http::uri::InvalidUri> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self {
            client,
            charge: format!("{base_url}/charge").parse()?,
            traits,
            calls: traits.most_calls.map(Semaphore::new),
            kept_every,
            payments: AtomicU64::new(0),
            kept: Mutex::new(Vec::new()),
        })
    }

    /// Address and port of the service.
    pub fn peer(&self) -> (String, u16) {
        let host = self.charge.host().unwrap_or_default().to_owned();
        (host, self.charge.port_u16().unwrap_or(80))
    }

    /// Authorises an amount. A failed call is retried as often as the traits say.
    pub async fn charge(&self, amount_cents: i32, metrics: &Metrics) -> Result<(), ChargeError> {
        let body = serde_json::json!({ "amount_cents": amount_cents }).to_string();
        if self.is_one_to_keep() {
            let kept = blocking_call::half_closed(&self.peer(), self.charge.path(), &body);
            let kept = kept.map_err(|error| ChargeError::Call(error.to_string()))?;
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
            return Ok(());
        }
        let mut retries_left = self.traits.retries;
        loop {
            let start = Instant::now();
            let outcome = self.call(&body).await;
            let status = match &outcome {
                Ok(()) => Some(StatusCode::OK.as_u16()),
                Err(ChargeError::Status(status)) => Some(status.as_u16()),
                Err(_) => None,
            };
            metrics.charged(status, start.elapsed());
            if outcome.is_ok() || retries_left == 0 {
                return outcome;
            }
            retries_left -= 1;
        }
    }

    fn is_one_to_keep(&self) -> bool {
        let Some(every) = self.kept_every else { return false };
        self.payments.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    /// One call.
    async fn call(&self, body: &str) -> Result<(), ChargeError> {
        // The semaphore is never closed. If it were, the call would go ahead without a permit.
        let _permit = match &self.calls {
            Some(calls) => calls.acquire().await.ok(),
            None => None,
        };
        let answered = async {
            if self.traits.blocking {
                let status = blocking_call::post(&self.peer(), self.charge.path(), body);
                status.map_err(|error| ChargeError::Call(error.to_string()))
            } else {
                self.post(body).await
            }
        };
        let status = match self.traits.timeout {
            Some(limit) => {
                tokio::time::timeout(limit, answered).await.map_err(|_| ChargeError::Late)??
            }
            None => answered.await?,
        };
        if status.is_success() { Ok(()) } else { Err(ChargeError::Status(status)) }
    }

    async fn post(&self, body: &str) -> Result<StatusCode, ChargeError> {
        let failed = |error: &dyn std::fmt::Display| ChargeError::Call(error.to_string());
        let request = Request::post(self.charge.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_owned()))
            .map_err(|error| failed(&error))?;
        let response = self.client.request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        // The connection is reused only after the body has been read.
        response.into_body().collect().await.map_err(|error| failed(&error))?;
        Ok(status)
    }
}
