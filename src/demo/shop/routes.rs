//! The shop's responses.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::PoolError;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use sha2::digest::Output;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::database::{OrderError, Product};
use super::payments_client::ChargeError;
use super::state::{Gate, Shop};
use crate::demo::catalogue::PRODUCTS;
use crate::demo::process::thread_cpu_time;
use crate::demo::server::{self, Answer};
use crate::demo::system::Pause;

/// The text format that `encode` writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Rounds of hashing between two readings of the clock: some tens of microseconds.
const PRICING_ROUNDS: u32 = 50;

/// The part of a product's path before its number.
const PRODUCT_PREFIX: &str = "/product/";

/// The part of a report's path before the number of its product.
const REPORT_PREFIX: &str = "/report/";

/// An order as the client sends it.
#[derive(Deserialize)]
struct Order {
    product: i32,
    #[serde(default = "one")]
    quantity: i32,
}

fn one() -> i32 {
    1
}

/// Answers one request and records it in the metrics.
pub(super) async fn handle(shop: Arc<Shop>, request: Request<Incoming>) -> Answer {
    let start = Instant::now();
    let path = request.uri().path();
    let (method, route) = match (request.method(), path) {
        // The routes for an orchestrator and a monitor use nothing and are not counted.
        (&Method::GET, "/health") => return server::text(StatusCode::OK, "ok\n"),
        (&Method::GET, "/metrics") => return metrics(&shop),
        (&Method::GET, "/search") => ("GET", "/search"),
        (&Method::GET, path) if path.starts_with(PRODUCT_PREFIX) => ("GET", "/product/{id}"),
        (&Method::GET, path) if path.starts_with(REPORT_PREFIX) => ("GET", "/report/{id}"),
        (&Method::POST, "/order") => ("POST", "/order"),
        _ => ("_OTHER", ""),
    };
    let (_permit, refusal) = admit(&shop, start).await;
    let answer = match (refusal, route) {
        (Some(refusal), _) => refusal,
        (None, "/search") => search(&shop, request.uri().query()).await,
        (None, "/order") => order(&shop, request).await,
        (None, "/product/{id}") => product(&shop, &path[PRODUCT_PREFIX.len()..]).await,
        (None, "/report/{id}") => report(&shop, &path[REPORT_PREFIX.len()..]).await,
        _ => server::text(StatusCode::NOT_FOUND, "not found"),
    };
    shop.metrics.answered(method, route, answer.status().as_u16(), start.elapsed());
    answer
}

/// Lets a request in, with a permit to keep while it is in work, or refuses it.
async fn admit(shop: &Shop, arrived: Instant) -> (Option<OwnedSemaphorePermit>, Option<Answer>) {
    let refused = |why| (None, Some(server::text(StatusCode::SERVICE_UNAVAILABLE, why)));
    match &shop.admission {
        Gate::Open => (None, None),
        Gate::Rate(bucket) => (None, (!bucket.admits(arrived)).then(too_many)),
        Gate::InWork(permits) => match permits.clone().try_acquire_owned() {
            Ok(permit) => (Some(permit), None),
            Err(_) => refused("overloaded"),
        },
        Gate::Queue(permits, at_most) => {
            match tokio::time::timeout(*at_most, permits.clone().acquire_owned()).await {
                Ok(permit) => (permit.ok(), None),
                Err(_) => refused("timed out in the queue"),
            }
        }
    }
}

fn metrics(shop: &Shop) -> Answer {
    match shop.metrics.text() {
        Ok(text) => server::answer(StatusCode::OK, OPEN_METRICS, text),
        Err(error) => server::text(StatusCode::INTERNAL_SERVER_ERROR, error),
    }
}

