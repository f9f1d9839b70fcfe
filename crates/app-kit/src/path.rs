//! Paths that are kept in settings.

use std::path::{Path, PathBuf};

/// The path as it will be found from another working folder. Nothing need be there.
pub fn absolute(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    // It fails for an empty path, and where there is no working folder: nothing is wrong with it before it is used.
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_absolute_afterwards_and_stays_so() {
        let path = absolute("some/file");
        assert!(path.is_absolute() && path.ends_with("some/file"));
        assert_eq!(absolute(&path), path);
        assert_eq!(absolute(""), Path::new(""));
    }
}
