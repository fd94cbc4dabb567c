//! Test plans and scripts of other tools: loads, pauses, values and losses, one thing at a time.

use super::tests::{converted, options};

/// The plan of a text, and its notes with their lines.
fn plan_of(text: &str) -> (String, String) {
    let (converted, _) = converted(text, &options("it")).unwrap();
    let note = |note: &super::Note| match note.line {
        Some(line) => format!("{line}: {note}\n"),
        None => format!("{note}\n"),
    };
    (converted.plan, converted.notes.iter().map(note).collect())
}

/// A test plan with one thread group, which sends `GET /`.
fn jmx(class: &str, properties: &str, beside: &str) -> String {
    format!(
        "<jmeterTestPlan><hashTree><TestPlan testname=\"p\"/><hashTree>\n\
         <{class} testname=\"g\">{properties}</{class}>\n<hashTree>{beside}\n\
         <HTTPSamplerProxy testname=\"home\">\
         <stringProp name=\"HTTPSampler.domain\">127.0.0.1</stringProp>\
         <stringProp name=\"HTTPSampler.path\">/</stringProp>\
         <stringProp name=\"HTTPSampler.method\">GET</stringProp></HTTPSamplerProxy>\n\
         <hashTree/></hashTree></hashTree></hashTree></jmeterTestPlan>"
    )
}

fn text(name: &str, value: &str) -> String {
    format!("<stringProp name=\"{name}\">{value}</stringProp>")
}

fn threads(count: &str, ramp: &str, loops: &str) -> String {
    let controller = format!(
        "<elementProp name=\"ThreadGroup.main_controller\">{}</elementProp>",
        text("LoopController.loops", loops)
    );
    text("ThreadGroup.num_threads", count) + &text("ThreadGroup.ramp_time", ramp) + &controller
}

#[test]
fn thread_groups_become_executors() {
    let scheduled = "<boolProp name=\"ThreadGroup.scheduler\">true</boolProp>".to_owned()
        + &text("ThreadGroup.duration", "60");
    let stepping = text("ThreadGroup.num_threads", "6")
        + &text("Threads initial delay", "0")
        + &text("Start users count", "2")
        + &text("Start users period", "10")
        + &text("Stop users count", "6")
        + &text("Stop users period", "1")
        + &text("flighttime", "30")
        + &text("rampUp", "0");
    let levels = text("TargetLevel", "10") + &text("RampUp", "2") + &text("Hold", "3");
    for (class, properties, says) in [
        (
            "ThreadGroup",
            threads("5", "1", "20"),
            "executor = \"per-vu-iterations\"\nvus = 5\niterations = 20\nmax_duration = \"30m\"\n",
        ),
        (
            "ThreadGroup",
            threads("5", "1", "-1") + &scheduled,
            "executor = \"constant-vus\"\nvus = 5\nduration = \"1m\"\n",
        ),
        (
            "ThreadGroup",
            threads("5", "20", "-1") + &scheduled,
            "start_vus = 1\nstages = [\n    { target = 5, duration = \"20s\" },\n    { target = 5, duration = \"40s\" },\n]",
        ),
        (
            "kg.apc.jmeter.threads.SteppingThreadGroup",
            stepping,
            "start_vus = 2\nstages = [\n    { target = 2, duration = \"10s\" },\n    { target = 4, duration = \"0s\" },\n    { target = 4, duration = \"10s\" },\n    { target = 6, duration = \"0s\" },\n    { target = 6, duration = \"30s\" },\n    { target = 0, duration = \"0s\" },\n",
        ),
        (
            "com.blazemeter.jmeter.threads.concurrency.ConcurrencyThreadGroup",
            levels.clone(),
            "start_vus = 0\nstages = [\n    { target = 10, duration = \"2m\" },\n    { target = 10, duration = \"3m\" },\n]",
        ),
        (
            "com.blazemeter.jmeter.threads.arrivals.ArrivalsThreadGroup",
            levels + &text("Unit", "S"),
            "executor = \"ramping-arrival-rate\"\nstart_rate = \"0.001/s\"\nstages = [\n    { target = \"10/s\", duration = \"2s\" },\n    { target = \"10/s\", duration = \"3s\" },\n]",
        ),
    ] {
        let (plan, _) = plan_of(&jmx(class, &properties, ""));
        assert!(plan.contains(says), "{class}: missing {says}\n{plan}");
    }
}

