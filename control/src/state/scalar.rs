//! How one value of the file becomes a type, and what the error says when it cannot.
//!
//! iproute2 prints many numbers as strings and TOML has no unsigned integers, so a value type says what it makes of
//! a text and of a number, and one visitor does the rest.

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

/// A type that is written as a text or a number.
pub(super) trait FromScalar: Sized {
    /// What is right, for the error: "expected ...".
    const EXPECTED: &'static str;

    /// What the text means.
    fn from_text(text: &str) -> Option<Self>;

    /// What the number means; a type whose text may be a number reads it as that text.
    fn from_number(number: u64) -> Option<Self> {
        Self::from_text(&number.to_string())
    }
}

/// For `#[serde(deserialize_with)]` of a value that must be there.
pub(super) fn required<'de, T: FromScalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

/// For `#[serde(default, deserialize_with)]` of a value that may be absent or null.
pub(super) fn optional<'de, T: FromScalar, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    Ok(Option::<Scalar<T>>::deserialize(deserializer)?.map(|scalar| scalar.0))
}

/// For `#[serde(default, deserialize_with)]` of a key whose presence is what it says (`"not": null`); a boolean
/// says so itself.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(PresenceVisitor)
}

struct Scalar<T>(T);

impl<'de, T: FromScalar> Deserialize<'de> for Scalar<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required(deserializer).map(Self)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: FromScalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        u64::try_from(number)
            .ok()
            .and_then(T::from_number)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))
    }
}

struct PresenceVisitor;

impl Visitor<'_> for PresenceVisitor {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, true or false")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

impl FromScalar for IpAddr {
    const EXPECTED: &'static str = "an IPv4 or IPv6 address";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl FromScalar for u32 {
    const EXPECTED: &'static str = "a number from 0 to 4294967295";

    fn from_text(text: &str) -> Option<Self> {
        number(text)
    }
}

impl FromScalar for u16 {
    const EXPECTED: &'static str = "a number from 0 to 65535";

    fn from_text(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }
}

impl FromScalar for u8 {
    const EXPECTED: &'static str = "a number from 0 to 255";

    fn from_text(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }
}

/// A decimal number, or a hexadecimal one behind `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
