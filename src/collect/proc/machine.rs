//! Parsers of the files under `/proc` about the whole machine (proc(5), and
//! Documentation/admin-guide/iostats.rst and Documentation/accounting/psi.rst of the kernel).

/// Processor time of the whole machine in clock ticks, from `/proc/stat`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// In programs, including low-priority ones.
    pub user: u64,
    /// In the kernel on behalf of programs.
    pub system: u64,
    /// Idle while waiting for a block device.
    pub iowait: u64,
    /// In interrupts.
    pub irq: u64,
    /// Taken by the hypervisor for other machines.
    pub steal: u64,
    /// Idle.
    pub idle: u64,
}

impl CpuTicks {
    /// All ticks.
    pub fn total(&self) -> u64 {
        self.busy() + self.iowait + self.idle
    }

    /// Ticks in which the cores were not idle. Stolen ticks count, because there was work to do.
    pub fn busy(&self) -> u64 {
        self.user + self.system + self.irq + self.steal
    }
}

/// Processor time and the number of cores from `/proc/stat`.
pub fn parse_cpu(text: &str) -> Option<(CpuTicks, usize)> {
    let mut fields = text
        .lines()
        .find_map(|line| line.strip_prefix("cpu "))?
        .split_ascii_whitespace()
        .map(|field| field.parse::<u64>().unwrap_or(0));
    // Old kernels have fewer fields. The time of guests is already part of user and nice.
    let mut next = || fields.next().unwrap_or(0);
    let (user, nice, system, idle, iowait) = (next(), next(), next(), next(), next());
    let (irq, softirq, steal) = (next(), next(), next());
    let ticks = CpuTicks { user: user + nice, system, iowait, irq: irq + softirq, steal, idle };
    let is_core = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    Some((ticks, text.lines().filter(is_core).count()))
}

/// Seconds in which at least one task waited, from a file of `/proc/pressure`.
pub fn parse_pressure(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let total = some.split_ascii_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse::<f64>().ok().map(|micros| micros / 1e6)
}

/// A counter of `/proc/net/snmp` or `/proc/net/netstat`, such as `Tcp` `RetransSegs`.
pub fn parse_counter(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut rows = text.lines().filter_map(|line| {
        let (row, values) = line.split_once(':')?;
        (row == protocol).then_some(values)
    });
    let (names, values) = (rows.next()?, rows.next()?);
    let index = names.split_ascii_whitespace().position(|candidate| candidate == name)?;
    values.split_ascii_whitespace().nth(index)?.parse().ok()
}

/// TCP sockets in TIME_WAIT, from `/proc/net/sockstat`.
pub fn parse_time_wait(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut fields = line.split_ascii_whitespace();
    fields.find(|field| *field == "tw")?;
    fields.next()?.parse().ok()
}

/// How many ports lie in a range such as `32768 60999`, from
/// `/proc/sys/net/ipv4/ip_local_port_range`.
pub fn parse_ports(text: &str) -> Option<u64> {
    let mut ends = text.split_ascii_whitespace().map(|end| end.parse::<u64>().ok());
    let (first, last) = (ends.next()??, ends.next()??);
    (last.checked_sub(first)?).checked_add(1)
}

/// One line of `/proc/diskstats`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Disk<'a> {
    /// Name of the device, or of a partition.
    pub name: &'a str,
    /// Whether anything was ever read or written.
    pub is_used: bool,
    /// Seconds in which it had a request in progress.
    pub busy_seconds: f64,
}

/// The lines of `/proc/diskstats`, including partitions.
pub fn parse_disks(text: &str) -> impl Iterator<Item = Disk<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(2);
        let name = fields.next()?;
        let numbers: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
        let busy_millis = *numbers.get(9)?;
        let is_used = numbers[0] + numbers[4] > 0;
        Some(Disk { name, is_used, busy_seconds: busy_millis as f64 / 1e3 })
    })
}