#[test]
fn a_throughput_timer_is_a_rate() {
    let timer = "<ConstantThroughputTimer><intProp name=\"calcMode\">2</intProp><doubleProp>\
                 <name>throughput</name><value>90.0</value></doubleProp></ConstantThroughputTimer>\
                 <hashTree/>";
    let (plan, notes) = plan_of(&jmx("ThreadGroup", &threads("3", "0", "30"), timer));
    assert!(plan.contains("rate = \"1.5/s\"\nduration = \"1m\"\n"), "{plan}");
    assert!(notes.contains("2: the throughput timer"), "{notes}");
}

#[test]
fn timers_add_up() {
    let timers = "<ConstantTimer><stringProp name=\"ConstantTimer.delay\">500</stringProp>\
                  </ConstantTimer><hashTree/><GaussianRandomTimer>\
                  <stringProp name=\"ConstantTimer.delay\">1000</stringProp>\
                  <stringProp name=\"RandomTimer.range\">200</stringProp></GaussianRandomTimer>\
                  <hashTree/>";
    let (plan, _) = plan_of(&jmx("ThreadGroup", &threads("1", "0", "1"), timers));
    assert!(plan.contains("think = { normal = [\"1.5s\", \"200ms\"] }"), "{plan}");
}

#[test]
fn what_is_not_converted_stands_in_the_plan_with_its_line() {
    let beside = "<JDBCSampler testname=\"count\"/><hashTree/>";
    let (plan, notes) = plan_of(&jmx("ThreadGroup", &threads("1", "0", "1"), beside));
    assert!(notes.contains("3: not converted: JDBCSampler `count`"), "{notes}");
    assert!(plan.contains("# - line 3: not converted: JDBCSampler `count`"), "{plan}");
}

const K6: &str = "import http from 'k6/http';\nimport { sleep, check, group } from 'k6';\n";

#[test]
fn k6_executors_keep_their_names() {
    for (written, says) in [
        ("vus: 3, duration: '90s'", "executor = \"constant-vus\"\nvus = 3\nduration = \"90s\"\n"),
        (
            "vus: 3, iterations: 30",
            "executor = \"shared-iterations\"\nvus = 3\niterations = 30\nmax_duration = \"10m\"\n",
        ),
        (
            "stages: [{ duration: '1m', target: 5 }]",
            "start_vus = 1\nstages = [\n    { target = 5, duration = \"1m\" },\n]",
        ),
        (
            "scenarios: { a: { executor: 'ramping-arrival-rate', startRate: 60, timeUnit: '1m', \
             stages: [{ duration: '10s', target: 120 }] } }",
            "start_rate = \"1/s\"\nstages = [\n    { target = \"2/s\", duration = \"10s\" },\n]",
        ),
        (
            "scenarios: { a: { executor: 'per-vu-iterations', vus: 2, iterations: 5, maxDuration: '5m' } }",
            "executor = \"per-vu-iterations\"\nvus = 2\niterations = 5\nmax_duration = \"5m\"\n",
        ),
    ] {
        let script = format!(
            "{K6}export const options = {{ {written} }};\n\
             export default () => {{ http.get('http://127.0.0.1:1/'); }};\n"
        );
        let (plan, _) = plan_of(&script);
        assert!(plan.contains(says), "{written}: missing {says}\n{plan}");
    }
}

#[test]
fn values_of_a_response_are_captured_where_they_are_used() {
    let script = format!(
        "{K6}export default function () {{\n  const first = http.get('http://127.0.0.1:1/a');\n  \
         const {{ id, items }} = first.json();\n  \
         http.post(`http://127.0.0.1:1/b/${{id}}`, JSON.stringify({{ of: items[0].name }}));\n  \
         http.get(`http://127.0.0.1:1/c?t=${{first.headers['X-Trace']}}&s=${{first.cookies.sid[0].value}}`);\n}}\n"
    );
    let (plan, _) = plan_of(&script);
    for says in [
        "id = { json = \"$.id\" }",
        "name = { json = \"$.items[0].name\" }",
        "{ header = \"x-trace\" }",
        "{ cookie = \"sid\" }",
        "path = \"/b/{id}\"",
        "body = '{{\"of\":\"{name}\"}}'",
    ] {
        assert!(plan.contains(says), "missing {says}\n{plan}");
    }
}

