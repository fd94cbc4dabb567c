//! The lines of a recording file, each a JSON object. `reports/schema/recording.v1.md` is the
//! published description; change both together.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::engine::general_purpose::STANDARD as BASE64;
use base64::{Engine as _, decoded_len_estimate};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Environment, Event, PlanSummary, Stop, StopReason};
use crate::timeline::{
    EndpointTick, FailureCount, FailureKind, Gap, Histogram, JourneyTick, Kind, Labels, LoadTick,
    Moment, Phases, Quote, ResponseClass, SeriesKey, Stage, StageRole, Unit, Window,
};

/// Name of the format in the header line.
pub(super) const FORMAT: &str = "kneepoint-recording";
/// A reader refuses every other major version.
pub(super) const MAJOR: u32 = 1;
/// A reader skips what a later minor version adds.
pub(super) const MINOR: u32 = 3;

/// Limits for the significant digits, and for the highest value in microseconds, of a histogram to
/// read. Together they limit the memory that a forged header of forty bytes can ask for.
const MAX_DIGITS: u32 = 3;
const MAX_HIGHEST: u64 = 1 << 36;
/// Cookie of the HDR V2 encoding, with counters of variable length and without compression.
const V2_COOKIE: u32 = 0x1c84_9313;
const V2_HEADER: usize = 40;

