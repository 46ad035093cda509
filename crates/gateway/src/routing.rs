//! Which route takes a request.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use http::Method;
use matchit::{InsertError, Match, Router};
use strand_directive::{METHODS, Route, RouteTarget};
use strand_engine::{FunctionId, Problem};
use strand_telemetry::{Metrics, RouteMetrics};

use crate::command::Arguments;
use crate::static_files::Root;

/// Where a method stands that no route can name.
const OTHER: usize = METHODS.len();
const GET: usize = 0;
const HEAD: usize = 1;

/// An app's routes.
#[derive(Clone, Copy, Debug)]
pub struct AppRoutes<'a> {
    /// The app's name.
    pub app: &'a str,
    /// Its folder, which static files are in.
    pub folder: &'a std::path::Path,
    /// Its routes, as its Directive says them.
    pub routes: &'a [Route],
}

/// Why routes cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// Two routes take the same requests.
    #[error(
        "the routes `{path}` of app `{app}` and `{with}` would take the same requests; change one of the paths or its methods"
    )]
    Clash {
        /// The later route's app.
        app: String,
        /// The later route's path.
        path: String,
        /// The earlier route's path.
        with: String,
    },
    /// A path cannot be read.
    #[error("the path `{path}` of a route of app `{app}` cannot be read: {reason}")]
    Path {
        /// The app.
        app: String,
        /// The path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// A command's media type cannot stand in a header.
    #[error(
        "the route `{path}` of app `{app}` has the content type {content_type:?}, which cannot stand in a header"
    )]
    ContentType {
        /// The app.
        app: String,
        /// The route's path.
        path: String,
        /// The media type.
        content_type: String,
    },
    /// The app's folder cannot be opened.
    #[error("the folder {folder:?} of app `{app}` cannot be opened: {reason}")]
    Folder {
        /// The app.
        app: String,
        /// The folder.
        folder: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
}

/// What answers on a route.
#[derive(Debug)]
pub(crate) enum Target {
    Function {
        id: FunctionId,
        arguments: Option<Arguments>,
    },
    Static(Arc<Root>),
}

/// A route as requests meet it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) app: Arc<str>,
    pub(crate) path: String,
    pub(crate) target: Target,
    pub(crate) metrics: RouteMetrics,
}

/// All routes of all apps.
///
/// There is a router for each method, so that two routes may have paths that clash
/// if their methods do not. `HEAD` is also served by what serves `GET`, unless
/// another route takes it. A static route takes `GET` and `HEAD` alone; with
/// `{*rest}` in its path it also takes the path without the rest, which a function's
/// route does not.
pub struct RoutingTable {
    entries: Vec<Entry>,
    /// Indices of entries, by method.
    routers: [Router<usize>; METHODS.len() + 1],
    unmatched: RouteMetrics,
}

