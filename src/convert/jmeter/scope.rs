//! What elements beside a sampler, and above it, add to it: defaults, headers, pauses, checks.

use std::time::Duration;

use super::props::{Item, items};
use super::reader::PlanReader;
use crate::convert::draft::RowOrder;
use crate::convert::draft::{Data, Think, seconds};
use crate::convert::http;
use crate::convert::table::ValueFile;
use crate::convert::template::{Template, identifier};
use crate::convert::xml::Element;
use crate::plan::is_secret_name;

/// What applies to every sampler of a part of the test plan.
#[derive(Clone, Default)]
pub(super) struct Scope<'x> {
    /// HTTP Request Defaults, the innermost last.
    pub(super) defaults: Vec<&'x Element>,
    pub(super) headers: Vec<(String, Template)>,
    /// The sum of the pauses of all timers.
    pub(super) think: Option<Think>,
    /// Extractors and assertions.
    pub(super) responses: Vec<&'x Element>,
    pub(super) has_cookies: bool,
    /// Requests per second that a throughput timer allows.
    pub(super) throughput: Option<Throughput>,
    /// For objectives.
    pub(super) tags: Vec<(String, String)>,
}

/// What a throughput timer allows.
#[derive(Clone, Copy)]
pub(super) struct Throughput {
    /// Requests per second.
    pub(super) rate: f64,
    /// Whether that holds for each thread.
    pub(super) is_per_thread: bool,
}

/// Elements that only show or keep results, by how their class begins or ends.
const LISTENERS: [&str; 9] = [
    "ResultCollector",
    "Summariser",
    "Listener",
    "Visualizer",
    "Reporter",
    "Report",
    "Gui",
    "Collector",
    "DebugPostProcessor",
];