/// One line, to be written.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum RecordingLine<'a> {
    Header(HeaderLine<'a>),
    Plan(PlanLine<'a>),
    Series(SeriesLine<'a>),
    Batch(BatchLine<'a>),
    Failure(FailureLine<'a>),
    Tick(TickLine<'a>),
    Stage(StageLine),
    Refill(RefillLine<'a>),
    Gap(GapLine<'a>),
    Quote(QuoteLine<'a>),
    Event(Cow<'a, Event>),
    End(EndLine<'a>),
}

/// The kind of a line, which every line names.
#[derive(Deserialize)]
pub(super) struct AnyLine<'a> {
    #[serde(rename = "type", borrow)]
    pub(super) kind: Cow<'a, str>,
}

/// The part of a header line that every version has.
#[derive(Deserialize)]
pub(super) struct FormatLine<'a> {
    #[serde(borrow)]
    pub(super) format: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) version: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct HeaderLine<'a> {
    pub(super) format: Cow<'a, str>,
    pub(super) version: Cow<'a, str>,
    pub(super) plan: Cow<'a, PlanSummary>,
    pub(super) environment: Cow<'a, Environment>,
}

/// Takes the place of the header's plan: the load of another tool is known only when it has ended.
#[derive(Serialize, Deserialize)]
pub(super) struct PlanLine<'a> {
    pub(super) plan: Cow<'a, PlanSummary>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SeriesLine<'a> {
    pub(super) id: u32,
    pub(super) metric: Cow<'a, str>,
    pub(super) labels: Cow<'a, Labels>,
    pub(super) unit: Unit,
    pub(super) kind: Kind,
    pub(super) collector: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct BatchLine<'a> {
    pub(super) collector: Cow<'a, str>,
    pub(super) begin: Moment,
    pub(super) end: Moment,
    pub(super) values: Vec<(u32, Number)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct TickLine<'a> {
    begin: Moment,
    end: Moment,
    generator: Cow<'a, str>,
    offered: u64,
    sent: u64,
    held_back: u64,
    in_flight: Number,
    backlog: u64,
    connects: u64,
    lateness: HistogramText<'a>,
    connect_time: HistogramText<'a>,
    /// Older recordings have none of these.
    #[serde(default, skip_serializing_if = "HistogramText::is_empty")]
    dns: HistogramText<'a>,
    #[serde(default, skip_serializing_if = "HistogramText::is_empty")]
    tls: HistogramText<'a>,
    #[serde(default, skip_serializing_if = "HistogramText::is_empty")]
    send: HistogramText<'a>,
    #[serde(default, skip_serializing_if = "HistogramText::is_empty")]
    wait: HistogramText<'a>,
    #[serde(default, skip_serializing_if = "HistogramText::is_empty")]
    receive: HistogramText<'a>,
    #[serde(default, skip_serializing_if = "JourneyTick::is_empty")]
    journeys: Cow<'a, JourneyTick>,
    endpoints: Vec<EndpointLine<'a>>,
    /// Pairs of the id of a kind of failure and how often it came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<(u32, u64)>,
}

/// What the id of a kind of failure stands for.
#[derive(Serialize, Deserialize)]
pub(super) struct FailureLine<'a> {
    pub(super) id: u32,
    endpoint: Cow<'a, str>,
    class: ClassText,
    template: Cow<'a, str>,
    example: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_rest: bool,
}

/// Kinds of failures by their id.
pub(super) type FailureKinds = BTreeMap<u32, Arc<FailureKind>>;

#[derive(Serialize, Deserialize)]
struct EndpointLine<'a> {
    endpoint: Cow<'a, str>,
    class: ClassText,
    response_time: HistogramText<'a>,
    service_time: HistogramText<'a>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StageLine {
    role: StageRole,
    begin: Moment,
    end: Moment,
    rate_from: Number,
    rate_to: Number,
    #[serde(default, skip_serializing_if = "is_zero")]
    vus_from: Number,
    #[serde(default, skip_serializing_if = "is_zero")]
    vus_to: Number,
}

/// The part of a lost generator is made by the others from a moment on.
#[derive(Serialize, Deserialize)]
pub(super) struct RefillLine<'a> {
    pub(super) generator: Cow<'a, str>,
    pub(super) lost: Moment,
    pub(super) from: Moment,
}

fn is_zero(number: &Number) -> bool {
    number.0 == 0.0
}

#[derive(Serialize, Deserialize)]
pub(super) struct GapLine<'a> {
    collector: Cow<'a, str>,
    begin: Moment,
    end: Moment,
    reason: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct QuoteLine<'a> {
    at: Moment,
    collector: Cow<'a, str>,
    metric: Cow<'a, str>,
    labels: Cow<'a, Labels>,
    text: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EndLine<'a> {
    at: Moment,
    reason: Cow<'a, StopReason>,
}

impl<'a> TickLine<'a> {
    /// The line of a tick. `failures` has its counts by id.
    pub(super) fn of(tick: &'a LoadTick, failures: Vec<(u32, u64)>) -> Self {
        Self {
            begin: tick.window.begin,
            end: tick.window.end,
            generator: Cow::Borrowed(&tick.generator),
            offered: tick.offered,
            sent: tick.sent,
            held_back: tick.held_back,
            in_flight: Number(tick.in_flight),
            backlog: tick.backlog,
            connects: tick.connects,
            lateness: HistogramText(Cow::Borrowed(&tick.lateness)),
            connect_time: HistogramText(Cow::Borrowed(&tick.connect_time)),
            dns: HistogramText(Cow::Borrowed(&tick.phases.dns)),
            tls: HistogramText(Cow::Borrowed(&tick.phases.tls)),
            send: HistogramText(Cow::Borrowed(&tick.phases.send)),
            wait: HistogramText(Cow::Borrowed(&tick.phases.wait)),
            receive: HistogramText(Cow::Borrowed(&tick.phases.receive)),
            journeys: Cow::Borrowed(&tick.journeys),
            endpoints: tick.endpoints.iter().map(EndpointLine::of).collect(),
            failures,
        }
    }

    /// The tick.
    ///
    /// # Errors
    ///
    /// When it counts a kind of failure that no line declared.
    pub(super) fn into_tick(self, kinds: &FailureKinds) -> Result<LoadTick, String> {
        let count = |(id, count): (u32, u64)| {
            let kind = kinds.get(&id).ok_or_else(|| format!("failure {id} is not declared"))?;
            Ok(FailureCount { kind: Arc::clone(kind), count })
        };
        let failures = self.failures.into_iter().map(count).collect::<Result<_, String>>()?;
        Ok(LoadTick {
            window: Window::new(self.begin, self.end),
            generator: self.generator.into_owned(),
            offered: self.offered,
            sent: self.sent,
            held_back: self.held_back,
            in_flight: self.in_flight.0,
            backlog: self.backlog,
            connects: self.connects,
            lateness: self.lateness.0.into_owned(),
            connect_time: self.connect_time.0.into_owned(),
            phases: Phases {
                dns: self.dns.0.into_owned(),
                tls: self.tls.0.into_owned(),
                send: self.send.0.into_owned(),
                wait: self.wait.0.into_owned(),
                receive: self.receive.0.into_owned(),
            },
            journeys: self.journeys.into_owned(),
            endpoints: self.endpoints.into_iter().map(EndpointLine::into_endpoint).collect(),
            failures,
        })
    }
}

impl<'a> FailureLine<'a> {
    pub(super) fn of(id: u32, kind: &'a FailureKind) -> Self {
        let header = |(name, value): &'a (String, String)| -> (Cow<'a, str>, Cow<'a, str>) {
            (Cow::Borrowed(name), Cow::Borrowed(value))
        };
        Self {
            id,
            endpoint: Cow::Borrowed(&kind.endpoint),
            class: ClassText(kind.class),
            template: Cow::Borrowed(&kind.template),
            example: Cow::Borrowed(&kind.example),
            headers: kind.headers.iter().map(header).collect(),
            is_rest: kind.is_rest,
        }
    }

    pub(super) fn into_kind(self) -> FailureKind {
        let header =
            |(name, value): (Cow<'a, str>, Cow<'a, str>)| (name.into_owned(), value.into_owned());
        FailureKind {
            endpoint: self.endpoint.into_owned(),
            class: self.class.0,
            template: self.template.into_owned(),
            example: self.example.into_owned(),
            headers: self.headers.into_iter().map(header).collect(),
            is_rest: self.is_rest,
        }
    }
}

impl<'a> EndpointLine<'a> {
    fn of(tick: &'a EndpointTick) -> Self {
        Self {
            endpoint: Cow::Borrowed(&tick.endpoint),
            class: ClassText(tick.class),
            response_time: HistogramText(Cow::Borrowed(&tick.response_time)),
            service_time: HistogramText(Cow::Borrowed(&tick.service_time)),
        }
    }

    fn into_endpoint(self) -> EndpointTick {
        EndpointTick {
            endpoint: self.endpoint.into_owned(),
            class: self.class.0,
            response_time: self.response_time.0.into_owned(),
            service_time: self.service_time.0.into_owned(),
        }
    }
}

impl StageLine {
    pub(super) fn of(stage: &Stage) -> Self {
        Self {
            role: stage.role,
            begin: stage.window.begin,
            end: stage.window.end,
            rate_from: Number(stage.rate_from),
            rate_to: Number(stage.rate_to),
            vus_from: Number(stage.vus_from),
            vus_to: Number(stage.vus_to),
        }
    }

    pub(super) fn into_stage(self) -> Stage {
        Stage {
            role: self.role,
            window: Window::new(self.begin, self.end),
            rate_from: self.rate_from.0,
            rate_to: self.rate_to.0,
            vus_from: self.vus_from.0,
            vus_to: self.vus_to.0,
        }
    }
}

impl<'a> GapLine<'a> {
    pub(super) fn of(gap: &'a Gap) -> Self {
        Self {
            collector: Cow::Borrowed(&gap.collector),
            begin: gap.window.begin,
            end: gap.window.end,
            reason: Cow::Borrowed(&gap.reason),
        }
    }

    pub(super) fn into_gap(self) -> Gap {
        Gap {
            collector: self.collector.into_owned(),
            window: Window::new(self.begin, self.end),
            reason: self.reason.into_owned(),
        }
    }
}

impl<'a> QuoteLine<'a> {
    pub(super) fn of(quote: &'a Quote) -> Self {
        Self {
            at: quote.at,
            collector: Cow::Borrowed(&quote.collector),
            metric: Cow::Borrowed(&quote.key.metric),
            labels: Cow::Borrowed(&quote.key.labels),
            text: Cow::Borrowed(&quote.text),
        }
    }

    pub(super) fn into_quote(self) -> Quote {
        Quote {
            at: self.at,
            collector: self.collector.into_owned(),
            key: SeriesKey::new(&self.metric, self.labels.into_owned()),
            text: self.text.into_owned(),
        }
    }
}

impl<'a> EndLine<'a> {
    pub(super) fn of(stop: &'a Stop) -> Self {
        Self { at: stop.at, reason: Cow::Borrowed(&stop.reason) }
    }

    pub(super) fn into_stop(self) -> Stop {
        Stop { at: self.at, reason: self.reason.into_owned() }
    }
}

/// A number. Written as an integer if it is one, and never as NaN or infinity, which JSON does not
/// have.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Number(pub(super) f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Beyond 2^53 a float does not name every integer, and readers differ in what they do.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let Number(value) = *self;
        if value.fract() == 0.0 && value.abs() <= EXACT {
            serializer.serialize_i64(value as i64)
        } else {
            serializer.serialize_f64(if value.is_finite() { value } else { 0.0 })
        }
    }
}

