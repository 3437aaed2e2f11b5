//! Lists as iproute2 prints them: with `{}` where an object was filtered away.

use serde::de::value::CowStrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// For `#[serde(default, deserialize_with)]`: a list without its empty objects.
pub(super) fn entries<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(ListVisitor(PhantomData))
}

/// The same for a list whose absence means something else than an empty one.
pub(super) fn optional_entries<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    entries(deserializer).map(Some)
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects, as `ip -j` prints it")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(MaybeEmpty(entry)) = list.next_element()? {
            entries.extend(entry);
        }
        Ok(entries)
    }
}

struct MaybeEmpty<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for MaybeEmpty<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MaybeEmptyVisitor(PhantomData))
    }
}

struct MaybeEmptyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MaybeEmptyVisitor<T> {
    type Value = MaybeEmpty<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MaybeEmpty<T>, A::Error> {
        let Some(first) = map.next_key::<Key<'de>>()? else { return Ok(MaybeEmpty(None)) };
        let whole = Object { first: Some(first), rest: map, is_encapsulating: false };
        T::deserialize(serde::de::value::MapAccessDeserializer::new(whole))
            .map(|entry| MaybeEmpty(Some(entry)))
    }
}

/// The keys of a lightweight tunnel that a route or nexthop object has, too. iproute2 prints them into the same object
/// behind `encap`, and those of the route itself before it (of `tos`, only the tunnel's can be expected).
const ENCAP_KEYS: [&str; 3] = ["dst", "id", "tos"];

/// An object whose first key was read to see whether there is one.
struct Object<'de, A> {
    first: Option<Key<'de>>,
    rest: A,
    /// Whether `encap` was read.
    is_encapsulating: bool,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Object<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            let key = match self.first.take() {
                Some(first) => Some(first),
                None => self.rest.next_key::<Key<'de>>()?,
            };
            let Some(Key(key)) = key else { return Ok(None) };
            if self.is_encapsulating && ENCAP_KEYS.contains(&key.as_ref()) {
                self.rest.next_value::<IgnoredAny>()?;
                continue;
            }
            self.is_encapsulating |= key == "encap";
            let key: CowStrDeserializer<'de, A::Error> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// A key, borrowed from the file where it can be.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}
