//! The table of terms, in the order of the alphabet.

use super::term::Term;

/// A term without aliases and without a source.
const PLAIN: Term =
    Term { id: "", name: "", aliases: &[], short: "", text: "", source: None, see: &[] };

pub(super) const TERMS: &[Term] = &[
    Term {
        id: "accept-queue",
        name: "accept queue",
        aliases: &["listen queue", "listen backlog"],
        short: "connections that the kernel has opened and the server has not accepted yet",
        text: "The kernel completes a TCP connection and puts it in this queue until the server \
               calls accept(). The queue has a limit: the smaller of what the server passes to \
               listen() and of net.core.somaxconn. When the queue is full, the kernel drops new \
               connections, and the client tries again after 1 s, 3 s and 7 s. A steady queue \
               means that the server does not accept fast enough.",
        source: Some("listen(2), tcp(7)"),
        see: &["saturation", "backlog"],
    },
    Term {
        id: "attribution",
        name: "attribution",
        aliases: &["attribution parts", "parts of the response time", "where the time goes"],
        short: "how the mean response time splits into named parts",
        text: "kneepoint splits the mean response time into parts: time on a CPU, time waiting \
               for a core, time in the database, time waiting for another service, time in a \
               queue. It measures them from outside, mostly from the kernel's socket state and \
               Little's law, without a change to the service. What is left over is shown as \
               'unexplained'. The part that grows with the load is where the limit is.",
        source: Some("operational analysis: Denning and Buzen, 1978"),
        see: &["littles-law", "unexplained", "response-time"],
    },
    Term {
        id: "backlog",
        name: "backlog",
        aliases: &["waiting for a connection"],
        short: "requests that are due but wait inside kneepoint for a free connection",
        text: "A request waits here if the plan's max_connections or max_in_flight is reached. \
               The target does not know these requests yet, so this wait belongs to the client. \
               It counts in the response time, as a user would feel it, and the report names it \
               apart.",
        see: &["in-flight", "response-time"],
        ..PLAIN
    },
    Term {
        id: "baseline",
        name: "baseline",
        aliases: &["low load", "unloaded"],
        short: "the stage of the lowest load, with which all others are compared",
        text: "The first stage holds a load so low that requests do not wait for each other. Its \
               response time is what the target needs for the work alone: values 'at low load' in \
               a report. For the command gate, it is what earlier runs of a branch came to.",
        see: &["stage", "knee"],
        ..PLAIN
    },
    Term {
        id: "breakpoint",
        name: "breakpoint",
        short: "the lowest load at which an objective is broken",
        text: "The first stage whose measurements break one of the objectives of the plan, for \
               example p(95) < 300ms. It can lie below the knee, if the objective is strict, or \
               above it, if the objective is loose. The executor called 'breakpoint' raises the \
               load in stages until it has found the knee.",
        see: &["objective", "capacity", "knee"],
        ..PLAIN
    },
    Term {
        id: "canary",
        name: "canary",
        aliases: &["canaries", "probe request"],
        short: "a few probe requests beside the load, to a cheap route",
        text: "A canary is a request to a route that does little work, sent once in a while \
               during the whole run. If the load is slow and the canary stays fast, requests do not \
               wait to be accepted. It does not clear the CPU or the workers, which need not serve \
               requests in the order of arrival. If the canary is slow too, something that every \
               request passes is stuck. Canaries do not count as load.",
        see: &["knee"],
        ..PLAIN
    },
    Term {
        id: "capacity",
        name: "capacity",
        short: "the highest load that meets every objective",
        text: "The highest offered load at which every objective of the plan holds. If the plan \
               has no objectives, it is the highest load below the knee. This is the number to \
               plan with; leave a reserve below it.",
        see: &["knee", "objective", "breakpoint"],
        ..PLAIN
    },
    Term {
        id: "cause",
        name: "cause",
        short: "the finding that explains the knee best",
        text: "The limit that bends the curve. kneepoint evaluates every rule at low load, at \
               the knee and beyond it, and takes the one whose evidence holds, which explains \
               most of the growth of the response time, and which is not itself the result of \
               another limit. Other findings are 'contributing', a 'consequence' of the cause, \
               or 'apart' from the knee.",
        see: &["finding", "confidence", "ruled-out"],
        ..PLAIN
    },
    Term {
        id: "closed-model",
        name: "closed model",
        aliases: &["closed loop", "virtual users", "virtual user", "VU", "VUs"],
        short: "virtual users, each of whom waits for the answer before the next request",
        text: "In the closed model a fixed number of virtual users (VUs) send requests, and each \
               waits for its answer first. A slow target therefore gets fewer requests: it slows \
               down its own load, as a fixed number of people or threads would. The executors \
               are constant-vus and ramping-vus. Compare 'open model'.",
        source: Some("Schroeder, Wierman, Harchol-Balter: Open Versus Closed, NSDI 2006"),
        see: &["open-model", "coordinated-omission"],
    },
    Term {
        id: "collector",
        name: "collector",
        aliases: &["collectors"],
        short: "a part of kneepoint that reads one system during the run",
        text: "A collector reads values on a fixed interval: host, process and tcp read the \
               kernel, postgres asks the database, prometheus reads a metrics endpoint. The plan \
               says which run; the report shows what each cost. 'kneepoint list collectors' \
               shows them all.",
        see: &["gap", "not-checked"],
        ..PLAIN
    },
    Term {
        id: "confidence",
        name: "confidence",
        short: "how sure the cause is (high, medium, low), counted from its conditions",
        text: "kneepoint counts; it does not estimate. High: every required condition of the \
               rule holds, supporting conditions hold too, and no rival explains the knee as \
               well. Each finding states how it was counted, and the page rules/README.md has \
               the rule.",
        see: &["cause", "evidence"],
        ..PLAIN
    },
    Term {
        id: "confidence-interval",
        name: "95 % interval",
        aliases: &["confidence interval", "interval"],
        short: "the range that holds the true value in 95 of 100 such runs",
        text: "A measurement varies from run to run. kneepoint draws the measured stages anew \
               many times and finds the knee each time: 95 of 100 of these knees lie in the \
               interval. A narrow interval means that the stages around the knee agree. To make \
               it narrower, hold the stages longer.",
        source: Some("the bootstrap: Efron, 1979"),
        see: &["knee"],
    },
    Term {
        id: "coordinated-omission",
        name: "coordinated omission",
        short: "the error of not counting the time that requests waited to be sent",
        text: "A load tool that waits for a slow answer sends its next requests late. If it then \
               measures from the actual send, a stall of ten seconds shows up as one slow \
               request instead of the thousands that users would have felt. kneepoint measures \
               the response time from the moment at which a request was due, so a stall is \
               counted in full.",
        source: Some("Gil Tene: How NOT to Measure Latency"),
        see: &["response-time", "lateness", "open-model"],
        ..PLAIN
    },
    Term {
        id: "counterfactual",
        name: "what a fix would bring",
        aliases: &["counterfactual", "counterfactuals", "prediction"],
        short: "the load that the target could carry without this limit",
        text: "kneepoint predicts what happens if a limit is removed: how much load the target \
               would carry, and which resource is the next limit. It uses the utilization law \
               and the demand per request, so it holds as long as a request keeps needing what \
               it needed in the run. The assumption stands beside each prediction.",
        source: Some("asymptotic bounds: Denning and Buzen, 1978"),
        see: &["utilization-law", "demand"],
    },
    Term {
        id: "demand",
        name: "demand",
        aliases: &["service demand"],
        short: "how long one request keeps a resource busy, in seconds",
        text: "The busy time of a resource divided by the requests in that time. Two cores that \
               are busy for 1 s while 500 requests are served make a demand of 4 ms of CPU per \
               request. The utilization law turns it into a limit: two cores and 4 ms allow at \
               most 500 requests/s.",
        source: Some("Denning and Buzen, 1978"),
        see: &["utilization-law", "utilization"],
    },
    Term {
        id: "erlang-c",
        name: "Erlang C",
        aliases: &["Erlang"],
        short: "the formula for the wait in a queue with several servers, e.g. pooled connections",
        text: "A formula from telephone networks. From the arrival rate, the time for which each \
               request holds a connection and the number of connections, it gives the \
               probability and the length of a wait, for arrivals at random. kneepoint uses it \
               to say which size of a pool would be enough.",
        source: Some("A. K. Erlang, 1917"),
        see: &["counterfactual", "pool"],
    },
    Term {
        id: "evidence",
        name: "evidence",
        aliases: &["condition"],
        short: "a condition of a rule with the value that was measured",
        text: "Each rule is a list of conditions on what was measured, for example 'at least 95 \
               % of the pooled connections are in use'. A condition holds, does not hold, or has \
               no data. The report shows each with its value at the knee, its value at low load \
               and its bound.",
        see: &["finding", "ruled-out", "not-checked"],
        ..PLAIN
    },
    Term {
        id: "finding",
        name: "finding",
        aliases: &["findings", "rule"],
        short: "a rule whose conditions hold in this run",
        text: "kneepoint has one rule for each fault it knows, such as db-pool-too-small. A rule \
               whose conditions hold becomes a finding. Its role says what it has to do with the \
               knee: cause, contributing, consequence or apart. 'kneepoint rules explain ID' \
               shows the conditions of a rule.",
        see: &["cause", "evidence", "ruled-out"],
        ..PLAIN
    },
    Term {
        id: "floor",
        name: "floor",
        aliases: &["floors", "lower edge"],
        short: "the lowest value that a series falls back to in a stretch of time",
        text: "Memory rises while requests are served and falls when a garbage collector runs. \
               Such a curve says little about a leak, but its lowest points do: if they rise \
               steadily, something is never given back. kneepoint looks for leaks in these \
               floors.",
        see: &["leak", "soak"],
        ..PLAIN
    },
    Term {
        id: "gap",
        name: "gap",
        aliases: &["gaps"],
        short: "a reading that is missing, with the reason",
        text: "If a collector cannot read a value, because of a timeout or missing rights, \
               kneepoint records that it is missing and why. It does not draw a line across the \
               gap and does not read it as zero.",
        see: &["not-checked"],
        ..PLAIN
    },
    Term {
        id: "generator",
        name: "load generator",
        aliases: &["generator"],
        short: "kneepoint itself, as the sender of the load",
        text: "A load generator that is itself too slow measures itself, not the target. \
               kneepoint watches its own CPU, its own connections and how punctually it sends. \
               If the generator was the limit, the report says so and names no cause in the \
               target.",
        see: &["lateness"],
        ..PLAIN
    },
    Term {
        id: "goodput",
        name: "goodput",
        short: "successful responses per second",
        text: "Throughput counts every response; goodput counts only the successful ones. An \
               overloaded service can answer quickly with errors: its throughput stays high, its \
               goodput falls.",
        see: &["throughput", "offered-load"],
        ..PLAIN
    },
    Term {
        id: "idle-in-transaction",
        name: "idle in transaction",
        short: "a database session with an open transaction that executes nothing",
        text: "The application has opened a transaction and does something else, such as calling \
               another service. The connection cannot serve another request meanwhile, and locks \
               that the transaction took stay held.",
        source: Some("PostgreSQL: pg_stat_activity"),
        see: &["pool"],
        ..PLAIN
    },
    Term {
        id: "in-flight",
        name: "requests in flight",
        aliases: &["in flight"],
        short: "requests that were sent and have no response yet",
        text: "Also called concurrency. At a steady load it equals throughput times mean \
               response time (Little's law). If it grows while the offered load is constant, \
               requests arrive faster than the target answers them, and a queue grows somewhere.",
        see: &["littles-law", "backlog"],
        ..PLAIN
    },
    Term {
        id: "knee",
        name: "knee",
        aliases: &["kneepoint", "knee point"],
        short: "the load where throughput stops following or response times take off",
        text: "Below the knee, more load means more throughput and the response time hardly \
               changes. At the knee a resource is used up: more load only makes a queue longer, \
               or makes requests fail. kneepoint gives the knee as a rate with a 95 % interval, \
               and looks for its cause in what changed there.",
        see: &["capacity", "saturation", "confidence-interval"],
        ..PLAIN
    },
    Term {
        id: "lateness",
        name: "lateness",
        short: "how long after its due time kneepoint sent a request",
        text: "The actual send minus the intended start. It shows whether the generator kept its \
               schedule. A target cannot cause it: a request that waits for a free connection is \
               in the backlog instead.",
        see: &["generator", "coordinated-omission"],
        ..PLAIN
    },
    Term {
        id: "leak",
        name: "leak",
        aliases: &["memory leak", "descriptor leak", "connection leak"],
        short: "something that is taken for each request and never given back",
        text: "Memory, file descriptors, connections or threads that grow as long as the load \
               goes on, until a limit is reached. kneepoint tells a leak from a warm-up: it \
               looks at the floors of the series, tests whether a curve that flattens would fit \
               as well as a line, and says when the limit would be reached.",
        see: &["floor", "soak"],
        ..PLAIN
    },
    Term {
        id: "littles-law",
        name: "Little's law",
        aliases: &["Littles law"],
        short: "requests in flight = throughput x mean response time",
        text: "It holds for any stable system, whatever happens inside. If 40 requests are in \
               flight and 200 are answered per second, each takes 0.2 s on average. kneepoint \
               applies it to the kernel's list of sockets: the mean number of calls that wait \
               for a peer, divided by the throughput, is the time per request spent on that \
               peer.",
        source: Some("J. D. C. Little: A Proof for the Queuing Formula L = lambda W, 1961"),
        see: &["in-flight", "attribution"],
    },
    Term {
        id: "load-shedding",
        name: "load shedding",
        aliases: &["shedding"],
        short: "rejecting requests on purpose when a service is full",
        text: "A service that sheds load answers quickly with 503 or 429 when it is full, and \
               serves the rest in time. A service that queues instead serves everybody late. \
               Under overload, shedding is usually the better behaviour.",
        source: Some("Site Reliability Engineering, chapter 21, O'Reilly 2016"),
        see: &["overload", "goodput"],
    },
    Term {
        id: "not-checked",
        name: "not checked",
        aliases: &["inconclusive"],
        short: "a fault that could not be examined, because data is missing",
        text: "kneepoint reads missing data as missing, not as a good sign. For each such fault \
               the report names the one thing to add to the plan, usually a collector.",
        see: &["ruled-out", "gap"],
        ..PLAIN
    },
    Term {
        id: "objective",
        name: "objective",
        aliases: &["objectives", "SLO", "threshold"],
        short: "a bound that the plan sets, for example p(95) < 300ms",
        text: "A condition on the response time or on the share of failed requests that every \
               stage must meet. The capacity is the highest load that meets all of them.",
        see: &["capacity", "breakpoint", "percentile"],
        ..PLAIN
    },
    Term {
        id: "offered-load",
        name: "offered load",
        aliases: &["offered", "offered rate", "arrival rate"],
        short: "the requests per second that the plan asked for",
        text: "Requests that were due, whether or not the target answered. At low load \
               throughput equals the offered load; past the knee it stays behind. In the closed \
               model, where users wait for answers, it is what the users would ask for if the \
               target answered as fast as at the lowest load.",
        see: &["throughput", "open-model", "knee"],
        ..PLAIN
    },
    Term {
        id: "open-model",
        name: "open model",
        aliases: &["open loop"],
        short: "requests arrive on a schedule, whether or not earlier ones were answered",
        text: "In the open model requests are sent at a given rate, as independent users of a \
               web site do: a slow answer to one does not hold back the next. If the target \
               cannot keep up, a queue grows and becomes visible. The executors are \
               constant-arrival-rate, ramping-arrival-rate and breakpoint. Compare 'closed model'.",
        source: Some("Schroeder, Wierman, Harchol-Balter: Open Versus Closed, NSDI 2006"),
        see: &["closed-model", "offered-load", "coordinated-omission"],
    },
    Term {
        id: "overload",
        name: "overload",
        aliases: &["behaviour under overload"],
        short: "more load than the target can serve",
        text: "kneepoint holds a load beyond the knee to see what the target does with it: \
               reject the surplus quickly, queue it, or serve less than it could (collapse). It \
               then drops the load and looks whether the target recovers.",
        see: &["load-shedding", "knee", "recovery"],
        ..PLAIN
    },
    Term {
        id: "percentile",
        name: "percentile",
        aliases: &["p50", "p90", "p95", "p99", "median", "percentiles"],
        short: "p99 is the time within which 99 % of the requests are answered",
        text: "p50, the median, is what half of the requests stay below. p99 shows the slow \
               ones: a page of 100 requests meets it on most visits. Percentiles cannot be \
               averaged, so kneepoint keeps histograms and merges those.",
        see: &["response-time"],
        ..PLAIN
    },
    Term {
        id: "pool",
        name: "connection pool",
        aliases: &["pool", "pooled connection", "pooled connections"],
        short: "a fixed number of connections that requests share, usually to a database",
        text: "A request takes a connection, uses it and gives it back. If all are taken, the \
               next request waits inside the service. The pool carries at most its size divided \
               by the time for which a request holds a connection: 10 connections held for 20 ms \
               allow 500 requests/s.",
        see: &["utilization-law", "erlang-c"],
        ..PLAIN
    },
    Term {
        id: "recovery",
        name: "recovery",
        aliases: &["after the load"],
        short: "what the target does once the load is off",
        text: "After the last stage kneepoint sends little or nothing and goes on watching: do \
               the queues empty, is memory given back, are connections closed? What stays high \
               is work that nobody waits for, or a leak.",
        see: &["overload", "leak"],
        ..PLAIN
    },
    Term {
        id: "response-time",
        name: "response time",
        aliases: &["latency"],
        short: "from the moment a request was due to the end of its response",
        text: "It includes every wait: in kneepoint's backlog, in the target's queues, and the \
               work itself. It starts when the request was due and not when it was sent, so that \
               a target that stalls cannot hide the stall. Compare 'service time'.",
        see: &["service-time", "coordinated-omission", "percentile"],
        ..PLAIN
    },
    Term {
        id: "retry-amplification",
        name: "retry amplification",
        aliases: &["amplification"],
        short: "failed calls that are repeated and so add to the load",
        text: "If each failed call is tried three times, a failing service gets up to three \
               times the load, just when it can least bear it. Bounded retries with a growing, \
               random pause avoid that.",
        source: Some("Site Reliability Engineering, chapter 22, O'Reilly 2016"),
        see: &["overload"],
    },
    Term {
        id: "role",
        name: "role of a finding",
        aliases: &["role", "contributing", "consequence", "apart"],
        short: "what a finding has to do with the knee: cause, contributing, consequence or apart",
        text: "The cause bends the curve. A contributing finding is a second limit beside it: \
               look there next. A consequence follows from another finding, as taken workers \
               follow from a full pool: do not fix it, fix the cause. A finding that is apart, \
               such as a leak, is worth fixing but did not bend the curve.",
        see: &["cause", "finding"],
        ..PLAIN
    },
    Term {
        id: "ruled-out",
        name: "ruled out",
        short: "a fault that was examined and is not there",
        text: "The data for its rule was there, and a required condition does not hold, or a \
               condition that refutes it does. The report shows the deciding value.",
        see: &["not-checked", "evidence"],
        ..PLAIN
    },
    Term {
        id: "run-queue",
        name: "run queue",
        aliases: &["waiting for a core"],
        short: "threads that are ready to run and wait for a free core",
        text: "The kernel counts how long each thread waits for a core. If this wait grows with \
               the load, the CPU is the limit, even if the utilization over a second looks \
               moderate.",
        source: Some("/proc/PID/schedstat"),
        see: &["saturation", "utilization"],
    },
    Term {
        id: "saturation",
        name: "saturation",
        aliases: &["saturated"],
        short: "work that waits because a resource is fully in use",
        text: "A resource at 100 % need not be a problem; work that queues in front of it is. \
               Signs are a run queue in front of the CPU, callers that wait for a pooled \
               connection, or a full accept queue.",
        source: Some("Brendan Gregg: the USE method"),
        see: &["utilization", "knee"],
    },
    Term {
        id: "service-time",
        name: "service time",
        short: "from the actual send of a request to the end of its response",
        text: "It leaves out the time a request waited inside kneepoint before it was sent. If \
               the response time is much longer than the service time, requests wait for a free \
               connection.",
        see: &["response-time", "backlog"],
        ..PLAIN
    },
    Term {
        id: "soak",
        name: "soak",
        aliases: &["soak test", "endurance test"],
        short: "one load held for a long time, to find leaks and slow drifts",
        text: "A leak or a slow growth needs time to show. A soak holds one load, well below the \
               knee, for an hour or a day. kneepoint then says for each resource: leak, no leak, \
               or how much longer it must run to tell.",
        see: &["leak", "floor"],
        ..PLAIN
    },
    Term {
        id: "stage",
        name: "stage",
        aliases: &["stages"],
        short: "one level of load, held for some seconds",
        text: "kneepoint raises the load in steps and holds each, so that the target settles and \
               each level can be compared with the others. The first seconds of a stage do not \
               count.",
        see: &["offered-load", "baseline"],
        ..PLAIN
    },
    Term {
        id: "think-time",
        name: "think time",
        aliases: &["pause"],
        short: "the time that a virtual user waits between two requests",
        text: "People read a page before they click. In the closed model the think time decides \
               how many requests per second a number of users makes.",
        see: &["closed-model"],
        ..PLAIN
    },
    Term {
        id: "throughput",
        name: "throughput",
        short: "responses per second, failed ones included",
        text: "What the target really answers. Below the knee it equals the offered load; at the \
               knee it stops growing; beyond it, it can even fall.",
        see: &["goodput", "offered-load"],
        ..PLAIN
    },
    Term {
        id: "unexplained",
        name: "unexplained",
        aliases: &["unexplained rest"],
        short: "the part of the response time that no measurement accounts for",
        text: "The response time minus all parts that were measured. A small rest is normal. A \
               large one that grows with the load means that the limit is something kneepoint \
               cannot see yet; 'not checked' says what to add.",
        see: &["attribution", "not-checked"],
        ..PLAIN
    },
    Term {
        id: "utilization",
        name: "utilization",
        aliases: &["in use", "busy"],
        short: "the share of a resource that is in use, 0 to 100 %",
        text: "How much of the time a core, a connection or a worker is busy. Near 100 % work \
               begins to wait, and a small increase of load makes the wait much longer.",
        see: &["saturation", "utilization-law"],
        ..PLAIN
    },
    Term {
        id: "utilization-law",
        name: "utilization law",
        short: "a resource allows at most its size / its busy time per request",
        text: "Utilization = throughput x demand, and utilization cannot exceed what is there. 3 \
               connections, each held for 15 ms per request, allow at most 3 / 0.015 s = 200 \
               requests/s. If the knee lies where this law says, the resource is confirmed as \
               the limit.",
        source: Some(
            "Denning and Buzen: The Operational Analysis of Queueing Network Models, 1978",
        ),
        see: &["demand", "utilization", "counterfactual"],
        ..PLAIN
    },
    Term {
        id: "window",
        name: "window",
        aliases: &["span"],
        short: "a stretch of time in which values are compared: baseline, knee, beyond",
        text: "Each condition of a rule is evaluated in a window: at low load (baseline), at the \
               knee, or beyond it. The charts over time show them shaded.",
        see: &["baseline", "knee"],
        ..PLAIN
    },
];
