//! What a resource of a Directive is on this node: `--bind [APP/]blobs.NAME=WHERE`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

use strand_blobstore::Unbound;
use strand_directive::{Directive, Function, near};

/// Where a bucket's blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobLocation {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 server, and a prefix in it (without slashes around it).
    S3 {
        /// The bucket.
        bucket: String,
        /// The prefix; empty for the whole bucket.
        prefix: String,
    },
    /// Memory that is gone when the node ends.
    Memory,
}

/// One `--bind`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The app whose resource it is; a node that serves one app need not say.
    pub app: Option<String>,
    /// The resource's name.
    pub name: String,
    /// Where its blobs are.
    pub location: BlobLocation,
}

/// Why a binding is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BindingError {
    /// Not of the form.
    #[error("`{0}` is not of the form `blobs.NAME=WHERE` or `APP/blobs.NAME=WHERE`")]
    Form(String),
    /// A kind of resource that there is not.
    #[error("`{0}` is no kind of resource; there is `blobs`")]
    Kind(String),
    /// A place that there is not.
    #[error(
        "`{0}` is no place for blobs: a folder, `s3://BUCKET` or `s3://BUCKET/PREFIX`, or `memory:`"
    )]
    Location(String),
}

impl Binding {
    /// Whether it is of an app's resource, as far as it says.
    pub fn is_of(&self, app: &str) -> bool {
        self.app.as_deref().is_none_or(|of| of == app)
    }
}

impl FromStr for Binding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let form = || BindingError::Form(text.to_owned());
        let (resource, location) = text.split_once('=').ok_or_else(form)?;
        let (app, resource) = match resource.split_once('/') {
            Some((app, resource)) => (Some(app), resource),
            None => (None, resource),
        };
        let (kind, name) = resource.split_once('.').ok_or_else(form)?;
        if kind != "blobs" {
            return Err(BindingError::Kind(kind.to_owned()));
        }
        if name.is_empty() || app.is_some_and(str::is_empty) {
            return Err(form());
        }
        Ok(Self {
            app: app.map(str::to_owned),
            name: name.to_owned(),
            location: location.parse()?,
        })
    }
}

impl FromStr for BlobLocation {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let wrong = || BindingError::Location(text.to_owned());
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(wrong());
            }
            return Ok(Self::S3 {
                bucket: bucket.to_owned(),
                prefix: prefix.trim_matches('/').to_owned(),
            });
        }
        let path = text.strip_prefix("file://").unwrap_or(text);
        if path.is_empty() || path.contains("://") {
            return Err(wrong());
        }
        Ok(Self::Folder(path.into()))
    }
}

/// The bindings of an app, by the resource's name.
pub(crate) type Bindings = BTreeMap<String, BlobLocation>;

/// Those of a node's bindings that are of this app.
pub(crate) fn of_app(bindings: &[Binding], app: &str) -> Bindings {
    bindings
        .iter()
        .filter(|binding| binding.is_of(app))
        .map(|binding| (binding.name.clone(), binding.location.clone()))
        .collect()
}

/// A binding that an app has no use for, or one that it lacks.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Misbinding {
    /// The app has no resource of that name.
    #[error("`--bind blobs.{name}=…`: {}", unknown(.app, .meant.as_deref(), .there))]
    Unknown {
        /// The name.
        name: String,
        /// The app.
        app: String,
        /// The resource that was probably meant.
        meant: Option<String>,
        /// The resources that there are.
        there: Vec<String>,
    },
    /// A function is granted a resource that has no place.
    #[error(transparent)]
    Unbound(#[from] Unbound),
}

fn unknown(app: &str, meant: Option<&str>, there: &[String]) -> String {
    let guess = meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
    if there.is_empty() {
        format!("the app `{app}` has no resources")
    } else {
        let there: Vec<String> = there.iter().map(|name| format!("`{name}`")).collect();
        format!(
            "the app `{app}` has no such resource{guess} (there is {})",
            there.join(", ")
        )
    }
}

