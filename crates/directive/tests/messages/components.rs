//! Whether a built component fits its function.

use expect_test::{Expect, expect};
use strand_directive::{
    ComponentFacts, GrantKind, World, check_component, needed_grants, parse, unsupported,
};

use crate::{EXAMPLE, function, listed};

pub(crate) const BLOBS: &str = "wasi:blobstore/container@0.2.0-draft";
pub(crate) const HTTP_02: &str = "wasi:http/outgoing-handler@0.2.6";
const HTTP_03: &str = "wasi:http/client@0.3.0";

#[track_caller]
pub(crate) fn check(text: &str, name: &str, worlds: &[World], imports: &[&str], expected: Expect) {
    let directive = parse(text).directive.unwrap();
    expected.assert_eq(&listed(
        &check_component(&directive, name, &facts(worlds, imports)),
        text,
    ));
}

pub(crate) fn facts(worlds: &[World], imports: &[&str]) -> ComponentFacts {
    ComponentFacts {
        worlds: worlds.to_vec(),
        imports: imports.iter().map(|import| (*import).to_owned()).collect(),
    }
}

#[test]
fn all_fits() {
    check(
        EXAMPLE,
        "simulate",
        &[World::Http02],
        &[BLOBS, "wasi:blobstore/blobstore@0.2.0-draft", HTTP_02],
        expect![[""]],
    );
    check(
        EXAMPLE,
        "wc",
        &[World::Command02],
        &["wasi:cli/stdin@0.2.3", "wasi:io/streams@0.2.3"],
        expect![[""]],
    );
    check(
        EXAMPLE,
        "wc",
        &[World::Module],
        &["wasi_snapshot_preview1"],
        expect![[""]],
    );
}

#[test]
fn the_base_is_always_there() {
    check(
        &function(""),
        "f",
        &[World::Http03],
        &[
            "wasi:io/poll@0.2.0",
            "wasi:clocks/monotonic-clock@0.3.0",
            "wasi:random/random@0.2.1",
            "wasi:cli/environment@0.2.0",
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/types@0.3.0",
            HTTP_02,
            HTTP_03,
            "wasi:logging/logging@0.1.0-draft",
            "wasi:config/store@0.2.0-rc.1",
        ],
        expect![[""]],
    );
}

