//! The bans of `deny.toml` hold on every machine, also where cargo-deny is not installed.

#![allow(clippy::unwrap_used, reason = "a test that cannot read its sources has failed")]

use std::path::Path;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn banned() -> Vec<String> {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let list = deny["bans"]["deny"].as_array().unwrap();
    list.iter().map(|entry| entry["crate"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn no_banned_crate_is_locked() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    let banned = banned();
    assert!(banned.iter().any(|name| name == "aws-lc-sys"), "the list of bans was not found");
    let found: Vec<&str> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| package["name"].as_str().unwrap())
        .filter(|name| banned.iter().any(|banned| banned == name))
        .collect();
    assert!(
        found.is_empty(),
        "banned in deny.toml: {found:?}; find who wants it with `cargo tree -i`"
    );
}

#[test]
fn every_crate_comes_from_the_registry() {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let source = package.get("source").and_then(|source| source.as_str());
        match source {
            None => assert_eq!(name, env!("CARGO_PKG_NAME")),
            Some(source) => assert!(source.starts_with("registry+"), "{name}: {source}"),
        }
    }
}
