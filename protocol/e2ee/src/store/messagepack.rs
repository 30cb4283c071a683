//! Reads what `rmp_serde` wrote: values by their places, in memory that is checked for its end.
//!
//! OpenMLS has some hundred types, and a reader is compiled for each of them. That of `rmp_serde` offers every type every way
//! in which a value might have been written (600 copies, a fifth of the browser's module); this one asks for the one way in
//! which it is written, and says only that something does not decode, never what. Self-describing it must stay: byte
//! strings and one policy of the library are read by what they are.
//!
//! Structs are arrays (of their fields in order), unit variants are their name, other variants a map of one entry.

use rmp::Marker;
use rmp::decode;
use serde::de::{
    DeserializeOwned, DeserializeSeed, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

/// Values within values. The library's own types nest some ten deep.
const DEPTH_MAX: u8 = 64;

/// What is there is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not the MessagePack of such a value")]
pub(crate) struct Malformed;

// Building a sentence for each type and field is a good part of a reader's code, and nobody could act on it.
impl serde::de::Error for Malformed {
    fn custom<T: std::fmt::Display>(_text: T) -> Self {
        Self
    }

    fn invalid_type(_found: Unexpected<'_>, _wanted: &dyn Expected) -> Self {
        Self
    }

    fn invalid_value(_found: Unexpected<'_>, _wanted: &dyn Expected) -> Self {
        Self
    }

    fn invalid_length(_length: usize, _wanted: &dyn Expected) -> Self {
        Self
    }

    fn unknown_variant(_variant: &str, _wanted: &'static [&'static str]) -> Self {
        Self
    }

    fn unknown_field(_field: &str, _wanted: &'static [&'static str]) -> Self {
        Self
    }

    fn missing_field(_field: &'static str) -> Self {
        Self
    }

    fn duplicate_field(_field: &'static str) -> Self {
        Self
    }
}

/// Reads one value, to the last byte.
///
/// # Errors
/// If the bytes are anything else.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let mut reader = Reader { rest: bytes, depth: 0 };
    let value = T::deserialize(&mut reader)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(Malformed) }
}

struct Reader<'de> {
    rest: &'de [u8],
    depth: u8,
}

impl<'de> Reader<'de> {
    fn peek(&self) -> Result<Marker, Malformed> {
        self.rest.first().map(|first| Marker::from_u8(*first)).ok_or(Malformed)
    }

    fn unsigned(&mut self) -> Result<u64, Malformed> {
        decode::read_int(&mut self.rest).map_err(|_| Malformed)
    }

    fn signed(&mut self) -> Result<i64, Malformed> {
        decode::read_int(&mut self.rest).map_err(|_| Malformed)
    }

    fn boolean(&mut self) -> Result<bool, Malformed> {
        decode::read_bool(&mut self.rest).map_err(|_| Malformed)
    }

    fn text(&mut self) -> Result<&'de str, Malformed> {
        let (text, rest) = decode::read_str_from_slice(self.rest).map_err(|_| Malformed)?;
        self.rest = rest;
        Ok(text)
    }

    fn bytes(&mut self) -> Result<&'de [u8], Malformed> {
        let length = decode::read_bin_len(&mut self.rest).map_err(|_| Malformed)?;
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Malformed)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The number of values that follow. Each has a byte at least, so no more are promised than could be there.
    fn length_of_array(&mut self) -> Result<usize, Malformed> {
        let length = decode::read_array_len(&mut self.rest).map_err(|_| Malformed)?;
        self.checked(length)
    }

    fn length_of_map(&mut self) -> Result<usize, Malformed> {
        let length = decode::read_map_len(&mut self.rest).map_err(|_| Malformed)?;
        self.checked(length)
    }

    fn checked(&self, length: u32) -> Result<usize, Malformed> {
        usize::try_from(length).ok().filter(|length| *length <= self.rest.len()).ok_or(Malformed)
    }

    fn deeper(&mut self) -> Result<(), Malformed> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth <= DEPTH_MAX).ok_or(Malformed)?;
        Ok(())
    }

    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Malformed> {
        let left = self.length_of_array()?;
        self.deeper()?;
        let mut items = Items { reader: self, left };
        let value = visitor.visit_seq(&mut items)?;
        let left = items.left;
        self.depth -= 1;
        if left == 0 { Ok(value) } else { Err(Malformed) }
    }

    fn map<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Malformed> {
        let left = self.length_of_map()?;
        self.deeper()?;
        let mut items = Items { reader: self, left };
        let value = visitor.visit_map(&mut items)?;
        let left = items.left;
        self.depth -= 1;
        if left == 0 { Ok(value) } else { Err(Malformed) }
    }
}

