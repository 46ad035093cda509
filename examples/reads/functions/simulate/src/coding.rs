//! Whether an answer is compressed, and how.

use reads_guest::bgzf::{self, NotOurs};

use crate::member::{self, Member};
use crate::request::Mode;

/// How an answer is coded, that is, what becomes of the bytes that its parts come to.
pub enum Coding {
    /// Not at all: they are what is wanted.
    Plain,
    /// On its way, as one member of gzip. The parts are blocks of BGZF.
    Gzip(Member),
    /// As a file that is to stay compressed, which is blocks of BGZF as the parts are.
    Bgzf,
}

impl Coding {
    /// The coding for a mode and a client that sent this `Accept-Encoding`, if any. In exact mode there
    /// is none: all is done by one call on one core, whose CPU time it would take.
    pub fn of(mode: &Mode, accepted: Option<&str>) -> Self {
        match mode {
            Mode::Windowed { bgzf: true, .. } => Self::Bgzf,
            Mode::Windowed { .. } if accepted.is_some_and(wants_gzip) => {
                Self::Gzip(Member::default())
            }
            _ => Self::Plain,
        }
    }

    /// Whether the parts have to be blocks.
    pub fn is_packed(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// What comes before the parts.
    pub fn head(&self) -> &'static [u8] {
        match self {
            Self::Gzip(_) => &member::HEAD,
            Self::Plain | Self::Bgzf => &[],
        }
    }

    /// What is sent of the next bytes of the parts.
    ///
    /// # Errors
    /// If they are no blocks and have to be.
    pub fn piece(&mut self, bytes: Vec<u8>) -> Result<Vec<u8>, NotOurs> {
        match self {
            Self::Gzip(member) => member.join(&bytes),
            Self::Plain | Self::Bgzf => Ok(bytes),
        }
    }

    /// What comes behind the parts, and says that they are all there.
    ///
    /// # Errors
    /// If the last part is cut off.
    pub fn end(self) -> Result<Vec<u8>, NotOurs> {
        match self {
            Self::Plain => Ok(Vec::new()),
            Self::Gzip(member) => member.end(),
            Self::Bgzf => Ok(bgzf::END.to_vec()),
        }
    }
}

/// Whether gzip is acceptable to a client, and not less so than plain bytes, by the value of its
/// `Accept-Encoding` (RFC 9110, section 12.5.3). What is malformed in it counts as not said.
fn wants_gzip(accepted: &str) -> bool {
    let said = |names: &[&str]| {
        let mut codings = accepted.split(',').filter_map(coding);
        codings.find_map(|(name, weight)| {
            let is_it = names.iter().any(|one| name.eq_ignore_ascii_case(one));
            is_it.then_some(weight)
        })
    };
    let others = said(&["*"]);
    let gzip = said(&["gzip", "x-gzip"]).or(others).unwrap_or(0);
    // Without being said plain bytes are acceptable, but gzip is what was asked for.
    let plain = said(&["identity"]).or(others).unwrap_or(0);
    gzip > 0 && gzip >= plain
}

/// A coding with its weight in thousandths.
fn coding(element: &str) -> Option<(&str, u16)> {
    let (name, weight) = match element.split_once(';') {
        None => (element, 1000),
        Some((name, parameter)) => {
            let (key, value) = parameter.trim().split_once('=')?;
            if !key.eq_ignore_ascii_case("q") {
                return None;
            }
            (name, thousandths(value)?)
        }
    };
    Some((name.trim(), weight))
}

/// A number from 0 to 1 with at most three digits after its point.
fn thousandths(value: &str) -> Option<u16> {
    let (whole, rest) = value.split_once('.').unwrap_or((value, ""));
    if rest.len() > 3 || !rest.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: u16 = format!("{rest:0<3}").parse().ok()?;
    match whole {
        "0" => Some(rest),
        "1" if rest == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};

    use flate2::read::GzDecoder;
    use reads_guest::bgzf::Packer;

    use super::*;

    #[test]
    fn gzip_is_for_those_who_accept_it() {
        for (accepted, wanted) in [
            ("gzip", true),
            ("GZip", true),
            ("x-gzip", true),
            ("deflate, gzip, br, zstd", true),
            ("br;q=1.0 , gzip;q=0.8\t, *;q=0.1", true),
            ("gzip;q=0.001", true),
            ("gzip;Q=1.000", true),
            ("gzip; q=0.5", true),
            ("*", true),
            ("*;q=0.5", true),
            ("br, *;q=0.1", true),
            ("identity;q=0, *", true),
            ("identity;q=0.5, gzip", true),
            ("gzip, identity", true),
            ("gzip;q=0.2, identity;q=0.1, *;q=0", true),
            ("", false),
            ("identity", false),
            ("br, deflate", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("identity, gzip;q=0.5", false),
            ("*, gzip;q=0.5", false),
            ("gzipped", false),
            // Malformed.
            ("gzip;q=2", false),
            ("gzip;q=1.001", false),
            ("gzip;q=0.0001", false),
            ("gzip;q=-1", false),
            ("gzip;q=0.+1", false),
            ("gzip;q=", false),
            ("gzip;q", false),
            ("gzip;level=9", false),
            (";q=1, ,,", false),
        ] {
            assert_eq!(wants_gzip(accepted), wanted, "{accepted:?}");
        }
    }

    #[test]
    fn windowed_mode_alone_is_coded() {
        let windowed = |bgzf| Mode::Windowed {
            start: None,
            stop: None,
            parallel: 4,
            bgzf,
        };
        let gzip = Some("gzip");
        let of = Coding::of;
        assert!(matches!(of(&windowed(false), None), Coding::Plain));
        assert!(matches!(of(&windowed(false), gzip), Coding::Gzip(_)));
        assert!(matches!(of(&windowed(true), None), Coding::Bgzf));
        // Else it would be coded twice.
        assert!(matches!(of(&windowed(true), gzip), Coding::Bgzf));
        assert!(matches!(of(&Mode::Exact, gzip), Coding::Plain));
    }

    #[test]
    fn what_is_sent_ends_when_all_is() {
        let part = Packer::new().pack(b"ACGT\n");
        for (mut coding, whole) in [
            (Coding::Plain, part.clone()),
            (Coding::Bgzf, [part.as_slice(), &bgzf::END].concat()),
        ] {
            let mut sent = coding.head().to_vec();
            sent.extend(coding.piece(part.clone()).expect("blocks"));
            sent.extend(coding.end().expect("whole blocks"));
            assert_eq!(sent, whole);
        }
        let mut coding = Coding::Gzip(Member::default());
        let mut sent = coding.head().to_vec();
        sent.extend(coding.piece(part).expect("blocks"));
        let cut_off = GzDecoder::new(sent.as_slice()).read_to_end(&mut Vec::new());
        assert_eq!(
            cut_off.map_err(|error| error.kind()),
            Err(ErrorKind::UnexpectedEof)
        );
        sent.extend(coding.end().expect("whole blocks"));
        let mut found = Vec::new();
        GzDecoder::new(sent.as_slice())
            .read_to_end(&mut found)
            .expect("a member");
        assert_eq!(found, b"ACGT\n");
    }
}
