//! Weeks that are made up: healthy ones, on which nobody may be accused, and the same with one
//! planted fault, which must be found with its moment.

use std::time::Duration;

use super::planted::{Minute, PLANTED, Planted, Systems};

use kneepoint::diagnose::stats::Random;
use kneepoint::diagnose::{FindingRole, RuleSet};
use kneepoint::incident::{Asked, Incident, incident};
use kneepoint::recording::{Environment, PlanSummary, Recording};
use kneepoint::timeline::{
    Batch, BatchBuilder, EndpointTick, Histogram, Labels, LoadTick, Moment, ResponseClass,
    Timeline, Window, names,
};

/// Seconds between two scrapes, as Prometheus has it by default.
pub const STEP: u64 = 60;
const HOUR: u64 = 3600 / STEP;
pub const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// Requests per second at noon, and those of a heavy kind among them.
const NOON: f64 = 60.0;
const HEAVY: f64 = 0.05;

/// What happens in a week, beside the days and their noise.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Nothing,
    /// Three times the load for two hours.
    Peak,
    /// Two processes start anew, and are slow for four minutes.
    Deploy,
    /// A report runs each night for forty minutes.
    NightlyJob,
    /// A cache is emptied and fills again.
    CacheFlush,
    /// Twice as many heavy requests for half a day.
    DoubledMix,
    /// One process starts anew; its counters begin at zero.
    Restart,
    /// Prometheus itself is away for twenty minutes.
    ScrapeGap,
    /// Counters fall without a restart.
    CounterReset,
    /// The traffic goes away for the night within an hour.
    QuietNight,
}

const EVENTS: [Event; 10] = [
    Event::Nothing,
    Event::Peak,
    Event::Deploy,
    Event::NightlyJob,
    Event::CacheFlush,
    Event::DoubledMix,
    Event::Restart,
    Event::ScrapeGap,
    Event::CounterReset,
    Event::QuietNight,
];

/// Scrape at which the event of a week begins: on its fifth day.
fn begin(seed: u64) -> u64 {
    4 * DAY + 9 * HOUR + (seed * 37) % (4 * HOUR)
}

/// Scrape at which a fault begins, well apart from the event, and how long it lasts.
pub fn fault(seed: u64) -> (u64, u64) {
    (5 * DAY + 8 * HOUR + (seed * 53) % (6 * HOUR), 15 + (seed * 7) % 20)
}

/// Requests per second by the hour, less on the weekend.
fn daily(scrape: u64) -> f64 {
    let hour = (scrape % DAY) as f64 / DAY as f64;
    let wave = 0.55 - 0.45 * (std::f64::consts::TAU * (hour + 0.02)).cos();
    let weekend = if scrape / DAY >= 5 { 0.8 } else { 1.0 };
    NOON * (0.1 + 0.9 * wave) * weekend
}

fn minute(
    scrape: u64,
    event: Event,
    seed: u64,
    planted: Option<Planted>,
    random: &mut Random,
) -> Minute {
    let at = begin(seed);
    let since = scrape.checked_sub(at);
    let within = |minutes: u64| since.is_some_and(|since| since < minutes);
    let mut rate = daily(scrape);
    let (mut slow, mut share, mut is_scraped) = (1.0, HEAVY, true);
    match event {
        Event::Peak if within(120) => rate *= 3.0,
        Event::Deploy if within(4) => slow = 2.5,
        Event::NightlyJob if (180..220).contains(&(scrape % DAY)) => slow = 1.7,
        Event::CacheFlush if within(60) => {
            slow = 1.0 + 3.0 * (-(since.unwrap_or(0) as f64) / 9.0).exp();
        }
        Event::DoubledMix if within(12 * HOUR) => share *= 2.0,
        Event::ScrapeGap if within(20) => is_scraped = false,
        Event::QuietNight if (60..300).contains(&(scrape % DAY)) => rate *= 0.15,
        _ => {}
    }
    let rate = rate * (1.0 + 0.05 * random.normal()).max(0.1);
    // A little slower the more is to do, as a queue far from its limit.
    let busy = rate / (6.0 * NOON);
    let noise = 1.0 + 0.06 * random.normal();
    let (light, heavy) = (0.04 * slow * noise / (1.0 - busy), 0.4 * slow * noise);
    let mut minute = Minute::healthy(rate, slow, light, heavy, share);
    minute.is_scraped = is_scraped;
    if let Some(planted) = planted {
        planted.befall(&mut minute, scrape, fault(seed), noise);
    }
    minute
}

fn endpoint(name: &str, code: u16, count: u64, time: f64) -> Option<EndpointTick> {
    let mut times = Histogram::new();
    // Half of them quicker, a few much slower: times are never all alike.
    let slow = count / 40;
    let quick = (count - slow) / 2;
    for (count, factor) in [(quick, 0.7), (count - slow - quick, 1.15), (slow, 2.8)] {
        if count > 0 {
            times.record_many(Duration::from_secs_f64(time * factor), count);
        }
    }
    (count > 0).then(|| EndpointTick {
        endpoint: name.to_owned(),
        class: ResponseClass::Status(code),
        response_time: times.clone(),
        service_time: times,
    })
}

