//! Compiles all of an app's functions that are crates.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::build::BuildError;
use crate::toolchain::Toolchain;

/// A function that was compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The function's name in the Directive.
    pub function: String,
    /// Its component or core module.
    pub path: PathBuf,
}

/// Why an app could not be built.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A function's crate does not build.
    #[error("function `{function}`, crate {}: {source}", folder.display())]
    Build {
        /// The function's name in the Directive.
        function: String,
        /// Its crate's folder.
        folder: PathBuf,
        /// What went wrong.
        source: Box<BuildError>,
    },
    /// Two crates write the same file, so that one function would silently run the other's code.
    #[error(
        "functions `{first}` and `{second}` come from different crates that are both built to {}: \
         give one of the crates another name",
        path.display()
    )]
    SameFile {
        /// One function.
        first: String,
        /// The other one.
        second: String,
        /// The file.
        path: PathBuf,
    },
}

/// Compiles the crates of `functions`, pairs of a function's name and its `source.cargo` relative
/// to `app`, in the given order, each crate once. `progress` is told which one is being built.
///
/// # Errors
/// At the first function that does not build.
pub fn build_app<'a>(
    toolchain: &Toolchain,
    app: &Path,
    functions: impl IntoIterator<Item = (&'a str, &'a Path)>,
    progress: &dyn Fn(&str),
) -> Result<Vec<Built>, AppError> {
    build_each(functions, |function, source| {
        let folder = app.join(source);
        progress(&format!("`{function}` ({})", folder.display()));
        toolchain
            .build(&folder, progress)
            .map_err(|source| AppError::Build {
                function: function.to_owned(),
                folder,
                source: Box::new(source),
            })
    })
}

fn build_each<'a>(
    functions: impl IntoIterator<Item = (&'a str, &'a Path)>,
    mut build: impl FnMut(&str, &Path) -> Result<PathBuf, AppError>,
) -> Result<Vec<Built>, AppError> {
    let mut built: Vec<Built> = Vec::new();
    let mut by_source: HashMap<&Path, PathBuf> = HashMap::new();
    for (function, source) in functions {
        let path = match by_source.get(source) {
            Some(path) => path.clone(),
            None => {
                let path = build(function, source)?;
                if let Some(other) = built.iter().find(|other| other.path == path) {
                    return Err(AppError::SameFile {
                        first: other.function.clone(),
                        second: function.to_owned(),
                        path,
                    });
                }
                by_source.insert(source, path.clone());
                path
            }
        };
        built.push(Built {
            function: function.to_owned(),
            path,
        });
    }
    Ok(built)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_of_two_functions_is_built_once() {
        let mut builds = Vec::new();
        let functions = [("a", "f/x"), ("b", "f/y"), ("c", "f/x")];
        let built = build_each(functions.map(|(f, p)| (f, Path::new(p))), |_, source| {
            builds.push(source.to_path_buf());
            Ok(Path::new("/t").join(source))
        })
        .unwrap();
        assert_eq!(builds, [Path::new("f/x"), Path::new("f/y")]);
        let paths: Vec<_> = built
            .iter()
            .map(|b| (b.function.as_str(), &*b.path))
            .collect();
        let [x, y] = ["/t/f/x", "/t/f/y"].map(Path::new);
        assert_eq!(paths, [("a", x), ("b", y), ("c", x)]);
    }

    #[test]
    fn crates_that_overwrite_each_other_are_refused() {
        let functions = [("a", "f/x"), ("b", "g/x")].map(|(f, p)| (f, Path::new(p)));
        let error = build_each(functions, |_, _| Ok(PathBuf::from("/t/x.wasm"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "functions `a` and `b` come from different crates that are both built to /t/x.wasm: \
             give one of the crates another name"
        );
    }
}
