//! Requests of one kind, and which values they had.
//!
//! Memory is bounded by three limits. There is a highest number of kinds: further requests share
//! one kind by method and the first part of their path. There is a highest number of values of a
//! kind: above it a fair sample is kept, in which a popular value stays as frequent as it was. And
//! there is a highest number of bytes of all values.

use std::collections::HashMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::pattern::{COLUMNS, Pattern, Piece, QUERY};
use super::trace;
use crate::convert::ConvertError;
use crate::convert::artifact::Artifact;
use crate::convert::draft::{Data, Draft, RequestDraft, RowOrder};
use crate::convert::http::Names;
use crate::convert::template::identifier;

/// Most kinds that have their own request.
const MOST_GROUPS: usize = 150;
/// Most first parts of paths under which the rest shares one kind.
const MOST_BEGINNINGS: usize = 30;
/// Most values that are kept for one kind.
const MOST_VALUES: usize = 20_000;
/// Values that each kind may keep, however many others there are.
const LEAST_VALUES: usize = 100;
/// Bytes of all values that are kept.
const MOST_BYTES: usize = 128 << 20;
/// Kinds that are listed with their share.
const TOLD: usize = 12;

type Row = [String; COLUMNS.len()];

/// All kinds of requests in a log.
pub(super) struct Groups {
    groups: Vec<Group>,
    index: HashMap<(String, Vec<Piece>), usize>,
    own: usize,
    beginnings: usize,
    names: Names,
    bytes: usize,
    /// One seed: the same log makes the same files.
    random: SmallRng,
    shared: u64,
}

struct Group {
    name: String,
    method: String,
    pieces: Vec<Piece>,
    count: u64,
    rows: Vec<Row>,
    /// Rows that were offered, of which `rows` is a sample.
    offered: u64,
    /// How many rows it may keep; `None` as long as it may grow.
    full_at: Option<usize>,
}

impl Default for Groups {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            index: HashMap::new(),
            own: 0,
            beginnings: 0,
            names: Names::default(),
            bytes: 0,
            random: SmallRng::seed_from_u64(1),
            shared: 0,
        }
    }
}

impl Groups {
    /// The kind of a request, which it may share with others.
    pub(super) fn group(&mut self, pattern: &Pattern) -> usize {
        if let Some(found) = self.known(pattern) {
            return found;
        }
        if self.own < MOST_GROUPS {
            self.own += 1;
            return self.add(pattern, &pattern.name());
        }
        self.shared += 1;
        let begin = pattern.begin();
        if let Some(begin) = &begin {
            let wide = pattern.widened(Some(begin));
            if let Some(found) = self.known(&wide) {
                return found;
            }
            if self.beginnings < MOST_BEGINNINGS {
                self.beginnings += 1;
                return self.add(&wide, &format!("{} /{begin}/ other", pattern.method));
            }
        }
        let wide = pattern.widened(None);
        let name = format!("{} other", pattern.method);
        self.known(&wide).unwrap_or_else(|| self.add(&wide, &name))
    }

    fn known(&self, pattern: &Pattern) -> Option<usize> {
        self.index.get(&(pattern.method.clone(), pattern.pieces.clone())).copied()
    }

    fn add(&mut self, pattern: &Pattern, name: &str) -> usize {
        let key = (pattern.method.clone(), pattern.pieces.clone());
        self.index.insert(key, self.groups.len());
        self.groups.push(Group {
            name: self.names.request(name),
            method: pattern.method.clone(),
            pieces: pattern.pieces.clone(),
            count: 0,
            rows: Vec::new(),
            offered: 0,
            full_at: None,
        });
        self.groups.len() - 1
    }

    pub(super) fn count(&mut self, group: usize) {
        self.groups[group].count += 1;
    }

    /// The name of a kind's request.
    pub(super) fn name(&self, group: usize) -> &str {
        &self.groups[group].name
    }

    /// The values of a request as its kind has them.
    pub(super) fn row(&self, group: usize, pattern: &Pattern) -> Row {
        let group = &self.groups[group];
        if group.pieces == pattern.pieces {
            return pattern.values.clone();
        }
        let below = match group.pieces.first() {
            Some(Piece::Text(text)) if text.len() > 1 => Some(text.trim_matches('/')),
            _ => None,
        };
        pattern.widened(below).values
    }

    /// Keeps the values of a request; where there are too many, chance decides.
    pub(super) fn keep(&mut self, index: usize, pattern: &Pattern) {
        let row = self.row(index, pattern);
        let group = &mut self.groups[index];
        if group.columns().is_empty() {
            return;
        }
        let size: usize = row.iter().map(|value| value.len() + size_of::<String>()).sum();
        group.offered += 1;
        // As long as nothing was left out, the sample is fair wherever it stops growing.
        let may_grow = self.bytes + size <= MOST_BYTES || group.rows.len() < LEAST_VALUES;
        if group.full_at.is_none() && (group.rows.len() >= MOST_VALUES || !may_grow) {
            group.full_at = Some(group.rows.len());
        }
        match group.full_at {
            None => {
                self.bytes += size;
                group.rows.push(row);
            }
            Some(full) => {
                let place = self.random.random_range(0..group.offered);
                if let Some(old) = usize::try_from(place).ok().filter(|place| *place < full) {
                    group.rows[old] = row;
                }
            }
        }
    }