fn too_many() -> Answer {
    let mut answer = server::text(StatusCode::TOO_MANY_REQUESTS, "too many requests");
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

async fn product(shop: &Shop, id: &str) -> Answer {
    let Ok(id) = id.parse() else {
        return server::text(StatusCode::BAD_REQUEST, "a product's number is an integer");
    };
    let found = match remembered(shop, id) {
        Some(product) => Ok(Some(product)),
        None => read(shop, id).await,
    };
    if let Err(error) = keep(shop) {
        return server::text(StatusCode::INTERNAL_SERVER_ERROR, error);
    }
    pause(shop).await;
    if !shop.traits.pricing.is_zero() {
        black_box(price(id, shop.traits.pricing));
    }
    if shop.traits.rounds > 0 {
        black_box(hash(Sha256::digest(id.to_le_bytes()), shop.traits.rounds));
    }
    match found {
        Ok(Some(product)) => server::json(StatusCode::OK, &product),
        Ok(None) => server::text(StatusCode::NOT_FOUND, "no such product"),
        Err(error) => unavailable(&error),
    }
}

/// The product from the shop's memory.
fn remembered(shop: &Shop, id: i32) -> Option<Product> {
    let remembers = shop.traits.remembers;
    let known = remembers.then(|| shop.remembered.lock().unwrap_or_else(PoisonError::into_inner));
    known.and_then(|products| products.get(&id).cloned())
}

/// The product from the database, or made up without one.
async fn read(shop: &Shop, id: i32) -> Result<Option<Product>, PoolError> {
    let found = match &shop.database {
        Some(database) => database.product(id).await?,
        None => made_up(id),
    };
    if let Some(product) = found.as_ref().filter(|_| shop.traits.remembers) {
        let mut known = shop.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, product.clone());
    }
    Ok(found)
}

/// A report on one product: the same read, and a long wait.
async fn report(shop: &Shop, id: &str) -> Answer {
    let Ok(id) = id.parse() else {
        return server::text(StatusCode::BAD_REQUEST, "a product's number is an integer");
    };
    let found = read(shop, id).await;
    wait(shop, shop.traits.report).await;
    match found {
        Ok(Some(product)) => server::json(StatusCode::OK, &product),
        Ok(None) => server::text(StatusCode::NOT_FOUND, "no such product"),
        Err(error) => unavailable(&error),
    }
}

async fn search(shop: &Shop, query: Option<&str>) -> Answer {
    let query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let Some((_, category)) = query.into_iter().find(|(name, _)| name == "category") else {
        return server::text(StatusCode::BAD_REQUEST, "name a category: /search?category=…");
    };
    let found = match &shop.database {
        Some(database) => database.search(&category).await,
        None => Ok(made_up(1).into_iter().collect()),
    };
    match found {
        Ok(products) => server::json(StatusCode::OK, &products),
        Err(error) => unavailable(&error),
    }
}

async fn order(shop: &Shop, request: Request<Incoming>) -> Answer {
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return server::text(StatusCode::BAD_REQUEST, error),
    };
    let order: Order = match serde_json::from_slice(&body) {
        Ok(order) => order,
        Err(error) => return server::text(StatusCode::BAD_REQUEST, error),
    };
    let inside = shop.traits.charge.in_transaction && shop.database.is_some();
    let placed = match &shop.database {
        Some(database) => {
            let charge = async |total_cents| match inside {
                true => shop.payments.charge(total_cents, &shop.metrics).await,
                false => Ok(()),
            };
            database.place(order.product, order.quantity, charge).await
        }
        None => Ok(made_up(order.product).map(|product| (0, product.price_cents))),
    };
    let (number, total_cents) = match placed {
        Ok(Some(placed)) => placed,
        Ok(None) => return server::text(StatusCode::CONFLICT, "not in stock"),
        Err(OrderError::Database(error)) => return unavailable(&error),
        Err(OrderError::Payment(error)) => return unpaid(&error),
    };
    if !inside && let Err(error) = shop.payments.charge(total_cents, &shop.metrics).await {
        return unpaid(&error);
    }
    let receipt = serde_json::json!({ "order": number, "total_cents": total_cents });
    server::json(StatusCode::CREATED, &receipt)
}

fn unpaid(error: &ChargeError) -> Answer {
    let status = match error {
        ChargeError::Late => StatusCode::GATEWAY_TIMEOUT,
        ChargeError::Status(_) | ChargeError::Call(_) => StatusCode::BAD_GATEWAY,
    };
    server::text(status, error)
}

