//! Requests by kind, and how often each key of a kind was asked for. Logs and plans are counted by
//! the same code, so that they differ only where the requests do.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::access_log::{self, varies};
use crate::plan::is_secret_name;

/// Most kinds that are told apart. Further requests are counted together.
const MOST_KINDS: usize = 1000;
/// Most keys of a kind that are counted one by one. Above it, a sample of the keys stands for all.
const MOST_KEYS: usize = 16_384;
/// A key with at least this share of its kind is always counted itself.
const HOT: f64 = 0.005;

/// Counts by key. The hasher has no seed of its own: the same log gives the same sums.
type Counts = HashMap<u64, u64, BuildHasherDefault<DefaultHasher>>;

/// Requests by kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    kinds: Vec<Kind>,
    index: HashMap<u64, usize>,
    /// Requests of kinds that are not told apart.
    pub(super) other: u64,
    pub(super) total: u64,
}

/// One kind of requests.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    /// Such as `GET /item/:id`.
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) keys: Keys,
}

/// How often each key was asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    counts: Counts,
    /// Keys that are never left out.
    hot: Counts,
    /// Of the others, one in 2 to the power of this is counted, chosen by its hash.
    thinned: u32,
    total: u64,
}

/// What one request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Index of its kind; `None` for those that are not told apart.
    pub(super) kind: Option<usize>,
    /// Its key: the whole target.
    pub(super) key: u64,
}

impl Kinds {
    /// Counts a request; `None` where the target is not a path.
    pub(super) fn count(&mut self, method: &str, target: &str) -> Option<Counted> {
        let target = access_log::unescaped(target);
        let path = access_log::path(&target)?;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (mut kind, mut key) = (DefaultHasher::new(), DefaultHasher::new());
        let mut has_query = false;
        // A plan that is made of a log has no secrets of its queries.
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            if !is_secret_name(pair.split('=').next().unwrap_or_default()) {
                has_query = true;
                pair.hash(&mut key);
            }
        }
        (method, has_query).hash(&mut kind);
        for segment in path.split('/') {
            let part = if varies(segment) { ":id" } else { segment };
            part.hash(&mut kind);
        }
        (method, path).hash(&mut key);
        let key = key.finish();
        self.total += 1;
        let place = match self.index.get(&kind.finish()) {
            Some(place) => Some(*place),
            None if self.kinds.len() < MOST_KINDS => {
                self.index.insert(kind.finish(), self.kinds.len());
                let mark = if has_query { "?" } else { "" };
                let name = format!("{method} {}{mark}", access_log::grouped(path));
                self.kinds.push(Kind { name, count: 0, keys: Keys::default() });
                Some(self.kinds.len() - 1)
            }
            None => None,
        };
        match place.and_then(|place| self.kinds.get_mut(place)) {
            Some(kind) => {
                kind.count += 1;
                kind.keys.count(key);
            }
            None => self.other += 1,
        }
        Some(Counted { kind: place, key })
    }

    /// Every kind, in the order in which it came first.
    pub(super) fn all(&self) -> &[Kind] {
        &self.kinds
    }

    pub(super) fn named(&self, name: &str) -> Option<&Kind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Share of a kind in all requests, from 0 to 1.
    pub(super) fn share(&self, kind: &Kind) -> f64 {
        kind.count as f64 / self.total.max(1) as f64
    }
}

impl Keys {
    fn count(&mut self, key: u64) {
        self.total += 1;
        if let Some(count) = self.hot.get_mut(&key) {
            *count += 1;
            return;
        }
        if !is_kept(key, self.thinned) {
            return;
        }
        *self.counts.entry(key).or_default() += 1;
        if self.counts.len() > MOST_KEYS {
            self.thin();
        }
    }

    /// Halves the keys that are counted. What has been asked for often stays, so that chance does not
    /// decide whether the most popular key is known.
    fn thin(&mut self) {
        let often = (self.total as f64 * HOT).ceil() as u64;
        self.thinned += 1;
        let thinned = self.thinned;
        let hot = self.counts.extract_if(|_, count| *count >= often);
        self.hot.extend(hot);
        self.counts.retain(|key, _| is_kept(*key, thinned));
    }

    /// How many keys there are: exact up to [`MOST_KEYS`], an estimate above it.
    pub(super) fn distinct(&self) -> f64 {
        self.hot.len() as f64 + self.counts.len() as f64 * self.weight()
    }

    /// For how many keys each of the counted ones stands.
    fn weight(&self) -> f64 {
        f64::from(2u32.saturating_pow(self.thinned))
    }

    /// How many different keys `draws` requests have on average, each independent of the others
    /// (rarefaction; Hurlbert 1971, Ecology 52(4), with replacement). It makes the numbers of two
    /// samples of different size alike.
    pub(super) fn among(&self, draws: f64) -> f64 {
        let total = self.total.max(1) as f64;
        let seen = |count: &u64| 1.0 - (1.0 - *count as f64 / total).max(0.0).powf(draws);
        let hot: f64 = self.hot.values().map(seen).sum();
        let others: f64 = self.counts.values().map(seen).sum();
        hot + others * self.weight()
    }

    /// Share of the requests that go to the most popular key.
    pub(super) fn top_share(&self) -> f64 {
        let top = self.hot.values().chain(self.counts.values()).max().copied().unwrap_or(0);
        top as f64 / self.total.max(1) as f64
    }
}

fn is_kept(key: u64, thinned: u32) -> bool {
    key.trailing_zeros() >= thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_leave_out_values_and_keys_hold_them() {
        let mut kinds = Kinds::default();
        for target in ["/item/1", "/item/2", "/item/2", "/item/2?x=1", "http://a/item/3", "/cart"] {
            kinds.count("GET", target).unwrap();
        }
        assert_eq!(kinds.count("OPTIONS", "*"), None);
        let names: Vec<&str> = kinds.all().iter().map(|kind| kind.name.as_str()).collect();
        assert_eq!(names, ["GET /item/:id", "GET /item/:id?", "GET /cart"]);
        let items = kinds.named("GET /item/:id").unwrap();
        assert_eq!((items.count, items.keys.distinct()), (4, 3.0));
        assert_eq!((kinds.share(items), items.keys.top_share()), (4.0 / 6.0, 0.5));
    }

    #[test]
    fn many_keys_are_estimated_and_a_hot_one_is_exact() {
        let mut kinds = Kinds::default();
        for number in 0..300_000u64 {
            kinds.count("GET", &format!("/item/{number}"));
            if number % 2 == 0 {
                kinds.count("GET", "/item/7");
            }
        }
        let keys = &kinds.named("GET /item/:id").unwrap().keys;
        // One in 32 keys is counted, so that the estimate has a standard error of about 1 %.
        assert!((keys.distinct() / 300_000.0 - 1.0).abs() < 0.05, "{}", keys.distinct());
        assert!((keys.top_share() - 1.0 / 3.0).abs() < 0.001, "{}", keys.top_share());
        let among = keys.among(1000.0);
        // A third of the draws is one key, and the others are nearly all different.
        assert!((among - 667.0).abs() < 20.0, "{among}");
    }

    #[test]
    fn kinds_have_a_bound() {
        let mut kinds = Kinds::default();
        for number in 0..2000u32 {
            let name: String =
                number.to_string().chars().map(|c| char::from(b'a' + c as u8 - b'0')).collect();
            assert!(kinds.count("GET", &format!("/{name}")).is_some());
        }
        assert_eq!((kinds.all().len(), kinds.other), (1000, 1000));
    }
}
