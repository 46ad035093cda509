//! What a route says beside its target: redirects, CORS, header fields, limits.

use std::time::Duration;

use expect_test::expect;
use strand_directive::{
    Cors, HeaderRules, Origins, Redirect, RouteLimits, RouteTarget, Rules, parse,
};

use crate::schema::agrees;
use crate::{app, check, routes};

/// The rules and targets of routes that are right.
#[track_caller]
fn decoded(text: &str) -> Vec<(RouteTarget, Rules)> {
    let outcome = parse(&routes(text));
    assert!(outcome.problems.is_empty(), "{:#?}", outcome.problems);
    let routes = outcome.directive.unwrap().routes.into_iter();
    routes.map(|route| (route.target, route.rules)).collect()
}

#[test]
fn what_is_said_is_what_is_meant() {
    let found = decoded(
        "- { path: /a, function: f, cors: { origins: ['https://a.example', 'http://localhost:3000'], headers: [X-Token], expose: [X-Total], credentials: true, maxAge: 1h }, headers: { set: { X-Frame-Options: DENY }, remove: [Server] }, limits: { body: 1Ki, wall: 2s }, compress: true }\n\
         - { path: /b, function: f, cors: { origins: ['*'] } }\n\
         - { path: /c, static: c, cacheControl: 'public, max-age=60' }\n\
         - { path: /d, static: d, compress: false }\n\
         - { path: /e, function: f, cacheControl: no-store }\n\
         - { path: /f, function: f, cors: { origins: ['*'], maxAge: 0s } }\n\
         - { path: /g, function: f, cors: { origins: ['*'], maxAge: 24h } }",
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let (_, all) = &found[0];
    let Some(Cors {
        origins: Origins::Of(origins),
        ..
    }) = &all.cors
    else {
        panic!("{all:?}");
    };
    let shown: Vec<String> = origins.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["https://a.example", "http://localhost:3000"]);
    assert_eq!(
        *all,
        Rules {
            cors: Some(Cors {
                origins: Origins::Of(origins.clone()),
                headers: names(&["x-token"]),
                expose: names(&["x-total"]),
                credentials: true,
                max_age: Duration::from_secs(3600),
            }),
            headers: HeaderRules {
                set: [("x-frame-options".to_owned(), "DENY".to_owned())].into(),
                remove: names(&["server"]),
            },
            limits: RouteLimits {
                body: Some(1024),
                wall: Some(Duration::from_secs(2)),
            },
            compress: true,
            cache_control: None,
        }
    );
    let cors = found[1].1.cors.as_ref().unwrap();
    assert_eq!(
        (&cors.origins, cors.max_age),
        (&Origins::Any, Cors::MAX_AGE)
    );
    assert!(!cors.credentials && !found[1].1.compress);
    assert_eq!(
        found[2].1.cache_control.as_deref(),
        Some("public, max-age=60")
    );
    assert!(found[2].1.compress && !found[3].1.compress);
    assert_eq!(found[4].1.cache_control.as_deref(), Some("no-store"));
    for (index, seconds) in [(5, 0), (6, 24 * 3600)] {
        let cors = found[index].1.cors.as_ref().unwrap();
        assert_eq!(cors.max_age, Duration::from_secs(seconds));
    }
}

