//! Lists as iproute2 prints them: with `{}` where an object was filtered away.

use serde::de::value::StringDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
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
        let Some(first) = map.next_key::<String>()? else { return Ok(MaybeEmpty(None)) };
        let whole = Peeked { first: Some(first), rest: map };
        T::deserialize(serde::de::value::MapAccessDeserializer::new(whole))
            .map(|entry| MaybeEmpty(Some(entry)))
    }
}

/// A map whose first key was read to see whether there is one.
struct Peeked<A> {
    first: Option<String>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Peeked<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let Some(first) = self.first.take() else { return self.rest.next_key_seed(seed) };
        let key: StringDeserializer<A::Error> = first.into_deserializer();
        seed.deserialize(key).map(Some).map_err(A::Error::custom)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}
