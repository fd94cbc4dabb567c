//! The shop: a small HTTP service with a pooled PostgreSQL database and one other service to call.

pub(super) mod blocking_call;
mod database;
mod metrics;
mod payments_client;
mod routes;
mod state;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use self::database::Database;
use self::metrics::Metrics;
use self::payments_client::PaymentsClient;
use self::state::{Gate, Shop};
use super::system::{Admission, BeforeDatabase, Handlers, Pause, ShopTraits};
use super::token_bucket::TokenBucket;
use super::{changes, pipe, process, server};

/// First argument of the shop process.
pub(super) const ENTRY: &str = "__demo-shop";

/// Settings of the shop process.
#[derive(Serialize, Deserialize)]
pub(super) struct Settings {
    /// Name of the fault.
    pub fault: String,
    /// Whether to run its healthy twin.
    pub healthy: bool,
    /// How to connect to the database; without one, the shop makes the catalogue up.
    pub postgres_url: Option<String>,
    /// Base address of the payments service.
    pub payments_url: String,
    /// Path of a UNIX socket on which the shop listens too.
    pub socket: Option<PathBuf>,
}

/// Threads that may hold or wait for the lock of product pages at the same time.
const MOST_LOCKED_PAGES: usize = 200;

/// The shop process.
pub(super) fn main() -> ExitCode {
    process::set_name("shop");
    server::exit("shop", run())
}

/// How many threads do what blocks.
fn blocking_threads(traits: &ShopTraits) -> usize {
    match traits.pause {
        Pause::OnThreads(threads, _) => threads,
        _ => MOST_LOCKED_PAGES,
    }
}

fn run() -> io::Result<()> {
    let settings: Settings = pipe::read_settings()?;
    let fault = changes::find_shop(&settings.fault)
        .ok_or_else(|| io::Error::other(format!("no fault `{}`", settings.fault)))?;
    let system = fault.system(settings.healthy);
    let traits = &system.shop;
    let prepares = !matches!(system.surroundings.before_database, BeforeDatabase::Pooler(_));
    if traits.one_core {
        // Set before any thread starts, so that all threads inherit it.
        process::confine_to_one_core()?;
    }
    if let Some(most) = traits.most_descriptors {
        process::limit_descriptors(most)?;
    }
    let runtime = match traits.runtime {
        Handlers::Workers(threads) => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .max_blocking_threads(blocking_threads(traits))
            .thread_name("shop-worker")
            .enable_all()
            .build()?,
        Handlers::EventLoop => {
            tokio::runtime::Builder::new_current_thread().enable_all().build()?
        }
    };
    runtime.block_on(async {
        let database = match &settings.postgres_url {
            Some(url) => {
                Some(Database::new(url, traits, prepares).await.map_err(io::Error::other)?)
            }
            None => None,
        };
        let pool = database.as_ref().map(Database::pool);
        let kept_every = traits.keeps.connection_every;
        let payments = PaymentsClient::new(&settings.payments_url, &traits.charge, kept_every)
            .map_err(io::Error::other)?;
        let shop = Shop {
            traits,
            metrics: Metrics::new(payments.peer(), pool, traits.pool_gauges),
            database,
            payments,
            admission: match traits.admission {
                Admission::All => Gate::Open,
                Admission::Rate(rate) => Gate::Rate(TokenBucket::new(rate)),
                Admission::InWork(most) => Gate::InWork(Arc::new(Semaphore::new(most))),
                Admission::Queue { at_a_time, at_most } => {
                    Gate::Queue(Arc::new(Semaphore::new(at_a_time)), at_most)
                }
            },
            lock: Arc::default(),
            remembered: Mutex::default(),
            pages: AtomicU64::new(0),
            kept: Mutex::default(),
        };
        let socket = settings.socket.as_deref();
        server::serve_as(traits.listen, socket, Arc::new(shop), routes::handle).await
    })
}
