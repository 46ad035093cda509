//! An app's folder: its Directive, checked, and its functions, loaded.

use std::io;
use std::path::{Path, PathBuf};

use strand_compiler::{CompileError, Compiler, Inspection, NotWasm, Shape, inspect};
use strand_directive::{
    ComponentFacts, Diagnostic, Directive, FileKind, Function as FunctionSection, Source, World,
    check_component, check_files, parse,
};
use strand_engine::{Engine, LoadError};

/// The name of the file that makes a folder an app.
pub const DIRECTIVE_FILE: &str = "directive.yaml";
/// Where `strand build` puts the functions of an app that are crates.
const BUILD_DIR: &str = ".strand/build";

/// An app's folder with its Directive.
#[derive(Clone, Debug)]
pub struct AppDir {
    dir: PathBuf,
    text: String,
    directive: Directive,
    warnings: Vec<Diagnostic>,
}

/// Why an app cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The Directive cannot be read.
    #[error(
        "{path}: {source}; an app is a folder with a `{DIRECTIVE_FILE}`",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The Directive is wrong, or does not fit its components. To be shown through
    /// [`strand_directive::render`].
    #[error("{path} has errors", path = path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Its text.
        text: String,
        /// What is wrong.
        diagnostics: Vec<Diagnostic>,
    },
    /// Functions that do not load; all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Functions(Vec<FunctionError>),
}

/// Why one function does not load.
#[derive(Debug, thiserror::Error)]
#[error("function `{function}` ({path}): {cause}", path = path.display())]
pub struct FunctionError {
    /// The function's name.
    pub function: String,
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub cause: FunctionCause,
}

/// What is wrong with a function's file.
#[derive(Debug, thiserror::Error)]
pub enum FunctionCause {
    /// It is a crate that has not been built.
    #[error("it is not built; run `strand build {}`", .0.display())]
    NotBuilt(PathBuf),
    /// It cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// It is not WebAssembly.
    #[error(transparent)]
    NotWasm(#[from] NotWasm),
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It does not fit this node.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It asks for more than the node gives.
    #[error("`{field}: {asked}` is more than this node's ceiling of {ceiling}")]
    Ceiling {
        /// The limit's name in the Directive.
        field: &'static str,
        /// What the Directive says.
        asked: String,
        /// What the node's configuration says.
        ceiling: String,
    },
    /// A back end that the function needs is not there.
    #[error("{0}")]
    Backend(String),
}

/// A function's file, read.
pub(crate) struct Wasm {
    pub(crate) function: String,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) inspection: Inspection,
}

impl AppDir {
    /// Reads and checks an app's Directive and that the files it names are there.
    /// `bound` says which blob resources are bound to something else than their
    /// folder for development.
    ///
    /// # Errors
    /// When the Directive cannot be read or has errors.
    pub fn read(dir: &Path, bound: &dyn Fn(&str) -> bool) -> Result<Self, AppError> {
        let path = dir.join(DIRECTIVE_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| AppError::Read {
            path: path.clone(),
            source,
        })?;
        let outcome = parse(&text);
        let mut diagnostics = outcome.problems;
        if let Some(directive) = &outcome.directive {
            let kind = |relative: &str| file_kind(&dir.join(relative));
            let missing = check_files(directive, &kind);
            diagnostics.extend(missing.into_iter().filter(|problem| {
                let bucket = problem
                    .field
                    .strip_prefix("spec.resources.blobs.")
                    .and_then(|rest| rest.strip_suffix(".dev"));
                !bucket.is_some_and(bound)
            }));
        }
        match outcome.directive {
            Some(directive) if !diagnostics.iter().any(Diagnostic::is_error) => Ok(Self {
                dir: dir.into(),
                text,
                directive,
                warnings: diagnostics,
            }),
            _ => Err(AppError::Invalid {
                path,
                text,
                diagnostics,
            }),
        }
    }

    /// The app's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the Directive says.
    pub fn directive(&self) -> &Directive {
        &self.directive
    }

