//! Whether the files are there.

use expect_test::{Expect, expect};
use strand_directive::{FileKind, check_files, parse};

use crate::{EXAMPLE, app, function, listed};

/// Checks against a folder with these files; whatever ends in `/` is a folder.
#[track_caller]
fn check(text: &str, present: &[&str], expected: Expect) {
    check_links(text, present, &[], expected);
}

/// The same; what is in `outside` is there by a link that leads out, `whole` is one to the app's
/// folder, where the Directive is, and `index/index.html` one to the Directive.
#[track_caller]
fn check_links(text: &str, present: &[&str], outside: &[&str], expected: Expect) {
    let directive = parse(text).directive.unwrap();
    let exists = |path: &str| {
        if present.contains(&path) {
            FileKind::File
        } else if present.contains(&format!("{path}/").as_str()) {
            FileKind::Folder
        } else {
            FileKind::Missing
        }
    };
    let leads_out = |path: &str| outside.contains(&path);
    let holding = [".", "whole", "directive.yaml", "index/index.html"];
    let holds_directive = |path: &str| holding.contains(&path);
    let found = check_files(&directive, &exists, &leads_out, &holds_directive);
    expected.assert_eq(&listed(&found, text));
}

#[test]
fn all_is_there() {
    check(
        EXAMPLE,
        &[
            "genomes/",
            "functions/simulate/",
            "functions/simulate/Cargo.toml",
            "functions/index/",
            "functions/index/Cargo.toml",
            "tools/wc.wasm",
            "public/",
        ],
        expect![[""]],
    );
}

