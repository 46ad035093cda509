//! Which route takes a request.

use std::borrow::Cow;
use std::collections::HashMap;
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
use crate::redirect::Redirect;
use crate::rules::Rules;
use crate::static_files::Root;

/// Where a method stands that no route can name.
const OTHER: usize = METHODS.len();
const GET: usize = 0;
const HEAD: usize = 1;

/// Characters of a host that are told.
const MOST_OF_HOST: usize = 100;

/// An app's routes.
#[derive(Clone, Copy, Debug)]
pub struct AppRoutes<'a> {
    /// The app's name.
    pub app: &'a str,
    /// Its folder, which static files are in.
    pub folder: &'a std::path::Path,
    /// The hosts that it serves, as its Directive says them: names, or `*.` and a name for
    /// all names below that. Without any it serves all that no other app is for.
    pub hosts: &'a [String],
    /// Its routes, as its Directive says them.
    pub routes: &'a [Route],
}

/// Why routes cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RoutingError {
    /// Two routes take the same requests.
    #[error(
        "the routes `{path}` of app `{app}` and `{with}` of app `{other}` would take the same requests; \
         change one of the paths or its methods, or tell the apps apart by `spec.hosts`"
    )]
    Clash {
        /// The later route's app.
        app: String,
        /// The later route's path.
        path: String,
        /// The earlier route's app.
        other: String,
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
    /// What a route says cannot stand in an answer's head.
    #[error(
        "the route `{path}` of app `{app}` has the `{field}` {text:?}, which no answer can have"
    )]
    Unfit {
        /// The app.
        app: String,
        /// The route's path.
        path: String,
        /// What of the route it is.
        field: &'static str,
        /// What it says.
        text: String,
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
    Redirect(Redirect),
}

/// A route as requests meet it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) app: Arc<str>,
    pub(crate) path: String,
    pub(crate) target: Target,
    /// What else there is to do for it.
    pub(crate) rules: Option<Rules>,
    pub(crate) metrics: RouteMetrics,
}

/// All routes of all apps.
///
/// Each host that an app names has a site: the routes of all apps that name it. A request
/// goes to the site of its host, else to that of the longest `*.` that it is below, else to
/// that of the apps which name none; and nowhere else, whatever routes other sites have.
pub struct RoutingTable {
    entries: Vec<Entry>,
    sites: Vec<Site>,
    /// Sites by host.
    names: HashMap<String, usize>,
    /// Sites by what follows the `*`: a dot and a name.
    below: HashMap<String, usize>,
    /// The site of the apps that name no host.
    any: Option<usize>,
    unmatched: RouteMetrics,
}