    pub(super) fn tell(&self, artifact: &mut Artifact<'_>) {
        let total: u64 = self.groups.iter().map(|group| group.count).sum();
        let mut order: Vec<&Group> = self.groups.iter().collect();
        order.sort_by_key(|group| std::cmp::Reverse(group.count));
        for group in order.iter().take(TOLD) {
            let share = group.count as f64 / total.max(1) as f64 * 100.0;
            artifact.seen.push(format!("{share:5.1} %  {}", group.name));
        }
        let rest: u64 = order.iter().skip(TOLD).map(|group| group.count).sum();
        if rest > 0 {
            let share = rest as f64 / total.max(1) as f64 * 100.0;
            let kinds = order.len() - TOLD;
            artifact.seen.push(format!("{share:5.1} %  {kinds} other kinds"));
        }
        if self.shared > 0 {
            artifact.notes.add(format!(
                "the log has more than {MOST_GROUPS} kinds of paths: {} requests share one request \
                 named `other`, in which the rest of the path is a value",
                self.shared
            ));
        }
        let sampled = self.groups.iter().filter(|group| group.full_at.is_some()).count();
        if sampled > 0 {
            artifact.notes.add(format!(
                "{sampled} requests have more than {MOST_VALUES} values: a sample of them is kept, \
                 in which each is as frequent as in the log"
            ));
        }
    }

    /// Adds the requests and their values to the plan, the most frequent first.
    pub(super) fn into_draft(
        mut self,
        artifact: &mut Artifact<'_>,
        timed: bool,
        draft: &mut Draft,
    ) -> Result<(), ConvertError> {
        self.groups.retain(|group| group.count > 0);
        self.groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        let (mut names, mut replayed) = (Names::default(), false);
        for group in &self.groups {
            let mut request = RequestDraft {
                name: group.name.clone(),
                weight: (!timed).then_some(group.count as f64),
                method: group.method.clone(),
                ..RequestDraft::default()
            };
            if matches!(group.method.as_str(), "POST" | "PUT" | "PATCH") {
                request.comments.push(
                    "The log does not have the body: add `body = '…'` and a content-type header."
                        .to_owned(),
                );
            }
            let columns = group.columns();
            if group.method == "DELETE" {
                request.comments.push("This request deletes data at the target.".to_owned());
            }
            let value = match timed {
                _ if columns.is_empty() => None,
                // In a replay, each request takes the values of its own line of the trace.
                true => {
                    replayed = true;
                    Some(trace::DATA.to_owned())
                }
                false => Some(group.write(artifact, draft, &mut names)?),
            };
            for piece in &group.pieces {
                match (piece, &value) {
                    (Piece::Text(text), _) => request.path.text(text),
                    (Piece::Value(index), Some(name)) if timed || columns.len() > 1 => {
                        request.path.value(&format!("{name}.{}", COLUMNS[*index]));
                    }
                    (Piece::Value(_), name) => {
                        request.path.value(name.as_deref().unwrap_or_default());
                    }
                }
            }
            draft.requests.push(request);
        }
        if replayed {
            let (file, column) = (trace::FILE.to_owned(), None);
            draft.data.push((
                trace::DATA.to_owned(),
                Data::Csv { file, column, order: RowOrder::Random },
            ));
        }
        Ok(())
    }
}

impl Group {
    /// The columns that its values have.
    fn columns(&self) -> Vec<usize> {
        let index = |piece: &Piece| match piece {
            Piece::Value(index) => Some(*index),
            Piece::Text(_) => None,
        };
        self.pieces.iter().filter_map(index).collect()
    }

    /// Writes the values into a file next to the plan; returns the name of the data.
    fn write(
        &self,
        artifact: &mut Artifact<'_>,
        draft: &mut Draft,
        names: &mut Names,
    ) -> Result<String, ConvertError> {
        let columns = self.columns();
        let name = names.data(&self.data_name(&columns));
        let file = format!("{name}.csv");
        artifact.write(&file, |csv| {
            csv.write_record(columns.iter().map(|column| COLUMNS[*column]))?;
            for row in &self.rows {
                csv.write_record(columns.iter().map(|column| &row[*column]))?;
            }
            Ok(())
        })?;
        // Rows keep together what stood in one path.
        let column = match columns.as_slice() {
            [only] => Some(COLUMNS[*only].to_owned()),
            _ => None,
        };
        draft.data.push((name.clone(), Data::Csv { file, column, order: RowOrder::Random }));
        Ok(name)
    }

    /// `item_id` for `/shop/item/{id}`; of a rare method with it.
    fn data_name(&self, columns: &[usize]) -> String {
        let mut parts = Vec::new();
        if self.method != "GET" {
            parts.push(self.method.to_lowercase());
        }
        for piece in &self.pieces {
            if let Piece::Text(text) = piece {
                let mut words =
                    text.trim_end_matches('?').split('/').filter(|word| !word.is_empty());
                parts.extend(words.next_back().map(|word| identifier(word).to_lowercase()));
            }
        }
        if let [only] = columns {
            parts.push(if *only == QUERY { "query" } else { "id" }.to_owned());
        }
        let name = parts.join("_");
        name.chars().take(60).collect()
    }
}
