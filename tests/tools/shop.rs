//! The sample shop with a fault, until it is dropped.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::program::program;

pub struct Shop {
    child: Child,
    pub url: String,
}

impl Shop {
    /// Starts it; its plan is `shop/plan.toml` in `folder`.
    pub fn start(fault: &str, folder: &Path) -> Self {
        let errors = File::create(folder.join("shop.txt")).expect("own folder");
        let mut child = Command::new(program())
            .args(["demo", fault, "--serve", "--out"])
            .arg(folder.join("shop"))
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("the program starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut url).expect("the shop tells its address");
        assert!(url.starts_with("http://"), "the shop did not start: {url}");
        Self { child, url: url.trim().trim_end_matches('/').to_owned() }
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        // Its database ends with it only if it is asked to.
        let pid = self.child.id().to_string();
        let _asked = Command::new("kill").args(["-s", "TERM", &pid]).status().is_ok();
        let _ended = self.child.wait().is_ok();
    }
}
