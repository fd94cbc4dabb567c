//! Gatling's `simulation.log` as text, as versions up to 3.11 write it: a line a request, separated
//! by tabs. Versions have their fields at different places, so they are found by what they hold.

use std::ops::Range;

use super::ImporterSpec;
use super::lines::each_line;
use super::requests::{Request, Requests, path_of};
use super::table::shown;
use crate::timeline::ResponseClass;

pub(super) static SPEC: ImporterSpec = ImporterSpec {
    name: "gatling",
    summary: "Gatling's simulation.log as text (Gatling 3.11 and older)",
    looks_like: |begin| {
        let first = begin.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let fields: Vec<&str> = first.split('\t').collect();
        matches!(kind(&fields), Some((_, "RUN" | "ASSERTION")))
    },
    read: |input, requests| {
        let mut users = Users::default();
        let cut = each_line(input, |line| take(line, &mut users, requests))?;
        cut.into_iter().for_each(|note| requests.note(note));
        users.tell(requests);
        tell(requests);
        Ok(())
    },
};

/// What no log of Gatling has.
pub(super) fn tell(requests: &mut Requests) {
    requests.note(
        "Gatling's log does not say whether users came at a rate: stages are the rates at which \
         requests were sent",
    );
    requests.note("Gatling's log has no status codes of successes: they count as 200");
}

/// Virtual users that began and ended.
#[derive(Default)]
pub(super) struct Users {
    started: u64,
    ended: u64,
}

impl Users {
    /// Counts one that begins or ends.
    pub(super) fn count(&mut self, is_start: bool) {
        match is_start {
            true => self.started += 1,
            false => self.ended += 1,
        }
    }

    /// A run that was stopped leaves users without an end.
    pub(super) fn tell(&self, requests: &mut Requests) {
        let open = self.started.saturating_sub(self.ended);
        if open > 0 {
            requests.note(format!(
                "{open} of {} users did not end: the run was stopped, or the log is cut off",
                self.started
            ));
        }
    }
}

/// One request.
pub(super) struct Hit<'h> {
    /// The groups that it is in, the outermost first.
    pub(super) groups: Vec<&'h str>,
    pub(super) name: &'h str,
    /// Seconds since 1970, and to the end of the response.
    pub(super) begin: f64,
    pub(super) took: f64,
    pub(super) is_ok: bool,
    /// What Gatling says of a failure.
    pub(super) message: &'h str,
}

/// Adds a request.
///
/// # Errors
/// When its times are impossible.
pub(super) fn add(hit: &Hit<'_>, requests: &mut Requests) -> Result<(), String> {
    let name = path_of(hit.name).unwrap_or_else(|| hit.name.to_owned());
    let parts = hit.groups.iter().copied().chain([name.as_str()]).filter(|part| !part.is_empty());
    requests.add(Request {
        sent_unix: hit.begin,
        took: hit.took,
        endpoint: parts.collect::<Vec<_>>().join(" / "),
        class: if hit.is_ok { ResponseClass::Status(200) } else { class(hit.message) },
        said: if hit.is_ok { String::new() } else { hit.message.to_owned() },
    })
}

/// Kinds of lines.
const KINDS: &[&str] = &["REQUEST", "RUN", "USER", "GROUP", "ERROR", "ASSERTION"];
/// Digits of a time in milliseconds.
const TIME_DIGITS: usize = 13;

fn take(line: &str, users: &mut Users, requests: &mut Requests) -> Result<(), String> {
    let fields: Vec<&str> = line.split('\t').collect();
    let Some((first, kind)) = kind(&fields) else {
        let kind = shown(fields[0]);
        return Err(format!(
            "`{kind}` is not a kind of line: expected RUN, USER, REQUEST, GROUP or ERROR"
        ));
    };
    if kind != "REQUEST" {
        if kind == "USER"
            && let Some(kind) = fields.iter().find(|field| matches!(**field, "START" | "END"))
        {
            users.count(*kind == "START");
        }
        return Ok(());
    }
    let times = (first + 2..fields.len()).find_map(|at| times_before(&fields, at));
    let Some(times) = times else {
        return Err("a request without its begin, its end, and OK or KO".to_owned());
    };
    let (begin, end, at) =
        (millis(fields[times.start])?, millis(fields[times.end - 1])?, times.end);
    let message = fields.get(at + 1).copied().unwrap_or_default().trim();
    // In 3.0 to 3.3 a number of the user stands before the groups.
    let groups = times.start.checked_sub(2).filter(|groups| *groups > first);
    let hit = Hit {
        groups: groups.map_or("", |groups| fields[groups]).split(',').collect(),
        name: fields[times.start - 1],
        begin: begin / 1e3,
        took: (end - begin) / 1e3,
        is_ok: fields[at] == "OK",
        message,
    };
    add(&hit, requests)
}

