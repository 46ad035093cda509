//! A command's arguments, from the request.

use std::cell::RefCell;

use http::HeaderValue;
use matchit::Params;
use strand_directive::{Command, Template, Variable};
use strand_engine::{CommandLine, Problem};

use crate::path::{query_value, unescape};

/// Most bytes that a request's arguments may have together. Templates can repeat a
/// value, so the request's own size does not bound them.
const MAX_ARGUMENTS: usize = 128 << 10;

/// How a route calls its command.
#[derive(Debug)]
pub(crate) struct Arguments {
    templates: Vec<Template>,
    content_type: HeaderValue,
}

impl Arguments {
    /// `None` if the media type cannot stand in a header.
    pub(crate) fn new(command: &Command) -> Option<Self> {
        Some(Self {
            templates: command.args.clone(),
            content_type: HeaderValue::from_str(&command.content_type).ok()?,
        })
    }

    /// The arguments for one request.
    pub(crate) fn of(
        &self,
        params: &Params<'_, '_>,
        query: Option<&str>,
    ) -> Result<CommandLine, Problem> {
        let failed = RefCell::new(None);
        let value = |variable: &Variable| {
            let found = match variable {
                Variable::Query(name) => query_value(query.unwrap_or_default(), name),
                Variable::Path(name) => params
                    .get(name)
                    .map(|text| unescape(text, &variable.to_string()).map(String::from))
                    .transpose(),
            };
            let found = found.and_then(|value| match value {
                Some(value) if value.contains('\0') => Err(Problem::bad_request(
                    variable.to_string(),
                    format!("`{variable}` holds a zero byte, which an argument cannot"),
                )),
                value => Ok(value),
            });
            found.unwrap_or_else(|problem| {
                failed.borrow_mut().get_or_insert(problem);
                None
            })
        };
        let mut args = Vec::with_capacity(self.templates.len());
        let mut length = 0;
        for template in &self.templates {
            let expanded = template.expand(value);
            // What is broken must not be taken for missing.
            if let Some(problem) = failed.take() {
                return Err(problem);
            }
            let argument = expanded.map_err(|missing| {
                let detail = missing.to_string();
                Problem::bad_request(missing.field, detail)
            })?;
            length += argument.len();
            if length > MAX_ARGUMENTS {
                return Err(Problem::bad_request(
                    "query",
                    "the command's arguments would be longer than 128Ki",
                ));
            }
            args.push(argument);
        }
        Ok(CommandLine {
            args,
            content_type: self.content_type.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(templates: &[&str], path: &str, query: Option<&str>) -> Result<String, String> {
        let command = Command {
            args: templates
                .iter()
                .map(|text| Template::parse(text).unwrap())
                .collect(),
            content_type: "text/plain".to_owned(),
        };
        let mut router = matchit::Router::new();
        router.insert("/run/{tool}", ()).unwrap();
        let found = router.at(path).unwrap();
        Arguments::new(&command)
            .unwrap()
            .of(&found.params, query)
            .map(|line| line.args.join("|"))
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn values_come_from_path_and_query() {
        let templates = ["-n", "{query.n=10}", "{path.tool}:{query.n=}"];
        for (path, query, expected) in [
            ("/run/wc", None, "-n|10|wc:"),
            ("/run/wc", Some("n=7"), "-n|7|wc:7"),
            ("/run/a%2Fb", Some("n=a%20b+c"), "-n|a b c|a/b:a b c"),
        ] {
            assert_eq!(
                arguments(&templates, path, query).as_deref(),
                Ok(expected),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_missing_or_broken_is_named() {
        let templates = ["{path.tool}", "{query.n}"];
        for (path, query, expected) in [
            (
                "/run/wc",
                None,
                "bad-request: the request has no `query.n`, which this route needs",
            ),
            (
                "/run/wc",
                Some("n=%zz"),
                "bad-request: `query.n` holds a `%` that two hexadecimal digits do not follow",
            ),
            (
                "/run/wc",
                Some("n=a%00"),
                "bad-request: `query.n` holds a zero byte, which an argument cannot",
            ),
            (
                "/run/%FF",
                Some("n=1"),
                "bad-request: `path.tool` is not UTF-8",
            ),
        ] {
            assert_eq!(
                arguments(&templates, path, query),
                Err(expected.to_owned()),
                "{path} {query:?}"
            );
        }
    }

    #[test]
    fn arguments_are_bounded() {
        let repeated = "{query.n}".repeat(400);
        let value = |length: usize| format!("n={}", "a".repeat(length));
        assert!(arguments(&[&repeated], "/run/wc", Some(&value(327))).is_ok());
        assert_eq!(
            arguments(&[&repeated], "/run/wc", Some(&value(328))),
            Err("bad-request: the command's arguments would be longer than 128Ki".to_owned())
        );
    }

    #[test]
    fn a_media_type_must_fit_a_header() {
        let command = |content_type: &str| Command {
            args: Vec::new(),
            content_type: content_type.to_owned(),
        };
        assert!(Arguments::new(&command("text/plain")).is_some());
        assert!(Arguments::new(&command("text/plain\n")).is_none());
    }
}
