use proptest::prelude::*;

use super::choice::CodecChoice;
use super::*;

const NAMES: [&str; 6] = ["auto", "fast", "none", "lz4", "zstd", "pco"];

fn round_trip(choice: CodecChoice, raw: &[u8]) -> (u8, usize) {
    let mut out = b"before".to_vec();
    let id = choice.encode(raw, &mut out).unwrap();
    let mut back = vec![0; raw.len()];
    decode(id, &out[6..], &mut back).unwrap();
    assert!(back == raw, "{} of {} bytes came back changed", row(id).unwrap().name, raw.len());
    (id, out.len() - 6)
}

fn named(name: &str, element: Element, tail: u32) -> CodecChoice {
    CodecChoice::named(name, None).unwrap().numbers(Numbers { element, tail })
}

fn noise(count: usize) -> impl Iterator<Item = u64> {
    let mut x = 1u64;
    std::iter::repeat_with(move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    })
    .take(count)
}

fn doubles(values: impl Iterator<Item = f64>) -> Vec<u8> {
    values.flat_map(f64::to_le_bytes).collect()
}

#[test]
fn the_table_is_ordered_and_its_numbers_do_not_overlap() {
    assert!(TABLE.windows(2).all(|rows| rows[0].first + rows[0].count <= rows[1].first));
    let names: Vec<_> = codec_names().collect();
    assert_eq!(&names[..4], ["none", "lz4", "zstd", ""]);
    assert_eq!(
        (names[0x10], names[0x13], names[0x14], names[0x20], names[0x2a]),
        ("shuffle", "shuffle", "", "pco", "pco")
    );
    for (number, element) in Element::ALL.iter().enumerate() {
        assert_eq!(*element as usize, number);
    }
}

