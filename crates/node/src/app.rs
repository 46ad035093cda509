//! An app's folder: its Directive, checked, and its functions, loaded.

pub(crate) mod ceilings;
mod links;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use strand_compiler::{CompileError, Digest, Inspection, NotWasm, Shape, inspect};
use strand_directive::{
    ComponentFacts, Diagnostic, Directive, FileKind, Function as FunctionSection, MAX_BYTES,
    Severity, Source, World, check_component, check_files, parse,
};
use strand_engine::LinkError;

use crate::bindings::{Binding, Bindings, Misbinding, misbindings, of_app};
use crate::files::{FileError, FileId, read_identified, read_text};
use crate::grants::BackendsError;

/// The name of the file that makes a folder an app.
pub const DIRECTIVE_FILE: &str = "directive.yaml";
/// Bytes of a function's file, at most.
pub const MAX_WASM: u64 = 256 << 20;
/// Where `strand build` puts the functions of an app that are crates.
const BUILD_DIR: &str = ".strand/build";

/// An app's folder with its Directive.
#[derive(Clone, Debug)]
pub struct AppDir {
    dir: PathBuf,
    text: String,
    directive: Directive,
    warnings: Vec<Diagnostic>,
    bindings: Bindings,
}

/// All that can be told of an app without a node.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The Directive's file.
    pub path: PathBuf,
    /// Its text, for showing the problems.
    pub text: String,
    /// What is wrong or odd about the Directive, the files that it names, and the components that
    /// are there.
    pub problems: Vec<Diagnostic>,
    /// Functions whose imports could not be checked, because they are not built.
    pub unbuilt: Vec<String>,
}

/// Why an app cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The Directive cannot be read.
    #[error("{path}: {source}{}", advice(.source), path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
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
    /// Bindings that do not fit the app; all of them.
    #[error("{}", lines(.0))]
    Bindings(Vec<Misbinding>),
    /// A back end that is not to be had.
    #[error(transparent)]
    Backend(#[from] BackendsError),
    /// Functions that do not load; all of them.
    #[error("{}", lines(.0))]
    Functions(Vec<FunctionError>),
}

/// What to do about a Directive that is not read, where its error does not say that.
fn advice(error: &FileError) -> String {
    match error {
        FileError::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            format!("; an app is a folder with a `{DIRECTIVE_FILE}`")
        }
        FileError::TooLarge { .. } => "; split the app into several apps".to_owned(),
        _ => String::new(),
    }
}

fn lines<T: ToString>(items: &[T]) -> String {
    let lines: Vec<String> = items.iter().map(ToString::to_string).collect();
    lines.join("\n")
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
    /// It does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It does not fit this node.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What the function is granted cannot be had.
    #[error("{0}")]
    Backend(String),
}

/// Why a function's file is of no use.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// It is a crate that has not been built.
    NotBuilt,
    /// It cannot be read.
    Read(FileError),
    /// It is not WebAssembly.
    NotWasm(NotWasm),
}

/// A Directive's file, read.
struct Parsed {
    path: PathBuf,
    text: String,
    /// None if the text has errors.
    directive: Option<Directive>,
    /// Of the text, and of the files that it names.
    problems: Vec<Diagnostic>,
}

/// A function's file.
pub(crate) struct Wasm {
    pub(crate) function: String,
    pub(crate) path: PathBuf,
    pub(crate) facts: ComponentFacts,
    pub(crate) contents: Contents,
}

/// What is in a function's file.
pub(crate) enum Contents {
    /// What was in it when it was read at an earlier start.
    Known(Digest),
    /// It was read.
    Read {
        bytes: Vec<u8>,
        /// Its identity, if it is known by that from now on.
        id: Option<FileId>,
    },
}

