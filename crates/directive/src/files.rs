//! Whether the files that a Directive names are there.

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Access, Directive, Route, RouteTarget, Source};
use crate::route_path::Captures;

/// What stands at a path in the app's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// Nothing, or nothing that can be read.
    Missing,
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// What to do about a folder with the Directive in it.
const APART: &str =
    "put what is public into a folder of its own, for example `./public`, and name that";

/// What to do about a file elsewhere.
const INSIDE: &str = "copy what it leads to into the app's folder; links are followed that are relative and stay in it";

/// Checks that the files of the app are there: sources, static files and folders for
/// development.
///
/// The others get paths as the model has them (relative to the app's folder, without `./`).
/// `exists` follows symbolic links. `leads_out` tells of a path that is there whether a link
/// on the way leads out of the folder, where nothing of an app may be: the gateway never follows
/// one, and a component is not read through one. `holds_directive` tells of one whether it is, or
/// leads to, the Directive's own file or a folder with that in it: who serves it gives `config` and
/// `env` away.
///
/// A folder for development may be missing if a function may write to it, because the node makes
/// it then; a missing one that is only read is an error of the field
/// `spec.resources.blobs.NAME.dev`, which whoever binds that resource to something else can
/// leave out.
pub fn check_files(
    directive: &Directive,
    exists: &dyn Fn(&str) -> FileKind,
    leads_out: &dyn Fn(&str) -> bool,
    holds_directive: &dyn Fn(&str) -> bool,
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let mut error = |field: String, message: String, help: &str| {
        problems.push(directive.problem(Severity::Error, field, message, Some(help.to_owned())));
    };
    for (name, resource) in &directive.resources.blobs {
        let Some(dev) = &resource.dev else { continue };
        let grants = || {
            directive
                .functions
                .values()
                .filter_map(|function| function.grants.blobs.get(name))
        };
        let written = grants().any(|access| access.contains(&Access::Write));
        let field = format!("spec.resources.blobs.{name}.dev");
        match exists(dev) {
            FileKind::Folder => {}
            FileKind::File => error(
                field,
                format!("`{dev}` is a file, but a bucket is a folder"),
                "name a folder",
            ),
            FileKind::Missing if grants().next().is_some() && !written => error(
                field,
                format!("there is no folder `{dev}`, and no function may write to `{name}`"),
                "make the folder; it is made for you only if a function may write to it",
            ),
            FileKind::Missing => {}
        }
    }
    for (name, function) in &directive.functions {
        let field = |kind: &str| format!("spec.functions.{name}.source.{kind}");
        match &function.source {
            Source::File(path) => match exists(path) {
                FileKind::File if leads_out(path) => error(
                    field("file"),
                    format!("a symbolic link leads from `{path}` out of the app's folder"),
                    INSIDE,
                ),
                FileKind::File => {}
                FileKind::Folder => error(
                    field("file"),
                    format!("`{path}` is a folder, but a component is a file"),
                    "name the file, or write `cargo:` if the folder holds a Cargo package",
                ),
                FileKind::Missing => error(
                    field("file"),
                    format!("there is no file `{path}`"),
                    "paths are relative to the folder of the Directive",
                ),
            },
            Source::Cargo(path) => {
                let manifest = join(path, "Cargo.toml");
                match (exists(path), exists(&manifest)) {
                    (FileKind::Folder, FileKind::File) => {}
                    (FileKind::Folder, _) => error(
                        field("cargo"),
                        format!("the folder `{path}` has no file `Cargo.toml`"),
                        "name the folder of a Cargo package",
                    ),
                    (FileKind::File, _) => error(
                        field("cargo"),
                        format!("`{path}` is a file, but a Cargo package is a folder"),
                        "name the folder, or write `file:` if it is a component",
                    ),
                    (FileKind::Missing, _) => error(
                        field("cargo"),
                        format!("there is no folder `{path}`"),
                        "paths are relative to the folder of the Directive",
                    ),
                }
            }
        }
    }
    for (
        index,
        Route {
            path: route,
            target,
            ..
        },
    ) in directive.routes.iter().enumerate()
    {
        let RouteTarget::Static(path) = target else {
            continue;
        };
        let field = format!("spec.routes[{index}].static");
        let outside = |path: &str| {
            format!(
                "a symbolic link leads from `{path}` out of the app's folder, so that it is never served"
            )
        };
        let given_away = |what: &str| {
            format!(
                "{what}, so that `{route}` gives it to everybody, with what stands in `config` and `env`"
            )
        };
        match (exists(path), Captures::of(route).rest) {
            (FileKind::Folder | FileKind::File, _) if leads_out(path) => {
                error(field, outside(path), INSIDE);
            }
            (FileKind::Folder, true) if holds_directive(path) => error(
                field,
                given_away(&format!("the folder `{path}` holds the Directive")),
                APART,
            ),
            (FileKind::File, false) if holds_directive(path) => error(
                field,
                given_away(&format!("`{path}` is the Directive")),
                APART,
            ),
            (FileKind::Folder, true) | (FileKind::File, false) => {}
            (FileKind::File, true) => error(
                field,
                format!("`{path}` is a file, but the route `{route}` serves a folder"),
                "name a folder, or remove the parameter from the route's path",
            ),
            (FileKind::Folder, false) => {
                let index = join(path, "index.html");
                if exists(&index) == FileKind::File {
                    if leads_out(&index) {
                        error(field, outside(&index), INSIDE);
                    } else if holds_directive(&index) {
                        error(
                            field,
                            given_away(&format!("`{index}` is the Directive")),
                            APART,
                        );
                    }
                } else {
                    error(
                        field,
                        format!(
                            "the folder `{path}` has no file `index.html`, which is all that `{route}` serves"
                        ),
                        "end the route's path in `/{*rest}` to serve the whole folder",
                    );
                }
            }
            (FileKind::Missing, _) => error(
                field,
                format!("there is no file or folder `{path}`"),
                "paths are relative to the folder of the Directive",
            ),
        }
    }
    Diagnostic::sort(&mut problems);
    problems
}

/// A file in a folder of the app.
fn join(folder: &str, file: &str) -> String {
    if folder == "." {
        file.to_owned()
    } else {
        format!("{folder}/{file}")
    }
}