#[test]
fn auto_codes_text_and_leaves_noise_alone() {
    let text = "{\"name\":\"tierce\",\"tier\":3},".repeat(400);
    assert!(round_trip(CodecChoice::AUTO, text.as_bytes()).1 < text.len() / 10);
    let noise: Vec<u8> = noise(50_000).map(|x| (x >> 56) as u8).collect();
    assert_eq!(round_trip(CodecChoice::AUTO, &noise), (0, noise.len()));
    for element in Element::ALL {
        assert_eq!(round_trip(named("auto", element, 0), &noise), (0, noise.len()), "{element:?}");
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_accepted_ones() {
    let error = CodecChoice::named("gzip", None).unwrap_err();
    assert_eq!(error.code(), Code::InvalidOption);
    assert!(
        error.to_string().contains("'gzip'")
            && error.to_string().contains("auto, fast, none, lz4, zstd, pco")
    );
}

#[test]
fn every_codec_takes_arrays_of_several_chunks_of_each_element() {
    let count = 2_500_000;
    let raw: Vec<u8> =
        (0..count / 8).flat_map(|at: u32| ((f64::from(at) / 100.0).sin() * 1000.0).to_le_bytes()).collect();
    for element in Element::ALL {
        for name in NAMES {
            round_trip(named(name, element, 0), &raw);
        }
    }
}

#[test]
fn numbers_that_follow_a_rule_take_next_to_nothing() {
    let counting = doubles((0..200_000).map(f64::from));
    assert!(round_trip(named("auto", Element::F64, 0), &counting).1 < counting.len() / 100);
    assert!(round_trip(named("pco", Element::F64, 0), &counting).1 < counting.len() / 100);
    assert!(round_trip(named("fast", Element::F64, 0), &counting).1 < counting.len() / 30);
    let prices = doubles(noise(200_000).map(|x| (x % 5000) as f64 / 100.0));
    // `fast` leaves the two bytes that they need as they are.
    for (name, most) in [("auto", prices.len() / 4), ("fast", prices.len() / 4 + 200)] {
        assert!(round_trip(named(name, Element::F64, 0), &prices).1 < most, "{name}");
    }
    // One that is no short decimal, and one that is none of these integers, leave the others as they were.
    for odd in [std::f64::consts::PI, -0.0, f64::NAN, f64::INFINITY, 4e15, -1e300] {
        let mut prices = prices.clone();
        prices[8 * 777..8 * 778].copy_from_slice(&odd.to_le_bytes());
        round_trip(named("fast", Element::F64, 0), &prices);
    }
}

#[test]
fn auto_takes_arrays_of_every_length() {
    let numbers = doubles((0..150_000).map(|at| (f64::from(at) / 100.0).sin()));
    for length in [0, 8, 248, 256, 4096, 131_072, 262_144, 262_152, 300_000, 524_280, 524_296, 1_200_000] {
        for element in Element::ALL {
            round_trip(named("auto", element, 0), &numbers[..length]);
        }
    }
}

#[test]
fn every_bit_of_odd_floats_is_kept() {
    let odd = [0.0, -0.0, f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX, 0.1];
    let raw = doubles(odd.into_iter().chain([f64::from_bits(0x7ff0_0000_dead_beef)]).cycle().take(5000));
    for name in NAMES {
        round_trip(named(name, Element::F64, 0), &raw);
        round_trip(named(name, Element::F32, 0), &raw);
    }
}

#[test]
fn what_follows_the_elements_is_kept_as_it_is() {
    let mut raw = doubles((0..1000).map(f64::from));
    raw.extend_from_slice(b"name");
    for name in NAMES {
        let (id, size) = round_trip(named(name, Element::F64, 4), &raw);
        assert!(name == "none" || (id >= SHUFFLE && size < raw.len() / 2), "{name} {id} {size}");
        // A length that does not fit is no array, and still comes back.
        round_trip(named(name, Element::F64, 3), &raw);
        round_trip(named(name, Element::F64, 1_000_000), &raw);
    }
}

fn element() -> impl Strategy<Value = Element> {
    (0usize..11).prop_map(|at| Element::ALL[at])
}

/// Numbers such as arrays have: runs of one kind or another.
fn elements() -> impl Strategy<Value = Vec<u8>> {
    let run = (0u8..6, any::<u64>(), any::<u64>(), 1usize..300).prop_map(|(kind, start, step, count)| {
        let numbers: Vec<u64> = match kind {
            0 => vec![start; count],
            1 => (0..count as u64).map(|at| start.wrapping_add(at.wrapping_mul(step >> 40))).collect(),
            2 => noise(count).map(|x| x ^ start).collect(),
            3 => (0..count).map(|at| (start as f64 * 1e-15 + at as f64 / 100.0).sin().to_bits()).collect(),
            4 => noise(count).map(|x| ((x % 1000) as f64 / 100.0).to_bits()).collect(),
            _ => noise(count).map(|x| [start, step, 0, u64::MAX][(x % 4) as usize]).collect(),
        };
        numbers.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>()
    });
    prop::collection::vec(run, 1..12).prop_map(|runs| runs.concat())
}

/// Every number that a frame can have, and some that it cannot.
fn any_id() -> impl Strategy<Value = u8> {
    prop_oneof![0u8..3, SHUFFLE..SHUFFLE + 4, PCO..PCO + 11, any::<u8>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_codec_gives_back_what_it_got_and_never_grows(raw: Vec<u8>, repeat in 1usize..40) {
        let raw = raw.repeat(repeat);
        for name in NAMES {
            prop_assert!(round_trip(CodecChoice::named(name, None).unwrap(), &raw).1 <= raw.len());
        }
    }

    #[test]
    fn numeric_codecs_give_back_every_array(raw in elements(), element in element(), cut in 0usize..8, tail in 0u32..20) {
        let raw = &raw[..raw.len() - cut];
        for name in NAMES {
            prop_assert!(round_trip(named(name, element, tail), raw).1 <= raw.len());
        }
    }

    #[test]
    fn a_decoder_given_noise_fails_or_fills_exactly(id in any_id(), coded: Vec<u8>, size in 0usize..4096) {
        let mut raw = vec![0; size];
        let _ = decode(id, &coded, &mut raw);
    }

    #[test]
    fn a_decoder_given_mutated_bytes_fails_or_fills_exactly(
        raw in elements(),
        element in element(),
        name in prop::sample::select(&NAMES[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        grown in -20isize..20,
    ) {
        let mut coded = Vec::new();
        let id = named(name, element, 0).encode(&raw, &mut coded).unwrap();
        for (at, byte) in changes {
            let at = at.index(coded.len());
            coded[at] = byte;
        }
        coded.resize(coded.len().saturating_add_signed(grown), 0);
        let mut back = vec![0; raw.len()];
        let _ = decode(id, &coded, &mut back);
        let mut back = vec![0; raw.len().saturating_add_signed(grown)];
        let _ = decode(id, &coded, &mut back);
    }
}