/// A response class as one word: the status code, or the kind of failure.
struct ClassText(ResponseClass);

impl Serialize for ClassText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ClassText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let class = match text.as_ref() {
            "connect" => ResponseClass::Connect,
            "proxy" => ResponseClass::Proxy,
            "tls" => ResponseClass::Tls,
            "timeout" => ResponseClass::Timeout,
            "reset" => ResponseClass::Reset,
            "protocol" => ResponseClass::Protocol,
            "check" => ResponseClass::Check,
            code => ResponseClass::Status(
                code.parse().map_err(|_| de::Error::custom("unknown response class"))?,
            ),
        };
        Ok(Self(class))
    }
}

/// A histogram as base64 of its HDR V2 encoding; an empty one as an empty string.
struct HistogramText<'a>(Cow<'a, Histogram>);

impl HistogramText<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for HistogramText<'_> {
    fn default() -> Self {
        Self(Cow::Owned(Histogram::new()))
    }
}

impl Serialize for HistogramText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return serializer.serialize_str("");
        }
        serializer.serialize_str(&BASE64.encode(self.0.to_v2()))
    }
}

/// A histogram of at most this many bytes is decoded without allocating. Nearly all are this small.
const FEW_BYTES: usize = 2048;

impl<'de> Deserialize<'de> for HistogramText<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Decodes the text in place: a day of recording has two million of them.
        struct HistogramVisitor;
        impl de::Visitor<'_> for HistogramVisitor {
            type Value = Histogram;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64 of an HDR V2 histogram")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Histogram, E> {
                if text.is_empty() {
                    return Ok(Histogram::new());
                }
                let mut few = [0; FEW_BYTES];
                let many;
                let bytes = if decoded_len_estimate(text.len()) <= FEW_BYTES {
                    let length = BASE64.decode_slice(text, &mut few).map_err(E::custom)?;
                    &few[..length]
                } else {
                    many = BASE64.decode(text).map_err(E::custom)?;
                    &many
                };
                let histogram = is_modest(bytes).then(|| Histogram::from_v2(bytes)).flatten();
                histogram.ok_or_else(|| E::custom("not an HDR V2 histogram"))
            }
        }
        deserializer.deserialize_str(HistogramVisitor).map(|histogram| Self(Cow::Owned(histogram)))
    }
}

/// Whether decoding takes no more memory than a real histogram needs.
fn is_modest(bytes: &[u8]) -> bool {
    let word = |at: usize| {
        bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes)
    };
    let long = |at: usize| {
        bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map(u64::from_be_bytes)
    };
    word(0) == Some(V2_COOKIE)
        && word(4).is_some_and(|length| length as usize + V2_HEADER == bytes.len())
        && word(12).is_some_and(|digits| digits <= MAX_DIGITS)
        // Merging into a histogram of coarser steps than a microsecond could fail.
        && long(16) == Some(1)
        && long(24).is_some_and(|highest| highest <= MAX_HIGHEST)
}
