//! What one virtual user asks of a target that is not loaded, from all levels of a closed load.
//!
//! A user sends its next request once it has its answer and has thought for a while: a cycle of R₀ + Z
//! seconds, so N users ask for N / (R₀ + Z) requests per second (the sloping asymptote of a closed
//! system: Denning & Buzen 1978, section 8). The think time Z is the same at every load, so all
//! levels tell it together; the unloaded response time R₀ is that of the lowest ones.

/// Requests of the lowest levels that their mean response time is taken from. Fewer, in a level of
/// one or two users, would leave it to chance.
pub const UNLOADED: f64 = 300.0;
/// A level is loaded if its response time is longer than this multiple of that of the levels below,
const LOADED: f64 = 1.2;
/// and by more than so many standard errors of times that scatter as much as they are long.
const SURE: f64 = 3.0;

/// One level of users.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Virtual users that ran.
    pub users: f64,
    /// How long, in seconds.
    pub seconds: f64,
    /// Requests that ended.
    pub completed: f64,
    /// Mean number of users that waited for an answer.
    pub waiting: f64,
    /// Mean response time in seconds.
    pub response: f64,
}

/// Requests per second that one user makes of a target that is not loaded; `None` where no level
/// shows any.
pub fn per_user(mut levels: Vec<Level>) -> Option<f64> {
    levels.retain(|level| level.users > 0.0 && level.completed > 0.0 && level.seconds > 0.0);
    levels.sort_by(|a, b| a.users.total_cmp(&b.users));
    levels.first()?;
    let sum = |of: fn(&Level) -> f64| -> f64 { levels.iter().map(of).sum() };
    // By Little's law (1961) for those who think: their mean number is throughput times Z.
    let thinking = sum(|level| (level.users - level.waiting).max(0.0) * level.seconds);
    let think = thinking / sum(|level| level.completed);
    let (mut completed, mut time) = (0.0, 0.0);
    for level in &levels {
        let bound = (LOADED + SURE / f64::sqrt(completed)) * time;
        let is_loaded = completed > 0.0 && level.response * completed > bound;
        if completed >= UNLOADED || is_loaded {
            break;
        }
        completed += level.completed;
        time += level.completed * level.response;
    }
    let cycle = think + time / completed;
    (cycle.is_finite() && cycle > 0.0).then_some(1.0 / cycle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A level of users that think for half a second, with so many answers a second.
    fn level(users: f64, rate: f64, response: f64) -> Level {
        Level { users, seconds: 20.0, completed: 20.0 * rate, waiting: rate * response, response }
    }

    #[test]
    fn a_cycle_is_the_think_time_and_the_unloaded_response_time() {
        // 540 ms a cycle; then a hundred a second at most.
        let levels = vec![
            level(200.0, 100.0, 1.5),
            level(1.0, 1.0 / 0.54, 0.04),
            level(20.0, 20.0 / 0.54, 0.04),
        ];
        let rate = per_user(levels).unwrap();
        assert!((rate * 0.54 - 1.0).abs() < 0.001, "{rate}");
    }

    #[test]
    fn users_without_think_time_are_always_waiting() {
        let rate = per_user(vec![level(1.0, 25.0, 0.04), level(8.0, 100.0, 0.08)]).unwrap();
        assert!((rate - 25.0).abs() < 0.1, "{rate}");
        assert_eq!(per_user(vec![level(5.0, 0.0, 0.0)]), None);
    }
}
