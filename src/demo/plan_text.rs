//! The plan for a fault, as a person would write it.

use std::fmt::Write;

use super::catalogue::{CATEGORIES, PRODUCTS};
use super::faults::Fault;
use super::guard::Ready;
use super::system::{Load, Shape, ShopRequest};

/// The shop answers this without any work, but on the same threads that answer everything else.
const CANARY: &str = "\n[[canary]]\npath = \"/health\"\n";

/// The plan for a running shop.
pub(super) fn write(fault: &Fault, healthy: bool, ready: &Ready) -> String {
    let what = if healthy { "without the fault" } else { "with the fault" };
    let asked = &fault.system(healthy).load;
    let mut plan = format!(
        "# The sample shop {what} `{}`: {}.\n\
         name = \"shop-{}\"\n\n\
         [target]\n\
         url = \"{}\"\n",
        fault.name, fault.summary, fault.name, ready.url
    );
    for share in asked.requests {
        plan.push_str("\n[[request]]\n");
        plan.push_str(request(share.request));
        // Writing to a string cannot fail.
        let _written = writeln!(plan, "weight = {}", share.weight).is_ok();
    }
    plan.push('\n');
    plan.push_str(&data(asked));
    plan.push_str(&load(&asked.shape));
    plan.push_str(CANARY);
    plan.push_str(&collectors(ready));
    plan
}

fn request(request: ShopRequest) -> &'static str {
    match request {
        ShopRequest::Product => {
            "name = \"product\"\n\
             path = \"/product/{id}\"\n"
        }
        ShopRequest::Search => {
            "name = \"search\"\n\
             path = \"/search?category=category-{category}\"\n"
        }
        ShopRequest::OneProduct => {
            "name = \"product\"\n\
             path = \"/product/1\"\n"
        }
        ShopRequest::Report => {
            "name = \"report\"\n\
             path = \"/report/{id}\"\n"
        }
        ShopRequest::Order => {
            "name = \"order\"\n\
             method = \"POST\"\n\
             path = \"/order\"\n\
             headers = { Content-Type = \"application/json\" }\n\
             body = '{{\"product\": {id}, \"quantity\": 1}}'\n"
        }
    }
}

/// Draws numbers from all products and categories, so that no cache makes the shop look faster.
fn data(load: &Load) -> String {
    let asks = |wanted| load.requests.iter().any(|share| share.request == wanted);
    let mut data = String::new();
    if [ShopRequest::Product, ShopRequest::Order, ShopRequest::Report].into_iter().any(asks) {
        data.push_str(&format!("[data.id]\nrange = [1, {PRODUCTS}]\n\n"));
    }
    if asks(ShopRequest::Search) {
        data.push_str(&format!("[data.category]\nrange = [1, {CATEGORIES}]\n\n"));
    }
    data
}

fn load(shape: &Shape) -> String {
    match shape {
        Shape::Breakpoint { start_rate, max_rate, hold_s } => format!(
            "[load]\n\
             executor = \"breakpoint\"\n\
             start = \"{start_rate}/s\"\n\
             max = \"{max_rate}/s\"\n\
             factor = 1.5\n\
             hold = \"{hold_s}s\"\n"
        ),
        Shape::Gate { rate, max_rate } => format!(
            "[load]\n\
             executor = \"breakpoint\"\n\
             start = \"{rate}/s\"\n\
             max = \"{max_rate}/s\"\n\
             hold = \"4s\"\n\n\
             [gate]\n\
             rate = \"{rate}/s\"\n"
        ),
        Shape::Constant { rate, duration_s } => format!(
            "[load]\n\
             executor = \"soak\"\n\
             rate = \"{rate}/s\"\n\
             duration = \"{duration_s}s\"\n"
        ),
    }
}

fn collectors(ready: &Ready) -> String {
    let mut peers = format!("\"{}=payments\"", ready.payments_peer);
    if let Some(peer) = &ready.postgres_peer {
        peers.push_str(&format!(", \"{peer}=postgres\""));
    }
    let mut collectors = format!(
        "\n[collect.host]\n\
         \n[collect.process]\n\
         \n[collect.tcp]\n\
         names = [{peers}]\n\
         \n[collect.prometheus]\n\
         url = \"{}\"\n",
        ready.metrics_url
    );
    if let Some(url) = &ready.postgres_url {
        collectors.push_str(&format!("\n[collect.postgres]\nurl = \"{url}\"\n"));
    }
    if let Some(url) = &ready.pooler_url {
        collectors.push_str(&format!("\n[collect.pgbouncer]\nurl = \"{url}\"\n"));
    }
    collectors
}
