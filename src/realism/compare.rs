//! Traffic against a plan: one function for each kind of difference.
//!
//! A bound that is crossed by chance would cry wolf: each compares shares with at least some requests
//! behind them, and by a factor that no sampling explains.

use std::collections::BTreeMap;

use super::bursts::{LENGTHS, Rates};
use super::gap::{Gap, GapKind, Realism};
use super::kinds::{Kind, Kinds};
use super::planned::{Peak, Planned};
use super::sessions::Sessions;
use super::traffic::Traffic;

/// Requests that are drawn from a plan for the comparison: a kind with a share of 0.1 % has 100.
pub const REQUESTS_DRAWN: usize = 100_000;
/// A kind with a smaller share of the requests is not told: it hardly changes the load.
const SMALLEST_SHARE: f64 = 0.01;
/// Shares, think times and numbers of keys that differ by less than this factor are alike.
const ALIKE: f64 = 2.0;
/// A kind that the plan sends at less than this part of its share is as good as missing.
const AS_GOOD_AS_MISSING: f64 = 0.1;
/// The plan reaches a peak within this share of it.
const REACHED: f64 = 0.9;
/// Requests of a kind, on both sides, without which its keys are not compared.
const FEWEST_OF_KIND: u64 = 100;
/// Draws for which numbers of keys are compared, at most.
const MOST_DRAWS: f64 = 10_000.0;
/// A key with at least this share of its kind is hot.
const HOT: f64 = 0.05;
/// A key is hotter in production where its share is this many times that of the plan's hottest.
const HOTTER: f64 = 3.0;
/// Sessions and requests without which their order is not compared.
const FEWEST_SESSIONS: u64 = 50;
/// Share of production's steps that the plan's journeys take at least, for the order to be alike.
const ORDER_ALIKE: f64 = 0.5;
/// Think times differ where their medians do by this factor: logs have whole seconds.
const THINKS_ALIKE: f64 = 3.0;
/// Share of the requests that are retries from which on they add load.
const RETRIED: f64 = 0.01;
/// A request depends on the one before where it follows it this many times as often as it comes
/// otherwise. With [`FEWEST_OF_KIND`] steps behind it, chance alone makes such a share in 1 of 160.
const FOLLOWS: f64 = 1.25;
/// Steps of production's sessions that are told where the plan has none.
const MOST_STEPS: usize = 3;
/// Kinds that are listed in one gap.
const TOLD: usize = 8;

/// Holds what a plan would send against what users did.
pub fn compare(traffic: &Traffic, planned: &Planned) -> Realism {
    let mut realism = Realism::default();
    let rates = traffic.rates();
    mix(traffic, planned, &mut realism);
    bursts(&rates, planned, &mut realism);
    for kind in traffic.kinds.all() {
        keys(kind, planned, &mut realism);
    }
    sessions(traffic, planned, &mut realism);
    retries(traffic, planned, &mut realism);
    connections(&traffic.sessions, planned, &mut realism);
    left_out(traffic, &mut realism);
    realism
}

