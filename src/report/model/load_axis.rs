//! What the load of a run is counted in: requests per second; or virtual users, where those made the
//! load and nobody asked for a rate.

use super::super::wording;
use crate::diagnose::Diagnosis;

/// Turns offered loads into texts and into places on an axis.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::report) struct LoadAxis {
    /// Requests per second that one user makes of a target that is not loaded.
    per_user: Option<f64>,
}

impl LoadAxis {
    /// That of a diagnosis: users if every stage was one of users.
    pub(super) fn of(diagnosis: &Diagnosis) -> Self {
        let mut stages =
            diagnosis.stages.iter().filter(|stage| stage.role.is_measured()).peekable();
        let first = stages.peek().copied();
        let is_closed = stages.all(|stage| stage.vus.is_some_and(|users| users > 0.0));
        let per_user = first
            .filter(|_| is_closed)
            .and_then(|stage| Some(stage.offered / stage.vus?))
            .filter(|rate| rate.is_finite() && *rate > 0.0);
        Self { per_user }
    }

    /// Whether loads are numbers of users.
    pub fn is_users(self) -> bool {
        self.per_user.is_some()
    }

    /// An offered load as a place on the axis.
    pub fn value(self, offered: f64) -> f64 {
        self.per_user.map_or(offered, |per_user| offered / per_user)
    }

    /// What users at a place on the axis ask for, in requests per second.
    pub fn offered(self, place: f64) -> f64 {
        self.per_user.map_or(place, |per_user| place * per_user)
    }

    /// `98 requests/s`, or `54 users`.
    pub fn load(self, offered: f64) -> String {
        self.text(offered, wording::rate)
    }

    /// `98/s`, or `54 users`.
    pub fn short(self, offered: f64) -> String {
        self.text(offered, wording::short_rate)
    }

    /// The number alone.
    pub fn number(self, offered: f64) -> String {
        wording::number(self.value(offered))
    }

    /// What the axis counts, for a column or an axis: `offered/s`, or `users`.
    pub fn label(self) -> &'static str {
        if self.is_users() { "users" } else { "offered/s" }
    }

    /// What the axis is, in words.
    pub fn name(self) -> &'static str {
        if self.is_users() { "number of users" } else { "offered load" }
    }

    /// Titles of the charts of throughput and of response time over it.
    pub fn titles(self) -> [&'static str; 2] {
        match self.is_users() {
            true => ["Throughput against number of users", "Response time against number of users"],
            false => ["Throughput against offered load", "Response time against offered load"],
        }
    }

    fn text(self, offered: f64, of_rate: fn(f64) -> String) -> String {
        if !self.is_users() {
            return of_rate(offered);
        }
        match self.number(offered) {
            one if one == "1" => "1 user".to_owned(),
            users => format!("{users} users"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_rates_have_their_own_words() {
        let users = LoadAxis { per_user: Some(2.0) };
        assert_eq!([users.load(108.0), users.short(2.0)], ["54 users", "1 user"]);
        assert!((users.value(108.0) - 54.0).abs() < 1e-9);
        let rate = LoadAxis::default();
        assert_eq!([rate.load(98.0), rate.short(98.0)], ["98 requests/s", "98/s"]);
    }
}
