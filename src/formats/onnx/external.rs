//! Files beside a model that hold its numbers.

use super::OnnxError;
use crate::formats::mmap::Blob;
use std::collections::HashMap;
use std::path::{Component, Path};
use std::sync::Arc;

/// The files that have been opened, by the paths that the model uses.
pub(super) struct Files<'a> {
    directory: Option<&'a Path>,
    open: HashMap<String, (Arc<str>, Blob)>,
}

impl<'a> Files<'a> {
    pub(super) fn new(directory: Option<&'a Path>) -> Files<'a> {
        Files {
            directory,
            open: HashMap::new(),
        }
    }

    /// Path and content of a file in the directory of the model or below; `None` if there is no
    /// such directory, as for a stream. Links that lead outside are refused: a model must not make
    /// its reader open other files.
    pub(super) fn get(
        &mut self,
        tensor: &str,
        location: &str,
    ) -> Result<Option<(Arc<str>, Blob)>, OnnxError> {
        let Some(directory) = self.directory else {
            return Ok(None);
        };
        if let Some(found) = self.open.get(location) {
            return Ok(Some(found.clone()));
        }
        let outside = || OnnxError::Outside {
            tensor: tensor.to_string(),
            location: location.to_string(),
        };
        let missing = |message: String| OnnxError::Missing {
            tensor: tensor.to_string(),
            location: location.to_string(),
            message,
        };
        let normal = |c: Component| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !Path::new(location).components().all(normal) {
            return Err(outside());
        }
        let path = directory.join(location);
        let canonical = |path: &Path| path.canonicalize().map_err(|e| missing(e.to_string()));
        let (root, real) = (canonical(directory)?, canonical(&path)?);
        if !real.starts_with(root) {
            return Err(outside());
        }
        if !real.is_file() {
            return Err(missing("not a file".to_string()));
        }
        let blob = Blob::open(&real).map_err(|e| missing(e.to_string()))?;
        let found: (Arc<str>, Blob) = (path.display().to_string().into(), blob);
        self.open.insert(location.to_string(), found.clone());
        Ok(Some(found))
    }
}