fn unavailable(error: &PoolError) -> Answer {
    server::text(StatusCode::SERVICE_UNAVAILABLE, format_args!("database: {error}"))
}

/// Keeps the memory and the file that a product page never releases.
fn keep(shop: &Shop) -> io::Result<()> {
    let keeps = &shop.traits.keeps;
    let page = shop.pages.fetch_add(1, Ordering::Relaxed);
    // Opened and written before the lock is taken, so that the lock does not become a limit.
    let file = match keeps.file_every {
        Some(every) if page % every == every - 1 => Some(File::open("/dev/null")?),
        _ => None,
    };
    // Written, not only reserved, so that the memory is resident.
    let memory = (keeps.bytes > 0).then(|| vec![1_u8; keeps.bytes].into_boxed_slice());
    if file.is_some() || memory.is_some() {
        let mut kept = shop.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.files.extend(file);
        kept.memory.extend(memory);
    }
    Ok(())
}

/// Waits as long as product pages do.
async fn pause(shop: &Shop) {
    match shop.traits.pause {
        Pause::None => {}
        Pause::Asleep(time)
        | Pause::Blocking(time)
        | Pause::OnThreads(_, time)
        | Pause::Locked(time)
        | Pause::FileLocked(time) => wait(shop, time).await,
    }
}

/// Waits in the way that product pages are set to wait.
async fn wait(shop: &Shop, time: Duration) {
    match shop.traits.pause {
        Pause::None | Pause::Asleep(_) => tokio::time::sleep(time).await,
        Pause::Blocking(_) => std::thread::sleep(time),
        Pause::OnThreads(..) => {
            // Ends early only if the process ends.
            let slept = tokio::task::spawn_blocking(move || std::thread::sleep(time));
            let _ended = slept.await.is_ok();
        }
        Pause::FileLocked(_) => {
            let held = tokio::task::spawn_blocking(move || hold_file_lock(time));
            let _ended = held.await.is_ok();
        }
        Pause::Locked(_) => {
            let lock = Arc::clone(&shop.lock);
            let held = tokio::task::spawn_blocking(move || {
                let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                std::thread::sleep(time);
            });
            // Ends early only if the process ends.
            let _ended = held.await.is_ok();
        }
    }
}

/// Milliseconds after which SQLite asks for a lock again that another holds.
const ASKS_AGAIN: [u64; 12] = [1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100];

/// Holds the lock of a file that all product pages share.
fn hold_file_lock(time: Duration) -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("kneepoint-shop-{}.lock", std::process::id()));
    let file = File::options().create(true).write(true).truncate(false).open(path)?;
    let last = ASKS_AGAIN[ASKS_AGAIN.len() - 1];
    let mut waits = ASKS_AGAIN.into_iter().chain(std::iter::repeat(last));
    while file.try_lock().is_err() {
        std::thread::sleep(Duration::from_millis(waits.next().unwrap_or(last)));
    }
    std::thread::sleep(time);
    file.unlock()
}

/// The product with this number, in a shop without a database.
fn made_up(id: i32) -> Option<Product> {
    (1..=PRODUCTS.cast_signed()).contains(&id).then(|| Product {
        id,
        name: format!("Oak lamp No. {id}"),
        price_cents: 490 + id % 97 * 150,
        stock: 100_000,
    })
}

/// Computes a price, which takes `demand` of CPU time on any machine.
fn price(id: i32, demand: Duration) -> [u8; 32] {
    let start = thread_cpu_time();
    let mut digest = Sha256::digest(id.to_le_bytes());
    while thread_cpu_time().saturating_sub(start) < demand {
        digest = hash(digest, PRICING_ROUNDS);
    }
    digest.into()
}

/// So many rounds of hashing.
fn hash(first: Output<Sha256>, rounds: u32) -> Output<Sha256> {
    (0..rounds).fold(first, |digest, _| Sha256::digest(digest))
}
