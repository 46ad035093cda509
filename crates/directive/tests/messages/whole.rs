//! Whole files: what a good one means, and many problems at once.

use expect_test::expect;
use strand_directive::{
    Access, Command, DEFAULT_CONTENT_TYPE, MAX_PROBLEMS, RouteTarget, Severity, Source, Variable,
    World, parse,
};

use crate::{EXAMPLE, check, function, routes};

#[test]
fn the_example_means_what_it_says() {
    let directive = parse(EXAMPLE).directive.unwrap();
    assert_eq!(
        (directive.name.as_str(), directive.version.as_str()),
        ("reads", "0.1.0")
    );
    let dev = |name: &str| directive.resources.blobs[name].dev.clone();
    assert_eq!(
        (dev("genomes"), dev("cache")),
        (Some("genomes".to_owned()), Some(".cache".to_owned()))
    );

    let simulate = &directive.functions["simulate"];
    assert_eq!(
        simulate.source,
        Source::Cargo("functions/simulate".to_owned())
    );
    assert_eq!(
        (
            simulate.world,
            simulate.limits.concurrency,
            simulate.limits.queue
        ),
        (None, 16, 16)
    );
    assert_eq!(
        (simulate.instance.reuse, simulate.instance.concurrency),
        (1, 1)
    );
    assert_eq!(simulate.grants.blobs["genomes"], [Access::Read].into());
    assert_eq!(
        simulate.grants.blobs["cache"],
        [Access::Read, Access::Write].into()
    );
    assert!(simulate.grants.http[0].matches("https", "api.example.org", 443));
    assert_eq!(simulate.grants.functions, ["index".to_owned()].into());
    assert_eq!(
        (
            simulate.config["greeting"].as_str(),
            simulate.env["RUST_LOG"].as_str()
        ),
        ("hello", "info")
    );
    assert_eq!(
        directive.functions["wc"].source,
        Source::File("tools/wc.wasm".to_owned())
    );

    let [reads, run, assets] = directive.routes.as_slice() else {
        panic!()
    };
    assert_eq!(
        (reads.path.as_str(), reads.methods.as_deref()),
        ("/reads", Some(["GET".to_owned()].as_slice()))
    );
    assert_eq!(
        reads.target,
        RouteTarget::Function {
            name: "simulate".to_owned(),
            command: None
        }
    );
    let RouteTarget::Function {
        name,
        command: Some(Command { args, content_type }),
    } = &run.target
    else {
        panic!()
    };
    assert_eq!(
        (run.methods.as_deref(), name.as_str(), content_type.as_str()),
        (None, "wc", "text/plain")
    );
    let args: Vec<String> = args
        .iter()
        .map(|arg| {
            arg.expand(|variable| {
                (*variable == Variable::Path("tool".to_owned())).then(|| "x".to_owned())
            })
            .unwrap()
        })
        .collect();
    assert_eq!(args, ["-n", "10", "x"]);
    assert_eq!(assets.target, RouteTarget::Static("public".to_owned()));
}

#[test]
fn what_is_left_out_has_its_default() {
    let directive = parse(&routes("- { path: /, function: f, command: {} }"))
        .directive
        .unwrap();
    let expected = Command {
        args: Vec::new(),
        content_type: DEFAULT_CONTENT_TYPE.to_owned(),
    };
    assert_eq!(
        directive.routes[0].target,
        RouteTarget::Function {
            name: "f".to_owned(),
            command: Some(expected)
        }
    );
    let directive = parse(&function(
        "world: command@0.2\ninstance: { reuse: 5, concurrency: 4 }\nlimits: { queue: 3 }",
    ))
    .directive
    .unwrap();
    let function = &directive.functions["f"];
    assert_eq!(function.world, Some(World::Command02));
    assert_eq!(
        (function.instance.reuse, function.instance.concurrency),
        (5, 4)
    );
    assert_eq!(
        (function.limits.concurrency, function.limits.queue),
        (64, 3)
    );
}

#[test]
fn places_are_kept() {
    let directive = parse(EXAMPLE).directive.unwrap();
    let shown = |field: &str| {
        directive
            .spans
            .get(field)
            .map(|span| &EXAMPLE[span.range()])
    };
    assert_eq!(
        shown("spec.functions.simulate.limits.memory"),
        Some("128Mi")
    );
    assert_eq!(shown("spec.functions.simulate"), Some("simulate"));
    assert_eq!(
        shown("spec.routes[1].command.args[1]"),
        Some("\"{query.n=10}\"")
    );
    assert_eq!(shown("spec.functions.simulate.limits.queue"), None);
}

