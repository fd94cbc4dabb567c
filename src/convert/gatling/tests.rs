//! Simulations: loops, loads, feeders, sessions and refusals, one thing at a time.

use super::*;
use crate::convert::tests::{converted, options};

const JAVA: &str = "import static io.gatling.javaapi.core.CoreDsl.*;\n\
                    import static io.gatling.javaapi.http.HttpDsl.*;\n";
const SCALA: &str = "import io.gatling.core.Predef._\nimport io.gatling.http.Predef._\n";
const SCRIPT: &str = "import { scenario } from \"@gatling.io/core\";\n";
const BASE: &str = "protocols(http.baseUrl(\"http://127.0.0.1:1\"))";

/// The plan of a simulation, and its notes with their lines.
#[track_caller]
fn plan_of(text: &str) -> (String, String) {
    let (converted, _) = converted(text, &options("it")).unwrap();
    let note = |note: &crate::convert::Note| match note.line {
        Some(line) => format!("{line}: {note}\n"),
        None => format!("{note}\n"),
    };
    (converted.plan, converted.notes.iter().map(note).collect())
}

/// A simulation in Java with one scenario.
fn java(steps: &str, load: &str) -> String {
    format!(
        "{JAVA}class S extends Simulation {{\n{{ setUp(scenario(\"s\").exec(\n{steps}\n)\
         .{load}).{BASE}; }}\n}}\n"
    )
}

const ONE: &str = "injectOpen(atOnceUsers(1))";

#[test]
fn the_language_is_told_by_the_imports() {
    for (text, language) in [
        ("import static io.gatling.javaapi.core.CoreDsl.*;", Some(Language::Java)),
        ("import io.gatling.javaapi.core.CoreDsl.*", Some(Language::Kotlin)),
        ("import io.gatling.core.Predef._", Some(Language::Scala)),
        ("import {\n  exec\n} from \"@gatling.io/core\";", Some(Language::JavaScript)),
        ("const { exec } = require('@gatling.io/core');", Some(Language::JavaScript)),
        ("// see @gatling.io/core", None),
        ("import http from 'k6/http';", None),
    ] {
        assert_eq!(Language::of(text), language, "{text}");
    }
}

#[test]
fn loads_become_executors() {
    for (load, says) in [
        (
            "injectOpen(atOnceUsers(7))",
            "executor = \"per-vu-iterations\"\nvus = 7\niterations = 1\n",
        ),
        (
            "injectOpen(rampUsers(120).during(60))",
            "executor = \"constant-arrival-rate\"\nrate = \"2/s\"\nduration = \"1m\"\n",
        ),
        (
            "injectClosed(constantConcurrentUsers(5).during(30))",
            "executor = \"constant-vus\"\nvus = 5\nduration = \"30s\"\n",
        ),
        (
            "injectOpen(nothingFor(5), rampUsersPerSec(1).to(3).during(Duration.ofMinutes(1)))",
            "start_time = \"5s\"\nexecutor = \"ramping-arrival-rate\"\nstart_rate = \"1/s\"\n\
             stages = [\n    { target = \"3/s\", duration = \"1m\" },\n]",
        ),
    ] {
        let (plan, _) = plan_of(&java("http(\"a\").get(\"/a\")", load));
        assert!(plan.contains(says), "{load}: missing {says}\n{plan}");
    }
}

#[test]
fn users_that_stay_in_a_loop_are_virtual_users() {
    for (steps, limit, says) in [
        ("forever().on(http(\"a\").get(\"/a\"), pause(2))", ".maxDuration(90)", "90s"),
        ("during(45).on(http(\"a\").get(\"/a\"), pause(2))", "", "45s"),
        ("forever().on(pause(2), http(\"a\").get(\"/a\"))", "", "10m"),
    ] {
        let text =
            java(steps, "injectOpen(atOnceUsers(8))").replace("; }\n", &format!("{limit}; }}\n"));
        let (plan, notes) = plan_of(&text);
        let says = format!("executor = \"constant-vus\"\nvus = 8\nduration = \"{says}\"\n");
        assert!(plan.contains(&says), "{steps}: missing {says}\n{plan}");
        assert!(plan.contains("think = \"2s\"\n"), "{plan}");
        assert!(!notes.contains("not converted"), "{notes}");
    }
    let steps = "exec(http(\"a\").get(\"/a\"), during(5).on(http(\"b\").get(\"/b\"))), \
                 http(\"c\").get(\"/c\")";
    let (_, notes) = plan_of(&java(steps, ONE));
    assert!(notes.contains("5: not converted: `during`: the plan takes its steps once"), "{notes}");
}

#[test]
fn a_recorded_chain_of_hundreds_of_calls_is_read_whole() {
    let steps: String = (0..240)
        .map(|number| format!("\n.exec(http(\"r{number}\").get(\"/{number}\"))\n.pause(1)"))
        .collect();
    let text = format!(
        "{JAVA}class S extends Simulation {{\n{{ setUp(scenario(\"s\"){steps}.{ONE}).{BASE}; }}\n}}\n"
    );
    let (plan, notes) = plan_of(&text);
    assert_eq!(plan.matches("[[journey.step]]").count(), 240);
    assert!(!notes.contains("not converted"), "{notes}");
}

