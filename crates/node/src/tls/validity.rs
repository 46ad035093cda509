//! When a certificate is valid, and what its operator is to hear of that.

use x509_parser::certificate::Validity;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

/// Seconds before its end from which on a certificate is warned of. What renews certificates by
/// itself has done so by then, or has failed.
const SOON: i64 = 14 * 24 * 60 * 60;

/// `None` if it cannot be read. Clients may find more in a certificate than this does.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().clone())
}

/// What is wrong with a certificate at this time, or soon, and what to do about it.
pub(super) fn fault(validity: &Validity, now: ASN1Time) -> Option<String> {
    let (begin, end) = (validity.not_before, validity.not_after);
    let day = |time: ASN1Time| time.to_datetime().date();
    if now > end {
        Some(format!(
            "the certificate ended on {}, and clients refuse it; renew it, and it is read again",
            day(end)
        ))
    } else if now < begin {
        Some(format!(
            "the certificate begins on {}, and clients refuse it until then; set this machine's clock, or use another",
            day(begin)
        ))
    } else if end.timestamp() - now.timestamp() <= SOON {
        Some(format!(
            "the certificate ends on {}; renew it, and it is read again",
            day(end)
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_in_time() {
        let at = |seconds| ASN1Time::from_timestamp(seconds).expect("a time");
        // 2026-01-01 and 2026-04-01.
        let (begin, end) = (1_767_225_600, 1_775_001_600);
        let validity = Validity {
            not_before: at(begin),
            not_after: at(end),
        };
        for (now, expected) in [
            (begin - 1, Some("begins on 2026-01-01, and clients refuse")),
            (begin, None),
            (end - SOON - 1, None),
            (end - SOON, Some("ends on 2026-04-01; renew it")),
            (end, Some("ends on 2026-04-01; renew it")),
            (end + 1, Some("ended on 2026-04-01, and clients refuse")),
        ] {
            let told = fault(&validity, at(now));
            let is_told = match (&told, expected) {
                (Some(told), Some(expected)) => told.contains(expected),
                (told, expected) => told.is_none() && expected.is_none(),
            };
            assert!(is_told, "{now}: {told:?}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        assert_eq!(of(b""), None);
        assert_eq!(of(b"\x30\x03\x02\x01\x00"), None);
    }
}
