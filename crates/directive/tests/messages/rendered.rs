//! What a terminal shows.

use expect_test::{Expect, expect};
use strand_directive::{
    ComponentFacts, Diagnostic, Severity, Span, World, check_component, parse, render,
};

use crate::{app, function};

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&render(
        &parse(text).problems,
        "directive.yaml",
        text,
        false,
    ));
}

#[test]
fn errors_look_like_those_of_cargo() {
    check(
        &function("limits: { memory: 128M }\nworld: htpt@0.2"),
        expect![[r#"
            error: `128M` is not a size
             --> directive.yaml:9:25
              |
            9 |       limits: { memory: 128M }
              |                         ^^^^
              |
              = help: did you mean `128Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes

            error: unknown world `htpt@0.2`
              --> directive.yaml:10:14
               |
            10 |       world: htpt@0.2
               |              ^^^^^^^^
               |
               = help: did you mean `http@0.2`?

        "#]],
    );
}

#[test]
fn tabs_wide_characters_and_windows_lines() {
    check(
        &function("config: { \"größe 🧬\": \"日本\",\t\ta: 5 }").replace('\n', "\r\n"),
        expect![[r#"
            error: `a` must be text, found the number `5`
             --> directive.yaml:9:38
              |
            9 |       config: { "größe 🧬": "日本",        a: 5 }
              |                                               ^
              |
              = help: put it in quotes: `"5"`

        "#]],
    );
}

#[test]
fn only_the_line_is_shown_whatever_ends_it() {
    let text = function("limits: { memory: 128M }").replace('\n', "\r");
    check(
        &text,
        expect![[r#"
            error: `128M` is not a size
             --> directive.yaml:9:25
              |
            9 |       limits: { memory: 128M }
              |                         ^^^^
              |
              = help: did you mean `128Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes

        "#]],
    );
}

#[test]
fn files_as_a_whole() {
    check(
        "",
        expect![[r#"
        error: the file is empty
        --> directive.yaml
         = help: a Directive starts with `apiVersion: strand.dev/v1alpha1`

    "#]],
    );
    check(
        "kind: App",
        expect![[r#"
        error: the file lacks the field `apiVersion`
         --> directive.yaml:1:1
          |
        1 | kind: App
          | ^

        error: the file lacks the field `metadata`
         --> directive.yaml:1:1
          |
        1 | kind: App
          | ^

        error: the file lacks the field `spec`
         --> directive.yaml:1:1
          |
        1 | kind: App
          | ^

    "#]],
    );
    check(
        &app("# the end").replace("spec:", "speck:"),
        expect![[r#"
        error: the file lacks the field `spec`
         --> directive.yaml:1:1
          |
        1 | apiVersion: strand.dev/v1alpha1
          | ^

        error: unknown field `speck`
         --> directive.yaml:4:1
          |
        4 | speck:
          | ^^^^^
          |
          = help: did you mean `spec`?

    "#]],
    );
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let text = function("limits: { cpu: \u{9b}31m }\nworld: \"\\e[31mred\"\n\"\\e[0m\": x");
    let rendered = render(&parse(&text).problems, "a\u{1b}b.yaml", &text, false);
    assert!(
        !rendered.contains(|c: char| c.is_control() && c != '\n'),
        "{rendered:?}"
    );
    expect![[r#"
        error: `\u{9b}31m` is not a duration
         --> a␛b.yaml:9:22
          |
        9 |       limits: { cpu: ¤31m }
          |                      ^^^^
          |
          = help: write a whole number and a unit; the units are `ms`, `s`, `m` and `h`

        error: unknown world `\u{1b}[31mred`
          --> a␛b.yaml:10:14
           |
        10 |       world: "\e[31mred"
           |              ^^^^^^^^^^^
           |
           = help: the worlds are `http@0.3`, `http@0.2`, `task`, `command@0.3`, `command@0.2` and `module`

        error: unknown field `\u{1b}[0m` in `spec.functions.f`
          --> a␛b.yaml:11:7
           |
        11 |       "\e[0m": x
           |       ^^^^^^^
           |
           = help: the fields here are `source`, `world`, `weight`, `limits`, `instance`, `grants`, `config` and `env`

    "#]].assert_eq(&rendered);
}

/// The lines for the file stand as they are to stand there, so that they can be copied.
#[test]
fn help_of_several_lines() {
    let rest = "routes: [{ path: /, function: f }]";
    for (functions, expected) in [
        (
            "resources: { blobs: { genomes: {}, cache: {} } }\nfunctions:\n  f:\n    source: { file: f.wasm }\n",
            expect![[r#"
                error: the function `f` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                 --> directive.yaml:9:7
                  |
                9 |       source: { file: f.wasm }
                  |       ^^^^^^
                  |
                  = help: add these lines to `spec.functions.f`:
                      grants:
                        blobs:
                          cache: [read, write]
                or the same with `genomes`

            "#]],
        ),
        (
            "functions:\n  f: { source: { file: f.wasm } }\n",
            expect![[r#"
                error: the function `f` imports `wasi:blobstore/container@0.2.0-draft` without a grant
                 --> directive.yaml:7:10
                  |
                7 |     f: { source: { file: f.wasm } }
                  |          ^^^^^^
                  |
                  = help: add these lines to `spec`:
                  resources:
                    blobs:
                      data: { dev: ./data }
                and add this before the closing brace of `spec.functions.f`:
                , grants: { blobs: { data: [read, write] } }

            "#]],
        ),
    ] {
        let text = app(&format!("{functions}{rest}"));
        let facts = ComponentFacts {
            worlds: vec![World::Http02],
            imports: vec!["wasi:blobstore/container@0.2.0-draft".to_owned()],
        };
        let problems = check_component(&parse(&text).directive.unwrap(), "f", &facts);
        expected.assert_eq(&render(&problems, "directive.yaml", &text, false));
    }
    let problem = Diagnostic {
        severity: Severity::Error,
        message: "message".to_owned(),
        field: String::new(),
        span: None,
        help: Some("add these lines:\n  a: \u{1b}[31m\n    b: c".to_owned()),
    };
    for colour in [false, true] {
        let shown = render(std::slice::from_ref(&problem), "f", "", colour);
        assert!(
            shown.ends_with("\n  a: \u{241b}[31m\n    b: c\n\n"),
            "{shown:?}"
        );
    }
}

#[test]
fn colours_on_demand() {
    let text = app("x: y");
    let problems = parse(&text).problems;
    let plain = render(&problems, "directive.yaml", &text, false);
    let coloured = render(&problems, "directive.yaml", &text, true);
    assert!(!plain.contains('\u{1b}'));
    assert!(coloured.contains("\u{1b}["));
}

#[test]
fn spans_of_another_text_do_no_harm() {
    let at = |start, end| Diagnostic {
        severity: Severity::Warning,
        message: "message".to_owned(),
        field: String::new(),
        span: Some(Span {
            line: 7,
            column: 3,
            start,
            end,
        }),
        help: None,
    };
    let problems = [
        at(1, 2),
        at(5, 900),
        at(3, 1),
        at(900, 901),
        at(4, 4),
        at(0, 4),
    ];
    let text = "é\nx\n";
    expect![[r#"
        warning: message
        --> f

        warning: message
        --> f

        warning: message
        --> f

        warning: message
        --> f

        warning: message
         --> f:7:2
          |
        7 | x
          |  ^

        warning: message
         --> f:7:1
          |
        7 | / é
        8 | | x
          | |_^

    "#]]
    .assert_eq(&render(&problems, "f", text, false));
}
