//! Feeds damaged input to each parser: what `fuzz/` does for hours, in seconds. The bytes are the same
//! every time: seeds, and a thousand mutations of them from a seeded generator. No input may make a
//! parser panic, or use much more memory than the input is long.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its seeds has failed")]
#![allow(clippy::print_stderr, reason = "who runs it for hours wants to see how far it is")]

mod memory;
#[path = "../fuzz/src/lib.rs"]
mod parsers;

use std::time::{Duration, Instant};

use kneepoint::import;
use parsers::TARGETS;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;

const MUTATIONS: usize = 1_000;
/// The longest mutation, in bytes.
const LONGEST: usize = 64 * 1024;
/// Bytes of memory that a parser may use for any input, and in addition for each byte of it.
const BASE: usize = 24 << 20;
const PER_BYTE: usize = 400;
/// A parser that takes so long for one damaged input hangs, on a busy machine too.
const HANGS: Duration = Duration::from_secs(60);

/// One of the seeds with one to four random changes.
fn mutated(seeds: &[Vec<u8>], random: &mut SmallRng) -> Vec<u8> {
    let pick = |random: &mut SmallRng, length: usize| random.random_range(0..=length);
    let mut bytes = seeds[random.random_range(0..seeds.len())].clone();
    for _ in 0..random.random_range(1..=4) {
        let (a, b) = (pick(random, bytes.len()), pick(random, bytes.len()));
        let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 4096));
        match random.random_range(0..8) {
            0 => bytes.truncate(a),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let part = bytes[from..to].repeat(random.random_range(1..=40));
                bytes.splice(from..from, part);
            }
            3 => {
                let other = &seeds[random.random_range(0..seeds.len())];
                let at = pick(random, other.len());
                let part = other[at..other.len().min(at + 2000)].to_vec();
                bytes.splice(from..to, part);
            }
            4 => {
                const ODD: [&[u8]; 16] = [
                    b"18446744073709551615",
                    b"-1",
                    b"1e308",
                    b"NaN",
                    b"9999-12-31T23:59:59Z",
                    b"\0",
                    b"\xff\xfe",
                    "\u{2028}é𝄞".as_bytes(),
                    b"{{{{",
                    b"[[[[[[[[",
                    b"${A}",
                    b"\r\n\r\n",
                    b"\"",
                    b"'''",
                    b"&a *a",
                    b"..",
                ];
                let part = ODD[random.random_range(0..ODD.len())];
                bytes.splice(from..from, part.iter().copied());
            }
            _ if bytes.is_empty() => {}
            _ => {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

#[test]
fn no_damaged_input_makes_a_parser_panic() {
    let run = |target: &'static parsers::Target| {
        let mut random = SmallRng::seed_from_u64(7);
        let seeds = (target.seeds)();
        let mut slowest = Duration::ZERO;
        for number in 0..seeds.len() + MUTATIONS {
            let bytes = match seeds.get(number) {
                Some(seed) => seed.clone(),
                None => mutated(&seeds, &mut random),
            };
            let begun = Instant::now();
            let ((), peak) = memory::peak_of_thread(|| (target.run)(&bytes));
            slowest = slowest.max(begun.elapsed());
            let bound = BASE + PER_BYTE * bytes.len();
            assert!(peak <= bound, "{} {number}: {peak} of {} bytes", target.name, bytes.len());
        }
        assert!(slowest < Duration::from_secs(20), "{}: {slowest:?}", target.name);
    };
    let running: Vec<_> = TARGETS
        .iter()
        .map(|target| (target.name, std::thread::spawn(move || run(target))))
        .collect();
    for (name, thread) in running {
        assert!(thread.join().is_ok(), "`{name}` failed; its message is above");
    }
}

/// Reads the bytes of one input.
type Run = Box<dyn Fn(&[u8]) + std::panic::RefUnwindSafe>;

/// A parser with its own seeds. The target `imports` gives every input to every format, so that
/// most are foreign to most: here each format has the samples that are its own too.
struct Case {
    name: String,
    run: Run,
    seeds: Vec<Vec<u8>>,
}

