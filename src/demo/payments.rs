//! The payments service: authorises a payment after a fixed time, a limited number at once, and
//! rejects requests according to its settings.

use std::io;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::server::{self, Answer};
use super::shop::blocking_call::{self, Peer};
use super::token_bucket::TokenBucket;
use super::{bank, changes, pipe, process};

/// First argument of the payments process.
pub(super) const ENTRY: &str = "__demo-payments";

/// Settings of the payments process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Name of the fault.
    pub fault: String,
    /// Whether to run its healthy twin.
    pub healthy: bool,
    /// Port of the bank, if the service asks one.
    pub bank_port: Option<u16>,
}

struct Payments {
    slots: Semaphore,
    service_time: Duration,
    /// Payments in progress, and from how many on a further one fails.
    in_progress: AtomicUsize,
    fails_from: usize,
    /// From how many on a further one is refused.
    most_at_once: usize,
    /// What is admitted, and the status of the rejected requests.
    refusal: Option<(TokenBucket, StatusCode)>,
    bank: Option<Peer>,
}

/// The payments process.
pub(super) fn main() -> ExitCode {
    process::set_name("payments");
    server::exit("payments", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = pipe::read_settings()?;
    let fault = changes::find_shop(&settings.fault)
        .ok_or_else(|| io::Error::other(format!("no fault `{}`", settings.fault)))?;
    let traits = &fault.system(settings.healthy).payments;
    let refusal = match traits.refusal {
        Some(refusal) => {
            let status = StatusCode::from_u16(refusal.status).map_err(io::Error::other)?;
            let bucket = TokenBucket::new(refusal.beyond_rate);
            Some((bucket.with_refusal_cost(refusal.cost), status))
        }
        None => None,
    };
    let slots = Semaphore::new(traits.slots);
    let payments = Payments {
        slots,
        service_time: traits.service_time,
        in_progress: AtomicUsize::new(0),
        fails_from: traits.fails_from.unwrap_or(usize::MAX),
        most_at_once: traits.most_at_once.unwrap_or(usize::MAX),
        refusal,
        bank: settings.bank_port.map(|port| (Ipv4Addr::LOCALHOST.to_string(), port)),
    };
    let mut runtime = match traits.bank {
        Some(bank) => {
            let mut threads = tokio::runtime::Builder::new_multi_thread();
            threads.worker_threads(bank.workers).thread_name("payments-worker");
            threads
        }
        None => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(server::serve(Arc::new(payments), handle))
}

async fn handle(payments: Arc<Payments>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST || request.uri().path() != "/charge" {
        return server::text(StatusCode::NOT_FOUND, "not found");
    }
    if let Err(error) = request.into_body().collect().await {
        return server::text(StatusCode::BAD_REQUEST, error);
    }
    if let Some((admitted, status)) = &payments.refusal
        && !admitted.admits(Instant::now())
    {
        return server::text(*status, "refused");
    }
    if payments.in_progress.load(Ordering::Relaxed) >= payments.most_at_once {
        return server::text(StatusCode::SERVICE_UNAVAILABLE, "too many concurrent payments");
    }
    if let Some(bank) = &payments.bank {
        // Blocks this thread, as a client library without an asynchronous interface does.
        return match blocking_call::post(bank, bank::DEBIT, "{}") {
            Ok(StatusCode::OK) => authorised(),
            Ok(status) => server::text(StatusCode::BAD_GATEWAY, status),
            Err(error) => server::text(StatusCode::BAD_GATEWAY, error),
        };
    }
    // In a separate task: the work continues even if the caller has left, as in any service that
    // does not watch its connections.
    let work = tokio::spawn(async move {
        let fails = payments.in_progress.fetch_add(1, Ordering::Relaxed) >= payments.fails_from;
        let _slot = payments.slots.acquire().await;
        tokio::time::sleep(payments.service_time).await;
        payments.in_progress.fetch_sub(1, Ordering::Relaxed);
        fails
    });
    match work.await {
        Ok(false) => {}
        Ok(true) => return server::text(StatusCode::INTERNAL_SERVER_ERROR, "busy, try again"),
        Err(error) => return server::text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
    authorised()
}

fn authorised() -> Answer {
    server::json(StatusCode::OK, &serde_json::json!({ "status": "authorised" }))
}
