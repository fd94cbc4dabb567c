//! The tools: how each is run, and what it says of its run itself.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Figures;

/// Users at each level, and how many seconds it is held.
const LEVELS: &[usize] = &[5, 15, 30, 50, 70, 90, 110, 130, 150];
const HOLD: usize = 10;

/// Makes a command from a folder, the shop's address, and whether to send orders.
type Command = fn(&Path, &str, bool) -> Vec<OsString>;

/// A tool.
pub struct Tool {
    pub name: &'static str,
    pub program: &'static str,
    /// The command of one with a ramp of its own. The others run at several levels, and are seen by
    /// the target's sockets.
    pub own_ramp: Option<Command>,
    /// What it says of its run, in the folder of the recording or on stdout.
    pub figures: fn(&Path, &str) -> Option<Figures>,
}

pub const TOOLS: &[Tool] = &[
    Tool {
        name: "locust",
        program: "locust",
        own_ramp: Some(|_, url, _| {
            words(&[
                "locust",
                "-f",
                &here("locustfile.py"),
                "--headless",
                "--only-summary",
                "--host",
                url,
            ])
        }),
        figures: locust,
    },
    Tool {
        name: "jmeter",
        program: "jmeter",
        own_ramp: Some(|folder, url, orders| {
            let plan = folder.join("plan.jmx");
            fs::write(&plan, jmx(url, orders)).expect("own folder");
            words(&["jmeter", "-n", "-t", &plan.display().to_string()])
        }),
        figures: |_, said| jmeter(said),
    },
    Tool {
        name: "artillery",
        program: "artillery",
        own_ramp: Some(|folder, url, orders| {
            let script = folder.join("script.yml");
            fs::write(&script, phases(url, orders)).expect("own folder");
            words(&["artillery", "run", &script.display().to_string()])
        }),
        figures: |out, _| artillery(out),
    },
    Tool {
        name: "goose",
        program: "goose-shop",
        own_ramp: Some(|folder, url, _| {
            let log = folder.join("goose.csv");
            let steps = LEVELS.iter().map(|users| format!("{users},1s;{users},{HOLD}s"));
            // Without a step to no users it goes on for ever.
            let steps = steps.collect::<Vec<_>>().join(";") + ";0,1s";
            let mut command = words(&["goose-shop", "--host", url, "--test-plan", &steps]);
            command.extend(words(&["--request-format", "csv", "--request-log"]));
            command.push(log.into_os_string());
            command
        }),
        figures: |out, _| goose(out),
    },
    by_levels("wrk"),
    by_levels("ab"),
    by_levels("hey"),
    by_levels("oha"),
    by_levels("drill"),
    by_levels("autocannon"),
];

/// A tool without a ramp, whose name is that of its program.
const fn by_levels(name: &'static str) -> Tool {
    Tool { name, program: name, own_ramp: None, figures: |_, said| sum(said) }
}

impl Tool {
    /// Its command, with the folder for its scripts, the shop's address, and whether to send orders.
    pub fn command(&self, folder: &Path, url: &str, orders: bool) -> Vec<OsString> {
        match self.own_ramp {
            Some(command) => command(folder, url, orders),
            None => words(&["bash", &here("levels.sh"), self.name, url]),
        }
    }
}