impl AppDir {
    /// Reads and checks an app's Directive and that the files it names are there.
    /// `bound` says which blob resources are bound to something else than their
    /// folder for development, by the app's name and theirs.
    ///
    /// # Errors
    /// When the Directive cannot be read or has errors.
    pub fn read(dir: &Path, bound: &dyn Fn(&str, &str) -> bool) -> Result<Self, AppError> {
        let Parsed {
            path,
            text,
            directive,
            problems,
        } = read_directive(dir, bound)?;
        match directive {
            Some(directive) if !problems.iter().any(Diagnostic::is_error) => Ok(Self {
                dir: dir.into(),
                text,
                directive,
                warnings: problems,
                bindings: Bindings::new(),
            }),
            _ => Err(AppError::Invalid {
                path,
                text,
                diagnostics: problems,
            }),
        }
    }

    /// Says where the app's resources are: those of a node's bindings that are of this app.
    #[must_use]
    pub fn bound(mut self, bindings: &[Binding]) -> Self {
        self.bindings = of_app(bindings, &self.directive.name);
        self
    }

    /// Where its resources are on this node.
    pub(crate) fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// Everything that can be told of an app without a node, whatever of it is wrong.
    ///
    /// # Errors
    /// Only when the Directive cannot be read.
    pub fn check(dir: &Path) -> Result<Checked, AppError> {
        let Parsed {
            path,
            text,
            directive,
            mut problems,
        } = read_directive(dir, &|_, _| false)?;
        let mut unbuilt = Vec::new();
        if let Some(directive) = directive {
            let app = Self {
                dir: dir.into(),
                text: text.clone(),
                directive,
                warnings: Vec::new(),
                bindings: Bindings::new(),
            };
            // Of a source that is not there that is told already.
            let missing = |name: &str| {
                let source = format!("spec.functions.{name}.source.");
                problems
                    .iter()
                    .any(|problem| problem.field.starts_with(&source))
            };
            let (found, not_built) = app.check_each(|name| !missing(name));
            unbuilt = not_built;
            problems.extend(found);
            Diagnostic::sort(&mut problems);
            Diagnostic::shorten(&mut problems);
        }
        Ok(Checked {
            path,
            text,
            problems,
            unbuilt,
        })
    }

    /// Checks that what is bound is a resource of the app, and that the functions that are wanted
    /// (one and those that it calls, or all) have every resource that they are granted.
    ///
    /// # Errors
    /// With all bindings that do not fit.
    pub(crate) fn check_bindings(&self, only: Option<&str>) -> Result<(), AppError> {
        let wanted = self.wanted(only);
        let found = misbindings(&self.bindings, &self.directive, wanted.values().copied());
        if found.is_empty() {
            Ok(())
        } else {
            Err(AppError::Bindings(found))
        }
    }