#[test]
fn choices_and_loops_become_shares_and_repetitions() {
    let script = format!(
        "{K6}function one(path) {{ http.get('http://127.0.0.1:1' + path); }}\n\
         export default function () {{\n  for (const path of ['/a', '/b']) {{ one(path); }}\n  \
         for (let i = 0; i < 50; i++) {{ one('/c'); }}\n  \
         if (Math.random() < 0.25) {{ one('/d'); }} else {{ one('/e'); }}\n  \
         while (busy()) {{ one('/f'); }}\n  sleep(Math.random() * 2 + 1);\n}}\n"
    );
    let (plan, notes) = plan_of(&script);
    for says in [
        "path = \"/a\"\n",
        "path = \"/b\"\n",
        "path = \"/c\"\nrepeat = 50\n",
        "path = \"/d\"\nprobability = 0.25\n",
        "path = \"/e\"\nprobability = 0.75\n",
        "think = { uniform = [\"1s\", \"3s\"] }",
    ] {
        assert!(plan.contains(says), "missing {says}\n{plan}");
    }
    assert!(notes.contains("8: not converted: the number of rounds of a loop"), "{notes}");
}

#[test]
fn a_script_without_a_request_is_refused() {
    let script = format!("{K6}export default function () {{ sleep(1); }}\n");
    let why = converted(&script, &options("it")).unwrap_err().to_string();
    assert_eq!(why, "no function of the script sends an HTTP request that can be read");
}

const LOCUST: &str = "from locust import HttpUser, task, constant_throughput, LoadTestShape\n";

#[test]
fn old_locustfiles_name_their_tasks_in_a_list() {
    let file = format!(
        "{LOCUST}def index(l):\n    l.client.get('/')\n\ndef stats(l):\n    \
         l.client.get('/stats/%s' % 3)\n\nclass Visitor(HttpUser):\n    \
         tasks = {{index: 2, stats: 1}}\n    wait_time = constant_throughput(0.5)\n"
    );
    let (plan, notes) = plan_of(&file);
    for says in ["name = \"index\"\nweight = 2\n", "path = \"/stats/3\"\n", "think = \"2s\"\n"] {
        assert!(plan.contains(says), "missing {says}\n{plan}");
    }
    assert!(notes.contains("10: `constant_throughput`"), "{notes}");
    assert!(notes.contains("the input does not name a target"), "{notes}");
}

#[test]
fn a_staircase_of_users_is_read() {
    let file = format!(
        "{LOCUST}class V(HttpUser):\n    @task\n    def a(self):\n        self.client.get('/')\n\n\
         class Steps(LoadTestShape):\n    step_time = 30\n    step_load = 10\n    spawn_rate = 10\n    \
         time_limit = 60\n\n    def tick(self):\n        return None\n"
    );
    let (plan, _) = plan_of(&file);
    let says = "start_vus = 0\nstages = [\n    { target = 10, duration = \"1s\" },\n    { target = 10, duration = \"29s\" },\n    { target = 20, duration = \"1s\" },\n    { target = 20, duration = \"29s\" },\n]";
    assert!(plan.contains(says), "{plan}");
}

#[test]
fn what_no_earlier_step_captures_gets_a_value_to_replace() {
    let collection = r#"{"info": {"_postman_id": "x", "name": "c"}, "item": [
        {"name": "a", "request": {"method": "GET", "url": "http://127.0.0.1:1/a/{{id}}"}},
        {"name": "b", "request": {"method": "GET", "url": "http://127.0.0.1:1/b"}, "event": [
            {"listen": "test", "script": {"exec": ["pm.variables.set('id', json.id)"]}}]},
        {"name": "c", "request": {"method": "GET", "url": "http://127.0.0.1:1/c/{{id}}"}}]}"#;
    let (plan, notes) = plan_of(collection);
    assert!(plan.contains("path = \"/a/{id}\"") && plan.contains("path = \"/c/{id_2}\""), "{plan}");
    assert!(notes.contains("nothing in the script defines `{{id}}`"), "{notes}");
}

#[test]
fn values_that_hold_themselves_again_and_again_have_an_end() {
    for (begin, step, times) in
        [("1", "x = [x];\n", 20_000), ("'ab'", "x = x + x;\n", 60), ("1", "x = [x, x];\n", 60)]
    {
        let script = format!(
            "{K6}let x = {begin};\n{}\
             export default () => {{ http.get('http://127.0.0.1:1/'); }};\n",
            step.repeat(times)
        );
        let (plan, notes) = plan_of(&script);
        assert!(plan.contains("path = \"/\""), "{step}: {}", &plan[..200]);
        assert!(notes.contains("a value that is too large"), "{step}");
    }
}
