//! The envelope, names, the version, resources.

use expect_test::expect;

use crate::{EXAMPLE, app, check};

#[test]
fn nothing_is_wrong_with_the_example() {
    check(EXAMPLE, expect![[""]]);
}

#[test]
fn the_least_app_is_empty() {
    check(&app(""), expect![[""]]);
}

#[test]
fn the_envelope() {
    check(
        "spec: { version: 1.0.0 }",
        expect![[r#"
        error 1:1 || apiVersion
          the file lacks the field `apiVersion`
        error 1:1 || kind
          the file lacks the field `kind`
        error 1:1 || metadata
          the file lacks the field `metadata`
    "#]],
    );
    check(
        "apiVersion: strand.dev/v1\nkind: Service\nmetadata: { name: a }\nspec: { version: 1.0.0 }",
        expect![[r#"
            error 1:13 |strand.dev/v1| apiVersion
              unknown `apiVersion` `strand.dev/v1`
                this version of Strand reads `strand.dev/v1alpha1`
            error 2:7 |Service| kind
              unknown `kind` `Service`
                this version of Strand reads `App`
        "#]],
    );
    check(
        "apiVersion: apps/v1\nkind: App\nmetadata: { name: a }\nspec: { version: 1.0.0 }",
        expect![[r#"
            error 1:13 |apps/v1| apiVersion
              unknown `apiVersion` `apps/v1`
                this version of Strand reads `strand.dev/v1alpha1`
        "#]],
    );
    check(
        "apiVersion: 1\nkind: true\nmetadata: []\nspec: x",
        expect![[r#"
            error 1:13 |1| apiVersion
              `apiVersion` must be text, found the number `1`
                put it in quotes: `"1"`
            error 2:7 |true| kind
              `kind` must be text, found the boolean `true`
                put it in quotes: `"true"`
            error 3:1 |metadata| metadata
              `metadata` must be a mapping, found a list
            error 4:7 |x| spec
              `spec` must be a mapping, found the text `x`
        "#]],
    );
    check(
        "apiversion: strand.dev/v1alpha1\nkind: App\nmetadata: { nme: a }\nspec:",
        expect![[r#"
            error 1:1 |apiversion| apiversion
              unknown field `apiversion`
                did you mean `apiVersion`?
            error 1:1 || apiVersion
              the file lacks the field `apiVersion`
            error 3:1 |metadata| metadata.name
              `metadata` lacks the field `name`
            error 3:13 |nme| metadata.nme
              unknown field `nme` in `metadata`
                did you mean `name`?
            error 4:1 |spec| spec
              `spec` must be a mapping, found nothing
        "#]],
    );
    check(
        &app("").replace("kind: App", "kind: App\nstatus: {}"),
        expect![[r#"
            error 3:1 |status| status
              unknown field `status`
                the fields here are `apiVersion`, `kind`, `metadata` and `spec`
        "#]],
    );
    check(
        &app("").replace(
            "metadata: { name: app }",
            "metadata:\n  name: app\n  labels: {}",
        ),
        expect![[r#"
            error 5:3 |labels| metadata.labels
              unknown field `labels` in `metadata`
                the only field here is `name`
        "#]],
    );
}

#[test]
fn names() {
    check(
        &app("").replace("name: app", "name: My_App"),
        expect![[r#"
        error 3:19 |My_App| metadata.name
          `My_App` is not a name
            did you mean `my-app`? a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
    "#]],
    );
    check(
        &app("").replace("name: app", "name: ''"),
        expect![[r#"
        error 3:19 |''| metadata.name
          `` is not a name
            a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
    "#]],
    );
    check(
        &app("").replace("name: app", "name: 2fast"),
        expect![[r#"
        error 3:19 |2fast| metadata.name
          `2fast` is not a name
            a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
    "#]],
    );
    check(
        &app("").replace("name: app", "name: 12"),
        expect![[r#"
        error 3:19 |12| metadata.name
          `name` must be text, found the number `12`
            put it in quotes: `"12"`
    "#]],
    );
    check(
        &app("").replace("name: app", &format!("name: {}", "a".repeat(64))),
        expect![[r#"
            error 3:19 |aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa| metadata.name
              `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is not a name
                a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
        "#]],
    );
    check(
        &app("functions: { 'a.b': { source: { file: x } }, '': { source: { file: x } } }"),
        expect![[r#"
            error 6:16 |'a.b'| spec.functions."a.b"
              `a.b` is not a name
                did you mean `a-b`? a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
            warning 6:16 |'a.b'| spec.functions."a.b"
              no route leads to the function `a.b` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 6:48 |''| spec.functions.""
              `` is not a name
                a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
            warning 6:48 |''| spec.functions.""
              no route leads to the function `` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
        "#]],
    );
}

#[test]
fn versions() {
    check(
        &app("").replace("0.1.0", "1.0"),
        expect![[r#"
        error 5:12 |1.0| spec.version
          `version` must be text, found the number `1.0`
            put it in quotes: `"1.0"`
    "#]],
    );
    check(
        &app("").replace("0.1.0", "'1.0'"),
        expect![[r#"
        error 5:12 |'1.0'| spec.version
          `1.0` is not a version: unexpected end of input while parsing minor version number
            a version has three numbers, for example `0.1.0`
    "#]],
    );
    check(
        &app("").replace("0.1.0", "v1.0.0"),
        expect![[r#"
        error 5:12 |v1.0.0| spec.version
          `v1.0.0` is not a version: unexpected character 'v' while parsing major version number
            a version has three numbers, for example `0.1.0`
    "#]],
    );
    check(
        &app("").replace("0.1.0", "1.0.0-rc.1+build.5"),
        expect![[""]],
    );
    check(
        "apiVersion: strand.dev/v1alpha1\nkind: App\nmetadata: { name: a }\nspec: {}",
        expect![[r#"
            error 4:1 |spec| spec.version
              `spec` lacks the field `version`
        "#]],
    );
}

#[test]
fn resources() {
    check(
        &app("resources: { blob: {} }"),
        expect![[r#"
        error 6:16 |blob| spec.resources.blob
          unknown field `blob` in `spec.resources`
            did you mean `blobs`?
    "#]],
    );
    check(
        &app("resources: { queues: {} }"),
        expect![[r#"
            error 6:16 |queues| spec.resources.queues
              unknown field `queues` in `spec.resources`
                the only field here is `blobs`
        "#]],
    );
    check(
        &app(
            "resources:\n  blobs:\n    a: { dev: /var/data }\n    b: { dev: ../b }\n    c: { path: x }\n    d: ./d\n    e: {}\n    f:",
        ),
        expect![[r#"
            warning 8:7 |a| spec.resources.blobs.a
              no function is granted the blobs `a`
                name it in a function's `grants.blobs`, or remove it
            error 8:17 |/var/data| spec.resources.blobs.a.dev
              `/var/data` is an absolute path
                a path is relative to the app's folder and stays in it, for example `./public`
            warning 9:7 |b| spec.resources.blobs.b
              no function is granted the blobs `b`
                name it in a function's `grants.blobs`, or remove it
            error 9:17 |../b| spec.resources.blobs.b.dev
              `../b` leaves the app's folder
                a path is relative to the app's folder and stays in it, for example `./public`
            warning 10:7 |c| spec.resources.blobs.c
              no function is granted the blobs `c`
                name it in a function's `grants.blobs`, or remove it
            error 10:12 |path| spec.resources.blobs.c.path
              unknown field `path` in `spec.resources.blobs.c`
                the only field here is `dev`
            warning 11:7 |d| spec.resources.blobs.d
              no function is granted the blobs `d`
                name it in a function's `grants.blobs`, or remove it
            error 11:10 |./d| spec.resources.blobs.d
              `d` must be a mapping, found the text `./d`
            warning 12:7 |e| spec.resources.blobs.e
              no function is granted the blobs `e`
                name it in a function's `grants.blobs`, or remove it
            error 13:7 |f| spec.resources.blobs.f
              `f` must be a mapping, found nothing
            warning 13:7 |f| spec.resources.blobs.f
              no function is granted the blobs `f`
                name it in a function's `grants.blobs`, or remove it
        "#]],
    );
    check(
        &app("resources: { blobs: [a, b] }"),
        expect![[r#"
        error 6:16 |blobs| spec.resources.blobs
          `blobs` must be a mapping, found a list
    "#]],
    );
    check(
        &app("resources: []"),
        expect![[r#"
        error 6:3 |resources| spec.resources
          `resources` must be a mapping, found a list
    "#]],
    );
}

#[test]
fn what_nothing_uses() {
    check(
        &app(
            "resources: { blobs: { a: {} } }\nfunctions:\n  f: { source: { file: f.wasm } }\n  g: { source: { file: f.wasm }, grants: { functions: [g] } }",
        ),
        expect![[r#"
            warning 6:25 |a| spec.resources.blobs.a
              no function is granted the blobs `a`
                name it in a function's `grants.blobs`, or remove it
            warning 8:5 |f| spec.functions.f
              no route leads to the function `f` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            warning 9:5 |g| spec.functions.g
              no route leads to the function `g` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
        "#]],
    );
}

#[test]
fn hosts_are_names_or_all_below_one() {
    let hosts = |list: &str| {
        let outcome = strand_directive::parse(&app(&format!("hosts: {list}")));
        outcome.directive.expect("valid").hosts
    };
    let label = "a".repeat(63);
    let long = [label.as_str(); 4].join(".");
    let long = &long[..253];
    assert_eq!(
        hosts(&format!(
            "[API.example.org, '*.example.org', 10.0.0.1, localhost, {long}]"
        )),
        [
            "api.example.org",
            "*.example.org",
            "10.0.0.1",
            "localhost",
            long
        ]
    );
    check(
        &app(&format!(
            "hosts:\n    - '*'\n    - a.*\n    - https://a.example\n    - a.example:8080\n    - A.example\n    - a.example\n    - ''\n    - -a\n    - {long}a\n    - 5"
        )),
        expect![[r#"
            error 7:9 |'*'| spec.hosts[0]
              `*` is not a host
                leave `hosts` out to serve all hosts
            error 8:9 |a.*| spec.hosts[1]
              `a.*` is not a host
                a host is a name such as `api.example.org`, or `*.example.org` for all names below it
            error 9:9 |https://a.example| spec.hosts[2]
              `https://a.example` is not a host
                a host is a name alone, without `https://` and without a path
            error 10:9 |a.example:8080| spec.hosts[3]
              `a.example:8080` is not a host
                leave the port away: an app serves its hosts on whatever port they come
            error 12:9 |a.example| spec.hosts[5]
              `a.example` is in the list twice
                remove one of them
            error 13:9 |''| spec.hosts[6]
              `` is not a host
                a host is a name such as `api.example.org`, or `*.example.org` for all names below it
            error 14:9 |-a| spec.hosts[7]
              `-a` is not a host
                a host is a name such as `api.example.org`, or `*.example.org` for all names below it
            error 15:9 |aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa| spec.hosts[8]
              `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.…` is not a host
                a host is a name such as `api.example.org`, or `*.example.org` for all names below it
            error 16:9 |5| spec.hosts[9]
              `hosts[9]` must be text, found the number `5`
                put it in quotes: `"5"`
        "#]],
    );
    check(
        &app("hosts: []"),
        expect![[r#"
        error 6:3 |hosts| spec.hosts
          the app serves no host
            name some, or leave `hosts` out to serve all that no other app is for
    "#]],
    );
    check(
        &app("hosts: a.example"),
        expect![[r#"
        error 6:10 |a.example| spec.hosts
          `hosts` must be a list, found the text `a.example`
    "#]],
    );
    let most: Vec<_> = (0..100).map(|k| format!("h{k}")).collect();
    assert_eq!(hosts(&format!("[{}]", most.join(", "))), most);
    let many: Vec<_> = (0..101).map(|k| format!("h{k}")).collect();
    check(
        &app(&format!("hosts: [{}]", many.join(", "))),
        expect![[r#"
        error 6:3 |hosts| spec.hosts
          an app may name 100 hosts, this one names 101
            name all below one at once, as `*.example.org`
    "#]],
    );
}