fn mix(traffic: &Traffic, planned: &Planned, realism: &mut Realism) {
    let (theirs, ours) = (&traffic.kinds, &planned.kinds);
    let share_in = |kinds: &Kinds, name: &str| kinds.named(name).map_or(0.0, |it| kinds.share(it));
    let sent = |kind: &&Kind| share_in(ours, &kind.name) >= AS_GOOD_AS_MISSING * theirs.share(kind);
    let covered: u64 = theirs.all().iter().filter(sent).map(|kind| kind.count).sum();
    realism.covered = Some(covered as f64 / theirs.total.max(1) as f64);
    let differs = |from: &Kinds, to: &Kinds| -> Vec<(String, f64, f64)> {
        let of = |kind: &Kind| (kind.name.clone(), from.share(kind), share_in(to, &kind.name));
        let mut found: Vec<_> = from
            .all()
            .iter()
            .map(of)
            .filter(|(_, here, there)| *here >= SMALLEST_SHARE && *here > ALIKE * there)
            .collect();
        found.sort_by(|one, other| other.1.total_cmp(&one.1));
        found
    };
    let missing = differs(theirs, ours);
    if !missing.is_empty() {
        let lines = missing.iter().take(TOLD).map(|(name, share, ours)| match *ours > 0.0 {
            true => format!("# raise the weight of {name} to {:.1} of 100", share * 100.0),
            false => request_lines(name, *share),
        });
        realism.gaps.push(Gap {
            kind: GapKind::MissingRequests,
            seen: format!("production asks for {}", told(&missing, "in the plan")),
            hides: "what these requests cost, and what they do to the others: locks, caches, pools"
                .to_owned(),
            close: lines.collect::<Vec<_>>().join("\n"),
        });
    }
    // A replay repeats what was rejected too.
    let mut foreign = differs(ours, theirs);
    foreign.retain(|(name, _, _)| traffic.rejected.named(name).is_none());
    if !foreign.is_empty() {
        realism.gaps.push(Gap {
            kind: GapKind::ForeignRequests,
            seen: format!("the plan asks for {}", told(&foreign, "in production")),
            hides: "the knee is that of another mix: these requests take the place of real ones"
                .to_owned(),
            close: "lower their `weight` to the share that they have in production".to_owned(),
        });
    }
}

fn told(kinds: &[(String, f64, f64)], there: &str) -> String {
    let each = kinds.iter().take(TOLD).map(|(name, here, other)| {
        format!("{name} ({} of requests, {} {there})", percent(*here), percent(*other))
    });
    let more = match kinds.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    each.collect::<Vec<_>>().join(", ") + &more
}

/// The table of a request of this kind, with its share in per cent as its weight.
fn request_lines(name: &str, share: f64) -> String {
    let (method, path) = name.split_once(' ').unwrap_or(("GET", name));
    // A route has `:id` where a plan has a value.
    let path = path.replace('{', "{{").replace('}', "}}").replace(":id", "{id}");
    let path = path.replace('?', "?{query}").replace(['"', '\\'], "");
    let method = match method {
        "GET" => String::new(),
        other => format!("method = \"{other}\"\n"),
    };
    format!("[[request]]\n{method}path = \"{path}\"\nweight = {:.1}", share * 100.0)
}

fn bursts(rates: &Rates, planned: &Planned, realism: &mut Realism) {
    let [second, ..] = rates.peaks;
    let peaks: Vec<String> = LENGTHS
        .iter()
        .zip(rates.peaks)
        .map(|(length, peak)| {
            format!(
                "{} requests/s in {length} s ({:.1} times the mean)",
                number(peak),
                peak / rates.mean.max(1e-9)
            )
        })
        .collect();
    let uneven = match rates.dispersion {
        Some(dispersion) => format!(
            "; within a minute the counts of its seconds have an index of dispersion of {} (1 is what \
             independent users make)",
            number(dispersion)
        ),
        None => String::new(),
    };
    let seen = format!(
        "production has {} requests/s on average and peaks of {}{uneven}",
        number(rates.mean),
        peaks.join(", ")
    );
    match planned.peak {
        Peak::Replayed => realism.reaches_peak = Some(true),
        Peak::Unknown => realism.notes.push(format!(
            "{seen}. Whether the plan reaches that is not known: its virtual users wait for answers. An \
             executor with a rate, such as `ramping-arrival-rate`, keeps asking as production does"
        )),
        Peak::Rate(rate) => {
            let reaches = rate >= second * REACHED;
            realism.reaches_peak = Some(reaches);
            if reaches {
                return;
            }
            realism.gaps.push(Gap {
                kind: GapKind::Bursts,
                seen: format!("{seen}; the plan asks for at most {} requests/s", number(rate)),
                hides: "queues, pools and limits that only fill in a burst, and how long the service \
                        takes to recover from one"
                    .to_owned(),
                close: burst_lines(rates, planned.is_steady),
            });
        }
    }
}

