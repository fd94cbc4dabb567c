//! Calls to the payments service over connections that are kept.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// The shop's client of the payments service.
pub(super) struct PaymentsClient {
    client: Client<HttpConnector, Full<Bytes>>,
    charge: Uri,
}

impl PaymentsClient {
    /// A client of the service at this base address.
    pub fn new(base_url: &str) -> Result<Self, hyper::http::uri::InvalidUri> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, charge: format!("{base_url}/charge").parse()? })
    }

    /// Address and port of the service.
    pub fn peer(&self) -> (String, u16) {
        let host = self.charge.host().unwrap_or_default().to_owned();
        (host, self.charge.port_u16().unwrap_or(80))
    }

    /// Has an amount authorised.
    pub async fn charge(&self, amount_cents: i32) -> Result<(), String> {
        let body = serde_json::json!({ "amount_cents": amount_cents }).to_string();
        let request = Request::post(self.charge.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body))
            .map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        // The connection is used again only when the body has been read.
        response.into_body().collect().await.map_err(|error| error.to_string())?;
        if status.is_success() { Ok(()) } else { Err(format!("payments answered {status}")) }
    }
}
