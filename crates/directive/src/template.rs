//! Templates of a command's arguments: text with values of the request in it.

use crate::diagnostic::{Invalid, quote};

/// Longest template, in bytes.
pub const MAX_TEMPLATE_BYTES: usize = 4096;

/// A value of a request that a template asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `{query.NAME}`: the query parameter of that name.
    Query(String),
    /// `{path.NAME}`: what the route's path captured under that name.
    Path(String),
}

impl std::fmt::Display for Variable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query.{name}"),
            Self::Path(name) => write!(f, "path.{name}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value {
        variable: Variable,
        default: Option<String>,
    },
}

/// One argument of a command.
///
/// `{query.NAME}` is a query parameter, `{query.NAME=DEFAULT}` one that may be missing,
/// `{path.NAME}` a part that the route's path captures; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A request lacks a value that a template needs, and the template has no default for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request has no `{field}`, which this route needs")]
pub struct MissingValue {
    /// The value, for example `query.n`.
    pub field: String,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`Invalid`] for unknown parts, braces that do not match and templates of more than
    /// [`MAX_TEMPLATE_BYTES`].
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() > MAX_TEMPLATE_BYTES {
            return Err(Invalid::new(format!(
                "the template has {} bytes, at most {MAX_TEMPLATE_BYTES} are allowed",
                text.len()
            )));
        }
        if text.contains('\0') {
            return Err(Invalid::new("an argument cannot hold a zero byte"));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = after.find(['{', '}']).unwrap_or(after.len());
                let (inner, after) = after.split_at(end);
                let Some(after) = after.strip_prefix('}') else {
                    return Err(
                        Invalid::new(format!("`{{` without `}}` in {}", quote(text)))
                            .help("a brace that is meant literally is written `{{`"),
                    );
                };
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal)));
                }
                parts.push(value(inner)?);
                rest = after;
            } else {
                return Err(
                    Invalid::new(format!("`}}` without `{{` in {}", quote(text)))
                        .help("a brace that is meant literally is written `}}`"),
                );
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }

    /// The values that the template asks for, in its order.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Value { variable, .. } => Some(variable),
        })
    }

    /// The text before the first value.
    pub fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }

    /// The argument, with values from `lookup`, which gives `None` for what the request lacks.
    ///
    /// Values are put in as they are: they are arguments of a function, no shell reads them.
    ///
    /// # Errors
    /// [`MissingValue`] names the first value that is neither in the request nor has a default.
    pub fn expand(
        &self,
        lookup: impl Fn(&Variable) -> Option<String>,
    ) -> Result<String, MissingValue> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { variable, default } => match (lookup(variable), default) {
                    (Some(value), _) => out.push_str(&value),
                    (None, Some(default)) => out.push_str(default),
                    (None, None) => {
                        return Err(MissingValue {
                            field: variable.to_string(),
                        });
                    }
                },
            }
        }
        Ok(out)
    }
}

/// What stands between braces.
fn value(inner: &str) -> Result<Part, Invalid> {
    const HELP: &str = "a template takes `{query.NAME}`, `{query.NAME=DEFAULT}` and `{path.NAME}`";
    let unknown = || {
        Invalid::new(format!(
            "{} is not known in a template",
            quote(&format!("{{{inner}}}"))
        ))
        .help(HELP)
    };
    let (name, default) = match inner.split_once('=') {
        Some((name, default)) => (name, Some(default.to_owned())),
        None => (inner, None),
    };
    let (kind, name) = name.split_once('.').ok_or_else(unknown)?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(unknown());
    }
    let variable = match kind {
        "query" => Variable::Query(name.to_owned()),
        "path" if default.is_some() => {
            return Err(Invalid::new(format!(
                "{} has a default, but a part of the path is never missing",
                quote(&format!("{{{inner}}}"))
            ))
            .help(format!("write `{{path.{name}}}`")));
        }
        "path" => Variable::Path(name.to_owned()),
        _ => return Err(unknown()),
    };
    Ok(Part::Value { variable, default })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str) -> Result<String, String> {
        Template::parse(template)
            .map_err(|error| error.message)?
            .expand(|variable| match variable {
                Variable::Query(name) if name == "n" => Some("7".to_owned()),
                Variable::Path(name) if name == "tool" => Some("{wc}".to_owned()),
                _ => None,
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn templates_expand() {
        for (template, expected) in [
            ("", ""),
            ("-n", "-n"),
            ("{query.n}", "7"),
            ("{query.n=10}", "7"),
            ("{query.m=10}", "10"),
            ("{query.m=}", ""),
            ("{query.m=a=b}", "a=b"),
            ("--{path.tool}={query.n}!", "--{wc}=7!"),
            ("{{query.n}}", "{query.n}"),
            ("{{{query.n}}}", "{7}"),
            ("ä{query.n}ö", "ä7ö"),
        ] {
            assert_eq!(expand(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            expand("{query.other.name}"),
            Err("the request has no `query.other.name`, which this route needs".to_owned())
        );
        assert_eq!(
            expand("{path.other}"),
            Err("the request has no `path.other`, which this route needs".to_owned())
        );
    }

    #[test]
    fn bad_templates_are_refused() {
        for (template, message) in [
            ("{", "`{` without `}` in `{`"),
            ("a{query.n", "`{` without `}` in `a{query.n`"),
            ("{query.{n}}", "`{` without `}` in `{query.{n}}`"),
            ("}", "`}` without `{` in `}`"),
            ("{query.n}}", "`}` without `{` in `{query.n}}`"),
            ("{}", "`{}` is not known in a template"),
            ("{query}", "`{query}` is not known in a template"),
            ("{query.}", "`{query.}` is not known in a template"),
            ("{query. n}", "`{query. n}` is not known in a template"),
            (
                "{header.accept}",
                "`{header.accept}` is not known in a template",
            ),
            (
                "{path.x=1}",
                "`{path.x=1}` has a default, but a part of the path is never missing",
            ),
            ("a\0", "an argument cannot hold a zero byte"),
        ] {
            assert_eq!(expand(template), Err(message.to_owned()), "{template}");
        }
    }

    #[test]
    fn length_is_bounded() {
        assert!(Template::parse(&"x".repeat(MAX_TEMPLATE_BYTES)).is_ok());
        assert_eq!(
            Template::parse(&"x".repeat(MAX_TEMPLATE_BYTES + 1))
                .unwrap_err()
                .message,
            "the template has 4097 bytes, at most 4096 are allowed"
        );
    }

    #[test]
    fn variables_are_listed() {
        let template = Template::parse("a{query.n=1}b{path.tool}").unwrap();
        let names: Vec<String> = template.variables().map(Variable::to_string).collect();
        assert_eq!(names, ["query.n", "path.tool"]);
    }
}