/// A load that reaches the peaks.
fn burst_lines(rates: &Rates, is_steady: bool) -> String {
    let [second, ten, _] = rates.peaks;
    let up = |rate: f64| format!("{:.0}", rate.max(1.0).ceil());
    match is_steady {
        false => format!("[load]\nmax = \"{}/s\"", up(second)),
        true => format!(
            "[load]\nexecutor = \"ramping-arrival-rate\"\nstart_rate = \"{mean}/s\"\narrivals = \
             \"poisson\"\nstages = [\n  {{ target = \"{mean}/s\", duration = \"60s\" }},\n  {{ target = \
             \"{ten}/s\", duration = \"1s\" }},\n  {{ target = \"{ten}/s\", duration = \"8s\" }},\n  {{ \
             target = \"{second}/s\", duration = \"1s\" }},\n  {{ target = \"{mean}/s\", duration = \
             \"60s\" }},\n]",
            mean = up(rates.mean),
            ten = up(ten),
            second = up(second),
        ),
    }
}

/// Number of different keys of a kind, and how popular the most popular one is.
fn keys(kind: &Kind, planned: &Planned, realism: &mut Realism) {
    let Some(ours) = planned.kinds.named(&kind.name) else { return };
    if kind.count < FEWEST_OF_KIND || ours.count < FEWEST_OF_KIND {
        return;
    }
    let draws = (kind.count.min(ours.count) as f64).min(MOST_DRAWS);
    let (here, there) = (ours.keys.among(draws), kind.keys.among(draws));
    let seen = format!(
        "{}: {} requests of production ask for {} different keys, {} of the plan for {} (of {} and {} \
         in all)",
        kind.name,
        whole(draws),
        whole(there),
        whole(draws),
        whole(here),
        whole(kind.keys.distinct()),
        whole(ours.keys.distinct())
    );
    if there > ALIKE * here {
        realism.gaps.push(Gap {
            kind: GapKind::Keys,
            seen,
            hides: "misses of every cache, and reads from disk: so few keys are all in memory"
                .to_owned(),
            close: format!(
                "[data.id]\nrange = [1, {}]\n# or the keys themselves, each as often as in the log: \
                 kneepoint convert ACCESS-LOG",
                whole(kind.keys.distinct().max(1.0))
            ),
        });
    } else if here > ALIKE * there {
        realism.gaps.push(Gap {
            kind: GapKind::Keys,
            seen,
            hides: "hits of every cache: production asks for the same keys again, and the plan finds a \
                    knee that is too low"
                .to_owned(),
            close: "[data.id]\npopularity = { zipf = 1.0 }\n# or the keys themselves, each as often as in \
                    the log: kneepoint convert ACCESS-LOG"
                .to_owned(),
        });
    }
    let (hot, warm) = (kind.keys.top_share(), ours.keys.top_share());
    if hot >= HOT && hot > HOTTER * warm {
        realism.gaps.push(Gap {
            kind: GapKind::Popularity,
            seen: format!(
                "{}: one key has {} of its requests in production, and none more than {} in the plan",
                kind.name,
                percent(hot),
                percent(warm)
            ),
            hides: "the lock, the row or the shard that everybody wants at once".to_owned(),
            close: format!(
                "[data.id]\npopularity = {{ hot = \"{:.4}%\", share = \"{:.0}%\" }}",
                100.0 / kind.keys.distinct().max(1.0),
                hot * 100.0
            ),
        });
    }
}

