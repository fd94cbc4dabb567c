//! What a generator elsewhere needs of a plan, and its load made of that.
//!
//! It gets the parts of the plan that decide what it sends: no collectors, no setup, no objectives.
//! `${NAME}` stays as it stands in the plan. Beside it go the values of those variables that are
//! left, the files that the requests need, and what the setup captured: all that the generator has
//! to send itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use super::config::read_load;
use super::files::PlanFiles;
use super::problems::Problems;
use super::target::{connect, find, refuse_foreign_hosts};
use crate::load::{self, LoadConfig, ResolvedValues, Share};
use crate::plan::{self, DataValues, Executor, Plan, Trust};

/// Tables of a plan that no generator needs. They may hold secrets, such as the URL of a database.
const NOT_OF_THE_LOAD: &[&str] =
    &["agent", "canary", "collect", "gate", "objectives", "setup", "teardown", "websocket"];
/// Variables that stand for what the setup captured begin like this.
const CAPTURED: &str = "KNEEPOINT_CAPTURED_";
/// Files of data of one plan, at most, in bytes. They go through the standard input of each
/// generator.
const MOST_BYTES: usize = 64 << 20;

/// The part of a plan that a generator needs. It holds secrets, so it does not print.
#[derive(Clone)]
pub struct LoadPart {
    /// The plan's text, without what only the coordinator does. Variables are not filled in.
    pub plan: String,
    /// The values of its variables.
    pub variables: BTreeMap<String, String>,
    /// The files that it names.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Which part of the load a generator makes, and under which name.
#[derive(Clone, Debug)]
pub struct PartOrder {
    /// The part.
    pub share: Share,
    /// Threads that make it: the same number in each generator.
    pub workers: usize,
    /// The name of the generator.
    pub name: String,
}

impl LoadPart {
    /// The part of the plan with this `text`, whose `load` was prepared. Relative paths in it start
    /// at `folder`.
    ///
    /// # Errors
    /// A file that cannot be read, or files that are too large to send.
    pub fn of(text: &str, plan: &Plan, load: &LoadConfig, folder: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut part = Self {
            plan: String::new(),
            variables: BTreeMap::new(),
            files: files_of(plan, folder, &mut problems),
        };
        let bytes: usize = part.files.values().map(Vec::len).sum();
        if bytes > MOST_BYTES {
            problems.add(
                format!(
                    "the plan names {} MB of files, and generators take at most {} MB",
                    bytes >> 20,
                    MOST_BYTES >> 20
                ),
                "use smaller files of data, or one generator",
            );
        }
        let Ok(mut table) = text.parse::<toml::Table>() else {
            problems.add("the plan has changed since it was read", "start the run again");
            return problems.or(part);
        };
        for name in NOT_OF_THE_LOAD {
            table.remove(*name);
        }
        if let Some(limits) = table.get_mut("limits").and_then(toml::Value::as_table_mut) {
            limits.remove("kill_switch");
        }
        part.add_captured(&mut table, plan, load);
        // A table that was read can be written.
        part.plan = toml::to_string(&table).unwrap_or_default();
        part.fill_in();
        problems.or(part)
    }

    /// Makes data of what the setup captured.
    fn add_captured(&mut self, table: &mut toml::Table, plan: &Plan, load: &LoadConfig) {
        let captured = load.data.iter().filter(|(name, _)| !plan.data.contains_key(*name));
        let data = table.entry("data").or_insert_with(|| toml::Table::new().into());
        for (number, (name, data_of)) in captured.enumerate() {
            let (ResolvedValues::List(values), Some(data)) = (&data_of.values, data.as_table_mut())
            else {
                continue;
            };
            let Some(value) = values.first() else { continue };
            let variable = format!("{CAPTURED}{number}");
            let list = vec![toml::Value::from(format!("${{{variable}}}"))];
            let source = toml::Table::from_iter([("list".to_owned(), toml::Value::from(list))]);
            data.insert(name.clone(), source.into());
            self.variables.insert(variable, value.clone());
        }
    }