impl RoutingTable {
    /// Sets up the routes of apps, and their counters.
    ///
    /// # Errors
    /// When routes of two apps clash, a path or a media type cannot be read, or the
    /// folder of an app with static files cannot be opened.
    pub fn new<'a>(
        apps: impl IntoIterator<Item = AppRoutes<'a>>,
        metrics: &Metrics,
    ) -> Result<Self, RoutingError> {
        let mut table = Self {
            entries: Vec::new(),
            routers: std::array::from_fn(|_| Router::new()),
            unmatched: metrics.route("", "", ""),
        };
        let mut served_by_get = Vec::new();
        let mut without_rest = Vec::new();
        for app in apps {
            let name: Arc<str> = app.app.into();
            for route in app.routes {
                let target = target(&app, &name, route)?;
                let index = table.entries.len();
                let methods = match (&target, &route.methods) {
                    (Target::Static(_), _) => Some(vec![GET]),
                    (_, Some(names)) => Some(names.iter().map(|name| place(name)).collect()),
                    (_, None) => None,
                };
                for (place, router) in table.routers.iter_mut().enumerate() {
                    if methods
                        .as_ref()
                        .is_none_or(|methods| methods.contains(&place))
                    {
                        router
                            .insert(&route.path, index)
                            .map_err(|error| insert_error(app.app, &route.path, error))?;
                    }
                }
                if methods.is_some_and(|methods| methods.contains(&GET)) {
                    served_by_get.push((route.path.clone(), index));
                }
                if let (Target::Static(_), Some((prefix, _))) =
                    (&target, route.path.split_once("{*"))
                {
                    without_rest.push((prefix.to_owned(), index));
                    without_rest.push((prefix.trim_end_matches('/').to_owned(), index));
                }
                let function = match &target {
                    Target::Function { id, .. } => &*id.function,
                    Target::Static(_) => "",
                };
                table.entries.push(Entry {
                    metrics: metrics.route(app.app, function, &route.path),
                    app: Arc::clone(&name),
                    path: route.path.clone(),
                    target,
                });
            }
        }
        // These only take what no route takes: a clash is an answer, not an error.
        for (path, index) in served_by_get {
            let _ = table.routers[HEAD].insert(path, index);
        }
        for (path, index) in without_rest {
            if !path.is_empty() {
                let _ = table.routers[GET].insert(path.clone(), index);
                let _ = table.routers[HEAD].insert(path, index);
            }
        }
        Ok(table)
    }

    /// The route that takes a request, with what it captures, by its index.
    ///
    /// # Errors
    /// The problem: no route has that path, or none of them takes the method.
    pub(crate) fn find<'t, 'p>(
        &'t self,
        method: &Method,
        path: &'p str,
    ) -> Result<Match<'t, 'p, &'t usize>, Problem> {
        self.routers[place(method.as_str())]
            .at(path)
            .map_err(|_| self.not_found(path))
    }

    pub(crate) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// The counters of requests that no route takes.
    pub(crate) fn unmatched(&self) -> &RouteMetrics {
        &self.unmatched
    }

    fn not_found(&self, path: &str) -> Problem {
        let allowed: Vec<&str> = METHODS
            .iter()
            .zip(&self.routers)
            .filter(|(_, router)| router.at(path).is_ok())
            .map(|(method, _)| *method)
            .collect();
        if allowed.is_empty() {
            return Problem::new(
                strand_engine::Kind::NotFound,
                "no route of this node has that path",
            );
        }
        let allow = allowed.join(", ");
        let detail = format!("this path takes {allow}");
        Problem::new(strand_engine::Kind::MethodNotAllowed { allow }, detail)
    }
}

impl fmt::Debug for RoutingTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingTable")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// Where a method's router is.
fn place(method: &str) -> usize {
    METHODS
        .iter()
        .position(|name| *name == method)
        .unwrap_or(OTHER)
}

fn target(app: &AppRoutes<'_>, name: &Arc<str>, route: &Route) -> Result<Target, RoutingError> {
    match &route.target {
        RouteTarget::Function { name: own, command } => {
            let arguments = command.as_ref().map(|command| {
                Arguments::new(command).ok_or_else(|| RoutingError::ContentType {
                    app: app.app.to_owned(),
                    path: route.path.clone(),
                    content_type: command.content_type.clone(),
                })
            });
            Ok(Target::Function {
                id: FunctionId {
                    app: Arc::clone(name),
                    function: own.as_str().into(),
                },
                arguments: arguments.transpose()?,
            })
        }
        RouteTarget::Static(path) => {
            let folder =
                Dir::open_ambient_dir(app.folder, ambient_authority()).map_err(|reason| {
                    RoutingError::Folder {
                        app: app.app.to_owned(),
                        folder: app.folder.to_owned(),
                        reason,
                    }
                })?;
            let has_rest = route.path.contains("{*");
            Ok(Target::Static(Arc::new(Root::new(folder, path, has_rest))))
        }
    }
}

