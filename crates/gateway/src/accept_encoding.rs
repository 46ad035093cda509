//! Which codings of a body a client takes (RFC 9110, section 12.5.3).

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// A coding that Strand can send, the one that makes the smallest bodies first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
    Gzip,
}

impl Coding {
    const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in header fields.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a file in this coding ends with.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

/// The codings that a client takes, those that it likes best first. None unless it says so: RFC
/// 9110 would let us send any then, but who does not ask may not expect it.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<Coding> {
    let mut qualities = [None; Coding::ALL.len()];
    let mut rest = None;
    let items = headers
        .get_all(ACCEPT_ENCODING)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for item in items {
        let (name, parameter) = item.split_once(';').unwrap_or((item, ""));
        let Some(quality) = quality(parameter) else {
            continue;
        };
        let name = name.trim();
        if name == "*" {
            rest = Some(quality);
        }
        for (coding, known) in Coding::ALL.iter().zip(&mut qualities) {
            let older = *coding == Coding::Gzip && name.eq_ignore_ascii_case("x-gzip");
            if name.eq_ignore_ascii_case(coding.name()) || older {
                *known = Some(quality);
            }
        }
    }
    let mut found: Vec<(u16, Coding)> = Coding::ALL
        .into_iter()
        .zip(qualities)
        .filter_map(|(coding, known)| Some((known.or(rest)?, coding)))
        .filter(|(quality, _)| *quality > 0)
        .collect();
    // Stable: of those that it likes alike, ours come first.
    found.sort_by_key(|(quality, _)| std::cmp::Reverse(*quality));
    found.into_iter().map(|(_, coding)| coding).collect()
}

/// A weight in thousandths; `None` for what is none (RFC 9110, section 12.4.2).
fn quality(parameter: &str) -> Option<u16> {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return Some(1000);
    }
    let (name, value) = parameter.split_once('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let good = name.eq_ignore_ascii_case("q")
        && decimals.len() <= 3
        && decimals.bytes().all(|byte| byte.is_ascii_digit());
    let decimals = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" if good => Some(decimals),
        "1" if good && decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn clients_say_what_they_take() {
        use Coding::*;
        for (said, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["gzip"], &[Gzip]),
            (&["GZIP"], &[Gzip]),
            (&["x-gzip"], &[Gzip]),
            (&["gzip, deflate, br, zstd"], &[Brotli, Zstd, Gzip]),
            (&["gzip", "br"], &[Brotli, Gzip]),
            (&["gzip;q=1.0, br;q=0.5"], &[Gzip, Brotli]),
            (&["gzip;q=0.001, br;q=0"], &[Gzip]),
            (&["gzip ; q=0.5 ,br"], &[Brotli, Gzip]),
            (&["gzip;Q=0"], &[]),
            (&["*"], &[Brotli, Zstd, Gzip]),
            (&["*;q=0"], &[]),
            (&["*;q=0, gzip"], &[Gzip]),
            (&["*, br;q=0"], &[Zstd, Gzip]),
            (&["identity"], &[]),
            (&["identity;q=0"], &[]),
            (&["gzip;q=2"], &[]),
            (&["gzip;q=1.001"], &[]),
            (&["gzip;q=0.1234"], &[]),
            (&["gzip;q=-1"], &[]),
            (&["gzip;q="], &[]),
            (&["gzip;x=1"], &[]),
            (&["gzip;q=0.5;x"], &[]),
            (&["gzipped, xgzip"], &[]),
        ] {
            let mut headers = HeaderMap::new();
            for value in said {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
            }
            assert_eq!(accepted(&headers), expected, "{said:?}");
        }
    }
}
