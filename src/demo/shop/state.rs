//! State that the shop's requests share.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::database::{Database, Product};
use super::metrics::Metrics;
use super::payments_client::PaymentsClient;
use crate::demo::system::ShopTraits;
use crate::demo::token_bucket::TokenBucket;

/// Everything that all requests of the shop use.
pub(super) struct Shop {
    pub(super) traits: &'static ShopTraits,
    pub(super) database: Option<Database>,
    pub(super) payments: PaymentsClient,
    pub(super) metrics: Metrics,
    pub(super) admission: Gate,
    /// The lock that product pages hold.
    pub(super) lock: Arc<Mutex<()>>,
    /// Products that were read, where the shop remembers them.
    pub(super) remembered: Mutex<BTreeMap<i32, Product>>,
    /// Product pages so far.
    pub(super) pages: AtomicU64,
    /// What product pages leave behind.
    pub(super) kept: Mutex<Kept>,
}

/// Decides whether a request is admitted.
pub(super) enum Gate {
    Open,
    Rate(TokenBucket),
    InWork(Arc<Semaphore>),
    Queue(Arc<Semaphore>, Duration),
}

/// Memory and files that are never released.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) memory: Vec<Box<[u8]>>,
    pub(super) files: Vec<File>,
}