/// The kind of a line, and where it stands: in versions before 2.3 behind the scenario and the user.
fn kind<'l>(fields: &[&'l str]) -> Option<(usize, &'l str)> {
    let is_kind = |at: &usize| fields.get(*at).is_some_and(|field| KINDS.contains(field));
    [0, 2].into_iter().find(is_kind).map(|at| (at, fields[at]))
}

/// Where the times stand before an OK or KO at `at`: the begin and the end, or, before 2.3, those of
/// the request and those of the response.
fn times_before(fields: &[&str], at: usize) -> Option<Range<usize>> {
    let is_time = |field: &&&str| {
        field.len() == TIME_DIGITS && field.bytes().all(|byte| byte.is_ascii_digit())
    };
    let count = fields[..at].iter().rev().take(4).take_while(is_time).count();
    let is_outcome = matches!(fields[at], "OK" | "KO") && count >= 2;
    let count = if count == 4 { 4 } else { 2 };
    is_outcome.then_some(at - count..at)
}

fn millis(field: &str) -> Result<f64, String> {
    field.parse().map_err(|_| format!("`{field}` is not a time in milliseconds"))
}

/// What a failure was, by its message: a check of the status, or an exception.
fn class(message: &str) -> ResponseClass {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let found = message.split("found ").nth(1).unwrap_or_default();
    let digits: String = found.chars().take_while(char::is_ascii_digit).collect();
    if message.contains("status")
        && let Ok(status @ 400..600) = digits.parse::<u16>()
    {
        return ResponseClass::Status(status);
    }
    match () {
        () if says(&["Timeout", "timed out", "timeout"]) => ResponseClass::Timeout,
        () if says(&["SSL", "Certificate"]) => ResponseClass::Tls,
        () if says(&["ConnectException", "UnknownHost", "refused", "NoRoute", "BindException"]) => {
            ResponseClass::Connect
        }
        () if says(&["reset", "prematurely", "Premature", "ClosedChannel"]) => ResponseClass::Reset,
        () => ResponseClass::Check,
    }
}

#[cfg(test)]
mod tests {
    use crate::import::tests::{Read, refusal, sample};

    #[test]
    fn requests_of_both_layouts_are_read() {
        let read = Read::told(&sample("gatling-text.sample.log"));
        let rows =
            [("Home", 2, 0), ("Checkout / Cart / POST", 1, 1), ("Checkout / Pay / POST", 1, 0)];
        read.assert_counts(6, 2, &rows);
        read.assert_counts(6, 2, &[("Home Redirect 1", 1, 0), ("", 1, 1)]);
        read.assert_ms(0.5, 92.0);
        let read = Read::told(&sample("gatling-text-31.sample.log"));
        read.assert_counts(4, 1, &[("Home", 2, 1), ("Checkout / Cart", 1, 0), ("Books", 1, 0)]);
        assert!(read.notes.contains("1 of 2 users did not end"), "{}", read.notes);
    }

    #[test]
    fn logs_of_the_first_versions_have_four_times() {
        let lines = [
            "shop.Simulation\tshop\tRUN\t20150102030405\t \t2.0",
            "Buyers\t7-0\tUSER\tSTART\t1420167845000\t0",
            "Buyers\t7-0\tREQUEST\t\tHome\t1420167845000\t1420167845002\t1420167845038\t1420167845040\tOK\t ",
            "Buyers\t7-0\tREQUEST\tPay,Card\tSend\t1420167845100\t1420167845101\t1420167845190\t\
             1420167845200\tKO\tstatus.find.is(200), found 503",
            "Buyers\t7-0\tUSER\tEND\t1420167845000\t1420167845200",
        ];
        let read = Read::told(lines.join("\n").as_bytes());
        read.assert_counts(2, 1, &[("Home", 1, 0), ("Pay / Card / Send", 1, 1)]);
        read.assert_ms(0.0, 40.0);
    }

    #[test]
    fn lines_of_no_kind_are_refused() {
        let why = refusal(b"RUN\ta\tb\t1777885600000\t\t3.9\nREQUESTS\tx\nREQUEST\tx\nUSER\n");
        assert!(why.contains("line 2: `REQUESTS`") && why.contains("line 3: "), "{why}");
    }
}