#[test]
fn nothing_is_there() {
    check(
        EXAMPLE,
        &[],
        expect![[r#"
            error 8:23 |./genomes| spec.resources.blobs.genomes.dev
              there is no folder `genomes`, and no function may write to `genomes`
                make the folder; it is made for you only if a function may write to it
            error 12:24 |functions/simulate| spec.functions.simulate.source.cargo
              there is no folder `functions/simulate`
                paths are relative to the folder of the Directive
            error 21:31 |functions/index| spec.functions.index.source.cargo
              there is no folder `functions/index`
                paths are relative to the folder of the Directive
            error 22:27 |tools/wc.wasm| spec.functions.wc.source.file
              there is no file `tools/wc.wasm`
                paths are relative to the folder of the Directive
            error 26:42 |./public| spec.routes[2].static
              there is no file or folder `public`
                paths are relative to the folder of the Directive
        "#]],
    );
}

#[test]
fn files_are_folders_and_folders_files() {
    check(
        EXAMPLE,
        &[
            "genomes",
            ".cache",
            "functions/simulate",
            "functions/index/",
            "functions/index/Cargo.toml/",
            "tools/wc.wasm/",
            "public",
        ],
        expect![[r#"
            error 8:23 |./genomes| spec.resources.blobs.genomes.dev
              `genomes` is a file, but a bucket is a folder
                name a folder
            error 9:21 |./.cache| spec.resources.blobs.cache.dev
              `.cache` is a file, but a bucket is a folder
                name a folder
            error 12:24 |functions/simulate| spec.functions.simulate.source.cargo
              `functions/simulate` is a file, but a Cargo package is a folder
                name the folder, or write `file:` if it is a component
            error 21:31 |functions/index| spec.functions.index.source.cargo
              the folder `functions/index` has no file `Cargo.toml`
                name the folder of a Cargo package
            error 22:27 |tools/wc.wasm| spec.functions.wc.source.file
              `tools/wc.wasm` is a folder, but a component is a file
                name the file, or write `cargo:` if the folder holds a Cargo package
            error 26:42 |./public| spec.routes[2].static
              `public` is a file, but the route `/assets/{*rest}` serves a folder
                name a folder, or remove the parameter from the route's path
        "#]],
    );
}

#[test]
fn static_pages() {
    let text = app(
        "routes: [{ path: /, static: ./public }, { path: /a, static: a.html }, { path: /b, static: b }, { path: /c, static: . }, { path: /d, static: d }]",
    );
    check(
        &text,
        &[
            "public/",
            "public/index.html",
            "a.html",
            "b/",
            "./",
            "index.html/",
        ],
        expect![[r#"
            error 6:93 |b| spec.routes[2].static
              the folder `b` has no file `index.html`, which is all that `/b` serves
                end the route's path in `/{*rest}` to serve the whole folder
            error 6:118 |.| spec.routes[3].static
              the folder `.` has no file `index.html`, which is all that `/c` serves
                end the route's path in `/{*rest}` to serve the whole folder
            error 6:143 |d| spec.routes[4].static
              there is no file or folder `d`
                paths are relative to the folder of the Directive
        "#]],
    );
    check(
        &text,
        &[
            "public/",
            "public/index.html",
            "a.html",
            "b/",
            "b/index.html",
            "./",
            "index.html",
            "d",
        ],
        expect![[""]],
    );
}

/// The gateway opens everything beneath the app's folder, so that such a path would be a 404.
#[test]
fn static_files_elsewhere() {
    let text = app(
        "functions:\n  f: { source: { file: f.wasm } }\nroutes:\n  - { path: /f, function: f }\n  - { path: '/a/{*rest}', static: a }\n  - { path: /b, static: b.html }\n  - { path: /c, static: c }\n  - { path: /d, static: d }",
    );
    check_links(
        &text,
        &["f.wasm", "a/", "b.html", "c/", "c/index.html"],
        &["a", "b.html", "c/index.html", "d"],
        expect![[r#"
            error 10:37 |a| spec.routes[1].static
              a symbolic link leads from `a` out of the app's folder, so that it is never served
                copy what it leads to into the app's folder; links are followed that are relative and stay in it
            error 11:27 |b.html| spec.routes[2].static
              a symbolic link leads from `b.html` out of the app's folder, so that it is never served
                copy what it leads to into the app's folder; links are followed that are relative and stay in it
            error 12:27 |c| spec.routes[3].static
              a symbolic link leads from `c/index.html` out of the app's folder, so that it is never served
                copy what it leads to into the app's folder; links are followed that are relative and stay in it
            error 13:27 |d| spec.routes[4].static
              there is no file or folder `d`
                paths are relative to the folder of the Directive
        "#]],
    );
}

#[test]
fn the_directive_is_not_given_away() {
    let text = app(
        "routes:\n  - { path: '/a/{*rest}', static: . }\n  - { path: '/b/{*rest}', static: whole }\n  - { path: /c, static: directive.yaml }\n  - { path: /d, static: . }\n  - { path: '/e/{*rest}', static: public }\n  - { path: /f, static: index }",
    );
    check(
        &text,
        &[
            "./",
            "index.html",
            "whole/",
            "directive.yaml",
            "public/",
            "public/directive.yaml",
            "index/",
            "index/index.html",
        ],
        expect![[r#"
            error 7:37 |.| spec.routes[0].static
              the folder `.` holds the Directive, so that `/a/{*rest}` gives it to everybody, with what stands in `config` and `env`
                put what is public into a folder of its own, for example `./public`, and name that
            error 8:37 |whole| spec.routes[1].static
              the folder `whole` holds the Directive, so that `/b/{*rest}` gives it to everybody, with what stands in `config` and `env`
                put what is public into a folder of its own, for example `./public`, and name that
            error 9:27 |directive.yaml| spec.routes[2].static
              `directive.yaml` is the Directive, so that `/c` gives it to everybody, with what stands in `config` and `env`
                put what is public into a folder of its own, for example `./public`, and name that
            error 12:27 |index| spec.routes[5].static
              `index/index.html` is the Directive, so that `/f` gives it to everybody, with what stands in `config` and `env`
                put what is public into a folder of its own, for example `./public`, and name that
        "#]],
    );
}

#[test]
fn components_elsewhere() {
    check_links(
        &function(""),
        &["f.wasm"],
        &["f.wasm"],
        expect![[r#"
            error 8:23 |f.wasm| spec.functions.f.source.file
              a symbolic link leads from `f.wasm` out of the app's folder
                copy what it leads to into the app's folder; links are followed that are relative and stay in it
        "#]],
    );
    // What is not there leads nowhere.
    check_links(
        &function(""),
        &[],
        &["f.wasm"],
        expect![[r#"
            error 8:23 |f.wasm| spec.functions.f.source.file
              there is no file `f.wasm`
                paths are relative to the folder of the Directive
        "#]],
    );
}

#[test]
fn the_folder_itself_may_be_a_package() {
    let text = function("").replace("{ file: f.wasm }", "{ cargo: . }");
    check(&text, &["./", "Cargo.toml"], expect![[""]]);
    check(
        &text,
        &["./"],
        expect![[r#"
        error 8:24 |.| spec.functions.f.source.cargo
          the folder `.` has no file `Cargo.toml`
            name the folder of a Cargo package
    "#]],
    );
}

#[test]
fn folders_for_development() {
    let text = app(
        "resources: { blobs: { a: { dev: a }, b: { dev: b }, c: { dev: c }, d: {} } }\nfunctions:\n  f: { source: { file: f }, grants: { blobs: { a: [read], b: [read], d: [read] } } }\n  g: { source: { file: f }, grants: { blobs: { b: [write] } } }\nroutes: [{ path: /, function: f }, { path: /g, function: g }]",
    );
    check(
        &text,
        &["f"],
        expect![[r#"
        error 6:35 |a| spec.resources.blobs.a.dev
          there is no folder `a`, and no function may write to `a`
            make the folder; it is made for you only if a function may write to it
    "#]],
    );
}
