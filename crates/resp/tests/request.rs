//! The request decoder against Redis's rules, at every split of the input.

mod noise;

use noise::noise;
use proptest::prelude::*;
use resp::{Decoded, Decoder, ProtocolError};

type Outcome = (Vec<Vec<Vec<u8>>>, Option<ProtocolError>);

/// Decodes everything in `pieces`, as a connection would that receives them one by one.
fn decode_pieces<'a>(decoder: &mut Decoder, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut buf: Vec<u8> = Vec::new();
    let mut requests = Vec::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&buf) {
                Ok(Decoded::Incomplete { need_hint }) => {
                    assert!(need_hint > 0);
                    break;
                }
                Ok(Decoded::Request { consumed }) => {
                    assert!(consumed > 0 && consumed <= buf.len());
                    if !decoder.is_empty() {
                        requests.push(decoder.args(&buf).map(<[u8]>::to_vec).collect());
                    }
                    buf.drain(..consumed);
                }
                Err(error) => return (requests, Some(error)),
            }
        }
    }
    (requests, None)
}

fn decode_all(input: &[u8]) -> Outcome {
    decode_pieces(&mut Decoder::default(), [input])
}

fn strings(requests: &[&[&str]]) -> Vec<Vec<Vec<u8>>> {
    requests.iter().map(|r| r.iter().map(|a| a.as_bytes().to_vec()).collect()).collect()
}

#[test]
fn pipelines_of_all_kinds() {
    let input =
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n\r\n\n*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\nset k \"a b\"\r\n";
    let expected = strings(&[&["GET", "a"], &["PING"], &["PING"], &["set", "k", "a b"]]);
    assert_eq!(decode_all(input), (expected.clone(), None));
    for cut in 0..input.len() {
        let pieces = [&input[..cut], &input[cut..]];
        assert_eq!(decode_pieces(&mut Decoder::default(), pieces), (expected.clone(), None), "cut at {cut}");
    }
    assert_eq!(decode_pieces(&mut Decoder::default(), input.chunks(1)), (expected, None));
}

#[test]
fn errors_have_the_texts_of_redis() {
    let long = vec![b'a'; 70_000];
    let with_long = |head: &[u8]| [head, &long].concat();
    for (input, text) in [
        (with_long(b""), "too big inline request"),
        (with_long(b"*"), "too big mbulk count string"),
        (with_long(b"*1\r\n$"), "too big bulk count string"),
        (b"set \"a\r\n".to_vec(), "unbalanced quotes in request"),
        (b"*x\r\n".to_vec(), "invalid multibulk length"),
        (b"*2147483648\r\n".to_vec(), "invalid multibulk length"),
        (b"*3000000000\r\n".to_vec(), "invalid multibulk length"),
        (b"*3\r\n$3\r\nSET\r\n$1\r\nx\r\nfooz\r\n".to_vec(), "expected '$', got 'f'"),
        (b"*1\r\n\r\n".to_vec(), "expected '$', got ' '"),
        (b"*1\r\n$-10\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$2000000000\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$blabla\r\n".to_vec(), "invalid bulk length"),
        (with_long(b"\0"), "too big inline request"),
        (with_long(b"*\0"), "too big mbulk count string"),
        (with_long(b"*1\r\n$\0"), "too big bulk count string"),
    ] {
        let error = decode_all(&input).1.unwrap_or_else(|| panic!("no error for {text}"));
        assert_eq!(error.to_string(), format!("ERR Protocol error: {text}"));
    }
}

#[test]
fn strangers_may_send_little() {
    for (input, text) in [
        (&b"*11\r\n"[..], "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
    ] {
        let mut decoder = Decoder::new(512 << 20, false);
        let error = decoder.decode(input).unwrap_err();
        assert_eq!(error.to_string(), format!("ERR Protocol error: {text}"));
        let mut decoder = Decoder::default();
        assert!(matches!(decoder.decode(input), Ok(Decoded::Incomplete { .. })));
    }
}

#[test]
fn declared_sizes_allocate_nothing() {
    let mut decoder = Decoder::default();
    let input = b"*2147483647\r\n$536870912\r\n";
    assert_eq!(decoder.decode(input), Ok(Decoded::Incomplete { need_hint: 536_870_914 }));
    assert!(decoder.memory() < 4096);
}

#[test]
fn memory_shrinks_after_a_wide_request() {
    let mut input = b"*100000\r\n".to_vec();
    for _ in 0..100_000 {
        input.extend_from_slice(b"$1\r\na\r\n");
    }
    let mut decoder = Decoder::default();
    assert_eq!(decoder.decode(&input), Ok(Decoded::Request { consumed: input.len() }));
    assert_eq!(decoder.len(), 100_000);
    assert!(decoder.decode(b"").is_ok());
    assert!(decoder.memory() < 64 * 1024);
    decoder.release();
    assert_eq!(decoder.memory(), 0);
}

/// 64 MiB in all; half of it made to look like RESP now and then.
#[test]
fn random_bytes_never_panic() {
    let alphabet = b"*$\r\n0123456789-\"'\\x \0aP";
    for seed in 1..=1024u64 {
        let mut bytes = noise(seed, 64 * 1024);
        if seed % 2 == 0 {
            for byte in &mut bytes {
                *byte = alphabet[usize::from(*byte) % alphabet.len()];
            }
        }
        let mut decoder = Decoder::new(1 << 20, seed % 3 != 0);
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            match decoder.decode(rest) {
                Ok(Decoded::Request { consumed }) => {
                    let total: usize = decoder.args(rest).map(<[u8]>::len).sum();
                    assert!(total <= consumed);
                    rest = &rest[consumed..];
                }
                Ok(Decoded::Incomplete { .. }) => break,
                Err(_) => {
                    decoder = Decoder::new(1 << 20, true);
                    rest = &rest[1..];
                }
            }
        }
    }
}

fn request_bytes() -> impl Strategy<Value = Vec<u8>> {
    let argument = prop::collection::vec(any::<u8>(), 0..40);
    let multibulk = prop::collection::vec(argument, 0..6).prop_map(|args| {
        let mut out = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(&arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    });
    let inline = "[a-z \"'\\\\x0]{0,20}\r?\n".prop_map(String::into_bytes);
    let broken = "[*$][0-9a-]{0,3}\r\n".prop_map(String::into_bytes);
    prop_oneof![6 => multibulk, 2 => inline, 1 => broken]
}

proptest! {
    #[test]
    fn splitting_changes_nothing(
        requests in prop::collection::vec(request_bytes(), 1..6),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let input = requests.concat();
        let whole = decode_all(&input);
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(input.len())).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|w| &input[w[0]..w[1]]);
        prop_assert_eq!(decode_pieces(&mut Decoder::default(), pieces), whole.clone());
        prop_assert_eq!(decode_pieces(&mut Decoder::default(), input.chunks(1)), whole);
    }
}
