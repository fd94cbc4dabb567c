//! The clocks of agents: hours off, jumping, and behind a network that is slow one way or loses what
//! is sent.

use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use kneepoint::recording::Recording;
use kneepoint::remote::{Envelope, Message};

use crate::space::{Process, Space, succeeds, wait_for};
use crate::target::Server;
use crate::{Place, plan, run, said};

/// The path of the agent below among the tests, and what says to it that it is one: the place in the
/// run at which its clock jumps, in exchanges.
const AGENT: &str = "clock::an_agent_whose_clock_jumps";
const FAKE: &str = "KNEEPOINT_TEST_FAKE_AGENT";
/// Its clock is so far ahead, and jumps once by so much, in seconds.
const AHEAD: f64 = 3.0 * 3600.0;
const JUMP: f64 = 60.0;

/// Not a test: an agent whose clock is hours ahead and jumps during the run. What it reads is the wall
/// clock.
#[test]
#[ignore = "the agent of another test"]
fn an_agent_whose_clock_jumps() {
    let Ok(jumps_at) = std::env::var(FAKE) else { return };
    let jumps_at: u32 = jumps_at.parse().expect("a number of exchanges");
    let began = Instant::now();
    let (mut run, mut epoch, mut seq, mut pings, mut ahead) = (String::new(), 0, 0, 0, AHEAD);
    let mut is_open = false;
    let mut say = |run: &str, epoch: u32, message: String| {
        seq += 1;
        let place = format!("\"run\":\"{run}\",\"from\":\"app1\",\"epoch\":{epoch},\"seq\":{seq}");
        let mut stdout = std::io::stdout();
        writeln!(stdout, "{{{place},\"message\":{message}}}").expect("the coordinator reads");
    };
    let hello = r#"{"hello":{"protocol":"1.0","version":"0.1.0","role":"agent"}}"#;
    say("", 0, hello.to_owned());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        let envelope = Envelope::of_line(line.as_bytes()).expect("a message");
        let now = ((began.elapsed().as_secs_f64() + ahead) * 1e9) as i64;
        match envelope.message {
            Message::Seek(_) => {
                say(&run, epoch, r#"{"sought":{"found":true,"port":1}}"#.to_owned());
            }
            Message::Open(_) => {
                (run, epoch, is_open) = (envelope.run, envelope.epoch, true);
                let watched =
                    r#"{"name":"process","instance":"process","watches":"x","interval_secs":1.0}"#;
                say(&run, epoch, format!(r#"{{"ready":{{"watched":[{watched}]}}}}"#));
            }
            Message::Ping(ping) if is_open => {
                pings += 1;
                ahead += if pings == jumps_at { JUMP } else { 0.0 };
                let unix = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
                let series = r#"{"type":"series","id":0,"metric":"process.count","labels":{},"unit":"count","kind":"gauge","collector":"process"}"#;
                let (at, value) = (now, unix.as_secs_f64());
                let batch = format!(
                    r#"{{"type":"batch","collector":"process","begin":{at},"end":{at},"values":[[0,{value}]]}}"#
                );
                say(&run, epoch, format!(r#"{{"lines":{{"lines":[{series},{batch}]}}}}"#));
                let sent = ping.sent;
                let now = ((began.elapsed().as_secs_f64() + ahead) * 1e9) as i64;
                say(
                    &run,
                    epoch,
                    format!(r#"{{"pong":{{"sent":{sent},"received":{now},"replied":{now}}}}}"#),
                );
            }
            Message::Ping(ping) => {
                let sent = ping.sent;
                say(
                    &run,
                    epoch,
                    format!(r#"{{"pong":{{"sent":{sent},"received":{now},"replied":{now}}}}}"#),
                );
            }
            Message::Stop(_) => {
                say(&run, epoch, r#"{"bye":{"reason":"done"}}"#.to_owned());
                return;
            }
            _ => {}
        }
    }
}

#[test]
fn a_clock_that_is_hours_off_is_set_right_and_a_jump_is_a_gap() {
    let (place, server) = (Place::new(), Server::start());
    let own = std::env::current_exe().expect("own path");
    let script = place.script(&format!(
        "{FAKE}=4 exec '{}' --exact {AGENT} --ignored --nocapture",
        own.display()
    ));
    let output = run(&place, &plan(&place, &server, 6, &script.display().to_string()));
    assert!(output.status.success(), "{}", said(&output));
    let recording = place.recording();
    let (_, series) = recording.timeline.series_of("process.count").next().expect("a series");
    assert!(series.points.len() >= 4, "{series:?}");
    for point in &series.points {
        let true_time = point.value - recording.environment.started_unix;
        assert!((point.at.secs() - true_time).abs() < 0.1, "{} {true_time}", point.at.secs());
    }
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    assert!(events.iter().any(|event| event.contains("its clock jumped by +60.0")), "{events:?}");
    let jumps = |gap: &&kneepoint::timeline::Gap| gap.reason.contains("its clock jumped");
    let gap = recording.timeline.gaps.iter().find(jumps).expect("a gap");
    assert_eq!(gap.collector, "process");
    assert!((0.5..2.0).contains(&gap.window.secs()), "{gap:?}");
}

/// The path of the line below among the tests, and how long it takes, in milliseconds.
const SLOW_LINE: &str = "clock::a_slow_line";
const DELAY: &str = "KNEEPOINT_TEST_DELAY";
/// Where it writes: the tests' own output goes elsewhere.
const OUTPUT: i32 = 3;

/// Not a test: carries what comes, each piece with a delay, as a long way does.
#[test]
#[ignore = "a part of another test"]
fn a_slow_line() {
    let Ok(delay) = std::env::var(DELAY) else { return };
    let delay = Duration::from_millis(delay.parse().expect("milliseconds"));
    // SAFETY: the script below opens it for this process alone.
    let mut output = unsafe { std::fs::File::from_raw_fd(OUTPUT) };
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1_000);
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = std::io::stdin().read(&mut bytes) {
            sender.send((Instant::now() + delay, bytes[..length].to_vec())).expect("read below");
        }
    });
    for (due, piece) in pieces {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if output.write_all(&piece).is_err() {
            return;
        }
    }
}

/// How far the readings of the agent above, which are the true time, lie from their place in the
/// recording, in seconds, and the widest error that was told.
fn misplaced(recording: &Recording) -> (Vec<f64>, f64) {
    let (_, series) = recording.timeline.series_of("process.count").next().expect("a series");
    let began = recording.environment.started_unix;
    let off = series.points.iter().map(|it| (it.at.secs() - (it.value - began)).abs()).collect();
    let (_, errors) = recording.timeline.series_of("agent.clock.error").next().expect("a series");
    (off, errors.points.iter().map(|point| point.value).fold(0.0, f64::max))
}

#[test]
fn a_way_that_is_longer_one_way_stays_within_the_error_that_is_told() {
    let (place, server) = (Place::new(), Server::start());
    let own = std::env::current_exe().expect("own path");
    let own = own.display();
    let line = |millis: u32| {
        format!(
            "{DELAY}={millis} '{own}' --exact {SLOW_LINE} --ignored --nocapture \
             {OUTPUT}>&1 >/dev/null"
        )
    };
    let script = place.script(&format!(
        "({}) | {FAKE}=0 '{own}' --exact {AGENT} --ignored --nocapture | ({})",
        line(80),
        line(5)
    ));
    let output = run(&place, &plan(&place, &server, 4, &script.display().to_string()));
    assert!(output.status.success(), "{}", said(&output));
    let (off, error) = misplaced(&place.recording());
    // Half of the difference between the ways cannot be seen; half of the round trip is told.
    assert!((0.042..0.2).contains(&error), "{error}");
    let within = off.iter().filter(|off| **off <= error).count();
    assert!(off.len() >= 3 && within as f64 >= 0.95 * off.len() as f64, "{off:?} {error}");
    assert!(off.iter().all(|off| *off > 0.02), "the ways differ: {off:?}");
}

/// The share of packets that the network of the next test loses each way, in percent.
const LOST: u32 = 5;

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
fn messages_that_are_slow_or_lost_on_the_way_do_no_harm() {
    let Some(space) = Space::new(24) else { return };
    let rules = format!(
        "table ip lossy {{ \
         chain in {{ type filter hook input priority 0; numgen random mod 100 < {LOST} drop; }}; \
         chain out {{ type filter hook output priority 0; numgen random mod 100 < {LOST} drop; }}; }}"
    );
    let mut nft = space.command("nft");
    let is_lossy = nft.arg(&rules).stderr(Stdio::null()).status().is_ok_and(|it| it.success());
    if !is_lossy || !succeeds("socat", &["-V"]) {
        eprintln!("skipped: no `socat`, or no `nft` that can lose packets");
        return;
    }
    let (place, server) = (Place::new(), Server::start());
    let inner = place.script("exec @agent@");
    let mut far = space.command("socat");
    far.arg("TCP-LISTEN:9000,fork,reuseaddr").arg(format!("EXEC:{}", inner.display()));
    let _far = Process(far.spawn().expect("socat starts"));
    wait_for(&format!("{}:9000", space.address()));
    let near = place.program("connect", &format!("exec socat - TCP:{}:9000", space.address()));
    let output = run(&place, &plan(&place, &server, 6, &near.display().to_string()));
    assert!(output.status.success(), "{}", said(&output));
    let recording = place.recording();
    let timeline = &recording.timeline;
    let (_, offsets) = timeline.series_of("agent.clock.offset").next().expect("a series");
    let (_, errors) = timeline.series_of("agent.clock.error").next().expect("a series");
    // Both read the same clock, each from its own start: the offset may move by no more than its error.
    let pairs: Vec<(f64, f64)> = offsets
        .points
        .iter()
        .zip(&errors.points)
        .map(|(it, error)| (it.value, error.value))
        .collect();
    let (low, high) = pairs.iter().fold((f64::NEG_INFINITY, f64::INFINITY), |(low, high), it| {
        (low.max(it.0 - it.1), high.min(it.0 + it.1))
    });
    assert!(pairs.len() >= 3 && low <= high, "{pairs:?}");
    let events: Vec<&str> = recording.events.iter().map(|event| event.text.as_str()).collect();
    assert!(!events.iter().any(|event| event.contains("lost")), "{events:?}");
    let missing = timeline.gaps.iter().find(|gap| gap.reason.contains("missing"));
    assert!(missing.is_none(), "what TCP sends again arrives: {missing:?}");
}
