//! Text that repeats, as a dictionary.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::types::Int32Type;
use arrow_array::{Array as _, DictionaryArray, Int32Array, StringArray};

/// Fewer rows are not worth it.
const LEAST: usize = 1024;

/// Each text has to stand here so many times, on average.
const REPEATED: usize = 16;

/// The dictionary of a column; none where its texts do not repeat often.
pub(crate) fn of(texts: &StringArray) -> Option<DictionaryArray<Int32Type>> {
    if texts.len() < LEAST {
        return None;
    }
    let most = texts.len() / REPEATED;
    let mut places: HashMap<&str, i32, RandomState> = HashMap::default();
    let mut known: Vec<&str> = Vec::new();
    let mut last = None;
    let mut keys = Vec::with_capacity(texts.len());
    for at in 0..texts.len() {
        // The offsets of a null are sound too.
        let text = texts.value(at);
        let key = match last {
            Some((before, key)) if before == text => key,
            _ => *places.entry(text).or_insert_with(|| {
                known.push(text);
                known.len() as i32 - 1
            }),
        };
        if known.len() > most {
            return None;
        }
        last = Some((text, key));
        keys.push(key);
    }
    let keys = Int32Array::new(keys.into(), texts.nulls().cloned());
    DictionaryArray::try_new(keys, Arc::new(StringArray::from_iter_values(known))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_repeats_is_a_dictionary_and_other_text_is_left_alone() {
        let repeated =
            StringArray::from_iter((0..5000).map(|at| (at % 7 != 0).then(|| format!("n{}", at % 100))));
        let short = of(&repeated).expect("a dictionary");
        assert_eq!(short.values().len(), 101);
        let back = arrow_cast::cast(&short, repeated.data_type()).expect("text");
        assert_eq!(back.as_ref(), &repeated as &dyn arrow_array::Array);
        assert!(of(&StringArray::from_iter_values((0..5000).map(|at| format!("n{at}")))).is_none());
        assert!(of(&StringArray::from(vec!["same"; 3])).is_none());
    }
}
