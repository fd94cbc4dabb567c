//! What the shop answers.

use std::hint::black_box;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use deadpool_postgres::PoolError;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, StatusCode};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Shop;
use super::database::Product;
use crate::demo::cluster::PRODUCTS;
use crate::demo::process::thread_cpu_time;
use crate::demo::server::{self, Answer};

/// The text format that `encode` writes.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Rounds of hashing between two looks at the clock: some tens of microseconds.
const PRICING_ROUNDS: u32 = 50;

/// What stands before the number in the path of a product.
const PRODUCT_PREFIX: &str = "/product/";

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

/// Answers one request and measures it.
pub(super) async fn handle(shop: Arc<Shop>, request: Request<Incoming>) -> Answer {
    let start = Instant::now();
    let path = request.uri().path();
    let (method, route) = match (request.method(), path) {
        // The two that an orchestrator and a monitor ask for touch nothing and are not counted.
        (&Method::GET, "/health") => return server::text(StatusCode::OK, "ok\n"),
        (&Method::GET, "/metrics") => return metrics(&shop),
        (&Method::GET, "/search") => ("GET", "/search"),
        (&Method::GET, path) if path.starts_with(PRODUCT_PREFIX) => ("GET", "/product/{id}"),
        (&Method::POST, "/order") => ("POST", "/order"),
        _ => ("_OTHER", ""),
    };
    let refused = shop.admission.as_ref().is_some_and(|bucket| !bucket.admits(start));
    let answer = match route {
        _ if refused => too_many(),
        "/search" => search(&shop, request.uri().query()).await,
        "/order" => order(&shop, request).await,
        "/product/{id}" => product(&shop, &path[PRODUCT_PREFIX.len()..]).await,
        _ => server::text(StatusCode::NOT_FOUND, "not found"),
    };
    shop.metrics.answered(method, route, answer.status().as_u16(), start.elapsed());
    answer
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
    let found = match &shop.database {
        Some(database) => database.product(id).await,
        None => Ok(made_up(id)),
    };
    if shop.traits.kept_bytes > 0 {
        // Written, not only reserved, so that it is resident.
        let page = vec![1_u8; shop.traits.kept_bytes].into_boxed_slice();
        shop.kept.lock().unwrap_or_else(PoisonError::into_inner).push(page);
    }
    if !shop.traits.pricing.is_zero() {
        black_box(price(id, shop.traits.pricing));
    }
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
    let placed = match &shop.database {
        Some(database) => database.place(order.product, order.quantity).await,
        None => Ok(made_up(order.product).map(|product| (0, product.price_cents))),
    };
    let (number, total_cents) = match placed {
        Ok(Some(placed)) => placed,
        Ok(None) => return server::text(StatusCode::CONFLICT, "not in stock"),
        Err(error) => return unavailable(&error),
    };
    // No connection to the database is held while another service is asked.
    let start = Instant::now();
    let charged = shop.payments.charge(total_cents).await;
    shop.metrics.charged(start.elapsed());
    if let Err(error) = charged {
        return server::text(StatusCode::BAD_GATEWAY, error);
    }
    let receipt = serde_json::json!({ "order": number, "total_cents": total_cents });
    server::json(StatusCode::CREATED, &receipt)
}

fn unavailable(error: &PoolError) -> Answer {
    server::text(StatusCode::SERVICE_UNAVAILABLE, format_args!("database: {error}"))
}

/// The product of this number of a shop without a database.
fn made_up(id: i32) -> Option<Product> {
    (1..=PRODUCTS.cast_signed()).contains(&id).then(|| Product {
        id,
        name: format!("Oak lamp No. {id}"),
        price_cents: 490 + id % 97 * 150,
        stock: 100_000,
    })
}

/// Works out a price, which takes `demand` of processor time on any machine.
fn price(id: i32, demand: Duration) -> [u8; 32] {
    let start = thread_cpu_time();
    let mut digest = Sha256::digest(id.to_le_bytes());
    while thread_cpu_time().saturating_sub(start) < demand {
        for _ in 0..PRICING_ROUNDS {
            digest = Sha256::digest(digest);
        }
    }
    digest.into()
}
