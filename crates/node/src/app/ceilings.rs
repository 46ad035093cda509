//! What a Directive asks for, compared with what the node gives.

use strand_directive::units::{format_duration, format_size};
use strand_directive::{Diagnostic, Directive, Function, Severity};

use crate::config::Ceilings;

/// One limit: its name in the Directive, the ceiling's name in the node's configuration, and both
/// values where the limit is over the ceiling.
type Compared = (&'static str, &'static str, Option<(String, String)>);

/// All that a function asks for beyond the node's ceilings.
pub(crate) fn check(
    ceilings: &Ceilings,
    directive: &Directive,
    name: &str,
    function: &Function,
) -> Vec<Diagnostic> {
    let asked = &function.limits;
    let number = |number: u32| number.to_string();
    let compared: [Compared; 6] = [
        (
            "memory",
            "memory",
            over(asked.memory, ceilings.memory.0, format_size),
        ),
        (
            "cpu",
            "cpu",
            over(asked.cpu, ceilings.cpu.0, format_duration),
        ),
        (
            "wall",
            "wall",
            over(asked.wall, ceilings.wall.0, format_duration),
        ),
        (
            "concurrency",
            "concurrency",
            over(asked.concurrency, ceilings.concurrency, number),
        ),
        // Whoever waits takes memory as well; as many may as may be in progress.
        (
            "queue",
            "concurrency",
            over(asked.queue, ceilings.concurrency, number),
        ),
        (
            "body",
            "body",
            over(asked.body, ceilings.body.0, format_size),
        ),
    ];
    let mut problems = Vec::new();
    for (limit, key, values) in compared {
        let Some((asked, ceiling)) = values else {
            continue;
        };
        let field = format!("spec.functions.{name}.limits.{limit}");
        let written = directive.spans.get(&field).is_some();
        // By default as long as `concurrency` says, which is told already.
        if limit == "queue" && !written {
            continue;
        }
        let default = if written { "" } else { ", the default," };
        problems.push(directive.problem(
            Severity::Error,
            field,
            format!("`{limit}: {asked}`{default} is more than this node's ceiling of {ceiling}"),
            Some(format!(
                "ask for `{limit}: {ceiling}` at most, or raise `{key}` under `[ceilings]` in the \
                 node's `--config`"
            )),
        ));
    }
    problems
}

/// Both values in words, if the first one is more.
fn over<T: PartialOrd>(
    asked: T,
    ceiling: T,
    show: impl Fn(T) -> String,
) -> Option<(String, String)> {
    (asked > ceiling).then(|| (show(asked), show(ceiling)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Size, Time};

    const CEILINGS: Ceilings = Ceilings {
        memory: Size(256 << 20),
        cpu: Time(Duration::from_secs(60)),
        wall: Time(Duration::from_secs(600)),
        concurrency: 100,
        body: Size(1 << 20),
    };

    /// What is said of a function with these limits: the place, the message, the help.
    fn said(limits: &str, ceilings: &Ceilings) -> Vec<String> {
        let text = format!(
            "apiVersion: strand.dev/v1alpha1\n\
             kind: App\n\
             metadata: {{ name: app }}\n\
             spec:\n  \
               version: 0.1.0\n  \
               functions:\n    \
                 f: {{ source: {{ file: f.wasm }}{limits} }}\n  \
               routes: [{{ path: /, function: f }}]\n"
        );
        let directive = strand_directive::parse(&text).directive.expect(limits);
        check(ceilings, &directive, "f", &directive.functions["f"])
            .into_iter()
            .map(|problem| {
                let span = problem.span.expect("it is in the file");
                let help = problem.help.expect("it says what to do");
                format!("{} | {} | {help}", &text[span.range()], problem.message)
            })
            .collect()
    }

    #[test]
    fn every_limit_over_its_ceiling_is_told() {
        assert_eq!(
            said(
                ", limits: { memory: 512Mi, cpu: 2m, wall: 1h, concurrency: 101, queue: 200, body: 8Mi }",
                &CEILINGS
            ),
            [
                "512Mi | `memory: 512Mi` is more than this node's ceiling of 256Mi | \
                 ask for `memory: 256Mi` at most, or raise `memory` under `[ceilings]` in the node's `--config`",
                "2m | `cpu: 2m` is more than this node's ceiling of 1m | \
                 ask for `cpu: 1m` at most, or raise `cpu` under `[ceilings]` in the node's `--config`",
                "1h | `wall: 1h` is more than this node's ceiling of 10m | \
                 ask for `wall: 10m` at most, or raise `wall` under `[ceilings]` in the node's `--config`",
                "101 | `concurrency: 101` is more than this node's ceiling of 100 | \
                 ask for `concurrency: 100` at most, or raise `concurrency` under `[ceilings]` in the node's `--config`",
                "200 | `queue: 200` is more than this node's ceiling of 100 | \
                 ask for `queue: 100` at most, or raise `concurrency` under `[ceilings]` in the node's `--config`",
                "8Mi | `body: 8Mi` is more than this node's ceiling of 1Mi | \
                 ask for `body: 1Mi` at most, or raise `body` under `[ceilings]` in the node's `--config`",
            ]
        );
    }

    #[test]
    fn as_much_as_the_ceiling_is_not_too_much() {
        let limits =
            ", limits: { memory: 256Mi, cpu: 60s, wall: 10m, concurrency: 100, body: 1Mi }";
        assert_eq!(said(limits, &CEILINGS), Vec::<String>::new());
    }

    #[test]
    fn a_default_over_the_ceiling_is_told_as_one() {
        let low = Ceilings {
            concurrency: 63,
            ..CEILINGS
        };
        // Its queue is as long, and nobody has written it.
        assert_eq!(
            said(", limits: { body: 1Mi }", &low),
            [
                "limits | `concurrency: 64`, the default, is more than this node's ceiling of 63 | \
              ask for `concurrency: 63` at most, or raise `concurrency` under `[ceilings]` in the node's `--config`"
            ]
        );
        assert_eq!(said("", &CEILINGS).len(), 1, "the default body");
    }
}
