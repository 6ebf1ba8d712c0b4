//! The typed values that conditions compare: numbers, times, networks. Each is read once, without losing a digit.

use jiff::civil::Date;
use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A decimal number of any length: `9`, `-0.50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal<'text> {
    negative: bool,
    /// Digits before the point, without leading zeros.
    whole: &'text str,
    /// Digits behind it, without trailing zeros.
    fraction: &'text str,
}

impl<'text> Decimal<'text> {
    /// Reads a number; none for what is none, exponents included.
    pub(super) fn parse(text: &'text str) -> Option<Self> {
        let (sign, digits) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !numeric(whole) || !numeric(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        Some(Self { negative: sign && !(whole.is_empty() && fraction.is_empty()), whole, fraction })
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |left: &Self, right: &Self| {
            let longer = left.whole.len().cmp(&right.whole.len());
            longer.then_with(|| left.whole.cmp(right.whole)).then_with(|| left.fraction.cmp(right.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A point in time: seconds since 1970 and nanoseconds, whichever way it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    seconds: i64,
    nanoseconds: u32,
}

impl Moment {
    /// Reads the W3C profile of ISO 8601, from `2026` to `2026-01-31T23:59:59.5+01:00`, or seconds since 1970. Four
    /// digits are a year; a time without zone is UTC.
    ///
    /// Source: <https://www.w3.org/TR/NOTE-datetime>
    pub(super) fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let is_year = text.len() == 4 && all_digits(text);
        if !is_year && all_digits(unsigned.split_once('.').map_or(unsigned, |(whole, _)| whole)) {
            return Self::epoch(text);
        }
        let (date, time) = text.split_once(['T', 't']).map_or((text, None), |(date, time)| (date, Some(time)));
        let mut parts = date.split('-');
        let year = number(parts.next()?, 4)?;
        let (month, day) = (parts.next(), parts.next());
        if parts.next().is_some() || (time.is_some() && day.is_none()) {
            return None;
        }
        let two = |part: Option<&str>| part.map_or(Some(1), |part| number(part, 2));
        let date =
            Date::new(i16::try_from(year).ok()?, two(month)?.try_into().ok()?, two(day)?.try_into().ok()?).ok()?;
        let midnight = date.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        let (second_of_day, nanoseconds) = time.map_or(Some((0, 0)), second_of_day)?;
        Some(Self { seconds: midnight + second_of_day, nanoseconds })
    }

    fn epoch(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let (seconds, nanoseconds) = (whole.parse::<i64>().ok()?, fraction_of_second(fraction)?);
        match (whole.starts_with('-'), nanoseconds) {
            (true, 1..) => Some(Self { seconds: seconds.checked_sub(1)?, nanoseconds: 1_000_000_000 - nanoseconds }),
            _ => Some(Self { seconds, nanoseconds }),
        }
    }
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn number(text: &str, digits: usize) -> Option<i64> {
    if text.len() == digits && all_digits(text) { text.parse().ok() } else { None }
}

/// `hh:mm[:ss[.fraction]]` with its zone: the seconds since midnight UTC, and nanoseconds.
fn second_of_day(time: &str) -> Option<(i64, u32)> {
    let (clock, east) = match time.find(['Z', 'z', '+', '-']) {
        None => (time, 0),
        Some(at) if matches!(&time[at..], "Z" | "z") => (&time[..at], 0),
        Some(at) => {
            let (hours, minutes) = time[at + 1..].split_once(':')?;
            let seconds = number(hours, 2)? * 3600 + number(minutes, 2)? * 60;
            (&time[..at], if time[at..].starts_with('-') { -seconds } else { seconds })
        }
    };
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let (second, fraction) = parts.next().map_or(("00", "0"), |text| text.split_once('.').unwrap_or((text, "0")));
    let second = number(second, 2)?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some((hour * 3600 + minute * 60 + second - east, fraction_of_second(fraction)?))
}

/// Nanoseconds of a decimal fraction; finer digits are cut.
fn fraction_of_second(digits: &str) -> Option<u32> {
    if !all_digits(digits) {
        return None;
    }
    let kept = &digits[..digits.len().min(9)];
    Some(kept.parse::<u32>().ok()? * 10_u32.pow(9 - u32::try_from(kept.len()).ok()?))
}

/// A range of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// Address and mask, in bits.
    V4(u32, u32),
    /// The same for IPv6.
    V6(u128, u128),
}

impl Network {
    /// Reads a range in CIDR notation. Bits beyond the mask do not count; without a mask it is one address.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let length = |most: u32| match length {
            None => Some(most),
            Some(digits) if all_digits(digits) => digits.parse().ok().filter(|length| *length <= most),
            Some(_) => None,
        };
        Some(match address.parse().ok()? {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - length(32)?).unwrap_or(0);
                Self::V4(address.to_bits() & mask, mask)
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(128 - length(128)?).unwrap_or(0);
                Self::V6(address.to_bits() & mask, mask)
            }
        })
    }

    /// True if every address of `narrow` lies in this range.
    pub(super) const fn covers(self, narrow: Self) -> bool {
        match (self, narrow) {
            (Self::V4(network, mask), Self::V4(inner, inner_mask)) => {
                inner_mask & mask == mask && inner & mask == network
            }
            (Self::V6(network, mask), Self::V6(inner, inner_mask)) => {
                inner_mask & mask == mask && inner & mask == network
            }
            _ => false,
        }
    }

    /// True if the address lies in this range. IPv4 and IPv6 have none in common.
    pub(super) const fn contains(self, address: IpAddr) -> bool {
        match (self, address) {
            (Self::V4(network, mask), IpAddr::V4(address)) => Ipv4Addr::to_bits(address) & mask == network,
            (Self::V6(network, mask), IpAddr::V6(address)) => Ipv6Addr::to_bits(address) & mask == network,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, Moment, Network};
    use std::cmp::Ordering;

    #[test]
    fn numbers_compare_as_numbers() {
        for (left, right, expected) in [
            ("9", "10", Ordering::Less),
            ("-9", "-10", Ordering::Greater),
            ("-1", "1", Ordering::Less),
            ("1.50", "001.5", Ordering::Equal),
            ("-0", "+0.0", Ordering::Equal),
            ("1.05", "1.5", Ordering::Less),
            ("9007199254740993", "9007199254740992", Ordering::Greater),
            ("0.1", "0.10000000000000000001", Ordering::Less),
        ] {
            assert_eq!(Decimal::parse(left).unwrap().cmp(&Decimal::parse(right).unwrap()), expected, "{left} {right}");
        }
        for bad in ["", "-", ".", "1.", ".5", "1e3", "0x10", "NaN", "inf", " 1", "1,5", "١"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_the_same_in_every_spelling() {
        for (text, seconds, nanoseconds) in [
            ("2026", 1_767_225_600, 0),
            ("2026-01", 1_767_225_600, 0),
            ("2026-01-01", 1_767_225_600, 0),
            ("2026-01-01T00:00Z", 1_767_225_600, 0),
            ("2026-01-01T00:00:00Z", 1_767_225_600, 0),
            ("2026-01-01T00:00:00", 1_767_225_600, 0),
            ("2026-01-01T01:30:00+01:30", 1_767_225_600, 0),
            ("2025-12-31T19:00:00.25-05:00", 1_767_225_600, 250_000_000),
            ("1767225600", 1_767_225_600, 0),
            ("1767225600.5", 1_767_225_600, 500_000_000),
            ("-0.5", -1, 500_000_000),
            ("-1", -1, 0),
            ("0", 0, 0),
            ("1969-12-31T23:59:59Z", -1, 0),
        ] {
            assert_eq!(Moment::parse(text), Some(Moment { seconds, nanoseconds }), "{text}");
        }
        for bad in [
            "",
            "x",
            "2026-13-01",
            "2026-02-30",
            "2026-1-1",
            "2026-01-01 00:00",
            "2026-01T00:00Z",
            "2026-01-01T25:00Z",
            "2026-01-01T*",
        ] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        for (network, address, expected) in [
            ("203.0.113.5", "203.0.113.5", true),
            ("203.0.113.5", "203.0.113.6", false),
            ("203.0.113.77/24", "203.0.113.6", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("2001:DB8:1234:5678::/64", "2001:db8:1234:5678::9", true),
            ("2001:DB8:1234:5678::/64", "2001:db8:1234:5679::9", false),
            ("::/0", "2001:db8::1", true),
        ] {
            assert_eq!(Network::parse(network).unwrap().contains(address.parse().unwrap()), expected, "{network}");
        }
        for (wide, narrow, expected) in [
            ("10.0.0.0/8", "10.1.0.0/16", true),
            ("10.1.0.0/16", "10.0.0.0/8", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::/0", false),
            ("2001:db8::/32", "2001:db8:1::/48", true),
        ] {
            let networks = (Network::parse(wide).unwrap(), Network::parse(narrow).unwrap());
            assert_eq!(networks.0.covers(networks.1), expected, "{wide} over {narrow}");
        }
        for bad in ["300.1.1.1", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0", "::1/129", ""] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
