//! The figures of a run, as a table and as JSON.

use std::fmt;

use serde::Serialize;
use serde_json::json;

use crate::peers::{PEERS, Run};
use crate::{CLOSED, CONNECTIONS, JOURNEY, OPEN, ROUNDS, SECS, USERS};

/// Everything that was measured.
pub struct Figures {
    server: &'static str,
    rows: Vec<Row>,
    pub lateness: Vec<Late>,
    pub paced: Vec<Paced>,
    pub notes: Vec<String>,
}

/// One tool.
pub struct Row {
    name: &'static str,
    costs: Vec<Flat>,
    /// Users, and their memory; `None` if the tool cannot have this many.
    pub memory: Vec<(usize, Option<u64>)>,
    /// Reported and true, in seconds.
    pub p99: Option<(f64, f64)>,
}

/// One round of a tool that ran flat out.
struct Flat {
    requests: f64,
    /// Microseconds per request, in user code and in the kernel.
    micros: [f64; 2],
}

/// One tool at a rate.
pub struct Paced {
    name: &'static str,
    rate: u64,
    /// By round: requests a second, CPU per request, and p50 and p99 of the response times, in
    /// microseconds.
    rounds: Vec<[f64; 4]>,
}

impl Paced {
    /// Adds a round.
    pub fn count(all: &mut Vec<Self>, name: &'static str, rate: u64, run: &Run) {
        let at = all.iter().position(|paced| paced.name == name && paced.rate == rate);
        let at = at.unwrap_or_else(|| {
            all.push(Self { name, rate, rounds: Vec::new() });
            all.len() - 1
        });
        let [user, sys] = run.cost.cpu.map(|cpu| cpu.as_secs_f64() * 1e6);
        let requests = run.requests.max(1) as f64;
        let [p50, p99] = [run.p50, run.p99].map(|time| time.map_or(f64::NAN, |time| time * 1e6));
        all[at].rounds.push([requests / SECS as f64, (user + sys) / requests, p50, p99]);
    }

    fn medians(&self) -> [f64; 4] {
        [0, 1, 2, 3].map(|column| median(self.rounds.iter().map(|round| round[column])))
    }

    fn json(&self) -> serde_json::Value {
        let [requests, cpu, p50, p99] = self.medians();
        json!({
            "tool": self.name,
            "rate": self.rate,
            "requests_per_s": requests,
            "cpu_us": cpu,
            "p50_us": p50,
            "p99_us": p99,
        })
    }
}

/// How late kneepoint was at a rate, in microseconds.
#[derive(Serialize)]
pub struct Late {
    pub rate: f64,
    pub is_poisson: bool,
    /// Per request.
    pub cpu: f64,
    pub p50: f64,
    pub p99: f64,
    pub longest: f64,
}

/// The median; NaN without values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

impl Figures {
    pub fn new(server: &'static str) -> Self {
        let names = PEERS.iter().map(|peer| peer.name).chain([OPEN, CLOSED, JOURNEY]);
        let rows = names.map(|name| Row { name, costs: vec![], memory: vec![], p99: None });
        let notes = PEERS.iter().filter_map(|peer| peer.absence()).collect();
        Self { server, rows: rows.collect(), lateness: vec![], paced: vec![], notes }
    }

    /// That of a tool.
    pub fn row(&mut self, name: &str) -> &mut Row {
        self.rows.iter_mut().find(|row| row.name == name).expect("every tool has a row")
    }

    fn wrk(&self) -> &Row {
        &self.rows[0]
    }

    pub fn json(&self) -> String {
        let wrk = self.wrk();
        let rows = self.rows.iter().map(|row| {
            json!({
                "tool": row.name,
                "cpu_user_us": row.cpu(0),
                "cpu_sys_us": row.cpu(1),
                "cpu_to_wrk": row.both() / wrk.both(),
                "peak_bytes": row.memory.iter().map(|(users, bytes)| {
                    json!({ "users": users, "bytes": bytes })
                }).collect::<Vec<_>>(),
                "p99_reported_s": row.p99.map(|(reported, _)| reported),
                "p99_true_s": row.p99.map(|(_, truth)| truth),
            })
        });
        let rows: Vec<_> = rows.collect();
        let all = json!({
            "server": self.server,
            "tools": rows,
            "lateness_us": self.lateness,
            "at_a_rate": self.paced.iter().map(Paced::json).collect::<Vec<_>>(),
            "notes": self.notes,
        });
        format!("{all:#}\n")
    }
}

