//! The bank: the service that the payments service asks for each payment, if it asks one. It answers
//! after a fixed time and has no limit.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::{Deserialize, Serialize};

use super::server::{self, Answer};
use super::{pipe, process};

/// First argument of the bank process.
pub(super) const ENTRY: &str = "__demo-bank";

/// Where a payment is debited.
pub(super) const DEBIT: &str = "/debit";

/// Settings of the bank process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// How long it takes for one payment.
    pub takes: Duration,
}

/// The bank process.
pub(super) fn main() -> ExitCode {
    process::set_name("bank");
    server::exit("bank", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = pipe::read_settings()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(server::serve(Arc::new(settings), handle))
}

async fn handle(settings: Arc<Settings>, request: Request<Incoming>) -> Answer {
    if let Err(error) = request.into_body().collect().await {
        return server::text(StatusCode::BAD_REQUEST, error);
    }
    tokio::time::sleep(settings.takes).await;
    server::json(StatusCode::OK, &serde_json::json!({ "status": "debited" }))
}
