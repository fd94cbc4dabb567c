//! kneepoint finds the load at which a system breaks, and explains why.
//!
//! Data flows down this list and never back; `tests/architecture` holds the table of which
//! room may use which.
//!
//! # Running a plan from a program
//!
//! [`prepare`] makes a run out of a plan, [`run`] makes a recording, and [`diagnose`] concludes
//! from it. This sends 50 requests to a server on this machine:
//!
//! ```
//! use kneepoint::diagnose::diagnose;
//! use kneepoint::{prepare, recording, run};
//!
//! # use std::io::{Read, Write};
//! # fn serve(mut stream: std::net::TcpStream) {
//! #     let mut request = [0; 4096];
//! #     while stream.read(&mut request).is_ok_and(|length| length > 0) {
//! #         let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
//! #         if stream.write_all(response).is_err() { break; }
//! #     }
//! # }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?;
//! # std::thread::spawn(move || {
//! #     for stream in listener.incoming().flatten() {
//! #         std::thread::spawn(move || serve(stream));
//! #     }
//! # });
//! let plan = format!(
//!     r#"
//!     [target]
//!     url = "http://{address}"
//!     [[request]]
//!     name = "home"
//!     path = "/"
//!     [load]
//!     executor = "constant-arrival-rate"
//!     rate = "25/s"
//!     duration = "2s"
//!     "#
//! );
//! let plan = prepare::parse_plan(&plan, "a plan in a program")?;
//!
//! // Refuses here, with every reason at once, where the run could not work.
//! let prepared = prepare::prepare(plan, prepare::Options::default())?;
//! for warning in &prepared.warnings {
//!     eprintln!("{warning}");
//! }
//!
//! // A `Vec` stands for the file.
//! let mut file = Vec::new();
//! run::run(prepared.config, &mut file, &mut |_progress| {})?;
//! let (recording, _notes) = recording::read(file.as_slice())?;
//!
//! let rules = run::rules();
//! let diagnosis = diagnose(&recording, &rules);
//! println!("{:?}: {:?}", diagnosis.outcome, diagnosis.knee);
//! for finding in &diagnosis.findings {
//!     println!("{} ({:?})", finding.title, finding.confidence);
//! }
//! # assert!(diagnosis.findings.is_empty(), "{:#?}", diagnosis.findings);
//! # let succeeded: u64 = recording.timeline.ticks.iter().map(|tick| tick.succeeded()).sum();
//! # assert!((45..=50).contains(&succeeded), "{succeeded} of 50 requests succeeded");
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod registry;

pub mod timeline;

pub mod plan;

pub mod recording;

pub mod load;

pub mod collect;

mod access_log;

pub mod import;

pub mod history;

pub mod convert;

pub mod realism;

pub mod diagnose;

pub mod compare;

pub mod baseline;

pub mod incident;

pub mod report;

pub mod remote;

pub mod live;

pub mod viewer;

pub mod prepare;

pub mod run;

pub mod watch;

pub mod gate;

pub mod survey;

pub mod demo;

pub mod cli;
