//! Laws of scaling and queueing: the Universal Scalability Law, Erlang C, asymptotic bounds.
//! Nothing here decides on a knee. These laws serve predictions and safe operating points.

mod usl;

pub use usl::{Interval, Peak, Usl, fit_usl};

/// Probability that an arrival has to wait in M/M/m (Erlang C), for `servers` servers and an
/// offered load of `load` erlangs (arrival rate × mean service time). `None` if the load is
/// negative, or not below the servers, so that there is no steady state. From the recursion of
/// Erlang B (Jagerman 1974), which cannot overflow.
pub fn erlang_c(servers: u32, load: f64) -> Option<f64> {
    let m = f64::from(servers);
    if !(load >= 0.0 && load < m) {
        return None;
    }
    let blocked = (1..=servers).fold(1.0, |blocked, busy| {
        let arriving = load * blocked;
        arriving / (f64::from(busy) + arriving)
    });
    Some(m * blocked / (m - load * (1.0 - blocked)))
}

/// Waiting in front of a pool, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolWait {
    /// Mean over all requests.
    pub mean: f64,
    /// Exceeded by 1 % of them.
    pub p99: f64,
}

/// How long callers wait for one of `size` connections, each held for `hold` seconds, at `rate`
/// acquisitions per second (M/M/m); `None` if the pool cannot carry that rate.
pub fn pool_wait(size: u32, rate: f64, hold: f64) -> Option<PoolWait> {
    let load = rate * hold;
    let waits = erlang_c(size, load)?;
    let spare = f64::from(size) - load;
    // The wait of those who wait is exponential with mean hold / (m − a).
    let p99 = ((waits / 0.01).ln() * hold / spare).max(0.0);
    Some(PoolWait { mean: waits * hold / spare, p99 })
}

/// The smallest pool whose callers wait at most `wait` seconds in 99 of 100 cases, at `rate`
/// acquisitions per second held for `hold` seconds each. `None` for figures that are not positive,
/// or if it needs more than ten thousand connections.
pub fn pool_size(rate: f64, hold: f64, wait: f64) -> Option<u32> {
    if !(rate > 0.0 && hold > 0.0 && wait >= 0.0) {
        return None;
    }
    let least = (rate * hold).floor().min(10_000.0) as u32 + 1;
    (least..=10_000).find(|size| pool_wait(*size, rate, hold).is_some_and(|got| got.p99 <= wait))
}

/// Utilization at which the response time grows as fast as the throughput (the tangent from the
/// origin) for `servers` servers: a safe operating point, by the approximation
/// R/S ≈ 1/(1 − ρ^m), which gives (m + 1)^(−1/m).
pub fn safe_utilization(servers: u32) -> f64 {
    let m = f64::from(servers.max(1));
    (m + 1.0).powf(-1.0 / m)
}

/// The fewest cores that carry `work` core-seconds per second at their safe utilization; `None` for
/// work that is not positive, or beyond a million cores.
pub fn cores(work: f64) -> Option<u32> {
    const MOST: u32 = 1_000_000;
    if !(work > 0.0 && work < f64::from(MOST)) {
        return None;
    }
    (work.ceil().max(1.0) as u32..MOST)
        .find(|cores| work <= safe_utilization(*cores) * f64::from(*cores))
}

/// The same with Erlang C instead of the approximation: a golden-section search for the smallest
/// R(ρ)/ρ (Kiefer 1953).
pub fn safe_utilization_exact(servers: u32) -> f64 {
    let servers = servers.max(1);
    let cost = |utilization: f64| stretch(servers, utilization) / utilization;
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (1e-6, 1.0 - 1e-9);
    for _ in 0..100 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if cost(left) < cost(right) { high = right } else { low = left }
    }
    (low + high) / 2.0
}

/// Response time over service time of M/M/m at `utilization`; infinite from 1 on.
pub fn stretch(servers: u32, utilization: f64) -> f64 {
    let m = f64::from(servers);
    erlang_c(servers, m * utilization)
        .map_or(f64::INFINITY, |waits| 1.0 + waits / (m * (1.0 - utilization)))
}

/// One resource in an operational analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct Station {
    /// What it is.
    pub name: String,
    /// Busy seconds per request.
    pub demand: f64,
    /// How many requests it serves at a time.
    pub servers: f64,
}

impl Station {
    /// Highest rate that it can carry, in requests per second (utilization law: U = X·D ≤ m).
    pub fn capacity(&self) -> f64 {
        self.servers / self.demand
    }
}

/// What the asymptotic bounds say (Denning & Buzen 1978; Lazowska et al. 1984, chapter 5).
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Index of the station that saturates first.
    pub bottleneck: usize,
    /// Highest rate in requests per second: the smallest m/D.
    pub capacity: f64,
    /// Sum of the demands in seconds: the shortest response time.
    pub total_demand: f64,
    /// Concurrency where the asymptotes meet: (D + think time) · capacity.
    pub saturating_concurrency: f64,
}

