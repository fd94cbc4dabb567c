//! What a running service and its machine show before there is any load: a plan to begin with
//! (`kneepoint init`), and what kneepoint could see better here (`kneepoint doctor`).
//!
//! Only `GET` requests are sent, and only to paths that exist to be asked: metrics, health and the
//! description of the service. Of an environment only the names of variables are kept.

pub mod doctor;
mod endpoints;
mod found;
mod operations;
mod plan_text;
mod service;

use std::net::{SocketAddr, ToSocketAddrs};

pub use found::{Metrics, Operation, Runtime, Survey, Variable};
pub use plan_text::plan_text;

use crate::collect::{OpenError, Opening, locate};
use crate::plan::{Plan, TargetUrl};

/// Asks the service at `url` and looks at its process.
///
/// # Errors
/// If `url` is not a URL, its host has no address, or nobody answers there.
pub fn survey(url: &str) -> Result<Survey, OpenError> {
    const HINT: &str = "write a URL such as `http://127.0.0.1:8080/`, or a port such as `8080`";
    let plan = Plan::for_url(url, Vec::new()).map_err(|why| OpenError::new(why, HINT))?;
    let target = &plan.target.url;
    let path = plan.requests.first().map_or_else(String::new, |it| it.path.clone().into());
    let mut found = Survey {
        url: target.to_string(),
        path: path.replace("{{", "{").replace("}}", "}"),
        ..Survey::default()
    };
    let address = address_of(target).map_err(|why| OpenError::new(why, HINT))?;
    endpoints::ask(&mut found)?;
    let opening = if target.https { Opening::Tls } else { Opening::Http1 };
    service::look(&mut found, &locate(address, opening));
    Ok(found)
}

/// The first address of a URL's host.
///
/// # Errors
/// That the host has none, as a message.
pub fn address_of(url: &TargetUrl) -> Result<SocketAddr, String> {
    let addresses = (url.host.as_str(), url.port).to_socket_addrs();
    let first = addresses.ok().and_then(|mut all| all.next());
    first.ok_or_else(|| format!("there is no address of the host `{}`", url.host))
}
