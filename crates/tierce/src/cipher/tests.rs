use super::*;
use proptest::prelude::*;

fn cipher(key: u8, salt: u8) -> Cipher {
    Cipher::new(&EncryptionKey::from([key; KEY]), &[salt; SALT])
}

fn at(of: &[u8]) -> Place<'_> {
    Place { sort: 0, of }
}

fn sealed(cipher: &Cipher, plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cipher.seal(at(b"here"), plain, &mut out).unwrap();
    out
}

fn read(cipher: &Cipher, sealed: &[u8], step: usize) -> Result<Vec<u8>> {
    let mut opening = Opening::new(sealed, at(b"here"), sealed.len() as u64)?;
    let (mut out, mut piece) = (Vec::new(), vec![0; step]);
    loop {
        match opening.read(cipher, &mut piece) {
            Ok(0) => return Ok(out),
            Ok(bytes) => out.extend_from_slice(&piece[..bytes]),
            Err(why) => return Err(Error::new(Code::Corrupt, why.to_string())),
        }
    }
}

const EDGES: [usize; 8] = [0, 1, 100, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT, 3 * SEGMENT + 5];

#[test]
fn what_is_sealed_opens_in_one_piece_and_in_many() {
    let cipher = cipher(1, 1);
    for length in EDGES {
        let plain: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let bytes = sealed(&cipher, &plain);
        assert_eq!(bytes.len() as u64, sealed_len(length as u64));
        assert_eq!(plain_len(bytes.len() as u64), Some(length as u64));
        assert_eq!(cipher.open(at(b"here"), &bytes).unwrap(), plain);
        assert_eq!(read(&cipher, &bytes, 1000).unwrap(), plain);
    }
}

#[test]
fn it_opens_with_no_other_key_salt_or_place_and_cannot_be_cut_at_a_segment() {
    let right = cipher(1, 1);
    let bytes = sealed(&right, &vec![7; 3 * SEGMENT]);
    for wrong in [cipher(2, 1), cipher(1, 2)] {
        assert!(wrong.open(at(b"here"), &bytes).is_err());
        assert_ne!(wrong.check(), right.check());
        assert_ne!(wrong.name(b"k"), right.name(b"k"));
    }
    assert!(right.open(at(b"there"), &bytes).is_err());
    assert!(right.open(Place { sort: 1, of: b"here" }, &bytes).is_err());
    let cut = &bytes[..PREFIX + 2 * (SEGMENT + TAG)];
    assert!(right.open(at(b"here"), cut).is_err());
    assert!(read(&right, cut, SEGMENT).is_err());
    let mut swapped = bytes.clone();
    let (first, second) = swapped[PREFIX..].split_at_mut(SEGMENT + TAG);
    first.swap_with_slice(&mut second[..SEGMENT + TAG]);
    assert!(right.open(at(b"here"), &swapped).is_err());
}

#[test]
fn a_key_shows_nothing_of_itself() {
    let key = EncryptionKey::from([0xab; KEY]);
    let shown =
        format!("{key:?} {:?} {}", cipher(0xab, 1), EncryptionKey::try_from(&[0xab; 31][..]).unwrap_err());
    assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
}

proptest! {
    #[test]
    fn any_flipped_bit_is_noticed(plain: Vec<u8>, index: prop::sample::Index, bit in 0u8..8) {
        let cipher = cipher(1, 1);
        let mut bytes = sealed(&cipher, &plain);
        let index = index.index(bytes.len());
        bytes[index] ^= 1 << bit;
        prop_assert!(cipher.open(at(b"here"), &bytes).is_err());
        prop_assert!(read(&cipher, &bytes, 64).is_err());
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>) {
        prop_assert!(cipher(1, 1).open(at(b"here"), &bytes).is_err());
        prop_assert!(cipher(1, 1).open_key(&bytes).is_err());
    }

    #[test]
    fn keys_come_back_and_are_bound_to_their_names(a: Vec<u8>, b: Vec<u8>) {
        prop_assume!(a != b);
        let cipher = cipher(1, 1);
        let (one, other) = (cipher.seal_key(&a).unwrap(), cipher.seal_key(&b).unwrap());
        prop_assert_eq!(cipher.open_key(&one).unwrap(), a);
        prop_assert_eq!(&one[..NAME], &cipher.name(&cipher.open_key(&one).unwrap()));
        prop_assert!(cipher.open_key(&[&one[..NAME], &other[NAME..]].concat()).is_err());
    }
}
