//! The shop: a small HTTP service on a pooled PostgreSQL, with one other service to call.

mod database;
mod metrics;
mod payments_client;
mod routes;
mod throttle;

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use self::database::Database;
use self::metrics::Metrics;
use self::payments_client::PaymentsClient;
use self::throttle::TokenBucket;
use super::faults::{self, Handlers, ShopTraits};
use super::{process, server};

/// First argument of the shop process.
pub(super) const ENTRY: &str = "__demo-shop";

/// The tables; `{products}` and `{categories}` stand for how many of each there are.
pub(super) const SCHEMA: &str = include_str!("schema.sql");

/// What the shop process is told.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Name of the fault.
    pub fault: String,
    /// How to connect to the database; without one the catalogue is made up.
    pub postgres_url: Option<String>,
    /// Base address of the payments service.
    pub payments_url: String,
}

/// What all requests of the shop use.
struct Shop {
    traits: &'static ShopTraits,
    database: Option<Database>,
    payments: PaymentsClient,
    metrics: Metrics,
    admission: Option<TokenBucket>,
    /// What product pages leave behind.
    kept: Mutex<Vec<Box<[u8]>>>,
}

/// The shop process.
pub(super) fn main() -> ExitCode {
    process::set_name("shop");
    server::exit("shop", run())
}

fn run() -> io::Result<()> {
    let settings: Settings = server::read_settings()?;
    let fault = faults::find(&settings.fault)
        .ok_or_else(|| io::Error::other(format!("no fault `{}`", settings.fault)))?;
    let traits = &fault.shop;
    if traits.one_core {
        // Before there are threads, so that all of them inherit it.
        process::confine_to_one_core()?;
    }
    let runtime = match traits.runtime {
        Handlers::Workers(threads) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("shop-worker")
            .enable_all()
            .build()?,
        Handlers::EventLoop => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?
        }
    };
    runtime.block_on(async {
        let database = match &settings.postgres_url {
            Some(url) => Some(Database::new(url, traits).await.map_err(io::Error::other)?),
            None => None,
        };
        let pool = database.as_ref().map(Database::pool);
        let payments = PaymentsClient::new(&settings.payments_url).map_err(io::Error::other)?;
        let shop = Shop {
            traits,
            metrics: Metrics::new(&payments.peer(), pool),
            database,
            payments,
            admission: traits.admitted_rate.map(TokenBucket::new),
            kept: Mutex::new(Vec::new()),
        };
        server::serve(Arc::new(shop), routes::handle).await
    })
}
