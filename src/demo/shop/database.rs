//! The shop's queries to PostgreSQL, through a pool of connections.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, Timeouts,
};
use serde::Serialize;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Config, NoTls, Row};

use super::payments_client::ChargeError;
use crate::demo::system::{ProductRead, ShopTraits};

/// Why an order was not placed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] PoolError),
    /// An error of the payment inside the transaction.
    #[error(transparent)]
    Payment(#[from] ChargeError),
}

impl From<tokio_postgres::Error> for OrderError {
    fn from(error: tokio_postgres::Error) -> Self {
        OrderError::Database(PoolError::Backend(error))
    }
}

/// How long a request waits for a connection before it gives up.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A product as the shop shows it.
#[derive(Clone, Serialize)]
pub(super) struct Product {
    pub id: i32,
    pub name: String,
    pub price_cents: i32,
    pub stock: i32,
}

impl From<&Row> for Product {
    fn from(row: &Row) -> Self {
        Self { id: row.get(0), name: row.get(1), price_cents: row.get(2), stock: row.get(3) }
    }
}

/// The shop's database.
pub(super) struct Database {
    pool: Pool,
    traits: &'static ShopTraits,
    /// Products read so far.
    reads: AtomicU64,
    /// Connections that are never given back.
    kept: Mutex<Vec<Object>>,
    /// Whether statements are prepared once for each connection. A pooler that hands on another
    /// connection for each transaction knows nothing of them.
    prepares: bool,
}

impl Database {
    /// Creates the pool and opens its first connection.
    pub async fn new(
        url: &str,
        traits: &'static ShopTraits,
        prepares: bool,
    ) -> Result<Self, PoolError> {
        let mut config: Config = url.parse().map_err(PoolError::Backend)?;
        config.application_name("shop");
        let manager = Manager::from_config(
            config,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let timeouts = Timeouts { wait: Some(ACQUIRE_TIMEOUT), ..Timeouts::default() };
        let pool = Pool::builder(manager)
            .max_size(traits.pool_size)
            .runtime(Runtime::Tokio1)
            .timeouts(timeouts)
            .build()
            .map_err(|_| PoolError::NoRuntimeSpecified)?;
        drop(pool.get().await?);
        Ok(Self { pool, traits, prepares, reads: AtomicU64::new(0), kept: Mutex::default() })
    }

    /// The pool, for its metrics.
    pub fn pool(&self) -> Pool {
        self.pool.clone()
    }

    /// The product with this number.
    pub async fn product(&self, id: i32) -> Result<Option<Product>, PoolError> {
        const BY_ID: &str = "SELECT id, name, price_cents, stock FROM product WHERE id = $1";
        const BY_ID_SLOWLY: &str = "SELECT id, name, price_cents, stock FROM product, pg_sleep($2) \
                                    WHERE id = $1";
        const STOCK: &str = "SELECT stock FROM product WHERE id = $1";
        let mut connection = self.pool.get().await?;
        let row = match self.traits.product_read {
            ProductRead::Indexed => {
                let statement = connection.prepare_cached(BY_ID).await?;
                connection.query_opt(&statement, &[&id]).await?
            }
            ProductRead::SlowStorage(time) if !self.prepares => {
                let parameters: [(&(dyn ToSql + Sync), Type); 2] =
                    [(&id, Type::INT4), (&time.as_secs_f64(), Type::FLOAT8)];
                connection.query_typed_opt(BY_ID_SLOWLY, &parameters).await?
            }
            ProductRead::SlowStorage(time) => {
                let statement = connection.prepare_cached(BY_ID_SLOWLY).await?;
                connection.query_opt(&statement, &[&id, &time.as_secs_f64()]).await?
            }
            ProductRead::HeldTransaction(time) => {
                let transaction = connection.transaction().await?;
                let statement = transaction.prepare_cached(BY_ID).await?;
                let row = transaction.query_opt(&statement, &[&id]).await?;
                tokio::time::sleep(time).await;
                transaction.commit().await?;
                row
            }
        };
        for _ in 0..self.traits.further_reads {
            let statement = connection.prepare_cached(STOCK).await?;
            connection.query_opt(&statement, &[&id]).await?;
        }
        if self.is_one_to_keep() {
            self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        Ok(row.as_ref().map(Product::from))
    }

    fn is_one_to_keep(&self) -> bool {
        let Some(every) = self.traits.keeps.pooled_every else { return false };
        self.reads.fetch_add(1, Ordering::Relaxed) % every == every - 1
    }

    /// The twenty cheapest products of a category.
    pub async fn search(&self, category: &str) -> Result<Vec<Product>, PoolError> {
        const CHEAPEST: &str = "SELECT id, name, price_cents, stock FROM product \
                                WHERE category = $1 ORDER BY price_cents LIMIT 20";
        let connection = self.pool.get().await?;
        let statement = connection.prepare_cached(CHEAPEST).await?;
        let rows = connection.query(&statement, &[&category]).await?;
        Ok(rows.iter().map(Product::from).collect())
    }

    /// Places an order. Returns its number and its price, or nothing if there is no such product or
    /// not enough of it. `before_commit` is called with the price.
    pub async fn place(
        &self,
        product: i32,
        quantity: i32,
        before_commit: impl AsyncFnOnce(i32) -> Result<(), ChargeError>,
    ) -> Result<Option<(i64, i32)>, OrderError> {
        const TAKE: &str = "UPDATE product SET stock = stock - $2 \
                            WHERE id = $1 AND stock >= $2 RETURNING price_cents";
        const NUMBER: &str = "UPDATE invoice_number SET latest = latest + 1 WHERE series = 1 \
                              RETURNING latest";
        const INSERT: &str = "INSERT INTO orders (product_id, quantity, total_cents, invoice_number) \
                              VALUES ($1, $2, $3, $4) RETURNING id";
        let mut connection = self.pool.get().await?;
        let transaction = connection.transaction().await?;
        let take = transaction.prepare_cached(TAKE).await?;
        let Some(taken) = transaction.query_opt(&take, &[&product, &quantity]).await? else {
            return Ok(None);
        };
        let price_cents: i32 = taken.get(0);
        let total_cents = price_cents.saturating_mul(quantity);
        let mut invoice_number: Option<i64> = None;
        if let Some(time) = self.traits.invoice_held {
            let number = transaction.prepare_cached(NUMBER).await?;
            invoice_number = Some(transaction.query_one(&number, &[]).await?.get(0));
            tokio::time::sleep(time).await;
        }
        let insert = transaction.prepare_cached(INSERT).await?;
        let row = transaction
            .query_one(&insert, &[&product, &quantity, &total_cents, &invoice_number])
            .await?;
        before_commit(total_cents).await?;
        transaction.commit().await?;
        Ok(Some((row.get(0), total_cents)))
    }
}