fn sessions(traffic: &Traffic, planned: &Planned, realism: &mut Realism) {
    let (theirs, ours) = (&traffic.sessions, &planned.sessions);
    if theirs.seen < FEWEST_SESSIONS {
        if traffic.kinds.total > FEWEST_SESSIONS * 100 {
            realism.notes.push(format!(
                "the log has {} clients: those of a proxy, as it seems; sessions are not compared (log \
                 the client's own address, such as nginx' `$realip_remote_addr` and real_ip module)",
                theirs.seen
            ));
        }
        return;
    }
    let longer = theirs.longer as f64 / theirs.sessions.max(1) as f64;
    if !planned.has_journeys() {
        if longer > 0.1 {
            realism.notes.push(format!(
                "{} of production's sessions have more than one request, and the plan's users have one \
                 each: order and think times are not tested. {} A [[journey]] has both: record one with \
                 a browser and `kneepoint convert FILE.har`",
                percent(longer),
                habits(traffic)
            ));
        }
        return;
    }
    order(traffic, planned, realism);
    let medians = theirs.median_think().map(|it| (it, ours.median_think().unwrap_or(0.0)));
    if let Some((theirs, ours)) = medians
        && (theirs > THINKS_ALIKE * ours.max(1.0) || ours > THINKS_ALIKE * theirs)
    {
        realism.gaps.push(Gap {
            kind: GapKind::ThinkTimes,
            seen: format!(
                "users pause {} s between two requests (median, of pauses of a second or more), the \
                 plan's users {} s",
                number(theirs),
                number(ours)
            ),
            hides: "sessions, connections and memory that users hold while they read".to_owned(),
            close: format!(
                "# in each [[journey.step]]\nthink = {{ lognormal = [\"{theirs:.0}s\", \"{theirs:.0}s\"] }}"
            ),
        });
    }
}

/// What production's users do within a session, in words: how long they pause, and which requests
/// follow others far more often than they come otherwise.
fn habits(traffic: &Traffic) -> String {
    let (kinds, sessions) = (&traffic.kinds, &traffic.sessions);
    let pause = match sessions.median_think() {
        Some(pause) => format!(
            "In production, users pause {} s between two requests (median, of pauses of a second or \
             more)",
            number(pause)
        ),
        None => "In production, users do not pause for as long as a second".to_owned(),
    };
    let mut after: BTreeMap<usize, u64> = BTreeMap::new();
    for ((from, _), count) in &sessions.pairs {
        *after.entry(*from).or_default() += count;
    }
    let mut steps: Vec<(u64, String)> = Vec::new();
    for ((from, to), count) in &sessions.pairs {
        let (Some(one), Some(next)) = (kinds.all().get(*from), kinds.all().get(*to)) else {
            continue;
        };
        let share = *count as f64 / after.get(from).copied().unwrap_or(0).max(1) as f64;
        let usual = kinds.share(next);
        if *count >= FEWEST_OF_KIND && share > FOLLOWS * usual {
            steps.push((
                *count,
                format!(
                    "after {}, {} ask for {} ({} of all requests do)",
                    one.name,
                    percent(share),
                    next.name,
                    percent(usual)
                ),
            ));
        }
    }
    // The most frequent first; of two that are as frequent, the one whose kind came first.
    steps.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let steps: Vec<String> = steps.into_iter().take(MOST_STEPS).map(|(_, text)| text).collect();
    match steps.is_empty() {
        true => {
            format!("{pause}, and what they ask for hardly depends on what they asked for before.")
        }
        false => format!("{pause}; {}.", steps.join("; ")),
    }
}

