//! What holding a plan against access logs costs: lines of the combined format are counted as
//! `kneepoint realism` counts them. Goal: ten million lines in a minute on one core.
//!
//! `cargo bench --bench realism` takes some seconds; `cargo bench --bench realism -- LINES` counts
//! another number of lines.
#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that prints figures")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use kneepoint::realism::Traffic;

const LINES: u64 = 2_000_000;
/// Lines that are made at once, so that making them is not measured.
const AT_ONCE: u64 = 100_000;
/// Lines per second at least.
const FEWEST: f64 = 10e6 / 60.0;

fn main() {
    // `cargo bench` adds `--bench`.
    let asked = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let lines = asked.map_or(LINES, |arg| arg.parse().expect("a number"));
    let (mut traffic, mut took) = (Traffic::default(), Duration::ZERO);
    let mut text = String::new();
    for begin in (0..lines).step_by(AT_ONCE as usize) {
        text.clear();
        (begin..(begin + AT_ONCE).min(lines)).for_each(|number| line(number, &mut text));
        let began = Instant::now();
        text.lines().for_each(|line| traffic.line(line));
        took += began.elapsed();
    }
    let rate = lines as f64 / took.as_secs_f64();
    let (_, unread) = traffic.lines();
    println!(
        "{lines} lines in {:.1} s: {:.0} lines/s, {unread} not read",
        took.as_secs_f64(),
        rate
    );
    let verdict = if rate >= FEWEST { "as wanted" } else { "TOO SLOW" };
    println!("ten million lines take {:.0} s: {verdict}", 10e6 / rate);
}

/// A line as nginx writes it, with the kinds, keys and clients of a shop.
fn line(number: u64, text: &mut String) {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let (second, client) = (number / 500, mixed % 60_000);
    let target = match mixed % 10 {
        0 => format!("/search?q=word{}&page={}", mixed % 5000, mixed % 7),
        1 => "/cart".to_owned(),
        2 => format!("/static/app.{:x}.js", mixed % 40),
        _ => format!("/item/{}", mixed % 340_000),
    };
    let written = writeln!(
        text,
        "10.{}.{}.{} - - [{:02}/Oct/2026:{:02}:{:02}:{:02} +0000] \"GET {target} HTTP/1.1\" 200 5316 \
         \"https://shop.example/\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\" 0.012",
        client / 40_000,
        client / 200 % 200,
        client % 200,
        1 + second / 86_400 % 28,
        second / 3600 % 24,
        second / 60 % 60,
        second % 60,
    );
    written.expect("writing to memory cannot fail");
}