/// The bounds for `stations` and a think time in seconds; `None` if no station has a demand.
pub fn bounds(stations: &[Station], think: f64) -> Option<Bounds> {
    let (bottleneck, tightest) = stations
        .iter()
        .enumerate()
        .filter(|(_, station)| station.demand > 0.0)
        .min_by(|a, b| a.1.capacity().total_cmp(&b.1.capacity()))?;
    let capacity = tightest.capacity();
    let total_demand: f64 = stations.iter().map(|station| station.demand).sum();
    let saturating_concurrency = (total_demand + think) * capacity;
    Some(Bounds { bottleneck, capacity, total_demand, saturating_concurrency })
}

/// The bounds if `stations[index]` were `factor` times as fast: the next bottleneck, and the gain
/// until it binds.
pub fn bounds_if_faster(
    stations: &[Station],
    index: usize,
    factor: f64,
    think: f64,
) -> Option<Bounds> {
    let mut changed = stations.to_vec();
    changed.get_mut(index)?.demand /= factor;
    bounds(&changed, think)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, expected: f64, tolerance: f64) {
        assert!((got - expected).abs() <= tolerance, "{got}, expected {expected}");
    }

    #[test]
    fn erlang_c_gives_the_pool_table() {
        // 40 ms held at 400/s: mean and p99 wait in milliseconds by pool size.
        let table = [
            (17, 29.5, 172.0),
            (18, 10.6, 80.0),
            (20, 2.6, 32.0),
            (22, 0.74, 16.0),
            (24, 0.21, 7.3),
            (28, 0.01, 0.0),
        ];
        for (size, mean, p99) in table {
            let wait = pool_wait(size, 400.0, 0.040).unwrap();
            // The table is rounded to two or three digits.
            close(wait.mean * 1e3, mean, if mean >= 1.0 { 0.05 } else { 0.0051 });
            close(wait.p99 * 1e3, p99, if p99 >= 10.0 { 0.6 } else { 0.051 });
        }
        assert_eq!(pool_wait(16, 400.0, 0.040), None);
        assert_eq!(pool_size(400.0, 0.040, 0.033), Some(20));
        assert_eq!(pool_size(400.0, 0.040, 0.032_5), Some(20));
        assert_eq!(pool_size(0.0, 0.040, 0.033), None);
        assert_eq!(pool_size(f64::NAN, 0.1, 1.0), None);
        assert_eq!(pool_size(1e12, 1e3, 1.0), None);
        assert_eq!(pool_wait(3, 1.0, f64::INFINITY), None);
        // M/M/1 at half utilization: as long in the queue as in service.
        close(pool_wait(1, 50.0, 0.010).unwrap().mean, 0.010, 1e-12);
        // One server: waiting probability equals utilization.
        close(erlang_c(1, 0.7).unwrap(), 0.7, 1e-12);
        close(erlang_c(1000, 900.0).unwrap(), 0.0, 1e-3);
    }

    #[test]
    fn the_tangent_has_its_closed_form_and_its_exact_value() {
        let table = [
            (1, 0.500, 0.500, 2.00),
            (2, 0.577, 0.577, 1.50),
            (4, 0.669, 0.665, 1.28),
            (8, 0.7598, 0.745, 1.17),
            (16, 0.838, 0.811, 1.11),
            (32, 0.897, 0.862, 1.07),
            (64, 0.937, 0.900, 1.05),
            (128, 0.963, 0.928, 1.03),
        ];
        for (servers, closed, exact, ratio) in table {
            close(safe_utilization(servers), closed, 6e-4);
            let got = safe_utilization_exact(servers);
            close(got, exact, 6e-4);
            close(stretch(servers, got), ratio, 6e-3);
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
    }

    #[test]
    fn bounds_follow_the_worked_example() {
        // Menascé, Almeida & Dowdy, Performance by Design (2004), example 3.9.
        let stations: Vec<Station> =
            [("cpu", 0.092), ("disk1", 0.079), ("disk2", 0.108), ("disk3", 0.142)]
                .map(|(name, demand)| Station { name: name.into(), demand, servers: 1.0 })
                .into();
        let now = bounds(&stations, 0.0).unwrap();
        assert_eq!(now.bottleneck, 3);
        close(now.capacity, 7.04, 0.005);
        close(now.total_demand, 0.421, 1e-9);
        close(now.saturating_concurrency, 2.96, 0.01);
        for (station, utilization) in stations.iter().zip([0.35, 0.30, 0.41, 0.54]) {
            close(3.8 * station.demand, utilization, 0.005);
        }
        let faster = bounds_if_faster(&stations, 3, 2.0, 0.0).unwrap();
        assert_eq!(faster.bottleneck, 2);
        close(faster.capacity, 9.26, 0.005);
        close(faster.capacity / now.capacity - 1.0, 0.31, 0.01);
    }
}