/// Which kind follows which.
fn order(traffic: &Traffic, planned: &Planned, realism: &mut Realism) {
    let pair_names = |kinds: &Kinds, pair: &(usize, usize)| {
        let name = |place: usize| kinds.all().get(place).map(|kind| kind.name.clone());
        name(pair.0).zip(name(pair.1))
    };
    // Twice the same says nothing of an order.
    let steps = |pair: &&(usize, usize)| pair.0 != pair.1;
    let ours: Vec<_> = planned.sessions.pairs.keys().filter(steps).collect();
    let known: std::collections::BTreeSet<(String, String)> =
        ours.into_iter().filter_map(|pair| pair_names(&planned.kinds, pair)).collect();
    let mut taken = 0;
    let mut all = 0;
    let mut missing: Vec<(u64, String, String)> = Vec::new();
    for (pair, count) in traffic.sessions.pairs.iter().filter(|(pair, _)| steps(pair)) {
        let Some(names) = pair_names(&traffic.kinds, pair) else { continue };
        all += count;
        match known.contains(&names) {
            true => taken += count,
            false => missing.push((*count, names.0, names.1)),
        }
    }
    if all < FEWEST_SESSIONS || taken as f64 >= ORDER_ALIKE * all as f64 {
        return;
    }
    missing.sort_by_key(|(count, ..)| std::cmp::Reverse(*count));
    let steps: Vec<String> = missing
        .iter()
        .take(TOLD)
        .map(|(count, from, to)| format!("{from} → {to} ({})", percent(*count as f64 / all as f64)))
        .collect();
    realism.gaps.push(Gap {
        kind: GapKind::Order,
        seen: format!(
            "{} of the steps from one kind of request to another are in no journey of the plan: {}",
            percent(1.0 - taken as f64 / all as f64),
            steps.join(", ")
        ),
        hides: "what one request leaves behind for the next: sessions, carts, caches that it fills"
            .to_owned(),
        close:
            "# a [[journey]] with these steps in this order; a browser records one:\n# kneepoint \
                convert FILE.har"
                .to_owned(),
    });
}

fn retries(traffic: &Traffic, planned: &Planned, realism: &mut Realism) {
    let sessions = &traffic.sessions;
    let share = sessions.retries as f64 / traffic.kinds.total.max(1) as f64;
    if planned.retries || share < RETRIED || sessions.retries < FEWEST_OF_KIND {
        return;
    }
    realism.gaps.push(Gap {
        kind: GapKind::Retries,
        seen: format!(
            "{} of production's requests repeat one that failed within 10 s ({} retries of {} failures), \
             and the plan's users do not retry",
            percent(share),
            sessions.retries,
            sessions.failures
        ),
        hides: "retries add load to a service that already fails, and keep it down".to_owned(),
        close: "[target]\nretries = { most = 2 }".to_owned(),
    });
}

fn connections(theirs: &Sessions, planned: &Planned, realism: &mut Realism) {
    let Some(most) = planned.max_connections else {
        if theirs.at_once > 1 {
            realism.notes.push(format!(
                "up to {} clients are there within a minute, and each may hold a connection; the plan \
                 opens as many as it has requests in flight. A log does not have connections: compare \
                 `ss -s` on the service",
                theirs.at_once
            ));
        }
        return;
    };
    if theirs.seen >= FEWEST_SESSIONS && theirs.at_once as f64 > ALIKE * most as f64 {
        realism.gaps.push(Gap {
            kind: GapKind::Connections,
            seen: format!(
                "up to {} clients are there within a minute, and the plan has at most {most} connections",
                theirs.at_once
            ),
            hides: "limits on connections, their memory, and full accept queues".to_owned(),
            close: format!("[target]\nmax_connections = {}", theirs.at_once),
        });
    }
}

fn left_out(traffic: &Traffic, realism: &mut Realism) {
    let (lines, unread) = traffic.lines();
    if unread > 0 {
        realism.notes.push(format!("{unread} of {lines} lines are not requests, and are left out"));
    }
    if traffic.rejected.total > 0 {
        realism.notes.push(format!(
            "{} requests that were answered with 4xx are in the rates and not in the mix: scanners ask \
             for what does not exist",
            traffic.rejected.total
        ));
    }
    if traffic.unsendable > 0 {
        realism.notes.push(format!(
            "{} requests that no plan can send are in the rates only",
            traffic.unsendable
        ));
    }
    if traffic.sessions.left_out > 0 {
        realism.notes.push(format!(
            "{} requests are not in the sessions: too many clients at once",
            traffic.sessions.left_out
        ));
    }
}

/// Two significant digits, as shares read.
fn percent(share: f64) -> String {
    let per_cent = share * 100.0;
    match per_cent {
        0.0 => "0 %".to_owned(),
        small if small < 1.0 => format!("{small:.1} %"),
        large => format!("{large:.0} %"),
    }
}

fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { whole(value) }
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}
