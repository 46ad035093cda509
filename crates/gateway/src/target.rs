//! What a request's target may be.

use http::Method;
use http::request::Parts;
use strand_engine::Problem;

/// Refuses a target that is no path and no URI of ours, or that two readers could take
/// for two targets. `https` says whether one of that scheme may come this way.
pub(crate) fn check(parts: &Parts, https: bool) -> Result<(), Problem> {
    let bad = |detail| Err(Problem::bad_request("target", detail));
    if parts.method == Method::CONNECT {
        return Err(Problem::bad_request("method", "this node is not a proxy"));
    }
    match parts.uri.scheme_str() {
        None | Some("http") => {}
        Some("https") if https => {}
        Some("https") => {
            return bad(
                "`https` was asked for without TLS, and not by a proxy that this node trusts",
            );
        }
        Some(_) => return bad("the target's scheme is neither `http` nor `https`"),
    }
    let Some(path) = parts.uri.path_and_query() else {
        return bad("the target is neither a path nor a URI");
    };
    if path.as_str() == "*" && parts.method != Method::OPTIONS {
        return bad("only `OPTIONS` may have `*` as its target");
    }
    if !path.as_str().is_ascii() {
        return bad("the target holds characters beyond ASCII, which clients escape");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn targets_are_paths_and_uris() {
        for (method, target, expected) in [
            ("GET", "/", Ok(())),
            ("GET", "/a?b", Ok(())),
            ("GET", "//a", Ok(())),
            ("GET", "http://a", Ok(())),
            ("GET", "https://a/b?c", Ok(())),
            ("OPTIONS", "*", Ok(())),
            ("GET", "*", Err("target")),
            ("GET", "a", Err("target")),
            ("GET", "a:80", Err("target")),
            ("GET", "ftp://a/", Err("target")),
            ("GET", "/\u{e4}", Err("target")),
            ("GET", "/?\u{e4}", Err("target")),
            ("GET", "https://a/\u{e4}", Err("target")),
            ("CONNECT", "a:80", Err("method")),
            ("CONNECT", "/", Err("method")),
        ] {
            let request = Request::builder().method(method).uri(target).body(());
            let parts = request.unwrap().into_parts().0;
            let found = check(&parts, true);
            let found = found.map_err(|problem| match problem.kind() {
                strand_engine::Kind::BadRequest { field } => field.clone().unwrap_or_default(),
                kind => panic!("{kind:?}"),
            });
            assert_eq!(
                found.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|it| *it),
                "{method} {target}"
            );
        }
        let request = Request::get("https://a/").body(()).unwrap();
        assert!(check(&request.into_parts().0, false).is_err());
    }
}