/// A file beside this one.
fn here(name: &str) -> String {
    format!("{}/tests/tools/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// Whether a program is in one of the directories of `PATH`.
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The sum of the lines `level REQUESTS MEAN_MS` of `levels.sh`.
fn sum(said: &str) -> Option<Figures> {
    let (mut requests, mut time) = (0.0, 0.0);
    for line in said.lines().filter_map(|line| line.strip_prefix("level ")) {
        let (count, mean) = line.split_once(' ')?;
        let count: f64 = count.parse().ok()?;
        requests += count;
        time += count * mean.trim().parse::<f64>().ok()? / 1e3;
    }
    (requests > 0.0).then(|| Figures { requests, mean: time / requests })
}

/// The last row of the table of all requests.
fn locust(out: &Path, _: &str) -> Option<Figures> {
    let text = fs::read_to_string(out.join("load/locust_stats.csv")).ok()?;
    let cells: Vec<&str> = text.lines().last()?.split(',').collect();
    let number = |place: usize| cells.get(place)?.parse::<f64>().ok();
    Some(Figures { requests: number(2)?, mean: number(5)? / 1e3 })
}

/// `summary =   8830 in  91.3s =   96.7/s Avg:   237 Min:     7 …`: whole milliseconds.
fn jmeter(said: &str) -> Option<Figures> {
    let line = said.lines().rev().find(|line| line.starts_with("summary ="))?;
    let after =
        |word: &str| line.split_once(word)?.1.split_whitespace().next()?.parse::<f64>().ok();
    Some(Figures { requests: after("summary =")?, mean: after("Avg:")? / 1e3 })
}

/// Its report. Only answers have times there; requests that failed are counted beside them.
fn artillery(out: &Path) -> Option<Figures> {
    let report: Value =
        serde_json::from_slice(&fs::read(out.join("load/artillery.json")).ok()?).ok()?;
    let all = &report["aggregate"];
    let requests = all["counters"]["http.requests"].as_f64()?;
    Some(Figures { requests, mean: all["summaries"]["http.response_time"]["mean"].as_f64()? / 1e3 })
}

/// Its log of requests, in the folder above.
fn goose(out: &Path) -> Option<Figures> {
    let text = fs::read_to_string(out.parent()?.join("goose.csv")).ok()?;
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let column = rows.headers().ok()?.iter().position(|name| name == "response_time_us")?;
    let (mut requests, mut time) = (0.0, 0.0);
    for row in rows.records() {
        time += row.ok()?.get(column)?.parse::<f64>().ok()? / 1e6;
        requests += 1.0;
    }
    (requests > 0.0).then(|| Figures { requests, mean: time / requests })
}

/// An Artillery script of phases; each is two of its intervals.
fn phases(url: &str, orders: bool) -> String {
    let mut script = format!("config:\n  target: \"{url}\"\n  http: {{ pool: 400 }}\n  phases:\n");
    for rate in [30, 60, 90, 115, 140, 170, 200, 230] {
        script.push_str(&format!("    - {{ duration: 20, arrivalRate: {rate} }}\n"));
    }
    script.push_str("scenarios:\n  - flow:\n");
    script.push_str(match orders {
        true => "      - post: { url: \"/order\", json: { product: 17, quantity: 1 } }\n",
        false => "      - get: { url: \"/product/{{ $randomNumber(1,200000) }}\" }\n",
    });
    script
}

/// A JMeter plan: a thread group for each level, which adds its users to those before.
fn jmx(url: &str, orders: bool) -> String {
    let port = url.rsplit(':').next().unwrap_or("80");
    let text =
        |name: &str, value: &str| format!("<stringProp name=\"{name}\">{value}</stringProp>");
    let element = |class: &str, gui: &str, inner: &str| {
        format!(
            "<{class} guiclass=\"{gui}\" testclass=\"{class}\" testname=\"it\" enabled=\"true\">{inner}</{class}>"
        )
    };
    let (argument, header) = match orders {
        true => (
            "<elementProp name=\"\" elementType=\"HTTPArgument\"><boolProp name=\"HTTPArgument.always_encode\">\
             false</boolProp><stringProp name=\"Argument.value\">{\"product\": ${__Random(1,200000)}, \
             \"quantity\": 1}</stringProp><stringProp name=\"Argument.metadata\">=</stringProp></elementProp>",
            format!(
                "{}<hashTree/>",
                element(
                    "HeaderManager",
                    "HeaderPanel",
                    "<collectionProp name=\"HeaderManager.headers\"><elementProp name=\"\" elementType=\"Header\">\
                     <stringProp name=\"Header.name\">Content-Type</stringProp><stringProp name=\"Header.value\">\
                     application/json</stringProp></elementProp></collectionProp>",
                )
            ),
        ),
        false => ("", String::new()),
    };
    let (path, method) = match orders {
        true => ("/order", "POST"),
        false => ("/product/${__Random(1,200000)}", "GET"),
    };
    let sampler = [
        format!("<boolProp name=\"HTTPSampler.postBodyRaw\">{orders}</boolProp>"),
        format!(
            "<elementProp name=\"HTTPsampler.Arguments\" elementType=\"Arguments\"><collectionProp \
             name=\"Arguments.arguments\">{argument}</collectionProp></elementProp>"
        ),
        text("HTTPSampler.domain", "127.0.0.1"),
        text("HTTPSampler.port", port),
        text("HTTPSampler.protocol", "http"),
        text("HTTPSampler.path", path),
        text("HTTPSampler.method", method),
        text("HTTPSampler.implementation", "HttpClient4"),
        "<boolProp name=\"HTTPSampler.use_keepalive\">true</boolProp>".to_owned(),
    ]
    .concat();
    let sampler = element("HTTPSamplerProxy", "HttpTestSampleGui", &sampler);
    let timer = element("ConstantTimer", "ConstantTimerGui", &text("ConstantTimer.delay", "500"));
    let mut groups = String::new();
    let mut before = 0;
    for (place, users) in LEVELS.iter().enumerate() {
        let group = [
            text("ThreadGroup.on_sample_error", "continue"),
            "<elementProp name=\"ThreadGroup.main_controller\" elementType=\"LoopController\" \
             guiclass=\"LoopControlPanel\" testclass=\"LoopController\"><boolProp \
             name=\"LoopController.continue_forever\">false</boolProp><intProp \
             name=\"LoopController.loops\">-1</intProp></elementProp>"
                .to_owned(),
            text("ThreadGroup.num_threads", &(users - before).to_string()),
            text("ThreadGroup.ramp_time", "1"),
            "<boolProp name=\"ThreadGroup.scheduler\">true</boolProp>".to_owned(),
            text("ThreadGroup.duration", &((LEVELS.len() - place) * HOLD).to_string()),
            text("ThreadGroup.delay", &(place * HOLD).to_string()),
        ];
        let group = element("ThreadGroup", "ThreadGroupGui", &group.concat());
        groups.push_str(&format!(
            "{group}<hashTree>{sampler}<hashTree>{header}</hashTree>{timer}<hashTree/></hashTree>"
        ));
        before = *users;
    }
    let plan = element("TestPlan", "TestPlanGui", "");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><jmeterTestPlan version=\"1.2\" properties=\"2.8\">\
         <hashTree>{plan}<hashTree>{groups}</hashTree></hashTree></jmeterTestPlan>"
    )
}
