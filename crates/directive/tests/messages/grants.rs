//! Grants.

use expect_test::expect;

use crate::{app, check, function};

fn granted(grants: &str) -> String {
    app(&format!(
        "resources: {{ blobs: {{ genomes: {{}}, cache: {{}} }} }}\nfunctions:\n  f:\n    source: {{ file: f.wasm }}\n    grants:\n      {}\n  index: {{ source: {{ file: i.wasm }}, grants: {{ blobs: {{ genomes: [read], cache: [write] }} }} }}\nroutes: [{{ path: /, function: f }}, {{ path: /i, function: index }}]",
        grants.replace('\n', "\n      ")
    ))
}

#[test]
fn blobs() {
    check(
        &granted("blobs: { genomes: [read], cache: [write, read] }"),
        expect![[""]],
    );
    check(
        &granted("blobs: { genome: [read], buckets: [write] }"),
        expect![[r#"
            error 11:18 |genome| spec.functions.f.grants.blobs.genome
              there is no blobs resource `genome`
                did you mean `genomes`?
            error 11:34 |buckets| spec.functions.f.grants.blobs.buckets
              there is no blobs resource `buckets`
                declare it in `spec.resources.blobs`, which has `cache` and `genomes`
        "#]],
    );
    check(
        &granted("blobs: { genomes: [], cache: read }"),
        expect![[r#"
            error 11:18 |genomes| spec.functions.f.grants.blobs.genomes
              the grant of `genomes` allows nothing
                write `[read]`, `[write]` or `[read, write]`, or remove it
            error 11:38 |read| spec.functions.f.grants.blobs.cache
              `cache` must be a list, found the text `read`
        "#]],
    );
    check(
        &granted("blobs: { genomes: [reed, admin, 5], cache: [read, read] }"),
        expect![[r#"
            error 11:28 |reed| spec.functions.f.grants.blobs.genomes[0]
              unknown access `reed`
                did you mean `read`?
            error 11:34 |admin| spec.functions.f.grants.blobs.genomes[1]
              unknown access `admin`
                access is `read` or `write`
            error 11:41 |5| spec.functions.f.grants.blobs.genomes[2]
              `genomes[2]` must be text, found the number `5`
                put it in quotes: `"5"`
            error 11:59 |read| spec.functions.f.grants.blobs.cache[1]
              `read` is in the list twice
                remove one of them
        "#]],
    );
    check(
        &granted("blobs: [genomes]"),
        expect![[r#"
        error 11:9 |blobs| spec.functions.f.grants.blobs
          `blobs` must be a mapping, found a list
    "#]],
    );
    check(
        &function("grants: { blobs: { data: [read] } }"),
        expect![[r#"
            error 9:26 |data| spec.functions.f.grants.blobs.data
              there is no blobs resource `data`
                declare it in `spec.resources.blobs`
        "#]],
    );
}

#[test]
fn what_was_probably_meant_is_not_called_unused_as_well() {
    check(
        &app(
            "resources: { blobs: { genomes: {} } }\nfunctions:\n  simulate: { source: { file: f.wasm }, grants: { blobs: { genoms: [read] } } }\nroutes: [{ path: /, function: simulat }]",
        ),
        expect![[r#"
            error 8:62 |genoms| spec.functions.simulate.grants.blobs.genoms
              there is no blobs resource `genoms`
                did you mean `genomes`?
            error 9:33 |simulat| spec.routes[0].function
              there is no function `simulat`
                did you mean `simulate`?
        "#]],
    );
}

#[test]
fn functions() {
    check(&granted("functions: [index, f]"), expect![[""]]);
    check(
        &granted("functions: [idx, nobody]"),
        expect![[r#"
        error 11:21 |idx| spec.functions.f.grants.functions[0]
          there is no function `idx`
            declare it in `spec.functions`, which has `f` and `index`
        error 11:26 |nobody| spec.functions.f.grants.functions[1]
          there is no function `nobody`
            declare it in `spec.functions`, which has `f` and `index`
    "#]],
    );
    check(
        &granted("functions: [index, index, 7]"),
        expect![[r#"
        error 11:28 |index| spec.functions.f.grants.functions[1]
          `index` is in the list twice
            remove one of them
        error 11:35 |7| spec.functions.f.grants.functions[2]
          `functions[2]` must be text, found the number `7`
            put it in quotes: `"7"`
    "#]],
    );
    check(
        &granted("functions: index"),
        expect![[r#"
        error 11:20 |index| spec.functions.f.grants.functions
          `functions` must be a list, found the text `index`
    "#]],
    );
}

#[test]
fn http() {
    check(
        &granted(
            "http: [\"https://api.example.org\", \"https://*.example.org\", \"http://[::1]:8080\", \"http://10.0.0.5\"]",
        ),
        expect![[""]],
    );
    check(
        &granted(
            "http:\n- api.example.org\n- ftp://example.org\n- https://example.org/v1\n- https://me:pw@example.org\n- https://example.org:99999\n- https://*\n- https://a.*.org\n- https://bücher.example\n- http://127.1\n- http://index.strand.internal\n- 80",
        ),
        expect![[r#"
            error 12:11 |api.example.org| spec.functions.f.grants.http[0]
              `api.example.org` is not a rule for HTTP: it has no scheme
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 13:11 |ftp://example.org| spec.functions.f.grants.http[1]
              `ftp://example.org` has a scheme other than `http` and `https`
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 14:11 |https://example.org/v1| spec.functions.f.grants.http[2]
              `https://example.org/v1` names a path: a rule covers a whole host
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 15:11 |https://me:pw@example.org| spec.functions.f.grants.http[3]
              `https://me:pw@example.org` names a user: a rule has no credentials
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 16:11 |https://example.org:99999| spec.functions.f.grants.http[4]
              `https://example.org:99999` has no valid port
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 17:11 |https://*| spec.functions.f.grants.http[5]
              `https://*` covers every host: name the hosts
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 18:11 |https://a.*.org| spec.functions.f.grants.http[6]
              `https://a.*.org` has a `*` elsewhere than alone at the start of the host
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 19:11 |https://bücher.example| spec.functions.f.grants.http[7]
              `https://bücher.example` has a host with characters beyond ASCII: write it as punycode (`xn--…`)
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 20:11 |http://127.1| spec.functions.f.grants.http[8]
              `http://127.1` has a host that is neither a name nor an address
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 21:11 |http://index.strand.internal| spec.functions.f.grants.http[9]
              `http://index.strand.internal` is another function
                grant calls to a function by its name: `functions: [NAME]`
            error 22:11 |80| spec.functions.f.grants.http[10]
              `http[10]` must be text, found the number `80`
                put it in quotes: `"80"`
        "#]],
    );
    check(
        &granted("http: [\"https://a.org\", \"https://A.org:443/\"]"),
        expect![[r#"
            error 11:33 |"https://A.org:443/"| spec.functions.f.grants.http[1]
              `https://a.org` is in the list twice
                remove one of them
        "#]],
    );
    check(
        &granted("http: { allow: all }"),
        expect![[r#"
        error 11:9 |http| spec.functions.f.grants.http
          `http` must be a list, found a mapping
    "#]],
    );
}

#[test]
fn unknown_grants() {
    check(
        &granted("keyvalue: {}\nblob: {}"),
        expect![[r#"
        error 11:9 |keyvalue| spec.functions.f.grants.keyvalue
          unknown field `keyvalue` in `spec.functions.f.grants`
            the fields here are `blobs`, `http` and `functions`
        error 12:9 |blob| spec.functions.f.grants.blob
          unknown field `blob` in `spec.functions.f.grants`
            did you mean `blobs`?
    "#]],
    );
    check(
        &function("grants: [http]"),
        expect![[r#"
        error 9:7 |grants| spec.functions.f.grants
          `grants` must be a mapping, found a list
    "#]],
    );
}