#[test]
fn a_chain_that_is_too_long_is_told() {
    let steps: String =
        (0..1100).map(|number| format!(".exec(http(\"r{number}\").get(\"/\"))")).collect();
    let text = format!(
        "{SCRIPT}const s = scenario(\"s\"){steps};\n\
         export default simulation((setUp) => {{ setUp(s.{ONE}).{BASE}; }});\n"
    );
    let why = converted(&text, &options("it")).unwrap_err().to_string();
    assert!(why.starts_with("line 3, column 28: `setUp` is given no scenario"), "{why}");
}

#[test]
fn what_a_session_is_given_stands_where_it_is_used() {
    let steps = "exec(session -> session.set(\"kind\", \"tea\").set(\"password\", \"hush\")),\n\
                 exec(session -> { int x = compute(); return session.set(\"x\", x); }),\n\
                 http(\"a\").get(session -> \"/a/\" + session.getString(\"kind\")),\n\
                 http(\"b\").post(\"/b\").body(StringBody(\"##{no} #{kind} ${password} #{x}\"))";
    let (plan, notes) = plan_of(&java(steps, ONE));
    for says in ["path = \"/a/tea\"\n", "body = \"#{{no}} tea ${PASSWORD} {x}\"\n"] {
        assert!(plan.contains(says), "missing {says}\n{plan}");
    }
    assert!(!plan.contains("hush"), "{plan}");
    assert!(notes.contains("6: not converted: the value `x` of the session"), "{notes}");
}

#[test]
fn rows_that_stand_in_a_simulation_are_written_to_a_file() {
    let text = format!(
        "{SCALA}class S extends Simulation {{\n  val feeder = Array(Map(\"id\" -> 1, \"name\" -> \
         \"a\"), Map(\"id\" -> 2, \"name\" -> \"b\")).circular\n  val s = \
         scenario(\"s\").feed(feeder).exec(http(\"a #{{id}}\").get(\"/a/#{{id}}/#{{name}}\"))\n  \
         setUp(s.inject(atOnceUsers(1))).{BASE}\n}}\n"
    );
    let (done, files) = converted(&text, &options("it")).unwrap();
    assert!(done.plan.contains("path = \"/a/{feeder.id}/{feeder.name}\""), "{}", done.plan);
    assert!(done.plan.contains("csv = \"feeder.csv\"\norder = \"sequential\"\n"), "{}", done.plan);
    assert_eq!(files.text("feeder.csv"), "id,name\n1,a\n2,b\n");
}

#[test]
fn conditions_on_values_of_the_plan_are_kept() {
    let steps = "http(\"a\").get(\"/a\").check(jsonPath(\"$.kind\").saveAs(\"kind\")),\n\
                 doIfEquals(\"#{kind}\", \"tea\").then(http(\"b\").get(\"/b\")),\n\
                 doIf(session -> session.getString(\"kind\").equals(\"mug\")).then(http(\"c\").get(\"/c\")),\n\
                 doSwitch(\"#{kind}\").on(onCase(\"pot\").then(http(\"d\").get(\"/d\"))),\n\
                 doIf(\"#{other}\").then(http(\"e\").get(\"/e\"))";
    let (plan, notes) = plan_of(&java(steps, ONE));
    for says in
        ["when = { kind = \"tea\" }", "when = { kind = \"mug\" }", "when = { kind = \"pot\" }"]
    {
        assert!(plan.contains(says), "missing {says}\n{plan}");
    }
    assert!(notes.contains("9: not converted: the condition of `doIf`"), "{notes}");
}

#[test]
fn an_equation_in_a_function_is_a_condition_in_every_language() {
    let check = "check(jsonPath(\"$.kind\").saveAs(\"kind\"))";
    let script = format!(
        "{SCRIPT}const s = scenario(\"s\").exec(http(\"a\").get(\"/a\").{check}, doIf((session) => \
         session.get(\"kind\") === \"tea\").then(http(\"b\").get(\"/b\")));\n\
         export default simulation((setUp) => {{ setUp(s.{ONE}).{BASE}; }});\n"
    );
    let scala = format!(
        "{SCALA}class S extends Simulation {{\n  val s = scenario(\"s\").exec(http(\"a\")\
         .get(\"/a\").{check}).doIf(session => session(\"kind\").as[String] == \"tea\") {{\n    \
         exec(http(\"b\").get(\"/b\"))\n  }}\n  setUp(s.inject(atOnceUsers(1))).{BASE}\n}}\n"
    );
    for text in [script, scala] {
        let (plan, notes) = plan_of(&text);
        assert!(plan.contains("when = { kind = \"tea\" }"), "{plan}\n{notes}");
    }
}