impl<'x> PlanReader<'_, '_> {
    /// The scope within `outer` of what stands at one level of the test plan.
    pub(super) fn scope(
        &mut self,
        below: &'x [Element],
        outer: &Scope<'x>,
        depth: usize,
    ) -> Scope<'x> {
        let mut scope = outer.clone();
        for Item { element, .. } in items(below) {
            self.add_to(&mut scope, element, depth);
        }
        scope
    }

    fn add_to(&mut self, scope: &mut Scope<'x>, element: &'x Element, depth: usize) {
        match element.class() {
            "ConfigTestElement" if element.attribute("guiclass").is_some_and(is_http) => {
                scope.defaults.push(element);
                self.timeout(element);
            }
            "HeaderManager" => {
                for entry in element.collection("HeaderManager.headers") {
                    let value = self.texts().read(entry.prop("Header.value"), entry.line);
                    let name = self.texts().fixed(entry.prop("Header.name"), entry.line);
                    self.header(scope, &name.unwrap_or_default(), value, entry.line);
                }
            }
            "AuthManager" => {
                for entry in element.collection("AuthManager.auth_list") {
                    let mechanism = entry.prop("Authorization.mechanism");
                    if mechanism.is_empty() || mechanism.starts_with("BASIC") {
                        let mut value = Template::plain("Basic ");
                        value.variable("BASIC_AUTH");
                        self.header(scope, "authorization", value, entry.line);
                        let text = "the plan takes `user:password` in base64 from `BASIC_AUTH`";
                        self.artifact.notes.at(entry.line, text);
                    } else {
                        self.lost(entry, "a login other than Basic");
                    }
                }
            }
            "CookieManager" => {
                scope.has_cookies = true;
                if !element.collection("CookieManager.cookies").is_empty() {
                    self.lost(element, "cookies that are set beforehand");
                }
            }
            "RegexExtractor" | "JSONPostProcessor" | "JMESPathExtractor" | "BoundaryExtractor"
            | "ResponseAssertion" | "DurationAssertion" | "JSONPathAssertion"
            | "JMESPathAssertion" => scope.responses.push(element),
            class if class.ends_with("Timer") => self.timer(scope, element, depth),
            _ => {}
        }
    }

    fn header(&mut self, scope: &mut Scope<'x>, name: &str, value: Template, line: usize) {
        match http::header(name, value) {
            Some((name, value)) => {
                scope.headers.retain(|(known, _)| *known != name);
                scope.headers.push((name, value));
            }
            None => {
                let text = format!("left out the header `{}`", name.escape_debug());
                self.artifact.notes.at(line, text);
            }
        }
    }

    /// The longest time that a sampler waits for a response.
    pub(super) fn timeout(&mut self, element: &Element) {
        let timeout = element.prop("HTTPSampler.response_timeout");
        let timeout = self.texts().number(timeout, element.line);
        let timeout = timeout.and_then(|ms| seconds(ms / 1e3)).filter(|time| !time.is_zero());
        self.draft.timeout = self.draft.timeout.max(timeout);
    }

    fn timer(&mut self, scope: &mut Scope<'x>, element: &'x Element, depth: usize) {
        let mut number = |name: &str| self.texts().number(element.prop(name), element.line);
        let mut millis =
            |name: &str| number(name).and_then(|ms| seconds(ms / 1e3)).unwrap_or(Duration::ZERO);
        let think = match element.class() {
            "ConstantTimer" => Think::Fixed(millis("ConstantTimer.delay")),
            "UniformRandomTimer" => {
                let (least, range) = (millis("ConstantTimer.delay"), millis("RandomTimer.range"));
                Think::Uniform(least, least.saturating_add(range))
            }
            "GaussianRandomTimer" => {
                Think::Normal(millis("ConstantTimer.delay"), millis("RandomTimer.range"))
            }
            "PoissonRandomTimer" => {
                // A Poisson distribution of this mean is nearly normal, its variance its mean (in
                // milliseconds).
                let (least, mean) = (millis("ConstantTimer.delay"), millis("RandomTimer.range"));
                let deviation = seconds((mean.as_secs_f64() * 1e3).sqrt() / 1e3);
                Think::Normal(least.saturating_add(mean), deviation.unwrap_or_default())
            }
            "ConstantThroughputTimer" => {
                let (rate, mode) = (number("throughput"), number("calcMode"));
                let is_per_thread = mode.is_none_or(|mode| mode == 0.0);
                return self.throughput(scope, element, depth, rate, (60.0, is_per_thread));
            }
            "PreciseThroughputTimer" => {
                let (rate, period) = (number("throughput"), number("throughputPeriod"));
                let period = period.unwrap_or(3600.0).max(1.0);
                return self.throughput(scope, element, depth, rate, (period, false));
            }
            _ => return self.lost(element, "a timer"),
        };
        let sum = scope.think.map_or(think, |before| before.and(think));
        scope.think = (!sum.is_zero()).then_some(sum);
    }

    /// A throughput timer, whose rate holds for this many seconds.
    fn throughput(
        &mut self,
        scope: &mut Scope<'x>,
        element: &'x Element,
        depth: usize,
        rate: Option<f64>,
        (period, is_per_thread): (f64, bool),
    ) {
        match rate.filter(|rate| *rate > 0.0) {
            Some(rate) if depth <= 1 => {
                scope.throughput = Some(Throughput { rate: rate / period, is_per_thread });
            }
            _ => self.lost(element, "a throughput timer of a part of the users' path"),
        }
    }

    /// What the whole test plan knows: variables, files of values, counters. JMeter sets these up
    /// before anything runs, wherever they stand.
    pub(super) fn define(&mut self, item: Item<'_>) {
        let element = item.element;
        match element.class() {
            "TestPlan" => {
                let variables = element.property("TestPlan.user_defined_variables");
                variables.into_iter().for_each(|variables| self.variables(variables));
            }
            "Arguments" => self.variables(element),
            "CSVDataSet" => self.value_file(element),
            "CounterConfig" => {
                let mut number = |name, usual| {
                    let number = self.texts().number(element.prop(name), element.line);
                    number.unwrap_or(usual) as i64
                };
                let (first, last) =
                    (number("CounterConfig.start", 0.0), number("CounterConfig.end", 1e9));
                if number("CounterConfig.incr", 1.0) != 1 {
                    self.lost(element, "a counter that skips numbers: it counts by 1");
                }
                let name = element.prop("CounterConfig.name");
                self.numbers(name, Data::Sequence(first.min(last), last.max(first)));
            }
            "RandomVariableConfig" => {
                let mut number = |name, usual| {
                    let number = self.texts().number(element.prop(name), element.line);
                    number.unwrap_or(usual) as i64
                };
                let (first, last) = (number("minimumValue", 1.0), number("maximumValue", 1e9));
                let name = element.prop("variableName");
                self.numbers(name, Data::Range(first.min(last), last.max(first)));
            }
            _ => {}
        }
    }

    fn numbers(&mut self, name: &str, data: Data) {
        if !name.is_empty() {
            let value = self.values.data_name(&identifier(name));
            self.values.define(name, &value);
            self.draft.data.push((value, data));
        }
    }

    fn variables(&mut self, variables: &Element) {
        for entry in variables.collection("Arguments.arguments") {
            let name = entry.prop("Argument.name");
            let text = entry.prop("Argument.value");
            let value = self.texts().read(text, entry.line);
            if name.is_empty() {
                continue;
            }
            if is_secret_name(name) && !value.varies() && !value.is_empty() {
                let text = format!("the plan takes `{name}` from an environment variable");
                self.artifact.notes.at(entry.line, text);
                self.values.stand_for(name, Template::secret(name));
            } else {
                self.values.stand_for(name, value);
            }
        }
    }

    fn value_file(&mut self, element: &Element) {
        let path = self.texts().fixed(element.prop("filename"), element.line);
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return self.lost(element, "a file of values whose name is not known");
        };
        let names = element.prop("variableNames");
        let fields: Vec<String> = names.split(',').map(str::trim).map(str::to_owned).collect();
        let fields = if names.is_empty() { Vec::new() } else { fields };
        let delimiter = match element.prop("delimiter") {
            "\\t" => b'\t',
            delimiter => delimiter.bytes().next().unwrap_or(b','),
        };
        let is_once = element.prop("recycle").eq_ignore_ascii_case("false");
        let file = ValueFile {
            path: &path,
            delimiter,
            has_header: element.is_set("ignoreFirstLine"),
            order: if is_once { RowOrder::Once } else { RowOrder::Sequential },
            fields,
        };
        match file.copy(self.artifact, &self.values) {
            Ok((data, columns)) => {
                columns.iter().for_each(|(field, value)| self.values.define(field, value));
                self.draft.data.push(data);
            }
            // Such as a file that is only on the machine of the test: the plan is of use without.
            Err(why) => self.lost(element, &format!("a file of values: {why}")),
        }
    }

    /// Notes what stands beside samplers and is not in the plan.
    pub(super) fn note_rest(&mut self, element: &Element) {
        const KNOWN: [&str; 21] = [
            "ConfigTestElement",
            "HeaderManager",
            "AuthManager",
            "CookieManager",
            "RegexExtractor",
            "JSONPostProcessor",
            "JMESPathExtractor",
            "BoundaryExtractor",
            "ResponseAssertion",
            "DurationAssertion",
            "JSONPathAssertion",
            "JMESPathAssertion",
            "Arguments",
            "CSVDataSet",
            "CounterConfig",
            "RandomVariableConfig",
            "CacheManager",
            "DebugSampler",
            "TestFragmentController",
            "DNSCacheManager",
            "KeystoreConfig",
        ];
        let class = element.class();
        let is_shown = LISTENERS.iter().any(|end| class.ends_with(end));
        if !(KNOWN.contains(&class) || class.ends_with("Timer") || is_shown) {
            self.lost(element, "");
        }
    }
}

/// Whether the defaults of this form are those of HTTP requests.
fn is_http(form: &str) -> bool {
    form.contains("HttpDefaults") || form.contains("UrlConfig")
}