#[test]
fn a_function_that_is_not_there() {
    check(
        &function(""),
        "g",
        &[],
        &[],
        expect![[r#"
            error 6:3 |functions| spec.functions.g
              the app has no function `g`
        "#]],
    );
}

#[test]
fn worlds() {
    check(
        &function(""),
        "f",
        &[],
        &[],
        expect![[r#"
            error 8:7 |source| spec.functions.f.source
              the function `f` exports nothing that Strand can call
                a function exports `wasi:http/handler@0.3`, `wasi:http/incoming-handler@0.2`, `strand:function/task@0.1`, `wasi:cli/run@0.3`, `wasi:cli/run@0.2` or `_start`
        "#]],
    );
    check(
        &function("world: http@0.3"),
        "f",
        &[World::Http02, World::Command02],
        &[],
        expect![[r#"
            error 9:14 |http@0.3| spec.functions.f.world
              the function `f` does not export `http@0.3`
                it exports `http@0.2` and `command@0.2`: change `world`, or remove it
        "#]],
    );
    check(
        &function("world: task"),
        "f",
        &[],
        &[],
        expect![[r#"
            error 9:14 |task| spec.functions.f.world
              the function `f` does not export `task`
                a function exports `wasi:http/handler@0.3`, `wasi:http/incoming-handler@0.2`, `strand:function/task@0.1`, `wasi:cli/run@0.3`, `wasi:cli/run@0.2` or `_start`
        "#]],
    );
    check(
        &function("world: command@0.2"),
        "f",
        &[World::Http02, World::Command02],
        &[],
        expect![[""]],
    );
}

#[test]
fn commands_on_routes() {
    check(
        EXAMPLE,
        "wc",
        &[World::Http03],
        &[],
        expect![[r#"
        error 25:44 |command| spec.routes[1].command
          `command` is for commands, but the function `wc` is of the world `http@0.3`
            remove `command`
    "#]],
    );
    check(
        EXAMPLE,
        "wc",
        &[World::Task],
        &[],
        expect![[r#"
        error 25:44 |command| spec.routes[1].command
          `command` is for commands, but the function `wc` is of the world `task`
            remove `command`
    "#]],
    );
    check(
        EXAMPLE,
        "wc",
        &[World::Command02, World::Http02],
        &[],
        expect![[r#"
            error 25:44 |command| spec.routes[1].command
              `command` is for commands, but the function `wc` is of the world `http@0.2`
                remove `command`, or run the function as a command: `world: command@0.2`
        "#]],
    );
    check(
        EXAMPLE,
        "simulate",
        &[World::Command03],
        &[BLOBS, HTTP_03],
        expect![[""]],
    );
}

#[test]
fn imports_that_strand_does_not_have() {
    check(
        &function(""),
        "f",
        &[World::Http02],
        &[
            "wasi:keyvalue/store@0.2.0-draft",
            "acme:secrets/vault@1.0.0",
            "wasi:iot/x@0.2.0",
            "greet",
            "env",
            "greet",
        ],
        expect![[r#"
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `acme:secrets/vault@1.0.0`, which Strand does not have
                it has `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem`, `wasi:sockets`, `wasi:http`, `wasi:logging`, `wasi:config` and `wasi:blobstore`: build the function without the import
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `env`, which Strand does not have
                it has `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem`, `wasi:sockets`, `wasi:http`, `wasi:logging`, `wasi:config` and `wasi:blobstore`: build the function without the import
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `greet`, which Strand does not have
                it has `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem`, `wasi:sockets`, `wasi:http`, `wasi:logging`, `wasi:config` and `wasi:blobstore`: build the function without the import
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:iot/x@0.2.0`, which Strand does not have
                it has `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem`, `wasi:sockets`, `wasi:http`, `wasi:logging`, `wasi:config` and `wasi:blobstore`: build the function without the import
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:keyvalue/store@0.2.0-draft`, which Strand does not have
                it has `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:cli`, `wasi:filesystem`, `wasi:sockets`, `wasi:http`, `wasi:logging`, `wasi:config` and `wasi:blobstore`: build the function without the import
        "#]],
    );
}

#[test]
fn imports_of_another_version() {
    check(
        &function(""),
        "f",
        &[World::Http02],
        &[
            "wasi:blobstore/container@0.2.0-draft2",
            "wasi:blobstore/container@0.2.0-draft.1",
            "wasi:blobstore/types",
            "wasi:config/store@0.2.0",
            "wasi:config/store@0.2.0-rc.1.1",
            "wasi:http/types@0.3.0-rc-2026-01-06",
            "wasi:http/types@0.4.0",
            "wasi:http/types@0.20.0",
            "wasi:io/poll@0.2.",
            "wasi:io/poll@0.3.0",
            "wasi:logging/logging",
        ],
        expect![[r#"
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:blobstore/container@0.2.0-draft.1`, which is not a version that Strand has
                build the function against `wasi:blobstore@0.2.0-draft`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:blobstore/container@0.2.0-draft2`, which is not a version that Strand has
                build the function against `wasi:blobstore@0.2.0-draft`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:blobstore/types`, which is not a version that Strand has
                build the function against `wasi:blobstore@0.2.0-draft`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:config/store@0.2.0`, which is not a version that Strand has
                build the function against `wasi:config@0.2.0-rc.1`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:config/store@0.2.0-rc.1.1`, which is not a version that Strand has
                build the function against `wasi:config@0.2.0-rc.1`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:http/types@0.20.0`, which is not a version that Strand has
                build the function against `wasi:http@0.2` or `wasi:http@0.3`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:http/types@0.3.0-rc-2026-01-06`, which is not a version that Strand has
                build the function against `wasi:http@0.2` or `wasi:http@0.3`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:http/types@0.4.0`, which is not a version that Strand has
                build the function against `wasi:http@0.2` or `wasi:http@0.3`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:io/poll@0.2.`, which is not a version that Strand has
                build the function against `wasi:io@0.2`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:io/poll@0.3.0`, which is not a version that Strand has
                build the function against `wasi:io@0.2`
            error 8:7 |source| spec.functions.f.source
              the function `f` imports `wasi:logging/logging`, which is not a version that Strand has
                build the function against `wasi:logging@0.1.0-draft`
        "#]],
    );
    check(
        &function(""),
        "f",
        &[World::Http02],
        &[
            "wasi:io/poll@0.2",
            "wasi:io/poll@0.2.99",
            "wasi:cli/stdin@0.3.10",
        ],
        expect![[""]],
    );
}

#[test]
fn imports_that_no_function_gets() {
    let imports = facts(
        &[],
        &[
            "wasi:keyvalue/store@0.2.0-draft",
            BLOBS,
            HTTP_03,
            "wasi:io/poll@0.3.0",
            "wasi_snapshot_preview1",
            "env",
            "env",
        ],
    );
    assert_eq!(
        unsupported(&imports.imports),
        [
            "env",
            "wasi:io/poll@0.3.0",
            "wasi:keyvalue/store@0.2.0-draft"
        ]
    );
}

#[test]
fn grants_that_nothing_imports() {
    check(
        EXAMPLE,
        "simulate",
        &[World::Http02],
        &[
            "wasi:http/types@0.2.0",
            "wasi:http/outgoing-handler@0.3.0",
            "wasi:http/client@0.2.0",
        ],
        expect![[r#"
            warning 16:9 |blobs| spec.functions.simulate.grants.blobs
              the function `simulate` is granted `blobs`, but imports no `wasi:blobstore`
                remove the grant
            warning 17:9 |http| spec.functions.simulate.grants.http
              the function `simulate` is granted `http`, but imports neither `wasi:http/outgoing-handler@0.2` nor `wasi:http/client@0.3`
                remove the grant
            warning 18:9 |functions| spec.functions.simulate.grants.functions
              the function `simulate` is granted `functions`, but imports neither `wasi:http/outgoing-handler@0.2` nor `wasi:http/client@0.3`
                remove the grant
        "#]],
    );
    check(
        EXAMPLE,
        "simulate",
        &[World::Http03],
        &[BLOBS, HTTP_03],
        expect![[""]],
    );
    // They are imported, if not as Strand has them: that is the error to tell.
    check(
        EXAMPLE,
        "simulate",
        &[World::Http02],
        &[
            "wasi:blobstore/container@0.2.0",
            "wasi:http/outgoing-handler@0.1.0",
        ],
        expect![[r#"
            error 12:7 |source| spec.functions.simulate.source
              the function `simulate` imports `wasi:blobstore/container@0.2.0`, which is not a version that Strand has
                build the function against `wasi:blobstore@0.2.0-draft`
            error 12:7 |source| spec.functions.simulate.source
              the function `simulate` imports `wasi:http/outgoing-handler@0.1.0`, which is not a version that Strand has
                build the function against `wasi:http@0.2` or `wasi:http@0.3`
        "#]],
    );
    check(
        EXAMPLE,
        "index",
        &[World::Http03],
        &[HTTP_03],
        expect![[r#"
            warning 21:60 |blobs| spec.functions.index.grants.blobs
              the function `index` is granted `blobs`, but imports no `wasi:blobstore`
                remove the grant
        "#]],
    );
}

#[test]
fn grants_that_imports_need() {
    let imports = |names: &[&str]| facts(&[], names).imports;
    assert_eq!(
        needed_grants(&imports(&[
            "wasi:io/poll@0.2.0",
            "wasi:http/types@0.2.0",
            "other:x/y"
        ])),
        []
    );
    let needed = needed_grants(&imports(&[
        HTTP_03,
        BLOBS,
        HTTP_02,
        "wasi:blobstore/blobstore@0.2.0-draft",
        BLOBS,
    ]));
    let short: Vec<_> = needed
        .iter()
        .map(|grant| (grant.kind, grant.required, grant.imports.join(" ")))
        .collect();
    assert_eq!(
        short,
        [
            (
                GrantKind::Blobs,
                true,
                format!("wasi:blobstore/blobstore@0.2.0-draft {BLOBS}")
            ),
            (GrantKind::Http, false, format!("{HTTP_03} {HTTP_02}")),
        ]
    );
    expect![[r#"
        [
          {
            "kind": "blobs",
            "imports": [
              "wasi:blobstore/blobstore@0.2.0-draft",
              "wasi:blobstore/container@0.2.0-draft"
            ],
            "required": true,
            "lines": "grants:\n  blobs: { RESOURCE: [read, write] }\n"
          },
          {
            "kind": "http",
            "imports": [
              "wasi:http/client@0.3.0",
              "wasi:http/outgoing-handler@0.2.6"
            ],
            "required": false,
            "lines": "grants:\n  http: [ \"https://HOST\" ]\n  functions: [ FUNCTION ]\n"
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&needed).unwrap());
}