#[test]
fn many_problems_at_once() {
    check(
        "apiVersion: strand.dev/v1alpha1
kind: App
metadata: { name: Reads }
spec:
  version: '1'
  resources:
    blobs:
      genomes: { dev: /genomes }
      unused: {}
  functions:
    simulate:
      source: { crago: functions/simulate }
      limits: { memory: 128M, cpu: 30, concurrency: 0 }
      instance: { concurrency: 2 }
      grants:
        blobs: { genome: [read], cache: [rw] }
        http: [ api.example.org ]
        functions: [ indx ]
      config: { greeting: 5 }
    index: { source: { cargo: functions/index } }
  routes:
    - { path: /reads, methods: [get], function: simulte }
    - { path: \"/run/{tool}\", function: wc, command: { args: [\"{path.tol}\"] } }
    - { path: \"/run/{name}\", static: ../public }
",
        expect![[r#"
            error 3:19 |Reads| metadata.name
              `Reads` is not a name
                did you mean `reads`? a name has lower-case letters, digits and inner hyphens, starts with a letter, and has at most 63 characters
            error 5:12 |'1'| spec.version
              `1` is not a version: unexpected end of input while parsing major version number
                a version has three numbers, for example `0.1.0`
            error 8:23 |/genomes| spec.resources.blobs.genomes.dev
              `/genomes` is an absolute path
                a path is relative to the app's folder and stays in it, for example `./public`
            warning 9:7 |unused| spec.resources.blobs.unused
              no function is granted the blobs `unused`
                name it in a function's `grants.blobs`, or remove it
            error 12:7 |source| spec.functions.simulate.source
              `source` must have either `cargo` or `file`, it has neither
                `cargo` is the folder of a Cargo package, `file` a component or module
            error 12:17 |crago| spec.functions.simulate.source.crago
              unknown field `crago` in `spec.functions.simulate.source`
                did you mean `cargo`?
            error 13:25 |128M| spec.functions.simulate.limits.memory
              `128M` is not a size
                did you mean `128Mi`? the units are `Ki`, `Mi` and `Gi`; without a unit it is bytes
            error 13:36 |30| spec.functions.simulate.limits.cpu
              `30` is not a duration
                did you mean `30s`? the units are `ms`, `s`, `m` and `h`
            error 13:53 |0| spec.functions.simulate.limits.concurrency
              `concurrency` must be from `1` to `65536`, found `0`
            error 14:32 |2| spec.functions.simulate.instance.concurrency
              an instance cannot serve 2 requests at once when it serves 1 in all
                set `reuse` to at least 2, or lower `concurrency`
            error 16:18 |genome| spec.functions.simulate.grants.blobs.genome
              there is no blobs resource `genome`
                did you mean `genomes`?
            error 16:34 |cache| spec.functions.simulate.grants.blobs.cache
              there is no blobs resource `cache`
                declare it in `spec.resources.blobs`, which has `genomes` and `unused`
            error 16:42 |rw| spec.functions.simulate.grants.blobs.cache[0]
              unknown access `rw`
                access is `read` or `write`
            error 17:17 |api.example.org| spec.functions.simulate.grants.http[0]
              `api.example.org` is not a rule for HTTP: it has no scheme
                write `https://HOST`, `https://*.DOMAIN` or `http://HOST:PORT`
            error 18:22 |indx| spec.functions.simulate.grants.functions[0]
              there is no function `indx`
                did you mean `index`?
            error 19:27 |5| spec.functions.simulate.config.greeting
              `greeting` must be text, found the number `5`
                put it in quotes: `"5"`
            error 22:33 |get| spec.routes[0].methods[0]
              unknown method `get`
                did you mean `GET`?
            error 22:49 |simulte| spec.routes[0].function
              there is no function `simulte`
                did you mean `simulate`?
            error 23:40 |wc| spec.routes[1].function
              there is no function `wc`
                declare it in `spec.functions`, which has `index` and `simulate`
            error 23:62 |"{path.tol}"| spec.routes[1].command.args[0]
              the route's path does not capture `tol`
                did you mean `{path.tool}`?
            error 24:15 |"/run/{name}"| spec.routes[2].path
              a route that serves files has a parameter other than one for the rest
                end the path in `/{*rest}` to serve a folder, or use no parameter
            error 24:15 |"/run/{name}"| spec.routes[2].path
              the route `/run/{name}` clashes with the earlier route `/run/{tool}` for GET
                give one of them another path, or let `methods` tell them apart
            error 24:38 |../public| spec.routes[2].static
              `../public` leaves the app's folder
                a path is relative to the app's folder and stays in it, for example `./public`
        "#]],
    );
}

/// Guesses cost time, so there is an end to them as well.
#[test]
fn guesses_end_where_telling_ends() {
    let help = |problems_before: usize| {
        let fields: String = (0..problems_before)
            .map(|i| format!("\n    field{i}: x"))
            .collect();
        let text = crate::app(&format!(
            "routes: [{{ path: /, function: simulat }}]\nfunctions:\n  simulate:\n    source: {{ file: f }}{fields}"
        ));
        parse(&text).problems[0].help.clone()
    };
    assert_eq!(
        help(MAX_PROBLEMS - 1).as_deref(),
        Some("did you mean `simulate`?")
    );
    assert_eq!(
        help(MAX_PROBLEMS).as_deref(),
        Some("declare it in `spec.functions`, which has `simulate`")
    );
}

#[test]
fn there_is_an_end_to_it() {
    let fields = |count: usize| {
        function(
            &(0..count)
                .map(|i| format!("field{i}: x\n"))
                .collect::<String>(),
        )
    };
    let problems = parse(&fields(MAX_PROBLEMS)).problems;
    assert_eq!(problems.len(), MAX_PROBLEMS);
    assert!(problems.iter().all(|problem| problem.span.is_some()));

    let problems = parse(&fields(MAX_PROBLEMS + 7)).problems;
    assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    let last = &problems[MAX_PROBLEMS];
    assert_eq!(
        (last.severity, last.message.as_str()),
        (Severity::Error, "and 7 more problems")
    );

    // Warnings alone do not become an error by their number.
    let unused: String = (0..=MAX_PROBLEMS)
        .map(|i| format!("\n    b{i}: {{}}"))
        .collect();
    let outcome = parse(&crate::app(&format!("resources:\n  blobs:{unused}")));
    assert!(outcome.directive.is_some());
    assert_eq!(outcome.problems[MAX_PROBLEMS].severity, Severity::Warning);
    assert_eq!(
        outcome.problems[MAX_PROBLEMS].message,
        "and one more problem"
    );
}
