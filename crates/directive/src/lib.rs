//! The Directive: the one file that says what an app is.
//!
//! [`parse`] reads the text of a `directive.yaml` and says everything that is wrong with it at
//! once; [`check_files`] and [`check_component`] compare it with the app's folder and with built
//! components, of which the caller tells. [`render`] shows what they say as cargo would, and
//! [`schema`] is for editors. Nothing here does I/O, so that all of it runs in a browser too.
//!
//! ```
//! let text = "
//! apiVersion: strand.dev/v1alpha1
//! kind: App
//! metadata: { name: hello }
//! spec:
//!   version: 0.1.0
//!   functions:
//!     hello: { source: { file: hello.wasm }, limits: { memory: 64M } }
//!   routes:
//!     - { path: /, function: hello }
//! ";
//! let outcome = strand_directive::parse(text);
//! assert!(outcome.directive.is_none());
//! assert_eq!(outcome.problems[0].message, "`64M` is not a size");
//! assert_eq!(outcome.problems[0].field, "spec.functions.hello.limits.memory");
//!
//! let mended = strand_directive::parse(&text.replace("64M", "64Mi")).directive;
//! assert_eq!(mended.map(|directive| directive.functions["hello"].limits.memory), Some(64 << 20));
//! ```

// A test that unwraps the wrong thing fails, which is what it is for.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod app_path;
mod component;
mod decode;
mod diagnostic;
mod files;
mod http_rule;
mod model;
mod names;
mod render;
mod route_path;
mod schema;
mod spans;
mod template;
mod text;
pub mod units;
mod yaml;

pub use component::{
    ComponentFacts, GrantKind, NeededGrant, check_component, needed_grants, unsupported,
};
pub use diagnostic::{Diagnostic, Invalid, Severity, Span};
pub use files::{FileKind, check_files};
pub use http_rule::{HostPattern, HttpRule, Scheme};
pub use model::{
    API_VERSION, Access, BlobResource, Command, Cors, DEFAULT_CACHE_CONTROL, DEFAULT_CONTENT_TYPE,
    Directive, Function, Grants, HeaderRules, Instance, KIND, Limits, Origins, Redirect, Resources,
    Route, RouteLimits, RouteTarget, Rules, Source, World,
};
pub use names::{MAX_NAME, near};
pub use render::render;
pub use route_path::{Captures, METHODS};
pub use schema::schema;
pub use spans::Spans;
pub use template::{MAX_TEMPLATE_BYTES, MissingValue, Template, Variable};
pub use yaml::MAX_BYTES;

/// Most problems that are told of one file; of the rest only the number is.
pub const MAX_PROBLEMS: usize = 100;

/// What came of reading a Directive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The Directive, if there is no error.
    pub directive: Option<Directive>,
    /// Errors and warnings in the file's order.
    pub problems: Vec<Diagnostic>,
}

/// Reads the text of a Directive.
///
/// Any text gives an outcome. What would take long or much memory is refused: more than 256 KiB,
/// 32 levels, 20,000 values (aliases counted as often as they are used) or 1,000 routes.
pub fn parse(text: &str) -> Outcome {
    let positions = text::Text::new(text);
    let mut problems = Vec::new();
    let root = yaml::read(text, &positions, &mut problems);
    if root.is_none() && problems.is_empty() {
        problems.push(Diagnostic {
            severity: Severity::Error,
            message: "the file is empty".to_owned(),
            field: String::new(),
            span: None,
            help: Some(format!(
                "a Directive starts with `apiVersion: {API_VERSION}`"
            )),
        });
    }
    let mut decoder = decode::Decoder::new(&positions, problems);
    let directive = root.and_then(|root| decode::app(&mut decoder, &root));
    let mut problems = decoder.problems;
    Diagnostic::sort(&mut problems);
    Diagnostic::shorten(&mut problems);
    Outcome {
        directive,
        problems,
    }
}