/// What does not fit between bindings and the functions that are to run.
pub(crate) fn misbindings<'a>(
    bindings: &Bindings,
    directive: &Directive,
    functions: impl IntoIterator<Item = &'a Function>,
) -> Vec<Misbinding> {
    let there = &directive.resources.blobs;
    let unknown = bindings.keys().filter(|name| !there.contains_key(*name));
    let mut found: Vec<Misbinding> = unknown
        .map(|name| Misbinding::Unknown {
            name: name.clone(),
            app: directive.name.clone(),
            meant: near(name, there.keys().map(String::as_str)).map(str::to_owned),
            there: there.keys().cloned().collect(),
        })
        .collect();
    let granted: BTreeSet<&String> = functions
        .into_iter()
        .flat_map(|function| function.grants.blobs.keys())
        .collect();
    let has_place = |name: &String| {
        bindings.contains_key(name) || there.get(name).is_some_and(|blobs| blobs.dev.is_some())
    };
    found.extend(
        granted
            .into_iter()
            .filter(|name| !has_place(name))
            .map(|name| Unbound(name.clone()).into()),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let s3 = |bucket: &str, prefix: &str| BlobLocation::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        for (text, location) in [
            ("blobs.g=s3://b", s3("b", "")),
            ("blobs.g=s3://b/", s3("b", "")),
            ("blobs.g=s3://b/p/q/", s3("b", "p/q")),
            ("blobs.g=memory:", BlobLocation::Memory),
            ("blobs.g=./x", BlobLocation::Folder("./x".into())),
            ("blobs.g=file:///x", BlobLocation::Folder("/x".into())),
            ("blobs.g=a=b", BlobLocation::Folder("a=b".into())),
        ] {
            let binding: Binding = text.parse().expect(text);
            let expected = (None, "g", location.clone());
            let found = (binding.app, binding.name.as_str(), binding.location);
            assert_eq!(found, expected);
            let of_an_app: Binding = format!("reads/{text}").parse().expect(text);
            assert_eq!(
                (of_an_app.app.as_deref(), of_an_app.location),
                (Some("reads"), location)
            );
        }
    }

    #[test]
    fn bindings_fit_the_app() {
        let text = "
apiVersion: strand.dev/v1alpha1
kind: App
metadata: { name: reads }
spec:
  version: 0.1.0
  resources: { blobs: { genomes: { dev: g }, cache: {}, spare: {} } }
  functions:
    f: { source: { file: f }, grants: { blobs: { genomes: [read], cache: [write] } } }
    g: { source: { file: g }, grants: { blobs: { genomes: [read] } } }
  routes: [{ path: /, function: f }, { path: /g, function: g }]
";
        let directive = strand_directive::parse(text).directive.expect("valid");
        let said = |bound: &[&str], functions: &[&str]| -> Vec<String> {
            let bindings = bound
                .iter()
                .map(|name| ((*name).to_owned(), BlobLocation::Memory));
            let functions = functions.iter().map(|name| &directive.functions[*name]);
            misbindings(&bindings.collect(), &directive, functions)
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(said(&["cache", "spare"], &["f", "g"]), [""; 0]);
        // Only what is wanted needs a place.
        assert_eq!(said(&[], &["g"]), [""; 0]);
        assert_eq!(
            said(&["genoms", "x"], &["f"]),
            [
                "`--bind blobs.genoms=…`: the app `reads` has no such resource; did you mean \
                 `genomes`? (there is `cache`, `genomes`, `spare`)",
                "`--bind blobs.x=…`: the app `reads` has no such resource (there is `cache`, \
                 `genomes`, `spare`)",
                "`blobs.cache` has no place on this node: bind it (`--bind \
                 blobs.cache=s3://BUCKET/PREFIX`), or give it a folder for development \
                 (`spec.resources.blobs.cache.dev`)",
            ]
        );
        let mut bare = directive.clone();
        bare.resources.blobs.clear();
        let bindings = [("x".to_owned(), BlobLocation::Memory)].into();
        assert_eq!(
            misbindings(&bindings, &bare, [])[0].to_string(),
            "`--bind blobs.x=…`: the app `reads` has no resources"
        );
    }

    #[test]
    fn what_is_no_binding() {
        for (text, error) in [
            ("", BindingError::Form(String::new())),
            ("blobs=x", BindingError::Form("blobs=x".into())),
            ("blobs.=x", BindingError::Form("blobs.=x".into())),
            ("kv.g=x", BindingError::Kind("kv".into())),
            ("blobs.g=", BindingError::Location(String::new())),
            ("blobs.g=s3://", BindingError::Location("s3://".into())),
            ("blobs.g=gs://b", BindingError::Location("gs://b".into())),
        ] {
            assert_eq!(text.parse::<Binding>().expect_err(text), error);
        }
    }
}
