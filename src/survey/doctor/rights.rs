//! Rights and what the kernel keeps: whose processes, sockets and counters kneepoint may read.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

use super::checked::{Checked, Patient, missing, ok};
use crate::collect::proc::pid::parse_schedstat;
use crate::collect::{Network, can_list_sockets};

/// Numbers of capabilities (include/uapi/linux/capability.h).
const SYS_PTRACE: u32 = 19;
const SYS_ADMIN: u32 = 21;

/// The command that gives kneepoint the rights without root.
const SETCAP: &str =
    "sudo setcap cap_sys_ptrace,cap_sys_admin+ep \"$(command -v kneepoint)\", or run it with sudo";

pub(super) fn rights(patient: &Patient) -> Vec<Checked> {
    vec![
        hidden_processes(),
        target_descriptors(patient),
        trace(patient),
        namespaces(patient),
        sockets(),
        cgroup(),
        pressure(),
        run_queue(),
        kernel_log(),
        perf_events(),
    ]
}

/// What kneepoint may do beyond its user, by `CapEff` of `/proc/self/status`.
fn may(capability: u32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    effective(&status).is_some_and(|mask| mask & (1 << capability) != 0)
}

fn effective(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn hidden_processes() -> Checked {
    let (id, about) = ("hidepid", "processes of other users");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    match hidepid(&mounts) {
        Some(option) if !may(SYS_PTRACE) => missing(
            id,
            about,
            format!("/proc is mounted with hidepid={option}"),
            "a target of another user is not found, and neither are its neighbours",
            "sudo mount -o remount,hidepid=0 /proc, or run kneepoint as root",
        ),
        Some(option) => ok(id, about, format!("visible, although hidepid={option}")),
        None => ok(id, about, "visible"),
    }
}

/// The option of `/proc` that hides processes, unless it is off (proc(5)).
fn hidepid(mounts: &str) -> Option<&str> {
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/proc"))?;
    let options = line.split(' ').nth(3)?.split(',');
    let value = options.filter_map(|option| option.strip_prefix("hidepid=")).next()?;
    (!matches!(value, "0" | "off")).then_some(value)
}

fn target_descriptors(patient: &Patient) -> Checked {
    let (id, about) = ("descriptors", "the target's sockets and files");
    let Some(pid) = patient.pids.first() else {
        return ok(id, about, "no target was named: give its URL or --pid to check this");
    };
    match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(_) => ok(id, about, format!("the descriptors of pid {pid} can be read")),
        Err(error) => missing(
            id,
            about,
            format!("the descriptors of pid {pid} cannot be read: {error}"),
            "calls to databases and other services, connection leaks and open files are not seen",
            "run kneepoint as the target's user, or with sudo",
        ),
    }
}

/// Whether the memory of a process may be read: `/proc/PID/syscall` asks for the same right
/// (PTRACE_MODE_ATTACH, ptrace(2)).
fn trace(patient: &Patient) -> Checked {
    let (id, about) = ("trace", "stacks and locks of the target's threads");
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let scope = scope.trim();
    let costs = "the line of code where threads wait is not named, and `app-lock-contention`, \
                 `disk-bound` and which function uses the CPU stay unknown";
    if let Some(pid) = patient.pids.first() {
        return match fs::read_to_string(format!("/proc/{pid}/syscall")) {
            Ok(_) => ok(id, about, format!("pid {pid} may be traced")),
            Err(error) => missing(id, about, format!("pid {pid}: {error}"), costs, SETCAP),
        };
    }
    match scope {
        _ if may(SYS_PTRACE) => ok(id, about, "kneepoint may trace any process"),
        "" | "0" => ok(id, about, "kneepoint may trace processes of its own user"),
        scope => missing(
            id,
            about,
            format!("kernel.yama.ptrace_scope is {scope}, and kneepoint has no CAP_SYS_PTRACE"),
            costs,
            SETCAP,
        ),
    }
}

fn namespaces(patient: &Patient) -> Checked {
    let (id, about) = ("namespaces", "containers' sockets");
    let others = Network::all().len() - 1;
    let has_rights = may(SYS_PTRACE) && may(SYS_ADMIN);
    if !patient.network.is_own() {
        return match can_list_sockets(patient.network) {
            Ok(()) => ok(id, about, "the sockets in the target's network namespace can be listed"),
            Err(error) => missing(
                id,
                about,
                error.to_string(),
                "queues, calls and connections of the target in its container are not seen",
                SETCAP,
            ),
        };
    }
    match others {
        0 => ok(id, about, "no other network namespace on this machine"),
        _ if has_rights => ok(id, about, format!("{others} network namespaces can be entered")),
        _ => missing(
            id,
            about,
            format!("{others} other network namespaces, and no right to enter them"),
            "queues, calls and connections of a target in a container are not seen",
            SETCAP,
        ),
    }
}

