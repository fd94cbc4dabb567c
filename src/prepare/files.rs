//! Where the files are that a plan names: in a folder of this machine, or sent by a coordinator.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

/// The files that a plan names, by their path in the plan.
#[derive(Clone, Debug)]
pub(super) enum PlanFiles {
    /// Relative paths start at this folder.
    Folder(PathBuf),
    /// What a coordinator sent. Nothing on this machine is read.
    Sent(BTreeMap<String, Vec<u8>>),
}

impl PlanFiles {
    /// The files below `folder`.
    pub(super) fn below(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }

    /// Opens a file.
    pub(super) fn open(&self, path: &str) -> io::Result<Box<dyn Read + '_>> {
        match self {
            PlanFiles::Folder(folder) => Ok(Box::new(File::open(folder.join(path))?)),
            PlanFiles::Sent(files) => match files.get(path) {
                Some(bytes) => Ok(Box::new(Cursor::new(bytes))),
                None => Err(io::Error::other("the coordinator did not send it")),
            },
        }
    }

    /// All of a file.
    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The path for messages, and for what opens it outside of a plan.
    pub(super) fn shown(&self, path: &str) -> String {
        match self {
            PlanFiles::Folder(folder) => folder.join(path).display().to_string(),
            PlanFiles::Sent(_) => path.to_owned(),
        }
    }
}