    /// The function asked for and those that it may call, or all.
    pub(crate) fn wanted<'a>(
        &'a self,
        only: Option<&'a str>,
    ) -> BTreeMap<&'a str, &'a FunctionSection> {
        let functions = &self.directive.functions;
        let Some(only) = only else {
            return functions.iter().map(|(n, f)| (n.as_str(), f)).collect();
        };
        let mut wanted = BTreeMap::new();
        let mut next = vec![only];
        while let Some(name) = next.pop() {
            if let Some((name, section)) = functions.get_key_value(name)
                && wanted.insert(name.as_str(), section).is_none()
            {
                next.extend(section.grants.functions.iter().map(String::as_str));
            }
        }
        wanted
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

    /// Checks the components that are there against the Directive: the problems in the
    /// file's order, and the functions that are not built.
    pub fn check_components(&self) -> (Vec<Diagnostic>, Vec<String>) {
        let (mut problems, unbuilt) = self.check_each(|_| true);
        Diagnostic::sort(&mut problems);
        Diagnostic::shorten(&mut problems);
        (problems, unbuilt)
    }

    fn check_each(&self, wanted: impl Fn(&str) -> bool) -> (Vec<Diagnostic>, Vec<String>) {
        let mut problems = Vec::new();
        let mut unbuilt = Vec::new();
        for (name, function) in &self.directive.functions {
            if !wanted(name) {
                continue;
            }
            match self.read_wasm(name, function) {
                Ok(wasm) => problems.extend(self.check_component(&wasm)),
                Err(Unusable::NotBuilt) => unbuilt.push(name.clone()),
                Err(unusable) => problems.push(self.unusable(name, function, &unusable)),
            }
        }
        (problems, unbuilt)
    }

    pub(crate) fn read_wasm(
        &self,
        name: &str,
        function: &FunctionSection,
    ) -> Result<Wasm, Unusable> {
        let path = self.wasm_path(name, function);
        let (bytes, id) =
            read_identified(&path, MAX_WASM).map_err(|error| match (&function.source, error) {
                (Source::Cargo(_), FileError::Io(error))
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    Unusable::NotBuilt
                }
                (_, error) => Unusable::Read(error),
            })?;
        let inspection = inspect(&bytes).map_err(Unusable::NotWasm)?;
        Ok(Wasm {
            function: name.to_owned(),
            path,
            facts: facts(&inspection),
            contents: Contents::Read { bytes, id },
        })
    }

    /// Says why a function's file is of no use.
    pub(crate) fn unusable(
        &self,
        name: &str,
        function: &FunctionSection,
        why: &Unusable,
    ) -> Diagnostic {
        let path = self.wasm_path(name, function);
        // As the Directive names it.
        let file = path.strip_prefix(&self.dir).unwrap_or(&path).display();
        let message = match why {
            Unusable::NotBuilt => format!("the function `{name}` is not built"),
            Unusable::Read(error) => {
                format!("the function `{name}` cannot be read: `{file}`: {error}")
            }
            Unusable::NotWasm(error) => {
                format!("the function `{name}` cannot be run: `{file}` is {error}")
            }
        };
        let told = match why {
            Unusable::NotWasm(error) => error.help(),
            Unusable::NotBuilt | Unusable::Read(_) => None,
        };
        let help = match &function.source {
            Source::Cargo(_) => format!("run `strand build {}`", self.dir.display()),
            Source::File(_) => told
                .unwrap_or("name a component or a core module that can be read")
                .to_owned(),
        };
        let field = format!("spec.functions.{name}.source");
        self.directive
            .problem(Severity::Error, field, message, Some(help))
    }

    pub(crate) fn check_component(&self, wasm: &Wasm) -> Vec<Diagnostic> {
        check_component(&self.directive, &wasm.function, &wasm.facts)
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

/// Reads the Directive in a folder, and looks whether the files that it names are there.
fn read_directive(dir: &Path, bound: &dyn Fn(&str, &str) -> bool) -> Result<Parsed, AppError> {
    let path = dir.join(DIRECTIVE_FILE);
    let text = read_text(&path, MAX_BYTES as u64).map_err(|source| AppError::Read {
        path: path.clone(),
        source,
    })?;
    let outcome = parse(&text);
    let mut problems = outcome.problems;
    if let Some(directive) = &outcome.directive {
        let kind = |relative: &str| file_kind(&dir.join(relative));
        let leads_out = |relative: &str| links::lead_out(dir, relative);
        let holds_directive = |relative: &str| links::lead_to_directive(dir, relative);
        let missing = check_files(directive, &kind, &leads_out, &holds_directive);
        problems.extend(missing.into_iter().filter(|problem| {
            let bucket = problem
                .field
                .strip_prefix("spec.resources.blobs.")
                .and_then(|rest| rest.strip_suffix(".dev"));
            !bucket.is_some_and(|bucket| bound(&directive.name, bucket))
        }));
        Diagnostic::sort(&mut problems);
        Diagnostic::shorten(&mut problems);
    }
    Ok(Parsed {
        path,
        text,
        directive: outcome.directive,
        problems,
    })
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
