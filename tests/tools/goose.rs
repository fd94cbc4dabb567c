//! A load of goose on the sample shop: users who ask, wait half a second, and ask again. Not a part
//! of the tests, which run it if there is a program `goose-shop`:
//!
//!   cargo new goose-shop && cd goose-shop
//!   cargo add goose && cargo add tokio --features macros,rt-multi-thread && cargo add serde_json
//!   cp …/tests/tools/goose.rs src/main.rs && cargo install --path .

use std::time::Duration;

use goose::prelude::*;

#[tokio::main]
async fn main() -> Result<(), GooseError> {
    let asks = match std::env::var("SHOP").as_deref() {
        Ok("orders") => transaction!(order),
        _ => transaction!(look),
    };
    let pause = Duration::from_millis(500);
    let users = scenario!("shop").set_wait_time(pause, pause)?.register_transaction(asks);
    GooseAttack::initialize()?.register_scenario(users).execute().await?;
    Ok(())
}

async fn look(user: &mut GooseUser) -> TransactionResult {
    user.get("/product/17").await?;
    Ok(())
}

async fn order(user: &mut GooseUser) -> TransactionResult {
    let order = serde_json::json!({ "product": 17, "quantity": 1 });
    user.post_json("/order", &order).await?;
    Ok(())
}
