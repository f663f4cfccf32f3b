//! Who is let in, by which message; the RFCs' examples.

use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pinlake_core::secret::Secret;

use super::*;
use crate::auth::Principal;

fn principals() -> Principals {
    let principal = |name: &str, password: &str| Principal { name: name.to_owned(), password: Secret::new(password.to_owned()) };
    Principals::new([principal("alice", "secret"), principal("a,b=c", "odd"), principal("empty", "")])
}

#[test]
fn plain_lets_in_who_knows_the_password() {
    let cases: [(&[u8], Result<&str, Denied>); 9] = [
        (b"\0alice\0secret", Ok("alice")),
        (b"alice\0alice\0secret", Ok("alice")),
        (b"bob\0alice\0secret", Err(Denied("nobody may act for another"))),
        (b"\0alice\0wrong", Err(WRONG)),
        (b"\0bob\0secret", Err(WRONG)),
        (b"\0bob\0", Err(WRONG)),
        (b"\0\0", Err(WRONG)),
        (b"\0alice", Err(Denied("the message is not one of PLAIN"))),
        (b"\0alice\0secret\0", Err(Denied("the message is not one of PLAIN"))),
    ];
    let principals = principals();
    for (message, expected) in cases {
        let found = Exchange::new("PLAIN").unwrap().step(&principals, message);
        assert_eq!(found, expected.map(|name| Step::Done(name.to_owned(), Vec::new())), "{message:?}");
    }
    assert!(Exchange::new("GSSAPI").is_none());
}

/// The client's side of SCRAM, written from the RFC for this test.
fn client(principals: &Principals, hash: Hash, name: &str, password: &str) -> Result<Step, Denied> {
    let mut server = Scram::new(hash);
    let bare = format!("n={name},r=client-nonce");
    let Step::Continue(first) = server.step(principals, format!("n,,{bare}").as_bytes())? else { panic!("it ends too early") };
    let first = String::from_utf8(first).unwrap();
    let fields: Vec<&str> = first.split(',').map(|field| &field[2..]).collect();
    assert!(fields[0].starts_with("client-nonce") && fields[0].len() > 40);
    let iterations: NonZeroU32 = fields[2].parse().unwrap();
    let secret = hash.derive_with(password.as_bytes(), STANDARD.decode(fields[1]).unwrap(), iterations);
    let without_proof = format!("c=biws,r={}", fields[0]);
    let signed = format!("{bare},{first},{without_proof}");
    let signature = hash.sign(&secret.stored_key, signed.as_bytes());
    let salted = salted_client_key(hash, password, &secret.salt, iterations);
    let proof: Vec<u8> = salted.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    let done = server.step(principals, format!("{without_proof},p={}", STANDARD.encode(proof)).as_bytes())?;
    let expected = format!("v={}", STANDARD.encode(hash.sign(&secret.server_key, signed.as_bytes())));
    assert!(matches!(&done, Step::Done(_, answer) if *answer == expected.as_bytes()), "the server proves itself");
    assert_eq!(server.step(principals, b"again"), Err(Denied("the exchange is over")));
    Ok(done)
}

fn salted_client_key(hash: Hash, password: &str, salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
    let algorithm = match hash {
        Hash::Sha256 => ring::pbkdf2::PBKDF2_HMAC_SHA256,
        Hash::Sha512 => ring::pbkdf2::PBKDF2_HMAC_SHA512,
    };
    let mut salted = vec![0; hash.hash(b"").len()];
    ring::pbkdf2::derive(algorithm, iterations, salt, password.as_bytes(), &mut salted);
    hash.sign(&salted, b"Client Key")
}

#[test]
fn scram_lets_in_who_knows_the_password() {
    let principals = principals();
    for hash in [Hash::Sha256, Hash::Sha512] {
        assert!(matches!(client(&principals, hash, "alice", "secret"), Ok(Step::Done(name, _)) if name == "alice"));
        assert!(matches!(client(&principals, hash, "a=2Cb=3Dc", "odd"), Ok(Step::Done(name, _)) if name == "a,b=c"));
        assert_eq!(client(&principals, hash, "alice", "wrong"), Err(WRONG));
        assert_eq!(client(&principals, hash, "alice", ""), Err(WRONG));
        assert_eq!(client(&principals, hash, "bob", "secret"), Err(WRONG));
    }
}

/// RFC 7677, section 3: user `user`, password `pencil`.
#[test]
fn scram_sha_256_is_the_rfcs_example() {
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let secret = Hash::Sha256.derive_with(b"pencil", salt, NonZeroU32::new(4096).unwrap());
    let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                  s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
    let signature = Hash::Sha256.sign(&secret.stored_key, signed.as_bytes());
    let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
    assert_eq!(Hash::Sha256.hash(&client_key), secret.stored_key);
    let server = Hash::Sha256.sign(&secret.server_key, signed.as_bytes());
    assert_eq!(STANDARD.encode(server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn what_is_no_scram_is_denied() {
    let principals = principals();
    for first in [
        "",
        "n",
        "n,,",
        "n,,n=alice",
        "n,,n=alice,r=",
        "p=tls-unique,,n=alice,r=x",
        "y,,n=alice,r=x",
        "n,a=bob,n=alice,r=x",
        "n,,r=x,n=alice",
    ] {
        let mut server = Scram::new(Hash::Sha256);
        assert!(server.step(&principals, first.as_bytes()).is_err(), "{first}");
    }
    for last in ["", "c=biws", "c=biws,r=other,p=AAAA", "c=eSws,r=x,p=AAAA", "c=biws,r=xours,p=!", "c=biws,r=xours,p=AAAA"] {
        let mut server = Scram::with_nonce(Hash::Sha256, "ours".to_owned());
        server.step(&principals, b"n,,n=alice,r=x").unwrap();
        assert!(server.step(&principals, last.as_bytes()).is_err(), "{last}");
    }
}