#[test]
fn places_to_go_to() {
    let found = decoded(
        "- { path: '/a/{*rest}', redirect: { to: '/b/{path.rest}' } }\n\
         - { path: /, redirect: { to: 'https://example.org', status: 308 } }\n\
         - { path: '/c/{id}', redirect: { to: 'http://example.org:81/?id={path.id}#x' } }\n\
         - { path: /d, redirect: { to: 'http://[::1]:8080/' } }\n\
         - { path: /e, redirect: { to: 'https://127.0.0.1' } }",
    );
    let statuses: Vec<u16> = found
        .iter()
        .map(|(target, _)| match target {
            RouteTarget::Redirect(redirect) => redirect.status,
            _ => panic!("{target:?}"),
        })
        .collect();
    let usual = Redirect::STATUS;
    assert_eq!(statuses, [usual, 308, usual, usual, usual]);
    check(
        &routes(
            "- { path: /a, redirect: {} }\n\
             - { path: '/b/{id}', redirect: { to: '/c/{path.ix}' } }\n\
             - { path: /c, redirect: { to: '/c?x={query.x}' } }\n\
             - { path: /d, redirect: { to: new } }\n\
             - { path: /e, redirect: { to: //example.org/ } }\n\
             - { path: /f, redirect: { to: '/\\example.org' } }\n\
             - { path: '/g/{x}', redirect: { to: 'https://{path.x}/' } }\n\
             - { path: '/h/{x}', redirect: { to: 'https://example.org{path.x}' } }\n\
             - { path: '/i/{x}', redirect: { to: 'https://example.org?{path.x}' } }\n\
             - { path: '/j/{x}', redirect: { to: '{path.x}' } }\n\
             - { path: /k, redirect: { to: 'https://user@example.org/' } }\n\
             - { path: /l, redirect: { to: '/größe' } }\n\
             - { path: /m, redirect: { to: \"/a\\r\\nset-cookie: a=b\" } }\n\
             - { path: /n, redirect: { to: 'javascript:alert(1)' } }\n\
             - { path: /o, redirect: { to: /p, status: 200 } }\n\
             - { path: /p, redirect: { to: /q, status: '308' } }\n\
             - { path: /q, redirect: { to: /r, code: 308 } }\n\
             - { path: /r, redirect: { to: /s }, compress: true, limits: { body: 1 }, cacheControl: no-store }\n\
             - { path: /s, redirect: { to: /t }, function: f }\n\
             - { path: /t, redirect: { to: /u }, command: {} }\n\
             - { path: /u, redirect: { to: 'https://:80/' } }\n\
             - { path: /v, redirect: { to: 'https://[x/' } }\n\
             - { path: /w, redirect: { to: 'https://a:https/' } }\n\
             - { path: /x, redirect: { to: 'https://a:99999/' } }\n\
             - { path: /y, redirect: { to: 'https://a:/' } }\n\
             - { path: /z, redirect: { to: 'https://*.example.org/' } }\n\
             - { path: /0, redirect: { to: 'https://127.1/' } }",
        ),
        expect![[r#"
            error 10:19 |redirect| spec.routes[0].redirect.to
              `spec.routes[0].redirect` lacks the field `to`
            error 11:42 |'/c/{path.ix}'| spec.routes[1].redirect.to
              the route's path does not capture `ix`
                did you mean `{path.id}`?
            error 12:35 |'/c?x={query.x}'| spec.routes[2].redirect.to
              a redirect cannot hold `{query.x}`
                the request's query goes along by itself, unless there is one in `to`
            error 13:35 |new| spec.routes[3].redirect.to
              `new` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 14:35 |//example.org/| spec.routes[4].redirect.to
              `//example.org/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 15:35 |'/\example.org'| spec.routes[5].redirect.to
              `/\example.org` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 16:41 |'https://{path.x}/'| spec.routes[6].redirect.to
              `https://{path.x}/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 17:41 |'https://example.org{path.x}'| spec.routes[7].redirect.to
              `https://example.org{path.x}` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 18:41 |'https://example.org?{path.x}'| spec.routes[8].redirect.to
              `https://example.org?{path.x}` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 19:41 |'{path.x}'| spec.routes[9].redirect.to
              `{path.x}` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 20:35 |'https://user@example.org/'| spec.routes[10].redirect.to
              `https://user@example.org/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 21:35 |'/größe'| spec.routes[11].redirect.to
              `/größe` holds a 'ö'
                other characters than visible ASCII ones are percent-encoded
            error 22:35 |"/a\r\nset-cookie: a=b"| spec.routes[12].redirect.to
              `/a\r\nset-cookie: a=b` holds a '\r'
                other characters than visible ASCII ones are percent-encoded
            error 23:35 |'javascript:alert(1)'| spec.routes[13].redirect.to
              `javascript:alert(1)` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 24:47 |200| spec.routes[14].redirect.status
              a redirect has the status `301`, `302`, `303`, `307` or `308`
                301 and 308 are for good; 307 and 308 keep the method
            error 25:47 |'308'| spec.routes[15].redirect.status
              `status` must be a status such as `308`, found the text `308`
            error 26:39 |code| spec.routes[16].redirect.code
              unknown field `code` in `spec.routes[16].redirect`
                the fields here are `to` and `status`
            error 27:51 |true| spec.routes[17].compress
              a redirect has no body to compress
                remove `compress`
            error 27:57 |limits| spec.routes[17].limits
              `limits` are for functions
                remove `limits`
            error 27:92 |no-store| spec.routes[17].cacheControl
              `cacheControl` is for files and functions: of a redirect `headers` says it
                remove `cacheControl`
            error 28:7 |{ path: /s, redirect: { to: /t }, function: f }| spec.routes[18]
              a route must have one of `function`, `static` and `redirect`, this one has several
                `function` is the name of a function, `static` a folder or a file, `redirect` another place
            error 29:41 |command| spec.routes[19].command
              `command` is for functions, but this route has none
                remove `command`
            error 30:35 |'https://:80/'| spec.routes[20].redirect.to
              `https://:80/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 31:35 |'https://[x/'| spec.routes[21].redirect.to
              `https://[x/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 32:35 |'https://a:https/'| spec.routes[22].redirect.to
              `https://a:https/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 33:35 |'https://a:99999/'| spec.routes[23].redirect.to
              `https://a:99999/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 34:35 |'https://a:/'| spec.routes[24].redirect.to
              `https://a:/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 35:35 |'https://*.example.org/'| spec.routes[25].redirect.to
              `https://*.example.org/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
            error 36:35 |'https://127.1/'| spec.routes[26].redirect.to
              `https://127.1/` is no place to go to
                write a path such as `/new/{path.rest}`, or a URL whose host stands there: `https://HOST/…`
        "#]],
    );
}

#[test]
fn pages_of_other_origins() {
    check(
        &routes(
            "- { path: /a, function: f, cors: {} }\n\
             - { path: /b, function: f, cors: { origins: [] } }\n\
             - { path: /c, function: f, cors: { origins: '*' } }\n\
             - { path: /d, function: f, cors: { origins: ['*', 'https://a.example'] } }\n\
             - { path: /e, function: f, cors: { origins: ['null'] } }\n\
             - { path: /f, function: f, cors: { origins: ['a.example', 'https://a.example/x', 'https://a.example', 'https://A.example'] } }\n\
             - { path: /g, function: f, cors: { origins: ['*'], credentials: true } }\n\
             - { path: /h, function: f, cors: { origins: ['https://a.example'], credentials: 'yes' } }\n\
             - { path: /i, function: f, cors: { origins: ['https://a.example'], headers: ['*'], expose: [a b, X, x] } }\n\
             - { path: /j, function: f, cors: { origins: ['https://a.example'], maxAge: 25h } }\n\
             - { path: /k, function: f, cors: { origin: ['https://a.example'] } }\n\
             - { path: /l, function: f, cors: true }\n\
             - { path: /m, function: f, cors: { origins: ['https://a.example'], maxAge: 500ms } }\n\
             - { path: /n, function: f, cors: { origins: ['https://a.example'], maxAge: 3600 } }",
        ),
        expect![[r#"
            error 10:32 |cors| spec.routes[0].cors.origins
              `spec.routes[0].cors` lacks the field `origins`
            error 11:40 |origins| spec.routes[1].cors.origins
              `origins` has 1 to 100 entries, found 0
                name the origins of the pages, or `"*"` for all
            error 12:49 |'*'| spec.routes[2].cors.origins
              `origins` must be a list, found the text `*`
            error 13:50 |'*'| spec.routes[3].cors.origins[0]
              `*` stands for all origins, so that no other can be named
                remove it, or the others
            error 14:50 |'null'| spec.routes[4].cors.origins[0]
              the origin `null` is that of any page without one
                a page in a sandbox or from a file cannot be told from others: name no such origin
            error 15:50 |'a.example'| spec.routes[5].cors.origins[0]
              `a.example` is not a rule for HTTP: it has no scheme
                an origin is `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 15:63 |'https://a.example/x'| spec.routes[5].cors.origins[1]
              `https://a.example/x` names a path: a rule covers a whole host
                an origin is `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 15:107 |'https://A.example'| spec.routes[5].cors.origins[3]
              `https://a.example` is in the list twice
                remove one of them
            error 16:69 |true| spec.routes[6].cors.credentials
              pages of all origins would act with their visitors' cookies
                name the origins, or remove `credentials`
            error 17:85 |'yes'| spec.routes[7].cors.credentials
              `credentials` must be `true` or `false`, found the text `yes`
            error 18:97 |a b| spec.routes[8].cors.expose[0]
              `a b` is not the name of a header field
                a name has letters, digits and `-`, and at most 64 of them
            error 18:105 |x| spec.routes[8].cors.expose[2]
              `x` is in the list twice
                remove one of them
            error 19:80 |25h| spec.routes[9].cors.maxAge
              `maxAge` must be from `0s` to `24h`, found `25h`
            error 20:32 |cors| spec.routes[10].cors.origins
              `spec.routes[10].cors` lacks the field `origins`
            error 20:40 |origin| spec.routes[10].cors.origin
              unknown field `origin` in `spec.routes[10].cors`
                did you mean `origins`?
            error 21:38 |true| spec.routes[11].cors
              `cors` must be a mapping, found the boolean `true`
            error 22:80 |500ms| spec.routes[12].cors.maxAge
              `maxAge` is told to browsers in whole seconds, found `500ms`
                write `1s`, for example; with `0s` they remember nothing
            error 23:80 |3600| spec.routes[13].cors.maxAge
              `3600` is not a duration
                did you mean `1h`? the units are `ms`, `s`, `m` and `h`
        "#]],
    );
}

#[test]
fn fields_of_answers() {
    check(
        &routes(
            "- { path: /a, function: f, headers: { set: { Content-Length: '1', X-Request-Id: a, Transfer-Encoding: chunked } } }\n\
             - { path: /b, function: f, headers: { set: { x a: b, '': c } } }\n\
             - { path: /c, function: f, headers: { set: { x: '', y: ' a', z: \"a\\r\\nb: c\", w: 'ä' } } }\n\
             - { path: /d, function: f, headers: { set: { X-A: a, x-a: b } } }\n\
             - { path: /e, function: f, headers: { remove: [date, x y, a, A] } }\n\
             - { path: /f, function: f, cors: { origins: ['*'] }, headers: { set: { Access-Control-Allow-Origin: '*' } } }\n\
             - { path: /g, function: f, headers: { set: [a], remove: b, add: c } }\n\
             - { path: /h, function: f, headers: { set: { x: 1 } } }",
        ),
        expect![[r#"
            error 10:50 |Content-Length| spec.routes[0].headers.set.Content-Length
              the field `Content-Length` is not for a route to say: it is what the answer's body has
                remove it
            error 10:71 |X-Request-Id| spec.routes[0].headers.set.X-Request-Id
              the field `X-Request-Id` is not for a route to say: it names the request
                remove it
            error 10:88 |Transfer-Encoding| spec.routes[0].headers.set.Transfer-Encoding
              the field `Transfer-Encoding` is not for a route to say: it is of the connection, not of the answer
                remove it
            error 11:50 |x a| spec.routes[1].headers.set."x a"
              `x a` is not the name of a header field
                a name has letters, digits and `-`, and at most 64 of them
            error 11:58 |''| spec.routes[1].headers.set.""
              `` is not the name of a header field
                a name has letters, digits and `-`, and at most 64 of them
            error 12:53 |''| spec.routes[2].headers.set.x
              `` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 12:60 |' a'| spec.routes[2].headers.set.y
              ` a` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 12:69 |"a\r\nb: c"| spec.routes[2].headers.set.z
              `a\r\nb: c` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 12:85 |'ä'| spec.routes[2].headers.set.w
              `ä` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 13:58 |x-a| spec.routes[3].headers.set.x-a
              the field `x-a` is there twice
                letter case makes no difference; remove one of them
            error 14:52 |date| spec.routes[4].headers.remove[0]
              the field `date` is not for a route to say: the node sets it
                remove it
            error 14:58 |x y| spec.routes[4].headers.remove[1]
              `x y` is not the name of a header field
                a name has letters, digits and `-`, and at most 64 of them
            error 14:66 |A| spec.routes[4].headers.remove[3]
              `a` is in the list twice
                remove one of them
            error 15:76 |Access-Control-Allow-Origin| spec.routes[5].headers.set.Access-Control-Allow-Origin
              the field `Access-Control-Allow-Origin` is not for a route to say: `cors` says it
                remove it, or `cors`
            error 16:43 |set| spec.routes[6].headers.set
              `set` must be a mapping, found a list
            error 16:61 |b| spec.routes[6].headers.remove
              `remove` must be a list, found the text `b`
            error 16:64 |add| spec.routes[6].headers.add
              unknown field `add` in `spec.routes[6].headers`
                the fields here are `set` and `remove`
            error 17:53 |1| spec.routes[7].headers.set.x
              `x` must be text, found the number `1`
                put it in quotes: `"1"`
        "#]],
    );
}

/// What is said of a route that says this beside its function.
#[track_caller]
fn said(fields: &str) -> Vec<String> {
    let text = routes(&format!("- {{ path: /, function: f, {fields} }}"));
    let outcome = parse(&text);
    agrees(&text, &outcome);
    let problems = outcome.problems.into_iter();
    problems.map(|problem| problem.message).collect()
}

#[test]
fn what_the_gateway_says_is_not_for_a_route() {
    for name in [
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "content-encoding",
        "content-range",
        "date",
        "vary",
        "x-request-id",
    ] {
        for fields in [
            format!("headers: {{ set: {{ {name}: a }} }}"),
            format!("headers: {{ remove: [{name}] }}"),
        ] {
            let said = said(&fields);
            let expected = format!("the field `{name}` is not for a route to say: ");
            assert!(
                said.len() == 1 && said[0].starts_with(&expected),
                "{fields}: {said:?}"
            );
        }
    }
    // Of CORS a route may say what it likes, in one way.
    let cors = "cors: { origins: ['*'] }";
    for fields in [
        "headers: { set: { access-control-max-age: '5' } }",
        "headers: { remove: [Access-Control-Allow-Origin] }",
    ] {
        assert!(said(fields).is_empty(), "{fields}");
        let said = said(&format!("{cors}, {fields}"));
        assert!(
            said.len() == 1 && said[0].ends_with("is not for a route to say: `cors` says it"),
            "{fields}: {said:?}"
        );
    }
}

#[test]
fn lists_are_bounded() {
    for (fields, entry, expected) in [
        (
            "cors: { origins: [_] }",
            "'https://aN.example'",
            "`origins` has 1 to 100 entries, found 101",
        ),
        (
            "cors: { origins: ['*'], headers: [_] }",
            "xN",
            "`headers` has at most 100 fields, found 101",
        ),
        (
            "cors: { origins: ['*'], expose: [_] }",
            "xN",
            "`expose` has at most 100 fields, found 101",
        ),
        (
            "headers: { remove: [_] }",
            "xN",
            "`remove` has at most 100 fields, found 101",
        ),
        (
            "headers: { set: { _ } }",
            "xN: a",
            "`set` has at most 100 fields, found 101",
        ),
    ] {
        let with = |count: usize| {
            let entry = |number: usize| entry.replace('N', &number.to_string());
            let entries: Vec<String> = (0..count).map(entry).collect();
            said(&fields.replace('_', &entries.join(", ")))
        };
        assert_eq!(with(100), Vec::<String>::new());
        assert_eq!(with(101), [expected]);
    }
}

#[test]
fn names_and_values_are_bounded() {
    let set = |name: usize, value: usize| {
        let (name, value) = ("x".repeat(name), "v".repeat(value));
        said(&format!("headers: {{ set: {{ {name}: {value} }} }}"))
    };
    assert_eq!(set(64, 4096), Vec::<String>::new());
    let too_long = "the value has 4097 bytes, at most 4096 are allowed";
    assert_eq!(set(64, 4097), [too_long]);
    let no_name = set(65, 1);
    assert!(
        no_name.len() == 1 && no_name[0].ends_with("is not the name of a header field"),
        "{no_name:?}"
    );
    let cache_control = |value: usize| said(&format!("cacheControl: {}", "v".repeat(value)));
    assert_eq!(cache_control(4096), Vec::<String>::new());
    assert_eq!(cache_control(4097), [too_long]);
}

#[test]
fn limits_and_the_rest() {
    check(
        &routes(
            "- { path: /a, function: f, limits: { body: 9Mi, wall: 61s } }\n\
             - { path: /b, function: f, limits: { body: 8Mi, wall: 60s } }\n\
             - { path: /c, function: f, limits: { memory: 1Mi } }\n\
             - { path: /d, function: f, limits: { body: 1x, wall: 5 } }\n\
             - { path: /e, static: e, limits: { body: 1 } }\n\
             - { path: /f, function: f, cacheControl: '' }\n\
             - { path: /g, static: g, cacheControl: \"a\\nb\" }\n\
             - { path: /h, function: f, compress: gzip }",
        ),
        expect![[r#"
            error 10:48 |9Mi| spec.routes[0].limits.body
              `body` is above `8Mi`, the limit of `f` (its default)
                raise `spec.functions.f.limits.body`, or lower this: a route can only lower what its function has
            error 10:59 |61s| spec.routes[0].limits.wall
              `wall` is above `1m`, the limit of `f` (its default)
                raise `spec.functions.f.limits.wall`, or lower this: a route can only lower what its function has
            error 12:42 |memory| spec.routes[2].limits.memory
              unknown field `memory` in `spec.routes[2].limits`
                the fields here are `body` and `wall`
            error 13:48 |1x| spec.routes[3].limits.body
              `1x` is not a size
                write a whole number and a unit; the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 13:58 |5| spec.routes[3].limits.wall
              `5` is not a duration
                did you mean `5s`? the units are `ms`, `s`, `m` and `h`
            error 14:30 |limits| spec.routes[4].limits
              `limits` are for functions
                remove `limits`
            error 15:46 |''| spec.routes[5].cacheControl
              `` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 16:44 |"a\nb"| spec.routes[6].cacheControl
              `a\nb` cannot stand in a header field
                a value has visible ASCII characters, with spaces between them at most
            error 17:42 |gzip| spec.routes[7].compress
              `compress` must be `true` or `false`, found the text `gzip`
        "#]],
    );
}

/// The functions stand behind the routes, as they may; one has its limits from an alias.
#[test]
fn limits_above_what_the_function_says() {
    check(
        &app(
            "routes:\n  - { path: /a, function: f, limits: { body: 17Ki, wall: 61s } }\n  - { path: /b, function: g, limits: { body: 17Ki, wall: 6s } }\nfunctions:\n  f: { source: { file: f.wasm }, limits: &small { body: 16Ki } }\n  g: { source: { file: g.wasm }, limits: *small }",
        ),
        expect![[r#"
            error 7:48 |17Ki| spec.routes[0].limits.body
              `body` is above `16Ki`, the limit of `f`
                raise `spec.functions.f.limits.body`, or lower this: a route can only lower what its function has
            error 7:60 |61s| spec.routes[0].limits.wall
              `wall` is above `1m`, the limit of `f` (its default)
                raise `spec.functions.f.limits.wall`, or lower this: a route can only lower what its function has
            error 8:48 |17Ki| spec.routes[1].limits.body
              `body` is above `16Ki`, the limit of `g`
                raise `spec.functions.g.limits.body`, or lower this: a route can only lower what its function has
        "#]],
    );
}
