//! Probe requests to cheap routes, beside the load.

use serde::Serialize;

use super::{Request, Segment, Template, redact_url};

/// A probe request that is sent again and again while the load goes on, each time over a new
/// connection, so that it goes through the accept queue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Canary {
    /// What is sent. It is measured under the request's name, apart from the load.
    pub request: Request,
    /// Requests per second.
    pub rate: f64,
}

impl Canary {
    /// Requests per second where the plan does not say.
    pub const USUAL_RATE: f64 = 2.0;
    /// Requests per second at most: a canary that is felt is load.
    pub const MAX_RATE: f64 = 20.0;
    /// Canaries of one run at most: each has threads of its own.
    pub const MOST: usize = 8;
    /// Requests of one canary in flight at most; what is due beyond them waits.
    pub const MAX_IN_FLIGHT: usize = 50;

    /// Canaries that `GET` these paths, at the usual rate.
    ///
    /// # Errors
    ///
    /// What is wrong with the first wrong path and what it should look like.
    pub fn at_paths(paths: &[String]) -> Result<Vec<Canary>, String> {
        if paths.len() > Self::MOST {
            return Err(format!("there may be {} canaries at the most", Self::MOST));
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
            return Err(format!(
                "`{shown}` is no path; write `/health`: its host is that of the target"
            ));
        }
        let path = Template(vec![Segment::Text(path.to_owned())]).with_secret_query_hidden();
        let request = Request::get(String::from(path.clone()), path);
        Ok(Self { request, rate: Self::USUAL_RATE })
    }
}
