//! Routes: paths, methods, targets, clashes, commands and their templates.

use expect_test::expect;

use crate::{app, check, routes};

#[test]
fn paths() {
    check(
        &routes(
            "- { path: reads, function: f }\n- { path: '', function: f }\n- { function: f }\n- { path: 5, function: f }",
        ),
        expect![[r#"
            error 10:15 |reads| spec.routes[0].path
              the path `reads` does not start with `/`
            error 11:15 |''| spec.routes[1].path
              the path `` does not start with `/`
            error 12:7 |{ function: f }| spec.routes[2].path
              `spec.routes[2]` lacks the field `path`
            error 13:15 |5| spec.routes[3].path
              `path` must be text, found the number `5`
                put it in quotes: `"5"`
        "#]],
    );
    check(
        &routes(
            "- { path: /a?x=1, function: f }\n- { path: '/a#b', function: f }\n- { path: /a b, function: f }\n- { path: /größe, function: f }\n- { path: /../x, function: f }\n- { path: /a/., function: f }",
        ),
        expect![[r#"
            error 10:15 |/a?x=1| spec.routes[0].path
              the path `/a?x=1` holds a `?` or `#`, which end a path
                a route matches the path alone; a command's arguments reach the query by `{query.NAME}`
            error 11:15 |'/a#b'| spec.routes[1].path
              the path `/a#b` holds a `?` or `#`, which end a path
                a route matches the path alone; a command's arguments reach the query by `{query.NAME}`
            error 12:15 |/a b| spec.routes[2].path
              the path `/a b` holds a ` ` that no request's path holds
                clients send it percent-encoded: write `%20`
            error 13:15 |/größe| spec.routes[3].path
              the path `/größe` holds a `ö` that no request's path holds
                clients send it percent-encoded: write `%C3%B6`
            error 14:15 |/../x| spec.routes[4].path
              the path `/../x` holds a `.` or `..` part, which clients resolve before they send it
            error 15:15 |/a/.| spec.routes[5].path
              the path `/a/.` holds a `.` or `..` part, which clients resolve before they send it
        "#]],
    );
    check(
        &routes(
            "- { path: '/%7euser', function: f }\n- { path: /%c3%bc, function: f }\n- { path: /100%, function: f }\n- { path: '/%4', function: f }\n- { path: '/%zz', function: f }\n- { path: '/%+1', function: f }\n- { path: '/%2E%2e/x', function: f }\n- { path: '/%€', function: f }\n- { path: /a%2Fb%20c, function: f }",
        ),
        expect![[r#"
            error 10:15 |'/%7euser'| spec.routes[0].path
              the path `/%7euser` is not in the form that requests are matched in
                write `~` in place of `%7e`
            error 11:15 |/%c3%bc| spec.routes[1].path
              the path `/%c3%bc` is not in the form that requests are matched in
                write `%C3` in place of `%c3`
            error 12:15 |/100%| spec.routes[2].path
              the path `/100%` holds a `%` that two hexadecimal digits do not follow
                a literal `%` is written `%25`
            error 13:15 |'/%4'| spec.routes[3].path
              the path `/%4` holds a `%` that two hexadecimal digits do not follow
                a literal `%` is written `%25`
            error 14:15 |'/%zz'| spec.routes[4].path
              the path `/%zz` holds a `%` that two hexadecimal digits do not follow
                a literal `%` is written `%25`
            error 15:15 |'/%+1'| spec.routes[5].path
              the path `/%+1` holds a `%` that two hexadecimal digits do not follow
                a literal `%` is written `%25`
            error 16:15 |'/%2E%2e/x'| spec.routes[6].path
              the path `/%2E%2e/x` is not in the form that requests are matched in
                write `.` in place of `%2E`
            error 17:15 |'/%€'| spec.routes[7].path
              the path `/%€` holds a `€` that no request's path holds
                clients send it percent-encoded: write `%E2%82%AC`
        "#]],
    );
    check(
        &routes(
            "- { path: '/:id', function: f }\n- { path: '/a/*rest', function: f }\n- { path: '/b/*', function: f }",
        ),
        expect![[r#"
            error 10:15 |'/:id'| spec.routes[0].path
              the path `/:id` has a part that looks like a parameter of another notation
                parameters are written `{id}`
            error 11:15 |'/a/*rest'| spec.routes[1].path
              the path `/a/*rest` has a part that looks like a parameter of another notation
                parameters are written `{*rest}`
            error 12:15 |'/b/*'| spec.routes[2].path
              the path `/b/*` has a part that looks like a parameter of another notation
                parameters are written `{*rest}`
        "#]],
    );
    check(
        &routes(
            "- { path: '/{}', function: f }\n- { path: '/{a', function: f }\n- { path: '/a}', function: f }\n- { path: '/{a}-{b}', function: f }\n- { path: '/{*r}/x', function: f }\n- { path: '/{a}/{a}', function: f }\n- { path: '/{a b}', function: f }\n- { path: '/{a.b}', function: f }\n- { path: '/{*}', function: f }",
        ),
        expect![[r#"
            error 10:15 |'/{}'| spec.routes[0].path
              the path `/{}` has a parameter that cannot be read
                parameters are `{NAME}` for one part and `{*NAME}` for the rest; a literal brace is doubled
            error 11:15 |'/{a'| spec.routes[1].path
              the path `/{a` has a parameter that cannot be read
                parameters are `{NAME}` for one part and `{*NAME}` for the rest; a literal brace is doubled
            error 12:15 |'/a}'| spec.routes[2].path
              the path `/a}` has a parameter that cannot be read
                parameters are `{NAME}` for one part and `{*NAME}` for the rest; a literal brace is doubled
            error 13:15 |'/{a}-{b}'| spec.routes[3].path
              the path `/{a}-{b}` has two parameters in one part
                put a `/` between them
            error 14:15 |'/{*r}/x'| spec.routes[4].path
              the path `/{*r}/x` has more after the parameter for the rest
                `{*NAME}` stands at the end, after a `/`
            error 15:15 |'/{a}/{a}'| spec.routes[5].path
              the path `/{a}/{a}` has two parameters named `a`
            error 16:15 |'/{a b}'| spec.routes[6].path
              the path `/{a b}` holds a ` ` that no request's path holds
                clients send it percent-encoded: write `%20`
            error 17:15 |'/{a.b}'| spec.routes[7].path
              the path `/{a.b}` has a parameter that cannot be read
                a parameter's name has letters, digits, `_` and `-`
            error 18:15 |'/{*}'| spec.routes[8].path
              the path `/{*}` has a parameter that cannot be read
                parameters are `{NAME}` for one part and `{*NAME}` for the rest; a literal brace is doubled
        "#]],
    );
    check(
        &routes(
            "- { path: '/{{x}}/img-{id}.png', function: f }\n- { path: '/', function: g }\n- { path: '/%C3%BC/', function: g }",
        ),
        expect![[""]],
    );
}

#[test]
fn their_number_is_bounded() {
    let many = |count: usize| {
        let entries: String = (0..count)
            .map(|i| format!("- {{ path: /{i}, function: f }}\n"))
            .collect();
        routes(&entries)
    };
    check(&many(1000), expect![[""]]);
    check(
        &many(1001),
        expect![[r#"
        error 9:3 |routes| spec.routes
          an app has at most 1000 routes, found 1001
            let a route with `{*rest}` take many of them
    "#]],
    );
}

#[test]
fn methods() {
    check(
        &routes(
            "- { path: /, methods: [GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS], function: f }",
        ),
        expect![[""]],
    );
    check(
        &routes("- { path: /, methods: [get, PSOT, BREW, 5, GET, GET], function: f }"),
        expect![[r#"
            error 10:28 |get| spec.routes[0].methods[0]
              unknown method `get`
                did you mean `GET`?
            error 10:33 |PSOT| spec.routes[0].methods[1]
              unknown method `PSOT`
                did you mean `POST`?
            error 10:39 |BREW| spec.routes[0].methods[2]
              unknown method `BREW`
                a route names `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE` or `OPTIONS`; without `methods` it takes every method
            error 10:45 |5| spec.routes[0].methods[3]
              `methods[3]` must be text, found the number `5`
                put it in quotes: `"5"`
            error 10:53 |GET| spec.routes[0].methods[5]
              `GET` is in the list twice
                remove one of them
        "#]],
    );
    check(
        &routes(
            "- { path: /, methods: [], function: f }\n- { path: /, methods: GET, function: f }",
        ),
        expect![[r#"
            error 10:18 |methods| spec.routes[0].methods
              the route takes no method
                name some, or remove `methods` to take all
            error 11:27 |GET| spec.routes[1].methods
              `methods` must be a list, found the text `GET`
        "#]],
    );
}

#[test]
fn targets() {
    check(
        &routes(
            "- { path: /a }\n- { path: /b, function: f, static: x }\n- path: /c\n  functon: f\n- [a]\n- x",
        ),
        expect![[r#"
            error 10:7 |{ path: /a }| spec.routes[0]
              a route must have one of `function`, `static` and `redirect`, this one has none
                `function` is the name of a function, `static` a folder or a file, `redirect` another place
            error 11:7 |{ path: /b, function: f, static: x }| spec.routes[1]
              a route must have one of `function`, `static` and `redirect`, this one has several
                `function` is the name of a function, `static` a folder or a file, `redirect` another place
            error 12:7 |path: /c| spec.routes[2]
              a route must have one of `function`, `static` and `redirect`, this one has none
                `function` is the name of a function, `static` a folder or a file, `redirect` another place
            error 13:7 |functon| spec.routes[2].functon
              unknown field `functon` in `spec.routes[2]`
                did you mean `function`?
            error 14:7 |[a]| spec.routes[3]
              `routes[3]` must be a mapping, found a list
            error 15:7 |x| spec.routes[4]
              `routes[4]` must be a mapping, found the text `x`
        "#]],
    );
    check(
        &routes(
            "- { path: /a, function: h }\n- { path: /b, function: ff }\n- { path: /c, function: [f] }",
        ),
        expect![[r#"
            error 10:29 |h| spec.routes[0].function
              there is no function `h`
                declare it in `spec.functions`, which has `f` and `g`
            error 11:29 |ff| spec.routes[1].function
              there is no function `ff`
                did you mean `f`?
            error 12:19 |function| spec.routes[2].function
              `function` must be text, found a list
        "#]],
    );
    check(
        &app("routes: [{ path: /, function: f }]"),
        expect![[r#"
        error 6:33 |f| spec.routes[0].function
          there is no function `f`
            declare it in `spec.functions`
    "#]],
    );
    check(
        &app("routes: { path: / }"),
        expect![[r#"
        error 6:3 |routes| spec.routes
          `routes` must be a list, found a mapping
    "#]],
    );
}

#[test]
fn static_files() {
    check(
        &routes(
            "- { path: '/a/{*rest}', static: ./public }\n- { path: /b, static: b.html, methods: [GET, HEAD] }",
        ),
        expect![[""]],
    );
    check(
        &routes(
            "- { path: '/{a}', static: ./public }\n- { path: '/{a}/{*rest}', static: ../public }\n- { path: /b, static: /etc/passwd }\n- { path: /c, static: x, methods: [GET, POST] }\n- { path: /d, static: x, command: {} }\n- { path: /e, static: '~/x' }",
        ),
        expect![[r#"
            error 10:15 |'/{a}'| spec.routes[0].path
              a route that serves files has a parameter other than one for the rest
                end the path in `/{*rest}` to serve a folder, or use no parameter
            error 11:15 |'/{a}/{*rest}'| spec.routes[1].path
              a route that serves files has a parameter other than one for the rest
                end the path in `/{*rest}` to serve a folder, or use no parameter
            error 11:39 |../public| spec.routes[1].static
              `../public` leaves the app's folder
                a path is relative to the app's folder and stays in it, for example `./public`
            error 12:27 |/etc/passwd| spec.routes[2].static
              `/etc/passwd` is an absolute path
                a path is relative to the app's folder and stays in it, for example `./public`
            error 13:30 |methods| spec.routes[3].methods
              files cannot be served to `POST`
                a route that serves files takes `GET` and `HEAD`
            error 14:30 |command| spec.routes[4].command
              `command` is for functions, but this route has none
                remove `command`
            error 15:27 |'~/x'| spec.routes[5].static
              `~/x` starts with `~`, which is not expanded here
                a path is relative to the app's folder and stays in it, for example `./public`
        "#]],
    );
}

#[test]
fn clashes() {
    check(
        &routes("- { path: /a, function: f }\n- { path: /a, function: g }"),
        expect![[r#"
            error 11:15 |/a| spec.routes[1].path
              the route `/a` clashes with an earlier route of the same path
                give one of them another path, or let `methods` tell them apart
        "#]],
    );
    check(
        &routes(
            "- { path: '/a/{x}', methods: [GET, PUT], function: f }\n- { path: '/a/{y}', methods: [PUT, POST], function: g }\n- { path: '/a/{*z}', methods: [GET], function: g }\n- { path: '/a/{x}', methods: [DELETE], function: g }\n- { path: /a/b, function: g }",
        ),
        expect![[r#"
            error 11:15 |'/a/{y}'| spec.routes[1].path
              the route `/a/{y}` clashes with the earlier route `/a/{x}` for PUT
                give one of them another path, or let `methods` tell them apart
            error 12:15 |'/a/{*z}'| spec.routes[2].path
              the route `/a/{*z}` clashes with the earlier route `/a/{x}` for GET
                give one of them another path, or let `methods` tell them apart
        "#]],
    );
    check(
        &routes(
            "- { path: '/a/{x}', function: f }\n- { path: '/a/{y}/b', function: f }\n- { path: '/a/{z}', methods: [OPTIONS], static: x }",
        ),
        expect![[r#"
            error 12:15 |'/a/{z}'| spec.routes[2].path
              a route that serves files has a parameter other than one for the rest
                end the path in `/{*rest}` to serve a folder, or use no parameter
            error 12:15 |'/a/{z}'| spec.routes[2].path
              the route `/a/{z}` clashes with the earlier route `/a/{x}` for GET
                give one of them another path, or let `methods` tell them apart
            error 12:25 |methods| spec.routes[2].methods
              files cannot be served to `OPTIONS`
                a route that serves files takes `GET` and `HEAD`
        "#]],
    );
}

#[test]
fn files_clash_by_get_alone() {
    check(
        &routes(
            "- { path: /a, static: a }\n- { path: /a, methods: [HEAD, POST], function: f }\n- { path: /b, methods: [HEAD], static: a }\n- { path: /b, methods: [HEAD], function: f }",
        ),
        expect![[""]],
    );
    check(
        &routes(
            "- { path: /a, static: a }\n- { path: /a, function: f }\n- { path: /a, static: b, methods: [HEAD] }\n- { path: /b, static: a, function: f }\n- { path: /b, methods: [PUT], function: f }",
        ),
        expect![[r#"
            error 11:15 |/a| spec.routes[1].path
              the route `/a` clashes with an earlier route of the same path for GET
                give one of them another path, or let `methods` tell them apart
            error 12:15 |/a| spec.routes[2].path
              the route `/a` clashes with an earlier route of the same path for GET
                give one of them another path, or let `methods` tell them apart
            error 13:7 |{ path: /b, static: a, function: f }| spec.routes[3]
              a route must have one of `function`, `static` and `redirect`, this one has several
                `function` is the name of a function, `static` a folder or a file, `redirect` another place
            error 14:15 |/b| spec.routes[4].path
              the route `/b` clashes with an earlier route of the same path for PUT
                give one of them another path, or let `methods` tell them apart
        "#]],
    );
}

#[test]
fn a_broken_route_clashes_as_well() {
    check(
        &routes("- { path: /a, function: nobody }\n- { path: /a, function: g }"),
        expect![[r#"
            error 10:29 |nobody| spec.routes[0].function
              there is no function `nobody`
                declare it in `spec.functions`, which has `f` and `g`
            error 11:15 |/a| spec.routes[1].path
              the route `/a` clashes with an earlier route of the same path
                give one of them another path, or let `methods` tell them apart
        "#]],
    );
}

#[test]
fn commands() {
    check(
        &routes("- { path: /, function: f, command: {} }"),
        expect![[""]],
    );
    check(
        &routes(
            "- { path: /, function: f, command: { args: [], contentType: text/plain; charset=utf-8 } }",
        ),
        expect![[""]],
    );
    check(
        &routes("- { path: /, function: f, command: { arg: [], content-type: x } }"),
        expect![[r#"
            error 10:42 |arg| spec.routes[0].command.arg
              unknown field `arg` in `spec.routes[0].command`
                did you mean `args`?
            error 10:51 |content-type| spec.routes[0].command.content-type
              unknown field `content-type` in `spec.routes[0].command`
                did you mean `contentType`?
        "#]],
    );
    check(
        &routes(
            "- { path: /a, function: f, command: [a] }\n- { path: /b, function: f, command: { args: a } }\n- { path: /c, function: f, command: { args: [1, true, ~, {}] } }",
        ),
        expect![[r#"
            error 10:32 |command| spec.routes[0].command
              `command` must be a mapping, found a list
            error 11:49 |a| spec.routes[1].command.args
              `args` must be a list, found the text `a`
            error 12:50 |1| spec.routes[2].command.args[0]
              `args[0]` must be text, found the number `1`
                put it in quotes: `"1"`
            error 12:53 |true| spec.routes[2].command.args[1]
              `args[1]` must be text, found the boolean `true`
                put it in quotes: `"true"`
            error 12:59 |~| spec.routes[2].command.args[2]
              `args[2]` must be text, found nothing
            error 12:62 |{}| spec.routes[2].command.args[3]
              `args[3]` must be text, found a mapping
        "#]],
    );
    check(
        &routes(
            "- { path: /a, function: f, command: { contentType: text } }\n- { path: /b, function: f, command: { contentType: \"a/b\\r\\nx: y\" } }\n- { path: /c, function: f, command: { contentType: /x } }\n- { path: /d, function: f, command: { contentType: \"a/b;\\nc\" } }\n- { path: /e, function: f, command: { contentType: a/ } }\n- { path: /f, function: f, command: { contentType: \"a/b ;x\" } }",
        ),
        expect![[r#"
            error 10:56 |text| spec.routes[0].command.contentType
              `text` is not a media type
                a media type is for example `text/plain` or `text/plain; charset=utf-8`
            error 11:56 |"a/b\r\nx: y"| spec.routes[1].command.contentType
              `a/b\r\nx: y` is not a media type
                a media type is for example `text/plain` or `text/plain; charset=utf-8`
            error 12:56 |/x| spec.routes[2].command.contentType
              `/x` is not a media type
                a media type is for example `text/plain` or `text/plain; charset=utf-8`
            error 13:56 |"a/b;\nc"| spec.routes[3].command.contentType
              `a/b;\nc` is not a media type
                a media type is for example `text/plain` or `text/plain; charset=utf-8`
            error 14:56 |a/| spec.routes[4].command.contentType
              `a/` is not a media type
                a media type is for example `text/plain` or `text/plain; charset=utf-8`
        "#]],
    );
    check(
        &routes(&format!(
            "- {{ path: /a, function: f, command: {{ args: [{}] }} }}\n- {{ path: /b, function: f, command: {{ args: [{}] }} }}",
            vec!["x"; 256].join(","),
            vec!["x"; 257].join(",")
        )),
        expect![[r#"
            error 11:43 |args| spec.routes[1].command.args
              a command has at most 256 arguments, found 257
        "#]],
    );
}

#[test]
fn templates() {
    check(
        &routes(
            "- { path: '/run/{tool}', function: f, command: { args: [\"{query.n=10}\", \"{path.tool}\", \"{{x}}\", \"{query.a.b}\"] } }",
        ),
        expect![[""]],
    );
    check(
        &routes(
            "- { path: '/run/{tool}', function: f, command: { args: [\"{path.tol}\", \"{path.other}\", \"{header.host}\", \"{body}\", \"{query.n\", \"n}\", \"{path.tool=x}\"] } }",
        ),
        expect![[r#"
            error 10:61 |"{path.tol}"| spec.routes[0].command.args[0]
              the route's path does not capture `tol`
                did you mean `{path.tool}`?
            error 10:75 |"{path.other}"| spec.routes[0].command.args[1]
              the route's path does not capture `other`
                the route's path captures `tool`
            error 10:91 |"{header.host}"| spec.routes[0].command.args[2]
              `{header.host}` is not known in a template
                a template takes `{query.NAME}`, `{query.NAME=DEFAULT}` and `{path.NAME}`
            error 10:108 |"{body}"| spec.routes[0].command.args[3]
              `{body}` is not known in a template
                a template takes `{query.NAME}`, `{query.NAME=DEFAULT}` and `{path.NAME}`
            error 10:118 |"{query.n"| spec.routes[0].command.args[4]
              `{` without `}` in `{query.n`
                a brace that is meant literally is written `{{`
            error 10:130 |"n}"| spec.routes[0].command.args[5]
              `}` without `{` in `n}`
                a brace that is meant literally is written `}}`
            error 10:136 |"{path.tool=x}"| spec.routes[0].command.args[6]
              `{path.tool=x}` has a default, but a part of the path is never missing
                write `{path.tool}`
        "#]],
    );
    check(
        &routes(
            "- { path: /run, function: f, command: { args: [\"a{path.x}\"] } }\n- { path: '/r/{*rest}', function: f, command: { args: [\"{path.rest}\", \"{path.*rest}\"] } }",
        ),
        expect![[r#"
            error 10:52 |"a{path.x}"| spec.routes[0].command.args[0]
              the route's path does not capture `x`
                the route's path captures nothing
            error 11:75 |"{path.*rest}"| spec.routes[1].command.args[1]
              the route's path does not capture `*rest`
                did you mean `{path.rest}`?
        "#]],
    );
    // What a broken path captures is not known, so nothing is said about it.
    check(
        &routes("- { path: 'run/{x}', function: f, command: { args: [\"{path.y}\"] } }"),
        expect![[r#"
            error 10:15 |'run/{x}'| spec.routes[0].path
              the path `run/{x}` does not start with `/`
        "#]],
    );
}

#[test]
fn commands_of_functions_that_are_none() {
    check(
        &app(
            "functions: { f: { source: { file: f.wasm }, world: http@0.2 }, g: { source: { file: f.wasm }, world: module } }\nroutes:\n  - { path: /f, function: f, command: {} }\n  - { path: /g, function: g, command: {} }",
        ),
        expect![[r#"
            error 8:32 |command| spec.routes[0].command
              `command` is for commands, but the function's world is `http@0.2`
                remove `command`, or the function's `world`
        "#]],
    );
}
