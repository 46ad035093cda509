//! Routes that send their clients elsewhere.

use http::header::LOCATION;
use http::{HeaderValue, Response, StatusCode};
use matchit::Params;
use strand_directive::{Template, Variable};
use strand_engine::{Body, Kind, Problem};

use crate::answer::empty;

/// Where a route sends its clients.
#[derive(Debug)]
pub(crate) struct Redirect {
    to: Template,
    status: StatusCode,
}

impl Redirect {
    /// `None` if the status is none.
    pub(crate) fn new(redirect: &strand_directive::Redirect) -> Option<Self> {
        Some(Self {
            to: redirect.to.clone(),
            status: StatusCode::from_u16(redirect.status).ok()?,
        })
    }

    /// Sends a client there, with what the path captured and its query.
    ///
    /// # Errors
    /// When what it captured would make another host of it.
    pub(crate) fn answer(
        &self,
        params: &Params<'_, '_>,
        query: Option<&str>,
    ) -> Result<Response<Body>, Problem> {
        // As they were sent: still escaped, they are what they were.
        let value = |variable: &Variable| match variable {
            Variable::Path(name) => params.get(name).map(str::to_owned),
            Variable::Query(_) => None,
        };
        let to = self.to.expand(value).map_err(|missing| {
            let detail = missing.to_string();
            Problem::bad_request(missing.field, detail)
        })?;
        let to = with_query(to, query);
        // `//host` is another host, and browsers read a `\` as they read a `/`.
        let elsewhere = to
            .strip_prefix('/')
            .is_some_and(|rest| rest.starts_with(['/', '\\']));
        let location = HeaderValue::try_from(to).ok().filter(|_| !elsewhere);
        let Some(location) = location else {
            return Err(Problem::new(Kind::NotFound, "there is no such place"));
        };
        let mut response = Response::new(empty());
        *response.status_mut() = self.status;
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }
}

fn with_query(mut to: String, query: Option<&str>) -> String {
    let end = to.find('#').unwrap_or(to.len());
    if let Some(query) = query.filter(|_| !to[..end].contains('?')) {
        to.insert_str(end, &format!("?{query}"));
    }
    to
}

#[cfg(test)]
mod tests {
    use matchit::Router;

    use super::*;

    fn location(to: &str, path: &str, query: Option<&str>) -> Result<String, String> {
        let redirect = Redirect {
            to: Template::parse(to).unwrap(),
            status: StatusCode::PERMANENT_REDIRECT,
        };
        let mut router = Router::new();
        router.insert("/old/{*rest}", ()).unwrap();
        let found = router.at(path).unwrap();
        let answer = redirect.answer(&found.params, query);
        let answer = answer.map_err(|problem| problem.to_string())?;
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT);
        Ok(answer.headers()[LOCATION].to_str().unwrap().to_owned())
    }

    #[test]
    fn clients_are_sent_on_with_path_and_query() {
        for (to, path, query, expected) in [
            ("/new/{path.rest}", "/old/a/b", None, "/new/a/b"),
            (
                "/new/{path.rest}",
                "/old/a%20b",
                Some("x=1&y"),
                "/new/a%20b?x=1&y",
            ),
            ("/new#top", "/old/a", Some("x"), "/new?x#top"),
            ("/new?id={path.rest}", "/old/a", Some("x=1"), "/new?id=a"),
            ("/new#a?b", "/old/a", Some("x"), "/new?x#a?b"),
            (
                "https://b.example/{path.rest}",
                "/old//c",
                None,
                "https://b.example//c",
            ),
            (
                "https://b.example",
                "/old/a",
                Some("x"),
                "https://b.example?x",
            ),
            ("/{path.rest}", "/old/a//b", None, "/a//b"),
        ] {
            assert_eq!(
                location(to, path, query).as_deref(),
                Ok(expected),
                "{to} {path}"
            );
        }
    }

    #[test]
    fn no_path_leads_to_another_host() {
        for path in ["/old//evil.example", "/old/\\evil.example"] {
            let found = location("/{path.rest}", path, None);
            assert_eq!(
                found,
                Err("not-found: there is no such place".to_owned()),
                "{path}"
            );
        }
    }
}