macro_rules! whole_numbers {
    ($($method:ident reads $read:ident gives $visit:ident;)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
            visitor.$visit(self.$read()?)
        }
    )+};
}

impl<'de> serde::Deserializer<'de> for &mut Reader<'de> {
    type Error = Malformed;

    whole_numbers! {
        deserialize_u8 reads unsigned gives visit_u64;
        deserialize_u16 reads unsigned gives visit_u64;
        deserialize_u32 reads unsigned gives visit_u64;
        deserialize_u64 reads unsigned gives visit_u64;
        deserialize_i8 reads signed gives visit_i64;
        deserialize_i16 reads signed gives visit_i64;
        deserialize_i32 reads signed gives visit_i64;
        deserialize_i64 reads signed gives visit_i64;
        deserialize_bool reads boolean gives visit_bool;
        deserialize_str reads text gives visit_borrowed_str;
        deserialize_string reads text gives visit_borrowed_str;
        deserialize_identifier reads text gives visit_borrowed_str;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self.peek()? {
            Marker::Null => self.deserialize_unit(visitor),
            Marker::True | Marker::False => self.deserialize_bool(visitor),
            Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => {
                self.deserialize_u64(visitor)
            }
            Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
                self.deserialize_i64(visitor)
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => self.deserialize_str(visitor),
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => visitor.visit_borrowed_bytes(self.bytes()?),
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => self.sequence(visitor),
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => self.map(visitor),
            _ => Err(Malformed),
        }
    }

    /// Bytes may have been written as what they are, or as the numbers that they are.
    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        match self.peek()? {
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => visitor.visit_borrowed_bytes(self.bytes()?),
            _ => self.sequence(visitor),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        if self.peek()? == Marker::Null {
            decode::read_nil(&mut self.rest).map_err(|_| Malformed)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        decode::read_nil(&mut self.rest).map_err(|_| Malformed)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        if self.length_of_array()? == 0 { visitor.visit_unit() } else { Err(Malformed) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Malformed> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        self.sequence(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        self.sequence(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        let has_value =
            !matches!(self.peek()?, Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32);
        if has_value && self.length_of_map()? != 1 {
            return Err(Malformed);
        }
        self.deeper()?;
        let value = visitor.visit_enum(Variant { reader: self, has_value })?;
        self.depth -= 1;
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Malformed> {
        self.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! { f32 f64 char }
}

/// What is left of an array or a map.
struct Items<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Malformed;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Malformed> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Malformed;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Malformed> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Malformed> {
        seed.deserialize(&mut *self.reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

/// A variant: its name, and its value if it has one.
struct Variant<'r, 'de> {
    reader: &'r mut Reader<'de>,
    has_value: bool,
}

impl Variant<'_, '_> {
    fn value(&self) -> Result<(), Malformed> {
        if self.has_value { Ok(()) } else { Err(Malformed) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Malformed> {
        Ok((seed.deserialize(&mut *self.reader)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Malformed;

    fn unit_variant(self) -> Result<(), Malformed> {
        if self.has_value { Err(Malformed) } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Malformed> {
        self.value()?;
        seed.deserialize(&mut *self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Malformed> {
        self.value()?;
        self.reader.sequence(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Malformed> {
        self.value()?;
        self.reader.sequence(visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::{Deserialize, Serialize};
    use std::collections::BTreeMap;
    use tls_codec::VLByteVec;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Wrapped(Vec<u8>);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Pair(i64, String);

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    enum Choice {
        Nothing,
        One(Box<Every>),
        Two(u8, bool),
        Named { left: i16, right: Option<u32> },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Guessed {
        Number(u64),
        Below(i64),
        Text(String),
    }

    /// Every shape that serde knows and a row may have.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Every {
        unit: Unit,
        wrapped: Wrapped,
        pair: Pair,
        fixed: [u8; 4],
        blob: VLByteVec,
        map: BTreeMap<u32, Option<String>>,
        nested: Vec<Option<Vec<u16>>>,
        choices: Vec<Choice>,
        guessed: Vec<Guessed>,
        time: std::time::Duration,
    }

    fn choice() -> impl Strategy<Value = Choice> {
        prop_oneof![
            Just(Choice::Nothing),
            (any::<u8>(), any::<bool>()).prop_map(|(number, yes)| Choice::Two(number, yes)),
            (any::<i16>(), any::<Option<u32>>()).prop_map(|(left, right)| Choice::Named { left, right }),
        ]
    }

    fn guessed() -> impl Strategy<Value = Guessed> {
        prop_oneof![
            any::<u64>().prop_map(Guessed::Number),
            (i64::MIN..0).prop_map(Guessed::Below),
            any::<String>().prop_map(Guessed::Text),
        ]
    }

    fn every() -> impl Strategy<Value = Every> {
        let plain = (
            any::<Vec<u8>>(),
            any::<(i64, String)>(),
            any::<[u8; 4]>(),
            any::<Vec<u8>>(),
            any::<BTreeMap<u32, Option<String>>>(),
            any::<Vec<Option<Vec<u16>>>>(),
            proptest::collection::vec(choice(), 0..4),
            proptest::collection::vec(guessed(), 0..4),
            any::<std::time::Duration>(),
        );
        plain.prop_map(|(wrapped, pair, fixed, blob, map, nested, choices, guessed, time)| Every {
            unit: Unit,
            wrapped: Wrapped(wrapped),
            pair: Pair(pair.0, pair.1),
            fixed,
            blob: VLByteVec::new(blob),
            map,
            nested,
            choices,
            guessed,
            time,
        })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(inner in every(), mut outer in every()) {
            outer.choices.push(Choice::One(Box::new(inner)));
            let bytes = rmp_serde::to_vec(&outer).expect("it can be written");
            prop_assert_eq!(from_slice::<Every>(&bytes), Ok(outer));
        }

        #[test]
        fn what_was_cut_or_goes_on_is_malformed(value in every(), at in any::<prop::sample::Index>()) {
            let mut bytes = rmp_serde::to_vec(&value).expect("it can be written");
            prop_assert_eq!(from_slice::<Every>(&bytes[..at.index(bytes.len())]), Err(Malformed));
            bytes.push(0);
            prop_assert_eq!(from_slice::<Every>(&bytes), Err(Malformed));
        }

        #[test]
        fn no_bytes_at_all_break_the_reader(value in every(), changes in any::<Vec<(prop::sample::Index, u8)>>()) {
            let mut bytes = rmp_serde::to_vec(&value).expect("it can be written");
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let _read_or_not = from_slice::<Every>(&bytes);
        }
    }

    #[test]
    fn values_within_values_have_an_end() {
        let deep = [0x91; 200];
        assert_eq!(from_slice::<serde::de::IgnoredAny>(&deep).map(|_| ()), Err(Malformed));
        let long = [0xdd, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(from_slice::<Vec<u8>>(&long), Err(Malformed));
    }
}