fn sockets() -> Checked {
    let (id, about) = ("sock-diag", "queues and calls by socket");
    match can_list_sockets(Network::OWN) {
        Ok(()) => ok(id, about, "the kernel lists sockets (sock_diag)"),
        Err(error) => missing(
            id,
            about,
            format!("the kernel does not list sockets: {error}"),
            "`accept-queue-full`, `worker-exhaustion`, `downstream-wait` and all that counts calls stay \
             unknown",
            "sudo modprobe tcp_diag unix_diag",
        ),
    }
}

fn cgroup() -> Checked {
    let (id, about) = ("cgroup", "limits of containers");
    let costs = "CPU throttling, memory limits and OOM kills of a container are not seen, or less \
                 exactly";
    match fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
        Ok(text) => {
            let has: Vec<&str> = text.split_whitespace().collect();
            let lacks: Vec<&str> =
                ["cpu", "memory"].into_iter().filter(|name| !has.contains(name)).collect();
            match lacks.as_slice() {
                [] => ok(id, about, format!("cgroup v2 with {}", has.join(", "))),
                lacks => missing(
                    id,
                    about,
                    format!("cgroup v2 without {}", lacks.join(" and ")),
                    costs,
                    "systemctl set-property SERVICE CPUAccounting=yes MemoryAccounting=yes",
                ),
            }
        }
        Err(_) if fs::metadata("/sys/fs/cgroup/cpu").is_ok() => {
            ok(id, about, "cgroup v1, which kneepoint reads too")
        }
        Err(error) => missing(
            id,
            about,
            format!("no control groups below /sys/fs/cgroup: {error}"),
            costs,
            "sudo mount -t cgroup2 none /sys/fs/cgroup; in a container, mount the host's read-only",
        ),
    }
}

fn pressure() -> Checked {
    let (id, about) = ("pressure", "stalls for CPU, memory and disk");
    match fs::read_to_string("/proc/pressure/cpu") {
        Ok(_) => ok(id, about, "the kernel keeps pressure (PSI)"),
        Err(error) => missing(
            id,
            about,
            format!("/proc/pressure cannot be read: {error}"),
            "a machine short of memory or disk is told from its swapping and queues alone",
            "boot with the kernel parameter psi=1 (Linux 4.20 or later)",
        ),
    }
}

fn run_queue() -> Checked {
    let (id, about) = ("schedstat", "waiting for a core");
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let keeps = parse_schedstat(&text).is_some_and(|stat| stat.run_nanos > 0);
    match keeps {
        true => ok(id, about, "the kernel counts the time that threads wait for a core"),
        false => missing(
            id,
            about,
            "the kernel does not count the time that threads wait for a core",
            "`cpu-saturated` has no direct sign, and waiting for a core is not told from other waiting",
            "run a kernel with CONFIG_SCHED_INFO (all distributions have it; some sandboxes do not)",
        ),
    }
}

fn kernel_log() -> Checked {
    let (id, about) = ("kernel-log", "the kernel's log");
    let opened =
        File::options().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").and_then(
            |mut file| match file.read(&mut [0; 8192]) {
                Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            },
        );
    match opened {
        Ok(()) => ok(id, about, "can be read"),
        Err(error) => missing(
            id,
            about,
            format!("/dev/kmsg: {error}"),
            "OOM kills, full connection tables and SYN floods are seen by counters alone, without their \
             words",
            "sudo sysctl kernel.dmesg_restrict=0, or run kneepoint with sudo",
        ),
    }
}

/// kneepoint opens no perf events. The value is told because people look for it.
fn perf_events() -> Checked {
    let paranoid = fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").unwrap_or_default();
    let value = match paranoid.trim() {
        "" => "not there".to_owned(),
        value => value.to_owned(),
    };
    let seen =
        format!("kernel.perf_event_paranoid is {value}; kneepoint does not need perf events");
    ok("perf-events", "perf events", seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_read() {
        assert_eq!(effective("Name:\tx\nCapEff:\t000001ffffffffff\n"), Some(0x1ff_ffff_ffff));
        assert_eq!(effective("CapEff:\tno\n"), None);
        let mounts =
            |options: &str| format!("proc /proc proc {options} 0 0\nx /sys sysfs rw 0 0\n");
        assert_eq!(hidepid(&mounts("rw,nosuid,hidepid=2")), Some("2"));
        assert_eq!(hidepid(&mounts("rw,hidepid=invisible")), Some("invisible"));
        assert_eq!(hidepid(&mounts("rw,hidepid=off")), None);
        assert_eq!(hidepid(&mounts("rw")), None);
    }
}
