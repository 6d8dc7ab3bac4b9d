//! The files that the setting `schemas` names. What stands in them is for others to judge.

use std::path::{Path, PathBuf};

use super::Error;

/// A file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its path, as messages show it.
    pub path: PathBuf,
    /// What stands in it, without a byte order mark.
    pub text: String,
}

/// Reads files, and those of directories whose names end in `.json`, in the order of their names.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Text>, Error> {
    let mut texts = Vec::new();
    for path in paths {
        if !path.is_dir() {
            texts.push(read_file(path)?);
            continue;
        }
        let files = files_of(path)?;
        if files.is_empty() {
            return Err(Error(format!("`schemas` names the directory {}, which has no *.json file.", path.display())));
        }
        for file in files {
            texts.push(read_file(&file)?);
        }
    }
    Ok(texts)
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable =
        |cause| Error(format!("`schemas` names the directory {}, which cannot be read: {cause}.", directory.display()));
    let entries = std::fs::read_dir(directory).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = paths.collect::<std::io::Result<_>>().map_err(unreadable)?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Text, Error> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Error(format!("`schemas` names the file {}, which cannot be read: {cause}.", path.display()))
    })?;
    Ok(Text { path: path.to_owned(), text: text.trim_start_matches('\u{feff}').to_owned() })
}
