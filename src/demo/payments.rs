//! The payments service: authorises a payment after a while, a limited number at a time.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::server::{self, Answer};
use super::{faults, process};

/// First argument of the payments process.
pub(super) const ENTRY: &str = "__demo-payments";

/// What the payments process is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Name of the fault.
    pub fault: String,
}

struct Payments {
    slots: Semaphore,
    service_time: Duration,
}

/// The payments process.
pub(super) fn main() -> ExitCode {
    process::set_name("payments");
    server::exit("payments", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = server::read_settings()?;
    let fault = faults::find(&settings.fault)
        .ok_or_else(|| io::Error::other(format!("no fault `{}`", settings.fault)))?;
    let payments = Payments {
        slots: Semaphore::new(fault.payments.slots),
        service_time: fault.payments.service_time,
    };
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(server::serve(Arc::new(payments), handle))
}

async fn handle(payments: Arc<Payments>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST || request.uri().path() != "/charge" {
        return server::text(StatusCode::NOT_FOUND, "not found");
    }
    if let Err(error) = request.into_body().collect().await {
        return server::text(StatusCode::BAD_REQUEST, error);
    }
    match payments.slots.acquire().await {
        Ok(_slot) => tokio::time::sleep(payments.service_time).await,
        Err(closed) => return server::text(StatusCode::SERVICE_UNAVAILABLE, closed),
    }
    server::json(StatusCode::OK, &serde_json::json!({ "status": "authorised" }))
}
