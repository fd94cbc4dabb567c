//! Samples of native histograms: one sample holds the count, the sum and every bucket that is not
//! empty.
//!
//! Format: <https://prometheus.io/docs/specs/native_histograms/>. A server may halve the resolution
//! of a series at any time, which puts each two neighbouring buckets together.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Bounds of buckets that differ by at most this share are the same: they are powers of a root of 2.
const SAME_BOUND: f64 = 1e-9;

/// One sample, as the API writes it: numbers are texts.
#[derive(Debug, Deserialize)]
pub(super) struct NativeText {
    count: String,
    sum: String,
    /// Which of its bounds belong to a bucket, the bounds, and how many it has.
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

/// One sample.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Native {
    pub(super) count: f64,
    pub(super) sum: f64,
    /// Bounds, and how many lie between them.
    pub(super) buckets: Vec<(f64, f64, f64)>,
}

/// What is stored of the series of one selector in a slice of time, by their place in its catalogue.
/// Times are milliseconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Stored {
    pub(super) values: BTreeMap<usize, Vec<(i64, f64)>>,
    pub(super) natives: BTreeMap<usize, Vec<(i64, Native)>>,
}

impl Stored {
    /// Puts the samples in order, and leaves out those that were read twice.
    pub(super) fn sort(&mut self) {
        for samples in self.values.values_mut() {
            samples.sort_by_key(|(at, _)| *at);
            samples.dedup_by_key(|(at, _)| *at);
        }
        for samples in self.natives.values_mut() {
            samples.sort_by_key(|(at, _)| *at);
            samples.dedup_by_key(|(at, _)| *at);
        }
    }

    /// How many samples there are.
    pub(super) fn count(&self) -> u64 {
        let values = self.values.values().map(Vec::len).sum::<usize>();
        let natives = self.natives.values().map(Vec::len).sum::<usize>();
        (values + natives) as u64
    }
}

impl NativeText {
    /// The sample; `None` where a number of it is none, as in the mark of a series' end.
    pub(super) fn read(&self) -> Option<Native> {
        let number = |text: &String| text.parse::<f64>().ok().filter(|it| !it.is_nan());
        let finite = |text: &String| number(text).filter(|it| it.is_finite());
        let bucket = |(_, low, high, count): &(u8, String, String, String)| {
            // Times below zero are the clock's fault; the bucket around zero has a bound below it.
            let (low, high) = (number(low)?.max(0.0), number(high)?.max(0.0));
            Some((low, high, finite(count)?))
        };
        Some(Native {
            count: finite(&self.count)?,
            sum: finite(&self.sum)?,
            buckets: self.buckets.iter().map(bucket).collect::<Option<_>>()?,
        })
    }
}

impl Native {
    /// What came since the sample before; all of it where the series began anew.
    pub(super) fn since(&self, before: Option<&Native>) -> Native {
        let Some(before) = before.filter(|before| before.count <= self.count) else {
            return self.clone();
        };
        let buckets = self.buckets.iter().map(|(low, high, count)| {
            let known = before.buckets.iter().filter(|(from, to, _)| {
                *from >= low * (1.0 - SAME_BOUND) && *to <= high * (1.0 + SAME_BOUND)
            });
            let known: f64 = known.map(|(_, _, count)| count).sum();
            (*low, *high, (count - known).max(0.0))
        });
        Native {
            count: self.count - before.count,
            sum: (self.sum - before.sum).max(0.0),
            buckets: buckets.filter(|(_, _, count)| *count > 0.0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn native(buckets: &[(f64, f64, f64)], sum: f64) -> Native {
        let count = buckets.iter().map(|(_, _, count)| count).sum();
        Native { count, sum, buckets: buckets.to_vec() }
    }

    #[test]
    fn a_sample_is_read_and_the_mark_of_an_end_is_not() {
        let text = r#"{"count":"3","sum":"0.5","buckets":[[3,"-0.001","0.001","1"],[0,"0.125","0.25","2"]]}"#;
        let read: NativeText = serde_json::from_str(text).unwrap();
        let expected = native(&[(0.0, 0.001, 1.0), (0.125, 0.25, 2.0)], 0.5);
        assert_eq!(read.read(), Some(expected));
        let end: NativeText = serde_json::from_str(r#"{"count":"0","sum":"NaN"}"#).unwrap();
        assert_eq!(end.read(), None);
    }

    #[test]
    fn increments_survive_a_lower_resolution_and_a_restart() {
        let root = 2f64.powf(0.25);
        let fine = native(&[(1.0, root, 4.0), (root, root * root, 6.0)], 12.0);
        let more = native(&[(1.0, root, 5.0), (root, root * root, 6.0), (2.0, 4.0, 2.0)], 19.0);
        let since = more.since(Some(&fine));
        assert_eq!((since.count, since.sum), (3.0, 7.0));
        assert_eq!(since.buckets, [(1.0, root, 1.0), (2.0, 4.0, 2.0)]);
        let coarse = native(&[(1.0, 2f64.sqrt(), 13.0)], 15.0);
        assert_eq!(coarse.since(Some(&fine)).buckets, [(1.0, 2f64.sqrt(), 3.0)]);
        assert_eq!(fine.since(Some(&more)), fine, "it counts from zero again");
        assert_eq!(fine.since(None), fine);
    }
}
