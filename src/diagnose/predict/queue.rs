//! How many servers a load needs, by the formulas of queueing theory.

/// More servers than this are not looked for.
const MOST: usize = 1_000_000;

/// How long callers wait for one of several alike servers: arrivals at random, service times
/// exponential (Erlang 1917, the M/M/m queue).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wait {
    /// Mean wait of all callers in seconds.
    pub mean: f64,
    /// Wait that 99 % of the callers do not exceed, in seconds.
    pub p99: f64,
}

/// The wait for one of `servers` that are each occupied for `hold` seconds by every one of `rate`
/// callers per second; `None` where they cannot keep up.
pub fn wait(rate: f64, hold: f64, servers: usize) -> Option<Wait> {
    let busy = rate * hold;
    let room = servers as f64 - busy;
    if room <= 0.0 || !busy.is_finite() || busy < 0.0 {
        return None;
    }
    // Erlang's B by its recursion, which does not overflow; from it his C.
    let blocked = (1..=servers).fold(1.0, |b, m| busy * b / (m as f64 + busy * b));
    let waits = blocked / (1.0 - busy / servers as f64 * (1.0 - blocked));
    let mean = waits * hold / room;
    let p99 = if waits > 0.01 { (waits / 0.01).ln() * hold / room } else { 0.0 };
    Some(Wait { mean, p99 })
}

/// The fewest servers for which `is_good`, and the wait for one of them.
pub fn fewest(rate: f64, hold: f64, is_good: impl Fn(Wait) -> bool) -> Option<(usize, Wait)> {
    let least = (rate * hold).floor();
    if !least.is_finite() || least < 0.0 || least >= MOST as f64 {
        return None;
    }
    (least as usize + 1..MOST).take(10_000).find_map(|servers| {
        wait(rate, hold, servers).filter(|wait| is_good(*wait)).map(|wait| (servers, wait))
    })
}

/// The utilization at which `servers` are best used: where response time divided by utilization
/// is least, (m + 1) ^ (-1 / m) by the approximation R ≈ S / (1 - ρ^m) (Millsap 2010; Schwartz
/// 2015).
pub fn best_utilization(servers: usize) -> f64 {
    let m = servers.max(1) as f64;
    (m + 1.0).powf(-1.0 / m)
}

/// The fewest cores that carry `work` core-seconds per second at their best utilization.
pub fn cores(work: f64) -> Option<usize> {
    if !work.is_finite() || work <= 0.0 || work >= MOST as f64 {
        return None;
    }
    (work.ceil().max(1.0) as usize..MOST)
        .find(|cores| work <= best_utilization(*cores) * *cores as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_of_connections_waits_as_erlang_has_it() {
        // 400 requests per second that hold a connection for 40 ms each: 16 busy on average.
        let table = [
            (17, 29.5, 172.0),
            (18, 10.6, 80.0),
            (20, 2.6, 32.0),
            (22, 0.74, 16.0),
            (24, 0.21, 7.3),
            (28, 0.01, 0.0),
        ];
        for (servers, mean, p99) in table {
            let wait = wait(400.0, 0.040, servers).unwrap();
            // The table is rounded to two or three digits.
            let near =
                (if mean >= 1.0 { 0.051 } else { 0.0051 }, if p99 >= 10.0 { 0.6 } else { 0.051 });
            assert!((wait.mean * 1e3 - mean).abs() <= near.0, "{servers}: {wait:?}");
            assert!((wait.p99 * 1e3 - p99).abs() <= near.1, "{servers}: {wait:?}");
        }
        assert_eq!(wait(400.0, 0.040, 16), None, "no room at all");
        let (servers, _) = fewest(400.0, 0.040, |wait| wait.p99 <= 0.032_5).unwrap();
        assert_eq!(servers, 20);
    }

    #[test]
    fn one_server_is_the_plain_queue() {
        // M/M/1 at half utilization: as long in the queue as in service.
        let wait = wait(50.0, 0.010, 1).unwrap();
        assert!((wait.mean - 0.010).abs() < 1e-12, "{wait:?}");
    }

    #[test]
    fn the_best_utilization_is_the_tangent_from_the_origin() {
        let table =
            [(1, 0.5), (2, 0.577), (4, 0.669), (8, 0.7598), (16, 0.838), (32, 0.897), (64, 0.937)];
        for (servers, expected) in table {
            assert!((best_utilization(servers) - expected).abs() < 6e-4, "{servers}");
        }
    }

    #[test]
    fn cores_leave_room_and_absurd_inputs_give_none() {
        // 308 requests per second of 9 ms are 2.8 cores of work.
        assert_eq!(cores(308.0 * 0.009), Some(5));
        assert_eq!(cores(0.4), Some(1));
        for work in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e12] {
            assert_eq!(cores(work), None);
        }
        assert_eq!(fewest(f64::NAN, 0.1, |_| true), None);
        assert_eq!(fewest(1e12, 1e3, |_| true), None);
        assert_eq!(wait(1.0, f64::INFINITY, 3), None);
    }
}
