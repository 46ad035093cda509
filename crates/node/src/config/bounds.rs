//! Values in bounds: numbers, sizes and times that are looked at while they are read.

use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use strand_directive::units::{format_duration, format_size, parse_duration, parse_size};

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
/// More than any machine has: no bound of ours, but one with which nothing overflows.
pub(super) const VAST: u64 = 64 << 40;
/// In milliseconds.
pub(super) const DAY: u64 = 24 * 60 * 60 * 1000;

/// Bytes, written as in a Directive (`64Mi`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Size(pub u64);

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_size(&text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// A time, written as in a Directive (`30s`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Time(pub Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_duration(&text)
            .map(Self)
            .map_err(|error| error.to_string())
    }
}

/// Reads a number in bounds.
pub(super) fn count<'de, N, const LEAST: i64, const MOST: i64, T, D>(
    deserializer: D,
) -> Result<T, D::Error>
where
    N: TryFrom<i64>,
    T: From<N>,
    D: Deserializer<'de>,
{
    let number = i64::deserialize(deserializer)?;
    let number = within(number, LEAST, MOST, |number| number).map_err(D::Error::custom)?;
    let number = N::try_from(number).map_err(|_| D::Error::custom("more than this machine has"))?;
    Ok(number.into())
}

/// Reads a size in bounds, which are bytes.
pub(super) fn size<'de, const LEAST: u64, const MOST: u64, T, D>(
    deserializer: D,
) -> Result<T, D::Error>
where
    T: From<Size>,
    D: Deserializer<'de>,
{
    let Size(bytes) = Size::deserialize(deserializer)?;
    let bytes = within(bytes, LEAST, MOST, format_size).map_err(D::Error::custom)?;
    Ok(Size(bytes).into())
}

/// Reads a time in bounds, which are milliseconds.
pub(super) fn time<'de, const LEAST: u64, const MOST: u64, T, D>(
    deserializer: D,
) -> Result<T, D::Error>
where
    T: From<Time>,
    D: Deserializer<'de>,
{
    let Time(time) = Time::deserialize(deserializer)?;
    let (least, most) = (Duration::from_millis(LEAST), Duration::from_millis(MOST));
    let time = within(time, least, most, format_duration).map_err(D::Error::custom)?;
    Ok(Time(time).into())
}

/// The value if it is in bounds, else what is wrong with it.
fn within<V, S>(value: V, least: V, most: V, show: impl Fn(V) -> S) -> Result<V, String>
where
    V: Copy + PartialOrd,
    S: Display,
{
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    let (least, most, value) = (show(least), show(most), show(value));
    Err(format!(
        "must be from `{least}` to `{most}`, found `{value}`"
    ))
}

/// Reads networks, of which an address alone is one.
pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    const MOST: usize = 1000;
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > MOST {
        let found = texts.len();
        return Err(D::Error::custom(format!(
            "at most {MOST} networks, found {found}"
        )));
    }
    let network = |text: &String| {
        let address = text.parse::<IpAddr>();
        let network = address.map(|address| IpNet::from(address.to_canonical()));
        let network = network.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            D::Error::custom(format!(
                "`{text}` is neither an address nor a network such as `10.0.0.0/8`"
            ))
        })?;
        let mapped = network.addr().to_canonical() != network.addr();
        if mapped || network.trunc() != network {
            let meant = network.trunc();
            let meant = match meant.addr().to_canonical() {
                IpAddr::V4(address) if mapped => {
                    format!("{address}/{}", meant.prefix_len().saturating_sub(96))
                }
                _ => meant.to_string(),
            };
            let message = format!("`{text}` is no network; did you mean `{meant}`?");
            return Err(D::Error::custom(message));
        }
        Ok(network)
    };
    texts.iter().map(network).collect()
}
