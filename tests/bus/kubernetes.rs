//! `examples/kubernetes`: the fields are those of the API, names refer to something, the plan is one,
//! and kneepoint takes the arguments.

use std::fs;
use std::path::Path;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value, json};

use crate::target::kneepoint;

fn at(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// A list or a table that is being read, with the key that waits for its value.
enum Open {
    List(Vec<Value>),
    Table(Map<String, Value>, Option<String>),
}

/// The documents of a YAML text.
fn documents(text: &str) -> Vec<Value> {
    let (mut open, mut documents) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let value = match event.unwrap().0 {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Table(Map::new(), None));
                continue;
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => json!(text),
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::List(list)) => Value::Array(list),
                Some(Open::Table(table, _)) => Value::Object(table),
                None => panic!("an end without a beginning"),
            },
            _ => continue,
        };
        match open.last_mut() {
            None => documents.push(value),
            Some(Open::List(list)) => list.push(value),
            Some(Open::Table(table, key)) => match key.take() {
                None => *key = Some(value.as_str().unwrap().to_owned()),
                Some(key) => assert!(table.insert(key, value).is_none(), "a key stands twice"),
            },
        }
    }
    documents
}

fn plain(text: &str) -> Value {
    match text {
        "true" | "false" => json!(text == "true"),
        _ => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

fn objects() -> Vec<Value> {
    let files = ["examples/kubernetes/nats.yaml", "examples/kubernetes/run.yaml"];
    files.iter().flat_map(|file| documents(&at(file))).collect()
}

fn find<'v>(objects: &'v [Value], kind: &str, name: &str) -> &'v Value {
    let is_it = |it: &&Value| it["kind"] == kind && it["metadata"]["name"] == name;
    objects.iter().find(is_it).unwrap_or_else(|| panic!("no {kind} `{name}`"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn the_example_has_only_fields_of_the_api() {
    let schema: Value = serde_json::from_str(&at("tests/bus/kubernetes.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let objects = objects();
    assert_eq!(objects.len(), 5);
    for object in &objects {
        let wrong: Vec<String> = validator
            .iter_errors(object)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{} {}: {wrong:#?}", object["kind"], object["metadata"]);
    }
    // It can fail: an index is asked for by another name.
    let mut job = find(&objects, "Job", "kneepoint-generators").clone();
    job["spec"]["indexed"] = json!(true);
    assert!(!validator.is_valid(&job));
}

#[test]
fn what_the_example_names_is_there_and_the_pods_start_what_exists() {
    let objects = objects();
    let map = find(&objects, "ConfigMap", "kneepoint-run");
    let service = find(&objects, "Service", "nats");
    assert_eq!(service["spec"]["ports"][0]["port"], 4222);
    let pods = ["Job", "StatefulSet"];
    for object in objects.iter().filter(|it| pods.contains(&it["kind"].as_str().unwrap())) {
        let pod = &object["spec"]["template"];
        let claims = list(&object["spec"]["volumeClaimTemplates"]);
        let volumes: Vec<&Value> = list(&pod["spec"]["volumes"])
            .iter()
            .map(|volume| &volume["name"])
            .chain(claims.iter().map(|claim| &claim["metadata"]["name"]))
            .collect();
        for container in list(&pod["spec"]["containers"]) {
            for mount in list(&container["volumeMounts"]) {
                assert!(volumes.contains(&&mount["name"]), "{mount}");
            }
            for variable in list(&container["env"]) {
                let from = &variable["valueFrom"]["configMapKeyRef"];
                assert_eq!(from["name"], map["metadata"]["name"]);
                assert!(map["data"].get(from["key"].as_str().unwrap()).is_some(), "{from}");
            }
        }
        if object["kind"] == "StatefulSet" {
            let labels = &object["spec"]["selector"]["matchLabels"];
            assert_eq!(
                (labels, labels),
                (&pod["metadata"]["labels"], &service["spec"]["selector"])
            );
            continue;
        }
        let container = &pod["spec"]["containers"][0];
        let filled = |text: &Value| {
            let text = text.as_str().unwrap().replace("$(RUN)", "first");
            text.replace("$(GENERATORS)", map["data"]["generators"].as_str().unwrap())
        };
        let mut arguments: Vec<String> = list(&container["args"]).iter().map(filled).collect();
        arguments.push("--help".to_owned());
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        kneepoint(&arguments).assert().success();
    }
    let generators = &find(&objects, "Job", "kneepoint-generators")["spec"];
    assert_eq!(generators["completionMode"], "Indexed");
    assert_eq!(generators["completions"], generators["parallelism"]);
    assert_eq!(json!(generators["completions"].to_string()), map["data"]["generators"]);
}

#[test]
fn the_plan_of_the_example_is_one() {
    let objects = objects();
    let plan = &find(&objects, "ConfigMap", "kneepoint-run")["data"]["plan.toml"];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.toml");
    fs::write(&path, plan.as_str().unwrap()).unwrap();
    kneepoint(&["check", path.to_str().unwrap()]).assert().success();
}
