//! What the load needs on this machine: descriptors, ports, a clock, cores, and quiet around it.

use std::fs;
use std::thread;
use std::time::Duration;

use super::checked::{Checked, missing, ok};
use crate::collect::proc::all_pids;
use crate::collect::proc::find::read_stat;
use crate::collect::proc::machine::{CpuTicks, parse_cpu};
use crate::collect::proc::{Text, ticks_per_second};
use crate::plan::Limits;

/// How long neighbours are watched.
const WATCHED: Duration = Duration::from_secs(1);
/// Share of the machine that others may use beside a load test.
const MOST_BUSY: f64 = 0.2;
/// Share of the machine that its host may take away.
const MOST_STOLEN: f64 = 0.02;
/// Fewest local ports: each new connection takes one for a minute (TIME_WAIT), so 100 connections a
/// second need 6,000.
const FEWEST_PORTS: u64 = 10_000;
/// Descriptors that kneepoint needs beside its connections.
const OTHER_DESCRIPTORS: u64 = 256;
/// Clocks that are read without a call of the kernel (Documentation/timers/timekeeping.rst).
const QUICK_CLOCKS: [&str; 5] =
    ["tsc", "kvm-clock", "arch_sys_counter", "hyperv_clocksource_tsc_page", "xen"];

pub(super) fn generator() -> Vec<Checked> {
    let mut all = vec![descriptors(), ports(), clock_source(), clock_set(), cores(), governor()];
    all.extend(neighbours());
    all
}

fn descriptors() -> Checked {
    let (id, about) = ("open-files", "connections of the load");
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live value that the call only writes to.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    let needed = Limits::usual().max_in_flight as u64 + OTHER_DESCRIPTORS;
    match known {
        // kneepoint raises its soft limit by itself.
        true if limit.rlim_max >= needed => {
            ok(id, about, format!("up to {} open files", limit.rlim_max))
        }
        _ => missing(
            id,
            about,
            format!("at most {} open files, and a run may need {needed}", limit.rlim_max),
            "the load has fewer connections than the target could take: the generator is the limit",
            "ulimit -Hn 65536 as root, or LimitNOFILE=65536 in the unit",
        ),
    }
}

fn ports() -> Checked {
    let (id, about) = ("local-ports", "new connections per minute");
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let Some(count) = port_count(&text) else {
        return ok(id, about, "the range of local ports cannot be read");
    };
    match count >= FEWEST_PORTS {
        true => ok(id, about, format!("{count} local ports for each address of the target")),
        false => missing(
            id,
            about,
            format!("{count} local ports, each in use for a minute after its connection"),
            format!("at most {} new connections a second to one address", count / 60),
            "sudo sysctl -w net.ipv4.ip_local_port_range='1024 65000'",
        ),
    }
}

fn port_count(text: &str) -> Option<u64> {
    let mut ends = text.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (ends.next()?.ok()?, ends.next()?.ok()?);
    Some((last + 1).saturating_sub(first))
}