    /// The Directive's text, for showing diagnostics.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The Directive's file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(DIRECTIVE_FILE)
    }

    /// What is odd about the Directive and no error.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The functions that are crates, with their crates' folders.
    pub fn crates(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.directive
            .functions
            .iter()
            .filter_map(|(name, function)| match &function.source {
                Source::Cargo(dir) => Some((name.as_str(), Path::new(dir.as_str()))),
                Source::File(_) => None,
            })
    }

    /// Where a function's component or module is, or will be once it is built.
    pub fn wasm_path(&self, name: &str, function: &FunctionSection) -> PathBuf {
        match &function.source {
            Source::Cargo(_) => self.dir.join(BUILD_DIR).join(format!("{name}.wasm")),
            Source::File(path) => self.dir.join(path),
        }
    }

    /// Puts what was built for a function where the app's node looks for it.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn install(&self, name: &str, built: &Path) -> io::Result<()> {
        let dir = self.dir.join(BUILD_DIR);
        std::fs::create_dir_all(&dir)?;
        // Readers see the old or the new one, never a part.
        let draft = dir.join(format!(".{name}.{}", std::process::id()));
        std::fs::copy(built, &draft)?;
        std::fs::rename(&draft, dir.join(format!("{name}.wasm")))
    }

    /// Checks the components that are there against the Directive: the problems,
    /// and the functions that are not built.
    ///
    /// # Errors
    /// When a file cannot be read or is not WebAssembly.
    pub fn check_components(&self) -> Result<(Vec<Diagnostic>, Vec<String>), AppError> {
        let mut diagnostics = Vec::new();
        let mut unbuilt = Vec::new();
        let mut failed = Vec::new();
        for (name, function) in &self.directive.functions {
            match self.read_wasm(name, function) {
                Ok(wasm) => diagnostics.extend(self.check_component(&wasm)),
                Err(FunctionError {
                    cause: FunctionCause::NotBuilt(_),
                    ..
                }) => unbuilt.push(name.clone()),
                Err(error) => failed.push(error),
            }
        }
        if failed.is_empty() {
            Ok((diagnostics, unbuilt))
        } else {
            Err(AppError::Functions(failed))
        }
    }

    pub(crate) fn read_wasm(
        &self,
        name: &str,
        function: &FunctionSection,
    ) -> Result<Wasm, FunctionError> {
        let path = self.wasm_path(name, function);
        let fail = |cause| FunctionError {
            function: name.to_owned(),
            path: path.clone(),
            cause,
        };
        let bytes = std::fs::read(&path).map_err(|error| {
            let crates = matches!(function.source, Source::Cargo(_));
            if crates && error.kind() == io::ErrorKind::NotFound {
                fail(FunctionCause::NotBuilt(self.dir.clone()))
            } else {
                fail(error.into())
            }
        })?;
        let inspection = inspect(&bytes).map_err(|error| fail(error.into()))?;
        Ok(Wasm {
            function: name.to_owned(),
            path,
            bytes,
            inspection,
        })
    }

    pub(crate) fn check_component(&self, wasm: &Wasm) -> Vec<Diagnostic> {
        check_component(&self.directive, &wasm.function, &facts(&wasm.inspection))
    }

    pub(crate) fn invalid(&self, diagnostics: Vec<Diagnostic>) -> AppError {
        AppError::Invalid {
            path: self.path(),
            text: self.text.clone(),
            diagnostics,
        }
    }
}

/// What the Directive's rules need to know about a file.
pub fn facts(inspection: &Inspection) -> ComponentFacts {
    let mut worlds: Vec<_> = inspection
        .exports
        .iter()
        .filter_map(|export| World::of_export(export))
        // A component may export anything named like a module's entry point.
        .filter(|world| (*world == World::Module) == (inspection.shape == Shape::Module))
        .collect();
    worlds.sort_unstable();
    worlds.dedup();
    ComponentFacts {
        worlds,
        imports: inspection.imports.clone(),
    }
}

fn file_kind(path: &Path) -> FileKind {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => FileKind::Folder,
        Ok(found) if found.is_file() => FileKind::File,
        _ => FileKind::Missing,
    }
}

/// The engine's name for a world. Modules become commands when they are compiled.
pub(crate) fn engine_world(world: World) -> strand_engine::World {
    match world {
        World::Http03 => strand_engine::World::Http03,
        World::Http02 => strand_engine::World::Http02,
        World::Task => strand_engine::World::Task,
        World::Command03 => strand_engine::World::Command03,
        World::Command02 | World::Module => strand_engine::World::Command02,
    }
}

/// Compiles a function's file, or takes it from the cache.
pub(crate) async fn compile(
    engine: &Engine,
    compiler: &Compiler,
    wasm: &Wasm,
) -> Result<strand_compiler::Loaded, FunctionError> {
    compiler
        .load(engine, &wasm.bytes)
        .await
        .map_err(|error| FunctionError {
            function: wasm.function.clone(),
            path: wasm.path.clone(),
            cause: error.into(),
        })
}
