//! The lines that are to be added for an import without a grant.

use expect_test::expect;
use strand_directive::{World, check_component, parse};

use crate::components::{BLOBS, HTTP_02, check, facts};
use crate::{app, function, listed};

#[test]
fn imports_without_a_grant() {
    let resources = "resources: { blobs: { genomes: {}, cache: {}, more: {} } }\n";
    let rest = "routes: [{ path: /, function: f }]";
    check(
        &app(&format!(
            "{resources}functions:\n  f:\n    source: {{ file: f.wasm }}\n{rest}"
        )),
        "f",
        &[World::Http02],
        &["wasi:blobstore/types@0.2.0-draft", BLOBS],
        expect![[r#"
            error 9:7 |source| spec.functions.f.source
              the function `f` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                add these lines to `spec.functions.f`:
                      grants:
                        blobs:
                          cache: [read, write]
                or the same with `genomes` or `more`
        "#]],
    );
    check(
        &app(&format!(
            "functions: {{ f: {{ source: {{ file: f.wasm }} }} }}\n{rest}"
        )),
        "f",
        &[World::Http02],
        &[BLOBS],
        expect![[r#"
            error 6:21 |source| spec.functions.f.source
              the function `f` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                add these lines to `spec`:
                  resources:
                    blobs:
                      data: { dev: ./data }
                and add this before the closing brace of `spec.functions.f`:
                , grants: { blobs: { data: [read, write] } }
        "#]],
    );
}

/// What an alias stands for belongs to others as well, so it is written out first.
#[test]
fn an_alias_is_not_added_to() {
    let rest = "routes: [{ path: /, function: f }, { path: /g, function: g }]";
    let resources = "resources: { blobs: { data: { dev: d } } }\n";
    for (functions, expected) in [
        // The function.
        (
            "  f: &f\n    source: { file: f.wasm }\n  g: *f\n",
            expect![[r#"
                error 9:7 |source| spec.functions.g.source
                  the function `g` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                    write `spec.functions.g` out in place of its alias, with these lines in it:
                          grants:
                            blobs:
                              data: [read, write]
            "#]],
        ),
        // What the function has its grants in.
        (
            "  f: &f\n    source: { file: f.wasm }\n    grants: { http: [] }\n  g: *f\n",
            expect![[r#"
                error 9:7 |source| spec.functions.g.source
                  the function `g` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                    write `spec.functions.g` out in place of its alias, with these lines in its `grants`:
                            blobs:
                              data: [read, write]
            "#]],
        ),
        // Its grants.
        (
            "  f: { source: { file: f.wasm }, grants: &g { http: [] } }\n  g:\n    source: { file: f.wasm }\n    grants: *g\n",
            expect![[r#"
                error 10:7 |source| spec.functions.g.source
                  the function `g` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                    write `spec.functions.g.grants` out in place of its alias, with these lines in it:
                            blobs:
                              data: [read, write]
            "#]],
        ),
        // Another field of it, which says nothing about where its own fields stand.
        (
            "  f: { source: { file: f.wasm }, limits: &l { memory: 64Mi } }\n  g:\n      limits: *l\n      source: { file: f.wasm }\n",
            expect![[r#"
                error 11:9 |source| spec.functions.g.source
                  the function `g` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                    add these lines to `spec.functions.g`:
                            grants:
                              blobs:
                                data: [read, write]
            "#]],
        ),
    ] {
        let text = app(&format!("{resources}functions:\n{functions}{rest}"));
        check(&text, "g", &[World::Http02], &[BLOBS], expected);
    }
}

/// The lines that the help shows, put where it says, mend the file.
#[test]
fn the_lines_to_add_mend_the_file() {
    let specs = [
        "functions:\n  f:\n    source: { file: f.wasm }\n",
        "functions:\n  f:\n      source: { file: f.wasm }\n      grants:\n         http: [ \"https://a.org\" ]\n",
        "functions:\n  f:\n    source: { file: f.wasm }\n    grants: {}\n",
        "functions:\n  f:\n    source: { file: f.wasm }\n    grants: { http: [] }\n",
        "functions:\n  f:\n    source: { file: f.wasm }\n    grants: { blobs: {} }\n",
        "functions:\n  f: { source: { file: f.wasm } }\n",
        "functions: { f: { source: { file: f.wasm }, grants: { blobs: {}, http: [] } } }\n",
        "resources:\n  blobs: {}\nfunctions:\n  f:\n    source: { file: f.wasm }\n",
        "resources: {}\nfunctions:\n  f:\n    source: { file: f.wasm }\n",
        "resources:\n  blobs:\n    genomes: {}\nfunctions:\n  f:\n    source: { file: f.wasm }\n",
        // Braces on several lines.
        "functions:\n  f: {\n    source: { file: f.wasm }\n  }\n",
        "functions: {\n  f:\n    { source: { file: f.wasm }, grants: {\n } } }\n",
        // Anchors, which stand before what they name.
        "functions:\n  f: &f { source: { file: f.wasm } }\n",
        "functions:\n  f: &f\n    source: { file: f.wasm }\n    grants: &g {}\n",
    ];
    for spec in specs {
        let mut text = app(&format!("{spec}routes: [{{ path: /, function: f }}]\n"));
        let facts = facts(&[World::Http02], &[BLOBS, HTTP_02]);
        let problems = check_component(&parse(&text).directive.unwrap(), "f", &facts);
        let [problem] = problems.as_slice() else {
            panic!("{problems:#?}")
        };
        // Owners stand in backticks in the line that says where, their lines follow.
        for step in problem.help.as_deref().unwrap().split("\nand ") {
            add(&mut text, step);
        }
        let outcome = parse(&text);
        let Some(directive) = outcome.directive else {
            panic!("{}\n{text}", listed(&outcome.problems, &text))
        };
        assert!(!directive.functions["f"].grants.blobs.is_empty(), "{text}");
        let left = check_component(&directive, "f", &facts);
        assert!(
            left.iter().all(|problem| problem.field.ends_with(".http")),
            "{}\n{text}",
            listed(&left, &text)
        );
    }
}

/// Does what a step of the help says.
fn add(text: &mut String, step: &str) {
    let (how, lines) = step.split_once('\n').unwrap();
    let owner = how.split('`').nth(1).unwrap();
    let span = parse(text).directive.unwrap().spans.get(owner).unwrap();
    if how.starts_with("add these lines to") {
        let end = span.end + text[span.end..].find('\n').unwrap() + 1;
        text.insert_str(end, &format!("{lines}\n"));
    } else {
        let open = span.end + text[span.end..].find('{').unwrap();
        let mut depth = 0;
        let close = text[open..]
            .char_indices()
            .find(|(_, c)| {
                depth += match c {
                    '{' => 1,
                    '}' => -1,
                    _ => 0,
                };
                depth == 0
            })
            .map(|(at, _)| open + at)
            .unwrap();
        text.insert_str(close, lines);
    }
}

#[test]
fn without_a_file_the_usual_notation_is_shown() {
    let mut directive = parse(&function("")).directive.unwrap();
    directive.spans = strand_directive::Spans::default();
    let problems = check_component(&directive, "f", &facts(&[World::Http02], &[BLOBS]));
    expect![[r#"
        error spec.functions.f.source
          the function `f` imports `wasi:blobstore/container@0.2.0-draft` without a grant
            add these lines to `spec`:
              resources:
                blobs:
                  data: { dev: ./data }
            and add these lines to `spec.functions.f`:
                  grants:
                    blobs:
                      data: [read, write]
    "#]]
    .assert_eq(&listed(&problems, ""));
}
