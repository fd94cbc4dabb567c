//! Links within the guide and into the repository. Links to other sites are not followed.

use std::path::{Path, PathBuf};

use crate::page::Page;
use crate::root;

/// Where the repository is published: the guide is read on a site of its own, from which no relative
/// link leads into the repository.
const REPOSITORY: [&str; 2] = [
    "https://github.com/kneepoint/kneepoint/blob/main/",
    "https://github.com/kneepoint/kneepoint/tree/main/",
];

/// What is wrong with the links of a page. `inside` is the directory that relative links may not
/// leave.
pub fn mistakes(page: &Page, inside: &Path) -> Vec<String> {
    let said = |link: &crate::page::Placed, what: &str| {
        format!("{}: `{}` {what}", page.at(link.line), link.text)
    };
    let mistake = |link| wrong(page, link, inside).map(|what| said(link, &what));
    page.links.iter().filter_map(mistake).collect()
}

fn wrong(page: &Page, link: &crate::page::Placed, inside: &Path) -> Option<String> {
    let address = link.text.as_str();
    if let Some(path) = REPOSITORY.iter().find_map(|prefix| address.strip_prefix(prefix)) {
        let path = root().join(path.split('#').next().unwrap_or_default());
        return (!path.exists()).then(|| "leads to a file that is not there".to_owned());
    }
    if address.starts_with("https://") {
        let is_url = url::Url::parse(address).is_ok();
        return (!is_url || address.contains(' ')).then(|| "is not a valid URL".to_owned());
    }
    if address.contains("://") || address.starts_with("mailto:") {
        return Some("is neither a page nor an https address".to_owned());
    }
    let (path, anchor) = address.split_once('#').unwrap_or((address, ""));
    let file = if path.is_empty() { page.path.clone() } else { beside(&page.path, path) };
    if !file.exists() {
        return Some("leads to a file that is not there".to_owned());
    }
    if !file.canonicalize().is_ok_and(|file| file.starts_with(inside)) {
        return Some("leaves the book: link to the repository instead".to_owned());
    }
    let has_anchor = || Page::read(&file).anchors.iter().any(|known| known == anchor);
    (!anchor.is_empty() && !has_anchor()).then(|| "leads to a heading that is not there".to_owned())
}

fn beside(page: &Path, path: &str) -> PathBuf {
    page.parent().unwrap_or(Path::new("")).join(path)
}