fn cases() -> Vec<Case> {
    let of_target = |target: &'static parsers::Target| Case {
        name: target.name.to_owned(),
        run: Box::new(target.run),
        seeds: (target.seeds)(),
    };
    let mut cases: Vec<Case> = TARGETS.iter().map(of_target).collect();
    let samples = (TARGETS.iter().find(|it| it.name == "imports").unwrap().seeds)();
    for format in import::Format::all() {
        let told = |seed: &&Vec<u8>| {
            let mut files = import::Files::new(None);
            let _read = files.add(&mut seed.as_slice());
            files.format().is_some_and(|found| found.name() == format.name())
        };
        let seeds: Vec<Vec<u8>> = samples.iter().filter(|seed| told(seed)).cloned().collect();
        if seeds.is_empty() {
            eprintln!("import-{}: no sample", format.name());
            continue;
        }
        let run = move |bytes: &[u8]| {
            let mut files = import::Files::new(Some(format));
            match files.add(&mut &*bytes).and_then(|()| files.into_recording("it")) {
                Ok(recording) => drop(recording),
                Err(why) => drop(why.to_string()),
            }
        };
        cases.push(Case { name: format!("import-{}", format.name()), run: Box::new(run), seeds });
    }
    cases
}

/// Seeds of at most so many bytes: the first lines of long ones. Small inputs reach the same code in
/// less time.
fn short(seeds: &[Vec<u8>], most: usize) -> Vec<Vec<u8>> {
    let cut = |seed: &Vec<u8>| {
        let begin = &seed[..seed.len().min(most)];
        let line = begin.iter().rposition(|byte| *byte == b'\n').map_or(begin.len(), |at| at + 1);
        if seed.len() <= most { seed.clone() } else { begin[..line].to_vec() }
    };
    seeds.iter().map(cut).collect()
}

/// Runs for as long as it is asked to, where a toolchain for the fuzzers is not at hand:
/// `KNEEPOINT_FUZZ="imports har import-k6" KNEEPOINT_FUZZ_INPUTS=1000000 cargo test --test damaged --
/// --ignored many_damaged_inputs --nocapture`. `KNEEPOINT_FUZZ_SEED` begins elsewhere,
/// `KNEEPOINT_FUZZ_BYTES` cuts the seeds, and `KNEEPOINT_FUZZ_SECONDS` ends each parser's turn. An
/// input that makes a parser panic, or takes a minute, is kept in `KNEEPOINT_FUZZ_KEEP`.
#[test]
#[ignore = "runs for hours"]
fn many_damaged_inputs_make_no_parser_panic() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let wanted = std::env::var("KNEEPOINT_FUZZ").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split_whitespace().collect();
    let inputs = number("KNEEPOINT_FUZZ_INPUTS", 1_000_000);
    let seed = number("KNEEPOINT_FUZZ_SEED", 1);
    let most = number("KNEEPOINT_FUZZ_BYTES", u64::MAX);
    let turn = Duration::from_secs(number("KNEEPOINT_FUZZ_SECONDS", u64::MAX));
    let keep = std::env::var_os("KNEEPOINT_FUZZ_KEEP").map_or_else(std::env::temp_dir, Into::into);
    let mut failed = Vec::new();
    for case in cases().iter().filter(|it| wanted.is_empty() || wanted.contains(&&*it.name)) {
        let mut random = SmallRng::seed_from_u64(seed);
        let seeds = short(&case.seeds, usize::try_from(most).unwrap_or(usize::MAX));
        let (begun, mut done, mut slowest) = (Instant::now(), 0, Duration::ZERO);
        while done < inputs && begun.elapsed() < turn {
            let bytes = mutated(&seeds, &mut random);
            let started = Instant::now();
            let ran = std::panic::catch_unwind(|| {
                let ((), peak) = memory::peak_of_thread(|| (case.run)(&bytes));
                assert!(peak <= BASE + PER_BYTE * bytes.len(), "{peak} of {}", bytes.len());
            });
            let took = started.elapsed();
            slowest = slowest.max(took);
            if ran.is_err() || took > HANGS {
                let path = keep.join(format!("{}-{seed}-{done}", case.name));
                std::fs::write(&path, &bytes).unwrap();
                failed.push(path);
            }
            done += 1;
        }
        eprintln!(
            "{}: {done} inputs in {} s, the slowest {slowest:?}; {} bad so far",
            case.name,
            begun.elapsed().as_secs(),
            failed.len()
        );
    }
    assert!(failed.is_empty(), "{failed:?}");
}

/// Not a test: writes the seeds of the fuzzers.
#[test]
#[ignore = "only for `fuzz/`, see ARCHITECTURE.md"]
fn write_the_seeds() {
    for target in TARGETS {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
        let folder = std::path::Path::new(folder).join(target.name);
        std::fs::create_dir_all(&folder).unwrap();
        for (number, seed) in (target.seeds)().iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number}")), seed).unwrap();
        }
    }
}

/// A fuzzer that is not in the list would not be run here.
#[test]
fn every_fuzzer_is_in_the_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut listed: Vec<String> =
        TARGETS.iter().map(|target| format!("{}.rs", target.name)).collect();
    listed.sort();
    assert_eq!(files, listed);
}
