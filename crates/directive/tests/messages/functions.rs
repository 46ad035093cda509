//! Functions: source, world, instances, configuration, environment.

use expect_test::expect;

use crate::{app, check, function};

#[test]
fn sections() {
    check(
        &app("functions: []"),
        expect![[r#"
        error 6:3 |functions| spec.functions
          `functions` must be a mapping, found a list
    "#]],
    );
    check(
        &app("functions:\n  f: f.wasm\n  g: {}\n  h:\nroutes: [{ path: /, function: f }]"),
        expect![[r#"
            error 7:8 |f.wasm| spec.functions.f
              `f` must be a mapping, found the text `f.wasm`
            error 8:5 |g| spec.functions.g.source
              `spec.functions.g` lacks the field `source`
            warning 8:5 |g| spec.functions.g
              no route leads to the function `g` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 9:5 |h| spec.functions.h
              `h` must be a mapping, found nothing
            warning 9:5 |h| spec.functions.h
              no route leads to the function `h` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
        "#]],
    );
    check(
        &function("enviroment: {}\nlimit: {}\nfoo: 1"),
        expect![[r#"
            error 9:7 |enviroment| spec.functions.f.enviroment
              unknown field `enviroment` in `spec.functions.f`
                the fields here are `source`, `world`, `weight`, `limits`, `instance`, `grants`, `config` and `env`
            error 10:7 |limit| spec.functions.f.limit
              unknown field `limit` in `spec.functions.f`
                did you mean `limits`?
            error 11:7 |foo| spec.functions.f.foo
              unknown field `foo` in `spec.functions.f`
                the fields here are `source`, `world`, `weight`, `limits`, `instance`, `grants`, `config` and `env`
        "#]],
    );
}

#[test]
fn sources() {
    check(
        &app(
            "functions:\n  a: { source: { cargo: a, file: b } }\n  b: { source: {} }\n  c: { source: c.wasm }\n  d: { source: { file: /d.wasm } }\n  e: { source: { cargo: ../e } }\n  g: { source: { files: x } }\n  h: { source: { file: 5 } }\n  i: { source: { file: 'a\\b' } }",
        ),
        expect![[r#"
            warning 7:5 |a| spec.functions.a
              no route leads to the function `a` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 7:10 |source| spec.functions.a.source
              `source` must have either `cargo` or `file`, it has both
                `cargo` is the folder of a Cargo package, `file` a component or module
            warning 8:5 |b| spec.functions.b
              no route leads to the function `b` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 8:10 |source| spec.functions.b.source
              `source` must have either `cargo` or `file`, it has neither
                `cargo` is the folder of a Cargo package, `file` a component or module
            warning 9:5 |c| spec.functions.c
              no route leads to the function `c` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 9:18 |c.wasm| spec.functions.c.source
              `source` must be a mapping, found the text `c.wasm`
            warning 10:5 |d| spec.functions.d
              no route leads to the function `d` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 10:26 |/d.wasm| spec.functions.d.source.file
              `/d.wasm` is an absolute path
                a path is relative to the app's folder and stays in it, for example `./public`
            warning 11:5 |e| spec.functions.e
              no route leads to the function `e` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 11:27 |../e| spec.functions.e.source.cargo
              `../e` leaves the app's folder
                a path is relative to the app's folder and stays in it, for example `./public`
            warning 12:5 |g| spec.functions.g
              no route leads to the function `g` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 12:10 |source| spec.functions.g.source
              `source` must have either `cargo` or `file`, it has neither
                `cargo` is the folder of a Cargo package, `file` a component or module
            error 12:20 |files| spec.functions.g.source.files
              unknown field `files` in `spec.functions.g.source`
                did you mean `file`?
            warning 13:5 |h| spec.functions.h
              no route leads to the function `h` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 13:26 |5| spec.functions.h.source.file
              `file` must be text, found the number `5`
                put it in quotes: `"5"`
            warning 14:5 |i| spec.functions.i
              no route leads to the function `i` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 14:26 |'a\b'| spec.functions.i.source.file
              `a\b` has a backslash: the separator is `/`
                a path is relative to the app's folder and stays in it, for example `./public`
        "#]],
    );
}

#[test]
fn worlds() {
    check(&function("world: http@0.2"), expect![[""]]);
    check(
        &function("world: http@0.4"),
        expect![[r#"
        error 9:14 |http@0.4| spec.functions.f.world
          unknown world `http@0.4`
            did you mean `http@0.3`?
    "#]],
    );
    check(
        &function("world: proxy"),
        expect![[r#"
        error 9:14 |proxy| spec.functions.f.world
          unknown world `proxy`
            the worlds are `http@0.3`, `http@0.2`, `task`, `command@0.3`, `command@0.2` and `module`
    "#]],
    );
    check(
        &function("world: 0.2"),
        expect![[r#"
        error 9:14 |0.2| spec.functions.f.world
          `world` must be text, found the number `0.2`
            put it in quotes: `"0.2"`
    "#]],
    );
}

#[test]
fn instances() {
    check(
        &function("instance: { reuse: 128, concurrency: 16 }"),
        expect![[""]],
    );
    check(
        &function("instance: { reuse: 16, concurrency: 16 }"),
        expect![[""]],
    );
    check(
        &function("instance: { concurrency: 2 }"),
        expect![[r#"
        error 9:32 |2| spec.functions.f.instance.concurrency
          an instance cannot serve 2 requests at once when it serves 1 in all
            set `reuse` to at least 2, or lower `concurrency`
    "#]],
    );
    check(
        &function("instance: { reuse: 8, concurrency: 16 }"),
        expect![[r#"
            error 9:42 |16| spec.functions.f.instance.concurrency
              an instance cannot serve 16 requests at once when it serves 8 in all
                set `reuse` to at least 16, or lower `concurrency`
        "#]],
    );
    check(
        &function("instance: { reuse: 0, concurrency: 0 }"),
        expect![[r#"
            error 9:26 |0| spec.functions.f.instance.reuse
              `reuse` must be from `1` to `1000000`, found `0`
            error 9:42 |0| spec.functions.f.instance.concurrency
              `concurrency` must be from `1` to `1024`, found `0`
        "#]],
    );
    check(
        &function("instance: { reuse: 1000001, concurrency: 1025 }"),
        expect![[r#"
            error 9:26 |1000001| spec.functions.f.instance.reuse
              `reuse` must be from `1` to `1000000`, found `1000001`
            error 9:48 |1025| spec.functions.f.instance.concurrency
              `concurrency` must be from `1` to `1024`, found `1025`
        "#]],
    );
    check(
        &function("instance: { reuse: '8' }"),
        expect![[r#"
        error 9:26 |'8'| spec.functions.f.instance.reuse
          `reuse` must be a whole number, found the text `8`
    "#]],
    );
    check(
        &function("instance: 5"),
        expect![[r#"
        error 9:17 |5| spec.functions.f.instance
          `instance` must be a mapping, found the number `5`
    "#]],
    );
}

#[test]
fn configuration() {
    check(
        &function(
            "config:\n  greeting: hello\n  port: 8080\n  ratio: 1.50\n  on: yes\n  debug: true\n  empty:\n  list: []\n  '': x",
        ),
        expect![[r#"
            error 11:15 |8080| spec.functions.f.config.port
              `port` must be text, found the number `8080`
                put it in quotes: `"8080"`
            error 12:16 |1.50| spec.functions.f.config.ratio
              `ratio` must be text, found the number `1.50`
                put it in quotes: `"1.50"`
            error 14:16 |true| spec.functions.f.config.debug
              `debug` must be text, found the boolean `true`
                put it in quotes: `"true"`
            error 15:9 |empty| spec.functions.f.config.empty
              `empty` must be text, found nothing
            error 16:9 |list| spec.functions.f.config.list
              `list` must be text, found a list
            error 17:9 |''| spec.functions.f.config.""
              `` is not a key of a configuration
                a key has at least one character, and no control characters
        "#]],
    );
    check(
        &function("config: { a: \"x\\0y\", \"a\\u0007\": z }"),
        expect![[r#"
            error 9:20 |"x\0y"| spec.functions.f.config.a
              the value of `a` holds a zero byte
            error 9:28 |"a\u0007"| spec.functions.f.config."a\u{7}"
              `a\u{7}` is not a key of a configuration
                a key has at least one character, and no control characters
        "#]],
    );
}

#[test]
fn environment() {
    check(
        &function(
            "env: { RUST_LOG: info, _x: '', 1ST: a, A-B: b, 'A=B': c, PORT: 80, Z: \"a\\0\" }",
        ),
        expect![[r#"
            error 9:38 |1ST| spec.functions.f.env.1ST
              `1ST` is not the name of an environment variable
                a name has letters, digits and `_`, and does not start with a digit
            error 9:46 |A-B| spec.functions.f.env.A-B
              `A-B` is not the name of an environment variable
                a name has letters, digits and `_`, and does not start with a digit
            error 9:54 |'A=B'| spec.functions.f.env."A=B"
              `A=B` is not the name of an environment variable
                a name has letters, digits and `_`, and does not start with a digit
            error 9:70 |80| spec.functions.f.env.PORT
              `PORT` must be text, found the number `80`
                put it in quotes: `"80"`
            error 9:77 |"a\0"| spec.functions.f.env.Z
              the value of `Z` holds a zero byte
        "#]],
    );
    check(
        &function("env: [A=b]"),
        expect![[r#"
        error 9:7 |env| spec.functions.f.env
          `env` must be a mapping, found a list
    "#]],
    );
}