impl Row {
    /// Adds a round.
    pub fn count(&mut self, run: &Run) {
        let requests = run.requests.max(1) as f64;
        let micros = run.cost.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / requests);
        self.costs.push(Flat { requests, micros });
    }

    /// Microseconds per request, in user code (0) or in the kernel (1).
    fn cpu(&self, part: usize) -> f64 {
        median(self.costs.iter().map(|flat| flat.micros[part]))
    }

    fn both(&self) -> f64 {
        median(self.costs.iter().map(|flat| flat.micros.iter().sum()))
    }

    fn bytes(&self, users: usize) -> f64 {
        let found = self.memory.iter().find(|(of, _)| *of == users);
        found.and_then(|(_, bytes)| *bytes).map_or(f64::NAN, |bytes| bytes as f64)
    }

    fn is_empty(&self) -> bool {
        self.costs.is_empty() && self.memory.is_empty() && self.p99.is_none()
    }
}

/// A figure with this many decimals, or `-` without one.
fn cell(value: f64, places: usize) -> String {
    if value.is_finite() { format!("{value:.places$}") } else { "-".to_owned() }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrk = self.wrk();
        writeln!(
            f,
            "\nserver: {}; CPU: us per request at {CONNECTIONS} connections, medians of {ROUNDS} \
             rounds of {SECS} s; memory: peak MB with so many users or connections; p99 in s, of a \
             server that stalls\n",
            self.server
        )?;
        let heads = ["requests", "user", "sys", "both", "to wrk"];
        let more = ["MB 1,000", "to wrk", "MB 10,000", "to wrk", "p99", "true", "off %"];
        write!(f, "{:<22}", "")?;
        for head in heads.iter().chain(&more) {
            write!(f, " {head:>9}")?;
        }
        writeln!(f)?;
        for row in self.rows.iter().filter(|row| !row.is_empty()) {
            let requests = median(row.costs.iter().map(|flat| flat.requests));
            let [few, many] = USERS.map(|users| row.bytes(users));
            let [wrk_few, wrk_many] = USERS.map(|users| wrk.bytes(users));
            let (p99, truth) = row.p99.unwrap_or((f64::NAN, f64::NAN));
            let cells = [
                cell(requests, 0),
                cell(row.cpu(0), 2),
                cell(row.cpu(1), 2),
                cell(row.both(), 2),
                cell(row.both() / wrk.both(), 2),
                cell(few / 1e6, 1),
                cell(few / wrk_few, 2),
                cell(many / 1e6, 1),
                cell(many / wrk_many, 2),
                cell(p99, 3),
                cell(truth, 3),
                cell((p99 / truth - 1.0) * 100.0, 1),
            ];
            write!(f, "{:<22}", row.name)?;
            for cell in cells {
                write!(f, " {cell:>9}")?;
            }
            writeln!(f)?;
        }
        if !self.lateness.is_empty() {
            writeln!(f, "\nkneepoint at a rate: CPU per request, and lateness in us")?;
            writeln!(f, "{:<22} {:>9} {:>9} {:>9} {:>9}", "", "both", "p50", "p99", "longest")?;
        }
        for Late { rate, is_poisson, cpu, p50, p99, longest } in &self.lateness {
            let name = format!("{rate}/s, {}", if *is_poisson { "Poisson" } else { "even" });
            writeln!(f, "{name:<22} {cpu:>9.2} {p50:>9.0} {p99:>9.0} {longest:>9.0}")?;
        }
        if !self.paced.is_empty() {
            writeln!(f, "\nat a rate: CPU per request, and response times in us")?;
            writeln!(f, "{:<30} {:>9} {:>9} {:>9} {:>9}", "", "a second", "both", "p50", "p99")?;
        }
        for paced in &self.paced {
            let [requests, cpu, p50, p99] = paced.medians();
            let [requests, p50, p99] = [requests, p50, p99].map(|value| cell(value, 0));
            let name = format!("{}/s, {}", paced.rate, paced.name);
            writeln!(f, "{name:<30} {requests:>9} {cpu:>9.2} {p50:>9} {p99:>9}")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}