    /// Adds the values of the variables that are left in the text.
    fn fill_in(&mut self) {
        let asked = RefCell::new(BTreeMap::new());
        let look_up = |name: &str| {
            let value = self.variables.get(name).cloned().or_else(|| std::env::var(name).ok());
            if let Some(value) = &value {
                asked.borrow_mut().insert(name.to_owned(), value.clone());
            }
            value
        };
        // Whatever is wrong with it, the generator says.
        drop(plan::parse(&self.plan, "plan", &[], &look_up));
        self.variables = asked.into_inner();
    }
}

/// The files that the load of a plan needs.
fn files_of(plan: &Plan, folder: &Path, problems: &mut Problems) -> BTreeMap<String, Vec<u8>> {
    let data = plan.data.values().filter_map(|source| match &source.values {
        DataValues::Csv { path, .. } | DataValues::Rows { path, .. } => Some(path),
        _ => None,
    });
    let traces = plan.scenarios.iter().filter_map(|scenario| match &scenario.executor {
        Executor::Replay { trace, .. } => Some(trace),
        _ => None,
    });
    let tls = &plan.target.tls;
    let ca = match &tls.trust {
        Trust::CaFile(path) => Some(path),
        Trust::SystemRoots | Trust::Insecure => None,
    };
    let identity = tls.identity.iter().flat_map(|it| [&it.cert_file, &it.key_file]);
    let names = data.chain(traces).chain(ca).chain(identity);
    let on_disk = PlanFiles::below(folder);
    let mut files = BTreeMap::new();
    for name in names {
        match on_disk.read(name) {
            Ok(bytes) => {
                files.insert(name.clone(), bytes);
            }
            Err(error) => problems.add(
                format!("cannot read `{}`: {error}", on_disk.shown(name)),
                "the path is relative to the plan",
            ),
        }
    }
    files
}

/// The load of a part, checked on the machine that makes it: whether the target may be loaded from
/// here and can be reached, and whether there is room for its sockets.
///
/// # Errors
/// Everything that is wrong. Nothing was sent but the opening of a connection.
pub fn part_config(part: LoadPart, order: PartOrder) -> Result<LoadConfig, Problems> {
    let mut problems = Problems::default();
    let look_up = |name: &str| part.variables.get(name).cloned();
    let plan = match plan::parse(&part.plan, "plan", &[], &look_up) {
        Ok(plan) => plan,
        Err(errors) => {
            problems.add(
                format!("the plan has mistakes here: {errors}"),
                "use the same version of kneepoint on all machines",
            );
            return Err(problems);
        }
    };
    refuse_foreign_hosts(&plan, &mut problems);
    let load = read_load(&plan, &PlanFiles::Sent(part.files), &mut problems);
    let load = LoadConfig {
        share: order.share,
        workers: Some(order.workers),
        generator: order.name,
        ..load
    };
    if let Some(address) = find(&load.target, &mut problems) {
        connect(&address, &mut problems);
    }
    if let Err(error) = load::make_room(&load) {
        problems.add_error(error);
    }
    problems.or(load)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::ResolvedData;

    const PLAN: &str = r#"
        seed = 7
        [target]
        url = "http://127.0.0.1:9"
        [[setup]]
        name = "login"
        method = "POST"
        path = "/login"
        body = "admin:${ADMIN_PASSWORD}"
        capture = { token = { json = "$.token" } }
        [[request]]
        name = "order"
        path = "/orders/{id.nr}?t={token}"
        headers = { authorization = "Bearer ${PATH}" }
        [data.id]
        csv = "ids.csv"
        order = "sequential"
        [load]
        executor = "constant-arrival-rate"
        rate = "10/s"
        duration = "5s"
        [limits]
        kill_switch = "http://127.0.0.1/stop?key=hunter1"
        [collect.postgres]
        url = "postgres://shop:hunter2@127.0.0.1/shop"
    "#;

    fn part(folder: &Path) -> Result<LoadPart, Problems> {
        let shapes: Vec<_> = crate::collect::COLLECTORS.iter().map(|spec| spec.shape()).collect();
        let environment = |name: &str| Some(format!("value of {name}"));
        let plan = plan::parse(PLAN, "plan.toml", &shapes, &environment).unwrap();
        let mut load = read_load(&plan, &PlanFiles::below(folder), &mut Problems::default());
        let captured = ResolvedValues::List(["secret-token".to_owned()].into());
        load.data.insert("token".to_owned(), ResolvedData::of(captured));
        LoadPart::of(PLAN, &plan, &load, folder)
    }

    #[test]
    fn a_generator_gets_what_it_has_to_send_and_no_other_secret() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ids.csv"), "nr\n17\n18\n").unwrap();
        let part = part(folder.path()).unwrap();
        for hidden in ["hunter", "ADMIN_PASSWORD", "postgres", "secret-token"] {
            assert!(!part.plan.contains(hidden), "{hidden} in {}", part.plan);
        }
        assert!(part.plan.contains("${PATH}"), "{}", part.plan);
        let names: Vec<&str> = part.variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["KNEEPOINT_CAPTURED_0", "PATH"]);
        assert_eq!(part.variables["KNEEPOINT_CAPTURED_0"], "secret-token");
        assert_eq!(part.files["ids.csv"], b"nr\n17\n18\n");

        // The generator reads the same load from it, except that nobody listens there.
        let look_up = |name: &str| part.variables.get(name).cloned();
        let plan = plan::parse(&part.plan, "plan", &[], &look_up).unwrap();
        assert_eq!((plan.seed, plan.requests.len()), (7, 1));
        let mut problems = Problems::default();
        let load = read_load(&plan, &PlanFiles::Sent(part.files.clone()), &mut problems);
        assert!(problems.is_empty(), "{problems}");
        assert_eq!(load.data["id"].count(), 2);
        assert_eq!(load.data["token"].count(), 1);
        let share = Share::new(1, 2).unwrap();
        let order = PartOrder { share, workers: 1, name: "gen2".to_owned() };
        let refused = part_config(part, order).unwrap_err().to_string();
        assert!(refused.contains("cannot connect to `127.0.0.1:9`"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = part(folder.path()).err().unwrap().to_string();
        assert!(refused.contains("ids.csv"), "{refused}");
    }
}
