//! Whose requests a cause is about: in a mix, the one endpoint that takes most of the time, or that
//! slows down while the others do not.
//!
//! By Little's law (1961), the mean number of requests of an endpoint in the target is its rate times
//! its response time. At low load nothing queues, so that number is also how many workers the
//! endpoint keeps busy. Once requests queue, all of them wait in the same queue, and only what one
//! endpoint gains beyond the others is its own.

use std::collections::BTreeMap;

use crate::diagnose::measure::facts::Facts;
use crate::diagnose::rules::layer::Resource;
use crate::diagnose::rules::rule::Rule;
use crate::diagnose::terms::model::{Evidence, Finding};
use crate::diagnose::terms::span::Span;
use crate::diagnose::terms::{bounds, wording};
use crate::timeline::{Unit, Window};

/// An endpoint is named where its share of the time is at least this many times its share of the
/// requests: below that, the time is the whole mix's.
const OUT_OF_PROPORTION: f64 = 2.0;
/// Fewer requests than this tell no mean response time.
const FEWEST_REQUESTS: u64 = 5;

/// The requests of one endpoint in some windows.
#[derive(Clone, Copy, Default)]
struct Requests {
    count: u64,
    /// The sum of their response times.
    seconds: f64,
}

impl Requests {
    fn mean(self) -> Option<f64> {
        (self.count >= FEWEST_REQUESTS).then(|| self.seconds / self.count as f64)
    }
}

/// One endpoint out of a mix.
struct Standout {
    endpoint: String,
    evidence: Evidence,
    /// What to do about it.
    next: String,
}

/// Names the endpoint that the finding is about, where one stands out of the mix.
pub fn name_endpoint(finding: &mut Finding, rule: &Rule, facts: &Facts) {
    let Some(found) = standout(&rule.resource, facts) else { return };
    finding.title += &format!(", above all for `{}`", found.endpoint);
    finding.next += &format!(" {}", found.next);
    finding.evidence.push(found.evidence);
    finding.endpoint = Some(found.endpoint);
}

fn standout(resource: &Resource, facts: &Facts) -> Option<Standout> {
    let mix = shares(facts);
    if mix.len() < 2 {
        return None;
    }
    match resource {
        // These count requests or connections, whatever they ask for.
        Resource::Rate | Resource::Backlog | Resource::Generator | Resource::Nothing => None,
        Resource::Workers | Resource::Unknown => {
            slows_alone(facts, &mix).or_else(|| takes_the_time(facts, &mix))
        }
        _ => slows_alone(facts, &mix),
    }
}

/// The share of each endpoint in the requests of the whole run.
fn shares(facts: &Facts) -> BTreeMap<String, f64> {
    let requests = by_endpoint(facts, &facts.windows(Span::Run));
    let total: u64 = requests.values().map(|it| it.count).sum();
    requests.into_iter().map(|(name, it)| (name, it.count as f64 / total.max(1) as f64)).collect()
}

fn by_endpoint(facts: &Facts, windows: &[Window]) -> BTreeMap<String, Requests> {
    let mut requests: BTreeMap<String, Requests> = BTreeMap::new();
    for endpoint in facts.ticks(windows).flat_map(|tick| &tick.endpoints) {
        let sum = requests.entry(endpoint.endpoint.clone()).or_default();
        sum.count += endpoint.response_time.count();
        sum.seconds += endpoint.response_time.sum();
    }
    requests
}

/// The mean response time of each endpoint; `None` where one of the mix has too few requests.
fn means(
    facts: &Facts,
    windows: &[Window],
    mix: &BTreeMap<String, f64>,
) -> Option<BTreeMap<String, f64>> {
    let requests = by_endpoint(facts, windows);
    let mean = |name: &String| Some((name.clone(), requests.get(name)?.mean()?));
    mix.keys().map(mean).collect()
}

/// At low load, also with the loads below the knee where those are too few requests.
fn means_at_low_load(facts: &Facts, mix: &BTreeMap<String, f64>) -> Option<BTreeMap<String, f64>> {
    let low = facts.windows(Span::Baseline);
    means(facts, &low, mix).or_else(|| {
        let below = [low, facts.windows(Span::Approach)].concat();
        means(facts, &below, mix)
    })
}

/// The endpoint whose share of a sum over the mix is out of proportion, with that share.
fn out_of_proportion(
    mix: &BTreeMap<String, f64>,
    weight: impl Fn(&str) -> f64,
) -> Option<(&str, f64)> {
    let total: f64 = mix.iter().map(|(name, share)| share * weight(name)).sum();
    let of = |(name, share): (&String, &f64)| share * weight(name) / total;
    let (name, share) = mix.iter().max_by(|a, b| of(*a).total_cmp(&of(*b)))?;
    let part = of((name, share));
    let is_most = total > 0.0 && part >= bounds::MOST.value;
    (is_most && part >= OUT_OF_PROPORTION * share).then_some((name.as_str(), part))
}

/// The mean of the others, each as often as it comes.
fn of_others(mix: &BTreeMap<String, f64>, means: &BTreeMap<String, f64>, but: &str) -> f64 {
    let others = || mix.iter().filter(|(name, _)| *name != but);
    let sum: f64 = others().filter_map(|(name, share)| Some(share * means.get(name)?)).sum();
    sum / others().map(|(_, share)| share).sum::<f64>()
}