#[test]
fn settings_of_the_environment_have_their_defaults_in_the_plan() {
    for host in [
        "sys.env.getOrElse(\"SHOP\", \"http://127.0.0.1:2\")",
        "scala.util.Properties.envOrElse(\"SHOP\", \"http://127.0.0.1:2\")",
        "Option(System.getenv(\"SHOP\")).getOrElse(\"http://127.0.0.1:2\")",
        "env.getOrElse(\"SHOP\", \"http://127.0.0.1:2\")",
    ] {
        let text = format!(
            "{SCALA}class S extends Simulation {{\n  val env = sys.env\n  val host = {host}\n  \
             setUp(scenario(\"s\").exec(http(\"a\").get(\"/a\")).inject(atOnceUsers(1)))\
             .protocols(http.baseUrl(host))\n}}\n"
        );
        let (plan, _) = plan_of(&text);
        assert!(plan.contains("url = \"http://127.0.0.1:2\"\n"), "{host}: {plan}");
    }
}

/// Why a text is no simulation that can be read.
#[track_caller]
fn refusal(text: &str) -> String {
    converted(text, &options("it")).unwrap_err().to_string()
}

#[test]
fn what_is_no_simulation_is_refused_with_its_place() {
    let kotlin = "import io.gatling.javaapi.core.CoreDsl.*\nclass S : Simulation() {}\n";
    assert!(refusal(kotlin).starts_with("simulations in Kotlin are not read: "));
    let class = |body: &str| format!("{JAVA}class S extends Simulation {{\n{body}\n}}\n");
    assert!(
        refusal(&class("")).starts_with("line 3, column 7: the simulation `S` calls no `setUp`")
    );
    assert!(refusal(&class("{ setUp(; }")).starts_with("line 4, column "));
    assert!(
        refusal(&class("{ setUp(); }"))
            .starts_with("line 4, column 3: `setUp` is given no scenario with a load")
    );
    assert!(
        refusal(&format!("{JAVA}class Helper {{}}\n")).starts_with("the file holds no simulation")
    );
    let empty = class(&format!("{{ setUp(scenario(\"s\").pause(1).{ONE}); }}"));
    assert_eq!(
        refusal(&empty),
        "no scenario of the simulation sends an HTTP request that can be read"
    );
}

#[test]
fn chains_that_double_again_and_again_have_an_end() {
    let fields: String = (1..80)
        .map(|number| {
            let before = number - 1;
            format!("ChainBuilder c{number} = exec(c{before}, c{before});\n")
        })
        .collect();
    let text = format!(
        "{JAVA}class S extends Simulation {{\nChainBuilder c0 = exec(http(\"a\").get(\"/a\"));\n\
         {fields}{{ setUp(scenario(\"s\").exec(c50).exec(c79).{ONE}).{BASE}; }}\n}}\n"
    );
    let (plan, notes) = plan_of(&text);
    assert_eq!(plan.matches("[[journey.step]]").count(), 2000);
    assert!(notes.contains("steps beyond 8000 chains"), "{notes}");
}

#[test]
fn the_seconds_of_a_simulation_may_have_any_form() {
    for (time, says) in [
        ("Duration.ofMillis(1500)", "1.5s"),
        ("Duration.of(2, ChronoUnit.MINUTES)", "2m"),
        ("Integer.getInteger(\"pause\", 4)", "4s"),
    ] {
        let (plan, _) = plan_of(&java(&format!("http(\"a\").get(\"/a\"), pause({time})"), ONE));
        assert!(plan.contains(&format!("think = \"{says}\"\n")), "{time}: {plan}");
    }
    for (time, says) in [("500.milliseconds", "500ms"), ("2 minutes", "2m"), ("x.seconds", "3s")] {
        let text = format!(
            "{SCALA}class S extends Simulation {{\n  val x = 3\n  val s = scenario(\"s\")\
             .exec(http(\"a\").get(\"/a\")).pause({time})\n  \
             setUp(s.inject(atOnceUsers(1))).{BASE}\n}}\n"
        );
        let (plan, _) = plan_of(&text);
        assert!(plan.contains(&format!("think = \"{says}\"\n")), "{time}: {plan}");
    }
    let text = format!(
        "{SCRIPT}const s = scenario(\"s\").exec(http(\"a\").get(\"/a\"), pause({{ amount: 3, unit: \
         'minutes' }}));\nexport default simulation((setUp) => {{ setUp(s.{ONE}).{BASE}; }});\n"
    );
    let (plan, _) = plan_of(&text);
    assert!(plan.contains("think = \"3m\"\n"), "{plan}");
}

#[test]
fn types_of_typescript_are_refused_with_what_to_do() {
    let text = format!("{SCRIPT}const base: string = \"http://127.0.0.1:1\";\n");
    let why = converted(&text, &options("shop.gatling.ts")).unwrap_err().to_string();
    assert!(why.starts_with("line 2, column "), "{why}");
    assert!(why.ends_with("types of TypeScript are not read: remove them, or compile the file"));
}
