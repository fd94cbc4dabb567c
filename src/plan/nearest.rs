//! Suggests the known name that an unknown one was probably meant to be.

/// ``did you mean `…`?``, if one of the `right` names is close to `name`. Case does not count.
///
/// ```
/// use kneepoint::plan::nearest;
///
/// let help = nearest("wieght", ["weight", "method"]);
/// assert_eq!(help.as_deref(), Some("did you mean `weight`?"));
/// assert_eq!(nearest("colour", ["weight", "method"]), None);
/// ```
pub fn nearest<'n>(name: &str, right: impl IntoIterator<Item = &'n str>) -> Option<String> {
    let name = name.to_lowercase();
    let likeness = |right: &str| match strsim::osa_distance(&name, &right.to_lowercase()) {
        // One typing error. Jaro-Winkler makes too much of it in a short name, and too little in a
        // long one.
        0 => 1.0,
        1 => 0.99,
        _ => strsim::jaro_winkler(&name, &right.to_lowercase()).min(0.98),
    };
    right
        .into_iter()
        .map(|right| (likeness(right), right))
        .filter(|(likeness, _)| *likeness >= 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, right)| format!("did you mean `{right}`?"))
}