/// One line of `/proc/net/dev`: name, bytes received, bytes sent.
pub fn parse_interfaces(text: &str) -> impl Iterator<Item = (&str, u64, u64)> {
    text.lines().filter_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_ascii_whitespace().map(str::parse::<u64>);
        let received = numbers.next()?.ok()?;
        let sent = numbers.nth(7)?.ok()?;
        Some((name.trim(), received, sent))
    })
}

/// Out-of-memory kills, from `/proc/vmstat`.
pub fn parse_oom_kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_split_by_mode() {
        let text = "cpu  45529 3 10591 226234 673 7 112 51 900 0\n\
                    cpu0 22011 0 5081 114171 217 0 13 27 0 0\n\
                    cpu1 23517 0 5509 112062 455 0 98 24 0 0\nintr 1 2\nctxt 5\n";
        let (ticks, cores) = parse_cpu(text).unwrap();
        assert_eq!(cores, 2);
        assert_eq!((ticks.user, ticks.system, ticks.irq), (45_532, 10_591, 119));
        assert_eq!((ticks.steal, ticks.iowait, ticks.idle), (51, 673, 226_234));
        assert_eq!(ticks.total(), 45_532 + 10_591 + 119 + 51 + 673 + 226_234);
        assert_eq!(parse_cpu("intr 1\n"), None);
    }

    #[test]
    fn pressure_is_seconds_and_may_be_missing() {
        let text = "some avg10=0.00 avg60=0.12 avg300=1.34 total=39261056\n\
                    full avg10=0.00 avg60=0.00 avg300=0.00 total=12\n";
        assert_eq!(parse_pressure(text), Some(39.261_056));
        assert_eq!(parse_pressure(""), None);
    }

    #[test]
    fn counters_are_found_by_protocol_and_name() {
        let text = "Tcp: RtoAlgorithm MaxConn OutSegs RetransSegs\nTcp: 1 -1 18580 6\n\
                    TcpExt: ListenOverflows ListenDrops\nTcpExt: 2 3\n";
        assert_eq!(parse_counter(text, "Tcp", "RetransSegs"), Some(6));
        assert_eq!(parse_counter(text, "TcpExt", "ListenDrops"), Some(3));
        assert_eq!(parse_counter(text, "Tcp", "ListenDrops"), None);
        assert_eq!(parse_counter(text, "Udp", "OutSegs"), None);
        let sockstat = "sockets: used 18\nTCP: inuse 2 orphan 0 tw 41 alloc 2 mem 318\n";
        assert_eq!(parse_time_wait(sockstat), Some(41));
        assert_eq!(parse_time_wait("UDP: inuse 0 mem 0\n"), None);
        assert_eq!(parse_ports("32768\t60999\n"), Some(28_232));
        assert_eq!(parse_ports("60999\n"), None);
    }

    #[test]
    fn disks_and_interfaces_are_read() {
        let disks = "   7       7 loop7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n \
                     254       0 vda 56939 7904 6629442 110689 14106 70441 25510184 78499 0 14496 \
                     190386 9216 53 1118360 1196 38 1\n";
        let disks: Vec<Disk> = parse_disks(disks).collect();
        assert_eq!(disks[0], Disk { name: "loop7", is_used: false, busy_seconds: 0.0 });
        assert_eq!(disks[1], Disk { name: "vda", is_used: true, busy_seconds: 14.496 });
        let interfaces = "Inter-|   Receive                            |  Transmit\n \
            face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs\n    \
            lo: 1000 10 0 0 0 0 0 0 1001 10 0 0 0 0 0 0\n  eth0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n";
        let interfaces: Vec<_> = parse_interfaces(interfaces).collect();
        assert_eq!(interfaces, [("lo", 1000, 1001), ("eth0", 5, 7)]);
        assert_eq!(parse_oom_kills("pgfault 3\noom_kill 2\n"), Some(2));
    }
}