fn insert_error(app: &str, path: &str, error: InsertError) -> RoutingError {
    match error {
        InsertError::Conflict { with } => RoutingError::Clash {
            app: app.to_owned(),
            path: path.to_owned(),
            with,
        },
        error => RoutingError::Path {
            app: app.to_owned(),
            path: path.to_owned(),
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn route(path: &str, methods: &str, target: &str) -> Route {
        Route {
            path: path.to_owned(),
            methods: (methods != "*").then(|| methods.split(',').map(str::to_owned).collect()),
            target: match target.strip_prefix("./") {
                Some(folder) => RouteTarget::Static(folder.to_owned()),
                None => RouteTarget::Function {
                    name: target.to_owned(),
                    command: None,
                },
            },
        }
    }

    fn table(routes: &[(&str, &str, &str)]) -> Result<RoutingTable, RoutingError> {
        let routes: Vec<Route> = routes
            .iter()
            .map(|(path, methods, target)| route(path, methods, target))
            .collect();
        let app = AppRoutes {
            app: "app",
            folder: Path::new("."),
            routes: &routes,
        };
        RoutingTable::new([app], &Metrics::new())
    }

    /// The route's path and what it captured, or the problem.
    fn found(table: &RoutingTable, method: &str, path: &str) -> String {
        match table.find(&Method::from_bytes(method.as_bytes()).unwrap(), path) {
            Ok(found) => {
                let captured: Vec<String> = found
                    .params
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"))
                    .collect();
                format!("{}{}", table.entry(*found.value).path, captured.concat())
            }
            Err(problem) => match problem.kind() {
                strand_engine::Kind::MethodNotAllowed { allow } => format!("405 {allow}"),
                _ => problem.status().as_u16().to_string(),
            },
        }
    }

    #[test]
    fn requests_find_their_route() {
        let table = table(&[
            ("/", "GET", "home"),
            ("/reads", "GET", "simulate"),
            ("/reads", "POST", "upload"),
            ("/run/{tool}", "*", "wc"),
            ("/run/all", "GET,HEAD", "all"),
            ("/files/{*rest}", "PUT", "put"),
            ("/assets/{*rest}", "*", "./public"),
            ("/both/{x}", "GET", "get"),
            ("/both/{y}", "HEAD", "head"),
            ("/%C3%A4", "GET", "umlaut"),
        ])
        .unwrap();
        for (method, path, expected) in [
            ("GET", "/", "/"),
            ("HEAD", "/", "/"),
            ("POST", "/", "405 GET, HEAD"),
            ("GET", "/reads", "/reads"),
            ("HEAD", "/reads", "/reads"),
            ("POST", "/reads", "/reads"),
            ("DELETE", "/reads", "405 GET, HEAD, POST"),
            ("BREW", "/reads", "405 GET, HEAD, POST"),
            ("GET", "/reads/", "404"),
            ("GET", "/READS", "404"),
            ("GET", "/run/wc", "/run/{tool} tool=wc"),
            ("BREW", "/run/wc", "/run/{tool} tool=wc"),
            ("GET", "/run/all", "/run/all"),
            ("POST", "/run/all", "/run/{tool} tool=all"),
            ("GET", "/run/", "404"),
            ("GET", "/run/a/b", "404"),
            ("PUT", "/files/a/b", "/files/{*rest} rest=a/b"),
            ("PUT", "/files/", "404"),
            ("GET", "/files/a", "405 PUT"),
            ("GET", "/assets/a/b.css", "/assets/{*rest} rest=a/b.css"),
            ("HEAD", "/assets/a", "/assets/{*rest} rest=a"),
            ("GET", "/assets/", "/assets/{*rest}"),
            ("GET", "/assets", "/assets/{*rest}"),
            ("POST", "/assets/a", "405 GET, HEAD"),
            ("GET", "/both/1", "/both/{x} x=1"),
            ("HEAD", "/both/1", "/both/{y} y=1"),
            ("GET", "/%C3%A4", "/%C3%A4"),
            ("GET", "*", "404"),
            ("GET", "", "404"),
        ] {
            assert_eq!(found(&table, method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_static_root_leaves_the_app_its_home() {
        let table = table(&[("/", "GET", "home"), ("/{*rest}", "*", "./public")]).unwrap();
        assert_eq!(found(&table, "GET", "/"), "/");
        assert_eq!(found(&table, "GET", "/a"), "/{*rest} rest=a");
        let table = super::tests::table(&[("/{*rest}", "*", "./public")]).unwrap();
        assert_eq!(found(&table, "GET", "/"), "/{*rest}");
        assert_eq!(found(&table, "HEAD", "/"), "/{*rest}");
    }

    #[test]
    fn routes_of_two_apps_may_not_clash() {
        let error = |routes: &[(&str, &str, &str)]| table(routes).unwrap_err().to_string();
        assert_eq!(
            error(&[("/a/{x}", "GET", "f"), ("/a/{y}", "*", "g")]),
            "the routes `/a/{y}` of app `app` and `/a/{x}` would take the same requests; change one of the paths or its methods"
        );
        assert!(error(&[("/{a}{b}", "GET", "f")]).starts_with("the path `/{a}{b}` of a route"));
    }

    #[test]
    fn a_missing_folder_is_said() {
        let routes = [route("/{*rest}", "*", "./public")];
        let app = AppRoutes {
            app: "app",
            folder: Path::new("/does/not/exist"),
            routes: &routes,
        };
        let error = RoutingTable::new([app], &Metrics::new()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the folder \"/does/not/exist\" of app `app` cannot be opened: "),
            "{error}"
        );
    }
}
