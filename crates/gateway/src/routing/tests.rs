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
        rules: strand_directive::Rules::default(),
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
        hosts: &[],
        routes: &routes,
    };
    RoutingTable::new([app], &Metrics::new())
}

/// The route's path and what it captured, or the problem.
fn found(table: &RoutingTable, method: &str, path: &str) -> String {
    match table.find(&Method::from_bytes(method.as_bytes()).unwrap(), "any", path) {
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
        "the routes `/a/{y}` of app `app` and `/a/{x}` of app `app` would take the same requests; \
         change one of the paths or its methods, or tell the apps apart by `spec.hosts`"
    );
    assert!(error(&[("/{a}{b}", "GET", "f")]).starts_with("the path `/{a}{b}` of a route"));
}

/// A table of apps with these hosts, each with these routes to functions.
fn sites(apps: &[(&str, &[&str], &[&str])]) -> Result<RoutingTable, RoutingError> {
    let apps: Vec<_> = apps
        .iter()
        .map(|(app, hosts, paths)| {
            let hosts: Vec<_> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let routes: Vec<_> = paths.iter().map(|path| route(path, "GET", "f")).collect();
            (*app, hosts, routes)
        })
        .collect();
    let apps = apps.iter().map(|(app, hosts, routes)| AppRoutes {
        app,
        folder: Path::new("."),
        hosts,
        routes,
    });
    RoutingTable::new(apps, &Metrics::new())
}

/// The app whose route takes a request, or the status.
fn app_at(table: &RoutingTable, host: &str, path: &str) -> String {
    match table.find(&Method::GET, host, path) {
        Ok(found) => table.entry(*found.value).app.to_string(),
        Err(problem) => problem.status().as_u16().to_string(),
    }
}

#[test]
fn hosts_tell_apps_apart() {
    let table = sites(&[
        ("one", &["one.example", "both.example"], &["/", "/a"]),
        ("two", &["two.example", "both.example"], &["/b"]),
        ("below", &["*.example"], &["/"]),
        ("deeper", &["*.deep.example", "x.deep.example"], &["/"]),
        ("other", &[], &["/", "/a"]),
    ])
    .unwrap();
    for (host, path, expected) in [
        ("one.example", "/", "one"),
        ("ONE.Example.", "/a", "one"),
        ("one.example", "/b", "404"),
        ("two.example", "/", "404"),
        ("both.example", "/a", "one"),
        ("both.example", "/b", "two"),
        ("three.example", "/", "below"),
        ("a.one.example", "/", "below"),
        ("deep.example", "/", "below"),
        ("x.deep.example", "/", "deeper"),
        ("y.x.deep.example", "/", "deeper"),
        ("example", "/a", "other"),
        ("127.0.0.1", "/", "other"),
        ("[::1]", "/", "other"),
        ("one.example.org", "/", "other"),
    ] {
        assert_eq!(app_at(&table, host, path), expected, "{host}{path}");
    }
}

/// Also where all hosts are names, or all are wildcards.
#[test]
fn hosts_of_one_kind_tell_apps_apart() {
    for hosts in ["one.example", "*.example"] {
        let table = sites(&[("one", &[hosts], &["/", "/a"]), ("other", &[], &["/"])]).unwrap();
        for (host, path, expected) in [
            ("one.example", "/", "one"),
            ("one.example", "/a", "one"),
            ("one.example.org", "/", "other"),
            ("one.example.org", "/a", "404"),
        ] {
            let found = app_at(&table, host, path);
            assert_eq!(found, expected, "{hosts}: {host}{path}");
        }
    }
}

#[test]
fn a_host_that_nobody_serves_is_told() {
    let table = sites(&[("one", &["one.example"], &["/"])]).unwrap();
    let problem = table.find(&Method::GET, "two.example", "/").unwrap_err();
    assert_eq!(problem.status(), 404);
    assert!(
        problem
            .to_string()
            .contains("serves the host `two.example`"),
        "{problem}"
    );
    // Not all of one that is very long.
    let long = "x".repeat(10_000);
    let problem = table.find(&Method::GET, &long, "/").unwrap_err();
    let told = problem.to_string();
    assert!(
        told.ends_with(&format!("`{}`", "x".repeat(MOST_OF_HOST))),
        "{told}"
    );
}

#[test]
fn apps_of_a_host_may_not_clash_and_others_may() {
    assert!(
        sites(&[
            ("a", &["a.example"], &["/x"]),
            ("b", &["b.example"], &["/x"])
        ])
        .is_ok()
    );
    assert!(
        sites(&[
            ("a", &["a.example"], &["/x"]),
            ("b", &["*.example"], &["/x"])
        ])
        .is_ok()
    );
    assert!(sites(&[("a", &[], &["/a/{*rest}"]), ("b", &[], &["/b/{*rest}"])]).is_ok());
    let clash = sites(&[
        ("a", &["c.example", "a.example"], &["/x/{y}"]),
        ("b", &["b.example", "a.example"], &["/x/{z}"]),
    ]);
    assert_eq!(
        clash.unwrap_err().to_string(),
        "the routes `/x/{z}` of app `b` and `/x/{y}` of app `a` would take the same requests; \
         change one of the paths or its methods, or tell the apps apart by `spec.hosts`"
    );
}

#[test]
fn a_missing_folder_is_said() {
    let routes = [route("/{*rest}", "*", "./public")];
    let app = AppRoutes {
        app: "app",
        folder: Path::new("/does/not/exist"),
        hosts: &[],
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