fn clock_source() -> Checked {
    let (id, about) = ("clock-source", "what reading the time costs");
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let text = fs::read_to_string(path).unwrap_or_default();
    match text.trim() {
        "" => ok(id, about, "the clock source cannot be read"),
        name if QUICK_CLOCKS.contains(&name) => ok(id, about, name),
        name => missing(
            id,
            about,
            format!("the clock source is {name}, which takes a call of the kernel"),
            "each request costs the generator more, and short times are less exact",
            "echo tsc | sudo tee /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    }
}

/// Whether the kernel's clock is held to others (adjtimex(2)).
fn clock_set() -> Checked {
    let (id, about) = ("clock-sync", "times that agree with other machines");
    // SAFETY: all bits zero is a valid timex, which then only asks.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live value; no mode is set, so nothing is changed.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    match state {
        libc::TIME_ERROR => missing(
            id,
            about,
            "the clock is not synchronised (NTP)",
            "logs, traces and Prometheus of other machines do not line up with a run",
            "sudo timedatectl set-ntp true; in a container or virtual machine, on its host",
        ),
        state if state >= 0 => ok(id, about, "the clock is synchronised"),
        _ => ok(id, about, "the kernel does not tell whether the clock is synchronised"),
    }
}

fn cores() -> Checked {
    let (id, about) = ("cores", "cores for the load and the target");
    match thread::available_parallelism().map_or(1, usize::from) {
        1 => missing(
            id,
            about,
            "1 core, which the load and a local target share",
            "the generator takes CPU from the target: capacities are too low, and every core-bound cause \
             may be kneepoint's own",
            "make the load from another machine, or from one with more cores",
        ),
        count => ok(id, about, format!("{count} cores")),
    }
}

fn governor() -> Checked {
    let (id, about) = ("cpu-governor", "cores at one speed");
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    let text = fs::read_to_string(path).unwrap_or_default();
    match text.trim() {
        "" => ok(id, about, "no frequency scaling is visible"),
        "powersave" => missing(
            id,
            about,
            "the governor is powersave",
            "response times at low load are longer than at medium load: the baseline is too slow",
            "sudo cpupower frequency-set -g performance",
        ),
        name => ok(id, about, format!("the governor is {name}")),
    }
}

/// What else runs here: for a second, how much of the machine is in use and who uses most of it.
fn neighbours() -> Vec<Checked> {
    let mut text = Text::default();
    let (before, used_before) = (cpu(&mut text), used(&mut text));
    thread::sleep(WATCHED);
    let (after, used_after) = (cpu(&mut text), used(&mut text));
    let (id, about) = ("neighbours", "a machine that is quiet before the load");
    let (Some((before, _)), Some((after, cores))) = (before, after) else {
        return vec![ok(id, about, "/proc/stat cannot be read")];
    };
    let total = after.total().saturating_sub(before.total()).max(1) as f64;
    let busy = after.busy().saturating_sub(before.busy()) as f64 / total;
    let stolen = after.steal.saturating_sub(before.steal) as f64 / total;
    let quiet = match busy > MOST_BUSY {
        false => ok(id, about, format!("{:.0} % of the CPU is in use", busy * 100.0)),
        true => missing(
            id,
            about,
            format!(
                "{:.0} % of the {cores} cores is in use{}",
                busy * 100.0,
                busiest(&used_before, &used_after)
            ),
            "unless this is the target itself, it takes CPU from target and load, and runs differ by it",
            "stop it, or make the load from another machine",
        ),
    };
    let (id, about) = ("stolen", "CPU that the host takes away");
    let taken = match stolen > MOST_STOLEN {
        false => ok(id, about, format!("{:.1} %", stolen * 100.0)),
        true => missing(
            id,
            about,
            format!("{:.1} % of the CPU", stolen * 100.0),
            "capacities change with what other virtual machines do (`cpu-stolen`)",
            "use a machine with dedicated cores",
        ),
    };
    vec![quiet, taken]
}

fn cpu(text: &mut Text) -> Option<(CpuTicks, usize)> {
    parse_cpu(&text.read("/proc/stat").ok()?)
}

/// Processor time by process: id, name and clock ticks.
fn used(text: &mut Text) -> Vec<(u32, String, u64)> {
    let stats = all_pids().filter(|pid| *pid != std::process::id());
    stats
        .filter_map(|pid| read_stat(text, pid).ok().map(|(name, stat)| (pid, name, stat.cpu_ticks)))
        .collect()
}

fn busiest(before: &[(u32, String, u64)], after: &[(u32, String, u64)]) -> String {
    let grown = after.iter().map(|(pid, name, ticks)| {
        let then = before.iter().find(|(other, _, _)| other == pid).map_or(0, |(_, _, it)| *it);
        (ticks.saturating_sub(then), pid, name)
    });
    match grown.max() {
        Some((ticks, pid, name)) if ticks > 0 => {
            let cores = ticks as f64 / ticks_per_second() / WATCHED.as_secs_f64();
            format!("; most of it by pid {pid} ({name}), {cores:.1} cores")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ports_and_the_busiest_process_are_read() {
        assert_eq!(port_count("32768\t60999\n"), Some(28_232));
        assert_eq!(port_count("60999 32768"), Some(0));
        assert_eq!((port_count(""), port_count("a b"), port_count("1")), (None, None, None));
        let of = |pid, ticks| (pid, "x".to_owned(), ticks);
        let text = busiest(&[of(1, 5), of(2, 900)], &[of(1, 5), of(2, 901), of(3, 40)]);
        assert!(text.contains("pid 3 (x)"), "{text}");
        assert_eq!(busiest(&[of(1, 5)], &[of(1, 5)]), "");
    }
}
