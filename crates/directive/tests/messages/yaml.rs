//! Files that are not even a mapping, and how YAML itself can go wrong.

use expect_test::expect;

use crate::{app, check, function};

#[test]
fn files_that_hold_nothing_useful() {
    check(
        "",
        expect![[r#"
        error
          the file is empty
            a Directive starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "# only a remark\n",
        expect![[r#"
        error
          the file is empty
            a Directive starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "\u{feff}",
        expect![[r#"
        error
          the file is empty
            a Directive starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "---\n",
        expect![[r#"
        error 2:1 ||
          a Directive is a mapping
            it starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "hello",
        expect![[r#"
        error 1:1 |hello|
          a Directive is a mapping
            it starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "- a\n- b\n",
        expect![[r#"
        error 1:1 |- a|
          a Directive is a mapping
            it starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "42",
        expect![[r#"
        error 1:1 |42|
          a Directive is a mapping
            it starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        "{}",
        expect![[r#"
        error 1:1 || apiVersion
          the file lacks the field `apiVersion`
        error 1:1 || kind
          the file lacks the field `kind`
        error 1:1 || metadata
          the file lacks the field `metadata`
        error 1:1 || spec
          the file lacks the field `spec`
    "#]],
    );
}

#[test]
fn yaml_that_cannot_be_read() {
    check(
        "a: [1, 2\n",
        expect![[r#"
        error 2:1 ||
          not valid YAML: while parsing a flow sequence, expected ',' or ']'
    "#]],
    );
    check(
        "a: 'x\n",
        expect![[r#"
        error 1:4 ||
          not valid YAML: while scanning a quoted scalar, found unexpected end of stream
    "#]],
    );
    check(
        "a: b: c\n",
        expect![[r#"
        error 1:5 ||
          not valid YAML: mapping values are not allowed in this context
    "#]],
    );
    check(
        "kind: App\n\tmetadata: x\n",
        expect![[r#"
        error 1:7 ||
          not valid YAML: while scanning a plain scalar, found a tab
            indent with spaces: YAML does not allow tabs there
    "#]],
    );
    check(
        "a: *nobody\n",
        expect![[r#"
        error 1:4 ||
          not valid YAML: while parsing node, found unknown anchor
            a value that starts with `*` or `&` goes in quotes
    "#]],
    );
    check(
        "kind: A\0pp\n",
        expect![[r#"
        error 1:8 ||
          not valid YAML: found unprintable character
            remove that character; if no editor shows one, save the file as UTF-8
    "#]],
    );
    check(
        "a: @x\n",
        expect![[r#"
        error 1:4 ||
          not valid YAML: unexpected character: `@'
    "#]],
    );
    check(
        "a: \"\\q\"\n",
        expect![[r#"
        error 1:4 ||
          not valid YAML: while parsing a quoted scalar, found unknown escape character
    "#]],
    );
    check(
        "größe: [ä, ö\nb: }\n",
        expect![[r#"
        error 2:2 ||
          not valid YAML: illegal placement of ':' indicator
    "#]],
    );
}

#[test]
fn two_documents() {
    check(
        "a: 1\n---\nb: 2\n",
        expect![[r#"
        error 2:1 |---|
          a second document starts here
            a file holds one app: put the other one into a file of its own
    "#]],
    );
}

#[test]
fn keys_twice() {
    check(
        &function("limits: { cpu: 1s, cpu: 2s }\nconfig:\n  a: x\n  b: y\n  a: z\n  a: z"),
        expect![[r#"
            error 9:26 |cpu| spec.functions.f.limits.cpu
              the key `cpu` appears twice
                its first value is on line 9; keep one of them
            error 13:9 |a| spec.functions.f.config.a
              the key `a` appears twice
                its first value is on line 11; keep one of them
            error 14:9 |a| spec.functions.f.config.a
              the key `a` appears twice
                its first value is on line 11; keep one of them
        "#]],
    );
    check(
        &app("version: 0.2.0"),
        expect![[r#"
        error 6:3 |version| spec.version
          the key `version` appears twice
            its first value is on line 5; keep one of them
    "#]],
    );
    check(
        &app("functions:\n  f: { source: { file: a } }\n  'f': { source: { file: b } }"),
        expect![[r#"
            warning 7:5 |f| spec.functions.f
              no route leads to the function `f` and no function may call it
                add a route with `function:`, or name it in another function's `grants.functions`
            error 8:5 |'f'| spec.functions.f
              the key `f` appears twice
                its first value is on line 7; keep one of them
        "#]],
    );
}

#[test]
fn keys_that_are_not_text() {
    check(
        &app(
            "functions:\n  1: { source: { file: a } }\n  [a]: x\n  true: y\n  ~: z\n  ? {a: b}\n  : c",
        ),
        expect![[r#"
            error 7:5 |1| spec.functions
              a key must be text
                put the key in quotes
            error 8:5 |[a]| spec.functions
              a key must be text
                put the key in quotes
            error 9:5 |true| spec.functions
              a key must be text
                put the key in quotes
            error 10:5 |~| spec.functions
              a key must be text
                put the key in quotes
            error 11:7 |{a: b}| spec.functions
              a key must be text
                put the key in quotes
        "#]],
    );
}

#[test]
fn tags_and_merge_keys() {
    check(
        &function("config: { a: !!str 5, b: !secret x }\nenv: !map {}"),
        expect![[r#"
            error 9:20 |!!str 5|
              the tag `!!str` has no meaning here
                remove the tag; text that looks like a number goes in quotes
            error 9:32 |!secret x|
              the tag `!secret` has no meaning here
                remove the tag; text that looks like a number goes in quotes
            error 10:12 |!map {|
              the tag `!map` has no meaning here
                remove the tag; text that looks like a number goes in quotes
        "#]],
    );
    check(
        &function("<<: { world: task }"),
        expect![[r#"
            error 9:7 |<<| spec.functions.f."<<"
              unknown field `<<` in `spec.functions.f`
                YAML 1.2 has no merge keys: write the fields out, or let an alias stand for the whole value
        "#]],
    );
}

#[test]
fn aliases_repeat_values() {
    check(
        &app(
            "functions:\n  f: &f { source: { file: f.wasm }, limits: { memory: 1M } }\n  g: *f\nroutes: [{ path: /f, function: f }, { path: /g, function: g }]",
        ),
        expect![[r#"
            error 7:57 |1M| spec.functions.f.limits.memory
              `1M` is not a size
                did you mean `1Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 7:57 |1M| spec.functions.g.limits.memory
              `1M` is not a size
                did you mean `1Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
        "#]],
    );
    check(
        "a: &a [ *a ]\n",
        expect![[r#"
        error 1:9 |*a|
          this alias stands inside the value that it repeats
            write the value out, or move the anchor
    "#]],
    );
}

#[test]
fn aliases_are_bounded() {
    let mut laughs = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = level - 1;
        laughs += &format!(
            "l{level}: &l{level} [{}]\n",
            vec![format!("*l{below}"); 10].join(", ")
        );
    }
    check(
        &laughs,
        expect![[r#"
        error 5:10 |*l3|
          more than 20000 values, aliases counted as often as they are used
            split the app into several apps
    "#]],
    );
    // The file, its two keys, and two lists; an alias of an empty list counts as one, too.
    check(
        &format!("a: &a []\nb: [{}]", vec!["*a"; 19_996].join(",")),
        expect![[r#"
            error 1:1 |a: &a []|
              more than 20000 values, aliases counted as often as they are used
                split the app into several apps
        "#]],
    );
    let mut tower = "l0: &l0 [x]\n".to_owned();
    for level in 1..100 {
        tower += &format!("l{level}: &l{level} [*l{}]\n", level - 1);
    }
    check(
        &tower,
        expect![[r#"
        error 32:12 |*l30|
          lists and mappings are nested deeper than 32 levels
    "#]],
    );
}

#[test]
fn size_and_depth_are_bounded() {
    check(
        &"#".repeat(256 * 1024 + 1),
        expect![[r#"
        error
          the file has 262145 bytes, which is more than the 262144 that are read
            split the app into several apps
    "#]],
    );
    check(
        &"#".repeat(256 * 1024),
        expect![[r#"
        error
          the file is empty
            a Directive starts with `apiVersion: strand.dev/v1alpha1`
    "#]],
    );
    check(
        &format!("a: {}x{}", "[".repeat(31), "]".repeat(31)),
        expect![[r#"
            error 1:1 |a| a
              unknown field `a`
                the fields here are `apiVersion`, `kind`, `metadata` and `spec`
            error 1:1 || apiVersion
              the file lacks the field `apiVersion`
            error 1:1 || kind
              the file lacks the field `kind`
            error 1:1 || metadata
              the file lacks the field `metadata`
            error 1:1 || spec
              the file lacks the field `spec`
        "#]],
    );
    check(
        &format!("a: {}x{}", "[".repeat(32), "]".repeat(32)),
        expect![[r#"
            error 1:35 ||
              lists and mappings are nested deeper than 32 levels
        "#]],
    );
    check(
        &"[".repeat(300),
        expect![[r#"
        error 1:256 ||
          lists and mappings are nested deeper than 32 levels
    "#]],
    );
    check(
        &"- ".repeat(300),
        expect![[r#"
        error 1:65 ||
          lists and mappings are nested deeper than 32 levels
    "#]],
    );
    // A mapping, its key, a list and its entries.
    check(
        &format!("a: [{}]", vec!["x"; 19_997].join(",")),
        expect![[r#"
            error 1:1 |a| a
              unknown field `a`
                the fields here are `apiVersion`, `kind`, `metadata` and `spec`
            error 1:1 || apiVersion
              the file lacks the field `apiVersion`
            error 1:1 || kind
              the file lacks the field `kind`
            error 1:1 || metadata
              the file lacks the field `metadata`
            error 1:1 || spec
              the file lacks the field `spec`
        "#]],
    );
    check(
        &format!("a: [{}]", vec!["x"; 19_998].join(",")),
        expect![[r#"
            error 1:1 |a: [x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,x,|
              more than 20000 values, aliases counted as often as they are used
                split the app into several apps
        "#]],
    );
}

#[test]
fn lines_may_end_as_on_windows() {
    check(
        &function("limits: { memory: 64M }\nwrld: task").replace('\n', "\r\n"),
        expect![[r#"
            error 9:25 |64M| spec.functions.f.limits.memory
              `64M` is not a size
                did you mean `64Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 10:7 |wrld| spec.functions.f.wrld
              unknown field `wrld` in `spec.functions.f`
                did you mean `world`?
        "#]],
    );
}

#[test]
fn lines_may_end_as_long_ago() {
    check(
        &function("limits: { memory: 64M }\nwrld: task").replace('\n', "\r"),
        expect![[r#"
            error 9:25 |64M| spec.functions.f.limits.memory
              `64M` is not a size
                did you mean `64Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 10:7 |wrld| spec.functions.f.wrld
              unknown field `wrld` in `spec.functions.f`
                did you mean `world`?
        "#]],
    );
}

#[test]
fn characters_are_counted_not_bytes() {
    check(
        &function("config: { grüße: \"größer\", b: \"日本\", \"🧬\": 5, x: 6 }"),
        expect![[r#"
            error 9:48 |5| spec.functions.f.config."🧬"
              `🧬` must be text, found the number `5`
                put it in quotes: `"5"`
            error 9:54 |6| spec.functions.f.config.x
              `x` must be text, found the number `6`
                put it in quotes: `"6"`
        "#]],
    );
    check(
        &function("# 🧬🧬🧬\nconfig: { a: 🧬, 🧬b: 🧬🧬, c: 1 }"),
        expect![[r#"
            error 10:34 |1| spec.functions.f.config.c
              `c` must be text, found the number `1`
                put it in quotes: `"1"`
        "#]],
    );
    check(
        &format!("\u{feff}{}", app("surplus: x")),
        expect![[r#"
        error 6:3 |surplus| spec.surplus
          unknown field `surplus` in `spec`
            the fields here are `version`, `hosts`, `resources`, `functions` and `routes`
    "#]],
    );
}
