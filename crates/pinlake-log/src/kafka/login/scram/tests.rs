//! The examples of RFC 7677, section 3, and answers that are none.

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const ANSWER: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

#[test]
fn the_example_of_the_rfc_is_answered_as_it_is_there() {
    let scram = Scram::new(Hash::Sha256, "user", NONCE);
    assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let (last, signature) = scram.last("pencil", ANSWER.as_bytes()).unwrap();
    let expected = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    assert_eq!(last, expected);
    check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", &signature).unwrap();
    for wrong in [&b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="[..], b"e=other-error", b"", b"\xff"] {
        assert!(check(wrong, &signature).is_err());
    }
}

#[test]
fn a_name_keeps_its_commas_and_equal_signs() {
    assert_eq!(Scram::new(Hash::Sha512, "a,b=c", "n").first(), "n,,n=a=2Cb=3Dc,r=n");
}

#[test]
fn an_answer_that_is_none_is_refused() {
    let scram = Scram::new(Hash::Sha256, "user", NONCE);
    let same = format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    let few = ANSWER.replace("4096", "1");
    let many = ANSWER.replace("4096", "4294967295");
    let more = ANSWER.replace("4096", "16385");
    for wrong in ["", "r=x", "r=other,s=W22Z,i=4096", &same, &few, &many, &more] {
        assert!(scram.last("pencil", wrong.as_bytes()).is_err(), "{wrong}");
    }
}
