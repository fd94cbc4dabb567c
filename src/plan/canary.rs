//! Probe requests to cheap routes while the load runs.

use serde::Serialize;

use super::{Request, Segment, Template, redact_url};

/// A probe request that is sent repeatedly while the load runs. Each probe opens a new connection,
/// so that it passes through the accept queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Canary {
    /// The request. Its results are kept under its name, separate from those of the load.
    pub request: Request,
    /// Requests per second.
    pub rate: f64,
}

impl Canary {
    /// Requests per second, unless the plan sets a rate.
    pub const USUAL_RATE: f64 = 2.0;
    /// Requests per second at most. More would be load.
    pub const MAX_RATE: f64 = 20.0;
    /// Canaries of one run at most. Each has its own threads.
    pub const MOST: usize = 8;
    /// Requests in flight of one canary at most. Further probes wait.
    pub const MAX_IN_FLIGHT: usize = 50;

    /// Canaries that `GET` these paths at the usual rate.
    ///
    /// ```
    /// use kneepoint::plan::Canary;
    ///
    /// let canaries = Canary::at_paths(&["/health".to_owned()])?;
    /// assert_eq!(canaries[0].rate, Canary::USUAL_RATE);
    /// # Ok::<(), String>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What is wrong with the first invalid path, and what to write instead.
    pub fn at_paths(paths: &[String]) -> Result<Vec<Canary>, String> {
        if paths.len() > Self::MOST {
            return Err(format!("a run has at most {} canaries", Self::MOST));
        }
        let mut canaries: Vec<Canary> = Vec::new();
        for path in paths {
            let canary = Self::at_path(path)?;
            if canaries.iter().any(|other| other.request.name == canary.request.name) {
                return Err(format!("`{}` is given twice", canary.request.name));
            }
            canaries.push(canary);
        }
        Ok(canaries)
    }

    fn at_path(path: &str) -> Result<Canary, String> {
        let is_foreign = |c: char| c.is_whitespace() || c.is_control() || c == '#';
        if !path.starts_with('/') || path.contains(is_foreign) {
            let shown = redact_url(path);
            return Err(format!("`{shown}` is not a path; write `/health`, without the host"));
        }
        let path = Template(vec![Segment::Text(path.to_owned())]).with_secret_query_hidden();
        let request = Request::get(String::from(path.clone()), path);
        Ok(Self { request, rate: Self::USUAL_RATE })
    }
}
