//! What a run leaves behind can be read: while it is still written, after a kill, beside earlier
//! results; and what is no recording is refused.

use super::*;

#[test]
fn a_killed_run_is_readable_up_to_its_last_seconds() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let canary = "[[canary]]\nname = \"late\"\npath = \"/slow\"\n";
    let run = Run::start(directory.path(), &constant(&server.url(), 20, 90, canary), &[]);
    run.reach(Duration::from_secs(7));
    assert_read_while_written(&run.recording());
    run.signal(libc::SIGKILL);
    let (path, age) = (run.recording(), run.began.elapsed().as_secs_f64());
    run.end();
    let (recording, notes) = read(&path);
    assert!(notes.contains(&ReadNote::NoEnd), "{notes:?}");
    assert_eq!(recording.stop, None);
    // Two seconds, and one that was not over; twice that for a machine that is busy.
    let known = last_second(&recording);
    assert!(known > age - 5.0, "{known} s of {age} s");
    let stage = recording.timeline.stages.last().expect("the stage it was in");
    assert!(stage.window.end.secs() <= known + 0.001, "{stage:?}");
    assert_canary(&recording, known);
    let output = kneepoint(&["diagnose"]).arg(&path).output().expect("the program starts");
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("the run was killed"), "{}", text(&output.stderr));
    assert!(!output.stdout.is_empty());
}

/// A recording that still grows can be diagnosed and reported on, and is told to have no end.
#[track_caller]
fn assert_read_while_written(path: &Path) {
    let verdict = kneepoint(&["diagnose"]).arg(path).output().expect("the program starts");
    let format = ["--format", "markdown=-"];
    let report = kneepoint(&["report"]).arg(path).args(format).output().expect("it starts");
    for output in [verdict, report] {
        assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("is still running"), "{}", text(&output.stderr));
        assert!(!output.stdout.is_empty());
    }
}

/// The canary of `/slow` is on record as long as the load is, and apart from it.
#[track_caller]
fn assert_canary(recording: &Recording, known: f64) {
    let series = |metric: &str| {
        let selector = format!("{metric}{{canary=late}}").parse().expect("a selector");
        let found = recording.timeline.select(&selector).next();
        found.unwrap_or_else(|| panic!("no {metric}")).1.points.clone()
    };
    let times = series("canary.response_time");
    assert!(times.iter().all(|point| (0.4..0.9).contains(&point.value)), "{times:?}");
    let last = series("canary.requests").last().copied().expect("a total");
    assert!(last.at.secs() > known - 2.5, "{last:?} of {known} s");
    // Two a second, but for the first seconds and those under way.
    assert!((4.0..=2.0 * known).contains(&last.value), "{last:?}");
    assert_eq!(series("canary.failures").last().map(|point| point.value), Some(0.0));
    let endpoints = recording.timeline.ticks.iter().flat_map(|tick| &tick.endpoints);
    assert!(endpoints.into_iter().all(|endpoint| endpoint.endpoint == "GET /"));
}

#[test]
fn earlier_results_are_kept_and_a_closed_stdout_is_no_failure() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let plan = constant(&server.url(), 20, 3, "");
    let first = Run::start(directory.path(), &plan, &["--quiet"]);
    let out = first.out.clone();
    first.end();
    let recorded = fs::read(out.join("recording.jsonl.zst")).expect("a recording");
    for number in 1..=2 {
        // Whoever reads goes away before there is anything to read.
        let mut again = Command::new(KNEEPOINT)
            .arg("run")
            .arg(directory.path().join("plan.toml"))
            .arg("--out")
            .arg(&out)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(again.stdout.take());
        let output = again.wait_with_output().expect("own child");
        assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
        assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
        assert_reports(&out);
        assert_reports(&out.join(format!("earlier-{number}")));
    }
    let kept = fs::read(out.join("earlier-1/recording.jsonl.zst")).expect("moved");
    assert_eq!(kept, recorded);
    for arguments in [vec!["--help"], vec!["list", "metrics"], vec!["diagnose", "--format", "json"]]
    {
        let mut command = Command::new(KNEEPOINT);
        command.args(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        if arguments[0] == "diagnose" {
            command.arg(&out);
        }
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("own child");
        assert!(matches!(output.status.code(), Some(0 | 123)), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    looks_without_a_trace(&out);
}

/// `diagnose` writes only where it is told to, and the same each time.
fn looks_without_a_trace(out: &Path) {
    let names = || -> Vec<PathBuf> {
        let mut names: Vec<_> =
            fs::read_dir(out).expect("a directory").flatten().map(|entry| entry.path()).collect();
        names.sort();
        names
    };
    let before = names();
    let look = || {
        let mut command = kneepoint(&["diagnose", "--format", "json"]);
        command.arg(out).current_dir(out).output().expect("the program starts").stdout
    };
    let shown = look();
    serde_json::from_slice::<serde_json::Value>(&shown).expect("JSON and nothing else");
    assert_eq!(shown, look());
    assert_eq!(shown, fs::read(out.join("report.json")).expect("a report"), "live and again");
    assert_eq!(names(), before);
    let elsewhere = out.join("again");
    kneepoint(&["diagnose", "--out"]).arg(&elsewhere).arg(out).output().expect("it starts");
    assert!(elsewhere.join("report.html").exists());
}

#[test]
fn what_is_no_recording_is_refused_with_what_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let run = Run::start(directory.path(), &constant(&server.url(), 20, 3, ""), &["--quiet"]);
    let whole = run.recording();
    run.end();
    let whole = fs::read(whole).expect("a recording");
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty", b"", "it is empty"),
        ("text", b"time,rate\n1,2\n", "it is plain text"),
        ("gzip", &[0x1f, 0x8b, 8, 0, 0, 0], "gzip"),
        ("json", b"{\"metrics\": {}}", "JSON"),
        ("begin", &whole[..20], "cut off"),
        ("noise", &[0xff, 0x00, 0x37, 0x99, 0x12], "does not begin like"),
    ];
    for (name, bytes, says) in cases {
        let path = directory.path().join(name);
        fs::write(&path, bytes).expect("own directory");
        for command in ["diagnose", "report"] {
            let mut call = kneepoint(&[command]);
            call.arg(&path);
            if command == "report" {
                call.args(["--format", "html=-"]);
            }
            let output = call.output().expect("the program starts");
            assert_exit(&output, 104);
            let stderr = text(&output.stderr);
            assert!(stderr.contains(says) && stderr.contains("hint:"), "{name}: {stderr}");
            assert!(output.stdout.is_empty());
        }
    }
    let missing = kneepoint(&["diagnose", "/nowhere"]).output().expect("the program starts");
    assert_exit(&missing, 104);
    // A torn one says so, and is read as far as it goes.
    let torn = directory.path().join("torn");
    fs::write(&torn, &whole[..whole.len() * 3 / 4]).expect("own directory");
    let output = kneepoint(&["diagnose"]).arg(&torn).output().expect("the program starts");
    assert!(matches!(output.status.code(), Some(0 | 123)), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("cut off"), "{}", text(&output.stderr));
}
