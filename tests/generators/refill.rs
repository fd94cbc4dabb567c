//! `--on-generator-loss refill`: the others take over the part of a generator that was killed.

use kneepoint::timeline::{Moment, StageRole};

use super::*;
use crate::target::held;

/// A run of three generators that goes on without one of them.
fn start_three(directory: &Path, text: &str) -> Child {
    let plan = write_plan(directory, text);
    let generator = format!("'{KNEEPOINT}' generate");
    let mut command = Command::new(KNEEPOINT);
    command.arg("run").arg(plan).arg("--quiet").arg("--out").arg(directory.join("out"));
    command.args([generator.as_str(); 3].iter().flat_map(|one| ["--generator", one]));
    command.args(["--on-generator-loss", "refill"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program")
}

/// Kills one of its generators once the target has seen so many requests.
fn kill_one(run: &Child, server: &Server, requests: u64) {
    wait_until("load", 20, || server.requests() > requests);
    let generators = children(run.id());
    assert_eq!(generators.len(), 3, "{generators:?}");
    signal(generators[1], "KILL");
}

/// The number of the row in a path, counted from zero.
fn row(path: &str) -> usize {
    let number: usize = path.split('?').nth(1).unwrap().parse().unwrap();
    number - 1
}

#[test]
fn others_take_over_the_part_of_a_killed_generator_and_use_no_row_twice() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let plan = plan(&server, 1, 1, "");
    let plan = format!("{}{}", plan.split("[load]").next().unwrap(), held([90, 120], 12));
    let run = start_three(directory.path(), &plan);
    kill_one(&run, &server, 200);
    let output = run.wait_with_output().unwrap();
    let said = format!("{}{}", text(&output.stderr), text(&output.stdout));
    assert!(matches!(output.status.code(), Some(0 | 123)), "{said}");
    let words: Vec<&str> = said.split_whitespace().collect();
    let words = words.join(" ");
    assert!(words.contains("was lost at") && words.contains("made its part from"), "{said}");

    let recording = read(directory.path());
    let timeline = &recording.timeline;
    let [refill] = timeline.refills[..] else { panic!("{:?}", timeline.refills) };
    let end = recording.stop.as_ref().unwrap().at;
    assert!(refill.lost < refill.from && refill.from < end, "{refill:?}");
    let told = recording.events.iter().any(|event| event.text.contains("take over its part"));
    assert!(told, "{:?}", recording.events);

    // The stage in which it was lost does not count, and the next one has its whole rate.
    let stages = measured(&recording);
    assert!(matches!(stages[0].invalid, Some(Invalid::OneGenerator { .. })), "{stages:?}");
    let last = stages.last().unwrap();
    assert_eq!(last.invalid, None);
    assert!((last.offered - 120.0).abs() < 1.2, "{}", last.offered);
    for generator in (0..3).filter(|generator| *generator != refill.generator) {
        let within = |at: Moment| at > last.window.begin && at < last.window.end;
        let parts = timeline.parts.iter().filter(|part| {
            part.generator == generator && within(part.window.begin) && within(part.window.end)
        });
        let offered: Vec<f64> = parts.map(|part| part.account.offered).collect();
        assert!(!offered.is_empty() && offered.iter().all(|count| (count - 60.0).abs() < 1.5));
    }
    // Nothing was offered twice before the others took over.
    let gap = timeline
        .ticks
        .iter()
        .filter(|tick| tick.window.begin > refill.lost && tick.window.end <= refill.from);
    assert!(gap.clone().count() > 2 && gap.clone().all(|tick| tick.offered <= 81));

    // Each row once, but for those of the requests that were tried before the load.
    let paths = server.paths();
    let rows: BTreeSet<usize> = paths.iter().map(|path| row(path)).collect();
    assert!(paths.len() - rows.len() < 10, "{} requests for {} rows", paths.len(), rows.len());
    // What the target has seen is what is recorded; only of the killed one it has seen more, at most
    // its last second.
    let killed = refill.generator;
    let of_killed = (0..).map(|nth| killed + 3 * nth).take_while(|row| rows.contains(row)).count();
    let sent_by_killed: f64 = timeline
        .parts
        .iter()
        .filter(|part| part.generator == killed)
        .map(|part| part.account.sent)
        .sum();
    let (_, sent, completed) = counts(&recording);
    assert_eq!(sent, completed);
    assert_eq!((rows.len() - of_killed) as f64, sent as f64 - sent_by_killed);
    let unseen = of_killed as f64 - sent_by_killed;
    assert!((0.0..=60.0).contains(&unseen), "{of_killed} rows, {sent_by_killed} recorded");
}

#[test]
fn virtual_users_go_on_with_others_in_place_of_the_lost_ones() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let plan = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/slow\"\n[load]\n\
         executor = \"constant-vus\"\nvus = 12\nduration = \"16s\"\n",
        server.url()
    );
    let run = start_three(directory.path(), &plan);
    kill_one(&run, &server, 60);
    let output = run.wait_with_output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
    let recording = read(directory.path());
    let [refill] = recording.timeline.refills[..] else { panic!() };
    let stages = measured(&recording);
    let (first, last) = (stages.first().unwrap(), stages.last().unwrap());
    assert!(first.invalid.is_some() && last.invalid.is_none(), "{stages:?}");
    assert!(last.window.begin >= refill.from);
    // Twelve users, each of whom always waits for an answer.
    assert!((last.in_flight - 12.0).abs() < 0.5, "{}", last.in_flight);
}

#[test]
fn a_search_holds_the_stage_again_in_which_a_generator_was_lost() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let text_of_plan = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"breakpoint\"\nstart = \"60/s\"\nmax = \"120/s\"\nfactor = 2.0\n\
         hold = \"4s\"\nrecovery = \"0s\"\nprobe = false\n",
        server.url()
    );
    let run = start_three(directory.path(), &text_of_plan);
    kill_one(&run, &server, 100);
    let output = run.wait_with_output().unwrap();
    let said = format!("{}{}", text(&output.stderr), text(&output.stdout));
    assert!(matches!(output.status.code(), Some(0 | 123)), "{said}");
    let recording = read(directory.path());
    let all = stages::summarize(&recording);
    let void = all.iter().filter(|stage| stage.invalid.is_some()).count();
    assert_eq!(void, 1, "{all:?}");
    let held = recording.timeline.stages.iter().filter(|stage| stage.role != StageRole::Drain);
    let rates: Vec<f64> = held.map(|stage| stage.rate()).collect();
    assert!(rates.windows(2).any(|pair| (pair[0] - pair[1]).abs() < 1e-9), "{rates:?}");
    let highest = measured(&recording).iter().map(|stage| stage.offered).fold(0.0, f64::max);
    assert!((highest - 120.0).abs() < 4.0, "{highest} of {rates:?}");
}

#[test]
fn a_fixed_number_of_iterations_cannot_change_hands() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let plan = format!(
        "[target]\nurl = \"{}\"\n[[request]]\npath = \"/\"\n[load]\n\
         executor = \"shared-iterations\"\nvus = 5\niterations = 101\nmax_duration = \"30s\"\n",
        server.url()
    );
    let output = start_three(directory.path(), &plan).wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(106), "{errors}");
    assert!(errors.contains("fixed number of iterations") && errors.contains("hint"), "{errors}");
}
