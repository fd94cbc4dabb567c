//! What a service answers at the paths where services keep their metrics, health and description.

use std::time::Duration;

use reqwest::Url;

use super::found::{Metrics, Survey};
use super::operations::operations;
use crate::collect::http::{Http, body, cause};
use crate::collect::{self, OpenError, TargetHint};
use crate::plan::{CollectorConfig, OptionValue, Secret};

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Largest answer that is read, in bytes: descriptions of large services have some megabytes.
const MOST_BYTES: usize = 16 << 20;

/// Where metrics are: Prometheus' usual path, Spring Boot's, Quarkus'.
const METRICS: [&str; 4] = ["/metrics", "/actuator/prometheus", "/q/metrics", "/-/metrics"];
/// Where health is: the usual path, Kubernetes' (three), Spring Boot's, Quarkus'.
const HEALTH: [&str; 9] = [
    "/health",
    "/healthz",
    "/livez",
    "/ready",
    "/readyz",
    "/actuator/health/liveness",
    "/actuator/health",
    "/q/health/live",
    "/ping",
];
/// Where descriptions are: FastAPI's, springdoc's, Springfox's, ASP.NET's, Quarkus' and usual ones.
const DESCRIPTIONS: [&str; 8] = [
    "/openapi.json",
    "/v3/api-docs",
    "/swagger.json",
    "/v2/api-docs",
    "/swagger/v1/swagger.json",
    "/api/openapi.json",
    "/api-docs",
    "/q/openapi?format=json",
];
/// A path that no service has. One that answers it with success answers anything so.
const NOWHERE: &str = "/kneepoint-asks-for-what-does-not-exist";
/// Health routes that become canaries.
const MOST_CANARIES: usize = 1;

/// An answer with a status of success, from the path itself and not from another that it leads to.
struct Answer {
    body: Vec<u8>,
}

struct Asker {
    http: Http,
    base: String,
}

/// Asks the service of `found`, and adds what it answers.
///
/// # Errors
/// If nobody answers at all.
pub(super) fn ask(found: &mut Survey) -> Result<(), OpenError> {
    let hint = "start the service, or give the URL at which it answers";
    let http = Http::open("the URL", &found.url, None, PATIENCE, hint)?;
    let asker = Asker { http, base: found.url.trim_end_matches('/').to_owned() };
    let nowhere = asker.get(NOWHERE).map_err(|why| {
        OpenError::new(format!("cannot reach `{}`: {why}", asker.http.shown), hint)
    })?;
    let given = found.path.clone();
    let works = asker.quietly(&given).is_some();
    metrics(&asker, found);
    health(&asker, found, nowhere.is_some());
    description(&asker, found);
    if !works && found.operations.is_empty() {
        found.missing.push(format!(
            "a route that works: `{given}`, the only one that is known, does not answer with success; \
             put one that does into [[request]]"
        ));
    }
    Ok(())
}

impl Asker {
    /// What is at a path; `None` where the answer is not a success.
    fn get(&self, path: &str) -> Result<Option<Answer>, String> {
        let url = format!("{}{path}", self.base);
        self.http.runtime.block_on(async {
            let sent = self.http.client.get(&url).header("x-kneepoint", "synthetic").send();
            let response = sent.await.map_err(cause)?;
            // A page for logging in is not what was asked for.
            let is_led_away = Url::parse(&url).is_ok_and(|asked| asked != *response.url());
            if !response.status().is_success() || is_led_away {
                return Ok(None);
            }
            let body = body(response, MOST_BYTES).await.map_err(cause)?;
            Ok(body.map(|body| Answer { body }))
        })
    }

    /// The same, where a path that fails is one that the service does not have.
    fn quietly(&self, path: &str) -> Option<Answer> {
        self.get(path).ok().flatten()
    }
}

fn metrics(asker: &Asker, found: &mut Survey) {
    for path in METRICS {
        // Most services answer 404 here: the collector would call each of them an error.
        if asker.quietly(path).is_none() {
            continue;
        }
        let url = format!("{}{path}", asker.base);
        let config = CollectorConfig::new("prometheus")
            .with("url", OptionValue::Secret(Secret::new(url.clone())));
        let Some(spec) = collect::find("prometheus") else { return };
        if let Ok(collector) = (spec.open)(&config, &TargetHint::default()) {
            found.metrics.push(Metrics { url, has: collector.watches() });
        }
    }
    if found.metrics.is_empty() {
        found.missing.push(format!(
            "metrics: none of {} has any; export the service's pools, workers and runtime there \
             (`kneepoint coverage` says which), or add [collect.prometheus] with their URL",
            METRICS.join(", ")
        ));
    }
}

fn health(asker: &Asker, found: &mut Survey, answers_everything: bool) {
    if answers_everything {
        found.missing.push(
            "a health route: the service answers any path with success, so a health route cannot be \
             told; name a cheap one in [[canary]]"
                .to_owned(),
        );
        return;
    }
    let alive = HEALTH.iter().filter(|path| asker.quietly(path).is_some());
    found.health = alive.take(MOST_CANARIES).map(|path| (*path).to_owned()).collect();
    if found.health.is_empty() {
        found.missing.push(format!(
            "a health route: none of {} answers with success; name a cheap route in [[canary]]",
            HEALTH.join(", ")
        ));
    }
}

fn description(asker: &Asker, found: &mut Survey) {
    for path in DESCRIPTIONS {
        let Some(answer) = asker.quietly(path) else { continue };
        let Some(read) = operations(&answer.body) else { continue };
        found.description = Some(path.to_owned());
        (found.operations, found.left_out) = (read.simple, read.left_out);
        return;
    }
    found.missing.push(format!(
        "an OpenAPI description: none at {}; add a [[request]] for each route, or make the plan of an \
         access log or a browser recording with `kneepoint convert`",
        DESCRIPTIONS.join(", ")
    ));
}