/// The endpoint whose requests keep most of the workers busy.
fn takes_the_time(facts: &Facts, mix: &BTreeMap<String, f64>) -> Option<Standout> {
    let low = means_at_low_load(facts, mix)?;
    let (name, part) = out_of_proportion(mix, |name| low[name])?;
    let text = format!(
        "`{name}` is {} of the requests and {} of the time that requests take at low load: {} each, \
         the others {}",
        wording::percent(mix[name]),
        wording::percent(part),
        wording::duration(low[name]),
        wording::duration(of_others(mix, &low, name)),
    );
    let next = format!("Start with `{name}`: at low load its requests take most of the time.");
    Some(standing_out(name, part, text, Span::Baseline, next))
}

/// The endpoint that holds most of what the response time gained.
fn slows_alone(facts: &Facts, mix: &BTreeMap<String, f64>) -> Option<Standout> {
    let low = means_at_low_load(facts, mix)?;
    let knee = means(facts, &facts.windows(Span::Knee), mix)?;
    let (name, part) = out_of_proportion(mix, |name| (knee[name] - low[name]).max(0.0))?;
    let text = format!(
        "`{name}` is {} of the requests and {} of the growth of the response time: {} at the knee, {} \
         at low load; the others {}, {} at low load",
        wording::percent(mix[name]),
        wording::percent(part),
        wording::duration(knee[name]),
        wording::duration(low[name]),
        wording::duration(of_others(mix, &knee, name)),
        wording::duration(of_others(mix, &low, name)),
    );
    let next = format!("Start with `{name}`: its requests slow down most.");
    Some(standing_out(name, part, text, Span::Knee, next))
}

fn standing_out(name: &str, part: f64, text: String, span: Span, next: String) -> Standout {
    let evidence = Evidence {
        text,
        signal: "response time by endpoint".to_owned(),
        window: span.key().to_owned(),
        value: Some(part),
        baseline: None,
        bound: format!("at least {}", bounds::MOST.value),
        unit: Unit::Ratio,
        holds: Some(true),
        series: Vec::new(),
    };
    Standout { endpoint: name.to_owned(), evidence, next }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::diagnose::simulated::answered;
    use crate::diagnose::terms::model::Windows;
    use crate::timeline::{LoadTick, Moment, Timeline};

    /// Ten seconds at low load and ten at the knee, with the requests per second and the response
    /// times of each endpoint.
    fn found(resource: &Resource, endpoints: &[(&str, u64, f64, f64)]) -> Option<(String, String)> {
        let mut timeline = Timeline::default();
        let at = |second: u64| Moment::START + Duration::from_secs(second);
        for second in 0..20 {
            let window = Window::new(at(second), at(second + 1));
            let mut tick = LoadTick::empty(window, "local");
            for (name, count, low, knee) in endpoints {
                let seconds = if second < 10 { *low } else { *knee };
                let mut endpoint = answered(200, *count, |_| seconds);
                endpoint.endpoint = (*name).to_owned();
                tick.endpoints.push(endpoint);
            }
            timeline.ticks.push(tick);
        }
        let windows = Windows {
            baseline: vec![Window::new(at(0), at(10))],
            knee: vec![Window::new(at(10), at(20))],
            ..Windows::default()
        };
        let facts = Facts::of_timeline(&timeline, &windows);
        standout(resource, &facts).map(|found| (found.endpoint, found.evidence.text))
    }

    #[test]
    fn a_slow_report_that_takes_the_workers_is_named() {
        let mix = [("page", 97, 0.004, 1.004), ("report", 3, 0.8, 1.8)];
        let (name, text) = found(&Resource::Workers, &mix).unwrap();
        assert_eq!(name, "report");
        assert!(text.contains("3 % of the requests and 86.1 % of the time"), "{text}");
        assert_eq!(found(&Resource::Peer, &mix), None, "all wait in one queue");
        assert_eq!(found(&Resource::Rate, &mix), None, "a limiter counts requests");
    }

    #[test]
    fn an_endpoint_that_alone_slows_down_is_named_whatever_it_waits_for() {
        let mix = [("page", 60, 0.02, 0.022), ("search", 10, 0.05, 2.0), ("cart", 30, 0.01, 0.01)];
        for resource in [Resource::Peer, Resource::Database, Resource::Workers, Resource::Cpu] {
            let (name, text) = found(&resource, &mix).unwrap();
            assert_eq!(name, "search");
            assert!(text.contains("2 s at the knee, 50 ms at low load"), "{text}");
        }
    }

    #[test]
    fn none_is_named_where_all_are_alike_or_few_were_asked() {
        let alike = [("page", 60, 0.02, 1.0), ("search", 40, 0.03, 1.0)];
        assert_eq!(found(&Resource::Workers, &alike), None);
        assert_eq!(found(&Resource::Workers, &[("page", 60, 0.02, 1.0)]), None, "it is the load");
        let most = [("page", 90, 0.02, 2.0), ("search", 10, 0.02, 0.02)];
        assert_eq!(found(&Resource::Workers, &most), None, "nine tenths of the load");
        let never = [("page", 60, 0.02, 1.0), ("report", 0, 1.0, 1.0)];
        assert_eq!(found(&Resource::Workers, &never), None);
    }
}
