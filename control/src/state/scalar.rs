//! How one value of the file becomes a type, and what the error says when it cannot.
//!
//! iproute2 prints many numbers as strings and TOML has no unsigned integers, so a value type says what it makes of
//! a text and of a number, and one visitor does the rest.

use serde::Serializer;
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

/// A type that is written as a text or a number.
pub(super) trait Scalar: Sized {
    /// What is right, for the error: "expected ...".
    const EXPECTED: &'static str;

    /// What the text means.
    fn from_text(text: &str) -> Option<Self>;

    /// What the number means; a type whose text may be a number reads it as that text.
    fn from_number(number: u64) -> Option<Self> {
        Self::from_text(&number.to_string())
    }

    /// As iproute2 prints it.
    fn to_scalar(&self) -> Written;
}

/// A value as the file has it.
pub(super) enum Written {
    Text(String),
    Number(u64),
}

/// For `#[serde(with)]` of a value that must be there.
pub(super) mod required {
    use super::{Deserializer, PhantomData, Scalar, ScalarVisitor, Serializer, Written};

    pub(in crate::state) fn deserialize<'de, T: Scalar, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        deserializer.deserialize_any(ScalarVisitor(PhantomData))
    }

    pub(in crate::state) fn serialize<T: Scalar, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value.to_scalar() {
            Written::Text(text) => serializer.serialize_str(&text),
            Written::Number(number) => serializer.serialize_u64(number),
        }
    }
}

/// For `#[serde(default, with)]` of a value that may be absent or null.
pub(super) mod optional {
    use super::{Deserialize, Deserializer, Scalar, Serializer, Whole, required};

    pub(in crate::state) fn deserialize<'de, T: Scalar, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        Ok(Option::<Whole<T>>::deserialize(deserializer)?.map(|whole| whole.0))
    }

    #[allow(clippy::ref_option, reason = "serde passes fields by reference")]
    pub(in crate::state) fn serialize<T: Scalar, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => required::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }
}

/// For `#[serde(default, with)]` of a key whose presence is what it says, and which iproute2 prints as null.
pub(super) mod flag {
    use super::{Deserializer, Serializer};

    pub(in crate::state) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<bool, D::Error> {
        super::present(deserializer)
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
    pub(in crate::state) fn serialize<S: Serializer>(_: &bool, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// For `#[serde(default, deserialize_with)]` of a key whose presence is what it says (`"not": null`); a boolean
/// says so itself.
pub(super) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    deserializer.deserialize_any(PresenceVisitor)
}

/// For `#[serde(skip_serializing_if)]` of a key whose absence says no.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
pub(super) fn is_false(value: &bool) -> bool {
    !value
}

struct Whole<T>(T);

impl<'de, T: Scalar> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        required::deserialize(deserializer).map(Self)
    }
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
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

impl Scalar for IpAddr {
    const EXPECTED: &'static str = "an IPv4 or IPv6 address";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_scalar(&self) -> Written {
        Written::Text(self.to_string())
    }
}

impl Scalar for u32 {
    const EXPECTED: &'static str = "a number from 0 to 4294967295";

    fn from_text(text: &str) -> Option<Self> {
        number(text)
    }

    fn to_scalar(&self) -> Written {
        Written::Number((*self).into())
    }
}

impl Scalar for u16 {
    const EXPECTED: &'static str = "a number from 0 to 65535";

    fn from_text(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }

    fn to_scalar(&self) -> Written {
        Written::Number((*self).into())
    }
}

impl Scalar for u8 {
    const EXPECTED: &'static str = "a number from 0 to 255";

    fn from_text(text: &str) -> Option<Self> {
        number(text)?.try_into().ok()
    }

    fn to_scalar(&self) -> Written {
        Written::Number((*self).into())
    }
}

/// A decimal number, or a hexadecimal one behind `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