/// The routes of some apps together, as indices of entries.
///
/// There is a router for each method, so that two routes may have paths that clash
/// if their methods do not. `HEAD` is also served by what serves `GET`, unless
/// another route takes it. A static route takes `GET` and `HEAD` alone; with
/// `{*rest}` in its path it also takes the path without the rest, which a function's
/// route does not.
#[derive(Default)]
struct Site {
    /// By method.
    routers: [Router<usize>; METHODS.len() + 1],
    /// What only takes what no route takes: paths and their entries.
    served_by_get: Vec<(String, usize)>,
    without_rest: Vec<(String, usize)>,
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
            sites: Vec::new(),
            names: HashMap::new(),
            below: HashMap::new(),
            any: None,
            unmatched: metrics.route("", "", ""),
        };
        for app in apps {
            let sites = table.sites_of(app.hosts);
            let name: Arc<str> = app.app.into();
            for route in app.routes {
                let target = target(&app, &name, route)?;
                for site in &sites {
                    table.insert(*site, app.app, route, &target)?;
                }
                let function = match &target {
                    Target::Function { id, .. } => &*id.function,
                    Target::Static(_) | Target::Redirect(_) => "",
                };
                let rules = Rules::new(&route.rules, matches!(target, Target::Static(_)));
                table.entries.push(Entry {
                    metrics: metrics.route(app.app, function, &route.path),
                    app: Arc::clone(&name),
                    path: route.path.clone(),
                    rules: rules.map_err(|error| unfit(&app, route, error.field, error.text))?,
                    target,
                });
            }
        }
        table.sites.iter_mut().for_each(Site::finish);
        Ok(table)
    }

    /// The sites of hosts, made if they are not there.
    fn sites_of(&mut self, hosts: &[String]) -> Vec<usize> {
        let sites = &mut self.sites;
        let mut new = || {
            sites.push(Site::default());
            sites.len() - 1
        };
        if hosts.is_empty() {
            return vec![*self.any.get_or_insert_with(new)];
        }
        hosts
            .iter()
            .map(|host| match host.strip_prefix('*') {
                Some(below) => *self.below.entry(below.to_owned()).or_insert_with(&mut new),
                None => *self.names.entry(host.clone()).or_insert_with(&mut new),
            })
            .collect()
    }

    /// Adds the route that is the next entry to a site.
    fn insert(
        &mut self,
        site: usize,
        app: &str,
        route: &Route,
        target: &Target,
    ) -> Result<(), RoutingError> {
        let index = self.entries.len();
        let (entries, site) = (&self.entries, &mut self.sites[site]);
        let methods = match (target, &route.methods) {
            (Target::Static(_), _) => Some(vec![GET]),
            (_, Some(names)) => Some(names.iter().map(|name| place(name)).collect()),
            (_, None) => None,
        };
        let takes = |place: &usize| methods.as_ref().is_none_or(|list| list.contains(place));
        for place in (0..site.routers.len()).filter(takes) {
            let router = &mut site.routers[place];
            if let Err(error) = router.insert(&route.path, index) {
                let other = |with: &str| {
                    let entry = router.at(with).map(|found| &*entries[*found.value].app);
                    entry.unwrap_or(app).to_owned()
                };
                return Err(insert_error(app, &route.path, error, other));
            }
        }
        if methods.is_some_and(|methods| methods.contains(&GET)) {
            site.served_by_get.push((route.path.clone(), index));
        }
        if let (Target::Static(_), Some((prefix, _))) = (target, route.path.split_once("{*")) {
            site.without_rest.push((prefix.to_owned(), index));
            let without_slash = prefix.trim_end_matches('/');
            site.without_rest.push((without_slash.to_owned(), index));
        }
        Ok(())
    }

    /// The route that takes a request, with what it captures, by its index.
    ///
    /// # Errors
    /// The problem: no route has that path, or none of them takes the method.
    pub(crate) fn find<'t, 'p>(
        &'t self,
        method: &Method,
        host: &str,
        path: &'p str,
    ) -> Result<Match<'t, 'p, &'t usize>, Problem> {
        let Some(site) = self.site(host) else {
            let host: String = host.chars().take(MOST_OF_HOST).collect();
            let detail = format!("no app of this node serves the host `{host}`");
            return Err(Problem::new(strand_engine::Kind::NotFound, detail));
        };
        site.routers[place(method.as_str())]
            .at(path)
            .map_err(|_| site.not_found(path))
    }

    /// The site of a host, which may have letters of either case and a dot at its end.
    fn site(&self, host: &str) -> Option<&Site> {
        let any = self.any.map(|index| &self.sites[index]);
        if self.names.is_empty() && self.below.is_empty() {
            return any;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        let host = if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        let mut parents = host.match_indices('.').map(|(at, _)| &host[at..]);
        let named = self.names.get(&*host);
        named
            .or_else(|| parents.find_map(|parent| self.below.get(parent)))
            .map(|index| &self.sites[*index])
            .or(any)
    }

    pub(crate) fn entry(&self, index: usize) -> &Entry {
        &self.entries[index]
    }

    /// The app of each entry.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &Arc<str>> {
        self.entries.iter().map(|entry| &entry.app)
    }

    /// The counters of requests that no route takes.
    pub(crate) fn unmatched(&self) -> &RouteMetrics {
        &self.unmatched
    }
}

impl Site {
    /// Adds what only takes what no route takes: a clash is an answer, not an error.
    fn finish(&mut self) {
        for (path, index) in self.served_by_get.drain(..) {
            let _ = self.routers[HEAD].insert(path, index);
        }
        for (path, index) in self.without_rest.drain(..) {
            if !path.is_empty() {
                let _ = self.routers[GET].insert(path.clone(), index);
                let _ = self.routers[HEAD].insert(path, index);
            }
        }
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
                let text = || command.content_type.clone();
                Arguments::new(command)
                    .ok_or_else(|| unfit(app, route, "command.contentType", text()))
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
        RouteTarget::Redirect(redirect) => Redirect::new(redirect)
            .map(Target::Redirect)
            .ok_or_else(|| unfit(app, route, "redirect.status", redirect.status.to_string())),
    }
}

fn unfit(app: &AppRoutes<'_>, route: &Route, field: &'static str, text: String) -> RoutingError {
    RoutingError::Unfit {
        app: app.app.to_owned(),
        path: route.path.clone(),
        field,
        text,
    }
}

fn insert_error(
    app: &str,
    path: &str,
    error: InsertError,
    app_of: impl Fn(&str) -> String,
) -> RoutingError {
    match error {
        InsertError::Conflict { with } => RoutingError::Clash {
            app: app.to_owned(),
            path: path.to_owned(),
            other: app_of(&with),
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
mod tests;