fn week(event: Event, seed: u64, planted: Option<Planted>) -> Recording {
    let mut random = Random::new(seed);
    let mut timeline = Timeline::default();
    let mut systems = Systems::default();
    let at = |scrape: u64| Moment::START + Duration::from_secs(scrape * STEP);
    let mut cpu = [0.0, 0.0];
    for scrape in 0..WEEK {
        let now = minute(scrape, event, seed, planted, &mut random);
        let is_restart = match event {
            Event::Deploy | Event::Restart => scrape == begin(seed),
            _ => false,
        };
        let is_reset = is_restart || event == Event::CounterReset && scrape == begin(seed);
        if is_reset {
            cpu = if event == Event::Restart { [0.0, cpu[1]] } else { [0.0; 2] };
        }
        let count = now.rate * STEP as f64;
        for cpu in &mut cpu {
            *cpu += count * 0.004 * (1.0 + 0.05 * random.normal());
        }
        systems.pass(&now, count);
        if !now.is_scraped {
            continue;
        }
        let window = Window::new(at(scrape), at(scrape + 1));
        let heavy = (count * now.share) as u64;
        let failed = (count * now.errors) as u64;
        let light = (count as u64).saturating_sub(heavy + failed);
        let endpoints = [
            endpoint("GET /product", 200, light, now.light),
            endpoint("GET /report", 200, heavy, now.heavy),
            endpoint("GET /product", 500, failed, now.light),
        ];
        timeline.ticks.push(LoadTick {
            offered: count as u64,
            sent: count as u64,
            in_flight: now.rate * now.light,
            endpoints: endpoints.into_iter().flatten().collect(),
            ..LoadTick::empty(window, "observed")
        });
        let mut batch = BatchBuilder::new();
        for (place, cpu) in cpu.into_iter().enumerate() {
            let process = || Labels::none().with("process", format!("shop-{place}"));
            let is_new = event == Event::Deploy || event == Event::Restart && place == 0;
            let is_new = is_new && scrape >= begin(seed);
            let mut start = if is_new { 1.7e9 + (begin(seed) * STEP) as f64 - 5.0 } else { 1.6e9 };
            if now.restarted.get(place) == Some(&true) {
                start = 1.7e9 + (fault(seed).0 * STEP) as f64 - 5.0;
            }
            batch.push_labelled(&names::PROCESS_CPU_TIME, process(), cpu);
            batch.push_labelled(&names::PROCESS_CPU_ALLOWED, process(), 4.0);
            batch.push_labelled(&names::PROCESS_START_TIME, process(), start);
        }
        systems.read(&now, &mut batch);
        let at = Window::new(window.end, window.end);
        let readings = batch.finish();
        timeline.push_batch(Batch { collector: "prometheus".to_owned(), window: at, readings });
    }
    Recording {
        plan: PlanSummary::default(),
        environment: Environment { started_unix: 1.7e9, ..Environment::default() },
        stop: None,
        timeline,
        events: Vec::new(),
    }
}

/// Each event twice, which are twenty weeks, or, unless `KNEEPOINT_WEEKS` is set, every tenth of them.
fn weeks() -> impl Iterator<Item = (Event, u64)> {
    let every = if std::env::var_os("KNEEPOINT_WEEKS").is_some() { 1 } else { 10 };
    let all = (1..=2).flat_map(|round| {
        EVENTS.into_iter().zip(1..).map(move |(event, place)| (event, round * 100 + place))
    });
    all.step_by(every)
}

fn asked(recording: &Recording) -> Incident {
    incident(recording, RuleSet::builtin(), &Asked::default())
}

fn cause(incident: &Incident) -> Option<&str> {
    let cause = incident.findings.iter().find(|it| it.finding.role == FindingRole::Cause);
    // What stands apart, such as a process that was killed, is a cause where it failed requests.
    let cause = cause.or_else(|| incident.findings.first());
    cause.map(|it| it.finding.rule.as_str())
}

#[test]
fn healthy_weeks_accuse_nobody() {
    let mut wrong = Vec::new();
    for (event, seed) in weeks() {
        let found = asked(&week(event, seed, None));
        if found.onset.is_some() || cause(&found).is_some() {
            wrong.push(format!("{event:?} {seed}: {:?} {:?}", cause(&found), found.symptoms));
        }
        let is_told = matches!(event, Event::CacheFlush | Event::NightlyJob);
        if is_told && found.passed.is_empty() {
            wrong.push(format!("{event:?} {seed}: what passed is not told"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fault_in_such_a_week_is_found_with_its_moment() {
    let mut wrong = Vec::new();
    for planted in PLANTED {
        let (mut right, mut near, mut all) = (0, 0, 0);
        for (event, seed) in weeks() {
            let found = asked(&week(event, seed, Some(planted)));
            let begun = (fault(seed).0 * STEP) as f64;
            let away = found.onset.map(|onset| (onset.at.secs() - begun) / STEP as f64);
            let is_near = away.is_some_and(|away| away.abs() <= 2.0);
            let is_right = match cause(&found) {
                Some(cause) => planted.rules().contains(&cause),
                None => !planted.can_be_told(),
            };
            let is_told = planted.change().is_none_or(|what| {
                found.changes.iter().any(|change| {
                    change.what.contains(what) && change.order != kneepoint::incident::Order::After
                })
            });
            (right, near, all) =
                (right + usize::from(is_right), near + usize::from(is_near), all + 1);
            if !(is_near && is_right && is_told) {
                let rules: Vec<_> = found
                    .findings
                    .iter()
                    .map(|it| (&it.finding.rule, &it.finding.role, it.order))
                    .collect();
                let out: Vec<_> = found
                    .ruled_out
                    .iter()
                    .filter(|it| planted.rules().contains(&it.rule.as_str()))
                    .collect();
                let (passed, caveats, changes) = (&found.passed, &found.caveats, &found.changes);
                wrong.push(format!(
                    "{planted:?} {event:?} {seed}: {away:?} scrapes away; {rules:?} {out:?} \
                     {passed:?} {caveats:?} {changes:?}"
                ));
            }
        }
        eprintln!("{planted:?}: {right} of {all} causes right or honest, {near} of {all} onsets");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
